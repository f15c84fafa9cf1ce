"""The edges of the classifier's conditions (SPEC 5)."""

import pytest
from rolling import BASE, HOUR, exact, hourly, kernel, units

from submeter import civil
from submeter.aggregate import Exchange, Parameters, SeriesSpec
from submeter.aggregate.classifier import classify
from submeter.aggregate.events import Sample

KWH = {"resolution": units(1), "max_rate_per_h": units(60)}
FREE = {"resolution": units(1)}
ROLLING = {**FREE, "modulus": units(10000)}
W = 24 * HOUR


def outcome(samples, parameters, *exchanges):
    """What the classifier makes of readings; rows are the same both ways."""
    spec = SeriesSpec(Parameters(**parameters), "UTC", exchanges)
    assert kernel(samples, spec) == exact(samples, spec)
    return classify(samples, spec)


def use(found):
    """Use of each segment in units."""
    return [(segment.v2 - segment.v1) / 1_000_000 for segment in found.segments]


def reasons(found):
    """Reasons of dropped readings."""
    return [drop.reason for drop in found.dropped]


EDGES = {
    "a step of exactly the largest credible use is normal": ([100, 161], KWH, [61], []),
    "a millionth more is not": ([100, 161.000001, 161.000001, 162.000001], KWH, [0, 0, 1], []),
    "a spike may return to the anchor's own value": ([100, 900, 100, 101], KWH, [0, 1], ["spike"]),
    "the same value again is no return": ([100, 900, 900, 900], KWH, [0, 0, 0], []),
    "a value that returns too high is no return": ([100, 900, 600, 601, 602], KWH, [0, 0, 1, 1], []),
    "rollover from nine tenths to one tenth": ([9000, 1000], ROLLING, [2000], []),
    "no rollover from below nine tenths": ([8999, 1000, 1001, 1002], ROLLING, [0, 1, 1], []),
    "no rollover to above one tenth": ([9000, 1001, 1002, 1003], ROLLING, [0, 1, 1], []),
    "a value above the modulus cannot make use negative": ([10002, 1, 2, 3], ROLLING, [0, 1, 1], []),
    "a step back of exactly the tolerance is a dip": ([100, 98, 101], FREE, [1], ["dip"]),
    "a glitch may return to just below the anchor": ([100, 50, 98, 101], FREE, [1], ["glitch", "dip"]),
    "not from lower": ([100, 50, 97, 97.5], FREE, [0, 47, 0.5], []),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges(name):
    """Use of each segment and the dropped readings."""
    values, parameters, booked, dropped = EDGES[name]
    found = outcome(hourly(*values), parameters)
    assert (use(found), reasons(found), found.pending) == (booked, dropped, None)


@pytest.mark.parametrize(("late", "dropped"), [(0, ["glitch"]), (1, [])])
def test_the_window_includes_its_end(late, dropped):
    """A return exactly at the end of the window counts, one microsecond later it does not."""
    samples = [*hourly(100, 50), Sample(BASE + HOUR + W + late, units(101))]
    assert reasons(outcome(samples, FREE)) == dropped


@pytest.mark.parametrize(
    ("later", "pending"),
    [
        ([], BASE),
        ([Sample(BASE + 2 * HOUR, units(51))], BASE),
        ([Sample(BASE + HOUR + W, units(51))], BASE),
        ([Sample(BASE + HOUR + W + 1, units(51))], None),
        ([Sample(BASE + 2 * HOUR, units(51)), Sample(BASE + 3 * HOUR, units(52))], None),
        ([Sample(BASE + 2 * HOUR, units(51), due=True)], None),
    ],
)
def test_when_a_fall_is_decided(later, pending):
    """Two more readings, one after the window, or an end of the epoch decide a fall; before that its tail is pending and no row touches it."""
    found = outcome([*hourly(100, 50), *later], FREE)
    assert found.pending == pending
    assert (found.segments == []) is (pending is not None)


def test_an_exchange_decides():
    """An exchange after a jump decides it; the jump is held with its amount."""
    found = outcome(hourly(100, 900), KWH, Exchange(BASE + 5 * HOUR, units(900), 0))
    assert [(held.flag, held.amount) for held in found.held] == [("suspect_jump", units(800))]
    assert [segment.t2 for segment in found.segments] == [BASE + HOUR, BASE + 5 * HOUR]


def test_a_reading_at_an_exchange_with_unknown_start():
    """A reading at the very instant of the exchange is the new device's first: nothing is unknown."""
    found = outcome([*hourly(100), Sample(BASE + HOUR, units(7)), Sample(BASE + 2 * HOUR, units(9))], FREE, Exchange(BASE + HOUR, units(103)))
    assert use(found) == [3, 2]
    assert found.held == []


def test_an_exchange_before_all_readings_is_ignored():
    """Only what stands between readings can be booked."""
    assert use(outcome(hourly(100, 101), FREE, Exchange(BASE - HOUR, units(5), units(6)))) == [1]


def test_every_set_day_restarts():
    """Set days without a reading between them each restart the count, whether or not a value fell."""
    start = civil.instant("2024-01-20T12:00Z")
    samples = [Sample(start, units(5)), Sample(start + 60 * civil.DAY, units(40))]
    found = outcome(samples, {**FREE, "kind": "period", "set_day": "month"})
    assert use(found) == [0, 0, 40]
    assert [held.flag for held in found.held] == ["reset_unknown"] * 2


def test_a_reading_at_the_set_day_without_a_due_mark_is_skipped():
    """Its side is unknown, so it is not used, and not listed as dropped."""
    stamp = civil.instant("2024-02-01T00:00Z")
    samples = [Sample(stamp - HOUR, units(5)), Sample(stamp, units(6)), Sample(stamp + HOUR, units(2))]
    found = outcome(samples, {**FREE, "kind": "period", "set_day": "month"})
    assert (use(found), reasons(found)) == ([0, 2], [])


def test_a_due_value_restarts_only_its_own_kind():
    """On a total register a due mark orders readings and nothing else."""
    samples = [*hourly(5), Sample(BASE + HOUR, units(6), due=True), Sample(BASE + 2 * HOUR, units(7))]
    assert use(outcome(samples, FREE)) == [1, 1]
    assert use(outcome(samples, {**FREE, "kind": "period"})) == [1, 7]
