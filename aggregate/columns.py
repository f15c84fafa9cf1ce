"""Columns that the two row computations share: series that lie one after the other, and the grid of boundaries of each.

Strategy: all series of a batch lie in one array, each at ``[offsets[i], offsets[i + 1])`` in order of time. An instant of one series is found
in the whole array through one sorted key, (series, instant) packed into 64 bits; all hour boundaries at once by counting what lies before each.
Boundaries of days, months and years are hour boundaries too, or lie outside the data, where nothing changes any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from submeter import civil
from submeter.aggregate.wide import Ints
from submeter.reading import LEVELS
from submeter.store import ROLLUP

Bools = NDArray[np.bool_]
#: Most series in one batch: their number times the span of all civil years still fits the packed key.
SERIES: Final = 500
SCHEMA: Final = pa.schema([field for field in ROLLUP if field.name != "state"])
NULLABLE: Final = frozenset({"value", "lo", "hi", "n", "index_start", "index_end"})


@dataclass(frozen=True, slots=True)
class Runs:
    """Where each series of a batch lies in its columns, and an instant's place in them. `ids` are the series' numbers."""

    ids: Ints
    offsets: Ints
    key: Ints
    origin: int
    width: int

    @classmethod
    def of(cls, ids: Ints, offsets: Ints, t: Ints, margin: int = 400 * civil.DAY) -> Self:
        """Index instants `t`, ascending inside each series; boundaries up to `margin` outside them can be looked up."""
        origin = int(t.min()) - margin
        width = int(t.max()) + margin - origin
        owner = np.repeat(np.arange(len(ids)), np.diff(offsets))
        return cls(ids, offsets, owner * width + (t - origin), origin, width)

    def place(self, owner: Ints, u: Ints) -> Ints:
        """Index of the last entry of series `owner` at or before `u`, or the one before the series' first."""
        found: Ints = np.searchsorted(self.key, owner * self.width + (u - self.origin), "right") - 1
        return found


@dataclass(frozen=True, slots=True)
class Grid:
    """Boundaries of one level for each series: from the last at or before its first instant to the first at or after its last one.

    `owner` is the series' place in the batch; `s` and `e` are the indices of the boundaries that begin and end each bucket. Series i has the boundaries
    from ``begin[i]`` to ``end[i]``; the first of them is number ``place[i]`` of `bounds`, which are the zone's.
    """

    level: int
    u: Ints
    owner: Ints
    s: Ints
    begin: Ints
    end: Ints
    place: Ints
    bounds: Ints

    @property
    def e(self) -> Ints:
        """Indices of the boundaries that end each bucket."""
        return self.s + 1

    @property
    def edges(self) -> tuple[Ints, Ints]:
        """The first and the last row of each series."""
        series = np.arange(len(self.begin))
        return self.begin - series, self.end - series - 1

    @classmethod
    def of(cls, level: int, zone: str, year_start: str, first: Ints, last: Ints) -> Self:
        """The grid of series whose data reach from `first` to `last`, which is later."""
        bounds = civil.boundaries(zone, LEVELS[level], int(first.min()), int(last.max()), year_start)
        place = np.searchsorted(bounds, first, "right") - 1
        counts = np.searchsorted(bounds, last, "left") - place + 1
        begin = np.cumsum(counts) - counts
        owner = np.repeat(np.arange(len(first)), counts)
        u = bounds[np.arange(len(owner)) + np.repeat(place - begin, counts)]
        starts = np.ones(len(owner), np.bool_)
        starts[begin + counts - 1] = False
        return cls(level, u, owner, np.flatnonzero(starts), begin, begin + counts - 1, place, bounds)

    def passed(self, t: Ints, offsets: Ints) -> Ints:
        """How many of the instants `t`, which ascend in each series, lie at or before each boundary, those of the series before it included."""
        regular = bool((np.diff(self.bounds) == civil.HOUR).all())
        following = (t + (civil.HOUR - 1 - self.bounds[0])) // civil.HOUR if regular else np.searchsorted(self.bounds, t)
        following += np.repeat(self.begin - self.place, np.diff(offsets))
        return np.cumsum(np.bincount(following, minlength=len(self.u)))

    def among(self, hours: Self) -> Ints:
        """Where each boundary stands among the `hours` of the same series; the nearest one for a boundary outside them."""
        found = np.searchsorted(hours.bounds, self.u) + (hours.begin - hours.place)[self.owner]
        return np.clip(found, hours.begin[self.owner], hours.end[self.owner])


def table(runs: Runs, grid: Grid, columns: Mapping[str, Ints | tuple[Ints, Bools]], rows: Bools | None = None) -> pa.Table:
    """One level's rows as a table of SCHEMA; a column given as (values, known) is null where not known, one not given is 0, or null."""
    size = len(grid.s) if rows is None else int(rows.sum())
    ids = np.repeat(runs.ids.astype(np.int32), grid.end - grid.begin)
    own: dict[str, Any] = {"series": ids, "level": np.full(len(grid.s), grid.level, np.uint8), "start": grid.u[grid.s], "end": grid.u[grid.e]}

    def column(field: pa.Field) -> pa.Array:
        given = columns.get(field.name, own.get(field.name))
        if given is None:
            return pa.nulls(size, field.type) if field.name in NULLABLE else pa.array(np.zeros(size, field.type.to_pandas_dtype()))
        return array(given, field.type, rows)

    return pa.table([column(field) for field in SCHEMA], schema=SCHEMA)


def array(given: Ints | Bools | tuple[Ints, Bools], kind: pa.DataType, rows: Bools | None = None) -> pa.Array:
    """A column, or some rows of it; one given as (values, known) is null where not known."""
    values, known = given if isinstance(given, tuple) else (given, None)
    if rows is not None:
        values, known = values[rows], None if known is None else known[rows]
    return pa.array(values.astype(kind.to_pandas_dtype(), copy=False), mask=None if known is None else ~known)
