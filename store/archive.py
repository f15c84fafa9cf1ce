"""archive/: closed messages and readings as Parquet, for rebuilding, for analysis elsewhere, and as a backup (ingest/INBOX.md 3; DECISIONS 13).

messages/2026-08-31.parquet        messages received on that UTC day, in order of arrival, payloads as received: sealed telegrams stay sealed
readings/2026-08/07.parquet        readings with an instant in that UTC month, of the registers of one bucket, in order of register and time; these have
                                   the register's own words instead of its number in the readings' file
Rules: a file is written beside, synced, and takes its name when whole; adding to one that is there keeps what it had; owner only.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import Final
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from submeter import civil
from submeter.reading import Register
from submeter.store.errors import StoreError
from submeter.store.inbox import Stored
from submeter.store.readings_schema import READING, tabled

__all__ = ["BUCKETS", "MESSAGES", "READINGS", "WORDS", "Archive", "bucket_of", "packed", "settle", "sync"]

#: Files of a month: the registers are spread over them evenly, whatever else there is.
BUCKETS: Final = 16
MESSAGES: Final = pa.schema(
    {
        "id": pa.int64(),
        "source": pa.string(),
        "payload": pa.binary(),
        "received_at": pa.int64(),
        "gateway": pa.string(),
        "topic": pa.string(),
        "flags": pa.int32(),
        "format": pa.string(),
    }
)
WORDS: Final = {"device": pa.string(), "name": pa.string(), "unit": pa.string(), "tariff": pa.int32(), "subunit": pa.int32(), "idx": pa.int32()}
READINGS: Final = pa.schema([*WORDS.items(), *(field for field in READING if field.name != "register")])


def bucket_of(device: str, register: Register) -> int:
    """The bucket of a register, the same in every installation."""
    return crc32(f"{device} {register}".encode()) % BUCKETS


def packed(messages: Iterable[Stored]) -> pa.Table:
    """Messages as they are kept and handed over."""
    return tabled(map(attrgetter(*MESSAGES.names), messages), MESSAGES)


class Archive:
    """The archive's folder, made when the first file is; StoreError names a file that cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def days(self) -> list[date]:
        """Return the UTC days of which messages are kept."""
        return sorted(date.fromisoformat(file.stem) for file in self.folder.glob("messages/*.parquet"))

    def months(self) -> list[date]:
        """Return the first days of the UTC months of which readings are kept."""
        return sorted(date.fromisoformat(f"{folder.name}-01") for folder in self.folder.glob("readings/*") if any(folder.glob("*.parquet")))

    def messages(self, day: date) -> Iterator[pa.Table]:
        """Yield the messages of a day in pieces, in order of arrival."""
        yield from self._read(self._of_day(day))

    def readings(self, month: date, bucket: int) -> Iterator[pa.Table]:
        """Yield the readings of a month and bucket in pieces; nothing if there are none."""
        file = self._of_month(month, bucket)
        if file.exists():
            yield from self._read(file)

    def add_messages(self, day: date, pieces: Iterable[pa.Table]) -> int:
        """Add messages of a day, in order of arrival, to what is kept of it; returns how many of the day are on disk then."""
        return self._write(self._of_day(day), MESSAGES, pieces, ("id",))

    def add_readings(self, month: date, bucket: int, readings: pa.Table) -> int:
        """Add readings of a month and bucket to what is kept of them; returns how many are on disk then."""
        return self._write(
            self._of_month(month, bucket), READINGS, (readings,), ("device", "name", "tariff", "subunit", "idx", "t", "src", "due", "seq")
        )

    def files(self) -> list[Path]:
        """Return all its files, in order."""
        return sorted(self.folder.rglob("*.parquet"))

    def check(self, file: Path) -> None:
        """Read a file whole; StoreError says that it cannot be."""
        for _ in self._read(file):
            pass

    def newest_message(self) -> int:
        """Return the highest number of a message of the last day that is kept; 0 if none is, or its file cannot be read."""
        days = self.days()
        try:
            groups = pq.read_metadata(self._of_day(days[-1])).to_dict()["row_groups"] if days else []
        except (OSError, pa.ArrowException):
            return 0
        return max((int(group["columns"][MESSAGES.get_field_index("id")]["statistics"]["max"]) for group in groups), default=0)

    def count(self, month: date, bucket: int) -> int:
        """Return how many readings of a month and bucket are kept."""
        file = self._of_month(month, bucket)
        return int(pq.read_metadata(file).num_rows) if file.exists() else 0

    def drop(self, before: date) -> int:
        """Delete the files whose day or month ended before a day; returns how many."""
        days = [self._of_day(day) for day in self.days() if day < before]
        months = [file for month in self.months() if civil.month_after(month) <= before for file in self._of_month(month, 0).parent.glob("*.parquet")]
        for file in (*days, *months):
            file.unlink()
        return len(days) + len(months)

    def _of_day(self, day: date) -> Path:
        return self.folder / "messages" / f"{day}.parquet"

    def _of_month(self, month: date, bucket: int) -> Path:
        return self.folder / "readings" / f"{month:%Y-%m}" / f"{bucket:02d}.parquet"

    def _read(self, file: Path) -> Iterator[pa.Table]:
        try:
            with pq.ParquetFile(file) as opened:
                yield from (opened.read_row_group(group) for group in range(opened.num_row_groups))
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{file} cannot be read: {error}; restore it from a backup, or take it away") from error

    def _write(self, file: Path, schema: pa.Schema, pieces: Iterable[pa.Table], key: Sequence[str]) -> int:
        """Write what the file had and what is new to it; nothing is written if nothing is new."""
        had = list(self._read(file)) if file.exists() else []
        known = pa.concat_tables([piece.select(key) for piece in had]) if had else None
        made = file.with_suffix(".new")
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            rows, added = int(sum(piece.num_rows for piece in had)), 0
            with pq.ParquetWriter(made, schema, compression="zstd") as writer:
                for piece in had:
                    writer.write_table(piece)
                for piece in pieces:
                    fresh = _without(piece.select(schema.names).cast(schema), known, key)
                    if fresh.num_rows:
                        writer.write_table(fresh)
                    added += fresh.num_rows
            if added or not had:
                made.chmod(0o600)
                settle(made, file)
            else:
                made.unlink()
            return rows + added
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{file} cannot be written: {error}; free disk space first: nothing is deleted before it is there") from error


def _without(piece: pa.Table, known: pa.Table | None, key: Sequence[str]) -> pa.Table:
    """The rows of a piece whose keys are not known."""
    if known is None or not piece.num_rows:
        return piece
    marked = piece.append_column("row", pa.array(range(piece.num_rows), pa.int64()))
    fresh = marked.select([*key, "row"]).join(known, keys=list(key), join_type="left anti")
    return piece.filter(pc.is_in(marked["row"], value_set=fresh["row"]))


def settle(made: Path, file: Path) -> None:
    """Give a whole file its name, durably."""
    sync(made)
    made.replace(file)
    sync(file.parent)


def sync(path: Path) -> None:
    """Wait until a file, or what a folder names, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
