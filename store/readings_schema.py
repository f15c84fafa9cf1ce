"""Tables of readings.duckdb and the Arrow schemas that go in and out.

Rules: a migration once released never changes, a new one is appended; no keys, no foreign keys, no secondary indexes (FAULTS 1.3);
instants are microseconds UTC, values micro units of the register's canonical unit, coverage 1/10,000; level, quality, state, flags and status are the
positions or bits of the tuples of the same name in `submeter.reading`.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa

__all__ = [
    "ACCEPTED",
    "ALONE",
    "BILL",
    "CAUSE",
    "CHANGED",
    "COMPUTED",
    "DAYS",
    "DIRTY",
    "FLOOR",
    "FORMAT",
    "MIGRATIONS",
    "READING",
    "RECEPTION",
    "ROLLUP",
    "TOUCHED",
    "UNPUBLISHED",
    "WITHIN",
    "tabled",
]

MIGRATIONS: Final = (
    """
    CREATE TABLE registers (id INTEGER, device VARCHAR, name VARCHAR, unit VARCHAR, tariff INTEGER, subunit INTEGER, idx INTEGER);
    CREATE TABLE readings (
      register INTEGER, t BIGINT, value BIGINT, src UTINYINT, status USMALLINT, due BOOLEAN, pinned BOOLEAN, seq BIGINT, label VARCHAR, time_source VARCHAR);
    CREATE TABLE newest (register INTEGER, t BIGINT);
    CREATE TABLE dirty (register INTEGER, t_from BIGINT, t_to BIGINT, mark BIGINT);
    CREATE TABLE series (id INTEGER, point VARCHAR, name VARCHAR, unit VARCHAR, tariff INTEGER, subunit INTEGER, idx INTEGER, kind VARCHAR);
    CREATE TABLE rollups (
      series INTEGER, level UTINYINT, start BIGINT, "end" BIGINT, value BIGINT, lo BIGINT, hi BIGINT, n INTEGER, coverage USMALLINT, quality UTINYINT,
      flags UINTEGER, index_start BIGINT, index_end BIGINT, state UTINYINT, rev INTEGER);
    CREATE TABLE history AS SELECT *, ''::VARCHAR AS reason, 0::BIGINT AS replaced_at FROM rollups LIMIT 0;
    CREATE TABLE unpublished (series INTEGER, level UTINYINT, start BIGINT, mark BIGINT);
    CREATE TABLE receptions (device VARCHAR, gateway VARCHAR, day DATE, n INTEGER, rssi_best INTEGER);
    CREATE TABLE progress (name VARCHAR, value BIGINT);
    INSERT INTO progress VALUES ('inbox', 0), ('mark', 0), ('directory', 0);
    """,
    """
    CREATE TABLE accepted (device VARCHAR, what VARCHAR, t BIGINT, value BIGINT);
    CREATE TABLE formats (manufacturer VARCHAR, version INTEGER, type INTEGER, signature INTEGER, headers BLOB);
    """,
    """
    CREATE TABLE days (
      series INTEGER, start BIGINT, "end" BIGINT, anchor_t BIGINT, anchor_v BIGINT, odd BOOLEAN, next_t BIGINT, value BIGINT, flags UINTEGER, lossy BOOLEAN,
      heard BIGINT, below_start BIGINT, above_start BIGINT, below_end BIGINT, above_end BIGINT, split_start BOOLEAN, split_end BOOLEAN, early BOOLEAN,
      late BOOLEAN, index_start BIGINT, index_end BIGINT, n INTEGER, lo BIGINT, hi BIGINT, area_high BIGINT, area_low BIGINT, part_start BIGINT,
      of_start BIGINT, part_end BIGINT, of_end BIGINT);
    CREATE TABLE computed (series INTEGER, spec VARCHAR, last BIGINT, since BIGINT);
    """,
    """
    ALTER TABLE history ADD COLUMN caused_by VARCHAR;
    ALTER TABLE history ADD COLUMN received_at BIGINT;
    CREATE TABLE bills (decision INTEGER, series INTEGER, level UTINYINT, start BIGINT, "end" BIGINT);
    CREATE TABLE corrections (
      series INTEGER, level UTINYINT, start BIGINT, "end" BIGINT, old BIGINT, new BIGINT, reason VARCHAR, author VARCHAR, made BIGINT, rev INTEGER);
    """,
    """
    CREATE TABLE floors (series INTEGER, what VARCHAR, start BIGINT);
    """,
    """
    INSERT INTO progress VALUES ('self', 0);
    """,
)

#: What `Readings.store` takes. `seq` is the order of the inbox (message, position, reading: ingest/rows.py), so it is the same after a rebuild (DECISIONS 2).
READING: Final = pa.schema(
    {
        "register": pa.int32(),
        "t": pa.int64(),
        "value": pa.int64(),
        "src": pa.uint8(),
        "status": pa.uint16(),
        "due": pa.bool_(),
        "pinned": pa.bool_(),
        "seq": pa.int64(),
        "label": pa.string(),
        "time_source": pa.string(),
    },
)

#: Receptions of one batch: how often a gateway heard a device on a UTC day, and the best level in dBm (null = not told).
RECEPTION: Final = pa.schema({"device": pa.string(), "gateway": pa.string(), "day": pa.date32(), "n": pa.int32(), "rssi_best": pa.int32()})

#: The newest accepted value of what can only rise, by device and name of a register, or `counter` for the authenticated one; against replays.
ACCEPTED: Final = pa.schema({"device": pa.string(), "what": pa.string(), "t": pa.int64(), "value": pa.int64()})

#: Headers of compact frames by kind of device and signature, as full frames taught them.
FORMAT: Final = pa.schema(
    {"manufacturer": pa.string(), "version": pa.int32(), "type": pa.int32(), "signature": pa.int32(), "headers": pa.binary()},
)

#: What `Readings.replace_rollups` takes; of gauges `value` is the mean, `lo` and `hi` are minimum and maximum. The store counts `rev`.
ROLLUP: Final = pa.schema(
    {
        "series": pa.int32(),
        "level": pa.uint8(),
        "start": pa.int64(),
        "end": pa.int64(),
        "value": pa.int64(),
        "lo": pa.int64(),
        "hi": pa.int64(),
        "n": pa.int32(),
        "coverage": pa.uint16(),
        "quality": pa.uint8(),
        "flags": pa.uint32(),
        "index_start": pa.int64(),
        "index_end": pa.int64(),
        "state": pa.uint8(),
    },
)

#: What a replacement touched: `rev` is null where the row is gone; `was` is the state that the old row had, null where there was none.
CHANGED: Final = pa.schema({"series": pa.int32(), "level": pa.uint8(), "start": pa.int64(), "rev": pa.int32(), "was": pa.uint8()})

#: Why the rows of a series change: a word of SPEC 13, what did it (`message 4711`, `decision 12`), when that was received or decided, and by whom.
CAUSE: Final = pa.schema({"series": pa.int32(), "reason": pa.string(), "caused_by": pa.string(), "received_at": pa.int64(), "author": pa.string()})

#: A period of a series that was billed by the rows of `level`, under the number of the decision.
BILL: Final = pa.schema({"decision": pa.int32(), "series": pa.int32(), "level": pa.uint8(), "start": pa.int64(), "end": pa.int64()})

#: Ranges of a register whose rows are to be computed anew, both ends included; `mark` rises with each transaction.
DIRTY: Final = pa.schema({"register": pa.int32(), "t_from": pa.int64(), "t_to": pa.int64(), "mark": pa.int64()})

#: Rows that changed since they were last published.
UNPUBLISHED: Final = pa.schema({"series": pa.int32(), "level": pa.uint8(), "start": pa.int64(), "mark": pa.int64()})

#: Around which days a device was heard by nobody but a gateway, by the number of the question; and when something touched the rows of a series.
ALONE: Final = pa.schema({"id": pa.int64(), "gateway": pa.string(), "first": pa.date32(), "last": pa.date32()})
TOUCHED: Final = pa.schema({"series": pa.int32(), "since": pa.int64(), "until": pa.int64()})

#: Local days of a series as a computation can go on from them and sum them up; what the columns mean: aggregate/days.py.
DAYS: Final = pa.schema(
    {
        "series": pa.int32(),
        "start": pa.int64(),
        "end": pa.int64(),
        "anchor_t": pa.int64(),
        "anchor_v": pa.int64(),
        "odd": pa.bool_(),
        "next_t": pa.int64(),
        "value": pa.int64(),
        "flags": pa.uint32(),
        "lossy": pa.bool_(),
        "heard": pa.int64(),
        "below_start": pa.int64(),
        "above_start": pa.int64(),
        "below_end": pa.int64(),
        "above_end": pa.int64(),
        "split_start": pa.bool_(),
        "split_end": pa.bool_(),
        "early": pa.bool_(),
        "late": pa.bool_(),
        "index_start": pa.int64(),
        "index_end": pa.int64(),
        "n": pa.int32(),
        "lo": pa.int64(),
        "hi": pa.int64(),
        "area_high": pa.int64(),
        "area_low": pa.int64(),
        "part_start": pa.int64(),
        "of_start": pa.int64(),
        "part_end": pa.int64(),
        "of_end": pa.int64(),
    },
)

#: What the rows of each series were computed from: what its parameters, exchanges and so on were (a text that differs if they do), the instant up to which
#: there is data, and the anchor before an undecided tail (null without one).
COMPUTED: Final = pa.schema({"series": pa.int32(), "spec": pa.string(), "last": pa.int64(), "since": pa.int64()})

#: From where on a series has its `readings`, its rows of the level `hour` or of the level `day`; what began earlier was deleted on purpose (SPEC 16).
FLOOR: Final = pa.schema({"series": pa.int32(), "what": pa.string(), "start": pa.int64()})

#: Rows that a replacement is about: those of a series and level that begin in [first, beyond).
WITHIN: Final = pa.schema({"series": pa.int32(), "level": pa.uint8(), "first": pa.int64(), "beyond": pa.int64()})


def tabled(rows: Iterable[Sequence[object]], schema: pa.Schema) -> pa.Table:
    """Rows, each with a value for every column, as a table."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)
