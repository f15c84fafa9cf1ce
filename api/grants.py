"""Routes of grants: what one sees and gave, invitations, and what an operator decides of accounts (portal API 3, FLOWS 9).

Rules: who invites others asks for a proof of the last five minutes, and gives no more than the own time; who was invited invites nobody. An operator gives and
takes grants and starts a recovery, and never sees or sets a password or a code.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.flows import Flows
from submeter.api.forms import address_of, masked
from submeter.api.periods import instant_of
from submeter.api.problems import Conflict, Invalid, NotAccepted, NotFound
from submeter.api.secrets import word
from submeter.api.sign_in import FlowsHere
from submeter.store.accounts import Account, Claim, Grant
from submeter.store.registry import Registry, new_id
from submeter.store.registry_types import FINEST, QUANTITIES

__all__ = ["routes"]

#: How long the code of an invitation is: 12 letters, 60 bits; and how long it may wait, µs.
LETTERS: Final = 12
DAY: Final = 86_400_000_000
#: What an operator may have seen before granting; never a copy of it.
Evidence = Literal["identity_document", "bill", "contract", "land_register", "power_of_attorney"]


class Decision(BaseModel):
    """What an operator decides on a grant."""

    model_config = ConfigDict(extra="forbid")
    allow: bool


class Invitation(BaseModel):
    """Whom to invite, as what, from which data on, until when, and to what of the unit; with an address the code goes there by mail."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["household", "third_party"] = "household"
    data_from: str | None = None
    until: str | None = None
    finest: Literal["hour", "day", "month"] | None = None
    quantities: Annotated[list[str], Field(min_length=1, max_length=10)] | None = None
    email: Annotated[str, Field(max_length=254)] | None = None


class Given(BaseModel):
    """Whom an operator gives a unit: an account by its id or a proven address, and what was seen as evidence."""

    model_config = ConfigDict(extra="forbid")
    unit: str
    account: str | None = None
    email: Annotated[str, Field(max_length=254)] | None = None
    phone: Annotated[str, Field(max_length=32)] | None = None
    role: Literal["resident", "resident:limited"] = "resident"
    evidence: Evidence


routes: Final = APIRouter(tags=["account"])


@routes.get("/v1/grants")
async def grants(access: Annotated[Access, scoped("grants:self", cost="c")]) -> dict[str, Any]:
    """Units that one may see, and why; what one gave to others."""
    accounts, own = access.registry.accounts, access.account()
    return {
        "grants": [_grant(access.registry, one) for one in accounts.grants(own)],
        "given": [_grant(access.registry, one) | {"holder": _holder(access.registry, one.account)} for one in accounts.grants_given(own)],
    }


@routes.delete("/v1/grants/{identity}", status_code=204)
async def end(identity: str, access: Annotated[Access, scoped("grants:self", cost="w")]) -> None:
    """Give up an own grant, or take back one that one gave."""
    accounts, own = access.registry.accounts, access.account()
    if identity not in {one.id for one in [*accounts.grants(own), *accounts.grants_given(own)]}:
        raise NotFound
    with access.registry.writing():
        accounts.end_grant(identity, access.now)
        access.registry.record(f"account:{own}", "grant.end", identity)


@routes.get("/v1/units/{unit}/invitations")
async def invitations(unit: str, access: Annotated[Access, scoped("grants:self", cost="c")]) -> dict[str, Any]:
    """Invitations to a unit that one gave and nobody followed yet, without their codes."""
    seen, own = access.unit(unit), access.account()
    open_ones = [one for one in access.registry.accounts.invitations(own, seen.unit.id) if one.expires is None or one.expires > access.now]
    return {"invitations": [_told(one) for one in open_ones]}


