"""Operators of managers: who comes into the operator's pages of a portal."""

from typing import Annotated

import typer

from submeter.cli.operate import ConfigFile, run
from submeter.config import load

__all__ = ["operator"]

operator = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Operators of managers: let one in by a link, list, end.")
Name = Annotated[str, typer.Argument(help="who it is: the audit says so")]
Manager = Annotated[str, typer.Option("--manager", help="the manager (id) that they work for")]


@operator.command("add")
def add(
    name: Name,
    manager: Manager,
    *,
    role: Annotated[str, typer.Option("--role", help="operator (all of the manager's), or manager (reads it)")] = "operator",
    config: ConfigFile = None,
) -> None:
    """Let somebody in: print a link to the manager's portal that is good once, for half an hour."""
    run(load(config), "operator.add", name=name, manager=manager, role=role)


@operator.command("list")
def listed(*, config: ConfigFile = None) -> None:
    """Operators, without their links."""
    run(load(config), "operator.list")


@operator.command("end")
def end(name: Name, manager: Manager, *, config: ConfigFile = None) -> None:
    """End an operator with link and sessions, at once."""
    run(load(config), "operator.end", name=name, manager=manager)
