import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from submeter.reading import Register, Source
from submeter.store import BILL, READING, RECEPTION, ROLLUP, Readings, SeriesKey, StoreBrokenError, StoreError
from submeter.store.duck import Duck, require_version
from submeter.store.readings_schema import MIGRATIONS

HERE = Path(__file__).parent
VOLUME = Register("volume", "m3")
NOBODY = RECEPTION.empty_table()
OPEN, PROVISIONAL, FINAL, BILLED = range(4)


@pytest.fixture
def readings(tmp_path):
    """A readings file with three registers, numbered 1 to 3."""
    with Readings(tmp_path / "readings.duckdb") as opened:
        opened.register_ids((device, VOLUME) for device in "ABC")
        yield opened


def batch(*rows, **common):
    """Readings of register, t, value, seq."""
    rest = {"src": 2, "status": 0, "due": False, "pinned": False, "label": "now", "time_source": "received"} | common
    return pa.Table.from_pylist(
        [{"register": register, "t": t, "value": value, "seq": seq, **rest} for register, t, value, seq in rows], schema=READING
    )


def rows(*starts, **fields):
    """Hour rows of series 1 at these starts."""
    common = {"series": 1, "level": 0, "value": 1, "lo": 1, "hi": None, "n": None, "coverage": 10_000, "quality": 0, "flags": 0}
    common |= {"index_start": 0, "index_end": 1, "state": PROVISIONAL} | fields
    return pa.Table.from_pylist([common | {"start": start, "end": start + 10} for start in starts], schema=ROLLUP)


def stored(readings, register=1):
    """What is stored of a register, as (t, value, seq)."""
    return [(row["t"], row["value"], row["seq"]) for row in readings.readings_of([register]).to_pylist()]


def marked(readings):
    """The dirty ranges as (register, from, to)."""
    return [(row["register"], row["t_from"], row["t_to"]) for row in readings.dirty().to_pylist()]


def shown(readings):
    """The hour rows as (start, value, state, rev)."""
    return [(row["start"], row["value"], row["state"], row["rev"]) for row in readings.rollups([1], 0, 0, 1000).to_pylist()]


def test_numbers_stay(tmp_path):
    """Registers and series keep their numbers over a restart, and new ones follow."""
    key = SeriesKey("m_1", VOLUME, "total")
    with Readings(tmp_path / "r.duckdb") as first:
        assert first.register_ids([("A", VOLUME), ("B", VOLUME)]) == {("A", VOLUME): 1, ("B", VOLUME): 2}
        assert first.series_ids([key]) == {key: 1}
    with Readings(tmp_path / "r.duckdb") as again:
        assert again.register_ids([("C", VOLUME), ("B", VOLUME)]) == {("C", VOLUME): 3, ("B", VOLUME): 2}
        assert again.registers() == {("A", VOLUME): 1, ("B", VOLUME): 2, ("C", VOLUME): 3}
        assert again.series() == again.series_ids([key]) == {key: 1}
        assert again.register_ids([]) == {}


def test_a_file_that_stopped_is_told_and_opens_again(readings):
    """What stopped says so until it is opened again; then all that was committed is there, numbers too."""
    readings.store(batch((1, 10, 100, 1)), NOBODY, 1)
    readings.close()
    with pytest.raises(StoreBrokenError, match=r"readings\.duckdb stopped: .*then reopen"):
        readings.watermark()
    readings.reopen()
    assert stored(readings) == [(10, 100, 1)]
    assert readings.register_ids([("B", VOLUME)]) == {("B", VOLUME): 2}


def test_a_stop_inside_a_transaction_takes_it_back(tmp_path):
    """A file that DuckDB gives up in the middle of a transaction is told as stopped; opened again, nothing of that transaction is there."""
    duck = Duck(tmp_path / "x.duckdb", ["CREATE TABLE a (x INTEGER);"])

    def stopped():
        with duck.transaction() as connection:
            connection.execute("INSERT INTO a VALUES (1)")
            raise duckdb.FatalException("the log cannot be written")

    with pytest.raises(StoreBrokenError, match="the log cannot be written; free disk space, then reopen"):
        stopped()
    duck.reopen()
    assert duck.read("SELECT * FROM a").num_rows == 0
    duck.close()


