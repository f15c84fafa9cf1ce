"""Rows of times of which messages of a gateway are missing: they are published with the flag `possible_loss` (ingest/MQTT.md 10; DECISIONS 16).

Strategy: a gap is an event (`sequence_gap`: from `at` on, for `amount`) that holds unless it closed by itself, since its messages came. It touches the rows of meters
that this gateway alone heard on those days. The flag is put on rows when they are published and is not computed: a gap says nothing of a value.
Rules: gaps that began or ended since the last look have the rows of their time published again; how far was looked is kept in the transaction that notes these.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from submeter import civil
from submeter.aggregate.classifier import FLAG
from submeter.aggregate.series import Series
from submeter.store import Event, Points, Readings, Registry

__all__ = ["Losses"]

KIND: Final = "sequence_gap"
Spans = Mapping[int, list[tuple[int, int]]]


class _Gap(NamedTuple):
    """A gap in what a gateway delivered, between two instants, by its event; `lost`: its messages did not come."""

    event: int
    gateway: str
    since: int
    until: int
    lost: bool


class Losses:
    """What is lost as of the last `look`."""

    def __init__(self, readings: Readings, registry: Registry) -> None:
        self._readings = readings
        self._registry = registry
        self._devices: dict[int, frozenset[str]] = {}  # that a gap touches, by its event
        self._spans: Spans = {}

    def look(self, known: Mapping[int, Series]) -> None:
        """Take up gaps, and have the rows published again that those touch which began or ended since the last look."""
        events = self._registry.events.find(KIND)
        if not events:
            return
        gaps, looked = {event.id: _gap(event) for event in events}, self._readings.losses_looked()
        fresh = [gaps[event.id] for event in events if _changed(event) > looked]
        self._learn(gap for gap in gaps.values() if gap.event not in self._devices or gap in fresh)
        at = self._places(known)
        self._spans = self._touched([gap for gap in gaps.values() if gap.lost], known, at)
        if fresh:
            rows = [(number, *span) for number, spans in self._touched(fresh, known, at).items() for span in spans]
            self._readings.publish_touched(rows, looked=max(map(_changed, events)))

    def mark(self, series: int, points: Points) -> None:
        """Flag the rows of a series that a loss touches."""
        for since, until in self._spans.get(series, ()):
            points["flags"][(points["start"] < until) & (points["end"] > since)] |= FLAG["possible_loss"]

    def _learn(self, gaps: Iterable[_Gap]) -> None:
        """Which devices each gap touches: those that were heard on its days and those around them, by its gateway alone."""
        rows = [(gap.event, gap.gateway, civil.utc_date(gap.since - civil.DAY), civil.utc_date(gap.until + civil.DAY)) for gap in gaps]
        found = defaultdict[int, set[str]](set, {event: set() for event, *_ in rows})
        for event, device in self._readings.heard_alone(rows) if rows else ():
            found[event].add(device)
        self._devices |= {event: frozenset(devices) for event, devices in found.items()}

    def _places(self, known: Mapping[int, Series]) -> Mapping[str, list[tuple[int, int, int]]]:
        """Which series each device feeds, and between which instants."""
        device_of = {number: device for (device, _), number in self._readings.registers().items()}
        found = defaultdict[str, list[tuple[int, int, int]]](list)
        for number, series in known.items():
            for span in series.spans:
                found[device_of.get(span.register, "")].append((number, span.start, span.end))
        return found

    def _touched(self, gaps: Iterable[_Gap], known: Mapping[int, Series], places: Mapping[str, list[tuple[int, int, int]]]) -> Spans:
        found = defaultdict[int, list[tuple[int, int]]](list)
        for gap in gaps:
            for device in self._devices[gap.event]:
                for number, start, end in places.get(device, ()):
                    if number in known and start < gap.until and end > gap.since:
                        found[number].append((gap.since, gap.until))
        return found


def _gap(event: Event) -> _Gap:
    return _Gap(event.id, event.subject.removeprefix("gateway:"), event.at, event.at + (event.amount or 0), not event.gone)


def _changed(event: Event) -> int:
    return max(event.seen, event.decided_at or 0)
