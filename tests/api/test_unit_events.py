"""Events of a unit through real stores: what its holder is told, inside the own time; what is an operator's business is not."""

import pytest
from asking import ask
from test_information import Building, months

from submeter import civil
from submeter.config.languages import LOCALES
from submeter.config.words import CLASSES, EVENTS, words_of
from submeter.store import KINDS, QUANTITIES

HAND_OVER = "2024-03-01T12:00:00Z"
NOW = "2024-07-01T12:00:00Z"


@pytest.fixture
def building(tmp_path):
    """Flat u: A until noon of 1 March, then B; v has nobody on record, and a meter of its own."""
    found = Building(tmp_path)
    found.flat("u", ("A", "2023-01-01", HAND_OVER), ("B", HAND_OVER, None))
    found.flat("v")
    found.point("water", "u", "cold_water", *months(2024, 1, ["0", "1"]))
    found.point("heat", "u", "heat_allocation", *months(2024, 1, ["0", "1"]), parameters=', kind = "period", set_day = "12-31"')
    found.point("other", "v", "cold_water", *months(2024, 1, ["0", "1"]))
    yield found.open()
    found.core.close()


def tell(building, kind, subject, at, until=None, **more):
    """An event as the core raises it, and settles it."""
    events, instant = building.core.registry.events, civil.instant(at)
    events.raise_(kind, subject, instant, now=instant, detail="for operators", **more)
    if until:
        events.settle(kind, subject, (), now=civil.instant(until), ended=civil.instant(until))


def shown(building, unit="u", **query):
    """The answer's events as (kind, meter, from, to)."""
    answer = ask(building, f"units/{unit}/events", scopes=("events:read",), now=NOW, **query)
    assert answer.status_code == 200, answer.text
    return [(one["kind"], one["meter"], one["from"][:16], one["to"] and one["to"][:16]) for one in answer.json()["events"]]


def seen_by(building, monkeypatch, since=None, until=None):
    """From now on the token sees the flat in this time only."""
    from submeter.store import Visible

    bounds = [None if one is None else civil.instant(one) for one in (since, until)]
    monkeypatch.setattr(type(building.core.registry), "visible", lambda *_, **__: [Visible("u", *bounds, "hour")])


def test_events_of_points_and_their_devices_are_told_the_newest_first(building):
    """A leak that lasts, backflow that is over, of the register and of the device that is assigned; set days from the directory."""
    tell(building, "leak", "point:water/volume", "2024-06-01T00:00:00Z", amount=12_000)
    tell(building, "backflow", "device:AAA-00000001-01-07", "2024-02-01T00:00:00Z", "2024-02-03T00:00:00Z")
    tell(building, "silent", "point:other/volume", "2024-06-01T00:00:00Z")
    assert shown(building, **{"from": "2023-12-01"}) == [
        ("leak", "water", "2024-06-01T00:00", None),
        ("backflow", "water", "2024-02-01T00:00", "2024-02-03T00:00"),
        ("set_day", "heat", "2024-01-01T00:00", "2024-01-01T00:00"),
    ]
    body = ask(building, "units/u/events", scopes=("events:read",), now=NOW, language="cs").json()
    assert (body["open"], body["more"]) == (1, False)
    assert (body["events"][0]["amount"], body["events"][0]["uom"], body["events"][0]["text"]) == (0.012, "m3/h", "možný únik vody")
    assert (body["events"][0]["state"], body["events"][1]["state"], body["events"][0]["cut"]) == ("open", "closed", False)
    assert "operators" not in str(body)


def test_kinds_for_operators_are_left_out(building):
    """Of all kinds exactly those with a text for residents are answered."""
    for kind in KINDS:
        tell(building, kind, "point:water/volume", "2024-06-01T00:00:00Z")
    assert {kind for kind, *_ in shown(building, **{"from": "2024-05-01"})} == set(EVENTS) & set(KINDS)
    assert not {"suspect_jump", "wrong_key", "mac_fail", "clock_drift", "replay", "job_failed", "pending"} & set(EVENTS)


