"""The classifier over columns against the definition, on series long enough to have calm stretches."""

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rolling import BASE, HOUR, STARTS, by_series, exact, kernel, specs, table, units

from submeter import civil
from submeter.aggregate import Exchange, Parameters, SeriesSpec, rollup, stretches
from submeter.aggregate import kernel as kernel_module
from submeter.aggregate.classifier import classify
from submeter.aggregate.counter_columns import listed
from submeter.aggregate.events import UNUSABLE, Sample
from submeter.reading import Source

EXAMPLES = int(os.environ.get("SUBMETER_EXAMPLES", "150"))


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
def places(draw, count):
    """A few places in a series: anywhere, at its ends, and shortly after one another."""
    anywhere = st.one_of(st.integers(0, count - 1), st.integers(0, 3), st.integers(max(count - 4, 0), count - 1))
    found = draw(st.sets(anywhere, max_size=4))
    return sorted(found | {(place + draw(st.integers(1, 30))) % count for place in draw(st.sets(st.sampled_from(sorted(found) or [0]), max_size=3))})


@st.composite
def long_series(draw):
    """Several hundred readings, calm but for a few places where anything may happen; they may begin shortly before a set day or a rollover."""
    count = draw(st.integers(2, 400))
    odd = {place: draw(st.tuples(st.integers(0, 14), st.integers(1, 60))) for place in draw(places(count))}
    slow = draw(st.booleans())
    t, v = draw(st.sampled_from([*STARTS, BASE])) - draw(st.integers(0, 300)) * HOUR, draw(st.sampled_from([10**9, 10**12 - units(4), 0]))
    found = []
    for seq in range(count):
        kind, size = odd.get(seq, (-1, 0))
        t += {0: 0, 1: 30 * HOUR, 2: 80 * HOUR, 12: 0}.get(kind, HOUR)
        step = {3: -units(size), 4: units(100 * size), 5: -1000, 6: -2000, 7: -units(10_000), 13: -v}.get(kind, 0 if slow and seq % 50 else 40_000)
        value = max(v + step, 0) % 10**12
        if kind not in (8, 9, 10, 14):
            v = value if size % 2 or kind in (-1, 5, 6) else v
        elif kind == 10 and size % 2:
            v = 0
        source = Source.SUBSTITUTE if kind in (8, 14) else Source.LIVE
        dev = 2 if kind == 12 and size % 3 == 0 else 1
        found.append(Sample(t, None if kind == 9 else value, source, due=kind == 10, seq=seq, dev=dev, pinned=kind == 14, usable=kind != 11))
    return found


@st.composite
def registers(draw, samples):
    """Registers with exchanges in or around these readings, and steps that an operator took for real."""
    spec = draw(specs(kinds=("total", "period")))
    off = 0 if spec.parameters.set_day is None and draw(st.booleans()) else 1
    chosen = {s.t + off: s.v or 0 for s in draw(st.lists(st.sampled_from(samples), max_size=2))}
    shown = st.one_of(st.none(), st.integers(0, 10**12), st.integers(-units(2), units(2)))
    exchanges = tuple(Exchange(at, draw(near(v, shown)), draw(near(v, shown))) for at, v in sorted(chosen.items()))
    accepted = draw(st.lists(st.sampled_from(samples).map(lambda s: s.t), max_size=4))
    return replace(spec, exchanges=exchanges, accepted=tuple(accepted))


def near(value, shown):
    """Small numbers stand for displays near a value."""
    return shown.map(lambda number: number if number is None or number > units(2) else max(value + number, 0))


series_and_register = long_series().flatmap(lambda samples: st.tuples(st.just(samples), registers(samples)))


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(series_and_register, st.integers(0, 10**6))
def test_calm_stretches_do_not_show(case, begun):
    """Segments, dropped and held readings and the pending tail are those of the definition, whatever the meter does between calm stretches."""
    both(*case, begun)


