"""`./run bench --report [FOLDER] [--quick]`: throughput, cost per meter and growth with size as one page with plots; FOLDER is docs/report by default.

The measures are those of the other modules here, made smaller: their heads say what each does, their own runs say more. Every contender is in a process of its own.
`--quick` makes everything tiny and in this process: it shows in seconds that all plots come out, and its figures say nothing.
Plots by `bench.svg`, which says why they are made by hand; a table under each has the same values. The first lines of the page say on which machine, and how busy it was.
"""

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench import collect, decode, rollup, scale, test_inbox, test_published
from bench.svg import Plot, shown
from submeter.store import Inbox

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "report"
DECODERS = {"submeter_lines": "submeter", "submeter_arrow": "submeter, batch", "pymbusparser": "pymbusparser", "pymeterbus": "pymeterbus"}
WAYS = {"wired": "plain", "fleet": "encrypted"}
CONTENDERS = {"submeter": rollup.kernel, "DuckDB SQL": rollup.duckdb_sql, "pandas": rollup.pandas_columns}
STORES = ("readings.duckdb", "published.sqlite")


#: Of each plot: title, unit, what its lines run along (bars have nothing), and what it shows, with the `Size` of the run.
TOLD = {
    "decode": ("Decoding", "telegrams a second of processor time", "", """Plain: wired, mode 0. Encrypted: by radio, a key each. Lines of JSON to lines of
JSON; batch: from an Arrow table to Arrow tables. More: `./run bench decode`."""),
    "inbox": ("Commit into the inbox", "messages a second", "", """Messages of 200 bytes, on disk before the gateway is answered, by their number in a
transaction. Beside plain paho: `./run bench collect`."""),
    "rollup": ("Rollup", "million readings a second", "", """Hourly readings of 500 meters to rows of hours, days, months and years. submeter makes them with
bounds, quality and flags, the others the use of plain counters alone; rows and sums are compared and equal. Who is missing was not installed. More: `./run bench rollup`."""),
    "cost": ("A telegram to its readings", "µs of processor time a telegram", "", """Encrypted telegrams of {size.meters:,} meters that were heard before, a hundred a
message. From a broker: `./run bench collect`."""),
    "disk": ("On disk", "bytes", "", """Hourly readings of {most} meters and {size.days} days. A telegram is one of a hundred in a message; a reading has its rows
and days with it in `readings.duckdb`, and in `published.sqlite` all rows that the API serves. More: `./run bench scale`."""),
    "growth-time": ("Rollup, time", "seconds", "million readings", "Readings to rows of all levels, 500 meters at a time. More: `./run bench rollup 7`."),
    "growth-memory": ("Rollup, memory", "MiB", "million readings", "The most that the same process ever used."),
    "growth-stores": ("Through all stores", "seconds", "meters", """Readings of {size.days} days rolled up for the first time, then a day more of all meters: read,
computed, stored, published. More: `./run bench scale`."""),
    "growth-read": ("A year of a flat read", "µs", "flats", """Twelve months of three meters of one flat from ten years of all flats, as for a table of the API. What a
request costs around it: `./run bench api`."""),
}  # fmt: skip
Values = tuple[str, dict[str, dict[Any, float]]]


@dataclass(frozen=True)
class Size:
    """How much is measured, and where a contender runs."""

    away: Callable[..., Any]
    rounds: int
    telegrams: int
    meters: int
    commits: int
    hours: int
    pieces: tuple[int, ...]
    houses: tuple[int, ...]
    days: int
    flats: tuple[int, ...]


def here(work: Callable[..., Any], *arguments: object) -> Any:
    """What a function answers, in this process."""
    return work(*arguments)


FULL = Size(decode.alone, 3, decode.COUNT, 10_000, 100, rollup.HOURS, (1, 2, 4, 8), (100, 200, 400), 365, (500, 1000, 2000, 4000))
QUICK = Size(here, 1, 140, 100, 5, 48, (1, 2), (2, 4), 3, (5, 10))


def throughput(folder: Path, size: Size) -> Iterator[Values]:
    """Telegrams, messages and readings a second, beside others."""
    sizes = decode.write(folder, size.telegrams)
    found = decode.contest(folder, {name: sizes[name] for name in WAYS}, size.rounds, size.away)
    yield "decode", {way: {DECODERS[who]: figures[0] for (of, who), figures in found.items() if of == name} for name, way in WAYS.items()}
    yield "inbox", {"": commits(folder / "inbox.sqlite", size.commits)}
    file = folder / "piece.parquet"
    rollup.write(file, 0, size.hours)
    runs = {name: rollup.run(contender, [file], size.away) for name, contender in CONTENDERS.items() if name != "pandas" or find_spec(name)}
    for name, one in runs.items():
        rollup.compare(name, runs["submeter"], one)
    yield "rollup", {"": {name: readings / took / 1e6 for name, (took, _, readings, _) in runs.items()}}


def commits(file: Path, rounds: int) -> dict[str, float]:
    """Messages a second by messages of a transaction."""
    rates = {}
    with Inbox(file) as inbox:
        for rows in (1, 50, 500):
            messages = test_inbox.messages(rows)
            rates[f"{rows} a transaction"] = rows / median(seconds(lambda: inbox.append(messages)) for _ in range(rounds))  # noqa: B023
    return rates


