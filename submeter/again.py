"""What was received and is kept, as commands on an open core: decode it again, and explain one message (ingest/INBOX.md 2 and 9)."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Final

from submeter import civil
from submeter.core import Core
from submeter.decoders import DecodeError, receive
from submeter.decoders.explain import explain
from submeter.errors import SubmeterError
from submeter.ingest.envelopes import BadPayload
from submeter.ingest.envelopes.discovery import is_announcement
from submeter.ingest.envelopes.entities import announcement
from submeter.ingest.rows import Reception
from submeter.reading import from_micro
from submeter.store import Quarantined, Stored
from submeter.store.inbox import DUP, REPLAY, RETAIN

__all__ = ["COMMANDS", "instant"]

PAGE: Final = 1000
FLAGS: Final = {RETAIN: "retained", DUP: "perhaps sent before", REPLAY: "from a replayed file"}


def instant(text: str, wider: int = 0) -> int:
    """A date (its first instant, UTC, and so much more) or an instant with offset, as µs UTC; raises SubmeterError."""
    try:
        return civil.utc_midnight(date.fromisoformat(text)) + wider
    except ValueError:
        return civil.instant(text)


def _requeue_count(
    core: Core, *, reason: str | None = None, device: str | None = None, since: str | None = None, until: str | None = None
) -> Iterator[str]:
    rows = _rows(core, reason, device, since, until)
    reasons = ", ".join(f"{count} {one}" for one, count in sorted(Counter(row.reason for row in rows).items()))
    yield f"{len(rows)} telegrams of the quarantine{f': {reasons}' * bool(reasons)}"
    if _from_messages(reason, device, since):
        yield f"and what {device} sent in kept messages since {since}, from the inbox and {len(list(_days(core, since, until)))} days of the archive"


def _requeue(
    core: Core, *, reason: str | None = None, device: str | None = None, since: str | None = None, until: str | None = None
) -> Iterator[str]:
    step = core.decoding.redecode(_rows(core, reason, device, since, until), replays=reason == "replay")
    results, taken = step.results, step.messages
    if device is not None and _from_messages(reason, device, since):
        step = core.decoding.decode_again(_messages(core, since, until), device)
        results.update(step.results)
        taken += step.messages
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(results.items())) or "none"
    yield f"{taken} telegrams taken up again: {outcomes}"
    core.drain_all()
    yield str(core.rollup())


def _from_messages(reason: str | None, device: str | None, since: str | None) -> bool:
    """A device and a time without a reason ask for all that it sent, not for what is in quarantine alone."""
    return reason is None and device is not None and since is not None


def _rows(core: Core, reason: str | None, device: str | None, since: str | None, until: str | None) -> list[Quarantined]:
    start, end = _span(since, until)
    return [row for row in core.inbox.quarantined(reason=reason, device=device) if start <= row.received_at < end]


def _span(since: str | None, until: str | None) -> tuple[int, int]:
    start, end = 0 if since is None else instant(since), 2**62 if until is None else instant(until)
    if start >= end:
        raise SubmeterError(f"the time from {since} to {until} is empty: --since is the earlier one")
    return start, end


def _days(core: Core, since: str | None, until: str | None) -> Iterator[date]:
    start, end = _span(since, until)
    yield from (day for day in core.archive.days() if civil.utc_midnight(day) + civil.DAY > start and civil.utc_midnight(day) < end)


def _messages(core: Core, since: str | None, until: str | None) -> Iterator[Stored]:
    """Messages that were received in this time, from the archive and then the inbox, which go on from it."""
    start, end = _span(since, until)
    for day in _days(core, since, until):
        for piece in core.archive.messages(day):
            yield from (one for row in piece.to_pylist() if start <= (one := Stored(**row)).received_at < end)
    last = 0
    while found := core.inbox.done(after=last, since=start, until=end, limit=PAGE):
        last = found[-1].id
        yield from found


def _explain(core: Core, *, message: int, position: int | None = None) -> Iterator[str]:
    kept = _message(core, message)
    flags = ", ".join(words for bit, words in FLAGS.items() if kept.flags & bit)
    yield f"message {kept.id}  {civil.iso(kept.received_at)}  {len(kept.payload)} bytes by {kept.source}, gateway {kept.gateway}, topic {kept.topic}  {flags}".rstrip()
    if is_announcement(kept.topic):
        yield from announcement(kept.source, kept.topic, kept.payload)
        return
    try:
        envelope = core.decoding.receiver.envelope(kept)
    except BadPayload as error:
        yield f"refused, {error.reason}: {error.detail}"
        yield kept.payload[:200].hex(" ")
        return
    numbers = f", message {envelope.seq} of boot {envelope.boot}" if envelope.seq is not None else ""
    yield f"format {envelope.format}, {len(envelope.telegrams)} telegrams{numbers}"
    quarantine = {row.position: row for row in core.inbox.quarantined_of(message)}
    heard = list(core.decoding.receiver.again(kept))
    if position is not None and position >= len(heard):
        raise SubmeterError(f"message {message} has {len(heard)} telegrams: they are counted from 0")
    for one in heard if position is None else [heard[position]]:
        yield from _telegram(core, one, quarantine.get(one.position), whole=position is not None or len(heard) == 1)


def _message(core: Core, identity: int) -> Stored:
    for kept in core.inbox.messages([identity]):
        return kept
    for day in reversed(core.archive.days()):
        for piece in core.archive.messages(day):
            ids = piece["id"].to_pylist()
            if identity in ids:
                return Stored(**piece.slice(ids.index(identity), 1).to_pylist()[0])
    raise SubmeterError(f"message {identity} is neither in the inbox nor in the archive: `submeter sniff` shows ids")


def _telegram(core: Core, heard: Reception, held: Quarantined | None, *, whole: bool) -> Iterator[str]:
    """One telegram: who sent it, the clock that counts, what became of it; the `whole` of it: its bytes and readings too."""
    raw, link, form = heard.telegram.raw, heard.telegram.link, heard.telegram.form
    level = "" if heard.telegram.rssi_dbm is None else f", {heard.telegram.rssi_dbm} dBm"
    if heard.telegram.reason is not None:
        yield f"telegram {heard.position}: refused, {heard.telegram.reason}: {heard.telegram.detail}"
        return
    if link not in {"wmbus", "mbus"}:
        yield f"telegram {heard.position}: {link}{level}, {len(raw)} bytes: {raw[:200]!r}"
        if link == "parsed":
            yield from _outcome(core, heard, held)
        return
    try:
        device, _ = receive(raw, link=link, form=form)
    except DecodeError as error:
        yield f"telegram {heard.position}: {error.reason}: {error}"
        return
    profile = core.profile(device)
    known = "unknown to the directory" if profile is None else "with a key" if profile.key else "without a key"
    yield f"telegram {heard.position}: {device}, {known}, {link} frame {form}{level}"
    clock = "the gateway's clock" if heard.at != heard.received_at else "the collector's clock"
    stamp = (
        ""
        if heard.telegram.gw_time is None
        else f"; the gateway says {civil.iso(heard.telegram.gw_time)}{'' if heard.trusted else ', which does not count'}"
    )
    yield f"  heard at {civil.iso(heard.at)} by {clock}{stamp}"
    yield from _outcome(core, heard, held)
    if whole:
        rows = explain(raw, core.profile, link=link, form=form, decrypted=heard.decrypted, formats=core.readings.formats())
        yield from (f"  {'' if not row.data else row.at!s:>4}  {row.layer:14}  {row.data.hex(' ')}  {row.what}" for row in rows)


def _outcome(core: Core, heard: Reception, held: Quarantined | None) -> Iterator[str]:
    """What became of a telegram: its readings, or why there are none."""
    brought = core.readings.of_telegram(heard.place)
    state = f"in quarantine, {held.reason}: {held.detail}" if held else "decoded" if brought else "no reading: a duplicate, or nothing new in it"
    yield f"  {state}"
    for row in brought:
        value = "" if row["value"] is None else from_micro(row["value"])
        yield f"  {row['name']} {value} {row['unit']} at {civil.iso(row['t'])}, by the clock: {row['time_source']}"


COMMANDS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {"requeue": _requeue, "requeue.count": _requeue_count, "explain": _explain}
