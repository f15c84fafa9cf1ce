"""Copies of a person's data that were asked for: files beside the registry, one row each. Part of registry.sqlite, as `registry.exports`.

Rules: a file has a random name and is its owner's alone (0600); it goes with its row, a week after it was asked for. Instants are µs UTC.
"""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from submeter.store.part import Part

__all__ = ["KEPT", "Export", "Exports"]

#: How long an export is kept, µs.
KEPT: Final = 7 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Export:
    """One export; `ready` is when its file was whole, `failed` whether it could not be made."""

    id: str
    account: str
    file: str
    asked: int
    ready: int | None
    expires: int
    failed: int


class Exports(Part):
    """The exports of a registry; their files are in the folder `exports` beside it."""

    def ask(self, identity: str, account: str, now: int) -> Export:
        """Keep that an account asked for an export."""
        one = Export(identity, account, f"{secrets.token_hex(16)}.zip", now, None, now + KEPT, 0)
        self._add("exports", one)
        return one

    def one(self, identity: str, account: str, now: int) -> Export | None:
        """Return an export of this account that is not over."""
        return self._one(Export, "exports", "id = ? AND account = ? AND expires > ?", identity, account, now)

    def of(self, account: str, now: int) -> list[Export]:
        """Return the exports of an account that are not over, the newest first."""
        return self._find(Export, "exports", "account = ? AND expires > ? ORDER BY asked DESC, id", account, now)

    def create(self, one: Export) -> BinaryIO:
        """Open its file for writing, anew if it was begun before."""
        self._folder().mkdir(mode=0o700, exist_ok=True)
        self.path(one).unlink(missing_ok=True)
        return os.fdopen(os.open(self.path(one), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")

    def path(self, one: Export) -> Path:
        """Where its file is."""
        return self._folder() / one.file

    def made(self, identity: str, now: int) -> bool:
        """Note that the file is whole; False if the export was taken away meanwhile."""
        return bool(self._run("UPDATE exports SET ready = ? WHERE id = ?", now, identity))

    def failed(self, identity: str) -> None:
        """Note that the file could not be made."""
        self._run("UPDATE exports SET failed = 1 WHERE id = ?", identity)

    def forget(self, now: int, account: str | None = None) -> int:
        """Delete the exports that are over, or all of an account, and files without a row; returns how many exports."""
        with self._file.writing() as db:
            gone = db.execute("DELETE FROM exports WHERE expires <= ? OR account = ? RETURNING file", (now, account)).fetchall()
        kept = {file for (file,) in self._rows("SELECT file FROM exports")}
        with suppress(FileNotFoundError):
            for path in self._folder().iterdir():
                if path.name not in kept:
                    path.unlink(missing_ok=True)
        return len(gone)

    def _folder(self) -> Path:
        return self._file.path.parent / "exports"
