"""`submeter demo`: see the whole chain work in five portals over a simulated world."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from submeter.demo.command import demo as run

__all__ = ["demo"]

#: Exit status where the demo was stopped before it was there.
INTERRUPTED: Final = 130


def demo(
    *,
    seconds: Annotated[
        float | None, typer.Option("--for", min=1, help="end after so many seconds, and compare every figure; default: until Ctrl-C")
    ] = None,
    folder: Annotated[Path, typer.Option(help="where the demo keeps its data; the next one goes on there")] = Path("demo-data"),
    fresh: Annotated[bool, typer.Option("--fresh", help="begin anew: other letters, no accounts")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="where portals and API listen, on loopback; 0 for any that is free")] = 8080,
    speed: Annotated[float, typer.Option(min=1, max=3600, help="how many times as fast as real time gateways send, until they have caught up")] = 60,
    years: Annotated[float, typer.Option(min=0.3, max=3, help="how much history is made")] = 3,
    seed: Annotated[int, typer.Option(min=1, max=19, help="another number is another world")] = 1,
) -> None:
    """Simulate three houses with five portals, read them live, and with --for compare every figure at the end; exit status 0 only if all agree."""
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.default_int_handler)
    try:
        agreed = run(
            folder.absolute(), seconds=seconds, port=port, speed=speed, years=years, seed=seed, fresh=fresh, console=Console(highlight=False)
        )
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(0 if agreed else 1)
