"""A real mosquitto for tests: its own port, configuration and persistence folder; started and stopped by its process id."""

import getpass
import signal
import socket
import subprocess
import time
from pathlib import Path

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

#: The settings of ingest/MQTT.md 8 without its users and certificates.
CONFIG = """
listener {port} 127.0.0.1
user {user}
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 30
autosave_on_changes false
persistent_client_expiration 14d
max_queued_messages 0
max_queued_bytes 1073741824
max_inflight_messages 1000
max_packet_size 4000000
queue_qos0_messages false
set_tcp_nodelay true
log_dest file {folder}/mosquitto.log
"""


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(holds, seconds=20.0):
    """Wait until `holds()` is true; fails after `seconds`. It is asked less often the longer it takes, since most questions cost those who are waited for."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while not (result := holds()):
        assert time.monotonic() < deadline, f"did not come true within {seconds} s"
        time.sleep(pause)
        pause = min(2 * pause, 0.1)
    return result


class Broker:
    """mosquitto on `port`; the folder holds its configuration, log and sessions."""

    host = "127.0.0.1"

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        self.program = program
        self._folder = folder
        folder.mkdir()
        self.configure(CONFIG.format(port=self.port, folder=folder, user=getpass.getuser()))
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def configure(self, text: str) -> None:
        """Write the configuration of the next start."""
        (self._folder / "mosquitto.conf").write_text(text)

    @property
    def configuration(self) -> str:
        """The configuration in force."""
        return (self._folder / "mosquitto.conf").read_text()

    def start(self):
        """Start and wait until it listens."""
        self._process = subprocess.Popen([self.program, "-c", self._folder / "mosquitto.conf"], stderr=subprocess.DEVNULL)
        wait_until(self._listens)

    def save(self):
        """Have it write sessions and queues now, as it does by itself every 30 seconds, and wait for that."""
        before = self._saved()
        self._process.send_signal(signal.SIGUSR1)
        wait_until(lambda: self._saved() != before)

    def stop(self):
        """End it orderly: sessions and queues are saved."""
        self._process.terminate()
        self._process.wait()

    def kill(self):
        """End it at once, as a power cut would."""
        self._process.kill()
        self._process.wait()

    def forget_sessions(self):
        """Remove what a stopped broker saved."""
        (self._folder / "mosquitto.db").unlink()

    def publisher(self):
        """A connected client of the tests' own; use as `with broker.publisher() as publish: publish(topic, payload)`."""
        return Publisher(self.port)

    def publish(self, *messages):
        """Publish (topic, payload) pairs and wait until the broker has them."""
        with self.publisher() as publish:
            for topic, payload in messages:
                publish(topic, payload)

    def _saved(self):
        file = self._folder / "mosquitto.db"
        return file.stat().st_ino if file.exists() else None

    def _listens(self):
        assert self._process.poll() is None, (self._folder / "mosquitto.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0


class Publisher:
    """A client that publishes with QoS 1, again where the broker went away; leaving the block waits until the broker has acknowledged everything."""

    def __init__(self, port: int) -> None:
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = lambda *_: self._acknowledged.append(None)
        self._acknowledged, self._sent = [], 0
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self):
        return self

    def __call__(self, topic, payload, **options):
        self._client.publish(topic, payload, qos=1, **options)
        self._sent += 1

    def __exit__(self, *_):
        wait_until(lambda: len(self._acknowledged) == self._sent)
        self._client.disconnect()
        self._client.loop_stop()
