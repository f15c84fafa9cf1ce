"""`GET · PUT /v1/units/{unit}/alert-rules`: limits that an account sets on the use of a unit, and by which channels it is told (portal API 3).

Rules: limits are the account's own, nobody else sees them; they are evaluated from published rows by the job `notices` (submeter/limits.py).
"""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import Field

from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.forms import Body
from submeter.api.notifications import Way, check_proven
from submeter.api.numbers import number
from submeter.api.problems import Invalid, TooFine
from submeter.reading import to_micro
from submeter.store.notices import Rule
from submeter.store.registry import new_id

__all__ = ["routes"]

#: What a property must show for a kind of limit.
FINE: Final = {"day": ("hour", "day"), "year": ("hour", "day"), "night": ("hour",)}


class Limit(Body):
    """`day`: more than `amount` in a day. `year`: a month over `amount` percent more than a year before. `night`: more than `amount` from 02:00 to 05:00."""

    quantity: Literal["cold_water", "hot_water", "heat", "cooling", "heat_allocation", "energy"]
    kind: Literal["day", "year", "night"]
    amount: Annotated[Decimal, Field(ge=0, lt=1_000_000, decimal_places=6)]
    channels: Annotated[list[Way], Field(min_length=1, max_length=4)]


class Limits(Body):
    """All limits of an account at a unit."""

    rules: Annotated[list[Limit], Field(max_length=20)]


routes: Final = APIRouter(tags=["read"])


@routes.get("/v1/units/{unit}/alert-rules")
async def rules(unit: str, access: Annotated[Access, scoped("events:read", cost="r")]) -> dict[str, Any]:
    """The own limits at a unit."""
    return _told(access.unit(unit), access)


@routes.put("/v1/units/{unit}/alert-rules")
async def set_rules(unit: str, access: Annotated[Access, scoped("alerts:self", cost="w")], body: Limits) -> dict[str, Any]:
    """Make these all the own limits at a unit; what stays the same is not told again."""
    seen, own = access.unit(unit), access.account()
    classes = {one.quantity for one in seen.points(access.registry)}
    for place, one in enumerate(body.rules):
        if one.quantity not in classes:
            raise Invalid(f"this unit has {', '.join(sorted(classes)) or 'no meters'}", f"rules/{place}/quantity")
        if seen.visible.finest not in FINE[one.kind]:
            raise TooFine(f"a limit of kind {one.kind} needs {FINE[one.kind][-1]}s, this property shows {seen.visible.finest}s")
    check_proven(access.registry, own, {channel for one in body.rules for channel in one.channels}, "rules")
    before = {_key(one): one for one in access.registry.notices.rules(own, unit)}
    wanted = {_key(one): one for one in (_rule(one, own, unit, access.now) for one in body.rules)}
    kept = [replace(before[key], channels=one.channels) if key in before else one for key, one in wanted.items()]
    with access.registry.writing():
        access.registry.notices.set_rules(own, unit, kept)
        access.registry.record(f"account:{own}", "alerts.set", unit, f"{len(kept)} limits")
    return _told(seen, access)


def _rule(one: Limit, account: str, unit: str, now: int) -> Rule:
    return Rule(new_id("n_"), account, unit, one.quantity, one.kind, to_micro(one.amount), " ".join(sorted(set(one.channels))), now)


def _key(one: Rule) -> tuple[str, str, int]:
    return one.quantity, one.kind, one.amount


def _told(seen: SeenUnit, access: Access) -> dict[str, Any]:
    found = access.registry.notices.rules(access.account(), seen.unit.id)
    return {
        "unit": seen.unit.id,
        "rules": [
            {"id": one.id, "quantity": one.quantity, "kind": one.kind, "amount": number(one.amount), "channels": one.channels.split()}
            for one in found
        ],
    }
