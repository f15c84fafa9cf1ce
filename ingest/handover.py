"""From collectors on several machines to one core: each hands its inbox over to a common folder, the core takes it from there (issue 8; DESIGN 7).

Strategy: a collector writes what waits as one Parquet file, in the archive's form, under the name of its inbox and of the first and last message; the core
takes a file into its own inbox in one transaction with the number it has come to, and then deletes it. The folder is a path that all machines have mounted,
or a place in an object store (`s3://bucket/folder`).
Rules: a file is whole when it has its name; a message counts as handed over when its file is durable, and as taken when the core's inbox has it: killed in
between, either side does it again, and the number tells what was taken before. What cannot be read is put aside as `….refused`, never deleted.
"""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from submeter.ingest.common import Backoff, Counters, OnEvent, Reporter, now_us
from submeter.ingest.room import Room
from submeter.store.archive import MESSAGES, packed, settle
from submeter.store.errors import StoreError
from submeter.store.inbox import Done, Inbox, Stored

__all__ = ["CommonFolder", "Giver", "HandoverSettings", "Taker"]

POLL_S: Final = 1.0
BACKOFF_S: Final = (1.0, 60.0)
#: Messages of a file, at most.
TOGETHER: Final = 1000
DAY: Final = 86_400 * 1_000_000
WHOLE, REFUSED = ".parquet", ".refused"


@dataclass(frozen=True, slots=True)
class HandoverSettings:
    """`place` is a path or a URL; a collector keeps what it has handed over for `keep_days`, 0 for ever."""

    place: str
    keep_days: int = 0
    name: str = "handover"


class CommonFolder:
    """The folder that collectors and core share; raises OSError where it cannot be reached."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._files, root = pafs.FileSystem.from_uri(place if "://" in place else Path(place).absolute().as_uri())
        self._root = root.rstrip("/")
        self._local = isinstance(self._files, pafs.LocalFileSystem)

    def put(self, inbox: str, messages: Sequence[Stored]) -> None:
        """Write messages of an inbox; they are durable when this returns."""
        sink = pa.BufferOutputStream()
        pq.write_table(packed(messages), sink, compression="zstd")
        file = f"{self._root}/{inbox}/{messages[0].id:015d}-{messages[-1].id:015d}{WHOLE}"
        self._write(file, sink.getvalue().to_pybytes())

    def files(self) -> list[tuple[str, str]]:
        """Inbox and path of each file, in the order in which each inbox wrote them."""
        found = self._files.get_file_info(pafs.FileSelector(self._root, recursive=True))
        return sorted((Path(one.path).parent.name, one.path) for one in found if one.path.endswith(WHOLE) and not one.base_name.startswith("."))

    def get(self, file: str) -> list[Stored]:
        """Read a file; ArrowException for one that is none."""
        with self._files.open_input_file(file) as opened:
            return [Stored(**row) for row in pq.read_table(opened, schema=MESSAGES).to_pylist()]

    def drop(self, file: str) -> None:
        """Delete a file that was taken."""
        self._files.delete_file(file)

    def refuse(self, file: str) -> None:
        """Put a file aside that cannot be read."""
        self._files.move(file, file.removesuffix(WHOLE) + REFUSED)

    def _write(self, file: str, data: bytes) -> None:
        self._files.create_dir(str(Path(file).parent), recursive=True)
        if not self._local:
            with self._files.open_output_stream(file) as out:  # an object is there when it is whole, or not at all
                out.write(data)
            return
        made = Path(file).with_name(f".{os.getpid()}-{threading.get_ident()}.new")
        made.write_bytes(data)
        settle(made, Path(file))


class _Side(ABC):
    """What both sides have in common: a thread that tries again."""

    def __init__(self, settings: HandoverSettings, inbox_path: Path, on_event: OnEvent) -> None:
        self.settings = settings
        self.counters = Counters()
        self._inbox_path = inbox_path
        self._reporter = Reporter(on_event)
        self._backoff = Backoff(*BACKOFF_S)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; survives the troubles of the folder and the disk."""
        while not stop.is_set():
            try:
                with Inbox(self._inbox_path) as inbox:
                    folder = CommonFolder(self.settings.place)
                    while not stop.wait(POLL_S):
                        self._round(folder, inbox, stop)
                        self._well()
            except StoreError as error:
                self.counters.failed_commits += 1
                self._reporter.tell("inbox_write_failed", str(error))
            except (OSError, pa.ArrowException) as error:
                self._reporter.tell("handover_lost", f"{self.settings.place}: {error}: is it there, and may submeter write in it?")
            self.counters.connected = False
            stop.wait(self._backoff.wait_s())

    @abstractmethod
    def _round(self, folder: CommonFolder, inbox: Inbox, stop: threading.Event) -> None:
        """Give or take what there is now."""

    def _well(self) -> None:
        self._backoff.reset()
        if not self.counters.connected:
            self.counters.connected = True
            self.counters.connections += 1
            self._reporter.tell("handover_connected", self.settings.place)


class Giver(_Side):
    """Hands over what waits in a collector's inbox; `on_event` is told of changes by name and sentence, from its thread."""

    _forget_at = 0.0

    def _round(self, folder: CommonFolder, inbox: Inbox, stop: threading.Event) -> None:
        while not stop.is_set() and (waiting := inbox.pending(TOGETHER)):
            folder.put(inbox.identity, waiting)
            inbox.finish(Done(message.id) for message in waiting)
            self.counters.messages += len(waiting)
            self.counters.bytes += sum(len(message.payload) for message in waiting)
        if self.settings.keep_days and time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + 3600
            self._forget(inbox)

    def _forget(self, inbox: Inbox) -> None:
        """Delete what was handed over long ago, but for the newest message, which says that we were here before."""
        before = now_us() - self.settings.keep_days * DAY
        while old := [message.id for message in inbox.done(until=before, limit=TOGETHER) if message.id != inbox.received()]:
            inbox.remove(old)


class Taker(_Side):
    """Takes what collectors have handed over into the core's inbox."""

    def __init__(self, settings: HandoverSettings, inbox_path: Path, on_event: OnEvent) -> None:
        super().__init__(settings, inbox_path, on_event)
        self._room = Room(inbox_path.parent)

    def _round(self, folder: CommonFolder, inbox: Inbox, stop: threading.Event) -> None:
        for collector, file in folder.files():
            if stop.is_set():
                return
            if self._room.short:
                raise StoreError(f"{self._room.folder} is nearly full: messages wait in {self.settings.place}; free disk space")
            try:
                messages = folder.get(file)
            except (pa.ArrowException, TypeError, ValueError) as error:
                folder.refuse(file)
                self._reporter.tell("handover_refused", f"{file}: {error}; it stays there as {REFUSED}")
                continue
            self.counters.messages += inbox.take_over(collector, messages)
            self.counters.bytes += sum(len(message.payload) for message in messages)
            folder.drop(file)
