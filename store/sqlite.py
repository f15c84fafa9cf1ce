"""How a SQLite file of the data folder is opened and written.

Strategy: WAL with a stated durability, autocommit outside of transactions.
Rules: the file is readable by its owner only; a connection may move between threads but is used by one at a time; see sql.py for what both engines share.
"""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from submeter.store.errors import StoreError
from submeter.store.sql import migrate, querying, transaction

__all__ = ["BUSY_TIMEOUT_S", "Sqlite", "open_sqlite"]

BUSY_TIMEOUT_S: Final = 10.0
REFERRING: Final = """
SELECT m.name, f."from" FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' AND f."table" = ?
"""


class Sqlite(sqlite3.Connection):
    """A connection to one file."""

    engine = "sqlite"
    place = ""
    #: PRAGMA synchronous as the file was opened, and as it is now.
    synchronous = "FULL"
    _now = ""

    def begin(self, *, synced: bool = True) -> None:
        """Begin to write, alone; not `synced`: after a power cut the last of it may be missing, the file stays sound (WAL)."""
        self.durable(self.synchronous if synced else "NORMAL")
        self.execute("BEGIN IMMEDIATE")

    def durable(self, synchronous: str) -> None:
        """Write from now on like this; outside of transactions only."""
        if synchronous != self._now:
            self.execute(f"PRAGMA synchronous = {synchronous}")
            self._now = synchronous

    def defer(self) -> None:
        """Look at references between tables at the end of this transaction only."""
        self.execute("PRAGMA defer_foreign_keys = ON")

    def claim(self) -> None:
        """Nothing: the lock of the data folder says already that there is one core."""

    def referring(self, table: str) -> list[tuple[str, str]]:
        """Return table and column of all references to a table."""
        return self.execute(REFERRING, (table,)).fetchall()


def open_sqlite(
    path: Path, migrations: Sequence[str], *, synchronous: Literal["FULL", "NORMAL"] = "FULL", page_size: int = 4096, overwrite: bool = False
) -> Sqlite:
    """Open or create the file in WAL mode at the newest schema; StoreError names the file if it is newer, damaged or out of reach.

    `page_size`, bytes, holds for a new file: larger ones suit rows of many kilobytes. `overwrite`: nothing of what is deleted is left in the file.
    """
    try:
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, factory=Sqlite)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path} cannot be opened: {error}; check that the data folder exists and belongs to this user") from error
    connection.place, connection.synchronous = str(path), synchronous
    try:
        with querying(connection):
            connection.execute(f"PRAGMA page_size = {page_size}")
            _to_wal(connection)
            connection.durable(synchronous)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA secure_delete = {'ON' if overwrite else 'OFF'}")
        with transaction(connection):
            migrate(connection, migrations)
    except StoreError:
        connection.close()
        raise
    return connection


def _to_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL mode; SQLite does not wait by itself when several open a new file at once."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
