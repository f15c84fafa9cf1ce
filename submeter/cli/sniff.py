"""`submeter sniff`: what a message is, from a file, or the last ones that were received; reads the inbox and disturbs nothing."""

import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from submeter import civil
from submeter.cli.operate import ConfigFile
from submeter.config import Config, load
from submeter.decoders import DecodeError, receive
from submeter.errors import SubmeterError
from submeter.ingest.settings import rules_of

if TYPE_CHECKING:
    from submeter.ingest.receiving import Receiver
    from submeter.store import Registry, Stored

__all__ = ["sniff"]

EVERY_S = 1.0


def sniff(
    file: Annotated[
        Path | None, typer.Argument(help="a file with one message, or one a line; - for standard input; default: the last messages received")
    ] = None,
    *,
    topic: Annotated[
        str | None, typer.Option("--topic", help="with a file: the topic it came under; else only messages of this topic filter")
    ] = None,
    gateway: Annotated[str | None, typer.Option("--gateway", help="only messages of this gateway")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="so many messages")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="go on with what comes, until interrupted")] = False,
    config: ConfigFile = None,
) -> None:
    """Show what messages are: format, gateway, telegrams with device and level, or why they cannot be read."""
    settings = load(config)
    if file is not None:
        for payload in _payloads(file, topic, settings):
            _print(_described(_receiver(settings), _message(topic, payload)))
        return
    seen = _show(settings, topic, gateway, last=last, after=0)
    while follow:
        time.sleep(EVERY_S)
        seen = _show(settings, topic, gateway, last=1000, after=seen)


def _receiver(settings: Config, registry: "Registry | None" = None) -> "Receiver":
    """What splits messages, with the announcements that a registry keeps."""
    from submeter.ingest.announcements import Announcements  # noqa: PLC0415 - other commands start without the stores
    from submeter.ingest.receiving import Receiver  # noqa: PLC0415 - as above

    return Receiver({}, rules_of(settings), 0, Announcements(registry.entities).of if registry else lambda _: ())


def _show(settings: Config, topic: str | None, gateway: str | None, *, last: int, after: int) -> int:
    """Print the last messages behind an id; returns the id of the last one looked at."""
    from paho.mqtt.client import topic_matches_sub  # noqa: PLC0415 - as above

    from submeter.store import Inbox, Registry  # noqa: PLC0415 - as above

    folder = settings.data.folder
    if not (folder / "inbox.sqlite").exists():
        raise SubmeterError(f"{folder} has no inbox yet: start `submeter run`, or name another configuration")
    with Registry.of(settings.data) as registry:
        receiver = _receiver(settings, registry)
    with Inbox(folder / "inbox.sqlite") as inbox:
        found, seen = inbox.last(last, after=after, topics=None if topic is None else partial(topic_matches_sub, topic), gateway=gateway)
        held = {(row.message, row.position): row.reason for message, _ in found for row in inbox.quarantined_of(message.id)}
    for message, reason in found:
        state = reason or ("waits" if message.format is None and reason is None else "done")
        typer.echo(f"{message.id}  {civil.iso(message.received_at)}  {message.source}  {message.gateway or '-'}  {message.topic or '-'}  {state}")
        _print(_described(receiver, message, {place: why for (one, place), why in held.items() if one == message.id}))
    return seen


def _message(topic: str | None, payload: bytes) -> "Stored":
    from submeter.store import Stored  # noqa: PLC0415 - as above

    return Stored("sniff", payload, 0, topic=topic)


def _described(receiver: "Receiver", message: "Stored", held: dict[int, str] | None = None) -> Iterator[str]:
    """Lines about one message; `held` says which of its telegrams are in quarantine and why."""
    from submeter.ingest.envelopes import BadPayload  # noqa: PLC0415 - as above
    from submeter.ingest.envelopes.discovery import is_announcement  # noqa: PLC0415 - as above
    from submeter.ingest.envelopes.entities import announcement  # noqa: PLC0415 - as above

    if is_announcement(message.topic):
        yield from (f"  {line}" for line in announcement(message.source, message.topic, message.payload))
        return
    try:
        envelope = receiver.envelope(message)
    except BadPayload as error:
        yield f"  cannot be read, {error.reason}: {error.detail}; it begins with {message.payload[:24]!r}"
        return
    numbers = f", number {envelope.seq} of boot {envelope.boot}" if envelope.seq is not None else ""
    yield f"  {envelope.format}{f', gateway {envelope.gateway}' if envelope.gateway else ''}{numbers}, {len(envelope.telegrams)} telegrams"
    for place, one in enumerate(envelope.telegrams):
        level = f"  {one.rssi_dbm} dBm" if one.rssi_dbm is not None else ""
        stamp = f"  {civil.iso(one.gw_time)}" if one.gw_time is not None else ""
        why = f"  {held[place]}" if held and place in held else ""
        yield f"  {place:>4}  {_device(one.raw, one.link, one.form) if one.reason is None else f'{one.reason}: {one.detail}'}{level}{stamp}{why}"


def _device(raw: bytes, link: str, form: str) -> str:
    if link not in {"wmbus", "mbus"}:
        return f"{link}, {len(raw)} bytes"
    try:
        return str(receive(raw, link=link, form=form)[0])
    except DecodeError as error:
        return f"{error.reason}: {error}"


def _payloads(file: Path, topic: str | None, settings: Config) -> Iterator[bytes]:
    """The message of a file, or those of its lines where the whole is none."""
    from submeter.ingest.envelopes import BadPayload, split  # noqa: PLC0415 - as above
    from submeter.ingest.envelopes.discovery import is_announcement  # noqa: PLC0415 - as above

    try:
        whole = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise SubmeterError(f"{file} cannot be read: {error.strerror}") from error
    try:
        if not is_announcement(topic):
            split(topic, whole, None, rules_of(settings))
    except BadPayload:
        lines = [line for line in whole.splitlines() if line.strip()]
        yield from lines if len(lines) > 1 else [whole]
    else:
        yield whole


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        typer.echo(line)
