"""A key that comes late: all kept telegrams are decoded at their own times, and only the rows they touch change (ingest/INBOX.md 2).

`SUBMETER_TELEGRAMS=10000` is the full size.
"""

import os

from installation import Installation

from submeter import civil
from submeter.commands import execute
from submeter.core import now
from submeter.reading import LEVELS, Source
from submeter.simulate.gateway import MOST, Sent, envelope
from submeter.store import Message, pack
from submeter.store.inbox import REPLAY

TELEGRAMS = int(os.environ.get("SUBMETER_TELEGRAMS", "2000"))
STEP = 10 * civil.MINUTE
OTHERS_STEP = 6 * civil.HOUR


def batches(place, instants):
    """A place's telegrams of these instants as replayed native batches."""
    gateway = place.gateways[0]
    sent = [Sent(t, place, place.meter.telegram(t)) for t in instants]
    for first in range(0, len(sent), MOST):
        part = sent[first : first + MOST]
        yield Message("test", envelope(gateway, "late", first, part), part[-1].t, gateway=gateway, flags=REPLAY)


def rows(core):
    """All computed and all published rows as bytes, and what history holds, by point and level."""
    found = {}
    for key, number in core.readings.series().items():
        for level in range(len(LEVELS)):
            computed = pack(core.readings.rollups([number], level, -(2**62), 2**62)).tobytes()
            found[key, level] = computed, core.published.read(number, level, "", "~").tobytes()
    return found


def live(core, place):
    """The instants of a place's live readings by register."""
    numbers = {register: number for (device, register), number in core.readings.registers().items() if device == str(place.meter.device)}
    return {
        register: [row["t"] for row in core.readings.readings_of([number]).to_pylist() if row["src"] == Source.LIVE]
        for register, number in numbers.items()
    }


def fed(here, core, instants):
    """Let the first meter be heard at these instants and all others now and then, and roll up."""
    late, *others = here.building.places
    for place in others:
        core.inbox.append(list(batches(place, range(instants.start, instants.stop, OTHERS_STEP))))
    core.inbox.append(list(batches(late, instants)))
    core.drain_all()
    core.rollup()


def test_a_late_key_changes_what_they_touch_and_nothing_else(tmp_path):
    """All kept telegrams become readings of their own instants; the meter's rows are those of a key that was there from the start, no other row changes."""
    start = now() // civil.DAY * civil.DAY - TELEGRAMS * STEP
    instants = range(start, start + TELEGRAMS * STEP, STEP)
    here, twin = Installation(tmp_path / "here", flats=2, keyless=1), Installation(tmp_path / "twin", flats=2)
    late = here.building.places[0]
    with twin.core() as core:
        fed(twin, core, instants)
        wanted, readings = rows(core), live(core, late)
    with here.core() as core:
        fed(here, core, instants)
        assert core.inbox.counts().quarantined == {"no_key": TELEGRAMS}
        before = rows(core)
        assert live(core, late) == {}
        list(execute(core, "import", {"path": str(here.folder / "directory.toml")}))
        assert core.inbox.counts().quarantined == {}
        after = rows(core)
        assert core.rollup(everything=True).rows == 0
        assert live(core, late) == readings
    assert list(instants) in readings.values()
    changed = {key for key in after if after[key] != before.get(key)}
    assert {key.point for key, _ in changed} == {late.id}
    assert after == wanted
