"""A wired M-Bus at the command line (ingest/SERIAL.md 2): `submeter scan`, `poll`, `bus` (what is changed in a meter), and `simulate bus`, one without hardware."""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from submeter.cli.operate import ConfigFile
from submeter.cli.simulate import simulate
from submeter.config import load
from submeter.control import ask
from submeter.decoders import DecodeError, Profile, decode
from submeter.errors import SubmeterError
from submeter.ingest.bus.changing import ChangeError, Present, present, set_address, set_baud
from submeter.ingest.bus.frames import BAUDS, Secondary, parse_address
from submeter.ingest.bus.master import ECHO, Master, Timing
from submeter.ingest.bus.scan import Scan, scan_primary
from submeter.ingest.errors import PollError
from submeter.ingest.ports import opened
from submeter.simulate import Bus, Faults, PtyLine, TcpLine, slaves

__all__ = ["lines", "poll", "scan"]

lines = typer.Typer(no_args_is_help=True, help="Change a meter of a wired M-Bus: its baud rate, its primary address. Asks first.")

#: What the configuration does not learn by itself.
REMINDER = "where [[bus]] names it by what has changed, change that too"
Url = Annotated[str, typer.Argument(help="a device or an address of pyserial, e.g. /dev/ttyUSB0, socket://10.0.0.7:4001")]
Baud = Annotated[int, typer.Option("--baud", min=300, help="bits per second; parity is even")]
Latency = Annotated[float, typer.Option("--latency", min=0, help="seconds to the line and back: 0.03 for a device, 0.2 to 1 through TCP")]
Address = Annotated[str, typer.Argument(help="5, '20135442 523B 03 07' or NZR-20135442-03-07")]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask after telling which meter it is")]
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
    with _line(url, baud, latency, echo) as master:
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
    config: ConfigFile = None,
) -> None:
    """Read one meter of a wired M-Bus now and show what it says; exit status 1 if it does not answer. A core that runs and reads this bus does it, before all else."""
    wanted = _address(address)
    try:
        pages = _by_the_core(url, address, config)
        if pages is None:
            with _line(url, baud, latency, echo) as master:
                pages = master.read(wanted)
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


@lines.command("set-baud")
def change_baud(
    url: Url,
    address: Address,
    new: Annotated[int, typer.Argument(help=f"the rate that it shall listen at: {', '.join(map(str, BAUDS))}")],
    *,
    baud: Baud = 2400,
    latency: Latency = 0.03,
    echo: Echo = "auto",
    yes: Yes = False,
) -> None:
    """Have one meter listen at another baud rate, and see that it does; exit status 1 if it does not."""
    with _line(url, baud, latency, echo) as master:
        _change(master, address, f"listen at {new} baud instead of {baud}", lambda meter: set_baud(master, meter, new), yes=yes)


@lines.command("set-address")
def change_address(
    url: Url,
    address: Address,
    new: Annotated[int, typer.Argument(help="a primary address that no other meter of the line has, 1 to 250")],
    *,
    baud: Baud = 2400,
    latency: Latency = 0.03,
    echo: Echo = "auto",
    yes: Yes = False,
) -> None:
    """Give one meter another primary address, and see that it answers there; exit status 1 if it does not."""
    with _line(url, baud, latency, echo) as master:
        _change(master, address, f"have the primary address {new}", lambda meter: set_address(master, meter, new), yes=yes)


def _change(master: Master, address: str, what: str, change: Callable[[Present], None], *, yes: bool) -> None:
    """Tell which meter it is, ask, change it."""
    try:
        meter = present(master, _address(address))
        typer.echo(str(meter))
        if not yes and not typer.confirm(f"Shall it {what}?"):
            typer.echo("nothing was changed")
            raise typer.Exit(1)
        change(meter)
    except (PollError, ChangeError, OSError) as error:
        typer.echo(f"{address}: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"done: it answers; {REMINDER}")


@simulate.command("bus")
def bus(
    *,
    count: Annotated[int, typer.Option("--slaves", min=1, max=1000, help="how many meters")] = 10,
    pages: Annotated[int, typer.Option("--pages", min=1, max=16, help="pages of each")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="another seed, other meters and faults")] = 1,
    corrupt: Annotated[float, typer.Option("--corrupt", min=0, max=1, help="share of answers that are damaged")] = 0.0,
    echo: Annotated[bool, typer.Option("--echo", help="the line repeats what is sent")] = False,
    baud: Annotated[list[int] | None, typer.Option("--baud", help="the only rate that meters hear; several: in turn; default: any")] = None,
    line_baud: Annotated[int | None, typer.Option("--line-baud", help="with --tcp: the rate that the gateway is set to")] = None,
    tcp: Annotated[int | None, typer.Option("--tcp", help="listen at this port of 127.0.0.1 instead of making a pty; 0: any")] = None,
    link: Annotated[Path, typer.Option("--link", help="the name of the pty")] = Path("ttyBUS"),
    seconds: Annotated[float | None, typer.Option("--for", help="end after so many seconds; default: Ctrl-C")] = None,
) -> None:
    """A wired M-Bus with slaves on a pty or a TCP port, for `submeter scan`, `poll` and [[bus]]; damage, echo and collisions as on a real one."""
    on = Bus(slaves(count, seed, pages=pages, bauds=baud or (None,)), seed, Faults(corrupt=corrupt, echo=echo))
    with PtyLine(on, link) if tcp is None else TcpLine(on, port=tcp, baud=line_baud) as line:
        typer.echo(f"{count} slaves at {line.url}; Ctrl-C ends it")
        try:
            time.sleep(86_400 * 365 if seconds is None else seconds)
        except KeyboardInterrupt:
            typer.echo("")


def _by_the_core(url: str, address: str, config: Path | None) -> list[bytes] | None:
    """The pages as a running core reads them, None where none reads this bus."""
    settings = load(config)
    if not any(url in {one.port, one.name} for one in settings.bus):
        return None
    lines = ask(settings.data.folder, "poll", {"port": url, "address": address})
    try:
        return None if lines is None else [bytes.fromhex(line) for line in lines]
    except SubmeterError as error:
        typer.echo(f"{address}: {error}", err=True)
        raise typer.Exit(1) from error


def _address(text: str) -> int | Secondary:
    try:
        return parse_address(text)
    except ValueError as error:
        raise SubmeterError(str(error)) from error


@contextmanager
def _line(url: str, baud: int, latency: float, echo: str) -> Iterator[Master]:
    """The line, and who asks on it."""
    if echo not in ECHO:
        raise SubmeterError(f"--echo {echo}: write auto, yes or no")
    try:
        port = opened(url, baud, even=True)
    except (OSError, ValueError) as error:
        held = "; another program has it: end that first (submeter poll asks a running core)" * (getattr(error, "errno", None) == errno.EAGAIN)
        raise SubmeterError(f"{url} cannot be opened: {error}{held}") from error
    with closing(port):
        yield Master(port, Timing(baud, latency), ECHO[echo])
