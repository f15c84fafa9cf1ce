"""Routes of one's own addresses: a new one is proven by a code that is sent to it, and every change is told to all (portal API 3, FLOWS 5).

Rules: an address of another account gives the same answer as any, is told so by its own mail, and is never taken over; the code is kept as a keyed hash; wrong
ones are counted by account, also over another code; the last way to sign in stays.
"""

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import Field

from submeter.api.access import Access, scoped
from submeter.api.flows import Flows
from submeter.api.flows.telling import tell
from submeter.api.forms import Body, address_of
from submeter.api.problems import Invalid, NotAccepted, NotFound
from submeter.api.secrets import code, normalised
from submeter.api.sending import channel_of, delay, let_out
from submeter.api.sign_in import FlowsHere
from submeter.civil import SECOND
from submeter.config.portals import Portal
from submeter.store.accounts import Account, Contact
from submeter.store.new_contacts import NewContact
from submeter.store.outbox import masked
from submeter.store.registry import new_id

__all__ = ["routes"]


class Address(Body):
    """An address to be added, and what it is for; `code` proves it."""

    channel: Literal["email", "phone"]
    address: Annotated[str, Field(min_length=1, max_length=254)]
    use: Literal["auth", "notify", "recovery"] = "auth"
    code: Annotated[str, Field(max_length=16)] | None = None


routes: Final = APIRouter(tags=["account"])


@routes.get("/v1/me/contacts")
async def contacts(access: Annotated[Access, scoped("me:self", cost="c")]) -> dict[str, Any]:
    """Own addresses, and the masked one that waits for its code."""
    own, registry = access.account(), access.registry
    waits = registry.new_contacts.of(own)
    return {
        "contacts": [_told(one) for one in registry.accounts.contacts(own)],
        "waiting": _waiting(waits, access.now) if waits and waits.expires > access.now else None,
    }


@routes.post("/v1/me/contacts", status_code=201)
async def add(access: Annotated[Access, scoped("me:self", cost="w")], flows: FlowsHere, body: Address) -> dict[str, Any]:
    """Send a code to a new address; a second request with the `code` adds it."""
    session = access.proven()
    portal, own = flows.portal(session.manager), access.holder()
    address = address_of(body.channel, body.address, portal.country)
    if body.code is None:
        with access.registry.writing():
            return _begin(access, flows, portal, own, body.model_copy(update={"address": address}))
    with access.registry.writing():
        waits = _proven(access, flows, portal, own, body.channel, address, body.code)
        made = _add(access, flows, portal, own, waits) if waits else None
    if made is None:
        raise NotAccepted
    return _told(made)


@routes.delete("/v1/me/contacts/{identity}", status_code=204)
async def drop(identity: str, access: Annotated[Access, scoped("me:self", cost="w")], flows: FlowsHere) -> None:
    """Give an address up, unless nobody could sign in without it."""
    session, own, accounts = access.proven(), access.holder(), access.registry.accounts
    found = accounts.contacts(own.id)
    gone = next((one for one in found if one.id == identity), None)
    if gone is None:
        raise NotFound
    if _ways_in(gone) and not _can_sign_in(flows.portal(session.manager), own, [one for one in found if one != gone]):
        raise Invalid("nobody could sign in without this address: add another one first", "identity")
    with access.registry.writing():
        _changed(access, flows, own, session.manager, gone)
        accounts.drop_contact(own.id, identity)


