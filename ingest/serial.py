"""Serial collector: telegrams as lines from a tty, a pty or a TCP gateway (`socket://host:port`) (ingest/SERIAL.md 1 and 3).

Strategy: one thread a port; a line is a message, and what has come within a read is one commit. A port that fails or closes is opened again
after a pause.
Rules: nothing about a line is checked here, apart from its length; a line that is too long is dropped up to its end and counted; lines that
the inbox cannot take wait, up to a bound, since a serial sender cannot be slowed down; beyond it the oldest are dropped and counted.
"""

import socket
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import serial

from submeter.ingest.common import Backoff, Counters, Reporter, now_us
from submeter.ingest.framers import LineFramer
from submeter.store.errors import StoreError
from submeter.store.inbox import Inbox, Message

__all__ = ["SerialCollector", "SerialSettings"]

READ_S: Final = 0.05
READ_BYTES: Final = 4096
CONNECT_S: Final = 5.0
#: Bytes that wait while the inbox refuses.
MAX_WAITING: Final = 64 * 1024
BACKOFF_S: Final = (1.0, 60.0)
#: Seconds idle, seconds between probes, probes: a gateway that vanished is noticed after a minute.
KEEP_ALIVE: Final = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """A port: `url` is a device or a pyserial address, `gateway` what its telegrams are counted under, `format` what its lines are if pinned."""

    name: str
    url: str
    baud: int = 9600
    gateway: str | None = None
    format: str | None = None
    stall_s: float = 600.0


class StalledError(ConnectionError):
    """A port that is open has been silent for too long."""


class SerialCollector:
    """Collects from one port into the inbox file; `on_event` is told of changes by name and sentence, from the collector's thread."""

    def __init__(self, settings: SerialSettings, inbox_path: Path, on_event: Callable[[str, str], None]) -> None:
        self.settings = settings
        self.counters = Counters()
        self._inbox_path = inbox_path
        self._reporter = Reporter(on_event)
        self._backoff = Backoff(*BACKOFF_S)
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._retry_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set; survives a port that goes away and a disk that is full."""
        while not stop.is_set():
            try:
                with Inbox(self._inbox_path) as inbox, closing(_open(self.settings)) as port:
                    self._collect(port, inbox, stop)
            except StoreError as error:
                self._reporter.tell("inbox_write_failed", str(error))
            except StalledError as error:
                self._reporter.tell("port_stalled", f"{self.settings.url}: {error}")
            except (OSError, ValueError, termios.error) as error:  # pyserial's errors are OSErrors; a wrong address is a ValueError
                self._reporter.tell("port_lost", f"{self.settings.url}: {error}")
            self.counters.connected = False
            stop.wait(self._backoff.wait_s())

    def _collect(self, port: "serial.Serial | _Tcp", inbox: Inbox, stop: threading.Event) -> None:
        framer = LineFramer()
        self.counters.connected = True
        self.counters.connections += 1
        self._reporter.tell("port_connected", self.settings.url)
        heard = time.monotonic()
        while not stop.is_set():
            data = port.read(port.in_waiting or 1)
            if data:
                heard = time.monotonic()
                self._backoff.reset()
                self._take(framer, data)
            elif time.monotonic() - heard > self.settings.stall_s:
                raise StalledError(f"no byte for {self.settings.stall_s:.0f} s")
            self._keep(inbox)

    def _take(self, framer: LineFramer, data: bytes) -> None:
        self.counters.bytes += len(data)
        dropped = framer.dropped
        lines = framer.feed(data)
        self.counters.dropped_bytes += framer.dropped - dropped
        received_at, gateway = now_us(), self.settings.gateway or self.settings.name
        self._waiting.extend(Message(self.settings.name, line, received_at, gateway, format=self.settings.format) for line in lines)
        self._waiting_bytes += sum(map(len, lines))
        while self._waiting_bytes > MAX_WAITING:
            oldest = len(self._waiting.popleft().payload)
            self._waiting_bytes -= oldest
            self.counters.dropped_bytes += oldest

    def _keep(self, inbox: Inbox) -> None:
        """Commit what waits; where the inbox refuses, it waits on while the port is read."""
        if not self._waiting or time.monotonic() < self._retry_at:
            return
        try:
            inbox.append(self._waiting)
        except StoreError as error:
            self.counters.failed_commits += 1
            self._retry_at = time.monotonic() + BACKOFF_S[0]
            self._reporter.tell("inbox_write_failed", str(error))
            return
        self.counters.messages += len(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        self._reporter.tell("port_connected", self.settings.url)


class _Tcp:
    """A TCP gateway read like a port; pyserial's own way throws away what comes right after connecting and right before closing."""

    in_waiting: Final = READ_BYTES

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        if not address.hostname or not address.port:
            raise ValueError("write socket://host:port")
        self._link = socket.create_connection((address.hostname, address.port), CONNECT_S)
        self._link.settimeout(READ_S)
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEP_ALIVE:
            self._link.setsockopt(socket.IPPROTO_TCP, option, value)

    def read(self, size: int) -> bytes:
        """Return what has come, at most `size` bytes; raises ConnectionError when the gateway has closed."""
        try:
            data = self._link.recv(size)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionError("the gateway closed the connection")
        return data

    def close(self) -> None:
        """Hang up."""
        self._link.close()


def _open(settings: SerialSettings) -> serial.Serial | _Tcp:
    if settings.url.startswith("socket://"):
        return _Tcp(settings.url)
    return serial.serial_for_url(settings.url, settings.baud, timeout=READ_S)
