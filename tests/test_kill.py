"""kill -9 of the running service at random moments: nothing lost, nothing counted twice, rows equal a recompute."""

import random
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing

import pytest
from broker import wait_until
from installation import Installation

from submeter import civil
from submeter.core import now
from submeter.reading import LEVELS, Source
from submeter.simulate import Network, counters
from submeter.store import pack

CYCLES = 30
MINUTE = 60 * civil.SECOND


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
                if self.stopped.wait(0.01):
                    return
                publish(message.topic, message.payload)
                self.sent.extend(message.sent)
                self.messages_sent += 1


@pytest.mark.slow
def test_thirty_kills_lose_nothing_and_count_nothing_twice(tmp_path, broker):
    """Thirty times kill -9, also while starting: each telegram gives exactly one reading, and rollups and published blocks equal a recompute."""
    here = Installation(tmp_path / "here", f'[[mqtt]]\nname = "broker"\nport = {broker.port}\n')
    here.start().stop()  # the session at the broker exists before the first message
    sender = Sender(broker, numbered(here, now() - 30 * civil.DAY, 30 * 24 * 60))
    sender.start()
    chance = random.Random(7)
    try:
        for _ in range(CYCLES):
            here.spawn()
            time.sleep(chance.uniform(0.3, 3.0))
            here.kill()
    finally:
        sender.stopped.set()
        sender.join()
    here.start()
    wait_until(lambda: arrived(here) == sender.messages_sent, 60)
    here.stop()
    with here.core() as core:
        assert stored(core, here.building) == dict.fromkeys(expected_readings(sender.sent), 1)
        core.rollup()
        assert core.rollup(everything=True).rows == 0
        assert published(core) == computed(core)


def arrived(here):
    """How many of the gateways' numbered messages are decoded, each counted once."""
    with closing(sqlite3.connect(here.folder / "data" / "inbox.sqlite")) as inbox:
        return inbox.execute("SELECT count(DISTINCT gateway || ' ' || seq) FROM messages WHERE state = 'done'").fetchone()[0]


def expected_readings(sent):
    """(device, instant, value) of the main counter of every telegram, each once however many gateways heard it."""
    return {(str(one.place.meter.device), one.t, one.place.meter.truth(one.t)[counters(one.place)[0]]) for one in sent}


def stored(core, building):
    """The same of the readings' file, with how often it is there."""
    numbers = core.readings.registers()
    found = Counter()
    for place in building.places:
        device = str(place.meter.device)
        rows = core.readings.readings_of([numbers.get((device, counters(place)[0]), 0)]).to_pylist()
        found.update((device, row["t"], row["value"]) for row in rows if row["src"] == Source.LIVE)
    return found


def computed(core):
    """All rows by series and level as packed bytes."""
    series = sorted(core.readings.series().values())
    return {(one, level): pack(core.readings.rollups([one], level, -(2**62), 2**62)).tobytes() for one in series for level in range(len(LEVELS))}


def published(core):
    """The same as the API reads it."""
    series = sorted(core.readings.series().values())
    return {(one, level): core.published.read(one, level, "", "~").tobytes() for one in series for level in range(len(LEVELS))}
