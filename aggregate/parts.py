"""Parts of buckets: a counter's bucket in which an occupancy of its flat begins or ends, cut there (SPEC 12.4, 16), as residents see it.

Strategy: hours and days are cut among the segments of that day; months and years are sums of their days (`days`) with the day of the hand-over in pieces. So
only the readings around a hand-over are read again, and only for buckets that a run's windows touch. Where no days are kept (rating factors, substitutes) the
whole series is classified, as the run does too.
Rules: a bucket without a row has no parts. A series whose hand-overs, or what its rows follow from, are others than those that its parts were made by is cut
anew as a whole. What retention left no readings of stays as it is published. Gauges have no parts: a mean is nobody's use.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from submeter import civil
from submeter.aggregate import recompute
from submeter.aggregate.classifier import Segment, classify
from submeter.aggregate.columns import Grid
from submeter.aggregate.counter_columns import Levels, Segments, listed, marks_of
from submeter.aggregate.days import DAY, DAYS, added, counter_days
from submeter.aggregate.frames import framed
from submeter.aggregate.periods import samples_of, uses
from submeter.aggregate.series import Series
from submeter.aggregate.windows import Day, Range, Window, planned
from submeter.reading import INT64_MAX, LEVELS
from submeter.store import NULL, POINT, Cut, Parts, Points, Published, Readings, Registry

__all__ = ["Cutter"]

#: Instants outside these years are inside no bucket (`civil`).
FIRST, BEYOND = (civil.utc_midnight(date(year, 1, 1)) for year in (civil.YEARS.start + 1, civil.YEARS.stop - 1))
SPAN: Final = {"series": pl.Int32, "first": pl.Int64, "beyond": pl.Int64}
ROW: Final = {"series": pl.Int32, "level": pl.UInt8, "start": pl.Int64}
#: Series that are cut anew together.
TOGETHER: Final = 500

#: Readings of series, by the number of a window, as they are computed with.
Stitched = Callable[[Mapping[int, Series], Mapping[int, Window]], pl.DataFrame]


class Bucket(NamedTuple):
    """A bucket that is cut: its level (index of LEVELS), its ends, and these with the hand-overs between them."""

    level: int
    start: int
    end: int
    edges: tuple[int, ...]


#: Buckets of series by their number, and the pieces of one, as rows.
Chosen = Mapping[int, Sequence[Bucket]]
Pieces = Mapping[tuple[int, Bucket], Sequence[Mapping[str, Any]]]


class Cutter:
    """Computes the parts of buckets that hand-overs cut."""

    def __init__(self, readings: Readings, registry: Registry, published: Published, stitched: Stitched) -> None:
        self._readings, self._registry, self._published, self._stitched = readings, registry, published, stitched
        self._known: Mapping[int, Series] = {}
        self._buckets: Chosen = {}
        self._prints: Mapping[int, str] = {}
        self._stale: set[int] = set()

    def look(self, known: Mapping[int, Series], prints: Mapping[int, str]) -> None:
        """Look up which buckets of the known series are cut, once for each directory; `prints` are the series' fingerprints."""
        if self._known is known:
            return
        flats = self._registry.hand_overs()
        cut = {number: cuts for number, one in known.items() if one.kind != "gauge" and (cuts := flats.get(one.point.unit or ""))} if flats else {}
        specs = {number: known[number].spec for number in cut}
        found = {number: _cut(specs[number].zone, specs[number].parameters.year_start, cuts) for number, cuts in cut.items()}
        self._buckets = {number: buckets for number, buckets in found.items() if buckets}
        self._prints = {number: f"{prints[number]} cut:{cut[number]}" for number in self._buckets}
        published = self._published.cuts()
        self._stale = {number for number in self._prints.keys() | published.keys() if self._prints.get(number) != published.get(number)}
        self._known = known

    def touched(self, windows: Iterable[Window]) -> list[Parts]:
        """The parts of buckets that were computed anew in these windows, but of series that are to be cut anew as a whole."""
        chosen = defaultdict[int, set[Bucket]](set)
        for window in windows:
            if window.series in self._buckets and window.series not in self._stale:
                chosen[window.series].update(one for one in self._buckets[window.series] if one.start < window.beyond and one.end > window.first)
        return self._parts({number: sorted(some) for number, some in chosen.items()}) if chosen else []

    def anew(self) -> Iterator[tuple[list[Parts], list[Cut]]]:
        """All parts of series that are to be cut anew, some series at a time, with what they were made by."""
        stale, floors = sorted(self._stale), self._floors() if self._stale else {}
        for first in range(0, len(stale), TOGETHER):
            some = stale[first : first + TOGETHER]
            cuts = [Cut(number, self._prints.get(number), floors[number].start if number in floors else -INT64_MAX) for number in some]
            yield self._parts({number: self._buckets[number] for number in some if number in self._buckets}), cuts
            self._stale -= set(some)

    def _floors(self) -> dict[int, Day]:
        return {number: Day(**day) for number, day in self._readings.retention.days().items()}

    def _parts(self, chosen: Chosen) -> list[Parts]:
        """The parts of these buckets; none of those without a row. What cannot be computed any more is left out."""
        floors = self._floors()
        standing = self._standing(chosen)
        days = self._days(standing)
        local = set(days["series"].unique().to_list())
        lost = {
            (number, bucket)
            for number in standing.keys() & floors.keys()
            for bucket in standing[number]
            if any(one.start < floors[number].start for one in ([bucket] if number not in local else self._cut_days(number, bucket)))
        }
        wanted = {number: [bucket for bucket in some if (number, bucket) not in lost] for number, some in standing.items()}
        pieces = self._pieces({number: some for number, some in wanted.items() if some}, days, local, floors)
        return [
            _published(self._known[number], number, bucket, pieces.get((number, bucket), ()))
            for number, some in chosen.items()
            for bucket in some
            if (number, bucket) not in lost
        ]

    def _standing(self, chosen: Chosen) -> dict[int, list[Bucket]]:
        """Those of the buckets that have a row."""
        by_row = {(number, *one[:2]): one for number, some in chosen.items() for one in some}
        found = defaultdict[int, list[Bucket]](list)
        if by_row:
            for row in self._readings.standing(pl.DataFrame([*by_row], schema=ROW, orient="row").to_arrow()):
                found[row[0]].append(by_row[row])
        return dict(found)

    def _days(self, standing: Chosen) -> pl.DataFrame:
        """The days that are kept of these buckets."""
        spans = pl.DataFrame([(number, one.start, one.end) for number, some in standing.items() for one in some], schema=SPAN, orient="row")
        return framed(self._readings.days(spans.to_arrow())).unique(["series", "start"])

    def _cut_days(self, number: int, bucket: Bucket) -> list[Bucket]:
        """The days that are cut in a bucket, or that it lies in."""
        return [one for one in self._buckets[number] if one.level == DAY and one.start < bucket.end and one.end > bucket.start]

    def _pieces(self, wanted: Chosen, days: pl.DataFrame, local: set[int], floors: Mapping[int, Day]) -> Pieces:
        """The pieces of buckets of each series: from its segments, and months and years of those with days as sums of them."""
        found = dict[tuple[int, Bucket], list[Mapping[str, Any]]]()
        cut = {number: sorted({day for one in some for day in self._cut_days(number, one)}) for number, some in wanted.items() if number in local}
        ranges = {number: [(day.start, day.end) for day in cut[number]] if number in local else [(-INT64_MAX, INT64_MAX)] for number in wanted}
        split = [days.clear()]
        for window, segments in self._segments(ranges, floors):
            number, gap = window.series, self._known[window.series].spec.parameters.max_gap
            covered = [one for one in wanted[number] if window.first <= one.start and one.end <= window.beyond]
            for bucket in covered:
                if bucket.level <= DAY or number not in local:
                    found[number, bucket] = [row._asdict() for row in uses(segments, bucket.edges, gap)]
            inside = [day for day in cut.get(number, ()) if window.first <= day.start and day.end <= window.beyond]
            split += [_split(number, segments, gap, day) for day in inside]
        gone = pl.DataFrame(
            [(number, day.start) for number, some in cut.items() for day in some], schema={"series": pl.Int32, "start": pl.Int64}, orient="row"
        )
        fine = pl.concat([days.join(gone, on=["series", "start"], how="anti"), *split]).sort("series", "start")
        return {**found, **_sums({number: wanted[number] for number in wanted.keys() & local}, fine)}

    def _segments(self, ranges: Mapping[int, Sequence[Range]], floors: Mapping[int, Day]) -> Iterator[tuple[Window, Sequence[Segment]]]:
        """The segments of each series around these ranges."""
        batch = {number: self._known[number] for number, some in ranges.items() if some}
        specs = {number: one.spec for number, one in batch.items()}
        asked = {number: ranges[number] for number in batch}
        windows = dict(enumerate(window for _, some in planned(asked, specs, floors, self._readings.begun) for window in some)) if batch else {}
        if not windows:
            return
        readings = pl.concat([self._stitched(batch, windows), recompute.anchors(windows)])
        for i, window in windows.items():
            own = samples_of(readings.filter(pl.col("series") == i))
            spec = window.narrowed(specs[window.series])
            yield window, classify(own, spec, int(window.begin.odd) if window.begin else 0).segments


