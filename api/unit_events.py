"""`GET /v1/units/{unit}/events`: what happened at a unit's meters that its holder should know, inside the holder's time (portal API 3, FEATURES I24).

Rules: kinds without a text for residents (config/words.py) are an operator's business and left out, and so is what an operator reads of the others; an event that
reaches over an edge of the visible time ends there, is marked `cut`, and tells no amount. Exchanges and set days come from the directory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.labels import locale_of
from submeter.api.numbers import moment, number
from submeter.api.periods import instant_of
from submeter.api.problems import Invalid
from submeter.config.languages import Locale
from submeter.config.words import EVENTS, words_of
from submeter.store.events import Event
from submeter.store.registry import Registry
from submeter.store.registry_types import EVER, Point

__all__ = ["routes"]

#: Kinds with an amount, and its unit of measure: a leak has the least flow of its nights.
AMOUNTS: Final = {"leak": "m3/h"}
#: Events in one answer.
MOST: Final = 1000
#: How far back set days are told without `from`.
BACK: Final = 2 * 366 * civil.DAY
#: There are no set days before 1980.
EARLIEST: Final = 10 * 365 * civil.DAY

routes: Final = APIRouter(tags=["read"])


@dataclass(frozen=True, slots=True)
class Shown:
    """An event inside what is visible: [start, end), `end` None while it lasts, µs UTC; `amount` in micro units of AMOUNTS."""

    kind: str
    point: Point
    start: int
    end: int | None
    cut: bool = False
    amount: int | None = None


@routes.get("/v1/units/{unit}/events")
async def events(
    request: Request,
    unit: str,
    access: Annotated[Access, scoped("events:read", cost="r")],
    start: Annotated[str | None, Query(alias="from", description="local date or instant with offset, included; default: since ever")] = None,
    end: Annotated[str | None, Query(alias="to", description="local date or instant with offset, excluded; default: now")] = None,
    state: Annotated[str | None, Query(pattern="^(open|closed)$", description="open or closed; default: both")] = None,
    locale: Annotated[Locale | None, Query(description="language of `text`; default: Accept-Language, else en")] = None,
) -> dict[str, Any]:
    """Leaks, backflow, silence, weak batteries, exchanges, set days of a unit's meters, the newest first; those that touch [`from`, `to`)."""
    seen = access.unit(unit)
    zone, language = seen.property.zone, locale_of(locale, request.headers.get("Accept-Language", ""))
    first = -EVER if start is None else instant_of("from", start, zone)
    last = access.now + 1 if end is None else instant_of("to", end, zone)
    if first >= last:
        raise Invalid("`to` must be later than `from`", "to")
    found = [one for one in _all(seen, access.registry, max(first, last - BACK, EARLIEST), min(last, access.now + 1)) if _touches(one, first, last)]
    wanted = [one for one in found if state is None or (one.end is None) == (state == "open")]
    newest = sorted(wanted, key=lambda one: (one.start, one.kind, one.point.id), reverse=True)
    return {
        "unit": unit,
        "open": sum(one.end is None for one in found),
        "events": [_told(one, zone, language) for one in newest[:MOST]],
        "more": len(newest) > MOST,
    }


def _touches(one: Shown, first: int, last: int) -> bool:
    return one.start < last and (one.end is None or one.end > first or one.start >= first)


def _all(seen: SeenUnit, registry: Registry, first: int, last: int) -> Iterator[Shown]:
    """What is visible of the events of all points of a unit; set days those in [first, last)."""
    for point in seen.points(registry):
        assignments = registry.assignments_of(point.id)
        for event in registry.events.about([point.id], sorted({one.device for one in assignments}), kinds=EVENTS):
            device = event.subject.removeprefix("device:")
            if device == event.subject or any(one.device == device and one.holds(event.at) for one in assignments):
                yield from _visible(seen, point, event)
        instants = [("exchange", new.since) for _, new in pairwise(assignments) if new.since < last]
        if (day := point.parameters.get("set_day")) and first < last:
            instants += [("set_day", int(at)) for at in civil.set_days(seen.property.zone, day, first - 1, last - 1)]
        yield from (Shown(kind, point, at, at) for kind, at in instants if seen.visible.holds(at))


def _visible(seen: SeenUnit, point: Point, event: Event) -> Iterator[Shown]:
    """The part of an event inside the visible time, if there is one."""
    over = EVER if event.until is None and event.state == "open" else event.at if event.until is None else event.until
    if event.at >= seen.visible.ends or (event.at < seen.visible.begins and over <= seen.visible.begins):
        return
    start, end = max(event.at, seen.visible.begins), min(over, seen.visible.ends)
    cut = start > event.at or end < over
    yield Shown(event.kind, point, start, None if end == EVER else end, cut, None if cut or event.kind not in AMOUNTS else event.amount)


def _told(one: Shown, zone: str, locale: Locale) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "text": words_of(locale).events[one.kind],
        "meter": one.point.id,
        "class": one.point.quantity,
        "label": one.point.label,
        "state": "open" if one.end is None else "closed",
        "from": civil.local_iso(zone, one.start),
        "to": moment(one.end, zone),
        "cut": one.cut,
        "amount": number(one.amount),
        "uom": None if one.amount is None else AMOUNTS[one.kind],
    }
