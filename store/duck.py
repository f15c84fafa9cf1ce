"""The one DuckDB file: how it is opened, migrated and written. The rules come from crash tests (FAULTS 1.3).

Strategy: one connection under a lock, used by one writer; Arrow tables in under a name, Arrow tables out.
Rules: DuckDB 2 only; no access to other files, configuration locked; a migration runs alone and ends with CHECKPOINT; every duckdb error leaves here
as StoreError, a fatal one as StoreBrokenError: then `reopen` is the only way on. A log that does not open is cut back to what does, and that is told.
"""

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from submeter.store.errors import StoreBrokenError, StoreError
from submeter.store.mend import mend

__all__ = ["Duck", "named"]

VERSIONS: Final = (2, 0), (3, 0)
OPTIONS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "lock_configuration": "true",
}


class Duck:
    """A DuckDB file with transactions, opened at the newest schema; StoreError if another process holds it or it is newer than this release."""

    def __init__(self, path: Path, migrations: Sequence[str]) -> None:
        self.path = path
        self._migrations = migrations
        self._lock = threading.RLock()
        self.rehearsing = False
        #: What had to be done to open the file, in a sentence.
        self.mended: str | None = None
        self._connection = self._open()

    def reopen(self) -> None:
        """Close and open the file again, as a StoreBrokenError asks for; what was committed is there."""
        with self._lock:
            self._connection.close()
            self._connection = self._open()

    def close(self) -> None:
        """Close the file; its lock is free at once."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self, **tables: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
        """Everything inside is durable together or not at all; `tables` are readable in SQL under their names."""
        with self._lock, self._named(), named(self._connection, **tables):
            yield from self._committed()

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Every transaction inside is a part of one that is rolled back at the end."""
        with self._lock, self._named():
            self._connection.begin()
            self.rehearsing = True
            try:
                yield
            finally:
                self.rehearsing = False
                self._connection.rollback()

    def read_committed(self, sql: str, **tables: pa.Table) -> pa.Table:
        """Return the answer to one query as it is without the rehearsal under way."""
        with self._lock, self._named(), self._connection.cursor() as beside, named(beside, **tables):
            return beside.sql(sql).to_arrow_table()

    def read(self, sql: str, params: Sequence[object] | Mapping[str, object] = (), **tables: pa.Table) -> pa.Table:
        """Return the answer to one query as an Arrow table."""
        given = dict(params) if isinstance(params, Mapping) else list(params)
        with self._lock, self._named(), named(self._connection, **tables):
            return self._connection.sql(sql, params=given).to_arrow_table()

    def checkpoint(self) -> None:
        """Write what the log holds into the file; nothing else is under way."""
        with self._lock, self._named():
            self._connection.execute("CHECKPOINT")

    def copy_to(self, path: Path) -> None:
        """Copy the file, with all that is committed, to another path."""
        with self._lock:
            self.checkpoint()
            try:
                shutil.copyfile(self.path, path)
            except OSError as error:
                raise StoreError(f"{path} cannot be written: {error.strerror}; free disk space first") from error

    def become(self, path: Path) -> None:
        """Take the place of the file by another one, which is closed, and open that."""
        with self._lock:
            self.checkpoint()
            self._connection.close()
            try:
                path.replace(self.path)
            finally:
                self._connection = self._open()

    def _committed(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if self.rehearsing:
            yield self._connection
            return
        self._connection.begin()
        try:
            yield self._connection
        except duckdb.FatalException:
            raise
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()

    def _open(self) -> duckdb.DuckDBPyConnection:
        require_version(duckdb.__version__)
        with self._named():
            connection = self._connected()
        try:
            self.path.chmod(0o600)
            with self._named():
                self._migrate(connection)
        except StoreError:
            connection.close()
            raise
        return connection

    def _connected(self) -> duckdb.DuckDBPyConnection:
        try:
            return duckdb.connect(self.path, config=OPTIONS)
        except duckdb.Error:
            self.mended = mend(self.path, OPTIONS)
            if self.mended is None:
                raise
            return duckdb.connect(self.path, config=OPTIONS)

    def _migrate(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER)")
        ((version,),) = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchall()
        newest = len(self._migrations)
        if version > newest:
            raise StoreError(f"{self.path} has schema {version}, this submeter knows {newest}: run the newer release or restore an older backup")
        for number, script in enumerate(self._migrations[version:], version + 1):
            connection.execute(f"BEGIN; {script} INSERT INTO schema_version VALUES ({number}); COMMIT")  # noqa: S608 - our own script
            connection.execute("CHECKPOINT")

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.FatalException, duckdb.ConnectionException) as error:
            raise StoreBrokenError(f"{self.path} stopped: {error}; free disk space, then reopen: what was committed is kept") from error
        except duckdb.Error as error:
            raise StoreError(f"{self.path}: {error}") from error


@contextmanager
def named(connection: duckdb.DuckDBPyConnection, **tables: pa.Table) -> Iterator[None]:
    """Inside, `tables` are readable in SQL under their names."""
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            connection.unregister(name)


def require_version(version: str) -> None:
    """Refuse a DuckDB that is known to lose rows or answer wrongly after a crash."""
    number = tuple(int(part) for part in version.split(".")[:2])
    oldest, beyond = VERSIONS
    if not oldest <= number < beyond:
        raise StoreError(f"duckdb {version} is installed, submeter needs >=2.0,<3: older versions lost rows after a crash; install again")
