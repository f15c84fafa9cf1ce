"""Codes that went out by letter: to recover an account, or to confirm a grant (FLOWS 4 and 6). Part of registry.sqlite.

Rules: only a keyed hash is kept; a code works once and ends by itself. Instants are µs UTC.
"""

from dataclasses import dataclass
from typing import Literal

from submeter.store.part import Part

__all__ = ["Letter", "LetterKind", "Letters"]

LetterKind = Literal["recovery", "confirmation"]


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


class Letters(Part):
    """The letters of a registry, as `registry.letters`."""

    def add(self, letter: Letter) -> None:
        """Keep a letter that goes out."""
        self._add("letters", letter)

    def open(self, kind: LetterKind, subject: str, now: int) -> list[Letter]:
        """Return the letters of an account or grant whose codes work, the newest first."""
        return self._find(Letter, "letters", "kind = ? AND subject = ? AND used IS NULL AND expires > ? ORDER BY created DESC", kind, subject, now)

    def forget(self, before: int) -> int:
        """Delete letters that were used or over before an instant; returns how many."""
        return self._run("DELETE FROM letters WHERE min(expires, coalesce(used, expires)) < ?", before)

    def use(self, identity: str, now: int) -> bool:
        """Mark a code as used; False if it was, or is over."""
        return bool(self._run("UPDATE letters SET used = ? WHERE id = ? AND used IS NULL AND expires > ?", now, identity, now))
