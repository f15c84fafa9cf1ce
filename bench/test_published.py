"""Point read: three series of a flat, twelve months each, out of 2,000 flats (the portal's measure, shared portal/STACK.md)."""

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
    with Published(tmp_path_factory.mktemp("bench") / "published.sqlite") as opened:
        series = [PublishedSeries(number, f"m_{number // 3}", Register("volume", "m3"), "total") for number in range(3 * FLATS)]
        opened.replace(series, [Block(one.id, MONTH, str(year), np.zeros(12, POINT)) for one in series for year in YEARS])
        yield opened


def test_point_read(benchmark, published):
    """Three series and twelve months of one flat from the published file."""
    flats = iter(np.random.default_rng(1).integers(0, FLATS, 1_000_000).tolist())

    def read():
        flat = next(flats)
        return [published.read(3 * flat + number, MONTH, "2024", "2024") for number in range(3)]

    assert [rows.size for rows in benchmark(read)] == [12, 12, 12]