def test_ranges_are_half_open_and_state_filters(building):
    """An event of one instant belongs to the range that it begins; one that lasts to every range that it touches, not to one that begins as it ends."""
    tell(building, "backflow", "point:water/volume", "2024-02-01T00:00:00Z", "2024-02-03T00:00:00Z")
    tell(building, "leak", "point:water/volume", "2024-06-01T00:00:00Z")
    for start, end, kinds in (
        ("2024-02-02", "2024-02-03", ["backflow"]),
        ("2024-02-03", "2024-06-01", []),
        ("2024-01-15", "2024-02-01", []),
        ("2024-01-15", "2024-02-02", ["backflow"]),
        ("2024-06-20", "2024-06-21", ["leak"]),
        ("2024-01-01", "2024-01-02", ["set_day"]),
    ):
        assert [one[0] for one in shown(building, **{"from": start, "to": end})] == kinds, (start, end)
    assert [one[0] for one in shown(building, state="open")] == ["leak"]
    assert "leak" not in [one[0] for one in shown(building, state="closed")]
    for start, end, kinds in (("2099-01-01", "2101-01-01", ["leak"]), ("1899-01-01", "1900-01-01", []), ("1600-01-01", "1970-06-01", [])):
        assert [one[0] for one in shown(building, **{"from": start, "to": end})] == kinds
    for wrong in ({"from": "2024-02-02", "to": "2024-02-02"}, {"from": "yesterday"}, {"state": "pending"}):
        assert ask(building, "units/u/events", scopes=("events:read",), now=NOW, **wrong).status_code == 422


def test_each_holder_sees_the_own_time_only(building, monkeypatch):
    """What began and ended in the other's time is not there; what lasts over the hand-over is cut there and tells no amount; the edge is the new holder's."""
    tell(building, "backflow", "point:water/volume", "2024-02-01T00:00:00Z", "2024-02-03T00:00:00Z")
    tell(building, "leak", "point:water/volume", "2024-02-28T00:00:00Z", amount=9_000)
    tell(building, "burst", "point:water/volume", HAND_OVER, "2024-03-02T00:00:00Z")
    tell(building, "dry", "point:water/volume", "2024-02-20T00:00:00Z", HAND_OVER)
    seen_by(building, monkeypatch, until=HAND_OVER)
    former = {one[0]: one for one in shown(building, **{"from": "2024-01-15"})}
    assert set(former) == {"backflow", "leak", "dry"}
    assert former["leak"][2:] == ("2024-02-28T00:00", "2024-03-01T12:00")
    body = ask(building, "units/u/events", scopes=("events:read",), now=NOW).json()["events"]
    assert {one["kind"]: (one["cut"], one["amount"]) for one in body if one["kind"] in {"leak", "dry"}} == {
        "leak": (True, None),
        "dry": (False, None),
    }
    seen_by(building, monkeypatch, since=HAND_OVER)
    present = {one[0]: one for one in shown(building)}
    assert set(present) == {"leak", "burst"}
    assert present["leak"][2:] == ("2024-03-01T12:00", None)
    body = ask(building, "units/u/events", scopes=("events:read",), now=NOW).json()["events"]
    assert {one["kind"]: (one["cut"], one["amount"]) for one in body} == {"leak": (True, None), "burst": (False, None)}


def test_a_device_is_of_its_point_only_while_it_is_assigned(building, tmp_path):
    """After an exchange what the old meter says is nobody's event here; the exchange is one itself."""
    (tmp_path / "more.toml").write_text(
        '[[device]]\nid = "AAA-00000009-01-07"\n[[assignment]]\npoint = "water"\ndevice = "AAA-00000001-01-07"\nfrom = 2020-01-01\nto = 2024-05-01\n'
        '[[assignment]]\npoint = "water"\ndevice = "AAA-00000009-01-07"\nfrom = 2024-05-01\n'
    )
    building.do("import", path=str(tmp_path / "more.toml"))
    tell(building, "tamper", "device:AAA-00000001-01-07", "2024-06-01T00:00:00Z")
    tell(building, "low_battery", "device:AAA-00000009-01-07", "2024-06-01T00:00:00Z")
    assert shown(building, **{"from": "2024-04-01"}) == [
        ("low_battery", "water", "2024-06-01T00:00", None),
        ("exchange", "water", "2024-05-01T00:00", "2024-05-01T00:00"),
    ]


def test_words_are_in_every_language():
    """Each kind and each class of meters has a text in each language, of its own."""
    for locale in LOCALES:
        said = words_of(locale)
        assert len(set(said.events.values())) == len(EVENTS)
        assert len(set(said.classes.values())) == len(CLASSES)
    assert set(CLASSES) == set(QUANTITIES)


def test_who_may_ask(building):
    """Without events:read 403; another manager's unit is like none."""
    assert ask(building, "units/u/events", scopes=("units:read", "consumption:read")).status_code == 403
    assert ask(building, "units/far/events", scopes=("events:read",)).status_code == 404
