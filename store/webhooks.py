"""Webhooks of managers: where their systems are told that something is new, and how far each was told. Part of registry.sqlite, as `registry.webhooks`.

Rules: a webhook's marks move in the statement that notes a delivery, so that what was not taken is told again; the secret is needed to sign and stands here in
clear, it is shown once. Instants are µs UTC.
"""

from dataclasses import astuple, dataclass, field
from typing import Final

from submeter.store.part import Part

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


class Webhooks(Part):
    """The webhooks of a registry."""

    def add(self, identity: str, manager: str, url: str, secret: str, *, now: int) -> None:
        """Add a webhook; it is told what comes from its first pass on."""
        sql = "INSERT INTO webhooks (id, manager, url, secret, created, due, tries, error) VALUES (?, ?, ?, ?, ?, ?, 0, '')"
        self._run(sql, identity, manager, url, secret, now, now)

    def of(self, manager: str) -> list[Webhook]:
        """Return the webhooks of a manager in order of making."""
        return self._select("manager = ? ORDER BY created, id", manager)

    def due(self, now: int) -> list[Webhook]:
        """Return the webhooks that are not waiting after a failure."""
        return self._select("due <= ? ORDER BY due, id", now)

    def remove(self, manager: str, identity: str) -> bool:
        """Forget a webhook; False if the manager has none of this id."""
        return bool(self._run("DELETE FROM webhooks WHERE id = ? AND manager = ?", identity, manager))

    def told(self, identity: str, marks: Marks, *, now: int | None) -> None:
        """Note how far was told; `now` where that was a delivery."""
        moved = "version = ?, series = ?, event = ?, information = ?, delivered = coalesce(?, delivered), tries = 0, error = ''"
        self._run(f"UPDATE webhooks SET {moved} WHERE id = ?", *astuple(marks), now, identity)  # noqa: S608 - ours

    def failed(self, identity: str, error: str, *, retry_at: int) -> None:
        """Note a delivery that was not taken, and when the next is tried."""
        self._run("UPDATE webhooks SET tries = tries + 1, error = ?, due = ? WHERE id = ?", error[:300], retry_at, identity)

    def _select(self, where: str, value: object) -> list[Webhook]:
        rows = self._rows(f"SELECT {_COLUMNS} FROM webhooks WHERE {where}", value)  # noqa: S608 - ours
        return [Webhook(*[*row[:_PLAIN], None if row[_PLAIN] is None else Marks(*row[_PLAIN:])]) for row in rows]
