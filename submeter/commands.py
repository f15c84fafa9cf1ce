"""Operator commands on an open core, by name: what `submeter VERB` runs here, or asks a running core to run (`submeter.control`).

A command takes the core and its arguments as JSON values, yields lines for a person and raises SubmeterError with what is wrong and what to do.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from submeter import decide
from submeter.aggregate import faults
from submeter.core import Core
from submeter.errors import SubmeterError
from submeter.ingest.replay import replay
from submeter.reading import DeviceId
from submeter.store import SCOPES, Inbox
from submeter.store.directory import import_directory
from submeter.store.key_files import Columns, read_keys
from submeter.store.keys import import_keys

__all__ = ["COMMANDS", "execute"]


def execute(core: Core, command: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Run one command; raises SubmeterError for an unknown one."""
    if command not in COMMANDS:
        raise SubmeterError(f"the running core knows no command {command!r}: it is of another version than this command line")
    yield from COMMANDS[command](core, **arguments)


def _rollup(core: Core, *, settle: bool = True, everything: bool = False) -> Iterator[str]:
    core.drain_all()
    yield str(core.rollup(settle=settle, everything=everything))


def _import(core: Core, *, path: str) -> Iterator[str]:
    core.open_vault()
    report = import_directory(core.registry, Path(path), check=faults)
    yield from report.lines()
    yield from _rollup(core)


def _import_keys(core: Core, *, path: str, password: str = "", id_column: str | None = None, key_column: str | None = None) -> Iterator[str]:
    core.open_vault()
    rows, told = read_keys(Path(path), password, Columns(id_column, key_column))
    yield f"{len(rows)} keys in {Path(path).name}: {told}"
    heard = {DeviceId.parse(row["device"]) for row in core.readings.receptions().to_pylist()}
    yield from import_keys(core.registry, Path(path), rows, heard).lines()
    yield from _rollup(core)


def _replay(core: Core, *, path: str) -> Iterator[str]:
    with Inbox(core.folder / "inbox.sqlite") as inbox:
        replayed = replay(Path(path), inbox)
    yield str(replayed)
    core.drain_all()
    yield from _rollup(core)


def _requeue(core: Core, *, reason: str | None = None, device: str | None = None) -> Iterator[str]:
    step = core.requeue(reason=reason, device=device)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(step.results.items())) or "none"
    yield f"{step.messages} telegrams taken up again: {outcomes}"
    yield from _rollup(core)


def _quarantine(core: Core, *, reason: str | None = None, device: str | None = None) -> Iterator[str]:
    for row in core.inbox.quarantined(reason=reason, device=device):
        yield f"{_iso(row.received_at)}  {row.device or 'unknown device'}  {row.reason}  by {row.gateway}: {row.detail}  {row.raw.hex()}"


def _status(core: Core) -> Iterator[str]:
    counts, tables = core.inbox.counts(), core.readings.counts()
    oldest = f", the oldest since {_iso(counts.oldest_waiting)}" if counts.oldest_waiting is not None else ""
    yield f"inbox: {counts.waiting} messages wait{oldest}"
    yield from (f"not decoded: {count} messages, {reason}" for reason, count in sorted(counts.refused.items()))
    yield from (f"quarantine: {count} telegrams, {reason}" for reason, count in sorted(counts.quarantined.items()))
    yield f"readings: {tables['readings']} of {tables['registers']} registers"
    yield f"rollups: {tables['rollups']} rows of {tables['series']} series; {tables['dirty']} ranges wait for the next run"


def _meters(core: Core, *, unknown: bool = False) -> Iterator[str]:
    known = {str(device.id) for device in core.registry.devices()}
    heard: dict[str, tuple[int, str]] = {}
    for row in core.readings.receptions().to_pylist():
        count, _ = heard.get(row["device"], (0, ""))
        heard[row["device"]] = (count + row["n"], f"last heard {row['day']} by {row['gateway']}")
    for device in sorted(heard.keys() - known if unknown else heard.keys() | known):
        count, when = heard.get(device, (0, "never heard"))
        yield f"{device}  {'known  ' if device in known else 'unknown'}  {count:>8} receptions  {when}"


def _token_create(core: Core, *, manager: str, scopes: list[str] | None = None) -> Iterator[str]:
    yield core.registry.create_token(manager, scopes or list(SCOPES))


def _token_list(core: Core) -> Iterator[str]:
    for token in core.registry.tokens():
        ended = f"  revoked {_iso(token.revoked)}" if token.revoked else ""
        yield f"{token.id}  {token.manager}  {' '.join(token.scopes)}  made {_iso(token.created)}{ended}"


def _token_revoke(core: Core, *, token: str) -> Iterator[str]:
    core.registry.revoke_token(token)
    yield f"{token} is revoked"


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="seconds")


COMMANDS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {
    "rollup": _rollup,
    "import": _import,
    "import.keys": _import_keys,
    "replay": _replay,
    "requeue": _requeue,
    "quarantine": _quarantine,
    "status": _status,
    "meters": _meters,
    "token.create": _token_create,
    "token.list": _token_list,
    "token.revoke": _token_revoke,
    **decide.COMMANDS,
}
