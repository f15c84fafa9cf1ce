"""Limits that residents set on their use, evaluated from published rows: which periods of a rule exceeded it.

Rules: `day`: a whole day of the holder's used more than `amount`. `year`: a month so far used over `amount` percent more than all of the same month a year before,
which was the same holder's. `night`: from 02:00 to 05:00 local time certainly more than `amount` was used (the lower bounds of its hours). What is
not known exceeds nothing. Looked at are periods of the last days, so that late readings still tell. Numbers are micro units.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from submeter import civil
from submeter.api.consumption import UOM
from submeter.api.labels import decimals_of, label_of, locale_of
from submeter.config import words
from submeter.reading import LEVELS, MICRO, from_micro
from submeter.store import NULL, Point, Property, Published, PublishedSeries, Visible
from submeter.store.notices import Rule

__all__ = ["Exceeded", "exceeded"]

#: How many days back a day, night or month is still looked at.
BACK: Final = 3
NIGHT: Final = range(2, 5)
PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A period that exceeded a rule: its start (µs UTC), what it was, how much was used and might have been."""

    start: int
    kind: str
    day: date
    quantity: str
    unit: str
    used: int
    limit: int

    def values(self, locale: str) -> dict[str, str]:
        """Values of the template, as they are read in a language."""
        when = words.month(locale, self.day) if self.kind == "year" else words.day(locale, self.day)
        return {
            "quantity": words.words_of(locale).classes[self.quantity],
            "when": f"{when}, {NIGHT.start:02}:00 - {NIGHT.stop:02}:00" if self.kind == "night" else when,
            "used": self._amount(locale, self.used),
            "limit": self._amount(locale, self.limit),
        }

    def _amount(self, locale: str, micro: int) -> str:
        uom = UOM.get(self.unit, self.unit)
        return words.amount(locale, from_micro(micro), label_of(uom, locale_of(None, locale)), decimals_of(uom))


def exceeded(rule: Rule, building: Property, visible: Visible, points: Sequence[Point], published: Published, now: int) -> Iterator[Exceeded]:
    """The periods of a rule that exceeded it, in order of time; of those that were not over when it was made, and that lie in the visible time."""
    mine = {one.id: one for one in points if one.quantity == rule.quantity and visible.shows(rule.quantity)}
    series = [one for one in published.series_of(list(mine)) if one.kind != "gauge" and str(one.register) == mine[one.point].registers[0]]
    use, today = _Use(series, building.zone, visible, published), civil.local_date(building.zone, now)
    for day in (today - timedelta(days=back) for back in range(BACK, 0, -1)):
        if series and use.end(day) > rule.since:
            first, used, limit = KINDS[rule.kind](use, day, rule.amount)
            if used is not None and limit is not None and used > limit:
                yield Exceeded(use.start(first), rule.kind, first, rule.quantity, series[0].register.unit, used, limit)


class _Use:
    """What is published of some counters of a unit, as far as it is its holder's."""

    def __init__(self, series: Sequence[PublishedSeries], zone: str, visible: Visible, published: Published) -> None:
        self._series, self._zone, self._visible, self._published = series, zone, visible, published

    def start(self, day: date) -> int:
        """When a local day begins."""
        return civil.midnight(self._zone, day)

    def end(self, day: date) -> int:
        """When a local day ends."""
        return self.start(day + timedelta(days=1))

    def days(self, first: date, last: date) -> int | None:
        """Use from the begin of a day to the end of another one in its month, of days that are known; None where none is."""
        return self._sum("day", f"{first:%Y-%m}", "value", self.start(first), self.end(last))

    def month(self, first: date) -> int | None:
        """Use in a month; None where it is not known, or not the holder's alone."""
        return self._sum("month", f"{first:%Y}", "value", self.start(first), self.start(civil.month_after(first)))

    def night(self, day: date) -> int | None:
        """What was certainly used in the night hours of a day."""
        return self._sum("hour", f"{day:%Y-%m-%d}", "lo", self.start(day), self.end(day), NIGHT)

    def _sum(self, level: str, block: str, what: str, start: int, end: int, hours: range = range(24)) -> int | None:
        since, until = self._visible.since, self._visible.until
        if (since is not None and start < since) or (until is not None and end > until):
            return None
        rows = [row for one in self._series for row in self._published.read(one.id, LEVELS.index(level), block, block)]
        inside = (row for row in rows if start <= row["start"] and row["end"] <= end and civil.to_local(self._zone, int(row["start"])).hour in hours)
        known = [int(row[what]) for row in inside if row[what] != NULL]
        return sum(known) if known else None


def _day(use: _Use, day: date, amount: int) -> tuple[date, int | None, int | None]:
    return day, use.days(day, day), amount


def _night(use: _Use, day: date, amount: int) -> tuple[date, int | None, int | None]:
    return day, use.night(day), amount


def _year(use: _Use, day: date, percent: int) -> tuple[date, int | None, int | None]:
    first = day.replace(day=1)
    before = use.month(first.replace(year=day.year - 1))
    return first, use.days(first, day), None if before is None else before + before * percent // (PERCENT * MICRO)


KINDS: Final = {"day": _day, "night": _night, "year": _year}
