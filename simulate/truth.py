"""What a check may expect of a point, computed from the simulated meters alone: no decoder, no store, no kernel.

A counter's anchors are the running totals at the instants that its telegrams told: when each was sent, and the stored instants in it.
An exchange is an anchor too: the hand-over values of both meters, after which the total goes on with the steps of the new one.
Between anchors the index is a straight line, and it is rounded once, on the boundary (SPEC 7), so that differences add up exactly.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction

from submeter.reading import Register
from submeter.simulate.building import Place

Anchors = Sequence[tuple[int, int]]


def counters(place: Place) -> tuple[Register, ...]:
    """The registers of the place's meter that only rise (or restart at the set day), the main one first."""
    model = place.meter.model
    return tuple(field.register for field in model.fields[: model.counters])


def anchors(place: Place, register: Register, sent: Iterable[int]) -> list[tuple[int, int]]:
    """(instant, running total) in order of time that telegrams sent at the instants `sent` told about a counter; µs UTC, micro units."""
    told: set[int] = set()
    for t in sent:
        meter = place.meter_at(t)
        told |= {t, meter.stored(t).t} if meter.keeps(t) else {t}
    if place.exchanged is not None and told and min(told) < place.exchanged:
        told.add(place.exchanged)
    return [(t, total(place, register, t)) for t in sorted(told)]


def total(place: Place, register: Register, t: int) -> int:
    """What a counter of a place has counted at `t` (µs UTC) over all its meters, in micro units."""
    if place.following is None or place.exchanged is None or t <= place.exchanged:
        return place.meter.total(register, t)
    before, began = place.meter.total(register, place.exchanged), place.following.total(register, place.exchanged)
    return before + place.following.total(register, t) - began


def index_at(known: Anchors, u: int) -> int:
    """The index at `u` (µs UTC): exact at an anchor, linear between, the nearest one's outside; rounded half to even."""
    after = bisect_right(known, u, key=lambda anchor: anchor[0])
    if after == 0 or after == len(known):
        return known[min(after, len(known) - 1)][1]
    (t1, v1), (t2, v2) = known[after - 1 : after + 1]
    return round(Fraction(v1 * (t2 - u) + v2 * (u - t1), t2 - t1))


def expected(known: Anchors, start: int, end: int) -> int:
    """A counter's use in [start, end) in micro units, as a rollup must show it once everything behind the anchors has arrived."""
    return index_at(known, end) - index_at(known, start)
