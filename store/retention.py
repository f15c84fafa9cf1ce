"""What is deleted from readings.duckdb on purpose, and how far back what is left can be computed with (SPEC 16).

Strategy: a floor for each series says from where on its readings, hours or days are kept; it moves in the transaction that deletes what lies before it.
Rules: a floor never moves back; months and years are never deleted, nor the local days that they are summed from; the anchor before the first kept day stays.
"""

from datetime import date
from typing import Any, Final

import duckdb
import pyarrow as pa

from submeter.reading import LEVELS
from submeter.store.duck import Duck, named
from submeter.store.readings_schema import FLOOR

__all__ = ["Retention", "next_mark"]

#: The day at each floor of the readings as `aggregate.windows.Day` has it, of those that a computation can go on from.
FLOOR_DAYS: Final = """
SELECT f.series, d.start, d.anchor_t, d.anchor_v, d.odd, d.next_t FROM floors f JOIN days d USING (series, start) WHERE f.what = 'readings' ORDER BY f.series
"""
#: For each series the last of some starts of months (`months`: series, start) from which a computation can go on: of a counter, where its index is known.
GOING_ON: Final = """
SELECT m.series, max(m.start) AS start, max_by(d.anchor_t, m.start) AS anchor_t
FROM months m JOIN days d USING (series, start) JOIN series s ON s.id = m.series
WHERE d.anchor_t IS NOT NULL AND (d.anchor_v IS NOT NULL OR s.kind = 'gauge') GROUP BY m.series ORDER BY m.series
"""
SET: Final = """
MERGE INTO floors o USING fresh f ON o.series = f.series AND o.what = f.what
WHEN MATCHED THEN UPDATE SET start = f.start
WHEN NOT MATCHED THEN INSERT VALUES (f.series, f.what, f.start)
"""
RISING: Final = "SELECT f.* FROM asked f LEFT JOIN floors o USING (series, what) WHERE o.start IS NULL OR f.start > o.start"
#: The floors that rise, by level.
_LEVELS: Final = ", ".join(f"('{name}', {level})" for level, name in enumerate(LEVELS))
_RISEN: Final = f"(SELECT f.series, n.level, f.start FROM fresh f JOIN (VALUES {_LEVELS}) n (what, level) USING (what)) l"  # noqa: S608 - our own words
_BEFORE: Final = "r.series = l.series AND r.level = l.level AND r.start < l.start"
GONE: Final = f"SELECT r.series, r.level, r.start FROM rollups r JOIN {_RISEN} ON {_BEFORE}"  # noqa: S608 - our own words
COUNTS: Final = """
SELECT register, CAST(date_trunc('month', make_timestamp(t)) AS DATE) AS month, count(*) AS n FROM readings WHERE t < ? GROUP BY ALL ORDER BY ALL
"""
WHOLE: Final = """
SELECT g.device, g.name, g.unit, g.tariff, g.subunit, g.idx, r.* EXCLUDE (register) FROM readings r SEMI JOIN chosen USING (register)
JOIN registers g ON g.id = r.register WHERE r.t >= $first AND r.t < $beyond ORDER BY g.device, g.name, g.tariff, g.subunit, g.idx, r.t, r.seq
"""
RESTORE: Final = """
INSERT INTO readings SELECT a.* FROM archived a ANTI JOIN messages m ON a.seq >> ? = m.id ANTI JOIN readings r ON
  r.register = a.register AND r.t = a.t AND r.seq = a.seq AND r.src = a.src AND r.due = a.due ORDER BY a.register, a.t, a.seq
"""


