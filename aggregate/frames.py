"""Arrow tables as Polars frames."""

import polars as pl
import pyarrow as pa

__all__ = ["framed"]


def framed(table: pa.Table) -> pl.DataFrame:
    """A table as a frame, without a copy where Polars can."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
