"""`./run bench scale [THOUSANDS OF METERS]`: a year of hourly readings of 100,000 meters on one machine, in pieces (docs/scale.md).

kernel   every piece of 500 meters: readings in, rows of all levels out; one piece in ten is written as Parquet, measured and deleted
stores   a piece of 1,000 meters through all stores of an installation: stored, rolled up for the first time, published; then a day more of each
Making the readings is not timed. Progress is told; what is told at the end is per meter and year, and for all.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from bench.decode import memory, out
from bench.rollup import PIECE, SPEC, START, ZONE, readings
from bench.stores import House
from submeter import civil
from submeter.aggregate import rollup

HOUSE, YEAR = 1000, 8760
#: One piece of so many is written.
WRITTEN = 10


def main(thousands: str = "100") -> None:
    """Print what a year costs."""
    meters = int(float(thousands) * 1000)
    with TemporaryDirectory() as place:
        stores(Path(place) / "house")
        kernel(Path(place) / "rows.parquet", meters)


def kernel(file: Path, meters: int) -> None:
    """Roll up all meters, a piece at a time."""
    computing, writing, size, rows = 0.0, 0.0, 0, 0
    for number in range(meters // PIECE):
        table = readings(number, YEAR)
        start = time.perf_counter()
        found = rollup(table, dict.fromkeys(range(number * PIECE, (number + 1) * PIECE), SPEC)).rows
        done = time.perf_counter()
        computing, rows = computing + done - start, rows + found.num_rows
        if number % WRITTEN == 0:
            pq.write_table(found, file, compression="zstd")
            writing, size = writing + WRITTEN * (time.perf_counter() - done), size + WRITTEN * file.stat().st_size
        if number % 20 == 19 or (number + 1) * PIECE == meters:
            out(
                f"kernel: {(number + 1) * PIECE:,} of {meters:,} meters, {computing:.0f} s computing, {writing:.0f} s writing, {size / 1e9:.2f} GB of rows"
            )
    total = meters * YEAR
    out(
        f"kernel: {total / 1e6:,.0f} M readings to {rows / 1e6:,.0f} M rows in {computing:.0f} s: {total / computing / 1e6:.2f} M/s; {memory():,.0f} MiB at most"
    )


def through(folder: Path, meters: int, hours: int) -> tuple[float, float, float, dict[str, int]]:
    """Seconds of storing, of the first rollup and of that of a day more of all meters; bytes of each file in the end."""
    with House(folder, meters, ZONE) as house:
        start = time.perf_counter()
        house.fill(START, hours, [(range(meters), range(hours - 24, hours))])
        stored, first = time.perf_counter() - start, house.run()
        house.late()
        day = house.run()
    return stored, first, day, {file.name: file.stat().st_size for file in sorted(folder.iterdir())}


def stores(folder: Path) -> None:
    """A piece through all stores."""
    stored, first, day, bytes_of = through(folder, HOUSE, YEAR)
    sizes = {name: size / HOUSE / 1e6 for name, size in bytes_of.items() if size > HOUSE * 100}
    out(f"stores: {HOUSE:,} meters: stored in {stored:.1f} s (making them included), rolled up in {first:.1f} s, a day more of all in {day:.1f} s")
    out(
        f"stores: {HOUSE * YEAR / first / 1e3:.0f} k readings/s; MB a meter and year: {', '.join(f'{name} {size:.2f}' for name, size in sizes.items())}"
    )
    out(f"stores: {civil.iso(START)} to a year later, in {ZONE}")


if __name__ == "__main__":
    main(*sys.argv[1:])
