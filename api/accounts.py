"""Routes of accounts: oneself, and grants (portal API 3).

Rules: what changes who may get in asks for a proof of the last five minutes; codes are told once, when they are made.
"""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import Field

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.flows.passwords import change_password
from submeter.api.flows.telling import factor_changed
from submeter.api.forms import Body
from submeter.api.numbers import moment
from submeter.api.problems import NotAccepted, NotFound
from submeter.api.sign_in import FlowsHere, apart
from submeter.store.accounts import Grant
from submeter.store.registry import Registry

__all__ = ["grant_told", "routes"]


class Passwords(Body):
    """The present password and the new one."""

    present: Annotated[str, Field(min_length=1, max_length=1024)]
    new: Annotated[str, Field(min_length=1, max_length=1024)]


class Wish(Body):
    """A factor to have; `code` proves the secret that was told before."""

    kind: Literal["totp", "recovery"]
    code: Annotated[str, Field(max_length=16)] | None = None


routes: Final = APIRouter(tags=["account"])


@routes.get("/v1/me")
async def me(access: Annotated[Access, scoped("me:self", cost="c")]) -> dict[str, Any]:
    """The own account."""
    accounts, own = access.registry.accounts, access.holder()
    contacts = [{"id": one.id, "channel": one.channel, "address": one.address, "use": one.use} for one in accounts.contacts(own.id)]
    return {
        "id": own.id,
        "username": own.username,
        "name": own.name,
        "locale": own.locale,
        "unit": own.last_unit,
        "contacts": contacts,
        "consents": accounts.consents(own.id),
    }


@routes.put("/v1/me/password", status_code=204)
async def password(access: Annotated[Access, scoped("me:self", cost="w")], flows: FlowsHere, body: Passwords) -> None:
    """Change the password: ends all other sessions."""
    session = access.proven()
    await apart(change_password, flows, session, body.present, body.new)


@routes.get("/v1/me/factors")
async def factors(access: Annotated[Access, scoped("me:self", cost="c")]) -> dict[str, Any]:
    """Second factors: whether there is a device, how many recovery codes are left."""
    found = access.registry.accounts.factors(access.account())
    return {"totp": any(one.kind == "totp" for one in found), "recovery_codes": sum(one.kind == "recovery" and one.used is None for one in found)}


@routes.post("/v1/me/factors", status_code=201)
async def add_factor(access: Annotated[Access, scoped("me:self", cost="w")], flows: FlowsHere, body: Wish) -> dict[str, Any]:
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
        factor_changed(flows, own, session.manager, body.kind)
    return told


@routes.delete("/v1/me/factors/{kind}", status_code=204)
async def drop_factor(kind: Literal["totp", "recovery"], access: Annotated[Access, scoped("me:self", cost="w")], flows: FlowsHere) -> None:
    """Give a factor up: codes come by SMS or mail again, and all other sessions end."""
    session, own = access.proven(), access.account()
    with access.registry.writing():
        access.registry.accounts.drop_factors(own, kind)
        access.registry.accounts.end_sessions(own, access.now, but=session.id)
        factor_changed(flows, own, session.manager, kind)


@routes.get("/v1/grants")
async def grants(access: Annotated[Access, scoped("grants:self", cost="c")]) -> dict[str, Any]:
    """Units that one may see, and why; what one gave to others."""
    accounts, own = access.registry.accounts, access.account()
    return {
        "grants": [grant_told(access.registry, one) for one in accounts.grants(own)],
        "given": [grant_told(access.registry, one) for one in accounts.grants_given(own)],
    }


@routes.delete("/v1/grants/{identity}", status_code=204)
async def end(identity: str, access: Annotated[Access, scoped("grants:self", cost="w")]) -> None:
    """Give up an own grant, or take back one that one gave."""
    accounts, own = access.registry.accounts, access.account()
    if identity not in {one.id for one in [*accounts.grants(own), *accounts.grants_given(own)]}:
        raise NotFound
    accounts.end_grant(identity, access.now)
    access.registry.record(f"account:{own}", "grant.end", identity)


def grant_told(registry: Registry, one: Grant) -> dict[str, Any]:
    """A grant as its holder and the operator read it."""
    unit = registry.unit(one.unit)
    since, until = civil.iso(one.since), moment(one.until)
    return {
        "id": one.id,
        "unit": one.unit,
        "label": unit.label if unit else None,
        "role": one.role,
        "manager": one.manager,
        "since": since,
        "until": until,
        "data_from": moment(one.data_from),
        "finest": one.finest,
        "quantities": None if one.quantities is None else one.quantities.split(),
        "evidence": one.evidence,
    }