def test_a_copy_that_cannot_be_written_is_told(readings, tmp_path):
    """The place of the copy is named, and what to do; the file goes on."""
    with pytest.raises(StoreError, match=r"none/copy\.duckdb cannot be written: No such file or directory; free disk space first"):
        readings.copy_to(tmp_path / "none" / "copy.duckdb")
    assert readings.watermark() == 0


def test_what_the_kernel_needs_is_a_projection(readings):
    """Readings come out in order of register, t and seq with the kernel's columns and types."""
    readings.store(batch((2, 5, None, 3), (1, 9, 7, 2), (1, 5, 2**62, 1), status=64, due=True, pinned=True), NOBODY, 1)
    table = readings.readings_of([1, 2])
    kinds = {"register": "int32", "t": "int64", "value": "int64", "src": "uint8", "status": "uint16", "due": "bool", "pinned": "bool", "seq": "int64"}
    assert {field.name: str(field.type) for field in table.schema} == kinds
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (1, 5, 2**62, 2, 64, True, True, 1),
        (1, 9, 7, 2, 64, True, True, 2),
        (2, 5, None, 2, 64, True, True, 3),
    ]


def test_repetitions_are_left_out(readings):
    """The same value of the same register, instant and source is stored once, within a batch and over batches."""
    assert readings.store(batch((1, 10, 100, 1), (1, 10, 100, 2), (1, 20, 101, 3)), NOBODY, 1) == 2
    assert readings.store(batch((1, 10, 100, 4), (1, 20, 101, 5), (2, 10, 100, 6)), NOBODY, 2) == 1
    assert stored(readings) == [(10, 100, 1), (20, 101, 3)]


def test_a_repetition_marks_nothing_dirty(readings):
    """A batch of repetitions leaves no mark, but moves the watermark."""
    readings.store(batch((1, 10, 100, 1)), NOBODY, 1)
    readings.clear_dirty(readings.dirty())
    assert readings.store(batch((1, 10, 100, 2)), NOBODY, 2) == 0
    assert marked(readings) == []
    assert readings.watermark() == 2


@pytest.mark.parametrize("other", [{"src": 3}, {"status": 2}, {"due": True}, {"pinned": True}])
def test_what_differs_is_kept(readings, other):
    """A reading that differs in source, status, due mark or pin is no repetition."""
    readings.store(batch((1, 10, 100, 1)), NOBODY, 1)
    assert readings.store(batch((1, 10, 100, 2), **other), NOBODY, 2) == 1


def test_when_a_register_was_last_heard(readings):
    """The last live reading counts; not what was sent in, nor what a register is not known for."""
    assert readings.last("A", VOLUME) is None
    readings.store(batch((1, 10, 100, 1), (1, 20, 101, 2), src=Source.LIVE), NOBODY, 1)
    readings.store(batch((1, 30, 102, 3), src=Source.MANUAL), NOBODY, 2)
    assert readings.last("A", VOLUME) == 20
    assert readings.last("Z", VOLUME) is None


def test_no_series_have_no_rows_to_replace(readings):
    """Rows of no series: nothing is touched."""
    readings.replace_rollups([1], rows(0, 10), now=1)
    assert readings.replace_rollups([], rows(), now=2).num_rows == 0
    assert [start for start, *_ in shown(readings)] == [0, 10]


def test_void_values_repeat_too(readings):
    """A void value is stored once, and is not taken for a number."""
    readings.store(batch((1, 10, None, 1)), NOBODY, 1)
    assert readings.store(batch((1, 10, None, 2), (1, 10, 0, 3)), NOBODY, 2) == 1


def test_the_latest_received_is_always_there(readings):
    """A value that comes back after another one at the same instant is kept, since the latest received counts."""
    readings.store(batch((1, 10, 100, 1)), NOBODY, 1)
    readings.store(batch((1, 10, 105, 2)), NOBODY, 2)
    readings.store(batch((1, 10, 100, 3)), NOBODY, 3)
    assert stored(readings) == [(10, 100, 1), (10, 105, 2), (10, 100, 3)]


def test_decoded_late_received_early(readings):
    """A reading decoded after its successor, from a message received before, takes its place by order of reception."""
    readings.store(batch((1, 10, 100, 5)), NOBODY, 5)
    assert readings.store(batch((1, 10, 100, 3)), NOBODY, 5) == 1
    assert readings.store(batch((1, 10, 100, 6)), NOBODY, 6) == 0


