"""Data records as bytes: DIF, DIFE, VIB and data of EN 13757-3 (protocol notes, section 6).

Strategy: one function per coding; a `Slot` says which storage, function, tariff and subunit the value belongs to, and each function
puts the same DIB before the VIB that the caller gives as sent (VIF, VIFEs, text).  A value that the coding cannot hold is a ValueError:
the encoder never cuts.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Final

FILLER: Final = b"\x2f"
#: DIF low nibble by length in bytes (6.1).
_INTEGER: Final[Mapping[int, int]] = MappingProxyType({1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 8: 7})
_BCD: Final[Mapping[int, int]] = MappingProxyType({2: 0x9, 4: 0xA, 6: 0xB, 8: 0xC, 12: 0xE})
_NO_DATA, _FLOAT, _VARIABLE = 0x0, 0x5, 0xD
_LONGEST_TEXT: Final = 0xBF


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a value belongs: storage number, function (0 now, 1 maximum, 2 minimum, 3 at error), tariff, subunit."""

    storage: int = 0
    function: int = 0
    tariff: int = 0
    subunit: int = 0


NOW: Final = Slot()


def dib(coding: int, slot: Slot = NOW) -> bytes:
    """DIF with as many DIFEs as the slot needs; at most ten (6.1)."""
    block = [coding | slot.function << 4 | (slot.storage & 1) << 6]
    storage, tariff, subunit = slot.storage >> 1, slot.tariff, slot.subunit
    while storage or tariff or subunit:
        block[-1] |= 0x80
        block.append(storage & 0xF | (tariff & 3) << 4 | (subunit & 1) << 6)
        storage, tariff, subunit = storage >> 4, tariff >> 2, subunit >> 1
    if len(block) > 11:
        raise ValueError(f"{slot} needs more than ten DIFEs")
    return bytes(block)


def integer(vib: bytes, value: int, size: int, slot: Slot = NOW) -> bytes:
    """Signed integer of 1, 2, 3, 4, 6 or 8 bytes (type B). The lowest number of each size means void: see `void`."""
    return dib(_INTEGER[size], slot) + vib + value.to_bytes(size, "little", signed=True)


def bcd(vib: bytes, value: int, digits: int, slot: Slot = NOW) -> bytes:
    """Packed decimal of 2, 4, 6, 8 or 12 digits (type A); a negative number has F as its highest digit (6.3)."""
    text = f"F{-value:0{digits - 1}d}" if value < 0 else f"{value:0{digits}d}"
    if len(text) > digits:
        raise ValueError(f"{value} does not fit into {digits} digits")
    return dib(_BCD[digits], slot) + vib + bytes.fromhex(text)[::-1]


def real(vib: bytes, value: float, slot: Slot = NOW) -> bytes:
    """IEEE float32; the VIF's scale still applies when it is read (6.1)."""
    return dib(_FLOAT, slot) + vib + struct.pack("<f", value)


def text(vib: bytes, value: str, slot: Slot = NOW) -> bytes:
    """ISO 8859-1 text in an LVAR, last character first (6.2)."""
    if len(value) > _LONGEST_TEXT:
        raise ValueError(f"a text has at most {_LONGEST_TEXT} characters, not {len(value)}")
    return dib(_VARIABLE, slot) + vib + bytes([len(value)]) + value.encode("latin-1")[::-1]


def absent(vib: bytes, slot: Slot = NOW) -> bytes:
    """DIF 0: the register exists and has no value; never zero."""
    return dib(_NO_DATA, slot) + vib


def void(vib: bytes, size: int, slot: Slot = NOW) -> bytes:
    """The void value of a signed integer: 80 00 … as sent low byte first (6.4)."""
    return dib(_INTEGER[size], slot) + vib + bytes(size - 1) + b"\x80"


def day(value: date, slot: Slot = NOW) -> bytes:
    """Date, type G, VIF 6C (6.5)."""
    return dib(2, slot) + b"\x6c" + _day(value)


def minute(value: datetime, slot: Slot = NOW, *, summer: bool = False, invalid: bool = False) -> bytes:
    """Local date and minute, type F, VIF 6D, with summer-time and clock-not-set bits (6.5)."""
    hundreds = (value.year - 1900) // 100
    clock = bytes([value.minute | invalid << 7, value.hour | hundreds << 5 | summer << 7])
    return dib(4, slot) + b"\x6d" + clock + _day(value)


def second(value: datetime, slot: Slot = NOW, *, summer: bool = False, invalid: bool = False) -> bytes:
    """Local date and second, type I, VIF 6D, six bytes (6.5)."""
    clock = bytes([value.second | summer << 7, value.minute | invalid << 7, value.hour | value.isoweekday() << 5])
    return dib(6, slot) + b"\x6d" + clock + _day(value) + b"\x00"


def _day(value: date) -> bytes:
    """Day, month and the year's seven bits: three above the day, four above the month."""
    year = value.year % 100
    return bytes([value.day | (year & 7) << 5, value.month | year >> 3 << 4])
