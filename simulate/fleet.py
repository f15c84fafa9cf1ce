"""A fleet: any number of radio meters with keys of their own and the gateways that hear them, for loads rather than for figures.

Rules: everything follows from (meters, seed); meters take turns, so that each sends once an interval; what is lost, sent twice or stamped wrongly is
decided by the seed too. Ids have room for ten thousand meters a seed: a greater fleet goes on with the next seeds, up to 99.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Final, Self

from submeter.simulate.building import Building, Place
from submeter.simulate.consumption import hashed
from submeter.simulate.formats import Format
from submeter.simulate.gateway import Message, Sent, batches
from submeter.simulate.meters import Meter
from submeter.simulate.models import MODELS

__all__ = ["Fleet", "Troubles"]

_NUMBERS: Final = 10_000
_KINDS: Final = tuple(kind for kind, model in MODELS.items() if model.link != "wired")
_SHARE: Final = 1_000_000
_SECOND: Final = 1_000_000
#: Meters to a gateway.
_HEARD: Final = 1000


@dataclass(frozen=True, slots=True)
class Troubles:
    """What goes wrong on the way: the share of telegrams that nobody hears, of messages that are sent twice, and by how many seconds gateways' clocks are ahead."""

    loss: float = 0.0
    duplicates: float = 0.0
    skew_s: int = 0


NONE: Final = Troubles()


@dataclass(frozen=True, slots=True)
class Fleet:
    """Meters of all radio kinds in turn, a thousand to a gateway, as the places of one `building`."""

    building: Building
    seed: int

    @property
    def places(self) -> tuple[Place, ...]:
        """A place for each meter."""
        return self.building.places

    @classmethod
    def make(cls, meters: int, *, seed: int = 1, zone: str = "Europe/Prague") -> Self:
        """The fleet of a seed; ValueError where ids do not suffice."""
        places = tuple(_place(number, seed, zone) for number in range(meters))
        gateways = tuple(dict.fromkeys(place.gateways[0] for place in places))
        return cls(Building(f"fleet-{seed}", f"Simulated fleet {seed}", "fleet", zone, gateways, (), places), seed)

    def sent(self, telegrams: int, start: int, interval: int) -> Iterator[Sent]:
        """So many telegrams from `start` on, one meter after the other, each once in `interval`; µs, stamped in whole milliseconds."""
        step = interval / len(self.places)
        for number in range(telegrams):
            place = self.places[number % len(self.places)]
            t = start + int(number * step) // 1000 * 1000
            yield Sent(t, place, place.meter.telegram(t))

    def messages(
        self, telegrams: int, start: int, interval: int, *, form: Format, batch: int = 100, boot: str = "fleet", troubles: Troubles = NONE
    ) -> Iterator[Message]:
        """The same in gateways' messages of a format, at most `batch` telegrams each: full ones as they fill, the rest at the end."""
        numbers: defaultdict[str, Iterator[int]] = defaultdict(count)
        heard = (
            (one.place.gateways[0], replace(one, t=one.t + troubles.skew_s * _SECOND))
            for number, one in enumerate(self.sent(telegrams, start, interval))
            if not self._happens(troubles.loss, "lost", number)
        )
        for gateway, held in batches(heard, batch if form.batches else 1):
            message = form.message(gateway, boot, next(numbers[gateway]), held)
            yield message
            if self._happens(troubles.duplicates, gateway, held[0].t):
                yield message

    def _happens(self, share: float, *what: object) -> bool:
        return share > 0 and hashed(self.seed, *what) % _SHARE < share * _SHARE


def _place(number: int, seed: int, zone: str) -> Place:
    meter = Meter.make(_KINDS[number % len(_KINDS)], number % _NUMBERS, seed=seed + number // _NUMBERS, zone=zone)
    return Place(f"fleet-{seed}-{number}", None, meter.kind, meter, (f"fleet-{seed}-gw-{number // _HEARD}",))
