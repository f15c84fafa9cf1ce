"""`GET · PUT /v1/me/notifications`, what an account wants to be told by which channel, and `POST /v1/events`, what the accounting system tells (portal API 3, FEATURES Y12).

Rules: nothing is told unless it was asked for; a channel can be asked for only where an address is proven; a post is known by its id, so that it may be sent again.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, Field

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.forms import Body
from submeter.api.problems import Conflict, Invalid
from submeter.reading import to_micro
from submeter.store.accounts import notice_address
from submeter.store.notices import WAYS, WISHES
from submeter.store.outbox import masked
from submeter.store.registry import Registry

__all__ = ["Way", "check_proven", "routes"]

Way = Literal["email", "sms"]
Happening = Literal["monthly_information", "balance_due", "payment_received", "leak", "silence"]


def _real_day(text: str) -> str:
    date.fromisoformat(text)
    return text


class Wanted(Body):
    """Channels by event; an event left out is not told."""

    notifications: dict[Happening, Annotated[list[Way], Field(max_length=4)]]


class Post(Body):
    """What the accounting system tells; `id` is its own, `amount` a decimal text or number with at most two decimals, above 0."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/-]{1,64}$")]
    kind: Literal["balance.due", "payment.received"]
    unit: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    amount: Annotated[Decimal, Field(gt=0, lt=1_000_000_000, decimal_places=2)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(_real_day)]


routes: Final = APIRouter()


@routes.get("/v1/me/notifications", tags=["account"])
async def notifications(access: Annotated[Access, scoped("me:self", cost="r")]) -> dict[str, Any]:
    """What one is told by which channel, and the proven addresses that it would go to."""
    return _told(access.registry, access.account())


@routes.put("/v1/me/notifications", tags=["account"])
async def want(access: Annotated[Access, scoped("me:self", cost="w")], body: Wanted) -> dict[str, Any]:
    """Choose what one is told by which channel: all that is left out is told no more."""
    own = access.account()
    wanted = {(event, channel) for event, channels in body.notifications.items() for channel in channels}
    check_proven(access.registry, own, {channel for _, channel in wanted}, "notifications")
    with access.registry.writing():
        access.registry.notices.wish(own, wanted, now=access.now)
        access.registry.record(f"account:{own}", "notifications.set", own, " ".join(f"{event}/{channel}" for event, channel in sorted(wanted)))
    return _told(access.registry, own)


@routes.post("/v1/events", status_code=201, tags=["operator"])
async def post(access: Annotated[Access, scoped("events:write", cost="w")], body: Post) -> dict[str, Any]:
    """A debt or a payment of a unit: told to those who want to know it. The same again changes nothing; another one under the same id is a conflict."""
    seen = access.unit(body.unit)
    said = body.kind, seen.unit.id, to_micro(body.amount), body.currency, body.date
    with access.registry.writing():
        kept, new = access.registry.notices.post(seen.property.manager, body.id, said, now=access.now)
        if kept.said != said:
            raise Conflict("this id was posted with other words: give each event an id of its own", "id")
        if new:
            access.registry.record(access.principal.actor, "event.post", seen.unit.id, f"{body.kind} {body.id}")
    return {"id": body.id, "received": civil.iso(kept.at)}


def check_proven(registry: Registry, account: str, channels: set[str], parameter: str) -> None:
    """Raises Invalid for a channel by which this account has no proven address."""
    if missing := sorted(one for one in channels if notice_address(registry.accounts.contacts(account), one) is None):
        raise Invalid(f"there is no proven address for {', '.join(missing)}: add one first", parameter)


def _told(registry: Registry, account: str) -> dict[str, Any]:
    wishes, contacts = registry.notices.wishes(account), registry.accounts.contacts(account)
    addresses = {channel: notice_address(contacts, channel) for channel in WAYS}
    return {
        "notifications": {event: [one.channel for one in wishes if one.event == event] for event in WISHES},
        "channels": {channel: masked(address) if address else None for channel, address in addresses.items()},
    }
