"""What documents, announcements and balance lines have in common: whom they are for, whose time they belong to, and amounts of money.

Rules: what concerns one flat belongs to one occupancy, named when it comes; where its time is that of two holders, whoever sends it must say whose it is.
Money travels as a decimal string with two decimals and is kept as whole minor units: no float ever holds it.
"""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field

from submeter.api.access import Access, SeenUnit
from submeter.api.forms import Body
from submeter.api.periods import instant_of
from submeter.api.problems import Invalid, NotFound
from submeter.store.audience import Audience
from submeter.store.registry import Registry

__all__ = ["Currency", "For", "Language", "Money", "audience_of", "holder_of", "is_service", "minor", "money", "place_of"]

Money = Annotated[Decimal, Field(max_digits=13, decimal_places=2, description="at most two decimals, as a string or a number")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")]
Language = Annotated[str, Field(pattern=r"^(cs|sl|nb|ru|en|de)$")]
HUNDRED: Final = 100


class For(Body):
    """Whom something is for: one unit, an entrance of a property, a property, or (empty) everybody of the manager."""

    property: str | None = None
    entrance: str | None = None
    unit: str | None = None


def audience_of(access: Access, wanted: For) -> tuple[Audience, SeenUnit | None]:
    """Read whom something is for, with the unit if it is one; raises NotFound for what is not the manager's, Invalid for what does not fit."""
    manager = access.principal.manager
    if wanted.unit is not None:
        if wanted.property is not None or wanted.entrance is not None:
            raise Invalid("a unit needs neither property nor entrance", "audience")
        return Audience(manager, unit=wanted.unit), access.unit(wanted.unit)
    if wanted.property is None:
        if wanted.entrance is not None:
            raise Invalid("an entrance needs its property", "audience")
        return Audience(manager), None
    building = access.registry.property(wanted.property)
    if building is None or building.manager != manager:
        raise NotFound
    if wanted.entrance is not None and wanted.entrance not in {one.entrance for one in access.registry.units() if one.property == building.id}:
        raise Invalid("this property has no such entrance", "audience")
    return Audience(manager, building.id, wanted.entrance), None


def place_of(seen: SeenUnit) -> Audience:
    """Where a unit is, to be looked for among audiences."""
    return Audience(seen.property.manager, seen.property.id, seen.unit.entrance, seen.unit.id)


def is_service(access: Access) -> bool:
    """Whether a token of the manager asks: it sees what was sent, of whatever time."""
    return access.principal.account is None and access.principal.held is None


def holder_of(registry: Registry, seen: SeenUnit, span: tuple[int, int], named: str | None, where: str) -> int | None:
    """When the occupancy began that something of a unit belongs to, by its time `span` (µs UTC) or the instant or date `named`; None: none on record.

    Raises Invalid where the time is that of nobody or, without a name, of more than one holder.
    """
    known = registry.occupancies_of(seen.unit.id)
    if not known:
        return None
    start, end = span
    if named is not None:
        start = instant_of(where, named, seen.property.zone)
        end = start + 1
    found = [one.since for one in known if one.since < end and (one.until is None or one.until > start)]
    if not found:
        raise Invalid("nobody lived there then: say a day of the holder whom it concerns", where)
    if len(found) > 1:
        raise Invalid("this time is that of two holders: say a day of the one whom it concerns", where)
    return found[0]


def minor(amount: Decimal) -> int:
    """An amount as whole minor units."""
    return int(amount * HUNDRED)


def money(amount: int) -> str:
    """Whole minor units as a decimal string."""
    return f"{'-' * (amount < 0)}{abs(amount) // HUNDRED}.{abs(amount) % HUNDRED:02d}"
