"""Webhooks of managers: where their systems are told that something is new, and how far each was told. Part of registry.sqlite, as `registry.webhooks`.

Rules: a webhook's marks move in the statement that notes a delivery, so that what was not taken is told again; the secret is needed to sign and stands here in
clear, it is shown once. Instants are µs UTC.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from submeter.store.events import File

__all__ = ["Marks", "Webhook", "Webhooks"]

_COLUMNS: Final = "id, manager, url, secret, created, due, tries, delivered, error, version, series, event, information"
#: Columns before those of the marks.
_PLAIN: Final = 9


@dataclass(frozen=True, slots=True)
class Marks:
    """How far was told: the last published version and series, event, and publication of monthly information."""

    version: int
    series: int
    event: int
    information: int


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook; `marks` are None before its first pass, `tries` the failures in a row."""

    id: str
    manager: str
    url: str
    secret: str = field(repr=False)
    created: int
    due: int
    tries: int
    delivered: int | None
    error: str
    marks: Marks | None


class Webhooks:
    """The webhooks of a registry."""

    def __init__(self, file: File, rows: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._file = file
        self._rows = rows

    def add(self, identity: str, manager: str, url: str, secret: str, *, now: int) -> None:
        """Add a webhook; it is told what comes from its first pass on."""
        with self._file.writing() as db:
            columns = "id, manager, url, secret, created, due, tries, error"
            db.execute(f"INSERT INTO webhooks ({columns}) VALUES (?, ?, ?, ?, ?, ?, 0, '')", (identity, manager, url, secret, now, now))  # noqa: S608 - ours

    def of(self, manager: str) -> list[Webhook]:
        """Return the webhooks of a manager in order of making."""
        return self._find("manager = ? ORDER BY created, id", manager)

    def due(self, now: int) -> list[Webhook]:
        """Return the webhooks that are not waiting after a failure."""
        return self._find("due <= ? ORDER BY due, id", now)

    def remove(self, manager: str, identity: str) -> bool:
        """Forget a webhook; False if the manager has none of this id."""
        with self._file.writing() as db:
            return bool(db.execute("DELETE FROM webhooks WHERE id = ? AND manager = ?", (identity, manager)).rowcount)

    def told(self, identity: str, marks: Marks, *, now: int | None) -> None:
        """Note how far was told; `now` where that was a delivery."""
        with self._file.writing() as db:
            values = (marks.version, marks.series, marks.event, marks.information, now, identity)
            moved = "version = ?, series = ?, event = ?, information = ?, delivered = coalesce(?, delivered)"
            db.execute(f"UPDATE webhooks SET {moved}, tries = 0, error = '' WHERE id = ?", values)  # noqa: S608 - ours

    def failed(self, identity: str, error: str, *, retry_at: int) -> None:
        """Note a delivery that was not taken, and when the next is tried."""
        with self._file.writing() as db:
            db.execute("UPDATE webhooks SET tries = tries + 1, error = ?, due = ? WHERE id = ?", (error[:300], retry_at, identity))

    def _find(self, where: str, value: object) -> list[Webhook]:
        rows = self._rows(f"SELECT {_COLUMNS} FROM webhooks WHERE {where}", value)  # noqa: S608 - ours
        return [Webhook(*[*row[:_PLAIN], None if row[_PLAIN] is None else Marks(*row[_PLAIN:])]) for row in rows]
