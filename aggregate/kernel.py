"""Readings in, rows out: pure, Arrow to Arrow.

Strategy: Polars orders the readings; batches of series of one zone go through columns, as many at a time as there are processors. A counter whose readings
are all plain (SPEC 12.3) has its segments at once, any other gets them from the classifier; both become rows in the same columns. Only numbers that are not
whole micro units or do not fit (factors, absurd values) are computed one by one, exactly. A gauge likewise, without a classifier.
Rules: the result depends on the readings, not on their order or repetition; it is the same whichever way a series takes.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Final, Self

import numpy as np
import polars as pl
import pyarrow as pa

from submeter import civil
from submeter.aggregate import counter_columns, gauge_columns
from submeter.aggregate.classifier import Outcome
from submeter.aggregate.columns import SCHEMA, SERIES, Bools
from submeter.aggregate.counter_columns import Levels, Segments, counter_tables
from submeter.aggregate.days import DAYS, counter_days, gauge_days
from submeter.aggregate.errors import UnknownSeriesError
from submeter.aggregate.events import UNUSABLE, Drop, Sample, select
from submeter.aggregate.frames import framed
from submeter.aggregate.gauge_columns import Readings, gauge_tables
from submeter.aggregate.gauges import gauge_levels
from submeter.aggregate.parameters import Number, SeriesSpec
from submeter.aggregate.rows import Row, counter_levels
from submeter.aggregate.stretches import RATE, STEP, classified, falls_or_jumps
from submeter.aggregate.wide import DIVISOR, Ints
from submeter.reading import INT64_MAX, Source
from submeter.store import tabled

READINGS: Final = pa.schema(
    [
        ("series", pa.int32()),
        ("t", pa.int64()),
        ("value", pa.int64()),
        ("src", pa.uint8()),
        ("status", pa.uint16()),
        ("due", pa.bool_()),
        ("pinned", pa.bool_()),
        ("dev", pa.int32()),
        ("seq", pa.int64()),
    ]
)
DROPPED: Final = pa.schema([("series", pa.int32()), ("t", pa.int64()), ("seq", pa.int64()), ("reason", pa.string())])
PENDING: Final = pa.schema([("series", pa.int32()), ("since", pa.int64())])
HELD: Final = pa.schema([("series", pa.int32()), ("t", pa.int64()), ("flag", pa.string()), ("amount", pa.int64())])
REACH: Final = pa.schema([("series", pa.int32()), ("last", pa.int64())])
#: Hours and readings that one batch holds at most, unless one series has more: bounds memory.
BATCH: Final = 500_000
NOTHING_BEGUN: Final[Mapping[int, int]] = {}


#: Zone, first day of the year, whether gauges: what the series of a batch share.
_Group = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class Rollup:
    """What readings mean: `rows` of SCHEMA, and for the operator `dropped`, `pending` (anchor before an undecided tail) and `held`.

    `days` (DAYS, if asked for) are what a later computation can go on from, `reach` says up to when each series with rows has data.
    """

    rows: pa.Table
    dropped: pa.Table
    pending: pa.Table
    held: pa.Table
    days: pa.Table
    reach: pa.Table

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """What several computations found together."""
        return cls(*(pa.concat_tables(getattr(part, name) for part in parts) for name in cls.__slots__))


@dataclass(slots=True)
class _Found:
    """What a run has found so far; `begun` and `wanted` are the arguments of `rollup`."""

    begun: Mapping[int, int]
    wanted: bool
    tables: list[pa.Table] = field(default_factory=list)
    days: list[pa.Table] = field(default_factory=list)
    reach: list[tuple[int, int]] = field(default_factory=list)
    rows: list[tuple[int | None, ...]] = field(default_factory=list)
    dropped: list[tuple[int, int, int, str]] = field(default_factory=list)
    pending: list[tuple[int, int]] = field(default_factory=list)
    held: list[tuple[int, int, str, int | None]] = field(default_factory=list)

    def add(self, other: Self) -> None:
        """What another batch found."""
        for name in ("tables", "days", "reach", "rows", "dropped", "pending", "held"):
            getattr(self, name).extend(getattr(other, name))

    def drop(self, series: int, dropped: Iterable[Drop]) -> None:
        self.dropped.extend((series, sample.t, sample.seq, reason) for sample, reason in dropped)

    def note(self, series: int, outcome: Outcome) -> None:
        self.drop(series, outcome.dropped)
        self.held.extend((series, held.t, held.flag, _fitting(held.amount)) for held in outcome.held)
        if outcome.pending is not None:
            self.pending.append((series, outcome.pending))

    def exact(self, series: int, rows: Iterable[tuple[int, Row]]) -> None:
        self.rows.extend((series, level, row.start, row.end, *map(_fitting, row[2:])) for level, row in rows)

    def counters(self, segments: Segments, zone: str, year_start: str, *, local: bool = True) -> None:
        levels = Levels.of(segments, zone, year_start)
        self.tables += counter_tables(levels)
        self.reach += zip(segments.ids.tolist(), segments.t2[segments.offsets[1:] - 1].tolist(), strict=True)
        if self.wanted and local:
            self.days.append(counter_days(levels))

    def gauges(self, readings: Readings, zone: str, year_start: str) -> None:
        self.tables += gauge_tables(readings, zone, year_start)
        self.reach += zip(readings.ids.tolist(), readings.t[readings.offsets[1:] - 1].tolist(), strict=True)
        if self.wanted:
            self.days.append(gauge_days(readings, zone, year_start))

    def rollup(self) -> Rollup:
        dropped, pending, held = (
            tabled(sorted(found, key=repr), schema) for found, schema in ((self.dropped, DROPPED), (self.pending, PENDING), (self.held, HELD))
        )
        days = pa.concat_tables([DAYS.empty_table(), *self.days])
        return Rollup(pa.concat_tables([*self.tables, tabled(self.rows, SCHEMA)]), dropped, pending, held, days, tabled(self.reach, REACH))


@dataclass(frozen=True, slots=True)
class _Batch:
    """Series of one zone and one sort (counters or gauges): columns by name, ascending in time in ``[offsets[i], offsets[i + 1])``."""

    ids: Ints
    offsets: Ints
    columns: Mapping[str, np.ndarray]
    specs: Sequence[SeriesSpec]

    def of_series(self, values: Iterable[int]) -> Ints:
        """A number of each series as a column of readings; one that all share stands for itself."""
        numbers = np.fromiter(values, np.int64, len(self.specs))
        return numbers[:1] if (numbers == numbers[0]).all() else np.repeat(numbers, np.diff(self.offsets))

    def any(self, marked: Bools) -> Bools:
        """Whether any reading of each series is marked."""
        found: Bools = np.logical_or.reduceat(marked, self.offsets[:-1])
        return found

    def pick(self, chosen: Bools) -> tuple[Ints, Ints, Ints, Ints]:
        """Ids, offsets, instants and values of the chosen series."""
        if chosen.all():
            return self.ids, self.offsets, self.columns["t"], self.columns["value"]
        counts = np.diff(self.offsets)
        readings = np.repeat(chosen, counts)
        return self.ids[chosen], np.cumsum([0, *counts[chosen]]), self.columns["t"][readings], self.columns["value"][readings]

    def of(self, i: int) -> dict[str, np.ndarray]:
        """The columns of one series."""
        return {name: column[self.offsets[i] : self.offsets[i + 1]] for name, column in self.columns.items()}

    def samples(self, i: int, places: Ints | slice = slice(None)) -> list[Sample]:
        """The readings of one series, or those at some places, for the exact path."""
        own = self.of(i)
        columns = (own[name][places] for name in ("t", "value", "src", "due", "seq", "dev", "pinned", "void", "status"))
        return [
            Sample(t, None if void else v, src, due, seq, dev, pinned, not status & UNUSABLE)
            for t, v, src, due, seq, dev, pinned, void, status in zip(*(column.tolist() for column in columns), strict=True)
        ]


def rollup(readings: pa.Table, specs: Mapping[int, SeriesSpec], begun: Mapping[int, int] = NOTHING_BEGUN, *, days: bool = False) -> Rollup:
    """Rows of all levels from all readings (columns of READINGS) of some series, in any order; raises UnknownSeriesError and CivilError.

    A number that needs more than 64 bits is null in the rows. Rows come in no promised order, the same one for the same readings. `days` asks for the days
    of `aggregate.days` too. `begun` is the use (micro units) up to the first reading of counters that are computed from an anchor on, 0 if not named.
    """
    batches = list(_batches(readings, specs))
    compute = partial(_computed, begun=begun, days=days)
    found = _Found(begun, days, [SCHEMA.empty_table()])
    for part in map(compute, batches) if len(batches) < 2 else _threads().map(compute, batches):
        found.add(part)
    return found.rollup()


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads for all runs: new ones each time would each leave memory behind that the system's allocator keeps for them."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="rollup")


def _computed(one: tuple[_Group, _Batch], *, begun: Mapping[int, int], days: bool) -> _Found:
    (zone, year_start, gauge), batch = one
    found = _Found(begun, days)
    (_gauges if gauge else _counters)(batch, zone, year_start, found)
    return found


def _batches(readings: pa.Table, specs: Mapping[int, SeriesSpec]) -> Iterator[tuple[_Group, _Batch]]:
    frame = _ordered(framed(readings.combine_chunks()))
    series, t = frame["series"].to_numpy(), frame["t"].to_numpy()
    edges = np.concatenate([[0], np.flatnonzero(np.diff(series)) + 1, [len(series)]]) if len(series) else np.zeros(1, np.int64)
    counts, hours = np.diff(edges), (t[edges[1:] - 1] - t[edges[:-1]]) // civil.HOUR
    groups = defaultdict[_Group, list[int]](list)
    for i, number in enumerate(series[edges[:-1]].tolist()):
        if number not in specs:
            raise UnknownSeriesError(f"series {number} has readings but no parameters")
        spec = specs[number]
        groups[spec.zone, spec.parameters.year_start, spec.parameters.kind == "gauge"].append(i)
    for group, members in groups.items():
        own = frame if len(groups) == 1 else frame.filter(pl.Series(np.repeat(np.isin(np.arange(len(counts)), members), counts)))
        for begin, count in _parts(counts[members].tolist(), hours[members].tolist()):
            yield group, _batch(own.slice(begin, count), specs)


def _ordered(frame: pl.DataFrame) -> pl.DataFrame:
    """The readings in order of series and time."""
    series, t = frame["series"].to_numpy(), frame["t"].to_numpy()
    later, same = series[1:] > series[:-1], series[1:] == series[:-1]
    return frame if (later | (same & (t[1:] >= t[:-1]))).all() else frame.sort("series", "t")


def _parts(counts: Sequence[int], hours: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Begin and number of readings of batches that are cut between series and stay within BATCH and SERIES."""
    begin, count, size, series = 0, 0, 0, 0
    for readings, span in zip(counts, hours, strict=True):
        if series and (series == SERIES or size + readings + span > BATCH):
            yield begin, count
            begin, count, size, series = begin + count, 0, 0, 0
        count, size, series = count + readings, size + readings + span, series + 1
    if series:
        yield begin, count


