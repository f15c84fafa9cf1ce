"""The worked examples of SPEC 11, one line each."""

from dataclasses import replace

import pytest
from rolling import BASE, HOUR, exact, flags, hourly, kernel, units

from submeter import civil
from submeter.aggregate import Exchange, Parameters, SeriesSpec
from submeter.aggregate.classifier import classify
from submeter.aggregate.events import Sample
from submeter.reading import LEVELS, QUALITIES, Source

KWH = {"resolution": units(1), "max_rate_per_h": units(60), "unit": "kWh"}
WATER = {"resolution": 1000, "max_rate_per_h": units(5)}


def spec(zone="UTC", exchanges=(), **parameters):
    """A register at a place."""
    return SeriesSpec(Parameters(**parameters), zone, tuple(exchanges))


def at(text, v, **more):
    """A reading, written shortly."""
    return Sample(civil.instant(text), units(v), **more)


def rows_of(samples, register, level="hour"):
    """Rows of a level, the same by columns and by definition."""
    rows = kernel(samples, register)
    assert rows == exact(samples, register)
    return [row for number, row in rows if LEVELS[number] == level]


CLASSIFIED = {
    "a step back within the tolerance is a dip": ([100, 103, 101, 104], {}, [3, 0.5, 0.5], ["dip"], {}),
    "a value that returns was a glitch": ([100, 103, 50, 104], {}, [3, 0.5, 0.5], ["glitch"], {}),
    "the returning value may be a dip": ([100, 103, 50, 102, 104], {}, [3, 0.333333, 0.333334, 0.333333], ["glitch", "dip"], {}),
    "a fall that stays is held": ([100, 103, 50, 51, 52], {}, [3, 0, 1, 1], [], {1: "suspect_exchange"}),
    "a resettable register counts from 0": ([100, 103, 0, 6, 7], {"resettable": True}, [3, 0, 6, 1], [], {1: "reset"}),
    "a plausible climb is a reset": ([100, 103, 60, 110, 112], {"resettable": True}, [3, 60, 50, 2], [], {1: "reset"}),
    "not resettable, the same is a glitch": ([100, 103, 60, 110, 112], {}, [3, 3.5, 3.5, 2], ["glitch"], {}),
    "an incredible restart is held": ([100, 103, 90, 91, 92], {"resettable": True}, [3, 0, 1, 1], [], {1: "suspect_exchange"}),
    "a jump that returns was a spike": ([100, 103, 900, 104], {}, [3, 0.5, 0.5], ["spike"], {}),
    "a jump that stays is held": ([100, 103, 900, 901, 902], {}, [3, 0, 1, 1], [], {1: "suspect_jump"}),
    "one reading does not confirm a jump": ([100, 103, 900, 901], {}, [3], [], {}),
    "a register rolls over": ([9990, 9998, 4], {"modulus": units(10000)}, [8, 6], [], {1: "rollover"}),
}


@pytest.mark.parametrize("name", CLASSIFIED)
def test_classified(name):
    """Use, dropped readings and flags of each hour are those of the table."""
    values, parameters, use, dropped, flagged = CLASSIFIED[name]
    register = spec(**KWH, **parameters)
    rows = rows_of(hourly(*values), register)
    assert [row.value for row in rows] == [units(v) for v in use]
    assert [drop.reason for drop in classify(hourly(*values), register).dropped] == dropped
    assert {i: flags(row) for i, row in enumerate(rows) if row.flags} == {i: {flag} for i, flag in flagged.items()}
    assert [row.hi is None for row in rows] == [i in flagged and flagged[i] != "rollover" for i in range(len(rows))]


def test_held_amounts():
    """A held jump is 797 kWh, and a tail that is not decided begins at the last sure reading."""
    assert classify(hourly(100, 103, 900, 901, 902), spec(**KWH)).held == [(BASE + 2 * HOUR, "suspect_jump", units(797))]
    assert classify(hourly(100, 103, 900, 901), spec(**KWH)).pending == BASE + HOUR


def test_a_row_cut_by_its_boundaries():
    """Readings off the hour bound the first row from below, the open row is incomplete."""
    samples = [at("2024-01-10T00:20Z", 10), at("2024-01-10T01:20Z", 10.060), at("2024-01-10T02:00Z", 10.1)]
    first, second = rows_of(samples, spec(**WATER))
    assert (first.value, first.lo, first.hi, first.coverage, QUALITIES[first.quality]) == (40_000, 0, 60_000, 6667, "incomplete")
    assert (second.value, second.lo, second.hi, QUALITIES[second.quality]) == (60_000, 40_000, 100_000, "measured")


def test_rounding_telescopes():
    """A third of a unit an hour adds up to one."""
    rows = rows_of([Sample(BASE, 0), Sample(BASE + 3 * HOUR, units(1))], spec(**KWH, max_gap=civil.DAY))
    assert [row.value for row in rows] == [333_333, 333_334, 333_333]


def test_a_gap_inside_a_month_leaves_it_measured():
    """February is known by its two ends; the days in it are estimated."""
    samples = [at("2024-02-01T00:00Z", 100), at("2024-02-10T00:00Z", 101), at("2024-02-13T00:00Z", 104), at("2024-03-01T00:00Z", 110)]
    (month,) = rows_of(samples, spec(**KWH), "month")
    assert (month.value, month.lo, month.hi, QUALITIES[month.quality]) == (units(10), units(10), units(10), "measured")
    assert {QUALITIES[row.quality] for row in rows_of(samples, spec(**KWH), "day")[1:-1]} == {"estimated"}


