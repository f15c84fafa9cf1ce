"""A property in a month: what its flats used, in their own units and in kWh, with the month's average and what is estimated (SPEC 16).

Strategy: month and day rows of the whole property are read once a month; only a holder who came or went inside the month needs readings, for the use between
two instants (SPEC 12.4). Numbers are micro units of the canonical unit; instants µs UTC.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Final, Literal

from submeter import civil
from submeter.aggregate.classifier import factor_at
from submeter.core import Core
from submeter.reading import LEVELS
from submeter.store import Decision, Point, Property
from submeter.store.registry_types import HEATING, LEAST

__all__ = ["Energy", "Holding", "House", "total"]

DAY, MONTH = LEVELS.index("day"), LEVELS.index("month")
#: Where the kWh of what is not measured in kWh come from: the building's own meter of these quantities.
SOURCES: Final = {"heat_allocation": ("heat", "energy"), "hot_water": ("hot_water",)}

#: A row of a point, by the names of its columns; None where there is none.
Row = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Holding:
    """Somebody's time in a flat inside a month, µs UTC; `since` and `until` are of the whole occupancy."""

    since: int
    until: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Energy:
    """Use in kWh (micro) with how it is known; or why it is not."""

    kwh: int | None
    method: Literal["meter", "share_of_building_meter"] | None = None
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time that was not measured, and how its use was calculated; `quality` is an index of QUALITIES."""

    start: int
    end: int
    quality: int
    how: str


class House:
    """A property's points and series, with what was used in its months."""

    def __init__(self, core: Core, building: Property) -> None:
        self.building = building
        self._core = core
        self._known = core.rollups.series()
        points = {point.id: point for point in core.registry.points() if point.property == building.id}
        numbers = {key.point: number for key, number in core.readings.series().items() if _is_main(points.get(key.point), str(key.register))}
        self._series = {point: number for point, number in numbers.items() if self._known[number].kind != "gauge"}
        self._points = defaultdict[tuple[str | None, str], list[Point]](list)
        for point in points.values():
            if point.id in self._series:
                self._points[point.unit, point.quantity].append(point)
        self._floors = self._deleted()
        self._entered = defaultdict[str, list[Decision]](list)
        for one in core.registry.decisions.in_force("reading"):
            self._entered[one.point].append(one)
        self._rows: dict[tuple[int, date], dict[str, list[dict[str, Any]]]] = {}
        self._energies: dict[tuple[str, date], tuple[int | None, int | None]] = {}
        self._averages: dict[tuple[str, date], tuple[int, int | None] | None] = {}

    def _deleted(self) -> dict[int, int]:
        """Before which instant the readings or days of each series are not whole any more."""
        floors: dict[int, int] = {}
        for row in self._core.readings.retention.floors().to_pylist():
            if row["what"] in {"readings", "day"}:
                floors[row["series"]] = max(row["start"], floors.get(row["series"], row["start"]))
        return floors

    def bounds(self, month: date) -> tuple[int, int]:
        """The month (its first day) as instants."""
        return civil.midnight(self.building.zone, month), civil.midnight(self.building.zone, civil.month_after(month))

    def local(self, t: int) -> str:
        """An instant on the property's clocks."""
        return civil.local_iso(self.building.zone, t)

    def quantities(self, unit: str) -> list[str]:
        """What a flat has meters of."""
        return sorted(quantity for own, quantity in self._points if own == unit)

    def points(self, unit: str | None, quantity: str) -> list[Point]:
        """Points of a flat (None: of the building itself) that count use."""
        return self._points.get((unit, quantity), [])

    def unit_of(self, point: Point) -> str:
        """The unit of a point's numbers."""
        return self._known[self._series[point.id]].register.unit

    def deleted_until(self, unit: str, start: int) -> int | None:
        """Until when what a flat's points measured is deleted, where that is after `start`."""
        ends = [self._floors.get(self._series[point.id], start) for (own, _), some in self._points.items() if own == unit for point in some]
        return max(ends) if ends and max(ends) > start else None

    def _read(self, level: int, month: date) -> dict[str, list[dict[str, Any]]]:
        """Rows of a level that touch a month, by point in order of time."""
        if (level, month) not in self._rows:
            start, end = self.bounds(month)
            names = {number: point for point, number in self._series.items()}
            found = defaultdict[str, list[dict[str, Any]]](list)
            for row in self._core.readings.rollups(list(names), level, start, end).to_pylist():
                found[names[row["series"]]].append(row)
            self._rows[level, month] = found
        return self._rows[level, month]

    def row(self, point: Point, month: date) -> Row:
        """The row of a month."""
        return next(iter(self._read(MONTH, month).get(point.id, ())), None)

    def part(self, point: Point, holding: Holding, month: date) -> Row:
        """What is to be said of a point in the part of a month that is a holder's; the state is that of the month."""
        row = self._core.rollups.use_between(point.id, point.registers[0], holding.start, holding.end)
        whole = self.row(point, month)
        return None if row is None else row._asdict() | {"state": whole["state"] if whole else 0}

    def raw(self, point: Point, row: Row, holding: Holding) -> int | None:
        """Use in the units that the register shows: rated units without their factors."""
        factors = self._known[self._series[point.id]].spec.parameters.factors
        value: int | None = None if row is None else row["value"]
        if value is None or not factors:
            return value
        factor = factor_at(factors, holding.start)
        if not factor or any(holding.start < start < holding.end for start, _ in factors):
            found = self._core.rollups.use_between(point.id, point.registers[0], holding.start, holding.end, rated=False)
            return None if found is None else found.value
        return round(value / factor)

    def used(self, unit: str, quantity: str, month: date) -> int | None:
        """What a flat used in a whole month; None where one of its points has no row."""
        return total((self.row(point, month) for point in self.points(unit, quantity)), "value")

    def energy(self, quantity: str, unit: str, used: int | None, month: date) -> Energy:
        """Use of a flat in kWh: as measured, or as the share of the building's meter (SPEC 16.1)."""
        if all(self.unit_of(point) == "kWh" for point in self.points(unit, quantity)):
            return Energy(used, "meter")
        if quantity not in SOURCES:
            return Energy(None, why_not="not_energy")
        if not self._building_meters(quantity):
            return Energy(None, why_not="no_building_meter")
        energy, units = self._shared(quantity, month)
        if used is None or energy is None or not units:
            return Energy(None, why_not="building_incomplete")
        return Energy(round(Fraction(used * energy, units)), "share_of_building_meter")

    def _building_meters(self, quantity: str) -> list[Point]:
        return [point for source in SOURCES[quantity] for point in self.points(None, source) if self.unit_of(point) == "kWh"]

    def _shared(self, quantity: str, month: date) -> tuple[int | None, int | None]:
        """What is shared out in a month: kWh of the building's meters, and units of all flats."""
        if (quantity, month) not in self._energies:
            flats = [point for (unit, own), some in self._points.items() if own == quantity and unit is not None for point in some]
            energy, units = (total((self.row(point, month) for point in some), "value") for some in (self._building_meters(quantity), flats))
            self._energies[quantity, month] = energy, units
        return self._energies[quantity, month]

    def average(self, quantity: str, month: date) -> tuple[int, int | None] | None:
        """Use and kWh of the average flat of the property with this medium; None if fewer than LEAST flats have the month."""
        if (quantity, month) not in self._averages:
            flats = [unit for unit, own in self._points if own == quantity and unit is not None]
            known = [(unit, used) for unit in flats if (used := self.used(unit, quantity, month)) is not None]
            energies = [self.energy(quantity, unit, used, month).kwh for unit, used in known]
            sums = sum(used for _, used in known), total(({"kwh": kwh} for kwh in energies), "kwh")
            few = len(known) < LEAST
            self._averages[quantity, month] = None if few else (_mean(sums[0], len(known)), None if sums[1] is None else _mean(sums[1], len(known)))
        return self._averages[quantity, month]

    def weathered(self, quantity: str, kwh: int | None, then: date, month: date) -> int | None:
        """The kWh of another month as they would have been in this month's weather: by degree days, where both months have them."""
        days = self._core.registry.degree_days(self.building.id)
        here, there = days.get(f"{month:%Y-%m}"), days.get(f"{then:%Y-%m}")
        return None if quantity not in HEATING or kwh is None or here is None or not there else round(Fraction(kwh * here, there))

    def estimates(self, point: Point, holding: Holding, month: date) -> Iterator[Stretch]:
        """Stretches of days of a point that were not measured as a whole, as far as they are the holder's (SPEC 16.4)."""
        for first, beyond, quality in _stretches(self._read(DAY, month).get(point.id, ())):
            start, end = max(first, holding.start), min(beyond, holding.end)
            if start < end:
                said = (one.details for one in self._entered[point.id])
                methods = sorted({str(one["method"]) for one in said if start <= one["t"] < end and one["method"]})
                how = "interpolated between readings" if quality == 1 else "no readings on one side"
                yield Stretch(start, end, quality, f"substitute by {', '.join(methods)}" if methods else how)

    def corrections(self, unit: str, quantity: str) -> list[dict[str, Any]]:
        """What changed in billed rows of a flat, in order of time."""
        rows = self._core.readings.corrections([self._series[point.id] for point in self.points(unit, quantity)])
        return list(rows.to_pylist())


def _is_main(point: Point | None, register: str) -> bool:
    return point is not None and point.registers[0] == register


def _mean(micro: int, count: int) -> int:
    return round(Fraction(micro, count))


def _stretches(days: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, int, int]]:
    """Days in a row of one quality that is not measured."""
    start, end, quality = 0, 0, 0
    for day in days:
        if quality and day["quality"] != quality:
            yield start, end, quality
            quality = 0
        if day["quality"]:
            start, end, quality = start if quality else day["start"], day["end"], day["quality"]
    if quality:
        yield start, end, quality


def total(rows: Iterable[Row], name: str) -> int | None:
    """The sum over rows in micro units; None where one is not known, or there are none."""
    values = [None if row is None else row[name] for row in rows]
    return sum(value for value in values if value is not None) if values and None not in values else None
