"""What the core's thread is doing at this moment, for those who look on: an operator's terminal, `submeter rollup --status`, the log.

Rules: written by the core's thread alone, read by any; a line at a time of the work that takes long, never one for each step.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog

__all__ = ["Work"]

log = structlog.get_logger()

#: Seconds between two lines to the terminal, and between two lines of the log.
TELL_S: Final = 2.0
LOG_S: Final = 30.0


class Work:
    """Name, phase and how far it is; `listener` hears a line every two seconds."""

    def __init__(self) -> None:
        self.name = ""
        self.phase = ""
        self.done, self.all = 0, 0
        self.listener: Callable[[str], None] | None = None
        self._told = self._logged = time.monotonic()

    def begin(self, name: str) -> None:
        """A piece of work starts."""
        self.name, self.phase, self.done, self.all = name, "", 0, 0
        self._told = self._logged = time.monotonic()

    def end(self) -> None:
        """Nothing is under way."""
        self.name = ""

    def step(self, phase: str, done: int, everything: int) -> None:
        """So many of so many are done in this phase."""
        self.phase, self.done, self.all = phase, done, everything
        moment = time.monotonic()
        if self.listener and moment - self._told >= TELL_S:
            self._told = moment
            self.listener(str(self))
        if moment - self._logged >= LOG_S:
            self._logged = moment
            log.info("work goes on", work=self.name, phase=phase, done=done, of=everything)

    def __str__(self) -> str:
        share = f" {self.done} of {self.all} ({100 * self.done // self.all} %)" if self.all else ""
        return ": ".join(part for part in (self.name, f"{self.phase}{share}") if part)
