"""Commands on the data folder: run by the core that holds it, or here when none runs.

The stores are imported only when a command opens them here, so that the other commands start at once.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.console import Console

from submeter.config import Config, load
from submeter.control import ask
from submeter.decoders.catalogue import drivers
from submeter.logs import configure
from submeter.store.errors import InUseError
from submeter.store.key_files import is_key_file, needs_password
from submeter.store.meter_files import is_meter_files
from submeter.store.registry_types import READS, SCOPES
from submeter.store.vault import Vault

if TYPE_CHECKING:
    from submeter.core import Core

__all__ = [
    "ConfigFile",
    "audit",
    "events",
    "import_directory",
    "information",
    "meters",
    "outbox",
    "quarantine",
    "rebuild",
    "replay",
    "requeue",
    "rollup",
    "run",
    "token",
]

#: Environment variable with the password of a key file, for those who do not want to type it.
PASSWORD = "SUBMETER_KEY_FILE_PASSWORD"  # noqa: S105 - its name
#: Seconds that a command waits for a process that holds the data folder and does not answer: it starts or ends.
STARTING: Final = 15
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="the configuration; default: pipeline.toml here")]

token = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Service tokens of portals: create, list, revoke.")


def run(config: Config, command: str, **arguments: Any) -> None:
    """Let the running core, or one opened here, run a command, and print its lines."""
    configure(config.log.level, config.log.format)
    for line in _lines(config, command, arguments):
        typer.echo(line)


def _lines(config: Config, command: str, arguments: dict[str, Any]) -> Iterator[str]:
    patience = time.monotonic() + STARTING
    with Console(stderr=True).status(f"submeter {command}"):
        while (told := ask(config.data.folder, command, arguments) or _here(config, command, arguments, patience)) is None:
            time.sleep(0.2)
        yield from told


def _here(config: Config, command: str, arguments: dict[str, Any], patience: float) -> Iterator[str] | None:
    """The lines of a command on a core opened here; None where another process has the folder and may answer soon: it starts or ends."""
    from submeter.core import Core  # noqa: PLC0415

    try:
        core = Core(config)
    except InUseError:
        if time.monotonic() > patience:
            raise
        return None
    return _by(core, command, arguments)


def _by(core: "Core", command: str, arguments: dict[str, Any]) -> Iterator[str]:
    from submeter.commands import execute  # noqa: PLC0415

    with core:
        core.work.listener = typer.echo
        yield from execute(core, command, arguments)


def rollup(
    *,
    everything: Annotated[bool, typer.Option("--everything", help="compute every series, also those without a change")] = False,
    since: Annotated[str | None, typer.Option("--from", help="with --to: compute this range anew, e.g. 2026-01-31")] = None,
    until: Annotated[str | None, typer.Option("--to", help="the end of that range")] = None,
    show: Annotated[bool, typer.Option("--status", help="which jobs run when, what runs now, how the last runs ended")] = False,
    now: Annotated[str | None, typer.Option("--now", metavar="JOB", help="run this job now")] = None,
    pause: Annotated[str | None, typer.Option("--pause", metavar="JOB", help="keep this job from running by itself")] = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="JOB", help="let it run by itself again; what it missed is caught up")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would change, and change nothing")] = False,
    engine: Annotated[Literal["local", "spark"], typer.Option("--engine", help="where to compute: in this process, or on a Spark cluster")] = "local",
    master: Annotated[str | None, typer.Option("--master", metavar="URL", help="of the cluster, e.g. spark://10.0.0.5:7077")] = None,
    shared: Annotated[
        Path | None,
        typer.Option("--shared", metavar="FOLDER", help="a folder that all workers reach under this path; default: spark in the data folder"),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Decode what waits, compute what changed and publish it, now; or see, run, pause and resume the jobs that do this by themselves."""
    if (engine == "spark") != (master is not None) or (shared is not None and master is None):
        raise typer.BadParameter("--engine spark needs --master URL; --master and --shared need --engine spark")
    chosen: list[tuple[str, dict[str, Any]]] = [("rollup.status", {})] * show
    chosen += [(command, {"name": name}) for command, name in (("job", now), ("job.pause", pause), ("job.resume", resume)) if name]
    plain = {"everything": everything, "since": since, "until": until}
    if len(chosen) + bool(any(plain.values()) or dry_run or master) > 1:
        raise typer.BadParameter("choose one of --status, --now, --pause, --resume, or a range, --everything, --engine and --dry-run")
    if dry_run and master:
        raise typer.BadParameter("--dry-run computes here: leave --engine out")
    command, arguments = chosen[0] if chosen else ("rollup.preview" if dry_run else "rollup", plain)
    if master:
        command, arguments = "rollup.spark", {**plain, "master": master, "shared": str(shared.absolute()) if shared else None}
    run(load(config), command, **arguments)


