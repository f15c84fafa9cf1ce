"""`./run bench rollup [SCALE]`: rollups beside DuckDB SQL and pandas in one run, and incremental beside full through real stores.

Hourly readings of 3,500 series of one zone (times SCALE), made in buckets of 500 series and computed bucket by bucket; only computing counts, Arrow in and
Arrow out, with as many threads as there are processors.
submeter  the full semantics: bounds, coverage, quality, flags and displays too
special   the same with an exchange, a momentary fall or a jump in every hundredth series
sql       the simple semantics in DuckDB (`rollup.sql`), chunked alike
pandas    the simple semantics in pandas, a tenth of the series; beside it submeter on the same
double    submeter on twice the series
Each contender runs in a process of its own, `ROUNDS` times in turn; the median counts. `peak` is the most memory that the process ever used, with the making
of the readings. First of all the sums over the rows (series, level, start, value) of submeter, sql and pandas must be equal.
"""

import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bench.decode import memory, out
from submeter import civil
from submeter.aggregate import READINGS, Exchange, Parameters, SeriesSpec, rollup
from submeter.reading import Source

ZONE = "Europe/Prague"
START = civil.instant("2025-01-01T00:00:00Z")
SERIES, HOURS, BUCKET, ROUNDS = 3500, 8571, 500, 3
PLAIN = SeriesSpec(Parameters(max_rate_per_h=5_000_000), ZONE)
Compute = Callable[[pa.Table, dict[int, SeriesSpec]], pa.Table]


class Bucket(NamedTuple):
    """Readings of some series, and what is known of them."""

    readings: pa.Table
    specs: dict[int, SeriesSpec]


class Measured(NamedTuple):
    """Seconds of computing, MiB at most, rows, and the sum over them."""

    seconds: float
    peak: float
    rows: int
    checksum: int


def buckets(series: int, *, special: bool) -> Iterator[Bucket]:
    """All readings, the same ones whenever they are made."""
    for first in range(0, series, BUCKET):
        yield bucket(np.arange(first, min(first + BUCKET, series)), special=special)


