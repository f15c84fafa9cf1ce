"""readings.duckdb: what meters said, which ranges are to be computed anew, and the rows that came out.

Strategy: one transaction per batch of readings and one per replacement of rows, Arrow tables in and out; the SQL stands in readings_sql.py.
Rules: one writer; the watermark of the inbox moves in the transaction that stores its readings, so each message counts exactly once;
dirty marks are written with the readings, notes of what is to be published with the rows; nothing is edited in place, an old row goes to history (SPEC 13).
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from submeter.reading import INT64_MAX, LEVELS, READING_BITS, Register, Source
from submeter.store import readings_sql as sql
from submeter.store.bucketed import Bucketed
from submeter.store.duck import Duck, named
from submeter.store.readings_schema import (
    ACCEPTED,
    ALONE,
    BILL,
    CAUSE,
    CHANGED,
    COMPUTED,
    DAYS,
    FORMAT,
    MIGRATIONS,
    READING,
    RECEPTION,
    ROLLUP,
    TOUCHED,
    WITHIN,
    tabled,
)
from submeter.store.retention import Retention, next_mark

__all__ = ["Accepted", "Kind", "Readings", "SeriesKey"]

Kind = Literal["total", "period", "gauge"]
TABLES: Final = ("registers", "readings", "series", "dirty", "rollups", "history", "unpublished", "receptions", "bills", "corrections")
INSERT_READINGS: Final = "INSERT INTO readings SELECT * FROM fresh"
SELECT_READINGS: Final = """
SELECT register, t, value, src, status, due, pinned, seq FROM readings SEMI JOIN chosen USING (register) ORDER BY register, t, seq
"""
SELECT_BROUGHT: Final = """
SELECT seq FROM readings WHERE register = ? AND value = ? AND src = ? AND t < ? ORDER BY seq DESC LIMIT 4096
"""
SELECT_HEARD: Final = "SELECT register, max(t) AS t FROM readings SEMI JOIN chosen USING (register) WHERE src = ? AND t >= ? GROUP BY register"
SELECT_INTERVALS: Final = """
WITH gaps AS (
  SELECT register, t - lag(t) OVER (PARTITION BY register ORDER BY t) AS gap FROM readings SEMI JOIN chosen USING (register) WHERE src = ? AND t >= ?)
SELECT register, quantile_disc(gap, 0.5) AS gap FROM gaps WHERE gap > 0 GROUP BY register HAVING count(*) >= ?
"""
NOTHING_RISEN: Final = ACCEPTED.empty_table()
NOTHING_TAUGHT: Final = FORMAT.empty_table()
NO_DAYS: Final = DAYS.empty_table()
NOTHING_COMPUTED: Final = COMPUTED.empty_table()
#: How far before the earliest late reading a computation looks for a day to go on from, µs.
LOOKBACK: Final = 100 * 86_400_000_000
NO_CAUSE: Final = CAUSE.empty_table()
#: Hours and days, months and years: their rows are replaced apart, since the latter begin long before what they are replaced for.
FINE, COARSE = (pa.array([level for level in range(len(LEVELS)) if (level <= LEVELS.index("day")) == fine], pa.uint8()) for fine in (True, False))
SELECT_ROLLUPS: Final = """
SELECT * FROM rollups SEMI JOIN chosen USING (series) WHERE level = ? AND start >= ? AND start < ? ORDER BY series, start
"""
SELECT_STANDING: Final = """
SELECT series, level, start FROM rollups SEMI JOIN asked USING (series, level, start) WHERE start BETWEEN ? AND ? ORDER BY series, level, start
"""
SELECT_REVISIONS: Final = """
SELECT * FROM history SEMI JOIN chosen USING (series) WHERE level = ? AND start >= ? AND start < ? ORDER BY series, start, rev
"""
SELECT_BILLED: Final = """
SELECT DISTINCT o.series, o.level, o.start, o."end" FROM rollups o
  JOIN (FROM bills SEMI JOIN taken USING (decision)) b ON o.series = b.series AND o.start >= b.start AND o."end" <= b."end"