@settings(max_examples=max(EXAMPLES // 3, 1), deadline=None)
@given(st.lists(series_and_register, min_size=1, max_size=3), st.integers(0, 10**6))
def test_no_table_of_the_kernel_shows_them(cases, begun):
    """Rows, days, reach and what an operator sees are what the kernel makes of the definition's segments; rows also those of the exact path."""
    readings = table((i, sample) for i, (samples, _) in enumerate(cases) for sample in samples)
    specs = {i: spec for i, (_, spec) in enumerate(cases)}
    found = rollup(readings, specs, {0: begun}, days=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_module, "classified", defined)
        assert rollup(readings, specs, {0: begun}, days=True) == found
    if len(cases) == 1 and not begun:
        assert by_series(found).get(0, []) == exact(*cases[0])


def defined(columns, samples, spec, begun):
    """What `classified` gives, from the definition alone."""
    outcome = classify(samples(slice(None)), spec, begun)
    return outcome, listed(outcome.segments)


PLAIN = SeriesSpec(Parameters(max_rate_per_h=units(5)), "Europe/Prague")
MONTHLY = replace(PLAIN, parameters=replace(PLAIN.parameters, kind="period", set_day="month"))
EXCHANGED = replace(PLAIN, exchanges=(Exchange(BASE + 500 * HOUR - 1, units(1020), units(10)),))
#: Register, by what some readings and all from number 500 on differ from a steady rise, how many readings may be walked over in all rounds together.
CASES = {
    "exchange": (EXCHANGED, {}, -units(1010), 40),
    "exchange, but the same display": (EXCHANGED, {}, 0, 80),
    "exchange to a higher display": (replace(PLAIN, exchanges=(Exchange(BASE + 500 * HOUR - 1, None, units("1020.8")),)), {}, 0, 200),
    "set days, but the same display": (MONTHLY, {}, 0, 500),
    "dip": (PLAIN, {500: -42_000}, 0, 60),
    "backflow for a day and a half": (replace(PLAIN, parameters=replace(PLAIN.parameters, dip_tolerance=units(2))), {}, -1_500_000, 200),
    "glitch": (PLAIN, {500: -900_000}, 0, 60),
    "glitch of some readings": (PLAIN, dict.fromkeys(range(500, 510), -units(9)), 0, 120),
    "jump": (PLAIN, {}, units(90), 60),
    "drop": (PLAIN, {}, -units(900), 60),
}


@pytest.mark.parametrize("name", CASES)
def test_only_what_decides_is_walked_over(name):
    """A few months of hours with one event cost some days of walking."""
    spec, some, rest, limit = CASES[name]
    values = [units(1000) + i * 40_000 + some.get(i, 0) + rest * (i >= 500) for i in range(2000)]
    assert sum(both([Sample(BASE + i * HOUR, v, seq=i) for i, v in enumerate(values)], spec)) <= limit


def test_a_conflict_is_walked_over_alone():
    """Two readings at one instant cost their neighbours."""
    samples = [Sample(BASE + i * HOUR, i * 40_000, seq=i) for i in range(2000)]
    assert sum(both([*samples[:900], samples[899]._replace(v=899 * 40_000 + 7, seq=5000), *samples[900:]], PLAIN)) < 40


def test_a_register_below_itself_for_months_is_walked_over():
    """Every reading that is dropped as a dip is looked at."""
    samples = [Sample(BASE + i * HOUR, units(1000) - 2000 * (i >= 500), seq=i) for i in range(2000)]
    assert both(samples, PLAIN)[-1] == 2000


def test_a_due_value_and_a_set_day_in_columns():
    """The kernel gives the months of an allocator with stored due values between daily readings."""
    spec = SeriesSpec(Parameters(kind="period", set_day="month", resolution=units(1), max_gap=3 * civil.DAY, max_rate_per_h=units(60)), "UTC")
    due = civil.instant("2024-02-01T00:00Z")
    samples = [Sample(BASE + i * HOUR, units(i)) for i in range(400)] + [Sample(due, units(450), due=True)]
    samples += [Sample(due + (i + 1) * HOUR, units(i)) for i in range(400)]
    months = [row.value for level, row in kernel(samples, spec) if level == 2]
    assert months == [units(450), units(399)]
    assert rollup(table((1, s) for s in reversed(samples)), {1: spec}).held.num_rows == 0