def bucket(numbers: np.ndarray, *, special: bool) -> Bucket:
    """Meters that each report at a minute of their own and a few seconds off."""
    random = np.random.default_rng(int(numbers[0]))
    shape = (len(numbers), HOURS)
    t = START + np.arange(HOURS) * civil.HOUR + random.integers(0, civil.HOUR, (shape[0], 1)) + random.integers(0, 20 * civil.SECOND, shape)
    value = 10**9 + np.cumsum(random.integers(0, 50, shape) * 1000, axis=1)
    specs = dict.fromkeys(numbers.tolist(), PLAIN)
    for row, number in enumerate(numbers.tolist()) if special else ():
        if number % 100 == 0:
            specs[number] = happened(number // 100 % 3, t[row], value[row])
    columns = {"series": np.repeat(numbers, HOURS), "t": t.ravel(), "value": value.ravel(), "src": np.full(value.size, Source.LIVE)}
    columns |= {"seq": np.arange(value.size)}
    zero = np.zeros(value.size, np.int8)
    return Bucket(pa.table([pa.array(columns.get(field.name, zero)).cast(field.type) for field in READINGS], schema=READINGS), specs)


def happened(kind: int, t: np.ndarray, value: np.ndarray) -> SeriesSpec:
    """Let something happen to a meter in the middle of its readings: an exchange, a momentary fall, a jump."""
    middle = HOURS // 2
    if kind == 0:
        end, start = int(value[middle]), 7_000
        value[middle + 1 :] += start - end
        return SeriesSpec(PLAIN.parameters, ZONE, (Exchange(int(t[middle]) + 1, end, start),))
    if kind == 1:
        value[middle] = 0
    else:
        value[middle:] += 10**9
    return PLAIN


def calendar() -> pa.Table:
    """To which local day, month and year each hour belongs."""
    first, last = START - 2 * civil.DAY, START + (HOURS + 48) * civil.HOUR
    hours = civil.boundaries(ZONE, "hour", first, last)
    of = {level: civil.boundaries(ZONE, level, first, last) for level in ("day", "month", "year")}
    return pa.table({"hour": hours} | {level: bounds[np.searchsorted(bounds, hours, "right") - 1] for level, bounds in of.items()})


def submeter() -> Compute:
    return lambda readings, specs: rollup(readings, specs).rows


def sql() -> Compute:
    import duckdb

    connection = duckdb.connect(config={"threads": cpu_count() or 1})
    connection.execute("SET enable_progress_bar = false")
    connection.register("calendar", calendar())
    query = (Path(__file__).parent / "rollup.sql").read_text()

    def compute(readings: pa.Table, _: dict[int, SeriesSpec]) -> pa.Table:
        connection.register("readings", readings)
        return connection.sql(query).to_arrow_table()

    return compute


def pandas() -> Compute:
    import pandas as pd

    hours = calendar().to_pandas()

    def compute(readings: pa.Table, _: dict[int, SeriesSpec]) -> pa.Table:
        frame = readings.select(["series", "t", "value"]).to_pandas()
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
        passed = np.minimum(np.maximum(marks["u"] - marks["t"], 0), marks["span"])
        down, rest = marks["value"] + marks["rise"] * passed // marks["span"], marks["rise"] * passed % marks["span"]
        marks["booked"] = down + ((2 * rest > marks["span"]) | ((2 * rest == marks["span"]) & (down % 2 == 1)))
        following = marks.groupby("series")["booked"].shift(-1, fill_value=-1)
        rows = marks.assign(use=following - marks["booked"])[following >= 0].merge(hours, left_on="u", right_on="hour")
        levels = [rows.groupby(["series", level])["use"].sum().reset_index() for level in ("hour", "day", "month", "year")]
        tables = [
            pa.table({"series": one["series"], "level": np.full(len(one), i), "start": one.iloc[:, 1], "value": one["use"]})
            for i, one in enumerate(levels)
        ]
        return pa.concat_tables(tables)

    return compute


def checksum(rows: pa.Table) -> int:
    """A sum over series, level, start and value of all rows, whatever their order."""
    series, level, start, value = (rows[name].to_numpy().astype(np.uint64) for name in ("series", "level", "start", "value"))
    key = (series * np.uint64(4) + level) * np.uint64(0x9E3779B97F4A7C15) + start
    key = (key ^ key >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)
    return int(((key ^ key >> np.uint64(32)) * (value + np.uint64(1))).sum())


def measure(contender: Callable[[], Compute], series: int, special: bool) -> Measured:  # noqa: FBT001 - arguments of another process
    """Compute all buckets, one after the other."""
    compute = contender()
    seconds, rows, total = 0.0, 0, 0
    for one in buckets(series, special=special):
        begun = time.perf_counter()
        found = compute(*one)
        seconds += time.perf_counter() - begun
        rows, total = rows + found.num_rows, total + checksum(found)
    return Measured(seconds, memory(), rows, total)


def main(scale: str = "1") -> None:
    """Print the table."""
    series = max(round(SERIES * float(scale)), 20)
    few = max(series * 117 // 1000, 2)
    cases: dict[str, tuple[Any, int, bool]] = {
        "submeter": (submeter, series, False),
        "special": (submeter, series, True),
        "sql": (sql, series, False),
        "few": (submeter, few, False),
        "pandas": (pandas, few, False),
        "double": (submeter, 2 * series, False),
    }
    found: dict[str, list[Measured]] = {name: [] for name in cases}
    for turn in range(ROUNDS):
        for name, case in cases.items():
            if turn and name in ("pandas", "double"):
                continue
            with get_context("spawn").Pool(1) as process:
                result = Measured(*process.apply(measure, case))
            found[name].append(result)
            sys.stderr.write(f"{turn + 1}/{ROUNDS} {name}: {result.seconds:.1f} s, {result.peak:.0f} MiB\n")
        same("sql", "submeter", found)
        same("pandas", "few", found)
    out(f"{'case':10} {'series':>6} {'readings':>10} {'s':>7} {'readings/s':>11} {'peak MiB':>9}")
    for name, (_, count, _) in cases.items():
        seconds, peak = (median(getattr(one, what) for one in found[name]) for what in ("seconds", "peak"))
        out(f"{name:10} {count:6} {count * HOURS:10} {seconds:7.2f} {count * HOURS / seconds:11.0f} {peak:9.0f}")
    for text, above, below in (
        ("x DuckDB SQL of the simple semantics", "sql", "submeter"),
        ("x pandas", "pandas", "few"),
        ("x the time with 1 % special series", "special", "submeter"),
        ("x the time for twice the readings", "double", "submeter"),
    ):
        out(f"{median(one.seconds for one in found[above]) / median(one.seconds for one in found[below]):6.2f} {text}")
    out(f"{found['double'][0].peak / found['submeter'][0].peak:6.2f} x the peak for twice the readings")


def same(one: str, other: str, found: dict[str, list[Measured]]) -> None:
    """Both computed the same rows."""
    sums = [(found[name][0].rows, found[name][0].checksum) for name in (one, other)]
    if sums[0] != sums[1]:
        raise SystemExit(f"{one} and {other} differ (rows, sum): {sums}")


if __name__ == "__main__":
    main(*sys.argv[1:])
