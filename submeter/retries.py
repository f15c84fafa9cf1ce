"""Jobs that the disk or a store refused, and when each is tried again: nobody waits for the next hour, or for an operator, once there is room again.

Rules: tried again after 10 s, then after twice as long each time, up to five minutes; never while the data folder takes no write. What a store did not refuse
(a fault in a job) is not tried again: its schedule has to do.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from submeter.ingest.room import Writes
from submeter.store import StoreError

__all__ = ["Retries"]

FIRST_S: Final = 10.0
LONGEST_S: Final = 300.0
PASSING: Final = (StoreError, OSError)


class Retries:
    """The jobs that wait for another try; owned by the core's thread. `clock` counts seconds."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._writes = Writes(folder, clock)
        self._clock = clock
        self._waiting: dict[str, tuple[float, float]] = {}

    def ended(self, name: str, error: Exception | None = None) -> None:
        """A job has run: what refused it decides whether it is tried again."""
        _, before = self._waiting.pop(name, (0.0, FIRST_S / 2))
        if isinstance(error, PASSING):
            pause = min(before * 2, LONGEST_S)
            self._waiting[name] = self._clock() + pause, pause

    def due(self) -> Iterator[str]:
        """The jobs to be tried now."""
        moment = self._clock()
        names = [name for name, (at, _) in self._waiting.items() if at <= moment]
        if names and self._writes.again():
            yield from names
