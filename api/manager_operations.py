"""`GET /v1/operations`: how a manager's installation does: silent meters, late gateways, where flows get stuck, the outbox, open suspicions (portal API 3).

Rules: only what is the token's own manager's. Gateways belong to nobody: they are told where the installation has one manager alone.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.numbers import number
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
    alone = [one.id for one in registry.managers()] == [manager]
    late = registry.events.find("gateway_silent", state="open") if alone else None
    return {
        "at": civil.iso(access.now),
        "silent_meters": [_told(event, point) for event, point in found if event.kind in SILENT][:MOST],
        "suspicions": [_told(event, point) | {"amount": _amount(event)} for event, point in found if event.kind in TASKS][:MOST],
        "late_gateways": late
        if late is None
        else [{"name": one.subject.removeprefix("gateway:"), "since": civil.iso(one.at)} for one in late][:MOST],
        "flows": registry.funnel.counts(manager, access.now - BACK),
        "outbox": [{"channel": channel, "state": state, "count": count} for (channel, state), count in registry.outbox.counts(manager).items()],
    }


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


def _told(event: Event, point: Point) -> dict[str, Any]:
    said = {"kind": event.kind, "property": point.property, "unit": point.unit, "meter": point.id, "label": point.label, "class": point.quantity}
    return said | {"since": civil.iso(event.at), "seen": civil.iso(event.seen)}


def _amount(event: Event) -> float | int | None:
    return None if event.amount is None else number(event.amount)
