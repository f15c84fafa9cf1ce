"""Operator commands on an open core, by name: what `submeter VERB` runs here, or asks a running core to run (`submeter.control`).

A command takes the core and its arguments as JSON values, yields lines for a person and raises SubmeterError with what is wrong and what to do.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from submeter import again, civil, decide, gateways, information, jobs, meters, preview, staff
from submeter.aggregate import faults
from submeter.backup import backup
from submeter.core import Core, now
from submeter.errors import SubmeterError
from submeter.ingest.bus.frames import parse_address
from submeter.ingest.envelopes import split
from submeter.ingest.replay import replay
from submeter.reading import DeviceId
from submeter.rebuild import rebuild
from submeter.store import KINDS, Inbox, Notice
from submeter.store.audit import Chain
from submeter.store.directory import import_directory
from submeter.store.key_files import Columns, read_keys
from submeter.store.keys import import_keys
from submeter.store.meter_files import is_meter_files, read_meter_files
from submeter.store.registry_types import READS
from submeter.store.runs import By

__all__ = ["ASIDE", "COMMANDS", "execute"]

#: Commands that only look, at what any thread may read: they are answered beside the work that is under way.
ASIDE: Final = frozenset({"rollup.status", "audit", "poll"})
#: How long a meter may take, with the read that is under way when it is asked for.
POLL_S: Final = 60.0


def execute(core: Core, command: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Run one command; raises SubmeterError for an unknown one."""
    if command not in COMMANDS:
        raise SubmeterError(f"the running core knows no command {command!r}: it is of another version than this command line")
    yield from COMMANDS[command](core, **arguments)


def _rollup(core: Core, *, settle: bool = True, everything: bool = False, since: str | None = None, until: str | None = None) -> Iterator[str]:
    core.drain_all()
    if span := _span(since, until):
        core.readings.touch(*span)
    yield str(core.rollup(settle=settle, everything=everything))


def _rollup_spark(
    core: Core, *, master: str, shared: str | None = None, everything: bool = False, since: str | None = None, until: str | None = None
) -> Iterator[str]:
    engine = core.on_spark(master, Path(shared) if shared else None)
    core.drain_all()
    if span := _span(since, until):
        core.readings.touch(*span)
    core.work.begin("rollup on Spark")
    try:
        report = core.rollup(everything=everything, engine=engine)
    finally:
        core.work.end()
    yield f"spark: {engine.used}"
    yield str(report)


def _rollup_preview(core: Core, *, everything: bool = False, since: str | None = None, until: str | None = None) -> Iterator[str]:
    if waiting := core.inbox.counts().waiting:
        yield f"{waiting} messages wait to be decoded: what they bring is not in this preview"
    if core.registry.version() != core.readings.directory():
        yield "the directory changed: what it lifts from the quarantine is not in this preview"
    yield from preview.lines(core.preview(everything=everything, span=_span(since, until)), core.readings.series())


def _span(since: str | None, until: str | None) -> tuple[int, int] | None:
    """The range of `--from` and `--to`, a day wider on both sides where dates are given, so that it is whole in every zone."""
    if since is None and until is None:
        return None
    if since is None or until is None:
        raise SubmeterError("a range has two ends: write --from 2026-01-01 --to 2026-01-31")
    start, end = again.instant(since, -civil.DAY), again.instant(until, 2 * civil.DAY)
    if start >= end:
        raise SubmeterError(f"the range from {since} to {until} is empty: --from is the earlier one")
    return start, end


def _job(core: Core, *, name: str, by: By = "operator") -> Iterator[str]:
    yield from jobs.perform(core, name, by=by, planned=None if by == "operator" else jobs.last_due(jobs.job(name), core.config, now()))


def _rollup_status(core: Core) -> Iterator[str]:
    yield from jobs.status(core, now=now())


def _pause(core: Core, *, name: str) -> Iterator[str]:
    core.registry.runs.pause(jobs.job(name).name, now=now())
    yield f"{name} is paused, also over restarts, until `submeter rollup --resume {name}`"


def _resume(core: Core, *, name: str) -> Iterator[str]:
    core.registry.runs.resume(jobs.job(name).name)
    yield f"{name} runs by itself again"
    if any(one.name == name for one, _ in jobs.missed(core, now=now())):
        yield from _job(core, name=name, by="catch_up")


def _import(core: Core, *, path: str) -> Iterator[str]:
    core.open_vault()
    report = import_directory(core.registry, Path(path), check=faults)
    yield from report.lines()
    yield from _rollup(core)


