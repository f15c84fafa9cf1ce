r"""The telegram encoder in one namespace: the inverse of `submeter.decoders`.

records  →  layers (header, security)  →  frames (link)
encode.radio(device, encode.mode5(encode.bcd(b"\x13", 1234, 8), encode.Header(access=7), key, device))
"""

from submeter.decoders.crc import crc16 as crc
from submeter.simulate.frames import format_a, format_b, radio, wired
from submeter.simulate.layers import Header, compact, derived_keys, extended, extended_ctr, mode2, mode5, mode7, plain
from submeter.simulate.records import FILLER, Slot, absent, bcd, day, dib, integer, minute, real, second, text, void

__all__ = [
    "FILLER", "Header", "Slot", "absent", "bcd", "compact", "crc", "day", "derived_keys", "dib", "extended", "extended_ctr", "format_a", "format_b", "integer",
    "minute", "mode2", "mode5", "mode7", "plain", "radio", "real", "second", "text", "void", "wired",
]  # fmt: skip
