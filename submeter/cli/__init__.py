"""The command line: one file per verb or family, each thin over the part that does the work.

Exit status: 0 done, 1 a finding (a refused telegram, a case that is wrong), 2 usage or configuration.
"""

import os
import sys
from typing import Annotated

import typer

from submeter import __version__
from submeter.cli import bus, decide, gateways, operate, staff
from submeter.cli.broker import broker_check, broker_config
from submeter.cli.check import check
from submeter.cli.conform import conform
from submeter.cli.decode import decode
from submeter.cli.demo import demo
from submeter.cli.modbus import modbus
from submeter.cli.run import run
from submeter.cli.simulate import simulate
from submeter.cli.sniff import sniff
from submeter.cli.watching import status
from submeter.errors import SubmeterError

__all__ = ["app", "main"]

app = typer.Typer(
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


for verb in (
    check,
    run,
    demo,
    status,
    decode,
    conform,
    operate.rollup,
    operate.replay,
    operate.quarantine,
    operate.requeue,
    operate.rebuild,
    operate.meters,
    gateways.gateways,
    sniff,
    operate.events,
    operate.outbox,
    operate.audit,
    operate.information,
):
    app.command()(verb)
app.command("broker-config")(broker_config)
app.command("broker-check")(broker_check)
app.command("import")(operate.import_directory)
for decision in (decide.exchange, decide.reading, decide.substitute, decide.bill, decide.withdraw, decide.decisions, decide.corrections):
    app.command()(decision)
app.add_typer(decide.tasks, name="tasks")
app.add_typer(operate.token, name="token")
app.add_typer(staff.operator, name="operator")
app.add_typer(gateways.gateway, name="gateway")
app.add_typer(simulate, name="simulate")
app.command()(bus.scan)
app.command()(bus.poll)
app.command()(modbus)


def main() -> None:
    """Run the command line; an error that submeter raises on purpose is one line and exit status 2. What it writes is its owner's alone."""
    os.umask(0o077)
    try:
        app()
    except SubmeterError as error:
        print(f"submeter: {error}", file=sys.stderr)  # noqa: T201 - the last word of a command
        sys.exit(2)
