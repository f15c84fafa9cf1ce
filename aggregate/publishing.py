"""Rows to blocks: what changed is cut anew, many series at a time, and takes its place together with where each series stands.

Strategy: the rows of a level come in order of series and time, so that each block of a local day, month or year is one stretch of them, found by one key of
series and number of the block. Rules: a block is published with all its rows, or is gone; the notes of what changed are cleared after it is.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

import numpy as np
import polars as pl
import pyarrow as pa

from submeter import civil
from submeter.aggregate.frames import framed, last_usable
from submeter.aggregate.losses import Losses
from submeter.aggregate.parts import Cutter
from submeter.aggregate.series import Series
from submeter.aggregate.windows import Window
from submeter.failpoint import failpoint
from submeter.reading import LEVELS, Source
from submeter.store import Block, Correction, Published, PublishedSeries, Readings, pack

__all__ = ["Publisher"]

#: No block of a level (in order of LEVELS) is longer than this, in µs.
BLOCK_SPAN: Final = tuple(days * civil.DAY for days in (2, 32, 367, 100_000))
#: More than there are days from 1970 to 2200.
NUMBERS: Final = 2**20

#: Rows of some series, one level, with a start in [from, until), in order of series and start.
Rows = Callable[[Sequence[int], int, int, int], pa.Table]


class Publisher:
    """From the readings' file to the published one."""

    def __init__(self, readings: Readings, published: Published, cutter: Cutter, losses: Losses) -> None:
        self._readings = readings
        self._losses = losses
        self._published = published
        self._cutter = cutter

    def publish(self, known: Mapping[int, Series], heads: Sequence[PublishedSeries], windows: Sequence[Window] = ()) -> int:
        """Publish where series stand together with the blocks that committed changes touched, and the parts of buckets in `windows`, which were computed.

        Returns how many blocks.
        """
        noted = framed(self._readings.unpublished())
        if not noted.height and not heads:
            return 0
        failpoint("computed")
        levels = [(cast("int", level), rows) for (level,), rows in noted.group_by("level")]
        blocks = [block for level, rows in levels for block in _blocks(known, level, rows, self._readings.rollups, gone=True)]
        revisions = [block for level, rows in levels for block in _blocks(known, level, rows, self._readings.revisions, gone=False)]
        for block in blocks:
            self._losses.mark(block.series, block.points)
        corrections = self._corrections(noted["series"].unique().to_list())
        version = self._published.replace(heads, blocks, revisions, corrections, self._cutter.touched(windows))
        failpoint("published")
        self._readings.clear_unpublished(noted.to_arrow(), version)
        return len(blocks)

    def cut_anew(self) -> None:
        """Publish the parts of series whose hand-overs are others than those that they were cut by."""
        for parts, cuts in self._cutter.anew():
            self._published.replace([], [], parts=parts, cuts=cuts)

    def heads(self, batch: Mapping[int, Series], windows: Sequence[Window], readings: pl.DataFrame) -> list[PublishedSeries]:
        """Where each series stands, by the readings of its windows and, where they began later than it, by what was published before."""
        points = {batch[window.series].point.id for window in windows if window.begin is not None}
        before = {one.id: one for one in self._published.series_of(sorted(points))} if points else {}
        return [_newer(head, before.get(head.id)) for head in _heads(batch, readings)]

    def _corrections(self, series: Sequence[int]) -> Mapping[int, Sequence[Correction]]:
        """All corrections of these series."""
        found = defaultdict[int, list[Correction]](list, {number: [] for number in series})
        for row in self._readings.corrections(series).to_pylist():
            found[row["series"]].append(Correction(*row.values()))
        return found


def _blocks(known: Mapping[int, Series], level: int, noted: pl.DataFrame, read: Rows, *, gone: bool) -> Iterator[Block]:
    """The blocks of one level that hold a noted start, with all their rows that `read` gives; those without a row too if `gone`."""
    first, last = (cast("int", bound) for bound in (noted["start"].min(), noted["start"].max()))
    zones = defaultdict[str, list[int]](list)
    for number in noted["series"].unique(maintain_order=True).to_list():
        if number in known:
            zones[known[number].spec.zone].append(number)
    for zone, members in zones.items():
        begun = noted.filter(pl.col("series").is_in(members))
        wanted = np.unique(_keys(zone, level, begun))
        rows = read(members, level, first - BLOCK_SPAN[level], last + BLOCK_SPAN[level])
        points, keys = pack(rows), _keys(zone, level, framed(rows.select(["series", "start"])))
        wanted = wanted if gone else np.intersect1d(wanted, keys)
        labels = civil.block_labels(LEVELS[level], wanted % NUMBERS)
        edges = (np.searchsorted(keys, wanted, side).tolist() for side in ("left", "right"))
        for number, label, begin, end in zip((wanted // NUMBERS).tolist(), labels, *edges, strict=True):
            yield Block(number, level, label, points[begin:end])


def _keys(zone: str, level: int, rows: pl.DataFrame) -> civil.Instants:
    """Series and number of the block of each row, as one number that ascends with both."""
    keys: civil.Instants = rows["series"].to_numpy().astype(np.int64) * NUMBERS + civil.block_numbers(zone, LEVELS[level], rows["start"].to_numpy())
    return keys


def _heads(batch: Mapping[int, Series], readings: pl.DataFrame) -> Iterator[PublishedSeries]:
    """Where each series stands: the last usable reading of the device that is there now, and when it was last heard live."""
    present = {number: series.spans[-1].register for number, series in batch.items()}
    readings = readings.filter(pl.col("dev") == pl.col("series").replace_strict(present, default=None, return_dtype=pl.Int32))
    heard = dict(readings.filter(pl.col("src") == Source.LIVE).group_by("series").agg(pl.col("t").max()).iter_rows())
    standing = {number: rest for number, *rest in last_usable(readings, "series").select("series", "t", "value").rows()}
    for number, series in batch.items():
        t, value = standing.get(number, (None, None))
        yield PublishedSeries(number, series.point.id, series.register, series.kind, series.spec.zone, t, value, heard.get(number))


def _newer(head: PublishedSeries, before: PublishedSeries | None) -> PublishedSeries:
    """Where a series stands by some of its readings, or by what was known before where that is later."""
    if before is None:
        return head
    later = before.last_t is not None and (head.last_t is None or head.last_t < before.last_t)
    last = (before.last_t, before.last_value) if later else (head.last_t, head.last_value)
    heard = max((t for t in (head.last_heard, before.last_heard) if t is not None), default=None)
    return replace(head, last_t=last[0], last_value=last[1], last_heard=heard)
