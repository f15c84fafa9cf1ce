"""`GET /v1/units/{unit}/meters`: what is measured in a unit, by which device, and where it stands."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from submeter import civil
from submeter.api.access import SeenUnit
from submeter.api.consumption import UOM
from submeter.api.numbers import moment, number
from submeter.store.published import Published, PublishedSeries
from submeter.store.registry import Registry
from submeter.store.registry_types import Assignment, Point

__all__ = ["meters_of"]


def meters_of(seen: SeenUnit, registry: Registry, published: Published, *, now: int) -> dict[str, Any]:
    """Class counts and the points of a unit as of `now` (µs UTC); instants are local with offset."""
    points = seen.points(registry)
    series = published.series_of([point.id for point in points])
    if seen.visible.finest != seen.property.finest:
        series = [_before_the_end(one) for one in series]
    seen_until = seen.visible.until
    if seen_until is not None:
        now = min(now, seen_until - 1)
        series = [one if one.last_t is None or one.last_t < seen_until else _before_the_end(one) for one in series]
    meters = [_meter(point, registry.assignments_of(point.id), [one for one in series if one.point == point.id], seen, now) for point in points]
    return {"unit": seen.unit.id, "classes": dict(sorted(Counter(point.quantity for point in points).items())), "meters": meters}


def _meter(point: Point, assignments: Sequence[Assignment], series: Sequence[PublishedSeries], seen: SeenUnit, now: int) -> dict[str, Any]:
    zone, since = seen.property.zone, seen.visible.since
    current = next((one for one in reversed(assignments) if one.holds(now)), None)
    heard = [one.last_heard for one in series if one.last_heard is not None]
    return {
        "id": point.id,
        "class": point.quantity,
        "label": point.label,
        "device": current.device if current else None,
        "last_heard": moment(max(heard, default=None), zone),
        "registers": [_register(one, zone) for one in series],
        "exchanges": [
            {"at": civil.local_iso(zone, new.since), "from": old.device, "to": new.device}
            for old, new in pairwise(one for one in assignments if one.since <= now)
            if since is None or new.since >= since
        ],
    }


def _before_the_end(one: PublishedSeries) -> PublishedSeries:
    """A series without its last reading: it is the next holder's, or its instant is finer than what may be seen."""
    return replace(one, last_t=None, last_value=None, last_heard=None)


def _register(one: PublishedSeries, zone: str) -> dict[str, Any]:
    return {
        "quantity": one.register.name,
        "uom": UOM.get(one.register.unit, one.register.unit),
        "last": number(one.last_value),
        "at": moment(one.last_t, zone),
    }
