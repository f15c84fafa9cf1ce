"""What an answer is compared with: the span before, a year earlier, the average flat of the house, last year in this year's weather (portal API 4).

Each comparison has the series and the buckets of the answer, in its order; a point tells the bucket that it was taken from.
Rules: values of a flat are those of one holder, who has it at the end of the asked range: what began before that holder came is null (SPEC 16.2). An
average of fewer than LEAST flats is null, so that nobody's use is read off it (SPEC 16.3). What cannot be said is null with its reason.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from submeter import civil
from submeter.api.access import SeenUnit
from submeter.api.consumption import Shown, View, answer, shown_series
from submeter.api.numbers import number
from submeter.api.periods import Period
from submeter.api.problems import Invalid
from submeter.reading import LEVELS, MICRO, to_micro
from submeter.store.published import NULL, Points, Published
from submeter.store.registry import Registry
from submeter.store.registry_types import HEATING, LEAST, Occupancy, Property

__all__ = ["HEATING", "LEAST", "Comparison", "Question", "building_series", "compared", "holder_of"]

Comparison = Literal["previous", "year", "building", "climate"]
#: The units in which the use of heat is counted.
HEAT_UNITS: Final = frozenset({"kW.h", "{hca}"})
#: No bucket of a level (in order of LEVELS) is longer than this, in µs.
LONGEST: Final = dict(zip(LEVELS, (civil.HOUR, 2 * civil.DAY, 32 * civil.DAY, 367 * civil.DAY), strict=True))
#: A point that nothing is said of.
UNKNOWN: Final[Mapping[str, Any]] = {
    "start": None, "end": None, "value": None, "lo": None, "hi": None, "quality": "incomplete", "coverage": 0, "flags": [], "state": "open", "rev": 0,
}  # fmt: skip

Series = Mapping[str, Any]
Point = dict[str, Any]
#: Class, register and unit of a series.
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: the unit, the buckets, the series of which view, summed or by meter; `holder` is whose use earlier buckets may show."""

    seen: SeenUnit
    period: Period
    shown: Sequence[Shown]
    view: View
    by_meter: bool
    holder: Occupancy | None


def holder_of(registry: Registry, seen: SeenUnit, period: Period, *, now: int) -> Occupancy | None:
    """Who holds a unit at the end of the asked range, or now if that is still to come, not before what is visible; None if nobody does."""
    last, since = max(period.start, min(period.end - 1, now)), seen.visible.since
    found = next((one for one in registry.holders_of(seen.unit.id) if one.holds(last)), None)
    return found if found is None or since is None else replace(found, since=max(found.since, since))


def compared(name: Comparison, question: Question, base: Sequence[Series], registry: Registry, published: Published) -> dict[str, Any]:
    """One comparison of the answer `base`; raises Invalid where the calendar does not reach back so far."""
    match name:
        case "previous":
            return _earlier(question, base, published, _before(question.period, question.seen.property))
        case "year":
            return _earlier(question, base, published, _year_before(question.period, question.seen.property))
        case "building":
            return {"least_flats": LEAST, "series": list(_averages(question, base, registry, published))}
        case "climate":
            return _weathered(question, base, registry, published)


def building_series(question: Question, registry: Registry, published: Published) -> list[Shown]:
    """The counters of all flats of the house that have the classes and registers of the answer."""
    wanted = {(one.point.quantity, one.series.register.name) for one in question.shown if one.series.kind != "gauge"}
    points = [point for point in registry.points_in(question.seen.property.id) if point.unit and point.quantity in {kind for kind, _ in wanted}]
    found = shown_series(published, points, {name for _, name in wanted})
    return [one for one in found if one.series.kind != "gauge" and (one.point.quantity, one.series.register.name) in wanted]


# Earlier values of the same holder


