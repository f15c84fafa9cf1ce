"""Rows of many counters from their segments, as columns: SPEC 7 with the results of `rows`, some hundred times as fast.

Strategy: everything is a quantity of a boundary (index, bounds, heard time, segments before and after), computed once for all boundaries of a level;
a row is a difference of neighbouring boundaries. Sums over the segments inside a bucket are differences of running sums.
Limits: instants in one series less than DIVISOR apart, numbers below LARGEST; what is outside goes through `rows`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa

from submeter.aggregate.classifier import Segment
from submeter.aggregate.columns import Bools, Grid, Runs, table
from submeter.aggregate.rows import ESTIMATED, INCOMPLETE, WHOLE
from submeter.aggregate.wide import DIVISOR, Ints, half_even, multiply_divide, rounded
from submeter.reading import FLAGS, LEVELS

LARGEST: Final = 2**60


@dataclass(frozen=True)
class Segments:
    """Segments of several series, in order; fields as in `classifier.Segment`, `x1_known` and `x2_known` false where the display is not known."""

    ids: Ints
    offsets: Ints
    max_gap: Ints
    t1: Ints
    t2: Ints
    v1: Ints
    v2: Ints
    x1: Ints
    x2: Ints
    x1_known: Bools
    x2_known: Bools
    flags: Ints
    lossy: Bools
    est: Bools

    @classmethod
    def plain(cls, ids: Ints, offsets: Ints, max_gap: Ints, t: Ints, v: Ints) -> Self:
        """Each reading of these series is an anchor (SPEC 12.3); every series has two readings at least."""
        last = np.zeros(len(t), np.bool_)
        last[offsets[1:] - 1] = True
        first = np.roll(last, 1)
        use = v - np.repeat(v[offsets[:-1]], np.diff(offsets))
        count = len(t) - len(ids)
        yes, no = np.ones(count, np.bool_), np.zeros(count, np.bool_)
        zero = np.zeros(count, np.int64)
        pairs = (column[~end] for column in (t, use, v) for end in (last, first))
        t1, t2, v1, v2, x1, x2 = pairs
        return cls(ids, offsets - np.arange(len(offsets)), max_gap, t1, t2, v1, v2, x1, x2, yes, yes, zero, no, no)

    @classmethod
    def of(cls, ids: Sequence[int], max_gap: Sequence[int], found: Sequence[Mapping[str, Any]]) -> Self:
        """Several series from the `listed` segments of each."""
        columns = {name: np.concatenate([listed[name] for listed in found]) for name in found[0]}
        offsets = np.cumsum([0, *(len(listed["t1"]) for listed in found)])
        return cls(ids=_ints(ids), offsets=offsets, max_gap=_ints(max_gap), **columns)

    @cached_property
    def span(self) -> Ints:
        """Length of each segment, µs."""
        return self.t2 - self.t1

    @cached_property
    def too_long(self) -> Bools:
        """Longer than counts as measured."""
        too_long: Bools = self.span > np.repeat(self.max_gap, np.diff(self.offsets))
        return too_long

    @cached_property
    def steady(self) -> Bools:
        """The display is known at both ends and moved by exactly what was booked."""
        moved: Bools = self.x2 - self.x1 == self.v2 - self.v1
        return self.x1_known & self.x2_known & moved

    @cached_property
    def heard(self) -> Ints:
        """What each segment gives to coverage, µs."""
        return np.where(self.lossy | self.est | self.too_long, 0, self.span)

    @cached_property
    def heard_before(self) -> Ints:
        """The sum of `heard` over the segments before each one."""
        return _running(self.heard)[:-1]

    @cached_property
    def runs(self) -> Runs:
        """To find the segment that begins at or before an instant."""
        return Runs.of(self.ids, self.offsets, self.t1)


class Marks(NamedTuple):
    """What is known at each boundary of a level: `after` and `before` are the segments that begin (end) there, or hold it."""

    u: Ints
    after: Ints
    before: Ints
    booked: Ints
    low: Ints
    high: Ints
    heard: Ints
    inside: Bools

    def at(self, boundaries: Ints) -> "Marks":
        """Some of the boundaries."""
        return Marks._make(column[boundaries] for column in self)


def listed(segments: Sequence[Segment]) -> dict[str, Any] | None:
    """The segments of one series as columns of `Segments`; None without segments, or if they are outside the limits of columns."""
    given = dict(zip(Segment._fields, zip(*segments, strict=True), strict=False))
    numbers = {*given["v1"], *given["v2"], *given["x1"], *given["x2"]} - {None} if given else set()
    if not given or not {int}.issuperset(map(type, numbers)) or max(map(abs, numbers)) >= LARGEST or given["t2"][-1] - given["t1"][0] >= DIVISOR:
        return None
    columns = {name: _ints(given[name]) for name in ("t1", "t2", "v1", "v2", "x1", "x2", "flags")}
    marks = {name: np.array(given[name], np.bool_) for name in ("lossy", "est")}
    return {**columns, **marks, **{f"{name}_known": np.array([x is not None for x in given[name]]) for name in ("x1", "x2")}}


def counter_tables(segments: Segments, zone: str, year_start: str) -> list[pa.Table]:
    """Rows of all levels, one table a level."""
    first, last = segments.t1[segments.offsets[:-1]], segments.t2[segments.offsets[1:] - 1]
    return [_table(segments, Grid.of(level, zone, year_start, first, last), first, last) for level in range(len(LEVELS))]


def marks_of(segments: Segments, grid: Grid) -> Marks:
    """What is known at each boundary of a grid."""
    begin = segments.offsets[grid.owner]
    after = np.maximum(segments.runs.place(grid.owner, grid.u), begin)
    t1, span, v1, v2 = segments.t1[after], segments.span[after], segments.v1[after], segments.v2[after]
    passed = np.clip(grid.u - t1, 0, span)
    quotient, remainder = multiply_divide(v2 - v1, passed, span)
    booked = half_even(v1 + quotient, remainder, span)
    inside = (passed > 0) & (passed < span)
    heard = segments.heard_before[after] + np.where(segments.heard[after] > 0, passed, 0)
    before = np.maximum(after - (t1 == grid.u), begin)
    return Marks(grid.u, after, before, booked, np.where(inside, v1, booked), np.where(inside, v2, booked), heard, inside)


def _table(segments: Segments, grid: Grid, first: Ints, last: Ints) -> pa.Table:
    marks = marks_of(segments, grid)
    s, e = marks.at(grid.s), marks.at(grid.e)
    owner = grid.owner[grid.s]
    early, late = s.u < first[owner], e.u > last[owner]
    lossy = any_marked(segments.lossy, s, e)
    incomplete, estimated = early | late | lossy, _estimated(segments, s, e)
    columns = {
        "value": e.booked - s.booked,
        "lo": np.maximum(e.low - s.high, 0),
        "hi": (e.high - s.low, ~lossy),
        "coverage": rounded(WHOLE * (e.heard - s.heard), e.u - s.u),
        "quality": np.where(incomplete, INCOMPLETE, np.where(estimated, ESTIMATED, 0)),
        "flags": flags_of(segments, s, e),
        "index_start": display(segments, s, segments.x1[s.after], segments.x1_known[s.after] & ~early),
        "index_end": display(segments, e, segments.x2[e.before], segments.x2_known[e.before] & ~late),
    }
    return table(segments.runs, grid, columns)


def _estimated(segments: Segments, s: Marks, e: Marks) -> Bools:
    split = segments.too_long | segments.est
    estimated: Bools = (s.inside & split[s.after]) | (e.inside & split[e.after])
    if segments.est.any():
        ends = [segments.est[mark.before] & (segments.t2[mark.before] == mark.u) for mark in (s, e)]
        estimated |= ends[0] | ends[1] | (segments.est[s.after] & (segments.t1[s.after] == s.u))
    return estimated


def flags_of(segments: Segments, s: Marks, e: Marks) -> Ints:
    """The flags of all segments that overlap each bucket."""
    flags = np.zeros(len(s.u), np.int64)
    present = int(np.bitwise_or.reduce(segments.flags))
    for bit in range(len(FLAGS)):
        if present >> bit & 1:
            flags |= any_marked((segments.flags >> bit & 1).astype(np.bool_), s, e).astype(np.int64) << bit
    return flags


def display(segments: Segments, mark: Marks, at_anchor: Ints, known: Bools) -> tuple[Ints, Bools]:
    """What the register showed at each boundary, and whether that is known; inside a segment only where it moved by what was booked."""
    between = mark.booked + segments.x1[mark.after] - segments.v1[mark.after]
    return np.where(mark.inside, between, at_anchor), np.where(mark.inside, segments.steady[mark.after], known)


def any_marked(marked: Bools, s: Marks, e: Marks) -> Bools:
    """Whether a segment that overlaps the bucket is marked."""
    if not marked.any():
        return np.zeros(len(s.u), np.bool_)
    running = _running(marked.astype(np.int64))
    found: Bools = running[e.before + 1] > running[s.after]
    return found


def _running(column: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(column)])


def _ints(column: Iterable[int | None]) -> Ints:
    return np.array([number or 0 for number in column], np.int64)
