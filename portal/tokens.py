"""The profile's sessions, and tokens for programs of one's own (screen 15)."""

from collections.abc import Mapping
from typing import Any, Final

from submeter.portal.page import Page
from submeter.portal.screen import Fields, Screen, ended, paged

__all__ = ["PAGES", "SCREENS"]

DAYS: Final = 365


async def sessions(page: Page) -> Mapping[str, Any]:
    """Where one is signed in."""
    return {"sessions": (await page.api.get("/v1/sessions"))["sessions"]}


async def end_others(page: Page, _fields: Fields) -> None:
    """End all but this one."""
    await page.api.send("DELETE", "/v1/sessions")


async def tokens(page: Page) -> Mapping[str, Any]:
    """Own tokens, and what one may be allowed."""
    units = (await page.api.get("/v1/units"))["units"]
    return {**await page.api.get("/v1/me/tokens"), "units": units, "labels": {one["id"]: one["label"] for one in units}, "days": DAYS}


async def make_token(page: Page, fields: Fields) -> Mapping[str, Any]:
    """Make a token: its secret is shown this once."""
    days = fields.get("days", "")
    body: dict[str, Any] = {"label": fields.get("label", ""), "days": int(days) if days.isdecimal() and len(days) < len("10000") else 0}
    body["scopes"] = [name.removeprefix("scope/") for name in fields if name.startswith("scope/")]
    if units := [name.removeprefix("unit/") for name in fields if name.startswith("unit/")]:
        body["units"] = units
    told: Mapping[str, Any] = await page.api.send("POST", "/v1/me/tokens", body)
    return told


SCREENS: Final[Mapping[str, Screen]] = {
    "/profile/sessions": Screen("sessions.html", sessions, {"end": ended("/v1/sessions"), "others": end_others}),
    "/profile/tokens": Screen(
        "tokens.html",
        tokens,
        {"make": make_token, "end": ended("/v1/me/tokens")},
        {"make": ("label", "A token needs a name, something that it may read, and 1 to 365 days; an account has at most ten.")},
    ),
}
PAGES: Final = paged(SCREENS)
