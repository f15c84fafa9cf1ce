"""Opening, migrating and writing of the shared SQLite helper."""

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import pytest

from submeter.store import sqlite
from submeter.store.errors import StoreError
from submeter.store.sqlite import open_sqlite, transaction

FIRST = "CREATE TABLE a (x INTEGER);\nCREATE TABLE b (\n  y INTEGER\n);\n"
SECOND = "ALTER TABLE a ADD COLUMN z TEXT;\n"


def version_of(path):
    """Read the schema version of the file, migrated if need be."""
    connection = open_sqlite(path, [FIRST, SECOND])
    version = connection.execute("SELECT version FROM schema_version").fetchall()
    connection.close()
    return version


def test_migrations_run_once_and_in_order(tmp_path):
    """A file of the first schema gets the second migration alone and keeps its rows."""
    path = tmp_path / "x.sqlite"
    connection = open_sqlite(path, [FIRST])
    connection.execute("INSERT INTO a VALUES (1)")
    connection.close()
    connection = open_sqlite(path, [FIRST, SECOND])
    assert connection.execute("SELECT x, z FROM a").fetchall() == [(1, None)]
    connection.close()
    assert version_of(path) == [(2,)]


def test_newer_file_is_refused(tmp_path):
    """A file written by a newer release is refused with its name and both versions."""
    path = tmp_path / "x.sqlite"
    open_sqlite(path, [FIRST, SECOND]).close()
    with pytest.raises(StoreError, match=r"x\.sqlite has schema 2, this submeter knows 1"):
        open_sqlite(path, [FIRST])


def test_failed_migration_leaves_the_old_schema(tmp_path):
    """A migration that breaks half-way leaves neither its first half nor a new version."""
    path = tmp_path / "x.sqlite"
    open_sqlite(path, [FIRST]).close()
    with pytest.raises(StoreError, match="no such table"):
        open_sqlite(path, [FIRST, "CREATE TABLE c (x);\nINSERT INTO nowhere VALUES (1);\n"])
    connection = open_sqlite(path, [FIRST])
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'c'").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize(("synchronous", "number"), [("FULL", 2), ("NORMAL", 1)])
def test_durability_is_as_asked(tmp_path, synchronous, number):
    """The file is in WAL mode at the synchronous level asked for and readable by its owner only."""
    path = tmp_path / "x.sqlite"
    connection = open_sqlite(path, [FIRST], synchronous=synchronous)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (number,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection.close()


def test_what_is_not_a_database_is_named(tmp_path):
    """A damaged file, a missing folder and a folder in the file's place give a StoreError with the path."""
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    for wrong in (path, tmp_path / "none" / "x.sqlite", tmp_path):
        with pytest.raises(StoreError, match=str(wrong)) as told:
            open_sqlite(wrong, [FIRST])
        assert ("submeter doctor" in str(told.value)) == (wrong == path)


def test_transaction_is_all_or_nothing(tmp_path):
    """An exception inside a transaction undoes it, and a sqlite3 error leaves as StoreError."""
    connection = open_sqlite(tmp_path / "x.sqlite", [FIRST])

    def insert(value, then):
        with transaction(connection):
            connection.execute("INSERT INTO a VALUES (?)", (value,))
            then()

    with pytest.raises(ZeroDivisionError):
        insert(1, lambda: 1 / 0)
    with pytest.raises(StoreError, match=r"x\.sqlite: no such column"):
        insert(2, lambda: connection.execute("SELECT missing FROM a"))
    with transaction(connection):
        connection.execute("INSERT INTO a VALUES (3)")
    assert connection.execute("SELECT x FROM a").fetchall() == [(3,)]
    connection.close()


def test_many_may_open_at_once(tmp_path):
    """Eight openers of a new file agree on one migrated schema."""
    path = tmp_path / "x.sqlite"
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda _: version_of(path), range(8)))
    assert versions == [[(2,)]] * 8


def test_a_migration_may_end_without_its_semicolon(tmp_path):
    """The last statement of a migration is run, however it ends."""
    connection = open_sqlite(tmp_path / "x.sqlite", [FIRST, SECOND.rstrip(";\n")])
    assert connection.execute("SELECT x, z FROM a").fetchall() == []
    connection.close()


def test_a_transaction_that_the_engine_ended_tells_its_cause(tmp_path):
    """Where the engine took a transaction back by itself, what leaves is the reason, not that there is nothing to take back; the next one is as any."""
    connection = open_sqlite(tmp_path / "x.sqlite", [FIRST])

    def taken_back():
        with transaction(connection):
            connection.execute("INSERT INTO a VALUES (1)")
            connection.execute("ROLLBACK")
            raise sqlite3.OperationalError("disk is full")

    with pytest.raises(StoreError, match="disk is full"):
        taken_back()
    with transaction(connection):
        connection.execute("INSERT INTO a VALUES (2)")
    assert connection.execute("SELECT x FROM a").fetchall() == [(2,)]
    connection.close()


def test_a_new_file_that_another_one_writes_to_is_waited_for(tmp_path, monkeypatch):
    """While another process writes to a new file it is waited for, and told after the time that is granted."""
    path = tmp_path / "x.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
        with pytest.raises(StoreError, match=r"x\.sqlite: database is locked"):
            open_sqlite(path, [FIRST])
        monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 10)
        opening = pool.submit(version_of, path)
        assert not wait([opening], timeout=0.1).done
        other.execute("COMMIT")
        assert opening.result() == [(2,)]
