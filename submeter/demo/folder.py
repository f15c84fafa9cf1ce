"""The folder of a demo: configuration, master key, and a file that says what was sent so far, so that a demo can go on where it ended.

A folder is one demo's: of a seed and a number of years. What it holds is a whole installation, so every other command works on its `pipeline.toml`.
"""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from submeter import civil
from submeter.config import Config, load
from submeter.core import now
from submeter.demo.loopback import require_loopback
from submeter.errors import SubmeterError
from submeter.simulate.building import Place
from submeter.simulate.history import Stretch, planned
from submeter.simulate.world import COMPANIES, World
from submeter.store import Vault

__all__ = ["BEHIND", "LIVE", "Demo", "Letter", "made", "resumed", "url_of"]

MARK: Final = "submeter-demo"
STATE: Final = "demo.json"
#: How often a meter is heard while the demo runs, µs.
LIVE: Final = 15 * civil.MINUTE
#: How far the world is behind when a demo faster than real time begins, so that there is something to be fast about; silence is measured longer.
BEHIND: Final = civil.DAY
CONFIG: Final = """# Written by `submeter demo`.
[data]
folder = "data"
[keys]
master_key_file = "master.key"
{gateways}
{portals}
[mail]
sink = "file"
folder = "outbox"
sender = "portal@demo.example"
[sms]
sink = "file"
folder = "outbox"
[letters]
sink = "file"
folder = "outbox"
[retention]
readings_days = 0
[events]
silent_min_minutes = 2880
gateway_silent_minutes = 2880
sum_tolerance_percent = 0
[api]
host = "127.0.0.1"
port = {api}
[metrics]
port = {metrics}
[log]
level = "error"
"""
GATEWAY: Final = '[[gateway]]\nname = "{name}"\nstore_and_forward = true'
PORTAL: Final = '[[portal]]\nname = "{portal}"\nhost = "{host}"\nmanager = "{id}"\noperator_email = "office@{host}.example"\nlinks = {{{links}}}'
#: Whose units anybody may look at, by portal: the button on its first page.
SHOWN: Final = {"inmes": "sz-maribor"}
#: What stands below every page; where a company is paid without an account, at the demo's own port.
LINKS: Final = 'mail = "mailto:office@{host}.example", phone = "tel:+420555010000"'
PAID: Final = ', pay_open = "http://localhost:{port}/demo/pay", pay = "http://localhost:{port}/demo/pay?amount={{amount}}&currency={{currency}}"'
#: Companies that are paid online.
PAYING: Final = {"inmes", "inkomus"}


class Letter(NamedTuple):
    """What is printed for a unit: of which portal, where it is, what kind of claim, and the fields to type there."""

    portal: str
    manager: str
    host: str
    unit: str
    label: str
    kind: str
    fields: dict[str, str]


@dataclass(slots=True)
class Demo:
    """One demo: its configuration, its world, what of the world's history was sent, and what opens its portals. Instants are µs UTC."""

    folder: Path
    config: Config
    world: World
    years: float
    sent: list[Stretch] = field(default_factory=list)
    parts: int = 0
    late: bool = False
    tokens: dict[str, str] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)

    @property
    def left(self) -> Sequence[list[Stretch]]:
        """The parts of the history that were not sent yet, the newest first."""
        return planned(self.world.end, self.years, self.world.buildings["fjernvarme"])[self.parts :]

    @property
    def until(self) -> int:
        """How far the world has been told."""
        return max((stretch.t_to for stretch in self.sent), default=self.world.end)

    def heard(self, place: Place) -> list[int]:
        """When the meter of a place was heard so far."""
        return self.world.sent(place, self.sent, late=self.late)

    def note(self, stretch: Stretch) -> None:
        """A stretch was sent; one that goes on where the last one ended makes that longer."""
        last = self.sent[-1] if self.sent else None
        if last and stretch.step == last.step == LIVE and last.t_to == stretch.t_from:
            self.sent[-1] = last._replace(t_to=stretch.t_to)
        else:
            self.sent.append(stretch)

    def keep(self) -> None:
        """Write down what was sent; the file is read by its owner alone, since it holds what opens the portals."""
        state = {
            "seed": self.world.seed, "years": self.years, "end": self.world.end, "sent": self.sent, "parts": self.parts, "late": self.late,
            "tokens": self.tokens, "letters": self.letters,
        }  # fmt: skip
        beside = self.folder / f".{STATE}"
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(state, file, ensure_ascii=False)
        beside.replace(self.folder / STATE)


def made(folder: Path, *, seed: int, years: float, port: int, speed: float = 60, end: int | None = None) -> Demo:
    """A new demo in a folder, whose history ends at `end`, else a day ago or (at real speed) now; nothing was sent yet. SubmeterError says why it cannot be."""
    _cleared(folder)
    end = now() - (BEHIND if speed > 1 else 0) if end is None else end
    try:
        world = World.make(seed=seed, end=end // civil.HOUR * civil.HOUR)
    except ValueError as error:
        raise SubmeterError(str(error)) from error
    _configure(folder, world, port)
    (folder / "directory.toml").write_text(world.directory(), "utf-8")
    Vault.create(folder / "master.key")
    demo = Demo(folder, _loaded(folder), world, years)
    demo.keep()
    return demo


def resumed(folder: Path, *, seed: int, years: float, port: int) -> Demo | None:
    """The demo that is in a folder; None if there is none that was made completely. SubmeterError if it is another one."""
    if not (folder / STATE).exists():
        return None
    state: dict[str, Any] = json.loads((folder / STATE).read_text("utf-8"))
    if (state["seed"], state["years"]) != (seed, years):
        raise SubmeterError(f"{folder} holds the demo of seed {state['seed']} and {state['years']:g} years: write those, or --fresh to begin anew")
    if not state["letters"]:
        return None
    world = World.make(seed=seed, end=state["end"])
    _configure(folder, world, port)
    return Demo(
        folder, _loaded(folder), world, years, [Stretch(*one) for one in state["sent"]], state["parts"], state["late"], state["tokens"],
        [Letter(*one) for one in state["letters"]],
    )  # fmt: skip


def url_of(demo: Demo, host: str) -> str:
    """Where a portal of the demo is."""
    return f"http://{host}:{demo.config.api.port}"


def _configure(folder: Path, world: World, port: int) -> None:
    names = (name for building in world.buildings.values() for name in building.gateways)
    api = _free(port)
    gateways = "\n".join(GATEWAY.format(name=name) for name in names)
    text = CONFIG.format(api=api, metrics=_free(0), gateways=gateways, portals="\n".join(_portals(api)))
    (folder / "pipeline.toml").write_text(text, "utf-8")


def _portals(port: int) -> Iterator[str]:
    for one in COMPANIES:
        links = LINKS.format(host=one.host) + (PAID.format(port=port) if one.id in PAYING else "")
        shown = f'\ndemo_manager = "{SHOWN[one.portal]}"' if one.portal in SHOWN else ""
        yield PORTAL.format(**one._asdict(), links=links) + shown


def _loaded(folder: Path) -> Config:
    config = load(folder / "pipeline.toml")
    require_loopback(config)
    return config


def _cleared(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise SubmeterError(f"{folder} holds something else than a demo: name another folder with --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def _free(port: int) -> int:
    """The port, or a free one for 0; SubmeterError if it is taken."""
    try:
        with socket.create_server(("127.0.0.1", port)) as listener:
            found: int = listener.getsockname()[1]
            return found
    except OSError as error:
        raise SubmeterError(f"port {port} is taken: name another with --port, or 0 for any that is free") from error
