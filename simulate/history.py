"""Years of telegrams in bulk: which meter is heard when, and the messages of gateways that carry it.

Strategy: a stretch of time with one step.  With step 0 every meter is heard at its local midnights, which makes days and months exact with a telegram a day;
hours are measured where the step is an hour or less.  What is recent comes first, so that a demo can begin before its older years are there.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from submeter.simulate.building import Building, Place
from submeter.simulate.consumption import DAY, HOUR, SECOND
from submeter.simulate.gateway import Sent, batches, envelope, instants
from submeter.simulate.meters import midnight

__all__ = ["HOURLY", "RECENT", "Stretch", "clock_change", "local_day", "messages", "planned", "times"]

#: How far back a demo's first part reaches, and how much of it is hourly.
RECENT: Final = 110 * DAY
HOURLY: Final = 7 * DAY
#: One part of the older years.
PART: Final = 183 * DAY
_YEAR: Final = 365.25


class Stretch(NamedTuple):
    """Time in which meters (of the one building `only`) are heard every `step`; all in µs (UTC). Step 0: at local midnights."""

    t_from: int
    t_to: int
    step: int
    only: str = ""


def planned(end: int, years: float, dense: Building) -> list[list[Stretch]]:
    """History that ends at `end` in parts, the newest first; in the building `dense` all hours around the last change of clocks are measured."""
    begin = end - round(years * _YEAR) * DAY
    recent = max(begin, end - RECENT)
    change = clock_change(dense.zone, end - HOURLY)
    hourly = Stretch(end - HOURLY, end, HOUR)
    parts = [[Stretch(recent, end - HOURLY, 0), hourly]]
    while recent > begin:
        parts.append([Stretch(max(begin, recent - PART), recent, 0)])
        recent -= PART
    parts[0 if change - DAY >= end - RECENT else min(1, len(parts) - 1)].insert(1, Stretch(change - DAY, change + 2 * DAY, HOUR, dense.id))
    return parts


def clock_change(zone: str, before: int) -> int:
    """The midnight that begins the last local day before `before` that has 23 or 25 hours; the last full day where there is none in a year."""
    day = local_day(zone, before) - timedelta(days=2)
    for back in range(366):
        one = day - timedelta(days=back)
        if midnight(one + timedelta(days=1), zone) - midnight(one, zone) != DAY:
            return midnight(one, zone)
    return midnight(day, zone)


def times(place: Place, stretch: Stretch) -> Sequence[int]:
    """When the meter of a place sends in a stretch, µs UTC, in order."""
    if stretch.only and not place.id.startswith(f"{stretch.only}-"):
        return []
    if stretch.step:
        return instants(place, stretch.t_from, stretch.t_to, stretch.step)
    zone = place.meter.zone
    first, last = local_day(zone, stretch.t_from), local_day(zone, stretch.t_to)
    days = ((first + timedelta(days=number)) for number in range((last - first).days + 1))
    return [t for t in (midnight(day, zone) for day in days) if stretch.t_from <= t < stretch.t_to]


def messages(sent: Sequence[tuple[int, Place]], boot: str) -> Iterator[bytes]:
    """Native envelopes with what was sent at these instants, in order of time, each heard by one gateway; `boot` is that of no other messages."""
    numbers: defaultdict[str, Iterator[int]] = defaultdict(count)
    heard = ((place.gateways[0], Sent(t, place, place.meter_at(t).telegram(t))) for t, place in sorted(sent, key=lambda one: one[0]))
    for gateway, batch in batches(heard):
        yield envelope(gateway, boot, next(numbers[gateway]), batch)


def local_day(zone: str, t: int) -> date:
    """The day that it is in a zone at `t` (µs UTC)."""
    return datetime.fromtimestamp(t // SECOND, UTC).astimezone(ZoneInfo(zone)).date()
