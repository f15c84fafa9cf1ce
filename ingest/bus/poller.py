"""The bus collector: reads the meters of one wired M-Bus in turn (ingest/SERIAL.md 2).

Strategy: one thread a bus, one read at a time, in the order of the rota.
Rules: all pages of a read are one message with one instant, or nothing; a read that a lost line broke off is tried again once the line is back.
"""

import termios
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from submeter.ingest.bus.frames import Address
from submeter.ingest.bus.master import Master, PollError, Timing
from submeter.ingest.common import Backoff, Counters, Reporter, now_us
from submeter.ingest.keeper import Keeper, pages_message
from submeter.ingest.ports import opened
from submeter.ingest.rota import Rota
from submeter.store.errors import StoreError
from submeter.store.inbox import Inbox

__all__ = ["BusCollector", "BusSettings"]

BACKOFF_S: Final = (1.0, 60.0)
TICK_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class BusSettings:
    """A bus: `url` as of a serial port, `meters` whom to read every `interval_s`; `echo` None: find out."""

    name: str
    url: str
    meters: tuple[Address, ...]
    gateway: str
    timing: Timing = field(default_factory=Timing)
    echo: bool | None = None
    interval_s: float = 900.0


class BusCollector:
    """Reads one bus into the inbox file; `failed` counts reads by reason. `on_event` is told of changes by name and sentence, from the collector's thread."""

    def __init__(self, settings: BusSettings, inbox_path: Path, on_event: Callable[[str, str], None]) -> None:
        self.settings = settings
        self.counters = Counters()
        self.failed: Counter[str] = Counter()
        self._inbox_path = inbox_path
        self._reporter = Reporter(on_event)
        self._backoff = Backoff(*BACKOFF_S)
        self._keeper = Keeper(self.counters, self._reporter)
        self._rota = Rota(settings.name, settings.meters, settings.interval_s, on_event, "check supply, wiring and baud")

    def run(self, stop: threading.Event) -> None:
        """Read until `stop` is set; survives a line that goes away and a disk that is full."""
        while not stop.is_set():
            try:
                with Inbox(self._inbox_path) as inbox, closing(opened(self.settings.url, self.settings.timing.baud, even=True)) as port:
                    self._poll(Master(port, self.settings.timing, self.settings.echo), inbox, stop)
            except StoreError as error:
                self._reporter.tell("inbox_write_failed", str(error))
            except (OSError, ValueError, termios.error) as error:
                self._reporter.tell("port_lost", f"{self.settings.url}: {error}")
            self.counters.connected = False
            stop.wait(self._backoff.wait_s())

    def _poll(self, master: Master, inbox: Inbox, stop: threading.Event) -> None:
        self.counters.connected = True
        self.counters.connections += 1
        self._reporter.tell("port_connected", self.settings.url)
        while not stop.is_set():
            self._keeper.keep(inbox, "port_connected", self.settings.url)
            address = self._rota.due()
            if address is None:
                stop.wait(TICK_S)
            else:
                self._read(master, address)

    def _read(self, master: Master, address: Address) -> None:
        try:
            pages = master.read(address)
        except PollError as error:
            self.failed[error.reason] += 1
            self._rota.missed(address, error)
            return
        self._backoff.reset()
        self.counters.bytes += sum(map(len, pages))
        self._keeper.take([pages_message(self.settings.name, self.settings.gateway, pages, now_us())])
        self._rota.answered(address)