def _begin(access: Access, flows: Flows, portal: Portal, own: Account, wanted: Address) -> dict[str, Any]:
    """Keep an address with a code on its way; the address of another account gets a mail that says so, and no code. Raises NotAccepted before its time."""
    accounts, now = access.registry.accounts, access.now
    before = access.registry.new_contacts.of(own.id)
    again = before is not None and (before.channel, before.address) == (wanted.channel, wanted.address) and before.expires > now
    if before is not None and before.resend > now:
        raise NotAccepted
    secret, policy = code(), portal.policy
    kept = NewContact(
        *(own.id, wanted.channel, wanted.address, wanted.use),
        hash=flows.secrets.keyed("contact", own.id, wanted.channel, wanted.address, secret),
        tries=before.tries if before is not None and again else 0,
        expires=now + policy.code_ttl * SECOND,
        resend=now + policy.resend_after * SECOND,
    )
    access.registry.new_contacts.keep(kept)
    manager, other = access.principal.manager, accounts.reached(own.realm, wanted.channel, wanted.address)
    if let_out(accounts, own.realm, manager, wanted.channel, wanted.address, policy.resend_per_hour, now):
        if other is None or other.id == own.id:
            _send(access, own, kept, "code", {"code": secret, "transaction": new_id("t_")[-6:], "minutes": str(policy.code_ttl // 60)})
        else:
            _send(access, other, kept, "account_exists", {"portal": flows.url_of(manager)})
    else:
        access.registry.record(f"account:{own.id}", "message.held_back", manager, "too many to this address")
    return _waiting(kept, now)


def _send(access: Access, whom: Account, to: NewContact, template: str, values: Mapping[str, str]) -> None:
    access.registry.outbox.put(
        access.principal.manager, channel_of(to.channel), to.address, template, whom.locale, values, now=access.now, expires=to.expires
    )


def _proven(access: Access, flows: Flows, portal: Portal, own: Account, channel: str, address: str, given: str) -> NewContact | None:
    """The waiting address, if the code is its own, in time, not tried too often, and the address is nobody else's."""
    accounts, waits, key = access.registry.accounts, access.registry.new_contacts.of(own.id), f"contacts:{own.id}"
    held_up = accounts.held_up(key, access.now)
    right = False
    if waits is not None and (waits.channel, waits.address) == (channel, address):
        waits = replace(waits, tries=waits.tries + 1)
        access.registry.new_contacts.keep(waits)
        kept = flows.secrets.keyed("contact", own.id, channel, address, normalised(given))
        other = accounts.reached(own.realm, channel, address)
        free = other is None or other.id == own.id
        in_time = waits.expires > access.now and waits.tries <= portal.policy.code_tries
        right = hmac.compare_digest(waits.hash, kept) and free and in_time and not held_up
    if not right:
        accounts.count(key, access.now, delay)
        return None
    accounts.forgive(key)
    return waits


def _add(access: Access, flows: Flows, portal: Portal, own: Account, waits: NewContact) -> Contact:
    """Add a proven address, instead of the own one of the same text; told to all. Raises Invalid where that would be the last way in."""
    accounts, held = access.registry.accounts, access.registry.accounts.contacts(own.id)
    same = [one for one in held if (one.channel, one.address) == (waits.channel, waits.address)]
    made = Contact(new_id("c_"), own.id, waits.channel, waits.address, waits.use, access.now)
    if any(_ways_in(one) for one in same) and not _can_sign_in(portal, own, [*(one for one in held if one not in same), made]):
        raise Invalid("nobody could sign in without this address: add another one first", "use")
    for one in same:
        accounts.drop_contact(own.id, one.id)
    accounts.add_contact(made, own.realm)
    access.registry.new_contacts.drop(own.id)
    _changed(access, flows, own, access.principal.manager, made)
    return made


def _changed(access: Access, flows: Flows, own: Account, manager: str, contact: Contact) -> None:
    access.registry.record(f"account:{own.id}", "contact.change", own.id, f"{contact.channel} {contact.id}")
    tell(flows, own, manager, "contact_changed", {"contact": masked(contact.address)})


def _ways_in(contact: Contact) -> bool:
    """Whether codes of a login come to this address."""
    return contact.use == "auth" and contact.verified is not None


def _can_sign_in(portal: Portal, own: Account, left: list[Contact]) -> bool:
    """Whether an account could sign in with these addresses: one that it is known by, and one that codes come to."""
    channels = {one.channel for one in left if _ways_in(one)}
    login = portal.flows.get("login", ())
    names = {by for step in login if step.do == "identify" for by in step.by} or channels
    codes = {channel for step in login if step.do == "challenge" for channel in step.channel} or channels
    return bool(codes & channels) and bool(names & channels or ("username" in names and own.username))


def _told(one: Contact) -> dict[str, Any]:
    return {"id": one.id, "channel": one.channel, "address": one.address, "use": one.use, "proven": one.verified is not None}


def _waiting(one: NewContact, now: int) -> dict[str, Any]:
    return {
        "channel": one.channel,
        "address_masked": masked(one.address),
        "use": one.use,
        "expires_in": max((one.expires - now) // SECOND, 0),
        "resend_in": max((one.resend - now) // SECOND, 0),
    }
