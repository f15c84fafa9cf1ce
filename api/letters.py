"""Claims as they are handed out: letters in PDF, one page a unit, with a cover list per entrance; or the same as CSV for a printer's own form (FLOWS 5).

Rules: in the portal's first language; a letter holds the claims of its unit and nothing of another one's; the cover list names units, never secrets.
A field without a word in the language (config/words.py) has the portal's own name.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from submeter.api.access import Access, scoped
from submeter.api.files import comma_separated
from submeter.api.labels import written_date
from submeter.api.post_codes import postal
from submeter.api.problems import NotAccepted, NotFound
from submeter.api.sign_in import FlowsHere
from submeter.config.portals import Portal
from submeter.config.texts import written
from submeter.config.words import words_of
from submeter.pdf import Paper
from submeter.store.registry import Registry

__all__ = ["PDF", "comma_letters", "printed_letters", "routes"]

PDF: Final = "application/pdf"
#: Tries a day of the code that confirms a grant.
TRIES: Final = 5

routes: Final = APIRouter(tags=["account"])


class Code(BaseModel):
    """What the letter said."""

    model_config = ConfigDict(extra="forbid")
    code: Annotated[str, Field(min_length=1, max_length=64)]


@routes.post("/v1/grants/{identity}/confirmation", status_code=204)
async def confirm(identity: str, access: Annotated[Access, scoped("grants:self", cost="w")], flows: FlowsHere, body: Code) -> None:
    """Make a limited grant of one's own a whole one, by the code of the letter that went to the unit."""
    accounts, own, key = access.registry.accounts, access.account(), f"letter:{identity}"
    if identity not in {one.id for one in accounts.grants(own)}:
        raise NotFound
    letter = flows.post_codes.proves("confirmation", identity, body.code, access.now)
    if accounts.held_up(key, access.now, daily=TRIES) or letter is None:
        accounts.count(key, access.now, lambda _: 0, daily=True)
        raise NotAccepted
    with access.registry.writing():
        access.registry.letters.use(letter.id, access.now)
        accounts.confirm_grant(identity)
        access.registry.record(f"account:{own}", "grant.confirm", identity)


def comma_letters(registry: Registry, told: Sequence[Mapping[str, Any]]) -> bytes:
    """A row a claim, in order of property, entrance and unit; cells that a spreadsheet could run are defused."""
    names = sorted({name for one in told for name in one["fields"]})
    rows: list[list[str]] = [["property", "entrance", "unit", "label", "kind", *names]]
    for (building, entrance, label, unit), one in _ordered(registry, told):
        rows.append([building, entrance, unit, label, one["kind"], *(one["fields"].get(name, "") for name in names)])
    return comma_separated(rows).encode("utf-8-sig")


def printed_letters(registry: Registry, portal: Portal, host: str, told: Sequence[Mapping[str, Any]], now: int) -> bytes:
    """The letters: where a kind of the batch is handed out per entrance a cover list before those of each one, then one page a unit."""
    locale = portal.locales[0]
    manager = next((one for one in registry.managers() if any(one.id == seen for seen in _managers(registry, told))), None)
    brand = manager.name if manager else host
    paper = Paper(written("claim_letter", locale, {"portal": host, "unit": "", "until": ""}, brand).subject, locale, now, brand)
    covered = any(portal.claims[one["kind"]].letter == "entrance" for one in told)
    for (building, entrance), some in groupby(_ordered(registry, told), lambda one: one[0][:2]):
        letters = [(key, [one for _, one in claims]) for key, claims in groupby(some, lambda one: one[0])]
        if covered:
            _cover(paper, locale, brand, host, ", ".join(filter(None, [building, entrance])), letters)
        for (_, _, _, unit), claims in letters:
            _letter(paper, registry, locale, brand, host, unit, claims)
    return paper.made()


def _cover(paper: Paper, locale: str, brand: str, host: str, place: str, letters: Sequence[tuple[tuple[str, ...], Sequence[object]]]) -> None:
    text, said = written("claims_cover", locale, {"portal": f"https://{host}", "place": place}, brand), words_of(locale).letters
    paper.page(text.subject)
    paper.paragraph(text.body)
    paper.table([[key[2], str(len(claims)), ""] for key, claims in letters], [said["unit"], said["letters"], said["signature"]], widths=[3, 1, 3])


def _letter(paper: Paper, registry: Registry, locale: str, brand: str, host: str, unit: str, claims: Sequence[Mapping[str, Any]]) -> None:
    to, zone = postal(registry, unit)
    ends = [one["expires"] for one in claims if one["expires"] is not None]
    until = written_date(locale, zone, min(ends)) if ends else "—"
    text = written("claim_letter", locale, {"portal": f"https://{host}", "unit": to, "until": until}, brand)
    paper.page(text.subject)
    paper.paragraph(text.body)
    for one in claims:
        paper.table([[words_of(locale).letters.get(name, name), value] for name, value in one["fields"].items()], widths=[2, 3])
    paper.qr(f"https://{host}")


def _ordered(registry: Registry, told: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[str, str, str, str], Mapping[str, Any]]]:
    """Each claim under its property, entrance, label and unit, in this order."""
    found = []
    for one in told:
        unit = registry.unit(one["unit"])
        building = registry.property(unit.property) if unit else None
        found.append(((building.name if building else "", unit.entrance if unit else "", unit.label if unit else "", one["unit"]), one))
    return sorted(found, key=lambda one: one[0])


def _managers(registry: Registry, told: Sequence[Mapping[str, Any]]) -> set[str]:
    """The manager of a batch."""
    unit = registry.unit(told[0]["unit"])
    building = registry.property(unit.property) if unit else None
    return {building.manager} if building else set()
