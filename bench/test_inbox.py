"""Commit of messages into the inbox: what a message costs before it may be acknowledged."""

import pytest

from submeter.ingest.envelopes import split
from submeter.store.inbox import Inbox, Message

BATCH = b'{"v":1,"gw":"gw-7","boot":"b","seq":1,"t":[' + b",".join([b'{"hex":"%s","ts":1795248003000,"rssi":-70}' % (b"2e" * 47)] * 100) + b"]}"


def messages(rows: int) -> list[Message]:
    """So many of 200 bytes."""
    return [Message("mqtt", b"x" * 200, 1, "gw-7", "submeter/v1/gw-7/up")] * rows


@pytest.mark.parametrize("rows", [1, 50, 500])
def test_commit(benchmark, tmp_path, rows):
    """One durable transaction of so many messages of 200 bytes."""
    with Inbox(tmp_path / "inbox.sqlite") as inbox:
        benchmark(inbox.append, messages(rows))


def test_split_native_batch(benchmark):
    """A native batch of 100 telegrams, split."""
    assert len(benchmark(split, "submeter/v1/gw-7/up", BATCH).telegrams) == 100
