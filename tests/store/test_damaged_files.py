"""Files that are damaged: what is found, what is mended or saved of them, and what is refused before anything is lost."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from submeter.reading import Register
from submeter.store import READING, RECEPTION, Readings, StoreError
from submeter.store import salvage as salvaging
from submeter.store.duck import OPTIONS
from submeter.store.examine import faults, schema_of
from submeter.store.mend import DAMAGED, keep, mend
from submeter.store.salvage import salvage, unreadable

TABLE = "CREATE TABLE a (x INTEGER CHECK (x > 0));\n"

#: Readings that fill more than one block of DuckDB's file, and where its blocks are.
ROWS, HEADERS, BLOCK = 40_000, 3 * 4096, 262_144


@pytest.fixture
def torn(tmp_path):
    """A DuckDB file of one table with two rows in it, and a log of a third behind which rubbish stands."""
    path = tmp_path / "data" / "x.duckdb"
    path.parent.mkdir()
    with closing(duckdb.connect(path)) as first:
        first.execute("CREATE TABLE a AS SELECT unnest([1, 2]) AS x")
    with closing(duckdb.connect(path)) as second:
        second.execute("INSERT INTO a VALUES (3)")
        shutil.copy(f"{path}.wal", tmp_path / "log")
    Path(f"{path}.wal").write_bytes((tmp_path / "log").read_bytes() + b"\0" * 100)
    return path


def rows(path):
    """The rows of the table."""
    with closing(duckdb.connect(path)) as connection:
        return [x for (x,) in connection.execute("SELECT x FROM a ORDER BY x").fetchall()]


def test_a_log_is_cut_back_to_what_opens(torn):
    """All that was committed is there; both files are kept as they were."""
    before, log = torn.read_bytes(), Path(f"{torn}.wal").read_bytes()
    assert "Both files are kept as they were" in mend(torn, OPTIONS)
    (kept,) = (torn.parent / DAMAGED).iterdir()
    assert {file.name: file.read_bytes() for file in kept.iterdir()} == {"x.duckdb": before, "x.duckdb.wal": log}
    assert rows(torn) == [1, 2, 3]


def test_where_room_is_short_the_log_alone_is_kept(torn, monkeypatch):
    """A file of which the disk does not hold two more is not copied: the log is what is changed."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 2 * torn.stat().st_size - 1))
    assert "The log is kept as it was" in mend(torn, OPTIONS)
    (kept,) = (torn.parent / DAMAGED).iterdir()
    assert [file.name for file in kept.iterdir()] == ["x.duckdb.wal"]


def test_a_disk_without_hard_links_is_mended_on_a_copy(torn, monkeypatch):
    """Where the file cannot be linked it is copied for the search."""

    def refused(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    assert mend(torn, OPTIONS)
    assert rows(torn) == [1, 2, 3]


def test_what_is_no_matter_of_the_log_is_left_alone(torn):
    """A file without a log, and one that does not open without it either: nothing is changed or kept."""
    torn.write_bytes(b"rubbish" * 100)
    log = Path(f"{torn}.wal").read_bytes()
    assert mend(torn, OPTIONS) is None
    assert Path(f"{torn}.wal").read_bytes() == log
    Path(f"{torn}.wal").unlink()
    assert mend(torn, OPTIONS) is None
    assert not (torn.parent / DAMAGED).exists()


def test_a_log_that_cannot_be_read_is_told(torn):
    """What stands in the way is named, and nothing is changed."""
    log = Path(f"{torn}.wal")
    log.unlink()
    log.mkdir()
    with pytest.raises(StoreError, match=r"x\.duckdb\.wal cannot be mended: Is a directory"):
        mend(torn, OPTIONS)


def test_nothing_is_changed_that_cannot_be_kept(torn):
    """Without a place for what is damaged the log stays as it is."""
    (torn.parent / DAMAGED).write_text("in the way")
    log = Path(f"{torn}.wal").read_bytes()
    with pytest.raises(StoreError, match=r"cannot be written: .*nothing is changed before it is kept"):
        mend(torn, OPTIONS)
    assert Path(f"{torn}.wal").read_bytes() == log
    with pytest.raises(StoreError, match="cannot be written"):
        keep(torn.parent, torn)


def test_a_sqlite_file_is_looked_at_as_it_is(tmp_path):
    """Whole, without a schema, with rows that cannot be, of a newer release, and no database at all."""
    path = tmp_path / "published.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(TABLE)
        assert (faults(path), schema_of(path)) == ([], 0)
        connection.execute("CREATE TABLE schema_version (version INTEGER)")
        assert schema_of(path) == 0
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("INSERT INTO a VALUES (-1)")
        assert faults(path) == [f"{path} is damaged: CHECK constraint failed in a"]
        connection.execute("DELETE FROM a")
        connection.execute("INSERT INTO schema_version VALUES (99)")
        assert schema_of(path) == 99
        (line,) = faults(path)
        assert line.startswith(f"{path} has schema 99, this submeter knows ")
    path.write_bytes(b"rubbish" * 1000)
    assert faults(path) == [f"{path} cannot be read: file is not a database"]
    with pytest.raises(StoreError, match=r"published\.sqlite cannot be read: file is not a database"):
        schema_of(path)


@pytest.fixture
def flipped(tmp_path):
    """A readings' file with a flipped bit among its readings."""
    path = tmp_path / "readings.duckdb"
    with Readings(path) as readings:
        readings.register_ids([("A", Register("volume", "m3"))])
        row = {"register": 1, "src": 2, "status": 0, "due": False, "pinned": False, "label": "now", "time_source": "received"}
        rows = [row | {"t": number, "value": number**9 % 2**61, "seq": number} for number in range(ROWS)]
        readings.store(pa.Table.from_pylist(rows, schema=READING), RECEPTION.empty_table(), 1)
    flip(path, "readings", "value")
    return path


def flip(path, table, column):
    """Flip a bit of the last block in which a column is."""
    with closing(duckdb.connect(path, read_only=True)) as connection:
        (block,) = connection.execute(f"SELECT max(block_id) FROM pragma_storage_info('{table}') WHERE column_name = '{column}'").fetchone()
    with path.open("r+b") as file:
        file.seek(HEADERS + block * BLOCK + BLOCK // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def test_what_reads_is_saved(flipped, tmp_path):
    """All tables but the damaged rows are in the new file; how many rows are lost is told."""
    assert unreadable(flipped) == ["readings"]
    assert salvage(flipped, tmp_path / "new.duckdb") == {"readings": ROWS}
    with Readings(tmp_path / "new.duckdb") as readings:
        assert readings.registers() == {("A", Register("volume", "m3")): 1}
        assert readings.counts()["readings"] == 0


def test_an_error_that_is_no_damage_ends_the_saving(flipped, tmp_path, monkeypatch):
    """Rows count as lost only where their page is damaged: anything else is told, and no row is given up for it."""
    monkeypatch.setattr(salvaging, "CHECKSUM", "another word")
    with pytest.raises(StoreError, match="readings cannot be read"):
        unreadable(flipped)
    with pytest.raises(StoreError, match="readings cannot be copied"):
        salvage(flipped, tmp_path / "new.duckdb")


def test_a_file_without_its_numbers_is_given_up(flipped, tmp_path):
    """Rows under numbers that nobody can read any more are worse than none: nothing is saved."""
    flip(flipped, "registers", "device")
    with pytest.raises(StoreError, match=r"readings\.duckdb cannot be saved in parts: registers does not read"):
        salvage(flipped, tmp_path / "new.duckdb")
    assert not (tmp_path / "new.duckdb").exists()
