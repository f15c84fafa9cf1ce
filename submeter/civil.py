"""The civil grid (SPEC 3): which instants begin an hour, a day, a month or a year of a zone.

Strategy: a zone is a list of spans of constant offset, found once per zone and year by sampling and bisection. Inside a span local time is
UTC plus a constant, so boundaries are arithmetic progressions; a date begins at its midnight, or at the start of the span that skipped it.
Rules: instants are microseconds since 1970 in UTC; levels nest by construction; arrays are shared between callers and read-only.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from submeter.errors import SubmeterError

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
YEARS: Final = range(1970, 2201)
#: What one published block holds, as a numpy date unit: hours of a day, days of a month, months of a calendar year (DECISIONS 11).
_BLOCK_UNIT: Final = {"hour": "D", "day": "M", "month": "Y"}

Instants = NDArray[np.int64]


class CivilError(SubmeterError):
    """A zone, date or instant that has no place on a civil grid: names it and what is allowed."""


def instant(text: str) -> int:
    """Read ISO 8601 with an offset or ``Z`` as µs UTC; raises CivilError for anything else, also for a time without offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CivilError(f"{text!r} is not an instant: write e.g. 2024-01-31T12:00:00Z or +01:00 instead of Z")
    return _micros(moment)


def iso(t: int) -> str:
    """µs UTC as ``YYYY-MM-DDTHH:MM:SSZ`` (SPEC 8); parts of a second are cut off."""
    return f"{EPOCH + timedelta(seconds=t // SECOND):%Y-%m-%dT%H:%M:%SZ}"


def zone_info(zone: str) -> ZoneInfo:
    """The IANA zone of this name; raises CivilError for an unknown one."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CivilError(f"{zone!r} is not a time zone: write an IANA name such as Europe/Prague") from None


def boundaries(zone: str, level: str, start: int, end: int, year_start: str = "01-01") -> Instants:
    """Boundaries of `level` (SPEC 3) from the last one at or before `start` to the first one at or after `end`, ascending.

    `year_start` is ``MM-DD``, the first local date of a year. Raises CivilError for an unknown zone or a time outside 1970 to 2200.
    """
    grid = _grid(zone, level, _year_of(start) - 1, _year_of(end) + 1, year_start)
    return grid[np.searchsorted(grid, start, "right") - 1 : np.searchsorted(grid, end, "left") + 1]


def floor(zone: str, level: str, t: int, year_start: str = "01-01") -> int:
    """The last boundary of `level` at or before `t`."""
    return int(boundaries(zone, level, t, t, year_start)[0])


def following(zone: str, level: str, t: int, year_start: str = "01-01") -> int:
    """The first boundary of `level` after `t`."""
    return int(boundaries(zone, level, t, t + 1, year_start)[-1])


def set_days(zone: str, set_day: str, start: int, end: int) -> Instants:
    """Set-day instants S (SPEC 4.5) with ``start < S <= end``: the local midnights after ``MM-DD``, or month starts for ``month``."""
    days, dates = _days(zone, _year_of(start) - 1, _year_of(end) + 1)
    found = days[_day_of_month(dates) == 1 if set_day == "month" else _is_month_day(dates - 1, set_day)]
    return found[(found > start) & (found <= end)]


def midnight(zone: str, day: date) -> int:
    """The first instant of a local date; of the next one that exists where the zone skipped the date."""
    days, dates = _days(zone, day.year - 1, day.year + 1)
    return int(days[np.searchsorted(dates, _ordinal(day))])


def stored_date(zone: str, day: date) -> int:
    """The instant of a value that a meter stamped with a date only (SPEC 2.3): day 1 is the start of that day, any other day its end."""
    return midnight(zone, day if day.day == 1 else day + timedelta(days=1))


def to_utc(zone: str, local: datetime, *, second: bool = False) -> int:
    """A naive local time as µs UTC. Where the clock shows it twice: the first, or the `second`; where it is skipped: by the offset before."""
    return _micros(local.replace(tzinfo=zone_info(zone), fold=int(second)))


def to_local(zone: str, t: int) -> datetime:
    """µs UTC as local time with its offset."""
    return (EPOCH + timedelta(microseconds=t)).astimezone(zone_info(zone))


@lru_cache(maxsize=2**16)
def local_iso(zone: str, t: int) -> str:
    """µs UTC as ISO 8601 of local time with its offset."""
    return to_local(zone, t).isoformat()


def utc_date(t: int) -> date:
    """The UTC day of an instant."""
    return (EPOCH + timedelta(microseconds=t)).date()


def utc_midnight(day: date) -> int:
    """The first instant of a UTC day."""
    return _micros(datetime(day.year, day.month, day.day, tzinfo=UTC))


def month_after(month: date) -> date:
    """The first day of the next month."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def month_before(month: date) -> date:
    """The first day of the month before."""
    return (month.replace(day=1) - timedelta(days=1)).replace(day=1)


def local_date(zone: str, t: int) -> date:
    """The local date whose day holds `t`."""
    return date.fromisoformat(blocks_of(zone, "hour", np.array([t]))[0])


def blocks_of(zone: str, level: str, starts: Instants) -> list[str]:
    """The label of the published block of each bucket of `level` that begins at `starts`: ``2024-01-31``, ``2024-01``, ``2024`` or ``all``."""
    return block_labels(level, block_numbers(zone, level, starts))


