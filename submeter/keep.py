"""What is kept for how long: closed messages and readings go to the archive, and what is older than its limit is deleted (DECISIONS 13; SPEC 16).

Strategy: two jobs, a file and a day at a time. Rules: a message leaves the inbox, and a reading its file, only when the archive has it on disk, counted;
both jobs may be stopped anywhere and run again; a limit of 0 days means for ever, and an archive of 0 days means none: then messages are deleted instead.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

import polars as pl
import pyarrow as pa

from submeter import civil
from submeter.aggregate import Limits
from submeter.aggregate.frames import framed
from submeter.core import Core
from submeter.core import now as this_instant
from submeter.ingest.envelopes import BadPayload, split
from submeter.store import Stored, StoreError, bucket_of, packed

__all__ = ["archive", "retention"]

#: Messages read at a time.
TOGETHER: Final = 10_000
#: A file of readings is made so many days after its month: what comes later is added.
SETTLED: Final = 10


def archive(core: Core) -> Iterator[str]:
    """Move closed messages into the archive, add the readings of closed months, and delete what is too old for it."""
    limits, now = core.config.retention, this_instant()
    messages, verb = 0, "moved" if limits.archive_days else "deleted, for there is no archive (archive_days = 0)"
    for day in _days(core, now - limits.inbox_days * civil.DAY) if limits.inbox_days else ():
        core.work.step(f"messages of {day} archived", messages, 0)
        messages += _move(core, day)
    readings = sum(_add(core, *place) for place in _unarchived(core, now)) if limits.archive_days else 0
    dropped = core.archive.drop(civil.utc_date(now - limits.archive_days * civil.DAY))
    yield f"archive: {messages} messages {verb}, {readings} readings added, {dropped} files too old deleted"


def retention(core: Core) -> Iterator[str]:
    """Delete what strangers sent, and readings, hours and days older than their limits; then give the room back."""
    limits, now = core.config.retention, this_instant()
    yield f"unknown meters: {_forget_strangers(core, now - limits.unknown_days * civil.DAY)} telegrams deleted"
    yield from archive(core)
    kept = core.rollups.retain(Limits(limits.readings_days, limits.hours_days, limits.days_days), now=now)
    yield f"readings: {kept.readings} deleted; hours and days: {kept.rows} deleted"
    if limits.outbox_days:
        yield f"outbox: {core.registry.outbox.forget(before=now - limits.outbox_days * civil.DAY)} ended messages deleted"
    core.readings.retention.compact()
    core.inbox.compact()


def _days(core: Core, before: int) -> Iterator[date]:
    """The UTC days before an instant of which the inbox has done messages; each whole day once."""
    end, after = civil.utc_midnight(civil.utc_date(before)), 0
    while not core.stopping.is_set() and (oldest := core.inbox.oldest_done(before=end, after=after)) is not None:
        yield civil.utc_date(oldest)
        after = civil.utc_midnight(civil.utc_date(oldest)) + civil.DAY


def _move(core: Core, day: date) -> int:
    """Archive the messages of a day, count them there, and delete them from the inbox; without an archive only delete them."""
    since, moved = civil.utc_midnight(day), list[int]()

    def pieces() -> Iterator[pa.Table]:
        last = 0
        while found := core.inbox.done(after=last, since=since, until=since + civil.DAY, limit=TOGETHER):
            last = found[-1].id
            moved.extend(message.id for message in found)
            yield packed(found)

    if not core.config.retention.archive_days:
        moved = [message.id for message in core.inbox.done(since=since, until=since + civil.DAY, limit=2**62)]
    elif core.archive.add_messages(day, pieces()) < len(moved):
        raise StoreError(f"the archive has fewer messages of {day} than the inbox: both are left as they are")
    core.inbox.remove(moved)
    return len(moved)


def _unarchived(core: Core, now: int) -> Iterator[tuple[date, int, pl.DataFrame]]:
    """Month, bucket and registers of the readings of closed months that the archive has not all of."""
    closed = civil.utc_midnight(civil.utc_date(now - SETTLED * civil.DAY).replace(day=1))
    registers = core.readings.registers()
    buckets = pl.DataFrame(
        [(number, bucket_of(device, register)) for (device, register), number in registers.items()],
        schema={"register": pl.Int32, "bucket": pl.Int32},
        orient="row",
    )
    counts = framed(core.readings.retention.counts(closed))
    for (month, bucket), group in counts.join(buckets, on="register").group_by("month", "bucket", maintain_order=True):
        assert isinstance(month, date)
        assert isinstance(bucket, int)
        if group["n"].sum() > core.archive.count(month, bucket):
            yield month, bucket, group.select("register")


def _add(core: Core, month: date, bucket: int, registers: pl.DataFrame) -> int:
    if core.stopping.is_set():
        return 0
    core.work.step(f"readings of {month:%Y-%m} archived", bucket, 0)
    had = core.archive.count(month, bucket)
    readings = core.readings.retention.whole(registers.to_arrow(), civil.utc_midnight(month), civil.utc_midnight(civil.month_after(month)))
    return core.archive.add_readings(month, bucket, readings) - had


def _forget_strangers(core: Core, before: int) -> int:
    """Delete telegrams of meters that nobody adopted, and the messages that held nothing else."""
    for message, unknown in core.inbox.strangers(before):
        if any(_telegrams(stored) == unknown for stored in core.inbox.messages([message])):
            core.inbox.remove([message])
    return core.inbox.forget_strangers(before)


def _telegrams(message: Stored) -> int:
    try:
        return len(split(message.topic, message.payload, message.format).telegrams)
    except BadPayload:
        return 0
