"""Monthly information of a flat's holder (SPEC 16): use in kWh with its method, earlier months of the same holder, an average flat, what is estimated and why.

Strategy: month rows of the whole property are read once; only a holder who came or went inside the month needs readings, for the use between two instants
(SPEC 12.4). Rules: comparisons are of the same holder only; what cannot be said is null with its reason, never guessed; a flat without holders on record has
one, since ever; an object is kept as a version only where it says something else than the one before. Numbers are in canonical units, at most six decimals.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Final, Literal

from pydantic import BaseModel

from submeter import civil
from submeter.aggregate.rows import INCOMPLETE
from submeter.core import Core, now
from submeter.errors import SubmeterError
from submeter.reading import FLAGS, LEVELS, MICRO, QUALITIES
from submeter.store import Occupancy, Point, Property, Unit

__all__ = ["Amount", "Holding", "Medium", "Monthly", "lines", "make", "make_all", "objects"]

MONTH: Final = LEVELS.index("month")
#: Fewer flats than this are no group to compare with (SPEC 16.3).
LEAST: Final = 5
#: Quantities whose use depends on the weather.
HEATING: Final = frozenset({"heat", "heat_allocation"})
#: Where the kWh of what is not measured in kWh come from: the building's own meter of these quantities.
SOURCES: Final = {"heat_allocation": ("heat", "energy"), "hot_water": ("hot_water",)}
EVER: Final = 2**62


class Amount(BaseModel):
    """Use in the medium's own unit (rated, for allocators), and in kWh where that can be said."""

    amount: float | None
    kwh: float | None


class Estimate(BaseModel):
    """A stretch of days that was not measured, and how it was calculated."""

    start: str
    end: str
    quality: str
    how: str


class Correction(BaseModel):
    """An earlier period whose billed use changed."""

    start: str
    end: str
    diff: float
    reason: str


class Medium(BaseModel):
    """One quantity of a flat in a month, or in the part of it that its holder had."""

    medium: str
    unit: str
    amount: float | None
    raw: float | None
    lo: float | None
    hi: float | None
    kwh: float | None
    method: Literal["meter", "share_of_building_meter"] | None
    why_no_kwh: str | None
    quality: str
    coverage: float
    flags: list[str]
    previous_month: Amount | None
    same_month_last_year: Amount | None
    last_year_climate_corrected_kwh: float | None
    average_flat: Amount | None
    why_no_average: str | None
    estimates: list[Estimate]
    corrections: list[Correction]


class Monthly(BaseModel):
    """The information of one holder for one month; `start` and `end` are local times inside it."""

    unit: str
    month: str
    start: str
    end: str
    media: list[Medium]
    texts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Holding:
    """Somebody's time in a flat inside a month, µs UTC; `since` and `until` are of the whole occupancy."""

    since: int
    until: int
    start: int
    end: int


def make_all(core: Core, month: date) -> Iterator[str]:
    """Make the information of all flats for a month (its first day); yields a line for each property."""
    for building in core.registry.properties():
        made = sum(1 for unit in core.registry.units() if unit.property == building.id for _ in make(core, unit, month))
        yield f"{building.name}: {made} new versions for {month:%Y-%m}"


def make(core: Core, unit: Unit, month: date) -> Iterator[tuple[Holding, Monthly, int]]:
    """Make and keep the information of a flat's holders for a month; yields what is new, with its version."""
    for holding, said in objects(core, unit, month):
        version = core.registry.information.keep(unit.id, holding.since, said.month, said.model_dump_json(), now=now())
        if version is not None:
            yield holding, said, version


def objects(core: Core, unit: Unit, month: date) -> Iterator[tuple[Holding, Monthly]]:
    """The information of a flat's holders for a month; SubmeterError if the month is not over."""
    house = _House(core, next(one for one in core.registry.properties() if one.id == unit.property))
    start, end = house.bounds(month)
    if end > now():
        raise SubmeterError(f"{month:%Y-%m} is not over in {house.building.zone}: its information is made after it")
    for holding in _holdings(core.registry.holders_of(unit.id), start, end):
        media = [house.medium(unit, quantity, holding, month) for quantity in house.quantities(unit)]
        yield (
            holding,
            Monthly(
                unit=unit.id,
                month=f"{month:%Y-%m}",
                start=house.local(holding.start),
                end=house.local(holding.end),
                media=media,
                texts={name: text for name, text in core.config.information.model_dump().items() if text},
            ),
        )


