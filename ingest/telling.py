"""What collectors tell, as lines of the log and as events that an operator sees (ingest/INBOX.md 10; docs/events.md).

Strategy: collectors tell from threads of their own, in the core's process or in one that only collects; one thread here writes to the registry, which every
process of an installation may do, so that no collector waits for a disk or a lock. What the registry refuses is written when it takes it again.
Rules: an event ends when its recovery has lasted for a while (`STEADY_S`), and trouble that is back within a day is the same event again, so that what comes
and goes is one event. What was lost for good stays open until somebody closes it. Subjects are `source:NAME`, for one meter of a bus `source:NAME/ADDRESS`.
"""

import queue
import threading
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

import structlog

from submeter import civil
from submeter.config import Data
from submeter.ingest.common import OnEvent, now_us
from submeter.store import Registry, StoreError
from submeter.store.events import Events

__all__ = ["ENDS", "TROUBLE", "Teller"]

log = structlog.get_logger()

#: What is told → the kind of event that it is.
TROUBLE: Final[Mapping[str, str]] = {
    "handover_refused": "drop_refused",
    **dict.fromkeys(("mqtt_disconnected", "mqtt_refused", "port_lost", "http_refused", "drop_lost", "handover_lost", "port_refused"), "source_lost"),
    **{kind: kind for kind in ("inbox_write_failed", "port_stalled", "bus_silent", "meter_overdue", "mqtt_session_taken_over", "bus_full")},
    **dict.fromkeys(("dongle_silent", "dongle_refused"), "dongle_refused"),
    **{kind: kind for kind in ("mqtt_session_lost", "drop_refused")},  # nothing that comes later ends these
}
_CONNECTED: Final = ("source_lost", "inbox_write_failed", "port_stalled", "mqtt_session_taken_over")
#: What is told → the kinds of events that it ends.
ENDS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("mqtt_connected", "port_connected", "http_connected", "drop_connected", "handover_connected"), _CONNECTED),
    "bus_connected": ("bus_silent",),
    "meter_connected": ("meter_overdue",),
    "bus_eased": ("bus_full",),
}
#: How long all must have been well.
STEADY_S: Final = 60.0
RETRY_S: Final = 5.0
#: Changes that wait for the registry; beyond, the oldest go.
MOST: Final = 1000


class _Change(NamedTuple):
    """An event that begins with a sentence at an instant (µs UTC), or ends there; to be written from `due` on (monotonic)."""

    kind: str
    subject: str
    at: int
    detail: str | None
    due: float


class Teller:
    """The events of the collectors of one process, written to the registry; `start` it before them, `stop` it after."""

    def __init__(self, data: Data, steady_s: float = STEADY_S, retry_s: float = RETRY_S) -> None:
        self._data = data
        self._steady_s = steady_s
        self._retry_s = retry_s
        self._told: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._waiting: list[_Change] = []
        self._refused_until = 0.0
        self._thread = threading.Thread(target=self._run, name="events of collectors")

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is due."""
        self._told.put(None)
        self._thread.join()

    def voice(self, source: str) -> OnEvent:
        """What a collector of this name tells its events to, from its own thread."""

        def tell(event: str, detail: str, about: str = "") -> None:
            (log.info if event in ENDS else log.warning)(event, source=source, detail=detail)
            subject, moment = f"source:{source}{f'/{about}' * bool(about)}", time.monotonic()
            if event in TROUBLE:
                self._told.put(_Change(TROUBLE[event], subject, now_us(), f"{source}: {detail}", moment))
            for kind in ENDS.get(event, ()):
                self._told.put(_Change(kind, subject, now_us(), None, moment + self._steady_s))

        return tell

    def _run(self) -> None:
        going = True
        while going:
            try:
                told = self._told.get(timeout=self._wait_s())
            except queue.Empty:
                told = None
            else:
                going = told is not None
            if told is not None:
                self._take(told)
            self._write(last=not going)

    def _wait_s(self) -> float | None:
        """How long nothing is due; None while nothing waits."""
        if not self._waiting:
            return None
        due = max(self._refused_until, min(one.due for one in self._waiting))
        return max(due - time.monotonic(), 0.0)

    def _take(self, told: _Change) -> None:
        """Trouble that is back undoes a recovery that was not written yet; of several recoveries the first counts."""
        recoveries = [one for one in self._waiting if (one.kind, one.subject, one.detail) == (told.kind, told.subject, None)]
        if told.detail is not None or not recoveries:
            self._waiting = [*(one for one in self._waiting if one not in recoveries), told][-MOST:]

    def _write(self, *, last: bool) -> None:
        moment = time.monotonic()
        due = [one for one in self._waiting if one.due <= moment]
        if not due or (moment < self._refused_until and not last):
            return
        try:
            with Registry.of(self._data) as registry, registry.writing():
                for change in due:
                    _apply(registry.events, change)
        except StoreError as error:
            self._refused_until = moment + self._retry_s
            log.warning("events of collectors wait: the registry does not take them", error=str(error))
        else:
            self._waiting = [one for one in self._waiting if one not in due]


def _apply(events: Events, change: _Change) -> None:
    now = now_us()
    if change.detail is None:
        events.settle(change.kind, change.subject, (), now=now, ended=change.at)
        return
    before = events.find(change.kind, change.subject)[-1:]
    same = [one for one in before if one.state == "open" or (one.gone and one.until is not None and one.until > change.at - civil.DAY)]
    events.raise_(change.kind, change.subject, same[0].at if same else change.at, now=now, detail=change.detail)
