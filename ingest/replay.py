"""Replay: a file of native batches, hex or rtl_wmbus lines into the inbox, each message at its own time of reception (DECISIONS 21).

Strategy: one line is one message with the flag `replay`; it is split here only to learn its times and to tell which lines are unreadable.
Rules: a message is dated by its own `ts`, else by its newest telegram, else by this moment; unreadable lines are kept in the inbox like any
broken message and reported with file and line, and stop nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from submeter.ingest.common import now_us
from submeter.ingest.envelopes import Envelope, split
from submeter.ingest.envelopes.core import MAX_MESSAGE
from submeter.ingest.errors import BadFile, BadLine, BadPayload
from submeter.store.inbox import REPLAY, Inbox, Message

__all__ = ["Replayed", "lines_of", "replay"]

BATCH: Final = 500
#: So many unreadable lines are named, the others counted.
NAMED: Final = 20


@dataclass(slots=True)
class Replayed:
    """What a replay put into the inbox, and which lines gave no telegram (the first of them; `unreadable` counts all)."""

    messages: int = 0
    telegrams: int = 0
    unreadable: int = 0
    lines: list[BadLine] = field(default_factory=list)

    def __str__(self) -> str:
        told = f"{self.messages} messages with {self.telegrams} telegrams replayed, {self.unreadable} of them unreadable"
        return "\n".join([told, *map(str, self.lines)])


def replay(path: Path, inbox: Inbox, *, source: str = "replay") -> Replayed:
    """Append the messages of `path` to the inbox, 500 a transaction; raises BadFile and StoreError."""
    replayed, batch = Replayed(), list[Message]()
    try:
        with path.open("rb") as file:
            for number, line in lines_of(file):
                batch.append(_message(path, number, line, source, replayed))
                if len(batch) == BATCH:
                    inbox.append(batch)
                    batch.clear()
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from error
    inbox.append(batch)
    return replayed


def lines_of(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers; what is over the limit of a message is left out."""
    number = 0
    while piece := file.readline(MAX_MESSAGE + 1):
        number += 1
        line = piece
        while not piece.endswith(b"\n") and (piece := file.readline(MAX_MESSAGE + 1)):
            continue
        if line.strip():
            yield number, line if len(line) > MAX_MESSAGE else line.strip()


def _message(path: Path, number: int, line: bytes, source: str, replayed: Replayed) -> Message:
    received_at = None
    try:
        envelope = split(None, line)
        received_at = _received_at(envelope)
        _some_telegram_is_whole(envelope)
        replayed.telegrams += len(envelope.telegrams)
    except BadPayload as error:
        replayed.unreadable += 1
        if len(replayed.lines) < NAMED:
            replayed.lines.append(BadLine(path, number, error))
    replayed.messages += 1
    return Message(source, line, received_at or now_us(), flags=REPLAY)


def _received_at(envelope: Envelope) -> int | None:
    return envelope.sent_at or max((telegram.gw_time for telegram in envelope.telegrams if telegram.gw_time is not None), default=None)


def _some_telegram_is_whole(envelope: Envelope) -> None:
    reasons = [telegram for telegram in envelope.telegrams if telegram.reason is not None]
    if reasons and len(reasons) == len(envelope.telegrams):
        raise BadPayload(reasons[0].reason or "", reasons[0].detail)
