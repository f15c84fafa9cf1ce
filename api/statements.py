"""Statements of consumption, made here from the published rows: a PDF in the reader's language, CSV or XLSX; kept as a document of who asked, or sent too.

Rules: what is in it is what `GET …/consumption` answers the same person by months, nothing of another holder's time; the same rows are the same bytes, and one document;
a mail goes to an own proven address alone, with a link and not with the figures.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.consumption import answer, shown_series
from submeter.api.documents import keep, told
from submeter.api.files import CSV, XLSX, file_of
from submeter.api.forms import Body
from submeter.api.labels import labelled
from submeter.api.periods import Period, period
from submeter.api.problems import Invalid, TooManyRequests
from submeter.api.sending import count_today
from submeter.api.sign_in import FlowsHere
from submeter.config.languages import LOCALES, Locale
from submeter.config.words import number as written
from submeter.config.words import words_of
from submeter.pdf import Paper
from submeter.store.accounts import Account
from submeter.store.documents import Document, sha_of
from submeter.store.outbox import masked
from submeter.store.published import Published
from submeter.store.registry import Registry, new_id

__all__ = ["Statement", "document_of", "language_of", "put_mail", "routes"]

Format = Literal["pdf", "csv", "xlsx"]
MEDIA: Final[Mapping[Format, str]] = {"pdf": "application/pdf", "csv": CSV, "xlsx": XLSX}
#: Statements that an account may ask for in a day; when to try again after them, seconds.
A_DAY: Final = 30
LATER: Final = 3600
TO: Final = " \N{EN DASH} "
WIDTHS: Final = (4, 5, 8, 5, 5, 5, 4)
#: Flags that the paper says otherwise: by an unknown value, and by the dates of a part of a month.
SAID: Final = frozenset({"no_data", "cut"})


class Wanted(Body):
    """A statement to be made, of whole months; `send_to` is the id of an own proven mail contact."""

    start: Annotated[date, Field(alias="from")]
    end: Annotated[date, Field(alias="to")]
    format: Format = "pdf"
    send_to: Annotated[str, Field(max_length=64)] | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What is asked for: local dates (half-open), the form, the language, and the portal's address, "" where there is none."""

    start: date
    end: date
    format: Format
    locale: Locale
    host: str

    @property
    def span(self) -> str:
        """Its period as people read it: both days are in it."""
        return f"{self.start.isoformat()}{TO}{date.fromordinal(self.end.toordinal() - 1).isoformat()}"


routes: Final = APIRouter(tags=["statements"])


@routes.post("/v1/units/{unit}/statements", status_code=201)
async def make(
    request: Request, unit: str, access: Annotated[Access, scoped("statements:self", cost="w")], flows: FlowsHere, body: Wanted
) -> dict[str, Any]:
    """Make a statement: a document that only this account sees; with `send_to` a mail tells of it."""
    seen, account = access.unit(unit), access.holder()
    tenant = flows.operated(seen.property.manager)
    asked = Statement(body.start, body.end, body.format, language_of(account.locale), tenant.host if tenant else "")
    address = None if body.send_to is None else _address(access.registry, account.id, body.send_to)
    published: Published = request.app.state.published
    document = await run_in_threadpool(_made, access, seen, asked, account, published, address)
    return {"document": told(document, seen.property.zone, None), "sent_to": masked(address) if address else None}


def document_of(registry: Registry, published: Published, seen: SeenUnit, asked: Statement, account: str, now: int) -> tuple[Document, bytes]:
    """A statement of what is visible of a unit, with its bytes; raises Invalid for a range that cannot be answered."""
    building = replace(seen.property, finest=seen.visible.finest)
    months = period(asked.start.isoformat(), asked.end.isoformat(), "P1M", building, now=now, visible=seen.visible)
    shown = shown_series(published, seen.points(registry), None)
    body = answer(seen, months, shown, published, view="latest", by_meter=True, index=True)
    series = [labelled(one, asked.locale, None, rated=True) for one in body["series"]]
    whole = {"resolution": "P1M", **body, "series": series, "compare": {}}
    content = _pdf(seen, asked, whole, months) if asked.format == "pdf" else file_of(MEDIA[asked.format], whole)
    document = Document(
        id=new_id("b_"),
        manager=seen.property.manager,
        property=None,
        entrance=None,
        unit=seen.unit.id,
        holder=seen.visible.since,
        account=account,
        kind="statement",
        title=f"{words_of(asked.locale).statement['title']} {asked.span}",
        locale=asked.locale,
        since=asked.start.isoformat(),
        until=asked.end.isoformat(),
        amount=None,
        currency=None,
        due=None,
        visible_from=now,
        payment=None,
        media=MEDIA[asked.format],
        sha=sha_of(content),
        size=len(content),
        created=now,
    )
    return document, content


