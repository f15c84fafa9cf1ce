"""What happens in the demo's world, each story at one metering point: the same meters, with something that a portal has to show.

Rules: a story changes what a meter counts, when it is heard, or who is there; it never changes a telegram.  Instants are µs UTC and follow from the end of
the history alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Final, NamedTuple

from submeter.simulate.building import Building, Place
from submeter.simulate.consumption import DAY, HOUR
from submeter.simulate.history import HOURLY, clock_change, local_day
from submeter.simulate.meters import Meter, midnight

__all__ = ["LATE", "Story", "happened"]

LATE: Final = "late"
#: Micro cubic metres an hour that a cistern loses.
LEAK: Final = 14_000
#: Numbers of meters that replace others: beyond those of any house.
FOLLOWING: Final = 9001
EVER: Final = 2**62


class Story(NamedTuple):
    """What happened, to whom, at which metering point, [since, until) in µs UTC."""

    name: str
    manager: str
    unit: str
    point: str
    since: int
    until: int


def happened(buildings: Mapping[str, Building], end: int) -> tuple[Mapping[str, Building], tuple[Story, ...], Mapping[str, tuple[str, int]]]:
    """The buildings with everything that happened in them before `end`, what that was, and who moved in where and when."""
    told = _Telling(dict(buildings), end)
    told.leak("inmes", "kitchen", days=5)
    told.silent("inmes", "bathroom")
    told.gone("inmes", "bedroom", flat=3)
    told.exchange("sz-maribor", "bathroom")
    told.move("sz-maribor")
    told.late("yugra", "kitchen")
    told.note("set_day", "inmes", "living room", *_set_day(buildings["inmes"].zone, end))
    change = clock_change(buildings["fjernvarme"].zone, end - HOURLY)
    told.note("clock_change", "fjernvarme", "substation", change, change + DAY + HOUR)
    return told.buildings, tuple(told.stories), told.moves


class _Telling:
    """Buildings under way, as one story after the other happens in them; flats are counted from 1."""

    def __init__(self, buildings: dict[str, Building], end: int) -> None:
        self.buildings, self.end = buildings, end
        self.stories: list[Story] = []
        self.moves: dict[str, tuple[str, int]] = {}

    def leak(self, manager: str, room: str, *, days: int) -> None:
        """Water runs day and night."""
        place, since = self._place(manager, room), self._midnight(manager, days)
        use = replace(place.meter.use, leak=LEAK, leak_from=since)
        self._change(manager, replace(place, meter=replace(place.meter, use=use)))
        self.note("leak", manager, room, since, EVER)

    def silent(self, manager: str, room: str) -> None:
        """Nobody hears a meter for two days; then it is back, and tells the end of the month as ever."""
        self._quiet("silent", manager, room, self._midnight(manager, 5), self._midnight(manager, 3))

    def gone(self, manager: str, room: str, *, flat: int) -> None:
        """A meter was not heard for three days and still is not."""
        self._quiet("gone", manager, room, self.end - 3 * DAY, EVER, flat)

    def exchange(self, manager: str, room: str) -> None:
        """Another meter hangs there since eleven in the morning, ten days ago; both indexes are in the protocol."""
        place, at = self._place(manager, room), self._midnight(manager, 10) + 11 * HOUR
        number = FOLLOWING + len(self.stories)
        seed = int(str(place.meter.device.id)[2:4])
        made = Meter.make(place.meter.kind, number, seed=seed, zone=place.meter.zone, maker=place.meter.device.manufacturer)
        following = replace(made, installed=at)
        self._change(manager, replace(place, exchanged=at, following=following))
        self.note("exchange", manager, room, at, at)

    def move(self, manager: str) -> None:
        """Somebody else lives in the first flat since noon of the 11th of the month before."""
        building = self.buildings[manager]
        last = local_day(building.zone, self.end).replace(day=1) - timedelta(days=1)
        at = midnight(last.replace(day=11), building.zone) + 12 * HOUR
        self.moves[building.flats[0].id] = ("Zala Novak", at)
        self.note("move", manager, "kitchen", at, at)

    def late(self, manager: str, room: str) -> None:
        """A gateway kept what it heard over the begin of a month for itself; it came when that month was billed."""
        first = _months_back(local_day(self.buildings[manager].zone, self.end), 2)
        since = midnight(first - timedelta(days=12), self.buildings[manager].zone)
        self._quiet(LATE, manager, room, since, midnight(first + timedelta(days=33), self.buildings[manager].zone))

    def note(self, name: str, manager: str, room: str, since: int, until: int, flat: int = 1) -> None:
        """Say that it happened."""
        place = self._place(manager, room, flat)
        self.stories.append(Story(name, manager, place.flat or "", place.id, since, until))

    def _quiet(self, name: str, manager: str, room: str, since: int, until: int, flat: int = 1) -> None:
        place = self._place(manager, room, flat)
        self._change(manager, replace(place, quiet=(*place.quiet, (since, until))))
        self.note(name, manager, room, since, until, flat)

    def _midnight(self, manager: str, days: int) -> int:
        """The local midnight so many days before the day of the end."""
        zone = self.buildings[manager].zone
        return midnight(local_day(zone, self.end) - timedelta(days=days), zone)

    def _place(self, manager: str, room: str, flat: int = 1) -> Place:
        building = self.buildings[manager]
        return building.place(f"{building.flats[flat - 1].id}-{room.replace(' ', '-')}")

    def _change(self, manager: str, place: Place) -> None:
        building = self.buildings[manager]
        self.buildings[manager] = replace(building, places=tuple(place if one.id == place.id else one for one in building.places))


def _set_day(zone: str, end: int) -> tuple[int, int]:
    """The last new year: what allocators close."""
    at = midnight(date(local_day(zone, end).year, 1, 1), zone)
    return at, at


def _months_back(day: date, months: int) -> date:
    """The first of the month so many months before that of a day."""
    for _ in range(months):
        day = day.replace(day=1) - timedelta(days=1)
    return day.replace(day=1)
