"""`PUT /v1/directory`: a manager's own properties, units, occupancies and assignments, brought up to what its systems say (portal API 3).

Rules: as the import of files: whole or not at all, every mistake told at once, what is not named stays, the same again changes nothing. Only the token's own
manager's things are seen and changed; points, devices and keys are the operator's.
"""

import json
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.problems import Invalid
from submeter.store.directory import OF_MANAGERS, Report, import_entries
from submeter.store.directory_files import FILES, Entry
from submeter.store.errors import DirectoryError
from submeter.store.registry import Registry

__all__ = ["routes"]

NDJSON: Final = "application/x-ndjson"
#: Mistakes in one answer.
MOST: Final = 100
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object", "properties": {kind: {"type": "array", "items": {"type": "object"}} for kind in OF_MANAGERS}}},
            NDJSON: {"schema": {"type": "string", "description": "an object in a line, with its `kind`"}},
        },
    }
}  # fmt: skip

routes: Final = APIRouter(tags=["operator"])


@routes.put("/v1/directory", openapi_extra=_BODY)
async def put(
    request: Request,
    access: Annotated[Access, scoped("directory:write", cost="w")],
    *,
    dry_run: Annotated[bool, Query(description="only tell what would change")] = False,
) -> dict[str, Any]:
    """Add or change what differs, tell the differences; docs/directory.md has the fields."""
    body = await request.body()
    lines = request.headers.get("Content-Type", "").split(";")[0].strip().lower() == NDJSON
    return await run_in_threadpool(_put, access, body, lines=lines, dry_run=dry_run)


def _put(access: Access, body: bytes, *, lines: bool, dry_run: bool) -> dict[str, Any]:
    """Import with a connection of its own, so that others read meanwhile; raises Invalid with the mistakes."""
    try:
        entries = list(_of_lines(body) if lines else _of_object(body))
    except (ValueError, RecursionError):
        raise Invalid("the body is not JSON as docs/api.md says") from None
    principal = access.principal
    check = partial(_faults, manager=principal.manager)
    with access.registry.another() as registry:
        try:
            if not dry_run:
                return _told(import_entries(registry, entries, principal.manager, by=principal.actor, check=check), dry_run=False)
            with registry.rehearsal():
                return _told(import_entries(registry, entries, principal.manager, by="", check=check), dry_run=True)
        except DirectoryError as error:
            refusal = Invalid("nothing was changed")
            refusal.errors = [
                {"parameter": place, "detail": said} for place, _, said in (line.partition(": ") for line in str(error).splitlines()[:MOST])
            ]
            raise refusal from None


def _faults(registry: Registry, manager: str) -> Iterator[str]:
    """What an assignment can do that rows cannot be computed with: an exchange at the very instant of a set day."""
    zones = {building.id: building.zone for building in registry.properties() if building.manager == manager}
    for point in registry.points():
        day = point.parameters.get("set_day") if point.property in zones else None
        for at in [new.since for _, new in pairwise(registry.assignments_of(point.id))] if day else ():
            if len(civil.set_days(zones[point.property], str(day), at - 1, at)):
                yield f"point {point.id}: the exchange at {civil.iso(at)} falls on the set day: move it by a second"


def _of_object(body: bytes) -> Iterator[Entry]:
    """Entries of an object of lists; ValueError for another form."""
    tables = json.loads(body)
    if not isinstance(tables, dict) or not all(isinstance(rows, list) for rows in tables.values()):
        raise ValueError("no object of lists")
    for kind, rows in tables.items():
        yield from (_entry(kind, f"{kind}/{number}", row) for number, row in enumerate(rows))


def _of_lines(body: bytes) -> Iterator[Entry]:
    """Entries of an object a line; ValueError for another form."""
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("no object")
            yield _entry(row.pop("kind", None), f"line {number}", row)


def _entry(kind: object, place: str, row: object) -> Entry:
    """One entry; raises Invalid for a kind that is not a manager's, and for values that are no plain ones. Null is a field left out."""
    if not isinstance(kind, str) or kind not in OF_MANAGERS:
        raise Invalid(f"write some of {', '.join(one for one in FILES if one in OF_MANAGERS)}", place.encode("ascii", "replace").decode())
    if not isinstance(row, dict) or not all(isinstance(value, str | int | bool | None) and name.isascii() for name, value in row.items()):
        raise Invalid("write an object of texts, whole numbers and true or false; decimals are texts", place)
    return Entry(kind, place, {name: value for name, value in row.items() if value is not None})


def _told(report: Report, *, dry_run: bool) -> dict[str, Any]:
    kinds = {kind for kind, _ in report.counts}
    return {
        "dry_run": dry_run,
        "changed": report.changed,
        "counts": {kind: {what: count for (of, what), count in report.counts.items() if of == kind} for kind in OF_MANAGERS if kind in kinds},
        "differences": report.differences,
        "warnings": report.warnings,
    }
