"""When which meter of a line is read: even load, one speed at a time, nobody forgotten (ingest/SERIAL.md 2). Pure: it is told what time it is.

Strategy: a meter's place in its interval is drawn from its address and counts from the calendar, so that a restart neither reads it once more nor skips it.
Of those that are due: whoever waits for a whole interval first, then those that answer, then those of the present speed, then the longest wait.
Rules: a meter is not read again within half of its interval, whatever the clock does; after three failures in a row its interval doubles, up to an hour.
A read that breaks off is due at once, behind those that wait.
"""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

__all__ = ["OVERDUE", "Key", "Meter", "Schedule"]

#: Failed reads in a row after which a meter is told, and asked less often.
OVERDUE: Final = 3
RARELY_S: Final = 3600.0

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Meter(Generic[Key]):
    """Whom to read; its own baud rate and interval where they are not those of the line."""

    address: Key
    baud: int | None = None
    interval_s: float | None = None

    def __str__(self) -> str:
        return f"{self.address}{f' @ {self.baud}' if self.baud else ''}"


class Schedule(Generic[Key]):
    """Who is next. `now` is any clock that only goes forward, `calendar` the time of day; both in seconds."""

    def __init__(self, meters: Iterable[Meter[Key]], interval_s: float, now: float, calendar: float) -> None:
        self.misses: Counter[Meter[Key]] = Counter()
        self._interval_s = interval_s
        self._baud: int | None = None  # of the last read
        self._took: dict[Meter[Key], float] = {}
        self._due = {one: now + self._until(one, calendar) for one in meters}

    def next(self, now: float) -> Meter[Key] | None:
        """Whom to read now, None for nobody. Unless `tried` says what became of it, it is due again from now on."""
        due = [one for one, at in self._due.items() if at <= now]
        if not due:
            return None
        first = min(due, key=lambda one: self._rank(one, now))
        self._baud, self._due[first] = first.baud, now
        return first

    def tried(self, meter: Meter[Key], took_s: float, now: float, calendar: float, *, answered: bool) -> int:
        """A read has ended: plan the next one. Returns how many in a row have failed before, or with, this one."""
        before = self.misses[meter]
        self.misses[meter] = 0 if answered else before + 1
        if answered:
            self._took[meter] = took_s
        self._due[meter] = now + self._wait_s(meter, calendar)
        return before if answered else before + 1

    @property
    def load(self) -> float:
        """The share of the time that the line is busy, from how long the last read of each meter that answers took."""
        return sum(took / self._interval(one) for one, took in self._took.items())

    def _rank(self, meter: Meter[Key], now: float) -> tuple[bool, bool, bool, float]:
        at = self._due[meter]
        return (now - at < self._interval(meter), self.misses[meter] >= OVERDUE, meter.baud != self._baud, at)

    def _interval(self, meter: Meter[Key]) -> float:
        return meter.interval_s or self._interval_s

    def _wait_s(self, meter: Meter[Key], calendar: float) -> float:
        interval, until = self._interval(meter), self._until(meter, calendar)
        beyond = min(max(self.misses[meter] - OVERDUE, 0), 16)
        more = min(interval * (float(1 << beyond) - 1), max(RARELY_S - interval, 0.0))
        return until + more + (interval if until < interval / 2 else 0.0)

    def _until(self, meter: Meter[Key], calendar: float) -> float:
        """Seconds to the meter's next place in its interval."""
        drawn = int.from_bytes(hashlib.blake2b(str(meter.address).encode(), digest_size=4).digest(), "big")
        interval = self._interval(meter)
        return (drawn / 2**32 * interval - calendar) % interval
