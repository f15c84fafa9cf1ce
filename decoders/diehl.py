"""The Diehl group's radio frames (Sappel, Hydrometer, EWT, SPL, DME): which of their addresses are swapped, and their keystream (layouts 3.1, 3.2).

A swapped address stands behind the manufacturer as V T id instead of id V T. It is put right before anything asks for keys, names or
layouts; the keystream mixes the bytes as they were sent.
"""

from functools import cache, reduce
from operator import xor
from typing import Final

from submeter.decoders.frame import Frame

__all__ = ["CODES", "MAKERS", "REAL_DATA_CI", "address_of", "keystream", "speaks_diehl"]

MAKERS: Final = ("DME", "EWT", "HYD", "SAP", "SPL")
#: Real data under a CI field that otherwise means an alarm; its header is that of CI 7A.
REAL_DATA_CI: Final = 0x71

_SPONTANEOUS: Final = frozenset((0x44, 0x46))


def _code(letters: str) -> bytes:
    """A manufacturer as sent: five bits a letter."""
    a, b, c = (ord(letter) & 31 for letter in letters)
    return (a << 10 | b << 5 | c).to_bytes(2, "little")


#: Their codes as sent.
CODES: Final = frozenset(map(_code, MAKERS))
_SAPPEL: Final = _code("SAP")
_SHORT: Final = 0x7A
_PRIOS: Final = frozenset(range(0xA0, 0xA8))
_PRIOS_SCR: Final = frozenset((0xB1, 0xB2, 0xB3))
#: Bit 12 of the configuration word, in its high byte: the payload is real data.
_REAL_DATA: Final = 0x10
_LONGEST: Final = 256


def speaks_diehl(frame: Frame) -> bool:
    """Whether a radio frame is one of the group's, where CI fields mean what they say."""
    return frame.link == "wmbus" and frame.control in _SPONTANEOUS and frame.address[:2] in CODES


def address_of(frame: Frame) -> bytes:
    """M id V T of a frame's link address, put right where the group swaps it."""
    sent = frame.address
    return sent[:2] + sent[4:8] + sent[2:4] if speaks_diehl(frame) and _swapped(frame) else sent


def _swapped(frame: Frame) -> bool:
    ci = frame.body[0]
    if ci == _SHORT:
        return len(frame.body) > 4 and bool(frame.body[4] & _REAL_DATA)
    return ci == REAL_DATA_CI or ci in _PRIOS_SCR or (ci in _PRIOS and frame.address[:2] != _SAPPEL)


def keystream(key: bytes, head: bytes, size: int) -> bytes:
    """The stream of an eight-byte key: a shift register, mixed with `head`, the frame from the manufacturer to the third byte behind the CI field."""
    seed = int.from_bytes(key[:4]) ^ int.from_bytes(key[4:8])
    for at in (0, 4, 8):
        seed ^= int.from_bytes(head[at : at + 4])
    return reduce(xor, (table[byte] for table, byte in zip(_streams(), seed.to_bytes(4), strict=True))).to_bytes(_LONGEST)[:size]


@cache
def _streams() -> list[list[int]]:
    """The register is linear, so the stream of a seed is the XOR of those of its bytes: here by their place, the highest first, and by their value."""
    of_bits = [_stream(1 << bit) for bit in range(32)]
    places = (of_bits[at : at + 8] for at in (24, 16, 8, 0))
    return [[reduce(xor, (one for bit, one in enumerate(bits) if byte >> bit & 1), 0) for byte in range(256)] for bits in places]


def _stream(seed: int) -> int:
    """What the register gives from `seed` on, as long as a frame can be."""
    stream = bytearray()
    for _ in range(_LONGEST):
        for _ in range(8):
            seed = (seed << 1 | (seed >> 1 ^ seed >> 2 ^ seed >> 11 ^ seed >> 31) & 1) & 0xFFFFFFFF
        stream.append(seed & 0xFF)
    return int.from_bytes(stream)
