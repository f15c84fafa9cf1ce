"""Readings by the ten thousand, to fill files with."""

import numpy as np
import pyarrow as pa

from submeter.reading import Register
from submeter.store import READING

VOLUME = Register("volume", "m3")
ROWS = 40_000


def rows(number, count=ROWS):
    """Batch `number` of so many readings, which hardly compress."""
    first, values = number * count, np.random.default_rng(number).integers(2**50, size=count)
    rest = {"register": 1, "src": 2, "status": 0, "due": False, "pinned": False, "label": "now", "time_source": "received"}
    columns = {name: [value] * count for name, value in rest.items()} | {"value": values, "t": np.arange(first, first + count)}
    columns |= {"seq": columns["t"]}
    return pa.table({name: pa.array(columns[name], READING.field(name).type) for name in READING.names})