def block_numbers(zone: str, level: str, starts: Instants) -> Instants:
    """As `blocks_of`, a number instead of a label: days, months or years since 1970; 0 for the one block of all years."""
    if level == "year" or not len(starts):
        return np.zeros(len(starts), np.int64)
    days, dates = _days(zone, _year_of(int(starts.min())) - 1, _year_of(int(starts.max())) + 1)
    held = dates[np.searchsorted(days, starts, "right") - 1].astype("datetime64[D]")
    numbers: Instants = held.astype(f"datetime64[{_BLOCK_UNIT[level]}]").astype(np.int64)
    return numbers


def block_labels(level: str, numbers: Instants) -> list[str]:
    """The labels of blocks of a level by their numbers."""
    if level == "year":
        return ["all"] * len(numbers)
    labels: list[str] = numbers.astype(f"datetime64[{_BLOCK_UNIT[level]}]").astype(str).tolist()
    return labels


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _ordinal(day: date) -> int:
    return (day - EPOCH.date()).days


def _year_of(t: int) -> int:
    year = int(np.datetime64(t, "us").astype("datetime64[Y]").astype(int)) + 1970
    if year not in YEARS:
        raise CivilError(f"an instant in the year {year} has no civil grid: years {YEARS.start} to {YEARS.stop - 1} have")
    return year


def _day_of_month(dates: Instants) -> Instants:
    days = dates.astype("datetime64[D]")
    since_first: Instants = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
    return since_first + 1


def _is_month_day(dates: Instants, month_day: str) -> NDArray[np.bool_]:
    month, day = map(int, month_day.split("-"))
    months = dates.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    found: NDArray[np.bool_] = (months == month) & (_day_of_month(dates) == day)
    return found


@lru_cache(maxsize=256)
def _grid(zone: str, level: str, first: int, last: int, year_start: str) -> Instants:
    if level == "hour":
        return _frozen(np.concatenate([_year(zone, year)[0] for year in range(first, last + 1)]))
    days, dates = _days(zone, first, last)
    if level == "day":
        return days
    return _frozen(days[_day_of_month(dates) == 1 if level == "month" else _is_month_day(dates, year_start)])


@lru_cache(maxsize=256)
def _days(zone: str, first: int, last: int) -> tuple[Instants, Instants]:
    """First instants of local dates, and the dates as days since 1970, of UTC years `first` to `last`."""
    years = [_year(zone, year) for year in range(first, last + 1)]
    return _frozen(np.concatenate([days for _, days, _ in years])), _frozen(np.concatenate([dates for _, _, dates in years]))


@lru_cache(maxsize=4096)
def _year(zone: str, year: int) -> tuple[Instants, Instants, Instants]:
    """Hour boundaries, day boundaries and the dates of the latter, in one UTC year."""
    spans = _spans(zone, year)
    seen = (spans[0][0] - 1 + _offset(zone_info(zone), spans[0][0] - 1)) // DAY
    hours, days, dates = [], [], []
    for start, end, offset in spans:
        hours.append(np.arange(-(-(start + offset) // HOUR) * HOUR - offset, end, HOUR))
        last = (end - 1 + offset) // DAY
        dates.append(np.arange(max((start + offset) // DAY, seen + 1), last + 1))
        days.append(np.maximum(dates[-1] * DAY - offset, start))
        seen = max(seen, last)
    starts = np.concatenate(days)
    return _frozen(np.union1d(np.concatenate(hours), starts)), _frozen(starts), _frozen(np.concatenate(dates))


@lru_cache(maxsize=4096)
def _spans(zone: str, year: int) -> tuple[tuple[int, int, int], ...]:
    """``(start, end, offset)`` of constant offset that fill one UTC year; raises CivilError for an offset off the quarter hour (SPEC 2.5)."""
    info = zone_info(zone)
    begin, end = (_micros(datetime(y, 1, 1, tzinfo=UTC)) for y in (year, year + 1))
    samples = range(begin, end + 1, DAY // 4)
    cuts = [_change(info, a, b) for a, b in pairwise(samples) if _offset(info, a) != _offset(info, b)]
    edges = [begin, *(cut for cut in cuts if cut < end), end]
    spans = tuple((a, b, _offset(info, a)) for a, b in pairwise(edges))
    if any(offset % (15 * MINUTE) for _, _, offset in spans):
        raise CivilError(f"{zone} was not at a multiple of 15 minutes from UTC all through {year}: no civil grid there")
    return spans


def _change(info: ZoneInfo, before: int, after: int) -> int:
    """The first second in ``(before, after]`` with the offset of `after`."""
    while after - before > SECOND:
        middle = (before + after) // (2 * SECOND) * SECOND
        before, after = (middle, after) if _offset(info, middle) == _offset(info, before) else (before, middle)
    return after


def _offset(info: ZoneInfo, t: int) -> int:
    moment = (EPOCH + timedelta(microseconds=t)).astimezone(info)
    return (moment.utcoffset() or timedelta(0)) // timedelta(microseconds=1)


def _frozen(array: Instants) -> Instants:
    array.flags.writeable = False
    return array
