"""Nothing lost, nothing counted twice: numbered messages through a real mosquitto while collector or broker are killed or away.

`SUBMETER_MESSAGES=20000` is the full size; every thousand messages one kill.
"""

import json
import os
import random
import threading
import time

import pytest
from broker import wait_until
from collecting import Child, Collecting, batch, drained, numbered
from payloads import REFUSED, TOPIC

from submeter.store import Inbox

MESSAGES = int(os.environ.get("SUBMETER_MESSAGES", "2000"))
#: Messages to a kill.
BLOCK = 1000
#: Between two messages: the broker does not pile up what the collector has not read yet.
PAUSE_S = 0.001


class Load(threading.Thread):
    """Publishes numbered batches, `BLOCK` for each `more()`; `sent` are those that the broker has acknowledged once the thread has ended."""

    def __init__(self, broker):
        super().__init__()
        self._broker = broker
        self._allowed = threading.Semaphore(0)
        self.start()

    def more(self):
        """Let it publish a block more."""
        self._allowed.release(BLOCK)

    def run(self):
        with self._broker.publisher() as publish:
            for number in range(MESSAGES):
                self._allowed.acquire()
                publish(TOPIC, batch(number))
                time.sleep(PAUSE_S)


def kept(path):
    """The numbers that an inbox holds, each once."""
    with Inbox(path) as inbox:
        return {json.loads(message.payload)["seq"] for message in inbox.pending(10 * MESSAGES)}


def all_kept(path):
    """Wait until every number is in the inbox."""
    everything, deadline = set(range(MESSAGES)), time.monotonic() + 30
    while missing := everything - kept(path):
        assert time.monotonic() < deadline, f"{len(missing)} messages are lost: {sorted(missing)[:20]}"
        time.sleep(0.1)


def test_kill_9_of_the_collector_loses_nothing_and_counts_nothing_twice(tmp_path, broker):
    """Killed at random moments under load, and started again, the collector has every message in the end, and each gives one reading."""
    path = tmp_path / "inbox.sqlite"
    chance = random.Random(4)
    Child(broker.port, path).kill()  # the session exists
    load = Load(broker)
    for _ in range(0, MESSAGES, BLOCK):
        child = Child(broker.port, path)
        load.more()
        time.sleep(chance.uniform(0, 0.25))
        child.kill()
    load.join()
    child = Child(broker.port, path)
    all_kept(path)
    child.kill()
    counted, counts = drained(path)
    assert counted == dict.fromkeys(range(MESSAGES), 1)
    assert counts.quarantined == {}
    assert counts.refused.keys() <= {"redelivered"}


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_that_ends_and_comes_back_loses_nothing_for_a_collector_that_listens(tmp_path, broker, end):
    """The broker stopped, or killed -9 with the session saved, again and again under load: what it acknowledged is kept, and gives one reading each."""
    path = tmp_path / "inbox.sqlite"
    chance = random.Random(5)
    child = Child(broker.port, path)
    broker.save()
    load = Load(broker)
    for _ in range(0, MESSAGES, BLOCK):
        load.more()
        time.sleep(chance.uniform(0, 1.2))
        getattr(broker, end)()
        broker.start()
        child.wait_for("mqtt_connected")
    load.join()
    all_kept(path)
    assert "mqtt_session_lost" not in child.events
    child.kill()
    counted, counts = drained(path)
    assert counted == dict.fromkeys(range(MESSAGES), 1)
    assert counts.refused.keys() <= {"redelivered"}


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_waits_for_a_collector_outlives_the_broker(tmp_path, broker, end):
    """5,000 messages for a collector that is away arrive, also when the broker is stopped, or killed -9 after it has saved them."""
    path = tmp_path / "inbox.sqlite"
    with Collecting(path, port=broker.port) as first:
        first.connected()
    broker.publish(*numbered(5000))
    broker.save()
    getattr(broker, end)()
    broker.start()
    with Collecting(path, port=broker.port) as second:
        assert [message.payload for message in second.wait_for(5000)] == [payload for _, payload in numbered(5000)]
        assert second.events == ["mqtt_connected"]


def test_garbage_between_good_messages_is_counted(tmp_path, broker, shared):
    """Every broken payload known, oversized ones and JSON bombs, between good messages: each is refused once with its reason, every good one counts."""
    path = tmp_path / "inbox.sqlite"
    rows = [json.loads(line) for line in (shared / "reliability" / "malformed.jsonl").read_text("utf-8").splitlines()]
    broken = [payload for _, payload in REFUSED.values()] + [row["raw"].encode() for row in rows if row["layer"] == "payload"]
    with Collecting(path, port=broker.port) as running:
        running.connected()
        for number, payload in enumerate(broken):
            broker.publish((TOPIC, payload), (TOPIC, batch(number)))
        running.wait_for(2 * len(broken))
        assert running.events == ["mqtt_connected"]
        assert running.collector.counters.connections == 1
    counted, counts = drained(path)
    assert counted == dict.fromkeys(range(len(broken)), 1)
    assert counts.waiting == 0
    assert sum(counts.refused.values()) + sum(counts.quarantined.values()) == len(broken)
    assert {reason for reason, _ in REFUSED.values()} <= counts.refused.keys()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_poisoned_retained_message_is_counted_and_stops_nothing(tmp_path, broker, protocol):
    """A broken retained message costs one row when it is published, with MQTT 3.1.1 one more at each connection, and never a reading or the collector."""
    path = tmp_path / "inbox.sqlite"
    connections = 20
    for number in range(connections):
        with Collecting(path, port=broker.port, protocol=protocol) as running:
            running.connected()
            if number == 0:
                with broker.publisher() as publish:
                    publish(TOPIC, b"[" * 100_000, retain=True)
            broker.publish((TOPIC, batch(number)))
            wait_until(lambda: number in {_seq(message.payload) for message in running.kept()})  # noqa: B023
            assert running.events == ["mqtt_connected"]
    counted, counts = drained(path)
    assert counted == dict.fromkeys(range(connections), 1)
    assert counts.refused == {"too_deep": 1} | ({"retained": connections - 1} if protocol == "3.1.1" else {})


def _seq(payload):
    return json.loads(payload).get("seq") if payload.startswith(b"{") else None
