"""What Home Assistant is told of chosen meters: an announcement for each metering point, a value for each of its registers (docs/home-assistant.md).

Strategy: a function of directory and published tables; the answer is all retained messages that should stand at the broker, topic → payload.
Rules: only points that a pattern of the configuration names; the last index as it is published, so nothing that is held as suspicious; each value with its own instant;
nothing of the people who live there, no key; a point whose meter was taken away is not shown, and a new meter not before its own first reading.
Source: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload, and the device classes of its sensors.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from submeter import __version__, civil
from submeter.config import HomeAssistant
from submeter.decoders import DICTIONARY
from submeter.reading import DeviceId, Register, from_micro
from submeter.store import Point, Published, PublishedSeries, Registry
from submeter.store.registry_types import Assignment

__all__ = ["MOST", "Shown", "shown", "standing"]

#: Points that are shown at most; Home Assistant is for a house, not for a town.
MOST: Final = 2000
#: … and how many are asked for together.
TOGETHER: Final = 500
#: Units as Home Assistant writes them; others as they are, and none for plain numbers.
UNITS: Final[Mapping[str, str | None]] = {"m3": "m³", "m3/h": "m³/h", "1": None, "bits": None}
#: By the unit of a register, its device class there; water is said by the class of the point.
CLASSES: Final[Mapping[str, str]] = {
    "m3": "volume", "kWh": "energy", "kW": "power", "m3/h": "volume_flow_rate", "°C": "temperature", "%": "humidity", "bar": "pressure", "V": "voltage",
    "A": "current", "Hz": "frequency", "h": "duration", "d": "duration",
}  # fmt: skip
WATER: Final = frozenset(("cold_water", "hot_water"))
#: What a class is called for people.
NAMES: Final[Mapping[str, str]] = {"heat_allocation": "Heat cost allocator"}


class Shown(NamedTuple):
    """What should stand at the broker by topic, how many points it shows, and how many were left out because they are too many."""

    messages: Mapping[str, bytes]
    points: int
    left_out: int


class _Meter(NamedTuple):
    """A point that is shown: where it is, its present meter, and the registers that have a value of it, the main one first."""

    point: Point
    place: str
    assignment: Assignment
    series: Sequence[PublishedSeries]


def shown(registry: Registry, published: Published, wanted: HomeAssistant, *, now: int) -> Shown:
    """All messages about the points that are wanted."""
    points = [point for point in registry.points() if _named(point, wanted)]
    messages: dict[str, bytes] = {}
    for meter in _meters(registry, published, points[:MOST], now):
        messages |= _announced(meter, wanted)
        messages |= {_topic(wanted, meter.point, one.register): _value(meter, one) for one in meter.series}
    return Shown(messages, min(len(points), MOST), max(len(points) - MOST, 0))


def standing(wanted: HomeAssistant) -> tuple[str, str]:
    """Filters of the topics of all that `shown` ever makes: announcements and values."""
    return f"{wanted.prefix}/device/{wanted.client_id}/+/config", f"{wanted.topic}/+/+"


def _named(point: Point, wanted: HomeAssistant) -> bool:
    asked = ((point.property, wanted.properties), (point.unit or "", wanted.units), (point.id, wanted.points))
    return any(fnmatchcase(identity, pattern) for identity, patterns in asked for pattern in patterns if identity)


def _meters(registry: Registry, published: Published, points: Sequence[Point], now: int) -> Iterator[_Meter]:
    units, houses = {unit.id: unit.label for unit in registry.units()}, {one.id: one.name for one in registry.properties()}
    assigned = {one.point: one for one in registry.assignments() if one.holds(now)}
    for first in range(0, len(points), TOGETHER):
        some = points[first : first + TOGETHER]
        series = published.series_of([point.id for point in some])
        for point in some:
            assignment = assigned.get(point.id)
            if assignment is None:
                continue
            own = [one for one in series if one.point == point.id and one.last_value is not None and (one.last_t or 0) >= assignment.since]
            if own:
                own.sort(key=lambda one: str(one.register) != point.registers[0])
                yield _Meter(point, units.get(point.unit or "") or houses[point.property], assignment, own)


def _announced(meter: _Meter, wanted: HomeAssistant) -> dict[str, bytes]:
    """The announcement of a point as one device with a sensor for each register, and one for the time of its last reading."""
    point, device = meter.point, DeviceId.parse(meter.assignment.device)
    identity, main = f"{wanted.client_id}_{_word(point.id)}", meter.series[0]
    sensors = {_key(one.register): _sensor(point, one.register) | {"state_topic": _topic(wanted, point, one.register)} for one in meter.series}
    sensors["last_reading"] = {
        "name": "Last reading",
        "device_class": "timestamp",
        "entity_category": "diagnostic",
        "state_topic": _topic(wanted, point, main.register),
        "value_template": "{{ value_json.timestamp }}",
    }
    told = {
        "device": {
            "identifiers": [identity],
            "name": f"{meter.place} {point.label or NAMES.get(point.quantity, point.quantity.replace('_', ' '))}",
            "manufacturer": device.manufacturer,
            "model": NAMES.get(point.quantity, point.quantity.replace("_", " ").capitalize()),
            "serial_number": device.id,
            "suggested_area": meter.place,
        },
        "origin": {"name": "submeter", "sw_version": __version__},
        "availability_topic": f"{wanted.topic}/status",
        "components": {key: {"platform": "sensor", "unique_id": f"{identity}_{key}", **sensor} for key, sensor in sensors.items()},
    }
    return {f"{wanted.prefix}/device/{wanted.client_id}/{_word(point.id)}/config": _json(told)}


def _sensor(point: Point, register: Register) -> dict[str, Any]:
    entry = DICTIONARY[register.name]
    device_class = "water" if point.quantity in WATER and register.unit == "m3" else CLASSES.get(register.unit)
    unit = UNITS.get(register.unit, register.unit)
    return {
        "name": _key(register).replace("_", " ").capitalize(),
        "state_class": "measurement" if entry.kind == "gauge" else "total_increasing",
        "value_template": f"{{{{ value_json.{_key(register)} }}}}",
        "suggested_display_precision": entry.decimals,
        **({"device_class": device_class} if device_class else {}),
        **({"unit_of_measurement": unit} if unit else {}),
    }


def _value(meter: _Meter, one: PublishedSeries) -> bytes:
    """A value with the number of its meter and the instant at which it was valid."""
    value, at = from_micro(one.last_value or 0), civil.iso(one.last_t or 0)
    return _json({"id": DeviceId.parse(meter.assignment.device).id, "timestamp": at, _key(one.register): float(value)})


def _topic(wanted: HomeAssistant, point: Point, register: Register) -> str:
    return f"{wanted.topic}/{_word(point.id)}/{_key(register)}"


def _key(register: Register) -> str:
    """A register's name, with its tariff, subunit and index as words."""
    return re.sub(r"\[#?(\w+)\]", r"_\1", str(register))


def _word(identity: str) -> str:
    """An id as one level of a topic: letters, digits, _ and -; all else by its number."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: f"_{ord(found[0]):x}_", identity)


def _json(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
