"""Readings that residents sent in count only where no better one covers the time (FEATURES b).

Rule: such a reading is left out where readings of a better source stand at or before it and at or after it, no further apart than the gap that the series is
permitted. Which it is depends on readings far away, so a series that has any is computed whole.
"""

from collections.abc import Mapping

import polars as pl

from submeter.aggregate.frames import USABLE
from submeter.reading import Source

__all__ = ["uncovered"]


def uncovered(readings: pl.DataFrame, gaps: Mapping[int, int]) -> pl.DataFrame:
    """The readings (columns of the kernel) without the covered ones; `gaps` are the permitted gaps by `series`, µs."""
    if not (readings["src"] == Source.SELF).any():
        return readings
    better = (pl.col("src") < Source.SELF) & USABLE
    at = pl.when(better).then(pl.col("t"))
    around = readings.sort("series", "t", "src", "seq").with_columns(
        before=at.forward_fill().over("series"),
        after=at.backward_fill().over("series"),
        gap=pl.col("series").replace_strict(gaps, return_dtype=pl.Int64),
    )
    near = (pl.col("before") == pl.col("t")) | (pl.col("after") - pl.col("before") <= pl.col("gap"))
    covered = (pl.col("src") == Source.SELF) & near.fill_null(value=False)
    return around.filter(~covered).select(readings.columns)
