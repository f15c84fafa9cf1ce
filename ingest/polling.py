"""What a collector that asks does: it reads the meters of one line in turn into the inbox (ingest/SERIAL.md 2 to 4).

Strategy: one thread a line, one read at a time, in the order of the schedule (schedule.py); what an operator asks for (`ask`) comes before all of it. A
collector says how its line is opened and what one read is.
Rules: a read is one message with one instant, or nothing; a line that is gone is told, and opened again after a pause that doubles up to a minute. A meter that
fails three times in a row is told; a line on which nobody answered a whole round is one event, not one for each meter.
"""

import queue
import termios
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic

from submeter.ingest.common import Backoff, Counters, OnEvent, Reporter
from submeter.ingest.errors import PollError
from submeter.ingest.keeper import Keeper
from submeter.ingest.schedule import OVERDUE, Key, Meter, Schedule
from submeter.store.errors import StoreError
from submeter.store.inbox import Inbox, Message

__all__ = ["OpenLine", "Polling", "Read", "Watch"]

BACKOFF_S: Final = (1.0, 60.0)
TICK_S: Final = 0.2
#: Shares of the time: above the first a line has too many meters, or too short an interval, for its speed; below the second that is over.
FULL, EASED = 0.7, 0.5


class OpenLine(ABC, Generic[Key]):
    """A line that can be asked; `mute`: nothing at all comes any more, so that it is better opened anew."""

    mute = False

    @abstractmethod
    def read(self, meter: Meter[Key]) -> Message:
        """Read one meter; raises PollError, or OSError when the line is gone."""

    @abstractmethod
    def close(self) -> None:
        """Leave it."""


@dataclass(slots=True)
class Read(Generic[Key]):
    """A read that somebody waits for; its message, or its error, is there when `done` is set."""

    meter: Meter[Key]
    done: threading.Event = field(default_factory=threading.Event)
    message: Message | None = None
    error: PollError | None = None


class Watch(Generic[Key]):
    """What of a line is told: `advice` is what to look at when none of the meters answers. The first answer after the start is told too: it ends older events."""

    def __init__(self, meters: Sequence[Meter[Key]], on_event: OnEvent, advice: str) -> None:
        self._count = len(meters)
        self._on_event = on_event
        self._advice = advice
        self._round: set[Meter[Key]] = set()
        self._silent: bool | None = None  # not known before the first answer or the first round
        self._overdue: dict[Meter[Key], bool] = {}
        self._full = False

    def answered(self, meter: Meter[Key]) -> None:
        """It was read."""
        self._round.clear()
        if self._silent is not False:
            self._silent = False
            self._on_event("bus_connected", f"{meter} answers")
        if self._overdue.get(meter) is not False:
            self._overdue[meter] = False
            self._on_event("meter_connected", f"{meter} answers", str(meter.address))

    def missed(self, meter: Meter[Key], misses: int, error: PollError) -> None:
        """It was asked and not read, so many times in a row."""
        self._round.add(meter)
        nobody = len(self._round) == self._count > 1
        if nobody and not self._silent:
            self._silent = True
            self._on_event("bus_silent", f"none of {self._count} meters answers: {self._advice}; {error}")
        elif misses >= OVERDUE and not nobody and not self._overdue.get(meter):
            self._overdue[meter] = True
            self._on_event("meter_overdue", f"{meter} failed {misses} times in a row, at last {error}", str(meter.address))

    def busy(self, load: float) -> None:
        """Reads take this share of the time."""
        if load > FULL and not self._full:
            self._on_event("bus_full", f"reading takes {load:.0%} of the time: a longer interval, a higher baud rate or a second line")
        elif load < EASED and self._full:
            self._on_event("bus_eased", f"reading takes {load:.0%} of the time")
        self._full = load > FULL or (self._full and load >= EASED)


