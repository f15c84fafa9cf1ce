"""A message that is nothing but one frame: hex digits (Kustonium, ESPHome `as_hex`, rtl_433's data topic) or the bytes themselves.

Source: ingest/FORMATS.md 2, rules 3 and 4. No time, no level. Bytes that have no frame form are refused as `bad_length`.
"""

import re
from typing import Final

from submeter.ingest.envelopes.core import Envelope, Format, Heard, Payload, framed, unhex
from submeter.ingest.errors import BadPayload

__all__ = ["BINARY", "HEX"]

_DIGITS: Final = re.compile(rb"(?:0[xX])?((?:[0-9A-Fa-f]{2}){9,})")


def _is_hex(payload: Payload) -> bool:
    return _DIGITS.fullmatch(payload.text) is not None


def _parse_hex(payload: Payload) -> Envelope:
    digits = _DIGITS.fullmatch(payload.text)
    if digits is None:
        raise BadPayload("bad_hex", "not an even number of at least 18 hex digits")
    return Envelope("hex", (Heard(framed(unhex(digits[1].decode("ascii")))),))


def _is_frame(payload: Payload) -> bool:
    try:
        framed(payload.raw)
    except BadPayload:
        return False
    return True


def _parse_binary(payload: Payload) -> Envelope:
    return Envelope("binary", (Heard(framed(payload.raw)),))


HEX: Final = Format("hex", _is_hex, _parse_hex)
BINARY: Final = Format("binary", _is_frame, _parse_binary)
