"""What residents wrote to the operator, and what became of it: as `registry.messages` (portal FEATURES b, Y14). Instants are µs UTC."""

from dataclasses import dataclass

from submeter.store.part import Part

__all__ = ["Letter", "Messages"]


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


class Messages(Part):
    """The messages of a registry."""

    def add(self, one: Letter) -> None:
        """Keep a message."""
        self._add("messages", one)

    def of(self, account: str, unit: str) -> list[Letter]:
        """Return what an account wrote about a flat, the newest first."""
        return self._find(Letter, "messages", "account = ? AND unit = ? ORDER BY created DESC, id", account, unit)

    def written_by(self, account: str) -> list[Letter]:
        """Return all that an account wrote, the newest first."""
        return self._find(Letter, "messages", "account = ? ORDER BY created DESC, id", account)

    def of_manager(self, manager: str, limit: int) -> list[Letter]:
        """Return the newest messages to a manager."""
        return self._find(Letter, "messages", "manager = ? ORDER BY created DESC, id LIMIT ?", manager, limit)

    def forget(self, before: int) -> int:
        """Delete what was written, and answered if it was, before an instant; returns how many."""
        return self._run("DELETE FROM messages WHERE max(created, coalesce(changed, created)) < ?", before)

    def answer(self, manager: str, identity: str, status: str, now: int) -> bool:
        """Keep what the operator says of a message; False if the manager has none like that."""
        return bool(self._run("UPDATE messages SET status = ?, changed = ? WHERE id = ? AND manager = ?", status, now, identity, manager))
