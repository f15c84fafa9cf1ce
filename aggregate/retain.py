"""How far back readings, hours and days are kept: by whole local months, and never what belongs to a month that is not final (SPEC 16).

Readings are deleted only before a day that a computation can go on from, so late readings and corrections after it count as ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from submeter import civil
from submeter.aggregate.series import Series
from submeter.store import FLOOR, Property, Readings, tabled

__all__ = ["Kept", "Limits", "retain"]

#: How far before the limit a month is looked for that a computation can go on from, µs.
LOOKBACK: Final = 800 * civil.DAY
MONTHS: Final = pa.schema([("series", pa.int32()), ("start", pa.int64())])
SPANS: Final = pa.schema([("register", pa.int32()), ("first", pa.int64()), ("beyond", pa.int64())])


@dataclass(frozen=True, slots=True)
class Limits:
    """For how many days readings, hours and days are kept; 0 for ever."""

    readings: int = 0
    hour: int = 0
    day: int = 0

    def of(self, building: Property) -> "Limits":
        """Those of a property, which may have its own for hours and days."""
        hour = self.hour if building.hours_kept is None else building.hours_kept
        return Limits(self.readings, hour, self.day if building.days_kept is None else building.days_kept)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was deleted: readings and rows."""

    readings: int = 0
    rows: int = 0


def retain(readings: Readings, known: Mapping[int, Series], limits: Mapping[str, Limits], *, now: int) -> Kept:
    """Delete what is older than the `limits` of its property at `now` (µs UTC); nothing of a series whose rows were never computed."""
    unsettled, computed = readings.retention.unsettled(), readings.computed()
    series = {number: one for number, one in known.items() if number in computed and one.point.property in limits}
    before = {
        (number, what): min(civil.floor(one.spec.zone, "month", now - days * civil.DAY), unsettled.get(number, now))
        for number, one in series.items()
        for what in ("readings", "hour", "day")
        if (days := getattr(limits[one.point.property], what))
    }
    rows = readings.retention.delete_rows(tabled([(*key, start) for key, start in before.items() if key[1] != "readings"], FLOOR))
    months = [(number, start) for (number, what), limit in before.items() if what == "readings" for start in _months(series[number].spec.zone, limit)]
    going_on = readings.retention.going_on(tabled(months, MONTHS))
    spans = [
        (span.register, span.start, min(span.end, anchor))
        for number, (_, anchor) in going_on.items()
        for span in series[number].spans
        if span.start < anchor
    ]
    floors = tabled([(number, "readings", start) for number, (start, _) in going_on.items()], FLOOR)
    return Kept(readings.retention.delete_readings(floors, tabled(spans, SPANS)), rows)


def _months(zone: str, limit: int) -> list[int]:
    starts = civil.boundaries(zone, "month", limit - LOOKBACK, limit)
    return [int(start) for start in starts[starts <= limit]]
