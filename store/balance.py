"""Balance lines as the accounting system pushed them: charges, payments and penalties, mirrored and summed, as `registry.balance` (portal FEATURES b, S12).

Rules: a line is known by the id that the accounting system gave it, and pushed again it takes the place of what it said before; it belongs to the occupancy
that was named when it came (`holder`). Amounts are whole minor units (hundredths), instants µs UTC.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from submeter.store.events import File
from submeter.store.sql import upsert

__all__ = ["KINDS", "Balance", "Kind", "Line"]

Kind = Literal["charge", "payment", "penalty"]
KINDS: Final[tuple[Kind, ...]] = ("charge", "payment", "penalty")
_COLUMNS: Final = "manager, id, unit, holder, account, period, at, service, kind, amount, currency"
_PUT: Final = upsert("balance", "manager, id", _COLUMNS.removeprefix("manager, id, "))


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


class Balance:
    """The balance lines of a registry."""

    def __init__(self, file: File, rows: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._file = file
        self._rows = rows

    def put(self, lines: Sequence[Line]) -> dict[str, int]:
        """Keep lines, all or none; returns how many were added, changed, and known already."""
        said = {"added": 0, "changed": 0, "known": 0}
        with self._file.writing() as db:
            for one in lines:
                values = tuple(getattr(one, name) for name in _COLUMNS.split(", "))
                row = db.execute(f"SELECT {_COLUMNS} FROM balance WHERE manager = ? AND id = ?", (one.manager, one.id)).fetchone()  # noqa: S608 - ours
                said["added" if row is None else "known" if tuple(row) == values else "changed"] += 1
                db.execute(_PUT, values)
        return said

    def of(self, unit: str, start: int, end: int) -> list[Line]:
        """Return the lines of a flat in a half-open range, in order of time."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM balance WHERE unit = ? AND at >= ? AND at < ? ORDER BY at, id", unit, start, end)  # noqa: S608 - ours
        return [Line(*row) for row in rows]
