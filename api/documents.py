"""Documents that the accounting system pushed: bills, settlements, house rules; kept as they came and shown to whom they concern (portal FEATURES b, S13).

Rules: a document of a flat is seen by the holder whose it is, the next one never sees it; one of the house by those who lived there in its time; a bill only by accounts that
subscribed to e-invoices of the flat; a statement only by the account that asked. Bytes are answered as they came, with their SHA-256 as ETag.
"""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import Base64Bytes, Field, model_validator

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.forms import Body
from submeter.api.mirror import Currency, For, Language, Money, audience_of, holder_of, is_service, minor, money, place_of
from submeter.api.negotiation import tags
from submeter.api.numbers import moment
from submeter.api.payments import Payment, PaymentError, payment_string
from submeter.api.periods import instant_of
from submeter.api.problems import Invalid, NotFound, TooLarge
from submeter.store.audience import Audience
from submeter.store.documents import Document, Wishes, sha_of
from submeter.store.registry import Registry, new_id
from submeter.store.registry_types import EVER

__all__ = ["PDF", "documents_of", "keep", "routes", "told"]

PDF: Final = "application/pdf"
ENDINGS: Final = {PDF: "pdf", "text/csv": "csv"}
#: Bytes of a document at most (portal API 7).
MOST: Final = 10 * 1024 * 1024
#: Where the mark of a PDF's end must stand.
TAIL: Final = 1024
ZONE: Final = "UTC"


class Span(Body):
    """A period in local dates, half-open."""

    start: Annotated[date, Field(alias="from")]
    end: Annotated[date, Field(alias="to")]

    @model_validator(mode="after")
    def _ordered(self) -> "Span":
        if self.start >= self.end:
            raise ValueError("`to` must be later than `from`")
        return self