@routes.post("/v1/units/{unit}/invitations", status_code=201)
async def invite(unit: str, access: Annotated[Access, scoped("grants:self", cost="w")], flows: FlowsHere, body: Invitation) -> dict[str, Any]:
    """Invite somebody of the household, or a third party: the code is told once, or goes to the address that is given."""
    seen, own = access.unit(unit), access.account()
    access.proven()
    mine = next((one for one in access.registry.accounts.grants(own) if one.unit == unit and one.role == "resident"), None)
    if mine is None:
        raise NotAccepted
    code = word(LETTERS)
    kind = flows.portal(mine.manager).claims["invitation"]
    identifier, proof = flows.hashes(mine.manager, "invitation", kind, {"code": code})
    claim = Claim(
        new_id("i_"),
        mine.manager,
        "invitation",
        unit,
        mine.occupancy,
        body.role,
        identifier,
        proof,
        access.now,
        access.now + DAY,
        None,
        None,
        own,
        _until(seen, body.until),
        _from(seen, body.data_from),
        body.finest,
        _classes(body.quantities),
    )
    with access.registry.writing():
        access.registry.accounts.add_claim(claim)
        access.registry.record(f"account:{own}", "invitation.create", unit, claim.id)
        if body.email is not None:
            flows.invite(own, seen.unit.label, address_of("email", body.email, flows.portal(mine.manager).country), claim, code)
    return _told(claim) | ({} if body.email else {"code": code})


@routes.delete("/v1/invitations/{identity}", status_code=204)
async def uninvite(identity: str, access: Annotated[Access, scoped("grants:self", cost="w")]) -> None:
    """Take back an invitation that nobody followed yet."""
    claim = access.registry.accounts.claim(identity)
    if claim is None or claim.giver != access.account():
        raise NotFound
    access.registry.accounts.withdraw_claim(claim.manager, identity, access.now)


@routes.get("/v1/accounts", tags=["operator"])
async def holders(access: Annotated[Access, scoped("accounts:write", cost="c")], unit: str) -> dict[str, Any]:
    """Who may see a unit: accounts with their grants, addresses as far as one needs to know them."""
    accounts = access.registry.accounts
    found = [
        _grant(access.registry, one)
        | {
            "account": one.account,
            "waits": one.since > access.now,
            "contacts": [masked(contact.address) for contact in accounts.contacts(one.account)],
        }
        for one in accounts.grants_of(access.unit(unit).unit.id)
    ]
    return {"grants": found}


@routes.post("/v1/grants", status_code=201, tags=["operator"])
async def give(access: Annotated[Access, scoped("accounts:write", cost="w")], flows: FlowsHere, body: Given) -> dict[str, Any]:
    """Give an account a unit of the manager for who lives there now; all who see it already are told."""
    seen, accounts = access.unit(body.unit), access.registry.accounts
    account = _named(access, flows, body)
    occupancy = next((one.since for one in access.registry.occupancies_of(seen.unit.id) if one.holds(access.now)), None)
    if any((one.unit, one.occupancy) == (seen.unit.id, occupancy) for one in accounts.grants(account.id)):
        raise Conflict("this account sees the unit already: GET /v1/accounts?unit= lists its grants")
    others = {one.account for one in accounts.grants_of(seen.unit.id) if one.occupancy == occupancy}
    source = f"operator:{body.evidence}"
    manager = access.principal.manager
    grant = Grant(new_id("g_"), account.id, manager, seen.unit.id, occupancy, body.role, access.now, None, source, None, access.now, None)
    with access.registry.writing():
        accounts.add_grant(grant)
        access.registry.record(f"token:{access.principal.token}", "grant.give", seen.unit.id, f"{grant.id} to account:{account.id}, {body.evidence}")
        for one in [account.id, *others]:
            if holder := accounts.account(one):
                flows.tell(holder, manager, "new_grant", {"unit": seen.unit.label})
    return _grant(access.registry, grant)


@routes.post("/v1/grants/{identity}/decision", status_code=204, tags=["operator"])
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
        access.registry.record(f"token:{access.principal.token}", f"grant.{'allow' if body.allow else 'deny'}", identity)


@routes.delete("/v1/accounts/{identity}/sessions", status_code=204, tags=["operator"])
async def sign_out(identity: str, access: Annotated[Access, scoped("accounts:write", cost="w")]) -> None:
    """End all sessions of an account that sees a unit of the manager."""
    account = _of_manager(access, identity)
    with access.registry.writing():
        access.registry.accounts.end_sessions(account.id, access.now)
        access.registry.record(f"token:{access.principal.token}", "sessions.end", identity)


