"""`./run bench rollup [THOUSANDS OF SERIES]`: rollups beside DuckDB SQL and pandas in one run, on all processors; seconds of wall time.

kernel       the full semantics, Arrow in and out, a piece of 500 series at a time
duckdb       bench/rollup.sql: use of plain counters only, the same pieces, the same number of threads
pandas       the same simple rules, in whole columns and exactly, a tenth of the readings; left out where it is not installed (.venv/bin/uv pip install --group bench)
twice        the kernel with twice the pieces: time and memory
special      the kernel where one series in a hundred has an event: a set day, an exchange, a glitch
incremental  through real stores: a gateway's outage of 0.1 % of the readings comes late, beside a computation of everything
Pieces are Parquet files, made beforehand; each contender runs in a process of its own; `peak` is the most memory that its process used. Before a time is told,
the number of rows and a sum over series, level, start and use of all of them are compared: they are equal.
"""

import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.decode import alone, memory, out
from bench.stores import House
from submeter import civil
from submeter.aggregate import READINGS, Exchange, Parameters, SeriesSpec, rollup
from submeter.reading import LEVELS, MICRO, Source

ZONE, START = "Europe/Prague", civil.instant("2025-01-01T00:00:00Z")
#: Readings of a series, and series of a piece: 3,500 series have 30 million readings.
HOURS, PIECE = 8571, 500
SPEC = SeriesSpec(Parameters(max_rate_per_h=5 * MICRO), ZONE)
#: How many rows, and the sum over them.
Sums = tuple[int, int]
Work = Callable[[pa.Table], pa.Table]
Result = tuple[float, float, int, Sums]