def _import_keys(core: Core, *, path: str, password: str = "", id_column: str | None = None, key_column: str | None = None) -> Iterator[str]:
    core.open_vault()
    file = Path(path)
    rows, told = read_meter_files(file) if is_meter_files(file) else read_keys(file, password, Columns(id_column, key_column))
    yield f"{len(rows)} keys in {file.name}: {told}"
    heard = {DeviceId.parse(row["device"]) for row in core.readings.receptions().to_pylist()}
    yield from import_keys(core.registry, file, rows, heard).lines()
    yield from _rollup(core)


def _replay(core: Core, *, path: str) -> Iterator[str]:
    with Inbox(core.folder / "inbox.sqlite") as inbox:
        replayed = replay(Path(path), inbox)
    yield str(replayed)
    core.drain_all()
    yield from _rollup(core)


def _quarantine(core: Core, *, reason: str | None = None, device: str | None = None) -> Iterator[str]:
    for row in core.inbox.quarantined(reason=reason, device=device):
        yield f"{civil.iso(row.received_at)}  {row.device or 'unknown device'}  {row.reason}  by {row.gateway}: {row.detail}  {row.raw.hex()}"


def _status(core: Core) -> Iterator[str]:
    counts, tables = core.inbox.counts(), core.readings.counts()
    oldest = f", the oldest since {civil.iso(counts.oldest_waiting)}" if counts.oldest_waiting is not None else ""
    yield f"inbox: {counts.waiting} messages wait{oldest}"
    yield from (f"not decoded: {count} messages, {reason}" for reason, count in sorted(counts.refused.items()))
    yield from (f"quarantine: {count} telegrams, {reason}" for reason, count in sorted(counts.quarantined.items()))
    if unusable := sum(entity.value is None for _, entity in core.decoding.announcements.now()):
        yield f"announced: {unusable} entities cannot be used, see `submeter meters --announced`"
    yield from (f"open events: {count} {kind}" for kind, count in sorted(core.registry.events.counts().items()))
    yield from _outbox_status(core)
    yield f"readings: {tables['readings']} of {tables['registers']} registers"
    yield f"rollups: {tables['rollups']} rows of {tables['series']} series; {tables['dirty']} ranges wait for the next run"


def _status_view(core: Core) -> Iterator[str]:
    """The same for `submeter status --watch`, as one line of JSON; instants µs UTC."""
    counts = core.inbox.counts()
    told = {
        "at": now(),
        "received": core.inbox.received(),
        "waiting": counts.waiting,
        "oldest": counts.oldest_waiting,
        "refused": dict(counts.refused),
        "quarantined": dict(counts.quarantined),
        "events": core.registry.events.counts(),
        "readings": core.readings.counts()["readings"],
        "free": core.room.free() or 0,
        "gateways": {name: one._asdict() for name, one in core.gateways.items()},
    }
    yield json.dumps(told)


def _outbox_status(core: Core) -> Iterator[str]:
    """What waits and what was lost, by channel; and whether anything could send it."""
    counts, sections = core.registry.outbox.counts(), {"email": "mail", "sms": "sms", "letter": "letters"}
    sinks = {"email": core.config.mail.sink, "sms": core.config.sms.sink, "letter": core.config.letters.sink}
    for (channel, state), count in counts.items():
        if state == "waiting":
            nowhere = f": nothing sends it, set sink of [{sections[channel]}] in pipeline.toml" * (sinks[channel] == "none")
            yield f"outbox: {count} {channel} waiting{nowhere}"
        elif state in {"given_up", "expired"}:
            yield f"outbox: {count} {channel} {state.replace('_', ' ')}"


def _outbox(core: Core, *, retry: int | None = None) -> Iterator[str]:
    if retry is not None:
        yield _outbox_line(core.registry.outbox.retry(retry, now=now()))
        return
    for notice in core.registry.outbox.find(("waiting", "given_up", "expired")):
        yield _outbox_line(notice)


def _outbox_line(notice: Notice) -> str:
    """One message, without what it says and where exactly it goes."""
    when = f"due {civil.iso(notice.due)}" if notice.ended is None else f"{notice.state.replace('_', ' ')} {civil.iso(notice.ended)}"
    return f"{notice.id:>6}  {notice.channel}  {notice.masked}  {notice.template}  {notice.tries} tries  {when}  {notice.error}".rstrip()


def _audit(
    core: Core,
    *,
    since: str | None = None,
    until: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    unit: str | None = None,
    limit: int = 1000,
    verify: bool = False,
) -> Iterator[str]:
    if verify:
        yield _chain(core.registry.trail.verify())
        return
    start, end = (None if text is None else again.instant(text) for text in (since, until))
    for one in core.registry.trail.find(since=start, until=end, actor=actor, action=action, subject=unit, limit=limit, newest=True):
        told = (one.manager, one.outcome, one.request, one.network, one.detail)
        yield "  ".join((f"{one.id:>6}", civil.iso(one.at), one.actor, one.action, one.subject, *(text for text in told if text)))


