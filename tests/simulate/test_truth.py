"""The simulator's expectation against the real decoder and the exact classifier: two ways to one number."""

from datetime import date

import pytest

from submeter import civil
from submeter.aggregate.classifier import classify
from submeter.aggregate.events import Sample
from submeter.aggregate.parameters import Parameters, SeriesSpec
from submeter.aggregate.rows import counter_levels
from submeter.decoders import Profile, decode
from submeter.simulate.building import Building
from submeter.simulate.consumption import DAY, HOUR
from submeter.simulate.gateway import instants
from submeter.simulate.truth import anchors, counters, expected

ZONE = "Europe/Prague"
START = civil.midnight(ZONE, date(2026, 12, 30)) + 1
END = civil.midnight(ZONE, date(2027, 1, 2)) + HOUR // 3
BUILDING = Building.make(flats=1, zone=ZONE)


def received(place, register) -> list[Sample]:
    """Every reading of a register that the decoder finds in the telegrams sent."""
    samples = []
    for seq, t in enumerate(instants(place, START, END, HOUR)):
        telegram = decode(place.meter.telegram(t), lambda _: Profile(place.meter.key), link="wmbus" if place.meter.key else "mbus")
        samples += [
            Sample(t if one.stamp is None else civil.stored_date(ZONE, one.stamp), one.value, one.source, due=one.due, seq=seq)
            for one in telegram.readings
            if one.register == register
        ]
    return samples


@pytest.mark.parametrize("place", BUILDING.places, ids=lambda place: place.id)
def test_rows_are_what_the_truth_expects(place):
    """Each row of each level, over a set day, a month end and the stored values before the first telegram, has exactly the expected use."""
    period = {"kind": "period", "set_day": "12-31"} if place.meter.model.stored == "set_day" else {}
    for register in counters(place):
        spec = SeriesSpec(Parameters.parse(period), ZONE)
        outcome = classify(received(place, register), spec)
        assert (outcome.held, outcome.pending) == ([], None)
        rows = [row for _, row in counter_levels(outcome.segments, spec)]
        assert len(rows) > 3 * 24
        known = anchors(place, register, instants(place, START, END, HOUR))
        assert [(row.value, row.flags) for row in rows] == [(expected(known, row.start, row.end), 0) for row in rows]
        assert sum(row.value for row in rows if row.end - row.start == DAY) > 0 or place.meter.kind == "cooling"
