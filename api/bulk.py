"""Routes for services: `GET /v1/bulk/consumption`, all rows that the token may see, and `GET /v1/changes`, which series have newer ones.

Rules: everything goes through `Access`; the work is done in threads, unit by unit, so that reads are answered meanwhile and memory stays small; of one
manager two answers are written at a time, others wait. Rows are those of the tables: a bucket without one is unknown, and not told.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.concurrency import iterate_in_threadpool, run_in_threadpool
from fastapi.responses import StreamingResponse

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.bulk_formats import CSV, ESPI, NDJSON, PARQUET, WRITERS
from submeter.api.bulk_stretch import Stretch, all_series
from submeter.api.consumption import Shown
from submeter.api.negotiation import cursor, place_of_cursor, preferred
from submeter.api.parts import seen_of
from submeter.api.periods import Period, Resolution, period
from submeter.api.problems import Invalid, TooFine
from submeter.reading import LEVELS
from submeter.store.published import Published, PublishedSeries
from submeter.store.registry_types import Property

__all__ = ["install"]

#: Answers of one manager that are written at a time (portal API 7).
AT_ONCE: Final = 2
#: Changes in one answer.
MOST_CHANGES: Final = 1000
#: Series that are read at a time.
PAGE: Final = 5000
ENDINGS: Final = {NDJSON: "ndjson", CSV: "csv", PARQUET: "parquet", ESPI: "xml"}
CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Plan:
    """The units of an answer, and the buckets asked for by property."""

    units: Sequence[SeenUnit]
    periods: Mapping[str, Period]


def install(app: FastAPI, published: Published) -> None:
    """Add the routes to `app`."""
    slots: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    @app.get("/v1/bulk/consumption", tags=["service"], response_class=StreamingResponse)
    async def bulk(
        request: Request,
        access: Annotated[Access, scoped("bulk:read", cost="e")],
        start: Annotated[str, Query(alias="from", description="local date of each property, or instant with offset, included")],
        end: Annotated[str, Query(alias="to", description="local date of each property, or instant with offset, excluded")],
        resolution: Resolution = "P1D",
    ) -> StreamingResponse:
        """Rows of all registers of all units that the token may see; as NDJSON, CSV, Parquet or ESPI by Accept."""
        kind = preferred(request.headers.get("Accept", ""), tuple(WRITERS))
        plan = await run_in_threadpool(_plan, access, start, end, resolution)
        parts = WRITERS[kind](_stretches(plan, access, published))
        headers = {
            "Content-Disposition": f'attachment; filename="consumption-{resolution}.{ENDINGS[kind]}"',
            "Cache-Control": "no-store",
            "Vary": "Accept",
        }
        return StreamingResponse(_queued(slots[access.principal.manager], parts), headers=headers, media_type=kind)

    @app.get("/v1/changes", tags=["service"])
    async def changes(
        access: Annotated[Access, scoped("bulk:read", cost="r")],
        after: Annotated[str | None, Query(description="`next` of the answer before; without it all series, from the first change on")] = None,
    ) -> dict[str, Any]:
        """Series whose published rows changed after a cursor, in order of their versions, at most 1000."""
        return await run_in_threadpool(_changes, access, published, after)


async def _queued(slot: asyncio.Semaphore, parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Parts of a file, each made in a thread, once it is its turn."""
    async with slot:
        async for part in iterate_in_threadpool(parts):
            yield part


def _plan(access: Access, start: str, end: str, resolution: Resolution) -> Plan:
    """What is answered: properties that show nothing this fine are left out; raises TooFine if all are, Invalid for a wrong range."""
    units = access.units()
    periods, refused = dict[str, Period](), None
    for building in {seen.property.id: seen.property for seen in units}.values():
        try:
            periods[building.id] = _uncut(period(start, end, resolution, building, now=access.now), building, access.now)
        except TooFine as error:
            refused = error
    if refused and not periods:
        raise refused
    return Plan([seen for seen in units if seen.property.id in periods], periods)


def _uncut(asked: Period, building: Property, now: int) -> Period:
    """The whole range: a file has no limit of points."""
    if asked.next is None:
        return asked
    edges = civil.boundaries(building.zone, asked.level, asked.start, min(asked.end, now + 1), building.year_start)
    return replace(asked, edges=edges, next=None)


def _stretches(plan: Plan, access: Access, published: Published) -> Iterator[Stretch]:
    """Rows of all series in order of unit and series, those without any left out; each unit is noted as read."""
    for seen in plan.units:
        access.note(seen)
        asked = plan.periods[seen.property.id]
        for shown in all_series(seen, access.registry, published):
            stretch = _stretch(seen, shown, asked, published)
            if len(stretch.points):
                yield stretch


def _stretch(seen: SeenUnit, shown: Shown, asked: Period, published: Published) -> Stretch:
    """What is visible of rows of one series whose buckets touch the range."""
    first, last = int(asked.edges[0]), int(asked.edges[-1])
    labels = civil.blocks_of(seen.property.zone, asked.level, asked.edges[[0, -1]])
    rows = published.read(shown.series.id, LEVELS.index(asked.level), labels[0], labels[-1])
    inside = rows[(rows["start"] >= first) & (rows["start"] < last)]
    return Stretch(seen, shown, seen_of(inside, shown.series.id, asked.level, seen, published))


def _changed(published: Published, version: int, series: int) -> Iterator[PublishedSeries]:
    """All series that were published after a place, of whomever, in order."""
    while page := published.changed(version, series, PAGE):
        yield from page
        version, series = page[-1].version, page[-1].id


def _changes(access: Access, published: Published, after: str | None) -> dict[str, Any]:
    """The changes after a cursor, as far as they are of visible units; raises Invalid for one of tables that are no more."""
    version, series = (0, 0) if after is None else place_of_cursor(after, CURSOR, "/v1/changes")
    if version > published.version():
        raise Invalid("the tables were made anew since this cursor: begin without one", "after")
    units = {seen.unit.id: seen for seen in access.units()}
    points = {point.id: point for seen in units.values() for point in seen.points(access.registry)}
    changed = list(islice((one for one in _changed(published, version, series) if one.point in points), MOST_CHANGES + 1))
    told = changed[:MOST_CHANGES]
    for unit in {points[one.point].unit for one in told}:
        access.note(units[str(unit)])
    return {
        "changes": [
            {
                "unit": points[one.point].unit,
                "meter": one.point,
                "class": points[one.point].quantity,
                "quantity": one.register.name,
                "register": str(one.register),
                "version": one.version,
            }
            for one in told
        ],
        "next": cursor(f"{told[-1].version}-{told[-1].id}" if told else f"{version}-{series}"),
        "more": len(changed) > len(told),
    }
