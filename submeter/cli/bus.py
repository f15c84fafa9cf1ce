"""`submeter scan` and `submeter poll`: a wired M-Bus at the command line (ingest/SERIAL.md 2). `submeter simulate bus`: one without hardware."""

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from submeter.cli.simulate import simulate
from submeter.decoders import DecodeError, Profile, decode
from submeter.errors import SubmeterError
from submeter.ingest.bus.frames import parse_address
from submeter.ingest.bus.master import ECHO, Master, PollError, Timing
from submeter.ingest.bus.scan import Scan, scan_primary
from submeter.ingest.ports import Tcp, Tty, opened
from submeter.simulate import Bus, Faults, PtyLine, TcpLine, slaves

__all__ = ["poll", "scan"]

Url = Annotated[str, typer.Argument(help="a device or an address of pyserial, e.g. /dev/ttyUSB0, socket://10.0.0.7:4001")]
Baud = Annotated[int, typer.Option("--baud", min=300, help="bits per second; parity is even")]
Latency = Annotated[float, typer.Option("--latency", min=0, help="seconds to the line and back: 0.03 for a device, 0.2 to 1 through TCP")]
Echo = Annotated[str, typer.Option("--echo", help="auto, yes or no: whether the line repeats what is sent")]


def scan(
    url: Url,
    *,
    baud: Baud = 2400,
    latency: Latency = 0.03,
    echo: Echo = "auto",
    primary: Annotated[bool, typer.Option("--primary", help="look at primary addresses 1 to 250 instead")] = False,
    hex_digits: Annotated[bool, typer.Option("--hex", help="also look for ids with A to E")] = False,
) -> None:
    """Find the meters of a wired M-Bus by their secondary addresses; each line can stand in `meters` of [[bus]]. Exit status 1 if none is found."""
    count = 0
    with closing(_opened(url, baud)) as port:
        master = _master(port, baud, latency, echo)
        for one in scan_primary(master) if primary else Scan(master, hex_digits).run():
            typer.echo(f"{one.address}{f'   {one.trouble}' if one.trouble else ''}")
            count += not one.trouble
        typer.echo(f"{count} meters, {sum(master.sent.values())} exchanges", err=True)
    raise typer.Exit(0 if count else 1)


def poll(
    url: Url,
    address: Annotated[str, typer.Argument(help="5, 254, '20135442 523B 03 07' or NZR-20135442-03-07")],
    *,
    baud: Baud = 2400,
    latency: Latency = 0.03,
    echo: Echo = "auto",
) -> None:
    """Read one meter of a wired M-Bus now and show what it says; exit status 1 if it does not answer."""
    try:
        wanted = parse_address(address)
    except ValueError as error:
        raise SubmeterError(str(error)) from error
    with closing(_opened(url, baud)) as port:
        try:
            pages = _master(port, baud, latency, echo).read(wanted)
        except PollError as error:
            typer.echo(f"{address}: {error}", err=True)
            raise typer.Exit(1) from error
    for page in pages:
        typer.echo(page.hex())
        try:
            telegram = decode(page, lambda _: Profile(), link="mbus")
        except DecodeError as error:
            typer.echo(f"  {error}")
            continue
        typer.echo(f"  {telegram.device}")
        for reading in telegram.readings:
            value = "no value" if reading.value is None else f"{reading.value / 1_000_000:g} {reading.register.unit}"
            typer.echo(f"  {reading.register} {value}{f' ({reading.label})' if reading.label != 'now' else ''}")


@simulate.command("bus")
def bus(
    *,
    count: Annotated[int, typer.Option("--slaves", min=1, max=1000, help="how many meters")] = 10,
    pages: Annotated[int, typer.Option("--pages", min=1, max=16, help="pages of each")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="another seed, other meters and faults")] = 1,
    corrupt: Annotated[float, typer.Option("--corrupt", min=0, max=1, help="share of answers that are damaged")] = 0.0,
    echo: Annotated[bool, typer.Option("--echo", help="the line repeats what is sent")] = False,
    tcp: Annotated[int | None, typer.Option("--tcp", help="listen at this port of 127.0.0.1 instead of making a pty; 0: any")] = None,
    link: Annotated[Path, typer.Option("--link", help="the name of the pty")] = Path("ttyBUS"),
    seconds: Annotated[float | None, typer.Option("--for", help="end after so many seconds; default: Ctrl-C")] = None,
) -> None:
    """A wired M-Bus with slaves on a pty or a TCP port, for `submeter scan`, `poll` and [[bus]]; damage, echo and collisions as on a real one."""
    on = Bus(slaves(count, seed, pages=pages), seed, Faults(corrupt=corrupt, echo=echo))
    with PtyLine(on, link) if tcp is None else TcpLine(on, port=tcp) as line:
        typer.echo(f"{count} slaves at {line.url}; Ctrl-C ends it")
        try:
            time.sleep(86_400 * 365 if seconds is None else seconds)
        except KeyboardInterrupt:
            typer.echo("")


def _opened(url: str, baud: int) -> Tty | Tcp:
    try:
        return opened(url, baud, even=True)
    except (OSError, ValueError) as error:
        raise SubmeterError(f"{url} cannot be opened: {error}") from error


def _master(port: Tty | Tcp, baud: int, latency: float, echo: str) -> Master:
    if echo not in ECHO:
        raise SubmeterError(f"--echo {echo}: write auto, yes or no")
    return Master(port, Timing(baud, latency), ECHO[echo])