def put_mail(registry: Registry, seen: SeenUnit, asked: Statement, document: Document, address: str, *, now: int, unique: str | None = None) -> None:
    """Tell an address of a statement, by a link to it."""
    values = {"link": f"https://{asked.host}/documents/{document.id}", "unit": seen.unit.label, "period": asked.span}
    registry.outbox.put(seen.property.manager, "email", address, "statement", asked.locale, values, now=now, unique=unique)


def _made(access: Access, seen: SeenUnit, asked: Statement, account: Account, published: Published, address: str | None) -> Document:
    accounts, key = access.registry.accounts, f"statements:{account.id}"
    if accounts.held_up(key, access.now, daily=A_DAY):
        raise TooManyRequests(LATER)
    document, content = document_of(access.registry, published, seen, asked, account.id, access.now)
    with access.registry.writing():
        count_today(accounts, key, access.now)
        kept = keep(access.registry, document, content, f"account:{account.id}")
        if address is not None:
            put_mail(access.registry, seen, asked, kept, address, now=access.now)
    return kept


def _address(registry: Registry, account: str, contact: str) -> str:
    """An own proven mail address by its id; raises Invalid for any other."""
    for one in registry.accounts.contacts(account):
        if one.id == contact and one.verified is not None and one.channel == "email":
            return one.address
    raise Invalid("write the id of an own, proven mail contact: GET /v1/me lists them", "send_to")


def language_of(locale: str) -> Locale:
    """The language of an account as that of a statement."""
    return locale if locale in LOCALES else "en"


def _pdf(seen: SeenUnit, asked: Statement, body: Mapping[str, Any], months: Period) -> bytes:
    """The paper: whose, when, a table for each meter, how it is known, and where to look."""
    words = words_of(asked.locale).statement
    paper = Paper(words["title"], asked.locale, max(months.start, 0), seen.property.name)
    paper.page(words["title"])
    until = (body["complete_until"] or words["unknown"])[:16].replace("T", " ")
    head = [("unit", seen.unit.label), ("property", seen.property.name), ("period", asked.span), ("until", until)]
    paper.table([[words[name], value] for name, value in head], widths=(1, 3))
    for series in body["series"]:
        kind = words.get(series["class"], series["class"])
        paper.heading(", ".join(part for part in (kind, series["label"], series["uom_label"]) if part))
        columns = [words[name] for name in ("month", "value", "bounds", "quality", "start", "end", "flags")]
        paper.table(list(_rows(series, words, asked.locale)), columns, align=("L", "R", "R", "L", "R", "R", "L"), widths=WIDTHS)
    paper.paragraph(words["method"] if body["series"] else words["none"], small=True)
    if asked.host:
        query = urlencode({"from": asked.start.isoformat(), "to": asked.end.isoformat()})
        link = f"https://{asked.host}/units/{seen.unit.id}/consumption?{query}"
        paper.paragraph(f"{words['look']} {link}", small=True)
        paper.qr(link)
    return paper.made()


def _rows(series: Mapping[str, Any], words: Mapping[str, str], locale: Locale) -> Iterator[list[str]]:
    """A line for each month."""

    def number(value: float | None) -> str:
        return words["unknown"] if value is None else written(locale, Decimal(str(value)), series["decimals"])

    for point in series["points"]:
        lower, upper = point.get("lo", point.get("min")), point.get("hi", point.get("max"))
        bounds = "" if lower is None and upper is None else f"{number(lower)}{TO}{number(upper)}"
        start, end = (number(point[name]) if point.get(name) is not None else "" for name in ("index_start", "index_end"))
        month = f"{point['start'][:10]}{TO}{point['end'][:10]}" if "cut" in point["flags"] else point["start"][:7]
        yield [
            month,
            number(point["value"]),
            bounds,
            words[point["quality"]],
            start,
            end,
            ", ".join(flag for flag in point["flags"] if flag not in SAID),
        ]
