"""What a point measures: registers of its devices over its assignments, what makes a series another one, and registers by their names."""

import json
from dataclasses import replace

import pytest

from submeter.aggregate import Exchange, ParameterError, Parameters, SeriesSpec, faults, register_named
from submeter.aggregate.decided import Decided, Entered, decided
from submeter.aggregate.series import Series, Span, changed, fingerprint, of_point
from submeter.civil import DAY, HOUR
from submeter.reading import INT64_MAX, Register, Source
from submeter.store import Assignment, Decision, Point, Property, Registry

HOUSE = Property("b", "c", "House", "Europe/Prague", "04-01", "hour")
VOLUME, FLOW, SUB = Register("volume", "m3"), Register("flow", "m3/h"), Register("volume", "m3", 1, 2, 3)
POINT = Point("p", "b", "u", "cold_water", "", ("volume", "flow", str(SUB)), {"max_gap": "PT6H"})
OLD, NEW = Assignment("p", "A", 0, 5 * DAY, 1, 100), Assignment("p", "B", 5 * DAY, None, 7, None)


@pytest.mark.parametrize(
    ("text", "register"),
    [
        ("volume", Register("volume", "m3")),
        ("energy[t1]", Register("energy", "kWh", 1)),
        ("energy[s2]", Register("energy", "kWh", 0, 2)),
        ("volume[#4]", Register("volume", "m3", 0, 0, 4)),
        ("volume[t1][s2][#3]", SUB),
    ],
)
def test_a_register_is_read_as_it_is_written(text, register):
    """Name, tariff, subunit and index; what is left out is none of them, and the first index."""
    assert register_named(text) == register
    assert str(register) == text


@pytest.mark.parametrize("text", ["", "nonsense", "volume[t]", "volume[#1][t1]", "volume ", "volume[t1]x", "VOLUME"])
def test_what_is_no_register_is_refused(text):
    """With where they are listed."""
    with pytest.raises(ParameterError, match=r"no register that is rolled up: docs/registers\.md"):
        register_named(text)


def stitched(assignments, registers, point=POINT, **more):
    """Series of a point by register."""
    return {one.register: one for one in of_point(point, HOUSE, assignments, registers, **more)}


def test_a_series_is_stitched_over_the_assignments():
    """Each device's readings inside its own assignment, an exchange between two, with the values of the protocol for the main register alone."""
    found = stitched([OLD, NEW], {"A": {VOLUME: 1, FLOW: 2}, "B": {VOLUME: 3, FLOW: 4}, "C": {VOLUME: 9}})
    assert found[VOLUME].spans == (Span(1, 0, 5 * DAY), Span(3, 5 * DAY, INT64_MAX))
    assert found[VOLUME].spec.exchanges == (Exchange(5 * DAY, end=100, start=7),)
    assert found[FLOW].spec.exchanges == (Exchange(5 * DAY),)
    assert set(found) == {VOLUME, FLOW}


def test_parameters_are_of_the_main_register():
    """Its kind is the dictionary's, its year the house's; other registers have what their nature gives."""
    found = stitched([NEW], {"B": {VOLUME: 3, FLOW: 4}})
    assert found[VOLUME].spec == SeriesSpec(Parameters(max_gap=6 * HOUR, year_start="04-01"), "Europe/Prague")
    assert (found[FLOW].kind, found[FLOW].spec.parameters.max_gap, found[FLOW].spec.parameters.unit) == ("gauge", 2 * HOUR, "m3/h")
    allocator = stitched([NEW], {"B": {Register("hca", "hca"): 5}}, replace(POINT, registers=("hca",), parameters={}))
    assert [(one.spec.parameters.max_gap, one.spec.parameters.confirm_window, one.spec.parameters.resolution) for one in allocator.values()] == [
        (3 * DAY, 7 * DAY, 1_000_000)
    ]


@pytest.mark.parametrize(
    ("registers", "series"),
    [
        ({}, set()),
        ({"A": {VOLUME: 1}}, {VOLUME}),
        ({"A": {SUB: 1}, "B": {VOLUME: 2}}, {SUB, VOLUME}),
        ({"A": {Register("energy", "kWh"): 1}}, set()),
        ({"A": {Register("volume", "m3", 1): 1}}, set()),
    ],
)
def test_only_what_was_heard_and_is_shown_is_a_series(registers, series):
    """A register that the point does not name, or that no device ever told, makes none."""
    assert set(stitched([OLD, NEW], registers)) == series


def decision(number, kind, **details):
    """A decision about the point's volume."""
    return Decision(number, number, "eva", "seen", kind, "p", "volume", details, number, None)


