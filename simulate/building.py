"""A simulated building: flats with their points and meters, the building's own meters, two gateways, residents.

Everything follows from (seed, flats, zone, plan).  In a dwelling each flat has cold water, hot water and two allocators; the first two flats have a heat
meter as well; the building has a wired heat meter, a cooling meter and the stairwell's electricity.  A radio meter is heard by the one gateway,
the other or both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from submeter.simulate.consumption import hashed
from submeter.simulate.meters import Meter
from submeter.simulate.models import MANUFACTURER

Rooms = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Rooms of a flat, of the first flats besides, and of the building, with the kind of meter in each; how flats are called, and rooms where not so.

    `makers`: letters of the maker of a kind of meter, where it is not the simulator's own.
    """

    flat: Rooms = (("kitchen", "cold_water"), ("bathroom", "hot_water"), ("living room", "allocator"), ("bedroom", "allocator"))
    heated: Rooms = (("hall", "heat"),)
    building: Rooms = (("boiler room", "building_heat"), ("roof", "cooling"), ("stairwell", "electricity"))
    label: str = "Flat {}"
    words: Mapping[str, str] = field(default_factory=dict)
    makers: Mapping[str, str] = field(default_factory=dict)


DWELLING: Final = Plan()
_HEAT_METER_FLATS: Final = 2
_NAMES: Final = (
    "Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel", "Ivy", "Juniper", "Linden", "Maple", "Oak", "Pine", "Rowan", "Spruce",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flat:
    """A unit of the building and who lives in it."""

    id: str
    label: str
    entrance: str
    occupant: str


@dataclass(frozen=True, slots=True)
class Place:
    """A metering point: in a flat or (None) the building's own, with its meter and the gateways that hear it.

    From `exchanged` (µs UTC) on `following` measures instead of `meter`. In the spans `quiet`, [from, to), nobody hears what it sends.
    """

    id: str
    flat: str | None
    label: str
    meter: Meter
    gateways: tuple[str, ...]
    exchanged: int | None = None
    following: Meter | None = None
    quiet: tuple[tuple[int, int], ...] = ()

    def meter_at(self, t: int) -> Meter:
        """The meter that measures at `t` (µs UTC)."""
        return self.meter if self.following is None or self.exchanged is None or t < self.exchanged else self.following

    def heard(self, t: int) -> bool:
        """Whether somebody hears what is sent at `t`."""
        return not any(start <= t < end for start, end in self.quiet)


@dataclass(frozen=True, slots=True)
class Building:
    """The whole simulated property of one manager."""

    id: str
    name: str
    manager: str
    zone: str
    gateways: tuple[str, ...]
    flats: tuple[Flat, ...]
    places: tuple[Place, ...]

    @classmethod
    def make(
        cls, *, flats: int = 12, seed: int = 1, zone: str = "Europe/Prague", manager: str = "demo", name: str | None = None, plan: Plan = DWELLING
    ) -> Self:
        """The building of a seed, always the same, with ids that no other seed's has; `zone` is an IANA name."""
        house = f"house-{seed}"
        gateways = (f"{house}-gw-1", f"{house}-gw-2")
        homes = tuple(_flat(house, number, plan) for number in range(1, flats + 1))
        places = tuple(_places(house, homes, gateways, plan, seed=seed, zone=zone))
        return cls(house, name or f"Simulated house {seed}", manager, zone, gateways, homes, places)

    def place(self, point: str) -> Place:
        """The metering point of that id."""
        return next(place for place in self.places if place.id == point)


def _flat(house: str, number: int, plan: Plan) -> Flat:
    return Flat(f"{house}-flat-{number:02d}", plan.label.format(number), "AB"[number % 2], _NAMES[number % len(_NAMES)])


def _places(house: str, flats: tuple[Flat, ...], gateways: tuple[str, ...], plan: Plan, *, seed: int, zone: str) -> Iterator[Place]:
    """Points of every flat, then the building's; the meters' numbers run through. The first gateway is the bus master."""
    rooms = [(flat.id, room) for place, flat in enumerate(flats) for room in plan.flat + plan.heated * (place < _HEAT_METER_FLATS)]
    for number, (flat, (label, kind)) in enumerate([*rooms, *((None, room) for room in plan.building)], 1):
        meter = Meter.make(kind, number, seed=seed, zone=zone, maker=plan.makers.get(kind, MANUFACTURER))
        heard = (gateways[:1], gateways[1:], gateways)[hashed(seed, number) % 3 if meter.key else 0]
        yield Place(f"{flat or house}-{label.replace(' ', '-')}", flat, plan.words.get(label, label), meter, heard)
