"""What is asked after every kind of trouble: each telegram gave one reading, and all rows are those of a computation from scratch."""

from collections import Counter

from submeter.reading import LEVELS, Source
from submeter.simulate import counters
from submeter.store import pack


def exactly_once(here, sent):
    """Assert that in this installation, which does not run, these transmissions gave one reading each, and that rollups and published blocks equal a recompute."""
    with here.core() as core:
        core.drain_all()
        assert stored(core, here.building) == dict.fromkeys(expected_readings(sent), 1)
        core.rollup()
        assert core.rollup(everything=True).rows == 0
        assert published(core) == computed(core)


def expected_readings(sent):
    """(device, instant, value) of the main counter of every telegram, each once however many gateways heard it."""
    return {(str(one.place.meter.device), one.t, one.place.meter.truth(one.t)[counters(one.place)[0]]) for one in sent}


def stored(core, building):
    """The same of the readings' file, with how often it is there."""
    numbers = core.readings.registers()
    found = Counter()
    for place in building.places:
        device = str(place.meter.device)
        rows = core.readings.readings_of([numbers.get((device, counters(place)[0]), 0)]).to_pylist()
        found.update((device, row["t"], row["value"]) for row in rows if row["src"] == Source.LIVE)
    return found


def computed(core):
    """All rows by series and level as packed bytes."""
    series = sorted(core.readings.series().values())
    return {(one, level): pack(core.readings.rollups([one], level, -(2**62), 2**62)).tobytes() for one in series for level in range(len(LEVELS))}


def published(core):
    """The same as the API reads it."""
    series = sorted(core.readings.series().values())
    return {(one, level): core.published.read(one, level, "", "~").tobytes() for one in series for level in range(len(LEVELS))}
