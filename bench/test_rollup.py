"""Rollups: readings a second through the kernel, in columns and one by one.

`extra_info` holds the number of readings; divide it by the mean time. One process; a building company's year is 1000 series of 8760 readings.
"""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from submeter import civil
from submeter.aggregate import READINGS, Exchange, Parameters, SeriesSpec, rollup
from submeter.reading import Source

YEAR = 8760
START = civil.instant("2024-01-01T00:00:00Z")


def readings(series: int, count: int) -> pa.Table:
    """Hourly readings of meters that each report at a minute of their own and a few seconds off."""
    random = np.random.default_rng(1)
    hours = np.arange(count) * civil.HOUR + START
    t = hours + random.integers(0, civil.HOUR, (series, 1)) + random.integers(0, 20 * civil.SECOND, (series, count))
    columns = {
        "series": np.repeat(np.arange(series), count),
        "t": t.ravel(),
        "value": np.cumsum(random.integers(0, 50, (series, count)) * 1000, axis=1).ravel(),
        "src": np.full(series * count, Source.LIVE),
        "seq": np.arange(series * count),
    }
    zero = np.zeros(series * count, np.int8)
    return pa.table([pa.array(columns.get(field.name, zero)).cast(field.type) for field in READINGS], schema=READINGS)


CASES = {
    "counters": (1000, YEAR, {"max_rate_per_h": 5_000_000}, ()),
    "gauges": (1000, YEAR, {"kind": "gauge"}, ()),
    "a day of counters": (20_000, 24, {"max_rate_per_h": 5_000_000}, ()),
    "classified counters": (50, YEAR, {"max_rate_per_h": 5_000_000}, (Exchange(START + civil.DAY, 1, 1),)),
    "rated counters": (5, YEAR, {"factors": ((START, Fraction(5, 4)),)}, ()),
}


@pytest.mark.parametrize("name", CASES)
def test_rollup(benchmark, name):
    """Readings in, rows of four levels out."""
    series, count, parameters, exchanges = CASES[name]
    table = readings(series, count)
    specs = dict.fromkeys(range(series), SeriesSpec(Parameters(**parameters), "Europe/Prague", exchanges))
    benchmark.extra_info["readings"] = table.num_rows
    found = benchmark.pedantic(rollup, (table, specs), rounds=3, warmup_rounds=1)
    assert found.rows.num_rows > table.num_rows