@pytest.mark.parametrize(
    ("arriving", "ranges"),
    [
        ([(1, 60, 9, 9)], [(1, 50, 60)]),
        ([(1, 60, 9, 9), (1, 70, 9, 10)], [(1, 50, 70)]),
        ([(1, 25, 9, 9)], [(1, 20, 30)]),
        ([(1, 22, 9, 9), (1, 44, 9, 10)], [(1, 20, 50)]),
        ([(1, 5, 9, 9)], [(1, 5, 10)]),
        ([(1, 50, 9, 9)], [(1, 40, 50)]),
        ([(1, 25, 9, 9), (1, 60, 9, 10)], [(1, 20, 30), (1, 50, 60)]),
        ([(2, 5, 9, 9)], [(2, 5, 5)]),
        ([(2, 5, 9, 9), (2, 8, 9, 10), (1, 5, 9, 11)], [(1, 5, 10), (2, 5, 8)]),
    ],
)
def test_dirty_ranges_reach_to_the_neighbours(readings, arriving, ranges):
    """A range goes from the reading before what arrived to the one after it, or ends at what arrived."""
    readings.store(batch(*((1, t, t, t) for t in (10, 20, 30, 40, 50))), NOBODY, 1)
    readings.clear_dirty(readings.dirty())
    readings.store(batch(*arriving), NOBODY, 2)
    assert marked(readings) == ranges


def test_marks_of_later_batches_survive_clearing(readings):
    """Clearing what a run started from leaves what was marked meanwhile."""
    readings.store(batch((1, 10, 1, 1)), NOBODY, 1)
    marks = readings.dirty()
    readings.store(batch((2, 10, 1, 2)), NOBODY, 2)
    readings.clear_dirty(marks)
    assert marked(readings) == [(2, 10, 10)]


def test_the_watermark_never_falls(readings):
    """Decoding an older message again leaves the watermark where it is."""
    readings.store(batch(), NOBODY, 7)
    readings.store(batch(), NOBODY, 3)
    assert readings.watermark() == 7


def test_receptions_add_up(readings):
    """Receptions are counted per device, gateway and day with the best level, null where none was told."""

    def heard(*rows):
        return pa.Table.from_pylist(
            [{"device": d, "gateway": g, "day": day, "n": n, "rssi_best": best} for d, g, day, n, best in rows], schema=RECEPTION
        )

    readings.store(batch(), heard(("A", "g", 1, 2, -70), ("A", "h", 1, 1, None)), 1)
    readings.store(batch(), heard(("A", "g", 1, 3, -60), ("A", "h", 1, 1, -90), ("A", "g", 2, 1, -80)), 2)
    readings.store(batch(), heard(("A", "g", 1, 1, None)), 3)
    counted = [(row["gateway"], row["day"].day, row["n"], row["rssi_best"]) for row in readings.receptions().to_pylist()]
    assert counted == [("g", 2, 6, -60), ("h", 2, 2, -90), ("g", 3, 1, -80)]


def test_rows_come_out_as_they_went_in(readings):
    """New rows have revision 1, and reading them back gives all fields, chosen by level and half-open range of starts."""
    readings.replace_rollups([1], rows(0, 10, 20), now=1, reason="late_reading")
    table = readings.rollups([1], 0, 0, 20)
    assert table.drop(["rev"]).cast(ROLLUP) == rows(0, 10)
    assert table["rev"].to_pylist() == [1, 1]
    assert readings.rollups([1], 1, 0, 20).num_rows == 0


def test_equal_rows_are_not_touched(readings):
    """Replacing rows by the same rows changes, publishes and returns nothing."""
    readings.replace_rollups([1], rows(0, 10), now=1, reason="late_reading")
    readings.clear_unpublished(readings.unpublished(), 1)
    assert readings.replace_rollups([1], rows(0, 10), now=2, reason="late_reading").num_rows == 0
    assert readings.unpublished().num_rows == readings.history([1]).num_rows == 0


