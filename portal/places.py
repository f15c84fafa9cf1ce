"""My places: flats that one sees and why, a limited one made whole by the letter's code, one that is given up; limits on the use of one (screens 12 and 15)."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from submeter.portal.ask import Refused
from submeter.portal.page import Page
from submeter.portal.reading import chosen, unit_of
from submeter.portal.screen import Fields, Screen, ended, paged

__all__ = ["PAGES", "SCREENS"]

#: What a limit is of: a day, a month against the year before, a night.
KINDS: Final = ("day", "year", "night")


async def places(page: Page) -> Mapping[str, Any]:
    """Flats that one sees, and why; the first one is shown until another is switched to."""
    units = (await page.api.get("/v1/units"))["units"]
    return {"grants": (await page.api.get("/v1/grants"))["grants"], "present": (await chosen(page, units))["id"] if units else None}


async def switch(page: Page, fields: Fields) -> Response:
    """Show another flat from now on."""
    await page.api.send("PATCH", "/v1/me", {"unit": fields.get("unit", "")})
    return page.go("/home")


async def confirm(page: Page, fields: Fields) -> None:
    """Make a limited grant a whole one by the code of the letter."""
    await page.api.send("POST", f"/v1/grants/{quote(fields.get('id', ''), safe='')}/confirmation", {"code": fields.get("code", "").strip() or "-"})


async def limits(page: Page) -> Mapping[str, Any]:
    """The own limits at a flat, with the classes and channels that another one may have."""
    unit = await unit_of(page)
    told = await page.api.get(f"/v1/units/{unit['id']}/alert-rules")
    meters = (await page.api.get(f"/v1/units/{unit['id']}/meters"))["meters"]
    uoms = {one["class"]: one["registers"][0]["uom"] if one["registers"] else "" for one in meters}
    channels = (await page.api.get("/v1/me/notifications"))["channels"]
    return {"unit": unit, "rules": told["rules"], "uoms": uoms, "channels": channels, "kinds": KINDS}


async def add(page: Page, fields: Fields) -> None:
    """Add a limit to those there are."""
    rules = await _rules(page)
    channels = [name.removeprefix("channel/") for name in fields if name.startswith("channel/")]
    amount = "".join(fields.get("amount", "").split()).replace(",", ".")
    rules.append({"quantity": fields.get("quantity", ""), "kind": fields.get("kind", ""), "amount": amount or "-", "channels": channels})
    await _set(page, rules)


async def drop(page: Page, fields: Fields) -> None:
    """Take a limit away."""
    await _set(page, await _rules(page, but=fields.get("id", "")))


async def _rules(page: Page, but: str = "") -> list[dict[str, Any]]:
    """The limits there are, but one, as they are sent again."""
    told = await page.api.get(f"/v1/units/{page.named('unit')}/alert-rules")
    return [{name: one[name] for name in ("quantity", "kind", "amount", "channels")} for one in told["rules"] if one["id"] != but]


async def _set(page: Page, rules: list[dict[str, Any]]) -> None:
    """Make these all the limits; what the property does not show finely enough is a wrong form, too."""
    try:
        await page.api.send("PUT", f"/v1/units/{page.named('unit')}/alert-rules", {"rules": rules})
    except Refused as refused:
        if refused.type != "resolution-not-available":
            raise
        raise Refused(422, {"type": "invalid"}) from None


SCREENS: Final[Mapping[str, Screen]] = {
    "/places": Screen(
        "places.html",
        places,
        {"switch": switch, "confirm": confirm, "give_up": ended("/v1/grants")},
        {"confirm": ("code", "The code is wrong or over.")},
    ),
    "/units/{unit}/limits": Screen(
        "limits.html",
        limits,
        {"add": add, "drop": drop},
        {"add": ("amount", "A limit needs a number from 0, something that is measured here that finely, and a channel with an address of yours.")},
    ),
}
PAGES: Final = paged(SCREENS)
