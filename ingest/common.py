"""What the collectors have in common: what they count, how they tell of trouble, how long they wait after it."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from submeter.store.inbox import Message

__all__ = ["Backoff", "Counters", "OnEvent", "Reporter", "Spread", "now_us"]

#: Bounds of commits and of reads of a bus, seconds; of the messages of a commit.
COMMIT_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)
POLL_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
BATCH: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)


class OnEvent(Protocol):
    """Told of an event by name, with a sentence; names are those of ingest/INBOX.md 10, and `…_connected` when all is well again (telling.py)."""

    def __call__(self, event: str, detail: str, about: str = "", /) -> None:
        """`about` is the one meter of a source that it is about."""


@dataclass(slots=True)
class Spread:
    """How many values there were up to each bound, and their sum; written by one thread, read by anyone."""

    bounds: Sequence[float]
    total: float = 0.0
    _counts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def upto(self) -> Iterator[tuple[str, float]]:
        """Each bound, the last is +Inf, with the number of values up to it."""
        below = 0
        for bound, count in zip([*map(str, self.bounds), "+Inf"], list(self._counts), strict=True):
            below += count
            yield bound, float(below)


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
    resyncs: int = 0  # times that bytes of a port were given up
    answers: Counter[int] = field(default_factory=Counter)  # of HTTP, by status
    polls: Counter[str] = field(default_factory=Counter)  # of a bus or a Modbus line, by outcome: answered, or why not
    poll_s: Spread = field(default_factory=lambda: Spread(POLL_S))
    commit_s: Spread = field(default_factory=lambda: Spread(COMMIT_S))
    batch: Spread = field(default_factory=lambda: Spread(BATCH))

    def commit(self, append: Callable[[Sequence[Message]], object], messages: Sequence[Message]) -> None:
        """Keep messages by `append`, and count how many they were and how long it took. Raises StoreError as it does."""
        begun = time.perf_counter()
        append(messages)
        self.commit_s.add(time.perf_counter() - begun)
        self.batch.add(len(messages))


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
