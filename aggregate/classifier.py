"""The classifier (SPEC 5): events of one counter become segments of known use between anchors.

Strategy: walk over the events with one anchor. Each kind of event has one method. A reading that is not simply the next one (rows 1 to 4 of
table 5.3) is put to the other rows in their order, and the first row that answers decides: each is a method that returns the index of the event
to go on with, or None for "not mine".
Rules: exact numbers only (int or Fraction, micro units), never negative use, never the whole index again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Final, NamedTuple

from submeter.aggregate.events import Drop, Event, Kind, Sample, events, select
from submeter.aggregate.parameters import Number, SeriesSpec, exact
from submeter.civil import HOUR
from submeter.reading import FLAGS, Source

FLAG: Final = {name: 1 << bit for bit, name in enumerate(FLAGS)}


class Segment(NamedTuple):
    """``(t1, v1) → (t2, v2)`` between consecutive anchors: instants and cumulative use; `x1`, `x2` are the register's display there.

    `x1` is the display just after t1, `x2` the one just before t2, None where unknown or scaled by a factor.
    """

    t1: int
    v1: Number
    t2: int
    v2: Number
    flags: int = 0
    lossy: bool = False
    est: bool = False
    x1: Number | None = None
    x2: Number | None = None


class Held(NamedTuple):
    """What an operator must look at: the anchor's instant, the flag, and the step that was not booked (None where no value says it)."""

    t: int
    flag: str
    amount: Number | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the classifier found. `pending` is the last sure anchor if the tail after it cannot be decided yet, else None."""

    segments: list[Segment]
    dropped: list[Drop]
    held: list[Held]
    pending: int | None


def classify(samples: Iterable[Sample], spec: SeriesSpec, begun: Number = 0) -> Outcome:
    """Segments of a counter from its readings, in any order: SPEC 4, 5 and 6. `begun` is the use up to the first one."""
    kept, dropped = select(samples)
    walk = _Walk(events(kept, spec), spec, dropped, begun)
    walk.run()
    return Outcome(rated(walk.segments, spec.parameters.factors), walk.dropped, walk.held, walk.pending)


def rated(segments: list[Segment], factors: tuple[tuple[int, Fraction], ...]) -> list[Segment]:
    """Segments in rated units, cut where a rating factor begins (SPEC 6); the same ones without factors."""
    if not factors:
        return segments
    total: Number = 0
    pieces: list[Segment] = []
    for segment in segments:
        inside = [start for start, _ in factors if segment.t1 < start < segment.t2]
        edges = [segment.t1, *inside, segment.t2]
        for start, end in pairwise(edges):
            share = Fraction(end - start, segment.t2 - segment.t1)
            use = exact((segment.v2 - segment.v1) * share * factor_at(factors, start))
            pieces.append(Segment(start, total, end, total + use, segment.flags, segment.lossy, segment.est or bool(inside)))
            total += use
    return pieces


def factor_at(factors: tuple[tuple[int, Fraction], ...], t: int) -> Fraction:
    """The rating factor in force at an instant; before the first of them, that one."""
    return next((factor for start, factor in reversed(factors) if start <= t), factors[0][1])


class _Step(NamedTuple):
    """A reading that is put to rows 5 to 13 of table 5.3: event `i`, a step of `d` from the anchor's display."""

    i: int
    t: int
    v: Number
    d: Number


