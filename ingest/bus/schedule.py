"""When which meter of a bus is read: even load, one speed at a time, nobody forgotten (ingest/SERIAL.md 2). Pure: it is told what time it is.

Strategy: a meter's place in its interval is drawn from its address and counts from the calendar, so that a restart neither reads it once more nor skips it.
Of those that are due: whoever waits for an operator first, then whoever waits for a whole interval, then those that answer, then those of the present
speed, then the longest wait.
Rules: a meter is not read again within half of its interval, whatever the clock does; after three failures in a row its interval doubles, up to an hour.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from submeter.ingest.bus.frames import Address

__all__ = ["OVERDUE", "Meter", "Schedule"]

#: Failed reads in a row after which a meter is told, and asked less often.
OVERDUE: Final = 3
RARELY_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Meter:
    """Whom to read; its own baud rate and interval where they are not those of the bus."""

    address: Address
    baud: int | None = None
    interval_s: float | None = None

    def __str__(self) -> str:
        return f"{self.address}{f' @ {self.baud}' if self.baud else ''}"


class Schedule:
    """Who is next. `now` is any clock that only goes forward, `calendar` the time of day; both in seconds."""

    def __init__(self, meters: Iterable[Meter], interval_s: float, baud: int, now: float, calendar: float) -> None:
        self.misses: Counter[Meter] = Counter()
        self._interval_s = interval_s
        self._baud = baud
        self._took: dict[Meter, float] = {}
        self._due = {one: now + self._until(one, calendar) for one in meters}

    def baud(self, meter: Meter) -> int:
        """The speed that it listens at."""
        return meter.baud or self._baud

    def next(self, speed: int, now: float) -> Meter | None:
        """Whom to read now, None for nobody; `speed` is that of the line at present."""
        due = [one for one, at in self._due.items() if at <= now]
        return min(due, key=lambda one: self._rank(one, speed, now), default=None)

    def tried(self, meter: Meter, took_s: float, now: float, calendar: float, *, answered: bool) -> int:
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

    def _rank(self, meter: Meter, speed: int, now: float) -> tuple[bool, bool, bool, float]:
        at = self._due[meter]
        return (now - at < self._interval(meter), self.misses[meter] >= OVERDUE, self.baud(meter) != speed, at)

    def _interval(self, meter: Meter) -> float:
        return meter.interval_s or self._interval_s

    def _wait_s(self, meter: Meter, calendar: float) -> float:
        interval, until = self._interval(meter), self._until(meter, calendar)
        beyond = min(max(self.misses[meter] - OVERDUE, 0), 16)
        more = min(interval * (float(1 << beyond) - 1), max(RARELY_S - interval, 0.0))
        return until + more + (interval if until < interval / 2 else 0.0)

    def _until(self, meter: Meter, calendar: float) -> float:
        """Seconds to the meter's next place in its interval."""
        drawn = int.from_bytes(hashlib.blake2b(str(meter.address).encode(), digest_size=4).digest(), "big")
        interval = self._interval(meter)
        return (drawn / 2**32 * interval - calendar) % interval
