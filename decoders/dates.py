"""Dates and times as meters send them: types F, G, I, J of EN 13757-3. A date that does not exist is None, never a guess.

Times are the meter's local time. Hundreds of years beyond 2099 are misused bits (seen in the field): then 2000 + yy.
"""

from collections.abc import Callable
from datetime import date, datetime, time

__all__ = ["read_date"]

DateValue = date | datetime | time


def read_date(data: bytes) -> DateValue | None:
    """Type by length: G 2 bytes, J 3, F 4, I 6; None for void, impossible or unknown ones."""
    reader = _READERS.get(len(data))
    try:
        return reader(data) if reader else None
    except ValueError:
        return None


def _type_g(data: bytes) -> date:
    """Day 0-4, year 5-7 and 12-15, month 8-11."""
    low, high = data
    return date(_year(low >> 5 | high >> 4 << 3, 0), high & 0x0F, low & 0x1F)


def _type_f(data: bytes) -> datetime:
    """Minute 0-5 with bit 7 invalid, hour 8-12, hundreds of years 13-14, then as type G."""
    if data[0] & 0x80:
        raise ValueError
    day = date(_year(data[2] >> 5 | data[3] >> 4 << 3, data[1] >> 5 & 3), data[3] & 0x0F, data[2] & 0x1F)
    return datetime(day.year, day.month, day.day, data[1] & 0x1F, data[0] & 0x3F)  # noqa: DTZ001  local time of the meter


def _type_i(data: bytes) -> datetime:
    """Second, minute with bit 7 invalid, hour, then as type G; the last byte (week, daylight deviation) is not needed."""
    if data[1] & 0x80:
        raise ValueError
    day = _type_g(data[3:5])
    return datetime(day.year, day.month, day.day, data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F)  # noqa: DTZ001  local time of the meter


def _type_j(data: bytes) -> time:
    """Second, minute, hour."""
    return time(data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F)


def _year(two_digits: int, hundreds: int) -> int:
    """Year from seven bits and the hundred-years bits: 81 to 99 are of the last century unless the bits say otherwise."""
    if two_digits > 99:
        raise ValueError
    year = 1900 + 100 * hundreds + two_digits
    if year > 2099 or (year < 2000 and two_digits <= 80):
        return 2000 + two_digits
    return year


_READERS: dict[int, Callable[[bytes], DateValue]] = {2: _type_g, 3: _type_j, 4: _type_f, 6: _type_i}
