"""`submeter run`: the service in the foreground, until SIGINT or SIGTERM."""

import signal
import threading
from types import FrameType
from typing import Annotated, Literal

import typer

from submeter.cli.operate import ConfigFile
from submeter.config import load
from submeter.logs import configure

__all__ = ["run"]


def run(
    *,
    only: Annotated[
        Literal["api", "collect"] | None, typer.Option(help="run this part alone, beside a core that runs elsewhere on this folder")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Collect, decode, roll up and serve, until told to stop."""
    settings = load(config)
    configure(settings.log.level, settings.log.format)
    from submeter.service import serve  # noqa: PLC0415 - the whole pipeline: the other commands, and a mistake in the configuration, do not wait for it

    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    serve(settings, part=only or "all", stop=stop)
