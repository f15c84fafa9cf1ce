"""Routes of accounts: oneself, grants and invitations, and what the operator does with them (portal API 3).

Rules: what changes who may get in asks for a proof of the last five minutes; codes are told once, when they are made.
"""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.forms import masked
from submeter.api.problems import Invalid, NotAccepted, NotFound
from submeter.api.secrets import word
from submeter.api.sign_in import FlowsHere, apart
from submeter.store.accounts import Claim, Grant
from submeter.store.registry import Registry, new_id

__all__ = ["routes"]

#: How long a printed secret is: 12 letters, 60 bits.
PRINTED: Final = 12
DAY: Final = 86_400_000_000


class Passwords(BaseModel):
    """The present password and the new one."""

    model_config = ConfigDict(extra="forbid")
    present: Annotated[str, Field(min_length=1, max_length=1024)]
    new: Annotated[str, Field(min_length=1, max_length=1024)]


class Wish(BaseModel):
    """A factor to have; `code` proves the secret that was told before."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["totp", "recovery"]
    code: Annotated[str, Field(max_length=16)] | None = None


class Decision(BaseModel):
    """What an operator decides on a grant."""

    model_config = ConfigDict(extra="forbid")
    allow: bool


class Invitation(BaseModel):
    """Whom to invite, as what, and until when."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["household"] = "household"
    until: str | None = None


routes: Final = APIRouter(tags=["account"])


@routes.get("/v1/me")
async def me(access: Annotated[Access, scoped("me:self")]) -> dict[str, Any]:
    """The own account."""
    accounts = access.registry.accounts
    own = accounts.account(access.account())
    if own is None:
        raise NotFound
    contacts = [{"id": one.id, "channel": one.channel, "address": one.address, "use": one.use} for one in accounts.contacts(own.id)]
    return {
        "id": own.id,
        "username": own.username,
        "name": own.name,
        "locale": own.locale,
        "contacts": contacts,
        "consents": accounts.consents(own.id),
    }


@routes.put("/v1/me/password", status_code=204)
async def password(access: Annotated[Access, scoped("me:self")], flows: FlowsHere, body: Passwords) -> None:
    """Change the password: ends all other sessions."""
    session = access.proven()
    await apart(flows.change_password, session, body.present, body.new)


@routes.get("/v1/me/factors")
async def factors(access: Annotated[Access, scoped("me:self")]) -> dict[str, Any]:
    """Second factors: whether there is a device, how many recovery codes are left."""
    found = access.registry.accounts.factors(access.account())
    return {"totp": any(one.kind == "totp" for one in found), "recovery_codes": sum(one.kind == "recovery" and one.used is None for one in found)}


@routes.post("/v1/me/factors", status_code=201)
async def add_factor(access: Annotated[Access, scoped("me:self")], flows: FlowsHere, body: Wish) -> dict[str, Any]:
    """A TOTP secret (proven by a second request with its `code`), or ten recovery codes; both are told once."""
    session, own = access.proven(), access.account()
    if body.kind == "totp" and body.code is None:
        return flows.factors.begin(own, own, access.now)
    told: dict[str, Any] = {}
    with access.registry.writing():
        if body.kind == "recovery":
            told = {"codes": flows.factors.recovery(own, access.now)}
        elif not flows.factors.confirm(own, body.code or "", access.now):
            raise NotAccepted
        flows.factor_changed(own, session.manager, body.kind)
    return told


@routes.delete("/v1/me/factors/{kind}", status_code=204)
async def drop_factor(kind: Literal["totp", "recovery"], access: Annotated[Access, scoped("me:self")], flows: FlowsHere) -> None:
    """Give a factor up: codes come by SMS or mail again."""
    session, own = access.proven(), access.account()
    with access.registry.writing():
        access.registry.accounts.drop_factors(own, kind)
        flows.factor_changed(own, session.manager, kind)


