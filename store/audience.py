"""Whom a document or announcement is for: all of a manager, a property, an entrance or one unit. Part of registry.sqlite."""

from dataclasses import dataclass
from typing import Final

__all__ = ["MEANT", "Audience"]

#: Rows whose audience holds a place: the manager, property, entrance and unit of a flat, in this order.
MEANT: Final = "manager = ? AND (property IS NULL OR property = ?) AND (entrance IS NULL OR entrance = ?) AND (unit IS NULL OR unit = ?)"


@dataclass(frozen=True, slots=True)
class Audience:
    """Ids and the name of an entrance; what is None is not narrowed. With all of them set it is the place of one flat."""

    manager: str
    property: str | None = None
    entrance: str | None = None
    unit: str | None = None

    def holds(self, place: "Audience") -> bool:
        """Whether a flat at this place is meant."""
        wanted = ((self.property, place.property), (self.entrance, place.entrance), (self.unit, place.unit))
        return self.manager == place.manager and all(mine in {None, theirs} for mine, theirs in wanted)
