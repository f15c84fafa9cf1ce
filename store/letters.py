"""Codes that went out by letter: to recover an account, or to confirm a grant (FLOWS 4 and 6). Part of registry.sqlite.

Rules: only a keyed hash is kept; a code works once and ends by itself. Instants are µs UTC.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from submeter.store.events import File

__all__ = ["Letter", "LetterKind", "Letters"]

LetterKind = Literal["recovery", "confirmation"]
_COLUMNS: Final = "id, kind, subject, proof, created, expires, used"


@dataclass(frozen=True, slots=True)
class Letter:
    """A code by letter: `subject` is the account or the grant that it is for."""

    id: str
    kind: LetterKind
    subject: str
    proof: bytes
    created: int
    expires: int
    used: int | None


class Letters:
    """The letters of a registry, as `registry.letters`."""

    def __init__(self, file: File, rows: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._file = file
        self._rows = rows

    def add(self, letter: Letter) -> None:
        """Keep a letter that goes out."""
        with self._file.writing() as db:
            values = (letter.id, letter.kind, letter.subject, letter.proof, letter.created, letter.expires, letter.used)
            db.execute("INSERT INTO letters VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def open(self, kind: LetterKind, subject: str, now: int) -> list[Letter]:
        """Return the letters of an account or grant whose codes work, the newest first."""
        where = "kind = ? AND subject = ? AND used IS NULL AND expires > ? ORDER BY created DESC"
        return [Letter(*row) for row in self._rows(f"SELECT {_COLUMNS} FROM letters WHERE {where}", kind, subject, now)]  # noqa: S608 - ours

    def forget(self, before: int) -> int:
        """Delete letters that were used or over before an instant; returns how many."""
        with self._file.writing() as db:
            return db.execute("DELETE FROM letters WHERE min(expires, coalesce(used, expires)) < ?", (before,)).rowcount

    def use(self, identity: str, now: int) -> bool:
        """Mark a code as used; False if it was, or is over."""
        with self._file.writing() as db:
            return bool(db.execute("UPDATE letters SET used = ? WHERE id = ? AND used IS NULL AND expires > ?", (now, identity, now)).rowcount)