def _batch(frame: pl.DataFrame, specs: Mapping[int, SeriesSpec]) -> _Batch:
    series = frame["series"].to_numpy()
    offsets = np.concatenate([[0], np.flatnonzero(np.diff(series)) + 1, [len(series)]])
    columns = {name: frame[name].to_numpy() for name in ("t", "src", "status", "due", "pinned", "seq")}
    columns |= {
        "void": frame["value"].is_null().to_numpy(),
        "value": frame["value"].fill_null(0).to_numpy(),
        "dev": frame["dev"].fill_null(-1).to_numpy(),
    }
    ids = series[offsets[:-1]]
    return _Batch(ids, offsets, columns, [specs[number] for number in ids.tolist()])


def _plain(batch: _Batch, largest: int) -> Bools:
    """Series whose readings can be used as they stand: usable, real, one an instant, and inside the limits of columns."""
    columns = batch.columns
    odd = np.diff(columns["t"], prepend=0) == 0
    odd[batch.offsets[:-1]] = False
    value = columns["value"]
    for doubt in (
        columns["void"],
        columns["due"],
        (columns["status"] & UNUSABLE).astype(np.bool_),
        columns["src"] == Source.SUBSTITUTE,
        (value >= largest) | (value <= -largest),
    ):
        odd |= doubt
    return ~batch.any(odd) & _short(batch)


