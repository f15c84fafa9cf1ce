"""How a demo's stores are filled: the directory, the history part by part through decoders and rollups, the bill that something came late for, the letters.

Strategy: the first part (the last months) is enough to begin with; the older years come while the service runs. Everything goes the way that it goes in
service: the gateways' messages as a file to `replay`, the rest by the operator's own commands.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from submeter import civil
from submeter.aggregate import Limits
from submeter.commands import execute
from submeter.core import Core, now
from submeter.demo.asking import Asking
from submeter.demo.folder import BEHIND, Demo, made
from submeter.demo.letters import printed
from submeter.demo.papers import push
from submeter.simulate.building import Place
from submeter.simulate.history import Stretch, messages, times
from submeter.simulate.stories import LATE
from submeter.simulate.world import COMPANIES
from submeter.store.registry_types import SCOPES

__all__ = ["build", "catch_up", "fill", "furnish", "late_month"]

#: Runs a command and gives its lines: on an open core, or on a running one.
Run = Callable[[str, Mapping[str, Any]], Iterable[str]]


def build(
    folder: Path, *, seed: int = 1, years: float = 3, port: int = 0, end: int | None = None, say: Callable[[str], None] = lambda _line: None
) -> Demo:
    """A whole demo in a folder (made anew): stores filled with `years` of history until `end` (µs UTC, default: a day ago), portals configured, letters printed.

    What comes back knows the configuration to serve it with, the world to compare with, tokens by manager and the letters of each portal.
    """
    demo = made(folder, seed=seed, years=years, port=port, end=end)
    furnish(demo, say)
    with Core(demo.config) as core:
        while demo.left:
            fill(demo, partial(execute, core), say)
    return demo


def furnish(demo: Demo, say: Callable[[str], None]) -> None:
    """The directory, the first part of the history, the bill and what came late for it, tokens, papers and letters."""
    with Core(demo.config) as core:
        run = partial(execute, core)
        *_, last = run("import", {"path": str(demo.folder / "directory.toml")})
        say(f"directory  {last}")
        fill(demo, run, say)
        core.rollups.retain(Limits(hour=core.config.retention.hours_days), now=now())  # as the job would, before there is anything to delete
        _deliver_late(demo, run)
        demo.tokens = {one.id: core.registry.create_token(one.id, SCOPES) for one in COMPANIES}
    with Asking(demo) as asking:
        push(demo, asking)
        demo.letters = list(printed(demo, asking))
    demo.keep()


def fill(demo: Demo, run: Run, say: Callable[[str], None]) -> None:
    """The next part of the history."""
    part = demo.left[0]
    told = _replayed(demo, run, part, f"history-{demo.parts}")
    for stretch in part:
        demo.sent.insert(0, stretch)
    demo.parts += 1
    demo.keep()
    say(f"history    {min(civil.utc_date(one.t_from) for one in part)} to {max(civil.utc_date(one.t_to) for one in part)}: {told}")


def catch_up(demo: Demo, run: Run, say: Callable[[str], None], *, at: int) -> None:
    """What was sent while the demo did not run, as of `at` (µs UTC), in bulk: the rest of a day remains to be lived."""
    begin, end = demo.until, (at - BEHIND) // civil.HOUR * civil.HOUR
    if end - begin < BEHIND // 2:
        return
    missed = Stretch(begin, end, civil.HOUR)
    told = _replayed(demo, run, [missed], f"missed-{begin}")
    demo.note(missed)
    demo.keep()
    say(f"missed     {civil.utc_date(begin)} to {civil.utc_date(end)}: {told}")


def _replayed(demo: Demo, run: Run, part: list[Stretch], boot: str) -> str:
    """Send what these stretches hold as gateways' messages; returns what the rollup said of it."""
    return _sent(demo, run, ((t, place) for place in demo.world.places for one in part for t in times(place, one) if place.heard(t)), boot)


def _sent(demo: Demo, run: Run, sent: Iterable[tuple[int, Place]], boot: str) -> str:
    file, heard = demo.folder / "history.jsonl", list(sent)
    with file.open("wb") as lines:
        for building in demo.world.buildings.values():
            own = {place.id for place in building.places}
            lines.writelines(message + b"\n" for message in messages([one for one in heard if one[1].id in own], boot))
    *_, last = run("replay", {"path": str(file)})
    file.unlink()
    return f"{len(heard)} telegrams; {last}"


def _deliver_late(demo: Demo, run: Run) -> None:
    """Bill the month that something is missing of, then let it come."""
    story, (start, end) = demo.world.story(LATE), late_month(demo)
    zone = demo.world.buildings[story.manager].zone
    period = {"start": civil.local_date(zone, start).isoformat(), "end": civil.local_date(zone, end).isoformat()}
    for _ in run("bill", {"target": story.point, **period, "by": "demo", "reason": "the bill of that month"}):
        pass
    place = next(place for place in demo.world.places if place.id == story.point)
    before = set(demo.heard(place))
    demo.late = True
    _sent(demo, run, ((t, place) for t in demo.heard(place) if t not in before), "late")
    demo.keep()


def late_month(demo: Demo) -> tuple[int, int]:
    """The month that was billed before all of its readings were there, [start, end) in µs UTC."""
    story = demo.world.story(LATE)
    zone = demo.world.buildings[story.manager].zone
    first = (civil.local_date(zone, story.since) + timedelta(days=31)).replace(day=1)
    return civil.midnight(zone, first), civil.midnight(zone, civil.month_after(first))
