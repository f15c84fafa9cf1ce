"""What the air says of the directory: which meters are awaited, which strangers are heard, and what each gateway hears, for each manager by itself.

Strategy: receptions of the last two weeks, one line a device and gateway, beside the assignments that run. Rules: a manager is told of the own meters; of a gateway
only what it hears of them; of a stranger only where every gateway that hears it hears this manager's meters and nobody else's (where there is one manager: always).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from submeter import civil
from submeter.store import Inbox, Readings, Registry

__all__ = ["STATES", "commissioning", "meter_states"]

#: States of a meter, the first that holds counts; each with the open event that says so.
STATES: Final[Mapping[str, str]] = {"never_heard": "meter_never_heard", "no_key": "key_missing", "wrong_key": "wrong_key", "silent": "silent"}

#: How far back receptions are counted, and messages of gateways are looked for.
BACK: Final = 14 * civil.DAY
GATEWAYS: Final = 3 * civil.DAY
#: Strangers that a manager is told of: those heard most.
MOST: Final = 500


class Heard(NamedTuple):
    """How often a gateway heard a device, on which first and last UTC day, and the best level in dBm."""

    device: str
    gateway: str
    receptions: int
    first: str
    last: str
    rssi: int | None


def meter_states(registry: Registry, now: int) -> Mapping[str, int]:
    """Return how many assigned meters are in each state as of `now` (µs UTC); those of which nothing is said are `ok`. Raises StoreError."""
    present = {one.device: f"point:{one.point}/" for one in registry.assignments() if one.holds(now)}
    opened: dict[str, list[str]] = {state: [one.subject for one in registry.events.find(kind, state="open")] for state, kind in STATES.items()}
    devices_at = {point: device for device, point in present.items()}
    found, left = dict.fromkeys(("ok", *STATES), 0), set(present)
    for state, subjects in opened.items():
        named = {one.removeprefix("device:") for one in subjects} | {devices_at.get(f"{one.partition('/')[0]}/", "") for one in subjects}
        found[state] = len(left & named)
        left -= named
    found["ok"] = len(left)
    return found


def commissioning(readings: Readings, registry: Registry, inbox: Inbox, now: int) -> Mapping[str, Mapping[str, Any]]:
    """Return what is told to each manager (id) as of `now`, µs UTC. Raises StoreError."""
    heard = [Heard(*row.values()) for row in readings.heard_by(civil.utc_date(now - BACK)).to_pylist()]
    managers, owner = [one.id for one in registry.managers()], _owners(registry)
    hears = {one.gateway: set[str]() for one in heard}
    for one in heard:
        hears[one.gateway] |= {owner[one.device]} if one.device in owner else set()
    alone, last = managers[0] if len(managers) == 1 else None, inbox.gateways(since=now - GATEWAYS)
    told = {manager: {"gateways": list(_gateways(manager, heard, owner, last))} for manager in managers}
    if alone:
        told[alone]["gateways"] += [_gateway(name, 0, 0, at) for name, (_, _, at) in last.items() if alone not in hears.get(name, ())]
    received, strangers = set(readings.devices_received()), _strangers(registry, heard, hears, alone)
    for manager, body in told.items():
        body["unknown"] = [said for whose, said in strangers if whose == manager][:MOST]
        present = [one for one in registry.assignments() if one.holds(now) and owner.get(one.device) == manager]
        body["awaited"] = [{"point": one.point, "device": one.device, "since": civil.iso(one.since)} for one in present if one.device not in received]
    return told


def _owners(registry: Registry) -> dict[str, str]:
    """The manager of each device that was ever assigned, by its last assignment."""
    manager_of = {building.id: building.manager for building in registry.properties()}
    points = {point.id: manager_of[point.property] for point in registry.points()}
    return {one.device: points[one.point] for one in sorted(registry.assignments(), key=lambda one: one.since)}


def _gateways(manager: str, heard: list[Heard], owner: Mapping[str, str], last: Mapping[str, tuple[int, int, int]]) -> Iterator[dict[str, Any]]:
    """What each gateway hears of a manager's meters."""
    own = [one for one in heard if owner.get(one.device) == manager]
    for name in sorted({one.gateway for one in own}):
        mine = [one for one in own if one.gateway == name]
        at = last[name][2] if name in last else None
        yield _gateway(name, len(mine), sum(one.receptions for one in mine), at) | {"day": max(one.last for one in mine)}


def _gateway(name: str, meters: int, receptions: int, at: int | None) -> dict[str, Any]:
    return {"name": name, "last": None if at is None else civil.iso(at), "day": None, "meters": meters, "receptions": receptions}


def _strangers(registry: Registry, heard: list[Heard], hears: Mapping[str, set[str]], alone: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Devices that the directory does not have, each with the manager that may know of it, those heard most first."""
    known, by_device = set(registry.device_names()), dict[str, list[Heard]]()
    for one in heard:
        if one.device not in known:
            by_device.setdefault(one.device, []).append(one)
    found = []
    for device, rows in by_device.items():
        whose = {alone} if alone else set().union(*(hears[one.gateway] for one in rows))
        best = max(rows, key=lambda one: (one.receptions, one.gateway))
        levels = [one.rssi for one in rows if one.rssi is not None]
        said = {"device": device, "gateway": best.gateway, "receptions": sum(one.receptions for one in rows), "rssi": max(levels, default=None)}
        said |= {"first": min(one.first for one in rows), "last": max(one.last for one in rows)}
        found += [(next(iter(whose)), said)] if len(whose) == 1 else []
    return sorted(found, key=lambda pair: (-pair[1]["receptions"], pair[1]["device"]))
