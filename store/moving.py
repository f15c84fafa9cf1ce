"""From a file of an installation into a schema on PostgreSQL, table by table.

Strategy: tables in the order of their references, rows in the order of their keys, some thousands with each commit; rows that the database has of a table are its first ones, so a
move that was interrupted goes on behind them. Tables without a key are small and moved whole. Then each table is read again from both, and the SHA-256 of all its rows compared.
Rules: the file is only read; nothing is moved that differs; numbers that were given to rows are not given again.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from submeter.store.errors import StoreError
from submeter.store.postgres import Postgres, open_postgres
from submeter.store.sql import Connection, transaction
from submeter.store.sqlite import Sqlite, open_sqlite

__all__ = ["move"]

#: Rows of a page, and of one commit.
PAGE: Final = 5000
_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'schema_version' ORDER BY name"
_KEY: Final = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"
_COLUMNS: Final = """
SELECT column_name::text, data_type::text, is_identity = 'YES' FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position
"""
_GIVEN: Final = "SELECT setval(pg_get_serial_sequence(?, ?), CAST(? AS BIGINT))"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table with its columns and their types, its key (none: it is small), and the column that is numbered by the engine."""

    name: str
    columns: Mapping[str, str]
    key: Sequence[str]
    numbered: str | None


def move(path: Path, server: str, migrations: Sequence[str]) -> Iterator[str]:
    """Move a store; yields a line for each table that has rows. StoreError names the tables that came out different."""
    file, database = open_sqlite(path, migrations), open_postgres(server, path.stem, migrations)
    try:
        tables = _tables(file, database)
        for table in tables:
            _copy(table, file, database)
        different = []
        for table in tables:
            (count, digest), other = _checksum(table, file), _checksum(table, database)
            if (count, digest) != other:
                different.append(table.name)
            elif count:
                yield f"{path.stem}.{table.name}: {count} rows, sha256 {digest[:16]}"
        if different:
            raise StoreError(
                f"{database.place}: {', '.join(different)} is not as in {path}: something else wrote into one of them; "
                f"DROP SCHEMA {path.stem} CASCADE in the database, and begin again"
            )
    finally:
        file.close()
        database.close()


def _tables(file: Sqlite, database: Postgres) -> list[_Table]:
    """All tables, each behind those that it refers to."""
    waiting = {name: _table(name, file, database) for (name,) in file.execute(_TABLES)}
    refers = {name: {other for other in waiting if other != name and name in {one for one, _ in file.referring(other)}} for name in waiting}
    done: list[_Table] = []
    while waiting:
        free = [name for name in waiting if not refers[name] & waiting.keys()]
        assert free, f"these refer to each other: {', '.join(waiting)}"
        done += [waiting.pop(name) for name in free]
    return done


def _table(name: str, file: Sqlite, database: Postgres) -> _Table:
    rows = database.execute(_COLUMNS, (name,)).fetchall()
    columns = {f'"{column}"': kind for column, kind, _ in rows}
    numbered = next((column for column, _, identity in rows if identity), None)
    key = ["rowid"] if '"rowid"' in columns else [column for (column,) in file.execute(_KEY, (name,))]
    return _Table(name, columns, [f'"{column}"' for column in key], numbered)


def _copy(table: _Table, file: Sqlite, database: Postgres) -> None:
    """Add what is missing behind the last row that is there."""
    if not table.key:
        with transaction(database):
            database.execute(f"DELETE FROM {table.name}")  # noqa: S608 - our own names, here and below
            database.copy(table.name, table.columns, file.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}"))  # noqa: S608
        return
    order = ", ".join(f"{one} DESC" for one in table.key)
    last = database.execute(f"SELECT {', '.join(table.key)} FROM {table.name} ORDER BY {order} LIMIT 1").fetchone()  # noqa: S608
    for page in _pages(table, file, last):
        with transaction(database):
            database.copy(table.name, table.columns, page)
    if table.numbered:
        given = _given(table, file)
        if given:
            database.execute(_GIVEN, (table.name, table.numbered, given))


def _given(table: _Table, file: Sqlite) -> int:
    """The highest number that was ever given to a row."""
    if table.numbered == "rowid":
        return int(file.execute(f"SELECT coalesce(max(rowid), 0) FROM {table.name}").fetchone()[0])  # noqa: S608
    return int(file.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?", (table.name,)).fetchone()[0])


def _pages(table: _Table, connection: Connection, last: Sequence[Any] | None = None) -> Iterator[list[Any]]:
    """The rows behind a key, in order of keys; all rows at once where there is none."""
    names, key = ", ".join(table.columns), ", ".join(table.key)
    if not key:
        yield sorted(connection.execute(f"SELECT {names} FROM {table.name}").fetchall(), key=repr)  # noqa: S608
        return
    places = [list(table.columns).index(one) for one in table.key]
    while True:
        behind = f"WHERE ({key}) > ({', '.join('?' * len(places))})" if last else ""
        page = connection.execute(f"SELECT {names} FROM {table.name} {behind} ORDER BY {key} LIMIT {PAGE}", last or ()).fetchall()  # noqa: S608
        if not page:
            return
        yield page
        last = [page[-1][place] for place in places]


def _checksum(table: _Table, connection: Connection) -> tuple[int, str]:
    """How many rows, and the SHA-256 of all their values."""
    count, digest = 0, hashlib.sha256()
    for page in _pages(table, connection):
        count += len(page)
        digest.update(repr(page).encode())
    return count, digest.hexdigest()
