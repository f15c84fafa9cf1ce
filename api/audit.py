"""`GET /v1/audit`: the rows of the audit that are of the token's manager (portal API 9)."""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.negotiation import cursor, place_of_cursor
from submeter.api.periods import instant_of
from submeter.api.problems import Invalid

__all__ = ["routes"]

#: Rows of an answer.
MOST: Final = 1000
CURSOR: Final = re.compile(r"a([0-9]{1,18})")

routes: Final = APIRouter(tags=["operator"])


@routes.get("/v1/audit")
async def audit(
    access: Annotated[Access, scoped("audit:read", cost="r")],
    start: Annotated[str | None, Query(alias="from", description="UTC date or instant with offset, included")] = None,
    end: Annotated[str | None, Query(alias="to", description="UTC date or instant with offset, excluded")] = None,
    actor: Annotated[str | None, Query(max_length=200, description="who, e.g. account:a_…, token:k_…, operator")] = None,
    action: Annotated[str | None, Query(max_length=200, description="what, e.g. session.open")] = None,
    unit: Annotated[str | None, Query(max_length=200, description="the unit, or another object")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    after: Annotated[str | None, Query(description="`next` of the answer before")] = None,
) -> dict[str, Any]:
    """Who did what, in order of writing; `next` goes on, also later."""
    since, until = (None if text is None else instant_of(name, text, "UTC") for name, text in (("from", start), ("to", end)))
    if since is not None and until is not None and since >= until:
        raise Invalid("`to` must be later than `from`", "to")
    place = 0 if after is None else place_of_cursor(after, CURSOR, "/v1/audit")[0]
    manager = access.principal.manager
    found = access.registry.trail.find(limit=limit, manager=manager, since=since, until=until, actor=actor, action=action, subject=unit, after=place)
    names = ("id", "actor", "action", "subject", "detail", "purpose", "outcome", "request", "network")
    return {
        "audit": [{"at": civil.iso(one.at), **{name: getattr(one, name) for name in names}} for one in found],
        "next": cursor(f"a{found[-1].id if found else place}"),
        "more": len(found) == limit,
    }
