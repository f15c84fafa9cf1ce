"""Rows of one counter from its segments, exactly (SPEC 7): the definition that the column path must equal.

Used where numbers do not fit 64 bits or are not whole micro units (rating factors, native values with more than six places).
Every field follows from the two boundaries of a bucket and the segments between them; the index is rounded at boundaries, never a difference.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from submeter import civil
from submeter.aggregate.classifier import Segment
from submeter.aggregate.parameters import Number, SeriesSpec
from submeter.reading import LEVELS, QUALITIES

MEASURED, ESTIMATED, INCOMPLETE = range(len(QUALITIES))
#: One row's coverage is stored in parts of this.
WHOLE: Final = 10_000


class Row(NamedTuple):
    """One bucket: instants µs UTC, numbers micro units, coverage in 1/10000, quality and flags as indices and bits of submeter.reading.

    For a gauge `value` is the mean, `lo` the minimum, `hi` the maximum, `n` the number of readings.
    """

    start: int
    end: int
    value: int | None
    lo: int | None
    hi: int | None
    n: int | None
    coverage: int
    quality: int = MEASURED
    flags: int = 0
    index_start: int | None = None
    index_end: int | None = None


class _Mark(NamedTuple):
    """A boundary among the segments: `before` ends with or holds it, `after` starts with or holds it (indices, clamped).

    `booked` is the boundary index, `low` and `high` its bounds (SPEC 7).
    """

    u: int
    before: int
    after: int
    booked: int
    low: Number
    high: Number
    inside: bool


def counter_levels(segments: Sequence[Segment], spec: SeriesSpec) -> Iterator[tuple[int, Row]]:
    """Rows of all levels, each with the number of its level; none without segments."""
    for level, name in enumerate(LEVELS if segments else ()):
        bounds = civil.boundaries(spec.zone, name, segments[0].t1, segments[-1].t2, spec.parameters.year_start).tolist()
        yield from ((level, row) for row in counter_rows(segments, bounds, spec.parameters.max_gap))


def counter_rows(segments: Sequence[Segment], bounds: Sequence[int], max_gap: int) -> Iterator[Row]:
    """A row for each pair of neighbouring `bounds`, which reach from at or before the first anchor to at or after the last one."""
    starts = [segment.t1 for segment in segments]
    marks = (_mark(segments, starts, u) for u in bounds)
    return (_row(segments, s, e, max_gap) for s, e in pairwise(marks))


def _mark(segments: Sequence[Segment], starts: Sequence[int], u: int) -> _Mark:
    before = max(bisect_left(starts, u) - 1, 0)
    after = max(bisect_right(starts, u) - 1, 0)
    held = segments[after]
    clamped = min(max(u, held.t1), held.t2)
    booked = round(held.v1 + (held.v2 - held.v1) * Fraction(clamped - held.t1, held.t2 - held.t1))
    if held.t1 < u < held.t2:
        return _Mark(u, before, after, booked, held.v1, held.v2, inside=True)
    exact = held.v1 if u <= held.t1 else held.v2
    return _Mark(u, before, after, booked, exact, exact, inside=False)


def _row(segments: Sequence[Segment], s: _Mark, e: _Mark, max_gap: int) -> Row:
    over = segments[s.after : e.before + 1]
    lossy = any(segment.lossy for segment in over)
    flags = 0
    for segment in over:
        flags |= segment.flags
    heard = sum(
        min(segment.t2, e.u) - max(segment.t1, s.u) for segment in over if not (segment.lossy or segment.est) and segment.t2 - segment.t1 <= max_gap
    )
    return Row(
        start=s.u,
        end=e.u,
        value=e.booked - s.booked,
        lo=max(0, round(e.low) - round(s.high)),
        hi=None if lossy else round(e.high) - round(s.low),
        n=None,
        coverage=round(Fraction(WHOLE * heard, e.u - s.u)),
        quality=_quality(segments, s, e, max_gap, lossy=lossy),
        flags=flags,
        index_start=_display(segments, s, segments[s.after].x1 if s.u >= segments[0].t1 else None),
        index_end=_display(segments, e, segments[e.before].x2 if e.u <= segments[-1].t2 else None),
    )


def _quality(segments: Sequence[Segment], s: _Mark, e: _Mark, max_gap: int, *, lossy: bool) -> int:
    if lossy or s.u < segments[0].t1 or e.u > segments[-1].t2:
        return INCOMPLETE
    split = any(mark.inside and (held.est or held.t2 - held.t1 > max_gap) for mark in (s, e) for held in (segments[mark.after],))
    touched = (s.before, s.u, "t2"), (e.before, e.u, "t2"), (s.after, s.u, "t1")
    if split or any(segments[i].est and getattr(segments[i], edge) == u for i, u, edge in touched):
        return ESTIMATED
    return MEASURED


def _display(segments: Sequence[Segment], mark: _Mark, at_anchor: Number | None) -> int | None:
    """The register's display at a boundary; inside a segment only if the display moved by exactly what was booked."""
    if not mark.inside:
        return None if at_anchor is None else round(at_anchor)
    held = segments[mark.after]
    if held.x1 is None or held.x2 is None or held.x2 - held.x1 != held.v2 - held.v1:
        return None
    return round(held.x1 + mark.booked - held.v1)
