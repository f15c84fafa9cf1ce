"""The scheduled run: dirty registers → series → rows → published blocks.

A run takes the dirty ranges, stitches the registers they name into series of points, computes those series, replaces the rows that differ (one
transaction per batch of series, which also notes what is to be published), publishes what is noted, and last clears the marks it started from.
A crash between any two steps leaves marks or notes behind, and the next run goes on from them; its result equals a computation from scratch.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

import numpy as np
import polars as pl
import pyarrow as pa
import structlog

from submeter import civil
from submeter.aggregate.causes import causes
from submeter.aggregate.decided import SEQ, Decided, decided
from submeter.aggregate.kernel import Rollup, rollup
from submeter.aggregate.series import Series, of_point, register_named
from submeter.aggregate.states import Finality, with_state
from submeter.errors import SubmeterError
from submeter.reading import INT64_MAX, LEVELS, STATUS, Register, Source
from submeter.store import (
    BILL,
    Assignment,
    Block,
    Correction,
    Decision,
    Point,
    Property,
    Published,
    PublishedSeries,
    Readings,
    Registry,
    StoreError,
    pack,
)

__all__ = ["Report", "Rollups"]

log = structlog.get_logger()

#: Series computed and committed together: bounds the memory of a run.
BATCH: Final = 500
#: No block of a level (in order of LEVELS) is longer than this, in µs.
BLOCK_SPAN: Final = tuple(days * civil.DAY for days in (2, 32, 367, 100_000))

INVALID: Final = 1 << STATUS.index("invalid")

#: Rows of some series, one level, with a start in [from, until).
Rows = Callable[[Sequence[int], int, int, int], pa.Table]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did: series computed, rows touched, blocks published, and what was held back for an operator by kind."""

    series: int = 0
    rows: int = 0
    blocks: int = 0
    held: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        held = "".join(f", {count} {kind}" for kind, count in sorted(self.held.items()))
        return f"{self.series} series computed, {self.rows} rows changed, {self.blocks} blocks published{held}"


def _unseen(_done: int, _all: int) -> None:
    """Progress that nobody watches."""


