"""`GET /v1/units/{unit}/consumption`: published rows of a unit's series on the grid of the asked period.

A point that the tables do not have is null with flag `no_data`, never 0. Several points of one quantity are summed in micro units (counters only;
gauges answer one by one): the sum is as good as its worst part, and incomplete where one part has no row.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import groupby, pairwise
from operator import or_
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from submeter import civil
from submeter.api.access import SeenUnit
from submeter.api.numbers import number
from submeter.api.parts import NAMES, seen_of
from submeter.api.periods import RESOLUTIONS, Period
from submeter.reading import LEVELS, QUALITIES, STATES
from submeter.store.published import NULL, Published, PublishedSeries
from submeter.store.registry_types import Point

__all__ = ["UOM", "Shown", "View", "answer", "shown_series"]

#: Canonical units as UCUM (portal API 1.6).
UOM: Final = {"kWh": "kW.h", "hca": "{hca}", "°C": "Cel", "kvarh": "kvar.h", "kVAh": "kV.A.h", "m3·°C": "m3.Cel"}
#: Which view is asked for: the newest rows, what was billed, or the rows as they stood at a revision.
View = Literal["latest", "billed"] | int
BILLED: Final = STATES.index("billed")
INCOMPLETE: Final = QUALITIES.index("incomplete")
#: Said of a sum where one point has no row, after the flags of rows and parts.
NO_DATA: Final = 1 << len(NAMES)
#: Coverage is kept in parts of this.
WHOLE: Final = 10_000


class Row(NamedTuple):
    """A published row, its fields in the order of POINT."""

    start: int
    end: int
    value: int
    lo: int
    hi: int
    index_start: int
    index_end: int
    n: int
    flags: int
    coverage: int
    rev: int
    quality: int
    state: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A published series with the point it belongs to."""

    point: Point
    series: PublishedSeries


def shown_series(published: Published, points: Sequence[Point], quantities: Iterable[str] | None) -> list[Shown]:
    """Series of these points, of these quantities (register names; None: each point's main register)."""
    by_id = {point.id: point for point in points}
    found = [Shown(by_id[one.point], one) for one in published.series_of(list(by_id))]
    if quantities is None:
        return [shown for shown in found if str(shown.series.register) == shown.point.registers[0]]
    return [shown for shown in found if shown.series.register.name in set(quantities)]


def answer(
    seen: SeenUnit, period: Period, shown: Sequence[Shown], published: Published, *, view: View, by_meter: bool, index: bool
) -> dict[str, Any]:
    """The body of the response (portal API 4)."""
    zone = seen.property.zone
    last = [min(one.series.last_t, seen.visible.ends) for one in shown if one.series.last_t is not None]
    rows = _rows(shown, period, published, seen, view)
    corrected = list(_corrections(shown, period, published, seen)) if view == "latest" else []
    return {
        "unit": seen.unit.id,
        "timezone": zone,
        "from": civil.local_iso(zone, period.start),
        "to": civil.local_iso(zone, period.end),
        "as_of": view,
        "complete_until": civil.local_iso(zone, min(last)) if last and len(last) == len(shown) else None,
        "version": max((one.series.version for one in shown), default=0),
        "series": [
            _series(group, period, zone, [rows[one.series.id] for one in group], index=index)
            | {"corrections": [told for series, told in corrected if any(series == one.series.id for one in group)]}
            for group in _groups(shown, by_meter=by_meter)
        ],
        "next": {"from": civil.local_iso(zone, period.next), "to": civil.local_iso(zone, period.end)} if period.next else None,
    }


def _groups(shown: Sequence[Shown], *, by_meter: bool) -> Iterator[list[Shown]]:
    """What is answered as one series: a point's register, or all counters of one quantity and class in the unit."""

    def key(one: Shown) -> tuple[str, ...]:
        alone = by_meter or one.series.kind == "gauge"
        return (one.point.quantity, str(one.series.register), one.series.register.unit, one.point.id if alone else "")

    for _, group in groupby(sorted(shown, key=key), key):
        yield list(group)


def _series(group: Sequence[Shown], period: Period, zone: str, rows: Sequence[dict[int, Row]], *, index: bool) -> dict[str, Any]:
    """A series of the answer; `rows` by their start, those of each of the group."""
    first, gauge, alone = group[0], group[0].series.kind == "gauge", len(group) == 1
    return {
        "quantity": first.series.register.name,
        "class": first.point.quantity,
        "statistic": "mean" if gauge else "sum",
        "uom": UOM.get(first.series.register.unit, first.series.register.unit),
        "meter": first.point.id if alone else None,
        "label": first.point.label if alone else None,
        "points": [
            _point(
                start,
                end,
                rows[0].get(start) if alone else _together([row.get(start) for row in rows]),
                zone,
                gauge=gauge,
                index=index and alone,
                cut=start in period.cut,
            )
            for start, end in pairwise(period.edges.tolist())
        ],
    }


