"""Rows of many counters from their segments, as columns: SPEC 7 with the results of `rows`, some hundred times as fast.

Strategy: everything is a quantity of a boundary (index, bounds, heard time, segments before and after), computed once for all hour boundaries, among
which the other levels find theirs; a row is a difference of neighbouring boundaries. Sums over the segments inside a bucket are differences of running
sums. What no segment of a batch has (a flag, a gap, an estimate) is not looked for in its rows.
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
from submeter.aggregate.wide import DIVISOR, Ints, between, rounded
from submeter.reading import FLAGS, LEVELS

LARGEST: Final = 2**60


@dataclass(frozen=True)
class Segments:
    """Segments of several series, in order; fields as in `classifier.Segment`, `x1_known` and `x2_known` false where the display is not known.

    `simple` ones have no marks, and their display moves as they are booked.
    """

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
    simple: bool = False

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
        return cls(ids, offsets - np.arange(len(offsets)), max_gap, t1, t2, v1, v2, x1, x2, yes, yes, zero, no, no, simple=True)

    @classmethod
    def of(cls, ids: Sequence[int], max_gap: Sequence[int], found: Sequence[Mapping[str, Any]]) -> Self:
        """Several series from the `listed` segments of each."""
        columns: dict[str, Any] = {name: np.concatenate([listed[name] for listed in found]) for name in found[0]}
        offsets = np.cumsum([0, *(len(listed["t1"]) for listed in found)])
        return cls(ids=_ints(ids), offsets=offsets, max_gap=_ints(max_gap), **columns)

    @cached_property
    def span(self) -> Ints:
        """Length of each segment, µs."""
        return self.t2 - self.t1

    @cached_property
    def too_long(self) -> Bools:
        """Longer than counts as measured."""
        gap = self.max_gap[0] if (self.max_gap == self.max_gap[0]).all() else np.repeat(self.max_gap, np.diff(self.offsets))
        too_long: Bools = self.span > gap
        return too_long

    @cached_property
    def unheard(self) -> Bools:
        """Gives nothing to coverage."""
        return self.too_long if self.simple else self.lossy | self.est | self.too_long

    @cached_property
    def steady(self) -> Bools:
        """The display is known at both ends and moved by exactly what was booked."""
        moved: Bools = self.x2 - self.x1 == self.v2 - self.v1
        return self.x1_known & self.x2_known & moved

    @cached_property
    def heard(self) -> Ints:
        """What each segment gives to coverage, µs."""
        return np.where(self.unheard, 0, self.span)

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


@dataclass(frozen=True)
class Levels:
    """Segments with their boundaries of all levels; `hours` is what is known at those of the first one, among which the others are."""

    segments: Segments
    grids: Sequence[Grid]
    hours: Marks

    @classmethod
    def of(cls, segments: Segments, zone: str, year_start: str) -> Self:
        """The boundaries inside and around the data of series that share zone and first day of the year."""
        first, last = segments.t1[segments.offsets[:-1]], segments.t2[segments.offsets[1:] - 1]
        grids = [Grid.of(level, zone, year_start, first, last) for level in range(len(LEVELS))]
        return cls(segments, grids, marks_of(segments, grids[0]))

    def marks(self, level: int) -> Marks:
        """What is known at each boundary of a level."""
        grid, hours = self.grids[level], self.grids[0]
        return self.hours if level == 0 else self.hours.at(grid.among(hours))._replace(u=grid.u)

    def outside(self, level: int) -> tuple[Bools, Bools]:
        """Rows of a level that begin before the data, and those that end after them."""
        grid, segments = self.grids[level], self.segments
        early, late = np.zeros(len(grid.s), np.bool_), np.zeros(len(grid.s), np.bool_)
        early[grid.edges[0]] = grid.u[grid.begin] < segments.t1[segments.offsets[:-1]]
        late[grid.edges[1]] = grid.u[grid.end] > segments.t2[segments.offsets[1:] - 1]
        return early, late


def counter_tables(levels: Levels) -> list[pa.Table]:
    """Rows of all levels, one table a level."""
    return [_table(levels, level) for level in range(len(LEVELS))]


def marks_of(segments: Segments, grid: Grid) -> Marks:
    """What is known at each boundary of a grid of hours."""
    after = _after(segments, grid)
    t1, span, v1, v2 = segments.t1[after], segments.span[after], segments.v1[after], segments.v2[after]
    passed = np.clip(grid.u - t1, 0, span)
    booked = between(v1, v2 - v1, passed, span)
    inside = (passed > 0) & (passed < span)
    before = np.maximum(after - (t1 == grid.u), segments.offsets[grid.owner])
    return Marks(
        grid.u, after, before, booked, np.where(inside, v1, booked), np.where(inside, v2, booked), _heard(segments, after, t1, passed), inside
    )


def _after(segments: Segments, hours: Grid) -> Ints:
    """The segment that begins at each boundary or holds it; the first one for a boundary before it."""
    after = hours.passed(segments.t1, segments.offsets) - 1
    after[hours.begin] = np.maximum(after[hours.begin], segments.offsets[:-1])
    return after


def _heard(segments: Segments, after: Ints, t1: Ints, passed: Ints) -> Ints:
    """What was heard up to each boundary since some instant that a series has for all of them, µs."""
    if not segments.unheard.any():
        return t1 + passed
    return segments.heard_before[after] + np.where(segments.unheard[after], 0, passed)


def _table(levels: Levels, level: int) -> pa.Table:
    segments, grid, marks = levels.segments, levels.grids[level], levels.marks(level)
    s, e = marks.at(grid.s), marks.at(grid.e)
    early, late = levels.outside(level)
    lossy = any_marked(segments.lossy, s, e)
    quality = np.where(early | late | lossy, INCOMPLETE, np.where(_estimated(segments, s, e), ESTIMATED, 0))
    columns = {
        "value": e.booked - s.booked,
        "lo": np.maximum(e.low - s.high, 0),
        "hi": e.high - s.low if segments.simple else (e.high - s.low, ~lossy),
        "coverage": _coverage(e.heard - s.heard, e.u - s.u),
        "quality": quality,
        "flags": flags_of(segments, s, e),
        "index_start": display(segments, s, segments.x1, s.after, segments.x1_known, ~early),
        "index_end": display(segments, e, segments.x2, e.before, segments.x2_known, ~late),
    }
    return table(segments.runs, grid, columns)


def _coverage(heard: Ints, length: Ints) -> Ints:
    coverage = np.full(len(heard), WHOLE)
    part = np.flatnonzero(heard != length)
    coverage[part] = rounded(WHOLE * heard[part], length[part])
    return coverage


def _estimated(segments: Segments, s: Marks, e: Marks) -> Bools:
    split = segments.too_long if segments.simple else segments.too_long | segments.est
    if not split.any():
        return np.zeros(len(s.u), np.bool_)
    estimated: Bools = (s.inside & split[s.after]) | (e.inside & split[e.after])
    if segments.est.any():
        ends = [segments.est[mark.before] & (segments.t2[mark.before] == mark.u) for mark in (s, e)]
        estimated |= ends[0] | ends[1] | (segments.est[s.after] & (segments.t1[s.after] == s.u))
    return estimated


def flags_of(segments: Segments, s: Marks, e: Marks) -> Ints:
    """The flags of all segments that overlap each bucket."""
    flags = np.zeros(len(s.u), np.int64)
    present = 0 if segments.simple else int(np.bitwise_or.reduce(segments.flags))
    for bit in range(len(FLAGS)):
        if present >> bit & 1:
            flags |= any_marked((segments.flags >> bit & 1).astype(np.bool_), s, e).astype(np.int64) << bit
    return flags


def display(segments: Segments, mark: Marks, shown: Ints, at: Ints, known: Bools, covered: Bools) -> tuple[Ints, Bools]:
    """The display at boundaries: of an anchor what `shown` says of segment `at`, if `known`; null where the data do not reach (not `covered`)."""
    if segments.simple:
        return mark.booked + (segments.x1 - segments.v1)[mark.after], covered
    between = mark.booked + segments.x1[mark.after] - segments.v1[mark.after]
    return np.where(mark.inside, between, shown[at]), np.where(mark.inside, segments.steady[mark.after], known[at] & covered)


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
