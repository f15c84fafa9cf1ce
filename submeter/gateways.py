"""Gateways as commands on an open core: their credentials (ingest/MQTT.md 8, 9), and how they do (ingest/INBOX.md 7)."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from submeter import civil
from submeter.core import Core, now
from submeter.ingest.numbering import Numbers
from submeter.store.gateways import COLLECTOR

__all__ = ["COMMANDS", "Doing", "doing"]

#: How far back messages and receptions are looked at.
BACK: Final = 14 * civil.DAY
ALONE: Final = 7 * civil.DAY


@dataclass(frozen=True, slots=True)
class Doing:
    """How a gateway does: its last message (µs UTC, None if there is none of late), what it delivered today (UTC), what it hears, its clock and its numbers."""

    name: str
    last: int | None
    messages: int
    telegrams: int
    meters: int
    alone: int
    skew: int | None
    missing: int
    gaps: int
    restarts: int


def doing(core: Core, moment: int) -> list[Doing]:
    """How every gateway does that was let in or heard of late, in order of their names; `alone`: meters that no other one heard in seven days."""
    midnight = civil.utc_midnight(civil.utc_date(moment))
    lately, today = core.inbox.gateways(since=moment - BACK), core.inbox.gateways(since=midnight)
    numbers = {name: Numbers.of(name, state) for name, state in core.registry.gateways.numbers()[1].items()}
    telegrams, by_device, meters = defaultdict[str, int](int), defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for row in core.readings.heard_by(civil.utc_date(midnight)).to_pylist():
        telegrams[row["gateway"]] += row["n"]
    for row in core.readings.heard_by(civil.utc_date(moment - ALONE)).to_pylist():
        by_device[row["device"]].add(row["gateway"])
        meters[row["gateway"]].add(row["device"])
    names = {one.name for one in core.registry.gateways.all() if one.revoked is None and one.name != COLLECTOR} | lately.keys() | meters.keys()
    return [
        Doing(
            name,
            last=lately[name][2] if name in lately else None,
            messages=today[name][0] if name in today else 0,
            telegrams=telegrams[name],
            meters=len(meters[name]),
            alone=sum(len(by_device[device]) == 1 for device in meters[name]),
            skew=core.decoding.sightings.skews.get(name),
            missing=numbers[name].missing if name in numbers else 0,
            gaps=numbers[name].gaps if name in numbers else 0,
            restarts=numbers[name].restarts if name in numbers else 0,
        )
        for name in sorted(names)
    ]


def _gateways(core: Core) -> Iterator[str]:
    core.look()
    for one in doing(core, now()):
        last = "never heard of late" if one.last is None else f"last message {civil.iso(one.last)}"
        clock = "" if one.skew is None else f"  clock {one.skew / civil.SECOND:+.0f} s"
        heard = f"{one.messages} messages, {one.telegrams} telegrams today  {one.meters} meters, {one.alone} heard by it alone"
        yield f"{one.name}  {last}  {heard}{clock}  {one.missing} messages missing, {one.gaps} gaps, {one.restarts} restarts"


def _create(core: Core, *, name: str) -> Iterator[str]:
    yield from _told(name, core.registry.gateways.create(name, now()))


def _rotate(core: Core, *, name: str) -> Iterator[str]:
    yield from _told(name, core.registry.gateways.rotate(name, now()))


def _told(name: str, secret: str) -> Iterator[str]:
    """The secret, this once, and where it goes."""
    yield secret
    if name == COLLECTOR:
        yield f"MQTT user {name}: put this password into the file that password_file of [[mqtt]] names"
    else:
        yield f"MQTT user {name} with this password; or over HTTP: POST /ingest/v1/{name} with `Authorization: Bearer` and this token"
    yield "it is not shown again; the broker knows it after `submeter gateway passwords > FILE` and a reload (SIGHUP)"


def _revoke(core: Core, *, name: str) -> Iterator[str]:
    core.registry.gateways.revoke(name, now())
    yield f"{name} is out: over HTTP at once, at the broker after `submeter gateway passwords > FILE` and a restart, which ends its open connections"


def _list(core: Core) -> Iterator[str]:
    for one in core.registry.gateways.all():
        ended = f"  revoked {civil.iso(one.revoked)}" if one.revoked is not None else ""
        yield f"{one.name}  made {civil.iso(one.created)}  secret of {civil.iso(one.rotated)}{ended}"


def _passwords(core: Core) -> Iterator[str]:
    yield from core.registry.gateways.passwords()


COMMANDS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {
    "gateways": _gateways,
    "gateway.create": _create,
    "gateway.rotate": _rotate,
    "gateway.revoke": _revoke,
    "gateway.list": _list,
    "gateway.passwords": _passwords,
}