def _rows(shown: Sequence[Shown], period: Period, published: Published, seen: SeenUnit, view: View) -> dict[int, dict[int, Row]]:
    """By series what is seen of published rows of the period by its start: as they are, as they were billed, or as they stood at a revision."""
    if len(period.edges) < len(("start", "end")):
        return {one.series.id: {} for one in shown}
    level = LEVELS.index(period.level)
    labels = _blocks(seen.property.zone, period.level, int(period.edges[0]), int(period.edges[-2]))
    found = {}
    for series, points in published.read_all([one.series.id for one in shown], level, *labels).items():
        rows = points
        if view != "latest":
            rows = np.concatenate([published.revisions(series, level, *labels), points])
            rows = rows[rows["state"] == BILLED][::-1] if view == "billed" else rows[rows["rev"] <= view]
        rows = seen_of(rows, series, period.level, seen, published, newest=view == "latest")
        found[series] = {row.start: row for row in map(Row._make, rows.tolist())}
    return found


@lru_cache(maxsize=2**12)
def _blocks(zone: str, level: str, first: int, last: int) -> tuple[str, str]:
    """The labels of the blocks of two buckets."""
    begin, end = civil.blocks_of(zone, level, np.array([first, last], np.int64))
    return begin, end


def _corrections(shown: Sequence[Shown], period: Period, published: Published, seen: SeenUnit) -> Iterator[tuple[int, dict[str, Any]]]:
    """With their series what changed in billed rows that touch the period, are seen as a whole, and are no finer than what is seen (portal API 2)."""
    zone, finest = seen.property.zone, LEVELS.index(seen.visible.finest)
    meters = {one.series.id: one.point.id for one in shown}
    for one in published.corrections([*meters], period.start, period.end):
        if one.level >= finest and seen.visible.begins <= one.start and one.end <= seen.visible.ends:
            yield (
                one.series,
                {
                    "meter": meters[one.series],
                    "resolution": RESOLUTIONS[one.level],
                    "start": civil.local_iso(zone, one.start),
                    "end": civil.local_iso(zone, one.end),
                    "old": number(one.old),
                    "new": number(one.new),
                    "diff": number(one.diff),
                    "reason": one.reason,
                    "by": one.by,
                    "at": civil.local_iso(zone, one.at),
                    "rev": one.rev,
                },
            )


def _point(start: int, end: int, row: Row | None, zone: str, *, gauge: bool, index: bool, cut: bool) -> dict[str, Any]:
    ends = {"start": civil.local_iso(zone, start), "end": civil.local_iso(zone, end)}
    if row is None:
        flags = ["cut", "no_data"] if cut else ["no_data"]
        return {**ends, "value": None, "lo": None, "hi": None, "quality": "incomplete", "coverage": 0, "flags": flags, "state": "open", "rev": 0}
    point = {
        **ends,
        "value": number(row.value),
        "min" if gauge else "lo": number(row.lo),
        "max" if gauge else "hi": number(row.hi),
        "quality": QUALITIES[row.quality],
        "coverage": row.coverage / WHOLE,
        "flags": [*_named(row.flags)],
        "state": STATES[row.state],
        "rev": row.rev,
    }
    if gauge:
        point["n"] = row.n
    if index:
        point |= {"index_start": number(row.index_start), "index_end": number(row.index_end)}
    return point


def _together(rows: Sequence[Row | None]) -> Row | None:
    """The rows of one bucket as one: the sum is as good as its worst part, and incomplete where one has no row."""
    there = [row for row in rows if row is not None]
    if not there:
        return None
    whole = len(there) == len(rows)
    return there[0]._replace(
        value=_sum([row.value for row in there]),
        lo=_sum([row.lo for row in there]),
        hi=_sum([row.hi for row in there]) if whole else NULL,
        flags=reduce(or_, [row.flags for row in there]) | (0 if whole else NO_DATA),
        coverage=round(sum(row.coverage for row in there) / len(rows)),
        rev=max(row.rev for row in there),
        quality=max(row.quality for row in there) if whole else INCOMPLETE,
        state=min(row.state for row in there),
    )


@lru_cache
def _named(flags: int) -> tuple[str, ...]:
    return tuple(name for bit, name in enumerate((*NAMES, "no_data")) if flags >> bit & 1)


def _sum(parts: Sequence[int]) -> int:
    return NULL if NULL in parts else sum(parts)
