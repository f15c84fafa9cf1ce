"""The command line: one file per verb or family, each thin over the part that does the work.

Exit status: 0 done, 1 a finding (a refused telegram, a case that is wrong), 2 usage or configuration.
"""

import os
import sys
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from submeter import __version__
from submeter.errors import SubmeterError

__all__ = ["COMMANDS", "app", "main"]

#: Where each command is: module of this package and name in it. A module is imported when its command is called, so that a command starts at once.
COMMANDS: Final = {
    "check": "check:check",
    "run": "run:run",
    "doctor": "doctor:doctor",
    "backup": "backup:backup",
    "restore": "backup:restore",
    "demo": "demo:demo",
    "status": "watching:status",
    "decode": "decode:decode",
    "conform": "conform:conform",
    "rollup": "operate:rollup",
    "replay": "operate:replay",
    "quarantine": "operate:quarantine",
    "requeue": "operate:requeue",
    "rebuild": "operate:rebuild",
    "meters": "operate:meters",
    "gateways": "gateways:gateways",
    "sniff": "sniff:sniff",
    "events": "operate:events",
    "outbox": "operate:outbox",
    "audit": "operate:audit",
    "migrate": "migrate:migrate",
    "information": "operate:information",
    "broker-config": "broker:broker_config",
    "broker-check": "broker:broker_check",
    "import": "operate:import_directory",
    "exchange": "decide:exchange",
    "reading": "decide:reading",
    "substitute": "decide:substitute",
    "bill": "decide:bill",
    "withdraw": "decide:withdraw",
    "decisions": "decide:decisions",
    "corrections": "decide:corrections",
    "scan": "bus:scan",
    "poll": "bus:poll",
    "modbus": "modbus:modbus",
    "tasks": "decide:tasks",
    "token": "operate:token",
    "operator": "staff:operator",
    "gateway": "gateways:gateway",
    "simulate": "simulate:simulate",
    "bus": "bus:lines",
}


class _OnDemand(TyperGroup):
    """The commands of the table, each imported when it is asked for."""

    def list_commands(self, _: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(f"submeter.cli.{module}"), name)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(cmd_name)(found)
            found = alone
        command = get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_OnDemand,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Meter-data pipeline: telegrams in, exact tables out.",
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - the form that typer calls
    if wanted:
        typer.echo(f"submeter {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    """Meter-data pipeline: telegrams in, exact tables out."""


def main() -> None:
    """Run the command line; an error that submeter raises on purpose is one line and exit status 2. What it writes is its owner's alone."""
    os.umask(0o077)
    try:
        app()
    except SubmeterError as error:
        print(f"submeter: {error}", file=sys.stderr)  # noqa: T201 - the last word of a command
        sys.exit(2)
