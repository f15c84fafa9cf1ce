"""Replay of files."""

import json

import pytest
from payloads import GOOD, LINE, TELEGRAM, batch, encoded

from submeter.ingest.errors import BadFile
from submeter.ingest.replay import replay
from submeter.store.inbox import REPLAY, Inbox

EIGHT = 1_795_248_000_000_000  # 2026-11-21 08:00:00 UTC


@pytest.fixture
def inbox(tmp_path):
    """An empty inbox."""
    with Inbox(tmp_path / "inbox.sqlite") as opened:
        yield opened


def test_lines_of_all_kinds_keep_their_own_times(tmp_path, inbox):
    """A batch is dated by its ts, or by its newest telegram; a line by its own time; all carry the replay flag."""
    sent = encoded(batch(ts="2026-11-21T08:00:00Z"))
    heard = encoded(batch({"hex": TELEGRAM, "ts": EIGHT // 1000 + 5000}, {"hex": TELEGRAM, "ts": EIGHT // 1000 + 3000}))
    (tmp_path / "history").write_bytes(b"\r\n".join([sent, heard, b"", LINE]) + b"\n")
    replayed = replay(tmp_path / "history", inbox)
    kept = inbox.pending(10)
    assert [(message.payload, message.received_at - EIGHT, message.flags) for message in kept] == [
        (sent, 0, REPLAY),
        (heard, 5_000_000, REPLAY),
        (LINE, 0, REPLAY),
    ]
    assert (replayed.messages, replayed.telegrams, replayed.unreadable) == (3, 4, 0)


def test_lines_without_a_time_are_dated_now(tmp_path, inbox):
    """Bare hex says nothing of its time: it is taken as received now."""
    (tmp_path / "history").write_text(TELEGRAM)
    replay(tmp_path / "history", inbox)
    assert inbox.pending(1)[0].received_at > 1_700_000_000_000_000


def test_unreadable_lines_are_kept_and_named(tmp_path, inbox):
    """Broken lines are in the inbox, named with file, line and reason, and stop nothing."""
    (tmp_path / "history").write_bytes(b"\n".join([GOOD, GOOD[:-1], b"", LINE.replace(b"1;1;1", b"1;0;1"), b"x" * 300_000, b"\xff\xfe", GOOD]))
    replayed = replay(tmp_path / "history", inbox)
    assert [(error.line, error.reason) for error in replayed.lines] == [(2, "bad_json"), (4, "bad_crc"), (5, "too_large"), (6, "unknown_format")]
    assert str(replayed.lines[0]).startswith(f"{tmp_path / 'history'}, line 2: bad_json: ")
    assert (replayed.messages, replayed.telegrams, replayed.unreadable) == (6, 2, 4)
    assert len(inbox.pending(10)) == 6


def test_many_lines_arrive_in_order(tmp_path, inbox):
    """More than a batch of lines is taken whole and in order; of many broken ones the first are named."""
    lines = [json.dumps(batch(seq=number)) if number % 2 else str(number) for number in range(1203)]
    (tmp_path / "history").write_text("\n".join(lines))
    replayed = replay(tmp_path / "history", inbox)
    assert [message.payload.decode() for message in inbox.pending(2000)] == lines
    assert (replayed.messages, replayed.unreadable, len(replayed.lines)) == (1203, 602, 20)


def test_an_empty_file_is_nothing(tmp_path, inbox):
    """An empty file replays nothing."""
    (tmp_path / "history").touch()
    assert replay(tmp_path / "history", inbox).messages == 0


def test_a_missing_file_is_named(tmp_path, inbox):
    """A file that is not there, or is a folder, gives an error with its name."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BadFile, match=str(path)):
            replay(path, inbox)