class Rollups:
    """Computes and publishes; one run at a time, on the core's thread."""

    def __init__(self, readings: Readings, registry: Registry, published: Published, finality: Finality) -> None:
        self._readings = readings
        self._registry = registry
        self._published = published
        self._finality = finality

    def run(self, *, now: int, settle: bool = True, everything: bool = False, progress: Progress = _unseen, keyed: Collection[str] = ()) -> Report:
        """Bring every row up to date with the readings as of `now` (µs UTC).

        `settle` also looks at series without a change whose rows time alone may make final. All series are computed if the directory changed since the
        last run, or if `everything` asks for it. `keyed` are devices whose telegrams had waited for a key.
        """
        marks, directory = self._readings.dirty(), self._registry.version()
        changed = directory != self._readings.directory()
        known = dict(self._numbered())
        moved = self._withdraw(known)
        fed = _fed(known, marks)
        why = _Why(self._new_decisions(), fed, fed & self._fed_by(known, keyed))
        settling = set(self._readings.unsettled(now)) if settle else set()
        todo = sorted(known if everything or changed else known.keys() & (moved | settling | fed))
        rows, blocks, held = 0, 0, Counter[str]()
        for first in range(0, max(len(todo), 1), BATCH):
            batch = {number: known[number] for number in todo[first : first + BATCH]}
            touched, heads = self._compute(batch, now=now, why=why, held=held)
            rows, blocks = rows + touched, blocks + self._publish(known, heads)
            progress(first + len(batch), len(todo))
        if self._bill(known):
            blocks += self._publish(known, [])
        self._readings.clear_dirty(marks)
        self._readings.computed_from(directory)
        return Report(len(todo), rows, blocks, held)

    def _numbered(self) -> Iterator[tuple[int, Series]]:
        """Every series of the directory with its number, stitched from what its devices were heard to measure."""
        said = decided(self._registry.decisions.in_force())
        self._readings.register_ids(self._entered())
        registers = defaultdict[str, dict[Register, int]](dict)
        for (device, register), number in self._readings.registers().items():
            registers[device][register] = number
        assignments = defaultdict[str, list[Assignment]](list)
        for assignment in self._registry.assignments():
            assignments[assignment.point].append(assignment)
        buildings = {building.id: building for building in self._registry.properties()}
        series = [
            one for point in self._registry.points() for one in _stitch(point, buildings[point.property], assignments[point.id], registers, said)
        ]
        numbers = self._readings.series_ids([one.key for one in series])
        return ((numbers[one.key], one) for one in series)

    def _withdraw(self, known: Mapping[int, Series]) -> set[int]:
        """Take back what is published of another series under this number, or cut by another zone's days; returns what is to be published whole."""
        shown = {one.id: (one.point, one.register, one.zone) for one in self._published.series()}
        moved = {number for number, one in known.items() if shown.get(number) != (one.point.id, one.register, one.spec.zone)}
        if moved:
            self._readings.publish_again(sorted(moved))
        if gone := shown.keys() - (known.keys() - moved):
            self._published.drop(gone)
        return moved

    def _compute(self, batch: Mapping[int, Series], *, now: int, why: "_Why", held: Counter[str]) -> tuple[int, list[PublishedSeries]]:
        """Compute a batch of series and replace their rows; returns how many were touched, and where each series stands."""
        readings = self._stitched(batch)
        result = _rolled_up(readings, batch)
        last = readings.group_by("series").agg(pl.col("t").max().alias("last"))
        rows = with_state(_frame(result.rows), last, _frame(result.pending), now=now, finality=self._finality)
        held.update(result.held["flag"].to_pylist())
        told = causes(batch, readings, why.decisions, fed=why.fed, keyed=why.keyed)
        changed = self._readings.replace_rollups(list(batch), rows.to_arrow(), now=now, reason="config", causes=told)
        return changed.num_rows, list(_heads(batch, readings.join(_frame(result.dropped), on=["series", "seq"], how="anti")))

    def _stitched(self, batch: Mapping[int, Series]) -> pl.DataFrame:
        """Readings of the batch's series in the kernel's form: each register's readings inside its spans."""
        spans = pl.DataFrame(
            [(number, span.register, span.start, span.end) for number, series in batch.items() for span in series.spans],
            schema={"series": pl.Int32, "register": pl.Int32, "span_start": pl.Int64, "span_end": pl.Int64},
            orient="row",
        )
        readings = _frame(self._readings.readings_of(spans["register"].unique().to_list()))
        inside = (pl.col("t") >= pl.col("span_start")) & (pl.col("t") < pl.col("span_end"))
        stored = readings.join(spans, on="register").filter(inside).rename({"register": "dev"}).drop("span_start", "span_end")
        return _as_decided(stored, batch)

    def _entered(self) -> Iterator[tuple[str, Register]]:
        """Registers that operators entered readings of: a device may never have told them."""
        for one in self._registry.decisions.in_force("reading"):
            there = (a for a in self._registry.assignments_of(one.point) if a.since <= one.details["t"] < (a.until or INT64_MAX))
            yield from ((assignment.device, register_named(one.register)) for assignment in there)

    def _new_decisions(self) -> list[Decision]:
        """Decisions since the last run that change rows, in order; a withdrawal as what it takes back."""
        made = self._registry.decisions.all()
        by_id = {one.id: one for one in made}
        new = [one for one in made if one.audit > self._readings.directory()]
        meant = [replace(by_id[one.withdraws], at=one.at, by=one.by) if one.withdraws else one for one in new]
        return [one for one in meant if one.kind != "bill"]

    def _fed_by(self, known: Mapping[int, Series], devices: Collection[str]) -> set[int]:
        registers = {number for (device, _), number in self._readings.registers().items() if device in devices}
        return {number for number, series in known.items() if any(span.register in registers for span in series.spans)}

    def _bill(self, known: Mapping[int, Series]) -> bool:
        """Bring the billed periods up to the decisions in force, also after a crash or a rebuild; whether there was anything to do."""
        wanted = {one.id: one for one in self._registry.decisions.in_force("bill")}
        applied = set(self._readings.bills()["decision"].to_pylist())
        rows = [
            {
                "decision": one.id,
                "series": number,
                "level": LEVELS.index(one.details["level"]),
                "start": one.details["start"],
                "end": one.details["end"],
            }
            for one in wanted.values()
            if one.id not in applied
            for number, series in known.items()
            if series.point.id == one.point
        ]
        if rows:
            self._readings.bill(pa.Table.from_pylist(rows, schema=BILL))
        if gone := applied - wanted.keys():
            self._readings.unbill(gone)
        return bool(rows or gone)

    def _corrections(self, series: Sequence[int]) -> Mapping[int, Sequence[Correction]]:
        """All corrections of these series."""
        found = defaultdict[int, list[Correction]](list, {number: [] for number in series})
        for row in self._readings.corrections(series).to_pylist():
            found[row["series"]].append(Correction(*row.values()))
        return found

    def readings_of(self, point: str, register: str) -> tuple[Series, pl.DataFrame]:
        """A series of a point and its readings as they are computed with, in order of time, those that count first; StoreError if it has none."""
        batch = {number: one for number, one in self._numbered() if (one.point.id, str(one.register)) == (point, register)}
        if not batch:
            raise StoreError(f"point {point} has no readings of {register} yet")
        stitched = self._stitched(batch)
        dropped = _frame(_rolled_up(stitched, batch).dropped)
        (series,) = batch.values()
        return series, stitched.join(dropped, on=["series", "t", "seq"], how="anti").sort("t", "seq")

    def _publish(self, known: Mapping[int, Series], heads: Sequence[PublishedSeries]) -> int:
        """Publish where series stand together with the blocks that committed changes touched; returns how many blocks."""
        noted = _frame(self._readings.unpublished())
        levels = [(cast("int", level), rows) for (level,), rows in noted.group_by("level")]
        blocks = [block for level, rows in levels for block in self._blocks(known, level, rows, self._readings.rollups)]
        revisions = [block for level, rows in levels for block in self._blocks(known, level, rows, self._readings.revisions) if block.points.size]
        self._published.replace(heads, blocks, revisions, self._corrections(noted["series"].unique().to_list()))
        self._readings.clear_unpublished(noted.to_arrow())
        return len(blocks)

    def _blocks(self, known: Mapping[int, Series], level: int, noted: pl.DataFrame, read: Rows) -> Iterator[Block]:
        """The blocks of one level that hold a noted start, with all their rows that `read` gives."""
        starts = noted.group_by("series").agg(pl.col("start"))
        wanted = {
            number: set(civil.blocks_of(known[number].spec.zone, LEVELS[level], np.array(begun)))
            for number, begun in starts.rows()
            if number in known
        }
        first, last = (cast("int", bound) for bound in (noted["start"].min(), noted["start"].max()))
        rows = _frame(read(list(wanted), level, first - BLOCK_SPAN[level], last + BLOCK_SPAN[level]))
        of_series = rows.partition_by("series", as_dict=True)
        for number, labels in wanted.items():
            points = pack(of_series.get((number,), rows.clear()).to_arrow())
            of_row = np.array(civil.blocks_of(known[number].spec.zone, LEVELS[level], points["start"]))
            for label in sorted(labels):
                yield Block(number, level, label, points[np.searchsorted(of_row, label) : np.searchsorted(of_row, label, "right")])


