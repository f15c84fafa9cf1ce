"""How a manager's installation does: silent meters, late gateways, where flows get stuck, the outbox, open suspicions; its events; what the air says (portal API 3).

Rules: only what is the token's own manager's. Gateways and sources belong to nobody: what happens at them is told where the installation has one manager alone, what
a gateway hears to each manager of the own meters.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.numbers import moment, number
from submeter.store.events import TASKS, Event
from submeter.store.registry import Registry
from submeter.store.registry_types import Point

__all__ = ["routes"]

SILENT: Final = ("silent", "meter_never_heard")
#: How far back flows are counted.
BACK: Final = 30 * civil.DAY
#: Entries of a list.
MOST: Final = 1000

routes: Final = APIRouter(tags=["operator"])


@routes.get("/v1/operations")
def operations(access: Annotated[Access, scoped("operations:read", cost="r")]) -> dict[str, Any]:
    """What is open now, and the flows of the last 30 days; lists end at 1000. Runs in a thread: a manager may have many points."""
    registry, manager = access.registry, access.principal.manager
    points = _points(registry, manager)
    found = [(event, point) for event in registry.events.find(state="open", kinds=(*SILENT, *TASKS)) if (point := _point(registry, points, event))]
    late = registry.events.find("gateway_silent", state="open") if _alone(registry, manager) else None
    return {
        "at": civil.iso(access.now),
        "silent_meters": [_told(event, point) for event, point in found if event.kind in SILENT][:MOST],
        "suspicions": [{"id": event.id, **_told(event, point), "amount": number(event.amount)} for event, point in found if event.kind in TASKS][
            :MOST
        ],
        "late_gateways": late
        if late is None
        else [{"name": one.subject.removeprefix("gateway:"), "since": civil.iso(one.at)} for one in late][:MOST],
        "flows": registry.funnel.counts(manager, access.now - BACK),
        "outbox": [{"channel": channel, "state": state, "count": count} for (channel, state), count in registry.outbox.counts(manager).items()],
    }


@routes.get("/v1/events")
def events(
    access: Annotated[Access, scoped("operations:read", cost="r")],
    state: Annotated[Literal["open", "closed"] | None, Query(description="open or closed; default: both")] = None,
    kind: Annotated[str | None, Query(max_length=50, description="of one kind, see docs/events.md; default: all")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> dict[str, Any]:
    """What happened at the manager's meters, of every kind, the newest first; and at gateways, sources and jobs, for who is alone."""
    registry = access.registry
    points = _points(registry, access.principal.manager)
    devices = {one.device for one in registry.assignments() if one.point in points}
    house = registry.events.of_installation() if _alone(registry, access.principal.manager) else []
    own = [(event, point) for event in registry.events.about(list(points), sorted(devices)) if (point := _point(registry, points, event))]
    both = sorted([*own, *((event, None) for event in house)], key=lambda pair: (pair[0].at, pair[0].id), reverse=True)
    found = [(event, point) for event, point in both if state in {None, event.state} and kind in {None, event.kind}]
    told = [_told(event, point) | _course(event) for event, point in found[:limit]]
    return {"events": told, "counts": dict(sorted(Counter(event.kind for event, _ in found).items())), "more": len(found) > limit}


@routes.get("/v1/commissioning")
def commissioning(access: Annotated[Access, scoped("operations:read", cost="r")]) -> dict[str, Any]:
    """Meters that are awaited, strangers that are heard, what each gateway hears of the own meters in two weeks; as of the core's last look."""
    registry, manager = access.registry, access.principal.manager
    at, body = registry.commissioning.of(manager) or (None, {})
    points = _points(registry, manager)
    silent = {one.subject.removeprefix("gateway:"): civil.iso(one.at) for one in registry.events.find("gateway_silent", state="open")}
    awaited = [(one, points[one["point"]]) for one in body.get("awaited", []) if one["point"] in points]
    return {
        "at": moment(at),
        "awaited": [_place(point) | {"device": one["device"], "since": one["since"]} for one, point in awaited][:MOST],
        "unknown": body.get("unknown", []),
        "gateways": [{**one, "silent_since": silent.get(one["name"])} for one in body.get("gateways", [])][:MOST],
    }


def _alone(registry: Registry, manager: str) -> bool:
    return [one.id for one in registry.managers()] == [manager]


def _points(registry: Registry, manager: str) -> dict[str, Point]:
    own = [building.id for building in registry.properties() if building.manager == manager]
    return {point.id: point for building in own for point in registry.points_in(building)}


def _point(registry: Registry, points: dict[str, Point], event: Event) -> Point | None:
    """The own point that an event is about, its own or that of its device at the time; None for another manager's."""
    return next((points[name] for name in _names(registry, event) if name in points), None)


def _names(registry: Registry, event: Event) -> Iterator[str]:
    kind, _, name = event.subject.partition(":")
    if kind == "point":
        yield name.partition("/")[0]
    elif kind == "device":
        yield from (one.point for one in registry.assignments_with(name) if one.holds(event.at))


def _told(event: Event, point: Point | None) -> dict[str, Any]:
    return {"kind": event.kind, "subject": event.subject, **_place(point), "since": civil.iso(event.at), "seen": civil.iso(event.seen)}


def _place(point: Point | None) -> dict[str, Any]:
    if point is None:
        return dict.fromkeys(("property", "unit", "meter", "label", "class"))
    return {"property": point.property, "unit": point.unit, "meter": point.id, "label": point.label, "class": point.quantity}


def _course(event: Event) -> dict[str, Any]:
    """What became of an event."""
    until = moment(event.until)
    said = {"id": event.id, "state": event.state, "until": until, "times": event.count, "amount": number(event.amount), "detail": event.detail}
    return said | {"decision": event.decision, "decided_by": event.decided_by}
