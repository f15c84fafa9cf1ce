"""How much a simulated meter has counted at any instant: a pure integer function, so that the truth is known exactly.

Strategy: each year uses exactly `annual`; a cached table spreads it over the year's days (season times a noise hashed from the seed), a
profile over the hours of the day, evenly within the hour.  Every step is an integer division of a rising number, so the index never falls.
Years, days and hours are UTC, or `east` of it by whole hours: a simulated household does not mind its summer time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from types import MappingProxyType
from typing import Final

SECOND: Final = 1_000_000
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
_EPOCH: Final = date(1970, 1, 1).toordinal()
_FIRST_YEAR: Final = 2020
_ORIGIN: Final = (date(_FIRST_YEAR, 1, 1).toordinal() - _EPOCH) * DAY


@dataclass(frozen=True, slots=True)
class Shape:
    """Weights of the twelve months and of the 24 hours."""

    months: tuple[int, ...]
    hours: tuple[int, ...]


SHAPES: Final[Mapping[str, Shape]] = MappingProxyType({
    "even": Shape((1,) * 12, (1,) * 24),
    "water": Shape((9, 9, 9, 10, 10, 11, 11, 11, 10, 10, 9, 9), (1, 0, 0, 0, 1, 4, 9, 8, 5, 4, 3, 3, 4, 3, 3, 3, 4, 6, 8, 9, 8, 6, 4, 2)),
    "heating": Shape((20, 17, 13, 7, 2, 0, 0, 0, 2, 8, 14, 18), (2, 2, 2, 3, 4, 7, 8, 8, 7, 6, 5, 5, 5, 5, 5, 5, 6, 7, 8, 8, 7, 5, 4, 3)),
    "cooling": Shape((0, 0, 0, 1, 4, 10, 14, 13, 5, 0, 0, 0), (1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 7, 8, 9, 9, 9, 9, 8, 7, 6, 5, 4, 3, 2, 1)),
})  # fmt: skip


def hashed(*parts: object) -> int:
    """64 bits that depend on the parts alone: the simulator's only source of variety."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest())


@dataclass(frozen=True, slots=True)
class Use:
    """A household's use of one thing: `annual` micro units a year on top of `start` at the beginning of 2020.

    `east`: hours by which its day begins before that of UTC. A leak runs from `leak_from` (µs UTC) on with `leak` micro units an hour beside all else.
    """

    seed: int
    shape: str
    annual: int
    start: int = 0
    east: int = 0
    leak_from: int = 0
    leak: int = 0

    def index(self, t: int) -> int:
        """Micro units counted at `t` (µs UTC); `start` for every instant before 2020."""
        local = t + self.east * HOUR
        if local <= _ORIGIN:
            return self.start
        base, amount, within = self._day(local)
        hours, profile, whole = _profile(self.shape)
        hour, rest = divmod(within, HOUR)
        leaked = self.leak * max(t - self.leak_from, 0) // HOUR
        return self.start + base + amount * (hours[hour] * HOUR + profile[hour] * rest) // (whole * HOUR) + leaked

    def rate(self, t: int) -> int:
        """Micro units per hour at `t`, constant within each UTC hour."""
        _, amount, within = self._day(max(t + self.east * HOUR, _ORIGIN))
        _, profile, whole = _profile(self.shape)
        return amount * profile[within // HOUR] // whole + (self.leak if t >= self.leak_from else 0)

    def _day(self, t: int) -> tuple[int, int, int]:
        """Use since 2020 at the start of `t`'s day, the day's use, and how far into the day `t` is."""
        days, within = divmod(t, DAY)
        year = date.fromordinal(_EPOCH + days).year
        first, table = _year(self, year)
        start, end = table[days - first : days - first + 2]
        return (year - _FIRST_YEAR) * self.annual + start, end - start, within


@lru_cache(maxsize=16384)
def _year(use: Use, year: int) -> tuple[int, tuple[int, ...]]:
    """Number of the year's first day since 1970; use since then at the start of each of its days, and at its end."""
    first, end = date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()
    months = SHAPES[use.shape].months
    weights = (months[date.fromordinal(day).month - 1] * (500 + hashed(use.seed, day) % 1001) for day in range(first, end))
    sums = list(accumulate(weights, initial=0))
    return first - _EPOCH, tuple(use.annual * part // sums[-1] for part in sums)


@lru_cache
def _profile(shape: str) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Cumulated hour weights, the weights, their sum."""
    hours = SHAPES[shape].hours
    return tuple(accumulate(hours, initial=0)), hours, sum(hours)
