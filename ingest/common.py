"""What the collectors have in common: what they count, how they tell of trouble, how long they wait after it."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Backoff", "Counters", "OnEvent", "Reporter", "now_us"]

#: Told of an event by name, with a sentence; names are those of ingest/INBOX.md 10, and `…_connected` when all is well again.
OnEvent = Callable[[str, str], None]


@dataclass(slots=True)
class Counters:
    """What a collector did since its start; written by its thread, read by anyone."""

    connected: bool = False
    connections: int = 0
    messages: int = 0
    bytes: int = 0
    redelivered: int = 0
    sessions_lost: int = 0
    failed_commits: int = 0
    dropped_bytes: int = 0
    answers: Counter[int] = field(default_factory=Counter)  # of HTTP, by status
    reads: Counter[str] = field(default_factory=Counter)  # of a wired bus: "read", or the reason of the failure


@dataclass(slots=True)
class Reporter:
    """Tells of each event once, until another one comes."""

    on_event: OnEvent
    last: str = ""

    def tell(self, event: str, detail: str) -> None:
        """Pass the event on unless it is the one told last."""
        if event != self.last:
            self.last = event
            self.on_event(event, detail)


@dataclass(slots=True)
class Backoff:
    """Seconds to wait before the next attempt: doubling from `first` to `longest`, from `first` again after a success."""

    first: float
    longest: float
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start from the shortest wait again."""
        self._next = self.first

    def wait_s(self) -> float:
        """Return the wait of this attempt and double the next one."""
        wait, self._next = self._next, min(self._next * 2, self.longest)
        return wait


def now_us() -> int:
    """Microseconds since 1970, UTC, by this machine's clock."""
    return time.time_ns() // 1000
