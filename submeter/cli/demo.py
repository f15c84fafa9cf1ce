"""`submeter demo`: see the whole chain work on a simulated building."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["demo"]


def demo(
    *,
    seconds: Annotated[float | None, typer.Option("--for", min=1, help="end after so many seconds of live telegrams; default: until Ctrl-C")] = None,
    folder: Annotated[Path, typer.Option(help="where the demo keeps its data; made anew each time")] = Path("demo-data"),
    flats: Annotated[int, typer.Option(min=1, max=99, help="flats of the simulated building")] = 12,
) -> None:
    """Simulate a building, read it live through MQTT and compare every figure at the end; exit status 0 only if all agree."""
    try:
        from submeter.demo import demo as run  # noqa: PLC0415 - needs the extra [demo]
    except ModuleNotFoundError as error:
        typer.echo(f"the demo needs {error.name}: install submeter[demo]", err=True)
        sys.exit(2)
    sys.exit(0 if run(folder.absolute(), seconds=seconds, flats=flats, console=Console(highlight=False)) else 1)
