"""Simulated gateways: which telegram is heard when and by whom, in the envelopes that real gateways send.

Rules
* Every meter sends once each interval at a phase of its own (whole milliseconds), so the schedule is a pure function of the interval.
* Gateways that hear the same telegram stamp it alike: the flight takes less than their clocks resolve.
* `boot` and rising `seq` as in the native envelope (ingest formats, section 4); a message holds at most `MOST` telegrams.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Final

from submeter.simulate.building import Building, Place
from submeter.simulate.consumption import hashed

MOST: Final = 100
#: Where the native envelope says that a gateway publishes.
TOPIC: Final = "submeter/v1/{}/up"
_MILLI: Final = 1000


@dataclass(frozen=True, slots=True)
class Sent:
    """One transmission: instant (µs UTC, whole milliseconds), the place whose meter sent, the telegram."""

    t: int
    place: Place
    raw: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """What a gateway publishes: its name, the payload, the transmissions in it, and the topic."""

    gateway: str
    payload: bytes
    sent: tuple[Sent, ...]
    topic: str


def phase(place: Place, interval: int) -> int:
    """When in each interval (µs) this meter sends: µs, whole milliseconds."""
    return hashed(place.meter.use.seed, "phase") % (interval // _MILLI) * _MILLI


def instants(place: Place, t_from: int, t_to: int, interval: int) -> range:
    """The instants in [t_from, t_to) at which this meter sends, µs UTC; `interval` in µs."""
    late = (phase(place, interval) - t_from) % interval
    return range(t_from + late, t_to, interval)


def transmissions(building: Building, t_from: int, t_to: int, interval: int) -> Iterator[Sent]:
    """Every telegram that is sent and heard in [t_from, t_to) in order of time: one rotation through the phases after the other."""
    places = sorted(building.places, key=lambda place: (phase(place, interval) - t_from) % interval)
    offsets = [(phase(place, interval) - t_from) % interval for place in places]
    for start in range(t_from, t_to, interval):
        for offset, place in zip(offsets, places, strict=True):
            t = start + offset
            if t < t_to and place.heard(t):
                yield Sent(t, place, place.meter_at(t).telegram(t))


@dataclass(slots=True)
class Network:
    """The building's gateways since one start: `messages` of successive periods go on with the sequence numbers. `interval` is each meter's, in µs."""

    building: Building
    interval: int
    boot: str
    _sequence: defaultdict[str, Iterator[int]] = field(default_factory=lambda: defaultdict(count))

    def messages(self, t_from: int, t_to: int) -> Iterator[Message]:
        """What the gateways publish about [t_from, t_to), µs UTC: full batches as they fill, the rest at the end."""
        heard = ((gateway, sent) for sent in transmissions(self.building, t_from, t_to, self.interval) for gateway in sent.place.gateways)
        for gateway, batch in batches(heard):
            payload = envelope(gateway, self.boot, next(self._sequence[gateway]), batch)
            yield Message(gateway, payload, tuple(batch), TOPIC.format(gateway))


def batches(heard: Iterable[tuple[str, Sent]], size: int = MOST) -> Iterator[tuple[str, Sequence[Sent]]]:
    """What each gateway heard in batches of this size: full ones as they fill, the rest at the end."""
    waiting: defaultdict[str, list[Sent]] = defaultdict(list)
    for gateway, sent in heard:
        batch = waiting[gateway]
        batch.append(sent)
        if len(batch) == size:
            yield gateway, waiting.pop(gateway)
    yield from waiting.items()


def envelope(gateway: str, boot: str, seq: int, batch: Sequence[Sent]) -> bytes:
    """The native envelope of these transmissions, sent when the last was heard."""
    ts = datetime.fromtimestamp(batch[-1].t // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    telegrams = [_telegram(gateway, sent) for sent in batch]
    return json.dumps({"v": 1, "gw": gateway, "boot": boot, "seq": seq, "ts": ts, "t": telegrams}, separators=(",", ":")).encode()


def _telegram(gateway: str, sent: Sent) -> dict[str, object]:
    common: dict[str, object] = {"ts": sent.t // _MILLI, "hex": sent.raw.hex()}
    if sent.place.meter.key is None:
        return common | {"kind": "mbus"}
    return common | {"rssi": level(gateway, sent), "mode": "T1"}


def level(gateway: str, sent: Sent) -> int:
    """How strongly a gateway hears this meter, dBm."""
    return -55 - hashed(gateway, sent.place.id) % 40
