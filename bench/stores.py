"""A house of many meters on real stores, for benchmarks of what a run of the rollup costs with all that it reads and writes."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from submeter import civil
from submeter.aggregate import Finality, Rollups
from submeter.reading import Register, Source
from submeter.store import READING, RECEPTION, Published, Readings, Registry

WATER = Register("volume", "m3")
TOGETHER = 100


def opened(folder: Path) -> tuple[Readings, Registry, Published, Rollups]:
    """The stores of a folder and their rollups."""
    readings, registry = Readings(folder / "readings.duckdb"), Registry(folder / "registry.sqlite")
    published = Published(folder / "published.sqlite")
    return readings, registry, published, Rollups(readings, registry, published, Finality())


class House:
    """Stores of a folder with points of one water meter each."""

    def __init__(self, folder: Path, series: int, zone: str) -> None:
        folder.mkdir()
        self.readings, self.registry, self.published, self.rollups = opened(folder)
        names = [f"AAA-{number:08d}-01-07" for number in range(series)]
        with self.registry.writing() as db:
            db.execute("INSERT INTO managers VALUES ('c', 'C')")
            db.execute("INSERT INTO properties (id, manager, name, zone, year_start, finest) VALUES ('b', 'c', 'House', ?, '01-01', 'hour')", (zone,))
            db.executemany("INSERT INTO points VALUES (?, 'b', NULL, 'cold_water', '', 'volume', '{}')", [(name,) for name in names])
            db.executemany("INSERT INTO devices (id, whole) VALUES (?, 1)", [(name,) for name in names])
            db.executemany("INSERT INTO assignments (point, device, since) VALUES (?, ?, 0)", [(name, name) for name in names])
            self.registry.record("bench", "directory.import", "")
        numbers = self.readings.register_ids([(name, WATER) for name in names])
        self.registers = np.array([numbers[name, WATER] for name in names])
        self.seq, self.now = 0, 0
        self.missing: list[list[tuple[Any, ...]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for store in (self.readings, self.registry, self.published):
            store.close()

    def fill(self, start: int, hours: int, outages: Sequence[tuple[Sequence[int], Sequence[int]]] = ()) -> None:
        """Hourly readings of all meters; those of some of them in some hours, `outages`, do not come yet."""
        random, self.now = np.random.default_rng(3), start + hours * civil.HOUR + civil.DAY
        self.missing = [[] for _ in outages]
        for first in range(0, len(self.registers), TOGETHER):
            registers = self.registers[first : first + TOGETHER]
            t = start + np.arange(hours) * civil.HOUR + random.integers(0, civil.HOUR // 2, (len(registers), hours))
            value = np.cumsum(random.integers(0, 50, (len(registers), hours)) * 1000, axis=1)
            columns = np.repeat(registers, hours).reshape(t.shape), t, value
            kept = np.ones(t.shape, np.bool_)
            for missing, (meters, silent) in zip(self.missing, outages, strict=True):
                out = np.zeros(t.shape, np.bool_)
                out[np.ix_([number - first for number in meters if first <= number < first + TOGETHER], list(silent))] = True
                missing.append(tuple(column[out] for column in columns))
                kept &= ~out
            self._store(*(column[kept] for column in columns))

    def late(self, outage: int = 0) -> int:
        """The readings that were missing in an outage come now; returns how many."""
        columns = [np.concatenate(column) for column in zip(*self.missing[outage], strict=True)]
        self._store(*columns)
        return len(columns[0])

    def run(self, **options: Any) -> float:
        """Seconds that a run takes."""
        start = time.perf_counter()
        self.rollups.run(now=self.now, **options)
        return time.perf_counter() - start

    def _store(self, register: np.ndarray, t: np.ndarray, value: np.ndarray) -> None:
        count = len(t)
        self.seq += count
        columns = {"register": register, "t": t, "value": value, "src": np.full(count, Source.LIVE), "seq": np.arange(self.seq - count, self.seq)}
        words = {"label": pa.array(["now"] * count), "time_source": pa.array(["received"] * count)}
        zero = np.zeros(count, np.int8)
        table = pa.table([words.get(field.name, pa.array(columns.get(field.name, zero))).cast(field.type) for field in READING], schema=READING)
        self.readings.store(table, RECEPTION.empty_table(), self.seq)
