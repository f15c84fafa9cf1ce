"""What a computation found, as events of its points (SPEC 14): steps that were held, readings that were dropped, undecided tails, rollovers, revised rows.

Strategy: a batch's result is compared with the events that are there; only what is new is raised and only what is gone is settled, in one transaction.
Where only a window of a series was computed, nothing outside it is settled.
Rules: held steps and undecided tails are tasks, at their own instant; dropped readings are counted, one event for each series, reason and local day;
a text names the device, the values and what to do.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from submeter import civil
from submeter.aggregate.classifier import FLAG
from submeter.aggregate.frames import framed
from submeter.aggregate.kernel import Rollup
from submeter.aggregate.series import Series
from submeter.aggregate.windows import Window
from submeter.reading import LEVELS, STATES, from_micro
from submeter.store import TASKS, Event, Registry

__all__ = ["COUNTED", "found", "revised"]

#: Reasons of dropped readings that somebody may have to know; `status` is told by the meter's own alarms, the others are as they should be.
COUNTED: Final = ("conflict", "glitch", "spike")
HOUR: Final = LEVELS.index("hour")
FINAL: Final = STATES.index("final")
TEXTS: Final[Mapping[str, str]] = {
    "suspect_jump": "{device} jumps by {amount} {unit}, more than its largest credible use; not booked: read the meter; "
    "if it was exchanged, enter the exchange in the directory with its end and start value and import it",
    "suspect_exchange": "{device} falls by {amount} {unit} and stays there; nothing booked over the step: "
    "enter the exchange in the directory with its end and start value and import it",
    "exchange_unknown": "the final or first index of the exchange to {device} is missing; the use over it is a lower bound: "
    "enter end_value and start_value in the directory and import it",
    "reset": "{device} began anew from 0; what was used between its last reading and the restart is unknown: the row is a lower bound",
    "reset_unknown": "the value of {device} at the set day is missing; what was used up to it is unknown: the row is a lower bound",
    "pending": "readings of {device} after this instant cannot be decided yet: more readings decide it",
    "conflict": "{device} has several values for one instant; the latest received of the best source counts: {count} readings left out that day",
    "glitch": "{device} fell for a moment and came back: {count} readings left out that day",
    "spike": "{device} rose for a moment and came back: {count} readings left out that day",
    "rollover": "the index of {device} went past its last digit; counted on",
}


@dataclass(frozen=True, slots=True)
class _Found:
    """One event that the result holds."""

    series: int
    kind: str
    at: int
    amount: int | None = None
    count: int | None = None


def found(registry: Registry, batch: Mapping[int, Series], result: Rollup, windows: Sequence[Window], *, now: int) -> None:
    """Raise what the result of a batch holds, and settle the tasks that it does not hold any more; raises StoreError.

    `windows` are the parts of the series that were computed: what is open outside them stays.
    """
    told = list(_told(batch, result))
    tasks = _tasks_of(registry, batch)
    holding = {(one.series, one.kind, one.at) for one in told}
    computed = [(task, window) for window in windows for task in tasks[window.series] if window.first <= task.at < window.beyond]
    gone = [task for task, window in computed if (window.series, task.kind, task.at) not in holding]
    fresh = list(_fresh(registry, batch, told))
    if not fresh and not gone:
        return
    with registry.writing():
        for task in gone:
            registry.events.settle(task.kind, task.subject, (), now=now, since=task.at, until=task.at + 1)
        for one in fresh:
            _raise(registry, batch[one.series], one, now)


def revised(registry: Registry, batch: Mapping[int, Series], changed: pa.Table, *, now: int, reason: str) -> None:
    """Tell of final rows that were revised (schema CHANGED): one event for each series, at the start of the first of them; raises StoreError."""
    final = changed.filter(pc.and_(pc.equal(changed["was"], FINAL), pc.or_kleene(pc.is_null(changed["rev"]), pc.greater(changed["rev"], 1))))
    if not final.num_rows:
        return
    levels = [(pl.col("level") == level).sum().alias(name) for level, name in enumerate(LEVELS)]
    rows = framed(final).group_by("series", maintain_order=True).agg(pl.col("start").min(), *levels, last=pl.col("start").max(), count=pl.len())
    with registry.writing():
        for row in rows.iter_rows(named=True):
            parts = ", ".join(f"{row[name]} {name}" for name in LEVELS if row[name])
            detail = f"{row['count']} final rows ({parts}) from {civil.iso(row['start'])} to {civil.iso(row['last'])} have changed: {reason}"
            registry.events.raise_("changed_after_final", batch[row["series"]].key.subject, row["start"], now=now, detail=detail, count=row["count"])


def _told(batch: Mapping[int, Series], result: Rollup) -> Iterator[_Found]:
    for row in result.held.to_pylist():
        yield _Found(row["series"], row["flag"], row["t"], row["amount"])
    for row in result.pending.to_pylist():
        yield _Found(row["series"], "pending", row["since"])
    counts = defaultdict[tuple[int, str, int], int](int)
    for row in result.dropped.filter(pc.is_in(result.dropped["reason"], pa.array(COUNTED))).to_pylist():
        counts[row["series"], row["reason"], civil.floor(batch[row["series"]].spec.zone, "day", row["t"])] += 1
    for (number, reason, day), count in counts.items():
        yield _Found(number, reason, day, count=count)
    for number, start in _rolled_over(result.rows):
        if batch[number].kind != "gauge":
            yield _Found(number, "rollover", start)


def _rolled_over(rows: pa.Table) -> Iterable[tuple[int, int]]:
    """Series and start of the hours in which an index rolled over."""
    flagged = pc.not_equal(pc.bit_wise_and(rows["flags"], pa.scalar(FLAG["rollover"], pa.uint32())), 0)
    over = rows.filter(pc.and_(flagged, pc.equal(rows["level"], HOUR)))
    return zip(over["series"].to_pylist(), over["start"].to_pylist(), strict=True)


def _tasks_of(registry: Registry, batch: Mapping[int, Series]) -> dict[int, list[Event]]:
    """The open tasks of the batch's series."""
    numbers = {series.key.subject: number for number, series in batch.items()}
    tasks = defaultdict[int, list[Event]](list)
    for event in registry.events.find(state="open", kinds=TASKS):
        if event.subject in numbers:
            tasks[numbers[event.subject]].append(event)
    return tasks


def _fresh(registry: Registry, batch: Mapping[int, Series], told: Iterable[_Found]) -> Iterator[_Found]:
    """What the events do not say yet; a day that was computed in part keeps the larger count."""
    known: dict[int, dict[tuple[str, int], Event]] = {}
    for one in told:
        if one.series not in known:
            known[one.series] = {(event.kind, event.at): event for event in registry.events.find(subject=batch[one.series].key.subject)}
        before = known[one.series].get((one.kind, one.at))
        if before is None or before.gone or (before.decided_by is None and (before.amount != one.amount or (one.count or 0) > before.count)):
            yield one


def _raise(registry: Registry, series: Series, one: _Found, now: int) -> None:
    assignments = registry.assignments_of(series.point.id)
    device = next((a.device for a in reversed(assignments) if a.since <= one.at), f"the meter of {series.point.id}")
    amount = "an unknown amount" if one.amount is None else from_micro(abs(one.amount))
    detail = TEXTS[one.kind].format(device=device, amount=amount, unit=series.register.unit, count=one.count)
    registry.events.raise_(one.kind, series.key.subject, one.at, now=now, detail=detail, amount=one.amount, count=one.count)