def _split(number: int, segments: Sequence[Segment], max_gap: int, day: Bucket) -> pl.DataFrame:
    """A day in pieces, each in the form of a day (DAYS)."""
    near = [one for one in segments if one.t2 >= day.start and one.t1 < day.end]
    columns = listed(near)
    if columns is None:
        return framed(DAYS.empty_table())
    first, last = max(bisect_right(day.edges, near[0].t1) - 1, 0), bisect_left(day.edges, near[-1].t2)
    u = np.array(day.edges[first : last + 1], np.int64)
    if len(u) < len(("start", "end")):
        return framed(DAYS.empty_table())
    none, last_one = np.zeros(1, np.int64), np.array([len(u) - 1])
    grid = Grid(DAY, u, np.zeros(len(u), np.int64), np.arange(len(u) - 1), none, last_one, none, u)
    found = Segments.of([number], [max_gap], [columns])
    return framed(counter_days(Levels(found, [grid, grid], marks_of(found, grid))))


def _sums(wanted: Chosen, fine: pl.DataFrame) -> Pieces:
    """The pieces of months and years from days, those of hand-overs in pieces."""
    found = defaultdict[tuple[int, Bucket], list[Mapping[str, Any]]](list)
    for level in range(DAY + 1, len(LEVELS)):
        pieces = {
            (number, *piece): (number, one) for number, some in wanted.items() for one in some if one.level == level for piece in pairwise(one.edges)
        }
        schema = {"series": pl.Int32, "bucket": pl.Int64, "bucket_end": pl.Int64}
        table = pl.DataFrame([*pieces], schema=schema, orient="row")
        inside = (pl.col("start") >= pl.col("bucket")) & (pl.col("end") <= pl.col("bucket_end"))
        own = fine.join(table, on="series").filter(inside).sort("series", "bucket", "start")
        for row in added(own, level, gauge=False).sort("series", "start").rows(named=True) if own.height else ():
            found[pieces[row["series"], row["start"], row["end"]]].append(row)
    return dict(found)