@routes.post("/v1/accounts/{identity}/recovery", status_code=202, tags=["operator"])
async def recover(identity: str, access: Annotated[Access, scoped("accounts:write", cost="w")], flows: FlowsHere) -> None:
    """Tell an account at all its addresses how to set a new password; its passwords and sessions stay until it does."""
    account = _of_manager(access, identity)
    with access.registry.writing():
        flows.tell(account, access.principal.manager, "recovery_started")
        access.registry.record(f"token:{access.principal.token}", "account.recovery", identity)


@routes.delete("/v1/accounts/{identity}", status_code=204, tags=["operator"])
async def disable(identity: str, access: Annotated[Access, scoped("accounts:write", cost="w")]) -> None:
    """End what an account sees of the manager; an account that sees nothing else ends, its sessions at once."""
    account, accounts = _of_manager(access, identity), access.registry.accounts
    held = accounts.grants(account.id)
    with access.registry.writing():
        for one in held:
            if one.manager == access.principal.manager:
                accounts.end_grant(one.id, access.now)
        if {one.manager for one in held} == {access.principal.manager}:
            accounts.end(account.id, access.now)
        access.registry.record(f"token:{access.principal.token}", "account.disable", identity)


def _of_manager(access: Access, identity: str) -> Account:
    """An account that sees a unit of the manager who asks; raises NotFound."""
    accounts = access.registry.accounts
    account = accounts.account(identity)
    if account is None or access.principal.manager not in {one.manager for one in accounts.grants(identity)}:
        raise NotFound
    return account


def _named(access: Access, flows: Flows, body: Given) -> Account:
    """The account that a body names; raises Invalid where it names none or several, NotFound for one that is not of the manager's portal."""
    ways = {"account": body.account, "email": body.email, "phone": body.phone}
    given = [(name, value) for name, value in ways.items() if value]
    if len(given) != 1:
        raise Invalid("name the account by its id, or by one proven address", "account")
    portal, accounts = flows.portal(access.principal.manager), access.registry.accounts
    name, value = given[0]
    found = accounts.account(value) if name == "account" else accounts.reached(portal.name, name, address_of(name, value, portal.country))
    if found is None or found.realm != portal.name:
        raise NotFound
    return found


def _from(seen: SeenUnit, data_from: str | None) -> int | None:
    """From when on an invitation shows data: the inviter's own beginning at the earliest."""
    asked = None if data_from is None else instant_of("data_from", data_from, seen.property.zone)
    return seen.visible.since if asked is None else asked if seen.visible.since is None else max(asked, seen.visible.since)


def _until(seen: SeenUnit, until: str | None) -> int | None:
    """The end of an invitation: the inviter's own at the latest."""
    asked = None if until is None else instant_of("until", until, seen.property.zone)
    return seen.visible.until if asked is None else asked if seen.visible.until is None else min(asked, seen.visible.until)


def _classes(quantities: list[str] | None) -> str | None:
    if unknown := sorted(set(quantities or ()) - set(QUANTITIES)):
        raise Invalid(f"{unknown[0]} is none of {', '.join(QUANTITIES)}", "quantities")
    return None if quantities is None else " ".join(sorted(set(quantities)))


def _told(claim: Claim) -> dict[str, Any]:
    return {"id": claim.id, "unit": claim.unit, "expires": None if claim.expires is None else civil.iso(claim.expires), **_shown(claim)}


def _shown(one: Claim | Grant) -> dict[str, Any]:
    """What a grant or invitation shows."""
    return {
        "role": one.role,
        "until": None if one.until is None else civil.iso(one.until),
        "data_from": None if one.data_from is None else civil.iso(one.data_from),
        "finest": one.finest or FINEST[0],
        "quantities": None if one.quantities is None else one.quantities.split(),
    }


def _holder(registry: Registry, account: str) -> Mapping[str, Any]:
    """Whom one gave a grant: the name, or an address as far as one needs to know it."""
    found = registry.accounts.account(account)
    contacts = registry.accounts.contacts(account)
    return {"name": found.name if found else "", "address": masked(contacts[0].address) if contacts else None}


def _grant(registry: Registry, one: Grant) -> dict[str, Any]:
    unit = registry.unit(one.unit)
    told = {"id": one.id, "unit": one.unit, "label": unit.label if unit else None, "manager": one.manager, "since": civil.iso(one.since)}
    return told | _shown(one)