@dataclass(frozen=True, slots=True)
class _Why:
    """What there is to tell about the changes of a run: decisions since the last one, series with new readings, those that waited for a key."""

    decisions: Sequence[Decision]
    fed: Collection[int]
    keyed: Collection[int]


def _as_decided(stored: pl.DataFrame, batch: Mapping[int, Series]) -> pl.DataFrame:
    """The readings of a batch with the rejected ones marked invalid and the entered ones added, each of the device that was there."""
    wrong = [(number, *span) for number, series in batch.items() for span in series.decided.rejected]
    for number, since, until in wrong:
        hit = (pl.col("series") == number) & (pl.col("t") >= since) & (pl.col("t") < until)
        stored = stored.with_columns(pl.when(hit).then(pl.col("status") | INVALID).otherwise(pl.col("status")).cast(pl.UInt16).alias("status"))
    entered = [
        {"series": number, "dev": span.register, "t": one.t, "value": one.value, "src": one.src, "status": 0, "due": one.due, "pinned": one.pinned}
        | {"seq": SEQ + one.decision}
        for number, series in batch.items()
        for one in series.decided.entered
        for span in series.spans
        if span.start <= one.t < span.end
    ]
    return pl.concat([stored, pl.DataFrame(entered, schema=stored.schema)]) if entered else stored


def _rolled_up(readings: pl.DataFrame, batch: Mapping[int, Series]) -> Rollup:
    """The kernel over a batch; where it refuses, series by series, so that one that cannot be computed costs no other."""
    specs = {number: series.spec for number, series in batch.items()}
    try:
        return rollup(readings.to_arrow(), specs)
    except SubmeterError as error:
        if len(batch) == 1:
            log.error("series left out of the rollup", point=next(iter(batch.values())).point.id, error=str(error))
            return rollup(readings.clear().to_arrow(), specs)
    return Rollup.joined([_rolled_up(readings.filter(pl.col("series") == number), {number: series}) for number, series in batch.items()])


def _fed(known: Mapping[int, Series], marks: pa.Table) -> set[int]:
    """The series that a dirty register feeds."""
    dirty = set(marks["register"].to_pylist())
    return {number for number, series in known.items() if any(span.register in dirty for span in series.spans)}


def _stitch(
    point: Point,
    building: Property,
    assignments: Sequence[Assignment],
    registers: Mapping[str, Mapping[Register, int]],
    said: Mapping[tuple[str, str], Decided],
) -> list[Series]:
    """The series of a point; none, and a line in the log, where its parameters or exchanges cannot be used: other points go on."""
    try:
        return list(of_point(point, building, assignments, registers, said))
    except SubmeterError as error:
        log.error("point left out of the rollup", point=point.id, error=str(error))
        return []


def _heads(batch: Mapping[int, Series], readings: pl.DataFrame) -> Iterator[PublishedSeries]:
    """Where each series stands: the last usable reading of the device that is there now, and when it was last heard live."""
    present = {number: series.spans[-1].register for number, series in batch.items()}
    readings = readings.filter(pl.col("dev") == pl.col("series").replace_strict(present, default=None, return_dtype=pl.Int32))
    last = readings.sort("t", "seq").group_by("series", maintain_order=True).agg(
        pl.col("t").last(), pl.col("value").last(), pl.col("t").filter(pl.col("src") == Source.LIVE).max().alias("heard")
    )  # fmt: skip
    standing = {number: rest for number, *rest in last.rows()}
    for number, series in batch.items():
        yield PublishedSeries(number, series.point.id, series.register, series.kind, series.spec.zone, *standing.get(number, (None, None, None)))


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
