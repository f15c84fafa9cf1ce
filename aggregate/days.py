"""What is kept of each local day of a series: enough to go on computing from its start, and to sum it into months and years.

Strategy: a row of hours or days follows from the segments around it, so a window of days is computed from the anchor before it alone; a month or a year
is a sum of days with the bounds, the quality and the display of its two ends. All of it is relative to the index at the day's boundaries, so days stand when
the use before them changes; only whether that use is odd matters (`odd`), because half micro units are rounded to the even one (SPEC 7).
Rules: days are kept where nothing but the readings from the anchor on decides: not with substitutes, rating factors or numbers outside the limits of
columns. `anchor_t`, `anchor_v` and `next_t` are the segment (of gauges: the pair of readings) that reaches the day's start: t1 < start <= t2, and the
display just after t1 (null: not known; 0 for gauges). The first day has none: a computation from there is one from the beginning.
"""

from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from submeter import civil
from submeter.aggregate import counter_columns, gauge_columns
from submeter.aggregate.columns import SCHEMA, Bools, Grid, array
from submeter.aggregate.counter_columns import Levels
from submeter.aggregate.frames import framed
from submeter.aggregate.gauge_columns import Readings
from submeter.aggregate.rows import ESTIMATED, INCOMPLETE, WHOLE
from submeter.aggregate.wide import Ints, rounded
from submeter.reading import LEVELS
from submeter.store import DAYS

__all__ = ["DAYS", "SUMMED", "added", "counter_days", "gauge_days", "summed"]

DAY: Final = LEVELS.index("day")
#: Levels whose rows are sums of days.
SUMMED: Final = tuple(level for level in range(len(LEVELS)) if level > DAY)
Columns = dict[str, Ints | Bools | tuple[Ints, Bools]]


def counter_days(levels: Levels) -> pa.Table:
    """The days of counters from their segments."""
    segments, grid, marks = levels.segments, levels.grids[DAY], levels.marks(DAY)
    s, e, owner = marks.at(grid.s), marks.at(grid.e), grid.owner[grid.s]
    reached = s.u > segments.t1[segments.offsets[:-1]][owner]
    early, late = levels.outside(DAY)
    split = segments.too_long
    return _table(
        {
            **_own(segments.ids[owner], s.u, e.u),
            "anchor_t": (segments.t1[s.before], reached),
            "anchor_v": (segments.x1[s.before], reached & segments.x1_known[s.before]),
            "odd": reached & (segments.v1[s.before] % 2 == 1),
            "next_t": (segments.t2[s.before], reached),
            "value": e.booked - s.booked,
            "flags": counter_columns.flags_of(segments, s, e),
            "lossy": counter_columns.any_marked(segments.lossy, s, e),
            "heard": e.heard - s.heard,
            "below_start": s.booked - s.low,
            "above_start": s.high - s.booked,
            "below_end": e.booked - e.low,
            "above_end": e.high - e.booked,
            "split_start": s.inside & split[s.after],
            "split_end": e.inside & split[e.after],
            "early": early,
            "late": late,
            "index_start": counter_columns.display(segments, s, segments.x1, s.after, segments.x1_known, ~early),
            "index_end": counter_columns.display(segments, e, segments.x2, e.before, segments.x2_known, ~late),
        }
    )


def gauge_days(readings: Readings, zone: str, year_start: str) -> pa.Table:
    """The days of gauges from their readings in use."""
    first, last = readings.t[readings.offsets[:-1]], readings.t[readings.offsets[1:] - 1]
    grid = Grid.of(DAY, zone, year_start, first, last + 1)
    marks = gauge_columns.marks_of(readings, grid)
    s, e, owner = marks.at(grid.s), marks.at(grid.e), grid.owner[grid.s]
    reached, n = s.u > first[owner], e.next - s.next
    before = np.maximum(s.next - 1, 0)
    low, high = (gauge_columns.extreme(function, readings.v, s.next, n > 0) for function in (np.minimum, np.maximum))
    area = gauge_columns.Wide(e.high, e.low).plus(gauge_columns.Wide(s.high, s.low), -1)
    return _table(
        {
            **_own(readings.ids[owner], s.u, e.u),
            "anchor_t": (readings.t[before], reached),
            "anchor_v": (np.zeros_like(before), reached),
            "next_t": (readings.t[s.next], reached),
            "heard": e.covered - s.covered,
            "n": n,
            "lo": (low, n > 0),
            "hi": (high, n > 0),
            "area_high": area.high,
            "area_low": area.low,
            "part_start": s.part,
            "of_start": np.where(s.part > 0, s.of, 1),
            "part_end": e.part,
            "of_end": np.where(e.part > 0, e.of, 1),
        }
    )


def summed(days: pl.DataFrame, zone: str, year_start: str, *, gauge: bool) -> pl.DataFrame:
    """Rows of months and years (SCHEMA) from all the days that these series have in them; the series share zone and first day of the year."""
    days = days.sort("series", "start")
    rows = [_summed(days, level, zone, year_start, gauge=gauge) for level in SUMMED] if days.height else []
    return pl.concat([framed(SCHEMA.empty_table()), *rows])


