"""Routes of invitations: a resident lets others of the household, or a third party, see a flat (portal API 3, FLOWS 9).

Rules: only a resident invites, after a proof of the last five minutes; who is invited sees no more than the inviter, and no longer; the code is told once, or
sent to an address and told to nobody.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import Field

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.flows import Flows
from submeter.api.flows.claim import hashes
from submeter.api.forms import Body, address_of
from submeter.api.numbers import moment
from submeter.api.problems import Invalid, NotAccepted, NotFound
from submeter.api.secrets import word
from submeter.api.sending import channel_of, let_out
from submeter.api.sign_in import FlowsHere
from submeter.store.accounts import Claim, Grant
from submeter.store.outbox import masked
from submeter.store.registry import new_id
from submeter.store.registry_types import QUANTITIES

__all__ = ["routes"]

#: How long a code is: 12 letters, 60 bits.
LENGTH: Final = 12


class Invitation(Body):
    """Whom to invite, as what, from and until when; a third party sees these classes of meters, no finer than `finest`. With an address the code is sent."""

    role: Literal["household", "third_party"] = "household"
    data_from: str | None = None
    until: str | None = None
    quantities: Annotated[list[str], Field(min_length=1, max_length=16)] | None = None
    finest: Literal["hour", "day", "month"] | None = None
    address: Annotated[str, Field(min_length=3, max_length=254)] | None = None


routes: Final = APIRouter(tags=["account"])


@routes.post("/v1/units/{unit}/invitations", status_code=201)
async def invite(unit: str, access: Annotated[Access, scoped("grants:self", cost="w")], flows: FlowsHere, body: Invitation) -> dict[str, Any]:
    """Invite somebody: the code is told once, to be handed over, or goes to the address."""
    seen, own = access.unit(unit), access.account()
    access.proven()
    mine = _resident(access, seen)
    portal = flows.portal(mine.manager)
    address = None if body.address is None else address_of(_channel(body.address), body.address, portal.country)
    code, kind = word(LENGTH), portal.claims["invitation"]
    identifier, proof = hashes(flows.secrets, mine.manager, "invitation", kind, {"code": code})
    claim = Claim(
        *(new_id("i_"), mine.manager, "invitation", unit, mine.occupancy, body.role, identifier, proof, access.now, access.now + civil.DAY),
        used=None,
        withdrawn=None,
        giver=own,
        until=_bound("until", body.until, seen.visible.until, min),
        data_from=_bound("data_from", body.data_from, seen.visible.since, max),
        finest=body.finest,
        quantities=_quantities(body.quantities),
        sent_to=masked(address) if address else None,
    )
    if claim.until is not None and claim.until <= max(access.now, claim.data_from or access.now):
        raise Invalid("this is over before it begins", "until")
    with access.registry.writing():
        if address is not None:
            _send(access, flows, seen, claim, address, code)
        access.registry.accounts.add_claim(claim)
        access.registry.record(f"account:{own}", "invitation.create", unit, claim.id)
    return _told(claim) | ({} if address else {"code": code})


@routes.get("/v1/units/{unit}/invitations")
async def invitations(unit: str, access: Annotated[Access, scoped("grants:self", cost="c")]) -> dict[str, Any]:
    """Own invitations to a unit that nobody followed yet, without their codes."""
    seen = access.unit(unit)
    return {"invitations": [_told(one) for one in access.registry.accounts.invitations(access.account(), seen.unit.id, access.now)]}


@routes.delete("/v1/invitations/{identity}", status_code=204)
async def uninvite(identity: str, access: Annotated[Access, scoped("grants:self", cost="w")]) -> None:
    """Take back an invitation that nobody followed yet."""
    claim = access.registry.accounts.claim(identity)
    if claim is None or claim.giver != access.account():
        raise NotFound
    access.registry.accounts.withdraw_claim(claim.manager, identity, access.now)


def _resident(access: Access, seen: SeenUnit) -> Grant:
    """The grant by which somebody is resident of a unit; raises NotAccepted for all others."""
    found = next((one for one in access.registry.accounts.grants(access.account()) if one.id == seen.visible.grant and one.role == "resident"), None)
    if found is None:
        raise NotAccepted
    return found


def _send(access: Access, flows: Flows, seen: SeenUnit, claim: Claim, address: str, code: str) -> None:
    """Send an invitation; raises NotAccepted where too many messages went there."""
    accounts, now, channel = access.registry.accounts, access.now, _channel(address)
    portal, own = flows.portal(claim.manager), access.holder()
    if not let_out(accounts, own.realm, claim.manager, channel, address, portal.policy.resend_per_hour, now):
        raise NotAccepted
    url, expires = flows.url_of(claim.manager), claim.expires or now
    values = {
        "portal": url,
        "link": f"{url}/start/accept",
        "code": code,
        "inviter": own.name or masked(_address(access)),
        "unit": seen.unit.label,
        "until": civil.to_local(seen.property.zone, expires).isoformat(" ", "minutes"),
    }
    access.registry.outbox.put(claim.manager, channel_of(channel), address, "invitation", own.locale, values, now=now, expires=expires)


def _address(access: Access) -> str:
    return next((one.address for one in access.registry.accounts.contacts(access.account()) if one.verified is not None), "?")


def _channel(address: str) -> Literal["email", "phone"]:
    return "email" if "@" in address else "phone"


def _quantities(names: list[str] | None) -> str | None:
    """Classes of points in one text; raises Invalid for one that there is not."""
    if names is None:
        return None
    if unknown := sorted(set(names) - set(QUANTITIES)):
        raise Invalid(f"{unknown[0]} is no class of meters: write some of {', '.join(QUANTITIES)}", "quantities")
    return " ".join(sorted(set(names)))


def _bound(name: str, text: str | None, own: int | None, nearer: Callable[[int, int], int]) -> int | None:
    """An edge of an invitation, µs UTC: the inviter's own at the widest. Raises Invalid."""
    if text is None:
        return own
    try:
        asked = civil.instant(text)
    except civil.CivilError:
        raise Invalid("write an instant with its offset", name) from None
    return asked if own is None else nearer(asked, own)


def _told(one: Claim) -> dict[str, Any]:
    return {
        "id": one.id,
        "role": one.role,
        "sent_to": one.sent_to,
        "data_from": moment(one.data_from),
        "until": moment(one.until),
        "finest": one.finest,
        "quantities": None if one.quantities is None else one.quantities.split(),
        "created": civil.iso(one.created),
        "expires": moment(one.expires),
    }
