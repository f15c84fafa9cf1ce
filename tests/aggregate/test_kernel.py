"""The kernel's interface: tables in, tables out."""

from dataclasses import replace

import pyarrow as pa
import pytest
from rolling import BASE, HOUR, by_series, exact, factors, flags, hourly, kernel, table, units

from submeter import civil
from submeter.aggregate import READINGS, Exchange, Parameters, SeriesSpec, UnknownSeriesError, rollup
from submeter.aggregate import kernel as module
from submeter.aggregate.columns import SCHEMA
from submeter.aggregate.events import Sample
from submeter.reading import Source

KWH = Parameters(unit="kWh", resolution=units(1), max_rate_per_h=units(60))
SPEC = SeriesSpec(KWH, "UTC")


def hours(samples, spec):
    """Rows of hours, the same by columns and by definition."""
    assert kernel(samples, spec) == exact(samples, spec)
    return [row for level, row in kernel(samples, spec) if level == 0]


def test_no_readings():
    """Nothing in, empty tables with the same columns out."""
    found = rollup(READINGS.empty_table(), {})
    assert (found.rows.schema, found.rows.num_rows, found.dropped.num_rows, found.pending.num_rows, found.held.num_rows) == (SCHEMA, 0, 0, 0, 0)


def test_one_reading():
    """One reading of a counter is no row and no pending tail; of a gauge it is a row without a mean."""
    assert kernel(hourly(5), SPEC) == []
    (row,) = hours(hourly(5), replace(SPEC, parameters=Parameters(kind="gauge")))
    assert (row.value, row.lo, row.hi, row.n, row.coverage) == (None, units(5), units(5), 1, 0)


def test_schema_of_all_paths():
    """Plain, classified and exact series come in one table of one schema, whatever the order of the readings."""
    cases = {
        1: (hourly(0, 1, 2), SPEC),
        2: (hourly(9, 7, 8, 4, 9), SPEC),
        3: (hourly(0, 3), replace(SPEC, parameters=replace(KWH, factors=factors([(BASE, 0.3)])))),
    }
    readings = table((n, sample) for n, (samples, _) in cases.items() for sample in samples)
    specs = {n: spec for n, (_, spec) in cases.items()}
    found = rollup(readings, specs)
    assert found.rows.schema == SCHEMA
    assert set(by_series(found)) == {1, 2, 3}
    assert rollup(readings.take(list(reversed(range(readings.num_rows)))), specs) == found


def test_chunked_tables():
    """A table in several chunks is the same table."""
    parts = [table([(1, sample)]) for sample in hourly(0, 1, 2)]
    assert rollup(pa.concat_tables(parts), {1: SPEC}) == rollup(table((1, sample) for sample in hourly(0, 1, 2)), {1: SPEC})


def test_batches_do_not_show(monkeypatch):
    """However the series are cut into batches, each has its rows."""
    readings = table((n, sample) for n in range(5) for sample in hourly(n, 2 * n, 3 * n))
    whole = by_series(rollup(readings, dict.fromkeys(range(5), SPEC)))
    monkeypatch.setattr(module, "BATCH", 10)
    assert by_series(rollup(readings, dict.fromkeys(range(5), SPEC))) == whole
    assert len(whole) == 5


def test_unknown_series():
    """Readings of a series without parameters are refused by its number."""
    with pytest.raises(UnknownSeriesError, match="7"):
        rollup(table((7, sample) for sample in hourly(1, 2)), {8: SPEC})


def test_what_an_operator_sees():
    """Dropped readings with reason, held steps with amount, and where an undecided tail begins."""
    samples = [
        *hourly(100, 103, 50, 104, 900, 901, 902),
        replaced(hourly(0)[0], t=BASE + 7 * HOUR, usable=False),
        Sample(BASE + 8 * HOUR, units(3), seq=9),
    ]
    found = rollup(table((7, sample) for sample in samples), {7: SPEC})
    assert found.dropped.to_pylist() == [
        {"series": 7, "t": BASE + 2 * HOUR, "seq": 0, "reason": "glitch"},
        {"series": 7, "t": BASE + 7 * HOUR, "seq": 0, "reason": "status"},
    ]
    assert found.held.to_pylist() == [{"series": 7, "t": BASE + 4 * HOUR, "flag": "suspect_jump", "amount": units(796)}]
    assert found.pending.to_pylist() == [{"series": 7, "since": BASE + 6 * HOUR}]


def replaced(sample, **changes):
    """A changed sample."""
    return sample._replace(**changes)


