"""The scheduled run: dirty registers → windows of series → rows → published blocks.

A run takes the dirty ranges, stitches the registers they name into series of points, computes the days that the new readings can have touched (`windows`),
sums them into months and years (`days`), replaces the rows that differ (one transaction per batch of series, which also notes what is to be published),
publishes what is noted, and last clears the marks it started from. A series is computed whole if anything but its readings changed since its rows were made.
A crash between any two steps leaves marks or notes behind, and the next run goes on from them; its result equals a computation from scratch.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, cast

import polars as pl
import pyarrow as pa
import structlog

from submeter import civil
from submeter.aggregate import findings, recompute
from submeter.aggregate.causes import causes
from submeter.aggregate.columns import SCHEMA
from submeter.aggregate.days import summed
from submeter.aggregate.decided import Decided, decided
from submeter.aggregate.engine import Engine, Whole, Work
from submeter.aggregate.frames import framed
from submeter.aggregate.kernel import Rollup
from submeter.aggregate.losses import Losses
from submeter.aggregate.parts import Cutter
from submeter.aggregate.periods import samples_of, use_between
from submeter.aggregate.publishing import Publisher
from submeter.aggregate.retain import Kept, Limits, retain
from submeter.aggregate.rows import Row
from submeter.aggregate.series import Series, changed, fingerprint, of_point, register_named
from submeter.aggregate.states import Finality, with_state
from submeter.aggregate.stitching import Computed, rolled_up, stitched
from submeter.aggregate.windows import Day, Range, Window, planned
from submeter.errors import SubmeterError
from submeter.reading import INT64_MAX, LEVELS, Register
from submeter.store import (
    BILL,
    COMPUTED,
    Assignment,
    Decision,
    Point,
    Property,
    Published,
    PublishedSeries,
    Readings,
    Registry,
    StoreError,
    tabled,
)

__all__ = ["Report", "Rollups"]

log = structlog.get_logger()

#: Series computed and committed together: bounds the memory of a run. A window of days counts by its share of a year, but not less than LEAST.
BATCH: Final = 500
LEAST: Final = 0.05

Progress = Callable[[int, int], None]
#: The kernel over windows of a batch of series, wherever it works.
Compute = Callable[[Mapping[int, Series], Sequence[Window]], Computed]
#: What the rows of each series were computed from, see `Readings.computed`.
Stored = Mapping[int, Mapping[str, str | int | None]]


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
        self._rolled_up = partial(rolled_up, readings.readings_inside)
        self._stitched = partial(stitched, readings.readings_inside)
        self._cutter = Cutter(readings, registry, published, self._stitched)
        self._losses = Losses(readings, registry)
        self._publisher = Publisher(readings, published, self._cutter, self._losses)
        self._finality = finality
        self._stitched_at: tuple[tuple[int, int], dict[int, Series], dict[int, str]] | None = None
        #: The series that the published file was last compared with.
        self._withdrawn_from: Mapping[int, Series] | None = None

    def run(
        self,
        *,
        now: int,
        settle: bool = True,
        everything: bool = False,
        progress: Progress = _unseen,
        keyed: Collection[str] = (),
        engine: Engine | None = None,
    ) -> Report:
        """Bring every row up to date with the readings as of `now` (µs UTC).

        `settle` also moves the states of rows that time alone may make final. All series are computed whole if `everything` asks for it. `keyed` are
        devices whose telegrams had waited for a key. With an `engine` the kernel works there, over whole series.
        """
        marks, directory = self._readings.dirty(), self._registry.version()
        known, prints = self._known()
        moved = self._withdraw(known)
        if not self._readings.rehearsing:
            self._cutter.look(known, prints)
            self._losses.look(known)
        rows, blocks, done, held = 0, 0, 0, Counter[str]()
        stored = self._readings.computed()
        self._readings.forget(stored.keys() - known.keys())
        state = _State(now, known, prints, stored, *self._floors(), self._new_decisions(), self._fed_by(known, keyed))
        fitting = {number: series for number, series in known.items() if _fits(series, state.floors.get(number))}
        work = self._work(state, fitting, moved, marks, everything=everything)
        groups, compute = iter([work]), cast("Compute", self._rolled_up)
        if engine is not None:
            groups, compute = engine.groups(_wholes(state, fitting), work, everything=everything), engine.rolled_up
        for batch in (batch for group in groups for batch in _batches(group, now)):
            touched, heads, windows = self._compute(state, batch, held, compute)
            rows, blocks, done = rows + touched, blocks + self._publisher.publish(known, heads, windows), done + len(batch)
            progress(done, len(work))
        if settle:
            rows += self._settle(known, now)
        self._bill(known, now)
        blocks += self._publisher.publish(known, [])
        if not self._readings.rehearsing:
            self._publisher.cut_anew()
        self._withdrawn_from = known
        self._readings.clear_dirty(marks)
        if directory != self._readings.directory():
            self._readings.computed_from(directory)
        return Report(len(work), rows, blocks, held)

    def _floors(self) -> tuple[dict[int, Day], pl.DataFrame]:
        """What retention left: the first day of each series whose older readings are gone, and where rows of a level begin (series, level, floor)."""
        floors = framed(self._readings.retention.floors()).filter(pl.col("what") != "readings")
        level = pl.col("what").replace_strict({name: i for i, name in enumerate(LEVELS)}, default=None, return_dtype=pl.UInt8)
        days = {number: Day(**day) for number, day in self._readings.retention.days().items()}
        return days, floors.select("series", level.alias("level"), floor="start")

    def _work(self, state: "_State", known: Mapping[int, Series], moved: set[int], marks: pa.Table, *, everything: bool) -> list[Work]:
        """What is to be computed: each series with the reason and its windows; whole where anything but readings that were added changed."""
        floors = state.floors
        specs = {number: series.spec for number, series in known.items()}
        reasons = {number: changed(cast("str | None", state.stored.get(number, {}).get("spec")), state.prints[number]) for number in known}
        whole = {number: reason or "config" for number, reason in reasons.items() if everything or reason or number in moved}
        ranges = {number: some for number, some in _fed(known, marks).items() if number not in whole}
        sent_in = self._registry.self_readings.places()
        for number in [one for one in ranges if (known[one].point.id, str(known[one].register)) in sent_in]:
            whole[number] = "late_reading"
            ranges.pop(number)
        work: list[Work] = [(number, reason, [Window.whole(number, specs[number], floors.get(number))]) for number, reason in whole.items()]
        return work + [(number, "late_reading", windows) for number, windows in planned(ranges, specs, floors, self._readings.begun)]

    def _known(self) -> tuple[dict[int, Series], dict[int, str]]:
        """Every series by its number, with its fingerprint; kept until the directory, a decision or what is heard of changes."""
        at = self._registry.version(), len(self._readings.registers())
        if self._stitched_at is None or self._stitched_at[0] != at:
            known = dict(self._numbered())
            prints = {number: fingerprint(series) for number, series in known.items()}
            if self._readings.rehearsing:
                return known, prints
            self._stitched_at = (self._registry.version(), len(self._readings.registers())), known, prints
        return self._stitched_at[1:]

    def _numbered(self) -> Iterator[tuple[int, Series]]:
        """Every series of the directory with its number, stitched from what its devices were heard to measure."""
        decisions = self._registry.decisions.in_force()
        said = decided(decisions)
        assignments = defaultdict[str, list[Assignment]](list)
        for assignment in self._registry.assignments():
            assignments[assignment.point].append(assignment)
        self._readings.register_ids(_entered(decisions, assignments))
        registers = defaultdict[str, dict[Register, int]](dict)
        for (device, register), number in self._readings.registers().items():
            registers[device][register] = number
        buildings = {building.id: building for building in self._registry.properties()}
        series = [
            one for point in self._registry.points() for one in _stitch(point, buildings[point.property], assignments[point.id], registers, said)
        ]
        numbers = self._readings.series_ids([one.key for one in series])
        return ((numbers[one.key], one) for one in series)

    def _withdraw(self, known: Mapping[int, Series]) -> set[int]:
        """Take back what is published of another series under this number, or cut by another zone's days; returns what is to be published whole."""
        if self._withdrawn_from is known:
            return set()
        shown = {one.id: (one.point, one.register, one.zone) for one in self._published.series()}
        moved = {number for number, one in known.items() if shown.get(number) != (one.point.id, one.register, one.spec.zone)}
        if moved:
            self._readings.publish_again(sorted(moved))
        if gone := shown.keys() - (known.keys() - moved):
            self._published.drop(gone)
        return moved

    def _compute(
        self, state: "_State", work: Sequence[Work], held: Counter[str], compute: Compute
    ) -> tuple[int, list[PublishedSeries], Sequence[Window]]:
        """Compute the windows of a batch of series and replace their rows; returns how many were touched, where each series stands, and the final windows."""
        now, batch = state.now, {number: state.known[number] for number, _, _ in work}
        windows, result, readings = compute(batch, [window for _, _, some in work for window in some])
        within = recompute.within(batch, windows)
        rows = pl.concat([framed(result.rows), self._summed(batch, windows, framed(result.days))])
        rows, within = _retained(rows, within, state.begun)
        computed = _standing(state, batch, windows, result)
        rows = with_state(rows, computed, now=now, finality=self._finality)
        held.update(result.held["flag"].to_pylist())
        changed_rows = self._readings.replace_rollups(
            list(batch),
            rows.to_arrow(),
            now=now,
            causes=causes(batch, readings, work[0][1], state.decisions, keyed=state.keyed),
            within=within.to_arrow(),
            days=result.days,
            computed=computed.to_arrow(),
        )
        findings.found(self._registry, batch, result, windows, now=now)
        findings.revised(self._registry, batch, changed_rows, now=now, reason=work[0][1])
        return changed_rows.num_rows, self._publisher.heads(batch, windows, readings), windows

    def _summed(self, batch: Mapping[int, Series], windows: Sequence[Window], fresh: pl.DataFrame) -> pl.DataFrame:
        """Rows of months and years that windows touch in part, from the days that are known outside them and those `fresh` inside."""
        reach = recompute.reach(batch, windows)
        years = [(number, *recompute.whole_years(batch[number], first, beyond)) for number, (first, beyond) in reach.items()]
        spans = pl.DataFrame(years, schema={"series": pl.Int32, "first": pl.Int64, "beyond": pl.Int64}, orient="row")
        cut = pl.DataFrame(
            [(window.series, window.first, window.beyond) for window in windows if window.series in reach], schema=spans.schema, orient="row"
        )
        days = framed(self._readings.days(spans.to_arrow(), without=cut.to_arrow())) if reach else fresh.clear()
        days = pl.concat([days, fresh.filter(pl.col("series").is_in(list(reach)))])
        groups = defaultdict[tuple[str, str, bool], list[int]](list)
        for number in reach:
            spec = batch[number].spec
            groups[spec.zone, spec.parameters.year_start, spec.parameters.kind == "gauge"].append(number)
        parts = [
            summed(days.filter(pl.col("series").is_in(members)), zone, year_start, gauge=gauge)
            for (zone, year_start, gauge), members in groups.items()
        ]
        rows = pl.concat([framed(SCHEMA.empty_table()), *parts])
        ends = pl.DataFrame([(number, *ends) for number, ends in reach.items()], schema=spans.schema, orient="row")
        touched = (pl.col("end") > pl.col("first")) & (pl.col("start") < pl.col("beyond"))
        return rows.join(ends, on="series").filter(touched).select(rows.columns)

    def _settle(self, known: Mapping[int, Series], now: int) -> int:
        """Move the states that time alone moves; returns how many rows."""
        rows = framed(self._readings.unsettled(now)).filter(pl.col("series").is_in(list(known)))
        if not rows.height:
            return 0
        moved = self._by_time(rows.rename({"state": "was"}), now).filter(pl.col("state") != pl.col("was"))
        if moved.height:
            self._readings.move_states(moved.to_arrow())
        return moved.height

    def _by_time(self, rows: pl.DataFrame, now: int) -> pl.DataFrame:
        """Rows (series, level, start, end) with the state that they have if nobody billed them."""
        computed = pl.DataFrame(
            [(number, row["last"], row["since"]) for number, row in self._readings.computed().items()],
            schema={"series": pl.Int32, "last": pl.Int64, "since": pl.Int64},
            orient="row",
        )
        return with_state(rows, computed, now=now, finality=self._finality)

    def _new_decisions(self) -> list[Decision]:
        """Decisions since the last run that change rows, in order; a withdrawal as what it takes back."""
        made = self._registry.decisions.all()
        by_id = {one.id: one for one in made}
        directory = self._readings.directory()
        since = directory if directory >= 0 else ~directory  # see submeter.level: a registry that was older
        new = [one for one in made if one.audit > since]
        meant = [replace(by_id[one.withdraws], at=one.at, by=one.by) if one.withdraws else one for one in new]
        return [one for one in meant if one.kind != "bill"]

    def _fed_by(self, known: Mapping[int, Series], devices: Collection[str]) -> set[int]:
        registers = {number for (device, _), number in self._readings.registers().items() if device in devices}
        return {number for number, series in known.items() if any(span.register in registers for span in series.spans)}

    def _bill(self, known: Mapping[int, Series], now: int) -> None:
        """Bring the billed periods up to the decisions in force, also after a crash or a rebuild."""
        wanted = {one.id: one for one in self._registry.decisions.in_force("bill")}
        applied = set(self._readings.bills()["decision"].to_pylist())
        rows = [
            (one.id, number, LEVELS.index(one.details["level"]), one.details["start"], one.details["end"])
            for one in wanted.values()
            if one.id not in applied
            for number, series in known.items()
            if series.point.id == one.point
        ]
        if rows:
            self._readings.bill(tabled(rows, BILL))
        if gone := applied - wanted.keys():
            self._readings.unbill(gone, self._by_time(framed(self._readings.billed(gone)), now).to_arrow())

    def readings_of(self, point: str, register: str) -> tuple[Series, pl.DataFrame]:
        """A series of a point and its readings as they are computed with, in order of time, those that count first; StoreError if it has none."""
        found = [(number, one) for number, one in self._known()[0].items() if (one.point.id, str(one.register)) == (point, register)]
        if not found:
            raise StoreError(f"point {point} has no readings of {register} yet")
        ((number, series),) = found
        window = Window.whole(number, series.spec)
        stitched = self._stitched({number: series}, {number: window})
        dropped = framed(recompute.computed(stitched, {number: (window, series)}).dropped)
        return series, stitched.join(dropped, on=["series", "t", "seq"], how="anti").sort("t", "seq")

    def series(self) -> Mapping[int, Series]:
        """Every series of the directory by its number."""
        return self._known()[0]

    def use_between(self, point: str, register: str, start: int, end: int, *, rated: bool = True) -> Row | None:
        """Use of a point between two instants, see `periods.use_between`; None where its data do not reach."""
        try:
            series, readings = self.readings_of(point, register)
        except StoreError:
            return None
        return use_between(samples_of(readings), series.spec, start, end, rated=rated)

    def retain(self, limits: Limits, *, now: int) -> Kept:
        """Delete readings, hours and days older than these limits and their properties' own, and publish what is left, see `retain`."""
        known, _ = self._known()
        kept = retain(self._readings, known, {one.id: limits.of(one) for one in self._registry.properties()}, now=now)
        self._publisher.publish(known, [])
        self._published.forget_parts(self._floors()[1].rows())
        return kept