def test_decisions_are_plain_values_in_one_order():
    """Whatever the order in which they were made; those of other kinds say nothing of readings."""
    reading = {"value": 5, "src": "manual", "due": False, "pinned": True}
    made = [
        decision(1, "reading", t=9, **reading), decision(2, "reading", t=3, **reading), decision(3, "accept", t=8), decision(4, "accept", t=2),
        decision(5, "accept", t=8), decision(6, "reject", t=7, until=8), decision(7, "reject", t=1, until=2), decision(8, "bill", start=0),
    ]  # fmt: skip
    said = decided(made)
    manual = int(Source.MANUAL)
    assert said["p", "volume"] == Decided((2, 8), ((1, 2), (7, 8)), (Entered(3, 5, manual, False, True, 2), Entered(9, 5, manual, False, True, 1)))
    assert decided(reversed(made)) == said
    found = stitched([NEW], {"B": {VOLUME: 3, FLOW: 4}}, said=said)
    assert (found[VOLUME].decided, found[VOLUME].spec.accepted) == (said["p", "volume"], (2, 8))
    assert (found[FLOW].decided, found[FLOW].spec.accepted) == (Decided(), ())


BASE = Series(POINT, VOLUME, (Span(1, 0, 9),), SeriesSpec(Parameters(), "UTC"))
ENTERED = Entered(5, 6, int(Source.MANUAL), due=False, pinned=False, decision=1)
#: What of a series differs, and the word of SPEC 13 that this is the reason of.
DIFFERENT = {
    "its zone": (replace(BASE, spec=replace(BASE.spec, zone="Asia/Kolkata")), "config"),
    "a parameter": (replace(BASE, spec=replace(BASE.spec, parameters=Parameters(max_gap=DAY))), "config"),
    "a rating factor": (replace(BASE, spec=replace(BASE.spec, parameters=Parameters(factors=((1, 2),)))), "factor"),
    "an exchange": (replace(BASE, spec=replace(BASE.spec, exchanges=(Exchange(4),))), "exchange"),
    "a span": (replace(BASE, spans=(Span(1, 0, 8),)), "exchange"),
    "a substitute": (replace(BASE, decided=Decided(entered=(replace(ENTERED, src=int(Source.SUBSTITUTE)),))), "substitute"),
    "an entered reading": (replace(BASE, decided=Decided(entered=(ENTERED,))), "correction"),
    "a rejected reading": (replace(BASE, decided=Decided(rejected=((1, 2),))), "correction"),
    "an accepted step": (replace(BASE, spec=replace(BASE.spec, accepted=(4,))), "correction"),
    "its label": (replace(BASE, point=replace(POINT, label="Kitchen")), None),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_why_a_series_is_computed_anew(case):
    """Anything but its readings that its rows follow from; of several differences the first of the table counts."""
    other, reason = DIFFERENT[case]
    assert changed(fingerprint(BASE), fingerprint(other)) == reason
    assert changed(None, fingerprint(other)) == "config"


def test_a_series_is_numbered_by_point_register_and_kind():
    """And events call it by the first two."""
    assert (BASE.key.point, BASE.key.register, BASE.key.kind) == ("p", VOLUME, "total")
    assert replace(BASE, register=SUB).key.subject == "point:p/volume[t1][s2][#3]"


def test_what_cannot_be_computed_with_is_named_by_point(tmp_path):
    """A main register that is not rolled up, parameters that SPEC 2 does not allow, an exchange on the set day; one line for each point."""
    midnight = 1_704_063_600_000_000
    points = {
        "good": ("volume[t1] flow", {}),
        "event": ("error_flags", {}),
        "rate": ("volume", {"max_rate_per_h": "0"}),
        "swap": ("hca", {"set_day": "12-31"}),
    }
    with Registry(tmp_path / "registry.sqlite") as registry:
        with registry.writing() as db:
            db.execute("INSERT INTO managers VALUES ('c', 'C')")
            db.execute(
                "INSERT INTO properties (id, manager, name, zone, year_start, finest) VALUES ('b', 'c', 'House', 'Europe/Prague', '01-01', 'hour')"
            )
            db.execute("INSERT INTO devices VALUES ('AAA-00000001-01-07', NULL, NULL, 1)")
            for name, (registers, parameters) in points.items():
                db.execute(
                    "INSERT INTO points VALUES (?, 'b', NULL, 'heat', '', ?, ?)", (name, registers, json.dumps({"kind": "period", **parameters}))
                )
                for since, until in ((0, midnight), (midnight, None)):
                    db.execute("INSERT INTO assignments VALUES (?, 'AAA-00000001-01-07', ?, ?, NULL, NULL)", (name, since, until))
        assert list(faults(registry)) == [
            "point event: registers: error_flags is no register that is rolled up: docs/registers.md lists them",
            "point rate: max_rate_per_h must be above 0",
            "point swap: the exchange at 2023-12-31T23:00:00Z falls on the set day: move it by a second",
        ]