def test_the_index_is_interpolated():
    """Rows carry the display at their ends: between readings by interpolation, null outside the data."""
    first, second, third = hours(
        [Sample(BASE + HOUR // 2, units(10)), Sample(BASE + 3 * HOUR // 2, units(12)), Sample(BASE + 5 * HOUR // 2, units(13))], SPEC
    )
    assert [row[-2:] for row in (first, second, third)] == [(None, units(11)), (units(11), units(12.5)), (units(12.5), None)]


def test_the_index_of_two_devices():
    """At an exchange the row that ends has the old device's display, the row that begins the new one's; inside an unknown stretch there is none."""
    exchanged = replace(SPEC, exchanges=(Exchange(BASE + 2 * HOUR, end=units(20), start=units(1)),))
    samples = [*hourly(10), Sample(BASE + 4 * HOUR, units(5))]
    assert [row[-2:] for row in hours(samples, exchanged)] == [
        (units(10), units(15)),
        (units(15), units(20)),
        (units(1), units(3)),
        (units(3), units(5)),
    ]
    unknown = replace(SPEC, exchanges=(Exchange(BASE + 2 * HOUR, start=units(1)),))
    assert [row[-2:] for row in hours(samples, unknown)[:3]] == [(units(10), None), (None, None), (units(1), units(3))]


def test_the_index_of_an_allocator():
    """The due value ends the old period's row, the new period's row begins at 0."""
    register = Parameters(kind="period", set_day="month", resolution=units(1), max_gap=40 * civil.DAY)
    due = civil.instant("2024-02-01T00:00Z")
    samples = [Sample(BASE, units(40)), Sample(due, units(62), due=True), Sample(due + 5 * civil.DAY, units(9))]
    months = [row for level, row in kernel(samples, SeriesSpec(register, "UTC")) if level == 2]
    assert [(row.value, *row[-2:]) for row in months] == [(units(22), None, units(62)), (units(9), 0, None)]


def test_absurd_values_stay_exact():
    """Values near the end of 64 bits are computed exactly; a use that does not fit is null, never wrong."""
    huge = 2**63 - 1
    (row,) = hours([Sample(BASE, huge - 5), Sample(BASE + HOUR, huge)], SeriesSpec(Parameters(), "UTC"))
    assert (row.value, row.index_start, row.index_end) == (5, huge - 5, huge)
    rows = kernel([Sample(BASE, -huge), Sample(BASE + HOUR, huge)], SeriesSpec(Parameters(), "UTC"))
    assert {row.value for _, row in rows} == {None}


def test_substitutes_and_conflicts_take_the_latest_word():
    """At one instant the best rank wins, at equal rank the latest received."""
    samples = [
        *hourly(0, 1),
        Sample(BASE + 2 * HOUR, units(2), seq=1),
        Sample(BASE + 2 * HOUR, units(3), seq=2),
        Sample(BASE + 2 * HOUR, units(9), Source.SELF, seq=3),
    ]
    assert [row.value for row in hours(samples, SPEC)] == [units(1), units(2)]
    assert not any(map(flags, hours(samples, SPEC)))


def test_one_instant_with_and_without_due():
    """A due value and a live one at the same instant stand side by side; each has its own conflicts."""
    samples = [
        *hourly(0, 1),
        Sample(BASE + HOUR, units(8), Source.HISTORIC, due=True),
        Sample(BASE + HOUR, units(1), Source.LIVE, due=True),
        Sample(BASE + HOUR, units(1), Source.MANUAL),
    ]
    found = rollup(table((7, sample) for sample in samples), {7: SPEC})
    assert found.dropped["reason"].to_pylist() == ["conflict", "duplicate"]


def test_a_gauge_may_step_at_a_due_value():
    """At one instant the due value comes first: the mean rises to it, and goes on from the other."""
    samples = [*hourly(0), Sample(BASE + HOUR, units(20)), Sample(BASE + HOUR, units(10), due=True), Sample(BASE + 2 * HOUR, units(20))]
    assert [row.value for row in hours(samples, SeriesSpec(Parameters(kind="gauge"), "UTC"))] == [units(5), units(20), None]


def test_a_substitute_at_the_last_reading_is_not_superseded():
    """Only substitutes strictly between real readings are."""
    samples = [*hourly(0, 1), Sample(BASE + HOUR, units(1), Source.SUBSTITUTE, due=True), Sample(BASE + HOUR // 2, units(1), Source.SUBSTITUTE)]
    found = rollup(table((7, sample) for sample in samples), {7: SPEC})
    assert found.dropped.to_pylist() == [{"series": 7, "t": BASE + HOUR // 2, "seq": 0, "reason": "superseded"}]


def test_a_series_that_begins_where_another_ends():
    """An estimate at the end of one series does not show in the next one, which begins at that instant."""
    estimate = [*hourly(0), Sample(BASE + HOUR, units(1), Source.SUBSTITUTE)]
    flagged = hourly(5, 3, 6, start=BASE + HOUR)
    rows = by_series(rollup(table([*((1, s) for s in estimate), *((2, s) for s in flagged)]), {1: SPEC, 2: SPEC}))
    assert rows[2] == kernel(flagged, SPEC) == exact(flagged, SPEC)


def test_halves_of_the_index_go_to_the_even_neighbour():
    """At 1.5 millionths the boundary index is 2, at 2.5 it is 2."""
    samples = [Sample(BASE + hour * HOUR, v) for hour, v in ((0, 0), (1, 1), (3, 2), (5, 3))]
    assert [row.value for row in hours(samples, SPEC)] == [1, 1, 0, 0, 1]


def test_means_next_to_a_tie():
    """The mean is rounded exactly where fractions of the integral decide: readings a few microseconds from a boundary."""
    gauge = SeriesSpec(Parameters(kind="gauge"), "UTC")
    lines = [
        [Sample(BASE - left, a), Sample(BASE + right, b), Sample(BASE + right + 1, c)]
        for left in range(1, 5)
        for right in range(1, 5)
        for a in range(-1, 4)
        for b in range(-3, 4)
        for c in range(2)
    ]
    rows = by_series(rollup(table((n, sample) for n, line in enumerate(lines) for sample in line), dict.fromkeys(range(len(lines)), gauge)))
    assert all(rows[n] == exact(line, gauge) for n, line in enumerate(lines))
