"""Arrow tables as Polars frames, and which readings of them count."""

from typing import Final

import polars as pl
import pyarrow as pa

from submeter.aggregate.events import UNUSABLE

__all__ = ["USABLE", "framed", "last_usable"]

#: A reading with a value that may be used (SPEC 4.1).
USABLE: Final = pl.col("value").is_not_null() & (pl.col("status") & UNUSABLE == 0)


def framed(table: pa.Table) -> pl.DataFrame:
    """A table as a frame, without a copy where Polars can."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def last_usable(readings: pl.DataFrame, *by: str) -> pl.DataFrame:
    """The last usable reading of each group: of those of one instant the one that counts (SPEC 4.2)."""
    return readings.filter(USABLE).sort("t", ~pl.col("due"), -pl.col("src").cast(pl.Int8), "seq").group_by(by).last()
