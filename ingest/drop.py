"""A folder that files are dropped into, by FTP or by hand: lines of any format of gateways, or Parquet as the archive has it (issue 7; ingest/FORMATS.md 1).

Strategy: a file that has rested is read line by line into the inbox, in pieces on disk one after another, and then moved to `taken/`; what cannot be read at all
goes to `refused/`. A file is never changed and never deleted.
Rules: a line is a message; it is dated by when the file was last written, so that a file read again after a crash gives the same readings, which count once.
Names that begin with a dot, or end with .tmp or .part, are left alone.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from submeter.ingest.common import Counters, OnEvent, Reporter
from submeter.ingest.replay import lines_of
from submeter.store.archive import MESSAGES
from submeter.store.errors import StoreError
from submeter.store.inbox import REPLAY, Inbox, Message

__all__ = ["DropCollector", "DropSettings"]

POLL_S: Final = 1.0
PIECE: Final = 500
TAKEN, REFUSED = "taken", "refused"


@dataclass(frozen=True, slots=True)
class DropSettings:
    """`gateway` is whom its telegrams are counted under; `rest_s`: how long a file must have been left alone."""

    name: str
    folder: Path
    gateway: str
    format: str | None = None
    rest_s: float = 5.0


class DropCollector:
    """Takes files from one folder; `on_event` is told of changes by name and sentence, from the collector's thread."""

    def __init__(self, settings: DropSettings, inbox_path: Path, on_event: OnEvent) -> None:
        self.settings = settings
        self.counters = Counters()
        self._inbox_path = inbox_path
        self._reporter = Reporter(on_event)

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set; survives the disk's troubles."""
        while not stop.is_set():
            try:
                with Inbox(self._inbox_path) as inbox:
                    while not stop.wait(POLL_S):
                        self._look(inbox, stop)
            except StoreError as error:
                self.counters.failed_commits += 1
                self._reporter.tell("inbox_write_failed", str(error))
            except OSError as error:
                self._reporter.tell(
                    "drop_lost", f"{self.settings.folder}: {error.strerror or error}: is it there, and may submeter move files in it?"
                )
            self.counters.connected = False
            stop.wait(POLL_S)

    def _look(self, inbox: Inbox, stop: threading.Event) -> None:
        ready = sorted(file for file in self.settings.folder.iterdir() if self._rests(file))
        if not self.counters.connected:
            self.counters.connected = True
            self.counters.connections += 1
            self._reporter.tell("drop_connected", str(self.settings.folder))
        for file in ready:
            if stop.is_set():
                return
            self._take(file, inbox)

    def _rests(self, file: Path) -> bool:
        left_alone = file.name.startswith(".") or file.suffix in {".tmp", ".part"} or not file.is_file()
        return not left_alone and file.stat().st_mtime <= time.time() - self.settings.rest_s

    def _take(self, file: Path, inbox: Inbox) -> None:
        try:
            messages = self._messages(file)
            while piece := list(islice(messages, PIECE)):
                self.counters.commit(inbox.append, piece)
                self.counters.messages += len(piece)
        except pa.ArrowException as error:
            self._reporter.tell("drop_refused", f"{file.name} is no Parquet of messages: {error}; it is in {REFUSED}/")
            _move(file, REFUSED)
            return
        self.counters.bytes += file.stat().st_size
        _move(file, TAKEN)

    def _messages(self, file: Path) -> Iterator[Message]:
        if file.suffix == ".parquet":
            yield from _archived(file)
            return
        received_at = file.stat().st_mtime_ns // 1000
        with file.open("rb") as opened:
            for _, line in lines_of(opened):
                yield Message(self.settings.name, line, received_at, self.settings.gateway, format=self.settings.format)


def _archived(file: Path) -> Iterator[Message]:
    """Messages as the archive kept them, at their own times; raises ArrowException for another Parquet."""
    kept = [name for name in MESSAGES.names if name != "id"]
    with pq.ParquetFile(file) as opened:
        if missing := set(kept) - set(opened.schema_arrow.names):
            raise pa.ArrowInvalid(f"it lacks {', '.join(sorted(missing))}")
        for piece in opened.iter_batches(PIECE, columns=kept):
            for row in piece.to_pylist():
                yield Message(**row | {"flags": row["flags"] | REPLAY})


def _move(file: Path, where: str) -> None:
    """Put a file aside under a name that is free."""
    folder = file.parent / where
    folder.mkdir(exist_ok=True)
    target, number = folder / file.name, 1
    while target.exists():
        number += 1
        target = folder / f"{file.stem}.{number}{file.suffix}"
    file.replace(target)
