"""The classifier over columns: `classify` with the long calm stretches left out, some twenty times as fast, with the same result.

Strategy: a step is calm if the definition books it as it stands whatever came before: both readings usable and real, later, not lower, credible even without
the tolerance of one step of the register, nothing between them. Readings inside a run of calm steps decide nothing unless the classifier looks
at them, so only those near something else are walked over; then the segment that spans each gap is cut at the readings left out.
Rules: it is checked that each gap came out as one segment between the two displays, and that nothing was decided with a gap in sight (confirm window);
otherwise, and with rating factors, the definition walks over everything.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

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
    everything = np.arange(len(columns["t"]))
    if not spec.parameters.factors and len(everything) > 1:
        chosen = np.flatnonzero(_walked(columns, spec))
        outcome = classify(samples(chosen), spec, begun)
        found = listed(outcome.segments)
        if found is not None and _undecided_by_gaps(columns["t"], chosen, outcome, spec.parameters.confirm_window):
            filled = _filled(columns["t"], columns["value"], chosen, found)
            if filled is not None:
                return outcome, filled
    outcome = classify(samples(everything), spec, begun)
    return outcome, listed(outcome.segments)


def _walked(columns: Mapping[str, np.ndarray], spec: SeriesSpec) -> Bools:
    """The readings before, at and for two confirm windows after each step that is not calm; the first and the last ones."""
    t = columns["t"]
    odd = np.flatnonzero(_eventful(columns, spec))
    until = np.searchsorted(t, t[odd] + 2 * spec.parameters.confirm_window, "right") + 1
    edges = np.zeros(len(t) + 2, np.int64)
    np.add.at(edges, np.maximum(odd - 1, 0), 1)
    np.add.at(edges, np.minimum(until, len(t)), -1)
    walked: Bools = np.cumsum(edges[: len(t)]) > 0
    walked[:1] = walked[-1 - spec.parameters.confirm_n :] = True
    return walked


def _eventful(columns: Mapping[str, np.ndarray], spec: SeriesSpec) -> Bools:
    """Steps that are not calm, by the reading that ends them."""
    t, value, rate = columns["t"], columns["value"], spec.parameters.max_rate_per_h
    special = columns["void"] | columns["due"] | (columns["status"] & UNUSABLE > 0) | (columns["src"] == Source.SUBSTITUTE)
    special |= (value >= LARGEST) | (value <= -LARGEST)
    odd = falls_or_jumps(t, value, RATE if rate is None else min(int(rate), RATE), STEP if rate is None else 0)
    odd |= special | (np.diff(t, prepend=t[0] - 1) <= 0)
    odd[1:] |= special[:-1]
    odd[0] = False
    instants = np.array([*(exchange.at for exchange in spec.exchanges), *spec.set_days(int(t[0]), int(t[-1]))], np.int64)
    for side in ("left", "right"):
        places = np.searchsorted(t, instants, side)
        odd[places[places < len(t)]] = True
    return odd


def _undecided_by_gaps(t: Ints, chosen: Ints, outcome: Outcome, window: int) -> bool:
    """No decision that looks ahead had a reading in its window that was left out."""
    gone = np.delete(t, chosen)
    looked = [held.t for held in outcome.held] + [drop.sample.t for drop in outcome.dropped]
    looked += [segment.t2 for segment in outcome.segments if segment.flags]
    at = np.array(looked, np.int64)
    return bool((np.searchsorted(gone, at, "right") == np.searchsorted(gone, at + window, "right")).all())


def _filled(t: Ints, value: Ints, chosen: Ints, found: Listed) -> Listed | None:
    """The segments with those of the gaps in their places; None if a gap did not come out as one calm segment."""
    gaps = np.flatnonzero(np.diff(chosen) > 1)
    a, b = chosen[gaps], chosen[gaps + 1]
    at = np.minimum(np.searchsorted(found["t1"], t[a]), len(found["t1"]) - 1)
    moved = value[b] - value[a]
    calm = (found["t1"][at] == t[a]) & (found["t2"][at] == t[b]) & found["x1_known"][at] & found["x2_known"][at] & (found["x1"][at] == value[a])
    calm &= (found["x2"][at] == value[b]) & (found["v2"][at] - found["v1"][at] == moved) & (found["flags"][at] == 0)
    if not (calm & ~found["lossy"][at] & ~found["est"][at]).all():
        return None
    parts = np.ones(len(found["t1"]), np.int64)
    parts[at] = b - a
    filled = {name: np.repeat(column, parts) for name, column in found.items()}
    first = np.cumsum(parts) - parts
    for place, start, end in zip(first[at].tolist(), a.tolist(), b.tolist(), strict=True):
        own, begun = slice(place, place + end - start), filled["v1"][place] - value[start]
        for name, column in (("t", t), ("x", value), ("v", value)):
            filled[f"{name}1"][own], filled[f"{name}2"][own] = column[start:end], column[start + 1 : end + 1]
        filled["v1"][own] += begun
        filled["v2"][own] += begun
    return filled
