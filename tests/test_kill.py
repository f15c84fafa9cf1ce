"""kill -9 of the running service at random moments: nothing lost, nothing counted twice, rows equal a recompute.

`SUBMETER_CYCLES=1000` is the full number.
"""

import os
import random
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from broker import wait_until
from exactly import exactly_once
from installation import Installation

from submeter import civil
from submeter.core import now
from submeter.simulate import Network

CYCLES = int(os.environ.get("SUBMETER_CYCLES", "6"))
MINUTE = 60 * civil.SECOND
#: Seconds between two messages: the 86,400 that there are must last until the last kill.
PAUSE = max(0.01, CYCLES / 20_000)


def numbered(here, start, minutes):
    """One batch a gateway and simulated minute, numbered as gateways do; both gateways hear some of the meters."""
    network = Network(here.building, MINUTE, "boot-1")
    for minute in range(minutes):
        yield from network.messages(start + minute * MINUTE, start + (minute + 1) * MINUTE)


class Sender(threading.Thread):
    """Publishes message after message until told to stop, and remembers which telegrams they held."""

    def __init__(self, broker, messages):
        super().__init__()
        self.broker, self.messages, self.stopped = broker, messages, threading.Event()
        self.sent, self.messages_sent = [], 0

    def run(self):
        with self.broker.publisher() as publish:
            for message in self.messages:
                if self.stopped.wait(PAUSE):
                    return
                publish(message.topic, message.payload)
                self.sent.extend(message.sent)
                self.messages_sent += 1


@pytest.mark.slow
def test_kills_lose_nothing_and_count_nothing_twice(tmp_path, broker):
    """Kill -9 again and again, also while starting: each telegram gives exactly one reading, and rollups and published blocks equal a recompute."""
    here = Installation(tmp_path / "here", f'[[mqtt]]\nname = "broker"\nport = {broker.port}\n')
    began = time.monotonic()
    here.start()
    life = time.monotonic() - began
    here.stop()  # the session at the broker exists before the first message
    sender = Sender(broker, numbered(here, now() - 30 * civil.DAY, 30 * 24 * 60))
    sender.start()
    chance = random.Random(7)
    try:
        for cycle in range(CYCLES):
            here.spawn()
            if cycle % 3 == 0:
                here.listening()  # the others are killed while they start, or soon after
            time.sleep(life * chance.uniform(0.1, 1))
            here.kill()
    finally:
        sender.stopped.set()
        sender.join()
    here.start()
    wait_until(lambda: arrived(here) == sender.messages_sent, 60 + CYCLES)
    here.stop()
    exactly_once(here, sender.sent)


def arrived(here):
    """How many of the gateways' numbered messages are decoded, each counted once."""
    with closing(sqlite3.connect(here.folder / "data" / "inbox.sqlite")) as inbox:
        return inbox.execute("SELECT count(DISTINCT gateway || ' ' || seq) FROM messages WHERE state = 'done'").fetchone()[0]
