"""Logs that a power cut tore: fault 11 of reliability/FAULTS.md, and its power-cut model (G6), on copies of real files.

`SUBMETER_CUTS=500` is the full number of cuts. Zeroed and random ends of DuckDB's log are for `submeter doctor` (docs/trust.md, fault 12).
"""

import os
import random
import shutil

import pytest
from bulk import VOLUME, rows

from submeter.core import now
from submeter.store import RECEPTION, Inbox, Message, Readings

CUTS = int(os.environ.get("SUBMETER_CUTS", "24"))
COMMITS = 40


@pytest.fixture(scope="module")
def torn(tmp_path_factory):
    """A readings file whose log holds some commits, copied while it is open as a power cut would leave it, and the length of the log after each commit."""
    folder = tmp_path_factory.mktemp("torn")
    with Readings(folder / "live.duckdb") as readings:
        readings.register_ids([("A", VOLUME)])
        readings._duck.checkpoint()
        ends = []
        for number in range(1, COMMITS + 1):
            readings.store(rows(number, 1), RECEPTION.empty_table(), number)
            ends.append((folder / "live.duckdb.wal").stat().st_size)
        shutil.copy(folder / "live.duckdb", folder / "cut.duckdb")
        shutil.copy(folder / "live.duckdb.wal", folder / "cut.duckdb.wal")
    return folder, ends


def test_fault_11_a_cut_log_gives_what_was_committed_before_the_cut(torn, tmp_path):
    """Wherever DuckDB's log ends, the file opens with exactly the commits that are whole before the cut."""
    folder, ends = torn
    log, chance = (folder / "cut.duckdb.wal").read_bytes(), random.Random(11)
    for cut in sorted(chance.sample(range(len(log)), CUTS)):
        shutil.copy(folder / "cut.duckdb", tmp_path / "r.duckdb")
        (tmp_path / "r.duckdb.wal").write_bytes(log[:cut])
        whole = sum(end <= cut for end in ends)
        with Readings(tmp_path / "r.duckdb") as readings:
            assert readings.watermark() == whole, cut
            assert readings.readings_of([1])["t"].to_pylist() == list(range(1, whole + 1))
        for left in tmp_path.iterdir():
            left.unlink()


@pytest.mark.parametrize("tail", ["cut", "zeros", "noise"])
def test_fault_11_a_torn_log_of_the_inbox_gives_whole_messages_in_order(tmp_path, tail):
    """Wherever SQLite's log is cut, zeroed or overwritten to its end, the inbox opens by itself with all messages that were committed before that place."""
    live, chance = tmp_path / "live", random.Random(tail)
    live.mkdir()
    ends = [0]
    with Inbox(live / "inbox.sqlite") as inbox:
        for number in range(COMMITS):
            inbox.append([Message("t", b"%d" % number * 500, now())])
            ends.append((live / "inbox.sqlite-wal").stat().st_size)
        whole = tmp_path / "whole"
        shutil.copytree(live, whole)
    log = (whole / "inbox.sqlite-wal").read_bytes()
    for place in sorted(chance.sample(range(ends[0], len(log)), CUTS)):
        folder = tmp_path / "torn"
        folder.mkdir()
        shutil.copy(whole / "inbox.sqlite", folder)
        rest = {"cut": b"", "zeros": bytes(len(log) - place), "noise": chance.randbytes(len(log) - place)}[tail]
        (folder / "inbox.sqlite-wal").write_bytes(log[:place] + rest)
        with Inbox(folder / "inbox.sqlite") as inbox:
            found = [message.payload for message in inbox.pending(1000)]
            least = sum(end <= place for end in ends[1:])
            assert found == [b"%d" % number * 500 for number in range(len(found))]
            assert len(found) >= least
            inbox.append([Message("t", b"more", now())])
        shutil.rmtree(folder)