def cost(folder: Path, size: Size) -> Iterator[Values]:
    """What a telegram costs in the chain, and a reading on disk."""
    stages, kept = size.away(by_stage, folder, size.meters)
    yield "cost", {"": stages | {"all": sum(stages.values())}}
    hours, meters = 24 * size.days, size.houses[-1]
    *_, sizes = size.away(scale.through, folder / "house", meters, hours)
    yield "disk", {"": {"telegram, inbox.sqlite": kept} | {f"reading, {name}": sizes[name] / hours / meters for name in STORES}}


def by_stage(folder: Path, meters: int) -> tuple[dict[str, float], float]:
    """Microseconds of processor time of a telegram by stage, and bytes of it in the inbox."""
    profiles, first, messages = collect.prepared(meters)
    arrival, telegrams = Arrival(folder / "chain" / "inbox.sqlite", messages), (collect.EACH - 1) * meters
    arrival.file.parent.mkdir()
    *_, stages = collect.core(arrival.file.parent, profiles, first, telegrams, arrival)
    spent = {"commit": arrival.seconds} | {name: stages[name] for name in ("split", "decode", "dedup and guard", "store")}
    return {name: 1e6 * one / telegrams for name, one in spent.items()}, arrival.file.stat().st_size / (collect.EACH * meters)


class Arrival:
    """Stands for the event that tells a collector to begin: what it would bring is appended, fifty messages a transaction."""

    def __init__(self, file: Path, messages: collect.Pairs) -> None:
        self.file, self.seconds, self._messages = file, 0.0, collect.received(messages)

    def set(self) -> None:
        """Begin."""
        with Inbox(self.file) as inbox:
            start = time.process_time()
            for at in range(0, len(self._messages), 50):
                inbox.append(self._messages[at : at + 50])
            self.seconds = time.process_time() - start


def growth(folder: Path, size: Size) -> Iterator[Values]:
    """Time and memory against size."""
    files = [folder / f"{number:03d}.parquet" for number in range(size.pieces[-1])]
    for number, file in enumerate(files):
        rollup.write(file, number, size.hours)
    runs = [rollup.run(rollup.kernel, files[:pieces], size.away) for pieces in size.pieces]
    yield "growth-time", {"submeter": {readings / 1e6: took for took, _, readings, _ in runs}}
    yield "growth-memory", {"submeter": {readings / 1e6: peak for _, peak, readings, _ in runs}}
    taken = {meters: size.away(scale.through, folder / f"house{meters}", meters, 24 * size.days) for meters in size.houses}
    yield "growth-stores", {name: {meters: one[at] for meters, one in taken.items()} for name, at in (("first time", 1), ("a day more", 2))}
    yield "growth-read", {"submeter": {flats: point_read(folder / f"published{flats}.sqlite", flats, 20 * size.commits) for flats in size.flats}}


def point_read(file: Path, flats: int, rounds: int) -> float:
    """Microseconds of a read, the middle."""
    with test_published.filled(file, flats) as published:
        read = test_published.reader(published, flats)
        return 1e6 * median(seconds(read) for _ in range(rounds))


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


PARTS = {"Throughput": throughput, "Cost per meter": cost, "Growth with size": growth}


def main(*words: str) -> None:
    """Write the page and its plots."""
    size = QUICK if "--quick" in words else FULL
    folder = next((Path(word) for word in words if not word.startswith("-")), FOLDER)
    page = ["# Bench report", f"Made by `./run bench --report{' --quick' if size is QUICK else ''}`. {machine()}"]
    if size is QUICK:
        page.append("**Everything is tiny here: the figures say nothing.**")
    folder.mkdir(parents=True, exist_ok=True)
    for title, part in PARTS.items():
        page.append(f"## {title}")
        with TemporaryDirectory() as place:
            for name, values in part(Path(place), size):
                heading, unit, along, about = TOLD[name]
                plot = Plot(name, heading, unit, " ".join(about.format(size=size, most=size.houses[-1]).split()), values, along)
                decode.out(f"{title}: {heading}")
                (folder / f"{plot.name}.svg").write_text(plot.svg())
                page += [f"### {plot.title}", plot.about, f"![{plot.title}: {plot.unit}]({plot.name}.svg)", table(plot)]
    page.append(
        "Times of the clock (commits, growth) suffer from whatever else runs; processor time less. Ratios hold elsewhere, absolute numbers do not."
    )
    (folder / "README.md").write_text("\n\n".join(page) + "\n")


def table(plot: Plot) -> str:
    """The values of a plot: a row for each, or for each point of its lines."""
    if plot.along:
        points = sorted({x for values in plot.series.values() for x in values})
        rows = [[plot.along, *plot.series], *([shown(x), *(shown(values[x]) for values in plot.series.values())] for x in points)]
    else:
        rows = [[plot.title, plot.unit]]
        rows += [[f"{name} {label}".strip(), shown(value)] for name, values in plot.series.items() for label, value in values.items()]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def machine() -> str:
    """On what it ran, and how busy that was before."""
    told = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in told.read_text().splitlines() if line.startswith("model name")] if told.exists() else []
    load, disk = os.getloadavg()[0], shutil.disk_usage(Path.cwd()).total / 1e9
    busy = "" if load < 0.5 else " **The machine was busy with other work: these figures wait for a quiet one.**"
    libraries = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars", "pyarrow", "pymbusparser", "pymeterbus"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {models[0] if models else platform.machine()}, {os.cpu_count()} processors, disk of {disk:,.0f} GB, Python {platform.python_version()}, "
        f"{libraries}; load before the start {load:.1f}.{busy}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
