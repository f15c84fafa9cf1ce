"""From readings to events (SPEC 4).

`select` drops what cannot be used, orders the rest and keeps one reading per instant; `events` adds set days and exchanges.
The same for counters and gauges, for any order of arrival. Numbers are exact: int or Fraction in micro units; instants µs UTC.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from submeter.aggregate.parameters import Exchange, Number, SeriesSpec
from submeter.reading import STATUS, Source

#: Bits of a status that exclude the value (SPEC 4.1).
UNUSABLE: Final = 1 << STATUS.index("permanent_error") | 1 << STATUS.index("invalid")
REASONS: Final = ("status", "duplicate", "conflict", "superseded", "dip", "glitch", "spike")


class Sample(NamedTuple):
    """One reading of a register as the classifier sees it: SPEC 2.2."""

    t: int
    v: Number | None
    rank: int = Source.LIVE
    due: bool = False
    seq: int = 0
    dev: int | str | None = None
    pinned: bool = False
    usable: bool = True


class Drop(NamedTuple):
    """A reading that the index does not use, and one of REASONS."""

    sample: Sample
    reason: str


class Kind(IntEnum):
    """Kinds of event in their order at one instant (SPEC 4.5)."""

    DUE = 0
    SET_DAY = 1
    EXCHANGE = 2
    READING = 3


class Event(NamedTuple):
    """What the classifier walks over. `sample` for readings, `exchange` for exchanges."""

    t: int
    kind: Kind
    sample: Sample | None = None
    exchange: Exchange | None = None


def select(samples: Iterable[Sample]) -> tuple[list[Sample], list[Drop]]:
    """The readings in use (R) in order, and the dropped ones: SPEC 4.1 to 4.4."""
    ordered = sorted(samples, key=_order)
    dropped = [Drop(sample, "status") for sample in ordered if not _usable(sample)]
    kept: list[Sample] = []
    for sample in filter(_usable, ordered):
        last = kept[-1] if kept else None
        if last is not None and (last.t, last.dev, last.due) == (sample.t, sample.dev, sample.due):
            dropped.append(Drop(sample, "duplicate" if last.v == sample.v else "conflict"))
        else:
            kept.append(sample)
    return _without_superseded(kept, dropped)


def events(kept: list[Sample], spec: SeriesSpec) -> list[Event]:
    """Readings in use, set days and exchanges in the order in which they count: SPEC 4.5."""
    if not kept:
        return []
    found = [Event(sample.t, Kind.DUE if sample.due else Kind.READING, sample) for sample in kept]
    found += [Event(t, Kind.SET_DAY) for t in spec.set_days(kept[0].t, kept[-1].t)]
    found += [Event(exchange.at, Kind.EXCHANGE, exchange=exchange) for exchange in spec.exchanges]
    return sorted(found, key=lambda event: event[:2])


def _usable(sample: Sample) -> bool:
    return sample.usable and sample.v is not None


def _order(sample: Sample) -> tuple[int, bool, int, int, Number]:
    """SPEC 4.2; the value comes last so that even readings without a rising `seq` have one order."""
    return sample.t, not sample.due, sample.rank, -sample.seq, sample.v or 0


def _without_superseded(kept: list[Sample], dropped: list[Drop]) -> tuple[list[Sample], list[Drop]]:
    real = [sample.t for sample in kept if sample.rank != Source.SUBSTITUTE]
    if not real or len(real) == len(kept):
        return kept, dropped
    gone = [s for s in kept if s.rank == Source.SUBSTITUTE and not s.pinned and real[0] < s.t < real[-1]]
    lost = set(map(id, gone))
    return [s for s in kept if id(s) not in lost], dropped + [Drop(s, "superseded") for s in gone]
