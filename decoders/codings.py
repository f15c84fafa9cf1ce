"""How manufacturer payloads write numbers and dates: bytes in, a number or date out, None where they are void. Names for `Field.coding`.

Numbers are raw: the field's scale and unit come on top. Dates: facts of the manufacturer layouts, table "Date words".
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Final

from submeter.decoders.dates import DateValue, read_date

__all__ = ["Coding", "bcd", "bcd_be", "date_d", "date_g", "date_short_year", "pairs", "seconds_2000", "signed", "unsigned", "unsigned_be"]

Coding = Callable[[bytes], int | DateValue | str | None]

_EPOCH: Final = datetime(2000, 1, 1)  # noqa: DTZ001  local time of the meter


def unsigned(data: bytes) -> int:
    """Low byte first."""
    return int.from_bytes(data, "little")


def unsigned_be(data: bytes) -> int:
    """High byte first."""
    return int.from_bytes(data, "big")


def signed(data: bytes) -> int | None:
    """Low byte first; 80 00… is void."""
    number = int.from_bytes(data, "little", signed=True)
    return None if number == -(1 << 8 * len(data) - 1) else number


def bcd(data: bytes) -> int | None:
    """Two digits a byte, low byte first; any other hex digit is void."""
    return bcd_be(data[::-1])


def bcd_be(data: bytes) -> int | None:
    """Two digits a byte, high byte first."""
    digits = data.hex()
    return int(digits) if digits.isdecimal() else None


def pairs(data: bytes) -> Iterator[int]:
    """Two decimal digits a byte, each byte a number; raises ValueError for other hex digits."""
    return (int(f"{byte:x}") for byte in data)


def date_g(data: bytes) -> DateValue | None:
    """The standard's date (type G, or F with four bytes)."""
    return read_date(data)


def date_d(data: bytes) -> date | None:
    """Day 0-4, month 5-8, year 9-15 since 2000 (Techem)."""
    return _date(unsigned(data), 0x7F)


def date_short_year(data: bytes) -> date | None:
    """The same with a year of five bits, 9-13 (Apator allocators)."""
    return _date(unsigned(data), 0x1F)


def _date(word: int, years: int) -> date | None:
    try:
        return date(2000 + (word >> 9 & years), word >> 5 & 0x0F, word & 0x1F)
    except ValueError:
        return None


def seconds_2000(data: bytes) -> datetime | None:
    """Seconds since 2000-01-01 00:00, local time; nought is void."""
    seconds = unsigned(data)
    return _EPOCH + timedelta(seconds=seconds) if seconds else None
