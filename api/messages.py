"""Messages of residents to the operator: a ticket here, a mail there, the operator's word on it back (portal FEATURES b, Y14, K13).

Rules: a message is a person's own, nobody else at the unit reads it; twenty a day; characters that steer a terminal or turn text round are taken out.
"""

import unicodedata
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import Field

from submeter import civil
from submeter.api.access import Access, anyone, microseconds, scoped
from submeter.api.flows import Flows
from submeter.api.flows.shown import reviewed
from submeter.api.forms import Body
from submeter.api.numbers import moment
from submeter.api.problems import Invalid, NotFound, TooManyRequests
from submeter.api.sending import count_today
from submeter.api.sign_in import FlowsHere, opened
from submeter.store.messages import Letter
from submeter.store.registry import Registry, new_id
from submeter.store.registry_types import Unit

__all__ = ["cleaned", "routes", "send"]

LONGEST: Final = 4000
A_DAY: Final = 20
#: Objections a day to the rooms of one claim.
OBJECTIONS: Final = 3
#: When to try again after too many, seconds.
LATER: Final = 3600


class Written(Body):
    """What somebody writes."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST)]


class Status(Body):
    """What became of it, in the operator's words."""

    status: Annotated[str, Field(min_length=1, max_length=500)]


routes: Final = APIRouter(tags=["messages"])


@routes.post("/v1/units/{unit}/messages", status_code=201)
async def write(unit: str, access: Annotated[Access, scoped("messages:self", cost="w")], flows: FlowsHere, body: Written) -> dict[str, Any]:
    """Write to the operator: the answer names the ticket."""
    seen, own, accounts = access.unit(unit), access.account(), access.registry.accounts
    text, key = cleaned(body.text, "text"), f"messages:{own}"
    if accounts.held_up(key, access.now, daily=A_DAY):
        raise TooManyRequests(LATER)
    proven = [one.address for one in accounts.contacts(own) if one.verified is not None]
    sender = " ".join(one for one in [access.holder().name, *proven[:1]] if one)
    letter = Letter(new_id("t_"), seen.property.manager, seen.unit.id, own, text, access.now)
    with access.registry.writing():
        count_today(accounts, key, access.now)
        send(access.registry, flows, letter, seen.unit, sender or "?")
        access.registry.record(f"account:{own}", "message.write", seen.unit.id, letter.id)
    return _told(letter)


@routes.post("/v1/flows/{identity}/objection", status_code=201, dependencies=[anyone])
async def objection(request: Request, flows: FlowsHere, identity: str, body: Written) -> dict[str, Any]:
    """Write to the operator that the rooms under review are not the own ones; the flow stays where it is."""
    registry: Registry = request.app.state.registry
    now, claim = microseconds(request), reviewed(flows, opened(flows, request, identity))
    unit, key = registry.unit(claim.unit), f"objections:{claim.id}"
    if unit is None:
        raise NotFound
    if registry.accounts.held_up(key, now, daily=OBJECTIONS):
        raise TooManyRequests(LATER)
    letter = Letter(new_id("t_"), claim.manager, unit.id, None, cleaned(body.text, "text"), now)
    with registry.writing():
        count_today(registry.accounts, key, now)
        send(registry, flows, letter, unit, f"{claim.kind} {claim.id}")
        registry.record(f"flow:{identity}", "message.write", unit.id, letter.id)
    return _told(letter)


@routes.get("/v1/units/{unit}/messages")
async def own_messages(unit: str, access: Annotated[Access, scoped("messages:self", cost="r")]) -> dict[str, Any]:
    """Own messages about a unit, the newest first, each with the operator's word on it."""
    seen = access.unit(unit)
    return {"unit": seen.unit.id, "messages": [_told(one) for one in access.registry.messages.of(access.account(), seen.unit.id)]}


@routes.get("/v1/messages", tags=["operator"])
async def all_messages(access: Annotated[Access, scoped("accounts:write", cost="r")]) -> dict[str, Any]:
    """The thousand newest messages to the manager."""
    found = access.registry.messages.of_manager(access.principal.manager, 1000)
    return {"messages": [_told(one) | {"unit": one.unit, "account": one.account} for one in found]}


@routes.put("/v1/messages/{identity}", status_code=204, tags=["operator"])
async def answer(identity: str, access: Annotated[Access, scoped("accounts:write", cost="w")], body: Status) -> None:
    """Say what became of a message."""
    with access.registry.writing():
        if not access.registry.messages.answer(access.principal.manager, identity, cleaned(body.status, "status"), access.now):
            raise NotFound
        access.registry.record(access.principal.actor, "message.status", identity)


def send(registry: Registry, flows: Flows, letter: Letter, unit: Unit, sender: str) -> None:
    """Keep a message, and its mail to the operator where the portal names an address."""
    registry.messages.add(letter)
    tenant = flows.operated(letter.manager)
    if tenant is not None and tenant.operator_email:
        values = {"link": f"https://{tenant.host}", "unit": f"{unit.label} ({unit.id})", "ticket": letter.id, "sender": sender, "text": letter.text}
        registry.outbox.put(
            letter.manager, "email", tenant.operator_email, "message_to_operator", tenant.portal.locales[0], values, now=letter.created
        )


def cleaned(text: str, name: str) -> str:
    """Text without characters that steer or turn it; line ends are kept as one sign. Raises Invalid where nothing is left."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(char for char in lines if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs"}).strip()
    if not kept:
        raise Invalid("there is no text", name)
    return kept


def _told(one: Letter) -> dict[str, Any]:
    changed = moment(one.changed)
    return {"ticket": one.id, "text": one.text, "written_at": civil.iso(one.created), "status": one.status, "status_at": changed}
