"""Readings and rows made again from the messages as they were received: after a better decoder, a lost or damaged readings file (DESIGN 3).

Strategy: a copy of the readings file in a folder of its own forgets what the kept messages brought and takes them again, in their order, from the archive
and from the inbox; only when all are in, it takes the place of the old one, in one step, and all rows are computed anew. Rows that come out as they were
stay; others go to history. Rules: readings of messages that are no longer kept stay, and come back from the archive if the file has lost them; events are
not told again; a rebuild that is stopped leaves nothing behind, and the collectors go on meanwhile.
"""

import shutil
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import structlog

from submeter import civil
from submeter.core import REBUILD, Core
from submeter.errors import SubmeterError
from submeter.reading import MESSAGE_BITS, Register
from submeter.store import BUCKETS, READING, RECEPTION, WORDS, Inbox, Readings, Registry, Stored

__all__ = ["rebuild"]

log = structlog.get_logger()

TOGETHER: Final = 10_000


def rebuild(core: Core) -> Iterator[str]:
    """Decode all kept messages again and compute all rows; SubmeterError if it was stopped: then all is as it was."""
    core.drain_all()
    folder = core.folder / REBUILD
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        messages, readings = _made_again(core, folder)
        core.inbox.take_quarantine(folder / "inbox.sqlite")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield f"rebuild: {messages} messages decoded again, {readings} readings"
    yield str(core.rollup(everything=True))


def _made_again(core: Core, folder: Path) -> tuple[int, int]:
    file = folder / "readings.duckdb"
    core.readings.copy_to(file)
    with Inbox(folder / "inbox.sqlite") as inbox, Readings(file) as readings, Registry(folder / "registry.sqlite") as nowhere:
        ids, since = _gather(core, inbox)
        readings.retention.forget(ids, MESSAGE_BITS, since)
        _restore(core, readings, ids)
        drain, done = core.new_drain(inbox, readings, nowhere), 0
        while step := drain.step().messages:
            done += step
            core.work.step("messages decoded again", done, ids.num_rows)
            if core.stopping.is_set():
                raise SubmeterError("the rebuild was stopped: everything is as it was; start it again")
        readings.store(READING.empty_table(), RECEPTION.empty_table(), core.readings.watermark())
        readings.touch(-(2**62), 2**62)
        count = readings.counts()["readings"]
    core.take_readings(file)
    return ids.num_rows, count


def _gather(core: Core, inbox: Inbox) -> tuple[pa.Table, date]:
    """Copy all kept messages into a new inbox; returns their ids (id) and the first day of which messages are kept."""
    ids, first = list[int](), 2**62
    for messages in _kept(core):
        inbox.restore(messages)
        ids += [message.id for message in messages]
        first = min(first, *(message.received_at for message in messages))
        core.work.step("messages gathered", len(ids), 0)
    since = civil.utc_date(first) if ids else date.max
    return pa.table({"id": pa.array(sorted(set(ids)), pa.int64())}), since


def _kept(core: Core) -> Iterator[list[Stored]]:
    for day in core.archive.days():
        for piece in core.archive.messages(day):
            yield [Stored(**row) for row in piece.to_pylist()]
    last = 0
    while found := core.inbox.done(after=last, limit=TOGETHER):
        last = found[-1].id
        yield found


def _restore(core: Core, readings: Readings, messages: pa.Table) -> None:
    """Archived readings that the file has lost, and whose messages are gone."""
    restored = 0
    for month in core.archive.months():
        for bucket in range(BUCKETS):
            for piece in core.archive.readings(month, bucket):
                restored += readings.retention.restore(_numbered(readings, piece), messages, MESSAGE_BITS)
    if restored:
        log.warning("readings came back from the archive: the file had lost them", readings=restored)


def _numbered(readings: Readings, piece: pa.Table) -> pa.Table:
    """Archived readings with the numbers of their registers in a file."""
    keys = [(device, Register(*rest)) for device, *rest in zip(*(_column(piece, name) for name in WORDS), strict=True)]
    numbers = readings.register_ids(keys)
    return pa.table({"register": pa.array([numbers[key] for key in keys], pa.int32())} | {name: piece[name] for name in READING.names[1:]})


def _column(piece: pa.Table, name: str) -> Iterable[object]:
    column: list[object] = piece[name].to_pylist()
    return column
