"""Data of one record as an exact value: types A (BCD), B and C (integers), H (float), text, blocks (EN 13757-3; protocol notes 6.1 to 6.4).

Rules
* Numbers are Decimals, scaled exactly. A float is the shortest decimal that reads back as the same IEEE float32.
* A void coding is None and never a number: 80 00…, BCD digits A to F, NaN and infinities, no data.
"""

from decimal import Context, Decimal
from typing import Final

import numpy as np

from submeter.decoders.dates import DateValue, read_date
from submeter.decoders.errors import BadFrame
from submeter.decoders.vif import BITS, BLOCK, DATE, NUMBER, TEXT
from submeter.decoders.vife import Information

__all__ = ["Value", "data_length", "read_value"]

Value = Decimal | DateValue | str | bytes | None

_LENGTH: Final = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, 0, 6)
_REAL, _VARIABLE = 5, 13
_INTEGERS: Final = frozenset((1, 2, 3, 4, 6, 7))
_DECIMALS: Final = frozenset((9, 10, 11, 12, 14))
_EXACT: Final = Context(prec=200)

TEXT_LAST: Final = 0xBF


def data_length(coding: int, lvar: int | None) -> int:
    """Bytes of data behind the VIF for a DIF's low nibble, behind the LVAR byte for variable data; raises BadFrame for a reserved LVAR."""
    if coding != _VARIABLE:
        return _LENGTH[coding]
    if lvar is None:
        raise BadFrame("cut before the length of variable data")
    for first, last, base, step in (
        (0x00, TEXT_LAST, 0, 1),
        (0xC0, 0xC9, 0xC0, 1),
        (0xD0, 0xD9, 0xD0, 1),
        (0xE0, 0xEF, 0xE0, 1),
        (0xF0, 0xF4, 0xEC, 4),
    ):
        if first <= lvar <= last:
            return (lvar - base) * step
    if lvar in {0xF5, 0xF6}:
        return 48 if lvar == 0xF5 else 64
    raise BadFrame(f"length code {lvar:02X}h of variable data is reserved")


def read_value(coding: int, lvar: int | None, data: bytes, about: Information) -> Value:
    """The value of a record whose data stand low byte first; None where it is void or the meter reports an error."""
    if not data or about.error:
        return None
    if about.kind == BLOCK or about.quantity == "unknown":
        return data
    if about.kind == DATE:
        return read_date(data) if coding in _INTEGERS | {_VARIABLE} else None
    if coding == _VARIABLE and lvar is not None and lvar <= TEXT_LAST:
        return data[::-1].decode("latin-1").strip("\0 ")
    number = _number(coding, lvar, data, about)
    if about.kind == TEXT:
        return _identification(coding, data, number)
    return number if number is None or isinstance(number, bytes) else _scaled(number, about)


def _scaled(number: Decimal, about: Information) -> Decimal:
    if about.kind != NUMBER:
        return number
    scaled = number.scaleb(about.exponent, _EXACT)
    return scaled if about.offset is None else scaled + Decimal(1).scaleb(about.offset)


def _number(coding: int, lvar: int | None, data: bytes, about: Information) -> Decimal | bytes | None:
    unsigned = about.kind == BITS or "unsigned" in about.modifiers
    if coding in _INTEGERS:
        return _integer(data, unsigned=unsigned)
    if coding in _DECIMALS:
        return _bcd(data)
    if coding == _REAL:
        return _real(data)
    return _variable(lvar or 0, data, unsigned=unsigned)


def _variable(lvar: int, data: bytes, *, unsigned: bool) -> Decimal | bytes | None:
    if lvar <= 0xDF:
        number = _bcd(data, signed=False)
        return -number if number is not None and lvar >= 0xD0 else number
    return _integer(data, unsigned=unsigned) if len(data) <= 8 else data


def _integer(data: bytes, *, unsigned: bool) -> Decimal | None:
    number = int.from_bytes(data, "little", signed=not unsigned)
    void = not unsigned and number == -(1 << 8 * len(data) - 1)
    return None if void else Decimal(number)


def _bcd(data: bytes, *, signed: bool = True) -> Decimal | None:
    """Two digits a byte; F as the highest digit is a minus, any other hex digit makes the whole value void."""
    digits = data[::-1].hex()
    negative = signed and digits[0] == "f"
    digits = digits[1:] if negative else digits
    return Decimal(f"-{digits}" if negative else digits) if digits.isdecimal() else None


def _real(data: bytes) -> Decimal | None:
    number = np.frombuffer(data, "<f4")[0]
    return Decimal(str(number)) if np.isfinite(number) else None


def _identification(coding: int, data: bytes, number: Decimal | bytes | None) -> str | bytes | None:
    """Numbers that name something: all digits of a BCD, leading zeros included."""
    if coding in _DECIMALS:
        return data[::-1].hex().upper()
    return str(number) if isinstance(number, Decimal) else number
