"""Rows of one gauge from its readings in use, exactly (SPEC 9): the definition that the column path must equal.

A pair of neighbouring readings is bridged if it has a length not above `max_gap`; the mean of a bucket is the integral over what is bridged in it,
divided by how long that is.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from submeter import civil
from submeter.aggregate.events import Sample
from submeter.aggregate.parameters import SeriesSpec
from submeter.aggregate.rows import WHOLE, Row
from submeter.reading import LEVELS


def gauge_levels(kept: Sequence[Sample], spec: SeriesSpec) -> Iterator[tuple[int, Row]]:
    """Rows of all levels, each with the number of its level; none without readings."""
    for level, name in enumerate(LEVELS if kept else ()):
        bounds = civil.boundaries(spec.zone, name, kept[0].t, kept[-1].t + 1, spec.parameters.year_start).tolist()
        rows = gauge_rows(kept, bounds, spec.parameters.max_gap, hold=spec.parameters.mode == "hold")
        yield from ((level, row) for row in rows)


def gauge_rows(kept: Sequence[Sample], bounds: Sequence[int], max_gap: int, *, hold: bool) -> Iterator[Row]:
    """A row for each pair of neighbouring `bounds` that holds a reading or a bridged stretch; null mean where nothing is bridged."""
    instants = [sample.t for sample in kept]
    for start, end in pairwise(bounds):
        values = [sample.v for sample in kept[bisect_left(instants, start) : bisect_left(instants, end)] if sample.v is not None]
        touching = kept[max(bisect_right(instants, start) - 1, 0) : bisect_left(instants, end) + 1]
        bridged = [(a, b) for a, b in pairwise(touching) if 0 < b.t - a.t <= max_gap]
        covered = sum(min(b.t, end) - max(a.t, start) for a, b in bridged)
        if not values and not covered:
            continue
        integral = sum((_area(a, b, max(a.t, start), min(b.t, end), hold=hold) for a, b in bridged), Fraction(0))
        mean = round(integral / covered) if covered else None
        low, high = (round(min(values)), round(max(values))) if values else (None, None)
        yield Row(start, end, mean, low, high, len(values), round(Fraction(WHOLE * covered, end - start)))


def _area(a: Sample, b: Sample, start: int, end: int, *, hold: bool) -> Fraction:
    """Integral from `start` to `end` of the line from `a` to `b`, or of a's value."""
    left, right = a.v, b.v
    assert left is not None
    assert right is not None
    if hold:
        return Fraction(left * (end - start))
    slope = Fraction(right - left, b.t - a.t)
    heights = 2 * left + slope * (start - a.t + end - a.t)
    return heights * (end - start) / 2
