"""The files of an installation, and the schemas of its database, looked at without opening them for work: whole or not, and of which schema."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from submeter.store import inbox, published, readings_schema, registry_schema
from submeter.store.errors import StoreError
from submeter.store.sql import postgres

__all__ = ["FILES", "READINGS", "Schema", "database", "faults", "schema_of"]

READINGS: Final = "readings.duckdb"
#: Every file of a data folder that is a database, with the newest schema that this release knows.
FILES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "inbox.sqlite": len(inbox.MIGRATIONS),
        READINGS: len(readings_schema.MIGRATIONS),
        "registry.sqlite": len(registry_schema.MIGRATIONS),
        "published.sqlite": len(published.MIGRATIONS),
    }
)
MOST_FAULTS: Final = 5


class Schema(NamedTuple):
    """A store in the database: where it is in words, its schema (0: it is not there yet), and the newest that this release knows."""

    name: str
    place: str
    version: int
    newest: int

    @property
    def too_new(self) -> str:
        """What to do about a schema that this release does not know; "" if it does."""
        if self.version <= self.newest:
            return ""
        return f"{self.place} has schema {self.version}, this submeter knows {self.newest}: run the newer release or restore an older dump"


def database(server: str) -> Iterator[Schema]:
    """What the database of an installation holds; nothing is changed there. StoreError says what to do if it does not answer."""
    engine = postgres()
    engine.reached(server)
    for name in ("registry", "published"):
        connection = engine.Postgres(server, name)
        try:
            there = connection.execute("SELECT to_regclass('schema_version')").fetchone() != (None,)
            row = connection.execute("SELECT version FROM schema_version").fetchone() if there else None
        finally:
            connection.close()
        yield Schema(name, connection.place, int(row[0]) if row else 0, FILES[f"{name}.sqlite"])


def faults(path: Path) -> list[str]:
    """What is wrong with a SQLite file, in sentences; it is read whole and not changed."""
    try:
        with closing(_opened(path)) as connection:
            told = [str(line) for (line,) in connection.execute(f"PRAGMA integrity_check({MOST_FAULTS})")]
            version, newest = _schema(connection), FILES[path.name]
    except sqlite3.Error as error:
        return [f"{path} cannot be read: {error}"]
    if told != ["ok"]:
        return [f"{path} is damaged: {line}" for line in told]
    return [f"{path} has schema {version}, this submeter knows {newest}: run the newer release or restore an older backup"] * (version > newest)


def schema_of(path: Path) -> int:
    """The schema of a SQLite file; 0 where it has none yet."""
    try:
        with closing(_opened(path)) as connection:
            return _schema(connection)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10)


def _schema(connection: sqlite3.Connection) -> int:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone():
        return 0
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    return int(row[0]) if row else 0
