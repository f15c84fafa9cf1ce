"""Gateways as commands on an open core: their credentials (ingest/MQTT.md 8, 9)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from submeter import civil
from submeter.core import Core, now
from submeter.store.gateways import COLLECTOR

__all__ = ["COMMANDS"]


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
    "gateway.create": _create,
    "gateway.rotate": _rotate,
    "gateway.revoke": _revoke,
    "gateway.list": _list,
    "gateway.passwords": _passwords,
}