def _short(batch: _Batch) -> Bools:
    t = batch.columns["t"]
    short: Bools = t[batch.offsets[1:] - 1] - t[batch.offsets[:-1]] < DIVISOR
    return short


def _counters(batch: _Batch, zone: str, year_start: str, found: _Found) -> None:
    plain = _plain(batch, counter_columns.LARGEST) & ~_eventful(batch) & ~_stepping(batch)
    gaps = np.array([spec.parameters.max_gap for spec in batch.specs])
    rowed = plain & (np.diff(batch.offsets) > 1)
    if rowed.any():
        ids, offsets, t, v = batch.pick(rowed)
        found.counters(_begun(Segments.plain(ids, offsets, gaps[rowed], t, v), found.begun), zone, year_start)
    columned: dict[bool, list[tuple[int, int, Mapping[str, Any]]]] = {True: [], False: []}
    for i in np.flatnonzero(~plain).tolist():
        series, spec = int(batch.ids[i]), batch.specs[i]
        outcome, columns = classified(batch.of(i), partial(batch.samples, i), spec, found.begun.get(series, 0))
        found.note(series, outcome)
        if columns is not None:
            columned[_local(batch.of(i), spec)].append((series, spec.parameters.max_gap, columns))
        else:
            found.exact(series, counter_levels(outcome.segments, spec))
            found.reach += [(series, segment.t2) for segment in outcome.segments[-1:]]
    for local, listed in columned.items():
        if listed:
            found.counters(Segments.of(*zip(*listed, strict=True)), zone, year_start, local=local)


