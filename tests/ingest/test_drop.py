"""Files in a folder become messages in the inbox, each once, and none is lost."""

import os
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from broker import wait_until
from payloads import LINE, TELEGRAM
from threaded import kept
from threaded import running as started

from submeter.ingest.drop import DropCollector, DropSettings
from submeter.store import Archive
from submeter.store.archive import MESSAGES
from submeter.store.inbox import REPLAY

WRITTEN = 1_780_000_000


@pytest.fixture
def running(tmp_path):
    """A collector at a folder, and what it told."""
    folder, told = tmp_path / "drop", []
    folder.mkdir()
    collector = DropCollector(DropSettings("drop", folder, "ftp", rest_s=0.2), tmp_path / "inbox.sqlite", lambda *event: told.append(event))
    end = started(collector)
    yield collector, folder, told
    end()


def dropped(folder, name, content):
    """A file written some time ago."""
    (folder / f".{name}").write_bytes(content)
    os.utime(folder / f".{name}", (WRITTEN, WRITTEN))
    (folder / f".{name}").rename(folder / name)


def test_lines_are_messages_of_the_files_time(running, tmp_path):
    """Each line a message, 1,200 of them in pieces; the file moves to taken/; what is being written is left alone."""
    collector, folder, _ = running
    (folder / "later.csv.part").write_bytes(LINE)
    dropped(folder, "a.txt", b"\n".join([LINE, TELEGRAM.encode(), b"", b"nonsense"] * 400))
    wait_until((folder / "taken/a.txt").exists)
    messages = kept(tmp_path)
    assert [one.payload for one in messages[:3]] == [LINE, TELEGRAM.encode(), b"nonsense"]
    assert {(one.received_at, one.gateway, one.source) for one in messages} == {(WRITTEN * 1_000_000, "ftp", "drop")}
    assert (len(messages), collector.counters.messages, (folder / "later.csv.part").exists()) == (1200, 1200, True)
    dropped(folder, "a.txt", LINE)
    wait_until((folder / "taken/a.2.txt").exists)


def test_the_archives_parquet_keeps_its_times(running, tmp_path):
    """Messages of an archive file come again at their own times; another Parquet is refused and kept."""
    _, folder, told = running
    day = datetime(2026, 3, 2, tzinfo=UTC)
    row = {
        "id": 7,
        "source": "mqtt",
        "payload": LINE,
        "received_at": round(day.timestamp() * 1e6),
        "gateway": "cellar",
        "topic": "t",
        "flags": 0,
        "format": None,
    }
    archive = Archive(tmp_path / "archive")
    archive.folder.joinpath("messages").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row], MESSAGES), archive.folder / f"messages/{date(2026, 3, 2)}.parquet")
    dropped(folder, "b.parquet", (archive.folder / "messages/2026-03-02.parquet").read_bytes())
    dropped(folder, "c.parquet", b"PAR1 not")
    wait_until(lambda: (folder / "taken/b.parquet").exists() and (folder / "refused/c.parquet").exists())
    (message,) = kept(tmp_path)
    assert (message.payload, message.received_at, message.gateway, message.flags) == (LINE, row["received_at"], "cellar", REPLAY)
    assert [event for event, _ in told] == ["drop_connected", "drop_refused"]


def test_a_folder_that_is_gone_is_told_and_taken_up_again(running, tmp_path):
    """Unmounted and mounted again: an event, then files are taken as before."""
    _, folder, told = running
    wait_until(lambda: told)
    folder.rename(tmp_path / "away")
    wait_until(lambda: any(event == "drop_lost" for event, _ in told))
    (tmp_path / "away").rename(folder)
    dropped(folder, "d.txt", LINE)
    wait_until((folder / "taken/d.txt").exists)
    assert len(kept(tmp_path)) == 1
