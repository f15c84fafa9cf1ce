"""Decisions of operators: tasks, exchanges, entered readings, bills, and taking any of it back."""

from typing import Annotated

import typer

from submeter.cli.operate import ConfigFile, run
from submeter.config import load
from submeter.store.decisions import METHODS

__all__ = ["bill", "corrections", "decisions", "exchange", "reading", "substitute", "tasks", "withdraw"]

By = Annotated[str, typer.Option("--by", help="who decides")]
Reason = Annotated[str, typer.Option("--reason", help="why; both stay in the audit")]
PointId = Annotated[str, typer.Argument(metavar="POINT", help="id of the metering point")]
At = Annotated[str, typer.Option("--at", help="instant with offset, or a local date that means its first instant")]
Value = Annotated[str, typer.Option("--value", help="the index in the canonical unit, e.g. 812.345")]
RegisterName = Annotated[str | None, typer.Option("--register", help="default: the point's main register")]

tasks = typer.Typer(rich_markup_mode=None, invoke_without_command=True, help="What waits for an operator's decision; accept or reject it.")


@tasks.callback()
def task_list(context: typer.Context, *, config: ConfigFile = None) -> None:
    """Open tasks: what, which point and device, when, how much, which rows it leaves without a bound, and what settles it."""
    if context.invoked_subcommand is None:
        run(load(config), "tasks")


@tasks.command("accept")
def task_accept(task: Annotated[int, typer.Argument(help="as `tasks` shows it")], *, by: By, reason: Reason, config: ConfigFile = None) -> None:
    """The step is real and is booked; of a reset or exchange: the lower bound stands."""
    run(load(config), "tasks.accept", task=task, by=by, reason=reason)


@tasks.command("reject")
def task_reject(
    task: Annotated[int, typer.Argument(help="as `tasks` shows it")],
    *,
    by: By,
    reason: Reason,
    until: Annotated[str | None, typer.Option(help="reject all readings before this instant; default: the one reading")] = None,
    config: ConfigFile = None,
) -> None:
    """The suspect readings are wrong and count no more; they are kept."""
    run(load(config), "tasks.reject", task=task, by=by, reason=reason, until=until)


def exchange(
    point: PointId,
    *,
    at: At,
    by: By,
    reason: Reason,
    new: Annotated[str | None, typer.Option("--new", help="the new device; default: the same one begins anew")] = None,
    end: Annotated[str | None, typer.Option("--end", help="last index of the old device, from the protocol")] = None,
    start: Annotated[str | None, typer.Option("--start", help="first index of the new one")] = None,
    config: ConfigFile = None,
) -> None:
    """Enter an exchange of the meter, or the values of one that is known; rows are computed anew from there."""
    run(load(config), "exchange", point=point, at=at, by=by, reason=reason, new=new, end=end, start=start)


def reading(
    point: PointId,
    *,
    at: At,
    value: Value,
    by: By,
    reason: Reason,
    correction: Annotated[bool, typer.Option("--correction", help="corrects what the meter sent: it comes before all other readings")] = False,
    due: Annotated[bool, typer.Option("--due", help="the last value before the set day's restart")] = False,
    register: RegisterName = None,
    config: ConfigFile = None,
) -> None:
    """Enter a value that somebody read off the meter."""
    src = "correction" if correction else "manual"
    run(load(config), "reading", point=point, at=at, value=value, by=by, reason=reason, src=src, due=due, register=register)


def substitute(
    point: PointId,
    *,
    at: At,
    value: Value,
    method: Annotated[str, typer.Option("--method", help=", ".join(METHODS))],
    by: By,
    reason: Reason,
    pinned: Annotated[bool, typer.Option("--pinned", help="an agreed value: readings that come later do not supersede it")] = False,
    register: RegisterName = None,
    config: ConfigFile = None,
) -> None:
    """Enter an estimated index where none was read; it gives way to real readings unless pinned."""
    said = {"src": "substitute", "method": method, "pinned": pinned, "register": register}
    run(load(config), "reading", point=point, at=at, value=value, by=by, reason=reason, **said)


def bill(
    target: Annotated[str, typer.Argument(help="id of a point, unit or property")],
    *,
    start: Annotated[str, typer.Option("--from", help="first local date")],
    end: Annotated[str, typer.Option("--to", help="local date after the last one")],
    by: By,
    reason: Reason,
    config: ConfigFile = None,
) -> None:
    """Freeze what was billed: later changes of these rows become corrections for the next bill."""
    run(load(config), "bill", target=target, start=start, end=end, by=by, reason=reason)


def withdraw(decision: Annotated[int, typer.Argument(help="as `decisions` shows it")], *, by: By, reason: Reason, config: ConfigFile = None) -> None:
    """Take a decision back; rows are as if it had not been made, and its task is open again."""
    run(load(config), "withdraw", decision=decision, by=by, reason=reason)


def decisions(*, point: Annotated[str | None, typer.Option("--point", help="only those about this point")] = None, config: ConfigFile = None) -> None:
    """What was decided: when, about what, by whom and why."""
    run(load(config), "decisions", point=point)


def corrections(*, point: Annotated[str | None, typer.Option("--point", help="only those of this point")] = None, config: ConfigFile = None) -> None:
    """What changed after it was billed, for the next bill to settle."""
    run(load(config), "corrections", point=point)