def _earlier(question: Question, base: Sequence[Series], published: Published, starts: Sequence[int | None]) -> dict[str, Any]:
    """The rows of earlier buckets, one for each of the answer; None where the calendar has no such bucket."""
    zone, grid = question.seen.property.zone, _grid(question, starts)
    if not len(grid):
        return {"from": None, "to": None, "series": [_like(series, _places(question, starts, {})) for series in base]}
    span = replace(question.period, start=int(grid[0]), end=int(grid[-1]), edges=grid, next=None, cut={})
    rows = answer(question.seen, span, question.shown, published, view=question.view, by_meter=question.by_meter, index=False)["series"]
    places = _places(question, starts, dict(pairwise(grid.tolist())))
    series = [_like(one, _filled(places, found["points"])) for one, found in zip(base, rows, strict=True)]
    return {"from": civil.local_iso(zone, span.start), "to": civil.local_iso(zone, span.end), "series": series}


def _grid(question: Question, starts: Sequence[int | None]) -> civil.Instants:
    """The buckets from the first to the last of these starts."""
    building, known = question.seen.property, [start for start in starts if start is not None]
    return civil.boundaries(building.zone, question.period.level, min(known), max(known) + 1, building.year_start) if known else np.zeros(0, np.int64)


def _places(question: Question, starts: Sequence[int | None], ends: Mapping[int, int]) -> list[Point]:
    """A point without a value for each earlier bucket; `reason` where it must stay so."""
    zone, holder = question.seen.property.zone, question.holder
    return [
        {**UNKNOWN, "reason": "no_such_bucket"}
        if start is None
        else {
            **UNKNOWN,
            "start": civil.local_iso(zone, start),
            "end": civil.local_iso(zone, ends[start]),
            "reason": None if holder and holder.since <= start else "other_holder",
        }
        for start in starts
    ]


def _filled(places: Sequence[Point], points: Sequence[Point]) -> list[Point]:
    """These places with the points that may stand there."""
    known = {point["start"]: point for point in points}
    return [place if place["reason"] else place | known.get(place["start"], {}) for place in places]


def _before(period: Period, building: Property) -> list[int | None]:
    """As many buckets, just before the first one."""
    count, first = len(period.edges) - 1, period.starts[0] if len(period.edges) > 1 else period.start
    try:
        grid = civil.boundaries(building.zone, period.level, first - (count + 1) * LONGEST[period.level], first, building.year_start)
    except civil.CivilError as error:
        raise Invalid(str(error), "compare") from error
    return list(grid[-1 - count : -1].tolist())


def _year_before(period: Period, building: Property) -> list[int | None]:
    """Each bucket a year earlier by the calendar: the same month, date, or hour on the clock; None where that year had none."""
    shift = _hour_before if period.level == "hour" else _date_before
    try:
        return [shift(building.zone, start) for start in period.starts]
    except civil.CivilError as error:
        raise Invalid(str(error), "compare") from error


def _date_before(zone: str, start: int) -> int | None:
    day = civil.local_date(zone, start)
    leap = (day.month, day.day) == (2, 29)
    return None if leap else civil.midnight(zone, day.replace(year=day.year - 1))


def _hour_before(zone: str, start: int) -> int | None:
    """The same time on the clock; the second of two equal hours only where there were two."""
    local = civil.to_local(zone, start)
    if (local.month, local.day) == (2, 29):
        return None
    wanted = local.replace(year=local.year - 1, tzinfo=None, fold=0)
    found = civil.to_utc(zone, wanted, second=bool(local.fold))
    then = civil.to_local(zone, found)
    return found if then.replace(tzinfo=None, fold=0) == wanted and then.fold == local.fold else None


# The average flat


def _averages(question: Question, base: Sequence[Series], registry: Registry, published: Published) -> Iterator[dict[str, Any]]:
    """For each series of the answer the mean over the flats of the house that have the bucket."""
    flats = defaultdict[Key, dict[str, list[Shown]]](lambda: defaultdict(list))
    for one in building_series(question, registry, published):
        flats[_key(one)][str(one.point.unit)].append(one)
    keys = sorted({(*_key(one), one.point.id if question.by_meter or one.series.kind == "gauge" else "") for one in question.shown})
    for series, (*key, _) in zip(base, keys, strict=True):
        why = "only_by_quantity" if question.by_meter else None if series["statistic"] == "sum" else "only_of_counters"
        group = {} if why else flats[key[0], key[1], key[2]]
        yield _like(series, list(_means(question, published, group.values(), why or "group_too_small")))


