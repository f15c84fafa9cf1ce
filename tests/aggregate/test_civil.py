"""The civil grid of zones that do unusual things."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submeter import civil
from submeter.civil import CivilError, iso
from submeter.reading import LEVELS

ZONES = (
    "UTC",
    "Europe/Prague",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "America/Havana",
    "Pacific/Apia",
    "Africa/Cairo",
    "Asia/Kathmandu",
)


def grid(zone, level, start, end, **more):
    """Boundaries as text."""
    return [iso(t) for t in civil.boundaries(zone, level, civil.instant(start), civil.instant(end), **more).tolist()]


def hours_of(zone, day):
    """How many hour rows a local date has."""
    start = civil.midnight(zone, day)
    return len(civil.boundaries(zone, "hour", start, civil.following(zone, "day", start))) - 1


@pytest.mark.parametrize(("day", "hours"), [(date(2024, 3, 31), 23), (date(2024, 10, 27), 25), (date(2024, 5, 1), 24)])
def test_days_of_a_change_of_clock(day, hours):
    """A day of Prague has 23, 24 or 25 rows of an hour."""
    assert hours_of("Europe/Prague", day) == hours


def test_boundaries_enclose_the_range():
    """The grid reaches from the last boundary at or before the range to the first at or after its end."""
    assert grid("Europe/Prague", "day", "2024-01-09T23:00Z", "2024-01-10T22:00Z") == ["2024-01-09T23:00:00Z", "2024-01-10T23:00:00Z"]
    assert grid("Europe/Prague", "month", "2024-03-31T21:00Z", "2024-03-31T23:00Z") == [
        "2024-02-29T23:00:00Z",
        "2024-03-31T22:00:00Z",
        "2024-04-30T22:00:00Z",
    ]
    assert grid("Europe/Berlin", "year", "2024-01-01T00:00Z", "2024-01-01T00:00Z", year_start="10-01") == [
        "2023-09-30T22:00:00Z",
        "2024-09-30T22:00:00Z",
    ]


def test_a_half_hour_shift_makes_a_long_hour():
    """Lord Howe goes back half an hour: one row of 90 minutes, and local hours begin at :30 before it."""
    assert grid("Australia/Lord_Howe", "hour", "2024-04-06T14:00Z", "2024-04-06T16:00Z") == [
        "2024-04-06T14:00:00Z",
        "2024-04-06T15:30:00Z",
        "2024-04-06T16:30:00Z",
    ]


def test_a_date_that_begins_late():
    """Where midnight is skipped the day begins when the clock has jumped; a skipped date has no day."""
    assert iso(civil.midnight("America/Havana", date(2024, 3, 10))) == "2024-03-10T05:00:00Z"
    assert civil.to_local("America/Havana", civil.midnight("America/Havana", date(2024, 3, 10))).hour == 1
    assert civil.midnight("Pacific/Apia", date(2011, 12, 30)) == civil.midnight("Pacific/Apia", date(2011, 12, 31))


def test_a_date_that_begins_twice():
    """Where the clock goes back over midnight, the first instant of the date counts."""
    assert iso(civil.midnight("America/St_Johns", date(2010, 11, 7))) == "2010-11-07T02:30:00Z"
    assert hours_of("America/St_Johns", date(2010, 11, 7)) == 25


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ZONES), st.datetimes(datetime(1975, 1, 1), datetime(2037, 1, 1)), st.integers(0, 50 * 24))
def test_boundaries_are_what_the_definition_says(zone, start, hours):
    """Quarter hour by quarter hour: an hour begins at local minute 0 or with a date, a day with a date, a month with its first, levels nest."""
    first = int(start.replace(tzinfo=UTC, minute=0, second=0, microsecond=0).timestamp())
    seen, expected = None, {level: [] for level in LEVELS}
    moments = [datetime.fromtimestamp(first + 900 * i, ZoneInfo(zone)) for i in range(-200, hours * 4)]
    for moment in moments:
        new = seen is not None and moment.date() > seen
        seen = moment.date() if seen is None else max(seen, moment.date())
        kinds = [moment.minute == 0 or new, new, new and moment.day == 1, new and (moment.month, moment.day) == (1, 1)]
        for level, hit in zip(LEVELS, kinds, strict=True):
            if hit:
                expected[level].append(int(moment.timestamp()) * civil.SECOND)
    low, high = (int(moment.timestamp()) * civil.SECOND for moment in (moments[150], moments[-1]))
    for level in LEVELS:
        found = civil.boundaries(zone, level, low, high)
        assert [t for t in found.tolist() if low <= t <= high] == [t for t in expected[level] if low <= t <= high]
        assert found[0] <= low < civil.following(zone, level, low)
        assert civil.floor(zone, level, low) == found[0]


def test_stored_dates():
    """Day 1 is the start of its day, any other day its end: both ways of writing a month end are one instant."""
    assert civil.stored_date("Europe/Prague", date(2018, 12, 31)) == civil.stored_date("Europe/Prague", date(2019, 1, 1))
    assert iso(civil.stored_date("Europe/Prague", date(2024, 2, 14))) == "2024-02-14T23:00:00Z"


def test_set_days():
    """Set-day instants are the midnights after the day, after the start and up to the end."""
    end = civil.midnight("Europe/Berlin", date(2024, 3, 1))
    assert [iso(t) for t in civil.set_days("Europe/Berlin", "02-28", 0, end)[-2:].tolist()] == ["2023-02-28T23:00:00Z", "2024-02-28T23:00:00Z"]
    assert civil.set_days("Europe/Berlin", "month", end - 1, end).tolist() == [end]
    assert civil.set_days("Europe/Berlin", "month", end, end + 1).tolist() == []


def test_ambiguous_and_skipped_local_times():
    """A doubled local time is its first or second instant as asked; a skipped one counts on from the offset before."""
    doubled, skipped = datetime(2024, 10, 27, 2, 30), datetime(2024, 3, 31, 2, 30)
    assert civil.to_utc("Europe/Prague", doubled, second=True) - civil.to_utc("Europe/Prague", doubled) == civil.HOUR
    assert iso(civil.to_utc("Europe/Prague", skipped)) == "2024-03-31T01:30:00Z"
    assert civil.to_local("Europe/Prague", civil.instant("2024-03-31T01:30Z")).utcoffset() == timedelta(hours=2)


def test_labels_of_blocks():
    """A block holds the hours of a local day, the days of a month, the months of a year, all years."""
    starts = np.array([civil.instant("2024-01-31T23:00Z"), civil.instant("2024-01-30T12:00Z")])
    assert civil.blocks_of("Europe/Prague", "hour", starts) == ["2024-02-01", "2024-01-30"]
    assert civil.blocks_of("Europe/Prague", "day", starts) == ["2024-02", "2024-01"]
    assert civil.blocks_of("Europe/Prague", "month", starts) == ["2024", "2024"]
    assert civil.blocks_of("Europe/Prague", "year", starts) == ["all", "all"]
    assert civil.local_date("Europe/Prague", int(starts[0])) == date(2024, 2, 1)


@pytest.mark.parametrize("zone", ZONES)
def test_days_of_years_follow_one_another(zone):
    """Over forty years days are 23 to 26 hours long (48 after a skipped date), and every boundary of a level is one of the level below."""
    start, end = civil.instant("1985-06-01T00:00Z"), civil.instant("2025-06-01T00:00Z")
    grids = [set(civil.boundaries(zone, level, start, end)[1:-1].tolist()) for level in LEVELS]
    assert grids[3] < grids[2] < grids[1] < grids[0]
    assert {(b - a) // civil.HOUR for a, b in pairwise(sorted(grids[1]))} <= {22, 23, 24, 25, 26}


@pytest.mark.parametrize("text", ["2024-01-01T00:00", "yesterday", "", "2024-01-01"])
def test_not_an_instant(text):
    """A time without an offset is refused, and named."""
    with pytest.raises(CivilError, match="instant"):
        civil.instant(text)


def test_outside_the_grid():
    """Unknown zones, absurd years and offsets off the quarter hour are refused by name."""
    with pytest.raises(CivilError, match="Mars/Base"):
        civil.boundaries("Mars/Base", "day", 0, 0)
    with pytest.raises(CivilError, match="2970"):
        civil.boundaries("UTC", "day", 0, civil.instant("2970-01-01T00:00Z"))
    with pytest.raises(CivilError, match="15 minutes"):
        civil.boundaries("Africa/Monrovia", "day", civil.DAY, civil.DAY)
