"""Gateways and truth: the schedule, the envelopes, and what a check may expect."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from submeter.simulate.building import Building
from submeter.simulate.gateway import MOST, Network, batches, instants, transmissions
from submeter.simulate.truth import anchors, counters, expected, index_at

HOUR = 3_600_000_000
START = 1_798_700_000_000_000  # 2026-12-31, so that a set day and a month end lie inside
END = START + 48 * HOUR
BUILDING = Building.make(flats=3)


def test_every_meter_sends_once_an_interval_at_its_phase():
    """Transmissions are in order of time, each meter's at the instants that the schedule says, on whole milliseconds."""
    for t_from, t_to in ((START, END), (START + 1234, START + HOUR // 2)):
        sent = list(transmissions(BUILDING, t_from, t_to, HOUR))
        assert [one.t for one in sent] == sorted(one.t for one in sent)
        for place in BUILDING.places:
            assert [one.t for one in sent if one.place is place] == list(instants(place, t_from, t_to, HOUR))
        assert all(one.t % 1000 == 0 and t_from <= one.t < t_to for one in sent)


def test_successive_periods_make_the_same_telegrams_as_one():
    """A live demo that asks second by second sends what one long question gives."""
    whole = [(one.t, one.raw) for one in transmissions(BUILDING, START, START + 20_000_000, 5_000_000)]
    parts = [
        (one.t, one.raw)
        for second in range(20)
        for one in transmissions(BUILDING, START + second * 1_000_000, START + (second + 1) * 1_000_000, 5_000_000)
    ]
    assert parts == whole
    assert len(whole) == 4 * len(BUILDING.places)


def test_native_envelopes():
    """Messages follow the native envelope: version, gateway, boot, sequence from 0 by one, at most MOST telegrams with time and hex."""
    network = Network(BUILDING, HOUR, "b1")
    messages = [*network.messages(START, END), *network.messages(END, END + HOUR)]
    for gateway in BUILDING.gateways:
        bodies = [json.loads(message.payload) for message in messages if message.gateway == gateway]
        assert [body["seq"] for body in bodies] == list(range(len(bodies)))
        assert {(body["v"], body["gw"], body["boot"]) for body in bodies} == {(1, gateway, "b1")}
        assert max(len(body["t"]) for body in bodies) == MOST
    for message in messages:
        assert message.topic == f"submeter/v1/{message.gateway}/up"
        telegrams = json.loads(message.payload)["t"]
        assert [(one["ts"] * 1000, one["hex"]) for one in telegrams] == [(sent.t, sent.raw.hex()) for sent in message.sent]
        assert [one.get("kind") == "mbus" for one in telegrams] == [sent.place.meter.key is None for sent in message.sent]
        assert all(-95 < one["rssi"] <= -55 for one in telegrams if "kind" not in one)


def test_every_meter_is_heard_and_some_twice():
    """One gateway or both hear each meter, with the same time and bytes."""
    heard: dict[tuple[int, str], int] = {}
    for message in Network(BUILDING, HOUR, "b1").messages(START, START + HOUR):
        for sent in message.sent:
            heard[sent.t, sent.place.id] = heard.get((sent.t, sent.place.id), 0) + 1
    assert len(heard) == len(BUILDING.places)
    assert set(heard.values()) == {1, 2}


@pytest.mark.parametrize(("size", "told"), [
    (1, ["a1", "b2", "a3", "a4", "b5"]),
    (2, ["a13", "b25", "a4"]),
    (3, ["a134", "b25"]),
    (9, ["a134", "b25"]),
])  # fmt: skip
def test_batches_are_told_as_they_fill(size, told):
    """Full ones at once, in the order in which they fill; what is left of each gateway at the end, and nothing twice."""
    heard = [("a", 1), ("b", 2), ("a", 3), ("a", 4), ("b", 5)]
    assert [gateway + "".join(map(str, batch)) for gateway, batch in batches(heard, size)] == told


def test_the_same_period_is_told_alike():
    """The same building, start and period give the same messages, of another start others."""
    first, again, other = (list(Network(BUILDING, HOUR, boot).messages(START, END)) for boot in ("b1", "b1", "b2"))
    assert first == again
    assert [one.sent for one in first] == [one.sent for one in other]
    assert not {one.payload for one in first} & {one.payload for one in other}


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=9), st.lists(st.integers(-10, 1010), min_size=2))
def test_expected_use_adds_up(steps, bounds):
    """Use over neighbouring periods adds up to the use over the whole, whatever the bounds."""
    known = [(t, t * 3 + v) for t, v in sorted(dict(steps).items())]
    bounds.sort()
    parts = [expected(known, start, end) for start, end in pairwise(bounds)]
    assert sum(parts) == index_at(known, bounds[-1]) - index_at(known, bounds[0])


@pytest.mark.parametrize(("u", "index"), [(0, 10), (100, 10), (101, 10), (102, 11), (103, 12), (104, 12), (200, 12)])
def test_index_between_anchors(u, index):
    """The index is exact at anchors, linear between, halves go to the even number, and it ends with the last anchor."""
    assert index_at([(100, 10), (104, 12)], u) == index
    assert index_at([(0, 0), (2, 1)], 1) == 0
    assert index_at([(0, 1), (2, 2)], 1) == 2


def test_expected_over_everything_sent():
    """Over the whole period each counter's expected use is its total at the last telegram less that of the first instant told."""
    for place in BUILDING.places:
        times = instants(place, START, END, HOUR)
        for register in counters(place):
            told = anchors(place, register, times)
            first = place.meter.stored(times[0]).t
            assert expected(told, 0, END) == place.meter.total(register, times[-1]) - place.meter.total(register, first)
            assert place.meter.stored(times[-1]).t in [t for t, _ in told]
