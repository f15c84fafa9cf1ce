"""Which stretch of a series a change can have touched: SPEC 12.2 in whole local days.

Strategy: a day can be gone on from if the segment that reaches its start ended more than the confirm window before the first new reading: then nothing that
was decided up to that segment's end looked as far as the change, and the segment comes out again as it was. A computation can stop before a day if the segment
that reaches it begins after the last new reading and comes out as it was: from there on the readings, the anchor, and so every decision are the same.
That both come out as they stood is checked afterwards (`Window.holds`): what does not hold is computed to the end, or from the first reading.
Rules: only what was added to the readings has ranges; any other change computes its series whole. Windows of one series do not overlap.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self

import pyarrow as pa

from submeter import civil
from submeter.aggregate.parameters import SeriesSpec
from submeter.reading import INT64_MAX
from submeter.store import tabled

__all__ = ["Day", "Range", "Window", "planned"]

#: Ranges of one series that are not further apart than this beyond twice the confirm window become one.
NEAR: Final = 3 * civil.DAY
RANGES: Final = pa.schema([("id", pa.int32()), ("series", pa.int32()), ("t_from", pa.int64()), ("t_to", pa.int64()), ("wait", pa.int64())])

Range = tuple[int, int]


class Day(NamedTuple):
    """A local day's start, and the segment that reaches it, see `aggregate.days`."""

    start: int
    anchor_t: int
    anchor_v: int | None
    odd: bool
    next_t: int


@dataclass(frozen=True, slots=True)
class Window:
    """Days of a series from `begin` (None: from its first reading) until `stop` (None: to its end) that are computed anew.

    `wait` is how far the classifier looks ahead, µs: the confirm window of a counter, nothing for a gauge. `floor` is the first day whose readings are
    still there, where retention deleted others: nothing begins before it, and it stays as it stood.
    """

    series: int
    gauge: bool
    wait: int
    begin: Day | None = None
    stop: Day | None = None
    floor: Day | None = None

    @classmethod
    def whole(cls, series: int, spec: SeriesSpec, floor: Day | None = None) -> Self:
        """All of a series that its readings still tell."""
        gauge = spec.parameters.kind == "gauge"
        return cls(series, gauge, 0 if gauge else spec.parameters.confirm_window, begin=floor, floor=floor)

    @property
    def first(self) -> int:
        """Rows of hours and days are replaced from here on, µs UTC."""
        return -INT64_MAX if self.begin is None else self.begin.start

    @property
    def beyond(self) -> int:
        """Rows of hours and days are replaced if they begin before this, µs UTC."""
        return INT64_MAX if self.stop is None else self.stop.start

    @property
    def is_whole(self) -> bool:
        """Nothing of what was known is used."""
        return self.begin is None and self.stop is None

    @property
    def is_widest(self) -> bool:
        """There is no wider one: it begins as early as its readings, and goes to their end."""
        return self.begin == self.floor and self.stop is None

    @property
    def read_from(self) -> int:
        """The first instant of which readings are needed; the anchor itself is known for a counter, read for a gauge."""
        return -INT64_MAX if self.begin is None else self.begin.anchor_t + (not self.gauge)

    @property
    def read_before(self) -> int:
        """Readings are needed before this instant: decisions up to the last segment look that far ahead."""
        return INT64_MAX if self.stop is None else self.stop.next_t + self.wait + 1

    def narrowed(self, spec: SeriesSpec) -> SeriesSpec:
        """The specification with those exchanges that are walked over inside the window."""
        if self.is_whole or not spec.exchanges:
            return spec
        return replace(spec, exchanges=tuple(one for one in spec.exchanges if self.read_from <= one.at < self.read_before))

    def holds(self, days: Mapping[int, Day]) -> "Window | None":
        """None if both ends came out as they stood (`days` by start); else the window that is to be computed instead."""
        if self.begin is not None and self.begin != self.floor and days.get(self.begin.start) != self.begin:
            return replace(self, begin=self.floor, stop=None)
        if self.stop is not None and days.get(self.stop.start) != self.stop:
            return replace(self, stop=None)
        return None


def planned(
    ranges: Mapping[int, Sequence[Range]], specs: Mapping[int, SeriesSpec], floors: Mapping[int, Day], begun: Callable[[pa.Table], pa.Table]
) -> Iterator[tuple[int, list[Window]]]:
    """The windows of each series with the ranges (first and last instant) of new readings; `begun` is `Readings.begun`.

    A range that lies wholly before the floor of its series has no window: what it would change is not computed any more.
    """
    wholes = {series: Window.whole(series, specs[series], floors.get(series)) for series in ranges}
    asked = [(series, one) for series, some in ranges.items() for one in _merged(some, 2 * wholes[series].wait + NEAR)]
    rows = [(i, series, *one, wholes[series].wait) for i, (series, one) in enumerate(asked)]
    found = {row["id"]: row for row in begun(tabled(rows, RANGES)).to_pylist()}
    windows: dict[int, list[Window]] = {series: [] for series in ranges}
    for i, (series, (first, _)) in enumerate(asked):
        known, whole = found.get(i, {}), wholes[series]
        begin = _day(known.get("begin"))
        if whole.floor is not None and (begin is None or begin.start < whole.floor.start):
            begin = whole.floor
        window = replace(whole, begin=begin, stop=_day(known.get("stop")))
        if window.first < window.beyond:
            _append(windows[series], window, first)
    return ((series, some) for series, some in windows.items() if some)


def _append(windows: list[Window], window: Window, first: int) -> None:
    """Add a window after the others, or make the last of them reach to its end if new readings of one would be read for the other."""
    last = windows[-1] if windows else None
    if last is None or (last.stop is not None and window.first > last.beyond and first >= last.read_before):
        windows.append(window)
    elif last.stop is not None:
        windows[-1] = replace(last, stop=window.stop)


def _merged(ranges: Iterable[Range], near: int) -> list[Range]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + near:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return merged


def _day(found: Mapping[str, Any] | None) -> Day | None:
    return None if found is None else Day(**found)
