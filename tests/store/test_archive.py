"""The archive's files: what is added to one that is there, what is deleted of them, and files that do not read."""

from datetime import date

import pyarrow as pa
import pytest

from submeter.reading import Register
from submeter.store import StoreError
from submeter.store.archive import MESSAGES, READINGS, Archive, bucket_of

MARCH = date(2026, 3, 1)


@pytest.fixture
def archive(tmp_path):
    """An empty archive."""
    return Archive(tmp_path / "archive")


def messages(*ids):
    """Messages with these ids, as one piece."""
    row = {"source": "s", "payload": b"x", "received_at": 1, "gateway": "g", "topic": "", "flags": 0, "format": ""}
    return pa.Table.from_pylist([row | {"id": number} for number in ids], schema=MESSAGES)


def readings(*moments):
    """Readings of a register at these instants."""
    row = dict.fromkeys(READINGS.names, None) | {
        "device": "A",
        "name": "volume",
        "unit": "m3",
        "tariff": 0,
        "subunit": 0,
        "idx": 0,
        "src": 2,
        "due": False,
    }
    return pa.Table.from_pylist([row | {"t": t, "seq": t} for t in moments], schema=READINGS)


def ids(archive, day):
    """The ids of a day's messages in the order of its file."""
    return [number for piece in archive.messages(day) for number in piece["id"].to_pylist()]


def test_a_day_keeps_what_it_had_and_takes_what_is_new(archive):
    """Each message is there once, whatever is added again; a piece with nothing new between others adds nothing."""
    assert archive.newest_message() == 0
    assert archive.add_messages(MARCH, [messages(1, 2)]) == 2
    assert archive.add_messages(MARCH, [messages(1), messages(2, 3), messages(4)]) == 4
    assert ids(archive, MARCH) == [1, 2, 3, 4]
    assert archive.newest_message() == 4


def test_a_file_to_which_nothing_new_comes_stays_as_it_is(archive):
    """Not even written again, and nothing is left beside it."""
    archive.add_messages(MARCH, [messages(1, 2)])
    (file,) = archive.files()
    before = file.stat().st_ino
    assert archive.add_messages(MARCH, [messages(1, 2)]) == 2
    assert (file.stat().st_ino, list(file.parent.iterdir())) == (before, [file])


def test_what_is_too_old_is_deleted_a_day_or_a_month_at_once(archive):
    """Days before the limit, and months that ended by then."""
    bucket = bucket_of("A", Register("volume", "m3"))
    for day in (date(2026, 1, 31), date(2026, 2, 1), MARCH):
        archive.add_messages(day, [messages(1)])
    for month in (date(2026, 1, 1), date(2026, 2, 1), MARCH):
        assert archive.add_readings(month, bucket, readings(5, 6)) == 2
    assert archive.drop(date(2026, 2, 1)) == 2
    assert (archive.days(), archive.months()) == ([date(2026, 2, 1), MARCH], [date(2026, 2, 1), MARCH])
    assert archive.drop(date(2026, 2, 28)) == 1
    assert archive.drop(MARCH) == 1
    assert (archive.days(), archive.months()) == ([MARCH], [MARCH])
    assert archive.count(MARCH, bucket) == 2
    assert archive.count(date(2026, 1, 1), bucket) == 0


def test_a_file_that_does_not_read_is_named(archive):
    """Checking names it with what to do, and nothing is added to it."""
    archive.add_messages(MARCH, [messages(1)])
    (file,) = archive.files()
    archive.check(file)
    file.write_bytes(file.read_bytes()[:-4])
    for asked in (lambda: archive.check(file), lambda: archive.add_messages(MARCH, [messages(2)])):
        with pytest.raises(StoreError, match=r"2026-03-01\.parquet cannot be read: .*restore it from a backup"):
            asked()
    assert archive.newest_message() == 0
    assert archive.files() == [file]