def main(thousands: str = "3.5") -> None:
    """Print the table."""
    pieces = max(int(float(thousands) * 1000) // PIECE, 1)
    with TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(2 * pieces):
            write(folder / f"{number:03d}.parquet", number)
            out(f"readings: piece {number + 1} of {2 * pieces}")
        files = sorted(folder.glob("*.parquet"))
        out(f"{'what':12} {'readings':>11} {'seconds':>8} {'M/s':>6} {'peak MiB':>9}  ratio")
        ours = told("kernel", kernel, files[:pieces])
        for name, contender, share in (("duckdb", duckdb_sql, pieces), ("pandas", pandas_columns, max(pieces // 10, 1))):
            if find_spec(name) is None:
                out(f"{name:12} is not installed: .venv/bin/uv pip install --group bench")
                continue
            own = ours if share == pieces else run(kernel, files[:share])
            compare(name, own, told(name, contender, files[:share], against=own))
        twice = told("twice", kernel, files)
        out(f"{'':12} twice the pieces: {twice[0] / ours[0]:.2f} x the time, {twice[1] / ours[1]:.2f} x the memory")
        special = told("special", with_events, files[:pieces])
        out(f"{'':12} one series in a hundred with an event: {special[0] / ours[0]:.2f} x the time of none")
        incremental(folder, int(os.environ.get("SUBMETER_BENCH_SERIES", "3500")))


def told(name: str, contender: Callable[[list[Path]], Result], files: list[Path], against: Result | None = None) -> Result:
    """Run a contender, and print its line."""
    found = run(contender, files)
    ratio = f"{found[0] / against[0]:.2f} x the time of the kernel" if against else ""
    out(f"{name:12} {found[2]:11,} {found[0]:8.2f} {found[2] / found[0] / 1e6:6.2f} {found[1]:9.0f}  {ratio}")
    return found


def run(contender: Callable[[list[Path]], Result], files: list[Path], away: Callable[..., Any] = alone) -> Result:
    """The better of two runs, each `away`: in a fresh process."""
    return min(away(contender, files) for _ in range(2))


def compare(name: str, ours: Result, other: Result) -> None:
    """Stop the run if the rows are not the same."""
    if ours[3] != other[3]:
        raise AssertionError(f"rows and sum of the kernel are {ours[3]}, those of {name} {other[3]}")


def write(file: Path, number: int, hours: int = HOURS) -> None:
    """A piece as a file."""
    pq.write_table(readings(number, hours), file, compression="lz4", row_group_size=PIECE * hours)


def readings(number: int, hours: int) -> pa.Table:
    """A piece: meters that report each hour at a minute of their own and a few seconds off, a litre here and there."""
    random = np.random.default_rng(number)
    t = START + np.arange(hours) * civil.HOUR + random.integers(0, civil.HOUR, (PIECE, 1)) + random.integers(0, 20 * civil.SECOND, (PIECE, hours))
    rows = PIECE * hours
    columns = {
        "series": np.repeat(np.arange(PIECE) + number * PIECE, hours),
        "t": np.sort(t, axis=1).ravel(),
        "value": np.cumsum(random.integers(0, 50, (PIECE, hours)) * 1000, axis=1).ravel(),
        "src": np.full(rows, Source.LIVE),
        "seq": np.arange(rows),
    }
    zero = np.zeros(rows, np.int8)
    return pa.table([pa.array(columns.get(field.name, zero)).cast(field.type) for field in READINGS], schema=READINGS)


def kernel(files: list[Path]) -> Result:
    """Ours: rows of all levels with everything that they say."""
    return timed(files, READINGS.names, lambda table: rollup(table, dict.fromkeys(ids_of(table), SPEC)).rows)


def with_events(files: list[Path]) -> Result:
    """The same where one series in a hundred has an event in the middle: an exchange, a set day, a value that is absurd."""
    middle = START + HOURS // 2 * civil.HOUR + 1
    kinds = (
        SeriesSpec(SPEC.parameters, ZONE, (Exchange(middle, None, None),)),
        SeriesSpec(Parameters(kind="period", max_rate_per_h=5 * MICRO, set_day="07-01"), ZONE),
        SPEC,
    )

    def kind_of(series: int) -> SeriesSpec:
        return kinds[series // 100 % len(kinds)] if series % 100 == 0 else SPEC

    def spoilt(table: pa.Table) -> pa.Table:
        values = table["value"].to_numpy().copy()
        values[[place * HOURS + HOURS // 2 for place, series in enumerate(ids_of(table)) if series % 100 == 0 and kind_of(series) is SPEC]] += 10**9
        return table.set_column(table.column_names.index("value"), "value", pa.array(values))

    return timed(files, READINGS.names, lambda table: rollup(table, {one: kind_of(one) for one in ids_of(table)}).rows, before=spoilt)


def ids_of(table: pa.Table) -> list[int]:
    return pc.unique(table["series"]).to_pylist()


def calendar() -> pa.Table:
    """To which local day, month and year each hour belongs."""
    first, last = START - 2 * civil.DAY, START + (HOURS + 48) * civil.HOUR
    hours = civil.boundaries(ZONE, "hour", first, last)
    of = {level: civil.boundaries(ZONE, level, first, last) for level in LEVELS[1:]}
    return pa.table({"hour": hours} | {level: bounds[np.searchsorted(bounds, hours, "right") - 1] for level, bounds in of.items()})


def duckdb_sql(files: list[Path]) -> Result:
    """The simple rules as SQL."""
    import duckdb

    sql = (Path(__file__).parent / "rollup.sql").read_text()
    connection = duckdb.connect(config={"threads": os.cpu_count() or 1})
    connection.execute("SET enable_progress_bar = false")
    connection.register("calendar", calendar())

    def work(table: pa.Table) -> pa.Table:
        connection.register("readings", table)
        return connection.sql(sql).to_arrow_table()

    return timed(files, ["series", "t", "value"], work)


def pandas_columns(files: list[Path]) -> Result:
    """The simple rules in pandas, without a loop over series."""
    import pandas as pd

    hours = calendar().to_pandas()

    def work(table: pa.Table) -> pa.Table:
        frame = table.to_pandas()
        later = frame.groupby("series").shift(-1, fill_value=0)
        last = later["t"] == 0
        frame["span"] = (later["t"] - frame["t"]).where(~last, 1)
        frame["rise"] = (later["value"] - frame["value"]).where(~last, 0)
        reach = frame.groupby("series")["t"].agg(["min", "max"])
        ranges = [np.arange(low // civil.HOUR * civil.HOUR, high + civil.HOUR, civil.HOUR) for low, high in reach.to_numpy()]
        grid = pd.DataFrame({"series": np.repeat(reach.index, [len(one) for one in ranges]), "u": np.concatenate(ranges)})
        grid["at"] = np.maximum(grid["u"], reach["min"].reindex(grid["series"]).to_numpy())
        marks = pd.merge_asof(grid.sort_values("at"), frame.sort_values("t"), left_on="at", right_on="t", by="series")
        marks = marks.sort_values(["series", "u"], ignore_index=True)
        span = marks["span"]
        passed = np.minimum(np.maximum(marks["u"] - marks["t"], 0), span)
        down, rest = marks["value"] + marks["rise"] * passed // span, marks["rise"] * passed % span
        marks["index"] = down + ((2 * rest > span) | ((2 * rest == span) & (down % 2 == 1)))
        following = marks.groupby("series")["index"].shift(-1, fill_value=-1)
        rows = marks.assign(use=following - marks["index"])[following >= 0].merge(hours, left_on="u", right_on="hour")
        levels = (rows.groupby(["series", level], as_index=False)["use"].sum() for level in LEVELS)
        parts = [
            pa.table({"series": one["series"], "level": np.full(len(one), level), "start": one.iloc[:, 1], "value": one["use"]})
            for level, one in enumerate(levels)
        ]
        return pa.concat_tables(parts)

    return timed(files, ["series", "t", "value"], work)


def timed(files: list[Path], columns: list[str], work: Work, *, before: Work = lambda table: table) -> Result:
    """Seconds, peak memory in MiB, readings, rows and their sum, over the pieces one after the other; reading a piece is not timed."""
    seconds, readings, count, total = 0.0, 0, 0, 0
    for file in files:
        table = before(pq.read_table(file, columns=columns))
        start = time.perf_counter()
        rows = work(table)
        seconds += time.perf_counter() - start
        readings += table.num_rows
        count, total = count + rows.num_rows, total + checksum(rows)
        del table, rows  # before the next piece is read: one piece at a time is what bounds memory
    return seconds, memory(), readings, (count, total)


def checksum(rows: pa.Table) -> int:
    """A sum over series, level, start and use of all rows, whatever their order."""
    series, level, start, value = (rows[name].to_numpy().astype(np.uint64) for name in ("series", "level", "start", "value"))
    key = (series * np.uint64(len(LEVELS)) + level) * np.uint64(0x9E3779B97F4A7C15) + start
    key = (key ^ key >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)
    return int(((key ^ key >> np.uint64(32)) * (value + np.uint64(1))).sum())


def incremental(folder: Path, series: int) -> None:
    """0.1 % of a year's readings come late: of a gateway that hears a tenth of the meters, then of one that hears some 3 % of them for longer."""
    with House(folder / "house", series, ZONE) as house:
        outages = ((range(0, series, 10), range(4000, 4000 + HOURS // 100)), (range(1, series, 35), range(6000, 6000 + HOURS * 35 // 1000)))
        house.fill(START, HOURS, outages)
        first, full = house.run(), min(house.run(everything=True) for _ in range(2))
        for number, (meters, hours) in enumerate(outages):
            late = house.late(number)
            again = house.run()
            out(
                f"incremental  {series} series: first {first:.2f} s, everything {full:.2f} s; {late:,} late readings of {len(meters)} meters, "
                f"{len(hours) / 24:.1f} days: {again:.2f} s, {full / again:.1f} x ({first / again:.1f} x the first)"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
