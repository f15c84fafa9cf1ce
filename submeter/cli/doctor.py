"""`submeter doctor`: what is well in an installation, what was mended, and what is left for the operator."""

from typing import Annotated

import typer

from submeter.cli.operate import ConfigFile
from submeter.config import load
from submeter.logs import configure

__all__ = ["doctor"]


def doctor(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only say what is wrong; nothing is changed, and the stores are not opened together")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Check files, rights, versions, disk and clock of an installation that does not run, and mend what can be mended; exit status 1 if something is left."""
    from submeter.doctor import examine  # noqa: PLC0415 - the whole pipeline: the other commands start without it

    settings = load(config)
    configure("error", settings.log.format)
    left = 0
    for finding in examine(settings, dry_run=dry_run):
        typer.echo(f"{finding.state:7} {finding.text}")
        left += finding.state == "left"
    if left:
        raise typer.Exit(1)
