"""Archive, retention and rebuild on a real core: nothing leaves before it is kept elsewhere, and what is made again equals what was there."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from installation import Installation

from submeter import civil, jobs, keep
from submeter.commands import execute
from submeter.core import now
from submeter.errors import SubmeterError
from submeter.reading import LEVELS
from submeter.store import Message, StoreError, pack
from submeter.store.inbox import REPLAY
from submeter.store.packing import POINT

#: A telegram each day for half a year that ended ten days ago, and the limits that tell old from new.
DAYS = 180
LIMITS = "inbox_days = 60\narchive_days = 400\nreadings_days = 90\nhours_days = 90\ndays_days = 0\nunknown_days = 14\n"
LONG = 2**62


@pytest.fixture
def here(tmp_path):
    """An installation of one flat with limits."""
    return Installation(tmp_path / "here", f"[retention]\n{LIMITS}")


def moments():
    """When a telegram of each meter is received."""
    start = now() - (DAYS + 10) * civil.DAY
    return [start + day * civil.DAY for day in range(DAYS)]


def fill(core, here, places):
    """Receive a telegram a day of each place, a broken one and one of a stranger; roll up."""
    for place in places:
        core.inbox.append([Message("test", place.meter.telegram(t).hex().encode(), t, gateway="g", flags=REPLAY) for t in moments()])
    stranger = Installation(here.folder / "other", flats=2).building.places[6]
    core.inbox.append([Message("test", stranger.meter.telegram(t).hex().encode(), t, gateway="g", flags=REPLAY) for t in moments()[:3]])
    core.inbox.append([Message("test", b"\xff not hex", moments()[0], gateway="g")])
    core.drain_all()
    core.rollup()


def held(core):
    """Readings in order of their place in the inbox, rows of all levels with revision, receptions, and what is in quarantine."""
    registers = {number: key for key, number in core.readings.registers().items()}
    readings = sorted(tuple(row.values()) for row in core.readings.readings_of(list(registers)).to_pylist())
    series = sorted(core.readings.series().values())
    rows = {(one, level): pack(core.readings.rollups([one], level, -LONG, LONG)).tobytes() for one in series for level in range(len(LEVELS))}
    quarantine = [(row.message, row.position, row.reason) for row in core.inbox.quarantined()]
    return readings, rows, core.readings.receptions().to_pylist(), quarantine


def test_messages_move_to_the_archive_whole(here):
    """Old messages are in the archive with their bytes and ids, the newer ones in the inbox; doing it again moves nothing."""
    with here.core() as core:
        fill(core, here, here.building.places[:2])
        before = {message.id: message.payload for message in core.inbox.done(limit=LONG)}
        (line,) = keep.archive(core)
        assert int(line.split()[1]) > 200
        archived = [row for day in core.archive.days() for piece in core.archive.messages(day) for row in piece.to_pylist()]
        left = {message.id: message.payload for message in core.inbox.done(limit=LONG)}
        assert {row["id"]: row["payload"] for row in archived} | left == before
        assert all(row["received_at"] < now() - 60 * civil.DAY for row in archived)
        assert not {row["id"] for row in archived} & left.keys()
        (again,) = keep.archive(core)
        assert again == "archive: 0 messages moved, 0 readings added, 0 files too old deleted"


def test_a_message_that_cannot_be_archived_stays(here, monkeypatch):
    """A full disk while a day is written is an error that names the file, and the inbox keeps the day."""

    class Full(pq.ParquetWriter):
        def write_table(self, *_arguments, **_options):
            raise OSError(28, "No space left on device")

    with here.core() as core:
        fill(core, here, here.building.places[:1])
        before = len(core.inbox.done(limit=LONG))
        monkeypatch.setattr(pq, "ParquetWriter", Full)
        with pytest.raises(StoreError, match="free disk space first"):
            list(keep.archive(core))
        assert len(core.inbox.done(limit=LONG)) == before


def test_late_readings_join_the_archived_month(here):
    """What comes for a month that is archived is added to its file; the file has each reading once."""
    place, other = here.building.places[:2]
    with here.core() as core:
        fill(core, here, [place])
        list(keep.archive(core))
        files = {(month, bucket): core.archive.count(month, bucket) for month in core.archive.months() for bucket in range(16)}
        core.inbox.append([Message("test", other.meter.telegram(t).hex().encode(), t, gateway="g", flags=REPLAY) for t in moments()])
        core.drain_all()
        (line,) = keep.archive(core)
        later = {key: core.archive.count(*key) for key in files}
        assert int(line.split()[4]) == sum(later.values()) - sum(files.values()) > 0
        archived = [row for month, bucket in files for piece in core.archive.readings(month, bucket) for row in piece.to_pylist()]
        assert len(
            {
                (row["device"], row["name"], row["tariff"], row["subunit"], row["idx"], row["t"], row["src"], row["due"], row["seq"])
                for row in archived
            }
        ) == len(archived)


def test_a_rebuild_gives_what_was_there(here):
    """Readings, rows with their revisions, receptions and quarantine are the same after all is decoded again from archive and inbox."""
    with here.core() as core:
        fill(core, here, here.building.places[:3])
        list(keep.archive(core))
        before = held(core)
        lines = list(execute(core, "rebuild", {}))
        assert "messages decoded again" in lines[0]
        assert ", 0 rows changed" in lines[1]
        assert held(core) == before
        place = here.building.places[3]
        core.inbox.append([Message("test", place.meter.telegram(now()).hex().encode(), now(), gateway="g")])
        core.drain_all()
        assert core.readings.watermark() == core.inbox.done(limit=LONG)[-1].id
    with here.core() as core:
        assert core.inbox.counts().waiting == 0


def test_a_rebuild_repairs_what_a_decoder_did_wrong(here):
    """Values that were stored wrongly come out right, and the rows with them, with history where they were final."""
    with here.core() as core:
        fill(core, here, here.building.places[:1])
        before = held(core)
        with core.readings._duck.transaction() as db:
            db.execute("UPDATE readings SET value = value + 1000000000 WHERE t > ?", [moments()[100]])
            db.execute("DELETE FROM readings WHERE t < ?", [moments()[20]])
            db.execute("INSERT INTO accepted VALUES ('SIM-00000001-01-07', 'counter', 0, 1000)")
        core.readings.touch(-LONG, LONG)
        core.rollup()
        assert held(core)[1] != before[1]
        list(execute(core, "rebuild", {}))
        readings, rows, *_ = held(core)
        assert readings == before[0]
        values = [pack(core.readings.rollups([one], 2, -LONG, LONG))["value"].tolist() for one in sorted(core.readings.series().values())]
        assert values == [np.frombuffer(data, POINT)["value"].tolist() for (_, level), data in sorted(before[1].items()) if level == 2]
        assert rows.keys() == before[1].keys()
        assert ("SIM-00000001-01-07", "counter") not in core.readings.accepted()


def test_a_lost_readings_file_comes_back(here):
    """Without readings.duckdb, inbox and archive give all readings back, those of archived messages by the rebuild."""
    with here.core() as core:
        fill(core, here, here.building.places[:2])
        list(keep.archive(core))
        before = held(core)
    (here.folder / "data" / "readings.duckdb").unlink()
    with here.core() as core:
        core.drain_all()
        assert len(held(core)[0]) < len(before[0])
        list(execute(core, "rebuild", {}))
        assert sorted(row[1:] for row in held(core)[0]) == sorted(row[1:] for row in before[0])
        archive = here.folder / "data" / "archive" / "messages"
        shutil.rmtree(archive)
    (here.folder / "data" / "readings.duckdb").unlink()
    with here.core() as core:
        list(execute(core, "rebuild", {}))
        month = civil.utc_midnight(civil.utc_date(now() - 60 * civil.DAY).replace(day=1))
        assert {row[1:] for row in before[0] if row[1] < month} <= {row[1:] for row in held(core)[0]}


def test_a_stopped_rebuild_changes_nothing(here):
    """A service that stops in the middle of a rebuild leaves the file as it was, and no folder behind."""
    with here.core() as core:
        fill(core, here, here.building.places[:1])
        before = held(core)
        core.stopping.set()
        with pytest.raises(SubmeterError, match="everything is as it was"):
            list(execute(core, "rebuild", {}))
        core.stopping.clear()
        assert held(core) == before
        assert not (here.folder / "data" / "rebuild").exists()


def test_retention_deletes_what_is_old_and_the_rows_stay(here):
    """Old readings and hours go, days, months and years stay, strangers' telegrams are gone with their messages; a rebuild brings no row back."""
    with here.core() as core:
        fill(core, here, here.building.places[:2])
        readings, rows, *_ = held(core)
        lines = list(jobs.perform(core, "retention", by="operator"))
        assert lines[0] == "unknown meters: 3 telegrams deleted"
        fewer, left, *_ = held(core)
        assert 0 < len(fewer) < len(readings)
        assert all(left[key] == rows[key] for key in rows if key[1] > 0)
        assert core.inbox.counts().quarantined == {}
        list(execute(core, "rebuild", {}))
        assert held(core)[1] == left


def test_without_an_archive_old_messages_are_deleted(here):
    """archive_days = 0: messages older than the inbox's limit go, the job says so, and no archive is made."""
    with here.core() as core:
        fill(core, here, here.building.places[:1])
        core.config = replace_retention(core.config, archive_days=0)
        before = len(core.inbox.done(limit=LONG))
        (line,) = keep.archive(core)
        assert int(line.split()[1]) == before - len(core.inbox.done(limit=LONG)) > 100
        assert "deleted, for there is no archive" in line
        assert not core.archive.folder.exists()


def replace_retention(config, **values):
    """A configuration with other limits."""
    return config.model_copy(update={"retention": config.retention.model_copy(update=values)})
