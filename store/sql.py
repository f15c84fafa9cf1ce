"""What the stores ask of an SQL engine; SQLite (sqlite.py) and PostgreSQL (postgres.py) answer alike.

Strategy: one text of SQL and one list of migrations for both, in the subset that both understand: `ON CONFLICT`, `RETURNING`, `IS NOT DISTINCT FROM`, `CASE`,
`= 1` for what is true, casts where nothing else tells a parameter's type. What only one of them can run is marked `/* sqlite */` or `/* postgres */` in a migration.
Rules: a migration once released never changes, a new one is appended; each statement ends its line with a semicolon; one writer at a time in either engine, so what was
read inside a transaction still holds when it is written; every error of an engine leaves here as StoreError.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

from submeter.store.errors import StoreError

__all__ = ["Connection", "Rows", "migrate", "open_sql", "postgres", "querying", "reached", "rehearsal", "transaction", "upsert"]

MARKS: Final = {"sqlite": "/* postgres */", "postgres": "/* sqlite */"}


class Rows(Protocol):
    """The answer to a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows were written."""

    def fetchone(self) -> Any:
        """The next row, None after the last."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection to one store; it may move between threads and is used by one at a time."""

    #: "sqlite" or "postgres".
    engine: str
    #: How errors name the store.
    place: str

    @property
    def in_transaction(self) -> bool:
        """Whether `begin` was not followed by an end yet."""

    def begin(self, *, synced: bool = True) -> None:
        """Begin to write, alone; not `synced`: the commit does not wait for the disk."""

    def commit(self) -> None:
        """End it: all of it is kept."""

    def rollback(self) -> None:
        """End it: nothing of it happened."""

    def execute(self, sql: str, parameters: Any = (), /) -> Rows:
        """Run one statement with `?`, `?1` or `:name` for its parameters."""

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Rows:
        """Run one statement with each of several parameters."""

    def defer(self) -> None:
        """Look at references between tables at the end of this transaction only."""

    def referring(self, table: str) -> list[tuple[str, str]]:
        """Return table and column of all references to a table."""

    def claim(self) -> None:
        """Be the only core that uses this store, as long as this connection lives; StoreError if another one does."""

    def close(self) -> None:
        """Close it."""


def open_sql(path: Path, migrations: Sequence[str], *, server: str = "", synced: bool = True, overwrite: bool = False) -> Connection:
    """Open or create a store at the newest schema: the file, or on a PostgreSQL `server` the schema named as the file; StoreError says what to do.

    Of a file: not `synced`, it can be made again and does not wait for the disk at each commit; `overwrite`, nothing of what is deleted is left in it.
    """
    if server:
        connection: Connection = postgres().open_postgres(server, path.stem, migrations)
        return connection
    from submeter.store.sqlite import open_sqlite  # noqa: PLC0415 - which stands on this module

    return open_sqlite(path, migrations, synchronous="FULL" if synced else "NORMAL", overwrite=overwrite)


def reached(server: str) -> str:
    """Return what answers at a PostgreSQL `server`; StoreError says what to do if nothing does."""
    return str(postgres().reached(server))


def postgres() -> ModuleType:
    """Return the module for PostgreSQL; StoreError without its driver, which is an extra."""
    try:
        return import_module("submeter.store.postgres")
    except ImportError as error:
        raise StoreError(f"[data] database names PostgreSQL and its driver is not there ({error}): pip install 'submeter[postgres]'") from None


@contextmanager
def transaction(connection: Connection, *, synced: bool = True) -> Iterator[Connection]:
    """Everything inside is committed together, durable as the store was opened, or not at all; inside another one, a part of it.

    Not `synced`: it may be missing after a power cut, and nothing waits for the disk.
    """
    with querying(connection):
        if connection.in_transaction:
            yield connection
            return
        connection.begin(synced=synced)
        try:
            yield connection
            connection.commit()
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise


@contextmanager
def rehearsal(connection: Connection) -> Iterator[None]:
    """Everything inside is done, seen by this connection alone, and then undone."""
    with querying(connection):
        connection.begin()
        try:
            yield
        finally:
            connection.rollback()


@contextmanager
def querying(connection: Connection) -> Iterator[Connection]:
    """What sqlite3 raises inside leaves as StoreError with the file's name; PostgreSQL's errors are such already."""
    try:
        yield connection
    except sqlite3.Error as error:
        damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
        remedy = "stop the service and let `submeter doctor` say what can be saved" if damaged else "free disk space and file rights come first"
        raise StoreError(f"{connection.place}: {error}; {remedy}") from error


def upsert(table: str, key: str, columns: str) -> str:
    """A row of a table by its key: added, or put in the place of the one that is there. `key` and `columns`, which follow it, as in SQL."""
    names = [*key.split(", "), *columns.split(", ")]
    update = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", "))
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {update}"  # noqa: S608 - our own names


def migrate(connection: Connection, migrations: Sequence[str]) -> None:
    """Bring a store, inside a transaction, to the newest schema; StoreError if it is of a newer release."""
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    version = row[0] if row else 0
    if version > len(migrations):
        raise StoreError(
            f"{connection.place} has schema {version}, this submeter knows {len(migrations)}: run the newer release or restore an older backup"
        )
    for migration in migrations[version:]:
        for statement in _statements(migration):
            if not statement.lstrip().startswith(MARKS[connection.engine]):
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
