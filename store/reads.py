"""Who read a unit's data, when and how often: a row per unit, reader, route and hour. Part of registry.sqlite, as `registry.reads`.

Rules: rows are sums, so that reading much costs little; a reader is an id ("token:k_…", "account:a_…"), whose name is looked up when it is shown. Residents who read
their own unit are not kept while nobody else has a grant to it. Instants are µs UTC.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Final

from submeter.store.part import Part

__all__ = ["EVER", "HOUR", "Read", "Reads"]

HOUR: Final = 3_600_000_000
#: `since` of a reader who sees all times.
EVER: Final = -(2**62)
_ADD: Final = """
INSERT INTO reads (unit, hour, actor, action, role, since, manager, first, last, times) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (unit, hour, actor, action, role, since) DO UPDATE
SET times = reads.times + excluded.times, first = min(reads.first, excluded.first), last = max(reads.last, excluded.last)
"""
_OTHERS: Final = "SELECT 1 FROM grants WHERE unit = ? AND account <> ? AND ended IS NULL LIMIT 1"


@dataclass(frozen=True, slots=True)
class Read:
    """Reads of a unit in an hour by one reader with one route; `role` of its grant ("" of a token), `since` when the occupancy began that it sees."""

    unit: str
    hour: int
    actor: str
    action: str
    role: str
    since: int
    manager: str
    first: int
    last: int
    times: int


class Reads(Part):
    """The reads of a registry."""

    def add(self, reads: Iterable[Read]) -> None:
        """Add reads to those that are kept, in one transaction."""
        with self._file.writing() as db:
            db.executemany(_ADD, [astuple(one) for one in reads if self._matters(one)])

    def of(self, unit: str, own: str, since: int, start: int, end: int) -> list[Read]:
        """Return who read a unit in the hours that touch [start, end), the newest first: without `own` account, and of the occupancy that began at `since`."""
        where = "unit = ? AND hour > ? AND hour < ? AND actor <> ? AND substr(actor, 1, CAST(? AS INTEGER)) <> ? AND since IN (?, ?) ORDER BY last DESC, actor, action"
        mine = f"account:{own}"
        values = (unit, start - HOUR, end, mine, len(mine) + 1, f"{mine}/", since, EVER)
        return self._find(Read, "reads", where, *values)

    def forget(self, before: int) -> int:
        """Delete hours before an instant; returns how many rows."""
        return self._run("DELETE FROM reads WHERE hour < ?", before)

    def _matters(self, one: Read) -> bool:
        own = one.role.startswith("resident")
        return not own or bool(self._rows(_OTHERS, one.unit, one.actor.removeprefix("account:").partition("/")[0]))
