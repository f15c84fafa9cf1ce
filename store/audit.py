"""The audit: who did what to which object, for which manager, with what outcome. Part of registry.sqlite, as `registry.trail`.

Strategy: rows are appended with the transaction that is open; each holds the SHA-256 of the row before it and of itself, so that a row that was changed, added or
taken out later breaks the chain. The chain begins at the first row that has a hash, on a hash of all rows before it. `ORIGIN` says which request a row is of.
Rules: no row changes or goes, which the table itself refuses; control characters are escaped, secrets are never handed over; instants are µs UTC.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from submeter.store.part import Part, columns
from submeter.store.registry_types import AuditEntry

__all__ = ["ORIGIN", "Chain", "Origin", "Trail", "escaped"]

_COLUMNS: Final = columns(AuditEntry)
_INSERT: Final = f"INSERT INTO audit ({_COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - ours
#: The number of the last row, which the table itself does not tell where it was taken out.
_LAST: Final = "SELECT id FROM audit_last"
#: Rows read at a time.
_PAGE: Final = 5000
#: Which rows are wanted: the name of a filter to its condition.
_FILTERS: Final = {
    "since": "at >= ?",
    "until": "at < ?",
    "actor": "actor = ?",
    "action": "action = ?",
    "subject": "subject = ?",
    "manager": "manager = ?",
    "after": "id > ?",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that is being served: its id, the /24 of the address, the manager whose it is, who asks and what for ("" where it is not known)."""

    request: str = ""
    network: str = ""
    manager: str = ""
    actor: str = ""
    purpose: str = "operation"


#: The request of this task or thread; outside of any the default, e.g. in commands and jobs.
ORIGIN: Final[ContextVar[Origin]] = ContextVar("origin", default=Origin())  # noqa: B039 - it is frozen


@dataclass(frozen=True, slots=True)
class Chain:
    """What a walk along the chain found: how many rows it links, how many are older, the last hash, and the first row that is broken (None: none is)."""

    linked: int
    older: int
    head: str
    broken: int | None


class Trail(Part):
    """The audit of a registry."""

    def record(self, actor: str, action: str, subject: str, detail: str = "", *, manager: str = "", outcome: str = "ok") -> None:
        """Append a row, with the transaction that is open if there is one; the manager is the request's unless told."""
        origin = ORIGIN.get()
        at = time.time_ns() // 1000
        told = (actor, action, subject, detail, manager or origin.manager, origin.purpose, outcome, origin.request, origin.network)
        with self._file.writing() as db:
            number = db.execute("UPDATE audit_last SET id = id + 1 RETURNING id").fetchone()[0]
            row = (number, at, *(escaped(text) for text in told))
            db.execute(_INSERT, (*row, _linked(self._head(), row)))

    def find(self, *, limit: int = 2**62, newest: bool = False, **wanted: str | int | None) -> list[AuditEntry]:
        """Return rows in order of writing, the first or the `newest` so many; `since` ≤ time < `until`, `after` an id; `actor`, `action`, `subject`, `manager`."""
        asked = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(_FILTERS[name] for name in asked) or "true"
        order = "DESC" if newest else ""
        found = self._find(AuditEntry, "audit", f"{where} ORDER BY id {order} LIMIT ?", *asked.values(), limit)
        return found[::-1] if newest else found

    def verify(self) -> Chain:
        """Walk the chain from the first row to the last; a row that is missing shows at the next one, the last one by their count."""
        linked, older, last, anchor = 0, 0, 0, hashlib.sha256()
        head: bytes | None = None
        for *row, kept in self._all():
            last = row[0]
            if head is None and kept is None:
                anchor.update(_written(row))
                older += 1
                continue
            before = anchor.digest() if head is None else head
            if kept != _linked(before, row):
                return Chain(linked, older, before.hex(), last)
            head, linked = kept, linked + 1
        missing = last + 1 if self._rows(_LAST)[0][0] > last else None
        return Chain(linked, older, (head or anchor.digest()).hex(), missing)

    def _head(self) -> bytes:
        """The hash that the next row is linked to: of the last row, or of all rows where the chain has not begun."""
        found = self._rows("SELECT hash FROM audit ORDER BY id DESC LIMIT 1")
        if found and found[0][0] is not None:
            return bytes(found[0][0])
        anchor = hashlib.sha256()
        for *row, _ in self._all():
            anchor.update(_written(row))
        return anchor.digest()

    def _all(self) -> Iterator[tuple[Any, ...]]:
        last = -(2**62)
        while page := self._rows(f"SELECT {_COLUMNS}, hash FROM audit WHERE id > ? ORDER BY id LIMIT ?", last, _PAGE):  # noqa: S608 - ours
            yield from page
            last = page[-1][0]


def escaped(text: str) -> str:
    """A text in one line that can be kept and printed: what is no printable character is written as in Python."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _linked(before: bytes, row: Any) -> bytes:
    return hashlib.sha256(before + _written(row)).digest()


def _written(row: Any) -> bytes:
    return json.dumps(list(row), ensure_ascii=True, separators=(",", ":")).encode()