@routes.get("/v1/grants")
async def grants(access: Annotated[Access, scoped("grants:self")]) -> dict[str, Any]:
    """Units that one may see, and why; what one gave to others."""
    accounts, own = access.registry.accounts, access.account()
    return {
        "grants": [_grant(access.registry, one) for one in accounts.grants(own)],
        "given": [_grant(access.registry, one) for one in accounts.grants_given(own)],
    }


@routes.delete("/v1/grants/{identity}", status_code=204)
async def end(identity: str, access: Annotated[Access, scoped("grants:self")]) -> None:
    """Give up an own grant, or take back one that one gave."""
    accounts, own = access.registry.accounts, access.account()
    if identity not in {one.id for one in [*accounts.grants(own), *accounts.grants_given(own)]}:
        raise NotFound
    accounts.end_grant(identity, access.now)
    access.registry.record(f"account:{own}", "grant.end", identity)


@routes.post("/v1/units/{unit}/invitations", status_code=201)
async def invite(unit: str, access: Annotated[Access, scoped("grants:self")], flows: FlowsHere, body: Invitation) -> dict[str, Any]:
    """Invite somebody of the household: the code is told once, to be handed over."""
    seen, own = access.unit(unit), access.account()
    access.proven()
    mine = next((one for one in access.registry.accounts.grants(own) if one.unit == unit and one.role == "resident"), None)
    if mine is None:
        raise NotAccepted
    code = word(PRINTED)
    until = _until(seen, body.until)
    kind = flows.portal(access.principal.manager).claims["invitation"]
    identifier, proof = flows.hashes(mine.manager, "invitation", kind, {"code": code})
    expires = access.now + DAY
    claim = Claim(
        new_id("i_"), mine.manager, "invitation", unit, mine.occupancy, body.role, identifier, proof, access.now, expires, None, None, own, until
    )
    with access.registry.writing():
        access.registry.accounts.add_claim(claim)
        access.registry.record(f"account:{own}", "invitation.create", unit, claim.id)
    return {"id": claim.id, "code": code, "until": None if until is None else civil.iso(until)}


@routes.delete("/v1/invitations/{identity}", status_code=204)
async def uninvite(identity: str, access: Annotated[Access, scoped("grants:self")]) -> None:
    """Take back an invitation that nobody followed yet."""
    claim = access.registry.accounts.claim(identity)
    if claim is None or claim.giver != access.account():
        raise NotFound
    access.registry.accounts.withdraw_claim(claim.manager, identity, access.now)


@routes.get("/v1/accounts", tags=["operator"])
async def holders(access: Annotated[Access, scoped("accounts:write")], unit: str) -> dict[str, Any]:
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


@routes.post("/v1/grants/{identity}/decision", status_code=204, tags=["operator"])
async def decide(identity: str, access: Annotated[Access, scoped("accounts:write")], body: Decision) -> None:
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
async def sign_out(identity: str, access: Annotated[Access, scoped("accounts:write")]) -> None:
    """End all sessions of an account that sees a unit of the manager."""
    accounts = access.registry.accounts
    if access.principal.manager not in {one.manager for one in accounts.grants(identity)}:
        raise NotFound
    with access.registry.writing():
        accounts.end_sessions(identity, access.now)
        access.registry.record(f"token:{access.principal.token}", "sessions.end", identity)


def _until(seen: SeenUnit, until: str | None) -> int | None:
    """The end of an invitation: the inviter's own at the latest."""
    if until is None:
        return seen.visible.until
    try:
        asked = civil.instant(until)
    except ValueError:
        raise Invalid("write an instant with its offset", "until") from None
    return asked if seen.visible.until is None else min(asked, seen.visible.until)


def _grant(registry: Registry, one: Grant) -> dict[str, Any]:
    unit = registry.unit(one.unit)
    since, until = civil.iso(one.since), None if one.until is None else civil.iso(one.until)
    return {
        "id": one.id,
        "unit": one.unit,
        "label": unit.label if unit else None,
        "role": one.role,
        "manager": one.manager,
        "since": since,
        "until": until,
    }
