"""The command: makes or goes on with a demo, says where to look, runs it, and at the end of `--for` compares."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from submeter.commands import execute
from submeter.core import Core, now
from submeter.demo.building import catch_up, furnish
from submeter.demo.check import figures_differ, readings_differ, stories_differ
from submeter.demo.folder import Demo, Letter, made, resumed, url_of
from submeter.demo.live import Gateways, running
from submeter.logs import configure
from submeter.service import CoreThread
from submeter.simulate.world import COMPANIES

__all__ = ["demo"]

#: So many differences are shown.
SHOWN = 20


def demo(folder: Path, *, seconds: float | None, port: int, speed: float, years: float, seed: int, fresh: bool, console: Console) -> bool:
    """Run the demo in `folder` for `seconds`, or until interrupted; whether everything agreed, where it was compared (with `seconds`)."""
    configure("error", "console")

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False)

    one = None if fresh else resumed(folder, seed=seed, years=years, port=port)
    if one is None:
        one = made(folder, seed=seed, years=years, port=port, speed=speed)
        furnish(one, say)
    else:
        with Core(one.config) as open_core:
            catch_up(one, partial(execute, open_core), say, at=now())
    differences: list[str] = []
    with running(one, say) as core:
        for line in _where_to_look(one):
            say(line)
        say(f"operator   {_way_in(one, core)}")
        try:
            Gateways(one, core, speed=speed, say=say).run(seconds)
        except KeyboardInterrupt:
            say("ending")
            one.keep()
        if seconds is not None:
            list(core.submit("job", {"name": "nightly"}))
            differences = [*figures_differ(one), *stories_differ(one)]
    return seconds is None or _verdict(one, [*differences, *readings_differ(one)], console)


def _verdict(one: Demo, differences: list[str], console: Console) -> bool:
    for difference in differences[:SHOWN]:
        console.print(f"  [red]differs[/red]: {difference}")
    verdict = f"differ in {len(differences)} places from" if differences else "agree with"
    telegrams = sum(len(one.heard(place)) for place in one.world.places)
    console.print(f"{telegrams} telegrams of {one.world.devices} meters: readings, rollups, API and stories {verdict} what was sent", soft_wrap=True)
    return not differences


def _where_to_look(one: Demo) -> Iterator[str]:
    """What the console says once pages answer."""
    yield "portals    " + "  ".join(url_of(one, company.host) for company in COMPANIES) + "   (*.localhost is this machine)"
    for letter in _first_letters(one):
        fields = "   ".join(f"{name} {value}" for name, value in letter.fields.items())
        yield f"letter     {letter.host:22} {letter.label}   {letter.kind}   {fields}"
    yield f"letters    of all units, and tokens of all managers: {one.folder / 'demo.json'}"
    yield f"OUTBOX     what the portals send appears here and on {url_of(one, 'localhost')}/demo/outbox"
    yield f'token      curl -H "Authorization: Bearer {one.tokens[COMPANIES[0].id]}" {url_of(one, COMPANIES[0].host)}/v1/units'
    yield f"metrics    http://127.0.0.1:{one.config.metrics.port}/metrics"
    yield f"commands   submeter status -c {one.folder / 'pipeline.toml'}      Ctrl-C ends the demo, the next one goes on; --fresh begins anew"


def _way_in(one: Demo, core: CoreThread) -> str:
    """A new link for an operator of the first company, where its pages are."""
    company = COMPANIES[0]
    link, _ = core.submit("operator.add", {"name": "olga", "manager": company.id})
    return f"{url_of(one, company.host)}{urlsplit(link).path}   (good once, for half an hour)"


def _first_letters(one: Demo) -> Iterator[Letter]:
    """The first letter of each portal and kind."""
    seen: set[tuple[str, str]] = set()
    for letter in one.letters:
        if (letter.portal, letter.kind) not in seen:
            seen.add((letter.portal, letter.kind))
            yield letter
