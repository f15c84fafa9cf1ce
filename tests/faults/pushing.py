"""An installation whose gateway pushes over HTTP: it sends a message again until it is answered 200, which says that it is on disk."""

import http.client
import os
import subprocess
import sys

from broker import free_port, wait_until
from installation import ROOT, Installation

from submeter import civil
from submeter.core import now
from submeter.failpoint import ENDED
from submeter.simulate import Network
from submeter.store import Message

MINUTE = 60 * civil.SECOND


class Pushed(Installation):
    """`push(message)` is one try; `sent` are the transmissions of the messages that were answered."""

    def __init__(self, folder, extra="", **more):
        self.port, self.sent, self.waiting = free_port(), [], []
        super().__init__(folder, f"[http]\nenabled = true\nport = {self.port}\nper_minute = 0\n{extra}", **more)
        self.hours = numbered(self.building)
        with self.core() as core:
            self.secrets = {name: core.registry.gateways.create(name, now()) for name in self.building.gateways}

    def push(self, message):
        """Whether this message was taken."""
        headers = {"Authorization": f"Bearer {self.secrets[message.gateway]}"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", f"/ingest/v1/{message.gateway}", message.payload, headers)
            taken = connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if taken:
            self.sent.extend(message.sent)
        return taken

    def push_all(self, messages):
        """Send each until it is taken."""
        for message in messages:
            wait_until(lambda: self.push(message), 60)  # noqa: B023

    def next(self, count=1):
        """The next messages of the gateways, which nobody has sent yet."""
        return [next(self.hours) for _ in range(count)]

    def ended_at(self, failpoint):
        """Wait until the process has ended at this failpoint."""
        assert self.process.wait(60) == ENDED, (failpoint, self.log)
        self.process = None

    def rolls_up(self, **environment):
        """Exit status of `submeter rollup` alone, with this environment."""
        words = [sys.executable, "-m", "submeter", "rollup", "--config", str(self.file)]
        return subprocess.run(words, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=False, timeout=60).returncode

    def health(self):
        """What health says; None where nobody answers."""
        try:
            return self.get("/v1/health", self.metrics)[1]
        except OSError:
            return None

    def red(self):
        """Whether health says that something is wrong."""
        told = self.health()
        return told is not None and not told["ok"]

    def green(self):
        """Whether health says that all is well."""
        told = self.health()
        return told is not None and told["ok"]


def chosen(failpoint):
    """The environment in which a process ends there."""
    return {"SUBMETER_FAILPOINT": failpoint, "SUBMETER_TEST": "1"}


def numbered(building, days=20):
    """Messages of the building's gateways, one a gateway and hour, which begin some days ago."""
    network, start = Network(building, civil.HOUR, "boot-1"), now() - days * civil.DAY
    for hour in range(days * 24):
        yield from network.messages(start + hour * civil.HOUR, start + (hour + 1) * civil.HOUR)


def stored_message(message):
    """A gateway's message as a collector keeps it."""
    return Message("http", message.payload, now(), gateway=message.gateway, topic=message.topic)
