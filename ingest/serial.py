"""Serial collector: telegrams from dongles and lines, whatever they come through: a tty, a TCP gateway, a child process, senders that reach us (ingest/SERIAL.md 1, 3).

Strategy: one thread a port; the port gives bytes (ports.py), the framer of its kind makes telegrams or lines of them, the keeper commits. A port that
fails, closes or has been silent for too long is opened again after a pause.
Rules: a dongle is written to only where `mode` or "auto" asks for it (dongles/), and heard in any case, as it is, if it does not answer or refuses; nothing
about a line is checked here, apart from its length; what is cut is given up after two seconds of silence; what the inbox cannot take waits, up to a bound,
since a serial sender cannot be slowed down.
"""

import termios
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from submeter.ingest.common import Backoff, Counters, OnEvent, Reporter, now_us
from submeter.ingest.dongles import AUTO, KINDS, Found, Kind, Talk, find, set_up
from submeter.ingest.errors import DongleError
from submeter.ingest.framers import Radio
from submeter.ingest.keeper import Keeper, radio_message
from submeter.ingest.ports import Child, Port, listening, opened
from submeter.store.errors import StoreError
from submeter.store.inbox import Inbox, Message

__all__ = ["SerialCollector", "SerialSettings"]

READ_S: Final = 0.05
#: What is cut is given up after so long a silence.
CUT_S: Final = 2.0
BACKOFF_S: Final = (1.0, 60.0)


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """A port: `url` is a device, a pyserial address, or `udp://` and `tcp://` to listen at; `command` is a program to read instead of it.

    `gateway` is what its telegrams are counted under, `format` what its lines are if pinned, `kind` who frames them. "auto" as url or kind: whichever
    dongle answers. `mode` is the radio mode that the dongle is set to, "" for none; `baud` 0 the usual rate of the kind.
    """

    name: str
    url: str
    baud: int = 0
    gateway: str | None = None
    format: str | None = None
    stall_s: float = 600.0
    kind: Kind | Literal["auto"] = "lines"
    command: str = ""
    mode: str = ""

    @property
    def where(self) -> str:
        """What an operator calls it."""
        return self.command or self.url


class StalledError(ConnectionError):
    """A port that is open has been silent for too long."""


class SerialCollector:
    """Collects from one port into the inbox file; `on_event` is told of changes by name and sentence, from the collector's thread."""

    def __init__(self, settings: SerialSettings, inbox_path: Path, on_event: OnEvent) -> None:
        self.settings = settings
        self.counters = Counters()
        self._inbox_path = inbox_path
        self._reporter = Reporter(on_event)
        self._backoff = Backoff(*BACKOFF_S)
        self._keeper = Keeper(self.counters, self._reporter)

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set; survives a port that goes away and a disk that is full."""
        while not stop.is_set():
            try:
                with Inbox(self._inbox_path) as inbox:
                    found = self._found(stop)
                    with closing(found.talk.port):
                        self._collect(found, inbox, stop)
            except StoreError as error:
                self._reporter.tell("inbox_write_failed", str(error))
            except DongleError as error:
                self._tell(error, stop, "")
            except StalledError as error:
                self._reporter.tell("port_stalled", f"{self.settings.where}: {error}")
            except ConnectionRefusedError as error:
                self._reporter.tell("port_refused", f"{self.settings.where}: {error}: many gateways take one client only; is another one connected?")
            except (OSError, ValueError, termios.error) as error:  # pyserial's errors are OSErrors; a wrong address is a ValueError
                self._reporter.tell("port_lost", f"{self.settings.where}: {error}")
            self.counters.connected = False
            stop.wait(self._backoff.wait_s())

    def _found(self, stop: threading.Event) -> Found:
        """The dongle that answers where that is asked for, else the port as it is; raises DongleError where none does."""
        settings = self.settings
        if AUTO in {settings.url, settings.kind}:
            return find(settings.url, settings.kind, settings.baud, self._take, stop.is_set)
        kind: Kind = settings.kind  # type: ignore[assignment]  # not "auto"
        return Found(settings.where, kind, b"", Talk(_port(settings, kind), KINDS[kind].framer(), self._take, stop.is_set))

    def _set_up(self, found: Found, stop: threading.Event) -> None:
        """Tell the dongle its mode; one that is silent or refuses is told of, and heard as it is."""
        try:
            set_up(found, self.settings.mode)
        except DongleError as error:
            self._tell(error, stop, "; it is listened to as it is")

    def _tell(self, error: DongleError, stop: threading.Event, then: str) -> None:
        """Report it, unless it is only that nobody waits for the answer any more."""
        if not stop.is_set():
            self._reporter.tell(error.event, f"{self.settings.where}: {error}{then}")

    def _collect(self, found: Found, inbox: Inbox, stop: threading.Event) -> None:
        port = found.talk.port
        self.counters.connected = True
        self.counters.connections += 1
        where = f"{found.kind} at {found.url}" if AUTO in {self.settings.url, self.settings.kind} else found.url
        if self._reporter.last != "port_stalled":  # a port that stalled is well again with its first byte
            self._reporter.tell("port_connected", where)
        if self.settings.mode:
            self._set_up(found, stop)
        framer = found.talk.framer
        heard, cut, dropped = time.monotonic(), False, 0
        while not stop.is_set():
            data = port.read(READ_S)
            silent_s = time.monotonic() - heard
            if data:
                heard, cut = time.monotonic(), True
                self._backoff.reset()
                self.counters.bytes += len(data)
                if self._reporter.last == "port_stalled":
                    self._reporter.tell("port_connected", where)
                self._take(framer.feed(data))
            elif cut and silent_s > CUT_S and found.kind != "lines":
                cut = False
                self._take(framer.settle())
            elif silent_s > self.settings.stall_s:
                raise StalledError(f"no byte for {self.settings.stall_s:.0f} s")
            self.counters.dropped_bytes += framer.dropped + port.dropped - dropped
            self.counters.resyncs += framer.dropped + port.dropped > dropped
            dropped = framer.dropped + port.dropped
            self._keeper.keep(inbox, "port_connected", where)

    def _take(self, found: Iterable[Radio | bytes]) -> None:
        self._keeper.take(self._messages(found))

    def _messages(self, found: Iterable[Radio | bytes]) -> Iterator[Message]:
        received_at, settings = now_us(), self.settings
        gateway = settings.gateway or settings.name
        for one in found:
            if isinstance(one, Radio):
                yield radio_message(settings.name, gateway, one, received_at)
            else:
                yield Message(settings.name, one, received_at, gateway, format=settings.format)


def _port(settings: SerialSettings, kind: Kind) -> Port:
    if settings.command:
        return Child(settings.command)
    return listening(settings.url) if settings.url.startswith(("udp://", "tcp://")) else opened(settings.url, settings.baud or KINDS[kind].baud)