ORDER BY ALL
"""
NOTE_BILLED: Final = """
INSERT INTO unpublished SELECT DISTINCT o.series, o.level, o.start, ? FROM (FROM rollups SELECT series, level, start, "end" UNION ALL
  FROM history SELECT series, level, start, "end") o JOIN billed b ON o.series = b.series AND o.start >= b.start AND o."end" <= b."end"
"""


class Accepted(NamedTuple):
    """A value that can only rise, and when it was heard (µs UTC)."""

    at: int
    value: int


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """What a point measures: one register, stitched together over the devices that were assigned to the point."""

    point: str
    register: Register
    kind: Kind

    @property
    def subject(self) -> str:
        """How events call it."""
        return f"point:{self.point}/{self.register}"


class Readings:
    """Open or create the file; StoreError if another process has it open, it is newer than this release, or DuckDB is older than 2.0."""

    def __init__(self, path: Path) -> None:
        self._duck = Duck(path, MIGRATIONS)
        self.retention, self.bucketed = Retention(self._duck), Bucketed(self._duck)
        self._lock = threading.Lock()
        self._look_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._duck.close()

    def reopen(self) -> None:
        """Close and open the file again after a StoreBrokenError; everything committed is there."""
        self._duck.reopen()
        self._look_up()

    def copy_to(self, path: Path) -> None:
        """Copy the file, with all that is committed, to another path."""
        self._duck.copy_to(path)

    def become(self, path: Path) -> None:
        """Take the place of the file by another one of the same installation, which is closed, in one step."""
        self._duck.become(path)
        self._look_up()

    @property
    def mended(self) -> str | None:
        """What had to be done to open the file, in a sentence; None if nothing."""
        return self._duck.mended

    @property
    def rehearsing(self) -> bool:
        """What is written now is undone soon."""
        return self._duck.rehearsing

    def register_ids(self, wanted: Iterable[tuple[str, Register]]) -> dict[tuple[str, Register], int]:
        """Return the number of each (device, register); those not seen before are added, durable on return."""
        return self._numbers("registers", self._registers, wanted, lambda key: (key[0], *astuple(key[1])))

    def series_ids(self, wanted: Iterable[SeriesKey]) -> dict[SeriesKey, int]:
        """Return the number of each series; those not seen before are added, durable on return. The kind belongs to the series."""
        return self._numbers("series", self._series, wanted, lambda key: (key.point, *astuple(key.register), key.kind))

    def registers(self) -> dict[tuple[str, Register], int]:
        """Return every known (device, register) with its number."""
        return dict(self._registers)

    def series(self) -> dict[SeriesKey, int]:
        """Return every known series with its number."""
        return dict(self._series)

    def store(
        self,
        batch: pa.Table,
        receptions: pa.Table,
        upto: int,
        accepted: pa.Table = NOTHING_RISEN,
        formats: pa.Table = NOTHING_TAUGHT,
        *,
        sent_in: int = 0,
    ) -> int:
        """Keep a batch (schema READING), its receptions (RECEPTION) and the inbox watermark `upto` in one transaction; return how many were new.

        Repetitions are left out; the ranges that the others touch are marked dirty. `accepted` (ACCEPTED) replaces what is kept of the same device and
        name, `formats` (FORMAT) adds to what is known. `sent_in` is the number of the last reading of residents that is in the batch.
        """
        tables = {"batch": batch.select(READING.names).cast(READING), "heard": receptions.select(RECEPTION.names).cast(RECEPTION)}
        tables |= {"risen": accepted.select(ACCEPTED.names).cast(ACCEPTED), "taught": formats.select(FORMAT.names).cast(FORMAT)}
        with self._duck.transaction(**tables) as connection:
            fresh = connection.sql(sql.FRESH).to_arrow_table()
            connection.register("fresh", fresh)
            connection.execute(sql.MARK_DIRTY, [next_mark(connection)])
            connection.execute(INSERT_READINGS)
            connection.execute(sql.MOVE_NEWEST)
            connection.execute(sql.RECEIVE)
            if accepted.num_rows:
                connection.execute(sql.ACCEPT)
            if formats.num_rows:
                connection.execute(sql.LEARN)
            connection.execute("UPDATE progress SET value = greatest(value, ?) WHERE name = 'inbox'", [upto])
            if sent_in:
                connection.execute("UPDATE progress SET value = greatest(value, ?) WHERE name = 'self'", [sent_in])
            connection.unregister("fresh")
        return int(fresh.num_rows)

    def accepted(self) -> dict[tuple[str, str], Accepted]:
        """Return the newest accepted values by device and name, see ACCEPTED."""
        rows = self._duck.read("SELECT device, what, t, value FROM accepted").to_pylist()
        return {(row["device"], row["what"]): Accepted(row["t"], row["value"]) for row in rows}

    def formats(self) -> dict[tuple[str, int, int, int], bytes]:
        """Return the learnt formats of compact frames by manufacturer, version, type and signature."""
        rows = self._duck.read("SELECT * FROM formats").to_pylist()
        return {(row["manufacturer"], row["version"], row["type"], row["signature"]): row["headers"] for row in rows}

    def brought(self, device: str, register: Register, value: int, before: int) -> list[int]:
        """Return `seq` of the last 4,096 live readings with this value that were heard before an instant (µs UTC)."""
        number = self._registers.get((device, register))
        rows = self._duck.read(SELECT_BROUGHT, [number, value, int(Source.LIVE), before])
        return [int(seq) for seq in rows["seq"].to_pylist()]

    def watermark(self) -> int:
        """Return the highest inbox message whose readings are stored; 0 at first."""
        return self._progress("inbox")

    def sent_in(self) -> int:
        """Return the number of the last reading of residents that is stored; 0 at first."""
        return self._progress("self")

    def mark(self) -> int:
        """Return the mark of the last transaction that stored readings or rows; it only rises."""
        return self._progress("mark")

    def published(self) -> int:
        """Return the version of the published file that holds all rows but those that `unpublished` tells; 0 at first."""
        return self._progress("published")

    def directory(self) -> int:
        """Return the version of the directory that the rows were last computed from; 0 at first."""
        return self._progress("directory")

    def computed_from(self, directory: int) -> None:
        """Note that all rows are computed from this version of the directory."""
        with self._duck.transaction() as connection:
            _note(connection, "directory", directory)

    def dirty(self) -> pa.Table:
        """Return the ranges to be computed anew (schema DIRTY), oldest mark first; they stay until `clear_dirty`."""
        return self._duck.read("SELECT * FROM dirty ORDER BY mark, register, t_from")

    def readings_of(self, registers: Sequence[int]) -> pa.Table:
        """Return register, t, value, src, status, due, pinned, seq of these registers, in this order of register, t, seq."""
        return self._duck.read(SELECT_READINGS, chosen=_ids("register", registers))

    def clear_dirty(self, marks: pa.Table) -> None:
        """Clear what `dirty` answered, now that its rows are computed; what was marked since then stays."""
        with self._duck.transaction() as connection:
            _clear(connection, "dirty", marks)

    def readings_inside(self, spans: pa.Table) -> pa.Table:
        """Return id, register, t, value, src, status, due, pinned, seq of the readings in [first, beyond) of each span (id, register, first, beyond)."""
        return self._duck.read(sql.SELECT_INSIDE, _bounds(spans), spans=spans)

    def computed(self) -> dict[int, dict[str, str | int | None]]:
        """Return what the rows of each series were computed from (COMPUTED) by number."""
        return {row.pop("series"): row for row in self._duck.read("SELECT * FROM computed").to_pylist()}

    def forget(self, series: Collection[int]) -> None:
        """Forget what these series were computed from: when they come back, they are computed from their first reading."""
        if series:
            with self._duck.transaction(standing=_ids("series", series)) as connection:
                connection.execute(sql.DELETE_COMPUTED)

    def begun(self, ranges: pa.Table) -> pa.Table:
        """Return for each range (id, series, t_from, t_to, wait; µs) the day to go on from before it and the first day after it, see readings_sql.BEGUN."""
        since = min(ranges["t_from"].to_pylist(), default=0) - LOOKBACK
        return self._duck.read(sql.BEGUN, {"since": since}, ranges=ranges)

    def days(self, spans: pa.Table, without: pa.Table | None = None) -> pa.Table:
        """Return the days (DAYS) of each span (series, first, beyond) but those in spans of `without`, in no order."""
        return self._duck.read(sql.SELECT_DAYS, _bounds(spans), spans=spans, cut=spans.slice(0, 0) if without is None else without)

    def replace_rollups(
        self,
        series: Sequence[int],
        rows: pa.Table,
        *,
        now: int,
        reason: str = "config",
        within: pa.Table | None = None,
        days: pa.Table = NO_DAYS,
        computed: pa.Table = NOTHING_COMPUTED,
        causes: pa.Table = NO_CAUSE,
    ) -> pa.Table:
        """Make `rows` (schema ROLLUP) all the rows of `series`, and note which of them are to be published, in one transaction.

        With `within` (WITHIN) only rows inside those ranges are replaced, and `rows` has no others. `days` (DAYS) replace the days in the ranges of the day
        level, `computed` (COMPUTED) what was noted of the same series. Equal rows stay untouched. Returns what was touched (schema CHANGED) in order of
        series, level, start. `reason` is a word of SPEC 13 for the series that `causes` (CAUSE) does not name, `now` µs UTC. A billed row that changes
        its value leaves a correction.
        """
        ranges = _everything(series) if within is None else within.cast(WITHIN)
        if not ranges.num_rows:
            return CHANGED.empty_table()
        tables = {"known": days.cast(DAYS), "standing": computed.cast(COMPUTED), "causes": causes.cast(CAUSE), "within": ranges}
        with self._duck.transaction(**tables) as connection:
            parts = [_replace(connection, rows, ranges, levels, reason, now) for levels in (FINE, COARSE)]
            connection.execute(sql.DELETE_DAYS)
            connection.execute("INSERT INTO days SELECT * FROM known ORDER BY start, series")
            connection.execute(sql.DELETE_COMPUTED)
            connection.execute("INSERT INTO computed SELECT * FROM standing ORDER BY series")
        return (
            pa.concat_tables(parts)
            .select(CHANGED.names)
            .cast(CHANGED)
            .sort_by([("series", "ascending"), ("level", "ascending"), ("start", "ascending")])
        )

    def touch(self, start: int, end: int) -> None:
        """Mark [start, end] of every register dirty: what is there is computed anew."""
        with self._duck.transaction() as connection:
            connection.execute("INSERT INTO dirty SELECT id, ?, ?, ? FROM registers", [start, end, next_mark(connection)])

    @contextmanager
    def rehearsal(self) -> Iterator[Callable[[], pa.Table]]:
        """Everything written inside is undone at the end, and nothing is told to be unpublished; the function yielded answers which rows changed.

        Its columns: series, level, start, was, value (null where the row is not there), fresh, gone.
        """
        mark = self.mark()

        def rehearsed() -> pa.Table:
            noted = self._duck.read(sql.NOTED, [mark])
            old = self._duck.read_committed("SELECT * FROM rollups SEMI JOIN noted USING (series, level, start)", noted=noted)
            return self._duck.read(sql.REHEARSED, noted=noted, old=old)

        with self._duck.rehearsal():
            yield rehearsed
        self._look_up()

    def move_states(self, moved: pa.Table) -> None:
        """Give rows (series, level, start) another `state`, which time alone may do, and note them as unpublished, in one transaction."""
        with self._duck.transaction(moved=moved) as connection:
            connection.execute(sql.MOVE_STATE)
            connection.execute("INSERT INTO unpublished SELECT series, level, start, ? FROM moved", [next_mark(connection)])

    def bills(self) -> pa.Table:
        """Return the billed periods (schema BILL) by decision."""
        return self._duck.read("SELECT * FROM bills ORDER BY decision, series")

    def bill(self, bills: pa.Table) -> None:
        """Mark all rows inside these periods (schema BILL) as billed; from now on each change of a value in them is a correction."""
        with self._duck.transaction(billed=bills.cast(BILL)) as connection:
            connection.execute(sql.BILL)
            connection.execute("INSERT INTO bills SELECT * FROM billed")
            connection.execute(NOTE_BILLED, [next_mark(connection)])

    def billed(self, decisions: Collection[int]) -> pa.Table:
        """Return series, level, start, end of the rows inside the periods of these bills."""
        return self._duck.read(SELECT_BILLED, taken=_ids("decision", list(decisions)))

    def unbill(self, decisions: Collection[int], rows: pa.Table) -> None:
        """Take these bills back: their rows (series, level, start) have another `state` again, and what was corrected in them needs no settling."""
        with self._duck.transaction(taken=_ids("decision", list(decisions)), moved=rows) as connection:
            billed = connection.sql("SELECT * FROM bills SEMI JOIN taken USING (decision)").to_arrow_table()
            connection.register("billed", billed)
            connection.execute(sql.MOVE_STATE)
            connection.execute(sql.UNBILL_HISTORY)
            connection.execute(
                'DELETE FROM corrections c USING billed b WHERE c.series = b.series AND c.level = b.level AND c.start >= b.start AND c.start < b."end"'
            )
            connection.execute("DELETE FROM bills b USING taken t WHERE b.decision = t.decision")
            connection.execute(NOTE_BILLED, [next_mark(connection)])
            connection.unregister("billed")

    def corrections(self, series: Sequence[int]) -> pa.Table:
        """Return what changed in billed rows of these series, in order of time."""
        return self._duck.read(
            "SELECT * FROM corrections SEMI JOIN chosen USING (series) ORDER BY made, series, start, rev", chosen=_ids("series", series)
        )

    def revisions(self, series: Sequence[int], level: int, start: int, end: int) -> pa.Table:
        """Return the replaced rows of one level that begin in [start, end), in order of series, start and revision."""
        return self._duck.read(SELECT_REVISIONS, [level, start, end], chosen=_ids("series", series))

    def publish_again(self, series: Sequence[int]) -> None:
        """Note every row of these series as unpublished: their blocks are cut anew, or come back."""
        with self._duck.transaction(chosen=_ids("series", series)) as connection:
            connection.execute(
                "INSERT INTO unpublished SELECT series, level, start, ? FROM rollups SEMI JOIN chosen USING (series)", [next_mark(connection)]
            )

    def publish_touched(self, spans: Sequence[tuple[int, int, int]], looked: int) -> None:
        """Note the rows as unpublished that overlap any of these (series, since, until), and how far losses were looked at, in one transaction."""
        with self._duck.transaction(touched=tabled(spans, TOUCHED)) as connection:
            connection.execute(sql.NOTE_TOUCHED, [next_mark(connection)])
            _note(connection, "losses", looked)

    def losses_looked(self) -> int:
        """Return up to which change of events losses were looked at (µs UTC); 0 at first."""
        return self._progress("losses")

    def unpublished(self) -> pa.Table:
        """Return the rows that changed since they were last published (schema UNPUBLISHED); they stay until `clear_unpublished`."""
        none = " LIMIT 0" if self._duck.rehearsing else ""
        return self._duck.read(f"SELECT * FROM unpublished ORDER BY series, level, start, mark{none}")  # noqa: S608 - our own words

    def clear_unpublished(self, noted: pa.Table, version: int) -> None:
        """Clear what `unpublished` answered, now that it is published in this version of the published file; what changed since then stays."""
        with self._duck.transaction() as connection:
            _clear(connection, "unpublished", noted)
            _note(connection, "published", version)

    def rollups(self, series: Sequence[int], level: int, start: int, end: int) -> pa.Table:
        """Return the rows of one level that begin in [start, end), with `rev`, in order of series and start."""
        return self._duck.read(SELECT_ROLLUPS, [level, start, end], chosen=_ids("series", series))

    def standing(self, asked: pa.Table) -> list[tuple[int, int, int]]:
        """Return series, level and start of those of the rows `asked` for by these that are there."""
        starts = pc.min_max(asked["start"])
        found = self._duck.read(SELECT_STANDING, [starts["min"].as_py(), starts["max"].as_py()], asked=asked)
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def unsettled(self, now: int) -> pa.Table:
        """Return series, level, start, end, state of ended rows that are not final yet: time alone may change their state (SPEC 13)."""
        return self._duck.read(
            'SELECT series, level, start, "end", state FROM rollups WHERE state < 2 AND "end" <= ? ORDER BY series, level, start', [now]
        )

    def heard(self, registers: Sequence[int], since: int = 0) -> dict[int, int]:
        """Return when each of these registers was last heard live, of those that were at or after `since` (µs UTC)."""
        rows = self._duck.read(SELECT_HEARD, [int(Source.LIVE), since], chosen=_ids("register", registers))
        return dict(zip(rows["register"].to_pylist(), rows["t"].to_pylist(), strict=True))

    def last(self, device: str, register: Register) -> int | None:
        """Return when a register was last heard live, None if it never was."""
        number = self._registers.get((device, register))
        return None if number is None else self.heard([number]).get(number)

    def intervals(self, registers: Sequence[int], since: int, least: int) -> dict[int, int]:
        """Return the median time between the live readings of each of these registers since an instant, µs; only of those with at least `least` gaps."""
        rows = self._duck.read(SELECT_INTERVALS, [int(Source.LIVE), since, least], chosen=_ids("register", registers))
        return dict(zip(rows["register"].to_pylist(), rows["gap"].to_pylist(), strict=True))

    def devices_received(self) -> list[str]:
        """Return every device that was ever received, known or not."""
        return [str(device) for device in self._duck.read("SELECT DISTINCT device FROM receptions")["device"].to_pylist()]

    def receptions(self) -> pa.Table:
        """Return how often each gateway heard each device, per UTC day."""
        return self._duck.read("SELECT * FROM receptions ORDER BY day, device, gateway")

    def heard_by(self, since: date) -> pa.Table:
        """Return how often each gateway heard each device since a UTC day, on which first and last day, and the best level in dBm."""
        return self._duck.read(sql.SELECT_HEARD_BY, [since])

    def heard_alone(self, asked: Sequence[tuple[int, str, date, date]]) -> list[tuple[int, str]]:
        """Return, for each (number, gateway, first and last UTC day), the devices that were heard on these days, and by this gateway alone."""
        rows = self._duck.read(sql.SELECT_ALONE, asked=tabled(asked, ALONE))
        return list(zip(rows["id"].to_pylist(), rows["device"].to_pylist(), strict=True))

    def of_telegram(self, place: int) -> list[dict[str, Any]]:
        """Return register, unit, t, value, time_source of the readings that a telegram brought; `place` is its message and position in one number."""
        return list(self._duck.read(sql.SELECT_OF_TELEGRAM, [READING_BITS, place]).to_pylist())

    def first_heard(self, day: date) -> list[tuple[str, str]]:
        """Return devices that were not received before a UTC day, each with every gateway that received it since."""
        rows = self._duck.read(sql.SELECT_FIRST_HEARD, [day]).to_pylist()
        return [(row["device"], row["gateway"]) for row in rows]

    def history(self, series: Sequence[int]) -> pa.Table:
        """Return the replaced rows of these series with reason and instant, the oldest first."""
        return self._duck.read(
            "SELECT * FROM history SEMI JOIN chosen USING (series) ORDER BY replaced_at, series, level, start", chosen=_ids("series", series)
        )

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each table."""
        query = " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS n FROM {table}" for table in TABLES)  # noqa: S608 - names of the table above
        return {str(row["name"]): int(row["n"]) for row in self._duck.read(query).to_pylist()}

    def _numbers(self, table: str, known: dict[Any, int], wanted: Iterable[Any], row: Callable[[Any], tuple[object, ...]]) -> dict[Any, int]:
        """The numbers of some keys; those that are new are added to their table."""
        with self._lock:
            keys = set(wanted)
            added = {key: number for number, key in enumerate(sorted(keys - known.keys()), len(known) + 1)}
            if added:
                rows = [(number, *row(key)) for key, number in added.items()]
                columns = zip(*rows, strict=True)
                with self._duck.transaction(added=pa.table({str(place): list(column) for place, column in enumerate(columns)})) as connection:
                    connection.execute(f"INSERT INTO {table} SELECT * FROM added")  # noqa: S608 - a table of ours
            known |= added
            return {key: known[key] for key in keys}

    def _look_up(self) -> None:
        """Learn the numbers of all registers and series."""
        rows = self._duck.read("SELECT id, device, name, unit, tariff, subunit, idx FROM registers").to_pylist()
        self._registers = {(row["device"], _register(row)): row["id"] for row in rows}
        rows = self._duck.read("SELECT id, point, name, unit, tariff, subunit, idx, kind FROM series").to_pylist()
        self._series = {SeriesKey(row["point"], _register(row), row["kind"]): row["id"] for row in rows}

    def _progress(self, name: str) -> int:
        """How far something is; 0 at first."""
        return int(self._duck.read("SELECT coalesce(max(value), 0) AS value FROM progress WHERE name = ?", [name])["value"][0].as_py())


