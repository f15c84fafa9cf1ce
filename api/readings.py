"""Routes of one meter: where it stands, its history, and the index that a resident sends in (portal API 3, FEATURES b).

Rules: a meter is a point of a visible unit, asked by `Access.meter`; history is what is published (the index at the ends of days) and what was sent in, of the
own time only; an index must lie between its neighbours in time, or roll over, and rise no faster than the register may. Whoever sends in without an account
learns nothing: one answer for every refusal, five tries a day and meter, and the session ends with the reading.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, NamedTuple

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import Field

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.consumption import UOM
from submeter.api.forms import Body
from submeter.api.meters import meters_of
from submeter.api.numbers import moment, number
from submeter.api.periods import period
from submeter.api.problems import Conflict, Invalid, NotAccepted, Problem
from submeter.api.secrets import word
from submeter.api.sending import count_today
from submeter.reading import LEVELS, QUALITIES, to_micro
from submeter.store.published import NULL, Published, PublishedSeries
from submeter.store.registry_types import Point

__all__ = ["routes"]

#: How far a reading may lie ahead of our clock, and behind it, µs.
AHEAD: Final = 10 * civil.MINUTE
BEHIND: Final = 31 * civil.DAY
#: How far back the index before a reading is looked for, µs.
LOOK_BACK: Final = 400 * civil.DAY
#: What a register may rise in an hour where its point does not say, canonical units.
RATES: Final[Mapping[str, int]] = {"m3": 10, "kWh": 100, "hca": 50}
OTHERWISE: Final = 100
TRIES: Final = 5
#: An index that a reading proves; others are computed, and no bound for what is sent in.
MEASURED: Final = QUALITIES.index("measured")
#: Letters of a confirmation number: 50 bits.
CONFIRMATION: Final = 10

routes: Final = APIRouter(tags=["readings"])


class Sent(Body):
    """An index as it was read: `value` in the register's unit, `time` (default: now) an instant with its offset, perhaps the hash of a photo."""

    value: Annotated[Decimal, Field(ge=0, lt=10**9, decimal_places=6, description="the index, e.g. 123.456")]
    time: Annotated[str, Field(max_length=40)] | None = None
    photo_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class _Stand(NamedTuple):
    t: int
    value: int
    quality: int = 0


@routes.get("/v1/meters/{meter}")
async def meter_of(request: Request, meter: str, access: Annotated[Access, scoped("units:read", cost="r")]) -> dict[str, Any]:
    """One meter: device, last index and its time, last heard, exchanges."""
    seen, point = access.meter(meter)
    told = meters_of(seen, access.registry, request.app.state.published, now=access.now)
    return {"unit": seen.unit.id, **next(one for one in told["meters"] if one["id"] == point.id)}


@routes.get("/v1/meters/{meter}/readings")
async def history(
    request: Request,
    meter: str,
    access: Annotated[Access, scoped("readings:read", cost="r")],
    start: Annotated[str, Query(alias="from", description="local date or instant with offset, included")],
    end: Annotated[str, Query(alias="to", description="local date or instant with offset, excluded")],
    source: Annotated[Literal["meter", "self"] | None, Query(description="only what the meter said, or what residents sent in")] = None,
) -> dict[str, Any]:
    """The main register's index at the ends of published days (of months, where the property shows no days), and what was sent in, in order of time."""
    seen, point = access.meter(meter)
    published: Published = request.app.state.published
    finest: Literal["P1M", "P1D"] = "P1M" if "month" in {seen.property.finest, seen.visible.finest} else "P1D"
    asked = period(start, end, finest, seen.property, now=access.now, visible=seen.visible)
    series, zone = _main(published, point), seen.property.zone
    told: list[tuple[int, dict[str, Any]]] = []
    if series and source != "self":
        stands = _ends(published, series, asked.level, asked.start, min(asked.end, int(asked.edges[-1])), zone)
        told += [(one.t, {"value": number(one.value), "source": "meter", "confirmation": None, "state": QUALITIES[one.quality]}) for one in stands]
    if source != "meter":
        for one in access.registry.self_readings.of(point.id, asked.start, asked.end):
            state = "received" if one.taken is None else "taken"
            told.append((one.t, {"value": number(one.value), "source": "self", "confirmation": one.confirmation, "state": state}))
    unit = series.register.unit if series else None
    return {
        "meter": point.id,
        "register": point.registers[0],
        "uom": UOM.get(unit, unit) if unit else None,
        "readings": [{"at": civil.local_iso(zone, t), **rest} for t, rest in sorted(told, key=lambda one: one[0])],
        "next": moment(asked.next, zone),
    }


