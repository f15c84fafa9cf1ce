"""published.sqlite, or the schema `published` on PostgreSQL: the rows that the API answers with, packed into blocks that are read in one go.

Strategy: one row per (series, level, block) holding a numpy array of POINT; a block is the hours of a local day (label `2024-01-31`), the days of a
month (`2024-01`), the months of a year (`2024`) or all years (`all`), so labels of one level sort by time.
Beside them stand the parts of buckets that hand-overs cut, a row each, and by what the parts of a series were made.
Rules: only the publisher writes, in one transaction per run with a version of its own; any number of processes read meanwhile (a file: WAL, NORMAL, since
it can be rebuilt from the readings at any time); instants are µs UTC, values micro units, NULL means unknown.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from submeter.config import Data
from submeter.reading import Register
from submeter.store.sql import Connection, open_sql, querying, rehearsal, transaction, upsert

__all__ = ["NULL", "POINT", "Block", "Correction", "Cut", "Parts", "Points", "Published", "PublishedSeries"]

#: An unknown value, bound or index inside a block.
NULL: Final = -(2**63)

#: One row. Of gauges `value` is the mean, `lo` and `hi` minimum and maximum; level, quality, state and flags as in `submeter.reading`; coverage 1/10,000.
POINT: Final = np.dtype(
    [(name, "<i8") for name in ("start", "end", "value", "lo", "hi", "index_start", "index_end")]
    + [("n", "<u4"), ("flags", "<u4"), ("coverage", "<u2"), ("rev", "<u2"), ("quality", "u1"), ("state", "u1")],
)
Points = NDArray[np.void]

MIGRATIONS: Final = (
    """
    CREATE TABLE version (number INTEGER NOT NULL);
    INSERT INTO version VALUES (0);
    CREATE TABLE series (
      id INTEGER PRIMARY KEY, point TEXT NOT NULL, name TEXT NOT NULL, unit TEXT NOT NULL, tariff INTEGER NOT NULL, subunit INTEGER NOT NULL,
      idx INTEGER NOT NULL, kind TEXT NOT NULL, zone TEXT NOT NULL, last_t INTEGER, last_value INTEGER, last_heard INTEGER, version INTEGER NOT NULL);
    CREATE INDEX series_point ON series (point);
    CREATE TABLE blocks (
      series INTEGER NOT NULL, level INTEGER NOT NULL, block TEXT NOT NULL, version INTEGER NOT NULL, data BLOB NOT NULL,
      PRIMARY KEY (series, level, block));
    """,
    """
    CREATE TABLE revisions (
      series INTEGER NOT NULL, level INTEGER NOT NULL, block TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (series, level, block));
    CREATE TABLE corrections (
      series INTEGER NOT NULL, level INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, old INTEGER, new INTEGER, reason TEXT NOT NULL,
      author TEXT NOT NULL, made INTEGER NOT NULL, rev INTEGER NOT NULL, PRIMARY KEY (series, level, start, rev, made));
    """,
    """
    CREATE TABLE parts (
      series INTEGER NOT NULL, level INTEGER NOT NULL, block TEXT NOT NULL, start INTEGER NOT NULL, data BLOB NOT NULL,
      PRIMARY KEY (series, level, start));
    CREATE TABLE cuts (series INTEGER PRIMARY KEY, made_by TEXT NOT NULL);
    """,
)
UPSERT_SERIES: Final = upsert("series", "id", "point, name, unit, tariff, subunit, idx, kind, zone, last_t, last_value, last_heard, version")
UPSERT_BLOCK: Final = upsert("blocks", "series, level, block", "version, data")
UPSERT_REVISION: Final = upsert("revisions", "series, level, block", "data")
DELETE_PARTS: Final = "DELETE FROM parts WHERE series = ? AND level = ? AND start >= ? AND start < ?"
INSERT_CORRECTION: Final = "INSERT INTO corrections VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
READ_CHANGED: Final = "SELECT * FROM series WHERE (version, id) > (?, ?) ORDER BY version, id LIMIT ?"


@dataclass(frozen=True, slots=True)
class PublishedSeries:
    """A register at a point, the zone of its blocks, its last index (instant, value) and when it was last heard.

    `version` rises when any of it or its rows change.
    """

    id: int
    point: str
    register: Register
    kind: str
    zone: str
    last_t: int | None = None
    last_value: int | None = None
    last_heard: int | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """All rows of one series, level (index in LEVELS) and label, in order of start; no rows means that the block is gone."""

    series: int
    level: int
    label: str
    points: Points


@dataclass(frozen=True, slots=True)
class Correction:
    """A billed row that changed its value: what was billed or corrected last, what it is now (None: no row), why, by whom, when, and its revision."""

    series: int
    level: int
    start: int
    end: int
    old: int | None
    new: int | None
    reason: str
    by: str
    at: int
    rev: int

    @property
    def diff(self) -> int:
        """What the next bill settles, micro units; where there was or is no row, nothing was or is used."""
        return (self.new or 0) - (self.old or 0)


@dataclass(frozen=True, slots=True)
class Parts:
    """The rows of one bucket between its ends and the hand-overs inside it, in order of start; no rows: it has no parts (any more). `state` and `rev` are 0."""

    series: int
    level: int
    label: str
    start: int
    end: int
    points: Points


@dataclass(frozen=True, slots=True)
class Cut:
    """A series whose parts are all made anew, but those that begin before `since`; what they are `made_by`, None if it is not cut any more."""

    series: int
    made_by: str | None
    since: int


class Published:
    """Open or create the file, or the schema on a PostgreSQL `server`; StoreError names it if it is damaged, newer than this release or out of reach."""

    def __init__(self, path: Path, *, server: str = "") -> None:
        self._connection = open_sql(path, MIGRATIONS, server=server, synced=False)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, data: Data) -> Self:
        """The published rows of an installation, where [data] says that they are."""
        return cls(data.folder / "published.sqlite", server=data.server())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Everything published inside is undone at the end; other processes never see it."""
        with rehearsal(self._connection):
            yield

    def replace(
        self,
        series: Sequence[PublishedSeries],
        blocks: Sequence[Block],
        revisions: Sequence[Block] = (),
        corrections: Mapping[int, Sequence[Correction]] = MappingProxyType({}),
        parts: Sequence[Parts] = (),
        cuts: Sequence[Cut] = (),
    ) -> int:
        """Publish these series and blocks together; return the version that readers see with them. The `version` of `series` is not looked at.

        `revisions` are blocks of all rows that were replaced, `corrections` all those of a series, `parts` all those of a bucket; they replace
        what there was, and `cuts` what there was of a series.
        """
        with self._lock, transaction(self._connection) as db:
            version = int(db.execute("UPDATE version SET number = number + 1 RETURNING number").fetchone()[0])
            db.executemany(UPSERT_SERIES, [_row(replace(one, version=version)) for one in series])
            db.executemany(UPSERT_BLOCK, [(b.series, b.level, b.label, version, b.points.tobytes()) for b in blocks if b.points.size])
            db.executemany(UPSERT_REVISION, [(b.series, b.level, b.label, b.points.tobytes()) for b in revisions])
            db.executemany("DELETE FROM corrections WHERE series = ?", [(number,) for number in corrections])
            db.executemany(INSERT_CORRECTION, [astuple(one) for rows in corrections.values() for one in rows])
            gone = [(block.series, block.level, block.label) for block in blocks if not block.points.size]
            db.executemany("DELETE FROM blocks WHERE series = ? AND level = ? AND block = ?", gone)
            _replace_parts(db, parts, cuts)
            touched = {one.series for some in (blocks, parts, cuts) for one in some}
            db.executemany("UPDATE series SET version = ? WHERE id = ?", [(version, number) for number in touched])
        return version

    def series(self) -> list[PublishedSeries]:
        """Return everything that is published, in order of number."""
        with self._lock, querying(self._connection) as db:
            return [_series(row) for row in db.execute("SELECT * FROM series ORDER BY id")]

    def version(self) -> int:
        """Return the version of the last publication; 0 before the first."""
        with self._lock, querying(self._connection) as db:
            return int(db.execute("SELECT number FROM version").fetchone()[0])

    def begin_again(self, version: int) -> None:
        """Go on behind this version, and forget by what series are cut: everything is published again, for the file was lost or is an older copy."""
        with self._lock, transaction(self._connection) as db:
            db.execute("UPDATE version SET number = ? WHERE number < ?", (version, version))
            db.execute("DELETE FROM cuts")

    def changed(self, version: int, series: int, most: int) -> list[PublishedSeries]:
        """Return the series published after this place in the order of version and number, in that order, at most so many."""
        with self._lock, querying(self._connection) as db:
            return [_series(row) for row in db.execute(READ_CHANGED, (version, series, most))]

    def drop(self, series: Iterable[int]) -> None:
        """Take these series back with all their blocks."""
        gone = [(number,) for number in series]
        with self._lock, transaction(self._connection) as db:
            for table in ("blocks", "revisions", "corrections", "parts", "cuts"):
                db.executemany(f"DELETE FROM {table} WHERE series = ?", gone)  # noqa: S608 - some of ours
            db.executemany("DELETE FROM series WHERE id = ?", gone)

    def series_of(self, points: Sequence[str]) -> list[PublishedSeries]:
        """Return the series of these points, in order of their number."""
        if not points:
            return []
        marks = ", ".join("?" * len(points))
        with self._lock, querying(self._connection) as db:
            rows = db.execute(f"SELECT * FROM series WHERE point IN ({marks}) ORDER BY id", list(points)).fetchall()  # noqa: S608 - marks only
        return [_series(row) for row in rows]

    def read(self, series: int, level: int, first: str, last: str) -> Points:
        """Return the rows of the blocks labelled `first` to `last`, both included, in order of start; none if nothing is published there."""
        return self.read_all([series], level, first, last)[series]

    def read_all(self, series: Sequence[int], level: int, first: str, last: str) -> dict[int, Points]:
        """Return what `read` does of each of these series, asked for once."""
        found: dict[int, list[bytes]] = {one: [] for one in series}
        marks = ", ".join("?" * len(found)) or "NULL"
        sql = f"SELECT series, data FROM blocks WHERE series IN ({marks}) AND level = ? AND block BETWEEN ? AND ? ORDER BY series, block"  # noqa: S608 - marks only
        with self._lock, querying(self._connection) as db:
            for one, data in db.execute(sql, (*found, level, first, last)):
                found[one].append(data)
        return {one: np.frombuffer(b"".join(blocks), POINT) for one, blocks in found.items()}

    def revisions(self, series: int, level: int, first: str, last: str) -> Points:
        """Return the replaced rows of the blocks labelled `first` to `last`, both included, in order of start and revision."""
        return self._points("revisions", "block", series, level, first, last)

    def parts(self, series: int, level: int, first: str, last: str) -> Points:
        """Return the parts of buckets of the blocks labelled `first` to `last`, both included, in order of start."""
        return self._points("parts", "start", series, level, first, last)

    def _points(self, table: str, order: str, *asked: int | str) -> Points:
        sql = f"SELECT data FROM {table} WHERE series = ? AND level = ? AND block BETWEEN ? AND ? ORDER BY {order}"  # noqa: S608 - ours
        with self._lock, querying(self._connection) as db:
            rows = db.execute(sql, asked).fetchall()
        return np.frombuffer(b"".join([data for (data,) in rows]), POINT)

    def cuts(self) -> dict[int, str]:
        """Return what the parts of each series that is cut were made by."""
        with self._lock, querying(self._connection) as db:
            return dict(db.execute("SELECT series, made_by FROM cuts"))

    def forget_parts(self, before: Iterable[tuple[int, int, int]]) -> None:
        """Delete the parts of a series and level that begin before an instant: what retention deleted the rows of."""
        with self._lock, transaction(self._connection) as db:
            db.executemany("DELETE FROM parts WHERE series = ? AND level = ? AND start < ?", before)

    def corrections(self, series: Sequence[int], start: int, end: int) -> list[Correction]:
        """Return the corrections of billed rows of some series that touch [start, end), in order of start and time."""
        if not series:
            return []
        marks = ", ".join("?" * len(series))
        sql = f'SELECT * FROM corrections WHERE series IN ({marks}) AND start < ? AND "end" > ? ORDER BY start, made, rev'  # noqa: S608 - marks only
        with self._lock, querying(self._connection) as db:
            return [Correction(*row) for row in db.execute(sql, (*series, end, start))]


def _replace_parts(db: Connection, parts: Sequence[Parts], cuts: Sequence[Cut]) -> None:
    """What `Published.replace` does with parts."""
    db.executemany("DELETE FROM parts WHERE series = ? AND start >= ?", [(one.series, one.since) for one in cuts])
    db.executemany("DELETE FROM cuts WHERE series = ?", [(one.series,) for one in cuts])
    db.executemany("INSERT INTO cuts VALUES (?, ?)", [(one.series, one.made_by) for one in cuts if one.made_by])
    db.executemany(DELETE_PARTS, [(one.series, one.level, one.start, one.end) for one in parts])
    rows = [(one.series, one.level, one.label, int(point["start"]), point.tobytes()) for one in parts for point in one.points]
    db.executemany("INSERT INTO parts VALUES (?, ?, ?, ?, ?)", rows)


def _row(one: PublishedSeries) -> tuple[Any, ...]:
    return (one.id, one.point, *astuple(one.register), one.kind, one.zone, one.last_t, one.last_value, one.last_heard, one.version)


def _series(row: tuple[Any, ...]) -> PublishedSeries:
    return PublishedSeries(row[0], row[1], Register(*row[2:7]), *row[7:])
