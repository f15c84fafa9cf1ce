"""`submeter backup` and `submeter restore`."""

from pathlib import Path
from typing import Annotated

import typer

from submeter.cli.operate import ConfigFile, run
from submeter.config import load
from submeter.logs import configure

__all__ = ["backup", "restore"]


def backup(folder: Annotated[Path, typer.Argument(help="a new folder, on another disk")], *, config: ConfigFile = None) -> None:
    """Copy all stores at one point, also while the service runs; the master key is never in it."""
    run(load(config), "backup", folder=str(folder.absolute()))


def restore(
    folder: Annotated[Path, typer.Argument(help="what `submeter backup` made")],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="also where there are data: they are kept aside, and messages that came after the backup are taken over")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Make the data folder of a backup, then decode what its inbox has beyond its readings; the service does not run meanwhile."""
    from submeter.backup import restore as restored  # noqa: PLC0415 - the whole pipeline: the other commands start without it

    settings = load(config)
    configure(settings.log.level, settings.log.format)
    for line in restored(settings, folder, replace=replace):
        typer.echo(line)