def _chain(chain: Chain) -> str:
    """What a walk along the audit found; raises SubmeterError with the first broken row."""
    if chain.broken is not None:
        raise SubmeterError(
            f"the audit is broken at row {chain.broken}: it, or what came before it, was changed or taken out; the {chain.linked} linked rows before it hold"
        )
    older = f", after {chain.older} rows from before there was a chain" if chain.older else ""
    return f"the audit holds: {chain.linked} rows are linked{older}; the last hash is {chain.head}"


def _events(
    core: Core,
    *,
    kind: str | None = None,
    subject: str | None = None,
    everything: bool = False,
    close: int | None = None,
    by: str = "",
    why: str = "",
) -> Iterator[str]:
    if close is not None:
        if not by or not why:
            raise SubmeterError("who closes it, and why? write --by NAME --why TEXT")
        event = core.registry.events.close(close, by=by, decision=why, now=now())
        yield f"{event.kind} of {event.subject} is closed"
        return
    if kind is not None and kind not in KINDS:
        raise SubmeterError(f"there is no kind of event {kind!r}: write one of {', '.join(KINDS)}")
    for event in core.registry.events.find(kind, subject, None if everything else "open"):
        times = f"  {event.count} times" if event.count > 1 else ""
        ended = f"  {event.decision}{f' by {event.decided_by}' if event.decided_by else ''}" if event.state == "closed" else ""
        yield f"{event.id:>6}  {civil.iso(event.at)}  {event.kind}  {event.subject}{times}{ended}: {event.detail}"


def _rebuild(core: Core) -> Iterator[str]:
    core.work.begin("rebuild")
    try:
        yield from rebuild(core)
    finally:
        core.work.end()


def _information(core: Core, *, unit: str, month: str, publish: bool = False, notified: str | None = None) -> Iterator[str]:
    flat = next((one for one in core.registry.units() if unit in {one.id, one.label}), None)
    if flat is None:
        raise SubmeterError(f"there is no unit {unit}: the directory names them")
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise SubmeterError(f"{month!r} is no month: write e.g. 2026-01") from None
    if publish:
        core.drain_all()
        core.rollup()
        information.publish(core, flat, first)
    published = core.registry.information.of(flat.id, month)
    if not published:
        raise SubmeterError(f"nothing is published for {flat.id} in {month}: the job monthly does it after the month, --publish now")
    for kept in published:
        if notified:
            core.registry.information.notified(kept, notified, now=now())
        yield from information.lines(core.registry.information.newest(kept.unit, kept.since, kept.month) or kept)


def _token_create(core: Core, *, manager: str, scopes: list[str] | None = None) -> Iterator[str]:
    yield core.registry.create_token(manager, scopes or list(READS))


def _token_list(core: Core) -> Iterator[str]:
    for token in core.registry.tokens():
        ended = f"  revoked {civil.iso(token.revoked)}" if token.revoked else ""
        yield f"{token.id}  {token.manager}  {' '.join(token.scopes)}  made {civil.iso(token.created)}{ended}"


def _token_revoke(core: Core, *, token: str) -> Iterator[str]:
    core.registry.revoke_token(token)
    yield f"{token} is revoked"


def _poll(core: Core, *, port: str, address: str) -> Iterator[str]:
    """Each page in hex; the collector that holds the port reads it before all others."""
    bus = next((one for one in core.buses if port in {one.settings.url, one.settings.name}), None)
    if bus is None:
        raise SubmeterError(f"the running core reads no [[bus]] at {port}")
    read = bus.ask(parse_address(address))
    if not read.done.wait(POLL_S):
        raise SubmeterError(f"{port} did not come to it within {POLL_S:.0f} s: is the line there? Its log tells")
    if read.message is None:
        raise read.error or SubmeterError(f"{port} gave no answer")
    yield from (page.raw.hex() for page in split(None, read.message.payload, read.message.format).telegrams)


COMMANDS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {
    "rollup": _rollup,
    "rollup.preview": _rollup_preview,
    "rollup.spark": _rollup_spark,
    "rollup.status": _rollup_status,
    "poll": _poll,
    "job": _job,
    "job.pause": _pause,
    "job.resume": _resume,
    "import": _import,
    "import.keys": _import_keys,
    "replay": _replay,
    "rebuild": _rebuild,
    "backup": backup,
    "quarantine": _quarantine,
    "status": _status,
    "status.view": _status_view,
    "events": _events,
    "outbox": _outbox,
    "audit": _audit,
    "information": _information,
    "token.create": _token_create,
    "token.list": _token_list,
    "token.revoke": _token_revoke,
    **decide.COMMANDS,
    **staff.COMMANDS,
    **gateways.COMMANDS,
    **again.COMMANDS,
    **meters.COMMANDS,
}