def import_directory(
    path: Annotated[
        Path,
        typer.Argument(
            help="a TOML file, a folder of CSV files (managers, properties, units, …), a file of keys (KEM, KEM2, CSV), or meter files of wmbusmeters"
        ),
    ],
    *,
    id_column: Annotated[str | None, typer.Option(help="of a CSV file of keys: the column with the meters' numbers, if it is not found")] = None,
    key_column: Annotated[str | None, typer.Option(help="of a CSV file of keys: the column with the keys, if it is not found")] = None,
    new_master_key: Annotated[bool, typer.Option("--new-master-key", help="make the master key that [keys] names, if it is not there yet")] = False,
    config: ConfigFile = None,
) -> None:
    """Import managers, properties, units, points, devices with keys, assignments and occupancies, or a file of keys; again and again as they change."""
    settings = load(config)
    file = settings.keys.master_key_file
    if new_master_key and file and not file.exists():
        Vault.create(file)
        typer.echo(f"made a new master key in {file}: keep a copy elsewhere, without it no meter key can be opened")
    if not is_key_file(path) and not is_meter_files(path):
        run(settings, "import", path=str(path.absolute()))
        return
    run(settings, "import.keys", path=str(path.absolute()), password=_password(path), id_column=id_column, key_column=key_column)


def _password(file: Path) -> str:
    """What opens a key file: from the environment, or asked for."""
    return (os.environ.get(PASSWORD) or typer.prompt("Password of the key file", hide_input=True)) if needs_password(file) else ""


def replay(path: Annotated[Path, typer.Argument(help="native lines, hex lines or rtl_wmbus lines")], *, config: ConfigFile = None) -> None:
    """Read telegrams from a file with their own reception times, then roll up."""
    run(load(config), "replay", path=str(path.absolute()))


def requeue(
    *,
    reason: Annotated[str | None, typer.Option("--reason", "--state", help="only this quarantine reason, e.g. no_key")] = None,
    device: Annotated[str | None, typer.Option("--device", "--meter", help="only this device, e.g. KAM-12345678-1B-06")] = None,
    since: Annotated[str | None, typer.Option("--since", help="only what was received from this date (UTC) or instant on")] = None,
    until: Annotated[str | None, typer.Option("--until", help="only what was received before this date (UTC) or instant")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask after telling how many")] = False,
    config: ConfigFile = None,
) -> None:
    """Decode quarantined telegrams again, at their original times; with --meter and --since all that the meter sent, from inbox and archive."""
    settings, chosen = load(config), {"reason": reason, "device": device, "since": since, "until": until}
    run(settings, "requeue.count", **chosen)
    if yes or typer.confirm("Decode them again?"):
        run(settings, "requeue", **chosen)


def information(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="id or label of the flat")],
    *,
    month: Annotated[str, typer.Option("--month", help="a month that is over, e.g. 2026-01")],
    publish: Annotated[bool, typer.Option("--publish", help="make it now, and publish it if it says something new")] = False,
    notified: Annotated[str | None, typer.Option("--notified", metavar="HOW", help="note that the holder was told now, e.g. by letter")] = None,
    config: ConfigFile = None,
) -> None:
    """Show the monthly information of a flat as it was published last, for each holder in the month."""
    run(load(config), "information", unit=unit, month=month, publish=publish, notified=notified)


def rebuild(*, config: ConfigFile = None) -> None:
    """Decode all kept messages again, from the archive and the inbox, and compute all rows anew; what comes out as it was stays."""
    run(load(config), "rebuild")


def quarantine(
    *,
    reason: Annotated[str | None, typer.Option(help="only this reason, e.g. no_key")] = None,
    device: Annotated[str | None, typer.Option(help="only this device, e.g. KAM-12345678-1B-06")] = None,
    config: ConfigFile = None,
) -> None:
    """Telegrams that gave no reading: when, of which device, by which gateway, why, and their bytes."""
    run(load(config), "quarantine", reason=reason, device=device)


def events(
    *,
    kind: Annotated[str | None, typer.Option("--kind", help="only of this kind, see docs/events.md")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="only of this subject, e.g. device:KAM-12345678-1B-16")] = None,
    everything: Annotated[bool, typer.Option("--all", help="closed ones too")] = False,
    close: Annotated[int | None, typer.Option("--close", metavar="ID", help="close this event: it is dealt with; needs --by and --why")] = None,
    by: Annotated[str, typer.Option("--by", help="who closes it")] = "",
    why: Annotated[str, typer.Option("--why", help="what was decided")] = "",
    config: ConfigFile = None,
) -> None:
    """What happened that somebody may have to know or decide; open ones, or close one."""
    run(load(config), "events", kind=kind, subject=subject, everything=everything, close=close, by=by, why=why)


