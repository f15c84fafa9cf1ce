"""Balance lines as the accounting system pushed them: charges, payments and penalties, mirrored and summed, as `registry.balance` (portal FEATURES b, S12).

Rules: a line is known by the id that the accounting system gave it, and pushed again it takes the place of what it said before; it belongs to the occupancy
that was named when it came (`holder`). Amounts are whole minor units (hundredths), instants µs UTC.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final, Literal

from submeter.store.part import Part, columns
from submeter.store.sql import upsert

__all__ = ["KINDS", "Balance", "Kind", "Line"]

Kind = Literal["charge", "payment", "penalty"]
KINDS: Final[tuple[Kind, ...]] = ("charge", "payment", "penalty")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `period` is the month or date as it was written, `at` its first instant at the property."""

    manager: str
    id: str
    unit: str
    holder: int | None
    account: str
    period: str
    at: int
    service: str
    kind: Kind
    amount: int
    currency: str


_PUT: Final = upsert("balance", "manager, id", columns(Line).removeprefix("manager, id, "))


class Balance(Part):
    """The balance lines of a registry."""

    def put(self, lines: Sequence[Line]) -> dict[str, int]:
        """Keep lines, all or none; returns how many were added, changed, and known already."""
        said = {"added": 0, "changed": 0, "known": 0}
        with self._file.writing() as db:
            for one in lines:
                before = self._one(Line, "balance", "manager = ? AND id = ?", one.manager, one.id)
                said["added" if before is None else "known" if before == one else "changed"] += 1
                db.execute(_PUT, astuple(one))
        return said

    def of(self, unit: str, start: int, end: int) -> list[Line]:
        """Return the lines of a flat in a half-open range, in order of time."""
        return self._find(Line, "balance", "unit = ? AND at >= ? AND at < ? ORDER BY at, id", unit, start, end)