def _published(series: Series, number: int, bucket: Bucket, pieces: Sequence[Mapping[str, Any]]) -> Parts:
    """The pieces of a bucket as they are published; state and revision are those of the bucket, which its readers look up."""
    (label,) = civil.blocks_of(series.spec.zone, LEVELS[bucket.level], np.array([bucket.start], np.int64))
    return Parts(number, bucket.level, label, bucket.start, bucket.end, np.concatenate([np.empty(0, POINT), *map(_point, pieces)]))


def _point(row: Mapping[str, Any]) -> Points:
    point = np.zeros(1, POINT)
    for name in ("start", "end", "value", "lo", "hi", "index_start", "index_end", "flags", "coverage", "quality"):
        value = row[name]
        point[name] = NULL if value is None or not -INT64_MAX <= value <= INT64_MAX else value
    return point


@lru_cache(maxsize=2**16)
def _cut(zone: str, year_start: str, cuts: tuple[int, ...]) -> tuple[Bucket, ...]:
    """The buckets of all levels that hold one of these instants inside."""
    found = defaultdict[tuple[int, int, int], list[int]](list)
    for level, name in enumerate(LEVELS):
        for at in cuts:
            if FIRST <= at < BEYOND and (start := civil.floor(zone, name, at, year_start)) < at:
                found[level, start, civil.following(zone, name, at, year_start)].append(at)
    return tuple(Bucket(*bucket, (bucket[1], *inside, bucket[2])) for bucket, inside in found.items())
