"""Routes of personal read tokens: what programs of one's own home read with (portal API 3, FLOWS 8).

Rules: a secret is told once, to who proved within five minutes who it is; a token reads, by grants of its account, and changes nothing.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.forms import Body
from submeter.api.numbers import moment
from submeter.api.problems import Invalid, NotFound
from submeter.civil import DAY
from submeter.store.accounts import ROLES
from submeter.store.personal import PersonalToken

__all__ = ["routes"]

#: What a token may be allowed: what a resident reads.
READABLE: Final = tuple(scope for scope in ROLES["resident"] if scope.endswith(":read"))
MOST: Final = 10
DAYS: Final = 365


class Wanted(Body):
    """A token to be made: its label, what it may do, for which units (default: all), and for how many days."""

    label: Annotated[str, Field(min_length=1, max_length=64)]
    scopes: Annotated[tuple[str, ...], Field(min_length=1, max_length=16)] = ("units:read", "consumption:read")
    units: Annotated[list[str], Field(min_length=1, max_length=100)] | None = None
    days: Annotated[int, Field(ge=1, le=DAYS)] = DAYS


routes: Final = APIRouter(tags=["account"])


@routes.get("/v1/me/tokens")
async def tokens(access: Annotated[Access, scoped("me:self", cost="c")]) -> dict[str, Any]:
    """Own tokens, without their secrets."""
    return {"tokens": [_told(access, one) for one in access.registry.personal.of(access.account(), access.now)], "scopes": READABLE}


@routes.post("/v1/me/tokens", status_code=201)
async def make(access: Annotated[Access, scoped("me:self", cost="w")], body: Wanted) -> dict[str, Any]:
    """Make a token: its `secret` is told this once."""
    session, own, registry = access.proven(), access.account(), access.registry
    if unknown := sorted(set(body.scopes) - set(READABLE)):
        raise Invalid(f"{unknown[0]} is nothing that a token may do: write some of {', '.join(READABLE)}", "scopes")
    units = {access.unit(one).unit.id for one in body.units or ()}
    grants = [one.grant for one in registry.visible(access.principal, now=access.now) if body.units is None or one.unit in units]
    scopes = [scope for scope in READABLE if scope in body.scopes]
    if not grants:
        raise Invalid("there is no unit to read", "units")
    with registry.writing():
        if len(registry.personal.of(own, access.now)) >= MOST:
            raise Invalid(f"an account has at most {MOST} tokens: end one first", "tokens")
        token, secret = registry.personal.make(own, session.manager, scopes, grants, body.label, now=access.now, expires=access.now + body.days * DAY)
        registry.record(f"account:{own}", "personal_token.create", token.id, " ".join(scopes))
    return _told(access, token) | {"secret": secret}


@routes.delete("/v1/me/tokens/{identity}", status_code=204)
async def end(identity: str, access: Annotated[Access, scoped("me:self", cost="w")]) -> None:
    """End a token at once."""
    own = access.account()
    with access.registry.writing():
        if not access.registry.personal.end(own, identity, access.now):
            raise NotFound
        access.registry.record(f"account:{own}", "personal_token.end", identity)


def _told(access: Access, one: PersonalToken) -> dict[str, Any]:
    seen = access.registry.accounts.visible(one.account, access.now)
    return {
        "id": one.id,
        "label": one.label,
        "scopes": one.scopes,
        "units": sorted({visible.unit for visible in seen if visible.grant in one.grants}),
        "created": civil.iso(one.created),
        "expires": civil.iso(one.expires),
        "used": moment(one.used),
    }
