"""What tests of Home Assistant's broker share: an installation that shows a flat, and somebody who reads all that stands at a broker."""

import urllib.request

from installation import Installation
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from submeter import civil
from submeter.core import now
from submeter.home import Home
from submeter.post.shown import shown
from submeter.simulate import Network
from submeter.store import Message
from submeter.store.inbox import REPLAY

START = now() // civil.HOUR * civil.HOUR - 3 * civil.DAY
SHOW = '[home_assistant]\nport = {}\nunits = ["house-1-flat-01"]\n'


class Here(Installation):
    """An installation of two flats of which one is shown; `day` takes in the telegrams of a day and rolls them up."""

    def __init__(self, folder, port, more=""):
        super().__init__(folder, SHOW.format(port) + more, flats=2)
        self.counted = []

    def day(self, number=0):
        start = START + number * civil.DAY
        sent = Network(self.building, 6 * civil.HOUR, f"b{number}").messages(start, start + civil.DAY)
        with self.core() as core:
            core.inbox.append([Message("test", m.payload, start + civil.DAY, gateway=m.gateway, flags=REPLAY) for m in sent])
            core.drain_all()
            core.rollup()

    def home(self):
        """The thread, started."""
        made = Home(self.config, now, lambda outcome, count: self.counted.append((outcome, count)))
        made.start()
        return made

    def wanted(self):
        """What should stand at the broker."""
        with self.core() as core:
            return dict(shown(core.registry, core.published, self.config.home_assistant, now=now()).messages)

    def told(self):
        """The metrics of a running submeter."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics") as answer:
            return answer.read().decode()

    def count(self, outcome):
        return sum(count for name, count in self.counted if name == outcome)


class Watcher:
    """What stands at a broker: retained messages, and those that come."""

    def __init__(self, port):
        self.there, self.status = {}, []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _data, message: self._take(message.topic, message.payload)
        self._client.on_connect = lambda client, *_: client.subscribe([("homeassistant/#", 1), ("submeter/home/#", 1)])
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _take(self, topic, payload):
        if topic == "submeter/home/status":
            self.status.append(payload)
        elif payload:
            self.there[topic] = payload
        else:
            self.there.pop(topic, None)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
