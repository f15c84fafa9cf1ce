"""Helpers: readings written shortly, rows of them by the kernel and by the exact path, random registers for the property tests."""

from dataclasses import replace
from fractions import Fraction

import pyarrow as pa
from hypothesis import strategies as st

from submeter import civil
from submeter.aggregate import READINGS, Exchange, Parameters, SeriesSpec, rollup
from submeter.aggregate.classifier import classify
from submeter.aggregate.events import UNUSABLE, Sample, select
from submeter.aggregate.gauges import gauge_levels
from submeter.aggregate.rows import Row, counter_levels
from submeter.reading import FLAGS, MICRO, Source

HOUR = civil.HOUR
BASE = civil.instant("2024-01-10T00:00:00Z")
ZONES = ("UTC", "Europe/Prague", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns")
#: Shortly before a change to summer time, a change back (both of Prague), a year's end, and an ordinary day.
STARTS = tuple(
    civil.instant(text) for text in ("2024-03-30T20:00Z", "2024-10-26T20:00Z", "2023-12-31T06:00Z", "2024-04-06T10:00Z", "2024-05-14T03:20Z")
)


def table(readings):
    """A table of READINGS from ``(series, sample)`` pairs; devices are numbers."""
    columns = [(n, s.t, s.v, s.rank, 0 if s.usable else UNUSABLE, s.due, s.pinned, s.dev, s.seq) for n, s in readings]
    return pa.Table.from_pylist([dict(zip(READINGS.names, column, strict=True)) for column in columns], schema=READINGS)


def kernel(samples, spec):
    """``(level, row)`` pairs of one series from the kernel, in order."""
    return by_series(rollup(table((7, s) for s in samples), {7: spec})).get(7, [])


def by_series(found):
    """Rows of a rollup as ``(level, row)`` pairs in order, by series."""
    rows = {}
    for row in found.rows.to_pylist():
        rows.setdefault(row.pop("series"), []).append((row.pop("level"), Row(**row)))
    return {series: sorted(pairs, key=lambda pair: pair[:1] + pair[1][:2]) for series, pairs in rows.items()}


def exact(samples, spec):
    """``(level, row)`` pairs of one series from the definitions."""
    if spec.parameters.kind == "gauge":
        return list(gauge_levels(select(samples)[0], spec))
    return list(counter_levels(classify(samples, spec).segments, spec))


def flags(row):
    """Names of a row's flags."""
    return {name for bit, name in enumerate(FLAGS) if row.flags >> bit & 1}


def units(number):
    """Micro units of a short decimal."""
    return round(Fraction(str(number)) * MICRO)


def hourly(*values, start=BASE):
    """Readings on the hour."""
    return [Sample(start + i * HOUR, units(v)) for i, v in enumerate(values)]


steps = st.one_of(
    st.integers(0, 3_000_000),
    st.just(0),
    st.integers(-5_000, -1),
    st.integers(-(10**9), 10**9),
    st.sampled_from([10**12, -(10**12), 2**57, -(2**57)]),
)
gaps = st.one_of(
    st.sampled_from([HOUR // 4, HOUR, 2 * HOUR, 26 * HOUR]),
    st.integers(1, 3 * HOUR),
    st.integers(0, 40).map(lambda minutes: minutes * 15 * civil.MINUTE),
    st.sampled_from([3 * civil.DAY, 12 * HOUR + 1]),
)
plain_steps = st.one_of(st.integers(0, 60_000_000), st.integers(0, 2**50), st.just(0))


@st.composite
def samples(draw, *, plain=False, size=9):
    """Readings of one register in order of time: plain ones only rise; others do all that meters do."""
    t = draw(st.sampled_from(STARTS)) + draw(st.one_of(st.just(0), st.integers(0, 5 * HOUR)))
    v = draw(st.integers(0, 10**12))
    found = []
    for seq in range(draw(st.integers(1, size))):
        source = Source.LIVE if plain else draw(st.sampled_from([Source.LIVE] * 8 + [Source.MANUAL, Source.SUBSTITUTE]))
        due = not plain and draw(st.integers(0, 19)) == 0
        usable = plain or draw(st.integers(0, 19)) > 0
        pinned = source == Source.SUBSTITUTE and draw(st.booleans())
        found.append(Sample(t, v, source, due, seq, 1, pinned, usable))
        t += max(draw(gaps), int(plain))
        v = v + draw(plain_steps) if plain else max(v + draw(steps), 0)
    return found


@st.composite
def specs(draw, kinds=("total", "period", "gauge"), *, plain=False):
    """A register; a plain one has no set day, exchange or factor. Its exchanges stand off every instant that `samples` makes."""
    kind = draw(st.sampled_from(kinds))
    rate = draw(st.sampled_from([None, 5_000_000, 60_000_000, 10**13]))
    parameters = Parameters(
        kind=kind,
        resolution=draw(st.sampled_from([1000, 1_000_000])),
        max_rate_per_h=rate,
        max_gap=draw(st.sampled_from([HOUR, 2 * HOUR, 30 * HOUR])),
        confirm_window=draw(st.sampled_from([3 * HOUR, 24 * HOUR])),
        resettable=rate is not None and draw(st.booleans()),
        modulus=draw(st.sampled_from([None, 10**12])),
        year_start=draw(st.sampled_from(["01-01", "10-01"])),
        mode=draw(st.sampled_from(["linear", "hold"])),
    )
    spec = SeriesSpec(parameters, draw(st.sampled_from(ZONES)))
    if plain:
        return spec
    if kind == "period":
        spec = replace(spec, parameters=replace(parameters, set_day=draw(st.sampled_from([None, "12-31", "month", "03-31"]))))
    values = st.one_of(st.none(), st.integers(0, 10**12))
    offsets = draw(st.sets(st.integers(1, 60), max_size=2))
    start = draw(st.sampled_from(STARTS))
    return replace(spec, exchanges=tuple(Exchange(start + offset * HOUR + 1, draw(values), draw(values)) for offset in sorted(offsets)))


def factors(starts):
    """Rating factors from ``(instant, K)`` pairs."""
    return tuple((start, Fraction(units(k), MICRO)) for start, k in starts)
