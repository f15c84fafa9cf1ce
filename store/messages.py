"""What residents wrote to the operator, and what became of it: as `registry.messages` (portal FEATURES b, Y14). Instants are µs UTC."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from submeter.store.events import File

__all__ = ["Letter", "Messages"]

_COLUMNS: Final = "id, manager, unit, account, text, created, status, changed"


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, known by its ticket; `account` None: written before there was an account; `status` is the operator's word, "" before the first."""

    id: str
    manager: str
    unit: str
    account: str | None
    text: str
    created: int
    status: str = ""
    changed: int | None = None


class Messages:
    """The messages of a registry."""

    def __init__(self, file: File, rows: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._file = file
        self._rows = rows

    def add(self, one: Letter) -> None:
        """Keep a message."""
        values = [getattr(one, name) for name in _COLUMNS.split(", ")]
        with self._file.writing() as db:
            db.execute(f"INSERT INTO messages ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608 - ours

    def of(self, account: str, unit: str) -> list[Letter]:
        """Return what an account wrote about a flat, the newest first."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM messages WHERE account = ? AND unit = ? ORDER BY created DESC, id", account, unit)  # noqa: S608 - ours
        return [Letter(*row) for row in rows]

    def written_by(self, account: str) -> list[Letter]:
        """Return all that an account wrote, the newest first."""
        return [Letter(*row) for row in self._rows(f"SELECT {_COLUMNS} FROM messages WHERE account = ? ORDER BY created DESC, id", account)]  # noqa: S608 - ours

    def of_manager(self, manager: str, limit: int) -> list[Letter]:
        """Return the newest messages to a manager."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM messages WHERE manager = ? ORDER BY created DESC, id LIMIT ?", manager, limit)  # noqa: S608 - ours
        return [Letter(*row) for row in rows]

    def forget(self, before: int) -> int:
        """Delete what was written, and answered if it was, before an instant; returns how many."""
        with self._file.writing() as db:
            return db.execute("DELETE FROM messages WHERE max(created, coalesce(changed, created)) < ?", (before,)).rowcount

    def answer(self, manager: str, identity: str, status: str, now: int) -> bool:
        """Keep what the operator says of a message; False if the manager has none like that."""
        with self._file.writing() as db:
            sql = "UPDATE messages SET status = ?, changed = ? WHERE id = ? AND manager = ?"
            return bool(db.execute(sql, (status, now, identity, manager)).rowcount)