def audit(
    *,
    since: Annotated[str | None, typer.Option("--from", help="first date (UTC) or instant")] = None,
    until: Annotated[str | None, typer.Option("--to", help="date (UTC) or instant that is not included any more")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="only what this one did, e.g. operator, token:k_…, account:a_…")] = None,
    action: Annotated[str | None, typer.Option("--action", help="only this, e.g. session.open")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="only what was done to this unit, or another object")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="the last so many")] = 1000,
    verify: Annotated[bool, typer.Option("--verify", help="walk the chain of hashes and name the first row that is broken")] = False,
    config: ConfigFile = None,
) -> None:
    """Who did what, when, with what outcome; and whether all of it is still as it was written."""
    run(load(config), "audit", since=since, until=until, actor=actor, action=action, unit=unit, limit=limit, verify=verify)


def outbox(
    *,
    retry: Annotated[int | None, typer.Option("--retry", metavar="ID", help="try this message again now")] = None,
    config: ConfigFile = None,
) -> None:
    """Messages to people that wait or were not delivered: where to, how often tried, why not; never what they say."""
    run(load(config), "outbox", retry=retry)


def meters(
    *,
    unknown: Annotated[bool, typer.Option("--unknown", help="only those that the directory does not have")] = False,
    heard: Annotated[bool, typer.Option("--heard", help="only those that were heard: how often, how well, by which gateways")] = False,
    adopt: Annotated[str | None, typer.Option("--adopt", metavar="ID", help="take a heard device into the directory; needs --point")] = None,
    point: Annotated[str | None, typer.Option("--point", help="id or label of the point that it measures")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="since when: a local date or an instant; default: the day when it was first heard")
    ] = None,
    announced: Annotated[
        bool, typer.Option("--announced", help="instead: what bridges announce to Home Assistant, what is taken of it, and why not the rest")
    ] = False,
    named: Annotated[
        str | None, typer.Option("--named", metavar="NAME", help="what gateways call NAME is a device of the directory; needs --device")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="ID", help="the device that --named means")] = None,
    key_file: Annotated[Path | None, typer.Option("--key-file", help="with --adopt: a file that has its key: KEM, KEM2, CSV")] = None,
    ask_key: Annotated[bool, typer.Option("--key", help="with --adopt: ask for its key, which is not shown")] = False,
    list_drivers: Annotated[bool, typer.Option("--drivers", help="instead: which meters have a driver of their own")] = False,
    config: ConfigFile = None,
) -> None:
    """Which meters are known and heard; take a stranger in; say whose name a gateway tells; or which kinds have a driver."""
    if adopt is not None:
        if point is None:
            raise typer.BadParameter("which point does it measure? write --point")
        key = typer.prompt(f"Key of {adopt}, 32 hex digits", hide_input=True).strip() if ask_key and key_file is None else None
        file = {} if key_file is None else {"key_file": str(key_file.absolute()), "password": _password(key_file)}
        run(load(config), "meters.adopt", device=adopt, point=point, since=since, key=key, **file)
        return
    if named is not None:
        if device is None:
            raise typer.BadParameter("which device of the directory is it? write --device")
        run(load(config), "meters.named", name=named, device=device)
        return
    if announced:
        run(load(config), "meters.announced")
        return
    if not list_drivers:
        run(load(config), "meters", unknown=unknown, heard=heard)
        return
    for driver in drivers():
        makers = " ".join(sorted({maker for make in driver.makes for maker in make.manufacturers.split()}))
        typer.echo(f"{driver.name:20}  {makers:24}  {driver.about}")


@token.command("create")
def token_create(
    manager: Annotated[str, typer.Argument(help="the manager whose units the token sees")],
    scope: Annotated[list[str] | None, typer.Option(help=f"may be given several times: {', '.join(SCOPES)}; default: {', '.join(READS)}")] = None,
    *,
    config: ConfigFile = None,
) -> None:
    """Make a token and print its secret, this once."""
    run(load(config), "token.create", manager=manager, scopes=scope or list(READS))


@token.command("list")
def token_list(*, config: ConfigFile = None) -> None:
    """Tokens without their secrets."""
    run(load(config), "token.list")


@token.command("revoke")
def token_revoke(identity: Annotated[str, typer.Argument(help="as `token list` shows it")], *, config: ConfigFile = None) -> None:
    """End a token at once."""
    run(load(config), "token.revoke", token=identity)
