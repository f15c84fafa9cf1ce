"""Brokers and lines that fail: faults 22, 23 and 25 of reliability/FAULTS.md (24 is in tests/ingest/test_mqtt_losses.py)."""

import contextlib
import os
import random
import re
import select
import socket
import struct
import threading
import time

import pytest
from broker import wait_until
from collecting import Collecting, batch, drained
from exactly import exactly_once
from installation import Installation
from payloads import TOPIC
from pushing import numbered
from test_kill import arrived

from submeter import civil
from submeter.core import now

HOURS = int(os.environ.get("SUBMETER_BACKLOG_HOURS", "24"))


def test_fault_22_a_broker_that_was_down_for_a_day(tmp_path, broker):
    """A day's messages come at once when the broker is there again: each telegram counts once, at its own hour, and the rows are those of a recompute."""
    here = Installation(tmp_path / "here", f'[[mqtt]]\nname = "broker"\nport = {broker.port}\n')
    try:
        here.start()
        broker.stop()
        wait_until(lambda: here.get("/v1/health", here.metrics)[1]["sources"]["broker"] == "not connected")
        broker.start()
        backlog = [message for _, message in zip(range(2 * HOURS), numbered(here.building), strict=False)]
        broker.publish(*((message.topic, message.payload) for message in backlog))
        wait_until(lambda: arrived(here) == len(backlog), 120)
        here.stop()
    finally:
        here.close()
    exactly_once(here, [one for message in backlog for one in message.sent])


def test_fault_23_a_broker_that_drops_its_queue_is_told(tmp_path, broker, monkeypatch):
    """What a broker with a short queue threw away while nobody listened is an event with the number of messages, by the gateway's own numbers."""
    broker.stop()
    broker.configure(
        re.sub(r"max_queued_messages \d+", "max_queued_messages 5", broker.configuration).replace(
            "max_inflight_messages 1000", "max_inflight_messages 5"
        )
    )
    broker.start()
    here = Installation(tmp_path / "here", '[[gateway]]\nname = "gw-7"\nstore_and_forward = true\n')
    path = here.folder / "data" / "inbox.sqlite"
    with Collecting(path, port=broker.port) as running:
        running.connected()
        broker.publish((TOPIC, batch(0)))
        running.wait_for(1)
    broker.publish(*((TOPIC, batch(number)) for number in range(1, 100)))
    with Collecting(path, port=broker.port) as running:
        running.connected()
        broker.publish((TOPIC, batch(100)))
        wait_until(lambda: any(b'"seq": 100' in message.payload for message in running.kept()))
    with here.core() as core:
        core.drain_all()
        core.look()
        later = now() + civil.DAY
        monkeypatch.setattr("submeter.core.now", lambda: later)
        core.look()
        (event,) = core.registry.events.find("sequence_gap", state="open")
        assert core.gateways["gw-7"].missing == 101 - core.inbox.received()
        assert event.subject == "gateway:gw-7"


class Line:
    """A TCP line to a port whose ways to fail are written here: `mode` is "open", "hole" (nothing goes through), "slow" or "reset"."""

    def __init__(self, target):
        self._target, self.mode, self._ends = target, "open", []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """End the line."""
        self._server.close()
        self.reset()

    def reset(self):
        """Cut all connections without a goodbye."""
        for one in self._ends:
            with contextlib.suppress(OSError):  # it was closed by the other side
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()
        self._ends.clear()

    def _accept(self):
        try:
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._ends += [near, far]
                threading.Thread(target=self._pump, args=(near, far), daemon=True).start()
        except OSError:
            return

    def _pump(self, near, far):
        try:
            while True:
                ready, _, _ = select.select([near, far], [], [], 0.05)
                for one in ready if self.mode != "hole" else ():
                    if not (data := one.recv(512 if self.mode == "slow" else 65_536)):
                        raise ConnectionError
                    if self.mode == "slow":
                        time.sleep(0.02)
                    (far if one is near else near).sendall(data)
        except (OSError, ValueError):
            near.close()
            far.close()


@pytest.fixture
def line(broker):
    """A line to the broker."""
    made = Line(broker.port)
    yield made
    made.close()


def test_fault_25_a_line_that_is_slow_dead_or_cut(tmp_path, broker, line):
    """A line that carries nothing for longer than the keep-alive, one that is slow, and one that is reset: connected again, each message once."""
    path, chance, number = tmp_path / "inbox.sqlite", random.Random(25), 0
    with Collecting(path, port=line.port, keepalive_s=1) as running:
        running.connected()
        for mode in ("hole", "slow", "reset", "hole", "reset"):
            line.mode = mode
            if mode == "reset":
                line.reset()
                line.mode = "open"
            count = chance.randrange(20, 60)
            broker.publish(*((TOPIC, batch(number + one)) for one in range(count)))
            number += count
            if mode == "hole":
                wait_until(lambda: not running.collector.counters.connected)
            line.mode = "slow" if mode == "slow" else "open"
            running.connected()
        line.mode = "open"
        wait_until(lambda: len({message.payload for message in running.kept()}) == number, 60)
    counted, counts = drained(path)
    assert counted == dict.fromkeys(range(number), 1)
    assert counts.refused.keys() <= {"redelivered"}
