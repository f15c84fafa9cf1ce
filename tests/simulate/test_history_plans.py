"""When the demo's meters were heard: days and clocks of a zone, parts of a history, leaks and days that begin elsewhere; by known answers."""

from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from submeter.reading import MICRO
from submeter.simulate.building import Building, Place
from submeter.simulate.consumption import DAY, HOUR, SECOND, Use
from submeter.simulate.history import HOURLY, RECENT, Stretch, clock_change, local_day, planned, times
from submeter.simulate.meters import Meter, midnight


def at(text: str) -> int:
    """A time in UTC as µs."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("zone", "instant", "day"),
    [
        ("Europe/Prague", "2026-11-25T22:59:59", "2026-11-25"), ("Europe/Prague", "2026-11-25T23:00:00", "2026-11-26"), ("Europe/Prague", "2026-07-01T21:59:59", "2026-07-01"),
        ("Europe/Prague", "2026-07-01T22:00:00", "2026-07-02"), ("Asia/Yekaterinburg", "2026-11-25T18:59:59", "2026-11-25"),
        ("Asia/Yekaterinburg", "2026-11-25T19:00:00", "2026-11-26"), ("America/St_Johns", "2026-11-25T03:29:59", "2026-11-24"),
        ("America/St_Johns", "2026-11-25T03:30:00", "2026-11-25"),
    ],
)  # fmt: skip
def test_a_local_day(zone: str, instant: str, day: str) -> None:
    """It begins at the zone's midnight, which is where its µs are."""
    assert local_day(zone, at(instant)) == date.fromisoformat(day)
    assert midnight(date.fromisoformat(day), zone) <= at(instant) < midnight(date.fromordinal(date.fromisoformat(day).toordinal() + 1), zone)


@pytest.mark.parametrize(
    ("zone", "before", "day"),
    [
        ("Europe/Prague", "2026-11-26T09:00:00", "2026-10-25"), ("Europe/Prague", "2026-10-27T09:00:00", "2026-10-25"), ("Europe/Prague", "2026-10-26T09:00:00", "2026-03-29"),
        ("Europe/Prague", "2026-04-01T09:00:00", "2026-03-29"), ("Europe/Prague", "2026-03-30T09:00:00", "2025-10-26"), ("America/St_Johns", "2026-11-26T09:00:00", "2026-11-01"),
        ("Asia/Yekaterinburg", "2026-11-26T09:00:00", "2026-11-24"), ("UTC", "2026-11-26T00:00:00", "2026-11-24"),
    ],
)  # fmt: skip
def test_the_last_change_of_clocks(zone: str, before: str, day: str) -> None:
    """The last day of 23 or 25 hours that is wholly over; where clocks never change, the last day but one."""
    assert clock_change(zone, at(before)) == midnight(date.fromisoformat(day), zone)


BUILDING = Building.make(flats=2, zone="Europe/Prague", seed=9)


@pytest.mark.parametrize(("years", "parts"), [(0.02, 1), (0.25, 1), (0.5, 2), (1.0, 3), (3.0, 7)])
@pytest.mark.parametrize("end", ["2026-11-26T09:00:00", "2026-04-02T01:00:00", "2026-09-01T00:00:00"])
def test_a_history_has_parts(years: float, parts: int, end: str) -> None:
    """The newest first: a week of hours behind midnights, then half years of midnights; they join, and begin so many years ago."""
    last = at(end)
    found = planned(last, years, BUILDING)
    assert len(found) == parts
    plain = [[one for one in part if not one.only] for part in found]
    assert plain[0] == [Stretch(max(last - round(years * 365.25) * DAY, last - RECENT), last - HOURLY, 0), Stretch(last - HOURLY, last, HOUR)]
    flat = sorted((one for part in plain for one in part), key=lambda one: one.t_from)
    assert all(one.t_to == following.t_from for one, following in pairwise(flat) if years > 0.02)
    assert flat[0].t_from == last - round(years * 365.25) * DAY or years == 0.02
    assert all(one.step == 0 and one.t_to - one.t_from <= 183 * DAY for part in plain[1:] for one in part)
    (dense,) = (one for part in found for one in part if one.only)
    change = clock_change("Europe/Prague", last - HOURLY)
    assert dense == Stretch(change - DAY, change + 2 * DAY, HOUR, BUILDING.id)
    assert dense in (found[0] if change - DAY >= last - RECENT or parts == 1 else found[1])


