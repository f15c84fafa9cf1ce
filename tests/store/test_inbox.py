"""The inbox: durable before the call returns, in order, each message once."""

import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from submeter.store.errors import StoreError
from submeter.store.inbox import DUP, Counts, Done, Inbox, Message, Quarantined

NOON = 1_780_000_000_000_000
SECOND = 1_000_000


def message(number: int, **fields) -> Message:
    """One message of the tests' gateway, a second after the one before."""
    return replace(Message("mqtt", b"payload %d" % number, NOON + number * SECOND, "gw-7", "submeter/v1/gw-7/up"), **fields)


def telegram(**fields) -> Quarantined:
    """A quarantined telegram without a key."""
    return replace(Quarantined(1, 0, NOON, None, "gw-7", "ABC-12345678-01-07", "no_key", "no key", "wmbus", "auto", b"\x01"), **fields)


@pytest.fixture
def inbox(tmp_path):
    """An empty inbox."""
    with Inbox(tmp_path / "inbox.sqlite") as opened:
        yield opened


def test_messages_come_back_in_order_as_they_went_in(inbox):
    """All fields of a message survive, ids rise, and the oldest waiting come first."""
    first = [message(1, flags=DUP, format="native"), message(2, gateway=None, topic=None)]
    assert list(inbox.append(first)) == [1, 2]
    assert list(inbox.append([message(3)])) == [3]
    stored = inbox.pending(2)
    assert [row.id for row in stored] == [1, 2]
    assert [Message(row.source, row.payload, row.received_at, row.gateway, row.topic, row.flags, row.format) for row in stored] == first


def test_done_messages_wait_no_more(inbox):
    """A finished message is not pending; finishing it twice changes nothing."""
    inbox.append([message(number) for number in range(3)])
    for _ in range(2):
        inbox.finish([Done(1, "native", "gw-7", "b", 0), Done(2, reason="unknown_format")])
    assert [row.id for row in inbox.pending(10)] == [3]
    assert inbox.counts() == Counts(1, NOON + 2 * SECOND, {"unknown_format": 1}, {})


def test_ids_are_never_used_again(inbox, tmp_path):
    """After the newest rows are deleted, as retention does, the next message gets a new id."""
    inbox.append([message(1), message(2)])
    with sqlite3.connect(tmp_path / "inbox.sqlite") as other:
        other.execute("DELETE FROM messages")
    other.close()
    assert list(inbox.append([message(3)])) == [3]


def test_redelivery_needs_the_numbers_and_the_bytes(inbox):
    """The same gateway, boot, sequence and payload is a redelivery; a forgetful gateway's other payload under the same numbers is not."""
    inbox.append([message(1), message(1), message(2)])
    inbox.finish([Done(1, "native", "gw-7", "b", 5)])
    assert inbox.seen("gw-7", "b", 5, before=2)
    assert not inbox.seen("gw-7", "b", 5, before=3)
    assert not inbox.seen("gw-7", "b", 5, before=1)
    assert not inbox.seen("gw-7", "c", 5, before=2)
    assert not inbox.seen("gw-8", "b", 5, before=2)


def test_the_gateway_of_the_envelope_counts(inbox):
    """A redelivery is found by the gateway that the envelope named when the transport knew none."""
    inbox.append([message(1, gateway=None), message(1, gateway=None)])
    inbox.finish([Done(1, "native", "gw-9", "b", 0)])
    assert inbox.seen("gw-9", "b", 0, before=2)


def test_tail_is_what_was_heard_around_the_last_done_message(inbox):
    """The tail holds the done messages within the span of the last one, older and newer, and no waiting one."""
    inbox.append([message(number) for number in (0, 5, 20, 12, 13)])
    inbox.finish([Done(number) for number in (1, 2, 3, 4)])
    assert [row.id for row in inbox.tail(8 * SECOND)] == [2, 3, 4]
    assert [row.id for row in inbox.tail(7 * SECOND)] == [2, 4]


def test_tail_of_a_new_inbox_is_empty(inbox):
    """Where nothing is done there is no tail."""
    inbox.append([message(1)])
    assert inbox.tail(10 * SECOND) == []


def test_quarantine_keeps_one_row_a_telegram(inbox):
    """A row of the same message and position is replaced; rows are found by reason and device, and leave when released."""
    inbox.quarantine([telegram(), telegram(position=1, device=None, reason="bad_frame")])
    inbox.quarantine([telegram(reason="wrong_key")])
    assert inbox.quarantined() == [telegram(reason="wrong_key"), telegram(position=1, device=None, reason="bad_frame")]
    assert inbox.quarantined(reason="bad_frame") == inbox.quarantined()[1:]
    assert inbox.quarantined(device="ABC-12345678-01-07") == inbox.quarantined()[:1]
    assert inbox.quarantined(reason="bad_frame", device="ABC-12345678-01-07") == []
    assert inbox.counts().quarantined == {"wrong_key": 1, "bad_frame": 1}
    inbox.release([(1, 0)])
    assert [row.position for row in inbox.quarantined()] == [1]


def test_heard_from_names_known_sources(inbox):
    """A source is known once a message of it is kept."""
    inbox.append([message(1)])
    assert inbox.heard_from("mqtt")
    assert not inbox.heard_from("serial")


def test_a_failed_batch_leaves_nothing(inbox):
    """If one row of a batch cannot be written, none is."""
    with pytest.raises(StoreError):
        inbox.append([message(1), message(2, source=None)])
    assert inbox.pending(10) == []


def test_a_commit_waits_for_the_disk(inbox):
    """The inbox is open in WAL mode with full durability."""
    assert inbox._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert inbox._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_two_openers_write_without_loss(tmp_path):
    """A collector and a drain on the same file both get their transactions through."""
    path = tmp_path / "inbox.sqlite"
    with Inbox(path) as collector, Inbox(path) as drain:
        for number in range(20):
            collector.append([message(number)])
            drain.finish([Done(row.id) for row in drain.pending(10)])
        assert collector.counts().waiting == 0


def test_what_was_appended_survives_a_kill(tmp_path):
    """A process that dies right after `append` returns leaves the rows on disk."""
    code = (
        "import os, sys; from pathlib import Path; from submeter.store.inbox import Inbox, Message\n"
        "Inbox(Path(sys.argv[1])).append([Message('mqtt', b'x', 1)] * 3); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "inbox.sqlite"
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -9
    with Inbox(path) as inbox:
        assert [row.payload for row in inbox.pending(10)] == [b"x"] * 3