@dataclass(frozen=True, slots=True)
class _State:
    """What a run goes by: the instant, all series with their fingerprints, what their rows were computed from, and what retention left (see `_floors`).

    For the history: decisions since the last run, series whose telegrams had waited for a key.
    """

    now: int
    known: Mapping[int, Series]
    prints: Mapping[int, str]
    stored: Stored
    floors: Mapping[int, Day]
    begun: pl.DataFrame
    decisions: Sequence[Decision]
    keyed: Collection[int]


def _entered(decisions: Iterable[Decision], assignments: Mapping[str, Sequence[Assignment]]) -> Iterator[tuple[str, Register]]:
    """Registers that operators entered readings of: a device may never have told them."""
    for one in decisions:
        if one.kind == "reading":
            there = (assignment for assignment in assignments.get(one.point, ()) if assignment.holds(one.details["t"]))
            yield from ((assignment.device, register_named(one.register)) for assignment in there)


def _retained(rows: pl.DataFrame, within: pl.DataFrame, floors: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows, and the ranges that they replace, without what retention deleted: it does not come back."""
    kept, cut = (frame.join(floors, on=["series", "level"], how="left", maintain_order="left") for frame in (rows, within))
    kept = kept.filter(pl.col("floor").is_null() | (pl.col("start") >= pl.col("floor")))
    cut = cut.with_columns(pl.max_horizontal("first", pl.col("floor").fill_null(-INT64_MAX)).alias("first"))
    return kept.select(rows.columns), cut.select(within.columns)


def _wholes(state: _State, series: Mapping[int, Series]) -> dict[int, Whole]:
    return {number: Whole(one, state.prints[number], Window.whole(number, one.spec, state.floors.get(number))) for number, one in series.items()}


def _fits(series: Series, floor: Day | None) -> bool:
    """Whether the days of a series are still cut where its readings begin; one whose zone changed since they were deleted stays as it was."""
    fits = floor is None or civil.floor(series.spec.zone, "day", floor.start) == floor.start
    if not fits:
        log.error("series left as it was: its zone changed after its older readings were deleted", point=series.point.id)
    return fits


def _batches(work: Iterable[Work], now: int) -> Iterator[list[Work]]:
    """Cut work of one reason into batches of bounded size, series that begin alike together."""
    batch: list[Work] = []
    size = 0.0
    for one in sorted(work, key=lambda one: (one[1], one[2][0].first, one[0])):
        share = sum(max(min((min(window.beyond, now) - window.first) / (365 * civil.DAY), 1), LEAST) for window in one[2])
        if batch and (one[1] != batch[0][1] or size + share > BATCH):
            yield batch
            batch, size = [], 0.0
        batch.append(one)
        size += share
    if batch:
        yield batch


def _standing(state: _State, batch: Mapping[int, Series], windows: Sequence[Window], result: Rollup) -> pl.DataFrame:
    """COMPUTED of the batch: what windows that reach a series' end found there, else what was known."""
    ended = {window.series for window in windows if window.stop is None}
    last, since = (
        dict(zip(table["series"].to_pylist(), table[name].to_pylist(), strict=True))
        for table, name in ((result.reach, "last"), (result.pending, "since"))
    )
    rows = [
        (
            number,
            state.prints[number],
            *((last.get(number), since.get(number)) if number in ended else (state.stored[number]["last"], state.stored[number]["since"])),
        )
        for number in batch
    ]
    return pl.DataFrame(rows, schema=dict(zip(COMPUTED.names, (pl.Int32, pl.String, pl.Int64, pl.Int64), strict=True)), orient="row")


def _fed(known: Mapping[int, Series], marks: pa.Table) -> dict[int, list[Range]]:
    """The series that dirty registers feed, with the ranges that lie in the registers' spans."""
    dirty = defaultdict[int, list[Range]](list)
    for register, first, last in zip(*(marks[name].to_pylist() for name in ("register", "t_from", "t_to")), strict=True):
        dirty[register].append((first, last))
    fed = {
        number: [
            (max(first, span.start), min(last, span.end))
            for span in series.spans
            for first, last in dirty.get(span.register, ())
            if first < span.end and last >= span.start
        ]
        for number, series in known.items()
    }
    return {number: ranges for number, ranges in fed.items() if ranges}


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
