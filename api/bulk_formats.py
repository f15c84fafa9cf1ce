"""Rows of many series as NDJSON, CSV, Parquet or ESPI, a part at a time: functions of one signature, from stretches of rows to bytes.

Numbers are decimals in the unit `uom`, exact to six places: in Parquet DECIMAL(19, 6), else written out. Instants are local time with offset, in Parquet
microseconds UTC. Of counters `lo` and `hi` are known, of gauges `min`, `max` and `n`. No more than a few stretches are held at a time.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from submeter import civil
from submeter.api.bulk_stretch import Stretch
from submeter.api.espi import ESPI, espi
from submeter.api.files import Cell, comma_separated
from submeter.api.numbers import number
from submeter.api.parts import NAMES
from submeter.reading import QUALITIES, STATES
from submeter.store.published import NULL

__all__ = ["COLUMNS", "CSV", "ESPI", "NDJSON", "PARQUET", "WRITERS", "Writer", "rows_of"]

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
PARQUET: Final = "application/vnd.apache.parquet"

AMOUNT: Final = pa.decimal128(19, 6)
WORD: Final = pa.dictionary(pa.int32(), pa.string())
INSTANT: Final = pa.timestamp("us", "UTC")
#: Columns in order. Those of the series come first: they are the same in all of its rows.
OF_SERIES: Final = ("unit", "meter", "class", "quantity", "register", "statistic", "uom")
SCHEMA: Final = pa.schema(
    [(name, WORD) for name in OF_SERIES]
    + [("start", INSTANT), ("end", INSTANT)]
    + [(name, AMOUNT) for name in ("value", "lo", "hi", "min", "max")]
    + [("n", pa.int64()), ("quality", WORD), ("coverage", pa.decimal128(5, 4)), ("flags", WORD), ("state", WORD), ("rev", pa.int32())]
)
COLUMNS: Final[list[str]] = SCHEMA.names
#: Rows that are written at a time: as a group in Parquet, as text.
GROUP: Final = 50_000
SOME: Final = 2_000


class Writer(Protocol):
    """Writes all stretches, a part of the file at a time."""

    def __call__(self, stretches: Iterable[Stretch]) -> Iterator[bytes]:
        """The file in parts."""


def ndjson(stretches: Iterable[Stretch]) -> Iterator[bytes]:
    """One object in a line for each row; `flags` is a list."""
    flags = COLUMNS.index("flags")
    for rows in _gathered(stretches):
        for row in rows:
            row[flags] = str(row[flags]).split()
        yield "".join(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()


def separated(stretches: Iterable[Stretch]) -> Iterator[bytes]:
    """CSV as of one unit: BOM, comma, cells defused; `flags` with spaces between."""
    yield comma_separated([COLUMNS]).encode("utf-8-sig")
    for rows in _gathered(stretches):
        yield comma_separated(rows).encode()


def parquet(stretches: Iterable[Stretch]) -> Iterator[bytes]:
    """Parquet, whose parts leave as soon as a group of rows is full."""
    sink = _Sink()
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        for table in _grouped(stretches):
            writer.write_table(table)
            yield sink.taken()
    yield sink.taken()


WRITERS: Final[Mapping[str, Writer]] = {NDJSON: ndjson, CSV: separated, PARQUET: parquet, ESPI: espi}


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._written += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        """All that was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _gathered(stretches: Iterable[Stretch]) -> Iterator[list[list[Any]]]:
    """Rows of the stretches, some thousands at a time."""
    rows = (row for one in stretches for row in rows_of(one))
    while some := list(islice(rows, SOME)):
        yield some


def _grouped(stretches: Iterable[Stretch]) -> Iterator[pa.Table]:
    """The stretches as tables of about GROUP rows."""
    held: list[pa.Table] = []
    for one in stretches:
        held.append(_table(one))
        if sum(map(len, held)) >= GROUP:
            yield pa.concat_tables(held).unify_dictionaries()
            held = []
    if held:
        yield pa.concat_tables(held).unify_dictionaries()


def rows_of(one: Stretch) -> Iterator[list[Cell]]:
    """Rows as cells, in the order of COLUMNS."""
    words, zone = one.words, one.seen.property.zone
    for start, end, value, lo, hi, _, _, n, flags, coverage, rev, quality, state in one.points.tolist():
        bounds = [number(lo), number(hi)]
        known = [None, None, *bounds, n] if one.is_gauge else [*bounds, None, None, None]
        said = " ".join(name for bit, name in enumerate(NAMES) if flags >> bit & 1)
        at = civil.local_iso(zone, start), civil.local_iso(zone, end)
        yield [*words, *at, number(value), *known, QUALITIES[quality], coverage / 10_000, said, STATES[state], rev]


def _table(one: Stretch) -> pa.Table:
    """Rows as columns."""
    points, count = one.points, len(one.points)
    lo, hi, none = _amounts(points["lo"]), _amounts(points["hi"]), pa.nulls(count, AMOUNT)
    columns = [pa.repeat(word, count).dictionary_encode() for word in one.words]
    columns += [pa.array(points[name].astype(np.int64), pa.int64()).cast(INSTANT) for name in ("start", "end")]
    columns += [_amounts(points["value"]), *((none, none, lo, hi) if one.is_gauge else (lo, hi, none, none))]
    columns += [pa.array(points["n"].astype(np.int64)) if one.is_gauge else pa.nulls(count, pa.int64())]
    columns += [_words(points["quality"], QUALITIES), _scaled(points["coverage"], pa.decimal128(5, 4)), _flags(points["flags"])]
    columns += [_words(points["state"], STATES), pa.array(points["rev"].astype(np.int32))]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _amounts(micro: Any) -> pa.Array:
    return _scaled(micro, AMOUNT, micro == NULL)


def _scaled(whole: Any, kind: pa.DataType, unknown: Any = None) -> pa.Array:
    """Whole numbers of the last place of a decimal as that decimal, exactly."""
    numbers = pa.array(np.where(unknown, 0, whole) if unknown is not None else whole, pa.int64(), mask=unknown)
    digits = numbers.cast(pa.decimal128(19, 0)).cast(pa.decimal128(kind.precision, 0))
    return pa.Array.from_buffers(kind, len(digits), digits.buffers(), digits.null_count)


def _words(numbers: Any, names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(numbers.astype(np.int32)), pa.array(names))


def _flags(bits: Any) -> pa.Array:
    said = [" ".join(name for bit, name in enumerate(NAMES) if some >> bit & 1) for some in bits.tolist()]
    return pa.array(said, pa.string()).dictionary_encode()