def _holdings(holders: Sequence[Occupancy], start: int, end: int) -> Iterator[Holding]:
    for one in holders:
        until = EVER if one.until is None else one.until
        if one.since < end and until > start:
            yield Holding(one.since, until, max(one.since, start), min(until, end))


def lines(said: Monthly, version: int) -> Iterator[str]:
    """An object as lines for an operator."""
    yield f"{said.unit}  {said.month}  {said.start} to {said.end}  version {version}"
    for one in said.media:
        rated = f" ({_shown(one.raw)} on the registers)" if one.raw != one.amount else ""
        yield f"  {one.medium}: {_shown(one.amount)} {one.unit}{rated}, {_shown(one.kwh)} kWh by {one.method or one.why_no_kwh}"
        yield f"    {one.quality}, covered {100 * one.coverage:.1f} %, between {_shown(one.lo)} and {_shown(one.hi)}{' '.join(['', *one.flags])}"
        for name, other in (
            ("month before", one.previous_month),
            ("same month last year", one.same_month_last_year),
            ("average flat", one.average_flat),
        ):
            reason = one.why_no_average if name == "average flat" else "not of this holder, or not known"
            yield f"    {name}: {f'{_shown(other.amount)} {one.unit}, {_shown(other.kwh)} kWh' if other else reason}"
        if one.last_year_climate_corrected_kwh is not None:
            yield f"    last year in this month's weather: {_shown(one.last_year_climate_corrected_kwh)} kWh"
        yield from (f"    {part.quality} {part.start} to {part.end}: {part.how}" for part in one.estimates)
        yield from (f"    correction of {part.start} to {part.end}: {_shown(part.diff)} {one.unit}, {part.reason}" for part in one.corrections)


def _shown(number: float | None) -> str:
    return "unknown" if number is None else f"{number:.6f}".rstrip("0").rstrip(".")


