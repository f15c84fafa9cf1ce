"""MQTT collector: commit, then acknowledge (ingest/MQTT.md 1; reliability/FAULTS.md 1.1).

Strategy: one thread owns the connection, the inbox and the acknowledgements; what has come is committed at once, without lingering, and only
then acknowledged. Trouble of any kind ends the connection; after a pause everything is opened anew and the broker sends again what was not
acknowledged.
Rules: nothing is looked at before it is kept, so that a broken payload is a row like any other; a commit that fails is never acknowledged;
pauses grow until a connection has held for a while, so that two clients of one id do not throw each other out in a circle, and a lock file
keeps a second collector of this id at this broker from starting in the same data folder.
"""

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from submeter.failpoint import failpoint
from submeter.ingest.common import Backoff, Counters, OnEvent, Reporter
from submeter.ingest.envelopes import gateway_of
from submeter.ingest.envelopes.core import MAX_MESSAGE
from submeter.ingest.room import Room
from submeter.ingest.session import Delivery, MqttSettings, RefusedError, Session, TakenOverError
from submeter.store.errors import StoreError
from submeter.store.inbox import DUP, RETAIN, Inbox, Message

__all__ = ["MqttCollector"]

POLL_S: Final = 0.05
BACKOFF_S: Final = (0.1, 30.0)
#: A connection that held so long was a good one.
STEADY_S: Final = 1.0


class MqttCollector:
    """Collects from one broker into the inbox file; `on_event` is told of changes by name and sentence, from the collector's thread."""

    def __init__(self, settings: MqttSettings, inbox_path: Path, on_event: OnEvent) -> None:
        self.settings = settings
        self.counters = Counters()
        self._inbox_path = inbox_path
        self._reporter = Reporter(on_event)
        self._backoff = Backoff(*BACKOFF_S)
        self._session_expected: bool | None = None
        self._room = Room(inbox_path.parent)
        self._lock = f"mqtt-{quote(f'{settings.client_id}@{settings.host}:{settings.port}', safe='@')}.lock"

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set; survives the broker's, the network's and the disk's troubles."""
        while not stop.is_set():
            started = time.monotonic()
            wait_s = self._attempt(stop)
            self.counters.connected = False
            if time.monotonic() - started > STEADY_S:
                self._backoff.reset()
            stop.wait(wait_s)

    def _attempt(self, stop: threading.Event) -> float:
        """One connection from its opening to its end; returns the seconds to wait before the next."""
        try:
            with _alone(self._inbox_path.with_name(self._lock)), Inbox(self._inbox_path) as inbox:
                self._collect(inbox, stop)
        except StoreError as error:
            self.counters.failed_commits += 1
            self._reporter.tell("inbox_write_failed", str(error))
        except TakenOverError as error:
            self._reporter.tell("mqtt_session_taken_over", f"{error}; two collectors have the client id {self.settings.client_id!r}")
            return BACKOFF_S[1]
        except RefusedError as error:
            self._reporter.tell("mqtt_refused", str(error))
        except Exception as error:  # noqa: BLE001  whatever goes wrong with a connection, a fault of ours too, costs the connection, never the thread
            self._reporter.tell("mqtt_disconnected", f"{self.settings.host}:{self.settings.port}: {type(error).__name__}: {error}")
        return self._backoff.wait_s()

    def _collect(self, inbox: Inbox, stop: threading.Event) -> None:
        if self._session_expected is None:
            self._session_expected = inbox.heard_from(self.settings.name)
        with Session(self.settings) as session:
            while not stop.is_set():
                if self._room.short:
                    raise StoreError(f"{self._room.folder} is nearly full: messages wait at the broker; free disk space")
                deliveries = session.poll(POLL_S)
                if session.connected and not self.counters.connected:
                    self._welcome(session)
                if deliveries:
                    failpoint("received")
                    self.counters.commit(inbox.append, [self._message(delivery) for delivery in deliveries])
                    failpoint("kept")
                    session.ack(deliveries)
                    self._count(deliveries)

    def _welcome(self, session: Session) -> None:
        self.counters.connected = True
        self.counters.connections += 1
        self._reporter.tell("mqtt_connected", f"{self.settings.host}:{self.settings.port} as {self.settings.client_id}")
        if self._session_expected and not session.session_present:
            self.counters.sessions_lost += 1
            self._reporter.tell("mqtt_session_lost", "the broker does not remember us: messages sent while we were away may be lost")
        self._session_expected = True

    def _message(self, delivery: Delivery) -> Message:
        return Message(
            source=self.settings.name,
            payload=delivery.payload[: MAX_MESSAGE + 1],  # enough to be refused as too large
            received_at=delivery.received_at,
            gateway=gateway_of(delivery.topic),
            topic=delivery.topic,
            flags=RETAIN * delivery.retain | DUP * delivery.dup,
        )

    def _count(self, deliveries: list[Delivery]) -> None:
        self.counters.messages += len(deliveries)
        self.counters.bytes += sum(len(delivery.payload) for delivery in deliveries)
        self.counters.redelivered += sum(delivery.dup for delivery in deliveries)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock file; raises RefusedError while another collector holds it."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(f"{lock} is held by another collector: give one of the two another client id") from error
        yield