@pytest.mark.parametrize(
    ("state", "rev", "kept"),
    [(OPEN, 1, 0), (PROVISIONAL, 2, 1), (FINAL, 2, 1)],
)
def test_a_changed_row_counts_a_revision_once_its_bucket_has_ended(readings, state, rev, kept):
    """An open row is rewritten; a provisional or final one gets the next revision, and the old one goes to history with its reason."""
    readings.replace_rollups([1], rows(0, 10, state=state), now=1, reason="late_reading")
    changed = readings.replace_rollups([1], pa.concat_tables([rows(0, value=2, state=FINAL), rows(10, state=state)]), now=2, reason="correction")
    assert changed.to_pylist() == [{"series": 1, "level": 0, "start": 0, "rev": rev, "was": state}]
    assert shown(readings) == [(0, 2, FINAL, rev), (10, 1, state, 1)]
    history = [(row["start"], row["value"], row["rev"], row["reason"], row["replaced_at"]) for row in readings.history([1]).to_pylist()]
    assert history == [(0, 1, 1, "correction", 2)] * kept


@pytest.mark.parametrize("field", ["end", "value", "lo", "hi", "n", "coverage", "quality", "flags", "index_start", "index_end"])
def test_every_field_counts(readings, field):
    """A difference in any field is a new revision, also from null to a number."""
    readings.replace_rollups([1], rows(0), now=1, reason="late_reading")
    table = rows(0)
    other = table.set_column(table.schema.get_field_index(field), table.schema.field(field), pa.array([77], table.schema.field(field).type))
    assert readings.replace_rollups([1], other, now=2, reason="late_reading")["rev"].to_pylist() == [2]


def test_time_alone_is_no_revision(readings):
    """A row that only moves on in its state is rewritten and published, with its revision and without history."""
    readings.replace_rollups([1], rows(0), now=1, reason="late_reading")
    assert readings.unsettled(10).num_rows == 1
    assert readings.unsettled(9).num_rows == 0
    changed = readings.replace_rollups([1], rows(0, state=FINAL), now=2, reason="late_reading")
    assert changed["rev"].to_pylist() == [1]
    assert shown(readings) == [(0, 1, FINAL, 1)]
    assert readings.history([1]).num_rows == 0
    assert readings.unsettled(1000).num_rows == 0


def test_rows_that_are_gone_go_to_history(readings):
    """A row that is not computed any more is deleted, told without a revision, and kept in history."""
    readings.replace_rollups([1], rows(0, 10), now=1, reason="late_reading")
    changed = readings.replace_rollups([1], rows(10), now=2, reason="config")
    assert changed.to_pylist() == [{"series": 1, "level": 0, "start": 0, "rev": None, "was": PROVISIONAL}]
    assert [row[0] for row in shown(readings)] == [10]
    assert readings.history([1])["start"].to_pylist() == [0]


def test_billed_rows_do_not_change(readings):
    """What was billed stays in history, marked as billed; each later value leaves a correction with its difference and revision."""
    readings.series_ids([SeriesKey("p", VOLUME, "total")])
    readings.replace_rollups([1], rows(0, 10, 20, state=FINAL), now=1, reason="late_reading")
    readings.bill(pa.Table.from_pylist([{"decision": 7, "series": 1, "level": 0, "start": 0, "end": 20}], schema=BILL))
    assert shown(readings) == [(0, 1, BILLED, 1), (10, 1, BILLED, 1), (20, 1, FINAL, 1)]
    readings.replace_rollups([1], rows(0, 20, value=9, state=FINAL), now=2, reason="late_reading")
    readings.replace_rollups([1], rows(0, 10, 20, value=9, state=FINAL), now=3, reason="exchange")
    assert shown(readings) == [(0, 9, BILLED, 2), (10, 9, BILLED, 2), (20, 9, FINAL, 2)]
    billed = readings.revisions([1], 0, 0, 20).to_pylist()
    assert [(row["start"], row["value"], row["state"], row["rev"]) for row in billed] == [(0, 1, BILLED, 1), (10, 1, BILLED, 1)]
    corrections = [tuple(row.values())[2:] for row in readings.corrections([1]).to_pylist()]
    assert corrections == [
        (0, 10, 1, 9, "late_reading", "submeter", 2, 2),
        (10, 20, 1, None, "late_reading", "submeter", 2, 2),
        (10, 20, None, 9, "exchange", "submeter", 3, 2),
    ]
    inside = readings.billed([7])
    assert inside["start"].to_pylist() == [0, 10]
    readings.unbill([7], inside.append_column("state", pa.array([PROVISIONAL, FINAL], pa.uint8())))
    assert [row[2] for row in shown(readings)] == [PROVISIONAL, FINAL, FINAL]
    assert readings.bills().num_rows == readings.corrections([1]).num_rows == 0