class _House:
    """A property's points and series, with what was used in a month."""

    def __init__(self, core: Core, building: Property) -> None:
        self.core, self.building = core, building
        self.points = [point for point in core.registry.points() if point.property == building.id]
        self.series = {key.point: number for key, number in core.readings.series().items() if self._is_main(key.point, str(key.register))}
        self.known = core.series()
        self._rows: dict[date, dict[str, dict[str, Any]]] = {}

    def _is_main(self, point: str, register: str) -> bool:
        return any(one.id == point and one.registers[0] == register for one in self.points)

    def bounds(self, month: date) -> tuple[int, int]:
        return civil.midnight(self.building.zone, month), civil.midnight(self.building.zone, civil.month_after(month))

    def local(self, t: int) -> str:
        return civil.to_local(self.building.zone, t).isoformat()

    def quantities(self, unit: Unit) -> list[str]:
        return sorted({point.quantity for point in self.of(unit, None)})

    def of(self, unit: Unit | None, quantity: str | None) -> list[Point]:
        """Points of a flat (None: of the building itself) that count use."""
        inside = [point for point in self.points if point.unit == (unit.id if unit else None) and quantity in {None, point.quantity}]
        return [point for point in inside if point.id in self.series and self.known[self.series[point.id]].kind != "gauge"]

    def rows(self, month: date) -> dict[str, dict[str, Any]]:
        """Month rows by point."""
        if month not in self._rows:
            start, end = self.bounds(month)
            rows = self.core.readings.rollups(list(self.series.values()), MONTH, start, end).to_pylist()
            points = {number: point for point, number in self.series.items()}
            self._rows[month] = {points[row["series"]]: row for row in rows if row["start"] == start}
        return self._rows[month]

    def medium(self, unit: Unit, quantity: str, holding: Holding, month: date) -> Medium:
        """What a flat used of one quantity, and all that is to be said of it."""
        points = self.of(unit, quantity)
        start, end = self.bounds(month)
        whole = (holding.start, holding.end) == (start, end)
        rows = [self.rows(month).get(point.id) if whole else self.part(point, holding) for point in points]
        used = _total(rows, "value")
        kwh, method, why_not = self.kwh(quantity, points, used, month)
        before, last_year = civil.month_before(month), month.replace(year=month.year - 1)
        earlier = self.own(unit, quantity, holding, last_year)
        average, why_no_average = self.average(quantity, month)
        there = [row for row in rows if row is not None]
        flags = [name for bit, name in enumerate(FLAGS) if any(row["flags"] >> bit & 1 for row in there)]
        return Medium(
            medium=quantity,
            unit=self.known[self.series[points[0].id]].register.unit,
            amount=_json(used),
            raw=_json(self.raw(points, rows, holding)),
            lo=_json(_total(rows, "lo")),
            hi=_json(_total(rows, "hi")),
            kwh=_json(kwh),
            method=method,
            why_no_kwh=why_not,
            quality=QUALITIES[max((row["quality"] for row in there), default=INCOMPLETE) if len(there) == len(rows) else INCOMPLETE],
            coverage=round(sum(row["coverage"] for row in there) / len(rows) / 10_000, 4),
            flags=flags + ["no_data"] * (len(there) < len(rows)),
            previous_month=self.own(unit, quantity, holding, before),
            same_month_last_year=earlier,
            last_year_climate_corrected_kwh=self.corrected(quantity, earlier, month, last_year),
            average_flat=average,
            why_no_average=why_no_average,
            estimates=list(self.estimates(points, holding)),
            corrections=list(self.corrections(points, holding, start)),
        )

    def kwh(self, quantity: str, points: Sequence[Point], used: int | None, month: date) -> tuple[int | None, Any, str | None]:
        """Use in kWh: as measured, or as the share of the building's meter (SPEC 16.1); else the reason."""
        if all(self.known[self.series[point.id]].register.unit == "kWh" for point in points):
            return used, "meter", None
        if quantity not in SOURCES:
            return None, None, "not_energy"
        meters = [one for one in self.points if one.unit is None and one.quantity in SOURCES[quantity] and one.id in self.series]
        meters = [one for one in meters if self.known[self.series[one.id]].register.unit == "kWh"]
        if not meters:
            return None, None, "no_building_meter"
        flats = [point for point in self.points if point.quantity == quantity and point.unit is not None and point.id in self.series]
        energy, units = (_total([self.rows(month).get(point.id) for point in some], "value") for some in (meters, flats))
        if used is None or energy is None or not units:
            return None, None, "building_incomplete"
        return round(Fraction(used * energy, units)), "share_of_building_meter", None

    def own(self, unit: Unit, quantity: str, holding: Holding, month: date) -> Amount | None:
        """Another month of the same holder, who had the flat for all of it; else None."""
        start, end = self.bounds(month)
        if holding.since > start or holding.until < end:
            return None
        return self.amount(self.of(unit, quantity), quantity, month)

    def amount(self, points: Sequence[Point], quantity: str, month: date) -> Amount | None:
        used = _total([self.rows(month).get(point.id) for point in points], "value")
        return None if used is None else Amount(amount=_json(used), kwh=_json(self.kwh(quantity, points, used, month)[0]))

    def corrected(self, quantity: str, earlier: Amount | None, month: date, last_year: date) -> float | None:
        """Last year's use as it would have been in this month's weather: by degree days, where both months have them."""
        days = self.core.registry.degree_days(self.building.id)
        here, there = days.get(f"{month:%Y-%m}"), days.get(f"{last_year:%Y-%m}")
        if quantity not in HEATING or earlier is None or earlier.kwh is None or here is None or not there:
            return None
        return _json(round(Fraction(round(earlier.kwh * MICRO) * here, there)))

    def average(self, quantity: str, month: date) -> tuple[Amount | None, str | None]:
        """The average flat of the property with the same medium; None and why, if there are too few that have the month (SPEC 16.3)."""
        flats = [self.of(unit, quantity) for unit in self.core.registry.units() if unit.property == self.building.id]
        known = [one for one in (self.amount(points, quantity, month) for points in flats if points) if one is not None]
        if len(known) < LEAST:
            return None, "group_too_small"
        energies = [one.kwh for one in known if one.kwh is not None]
        mean = round(sum(one.amount or 0 for one in known) / len(known), 6)
        return Amount(amount=mean, kwh=round(sum(energies) / len(energies), 6) if len(energies) == len(known) else None), None

    def part(self, point: Point, holding: Holding) -> dict[str, Any] | None:
        """Use of a point between two instants."""
        row = self.core.use_between(point.id, point.registers[0], holding.start, holding.end)
        return None if row is None else row._asdict()

    def raw(self, points: Sequence[Point], rows: Sequence[dict[str, Any] | None], holding: Holding) -> int | None:
        """Use in the units that the registers show: rated units without their factors."""
        return _total([self._raw(point, row, holding) for point, row in zip(points, rows, strict=True)], "value")

    def _raw(self, point: Point, row: dict[str, Any] | None, holding: Holding) -> dict[str, Any] | None:
        factors = self.known[self.series[point.id]].spec.parameters.factors
        inside = [start for start, _ in factors if holding.start < start < holding.end]
        if row is None or row["value"] is None or not factors:
            return row
        if inside:
            found = self.core.use_between(point.id, point.registers[0], holding.start, holding.end, rated=False)
            return None if found is None else found._asdict()
        factor = next((factor for start, factor in reversed(factors) if start <= holding.start), factors[0][1])
        return {"value": round(row["value"] / factor) if factor else None}

    def estimates(self, points: Sequence[Point], holding: Holding) -> Iterator[Estimate]:
        """Stretches of days of the points that were not measured as a whole (SPEC 16.4)."""
        for point in points:
            days = self.core.readings.rollups([self.series[point.id]], LEVELS.index("day"), holding.start, holding.end).to_pylist()
            said = {one.details["t"]: one.details["method"] for one in self.core.registry.decisions.in_force("reading", point=point.id)}
            for start, end, quality in _stretches(days):
                methods = sorted({str(method) for t, method in said.items() if start <= t < end and method})
                how = (
                    f"substitute by {', '.join(methods)}"
                    if methods
                    else "interpolated between readings"
                    if quality == 1
                    else "no readings on one side"
                )
                yield Estimate(start=self.local(start), end=self.local(end), quality=QUALITIES[quality], how=how)

    def corrections(self, points: Sequence[Point], holding: Holding, before: int) -> Iterator[Correction]:
        """Billed use of earlier periods of the same holder that changed in this month or later."""
        for row in self.core.readings.corrections([self.series[point.id] for point in points]).to_pylist():
            if holding.since <= row["start"] and row["end"] <= before <= row["made"]:
                diff = (row["new"] or 0) - (row["old"] or 0)
                yield Correction(start=self.local(row["start"]), end=self.local(row["end"]), diff=_json(diff) or 0, reason=row["reason"])


def _stretches(days: Iterable[dict[str, Any]]) -> Iterator[tuple[int, int, int]]:
    """Days in a row of one quality that is not measured."""
    start, end, quality = 0, 0, 0
    for day in days:
        if quality and (day["quality"] != quality or day["start"] != end):
            yield start, end, quality
            quality = 0
        if day["quality"]:
            start, end, quality = start if quality else day["start"], day["end"], day["quality"]
    if quality:
        yield start, end, quality


def _total(rows: Iterable[dict[str, Any] | None], name: str) -> int | None:
    """The sum over all points in micro units; None where one is not known."""
    values = [None if row is None else row[name] for row in rows]
    return sum(value for value in values if value is not None) if values and None not in values else None


def _json(micro: int | None) -> float | None:
    return None if micro is None else micro / MICRO
