"""Windows of series through the kernel: what came out, checked against what was known, and cut to the days that the windows are about.

Rules: a window is computed under a number of its own, so that a series may have several; what does not come out as it stood at a window's ends is given back
as a wider window; months and years come only from whole series, all others are summed from days.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa
import structlog

from submeter import civil
from submeter.aggregate.days import DAY, SUMMED
from submeter.aggregate.frames import framed
from submeter.aggregate.kernel import READINGS, Rollup, rollup
from submeter.aggregate.series import Series
from submeter.aggregate.windows import Day, Range, Window
from submeter.errors import SubmeterError
from submeter.reading import INT64_MAX, LEVELS, Source
from submeter.store import WITHIN

__all__ = ["anchors", "checked", "computed", "inside_of", "reach", "whole_years", "within"]

log = structlog.get_logger()


def computed(readings: pl.DataFrame, numbered: Mapping[int, tuple[Window, Series]]) -> Rollup:
    """The kernel over windows; where it refuses, one by one, so that one that cannot be computed costs no other."""
    specs = {i: window.narrowed(series.spec) for i, (window, series) in numbered.items()}
    begun = {i: int(window.begin.odd) for i, (window, _) in numbered.items() if window.begin is not None}
    try:
        return rollup(readings.to_arrow(), specs, begun, days=True)
    except SubmeterError as error:
        if len(numbered) == 1:
            log.error("series left out of the rollup", point=next(iter(numbered.values()))[1].point.id, error=str(error))
            return rollup(readings.clear().to_arrow(), specs)
    return Rollup.joined([computed(readings.filter(pl.col("series") == i), {i: one}) for i, one in numbered.items()])


def anchors(windows: Mapping[int, Window]) -> pl.DataFrame:
    """The anchors that counters go on from, as readings: what the register showed there (SPEC 5.3, row 1)."""
    rows = [(i, one.begin.anchor_t, one.begin.anchor_v) for i, one in windows.items() if one.begin is not None and not one.gauge]
    anchors = pl.DataFrame(rows, schema={"series": pl.Int32, "t": pl.Int64, "value": pl.Int64}, orient="row")
    rest = {"src": pl.lit(Source.LIVE), "status": pl.lit(0), "due": pl.lit(False), "pinned": pl.lit(False), "dev": pl.lit(None), "seq": pl.lit(-1)}
    schema = framed(READINGS.empty_table()).schema
    return anchors.with_columns(**rest).select(pl.col(name).cast(kind) for name, kind in schema.items())


def checked(windows: Mapping[int, Window], days: pl.DataFrame) -> tuple[dict[int, Window], list[Window]]:
    """The windows whose ends came out as they stood, and what is to be computed instead of the others."""
    ends = {(i, day.start) for i, window in windows.items() for day in (window.begin, window.stop) if day is not None}
    asked = pl.DataFrame([*ends], schema={"series": pl.Int32, "start": pl.Int64}, orient="row")
    came = defaultdict[int, dict[int, Day]](dict)
    for i, *day in days.join(asked, on=["series", "start"], how="semi").select("series", *Day._fields).rows():
        came[i][day[0]] = Day(*day)
    failing = defaultdict[int, list[Window]](list)
    for i, window in windows.items():
        if (other := window.holds(came[i])) is not None:
            failing[window.series].append(other)
    right = {i: window for i, window in windows.items() if window.series not in failing}
    return right, [_widest(others, [one for one in windows.values() if one.series == series]) for series, others in failing.items()]


def _widest(failing: Sequence[Window], windows: Sequence[Window]) -> Window:
    """One window instead of all of a series: from the first reading if one of them did not begin as it should, else from where the first one begins."""
    whole = next((one for one in failing if one.is_widest), None)
    return whole or replace(min(windows, key=lambda one: one.first), stop=None)


def inside_of(result: Rollup, windows: Mapping[int, Window]) -> Rollup:
    """What was found inside windows, by series instead of by window; months and years only of whole series."""
    columns = [(i, one.series, one.first, one.beyond, one.is_whole, one.stop is None) for i, one in windows.items()]
    schema = {"id": pl.Int32, "number": pl.Int32, "first": pl.Int64, "beyond": pl.Int64, "whole": pl.Boolean, "ended": pl.Boolean}
    cut = pl.DataFrame(columns, schema=schema, orient="row")

    def inside(table: pa.Table, condition: pl.Expr) -> pa.Table:
        found = framed(table).rename({"series": "id"}).join(cut, on="id").filter(condition).rename({"number": "series"})
        return found.select(table.column_names).to_arrow().cast(table.schema)

    def begins(name: str) -> pl.Expr:
        return (pl.col(name) >= pl.col("first")) & (pl.col(name) < pl.col("beyond"))

    return Rollup(
        rows=inside(result.rows, begins("start") & (pl.col("whole") | (pl.col("level") <= DAY))),
        dropped=inside(result.dropped, begins("t")),
        pending=inside(result.pending, pl.col("ended")),
        held=inside(result.held, begins("t")),
        days=inside(result.days, begins("start")),
        reach=inside(result.reach, pl.col("ended")),
    )


def reach(batch: Mapping[int, Series], windows: Sequence[Window]) -> dict[int, tuple[int, int]]:
    """From where to where the windows of each series reach, of those that are not whole."""
    found = defaultdict[int, list[Window]](list)
    for window in windows:
        if not window.is_whole:
            found[window.series].append(window)
    return {number: (min(one.first for one in found[number]), max(one.beyond for one in found[number])) for number in batch if number in found}


def whole_years(series: Series, first: int, beyond: int) -> Range:
    """[first, beyond) widened to years of the series' zone; no beginning and no end stay so."""
    zone, year_start = series.spec.zone, series.spec.parameters.year_start
    begin = first if first == -INT64_MAX else civil.floor(zone, "year", first, year_start)
    return begin, beyond if beyond == INT64_MAX else int(civil.boundaries(zone, "year", beyond, beyond, year_start)[-1])


def within(batch: Mapping[int, Series], windows: Sequence[Window]) -> pl.DataFrame:
    """WITHIN: which rows are replaced: hours and days of the windows, and from the first to the last of them what months and years they touch."""
    rows = [(one.series, level, one.first, one.beyond) for one in windows for level in range(len(LEVELS)) if one.is_whole or level <= DAY]
    for number, (first, beyond) in reach(batch, windows).items():
        spec = batch[number].spec
        for level in SUMMED:
            begin = first if first == -INT64_MAX else civil.floor(spec.zone, LEVELS[level], first, spec.parameters.year_start)
            rows.append((number, level, begin, beyond))
    return pl.DataFrame(rows, schema=dict(zip(WITHIN.names, (pl.Int32, pl.UInt8, pl.Int64, pl.Int64), strict=True)), orient="row")
