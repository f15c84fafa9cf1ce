"""The profile's people: who sees one's flats by one's own invitation, and who read one's data (screen 15)."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from submeter.portal.ask import Refused
from submeter.portal.page import Page
from submeter.portal.screen import Fields, Screen, ended, paged

__all__ = ["PAGES", "SCREENS"]

ROLES: Final = ("household", "third_party")
FINEST: Final = ("hour", "day", "month")


async def people(page: Page) -> Mapping[str, Any]:
    """Who sees what of one's own, and who was invited and did not come yet."""
    units = (await page.api.get("/v1/units"))["units"]
    waiting = []
    for unit in units:
        told = await page.maybe(f"/v1/units/{unit['id']}/invitations")
        waiting += [{**one, "label": unit["label"]} for one in (told or {"invitations": []})["invitations"]]
    given = (await page.api.get("/v1/grants"))["given"]
    return {"given": given, "waiting": waiting, "units": units, "roles": ROLES, "levels": FINEST, "quantities": await _classes(page, units)}


async def invite(page: Page, fields: Fields) -> Mapping[str, Any]:
    """Invite somebody; the code is shown this once, unless it was sent."""
    units = (await page.api.get("/v1/units"))["units"]
    unit = next((one for one in units if one["id"] == fields.get("unit")), None)
    if unit is None:
        raise Refused(404, {"type": "not-found"})
    body: dict[str, Any] = {"role": fields.get("role", "household"), "until": _end_of(fields.get("until", ""), unit["zone"])}
    body["address"] = fields.get("address", "").strip() or None
    if body["role"] == "third_party":
        body["finest"] = fields.get("finest") or None
        body["quantities"] = [name.removeprefix("class/") for name in fields if name.startswith("class/")] or None
    told = await page.api.send("POST", f"/v1/units/{unit['id']}/invitations", body)
    return {"code": None, **told, "label": unit["label"]}


async def readers(page: Page) -> Mapping[str, Any]:
    """Who else read the data of one's flats."""
    return {"reads": (await page.api.get("/v1/me/access-log"))["reads"]}


async def _classes(page: Page, units: list[Any]) -> list[str]:
    """Classes of the meters of some flats, each once."""
    found: dict[str, None] = {}
    for unit in units:
        found |= dict.fromkeys((await page.api.get(f"/v1/units/{unit['id']}/meters"))["classes"])
    return list(found)


def _end_of(day: str, zone: str) -> str | None:
    """The end of a local day as an instant with offset."""
    try:
        return datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), ZoneInfo(zone)).isoformat() if day else None
    except (ValueError, OverflowError):
        raise Refused(422, {"type": "invalid"}) from None


SCREENS: Final[Mapping[str, Screen]] = {
    "/profile/people": Screen(
        "people.html",
        people,
        {"invite": invite, "withdraw": ended("/v1/invitations"), "revoke": ended("/v1/grants")},
        {"invite": ("until", "Only a resident invites, until a day to come, and by an address that a message can go to.")},
    ),
    "/profile/readers": Screen("readers.html", readers),
}
PAGES: Final = paged(SCREENS)
