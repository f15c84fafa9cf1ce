"""Announcements of managers: for everybody, a house, an entrance or one unit, in the languages that they wrote, also by mail (portal FEATURES b, S11, Y13).

Rules: who moves out sees what was announced in the own time, who moves in what is announced to the house still, and to the flat only what came in the own time. A
mail goes to proven addresses of those who live there now: of all, or of those who chose it, as whoever announces says.
"""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.documents import ZONE
from submeter.api.forms import Body
from submeter.api.labels import locale_of
from submeter.api.mirror import For, audience_of, is_service, place_of
from submeter.api.numbers import moment
from submeter.api.periods import instant_of
from submeter.api.problems import Invalid, NotFound
from submeter.api.sign_in import FlowsHere
from submeter.config.languages import Locale
from submeter.store.announcements import Announcement
from submeter.store.registry import new_id

__all__ = ["announced_to", "routes"]


class Words(Body):
    """An announcement in one language."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    text: Annotated[str, Field(min_length=1, max_length=8000)]


class Said(Body):
    """An announcement; `mail` sends it to those who live there: to all, or to those who opted in."""

    audience: For
    texts: Annotated[dict[Locale, Words], Field(min_length=1)]
    since: Annotated[str | None, Field(alias="from", max_length=40)] = None
    until: Annotated[str | None, Field(alias="to", max_length=40)] = None
    mail: Literal["opted_in", "all"] | None = None


routes: Final = APIRouter(tags=["announcements"])


@routes.post("/v1/announcements", status_code=201, tags=["operator"])
async def announce(access: Annotated[Access, scoped("announcements:write", cost="w")], flows: FlowsHere, body: Said) -> dict[str, Any]:
    """Keep an announcement, and its mails with it."""
    audience, seen = audience_of(access, body.audience)
    building = seen.property if seen else access.registry.property(audience.property) if audience.property else None
    zone = building.zone if building else ZONE
    since = access.now if body.since is None else instant_of("from", body.since, zone)
    until = None if body.until is None else instant_of("to", body.until, zone)
    if until is not None and until <= since:
        raise Invalid("`to` must be later than `from`", "to")
    texts = {str(locale): words.model_dump() for locale, words in body.texts.items()}
    one = Announcement(new_id("n_"), audience.manager, audience.property, audience.entrance, audience.unit, since, until, access.now, texts)
    tenant = flows.operated(audience.manager)
    link = f"https://{tenant.host}/announcements" if tenant else ""
    mails = await run_in_threadpool(_keep, access, one, link, body.mail)
    return {"id": one.id, "mails": mails}


@routes.get("/v1/announcements")
async def listed(request: Request, access: Annotated[Access, scoped("announcements:read", cost="r")], locale: Locale | None = None) -> dict[str, Any]:
    """What is announced to the units of who asks, once each, the newest first; a token of the manager gets all, and how many read each."""
    registry, account = access.registry, access.principal.account
    if is_service(access):
        found = registry.announcements.of_manager(access.principal.manager)
        return {"announcements": [_announced(one) | {"readers": registry.announcements.readers(one.id)} for one in found]}
    own = registry.accounts.account(account) if account else None
    chosen = locale_of(locale, own.locale if own else request.headers.get("Accept-Language", ""))
    read = registry.announcements.read_by(account) if account else {}
    shown = [_told(one, units, read.get(one.id)) | _in(one, chosen) for one, units in announced_to(access)]
    return {"unread": sum(one["read_at"] is None for one in shown) if account else None, "announcements": shown}


@routes.put("/v1/announcements/{identity}/read", status_code=204)
async def mark(identity: str, access: Annotated[Access, scoped("announcements:read", cost="w")]) -> None:
    """Note that the account read an announcement."""
    account = access.account()
    if identity not in {one.id for one, _ in announced_to(access)}:
        raise NotFound
    access.registry.announcements.read(identity, account, access.now)


def announced_to(access: Access) -> list[tuple[Announcement, list[str]]]:
    """What is announced to who asks, with the units that it is for."""
    found: dict[str, tuple[Announcement, list[str]]] = {}
    for seen in access.units():
        for one in access.registry.announcements.of(place_of(seen), access.now):
            if _in_time(one, seen):
                found.setdefault(one.id, (one, []))[1].append(seen.unit.id)
    return sorted(found.values(), key=lambda pair: (-pair[0].since, pair[0].id))


def _in_time(one: Announcement, seen: SeenUnit) -> bool:
    """Whether it was announced in the time that is visible; what the house still announces is for new ones too."""
    return one.since < seen.visible.ends and (one.unit is None or one.since >= seen.visible.begins)


def _in(one: Announcement, locale: str) -> dict[str, str]:
    """Its words in a language, else in English, else in the one that was written first."""
    return dict(one.texts.get(locale) or one.texts.get("en") or next(iter(one.texts.values())))


def _shown(one: Announcement) -> dict[str, Any]:
    return {"id": one.id, "from": civil.iso(one.since), "to": moment(one.until)}


def _told(one: Announcement, units: list[str], read: int | None) -> dict[str, Any]:
    return _shown(one) | {"units": units, "read_at": moment(read)}


def _announced(one: Announcement) -> dict[str, Any]:
    audience = {"property": one.property, "entrance": one.entrance, "unit": one.unit}
    return _shown(one) | {"texts": one.texts, "audience": {name: value for name, value in audience.items() if value is not None}}


def _keep(access: Access, one: Announcement, link: str, mail: str | None) -> int:
    """Write an announcement and the mails that tell of it in one transaction; returns how many mails."""
    registry = access.registry
    with registry.writing():
        registry.announcements.add(one)
        told = registry.announcements.addressees(one, access.now, everybody=mail == "all") if mail else []
        for address, locale in told:
            values = {"link": link, **_in(one, locale)}
            registry.outbox.put(one.manager, "email", address, "announcement", locale, values, now=access.now, unique=f"{one.id}/{address}")
        registry.record(access.principal.actor, "announcements.create", one.id, f"{len(told)} mails")
    return len(told)
