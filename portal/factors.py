"""The profile's second factors: an authenticator app, drawn as a QR code, and recovery codes; secrets are shown once (screen 15)."""

from collections.abc import Mapping
from typing import Any, Final

import segno
from markupsafe import Markup

from submeter.portal.page import Page
from submeter.portal.screen import Fields, Screen, paged

__all__ = ["PAGES", "SCREENS"]


async def factors(page: Page) -> Mapping[str, Any]:
    """Whether there is an app, and how many recovery codes are left."""
    return {"factors": await page.api.get("/v1/me/factors")}


async def begin(page: Page, _fields: Fields) -> Mapping[str, Any]:
    """A secret for the app, as text, as address and drawn."""
    told = await page.api.send("POST", "/v1/me/factors", {"kind": "totp"})
    return {**told, "drawn": Markup(segno.make(told["uri"], error="m", micro=False).svg_inline(scale=4, dark="#000", light="#fff"))}  # noqa: S704 - made here


async def confirm(page: Page, fields: Fields) -> None:
    """The app counts once a code of it was typed."""
    await page.api.send("POST", "/v1/me/factors", {"kind": "totp", "code": fields.get("code", "").strip() or "-"})


async def recovery(page: Page, _fields: Fields) -> Mapping[str, Any]:
    """Ten codes; those before are void."""
    told: Mapping[str, Any] = await page.api.send("POST", "/v1/me/factors", {"kind": "recovery"})
    return told


async def drop(page: Page, fields: Fields) -> None:
    """Give a factor up."""
    await page.api.send("DELETE", f"/v1/me/factors/{fields.get('kind', '')}")


SCREENS: Final[Mapping[str, Screen]] = {
    "/profile/factors": Screen(
        "factors.html",
        factors,
        {"begin": begin, "confirm": confirm, "recovery": recovery, "drop": drop},
        {"confirm": ("code", "The code is wrong: look whether the clock of your device is right, and type the next one.")},
    )
}
PAGES: Final = paged(SCREENS)
