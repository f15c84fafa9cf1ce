"""A bucket computed anywhere: what it refuses, what it leaves in its place, and what is read of it."""

import pyarrow.parquet as pq
import pytest

from submeter.aggregate import EngineError
from submeter.aggregate.buckets import RELEASE, Bucket, Done, compute, outcome
from submeter.aggregate.series import of_point
from submeter.aggregate.windows import Window
from submeter.civil import HOUR
from submeter.reading import READING_BITS, Register
from submeter.store import READING, Assignment, Point, Property, tabled

VOLUME, FLOW = Register("volume", "m3"), Register("flow", "m3/h")
FOUND = of_point(
    Point("p", "b", "u", "cold_water", "", ("volume", "flow"), {}),
    Property("b", "c", "House", "UTC", "01-01", "hour"),
    [Assignment("p", "A", 0, None, None, None)],
    {"A": {VOLUME: 1, FLOW: 2}},
)
SERIES = {1 if one.register == VOLUME else 2: one for one in FOUND}
WINDOWS = tuple(Window.whole(number, one.spec) for number, one in sorted(SERIES.items()))
DEFAULTS = {"status": 0, "due": False, "pinned": False, "src": 0, "label": None, "time_source": None}


@pytest.fixture
def bucket(tmp_path):
    """A meter of which volume and flow were read at five hours, in two files."""
    files = tmp_path / "first.parquet", tmp_path / "second.parquet"
    for file, hours in zip(files, (range(3), range(3, 5)), strict=True):
        rows = [
            DEFAULTS | {"register": register, "t": h * HOUR, "value": 1000 * h, "seq": h * 2**READING_BITS + register}
            for h in hours
            for register in (1, 2)
        ]
        table = tabled([[row.get(name) for name in READING.names] for row in rows], READING)
        pq.write_table(table.drop_columns(["label", "time_source"]), file)
    (tmp_path / "rows").mkdir()
    return Bucket(tmp_path / "rows" / "000-digest", files, SERIES, WINDOWS)


def test_another_release_is_refused(bucket):
    """It would compute by other rules; nothing is written."""
    other = Bucket(bucket.output, bucket.readings, SERIES, WINDOWS, release="0.0")
    with pytest.raises(EngineError, match=f"computes by the rules {RELEASE}, asked was for 0.0: install the same submeter"):
        compute(other)
    assert not bucket.is_done


def test_a_folder_that_is_not_there_is_refused(bucket, tmp_path):
    """A worker that does not reach the shared folder says so."""
    with pytest.raises(EngineError, match="elsewhere is not there on this machine: --shared names a folder that all workers reach"):
        compute(Bucket(tmp_path / "elsewhere" / "000", bucket.readings, SERIES, WINDOWS))


def test_what_is_computed_lies_in_its_place(bucket):
    """Whole, of its owner alone, with nothing beside it; and it counts what went in and came out."""
    assert not bucket.is_done
    done = compute(bucket)
    found = outcome(bucket, WINDOWS)
    assert bucket.is_done
    assert [one.name for one in bucket.output.parent.iterdir()] == [bucket.output.name]
    assert bucket.output.stat().st_mode & 0o777 == 0o700
    assert (done.readings, done.rows) == (10, found.result.rows.num_rows)
    assert found.result.rows.num_rows > 8
    assert found.windows == WINDOWS
    assert sorted(found.readings.select("series", "t").rows()) == [(1, 4 * HOUR), (2, 4 * HOUR)]


def test_some_windows_of_an_output(bucket):
    """Rows and readings of their series alone, in the form of all."""
    compute(bucket)
    every, one = outcome(bucket, WINDOWS), outcome(bucket, WINDOWS[1:])
    assert set(every.result.rows["series"].to_pylist()) == {1, 2}
    assert set(one.result.rows["series"].to_pylist()) == {2}
    assert one.result.rows.schema == every.result.rows.schema
    assert one.readings["series"].to_list() == [2]


def test_the_first_of_two_attempts_counts(bucket):
    """The second one leaves it as it is, and nothing beside it."""
    compute(bucket)
    before = {file.name: file.stat().st_mtime_ns for file in bucket.output.iterdir()}
    compute(bucket)
    assert {file.name: file.stat().st_mtime_ns for file in bucket.output.iterdir()} == before
    assert [one.name for one in bucket.output.parent.iterdir()] == [bucket.output.name]


def test_a_bucket_without_readings(bucket):
    """Has an output of no rows."""
    nothing = Bucket(bucket.output, (), SERIES, WINDOWS)
    assert compute(nothing)[:2] == Done(0, 0, 0)[:2]
    assert outcome(nothing, WINDOWS).readings.is_empty()


def test_an_output_that_cannot_be_read(bucket):
    """Is named, with what to do."""
    compute(bucket)
    (bucket.output / "rows.parquet").write_bytes(b"no parquet")
    with pytest.raises(EngineError, match=r"000-digest cannot be read: .*; take it away, and it is computed again"):
        outcome(bucket, WINDOWS)
