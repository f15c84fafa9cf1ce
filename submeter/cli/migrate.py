"""`submeter migrate`: from the files of the data folder to a PostgreSQL database."""

import os
from contextlib import ExitStack

import typer

from submeter.cli.operate import ConfigFile
from submeter.config import ConfigError, load

__all__ = ["migrate"]


def migrate(*, config: ConfigFile = None) -> None:
    """Move registry and published rows into the database of [data] database, and compare; interrupted, the same command goes on."""
    from submeter.core import lock  # noqa: PLC0415 - the whole pipeline: the other commands start without it
    from submeter.store.published import MIGRATIONS as PUBLISHED  # noqa: PLC0415
    from submeter.store.registry_schema import MIGRATIONS as REGISTRY  # noqa: PLC0415
    from submeter.store.sql import reached  # noqa: PLC0415

    data = load(config).data
    if not data.database:
        raise ConfigError("[data] database names no database: write where registry and published rows are to move")
    typer.echo(f"to {data.database}: {reached(data.server())}")
    from submeter.store.moving import move  # noqa: PLC0415 - it needs the extra

    with ExitStack() as stack:
        stack.callback(os.close, lock(data.folder))
        found = [(data.folder / f"{name}.sqlite", schema) for name, schema in (("published", PUBLISHED), ("registry", REGISTRY))]
        waiting = [(path, schema) for path, schema in found if path.exists()]
        for path, schema in waiting:
            for line in move(path, data.server(), schema):
                typer.echo(line)
            path.rename(path.with_suffix(".sqlite.moved"))
            typer.echo(f"{path} is moved and renamed")
        if not waiting:
            typer.echo("nothing is left to move")