def test_times_of_a_stretch() -> None:
    """Local midnights that lie in it, its begin but not its end; every step at the meter's own phase; nothing of other buildings."""
    place = BUILDING.places[0]
    days = [midnight(date(2026, 10, day), "Europe/Prague") for day in range(23, 28)]
    assert times(place, Stretch(days[0], days[4], 0)) == days[:4]
    assert times(place, Stretch(days[0] + 1, days[4] + 1, 0)) == days[1:]
    assert times(place, Stretch(days[0] + 1, days[1], 0)) == []
    assert {after - before for before, after in pairwise(times(place, Stretch(days[0], days[4], 0)))} == {24 * HOUR, 25 * HOUR}
    hours = times(place, Stretch(days[0], days[1], HOUR))
    assert len(hours) == 24
    assert {after - before for before, after in pairwise(hours)} == {HOUR}
    assert days[0] <= hours[0] < days[0] + HOUR
    assert times(place, Stretch(days[0], days[1], HOUR, BUILDING.id)) == hours
    assert times(place, Stretch(days[0], days[1], HOUR, "house-90")) == times(place, Stretch(days[0], days[1], 0, "house-90")) == []


@pytest.mark.parametrize("hours", [0, 1, 24, 1000])
def test_a_leak_adds_its_flow(hours: int) -> None:
    """To the index from its begin on, and to the rate; nothing before."""
    since = at("2026-05-01T00:00:00")
    dry = Use(3, "water", 40 * MICRO)
    wet = Use(3, "water", 40 * MICRO, leak_from=since, leak=14_000)
    assert wet.index(since + hours * HOUR) - dry.index(since + hours * HOUR) == hours * 14_000
    assert wet.index(since - hours * HOUR) == dry.index(since - hours * HOUR)
    assert wet.rate(since + hours * HOUR) - dry.rate(since + hours * HOUR) == 14_000
    assert wet.rate(since - 1 - hours * HOUR) == dry.rate(since - 1 - hours * HOUR)


@pytest.mark.parametrize(
    ("zone", "east"), [("Europe/Prague", 0), ("UTC", 0), ("Asia/Yekaterinburg", 5), ("America/St_Johns", -4), ("Asia/Kathmandu", 6)]
)
def test_a_household_lives_by_the_sun(zone: str, east: int) -> None:
    """Zones within two hours of UTC count as UTC, others by whole hours, so that mornings are mornings; a day that begins earlier is the same day."""
    meter = Meter.make("cold_water", 1, seed=2, zone=zone)
    assert meter.use.east == east
    here, there = Use(3, "water", 40 * MICRO), Use(3, "water", 40 * MICRO, east=east)
    noon = at("2026-05-01T12:00:00")
    assert there.index(noon - east * HOUR) == here.index(noon)
    assert there.rate(noon - east * HOUR) == here.rate(noon)


def test_a_place_has_a_meter_at_each_time_and_is_heard_but_in_its_silence() -> None:
    """The following one from the exchange on; spans of silence are half open."""
    first, second = (Meter.make("cold_water", number, seed=2, zone="UTC") for number in (1, 2))
    place = Place("p", None, "kitchen", first, ("g",), exchanged=100, following=second, quiet=((10, 20), (20, 30)))
    assert [place.meter_at(t) for t in (0, 99, 100, 101)] == [first, first, second, second]
    assert [place.heard(t) for t in (9, 10, 19, 20, 29, 30)] == [True, False, False, False, False, True]
    assert Place("p", None, "kitchen", first, ("g",)).meter_at(10**18) is first