class _Walk:
    """State of one walk: the anchor (instant, display or None = OPEN, use since the first anchor) and what was found so far."""

    def __init__(self, found: list[Event], spec: SeriesSpec, dropped: list[Drop], begun: Number) -> None:
        self.events = found
        self.p = spec.parameters
        self.accepted = frozenset(spec.accepted)
        self.dropped = dropped
        self.segments: list[Segment] = []
        self.held: list[Held] = []
        self.pending: int | None = None
        self.a_t: int | None = None
        self.a_v: Number | None = None
        self.total: Number = begun
        self.last_break = max((i for i, event in enumerate(found) if event.kind != Kind.READING), default=-1)
        self.rising = (self.spike, self.undecided, partial(self.suspect, flag="suspect_jump"))
        self.falling = (self.rollover, self.dip, self.glitch, self.undecided, self.reset, partial(self.suspect, flag="suspect_exchange"))

    def run(self) -> None:
        i = 0
        while i < len(self.events):
            event = self.events[i]
            if event.sample is not None:
                i = self.reading(i, event.sample)
            else:
                self.exchange(event) if event.exchange else self.set_day(event.t)
                i += 1

    def emit(self, t: int, v: Number | None, use: Number, *flags: str, shown: Number | None, lossy: bool = False, est: bool = False) -> None:
        """Book `use` up to `t`, where the display said `shown`; the anchor's display is `v` from there on (SPEC 5)."""
        assert self.a_t is not None
        if t > self.a_t:
            marks = sum(map(FLAG.__getitem__, flags)) if flags else 0
            self.segments.append(Segment(self.a_t, self.total, t, self.total + use, marks, lossy, est, self.a_v, shown))
        self.a_t, self.a_v, self.total = t, v, self.total + use

    def set_day(self, t: int) -> None:
        """SPEC 5.1."""
        if self.a_t == t:
            self.a_v = 0
        else:
            self.held.append(Held(t, "reset_unknown", None))
            self.emit(t, 0, 0, "reset_unknown", shown=None, lossy=True)

    def exchange(self, event: Event) -> None:
        """SPEC 5.2."""
        exchange = event.exchange
        if self.a_t is None or exchange is None:
            return
        if exchange.end is None or self.a_v is None:
            self.held.append(Held(event.t, "exchange_unknown", None))
            self.emit(event.t, exchange.start, 0, "exchange", "exchange_unknown", shown=None, lossy=True)
        else:
            self.emit(event.t, exchange.start, max(exchange.end - self.a_v, 0), "exchange", shown=exchange.end)

    def reading(self, i: int, sample: Sample) -> int:
        """SPEC 5.3; returns the index of the event to go on with."""
        v = sample.v
        assert v is not None
        if self.a_t is None:
            self.a_t, self.a_v = sample.t, self.after(sample)
        elif self.a_v is None:
            if sample.t > self.a_t:
                self.held.append(Held(sample.t, "exchange_unknown", None))
            self.emit(sample.t, v, 0, "exchange", "exchange_unknown", shown=v, lossy=True)
        elif sample.t != self.a_t:
            d = v - self.a_v
            if d < 0 or not (sample.t in self.accepted or self.plausible(d, sample.t)):
                step = _Step(i, sample.t, v, d)
                return next(j for j in (row(step) for row in (self.rising if d >= 0 else self.falling)) if j is not None)
            self.emit(sample.t, self.after(sample), d, shown=v, est=sample.rank == Source.SUBSTITUTE)
        return i + 1

    def spike(self, step: _Step) -> int | None:
        back = next((j for j, d in self.near(step.i) if 0 <= d < step.d and self.plausible(d, self.events[j].t)), None)
        return None if back is None else self.drop(step.i, back, "spike")

    def undecided(self, step: _Step) -> int | None:
        confirming = self.events[step.i + 1 : step.i + 1 + self.p.confirm_n]
        if self.last_break > step.i or len(confirming) == self.p.confirm_n or self.events[-1].t > step.t + self.p.confirm_window:
            return None
        self.pending = self.a_t
        return len(self.events)

    def rollover(self, step: _Step) -> int | None:
        modulus = self.p.modulus
        if modulus is None or 10 * (step.v - step.d) < 9 * modulus or 10 * step.v > modulus:
            return None
        use = step.d + modulus
        if use < 0 or not self.plausible(use, step.t):
            return None
        self.emit(step.t, step.v, use, "rollover", shown=step.v)
        return step.i + 1

    def dip(self, step: _Step) -> int | None:
        return self.drop(step.i, step.i + 1, "dip") if -step.d <= self.p.dip else None

    def glitch(self, step: _Step) -> int | None:
        back = next((j for j, d in self.near(step.i) if d >= -self.p.dip and self.plausible(d, self.events[j].t)), None)
        if back is None or (self.p.resettable and self.climbs(step.i, back)):
            return None
        return self.drop(step.i, back, "glitch")

    def reset(self, step: _Step) -> int | None:
        if not self.p.resettable or not self.plausible(step.v, step.t):
            return None
        self.held.append(Held(step.t, "reset", None))
        self.emit(step.t, step.v, step.v, "reset", shown=step.v, lossy=True)
        return step.i + 1

    def suspect(self, step: _Step, flag: str) -> int:
        self.held.append(Held(step.t, flag, step.d))
        self.emit(step.t, step.v, 0, flag, shown=step.v, lossy=True)
        return step.i + 1

    def after(self, sample: Sample) -> Number | None:
        """The display just after a reading: 0 if it is the last one before a restart."""
        return 0 if sample.due and self.p.kind == "period" else sample.v

    def drop(self, i: int, until: int, reason: str) -> int:
        self.dropped.extend(Drop(event.sample, reason) for event in self.events[i:until] if event.sample is not None)
        return until

    def near(self, i: int) -> Iterator[tuple[int, Number]]:
        """Index and step from the anchor of the readings near event `i`."""
        anchor = self.a_v
        assert anchor is not None
        for j in range(i + 1, len(self.events)):
            event = self.events[j]
            if event.kind != Kind.READING or event.t - self.events[i].t > self.p.confirm_window:
                return
            yield j, self.value(j) - anchor

    def climbs(self, i: int, back: int) -> bool:
        """Every step from event `i` to event `back` is plausible over its own interval."""
        return all(self.credible(self.value(j + 1) - self.value(j), self.events[j + 1].t - self.events[j].t) for j in range(i, back))

    def value(self, i: int) -> Number:
        sample = self.events[i].sample
        assert sample is not None
        assert sample.v is not None
        return sample.v

    def plausible(self, d: Number, t: int) -> bool:
        """A step from the anchor up to `t` is credible."""
        assert self.a_t is not None
        return self.credible(d, t - self.a_t)

    def credible(self, d: Number, span: int) -> bool:
        rate = self.p.max_rate_per_h
        return rate is None or (d - self.p.resolution) * HOUR <= rate * span
