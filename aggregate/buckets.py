"""Series in buckets: a file of readings for each month in, a folder of rows out, computed anywhere by `compute` (docs/decisions/2026-11-28-spark.md).

readings/2026-08/017-DIGEST.parquet    readings in that UTC month of all registers that the series of bucket 17 were ever stitched from
rows/017-DIGEST/*.parquet              what the kernel found in them: rows of all levels, days, findings, and the readings that tell where a series stands
Strategy: a name has the digest of all that its content follows from. A bucket of which readings and series are as they were has the same name, is there, and is
not computed again; what was done before a run was stopped stays done. Rules: the series of a point, with the devices before and after an exchange, are in one
bucket, so that nothing has to be moved between computations; an output is written beside and renamed when it is whole, so that a half one is never seen, and
of two attempts the first one counts; files are their owner's alone.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from submeter.aggregate.decided import SEQ
from submeter.aggregate.errors import EngineError
from submeter.aggregate.frames import framed, last_usable
from submeter.aggregate.kernel import Rollup
from submeter.aggregate.series import RULES, Series
from submeter.aggregate.stitching import Computed, Inside, rolled_up
from submeter.aggregate.windows import Window
from submeter.reading import READING_BITS, Source
from submeter.store import READING
from submeter.store.archive import sync

__all__ = ["RELEASE", "Bucket", "Done", "compute", "outcome"]

#: Rises when what lies in the folders changes its form. Driver and workers must agree on it, and on what rows mean.
FORMAT: Final = 1
RELEASE: Final = f"{RULES}.{FORMAT}"
STANDING: Final = "standing"


@dataclass(frozen=True, slots=True)
class Bucket:
    """One computation: which readings, of which series, in which windows, and where its output belongs."""

    output: Path
    readings: tuple[Path, ...]
    series: Mapping[int, Series]
    windows: tuple[Window, ...]
    release: str = RELEASE

    @property
    def is_done(self) -> bool:
        """Its output is there, whole."""
        return self.output.is_dir()


class Done(NamedTuple):
    """What a computation took: readings in, rows out, seconds."""

    readings: int
    rows: int
    seconds: float


def compute(bucket: Bucket) -> Done:
    """Compute a bucket and put its output into its place; EngineError if this release is another than the one that planned it."""
    started = time.monotonic()
    if bucket.release != RELEASE:
        raise EngineError(f"this worker computes by the rules {RELEASE}, asked was for {bucket.release}: install the same submeter on all machines")
    if not bucket.output.parent.is_dir():
        raise EngineError(f"{bucket.output.parent} is not there on this machine: --shared names a folder that all workers reach under this path")
    readings = pl.concat([framed(pq.read_table(file)) for file in bucket.readings]) if bucket.readings else _NOTHING
    computed = rolled_up(_inside(readings), bucket.series, bucket.windows)
    _write(bucket.output, {name: getattr(computed.result, name) for name in Rollup.__slots__} | {STANDING: _standing(computed.readings)})
    return Done(readings.height, computed.result.rows.num_rows, time.monotonic() - started)


def outcome(bucket: Bucket, windows: Sequence[Window]) -> Computed:
    """What was computed of some of a bucket's windows; of the readings only those that tell where a series stands and what it heard last."""
    wanted = {window.series for window in windows}
    try:
        found = {name: _of(pq.read_table(bucket.output / f"{name}.parquet", page_checksum_verification=True), wanted) for name in _TABLES}
    except (OSError, pa.ArrowException) as error:
        raise EngineError(f"{bucket.output} cannot be read: {error}; take it away, and it is computed again") from error
    standing = found.pop(STANDING)
    return Computed(windows, Rollup(**found), framed(standing))


_TABLES: Final = (*Rollup.__slots__, STANDING)
_NOTHING: Final = framed(READING.empty_table()).drop("label", "time_source")


def _inside(readings: pl.DataFrame) -> Inside:
    """What `Readings.readings_inside` is to the readings' file."""

    def inside(spans: pa.Table) -> pa.Table:
        found = readings.join(framed(spans), on="register").filter((pl.col("t") >= pl.col("first")) & (pl.col("t") < pl.col("beyond")))
        return found.select("id", *readings.columns).sort("id", "t", "seq").to_arrow()

    return inside


def _standing(readings: pl.DataFrame) -> pa.Table:
    """The readings from which `Publisher.heads` and `causes` say what they would say from all of them.

    Of each series and device the last usable one and the last live one, and all that the last received telegram brought.
    """
    last = last_usable(readings, "series", "dev")
    heard = readings.filter(pl.col("src") == Source.LIVE).sort("t").group_by("series", "dev").last()
    place = pl.col("seq") // 2**READING_BITS
    received = readings.filter(pl.col("seq") < SEQ)
    brought = received.filter(place == place.max().over("series"))
    parts = [part.select(readings.columns) for part in (last, heard, brought)]
    return pl.concat(parts).unique().sort("series", "t", "seq").to_arrow()


def _write(output: Path, tables: Mapping[str, pa.Table]) -> None:
    """Write an output beside its place, and rename it when it is whole and on the disk."""
    made = output.parent / f".{output.name}.{uuid4().hex}"
    made.mkdir(mode=0o700)
    for name, table in tables.items():
        file = made / f"{name}.parquet"
        pq.write_table(table, file, compression="lz4", use_dictionary=False, write_page_checksum=True)
        sync(file)
    sync(made)
    try:
        made.rename(output)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        if not output.is_dir():
            raise
    sync(output.parent)


def _of(table: pa.Table, series: set[int]) -> pa.Table:
    """The rows of some series."""
    there = framed(table)
    kept = there.filter(pl.col("series").is_in(series))
    return table if kept.height == there.height else kept.to_arrow().cast(table.schema)
