"""Point read: three series of a flat, twelve months each, out of 2,000 flats (the measure of a portal)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from submeter.reading import Register
from submeter.store import POINT, Block, Published, PublishedSeries

FLATS = 2000
YEARS = range(2015, 2025)
MONTH = 2


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Twelve monthly rows a year, ten years, three series a flat."""
    with filled(tmp_path_factory.mktemp("bench") / "published.sqlite", FLATS) as opened:
        yield opened


def filled(file: Path, flats: int) -> Published:
    """Published months of so many flats."""
    opened = Published(file)
    series = [PublishedSeries(number, f"m_{number // 3}", Register("volume", "m3"), "total", "Europe/Prague") for number in range(3 * flats)]
    opened.replace(series, [Block(one.id, MONTH, str(year), np.zeros(12, POINT)) for one in series for year in YEARS])
    return opened


def reader(published: Published, flats: int) -> Callable[[], list[np.ndarray]]:
    """Reads a flat's year, of another flat each time."""
    chosen = iter(np.random.default_rng(1).integers(0, flats, 1_000_000).tolist())

    def read() -> list[np.ndarray]:
        flat = next(chosen)
        return [published.read(3 * flat + number, MONTH, "2024", "2024") for number in range(3)]

    return read


def test_point_read(benchmark, published):
    """Three series and twelve months of one flat from the published file."""
    assert [rows.size for rows in benchmark(reader(published, FLATS))] == [12, 12, 12]
