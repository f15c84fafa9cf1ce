"""A simulated building: flats with their points and meters, the building's own meters, two gateways, residents.

Everything follows from (seed, flats, zone).  Each flat has cold water, hot water and two allocators; the first two flats have a heat meter
as well; the building has a wired heat meter, a cooling meter and the stairwell's electricity.  A radio meter is heard by the one gateway,
the other or both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from submeter.simulate.consumption import hashed
from submeter.simulate.meters import Meter

#: Rooms of a flat, and of the building, with the kind of meter in each.
_FLAT: Final = (("kitchen", "cold_water"), ("bathroom", "hot_water"), ("living room", "allocator"), ("bedroom", "allocator"))
_FLAT_HEAT: Final = (("hall", "heat"),)
_BUILDING: Final = (("boiler room", "building_heat"), ("roof", "cooling"), ("stairwell", "electricity"))
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
    """A metering point: in a flat or (None) the building's own, with its meter and the gateways that hear it."""

    id: str
    flat: str | None
    label: str
    meter: Meter
    gateways: tuple[str, ...]


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
    def make(cls, *, flats: int = 12, seed: int = 1, zone: str = "Europe/Prague", manager: str = "demo") -> Self:
        """The building of a seed, always the same, with ids that no other seed's has; `zone` is an IANA name."""
        name = f"house-{seed}"
        gateways = (f"{name}-gw-1", f"{name}-gw-2")
        homes = tuple(_flat(name, number) for number in range(1, flats + 1))
        return cls(name, f"Simulated house {seed}", manager, zone, gateways, homes, tuple(_places(name, homes, gateways, seed=seed, zone=zone)))

    def place(self, point: str) -> Place:
        """The metering point of that id."""
        return next(place for place in self.places if place.id == point)


def _flat(house: str, number: int) -> Flat:
    return Flat(f"{house}-flat-{number:02d}", f"Flat {number}", "AB"[number % 2], _NAMES[number % len(_NAMES)])


def _places(house: str, flats: tuple[Flat, ...], gateways: tuple[str, ...], *, seed: int, zone: str) -> Iterator[Place]:
    """Points of every flat, then the building's; the meters' numbers run through. The first gateway is the bus master."""
    rooms = [(flat.id, room) for place, flat in enumerate(flats) for room in _FLAT + _FLAT_HEAT * (place < _HEAT_METER_FLATS)]
    for number, (flat, (label, kind)) in enumerate([*rooms, *((None, room) for room in _BUILDING)], 1):
        meter = Meter.make(kind, number, seed=seed, zone=zone)
        heard = (gateways[:1], gateways[1:], gateways)[hashed(seed, number) % 3 if meter.key else 0]
        yield Place(f"{flat or house}-{label.replace(' ', '-')}", flat, label, meter, heard)
