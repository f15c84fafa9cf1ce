"""Wishes, posts of accounting and limits over HTTP, and limits evaluated by the job on published rows."""

import pytest
from fastapi.testclient import TestClient
from portals import Here, inmes
from residents import portal, resident, waiting
from test_information import Building, clock

from submeter import civil, jobs
from submeter.store.notices import Rule

__all__ = ["clock"]

HAND_OVER = "2024-03-01T12:00:00Z"
SEEN = {"email": "j…@example.org", "sms": None}


@pytest.fixture
def here(tmp_path):
    """Five portals; flat cz-a has cold water."""
    made = Here(tmp_path)
    with made.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}')")
    yield made
    made.close()


def test_nothing_is_told_unless_it_is_asked_for_by_a_proven_channel(here):
    """Off at first; a channel without a proven address is refused; what is left out is off again."""
    one, _ = inmes(here, phone=None)
    path = "/v1/me/notifications"
    none = {name: [] for name in ("monthly_information", "balance_due", "payment_received", "leak", "silence")}
    assert one.client.get(path).json() == {"notifications": none, "channels": SEEN}
    wanted = {"leak": ["email"], "balance_due": ["email"]}
    assert one.client.put(path, json={"notifications": wanted}).json()["notifications"] == none | wanted
    refused = one.client.put(path, json={"notifications": {"leak": ["sms"]}})
    assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (422, "notifications")
    for wrong in ({"fire": ["email"]}, {"leak": ["pigeon"]}, {"leak": "email"}):
        assert one.client.put(path, json={"notifications": wrong}).status_code == 422
    assert one.client.put(path, json={"notifications": {}}).json()["notifications"] == none
    token = TestClient(here.app, headers={"Authorization": f"Bearer {here.registry.create_token('cz')}"})
    assert (token.get(path).status_code, TestClient(here.app).get(path).status_code) == (403, 401)


def test_an_address_that_is_not_proven_or_for_recovery_gets_no_notices(here):
    """Only proven addresses of the account count; those for recovery never."""
    one, _ = inmes(here, phone="777123456")
    assert one.client.get("/v1/me/notifications").json()["channels"]["sms"] == "+420…56"
    for change in ("verified = NULL", "verified = 1, use = 'recovery'"):
        with here.registry.writing() as db:
            db.execute(f"UPDATE contacts SET {change} WHERE channel = 'phone'")
        assert one.client.get("/v1/me/notifications").json()["channels"]["sms"] is None


def post(here, manager="cz", scopes=("events:write",), **body):
    """A post of the accounting system."""
    said = {"id": "17", "kind": "balance.due", "unit": "cz-a", "amount": "1234.50", "currency": "CZK", "date": "2025-06-30"} | body
    return here.service(manager, *scopes).post("/v1/events", json=said)


def test_accounting_posts_a_debt_once(here):
    """The same again is answered as before and kept once; other words under the same id are a conflict; another manager's id is another one's."""
    first = post(here)
    assert first.status_code == 201
    here.now += 60
    assert (post(here).status_code, post(here).json()) == (201, first.json())
    assert post(here, amount="1").status_code == 409
    assert post(here, manager="si", unit="si-a").status_code == 201
    assert [(one.manager, one.name, one.amount) for one in here.registry.notices.posted(0)] == [
        ("cz", "17", 1_234_500_000),
        ("si", "17", 1_234_500_000),
    ]
    assert len([one for one in here.registry.audit() if one.action == "event.post"]) == 2


def test_what_accounting_may_not_post(here):
    """Another manager's unit is like none; wrong values are named; the scope is needed."""
    foreign, nowhere = post(here, unit="si-a"), post(here, unit="u_nowhere")
    assert (foreign.status_code, foreign.content) == (404, nowhere.content)
    assert post(here, scopes=("units:read",)).status_code == 403
    for wrong in (
        {"amount": "0"},
        {"amount": "1.001"},
        {"amount": "NaN"},
        {"currency": "Kč"},
        {"date": "2025-02-30"},
        {"kind": "fire"},
        {"id": ""},
        {"x": 1},
    ):
        assert post(here, **wrong).status_code == 422, wrong
    assert here.registry.notices.posted(0) == []


def rules(*limits):
    """A body."""
    return {"rules": [dict(zip(("quantity", "kind", "amount", "channels"), one, strict=True)) for one in limits]}


def test_limits_are_the_own_ones_at_an_own_unit(here):
    """Set, read, replaced; one that stays keeps what it told; the household and the neighbour neither set nor see them."""
    one, _ = inmes(here, phone=None)
    path = "/v1/units/cz-a/alert-rules"
    assert one.client.get(path).json() == {"unit": "cz-a", "rules": []}
    put = one.client.put(path, json=rules(("cold_water", "day", "0.5", ["email"]), ("cold_water", "night", 0, ["email"]))).json()["rules"]
    assert [(rule["kind"], rule["amount"]) for rule in put] == [("day", 0.5), ("night", 0)]
    here.registry.notices.told(put[0]["id"], 5)
    again = one.client.put(path, json=rules(("cold_water", "day", "0.50", ["email"]))).json()["rules"]
    assert [rule["id"] for rule in again] == [put[0]["id"]]
    assert here.registry.notices.rules()[0].told == 5
    other, _ = inmes(here, "cz-b", "eva@example.org", None)
    assert other.client.get(path).status_code == other.client.put(path, json=rules()).status_code == 404
    with here.registry.writing() as db:
        db.execute("UPDATE grants SET role = 'household' WHERE unit = 'cz-a'")
    assert one.client.put(path, json=rules()).status_code == 403