def _summed(days: pl.DataFrame, level: int, zone: str, year_start: str, *, gauge: bool) -> pl.DataFrame:
    first, last = (int(days[name].to_numpy()[at]) for name, at in (("start", days["start"].arg_min() or 0), ("end", days["end"].arg_max() or 0)))
    bounds = civil.boundaries(zone, LEVELS[level], first, last, year_start)
    bucket = np.searchsorted(bounds, days["start"].to_numpy(), "right") - 1
    return added(days.with_columns(bucket=pl.Series(bounds[bucket]), bucket_end=pl.Series(bounds[bucket + 1])), level, gauge=gauge)


def added(own: pl.DataFrame, level: int, *, gauge: bool) -> pl.DataFrame:
    """Rows (SCHEMA) from days, or pieces of days, in order of series and start, of which `bucket` and `bucket_end` say what they are added up to."""
    begin = ("below_start", "above_start", "split_start", "index_start", "part_start", "of_start", "start", "early")
    until = ("below_end", "above_end", "split_end", "index_end", "part_end", "of_end", "end", "late")
    sums = own.group_by("series", "bucket", "bucket_end", maintain_order=True).agg(
        pl.col("value", "heard", "n", "area_high", "area_low").sum(),
        pl.col("flags").bitwise_or(),
        pl.col("lossy").any(),
        pl.col("lo").min(),
        pl.col("hi").max(),
        pl.col(begin).first(),
        pl.col(until).last(),
    )
    return (_gauge_rows if gauge else _counter_rows)(sums, level)


def _counter_rows(sums: pl.DataFrame, level: int) -> pl.DataFrame:
    """SPEC 7 for buckets that are sums of days."""
    early = pl.col("early") | (pl.col("bucket") < pl.col("start"))
    late = pl.col("late") | (pl.col("bucket_end") > pl.col("end"))
    estimated = pl.when(pl.col("split_start") | pl.col("split_end")).then(ESTIMATED).otherwise(0)
    rows = sums.with_columns(
        lo=(pl.col("value") - pl.col("below_end") - pl.col("above_start")).clip(0),
        hi=pl.when(~pl.col("lossy")).then(pl.col("value") + pl.col("above_end") + pl.col("below_start")),
        n=pl.lit(None, pl.Int32),
        quality=pl.when(early | late | pl.col("lossy")).then(INCOMPLETE).otherwise(estimated),
        index_start=pl.when(~early).then(pl.col("index_start")),
        index_end=pl.when(~late).then(pl.col("index_end")),
    )
    return _rows(rows, level)


def _gauge_rows(sums: pl.DataFrame, level: int) -> pl.DataFrame:
    """SPEC 9 for buckets that are sums of days."""
    sums = sums.filter((pl.col("n") > 0) | (pl.col("heard") > 0))
    column = {name: sums[name].to_numpy() for name in ("heard", "area_high", "area_low", "part_start", "of_start", "part_end", "of_end")}
    area = gauge_columns.Wide(column["area_high"], column["area_low"])
    whole = area.plus(gauge_columns.Wide(np.zeros_like(area.high), np.zeros_like(area.low)))
    none = np.zeros_like(column["heard"])
    s = gauge_columns.Marks(none, none, none, none, column["part_start"], column["of_start"], none)
    e = gauge_columns.Marks(none, column["heard"], *whole, column["part_end"], column["of_end"], none)
    mean = pl.Series(gauge_columns.mean_of(s, e, column["heard"]))
    rows = sums.with_columns(
        value=pl.when(pl.col("heard") > 0).then(mean),
        quality=pl.lit(0),
        flags=pl.lit(0),
        index_start=pl.lit(None, pl.Int64),
        index_end=pl.lit(None, pl.Int64),
    )
    return _rows(rows, level)


def _rows(sums: pl.DataFrame, level: int) -> pl.DataFrame:
    start, end = sums["bucket"].to_numpy(), sums["bucket_end"].to_numpy()
    coverage = pl.Series(rounded(WHOLE * sums["heard"].to_numpy(), end - start), dtype=pl.Int64)
    shaped = sums.with_columns(level=pl.lit(level), start=pl.col("bucket"), end=pl.col("bucket_end"), coverage=coverage)
    return shaped.select(pl.col(name).cast(kind) for name, kind in framed(SCHEMA.empty_table()).schema.items())


def _own(series: Ints, start: Ints, end: Ints) -> Columns:
    return {"series": series, "start": start, "end": end}


def _table(columns: Columns) -> pa.Table:
    size = len(columns["start"])

    def column(field: pa.Field) -> pa.Array:
        given = columns.get(field.name)
        if given is None:
            return pa.array(np.zeros(size, np.bool_)) if pa.types.is_boolean(field.type) else pa.nulls(size, field.type)
        return array(given, field.type)

    return pa.table([column(field) for field in DAYS], schema=DAYS)