def test_other_series_are_left_alone(readings):
    """Replacing one series does not look at the rows of another."""
    readings.replace_rollups([1], rows(0), now=1, reason="late_reading")
    readings.replace_rollups([2], rows(0, series=2), now=1, reason="late_reading")
    readings.replace_rollups([2], rows(), now=2, reason="late_reading")
    assert [row[0] for row in shown(readings)] == [0]


def test_changed_rows_wait_to_be_published(readings):
    """Each touched row is noted until it is cleared; what changes after the note was taken stays noted."""
    readings.replace_rollups([1], rows(0, 10), now=1, reason="late_reading")
    noted = readings.unpublished()
    readings.replace_rollups([1], rows(0, 10, 20), now=2, reason="late_reading")
    readings.clear_unpublished(noted, 1)
    assert [row["start"] for row in readings.unpublished().to_pylist()] == [20]


def test_counts(readings):
    """The tables are counted by name."""
    readings.store(batch((1, 10, 1, 1)), NOBODY, 1)
    empty = dict.fromkeys(("series", "rollups", "history", "unpublished", "receptions", "bills", "corrections"), 0)
    assert readings.counts() == {"registers": 3, "readings": 1, "dirty": 1, **empty}


def test_a_refused_write_changes_nothing(readings):
    """A write that DuckDB refuses half way leaves neither readings nor marks nor the watermark, and the next one works."""
    with pytest.raises(StoreError, match=r"readings\.duckdb"):
        readings.store(batch((1, 10, 1, 1)), NOBODY, 2**70)
    assert readings.counts()["readings"] == readings.counts()["dirty"] == readings.watermark() == 0
    assert readings.store(batch((1, 10, 1, 1)), NOBODY, 1) == 1


def test_a_newer_file_is_refused(tmp_path):
    """A file of a newer release is refused by name, and not changed."""
    file = tmp_path / "readings.duckdb"
    Duck(file, [f"CREATE TABLE a{number} (x INTEGER);" for number in range(len(MIGRATIONS) + 1)]).close()
    with pytest.raises(StoreError, match=rf"readings\.duckdb has schema {len(MIGRATIONS) + 1}, this submeter knows {len(MIGRATIONS)}"):
        Readings(file)
    with duckdb.connect(file) as connection:
        assert connection.execute("SELECT max(version) FROM schema_version").fetchall() == [(len(MIGRATIONS) + 1,)]


def test_an_older_file_is_migrated(tmp_path):
    """Migrations that a file has not seen are applied once and in order."""
    file = tmp_path / "any.duckdb"
    Duck(file, ("CREATE TABLE a (x INTEGER);",)).close()
    for _ in range(2):
        duck = Duck(file, ("CREATE TABLE a (x INTEGER);", "INSERT INTO a VALUES (1);"))
        assert duck.read("SELECT x FROM a")["x"].to_pylist() == [1]
        duck.close()


def test_a_migration_ends_in_a_checkpoint(tmp_path):
    """A process that dies right after a migration leaves no schema change in the log."""
    code = "import os, sys; from pathlib import Path; from submeter.store import Readings; opened = Readings(Path(sys.argv[1])); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "r.duckdb"], check=True)
    assert (tmp_path / "r.duckdb").stat().st_size > 0
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".wal") and file.stat().st_size] == []


def test_a_failing_migration_leaves_the_old_schema(tmp_path):
    """A migration that fails half way leaves nothing of itself."""
    file = tmp_path / "any.duckdb"
    with pytest.raises(StoreError):
        Duck(file, ("CREATE TABLE a (x INTEGER); INSERT INTO nowhere VALUES (1);",))
    duck = Duck(file, ("CREATE TABLE a (x INTEGER);",))
    assert duck.read("SELECT count(*) AS n FROM a")["n"].to_pylist() == [0]
    duck.close()


@pytest.mark.parametrize("version", ["1.4.5", "1.5.6", "3.0.0"])
def test_other_versions_of_duckdb_are_refused(version):
    """A DuckDB that loses rows after a crash, or is not known yet, is refused with its version."""
    with pytest.raises(StoreError, match=rf"duckdb {version} is installed"):
        require_version(version)