class Polling(ABC, Generic[Key]):
    """Reads one line into the inbox file; `on_event` is told of changes by name and sentence, from the collector's thread."""

    def __init__(self, url: str, meters: Sequence[Meter[Key]], interval_s: float, inbox_path: Path, on_event: OnEvent, advice: str) -> None:
        self.counters = Counters()
        self._url = url
        self._meters = meters
        self._inbox_path = inbox_path
        self._reporter = Reporter(on_event)
        self._backoff = Backoff(*BACKOFF_S)
        self._keeper = Keeper(self.counters, self._reporter)
        self._schedule = Schedule(meters, interval_s, time.monotonic(), time.time())
        self._watch = Watch(meters, on_event, advice)
        self._asked: queue.SimpleQueue[Read[Key]] = queue.SimpleQueue()

    @abstractmethod
    def _open(self) -> OpenLine[Key]:
        """Open the line; raises OSError, or ValueError for an address that is none."""

    def ask(self, address: Key) -> Read[Key]:
        """Have this meter read before all others; from any thread."""
        known = (one for one in self._meters if one.address == address)
        read = Read(next(known, Meter(address)))
        self._asked.put(read)
        return read

    def run(self, stop: threading.Event) -> None:
        """Read until `stop` is set; survives a line that goes away and a disk that is full."""
        while not stop.is_set():
            try:
                with Inbox(self._inbox_path) as inbox, closing(self._open()) as line:
                    self._poll(line, inbox, stop)
            except StoreError as error:
                self._reporter.tell("inbox_write_failed", str(error))
            except ConnectionRefusedError as error:
                self._reporter.tell("port_refused", f"{self._url}: {error}: many gateways take one client only; is another one connected?")
            except (OSError, ValueError, termios.error) as error:  # pyserial's errors are OSErrors
                self._reporter.tell("port_lost", f"{self._url}: {error}")
            self.counters.connected = False
            stop.wait(self._backoff.wait_s())

    def _poll(self, line: OpenLine[Key], inbox: Inbox, stop: threading.Event) -> None:
        """Read until the end, or until the line is mute: that is told by those who do not answer."""
        self.counters.connected = True
        self.counters.connections += 1
        self._reporter.tell("port_connected", self._url)
        while not stop.is_set() and not line.mute:
            self._keeper.keep(inbox, "port_connected", self._url)
            if asked := self._next_asked():
                self._answer(line, asked)
            elif meter := self._schedule.next(time.monotonic()):
                self._try(line, meter)
            else:
                stop.wait(TICK_S)

    def _next_asked(self) -> Read[Key] | None:
        try:
            return self._asked.get_nowait()
        except queue.Empty:
            return None

    def _answer(self, line: OpenLine[Key], asked: Read[Key]) -> None:
        """Read what somebody waits for; a line that is lost meanwhile is an answer too."""
        try:
            asked.message = self._read(line, asked.meter)
        except PollError as error:
            asked.error = error
        except (OSError, termios.error) as error:
            asked.error = PollError("timeout", f"the line was lost: {error}")
            raise
        finally:
            asked.done.set()

    def _try(self, line: OpenLine[Key], meter: Meter[Key]) -> None:
        """One read of the schedule."""
        begin = time.monotonic()
        failure: PollError | None = None
        try:
            self._read(line, meter)
        except PollError as error:
            failure = error
        now = time.monotonic()
        misses = self._schedule.tried(meter, now - begin, now, time.time(), answered=failure is None)
        if failure is None:
            self._watch.answered(meter)
        else:
            self._watch.missed(meter, misses, failure)
        self._watch.busy(self._schedule.load)

    def _read(self, line: OpenLine[Key], meter: Meter[Key]) -> Message:
        """One read, counted, on its way to the inbox; raises PollError or OSError."""
        begun = time.perf_counter()
        try:
            message = line.read(meter)
        except PollError as error:
            self.counters.polls[error.reason] += 1
            raise
        finally:
            self.counters.poll_s.add(time.perf_counter() - begun)
        self.counters.polls["answered"] += 1
        self._backoff.reset()
        self._keeper.take([message])
        return message
