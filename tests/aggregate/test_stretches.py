"""The classifier over columns against the definition, on series long enough to have calm stretches."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rolling import BASE, HOUR, kernel, specs, table, units

from submeter import civil
from submeter.aggregate import Exchange, Parameters, SeriesSpec, rollup, stretches
from submeter.aggregate.classifier import classify
from submeter.aggregate.counter_columns import listed
from submeter.aggregate.events import UNUSABLE, Sample
from submeter.reading import Source


def columns(samples):
    """Columns of readings as a batch of the kernel has them."""
    named = {"t": [s.t for s in samples], "value": [s.v or 0 for s in samples], "src": [s.rank for s in samples], "due": [s.due for s in samples]}
    named |= {"void": [s.v is None for s in samples], "status": [0 if s.usable else UNUSABLE for s in samples]}
    return {name: np.array(column) for name, column in named.items()}


def both(samples, spec, begun=0):
    """Outcome and segments by columns and by definition."""
    walked = []

    def some(places):
        walked.append(len(places))
        return [samples[i] for i in places.tolist()]

    outcome, found = stretches.classified(columns(samples), some, spec, begun)
    defined = classify(samples, spec, begun)
    wanted = listed(defined.segments)
    assert (found is None) == (wanted is None)
    assert found is None or {name: column.tolist() for name, column in found.items()} == {n: c.tolist() for n, c in wanted.items()}
    assert (outcome.pending, sorted(outcome.dropped, key=repr), outcome.held) == (defined.pending, sorted(defined.dropped, key=repr), defined.held)
    return walked


@st.composite
def long_series(draw):
    """Several hundred readings, calm but for a few places where anything may happen."""
    count = draw(st.integers(2, 300))
    odd = draw(st.dictionaries(st.integers(0, count - 1), st.tuples(st.integers(0, 11), st.integers(1, 60)), max_size=5))
    slow = draw(st.booleans())
    t, v, found = BASE, 10**9, []
    for seq in range(count):
        kind, size = odd.get(seq, (-1, 0))
        t += {0: 0, 1: 30 * HOUR, 2: 80 * HOUR}.get(kind, HOUR)
        step = {3: -units(size), 4: units(100 * size), 5: -1000, 6: -2000, 7: -units(10_000)}.get(kind, 0 if slow and seq % 50 else 40_000)
        value = v + step
        if kind not in (8, 9, 10):
            v = value if size % 2 or kind in (5, 6) else max(v, 0)
        source = Source.SUBSTITUTE if kind == 8 else Source.LIVE
        found.append(Sample(t, None if kind == 9 else value, source, due=kind == 10, seq=seq, dev=1, usable=kind != 11))
    return found


@settings(max_examples=300, deadline=None)
@given(long_series(), specs(kinds=("total", "period")), st.lists(st.integers(0, 299), max_size=4), st.integers(0, 10**6))
def test_calm_stretches_do_not_show(samples, spec, accepted, begun):
    """Segments, dropped and held readings and the pending tail are those of the definition, whatever the meter does between calm stretches."""
    exchanges = tuple(replace(one, at=BASE + (i + 1) * 41 * HOUR + 1) for i, one in enumerate(spec.exchanges))
    both(samples, replace(spec, exchanges=exchanges, accepted=tuple(samples[i % len(samples)].t for i in accepted)), begun)


PLAIN = SeriesSpec(Parameters(max_rate_per_h=units(5)), "Europe/Prague")
CASES = {
    "exchange": (PLAIN, {}, Exchange(BASE + 700 * HOUR + 1, units(1), units(2))),
    "dip for days": (PLAIN, {500: -2000}, None),
    "glitch": (PLAIN, {500: -900_000}, None),
    "jump": (PLAIN, {500: units(90)}, None),
    "set day": (replace(PLAIN, parameters=replace(PLAIN.parameters, kind="period", set_day="month")), {}, None),
}


@pytest.mark.parametrize("name", CASES)
def test_only_what_decides_is_walked_over(name):
    """A few months of hours with one event cost a few days of walking; a register that stays below itself for longer than it looks is walked whole."""
    spec, steps, exchange = CASES[name]
    flat = name == "dip for days"
    samples = [Sample(BASE + i * HOUR, units(1000) + (0 if flat else i * 40_000) + steps.get(i, 0), seq=i) for i in range(2000)]
    if flat:
        samples = [s._replace(v=s.v - 2000 * (s.t >= BASE + 500 * HOUR)) for s in samples]
    walked = both(samples, replace(spec, exchanges=(exchange,) if exchange else ()))
    assert walked[0] < 400
    assert walked[1:] == ([2000] if flat else [])


def test_a_due_value_and_a_set_day_in_columns():
    """The kernel gives the months of an allocator with stored due values between daily readings."""
    spec = SeriesSpec(Parameters(kind="period", set_day="month", resolution=units(1), max_gap=3 * civil.DAY, max_rate_per_h=units(60)), "UTC")
    due = civil.instant("2024-02-01T00:00Z")
    samples = [Sample(BASE + i * HOUR, units(i)) for i in range(400)] + [Sample(due, units(450), due=True)]
    samples += [Sample(due + (i + 1) * HOUR, units(i)) for i in range(400)]
    months = [row.value for level, row in kernel(samples, spec) if level == 2]
    assert months == [units(450), units(399)]
    assert rollup(table((1, s) for s in reversed(samples)), {1: spec}).held.num_rows == 0