EXCHANGED = {
    "both indices known": ({"end": 812_345_000, "start": 12_000}, [0.025, 0.004, 0.004, 0.01], [{"exchange"}, set(), set(), set()], set()),
    "first index unknown": ({"end": 812_345_000}, [0.025, 0, 0, 0.01], [{"exchange"}, *[{"exchange", "exchange_unknown"}] * 2, set()], {1, 2}),
    "final index unknown": ({"start": 12_000}, [0, 0.004, 0.004, 0.01], [{"exchange", "exchange_unknown"}, set(), set(), set()], {0}),
}


@pytest.mark.parametrize("name", EXCHANGED)
def test_exchanged(name):
    """Use around an exchange is exact where the protocol knows the index, else a lower bound."""
    protocol, use, flagged, unbounded = EXCHANGED[name]
    samples = [at("2024-03-10T09:00Z", 812.32), at("2024-03-10T12:00Z", 0.02), at("2024-03-10T13:00Z", 0.03)]
    rows = rows_of(samples, spec(**WATER, exchanges=[Exchange(civil.instant("2024-03-10T10:00Z"), **protocol)]))
    assert [row.value for row in rows] == [units(v) for v in use]
    assert [flags(row) for row in rows] == flagged
    assert {i for i, row in enumerate(rows) if row.hi is None} == unbounded


@pytest.mark.parametrize(("due", "december", "flagged"), [("due", units(4), set()), ("live", 0, {"reset_unknown"}), (None, 0, {"reset_unknown"})])
def test_set_day(due, december, flagged):
    """The allocator restarts by date; without a value marked as due the use before is a lower bound, the use after is exact."""
    stamp = civil.stored_date("Europe/Prague", civil.date(2023, 12, 31))
    samples = [at("2023-12-20T12:00+01:00", 5), at("2024-02-10T12:00+01:00", 40), at("2024-02-11T12:00+01:00", 41)]
    samples += [Sample(stamp, units(9), due=due == "due")] * (due is not None)
    register = spec("Europe/Prague", kind="period", set_day="12-31", resolution=units(1), max_rate_per_h=units(30), confirm_window=7 * civil.DAY)
    first = rows_of(samples, register, "month")[0]
    assert (first.value, first.lo, first.hi) == (december, december, None if flagged else december)
    assert flags(first) == flagged
    assert [row.value for row in rows_of(samples, register, "year")] == [december, units(41)]


def test_rating_factors():
    """K holds from its instant on, the first one also before it; cut segments are estimated and not covered."""
    samples = [Sample(BASE, 0), Sample(BASE + HOUR, units(10)), Sample(BASE + 3 * HOUR, units(30)), Sample(BASE + 4 * HOUR, units(50))]
    register = spec(**KWH)
    from_ = ((BASE + 2 * HOUR, units(1.5)), (BASE + 3 * HOUR + HOUR // 2, units(2)))
    factors = [[civil.iso(start), str(k / 1_000_000)] for start, k in from_]
    register = replace(register, parameters=replace(register.parameters, factors=Parameters.parse({"factors": factors}).factors))
    rows = rows_of(samples, register)
    assert [row.value for row in rows] == [units(15), units(15), units(15), units(35)]
    assert [row.coverage for row in rows] == [10000, 0, 0, 0]


SUBSTITUTES = {
    "at the end it is the estimate": ((15, False, None), [10, 5], [1]),
    "superseded by a later reading": ((15, False, 40), [10, 10, 10, 10], []),
    "pinned it stays": ((15, True, 40), [10, 5, 12.5, 12.5], [1, 2]),
}


@pytest.mark.parametrize("name", SUBSTITUTES)
def test_substitutes(name):
    """A substitute counts only where no reading stands after it, unless it is pinned."""
    (value, pinned, later), use, estimated = SUBSTITUTES[name]
    samples = [*hourly(0, 10), Sample(BASE + 2 * HOUR, units(value), Source.SUBSTITUTE, pinned=pinned)]
    samples += [Sample(BASE + 4 * HOUR, units(later))] if later else []
    rows = rows_of(samples, spec(**KWH, max_gap=6 * HOUR))
    assert [row.value for row in rows] == [units(v) for v in use]
    assert [i for i, row in enumerate(rows) if QUALITIES[row.quality] == "estimated"] == estimated


def test_gauge():
    """Means are weighted by time over what is bridged; a long gap is not."""
    samples = [at("2024-01-10T00:00Z", 4), at("2024-01-10T00:30Z", 6), at("2024-01-10T01:30Z", 6), at("2024-01-10T03:00Z", 9)]
    rows = rows_of(samples, spec(kind="gauge", max_gap=HOUR))
    assert [(row.start - BASE) // HOUR for row in rows] == [0, 1, 3]
    assert [(row.value, row.n) for row in rows] == [(units(5.5), 2), (units(6), 1), (None, 1)]
    assert (rows[1].coverage, rows[2].lo, rows[2].hi) == (5000, units(9), units(9))


def test_half_hour_shift():
    """At Lord Howe the clock goes back half an hour: a row of 1.5 hours."""
    samples = [at("2024-04-06T13:00Z", 0), at("2024-04-06T17:00Z", 4)]
    assert [row.value for row in rows_of(samples, spec("Australia/Lord_Howe", **KWH, max_gap=civil.DAY))] == [units(v) for v in (1, 1.5, 1, 0.5)]
