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

GATEWAYS: Final = ("gw-001", "gw-002")
#: Rooms of a flat, and of the building, with the kind of meter in each.
_FLAT: Final = (("kitchen", "cold_water"), ("bathroom", "hot_water"), ("living room", "allocator"), ("bedroom", "allocator"))
_FLAT_HEAT: Final = (("hall", "heat"),)
_BUILDING: Final = (("boiler room", "building_heat"), ("roof", "cooling"), ("stairwell", "electricity"))
_HEAT_METER_FLATS: Final = 2
_HEARD_BY: Final = ((0,), (1,), (0, 1))
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
    """A metering point: in a flat or (None) the building's own, with its meter, and where in GATEWAYS it is heard."""

    id: str
    flat: str | None
    label: str
    meter: Meter
    gateways: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Building:
    """The whole simulated property of one manager."""

    id: str
    name: str
    manager: str
    zone: str
    flats: tuple[Flat, ...]
    places: tuple[Place, ...]

    @classmethod
    def make(cls, *, flats: int = 12, seed: int = 1, zone: str = "Europe/Prague") -> Self:
        """The building of a seed, always the same; `zone` is an IANA name."""
        homes = tuple(_flat(number) for number in range(1, flats + 1))
        return cls(f"house-{seed}", f"Simulated house {seed}", "demo", zone, homes, tuple(_places(homes, seed, zone)))

    def place(self, point: str) -> Place:
        """The metering point of that id."""
        return next(place for place in self.places if place.id == point)


def _flat(number: int) -> Flat:
    return Flat(f"flat-{number:02d}", f"Flat {number}", "AB"[number % 2], _NAMES[number % len(_NAMES)])


def _places(flats: tuple[Flat, ...], seed: int, zone: str) -> Iterator[Place]:
    """Points of every flat, then the building's; the meters' numbers run through."""
    rooms = [(flat.id, room) for place, flat in enumerate(flats) for room in _FLAT + _FLAT_HEAT * (place < _HEAT_METER_FLATS)]
    for number, (flat, (label, kind)) in enumerate([*rooms, *((None, room) for room in _BUILDING)], 1):
        meter = Meter.make(kind, number, seed=seed, zone=zone)
        heard = _HEARD_BY[0] if meter.key is None else _HEARD_BY[hashed(seed, number) % len(_HEARD_BY)]
        yield Place(f"{flat or 'house'}-{label.replace(' ', '-')}", flat, label, meter, heard)
