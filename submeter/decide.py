"""What operators decide, as commands on an open core: tasks, exchanges, entered readings, bills, and taking any of it back (SPEC 13).

Strategy: a command checks the preconditions (SPEC 2.5) on what is stored now, keeps one decision with its audit in one transaction, and rolls up at once,
so that its lines tell what came of it. Rules: nothing that a meter said is changed; every decision has an author and a reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import polars as pl

from submeter import civil
from submeter.aggregate import faults
from submeter.core import Core, now
from submeter.errors import SubmeterError
from submeter.reading import FLAGS, LEVELS, STATES, DeviceId, from_micro, to_micro
from submeter.store import METHODS, TASKS, Assignment, Decision, Event, Point

__all__ = ["COMMANDS"]

FINAL: Final = STATES.index("final")
#: How far an entered reading may lie ahead (SPEC 14, `clock_drift`), µs.
AHEAD: Final = 10 * civil.MINUTE
#: What else than `accept` or `reject` settles a kind of task.
SETTLES: Final = {
    "suspect_exchange": "submeter exchange {point} --at {at} --end VALUE --start VALUE",
    "exchange_unknown": "submeter exchange {point} --at {at} --end VALUE --start VALUE",
    "reset_unknown": "submeter reading {point} --at {at} --value VALUE --due",
}


def _tasks(core: Core) -> Iterator[str]:
    open_tasks = [event for event in core.registry.events.find(state="open") if event.kind in TASKS]
    for task in open_tasks:
        yield from _task_lines(core, task)
    yield f"{len(open_tasks)} open tasks"


def _task_lines(core: Core, task: Event) -> Iterator[str]:
    point, register = _place(task)
    amount = f"  {_number(task.amount)} not booked" if task.amount is not None else ""
    label = core.registry.point(point).label
    device = next((one.device for one in core.registry.assignments_of(point) if one.holds(task.at)), "no device")
    yield f"{task.id}  {task.kind}  point {point} {register} {label}  {device}  at {civil.iso(task.at)}{amount}"
    if bounded := _bounded(core, task):
        yield f"    bounds {', '.join(bounded)}"
    if other := SETTLES.get(task.kind):
        yield f"    settle by {other.format(point=point, at=civil.iso(task.at))} --by WHO --reason TEXT"
    yield f"    or by submeter tasks accept {task.id}, or submeter tasks reject {task.id}"


def _bounded(core: Core, task: Event) -> list[str]:
    """The rows that the task leaves without an upper bound, as first and last start of each level but the hour."""
    if task.kind not in FLAGS:
        return []
    point, register = _place(task)
    numbers = [number for key, number in core.readings.series().items() if (key.point, str(key.register)) == (point, register)]
    found = []
    for level, name in list(enumerate(LEVELS))[1:]:
        rows = core.readings.rollups(numbers, level, -(2**62), task.at).to_pylist()
        marked = [row["start"] for row in reversed(rows) if row["flags"] >> FLAGS.index(task.kind) & 1]
        if marked:
            day = civil.local_date(core.registry.zone_of(point), marked[0])
            found.append(f"{name} of {day}")
    return found


def _accept(core: Core, *, task: int, by: str, reason: str) -> Iterator[str]:
    event = _open_task(core, task)
    point, register = _place(event)
    at = _undecided(core, event, rising=True) if event.kind == "pending" else event.at
    with core.registry.writing():
        made = core.registry.decisions.enter("accept", point, register, by=by, reason=reason, now=now(), details={"task": task, "t": at})
        core.registry.events.close(task, by=by, decision=f"accept: decision {made.id}", now=now())
    told = f"the step at {civil.iso(at)} is booked" if event.kind in {"suspect_jump", "pending"} else "what is booked is a lower bound, and stays so"
    yield f"decision {made.id}: {told}"
    yield from _roll(core)


def _reject(core: Core, *, task: int, by: str, reason: str, until: str | None = None) -> Iterator[str]:
    event = _open_task(core, task)
    if event.kind not in {"suspect_jump", "suspect_exchange", "reset", "pending"}:
        raise SubmeterError(f"task {task} ({event.kind}) has no reading to reject: accept it, or enter the missing values")
    point, register = _place(event)
    at = _undecided(core, event) if event.kind == "pending" else event.at
    end = at + 1 if until is None else _instant(core, point, until)
    if end <= at:
        raise SubmeterError(f"--until must be after {civil.iso(at)}; what is read then counts again")
    with core.registry.writing():
        made = core.registry.decisions.enter(
            "reject", point, register, by=by, reason=reason, now=now(), details={"task": task, "t": at, "until": end}
        )
        core.registry.events.close(task, by=by, decision=f"reject: decision {made.id}", now=now())
    yield f"decision {made.id}: readings from {civil.iso(at)} count no more{f', until {civil.iso(end)}' if until else ': that one alone'}"
    yield from _roll(core)


def _undecided(core: Core, event: Event, *, rising: bool = False) -> int:
    """The instant of the reading that a pending tail waits to decide; refuses to book one that falls."""
    point, register = _place(event)
    _, readings = core.rollups.readings_of(point, register)
    before, after = readings.filter(pl.col("t") <= event.at), readings.filter(pl.col("t") > event.at)
    if not after.height:
        raise SubmeterError(f"task {event.id} is decided by now: run `submeter rollup` and look again")
    if rising and before.height and after["value"][0] < before["value"][-1]:
        raise SubmeterError(f"the index of point {point} fell at {civil.iso(after['t'][0])}: enter the exchange, or reject the reading")
    return int(after["t"][0])


def _exchange(
    core: Core, *, point: str, at: str, by: str, reason: str, new: str | None = None, end: str | None = None, start: str | None = None
) -> Iterator[str]:
    core.drain_all()
    place, instant = core.registry.point(point), _instant(core, point, at)
    before = core.registry.assignments_of(point)
    after = _exchanged(before, instant, _device(new), _micro(end), _micro(start))
    _possible(core, place, after, instant)
    with core.registry.writing():
        core.registry.replace_assignments(point, after)
        if mistakes := [line for line in faults(core.registry) if line.startswith(f"point {point}:")]:
            raise SubmeterError("\n".join(mistakes))
        kept = {"t": instant, "before": [astuple(one) for one in before], "after": [astuple(one) for one in after]}
        made = core.registry.decisions.enter("exchange", point, by=by, reason=reason, now=now(), details=kept)
    yield f"decision {made.id}: exchange at {civil.iso(instant)}; write it into the directory file too, or its next import is refused"
    yield from _roll(core)


def _exchanged(assignments: Sequence[Assignment], at: int, new: str | None, end: int | None, start: int | None) -> list[Assignment]:
    """The assignments with an exchange at this instant: one more, or new values for the one that is there."""
    for i, (old, following) in enumerate(pairwise(assignments)):
        if following.since == at:
            values = replace(following, device=new or following.device, start_value=following.start_value if start is None else start)
            return [*assignments[:i], replace(old, end_value=old.end_value if end is None else end), values, *assignments[i + 2 :]]
    for i, old in enumerate(assignments):
        if old.holds(at) and old.since < at:
            following = Assignment(old.point, new or old.device, at, old.until, start, old.end_value)
            return [*assignments[:i], replace(old, until=at, end_value=end), following, *assignments[i + 1 :]]
    raise SubmeterError(f"there is no device to exchange at {civil.iso(at)}: the point's assignments do not reach there")


def _possible(core: Core, point: Point, after: Sequence[Assignment], at: int) -> None:
    """What SPEC 2.5 asks of an exchange beside distinct instants and no set day, which `faults` sees; and that its device is elsewhere not."""
    others = {one.id: one for one in core.registry.points()}
    mine = next(one for one in after if one.since == at)
    for one in core.registry.assignments():
        apart = (one.until is not None and one.until <= mine.since) or (mine.until is not None and mine.until <= one.since)
        if one.device == mine.device and one.point != point.id and not apart and set(others[one.point].registers) & set(point.registers):
            raise SubmeterError(f"{mine.device} measures at point {one.point} in this time: end that assignment first")
    readings = _known_readings(core, point)
    if readings.filter(pl.col("due") & (pl.col("t") == at)).height:
        raise SubmeterError(f"a due value was read at {civil.iso(at)}: move the exchange by a second")
    following = next((one.since for one in after if one.since > at), None)
    between = readings.filter((pl.col("t") >= at) & (pl.col("t") < (following or 0)))
    if following is not None and mine.start_value is None and not between.height:
        raise SubmeterError(f"no reading stands between this exchange and the next at {civil.iso(following)}: write --start")


def _known_readings(core: Core, point: Point) -> pl.DataFrame:
    try:
        return core.rollups.readings_of(point.id, point.registers[0])[1]
    except SubmeterError:
        return pl.DataFrame(schema={"t": pl.Int64, "value": pl.Int64, "due": pl.Boolean})


def _reading(
    core: Core,
    *,
    point: str,
    at: str,
    value: str,
    by: str,
    reason: str,
    src: str = "manual",
    method: str | None = None,
    register: str | None = None,
    due: bool = False,
    pinned: bool = False,
) -> Iterator[str]:
    place, instant, index = core.registry.point(point), _instant(core, point, at), _micro(value)
    name = register or place.registers[0]
    if name not in place.registers:
        raise SubmeterError(f"point {point} has no register {name}: write one of {', '.join(place.registers)}")
    if src == "substitute" and method not in METHODS:
        raise SubmeterError(f"{method!r} is no method: write one of {', '.join(METHODS)}")
    if instant > now() + AHEAD:
        raise SubmeterError(f"{civil.iso(instant)} lies ahead: a reading is of the past")
    if not any(one.holds(instant) for one in core.registry.assignments_of(point)):
        raise SubmeterError(f"no device was at point {point} at {civil.iso(instant)}: its assignments begin later, or have ended")
    details = {"t": instant, "value": index, "src": src, "due": due, "pinned": pinned, "method": method}
    made = core.registry.decisions.enter("reading", point, name, by=by, reason=reason, now=now(), details=details)
    yield f"decision {made.id}: {src} reading of {value} at {civil.iso(instant)}"
    yield from _roll(core)


def _bill(core: Core, *, target: str, start: str, end: str, by: str, reason: str) -> Iterator[str]:
    core.drain_all()
    core.rollup()
    points = [point for point in core.registry.points() if target in {point.id, point.unit, point.property}]
    if not points:
        raise SubmeterError(f"{target} is no point, unit or property of the directory")
    bills = [(point, _billable(core, point, start, end)) for point in points]
    with core.registry.writing():
        made = [core.registry.decisions.enter("bill", point.id, by=by, reason=reason, now=now(), details=bill) for point, bill in bills]
    for one in made:
        figures = ", ".join(f"{register} {_number(value)}" for register, value in sorted(one.details["rows"].items()))
        yield f"decision {one.id}: point {one.point} billed by the {one.details['level']}: {figures}"
    yield from _roll(core)


def _billable(core: Core, point: Point, start: str, end: str) -> dict[str, Any]:
    """What a bill of this point says; refuses a period that is not over, not settled, empty, or billed already."""
    building = next(one for one in core.registry.properties() if one.id == point.property)
    since, until = _instant(core, point.id, start), _instant(core, point.id, end)
    edges = {level: civil.boundaries(building.zone, level, since, until, building.year_start).tolist() for level in LEVELS}
    level = next((level for level in reversed(LEVELS[1:]) if since < until and {since, until} <= set(edges[level])), None)
    if level is None:
        raise SubmeterError(f"{start} to {end} is no period of whole days of {building.zone}: write local dates, the second one not included")
    for bill in core.registry.decisions.in_force("bill", point=point.id):
        if bill.details["start"] < until and since < bill.details["end"]:
            raise SubmeterError(f"point {point.id} is billed in this time by decision {bill.id}: what changed since is a correction")
    rows = {str(key.register): _inside(core, number, since, until) for key, number in core.readings.series().items() if key.point == point.id}
    unsettled = [row for found in rows.values() for row in found if row["state"] < FINAL]
    if unsettled or until > now():
        first = civil.iso(unsettled[0]["start"]) if unsettled else civil.iso(until)
        raise SubmeterError(f"point {point.id} has rows in this time that are not final, the first from {first}: settle its tasks, or bill later")
    own = {name: [row["value"] for row in found if row["level"] == LEVELS.index(level)] for name, found in rows.items()}
    counters = {str(key.register) for key in core.readings.series() if key.point == point.id and key.kind != "gauge"}
    figures = {name: sum(value or 0 for value in values) for name, values in own.items() if values and name in counters}
    if not figures:
        raise SubmeterError(f"point {point.id} has no row of a {level} in this time: there is nothing to bill")
    return {"start": since, "end": until, "level": level, "rows": figures}


def _inside(core: Core, series: int, start: int, end: int) -> list[dict[str, Any]]:
    rows = [row for level in range(len(LEVELS)) for row in core.readings.rollups([series], level, start, end).to_pylist()]
    return [row for row in rows if row["end"] <= end]


def _withdraw(core: Core, *, decision: int, by: str, reason: str) -> Iterator[str]:
    with core.registry.writing():
        taken = core.registry.decisions.withdraw(decision, by=by, reason=reason, now=now())
        if taken.kind == "exchange":
            _undo_exchange(core, taken)
        if taken.details.get("task"):
            core.registry.events.reopen(taken.details["task"])
    yield f"decision {decision} ({taken.kind}) is taken back"
    yield from _roll(core)


def _undo_exchange(core: Core, taken: Decision) -> None:
    before, after = ([Assignment(*row) for row in taken.details[name]] for name in ("before", "after"))
    if core.registry.assignments_of(taken.point) != after:
        raise SubmeterError(f"the assignments of point {taken.point} changed since decision {taken.id}: correct them by an import")
    core.registry.replace_assignments(taken.point, before)


def _decisions(core: Core, *, point: str | None = None) -> Iterator[str]:
    made = core.registry.decisions.all(point=point)
    taken = {one.withdraws for one in made}
    for one in made:
        mark = "  taken back" if one.id in taken else f"  of decision {one.withdraws}" if one.withdraws else ""
        at = f"  at {civil.iso(one.details['t'])}" if "t" in one.details else ""
        yield f"{one.id}  {civil.iso(one.at)}  {one.kind}{mark}  point {one.point} {one.register}{at}  by {one.by}: {one.reason}"


def _corrections(core: Core, *, point: str | None = None) -> Iterator[str]:
    series = {number: key for key, number in core.readings.series().items() if point in {None, key.point}}
    for row in core.readings.corrections(list(series)).to_pylist():
        key, diff = series[row["series"]], (row["new"] or 0) - (row["old"] or 0)
        zone = core.registry.zone_of(key.point)
        period = f"{LEVELS[row['level']]} of {civil.local_date(zone, row['start'])}"
        told = f"{_number(row['old'])} → {_number(row['new'])}: {_number(diff)} {key.register.unit}"
        yield f"point {key.point} {key.register}  {period}  {told}  {row['reason']} by {row['author']}, revision {row['rev']}"


def _roll(core: Core) -> Iterator[str]:
    core.drain_all()
    yield str(core.rollup(settle=False))


def _open_task(core: Core, task: int) -> Event:
    event = core.registry.events.one(task)
    if event.kind not in TASKS or event.state != "open":
        raise SubmeterError(f"event {task} is no open task: `submeter tasks` shows them")
    return event


def _place(task: Event) -> tuple[str, str]:
    """Point and register of a task."""
    point, _, register = task.subject.removeprefix("point:").partition("/")
    return point, register


def _instant(core: Core, point: str, text: str) -> int:
    """An instant, or a local date that means its first instant at the point."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return civil.instant(text)
    return civil.midnight(core.registry.zone_of(point), day)


def _device(text: str | None) -> str | None:
    try:
        return None if text is None else str(DeviceId.parse(text))
    except ValueError as error:
        raise SubmeterError(str(error)) from error


def _micro(text: str | None) -> int | None:
    try:
        number = None if text is None else Decimal(text)
    except ArithmeticError:
        number = Decimal("nan")
    if number is not None and not (number.is_finite() and abs(number) < 10**12):
        raise SubmeterError(f"{text!r} is no index: write a decimal in the canonical unit, e.g. 812.345")
    return None if number is None else to_micro(number)


def _number(value: int | None) -> str:
    return "nothing" if value is None else format(from_micro(value), "f")


COMMANDS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {
    "tasks": _tasks,
    "tasks.accept": _accept,
    "tasks.reject": _reject,
    "exchange": _exchange,
    "reading": _reading,
    "bill": _bill,
    "withdraw": _withdraw,
    "decisions": _decisions,
    "corrections": _corrections,
}