class Pushed(Body):
    """A document with what is known of it; `holder` is a day of the occupancy that it concerns, needed only where its period does not say."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z_]{1,30}$", description="bill, settlement, contract, rules, …")]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    locale: Language
    audience: For
    period: Span | None = None
    holder: Annotated[str, Field(max_length=40)] | None = None
    visible_from: Annotated[str, Field(max_length=40)] | None = None
    amount: Money | None = None
    currency: Currency | None = None
    due: date | None = None
    payment: Payment | None = None
    pdf: Annotated[Base64Bytes, Field(description="the file, base64")]


class Wanted(Body):
    """What an account wants for a unit."""

    e_invoices: bool = False
    statement_monthly: bool = False
    announcements_by_mail: bool = False


routes: Final = APIRouter(tags=["documents"])


@routes.post("/v1/documents", status_code=201, tags=["operator"])
async def push(access: Annotated[Access, scoped("documents:write", cost="w")], body: Pushed) -> dict[str, Any]:
    """Keep a document; one that is there already, with the same words and bytes, is not kept again."""
    _check_pdf(body.pdf)
    if body.payment is not None:
        try:
            amount, due = None if body.amount is None else minor(body.amount), body.due.isoformat() if body.due else None
            payment_string(body.payment, amount, body.currency, due)
        except PaymentError as error:
            raise Invalid(str(error), "payment") from None
    document = keep(access.registry, _document(access, body), body.pdf, access.principal.actor)
    return {"id": document.id, "sha256": document.sha}


@routes.get("/v1/units/{unit}/documents")
async def listed(unit: str, access: Annotated[Access, scoped("documents:read", cost="r")]) -> dict[str, Any]:
    """Documents of a unit and its house, the newest first, and how many of them the account has not read."""
    seen, account = access.unit(unit), access.principal.account
    read = access.registry.documents.read_by(account) if account else {}
    found = [told(one, seen.property.zone, read.get(one.id)) for one in documents_of(access, seen)]
    return {"unit": seen.unit.id, "unread": sum(one["read_at"] is None for one in found) if account else None, "documents": found}


@routes.get("/v1/documents/{identity}", response_class=Response)
async def content(request: Request, identity: str, access: Annotated[Access, scoped("documents:read", cost="r")]) -> Response:
    """The file itself."""
    document = _found(access, identity)
    name = f"{document.kind}-{document.id}.{ENDINGS.get(document.media, 'xlsx')}"
    headers = {"ETag": f'"{document.sha}"', "Cache-Control": "private, no-cache", "Content-Disposition": f'attachment; filename="{name}"'}
    if headers["ETag"] in tags(request.headers.get("If-None-Match", "")):
        return Response(status_code=304, headers=headers)
    return Response(access.registry.documents.content(document), media_type=document.media, headers=headers)


@routes.put("/v1/documents/{identity}/read", status_code=204)
async def mark(identity: str, access: Annotated[Access, scoped("documents:read", cost="w")]) -> None:
    """Note that the account read a document."""
    account = access.account()
    access.registry.documents.read(_found(access, identity).id, account, access.now)


@routes.get("/v1/me/units/{unit}", tags=["account"])
async def wishes(unit: str, access: Annotated[Access, scoped("me:self", cost="r")]) -> dict[str, Any]:
    """What the account wants for a unit."""
    return asdict(access.registry.documents.wishes(access.account(), access.unit(unit).unit.id))


@routes.put("/v1/me/units/{unit}", tags=["account"])
async def wish(unit: str, access: Annotated[Access, scoped("me:self", cost="w")], body: Wanted) -> dict[str, Any]:
    """E-invoices, a statement by mail each month, announcements by mail: what the account wants for a unit."""
    own, seen, wanted = access.account(), access.unit(unit), Wishes(**body.model_dump())
    with access.registry.writing():
        access.registry.documents.wish(own, seen.unit.id, wanted)
        access.registry.record(f"account:{own}", "wishes.set", seen.unit.id, " ".join(name for name, on in asdict(wanted).items() if on))
    return asdict(wanted)


def documents_of(access: Access, seen: SeenUnit) -> Iterator[Document]:
    """The documents of a visible unit and its house that concern who asks, the newest first."""
    documents, account = access.registry.documents, access.principal.account
    wanted = documents.wishes(account, seen.unit.id) if account else Wishes()
    return (one for one in documents.of(place_of(seen)) if _concerns(one, seen, account, wanted, access.now))


def keep(registry: Registry, document: Document, content: bytes, actor: str) -> Document:
    """Keep a document, or return the one that is like it in everything."""
    same = registry.documents.same(document)
    if same is not None:
        return same
    with registry.writing():
        registry.documents.add(document, content)
        registry.record(actor, "documents.create", document.id, f"{document.kind} {document.sha}")
    return document


def told(one: Document, zone: str, read: int | None) -> dict[str, Any]:
    """A document as a list shows it."""
    return {
        "id": one.id,
        "kind": one.kind,
        "title": one.title,
        "locale": one.locale,
        "period": None if one.since is None else {"from": one.since, "to": one.until},
        "amount": None if one.amount is None else money(one.amount),
        "currency": one.currency,
        "due": one.due,
        "visible_from": civil.local_iso(zone, one.visible_from),
        "media_type": one.media,
        "size": one.size,
        "sha256": one.sha,
        "read_at": moment(read, zone),
    }


def _concerns(one: Document, seen: SeenUnit, account: str | None, wanted: Wishes, now: int) -> bool:
    """Whether a document whose audience holds this unit is shown to who sees it so."""
    if not seen.visible.role:
        return one.account is None
    if one.account not in {None, account} or one.visible_from > now or (one.kind == "bill" and not wanted.e_invoices):
        return False
    return one.holder == seen.visible.since if one.unit is not None else _in_time(one, seen)


def _in_time(one: Document, seen: SeenUnit) -> bool:
    """Whether a document of the house is of the time that is visible: by its period, else it may be older than who lives there, not younger."""
    begun = one.visible_from if one.since is None else civil.midnight(seen.property.zone, date.fromisoformat(one.since))
    ended = EVER if one.until is None else civil.midnight(seen.property.zone, date.fromisoformat(one.until))
    return begun < seen.visible.ends and ended > seen.visible.begins


def _found(access: Access, identity: str) -> Document:
    """A document that who asks may see; raises NotFound."""
    one = access.registry.documents.one(identity)
    if one is None:
        raise NotFound
    if is_service(access):
        if one.manager != access.principal.manager or one.account is not None:
            raise NotFound
        return one
    meant = Audience(one.manager, one.property, one.entrance, one.unit)
    for seen in access.units():
        if meant.holds(place_of(seen)) and one.id in {other.id for other in documents_of(access, seen)}:
            return one
    raise NotFound


def _document(access: Access, body: Pushed) -> Document:
    """What is kept of a push; raises NotFound, Invalid."""
    audience, seen = audience_of(access, body.audience)
    zone = seen.property.zone if seen else _zone(access, audience)
    shown = access.now if body.visible_from is None else instant_of("visible_from", body.visible_from, zone)
    span = (shown, shown + 1) if body.period is None else (civil.midnight(zone, body.period.start), civil.midnight(zone, body.period.end))
    return Document(
        id=new_id("b_"),
        manager=audience.manager,
        property=audience.property,
        entrance=audience.entrance,
        unit=audience.unit,
        holder=holder_of(access.registry, seen, span, body.holder, "holder") if seen else None,
        account=None,
        kind=body.kind,
        title=body.title,
        locale=body.locale,
        since=body.period.start.isoformat() if body.period else None,
        until=body.period.end.isoformat() if body.period else None,
        amount=None if body.amount is None else minor(body.amount),
        currency=body.currency,
        due=None if body.due is None else body.due.isoformat(),
        visible_from=shown,
        payment=body.payment.model_dump_json() if body.payment else None,
        media=PDF,
        sha=sha_of(body.pdf),
        size=len(body.pdf),
        created=access.now,
    )


def _zone(access: Access, audience: Audience) -> str:
    building = access.registry.property(audience.property) if audience.property else None
    return building.zone if building else ZONE


def _check_pdf(content: bytes) -> None:
    """Refuse what is no PDF by its head and its end (ISO 32000, 7.5); raises TooLarge, Invalid."""
    if len(content) > MOST:
        raise TooLarge(f"{MOST} bytes at most")
    if content[:7] not in {b"%PDF-1.", b"%PDF-2."} or b"%%EOF" not in content[-TAIL:]:
        raise Invalid("this is no PDF", "pdf")
