"""What every SQLite file of the data folder has in common: how it is opened, migrated and written.

Strategy: WAL with a stated durability, autocommit outside `transaction`, and a table `schema_version` that counts the migrations applied.
Rules: a migration once released never changes, a new one is appended; each statement ends its line with a semicolon; the file is readable by its
owner only; a connection may move between threads but is used by one at a time; every sqlite3 error leaves here as StoreError.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from submeter.store.errors import StoreError

__all__ = ["BUSY_TIMEOUT_S", "open_sqlite", "querying", "rehearsal", "transaction", "unsynced"]

BUSY_TIMEOUT_S: Final = 10.0


def open_sqlite(
    path: Path, migrations: Sequence[str], *, synchronous: Literal["FULL", "NORMAL"] = "FULL", page_size: int = 4096
) -> sqlite3.Connection:
    """Open or create the file in WAL mode at the newest schema; StoreError names the file if it is newer, damaged or out of reach.

    `page_size`, bytes, holds for a new file: larger ones suit rows of many kilobytes.
    """
    try:
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path} cannot be opened: {error}; check that the data folder exists and belongs to this user") from error
    try:
        with querying(connection):
            connection.execute(f"PRAGMA page_size = {page_size}")
            _to_wal(connection)
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")
        with transaction(connection):
            _migrate(connection, path, migrations)
    except StoreError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Everything inside is committed together, durable as the file was opened, or not at all; inside another one, a part of it."""
    with querying(connection):
        if connection.in_transaction:
            yield connection
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def unsynced(connection: sqlite3.Connection) -> Iterator[None]:
    """What is committed inside may be missing after a power cut, and nothing waits for the disk; the file stays sound (WAL). Outside transactions only."""
    (before,) = connection.execute("PRAGMA synchronous").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA synchronous = {before}")


@contextmanager
def rehearsal(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything inside is done, seen by this connection alone, and then undone."""
    with querying(connection):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


@contextmanager
def querying(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """What sqlite3 raises inside leaves as StoreError with the file's name."""
    try:
        yield connection
    except sqlite3.Error as error:
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
        remedy = "stop the service and let `submeter doctor` say what can be saved" if damaged else "free disk space and file rights come first"
        raise StoreError(f"{path}: {error}; {remedy}") from error


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


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    version = row[0] if row else 0
    if version > len(migrations):
        raise StoreError(f"{path} has schema {version}, this submeter knows {len(migrations)}: run the newer release or restore an older backup")
    for migration in migrations[version:]:
        for statement in _statements(migration):
            connection.execute(statement)
    if row is None:
        connection.execute("INSERT INTO schema_version VALUES (?)", (len(migrations),))
    elif version < len(migrations):
        connection.execute("UPDATE schema_version SET version = ?", (len(migrations),))


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
