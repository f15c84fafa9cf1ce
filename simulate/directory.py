"""The directory of a simulated building as the TOML text that an import takes: who manages it, flats, points, meters with keys, residents."""

import json
from collections.abc import Iterator, Mapping
from datetime import date

from submeter.simulate.building import Building, Place

Entry = tuple[str, Mapping[str, object]]


def directory(building: Building, since: date) -> str:
    """The import file; meters and residents are there since the local date `since`."""
    return "\n".join(_table(kind, values) for kind, values in _entries(building, since))


def _entries(building: Building, since: date) -> Iterator[Entry]:
    yield "manager", {"id": building.manager, "name": "Demo property management"}
    yield "property", {"id": building.id, "manager": building.manager, "name": building.name, "zone": building.zone}
    for flat in building.flats:
        yield "unit", {"id": flat.id, "property": building.id, "label": flat.label, "entrance": flat.entrance}
        yield "occupancy", {"unit": flat.id, "from": since, "name": flat.occupant}
    for place in building.places:
        yield from _place(building, place, since)


def _place(building: Building, place: Place, since: date) -> Iterator[Entry]:
    """The point, its meter, and that the one is at the other."""
    model, device = place.meter.model, str(place.meter.device)
    owner = {"unit": place.flat} if place.flat else {"property": building.id}
    registers = [str(field.register) for field in model.fields]
    parameters = {"parameters": {"set_day": "12-31", "max_gap": "P3D"}} if model.stored == "set_day" else {}
    yield "point", {"id": place.id, **owner, "quantity": model.quantity, "label": place.label, "registers": registers, **parameters}
    yield "device", {"id": device, **({"key": place.meter.key.hex(), "mode": 5} if place.meter.key else {})}
    yield "assignment", {"point": place.id, "device": device, "from": since}


def _table(kind: str, values: Mapping[str, object]) -> str:
    return "\n".join([f"[[{kind}]]", *(f"{name} = {_value(value)}" for name, value in values.items()), ""])


def _value(value: object) -> str:
    """TOML of a date, a flat table, or what TOML writes as JSON does."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_value(one)}" for name, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
