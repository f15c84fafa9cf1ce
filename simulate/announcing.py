"""How bridges announce meters to Home Assistant and tell their values: the inverse of ingest/envelopes/discovery.py and entities.py.

Two of them: one that abbreviates and names the meter in its messages, and libmbus2mqtt, whose values are texts and whose messages name nobody.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from submeter.reading import Register, from_micro
from submeter.simulate.gateway import Sent
from submeter.simulate.meters import Meter

__all__ = ["Announcement", "announce", "announce_libmbus", "state", "state_libmbus"]

#: Topic and payload; to be published as a retained message.
Announcement = tuple[str, bytes]
#: Units as bridges write them; allocator units have none.
UNITS: Final[Mapping[str, str]] = {"m3": "m³", "m3/h": "m³/h", "hca": ""}


def state(_: str, __: str, ___: int, sent: Sequence[Sent]) -> bytes:
    """Number, time and values of the meter that was heard."""
    (one,) = sent
    meter, time = one.place.meter_at(one.t), f"{datetime.fromtimestamp(one.t / 1_000_000, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    return _json({"id": meter.device.id, "timestamp": time, **{register.name: float(value) for register, value in _shown(meter, one.t)}})


def announce(gateway: str, meter: Meter) -> Iterator[Announcement]:
    """The announcements of one meter, with abbreviated keys."""
    number = meter.device.id
    for register in _registers(meter):
        told = {
            "~": f"bridge/{gateway}/{number}",
            "stat_t": "~/state",
            "val_tpl": f"{{{{ value_json.{register.name} | float }}}}",
            "uniq_id": f"{number}_{register.name}",
            "dev": {"ids": [f"bridge_{number}"], "mf": meter.device.manufacturer, "mdl": meter.kind},
            "stat_cla": _state_class(meter, register),
        }
        unit = UNITS.get(register.unit, register.unit)
        yield f"homeassistant/sensor/{number}/{register.name}/config", _json(told | ({"unit_of_meas": unit} if unit else {}))


def state_libmbus(_: str, __: str, ___: int, sent: Sequence[Sent]) -> bytes:
    """Values as texts, under the keys of a template."""
    (one,) = sent
    meter = one.place.meter_at(one.t)
    return _json({"serial_number": meter.device.id, **{register.name: str(value) for register, value in _shown(meter, one.t)}})


def announce_libmbus(_: str, meter: Meter) -> Iterator[Announcement]:
    """The announcements of one meter by libmbus2mqtt, with a template for its kind."""
    number = meter.device.id
    device = {
        "identifiers": [f"libmbus2mqtt_{number}"],
        "name": f"{meter.kind} ({number})",
        "via_device": "libmbus2mqtt_bridge",
        "manufacturer": meter.device.manufacturer,
        "serial_number": number,
    }
    entities = [("Serial Number", "serial_number", None), *((register.name, register.name, register) for register in _registers(meter))]
    for place, (name, key, register) in enumerate(entities):
        identity = f"libmbus2mqtt_{number}_{place}"
        told: dict[str, object] = {"name": name, "unique_id": identity, "device": device, "state_topic": f"libmbus2mqtt/device/{number}/state"}
        told["value_template"] = f"{{{{ value_json.{key} }}}}"
        if register is not None:
            told |= {"state_class": _state_class(meter, register), "unit_of_measurement": UNITS.get(register.unit, register.unit) or "hca"}
        yield f"homeassistant/sensor/{identity}/config", _json(told)


def _shown(meter: Meter, t: int) -> Iterator[tuple[Register, Decimal]]:
    return ((register, from_micro(value)) for register, value in meter.truth(t).items())


def _registers(meter: Meter) -> list[Register]:
    return [field.register for field in meter.model.fields]


def _state_class(meter: Meter, register: Register) -> str:
    counters = [field.register for field in meter.model.fields[: meter.model.counters]]
    if register not in counters:
        return "measurement"
    return "total" if meter.model.stored == "set_day" else "total_increasing"


def _json(told: object) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()
