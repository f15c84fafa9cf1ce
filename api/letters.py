"""Claims as they are handed out: letters in PDF, one page a unit, with a cover list per entrance; or the same as CSV for a printer's own form (FLOWS 5).

Rules: in the portal's first language; a letter holds the claims of its unit and nothing of another one's; the cover list names units, never secrets.
A field without a word in the language (config/words.py) has the portal's own name.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from submeter.api.access import Access, scoped
from submeter.api.files import comma_separated
from submeter.api.flows import Flows
from submeter.api.forms import Body
from submeter.api.labels import written_date
from submeter.api.post_codes import postal
from submeter.api.problems import NotAccepted, NotFound
from submeter.api.sending import count_today
from submeter.api.sign_in import FlowsHere
from submeter.config.texts import written
from submeter.config.words import words_of
from submeter.pdf import Paper
from submeter.store.registry import Registry

__all__ = ["PDF", "comma_letters", "printed_letters", "routes"]

PDF: Final = "application/pdf"
#: Tries a day of the code that confirms a grant.
TRIES: Final = 5

routes: Final = APIRouter(tags=["account"])


class Code(Body):
    """What the letter said."""

    code: Annotated[str, Field(min_length=1, max_length=64)]


@routes.post("/v1/grants/{identity}/confirmation", status_code=204)
async def confirm(identity: str, access: Annotated[Access, scoped("grants:self", cost="w")], flows: FlowsHere, body: Code) -> None:
    """Make a limited grant of one's own a whole one, by the code of the letter that went to the unit."""
    accounts, own, key = access.registry.accounts, access.account(), f"letter:{identity}"
    if identity not in {one.id for one in accounts.grants(own)}:
        raise NotFound
    letter = flows.post_codes.proves("confirmation", identity, body.code, access.now)
    if accounts.held_up(key, access.now, daily=TRIES) or letter is None:
        count_today(accounts, key, access.now)
        raise NotAccepted
    with access.registry.writing():
        access.registry.letters.use(letter.id, access.now)
        accounts.confirm_grant(identity)
        access.registry.record(f"account:{own}", "grant.confirm", identity)


def comma_letters(access: Access, told: Sequence[Mapping[str, Any]]) -> bytes:
    """A row a claim, in order of property, entrance and unit; cells that a spreadsheet could run are defused."""
    names = sorted({name for one in told for name in one["fields"]})
    rows: list[list[str]] = [["property", "entrance", "unit", "label", "kind", *names]]
    for (building, entrance, label, unit), one in _ordered(access, told):
        rows.append([building, entrance, unit, label, one["kind"], *(one["fields"].get(name, "") for name in names)])
    return comma_separated(rows).encode("utf-8-sig")


def printed_letters(access: Access, flows: Flows, told: Sequence[Mapping[str, Any]]) -> bytes:
    """The letters: where a kind of the batch is handed out per entrance a cover list before those of each one, then one page a unit."""
    manager = access.principal.manager
    portal, url = flows.portal(manager), flows.url_of(manager)
    locale, brand = portal.locales[0], next(one.name for one in access.registry.managers() if one.id == manager)
    paper = Paper(written("claim_letter", locale, {"portal": url, "unit": "", "until": ""}, brand).subject, locale, access.now, brand)
    covered = any(portal.claims[one["kind"]].letter == "entrance" for one in told)
    for (building, entrance), some in groupby(_ordered(access, told), lambda one: one[0][:2]):
        letters = [(key, [one for _, one in claims]) for key, claims in groupby(some, lambda one: one[0])]
        if covered:
            _cover(paper, locale, brand, url, ", ".join(filter(None, [building, entrance])), letters)
        for (_, _, _, unit), claims in letters:
            _letter(paper, access.registry, locale, brand, url, unit, claims)
    return paper.made()


def _cover(paper: Paper, locale: str, brand: str, url: str, place: str, letters: Sequence[tuple[tuple[str, ...], Sequence[object]]]) -> None:
    text, said = written("claims_cover", locale, {"portal": url, "place": place}, brand), words_of(locale).letters
    paper.page(text.subject)
    paper.paragraph(text.body)
    paper.table([[key[2], str(len(claims)), ""] for key, claims in letters], [said["unit"], said["letters"], said["signature"]], widths=[3, 1, 3])


def _letter(paper: Paper, registry: Registry, locale: str, brand: str, url: str, unit: str, claims: Sequence[Mapping[str, Any]]) -> None:
    to, zone = postal(registry, unit)
    ends = [one["expires"] for one in claims if one["expires"] is not None]
    until = written_date(locale, zone, min(ends)) if ends else "—"
    text = written("claim_letter", locale, {"portal": url, "unit": to, "until": until}, brand)
    paper.page(text.subject)
    paper.paragraph(text.body)
    for one in claims:
        paper.table([[words_of(locale).letters.get(name, name), value] for name, value in one["fields"].items()], widths=[2, 3])
    paper.qr(url)


def _ordered(access: Access, told: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[str, str, str, str], Mapping[str, Any]]]:
    """Each claim under its property, entrance, label and unit, in this order."""
    found = []
    for one in told:
        seen = access.unit(one["unit"])
        found.append(((seen.property.name, seen.unit.entrance, seen.unit.label, seen.unit.id), one))
    return sorted(found, key=lambda one: one[0])
