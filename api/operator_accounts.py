"""Routes of the operator's part of accounts: grants on evidence, a recovery that is started, an account that is disabled (portal API 3, FLOWS 6 and 9).

Rules: an operator never sees or sets a password or code; of an account that sees no unit of the manager nothing is known here; what other managers of the portal
gave to an account is theirs to end.
"""

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import Field

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.accounts import grant_told
from submeter.api.flows import Flows
from submeter.api.flows.telling import tell_holders
from submeter.api.forms import Body, address_of
from submeter.api.problems import Invalid, NotFound
from submeter.api.sending import channel_of, let_out
from submeter.api.sign_in import FlowsHere
from submeter.store.accounts import Account, Contact, Evidence, Grant
from submeter.store.outbox import masked
from submeter.store.registry import new_id

__all__ = ["routes"]


class Granted(Body):
    """Who is to see a unit, found by account or by a proven address; `evidence` is the kind that was seen, never a copy or a number of it."""

    account: str | None = None
    channel: Literal["email", "phone"] = "email"
    address: Annotated[str, Field(max_length=254)] | None = None
    unit: str
    role: Literal["resident", "resident:limited", "household", "third_party"] = "resident"
    evidence: Evidence
    until: str | None = None


class Decision(Body):
    """What an operator decides on a grant."""

    allow: bool


class Recovery(Body):
    """How a recovery is started."""

    by: Literal["message", "letter"] = "message"


routes: Final = APIRouter(tags=["operator"])


@routes.post("/v1/grants", status_code=201)
async def grant(access: Annotated[Access, scoped("accounts:write", cost="w")], flows: FlowsHere, body: Granted) -> dict[str, Any]:
    """Give an account a unit, for who lives there now; told to it and to all who see the unit."""
    unit, accounts, now = access.unit(body.unit).unit.id, access.registry.accounts, access.now
    account, manager = _found(access, flows, body), access.principal.manager
    occupancy = next((one.since for one in access.registry.occupancies_of(unit) if one.holds(now)), None)
    others = [one for one in accounts.grants_of(unit) if one.occupancy == occupancy]
    if any(one.account == account.id for one in others):
        raise Invalid("this account sees the unit already", "account")
    made = Grant(new_id("g_"), account.id, manager, unit, occupancy, body.role, now, _until(body.until, now), "operator", None, now, None)
    with access.registry.writing():
        accounts.add_grant(replace(made, evidence=body.evidence))
        access.registry.record(access.principal.actor, "grant.create", unit, f"operator {made.id}, {body.evidence}")
        tell_holders(flows, {account.id, *(one.account for one in others)}, manager, unit)
    return {"id": made.id, "account": account.id, "unit": unit, "role": body.role, "evidence": body.evidence}


@routes.get("/v1/accounts")
async def holders(access: Annotated[Access, scoped("accounts:write", cost="r")], unit: str) -> dict[str, Any]:
    """Who may see a unit: accounts with their grants, addresses as far as one needs to know them."""
    return {"grants": [_held(access, one) for one in access.registry.accounts.grants_of(access.unit(unit).unit.id)]}


@routes.get("/v1/delayed-grants")
async def waiting(access: Annotated[Access, scoped("accounts:write", cost="r")]) -> dict[str, Any]:
    """Grants that begin later, so that present holders may object: allow them earlier, or deny them."""
    found = access.registry.accounts.waiting(access.principal.manager, access.now)
    return {"grants": [_held(access, one) for one in found]}


@routes.post("/v1/grants/{identity}/decision", status_code=204)
async def decide(identity: str, access: Annotated[Access, scoped("accounts:write", cost="w")], body: Decision) -> None:
    """Let a grant that waits begin, or end any."""
    accounts = access.registry.accounts
    grant = accounts.grant(identity)
    if grant is None or grant.manager != access.principal.manager or grant.ended is not None:
        raise NotFound
    with access.registry.writing():
        if body.allow:
            accounts.start_grant(identity, access.now)
        else:
            accounts.end_grant(identity, access.now)
        access.registry.record(access.principal.actor, f"grant.{'allow' if body.allow else 'deny'}", identity)


@routes.delete("/v1/accounts/{identity}/sessions", status_code=204)
async def sign_out(identity: str, access: Annotated[Access, scoped("accounts:write", cost="w")]) -> None:
    """End all sessions of an account that sees a unit of the manager."""
    accounts = access.registry.accounts
    if access.principal.manager not in {one.manager for one in accounts.grants(identity)}:
        raise NotFound
    with access.registry.writing():
        accounts.end_sessions(identity, access.now)
        access.registry.record(access.principal.actor, "sessions.end", identity)


