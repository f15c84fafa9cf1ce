"""Papers: documents, announcements, balance and where to pay, messages to the operator, statements (screen 14).

Rules: what a role may not see is not on the page; opening a document marks it as read, so it is a form's button and not a link.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from markupsafe import Markup
from starlette.responses import Response

from submeter.portal.page import Page, Place, today
from submeter.portal.reading import first_of, unit_of
from submeter.portal.screen import Fields, Screen, paged

__all__ = ["PAGES", "SCREENS"]

#: Kinds of documents that have a word of their own; others have their title alone.
KINDS: Final = ("bill", "settlement", "contract", "rules", "statement")
WISHES: Final = ("e_invoices", "statement_monthly", "announcements_by_mail")
#: The first bytes of a file, its media type, and how its name ends.
FILES: Final = (
    (b"%PDF", "application/pdf", "pdf"),
    (b"PK", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    (b"", "text/csv", "csv"),
)


async def papers(page: Page) -> Mapping[str, Any]:
    """All that is written about a flat, as far as one may see it."""
    unit = await unit_of(page)
    path, year = f"/v1/units/{unit['id']}", _year(page)
    payment = await page.maybe(f"{path}/payment")
    return {
        "unit": unit,
        "kinds": KINDS,
        "documents": await page.maybe(f"{path}/documents"),
        "announcements": await _announced(page, unit["id"]),
        "year": year or today(unit).year,
        "balance": await page.maybe(f"{path}/balance", **({"from": date(year, 1, 1), "to": date(year + 1, 1, 1)} if year else {})),
        "all_years": not year,
        "payment": payment,
        "drawn": Markup(payment["payment"]["svg"]) if payment and payment["payment"] else None,  # noqa: S704 - made by the API
        "messages": await page.maybe(f"{path}/messages"),
        "wishes": await page.maybe(f"/v1/me/units/{unit['id']}"),
    }


async def _announced(page: Page, unit: str) -> list[Any]:
    """What is announced to a flat."""
    told = await page.maybe("/v1/announcements", locale=page.words.locale)
    return [one for one in (told or {"announcements": []})["announcements"] if unit in one["units"]]


async def read(page: Page, fields: Fields) -> Response:
    """Mark a document as read, and open it."""
    await page.api.send("PUT", f"/v1/documents/{fields.get('id', '')}/read")
    return page.go(f"/documents/{fields.get('id', '')}")


async def seen(page: Page, fields: Fields) -> None:
    """Mark an announcement as read."""
    await page.api.send("PUT", f"/v1/announcements/{fields.get('id', '')}/read")


async def write(page: Page, fields: Fields) -> Mapping[str, Any]:
    """Write to the operator."""
    told: Mapping[str, Any] = await page.api.send("POST", f"/v1/units/{page.named('unit')}/messages", {"text": fields.get("text", "")})
    return told


async def wish(page: Page, fields: Fields) -> None:
    """Choose what one wants for the flat."""
    await page.api.send("PUT", f"/v1/me/units/{page.named('unit')}", {name: name in fields for name in WISHES})


async def document(page: Page) -> Response:
    """The file itself."""
    identity = page.named("id")
    body = await page.api.raw("GET", f"/v1/documents/{identity}", "")
    media, ending = next((media, ending) for start, media, ending in FILES if body.startswith(start))
    name = re.sub(r"[^A-Za-z0-9_-]", "", identity)
    return Response(body, media_type=media, headers={"Content-Disposition": f'attachment; filename="{name}.{ending}"'})


async def statement(page: Page) -> Response:
    """Make a statement of a year, up to this month, and open it."""
    unit = await unit_of(page)
    year = _year(page) or today(unit).year
    body = {"from": date(year, 1, 1).isoformat(), "to": min(date(year + 1, 1, 1), first_of(today(unit), 1)).isoformat(), "format": "pdf"}
    made = await page.api.send("POST", f"/v1/units/{unit['id']}/statements", body)
    return page.go(f"/documents/{made['document']['id']}")


async def newest(page: Page) -> Response:
    """The papers of the flat that is shown first."""
    units = (await page.api.get("/v1/units"))["units"]
    return page.go(f"/units/{units[0]['id']}/papers" if units else "/home")


def _year(page: Page) -> int:
    """The year that is asked for, 0 for none."""
    return int(page.asked("year")) if re.fullmatch(r"20\d\d", page.asked("year")) else 0


SCREENS: Final[Mapping[str, Screen]] = {
    "/units/{unit}/papers": Screen(
        "papers.html",
        papers,
        {"open": read, "seen": seen, "write": write, "wish": wish},
        {"write": ("text", "A message has 1 to 4,000 characters.")},
    )
}
PAGES: Final[tuple[Place, ...]] = (
    *paged(SCREENS),
    ("/units/{unit}/statement", ["POST"], statement),
    ("/documents/{id}", ["GET"], document),
    ("/papers", ["GET"], newest),
    ("/announcements", ["GET"], newest),
)
