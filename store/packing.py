"""Rows of readings.duckdb as the packed rows of published.sqlite."""

import numpy as np
import pyarrow as pa

from submeter.store.published import NULL, POINT, Points

__all__ = ["pack"]


def pack(rows: pa.Table) -> Points:
    """Return rollup rows (as `Readings.rollups` gives them) as an array of POINT in the same order; null values become NULL, a null count 0."""
    points = np.empty(rows.num_rows, POINT)
    for name in points.dtype.names or ():
        column = rows[name]
        points[name] = column.fill_null(0 if name == "n" else NULL).to_numpy() if column.null_count else column.to_numpy()
    return points