@routes.post("/v1/accounts/{identity}/recovery", status_code=202)
async def recover(identity: str, access: Annotated[Access, scoped("accounts:write", cost="w")], flows: FlowsHere, body: Recovery) -> dict[str, Any]:
    """Ask the holder of an account, at its own addresses, to choose another password: the flow `recover` does the rest, in the holder's browser."""
    account = _theirs(access, identity)
    with access.registry.writing():
        access.registry.record(access.principal.actor, "account.recovery", identity, body.by)
        return {"by": body.by, "sent": _STARTS[body.by](access, flows, account)}


@routes.delete("/v1/accounts/{identity}", status_code=204)
async def disable(identity: str, access: Annotated[Access, scoped("accounts:write", cost="w")]) -> None:
    """Disable an account: sessions, tokens and grants of this manager end at once; the account itself, unless another manager gave it something too."""
    account, accounts, now = _theirs(access, identity), access.registry.accounts, access.now
    with access.registry.writing():
        for one in accounts.grants(account.id):
            if one.manager == access.principal.manager:
                accounts.end_grant(one.id, now)
        if not accounts.grants(account.id):
            accounts.end(account.id, now)
        accounts.end_sessions(account.id, now)
        access.registry.personal.end_all(account.id, now)
        access.registry.record(access.principal.actor, "account.disable", identity)


def _held(access: Access, one: Grant) -> dict[str, Any]:
    """A grant with who holds it."""
    contacts = [masked(contact.address) for contact in access.registry.accounts.contacts(one.account)]
    return grant_told(access.registry, one) | {"account": one.account, "waits": one.since > access.now, "contacts": contacts}


def _found(access: Access, flows: Flows, body: Granted) -> Account:
    """The account of an id or a proven address in the manager's portal; raises NotFound, Invalid where neither is given."""
    portal, accounts = flows.portal(access.principal.manager), access.registry.accounts
    if body.account is not None:
        found = accounts.account(body.account)
    elif body.address is not None:
        found = accounts.reached(portal.name, body.channel, address_of(body.channel, body.address, portal.country))
    else:
        raise Invalid("name the account, or one of its addresses", "account")
    if found is None or found.realm != portal.name:
        raise NotFound
    return found


def _theirs(access: Access, identity: str) -> Account:
    """An account that sees a unit of the manager; raises NotFound."""
    accounts = access.registry.accounts
    found = accounts.account(identity)
    if found is None or access.principal.manager not in {one.manager for one in accounts.grants(identity)}:
        raise NotFound
    return found


def _message(access: Access, flows: Flows, account: Account) -> int:
    """Write to the addresses for recovery, without any to those of the login; returns to how many."""
    manager, accounts = access.principal.manager, access.registry.accounts
    portal = flows.portal(manager)
    proven = [one for one in accounts.contacts(account.id) if one.verified is not None]
    chosen: list[Contact] = [one for one in proven if one.use == "recovery"] or [one for one in proven if one.use == "auth"]
    sent = 0
    for one in chosen:
        if let_out(accounts, account.realm, manager, one.channel, one.address, portal.policy.resend_per_hour, access.now):
            values = {"portal": flows.url_of(manager)}
            access.registry.outbox.put(manager, channel_of(one.channel), one.address, "recovery_started", account.locale, values, now=access.now)
            sent += 1
    return sent


def _letter(access: Access, flows: Flows, account: Account) -> int:
    """Order a code by letter to the unit that the account holds now; returns how many letters that are."""
    manager = access.principal.manager
    access.registry.record(access.principal.actor, "recovery.letter", account.id)
    return int(flows.post_codes.recovery(account, flows.portal(manager).policy, flows.url_of(manager), access.now, again=True))


#: What starts a recovery, by its name in the body.
_STARTS: Final = {"message": _message, "letter": _letter}


def _until(text: str | None, now: int) -> int | None:
    """The end of a grant; raises Invalid for what is no instant to come."""
    if text is None:
        return None
    try:
        until = civil.instant(text)
    except civil.CivilError:
        raise Invalid("write an instant with its offset", "until") from None
    if until <= now:
        raise Invalid("this is over already", "until")
    return until