@routes.post("/v1/meters/{meter}/readings", status_code=201)
async def send(request: Request, meter: str, access: Annotated[Access, scoped("readings:self", cost="w")], body: Sent) -> dict[str, Any]:
    """Send an index in; answers a confirmation number. It counts where no reading of the meter itself covers the time."""
    seen, point = access.meter(meter)
    session, accounts = access.session, access.registry.accounts
    alone = session is not None and session.role == "submitter"
    key = f"readings:{point.id}"
    if alone and accounts.held_up(key, access.now, daily=TRIES):
        raise NotAccepted
    try:
        at, value = _checked(request, access, seen, point, body)
    except Problem:
        if not alone:
            raise
        count_today(accounts, key, access.now)
        raise NotAccepted from None
    sender = f"account:{access.principal.account}" if access.principal.account else f"session:{access.principal.token}"
    with access.registry.writing():
        made = access.registry.self_readings.keep(
            point.id, point.registers[0], t=at, value=value, now=access.now, sender=sender, confirmation=word(CONFIRMATION), photo=body.photo_sha256
        )
        access.registry.record(sender, "reading.send", f"point:{point.id}", made.confirmation)
        if alone and session:
            accounts.end_session(session.id, access.now)
    return {"confirmation": made.confirmation}


def _checked(request: Request, access: Access, seen: SeenUnit, point: Point, body: Sent) -> tuple[int, int]:
    """Instant and value (micro units) of a reading that can be; raises Invalid, or Conflict where it does not fit its neighbours."""
    zone, value = seen.property.zone, to_micro(body.value)
    at = _instant(body.time, access.now)
    _open(request.app.state.readings_open.get(seen.property.manager), civil.to_local(zone, access.now))
    if not seen.visible.holds(at) or not any(one.holds(at) for one in access.registry.assignments_of(point.id)):
        raise Invalid("no meter of yours was there at this time", "time")
    published: Published = request.app.state.published
    series = _main(published, point)
    if series and series.kind == "gauge":
        raise Invalid("this meter has no index to send in", "meter")
    modulus = _amount(point, "modulus")
    if modulus is not None and value >= modulus:
        raise Invalid("more digits than the meter has", "value")
    rate = _amount(point, "max_rate_per_h") or RATES.get(series.register.unit if series else "", OTHERWISE) * 1_000_000
    before, after = _around(access, published, series, point, at, zone)
    for earlier, later in ((before, _Stand(at, value)), (_Stand(at, value), after)):
        if earlier and later:
            _follows(earlier, later, modulus, rate)
    return at, value


def _instant(text: str | None, now: int) -> int:
    if text is None:
        return now
    try:
        at = civil.instant(text)
    except (ValueError, civil.CivilError):
        raise Invalid("write an instant with its offset, e.g. 2026-01-31T18:00:00+01:00", "time") from None
    if not now - BEHIND <= at <= now + AHEAD:
        raise Invalid("it lies ahead, or more than a month back", "time")
    return at


def _open(days: tuple[int, int] | None, here: datetime) -> None:
    """Days of the month on which readings are taken; the second may be before the first: then over the end of the month."""
    if days is None:
        return
    first, last = days
    if not (first <= here.day <= last if first <= last else here.day >= first or here.day <= last):
        raise Invalid(f"readings are taken from day {first} to day {last} of the month", "time")


def _follows(earlier: _Stand, later: _Stand, modulus: int | None, rate: int) -> None:
    """Whether an index can follow another one; raises Conflict where it falls without rolling over, or rises too fast."""
    rise = later.value - earlier.value
    if rise < 0 and modulus is not None:
        rise += modulus
    if rise < 0 or rise * civil.HOUR > rate * max(later.t - earlier.t, civil.HOUR):
        raise Conflict("this index does not fit those before and after it: look again at the meter, and at the decimals")


def _around(
    access: Access, published: Published, series: PublishedSeries | None, point: Point, at: int, zone: str
) -> tuple[_Stand | None, _Stand | None]:
    """What is known before (or at) and after an instant."""
    start, end = at - LOOK_BACK, max(access.now, at) + civil.DAY
    known = [_Stand(one.t, one.value) for one in access.registry.self_readings.of(point.id, start, end)]
    exchanged = max((one.since for one in access.registry.assignments_of(point.id) if one.since <= at), default=start)
    if series is not None:
        known += [one for one in _ends(published, series, "day", start, end, zone) if one.quality == MEASURED]
        known += [_Stand(series.last_t, series.last_value)] if series.last_t is not None and series.last_value is not None else []
    before = max((one for one in known if exchanged <= one.t <= at), default=None)
    following = next((one.since for one in access.registry.assignments_of(point.id) if one.since > at), end)
    return before, min((one for one in known if at < one.t < following), default=None)


def _main(published: Published, point: Point) -> PublishedSeries | None:
    """What is published of a point's main register."""
    return next((one for one in published.series_of([point.id]) if str(one.register) == point.registers[0]), None)


def _ends(published: Published, series: PublishedSeries, level: str, start: int, end: int, zone: str) -> Iterator[_Stand]:
    """The index at the ends of published buckets inside [start, end], as far as it is known."""
    if start >= end:
        return
    first, last = civil.blocks_of(zone, level, np.array([civil.floor(zone, level, start), civil.floor(zone, level, end - 1)], np.int64))
    for row in published.read(series.id, LEVELS.index(level), first, last):
        if start <= row["start"] and row["end"] <= end and row["index_end"] != NULL:
            yield _Stand(int(row["end"]), int(row["index_end"]), int(row["quality"]))


def _amount(point: Point, name: str) -> int | None:
    """A parameter of a point in micro units."""
    said = point.parameters.get(name)
    return None if said is None else to_micro(Decimal(str(said)))