def _key(one: Shown) -> Key:
    return one.point.quantity, str(one.series.register), one.series.register.unit


def _means(question: Question, published: Published, flats: Collection[Sequence[Shown]], why: str) -> Iterator[Point]:
    """The mean of each bucket; `why` where there is none."""
    zone, level, edges = question.seen.property.zone, question.period.level, question.period.edges.tolist()
    sums, counts = np.zeros(len(edges) - 1, np.int64), np.zeros(len(edges) - 1, np.int64)
    if len(sums):
        first, last = civil.blocks_of(zone, level, question.period.edges[[0, -2]])
        rows = published.read_all([one.series.id for of_flat in flats for one in of_flat], LEVELS.index(level), first, last)
        for of_flat in flats:
            used, known = _used([rows[one.series.id] for one in of_flat], edges[:-1])
            sums, counts = sums + used, counts + known
    for (start, end), whole, count in zip(pairwise(edges), sums.tolist(), counts.tolist(), strict=True):
        if start in question.period.cut or count < LEAST:
            mean: dict[str, Any] = {"value": None, "reason": "cut" if start in question.period.cut else why}
        else:
            mean = {"value": number(Fraction(whole, count)), "flats": count}
        yield {"start": civil.local_iso(zone, start), "end": civil.local_iso(zone, end), **mean}


def _used(meters: Sequence[Points], starts: Sequence[int]) -> tuple[civil.Instants, NDArray[np.bool_]]:
    """What a flat used in each bucket, micro units, and whether all its counters have a row there; 0 where not."""
    used, known = np.zeros(len(starts), np.int64), np.full(len(starts), fill_value=True)
    for rows in meters:
        values = dict(zip(rows["start"].tolist(), rows["value"].tolist(), strict=True))
        column = np.array([values.get(start, NULL) for start in starts], np.int64)
        used, known = used + np.where(column == NULL, 0, column), known & (column != NULL)
    return np.where(known, used, 0), known


# Last year in this year's weather


def _weathered(question: Question, base: Sequence[Series], registry: Registry, published: Published) -> dict[str, Any]:
    """The values of last year by the degree days of both months: of heat alone, by the month alone."""
    building = question.seen.property
    earlier = _earlier(question, base, published, _year_before(question.period, building))
    months = [f"{civil.to_local(building.zone, start):%Y-%m}" for start in question.period.starts]
    days = registry.degree_days(building.id)
    series = []
    for one, then in zip(base, earlier["series"], strict=True):
        why = None if _is_heating(one) else "not_heating"
        why = why if question.period.level == "month" else "only_by_month"
        series.append(_like(one, [_in_weather(point, month, days, why) for point, month in zip(then["points"], months, strict=True)]))
    said = {"method": "degree_days", "source": f"degree days of {building.name}, as its directory gives them"}
    return {**said, "from": earlier["from"], "to": earlier["to"], "series": series}


def _is_heating(series: Series) -> bool:
    return series["class"] in HEATING and series["uom"] in HEAT_UNITS and series["statistic"] == "sum"


def _in_weather(then: Point, month: str, days: Mapping[str, int], why: str | None) -> Point:
    """A month of last year as it would have been in the weather of `month`."""
    place = {name: then[name] for name in ("start", "end")}
    here, there = days.get(month), days.get(str(then["start"])[: len("YYYY-MM")])
    why = why or then.get("reason") or ("no_data" if then["value"] is None else None) or (None if here is not None and there else "no_degree_days")
    if why or here is None or not there:
        return {**place, "value": None, "reason": why}
    value = Fraction(to_micro(Decimal(repr(then["value"]))) * here, there)
    used = {"degree_days": here / MICRO, "degree_days_then": there / MICRO}
    return {**place, "value": number(value), "quality": then["quality"], "coverage": then["coverage"], "flags": then["flags"], **used}


def _like(series: Series, points: list[Point]) -> dict[str, Any]:
    """A series of a comparison: that of the answer with other points."""
    return {name: said for name, said in series.items() if name not in {"points", "corrections"}} | {"points": points}
