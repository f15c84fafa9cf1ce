"""A collector on a thread or in a process of its own, and numbered messages to see what became of each."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter

from broker import wait_until
from payloads import TOPIC

from submeter.decoders import Profile
from submeter.ingest.drain import Drain, Gateway, Known
from submeter.ingest.mqtt import MqttCollector
from submeter.ingest.session import MqttSettings
from submeter.reading import DeviceId, Register
from submeter.simulate import encode
from submeter.store import Inbox, Readings, Registry

METER = DeviceId("STM", "86000001", 0x01, 0x07)
KEY = bytes.fromhex("5a0d93e7b1486cf20e7d41c8963bfa25")
#: The first message's telegram was heard a day ago, each further one a second later.
START = (int(time.time()) - 86_400) * 1_000_000
CHILD = """
import sys, threading
from pathlib import Path
from submeter.ingest.mqtt import MqttCollector
from submeter.ingest.session import MqttSettings
tell = lambda event, detail: print(event, flush=True)
MqttCollector(MqttSettings(port=int(sys.argv[1])), Path(sys.argv[2]), tell).run(threading.Event())
"""


class Collecting:
    """A collector on a thread of its own, its events and its inbox."""

    def __init__(self, path, **settings):
        self.events, self.details = [], []
        self.path = path
        self.collector = MqttCollector(MqttSettings(**settings), path, self._tell)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.collector.run, args=[self._stop])

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _tell(self, event, detail):
        self.events.append(event)
        self.details.append(detail)

    def connected(self):
        """Wait until the collector has subscribed."""
        wait_until(lambda: self.collector.counters.connected)
        return self

    def kept(self):
        """All messages of the inbox."""
        with Inbox(self.path) as inbox:
            return inbox.pending(1_000_000)

    def wait_for(self, number):
        """Wait until so many messages are kept."""
        return wait_until(lambda: len(kept := self.kept()) >= number and kept)


class Child:
    """A collector in a process of its own, which can be killed."""

    def __init__(self, port, path):
        self.events, self._path = [], path
        self._process = subprocess.Popen([sys.executable, "-c", CHILD, str(port), path], stdout=subprocess.PIPE, text=True)
        self.wait_for("mqtt_connected")

    def wait_for(self, event):
        """Wait until it tells of this event."""
        while (told := self._process.stdout.readline().strip()) != event:
            assert told, "the collector has ended"
            self.events.append(told)

    def kill(self):
        """Kill -9."""
        self._process.kill()
        self._process.communicate()

    def ended(self):
        """Wait until it has ended by itself; its exit status."""
        self._process.communicate(timeout=20)
        return self._process.returncode

    def until_kept(self, number):
        """Wait until the inbox has message `number`, see `batch`."""
        with Inbox(self._path) as inbox:
            wait_until(lambda: any(json.loads(message.payload)["seq"] == number for message in inbox.pending(1_000_000)))


def numbered(count):
    """Messages that can be told apart."""
    return [(TOPIC, b"%d" % number) for number in range(count)]


def batch(number, gateway="gw-7"):
    """Message `number` of a gateway: one encrypted telegram, in which the meter shows that number of litres."""
    raw = encode.radio(METER, encode.mode5(encode.bcd(b"\x13", number, 8), encode.Header(access=number & 0xFF), KEY, METER))
    heard = {"ts": (START + number * 1_000_000) // 1000, "hex": raw.hex()}
    return json.dumps({"v": 1, "gw": gateway, "boot": "b1", "seq": number, "t": [heard]}).encode()


def drained(path, gateways=("gw-7",)):
    """Decode all that an inbox holds into new stores: how often each number became a reading, and the inbox's counts."""
    folder = path.parent
    with Inbox(path) as inbox, Readings(folder / "readings.duckdb") as readings, Registry(folder / "registry.sqlite") as registry:
        drain = Drain(
            inbox,
            readings,
            registry,
            lambda device: Known(Profile(KEY), "UTC") if device == METER else None,
            dict.fromkeys(gateways, Gateway(store_and_forward=True)),
        )
        while drain.step().messages:
            pass
        register = readings.register_ids([(str(METER), Register("volume", "m3"))])
        rows = readings.readings_of(list(register.values())).to_pylist()
        assert all(row["t"] == START + row["value"] // 1000 * 1_000_000 for row in rows)
        return Counter(row["value"] // 1000 for row in rows), inbox.counts()
