"""`submeter status`, once or as a view that goes on in the terminal."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from submeter.cli.operate import ConfigFile, run
from submeter.config import load
from submeter.control import ask
from submeter.errors import SubmeterError

__all__ = ["status", "view"]

MICRO = 1e6
#: Lines of the view for gateways and events: those that were heard last, and the kinds of which most are open.
MOST = 20


def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="go on showing it, until interrupted; needs a running core")] = False,
    every: Annotated[float, typer.Option("--every", min=0.5, help="with --watch: seconds between two looks")] = 2.0,
    config: ConfigFile = None,
) -> None:
    """What waits, what was refused and why, what is stored; or the same as a view that goes on."""
    settings = load(config)
    if not watch:
        run(settings, "status")
        return
    before: Mapping[str, Any] | None = None
    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            told = _ask(settings.data.folder)
            live.update(view(told, before), refresh=True)
            before = told
            try:
                time.sleep(every)
            except KeyboardInterrupt:
                return


def _ask(folder: Any) -> Mapping[str, Any]:
    lines = ask(folder, "status.view", {})
    if lines is None:
        raise SubmeterError(f"no core runs on {folder}: start `submeter run`; `submeter status` without --watch opens the files itself")
    found: Mapping[str, Any] = json.loads("".join(lines))
    return found


def view(told: Mapping[str, Any], before: Mapping[str, Any] | None) -> Group:
    """One picture of what `status.view` told; rates are since the picture `before`."""
    at, waiting = told["at"], told["waiting"]
    seconds = (at - before["at"]) / MICRO if before else 0
    rate = f", {(told['received'] - before['received']) / seconds:.1f} messages/s come" if before and seconds > 0 else ""
    late = f", the oldest for {_ago(at - told['oldest'])}" if told["oldest"] is not None else ""
    head = Text(f"submeter  {datetime.fromtimestamp(at / MICRO, UTC):%Y-%m-%d %H:%M:%S} UTC", style="bold")
    inbox = Text(
        f"inbox: {waiting} messages wait{late}{rate}", style="yellow" if told["oldest"] is not None and at - told["oldest"] > 60 * MICRO else ""
    )
    stored = Text(f"readings: {told['readings']}; free on disk: {told['free'] / 2**30:.1f} GiB")
    kept = _table("kept back", ("reason", "number"), sorted({**told["refused"], **told["quarantined"]}.items()))
    events = _table("open events", ("kind", "number"), sorted(told["events"].items(), key=lambda pair: -pair[1])[:MOST])
    gateways = sorted(told["gateways"].items(), key=lambda pair: -pair[1]["last"])[:MOST]
    rows = [(name, f"{_ago(at - one['last'])} ago", _clock(one["skew"]), one["missing"], one["gaps"]) for name, one in gateways]
    heard = _table(f"gateways ({len(told['gateways'])})", ("gateway", "last message", "clock", "missing", "gaps"), rows)
    return Group(head, inbox, stored, *(part for part in (heard, events, kept) if part.row_count))


def _table(title: str, headers: tuple[str, ...], rows: Any) -> Table:
    table = Table(*headers, title=title, title_justify="left")
    for row in rows:
        table.add_row(*map(str, row))
    return table


def _clock(skew: int | None) -> str:
    return "" if skew is None else f"{skew / MICRO:+.0f} s"


def _ago(micros: int) -> str:
    seconds = max(micros, 0) // 1_000_000
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
