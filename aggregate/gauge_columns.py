"""Rows of many gauges from their readings in use, as columns: SPEC 9 with the results of `gauges`.

Strategy: the doubled integral up to a boundary is a whole number plus ``r/T`` of the pair that holds the boundary; a bucket's is a difference of
two. Whole parts are kept in two halves of 26 bits and the rest, so that years of microseconds do not overflow. The two fractions together are
less than one in size: they decide the rounding only next to a tie, where plain fractions decide (rare).
Limits: readings below LARGEST, one series' instants less than DIVISOR apart; what is outside goes through `gauges`.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from submeter.aggregate.columns import Bools, Grid, Runs, table
from submeter.aggregate.rows import WHOLE
from submeter.aggregate.wide import Ints, half_even, multiply_divide, rounded
from submeter.reading import LEVELS

LARGEST: Final = 2**34
_HALF: Final = 26
_LOW: Final = (1 << _HALF) - 1
_STEP: Final = 13


@dataclass(frozen=True)
class Readings:
    """Readings in use of several gauges, ascending in each; `max_gap` and `hold` say for each series what is bridged, and how."""

    ids: Ints
    offsets: Ints
    max_gap: Ints
    hold: Bools
    t: Ints
    v: Ints

    @cached_property
    def span(self) -> Ints:
        """Time from each reading to the next one if the pair is bridged, else 0."""
        span = np.diff(self.t, append=0)
        span[self.offsets[1:] - 1] = 0
        return np.where(span <= np.repeat(self.max_gap, np.diff(self.offsets)), span, 0)

    @cached_property
    def rise(self) -> Ints:
        """How far the value moves until the next reading; 0 where it is held."""
        return np.where(np.repeat(self.hold, np.diff(self.offsets)) | (self.span == 0), 0, np.diff(self.v, append=0))

    @cached_property
    def bridged(self) -> Ints:
        """Bridged time before each reading."""
        return np.cumsum(self.span) - self.span

    @cached_property
    def area(self) -> "Wide":
        """The doubled integral before each reading."""
        return Wide.product(2 * self.v + self.rise, self.span).before()

    @cached_property
    def runs(self) -> Runs:
        """To find the last reading at or before an instant."""
        return Runs.of(self.ids, self.offsets, self.t)


class Wide(NamedTuple):
    """Numbers ``high · 2**26 + low``."""

    high: Ints
    low: Ints

    @classmethod
    def product(cls, a: Ints, b: Ints) -> "Wide":
        """``a·b`` for b ≥ 0, with low in 0 … 2**26 - 1."""
        low = a * (b & _LOW)
        return cls(a * (b >> _HALF) + (low >> _HALF), low & _LOW)

    def before(self) -> "Wide":
        """Sums over the entries before each one."""
        return Wide(*(np.cumsum(part) - part for part in self))

    def plus(self, other: "Wide", sign: int = 1) -> "Wide":
        """The sum, or with `sign` -1 the difference, with low as in `product`."""
        low = self.low + sign * other.low
        return Wide(self.high + sign * other.high + (low >> _HALF), low & _LOW)

    def divided(self, by: Ints) -> tuple[Ints, Ints]:
        """Quotient and remainder, for a divisor below 2**48."""
        quotient, remainder = divmod(self.high, by)
        for shift in (_STEP, 0):
            step, remainder = divmod((remainder << _STEP) + (self.low >> shift & (1 << _STEP) - 1), by)
            quotient = (quotient << _STEP) + step
        return quotient, remainder


class Marks(NamedTuple):
    """At each boundary: covered time and doubled integral ``area + part/of`` up to it, and the first reading at or after it."""

    u: Ints
    covered: Ints
    high: Ints
    low: Ints
    part: Ints
    of: Ints
    next: Ints

    def at(self, boundaries: Ints) -> "Marks":
        """Some of the boundaries."""
        return Marks._make(column[boundaries] for column in self)


def gauge_tables(readings: Readings, zone: str, year_start: str) -> list[pa.Table]:
    """Rows of all levels, one table a level."""
    first, last = readings.t[readings.offsets[:-1]], readings.t[readings.offsets[1:] - 1]
    return [_table(readings, Grid.of(level, zone, year_start, first, last + 1)) for level in range(len(LEVELS))]


def marks_of(readings: Readings, grid: Grid) -> Marks:
    """What is known at each boundary of a grid."""
    found = readings.runs.place(grid.owner, grid.u)
    begin = readings.offsets[grid.owner]
    at = np.maximum(found, begin)
    span = readings.span[at]
    passed = np.where((found >= begin) & (span > 0), grid.u - readings.t[at], 0)
    of = np.maximum(span, 1)
    rise, rest = multiply_divide(readings.rise[at], passed, of)
    whole, part = multiply_divide(rest, passed, of)
    area = Wide.product(2 * readings.v[at] + rise, passed).plus(Wide(readings.area.high[at], readings.area.low[at] + whole))
    covered = readings.bridged[at] + passed
    return Marks(grid.u, covered, *area, part, of, found + 1 - (readings.t[at] == grid.u))


def _table(readings: Readings, grid: Grid) -> pa.Table:
    marks = marks_of(readings, grid)
    s, e = marks.at(grid.s), marks.at(grid.e)
    covered, n = e.covered - s.covered, e.next - s.next
    low, high = (extreme(function, readings.v, s.next, n > 0) for function in (np.minimum, np.maximum))
    columns: dict[str, Ints | tuple[Ints, Bools]] = {
        "value": (mean_of(s, e, covered), covered > 0),
        "lo": (low, n > 0),
        "hi": (high, n > 0),
        "n": n,
        "coverage": rounded(WHOLE * covered, e.u - s.u),
    }
    return table(readings.runs, grid, columns, rows=(n > 0) | (covered > 0))


def mean_of(s: Marks, e: Marks, covered: Ints) -> Ints:
    """The integral over the covered time between two boundaries, rounded once."""
    by = np.maximum(2 * covered, 1)
    whole, rest = Wide(e.high, e.low).plus(Wide(s.high, s.low), -1).divided(by)
    mean = half_even(whole, rest, by)
    near_tie = (np.abs(2 * rest - by) < 2) & ((s.part > 0) | (e.part > 0)) & (covered > 0)
    for i in np.flatnonzero(near_tie):
        parts = Fraction(int(e.part[i]), int(e.of[i])) - Fraction(int(s.part[i]), int(s.of[i]))
        mean[i] = round(int(whole[i]) + (int(rest[i]) + parts) / int(by[i]))
    return mean


def extreme(function: np.ufunc, v: Ints, first: Ints, filled: Bools) -> Ints:
    """Minimum or maximum over the readings of each bucket, which follow one another without gaps; 0 for an empty one."""
    found = np.zeros(len(first), np.int64)
    if filled.any():
        found[filled] = function.reduceat(v, first[filled])
    return found
