"""Windows of series with their readings through the kernel, wherever the readings lie.

Rules: what reads the readings is one function of spans (id, register, first, beyond), so that a computation from the readings' file and one from exported
files are the same; what operators decided is applied here; a window that turns out too narrow is computed again as a wider one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import polars as pl
import pyarrow as pa

from submeter.aggregate import recompute
from submeter.aggregate.covered import uncovered
from submeter.aggregate.decided import SEQ
from submeter.aggregate.frames import framed
from submeter.aggregate.kernel import READINGS, Rollup
from submeter.aggregate.series import Series
from submeter.aggregate.windows import Window
from submeter.reading import STATUS

__all__ = ["Computed", "Inside", "rolled_up", "stitched"]

INVALID: Final = 1 << STATUS.index("invalid")

#: The readings inside each of some spans, see `Readings.readings_inside`.
Inside = Callable[[pa.Table], pa.Table]


class Computed(NamedTuple):
    """The final windows of a batch of series, what was found in them, and their readings, by series."""

    windows: Sequence[Window]
    result: Rollup
    readings: pl.DataFrame


def rolled_up(inside: Inside, batch: Mapping[int, Series], windows: Sequence[Window]) -> Computed:
    """The kernel over windows of series, wider ones where they turn out too narrow."""
    done: list[Window] = []
    results, read = [], []
    while windows:
        numbered = dict(enumerate(windows))
        readings = stitched(inside, batch, numbered)
        result = recompute.computed(pl.concat([readings, recompute.anchors(numbered)]), {i: (one, batch[one.series]) for i, one in numbered.items()})
        right, windows = recompute.checked(numbered, framed(result.days))
        done += right.values()
        results.append(recompute.inside_of(result, right))
        names = {i: one.series for i, one in numbered.items()}
        read.append(readings.with_columns(series=pl.col("series").replace_strict(names, return_dtype=pl.Int32)))
    return Computed(done, Rollup.joined(results), pl.concat(read))


def stitched(inside: Inside, batch: Mapping[int, Series], windows: Mapping[int, Window]) -> pl.DataFrame:
    """Readings of some windows, by the window's number, in the kernel's form: each register's readings inside its spans, as operators decided."""
    spans = [
        (i, span.register, max(span.start, window.read_from), min(span.end, window.read_before))
        for i, window in windows.items()
        for span in batch[window.series].spans
    ]
    schema = {"id": pl.Int32, "register": pl.Int32, "first": pl.Int64, "beyond": pl.Int64}
    table = pl.DataFrame([span for span in spans if span[2] < span[3]], schema=schema, orient="row")
    readings = framed(inside(table.to_arrow())).rename({"id": "series", "register": "dev"}).select(READINGS.names)
    counting = _as_decided(readings, {i: (window, batch[window.series]) for i, window in windows.items()})
    return uncovered(counting, {i: batch[window.series].spec.parameters.max_gap for i, window in windows.items()})


def _as_decided(stored: pl.DataFrame, windows: Mapping[int, tuple[Window, Series]]) -> pl.DataFrame:
    """The readings of some windows with the rejected ones marked invalid and the entered ones added, each of the device that was there."""
    wrong = [(i, *span) for i, (_, series) in windows.items() for span in series.decided.rejected]
    for i, since, until in wrong:
        hit = (pl.col("series") == i) & (pl.col("t") >= since) & (pl.col("t") < until)
        stored = stored.with_columns(pl.when(hit).then(pl.col("status") | INVALID).otherwise(pl.col("status")).cast(pl.UInt16).alias("status"))
    entered = [
        {"series": i, "dev": span.register, "t": one.t, "value": one.value, "src": one.src, "status": 0, "due": one.due, "pinned": one.pinned}
        | {"seq": SEQ + one.decision}
        for i, (window, series) in windows.items()
        for one in series.decided.entered
        for span in series.spans
        if max(span.start, window.read_from) <= one.t < min(span.end, window.read_before)
    ]
    return pl.concat([stored, pl.DataFrame(entered, schema=stored.schema)]) if entered else stored
