"""The profile's consents, notices, copy of one's data, and the end of the account (screen 15)."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from submeter.portal.ask import Refused
from submeter.portal.page import Page, Place
from submeter.portal.screen import Fields, Screen, ended, paged

__all__ = ["PAGES", "SCREENS"]


async def consents(page: Page) -> Mapping[str, Any]:
    """What was accepted, and what may be."""
    told = await page.api.get("/v1/me/consents")
    held = {(one["doc"], one["version"]) for one in told["consents"] if one["withdrawn"] is None}
    return {"consents": told["consents"], "open": [one for one in told["documents"].items() if one not in held]}


async def accept(page: Page, fields: Fields) -> None:
    """Accept a document in its present version."""
    await page.api.send("POST", "/v1/me/consents", {"doc": fields.get("doc", "")})


async def notices(page: Page) -> Mapping[str, Any]:
    """What one is told by which channel."""
    told: Mapping[str, Any] = await page.api.get("/v1/me/notifications")
    return told


async def choose(page: Page, fields: Fields) -> None:
    """Choose anew: boxes are named `EVENT/CHANNEL`."""
    wanted: dict[str, list[str]] = {}
    for name in fields:
        event, _, channel = name.partition("/")
        wanted.setdefault(event, []).append(channel)
    await page.api.send("PUT", "/v1/me/notifications", {"notifications": wanted})


async def data(page: Page) -> Mapping[str, Any]:
    """Copies that were asked for, and forms."""
    return {"exports": (await page.api.get("/v1/me/export"))["exports"]}


async def copy(page: Page, _fields: Fields) -> Mapping[str, Any]:
    """Ask for a copy of one's data."""
    return {"export": await page.api.send("POST", "/v1/me/export")}


async def erase(page: Page, fields: Fields) -> Mapping[str, Any]:
    """Ask for the account to be erased in a week; the box must be ticked."""
    if not fields.get("sure"):
        raise Refused(422, {"type": "invalid"})
    return {"erasure": await page.api.send("POST", "/v1/me/erasure")}


async def stay(page: Page, _fields: Fields) -> Mapping[str, Any]:
    """Take that back."""
    try:
        await page.api.send("DELETE", "/v1/me/erasure")
    except Refused as refused:
        if refused.type != "not-found":
            raise
        raise Refused(422, {"type": "invalid"}) from None
    return {"stays": True}


async def export(page: Page) -> Response:
    """The copy as a file once it is ready, until then a page that says so."""
    body = await page.api.raw("GET", f"/v1/me/export/{page.named('id')}", "")
    if body[:2] != b"PK":
        return await page.within("export.html", export=json.loads(body))
    return Response(body, media_type="application/zip", headers={"Content-Disposition": 'attachment; filename="my-data.zip"'})


SCREENS: Final[Mapping[str, Screen]] = {
    "/profile/consents": Screen("consents.html", consents, {"accept": accept, "back": ended("/v1/me/consents")}),
    "/profile/notices": Screen("notices.html", notices, {"choose": choose}),
    "/profile/data": Screen(
        "data.html",
        data,
        {"copy": copy, "erase": erase, "stay": stay},
        {"erase": ("sure", "Tick the box to say that you mean it."), "stay": ("", "There was no such wish.")},
    ),
}
PAGES: Final[tuple[Place, ...]] = (
    *paged(SCREENS),
    ("/export/{id}", ["GET"], export),
)