def test_limits_that_make_no_sense_are_refused(here):
    """A class that the unit has not, a channel that is not proven, hours where the property shows days."""
    one, _ = inmes(here, phone=None)
    path = "/v1/units/cz-a/alert-rules"
    for wrong in (
        ("heat", "day", 1, ["email"]),
        ("cold_water", "day", -1, ["email"]),
        ("cold_water", "day", 1, ["sms"]),
        ("cold_water", "day", 1, []),
    ):
        assert one.client.put(path, json=rules(wrong)).status_code == 422, wrong
    with here.registry.writing() as db:
        db.execute("UPDATE properties SET finest = 'day'")
    refused = one.client.put(path, json=rules(("cold_water", "night", 0, ["email"])))
    assert (refused.status_code, refused.json()["type"]) == (403, "resolution-not-available")
    assert one.client.put(path, json=rules(("cold_water", "day", 0, ["email"]))).status_code == 200
    assert here.registry.notices.rules()[0].kind == "day"


@pytest.fixture
def building(tmp_path, clock):
    """Flat u, A until noon of 1 March, then B: 1 m³ in March of last year; this March 0.2 a day, and 1 m³ on the fourth, 0.03 of it at three at night."""
    clock("2024-03-05T08:00:00Z")
    found = Building(tmp_path)
    found.flat("u", ("A", "2023-01-01", HAND_OVER), ("B", HAND_OVER, None))
    found.flat("v", ("C", "2023-01-01", None))
    for name, unit in (("water", "u"), ("other", "v")):
        found.point(name, unit, "cold_water", *(("2023-03-01T00:00:00Z", "0"), ("2023-04-01T00:00:00Z", "1"), *days()))
    yield portal(found.open())
    found.core.close()


def days():
    """Readings of this March."""
    at = [("2024-03-01T00:00:00Z", "10"), ("2024-03-02T00:00:00Z", "10.2"), ("2024-03-03T00:00:00Z", "10.4"), ("2024-03-04T00:00:00Z", "10.6")]
    return [
        *at,
        ("2024-03-04T03:00:00Z", "10.6"),
        ("2024-03-04T04:00:00Z", "10.63"),
        ("2024-03-05T00:00:00Z", "11.6"),
        ("2024-03-05T06:00:00Z", "11.7"),
    ]


def limit(building, name, unit, since, kind, amount, made="2024-03-01T00:00:00Z"):
    """A resident with a limit."""
    account = resident(building, name, unit, since=since)
    rule = Rule(f"n_{name}", account, unit, "cold_water", kind, amount, "email", civil.instant(made))
    building.core.registry.notices.set_rules(account, unit, [rule])


def told(building):
    """Run the job; what was told now, by whom: when, used, limit."""
    before = {one.id for one in building.core.registry.outbox.find(("waiting",))}
    list(jobs.perform(building.core, "notices", by="schedule"))
    new = [one for one in building.core.registry.outbox.find(("waiting",)) if one.id not in before]
    return {(one.address[0], one.values["when"], one.values["used"], one.values["limit"]) for one in new}


def test_limits_tell_each_period_once(building, clock):
    """A day over the limit, a night with use, a month over last year's: each once, however often the job runs; what is at the limit is not over it."""
    since = "2023-01-01T00:00:00Z"
    limit(building, "day", "v", since, "day", 900_000)
    limit(building, "equal", "v", since, "day", 1_000_000)
    limit(building, "night", "v", since, "night", 0)
    limit(building, "year", "v", since, "year", 20_000_000)
    assert told(building) == {
        ("d", "4 March 2024", "1.000 m³", "0.900 m³"),
        ("n", "4 March 2024, 02:00 - 05:00", "0.030 m³", "0.000 m³"),
        ("y", "March 2024", "1.600 m³", "1.200 m³"),
    }
    assert told(building) == set()
    clock("2024-03-06T08:00:00Z")
    building.hear(building.told[1][0], "cold_water", ("2024-03-06T00:00:00Z", "14"))
    assert {one[:2] for one in told(building)} == {("d", "5 March 2024"), ("e", "5 March 2024")}


def test_limits_look_at_the_own_time_and_at_what_came_after_they_were_set(building):
    """B's limit of a year has no year before; a limit set today tells of today at the earliest; A, who left, is told nothing."""
    limit(building, "anna", "u", "2023-01-01T00:00:00Z", "day", 0)
    limit(building, "bob", "u", HAND_OVER, "year", 0)
    limit(building, "cyril", "v", "2023-01-01T00:00:00Z", "day", 0, made="2024-03-05T01:00:00Z")
    assert told(building) == set()
    assert waiting(building) == []


def test_a_part_of_a_day_of_the_holder_before_is_not_counted(building):
    """On the day of the hand-over B's limit is not evaluated; from the next day on it is."""
    limit(building, "bob", "u", HAND_OVER, "day", 100_000)
    assert {one[1] for one in told(building)} == {"2 March 2024", "3 March 2024", "4 March 2024"}
