"""`GET /v1/quality`: of a month, how many days of each property's meters are measured, estimated or incomplete (SCREENS 16).

Strategy: the published days of each main register, one block a month; what has no row counts as incomplete with coverage 0, so that silence is seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query, Request

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.problems import Invalid
from submeter.reading import LEVELS, QUALITIES
from submeter.store.published import POINT, Published
from submeter.store.registry import Registry
from submeter.store.registry_types import Property

__all__ = ["routes"]

DAY: Final = LEVELS.index("day")
#: Coverage is kept in parts of this.
WHOLE: Final = 10_000

routes: Final = APIRouter(tags=["operator"])


@dataclass(slots=True)
class Sum:
    """What is counted of a property: meters, their days, days by quality, and the sum of their coverage."""

    meters: int
    days: int
    qualities: np.ndarray
    coverage: int


@routes.get("/v1/quality")
def quality(
    request: Request,
    access: Annotated[Access, scoped("operations:read", cost="r")],
    month: Annotated[str | None, Query(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="e.g. 2026-10; default: the present month")] = None,
) -> dict[str, Any]:
    """How well the days of a month are known, property by property. Runs in a thread: a manager may have many meters."""
    published: Published = request.app.state.published
    asked = month or f"{civil.utc_date(access.now):%Y-%m}"
    if date.fromisoformat(f"{asked}-01") > civil.utc_date(access.now + civil.DAY):
        raise Invalid("this month is to come", "month")
    own = [one for one in access.registry.properties() if one.manager == access.principal.manager]
    begun = _begun(access.registry)
    return {"month": asked, "properties": [_told(one, _sum(one, asked, access, published, begun)) for one in own]}


def _told(building: Property, found: Sum) -> dict[str, Any]:
    names = dict(zip(QUALITIES, found.qualities.tolist(), strict=True))
    coverage = round(found.coverage / found.days / WHOLE, 4) if found.days else None
    return {"property": building.id, "name": building.name, "meters": found.meters, "days": found.days, **names, "coverage": coverage}


def _sum(building: Property, month: str, access: Access, published: Published, begun: Mapping[str, int]) -> Sum:
    """The days of a property's main registers that have ended, from the first assignment of each on."""
    total = Sum(0, 0, np.zeros(len(QUALITIES), np.int64), 0)
    points = {point.id: point for point in access.registry.points_in(building.id) if point.id in begun}
    heads = {one.point: one for one in published.series_of(list(points)) if str(one.register) == points[one.point].registers[0]}
    edges = _days(building.zone, month)
    read = published.read_all([one.id for one in heads.values()], DAY, month, month)
    for identity in points:
        ends = edges[1:][(edges[1:] <= access.now) & (edges[:-1] >= begun[identity])]
        if not len(ends):
            continue
        rows = read[heads[identity].id] if identity in heads else np.zeros(0, POINT)
        rows = rows[np.isin(rows["end"], ends)]
        total.meters, total.days = total.meters + 1, total.days + len(ends)
        total.qualities += np.bincount(rows["quality"], minlength=len(QUALITIES))
        total.qualities[QUALITIES.index("incomplete")] += len(ends) - len(rows)
        total.coverage += int(rows["coverage"].sum())
    return total


def _begun(registry: Registry) -> dict[str, int]:
    """When the first device of each point came, µs UTC."""
    found: dict[str, int] = {}
    for one in registry.assignments():
        found[one.point] = min(one.since, found.get(one.point, one.since))
    return found


def _days(zone: str, month: str) -> np.ndarray:
    """The edges of the days of a month."""
    first = date.fromisoformat(f"{month}-01")
    return civil.boundaries(zone, "day", civil.midnight(zone, first), civil.midnight(zone, civil.month_after(first)))
