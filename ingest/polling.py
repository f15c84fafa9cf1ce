"""What a collector that asks does: it reads the meters of one line in turn into the inbox (ingest/SERIAL.md 2, 3).

Strategy: one thread a line, one read at a time, in the order of the rota. A collector says how its line is opened and what one read is.
Rules: a read is one message with one instant, or nothing; a line that is gone is told, and opened again after a pause that doubles up to a minute; a read that the
line's end broke off is tried again then.
"""

import termios
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Generic

from submeter.ingest.common import Backoff, Counters, OnEvent, Reporter
from submeter.ingest.errors import PollError
from submeter.ingest.keeper import Keeper
from submeter.ingest.rota import Meter, Rota
from submeter.store.errors import StoreError
from submeter.store.inbox import Inbox, Message

__all__ = ["Polling"]

BACKOFF_S: Final = (1.0, 60.0)
TICK_S: Final = 0.2


class Polling(ABC, Generic[Meter]):
    """Reads one line into the inbox file; `failed` counts reads by reason. `on_event` is told of changes by name and sentence, from the collector's thread."""

    def __init__(self, name: str, url: str, meters: Sequence[Meter], interval_s: float, inbox_path: Path, on_event: OnEvent, advice: str) -> None:
        self.counters = Counters()
        self.failed: Counter[str] = Counter()
        self._url = url
        self._inbox_path = inbox_path
        self._reporter = Reporter(on_event)
        self._backoff = Backoff(*BACKOFF_S)
        self._keeper = Keeper(self.counters, self._reporter)
        self._rota = Rota(name, meters, interval_s, on_event, advice)

    @abstractmethod
    def _line(self) -> AbstractContextManager[Callable[[Meter], Message]]:
        """Open the line; what it gives reads one meter, and raises PollError, or OSError when the line is gone."""

    def run(self, stop: threading.Event) -> None:
        """Read until `stop` is set; survives a line that goes away and a disk that is full."""
        while not stop.is_set():
            try:
                with Inbox(self._inbox_path) as inbox, self._line() as read:
                    self._poll(read, inbox, stop)
            except StoreError as error:
                self._reporter.tell("inbox_write_failed", str(error))
            except (OSError, ValueError, termios.error) as error:  # pyserial's errors are OSErrors; a wrong address is a ValueError
                self._reporter.tell("port_lost", f"{self._url}: {error}")
            self.counters.connected = False
            stop.wait(self._backoff.wait_s())

    def _poll(self, read: Callable[[Meter], Message], inbox: Inbox, stop: threading.Event) -> None:
        self.counters.connected = True
        self.counters.connections += 1
        self._reporter.tell("port_connected", self._url)
        while not stop.is_set():
            self._keeper.keep(inbox, "port_connected", self._url)
            meter = self._rota.due()
            if meter is None:
                stop.wait(TICK_S)
            else:
                self._read(read, meter)

    def _read(self, read: Callable[[Meter], Message], meter: Meter) -> None:
        try:
            message = read(meter)
        except PollError as error:
            self.failed[error.reason] += 1
            self._rota.missed(meter, error)
            return
        self._backoff.reset()
        self._keeper.take([message])
        self._rota.answered(meter)
