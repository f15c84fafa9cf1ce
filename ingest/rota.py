"""Who of a line is read next, and who is told when one does not answer: what the wired bus and Modbus have in common (ingest/SERIAL.md 2).

Rules: each meter has its place in the interval by its name, so that the load is even; a meter that fails three times in a row is told and asked less often, up to
once an hour, until it answers; a line on which nobody answered a whole round is one event, not one for each meter.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

from submeter.ingest.common import OnEvent

__all__ = ["Meter", "Rota"]

#: Failed reads in a row after which a meter is told, and asked less often.
OVERDUE: Final = 3
RARELY_S: Final = 3600.0

Meter = TypeVar("Meter", bound=Hashable)


class Rota(Generic[Meter]):
    """The meters of one line, called by `str`; `name` is that of the line, `advice` what to look at when none of them answers."""

    def __init__(
        self, name: str, meters: Sequence[Meter], interval_s: float, on_event: OnEvent, advice: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._interval_s = interval_s
        self._on_event = on_event
        self._advice = advice
        self._clock = clock
        begin = clock()
        self._due = {one: begin + _phase(str(one)) * interval_s for one in meters}
        self._cadence = dict(self._due)
        self._misses: Counter[Meter] = Counter()
        self._round: set[Meter] = set()
        self._silent = False

    def due(self) -> Meter | None:
        """The meter that has waited longest, if any waits; unless it is told what became of it, it waits on behind the others."""
        first = min(self._due, key=self._due.__getitem__, default=None)
        if first is None or self._due[first] > self._clock():
            return None
        self._due[first] = self._clock()
        return first

    def answered(self, meter: Meter) -> None:
        """It was read."""
        if self._misses.pop(meter, 0) >= OVERDUE:
            self._on_event("meter_connected", f"{self._name}: {meter} answers again")
        self._round.clear()
        self._silent = False
        self._next(meter)

    def missed(self, meter: Meter, error: Exception) -> None:
        """It was asked and not read."""
        self._misses[meter] += 1
        self._round.add(meter)
        nobody = len(self._round) == len(self._due) > 1
        if nobody and not self._silent:
            self._silent = True
            self._on_event("bus_silent", f"{self._name}: none of {len(self._round)} meters answers: {self._advice}; {error}")
        elif self._misses[meter] == OVERDUE and not nobody:
            self._on_event("meter_overdue", f"{self._name}: {meter} failed {OVERDUE} times in a row, at last {error}")
        self._next(meter)

    def _next(self, meter: Meter) -> None:
        """Its next place, after the interval, doubled for each failure beyond three, at most an hour."""
        beyond = min(max(self._misses[meter] - OVERDUE, 0), 16)
        wait_s = max(self._interval_s, min(self._interval_s * float(1 << beyond), RARELY_S))
        self._due[meter] = self._cadence[meter] = max(self._cadence[meter], self._clock() - self._interval_s) + wait_s


def _phase(name: str) -> float:
    """A meter's place in the interval, 0 to 1, the same after every start."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big") / 2**32