def test_no_other_file_is_within_reach(readings, tmp_path):
    """SQL cannot read or write other files, attach databases or loosen these rules; commits are synced."""
    (tmp_path / "x.csv").write_text("a\n1\n")
    for statement in (f"SELECT * FROM '{tmp_path}/x.csv'", f"COPY (SELECT 1) TO '{tmp_path}/y.csv'", f"ATTACH '{tmp_path}/z.db'", "SET threads = 1"):
        with pytest.raises(StoreError), readings._duck.transaction() as connection:
            connection.execute(statement)
    assert readings._duck.read("SELECT current_setting('fsync_mode') AS mode")["mode"].to_pylist() == ["STANDARD"]


def test_the_file_is_private(readings, tmp_path):
    """The file can be read by its owner only."""
    assert (tmp_path / "readings.duckdb").stat().st_mode & 0o777 == 0o600


def test_a_second_process_is_refused(readings, tmp_path):
    """While the file is open no other process gets in, and it is told so."""
    code = f"from submeter.store import Readings; from pathlib import Path; Readings(Path({str(tmp_path / 'readings.duckdb')!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "StoreError" in done.stderr
    assert "lock" in done.stderr


WRITER = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from test_readings import NOBODY, VOLUME, batch, rows
    from submeter.store import Readings

    readings = Readings(Path(sys.argv[1]))
    readings.register_ids((device, VOLUME) for device in "ABC")
    def compute(message):
        readings.replace_rollups([1], rows(*range(0, 1000, 10), value=message), now=message, reason="late_reading")

    message = readings.watermark() or 1
    compute(message)
    print("ready", flush=True)
    while True:
        message += 1
        readings.store(batch(*((register, message * 10, message, message) for register in (1, 2, 3))), NOBODY, message)
        print(message, flush=True)
        compute(message)
"""


def test_kill_9_leaves_whole_transactions(tmp_path):
    """After SIGKILL at a random moment each message told as stored is there once, its marks too, and the rows are of one computation."""
    file, chance = tmp_path / "readings.duckdb", random.Random(7)
    for _ in range(6):
        writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), file, HERE], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.05, 0.5))
        writer.send_signal(signal.SIGKILL)
        told = [int(line) for line in writer.communicate()[0].splitlines() if line.strip()]
        with Readings(file) as readings:
            upto = readings.watermark()
            assert upto >= max(told, default=0)
            for register in (1, 2, 3):
                assert stored(readings, register) == [(message * 10, message, message) for message in range(2, upto + 1)]
            assert [row[1] for row in marked(readings) if row[0] == 1] == [max(message - 1, 2) * 10 for message in range(2, upto + 1)]
            assert {(row[1], row[3]) for row in shown(readings)} in ({(upto, upto)}, {(max(upto - 1, 1), max(upto - 1, 1))})
            assert len(shown(readings)) == 100


FULL_DISK = """
    import resource, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from test_readings import NOBODY, VOLUME, batch
    from submeter.store import Readings, StoreError

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file = Path(sys.argv[1])
    readings = Readings(file)
    readings.register_ids([("A", VOLUME)])
    readings.store(batch((1, 1, 1, 1)), NOBODY, 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(file.stat().st_size + 4096, 2**20), resource.RLIM_INFINITY))
    try:
        readings.store(batch(*((1, t, t * 7919 % 10007, t) for t in range(2, 200_000))), NOBODY, 2)
    except StoreError as error:
        print(type(error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    readings.reopen()
    print(readings.watermark(), readings.counts()["readings"])
    readings.store(batch((1, 2, 2, 2)), NOBODY, 2)
    print(readings.watermark(), readings.counts()["readings"])
    readings.close()
"""


def test_a_full_disk_loses_nothing_that_was_stored(tmp_path):
    """A write beyond the space there is fails as StoreError; after reopening, what was committed is there and writing goes on."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), tmp_path / "r.duckdb", HERE], capture_output=True, text=True, check=False
    )
    kind, *rest = done.stdout.splitlines()
    assert kind in {"StoreError", "StoreBrokenError"}, done.stderr
    assert rest == ["1 1", "2 2"], done.stderr
