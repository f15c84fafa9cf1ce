"""The operator's pages: how the manager's meters do, what is to be decided, claims and letters, access, audit (screen 16).

Rules: they are there for an operator's session alone, for everybody else as if they were not; like all pages they show what the API answers to the browser.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from submeter.portal.ask import Refused
from submeter.portal.page import Page, Place, Work
from submeter.portal.screen import Fields, Screen, paged

__all__ = ["PAGES", "SCREENS", "guarded"]

#: Days back that the audit's page begins with, and its rows.
BACK: Final = 7
ROWS: Final = 200


def guarded(work: Work) -> Work:
    """A page that is there for an operator alone."""

    async def seen(page: Page) -> Response:
        if (await page.api.get("/v1/session"))["operator"] is None:
            return page.show("missing.html", status=404)
        return await work(page)

    return seen


async def enter(page: Page) -> Response:
    """The link of the command line: nothing happens before the button is pressed."""
    if page.request.method == "GET":
        return page.show("enter.html", over=False)
    try:
        await page.api.send("POST", f"/v1/operators/{page.named('link')}")
    except Refused as refused:
        if refused.type != "not-accepted":
            raise
        return page.show("enter.html", status=422, over=True)
    return page.go("/operator")


async def overview(page: Page) -> Mapping[str, Any]:
    """What is open, how flows end, what waits in the outbox."""
    told = await page.api.get("/v1/operations")
    air = await page.api.get("/v1/commissioning")
    events = await page.api.get("/v1/events", state="open", limit=1)
    flows: dict[str, dict[str, int]] = {}
    for one in told["flows"]:
        total = flows.setdefault(one["name"], {"started": 0, "finished": 0})
        total["started"], total["finished"] = total["started"] + one["started"], total["finished"] + one["finished"]
    silent = [one for one in told["silent_meters"] if one["kind"] == "silent"]
    tiles = {
        "tasks": len(told["suspicions"]),
        "silent": len(silent),
        "awaited": len(air["awaited"]),
        "unknown": len(air["unknown"]),
        "events": sum(events["counts"].values()),
    }
    return {"told": told, "silent": silent, "flows": flows, "tiles": tiles, **await _places(page)}


async def meters(page: Page) -> Mapping[str, Any]:
    """Commissioning: expected but never heard, heard but not expected."""
    return {"air": await page.api.get("/v1/commissioning"), **await _places(page)}


async def tasks(page: Page) -> Mapping[str, Any]:
    """What waits for a decision; it is taken at the command line, where its preconditions are known."""
    return {"tasks": (await page.api.get("/v1/operations"))["suspicions"], **await _places(page)}


async def events(page: Page) -> Mapping[str, Any]:
    """Events of all kinds; those that are open unless asked otherwise."""
    kind, named = page.asked("kind"), page.asked("state", "open")
    state = named if named in {"open", "closed"} else None
    told = await page.api.get("/v1/events", state=state, kind=kind or None, limit=ROWS)
    counts = (await page.api.get("/v1/events", state=state, limit=1))["counts"] if kind else told["counts"]
    return {"told": told, "counts": counts, "state": state or "all", "kind": kind, **await _places(page)}


async def gateways(page: Page) -> Mapping[str, Any]:
    """What each gateway hears, and when it was heard last."""
    return {"air": await page.api.get("/v1/commissioning")}


async def quality(page: Page) -> Mapping[str, Any]:
    """How well a month is measured, building by building."""
    asked = page.asked("month")
    told = await page.api.get("/v1/quality", month=asked if re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", asked) else None)
    first = datetime.fromisoformat(f"{told['month']}-01")
    after = (first + timedelta(days=32)).replace(day=1)
    following = f"{after:%Y-%m}" if after < datetime.now(UTC).replace(tzinfo=None) else ""
    return {"told": told, "first": first, "before": f"{first - timedelta(days=1):%Y-%m}", "after": following}


async def access(page: Page) -> Mapping[str, Any]:
    """Grants that begin later, so that present holders may object."""
    return {"waiting": (await page.api.get("/v1/delayed-grants"))["grants"]}


async def decide(page: Page, fields: Fields, *, allow: bool) -> None:
    """Let a grant begin now, or end it."""
    await page.api.send("POST", f"/v1/grants/{fields.get('id', '')}/decision", {"allow": allow})


async def audit(page: Page) -> Mapping[str, Any]:
    """Who did what, from a day on; page by page."""
    since = page.asked("from") if re.fullmatch(r"\d{4}-\d\d-\d\d", page.asked("from")) else f"{datetime.now(UTC) - timedelta(days=BACK):%Y-%m-%d}"
    query = {"from": since, "actor": page.asked("actor") or None, "action": page.asked("action") or None, "after": page.asked("after") or None}
    told, asked = await page.api.get("/v1/audit", limit=ROWS, **query), {name: value or "" for name, value in query.items()}
    return {"told": told, "asked": asked, "onward": urlencode(asked | {"after": told["next"]})}


async def _places(page: Page) -> dict[str, Any]:
    """Names of units and their properties, by the unit's id."""
    return {"units": {one["id"]: one for one in (await page.api.get("/v1/units"))["units"]}}


SCREENS: Final[Mapping[str, Screen]] = {
    "/operator": Screen("staff.html", overview),
    "/operator/meters": Screen("staff_meters.html", meters),
    "/operator/tasks": Screen("staff_tasks.html", tasks),
    "/operator/events": Screen("staff_events.html", events),
    "/operator/gateways": Screen("staff_gateways.html", gateways),
    "/operator/quality": Screen("staff_quality.html", quality),
    "/operator/access": Screen("staff_access.html", access, {"allow": partial(decide, allow=True), "deny": partial(decide, allow=False)}),
    "/operator/audit": Screen("staff_audit.html", audit),
}
PAGES: Final[tuple[Place, ...]] = (
    *paged(SCREENS, guarded),
    ("/operator/enter/{link}", ["GET", "POST"], enter),
)