def _local(columns: Mapping[str, np.ndarray], spec: SeriesSpec) -> bool:
    """Nothing far away decides what a reading means: the condition of `aggregate.days`."""
    return not spec.parameters.factors and bool((columns["src"] != Source.SUBSTITUTE).all())


def _begun(segments: Segments, begun: Mapping[int, int]) -> Segments:
    """The same segments of series that had some use before."""
    if not begun:
        return segments
    before = np.repeat([begun.get(series, 0) for series in segments.ids.tolist()], np.diff(segments.offsets))
    return replace(segments, v1=segments.v1 + before, v2=segments.v2 + before)


def _eventful(batch: _Batch) -> Bools:
    """Series with an exchange, a factor, or a set day between their readings."""
    t = batch.columns["t"]
    reach = zip(batch.specs, t[batch.offsets[:-1]].tolist(), t[batch.offsets[1:] - 1].tolist(), strict=True)
    return np.array([bool(spec.exchanges or spec.parameters.factors or spec.set_days(first, last)) for spec, first, last in reach])


def _stepping(batch: _Batch) -> Bools:
    """Series with a step that falls, or that may be above the largest credible one: the exact bound, rounded down where that is simpler."""
    t, value = batch.columns["t"], batch.columns["value"]
    limits = [spec.parameters for spec in batch.specs]
    rate = batch.of_series(RATE if p.max_rate_per_h is None else min(int(p.max_rate_per_h), RATE) for p in limits)
    free = batch.of_series(STEP if p.max_rate_per_h is None else min(int(p.resolution), STEP) for p in limits)
    odd = falls_or_jumps(t, value, rate, free)
    odd[batch.offsets[:-1]] = False
    return batch.any(odd)


def _gauges(batch: _Batch, zone: str, year_start: str, found: _Found) -> None:
    plain = _plain(batch, gauge_columns.LARGEST)
    gaps = np.array([spec.parameters.max_gap for spec in batch.specs])
    holds = np.array([spec.parameters.mode == "hold" for spec in batch.specs])
    if plain.any():
        ids, offsets, t, v = batch.pick(plain)
        found.gauges(Readings(ids, offsets, gaps[plain], holds[plain], t, v), zone, year_start)
    for i in np.flatnonzero(~plain).tolist():
        series, spec, samples = int(batch.ids[i]), batch.specs[i], batch.samples(i)
        kept, dropped = select(samples)
        found.drop(series, dropped)
        if kept and _local(batch.of(i), spec) and _columned(kept):
            t, v = (np.array(column, np.int64) for column in zip(*((sample.t, sample.v) for sample in kept), strict=True))
            found.gauges(Readings(batch.ids[i : i + 1], np.array([0, len(t)]), gaps[i : i + 1], holds[i : i + 1], t, v), zone, year_start)
        else:
            found.exact(series, gauge_levels(kept, spec))
            found.reach += [(series, sample.t) for sample in kept[-1:]]


def _columned(kept: Sequence[Sample]) -> bool:
    """Readings in use of a gauge that are inside the limits of columns, one an instant."""
    values = [sample.v for sample in kept]
    fits = all(isinstance(v, int) and abs(v) < gauge_columns.LARGEST for v in values) and kept[-1].t - kept[0].t < DIVISOR
    return fits and len({sample.t for sample in kept}) == len(kept)


def _fitting(number: Number | None) -> int | None:
    """A number of a row as stored: null where 64 bits do not hold it."""
    return None if number is None or not -INT64_MAX <= number <= INT64_MAX else round(number)
