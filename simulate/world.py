"""The world of the demo: three houses and a heat company's substations, five managers with a portal each, and the stories that happen there.

Everything follows from (seed, end): who lives where, which meters hang there, what they heard and what happened to them before `end`.  One house has two
managers, each for its own entrance; the heat company's customers are the houses, so that its units are substations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

from submeter.simulate.building import DWELLING, Building, Place, Plan
from submeter.simulate.consumption import DAY
from submeter.simulate.directory import directory
from submeter.simulate.history import Stretch, local_day, times
from submeter.simulate.stories import LATE, Story, happened

__all__ = ["COMPANIES", "SEEDS", "Company", "World"]

#: When meters and residents moved in: before the oldest value that a meter stored in three years of history.
SETTLED: Final = 5 * 366 * DAY
#: Each company has houses of its own seed; an id of a meter has room for seeds to 99.
SEEDS: Final = range(1, 20)

#: Makers whose meters send the standard's records, as the simulated ones do: Itron, Sontex, Aquametro, ABB.
MAKERS: Final = {
    "cold_water": "ITW", "hot_water": "ITW", "allocator": "SON", "heat": "SON", "building_heat": "AMT", "cooling": "AMT", "electricity": "ABB",
}  # fmt: skip

_CZECH: Final = {"kitchen": "kuchyň", "bathroom": "koupelna", "living room": "obývací pokoj", "bedroom": "ložnice", "hall": "chodba"}
_SLOVENE: Final = {"kitchen": "kuhinja", "bathroom": "kopalnica", "living room": "dnevna soba", "bedroom": "spalnica", "hall": "hodnik"}
_RUSSIAN: Final = {"kitchen": "кухня", "bathroom": "ванная", "living room": "гостиная", "bedroom": "спальня", "hall": "прихожая"}
_SUBSTATION: Final = Plan((("substation", "building_heat"),), (), (), "Kundesentral {}", {"substation": "kundesentral"})


class Company(NamedTuple):
    """A manager with its portal (the shipped configuration, the host), its house, and how many flats that has."""

    id: str
    name: str
    portal: str
    host: str
    house: str
    zone: str
    flats: int
    plan: Plan = DWELLING


#: The portals that the demo shows, in the order of its print.
COMPANIES: Final = (
    Company("inmes", "Správa domů Lípa", "inmes", "inmes.localhost", "Lipová 12, Brno", "Europe/Prague", 8, Plan(label="Byt č. {}", words=_CZECH)),
    Company("sz-maribor", "Stanovanjska zadruga Maribor", "iiportal", "sz-maribor.localhost", "Gosposka ulica 5, Maribor", "Europe/Ljubljana", 8,
            Plan(label="Stanovanje {}", words=_SLOVENE)),
    Company("fjernvarme", "Fjernvarme AS", "impreso", "fjernvarme.localhost", "Fjernvarmenett sentrum", "Europe/Oslo", 3, _SUBSTATION),
    Company("yugra", "Югра Жильё", "infoyugra", "yugra.localhost", "ул. Мира 8, подъезд 1", "Asia/Yekaterinburg", 4, Plan(label="Кв. {}", words=_RUSSIAN)),
    Company("inkomus", "Расчётный центр Инкомус", "inkomus", "inkomus.localhost", "ул. Мира 8, подъезд 2", "Asia/Yekaterinburg", 4,
            Plan(label="Кв. {}", words=_RUSSIAN)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """All houses with what happened in them before `end` (µs UTC); `moves` as the directory takes them."""

    seed: int
    end: int
    buildings: Mapping[str, Building]
    stories: tuple[Story, ...]
    moves: Mapping[str, tuple[str, int]]

    @classmethod
    def make(cls, *, seed: int, end: int) -> Self:
        """The world of a seed (one of SEEDS) whose history ends at `end`, always the same."""
        if seed not in SEEDS:
            raise ValueError(f"seed {seed}: write one of {SEEDS.start} to {SEEDS.stop - 1}")
        plain = {one.id: _built(one, len(COMPANIES) * (seed - 1) + number) for number, one in enumerate(COMPANIES)}
        buildings, stories, moves = happened(plain, end)
        return cls(seed, end, buildings, stories, moves)

    @property
    def places(self) -> Iterator[Place]:
        """Every metering point."""
        return (place for building in self.buildings.values() for place in building.places)

    @property
    def devices(self) -> int:
        """How many meters there are, those exchanged and their followers too."""
        return sum(1 + (place.following is not None) for place in self.places)

    def story(self, name: str) -> Story:
        """The story of that name."""
        return next(story for story in self.stories if story.name == name)

    def directory(self) -> str:
        """The import file of all companies; everybody is there since long before the history."""
        return "\n".join(
            directory(building, local_day(building.zone, self.end - SETTLED), manager=one.name, moves=self.moves)
            for one in COMPANIES
            for building in (self.buildings[one.id],)
        )

    def sent(self, place: Place, stretches: list[Stretch], *, late: bool = True) -> list[int]:
        """When somebody heard the meter of a place in these stretches, in order; `late`: what came late is there too."""
        told = self.story(LATE)
        return sorted({
            t
            for stretch in stretches
            for t in times(place, stretch)
            if place.heard(t) or (late and place.id == told.point and told.since <= t < told.until)
        })  # fmt: skip


def _built(one: Company, number: int) -> Building:
    plan = replace(one.plan, makers=MAKERS)
    return Building.make(flats=one.flats, seed=number + 1, zone=one.zone, manager=one.id, name=one.house, plan=plan)
