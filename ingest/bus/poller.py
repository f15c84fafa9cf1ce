"""The bus collector: reads the meters of one wired M-Bus in turn (ingest/SERIAL.md 2).

Strategy: one thread a bus, one read at a time, in the order of the schedule (schedule.py), each meter at its own speed; a meter that fails three times
in a row is told and asked less often, until it answers. What an operator asks for (`ask`) comes before all of it.
Rules: all pages of a read are one message with one instant, or nothing; a bus on which nobody answered a whole round is one event, not one for each meter;
a gateway from which three reads brought no byte is connected anew, since a connection that is half open looks like silent meters.
"""

import queue
import termios
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from submeter.ingest.bus.frames import Address
from submeter.ingest.bus.master import Master, PollError, Timing
from submeter.ingest.bus.schedule import OVERDUE, Meter, Schedule
from submeter.ingest.common import Backoff, Counters, OnEvent, Reporter, now_us
from submeter.ingest.keeper import Keeper, pages_message
from submeter.ingest.ports import opened
from submeter.store.errors import StoreError
from submeter.store.inbox import Inbox

__all__ = ["BusCollector", "BusSettings", "Read"]

BACKOFF_S: Final = (1.0, 60.0)
TICK_S: Final = 0.2
#: Reads in a row without a single byte after which a gateway is connected anew.
MUTE: Final = 3
#: The share of the time above which a bus has too many meters, or too short an interval, for its speed.
FULL: Final = 0.7


@dataclass(frozen=True, slots=True)
class BusSettings:
    """A bus: `url` as of a serial port, `meters` whom to read every `interval_s`; `echo` None: find out."""

    name: str
    url: str
    meters: tuple[Meter, ...]
    gateway: str
    timing: Timing = field(default_factory=Timing)
    echo: bool | None = None
    interval_s: float = 900.0


@dataclass(slots=True)
class Read:
    """A read that somebody waits for; its pages, or its error, are there when `done` is set."""

    meter: Meter
    done: threading.Event = field(default_factory=threading.Event)
    pages: list[bytes] = field(default_factory=list)
    error: PollError | None = None


class _MuteError(ConnectionError):
    """A gateway that says nothing."""


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
        self._schedule = Schedule(settings.meters, settings.interval_s, settings.timing.baud, time.monotonic(), time.time())
        self._asked: queue.SimpleQueue[Read] = queue.SimpleQueue()
        self._round: set[Meter] = set()
        self._silent: bool | None = None  # not known before the first answer or the first round
        self._overdue: dict[Meter, bool] = {}
        self._full = False
        self._mute = 0

    def ask(self, address: Address) -> Read:
        """Have this meter read before all others; from any thread."""
        known = (one for one in self.settings.meters if one.address == address)
        read = Read(next(known, Meter(address)))
        self._asked.put(read)
        return read

    def run(self, stop: threading.Event) -> None:
        """Read until `stop` is set; survives a line that goes away and a disk that is full."""
        while not stop.is_set():
            try:
                with Inbox(self._inbox_path) as inbox, closing(opened(self.settings.url, self.settings.timing.baud, even=True)) as port:
                    self._poll(Master(port, self.settings.timing, self.settings.echo), inbox, stop)
            except StoreError as error:
                self._reporter.tell("inbox_write_failed", str(error))
            except _MuteError:
                pass  # bus_silent and meter_overdue tell what there is to tell
            except ConnectionRefusedError as error:
                self._reporter.tell("port_refused", f"{self.settings.url}: {error}: many gateways take one client only; is another one connected?")
            except (OSError, ValueError, termios.error) as error:
                self._reporter.tell("port_lost", f"{self.settings.url}: {error}")
            self.counters.connected = False
            stop.wait(self._backoff.wait_s())

    def _poll(self, master: Master, inbox: Inbox, stop: threading.Event) -> None:
        self.counters.connected = True
        self.counters.connections += 1
        self._mute = 0
        self._reporter.tell("port_connected", self.settings.url)
        while not stop.is_set():
            self._keeper.keep(inbox, "port_connected", self.settings.url)
            if asked := self._next_asked():
                self._answer(master, asked)
            elif meter := self._schedule.next(master.timing.baud, time.monotonic()):
                self._read(master, meter)
            else:
                stop.wait(TICK_S)

    def _next_asked(self) -> Read | None:
        try:
            return self._asked.get_nowait()
        except queue.Empty:
            return None

    def _answer(self, master: Master, asked: Read) -> None:
        """Read what somebody waits for; a line that is lost meanwhile is an answer too."""
        try:
            asked.pages = self._pages(master, asked.meter)
        except PollError as error:
            asked.error = error
        except (OSError, termios.error) as error:
            asked.error = PollError("timeout", f"the line was lost: {error}")
            raise
        finally:
            asked.done.set()

    def _read(self, master: Master, meter: Meter) -> None:
        """One read of the schedule."""
        begin, before = time.monotonic(), master.received
        failure: PollError | None = None
        try:
            self._pages(master, meter)
        except PollError as error:
            failure = error
        now = time.monotonic()
        misses = self._schedule.tried(meter, now - begin, now, time.time(), answered=failure is None)
        if failure is None:
            self._heard(meter)
        else:
            self._missed(meter, misses, failure)
        self._look_at_load()
        self._mute = self._mute + 1 if master.received == before else 0
        if self._mute >= MUTE and "://" in self.settings.url:
            raise _MuteError

    def _pages(self, master: Master, meter: Meter) -> list[bytes]:
        """All pages of a meter, at its speed, on their way to the inbox; raises PollError."""
        master.speed(self._schedule.baud(meter))
        begun = time.perf_counter()
        try:
            pages = master.read(meter.address)
        except PollError as error:
            self.counters.polls[error.reason] += 1
            raise
        finally:
            self.counters.poll_s.add(time.perf_counter() - begun)
        self.counters.polls["answered"] += 1
        self._backoff.reset()
        self.counters.bytes += sum(map(len, pages))
        self._keeper.take([pages_message(self.settings.name, self.settings.gateway, pages, now_us())])
        return pages

    def _heard(self, meter: Meter) -> None:
        self._round.clear()
        if self._silent is not False:
            self._silent = False
            self._on_event("bus_connected", f"{meter} answers")
        if self._overdue.get(meter) is not False:
            self._overdue[meter] = False
            self._on_event("meter_connected", f"{meter} answers", str(meter))

    def _missed(self, meter: Meter, misses: int, error: PollError) -> None:
        self._round.add(meter)
        nobody = len(self._round) == len(self.settings.meters) > 1
        if nobody and not self._silent:
            self._silent = True
            self._on_event("bus_silent", f"none of {len(self._round)} meters answers: check supply, wiring and baud; {error}")
        elif misses >= OVERDUE and not nobody and not self._overdue.get(meter):
            self._overdue[meter] = True
            self._on_event("meter_overdue", f"{meter} failed {misses} times in a row, at last {error}", str(meter))

    def _look_at_load(self) -> None:
        load = self._schedule.load
        if load > FULL and not self._full:
            self._on_event("bus_full", f"reading takes {load:.0%} of the time: a longer interval, a higher baud rate or a second line")
        self._full = load > FULL
