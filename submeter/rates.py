"""How often a principal may ask: a bucket of tokens for each principal and class of cost, in memory (portal API 7).

Rules: a bucket holds twice what it gets in a minute; a request takes one; who finds none is told when the next one comes. Routes of sign-in have no bucket, since
nobody is known there: they are throttled by what is guessed (flows/).
"""

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["BURST", "RATES", "Cost", "Rates"]

#: c cheap, r read, w write, e export; p what a gateway pushes.
Cost = Literal["c", "r", "w", "e", "p"]
#: Requests a minute.
RATES: Final[Mapping[Cost, int]] = MappingProxyType({"c": 600, "r": 120, "w": 30, "e": 6})
BURST: Final = 2
#: So many buckets are kept; then those that are full again go.
MOST: Final = 20_000


class Rates:
    """Buckets for `rates` requests a minute of each class; 0 is no limit."""

    def __init__(self, rates: Mapping[Cost, int] = RATES) -> None:
        self._rates = rates
        self._buckets: dict[tuple[str, Cost], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, who: str, cost: Cost, now: float) -> float:
        """Take a token at `now` (seconds); 0 if there was one, else in how many seconds there will be."""
        rate = self._rates[cost] / 60
        if not rate:
            return 0.0
        with self._lock:
            left, since = self._buckets.get((who, cost), (rate * 60 * BURST, now))
            left = min(left + max(now - since, 0.0) * rate, rate * 60 * BURST)
            self._buckets[who, cost] = (left - 1 if left >= 1 else left, now)
            if len(self._buckets) > MOST:
                self._forget(now)
        return 0.0 if left >= 1 else (1 - left) / rate

    def _forget(self, now: float) -> None:
        """Buckets that nobody asked for in two minutes are full again: not to have them is the same."""
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if now - bucket[1] < 60 * BURST}
