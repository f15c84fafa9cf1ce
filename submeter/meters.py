"""Which meters are known and heard, and taking a heard one into the directory, as commands on an open core (ingest/INBOX.md 7)."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from submeter.aggregate import faults
from submeter.core import Core
from submeter.errors import SubmeterError
from submeter.ingest.envelopes.modbus import MODBUS
from submeter.ingest.envelopes.parsed import values_of
from submeter.store.directory import adopt
from submeter.store.key_files import key_of

__all__ = ["COMMANDS"]


@dataclass(slots=True)
class _Heard:
    """What was received of a device: how often, on which first and last UTC day, by whom, and how well at best (dBm)."""

    receptions: int = 0
    first: str = ""
    last: str = ""
    by: dict[str, int] = field(default_factory=dict)
    rssi: int | None = None


def _heard(core: Core) -> dict[str, _Heard]:
    found: dict[str, _Heard] = {}
    for row in core.readings.receptions().to_pylist():
        one = found.setdefault(row["device"], _Heard(first=str(row["day"])))
        one.receptions += row["n"]
        one.last = str(row["day"])
        one.by[row["gateway"]] = one.by.get(row["gateway"], 0) + row["n"]
        one.rssi = max((level for level in (one.rssi, row["rssi_best"]) if level is not None), default=None)
    return found


def _meters(core: Core, *, unknown: bool = False, heard: bool = False) -> Iterator[str]:
    known, received = {str(device.id) for device in core.registry.devices()}, _heard(core)
    shown = received.keys() - known if unknown else received.keys() if heard else received.keys() | known
    for device in sorted(shown):
        yield f"{device}  {'known  ' if device in known else 'unknown'}  {_line(received.get(device, _Heard()))}"


def _line(one: _Heard) -> str:
    if not one.receptions:
        return f"{0:>8} receptions  never heard"
    level = "" if one.rssi is None else f"  at best {one.rssi} dBm"
    by = ", ".join(f"{gateway} ({count})" for gateway, count in sorted(one.by.items(), key=lambda pair: -pair[1]))
    return f"{one.receptions:>8} receptions  last heard {one.last}, first {one.first}  by {by}{level}"


def _adopt(
    core: Core, *, device: str, point: str, since: str | None = None, key: str | None = None, key_file: str | None = None, password: str = ""
) -> Iterator[str]:
    received = _heard(core).get(device)
    if received is None and since is None:
        raise SubmeterError(f"{device} was never heard: look at `submeter meters --unknown`, or write --from DATE to take it in anyway")
    core.open_vault()
    secret = key if key_file is None else key_of(Path(key_file), device, password).hex()
    report = adopt(core.registry, device, point, since or (received.first if received else ""), secret, check=faults)
    yield from report.lines()
    needed = "" if secret else "; a key it needs is imported with `submeter import FILE`"
    yield f"{device} is that of {point}: what it sent is decoded at its original times{needed}"
    core.drain_all()
    yield str(core.rollup())


def _announced(core: Core) -> Iterator[str]:
    """The entities that bridges announce to Home Assistant, by device: what is taken of them, and what is not and why."""
    for broker, entity in core.decoding.announcements.now():
        meter = ""
        if entity.value is not None:
            devices = core.registry.numbered(entity.told.meter)
            link = (
                f"link it by `submeter meters --named {shlex.quote(entity.told.meter)} --device ID`, unless its messages have an id of eight digits"
            )
            meter = f"  meter {entity.told.meter} ({entity.told.model}): {devices[0] if len(devices) == 1 else link}"
        yield f"{broker}  {entity}{meter}"


def _named(core: Core, *, name: str, device: str) -> Iterator[str]:
    core.registry.entities.link(name, device)
    yield f"what gateways call {name} is {device}"
    told = [row for row in core.inbox.quarantined(reason="unknown_meter") if row.link == "parsed" and row.form != MODBUS.name]
    waiting = [row for row in told if values_of(row.raw).id == name]
    core.decoding.redecode(waiting)
    yield f"{len(waiting)} telegrams that waited for it are decoded at their original times"
    yield str(core.rollup())


COMMANDS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {
    "meters": _meters,
    "meters.adopt": _adopt,
    "meters.announced": _announced,
    "meters.named": _named,
}