def _replace(connection: duckdb.DuckDBPyConnection, rows: pa.Table, ranges: pa.Table, levels: pa.Array, reason: str, now: int) -> pa.Table:
    """Replace the rows of some levels inside their ranges, and note what is to be published; returns what differed."""
    within, rows = (table.filter(pc.is_in(table["level"], levels)) for table in (ranges, rows.select(ROLLUP.names).cast(ROLLUP)))
    with named(connection, own=within, rows=rows):
        differing = connection.sql(sql.DIFFERING, params=_bounds(within) | _series_bounds(within)).to_arrow_table()
    if not differing.num_rows:
        return differing
    reach = [pc.min(differing["start"]).as_py(), pc.max(differing["start"]).as_py()]
    with named(connection, rows=rows, differing=differing):
        connection.execute(sql.KEEP_HISTORY, [reason, now, *reach])
        if connection.execute("FROM bills LIMIT 1").fetchall():
            connection.execute(sql.CORRECT, [reason, now, *reach])
        connection.execute(sql.DELETE_CHANGED, reach)
        connection.execute(sql.INSERT_CHANGED)
        connection.execute("INSERT INTO unpublished SELECT series, level, start, ? FROM differing", [next_mark(connection)])
    return differing


def _note(connection: duckdb.DuckDBPyConnection, name: str, value: int) -> None:
    """Note how far something is."""
    connection.execute("DELETE FROM progress WHERE name = ?", [name])
    connection.execute("INSERT INTO progress VALUES (?, ?)", [name, value])


def _clear(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    connection.execute(f"DELETE FROM {table} WHERE mark <= ?", [max(rows["mark"].to_pylist(), default=0)])  # noqa: S608 - a table of ours


def _register(row: Mapping[str, Any]) -> Register:
    return Register(*(row[name] for name in ("name", "unit", "tariff", "subunit", "idx")))


def _everything(series: Sequence[int]) -> pa.Table:
    """WITHIN: all rows of these series."""
    return tabled([(number, level, -INT64_MAX, INT64_MAX) for number in sorted(set(series)) for level in range(len(LEVELS))], WITHIN)


def _bounds(ranges: pa.Table) -> dict[str, int]:
    """The earliest `first` and the latest `beyond`, told to the database beside the join with them: it skips what lies outside."""
    return {"first": min(ranges["first"].to_pylist(), default=0), "beyond": max(ranges["beyond"].to_pylist(), default=0)}


def _series_bounds(ranges: pa.Table) -> dict[str, int]:
    return {"low": min(ranges["series"].to_pylist(), default=0), "high": max(ranges["series"].to_pylist(), default=0)}


def _ids(column: str, numbers: Collection[int]) -> pa.Table:
    return pa.table({column: pa.array(sorted(set(numbers)), pa.int32())})
