"""The bus collector: reads the meters of one wired M-Bus in turn (ingest/SERIAL.md 2).

Strategy: one thread a bus, one read at a time. Each meter has its place in the interval by its address, so that the load is even; a meter that fails three
times in a row is told and asked less often, up to once an hour, until it answers.
Rules: all pages of a read are one message with one instant, or nothing; a bus on which nobody answered a whole round is one event, not one for each meter.
"""

import hashlib
import heapq
import termios
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from submeter.ingest.bus.frames import Address
from submeter.ingest.bus.master import Master, PollError, Timing
from submeter.ingest.common import Backoff, Counters, OnEvent, Reporter, now_us
from submeter.ingest.keeper import Keeper, pages_message
from submeter.ingest.ports import opened
from submeter.store.errors import StoreError
from submeter.store.inbox import Inbox

__all__ = ["BusCollector", "BusSettings"]

BACKOFF_S: Final = (1.0, 60.0)
#: Failed reads in a row after which a meter is told, and asked less often.
OVERDUE: Final = 3
RARELY_S: Final = 3600.0
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
    """Reads one bus into the inbox file; `on_event` is told of changes by name and sentence, from the collector's thread."""

    def __init__(self, settings: BusSettings, inbox_path: Path, on_event: OnEvent) -> None:
        self.settings = settings
        self.counters = Counters()
        self._on_event = on_event
        self._inbox_path = inbox_path
        self._reporter = Reporter(on_event)
        self._backoff = Backoff(*BACKOFF_S)
        self._keeper = Keeper(self.counters, self._reporter)
        self._misses: Counter[Address] = Counter()
        self._round: set[Address] = set()
        self._silent: bool | None = None  # not known before the first answer or the first round
        self._overdue: dict[Address, bool] = {}
        begin = time.monotonic()
        self._due = [(begin + _phase(one, settings.interval_s), number, one) for number, one in enumerate(settings.meters)]
        heapq.heapify(self._due)

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
            if not self._due or self._due[0][0] > time.monotonic():
                stop.wait(TICK_S)
                continue
            due, number, address = self._due[0]
            heapq.heapreplace(self._due, (max(due, time.monotonic() - self.settings.interval_s) + self._wait_s(address), number, address))
            self._read(master, address)

    def _read(self, master: Master, address: Address) -> None:
        begun = time.perf_counter()
        try:
            pages = master.read(address)
        except PollError as error:
            self._missed(address, error)
            return
        finally:
            self.counters.poll_s.add(time.perf_counter() - begun)
        self.counters.polls["answered"] += 1
        self._backoff.reset()
        self.counters.bytes += sum(map(len, pages))
        self._keeper.take([pages_message(self.settings.name, self.settings.gateway, pages, now_us())])
        self._misses.pop(address, None)
        self._round.clear()
        if self._silent is not False:
            self._silent = False
            self._on_event("bus_connected", f"{address} answers")
        if self._overdue.get(address) is not False:
            self._overdue[address] = False
            self._on_event("meter_connected", f"{address} answers", str(address))

    def _missed(self, address: Address, error: PollError) -> None:
        self.counters.polls[error.reason] += 1
        self._misses[address] += 1
        self._round.add(address)
        nobody = len(self._round) == len(self.settings.meters) > 1
        if nobody and not self._silent:
            self._silent = True
            self._on_event("bus_silent", f"none of {len(self._round)} meters answers: check supply, wiring and baud; {error}")
        elif self._misses[address] >= OVERDUE and not nobody and not self._overdue.get(address):
            self._overdue[address] = True
            self._on_event("meter_overdue", f"{address} failed {self._misses[address]} times in a row, at last {error}", str(address))

    def _wait_s(self, address: Address) -> float:
        """Until the next read: the interval, doubled for each failure beyond three, at most an hour."""
        beyond = min(max(self._misses[address] - OVERDUE, 0), 16)
        return max(self.settings.interval_s, min(self.settings.interval_s * float(1 << beyond), RARELY_S))


def _phase(address: Address, interval_s: float) -> float:
    """A meter's place in the interval, the same after every start."""
    drawn = int.from_bytes(hashlib.blake2b(str(address).encode(), digest_size=4).digest(), "big")
    return drawn / 2**32 * interval_s
