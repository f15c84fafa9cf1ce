"""The operator's claims: a batch for an entrance, answered once as letters to be printed, the list, and taking one back (screen 16; I2 S9 K7)."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from submeter.portal.ask import Refused
from submeter.portal.page import Page
from submeter.portal.screen import Fields, Screen, ended, paged
from submeter.portal.staff import guarded

__all__ = ["PAGES", "SCREENS"]

MEDIA: Final = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8"}
#: A field that is made where it is left out, like a secret.
MADE: Final = "login"
#: Claims that the page lists.
SHOWN: Final = 200


async def claims(page: Page) -> Mapping[str, Any]:
    """Claims there are; and of an entrance that was chosen, its units with the fields that are to be filled in."""
    told = await page.api.get("/v1/claims")
    units = (await page.api.get("/v1/units"))["units"]
    entrances = list(dict.fromkeys(_entrance(one) for one in units))
    kind = page.asked("kind") if page.asked("kind") in told["kinds"] else ""
    chosen = [one for one in units if _entrance(one) == page.asked("entrance")] if kind else []
    asked = [name for name, sort in told["kinds"][kind]["fields"].items() if sort != "secret" and name != MADE] if kind else []
    return {
        "claims": told["claims"][:SHOWN],
        "kinds": list(told["kinds"]),
        "kind": kind,
        "entrances": entrances,
        "entrance": page.asked("entrance"),
        "chosen": chosen,
        "asked": asked,
        "units": {one["id"]: one for one in units},
    }


def _entrance(unit: Mapping[str, Any]) -> str:
    """A property with its entrance, as one text."""
    return f"{unit['property']}, {unit['entrance']}" if unit["entrance"] else str(unit["property"])


async def make(page: Page, fields: Fields) -> Response:
    """Make the claims of the ticked units; the answer is what is handed out, this once."""
    letters, wanted = fields.get("letters", "pdf"), list(_wanted(fields))
    if letters not in MEDIA or not wanted:
        raise Refused(422, {"type": "invalid"})
    made = await page.api.raw("POST", "/v1/claims", f"letters={letters}", json.dumps({"claims": wanted}).encode())
    return Response(made, media_type=MEDIA[letters], headers={"Content-Disposition": f'attachment; filename="letters.{letters}"'})


def _wanted(fields: Fields) -> list[dict[str, Any]]:
    """A claim for each ticked box `unit/ID`, with what was typed in `field/ID/NAME`."""
    units = [name.removeprefix("unit/") for name in fields if name.startswith("unit/")]
    typed: dict[str, dict[str, str]] = {unit: {} for unit in units}
    for name, value in fields.items():
        _, _, rest = name.partition("field/")
        unit, _, field = rest.rpartition("/")
        if unit in typed and value.strip():
            typed[unit][field] = value.strip()
    return [{"unit": unit, "kind": fields.get("kind", ""), "fields": typed[unit]} for unit in units]


SCREENS: Final[Mapping[str, Screen]] = {
    "/operator/claims": Screen(
        "staff_claims.html",
        claims,
        {"make": make, "withdraw": ended("/v1/claims")},
        {"make": ("", "Tick at least one unit, and fill in all its fields with what is printed.")},
    )
}
PAGES: Final = paged(SCREENS, guarded)
