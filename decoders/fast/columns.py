"""Columns of numbers and dates out of one buffer of bytes: exact, and the same as `values` and `dates` one by one.

Strategy: every field of up to eight bytes is one unaligned 64-bit word of the buffer, masked to its size; signs, BCD and dates are arithmetic
on the whole column. Days are looked up in a table that `dates.read_date` itself fills on demand. Floats are read one by one, by `values`.
"""

from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from submeter.decoders.dates import read_date

__all__ = [
    "DATE",
    "PADDING",
    "Bools",
    "Ints",
    "Words",
    "bcd",
    "dates",
    "integers",
    "local_time",
    "low_bytes",
    "microseconds",
    "rounded",
    "spread",
    "words",
]

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Bytes that must follow the last one that is read as the start of a word.
PADDING: Final = 8
#: Sizes of the date types: G, F, I.
DATE: Final = frozenset((2, 4, 6))

_U64: Final = np.uint64
_WORD: Final = 8
_ONE, _NIBBLE = np.uint64(1), np.uint64(15)
_MASKS: Final = np.array([0, *((1 << 8 * size) - 1 for size in range(1, 9))], np.uint64)
_TOPS: Final = np.array([0, *(1 << 8 * size - 1 for size in range(1, 9))], np.uint64)
_HIGH_BITS: Final = np.uint64(0x8888888888888888)

_NO_DAY, _UNREAD = np.iinfo(np.int32).min, np.iinfo(np.int32).max
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  local time of the meter
_EPOCH_ORDINAL: Final = 719_163  # 1970-01-01
_DAY_US, _MINUTE_US, _SECOND_US = 86_400_000_000, 60_000_000, 1_000_000
#: Day since 1970 by the 16 bits of day, month and year and the 2 bits of hundreds; void ones are _NO_DAY.
_days: Final = np.full(1 << 18, _UNREAD, np.int32)


def local_time(microseconds: int) -> datetime:
    """A naive time from microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def microseconds(stamp: date) -> int:
    """Microseconds since 1970 of a local time, or of the start of a day."""
    if isinstance(stamp, datetime):
        return (stamp - _EPOCH) // timedelta(microseconds=1)
    return (stamp.toordinal() - _EPOCH_ORDINAL) * _DAY_US


def words(buffer: npt.NDArray[np.uint8]) -> Words:
    """The eight bytes from each place of `buffer` on, low byte first; a view."""
    return np.ndarray(len(buffer) - PADDING + 1, "<u8", buffer, strides=(1,))


def low_bytes(column: Words, size: npt.NDArray[np.uint8]) -> Words:
    """The first `size` bytes of each word, all of them where it is longer."""
    return column & _MASKS[np.minimum(size, _WORD)]


def spread(counts: Ints) -> tuple[Ints, Ints]:
    """For `counts[i]` elements of each i: the i of each element, and its number within i."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def integers(column: Words, size: npt.NDArray[np.uint8], signed: Bools) -> tuple[Ints, Bools]:
    """Numbers of types B and C, and which are void; unsigned ones have at most seven bytes."""
    top = np.where(signed, _TOPS[np.minimum(size, _WORD)], _U64(0))
    return ((column ^ top) - top).view(np.int64), signed & (column == top)


def bcd(column: Words, size: npt.NDArray[np.uint8]) -> tuple[Ints, Bools]:
    """Numbers of type A of at most six bytes, and which are void: F as the highest digit is a minus, other hex digits make it void."""
    place = (size.astype(np.uint64) << _U64(3)) - _U64(4)
    minus = column >> place == _NIBBLE
    digits = np.where(minus, column & ~(_NIBBLE << place), column)
    void = digits & (digits << _ONE | digits << _U64(2)) & _HIGH_BITS != 0
    number = _decimal(digits).view(np.int64)
    return np.where(minus, -number, number), void


def _decimal(digits: Words) -> Words:
    """Packed decimal digits as a number: pairs, fours, eights, sixteen."""
    for shift, mask, base in ((4, 0x0F0F0F0F0F0F0F0F, 10), (8, 0x00FF00FF00FF00FF, 100), (16, 0x0000FFFF0000FFFF, 10_000), (32, 0xFFFFFFFF, 10**8)):
        digits = (digits & _U64(mask)) + _U64(base) * (digits >> _U64(shift) & _U64(mask))
    return digits


def rounded(number: Ints, above: Ints, below: Ints) -> Ints:
    """Number times above by below, half to even; the caller bounds `number` so that the product fits."""
    product, broken = number * above, np.flatnonzero(below != 1)
    divisor = below[broken]
    whole, rest = np.divmod(product[broken], divisor)
    product[broken] = whole + ((2 * rest > divisor) | ((2 * rest == divisor) & (whole & 1 == 1)))
    return product


def dates(column: Words, size: npt.NDArray[np.uint8]) -> tuple[Ints, Bools]:
    """Types G (2 bytes), F (4) and I (6) as local microseconds since 1970, and which are void."""
    is_f, is_i = size == 4, size == 6
    minute_at = np.where(is_i, _U64(8), _U64(0))
    clock = np.where(is_f | is_i, column >> minute_at, _U64(0))
    second = np.where(is_i, column & _U64(0x3F), _U64(0))
    minute, hour = clock & _U64(0x3F), clock >> _U64(8) & _U64(0x1F)
    hundreds = np.where(is_f, column >> _U64(13) & _U64(3), _U64(0))
    day = _day_numbers(column >> (size.astype(np.uint64) - _U64(2) - is_i) * _U64(8) & _U64(0xFFFF) | hundreds << _U64(16))
    void = (day == _NO_DAY) | (clock & _U64(0x80) != 0) | (minute > 59) | (hour > 23) | (second > 59)
    instant = day * _DAY_US + (hour * _U64(60) + minute).view(np.int64) * _MINUTE_US + second.view(np.int64) * _SECOND_US
    return np.where(void, 0, instant), void


def _day_numbers(codes: Words) -> Ints:
    found = _days[codes]
    if (found == _UNREAD).any():
        for code in set(codes[found == _UNREAD].tolist()):
            _days[code] = _day_number(code)
        found = _days[codes]
    return found.astype(np.int64)


def _day_number(code: int) -> int:
    """The day of a type F date at midnight."""
    read = read_date(bytes([0, code >> 16 << 5, code & 0xFF, code >> 8 & 0xFF]))
    return read.toordinal() - _EPOCH_ORDINAL if isinstance(read, date) else int(_NO_DAY)
