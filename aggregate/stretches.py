"""The classifier over columns: `classify` with the long calm stretches left out, some thirty times as fast, with the same result.

Strategy: a step is calm if the definition books it as it stands whatever came before: both readings usable and real, later, not lower, credible even without
the tolerance of one step of the register, nothing between them. Readings inside a run of calm steps decide nothing unless the classifier looks
at them, so only those near something else are walked over; then the segment that spans each gap is cut at the readings left out.
Rules: each gap must come out as one segment between the two displays, and no decision that looks ahead (confirm window) may have a gap in sight; where that
does not hold, more is walked over, in the end everything. So it is with rating factors from the beginning.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Self

import numpy as np

from submeter.aggregate.classifier import Outcome, classify
from submeter.aggregate.columns import Bools
from submeter.aggregate.counter_columns import LARGEST, listed
from submeter.aggregate.events import UNUSABLE, Sample
from submeter.aggregate.parameters import Number, SeriesSpec
from submeter.aggregate.wide import Ints
from submeter.civil import HOUR
from submeter.reading import Source

__all__ = ["classified", "falls_or_jumps"]

Listed = dict[str, Any]
#: Steps up to `_STEP` are compared with a rate up to `_RATE`, in units of 2**20 µs, of which an hour has less than `_UNITS`: all stays inside 63 bits,
#: and a step that passes is credible.
RATE, STEP = 2**31, 2**50
_UNIT: Final = 20
_UNITS: Final = HOUR // 2**_UNIT + 1
#: Readings that are added at first at the ends of a gap that is not calm, and by how much more each time.
_MORE: Final = 64
_FACTOR: Final = 4
#: Flags of held steps and reasons of dropped readings that were decided by readings further on.
_LOOKED: Final = frozenset({"spike", "suspect_jump", "glitch", "reset", "suspect_exchange"})


def falls_or_jumps(t: Ints, value: Ints, rate: Ints | int, free: Ints | int) -> Bools:
    """Steps (each from the entry before it) that fall, or that may be above the largest credible one; `free` is what any step may have."""
    step, span = np.diff(value, prepend=0), np.diff(t, prepend=0)
    found: Bools = (step < 0) | (step > STEP) | ((step - free) * _UNITS > rate * (span >> _UNIT))
    return found


def classified(
    columns: Mapping[str, np.ndarray], samples: Callable[[Ints], list[Sample]], spec: SeriesSpec, begun: Number = 0
) -> tuple[Outcome, Listed | None]:
    """What `classify` finds in the readings of one counter, ascending in time, and its segments as `listed`.

    `samples` gives the readings at some places, `begun` is the use up to the first one. Where the second is not None, only that has all segments.
    """
    t, value, more = columns["t"], columns["value"], _MORE
    walked = np.ones(len(t), np.bool_) if spec.parameters.factors else _walked(columns, spec)
    while True:
        chosen = np.flatnonzero(walked)
        outcome = classify(samples(chosen), spec, begun)
        found = listed(outcome.segments)
        if len(chosen) == len(t):
            return outcome, found
        if found is None or more > len(t):
            walked[:] = True
            continue
        gaps = _Gaps.of(t, value, chosen, found)
        missed = ~walked & (_seen(t, outcome, spec.parameters.confirm_window) | gaps.ends(more, len(t)))
        if not missed.any():
            return outcome, gaps.filled(t, value, found)
        walked |= missed
        more *= _FACTOR


def _walked(columns: Mapping[str, np.ndarray], spec: SeriesSpec) -> Bools:
    """The readings around each step that is not calm, for a confirm window after each that just falls or jumps; the first and the last one."""
    t, rate = columns["t"], spec.parameters.max_rate_per_h
    steps = falls_or_jumps(t, columns["value"], RATE if rate is None else min(int(rate), RATE), STEP if rate is None else 0)
    steps[0] = False
    events = _eventful(columns, spec)
    odd = np.flatnonzero(steps | events)
    until = np.searchsorted(t, t[odd] + np.where(events[odd], 0, spec.parameters.confirm_window), "right") + 1
    walked = _between(np.maximum(odd - 1, 0), np.minimum(until, len(t)), len(t))
    walked[0] = walked[-1] = True
    return walked


def _eventful(columns: Mapping[str, np.ndarray], spec: SeriesSpec) -> Bools:
    """Readings that are special or share their instant with the next one, and those next after one that is special, an exchange or a set day."""
    t, value = columns["t"], columns["value"]
    special = columns["void"] | columns["due"] | (columns["status"] & UNUSABLE > 0) | (columns["src"] == Source.SUBSTITUTE)
    special |= (value >= LARGEST) | (value <= -LARGEST)
    odd: Bools = special.copy()
    odd[1:] |= special[:-1]
    odd[:-1] |= np.diff(t) == 0
    instants = np.array([*(exchange.at for exchange in spec.exchanges), *spec.set_days(int(t[0]), int(t[-1]))], np.int64)
    for side in ("left", "right"):
        places = np.searchsorted(t, instants, side)
        odd[places[places < len(t)]] = True
    return odd


def _seen(t: Ints, outcome: Outcome, window: int) -> Bools:
    """What decisions look at: the readings in the window after each one that was put to row 5 or 10 of SPEC 5.3."""
    looked = [held.t for held in outcome.held if held.flag in _LOOKED]
    looked += [sample.t for sample, reason in outcome.dropped if reason in _LOOKED]
    at = np.array(looked, np.int64)
    return _between(np.searchsorted(t, at, "right"), np.searchsorted(t, at + window, "right"), len(t))


def _between(start: Ints, end: Ints, size: int) -> Bools:
    """Which of `size` places lie in any ``[start, end)``."""
    edges = np.zeros(size + 1, np.int64)
    np.add.at(edges, start, 1)
    np.add.at(edges, end, -1)
    inside: Bools = np.cumsum(edges[:-1]) > 0
    return inside


class _Gaps(NamedTuple):
    """The readings before (`a`) and after (`b`) each gap, the segment `at` which the gap should be, and whether it is, as calm as it looked."""

    a: Ints
    b: Ints
    at: Ints
    calm: Bools

    @classmethod
    def of(cls, t: Ints, value: Ints, chosen: Ints, found: Listed) -> Self:
        gaps = np.flatnonzero(np.diff(chosen) > 1)
        a, b = chosen[gaps], chosen[gaps + 1]
        at = np.minimum(np.searchsorted(found["t1"], t[a]), len(found["t1"]) - 1)
        own = {name: column[at] for name, column in found.items()}
        calm = (own["t1"] == t[a]) & (own["t2"] == t[b]) & own["x1_known"] & own["x2_known"] & (own["x1"] == value[a]) & (own["x2"] == value[b])
        calm &= own["flags"] == 0
        return cls(a, b, at, calm)

    def ends(self, more: int, size: int) -> Bools:
        """So many readings at both ends of each gap that is not calm."""
        a, b = self.a[~self.calm] + 1, self.b[~self.calm]
        return _between(np.concatenate([a, np.maximum(b - more, a)]), np.concatenate([np.minimum(a + more, b), b]), size)

    def filled(self, t: Ints, value: Ints, found: Listed) -> Listed:
        """The segments with those of the gaps, all calm, in their places."""
        parts = np.ones(len(found["t1"]), np.int64)
        parts[self.at] = self.b - self.a
        filled = {name: np.repeat(column, parts) for name, column in found.items()}
        first = np.cumsum(parts) - parts
        for place, start, end in zip(first[self.at].tolist(), self.a.tolist(), self.b.tolist(), strict=True):
            own, begun = slice(place, place + end - start), filled["v1"][place] - value[start]
            for name, column in (("t", t), ("x", value), ("v", value)):
                filled[f"{name}1"][own], filled[f"{name}2"][own] = column[start:end], column[start + 1 : end + 1]
            filled["v1"][own] += begun
            filled["v2"][own] += begun
        return filled
