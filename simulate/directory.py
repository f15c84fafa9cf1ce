"""The directory of a simulated building as the TOML text that an import takes: who manages it, flats, points, meters with keys, residents."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from submeter.reading import Register, from_micro
from submeter.simulate.building import Building, Place
from submeter.simulate.meters import Meter

Entry = tuple[str, Mapping[str, object]]


#: Of flats in which somebody else moved in: who, and when (µs UTC).
Moves = Mapping[str, tuple[str, int]]


def directory(building: Building, since: date, *, manager: str = "Demo property management", moves: Moves | None = None) -> str:
    """The import file; meters and residents are there since the local date `since`."""
    return "\n".join(_table(kind, values) for kind, values in _entries(building, since, manager, moves or {}))


def _entries(building: Building, since: date, manager: str, moves: Moves) -> Iterator[Entry]:
    yield "manager", {"id": building.manager, "name": manager}
    yield "property", {"id": building.id, "manager": building.manager, "name": building.name, "zone": building.zone}
    for flat in building.flats:
        yield "unit", {"id": flat.id, "property": building.id, "label": flat.label, "entrance": flat.entrance}
        yield from (("occupancy", {"unit": flat.id, **stay}) for stay in _stays(flat.occupant, since, moves.get(flat.id)))
    for place in building.places:
        yield from _place(building, place, since)


def _stays(occupant: str, since: date, move: tuple[str, int] | None) -> Sequence[Mapping[str, object]]:
    if move is None:
        return [{"from": since, "name": occupant}]
    following, at = move
    return [{"from": since, "to": _instant(at), "name": occupant}, {"from": _instant(at), "name": following}]


def _place(building: Building, place: Place, since: date) -> Iterator[Entry]:
    """The point, its meter (or two), and that the one is at the other."""
    model, meter, following = place.meter.model, place.meter, place.following
    owner = {"unit": place.flat} if place.flat else {"property": building.id}
    registers = [str(field.register) for field in model.fields]
    parameters = {"parameters": {"set_day": "12-31", "max_gap": "P3D"}} if model.stored == "set_day" else {}
    yield "point", {"id": place.id, **owner, "quantity": model.quantity, "label": place.label, "registers": registers, **parameters}
    yield _device(meter)
    if following is None or place.exchanged is None:
        yield "assignment", {"point": place.id, "device": str(meter.device), "from": since}
        return
    yield _device(following)
    at, main = place.exchanged, model.fields[0].register
    yield "assignment", {"point": place.id, "device": str(meter.device), "from": since, "to": _instant(at), "end_value": _index(meter, main, at)}
    yield "assignment", {"point": place.id, "device": str(following.device), "from": _instant(at), "start_value": _index(following, main, at)}


def _device(meter: Meter) -> Entry:
    return "device", {"id": str(meter.device), **({"key": meter.key.hex(), "mode": 5} if meter.key else {})}


def _index(meter: Meter, register: Register, t: int) -> str:
    """What a meter shows at the hand-over, as decimal text."""
    return f"{from_micro(meter.truth(t)[register]):f}"


def _instant(t: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=t)).isoformat()


def _table(kind: str, values: Mapping[str, object]) -> str:
    return "\n".join([f"[[{kind}]]", *(f"{name} = {_value(value)}" for name, value in values.items()), ""])


def _value(value: object) -> str:
    """TOML of a date, a flat table, or what TOML writes as JSON does."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_value(one)}" for name, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
