"""Whether a demo is right: readings, the API's figures and the stories, against what the simulator alone knows.

The expectation knows no decoder, no store and no kernel (simulate/truth.py). What the API cannot know is not asked of it: before the first telegram of a
meter there is nothing to compare.
"""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

import pyarrow.compute as pc

from submeter import civil
from submeter.core import Core
from submeter.demo.building import late_month
from submeter.demo.folder import Demo
from submeter.reading import MICRO, Register, Source
from submeter.simulate.building import Place
from submeter.simulate.stories import LATE
from submeter.simulate.truth import Anchors, anchors, counters, index_at

__all__ = ["figures_differ", "readings_differ", "stories_differ"]

TIMEOUT_S: Final = 30.0
#: What is asked of each unit: the resolution, and how far back.
ASKED: Final = (("P1M", 1200 * civil.DAY), ("P1D", 60 * civil.DAY), ("PT1H", 4 * civil.DAY))
#: Stories that are an event: of which kind, and how long after it began it may be told; a leak is known by its nights.
EVENTS: Final = {"leak": ("leak", 6 * civil.DAY), "gone": ("silent", 0), "exchange": ("exchange", 0), "set_day": ("set_day", 0)}


def readings_differ(demo: Demo) -> Iterator[str]:
    """Every telegram gave its counters' readings at its instant: none lost, none twice, none altered."""
    with Core(demo.config) as core:
        numbers = core.readings.registers()
        for place in demo.world.places:
            heard = demo.heard(place)
            for meter in (place.meter, place.following) if place.following else (place.meter,):
                for register in counters(place):
                    rows = core.readings.readings_of([numbers.get((str(meter.device), register), 0)])
                    live = rows.filter(pc.equal(rows["src"], Source.LIVE))
                    found = list(zip(live["t"].to_pylist(), live["value"].to_pylist(), strict=True))
                    sent = [(t, meter.truth(t)[register]) for t in heard if place.meter_at(t) is meter]
                    if found != sent:
                        first = min(set(sent) ^ set(found), default=None)
                        yield f"{meter.device} {register}: {len(sent)} readings sent, {len(found)} stored, the first other one {first}"


def figures_differ(demo: Demo) -> Iterator[str]:
    """Every month, every recent day and hour that the API answers for a flat's counters is the difference of the true index."""
    end = demo.until
    for manager, building in demo.world.buildings.items():
        for flat in building.flats:
            places = {place.id: (place, _known(demo, place)) for place in building.places if place.flat == flat.id}
            for resolution, back in ASKED:
                query = f"resolution={resolution}&by=meter&from={civil.iso(end - back)}&to={civil.iso(end)}"
                answered = ask(demo, manager, f"/v1/units/{flat.id}/consumption?{query}")
                if {series["meter"] for series in answered["series"]} != places.keys():
                    yield f"{flat.id}: the API answers {sorted(series['meter'] for series in answered['series'])}, the flat has {sorted(places)}"
                for series in answered["series"]:
                    yield from _series_differs(series, *places[series["meter"]], end)


def _known(demo: Demo, place: Place) -> Anchors:
    return anchors(place, counters(place)[0], demo.heard(place))


def _series_differs(series: dict[str, Any], place: Place, known: Anchors, until: int) -> Iterator[str]:
    for point in series["points"]:
        start, end = civil.instant(point["start"]), civil.instant(point["end"])
        if end <= known[0][0] or (end > known[-1][0] and point["value"] is None):
            continue  # before the first telegram, or after the last, there is nothing to know
        true = index_at(known, end) - index_at(known, start)
        if start < until and (point["value"] is None or round(point["value"] * MICRO) != true):
            yield f"{place.id} {point['start']}: {point['value']} answered, {true / MICRO} is true"


def stories_differ(demo: Demo) -> Iterator[str]:
    """Each story is told by the API as it happened."""
    told = {story.name: story for story in demo.world.stories}
    for name, (kind, within) in EVENTS.items():
        story = told[name]
        events = ask(demo, story.manager, f"/v1/units/{story.unit}/events")["events"]
        found = [civil.instant(event["from"]) for event in events if (event["kind"], event["meter"]) == (kind, story.point)]
        if not any(story.since - civil.DAY < at <= story.since + within for at in found):
            yield f"{name}: no event {kind} of {story.point} about {civil.iso(story.since)}, but {[civil.iso(at) for at in found]}"
    yield from _gap_differs(demo)
    yield from _correction_differs(demo)
    yield from _clocks_differ(demo)


def _gap_differs(demo: Demo) -> Iterator[str]:
    """Days without a telegram are no measured days."""
    story = demo.world.story("silent")
    points = _points(demo, story.manager, story.unit, story.point, "P1D", story.since, story.until)
    if any(point["quality"] == "measured" for point in points) or not points:
        yield f"silent: {story.point} was not heard, and yet {[(point['start'], point['quality']) for point in points]}"


def _correction_differs(demo: Demo) -> Iterator[str]:
    """What was billed is what could be known then; the correction is the rest."""
    story, (start, end) = demo.world.story(LATE), late_month(demo)
    place = next(place for place in demo.world.places if place.id == story.point)
    register: Register = counters(place)[0]
    then = anchors(place, register, demo.world.sent(place, demo.sent, late=False))
    billed = index_at(then, end) - index_at(then, start)
    true = index_at(_known(demo, place), end) - index_at(_known(demo, place), start)
    query = f"resolution=P1M&by=meter&from={civil.iso(start)}&to={civil.iso(end)}"
    series = ask(demo, story.manager, f"/v1/units/{story.unit}/consumption?{query}")["series"]
    found = [one for answered in series if answered["meter"] == story.point for one in answered["corrections"]]
    wanted = {"old": billed, "new": true}
    if not any({name: round(one[name] * MICRO) for name in wanted} == wanted for one in found):
        yield f"late: {billed / MICRO} was billed of {story.point}, {true / MICRO} is true, the API's corrections are {found}"


def _clocks_differ(demo: Demo) -> Iterator[str]:
    """The day on which clocks change has as many measured hours as it lasts."""
    story = demo.world.story("clock_change")
    zone = demo.world.buildings[story.manager].zone
    end = civil.midnight(zone, civil.local_date(zone, story.since + civil.DAY + 12 * civil.HOUR))
    points = _points(demo, story.manager, story.unit, story.point, "PT1H", story.since, end)
    hours = (end - story.since) // civil.HOUR
    if len(points) != hours or any(point["quality"] != "measured" for point in points):
        yield f"clock_change: {hours} measured hours are expected, not {[(point['start'], point['quality']) for point in points]}"


def _points(demo: Demo, manager: str, unit: str, meter: str, resolution: str, start: int, end: int) -> list[dict[str, Any]]:
    query = f"resolution={resolution}&by=meter&from={civil.iso(start)}&to={civil.iso(end)}"
    series = ask(demo, manager, f"/v1/units/{unit}/consumption?{query}")["series"]
    return [point for one in series if one["meter"] == meter for point in one["points"]]


def ask(demo: Demo, manager: str, path: str) -> Any:
    """What the API answers a manager."""
    request = urllib.request.Request(f"http://127.0.0.1:{demo.config.api.port}{path}", headers={"Authorization": f"Bearer {demo.tokens[manager]}"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - loopback
        return json.load(answer)
