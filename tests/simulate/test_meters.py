"""Consumption and meters: deterministic, never falling, and restarting where an allocator restarts."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from submeter.reading import MICRO
from submeter.simulate.consumption import HOUR, SHAPES, Use
from submeter.simulate.meters import Meter
from submeter.simulate.models import MODELS
from submeter.simulate.records import minute

instants = st.integers(1_577_836_800_000_000, 1_990_000_000_000_000)
ZONE = "Europe/Prague"


def at(*parts: int, zone: str = ZONE) -> int:
    """A local time in µs UTC."""
    return int(datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


def meter(kind: str, number: int = 1) -> Meter:
    """The meter of that kind in the first world."""
    return Meter.make(kind, number, seed=1, zone=ZONE)


@given(st.sampled_from(sorted(SHAPES)), instants, st.integers(0, 10**13))
def test_index_never_falls(shape, t, later):
    """Use between any two instants is never negative."""
    use = Use(5, shape, 40 * MICRO)
    assert use.index(t) <= use.index(t + later)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_year_uses_exactly_its_annual(shape):
    """The index at New Year is the start plus whole years; nothing is lost in the rounding of days and hours."""
    use = Use(9, shape, 12_345_678_901, start=77)
    for year in (2020, 2023, 2024, 2030):
        assert use.index(at(year, 1, 1, zone="UTC")) == 77 + (year - 2020) * 12_345_678_901
    assert use.index(0) == 77


@given(st.sampled_from(sorted(SHAPES)), instants)
def test_rate_is_the_slope_of_the_hour(shape, t):
    """The rate is what the index gains in the UTC hour, but for rounding."""
    use = Use(11, shape, 8000 * MICRO)
    start = t - t % HOUR
    assert abs(use.index(start + HOUR) - use.index(start) - use.rate(t)) <= 1


def test_same_seed_same_world():
    """Two meters of the same seed and number are equal, of another seed or number they differ in id, key and use."""
    one, other_number, other_seed = meter("cold_water"), meter("cold_water", 2), Meter.make("cold_water", 1, seed=2, zone=ZONE)
    assert one == meter("cold_water")
    for other in (other_number, other_seed):
        assert {one.device, one.key, one.use}.isdisjoint({other.device, other.key, other.use})


@pytest.mark.parametrize(("seed", "number"), [(100, 1), (1, 10_000)])
def test_ids_have_room(seed, number):
    """A seed or number that its id cannot show is refused, so that no two worlds share a meter."""
    with pytest.raises(ValueError, match="has room"):
        Meter.make("heat", number, seed=seed, zone=ZONE)


def test_known_world():
    """The simulated world does not change from one release to the next: ids, keys, values and telegrams of this one stand here."""
    one, t = meter("cold_water"), at(2026, 11, 21, 12)
    assert str(one.device) == "SIM-22010001-01-16"
    assert list(one.truth(t).values()) == [501772000]
    assert one.telegram(t).hex() == "2e442d4d0100012201167ab0002005e76ddb6302ebd9d20f1c1de7e2fe66837f51636a068844cd60bb73c1f6f4e064"


def test_allocator_restarts_at_its_set_day():
    """The display falls to what was used since midnight, the set-day value is the last display before, the total goes on."""
    allocator = meter("allocator")
    (register,) = allocator.truth(0)
    midnight = at(2027, 1, 1)
    before, after = allocator.truth(midnight - 1)[register], allocator.truth(midnight)[register]
    assert (before, after) == (allocator.stored(midnight).values[0][1], 0)
    assert before > 100 * MICRO
    assert allocator.stored(midnight).day == date(2026, 12, 31)
    assert allocator.stored(midnight - 1).day == date(2025, 12, 31)
    assert allocator.total(register, midnight) - allocator.total(register, at(2026, 1, 1)) == before


def test_stored_month_end_is_the_truth_at_local_midnight():
    """Water and heat meters keep the counters of the last month end, local time, across the changes of the clock."""
    water = meter("cold_water")
    (register,) = water.truth(0)
    for month, hours in ((4, 22), (11, 23)):
        stored = water.stored(at(2026, month, 15))
        assert datetime.fromtimestamp(stored.t / MICRO, UTC).hour == hours
        assert dict(stored.values) == {register: water.total(register, stored.t)} == water.truth(stored.t)


@pytest.mark.parametrize("kind", MODELS)
def test_values_are_whole_steps(kind):
    """What a meter shows is a whole number of the steps that its coding can send, so nothing is lost on the wire."""
    shown = meter(kind).truth(at(2026, 2, 3, 7, 30))
    assert all(shown[field.register] % field.step == 0 for field in MODELS[kind].fields)
    assert all(value >= 0 for value in shown.values())


def test_clock_tells_local_time_and_summer():
    """The time in a telegram is the local minute of sending, with the summer bit while summer time holds."""
    heat = meter("building_heat")
    for month, summer in ((7, True), (12, False)):
        sent = minute(datetime(2026, month, 9, 17, 5), summer=summer)
        assert sent in heat.telegram(at(2026, month, 9, 17, 5) + 59_000_000)
