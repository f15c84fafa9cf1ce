"""Monthly information of a flat's holder (SPEC 16): use in kWh with its method, earlier months of the same holder, an average flat, what is estimated and why.

Rules: comparisons are of the same holder only; what cannot be said is null with its reason, never guessed; a flat without holders on record has one, since
ever. What was published stays: another version is kept only where it says something else, and none once what it was made from is deleted. Numbers are in
canonical units, at most six decimals.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final, Literal

from pydantic import BaseModel

from submeter import civil
from submeter.aggregate.rows import INCOMPLETE
from submeter.core import Core, now
from submeter.errors import SubmeterError
from submeter.house import Energy, Holding, House, total
from submeter.reading import FLAGS, MICRO, QUALITIES, STATES
from submeter.store import Information, Point, Unit

__all__ = ["Amount", "Medium", "Monthly", "lines", "objects", "publish", "publish_all"]

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
    state: str
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


def publish_all(core: Core, month: date) -> Iterator[str]:
    """Publish the information of all flats for a month (its first day); yields a line for each property."""
    units = core.registry.units()
    for building in core.registry.properties():
        house = House(core, building)
        new, late = 0, 0
        for unit in units:
            if unit.property == building.id:
                for holding, said in objects(core, house, unit, month):
                    late += said is None
                    new += said is not None and _keep(core, holding, said) is not None
        gone = f"; {late} left as they were: what they were made from is deleted" if late else ""
        yield f"{building.name}: {new} new versions for {month:%Y-%m}{gone}"


def publish(core: Core, unit: Unit, month: date) -> None:
    """Publish the information of a flat's holders for a month; SubmeterError if that is not over, or what it is made from is deleted."""
    house = House(core, next(one for one in core.registry.properties() if one.id == unit.property))
    if house.bounds(month)[1] > now():
        raise SubmeterError(f"{month:%Y-%m} is not over in {house.building.zone}: its information is made after it")
    for holding, said in objects(core, house, unit, month):
        if said is None:
            until = house.local(house.deleted_until(unit.id, holding.start) or holding.start)
            raise SubmeterError(f"{unit.id} {month:%Y-%m}: readings until {until} are deleted, so what was published stands")
        _keep(core, holding, said)


def _keep(core: Core, holding: Holding, said: Monthly) -> int | None:
    return core.registry.information.keep(said.unit, holding.since, said.month, said.model_dump_json(), now=now())


def objects(core: Core, house: House, unit: Unit, month: date) -> Iterator[tuple[Holding, Monthly | None]]:
    """The information of a flat's holders for a month; None where what it is made from is deleted."""
    start, end = house.bounds(month)
    texts = {name: text for name, text in core.config.information.model_dump().items() if text}
    for one in core.registry.holders_of(unit.id):
        until = EVER if one.until is None else one.until
        if one.since >= end or until <= start:
            continue
        holding = Holding(one.since, until, max(one.since, start), min(until, end))
        if house.deleted_until(unit.id, holding.start) is not None:
            yield holding, None
            continue
        media = [_medium(house, unit.id, quantity, holding, month) for quantity in house.quantities(unit.id)]
        first, last = house.local(holding.start), house.local(holding.end)
        yield holding, Monthly(unit=unit.id, month=f"{month:%Y-%m}", start=first, end=last, media=media, texts=texts)


def _medium(house: House, unit: str, quantity: str, holding: Holding, month: date) -> Medium:
    """What a flat used of one quantity, and all that is to be said of it."""
    points = house.points(unit, quantity)
    whole = (holding.start, holding.end) == house.bounds(month)
    rows = [house.row(point, month) if whole else house.part(point, holding, month) for point in points]
    there = [row for row in rows if row is not None]
    missing = len(there) < len(rows)
    used = total(rows, "value")
    energy = house.energy(quantity, unit, used, month)
    before, last_year = civil.month_before(month), month.replace(year=month.year - 1)
    previous, earlier = (_own(house, unit, quantity, holding, other) for other in (before, last_year))
    average = house.average(quantity, month)
    raws = ({"value": house.raw(point, row, holding)} for point, row in zip(points, rows, strict=True))
    return Medium(
        medium=quantity,
        unit=house.unit_of(points[0]),
        amount=_json(used),
        raw=_json(total(raws, "value")),
        lo=_json(total(rows, "lo")),
        hi=_json(total(rows, "hi")),
        kwh=_json(energy.kwh),
        method=energy.method,
        why_no_kwh=energy.why_not,
        quality=QUALITIES[INCOMPLETE if missing else max(row["quality"] for row in there)],
        coverage=round(sum(row["coverage"] for row in there) / len(rows) / 10_000, 4),
        flags=[name for bit, name in enumerate(FLAGS) if any(row["flags"] >> bit & 1 for row in there)] + ["no_data"] * missing,
        state=STATES[0 if missing else min(row["state"] for row in there)],
        previous_month=_amount(*previous) if previous else None,
        same_month_last_year=_amount(*earlier) if earlier else None,
        last_year_climate_corrected_kwh=_json(house.weathered(quantity, earlier[1].kwh, last_year, month)) if earlier else None,
        average_flat=_amount(average[0], Energy(average[1])) if average else None,
        why_no_average=None if average else "group_too_small",
        estimates=list(_estimates(house, points, holding, month)),
        corrections=list(_corrections(house, unit, quantity, holding, month)),
    )


def _own(house: House, unit: str, quantity: str, holding: Holding, month: date) -> tuple[int, Energy] | None:
    """Another month of the same holder, who had the flat for all of it; else None."""
    start, end = house.bounds(month)
    if holding.since > start or holding.until < end:
        return None
    used = house.used(unit, quantity, month)
    return None if used is None else (used, house.energy(quantity, unit, used, month))


def _amount(used: int, energy: Energy) -> Amount:
    return Amount(amount=_json(used), kwh=_json(energy.kwh))


def _estimates(house: House, points: list[Point], holding: Holding, month: date) -> Iterator[Estimate]:
    for point in points:
        for one in house.estimates(point, holding, month):
            yield Estimate(start=house.local(one.start), end=house.local(one.end), quality=QUALITIES[one.quality], how=one.how)


def _corrections(house: House, unit: str, quantity: str, holding: Holding, month: date) -> Iterator[Correction]:
    """Billed use of earlier periods of the same holder that changed in this month."""
    start, end = house.bounds(month)
    for row in house.corrections(unit, quantity):
        if holding.since <= row["start"] and row["end"] <= start <= row["made"] < end:
            diff = (row["new"] or 0) - (row["old"] or 0)
            yield Correction(start=house.local(row["start"]), end=house.local(row["end"]), diff=diff / MICRO, reason=row["reason"])


def _json(micro: int | None) -> float | None:
    return None if micro is None else micro / MICRO


def lines(kept: Information) -> Iterator[str]:
    """A version as lines for an operator."""
    said = Monthly.model_validate_json(kept.body)
    told = f"told {civil.iso(kept.notified)} by {kept.via}" if kept.notified is not None else "nobody was told yet"
    yield f"{said.unit}  {said.month}  {said.start} to {said.end}  version {kept.version} of {civil.iso(kept.published)}, {told}"
    for one in said.media:
        rated = f" ({_shown(one.raw)} on the registers)" if one.raw != one.amount else ""
        yield f"  {one.medium}: {_shown(one.amount)} {one.unit}{rated}, {_shown(one.kwh)} kWh by {one.method or one.why_no_kwh}"
        yield f"    {one.quality}, covered {100 * one.coverage:.1f} %, between {_shown(one.lo)} and {_shown(one.hi)}, {one.state}{' '.join(['', *one.flags])}"
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