class Retention:
    """The floors of a readings file, as `readings.retention`."""

    def __init__(self, duck: Duck) -> None:
        self._duck = duck

    def floors(self) -> pa.Table:
        """Return all floors (schema FLOOR)."""
        return self._duck.read("SELECT * FROM floors ORDER BY series, what")

    def days(self) -> dict[int, dict[str, Any]]:
        """Return start, anchor_t, anchor_v, odd, next_t of the day at each floor of readings, by series."""
        return {row.pop("series"): row for row in self._duck.read(FLOOR_DAYS).to_pylist()}

    def going_on(self, months: pa.Table) -> dict[int, tuple[int, int]]:
        """Return for each series the last of these starts of months (series, start) that a computation can go on from, and its anchor's instant."""
        return {row["series"]: (row["start"], row["anchor_t"]) for row in self._duck.read(GOING_ON, months=months).to_pylist()}

    def unsettled(self) -> dict[int, int]:
        """Return the start of the first month of each series that is not final yet: nothing from there on may be deleted."""
        rows = self._duck.read(
            "SELECT series, min(start) AS start FROM rollups WHERE level = ? AND state < 2 GROUP BY series", [LEVELS.index("month")]
        )
        return dict(zip(rows["series"].to_pylist(), rows["start"].to_pylist(), strict=True))

    def delete_rows(self, floors: pa.Table) -> int:
        """Delete the hours or days before these floors (FLOOR), and their history, in one transaction; returns how many rows were there."""
        with self._duck.transaction(asked=floors.cast(FLOOR)) as connection:
            with named(connection, fresh=connection.sql(RISING).to_arrow_table()):
                connection.execute(SET)
                gone = connection.sql(GONE).to_arrow_table()
                for table in ("rollups", "history"):
                    connection.execute(f"DELETE FROM {table} r USING {_RISEN} WHERE {_BEFORE}")  # noqa: S608 - two of ours
            with named(connection, gone=gone):
                connection.execute("INSERT INTO unpublished SELECT series, level, start, ? FROM gone", [next_mark(connection)])
        return int(gone.num_rows)

    def delete_readings(self, floors: pa.Table, spans: pa.Table) -> int:
        """Raise these floors (FLOOR) and delete the readings inside `spans` (register, first, beyond) in one transaction; returns how many."""
        with self._duck.transaction(asked=floors.cast(FLOOR), spans=spans) as connection:
            with named(connection, fresh=connection.sql(RISING).to_arrow_table()):
                connection.execute(SET)
            row = connection.execute(
                "DELETE FROM readings r USING spans s WHERE r.register = s.register AND r.t >= s.first AND r.t < s.beyond"
            ).fetchone()
        return int(row[0]) if row else 0

    def counts(self, before: int) -> pa.Table:
        """Return register, month (its first day, UTC) and n of the readings before an instant."""
        return self._duck.read(COUNTS, [before])

    def whole(self, registers: pa.Table, first: int, beyond: int) -> pa.Table:
        """Return the readings in [first, beyond) of `registers` (register) with the register's own words, as the archive has them, in order."""
        return self._duck.read(WHOLE, {"first": first, "beyond": beyond}, chosen=registers)

    def forget(self, messages: pa.Table, bits: int, since: date) -> int:
        """Forget all that the inbox's `messages` (id) brought, which are decoded again: readings, watermark, receptions since a day, newest values.

        `bits` of a reading's `seq` lie below the message's id. Returns how many readings there were.
        """
        with self._duck.transaction(messages=messages) as connection:
            row = connection.execute("DELETE FROM readings r USING messages m WHERE r.seq >> ? = m.id", [bits]).fetchone()
            connection.execute("DELETE FROM receptions WHERE day >= ?", [since])
            connection.execute("DELETE FROM accepted")
            connection.execute("CREATE OR REPLACE TABLE newest AS SELECT register, max(t) AS t FROM readings GROUP BY register ORDER BY register")
            connection.execute("UPDATE progress SET value = 0 WHERE name = 'inbox'")
        return int(row[0]) if row else 0

    def restore(self, readings: pa.Table, messages: pa.Table, bits: int) -> int:
        """Put back archived readings (schema READING) that are not there, and that none of `messages` (id) brings again; returns how many."""
        with self._duck.transaction(archived=readings, messages=messages) as connection:
            row = connection.execute(RESTORE, [bits]).fetchone()
        return int(row[0]) if row else 0

    def compact(self) -> None:
        """Write the readings in order of time in pieces of thirty days, of register inside them, and give the room of what was deleted back."""
        with self._duck.transaction() as connection:
            connection.execute("CREATE OR REPLACE TABLE readings AS SELECT * FROM readings ORDER BY t // 2592000000000, register, t, seq")
        self._duck.checkpoint()


def next_mark(connection: duckdb.DuckDBPyConnection) -> int:
    """The number under which a transaction marks what is to be computed or published; it rises with each."""
    ((mark,),) = connection.execute("UPDATE progress SET value = value + 1 WHERE name = 'mark' RETURNING value").fetchall()
    return int(mark)
