"""`./run bench spark [MILLIONS OF READINGS] [ROUNDS]`: buckets on a Spark cluster beside the same buckets in local processes; seconds of wall and processor time.

local    two processes of this machine, started and warm, a bucket at a time each
spark    a standalone master and two workers of one core each on loopback, the session open and warm: from the call to the last answer
cold     the same with its driver from nothing, as `submeter rollup --engine spark` starts it
Both compute the same buckets of meters with a year of hourly readings, one in ten exchanged, with a set day, with a glitch each (tests/aggregate/fleet.py), in turn;
medians of the rounds and of their ratios are told. Processor time is that of all processes that belong to it, Java's included: it tells the same on a busy machine.
Outputs of a round are compared, then deleted: they are equal. Before that: what the export took.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.decode import out
from submeter.aggregate import Engine, Finality, Rollups
from submeter.aggregate.buckets import Bucket, compute
from submeter.aggregate.spark import Spark, compute_all, missing, session
from submeter.store import Published, Readings, Registry

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "aggregate")]
PROCESSES = 2


class Cost(NamedTuple):
    """Seconds of wall time and of processor time."""

    wall: float
    processor: float


class _PlannedError(Exception):
    """Ends a run when its buckets are known."""


def main(millions: str = "10", rounds: str = "5") -> None:
    """Print the table."""
    if lacking := missing():
        sys.exit(f"bench spark: {lacking}")
    from spark_cluster import Cluster

    with TemporaryDirectory() as place, Cluster(Path(place) / "cluster") as cluster:
        buckets = planned(Path(place) / "data", int(float(millions) * 1e6))
        os.environ.update(cluster.environment)
        with get_context("spawn").Pool(PROCESSES) as pool, session(cluster.url) as context:
            contenders = {"local": lambda: pool.map(compute, buckets, chunksize=1), "spark": lambda: compute_all(context, buckets)}
            compared(contenders, buckets, int(rounds))
        cold = Spark(cluster.url, buckets[0].output.parent.parent)
        shown("cold", timed(lambda: cold(buckets, lambda _done: None), buckets)[0])


def planned(folder: Path, readings: int) -> Sequence[Bucket]:
    """The buckets of a data folder with so many readings, exported."""
    from fleet import fill

    count = fill(folder, readings)
    found: list[Bucket] = []

    def plan(buckets: Sequence[Bucket], _told: object) -> list[object]:
        found.extend(buckets)
        raise _PlannedError

    with (
        Readings(folder / "readings.duckdb") as store,
        Registry(folder / "registry.sqlite") as registry,
        Published(folder / "published.sqlite") as to,
    ):
        start, before = time.perf_counter(), processor()
        try:
            Rollups(store, registry, to, Finality()).run(now=time.time_ns() // 1000, engine=Engine(store, folder / "spark", plan, lambda *_: None))
        except _PlannedError:
            shown("export", Cost(time.perf_counter() - start, processor() - before), f"{count:,} readings into {len(found)} buckets")
    return found


def compared(contenders: dict[str, Callable[[], Sequence[object]]], buckets: Sequence[Bucket], rounds: int) -> None:
    """Run the contenders in turn; the first round is not counted."""
    times: dict[str, list[Cost]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        digests = set()
        for name, work in contenders.items():
            cost, digest = timed(work, buckets)
            digests.add(digest)
            times[name].append(cost)
            shown(name, cost, "warming" if number == 0 else f"round {number}")
        if len(digests) != 1:
            raise AssertionError("outputs differ")
    for i, what in enumerate(Cost._fields):
        local, spark = ([cost[i] for cost in times[name][1:]] for name in ("local", "spark"))
        ratios = [two / one for one, two in zip(local, spark, strict=True)]
        out(
            f"{what}: medians of {rounds} rounds: local {median(local):.2f} s, spark {median(spark):.2f} s; "
            f"spark takes {median(ratios):.2f} x as much ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def timed(work: Callable[[], Sequence[object]], buckets: Sequence[Bucket]) -> tuple[Cost, str]:
    """What a computation takes, and a digest of its outputs, which are deleted."""
    start, before = time.perf_counter(), processor()
    work()
    cost = Cost(time.perf_counter() - start, processor() - before)
    digest = blake2b()
    for one in buckets:
        for file in sorted(one.output.glob("*.parquet")):
            digest.update(file.name.encode() + file.read_bytes())
        shutil.rmtree(one.output)
    return cost, digest.hexdigest()


def processor() -> float:
    """Seconds of processor time that this process and all that descend from it have used, of those that still run."""
    parent, used = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            number = int(stat.parent.name)
            parent[number], used[number] = int(fields[1]), sum(int(one) for one in fields[11:15])
    total, waiting = 0, [os.getpid()]
    while waiting:
        one = waiting.pop()
        total += used.get(one, 0)
        waiting += [child for child, of in parent.items() if of == one]
    return total / os.sysconf("SC_CLK_TCK")


def shown(name: str, cost: Cost, what: str = "") -> None:
    out(f"{name:8} {cost.wall:8.2f} s wall {cost.processor:8.2f} s of processor  {what}")


if __name__ == "__main__":
    main(*sys.argv[1:])
