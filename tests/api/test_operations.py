"""How a manager's installation does, over HTTP: its own silence, suspicions, flows and messages, and nobody else's."""

import numpy as np
import pytest
from fastapi.testclient import TestClient
from portals import Here, inmes
from tables import script, unbound

from submeter import civil
from submeter.reading import LEVELS, Register
from submeter.store import Block, PublishedSeries
from submeter.store.accounts import Grant
from submeter.store.published import POINT

ROWS = """
INSERT INTO points VALUES ('p-cz', 'cz1', 'cz-a', 'cold_water', 'Kitchen', 'volume', '{}'), ('p-si', 'si1', 'si-a', 'cold_water', '', 'volume', '{}');
INSERT INTO devices VALUES ('AAA-00000001-01-07', NULL, NULL, 1);
INSERT INTO assignments VALUES ('p-cz', 'AAA-00000001-01-07', 10, NULL, NULL, NULL);
"""


@pytest.fixture
def here(tmp_path):
    """Five managers; cz and si have a point each."""
    made = Here(tmp_path)
    script(made.registry, ROWS)
    yield made
    made.close()


def operations(here, manager="cz", scopes=("operations:read",)):
    """The answer to a manager's token."""
    return here.service(manager, *scopes).get("/v1/operations")


def test_open_silence_and_suspicions_of_own_meters_are_told(here):
    """Of points and of devices assigned at the time; what is closed, of another manager, or of other kinds is not."""
    raised = here.registry.events.raise_
    raised("silent", "point:p-cz/volume", 5_000_000, now=6_000_000)
    raised("meter_never_heard", "device:AAA-00000001-01-07", 10, now=6_000_000)
    raised("suspect_jump", "point:p-cz/volume", 7_000_000, now=8_000_000, amount=1_500_000)
    raised("silent", "point:p-si/volume", 5_000_000, now=6_000_000)
    raised("silent", "device:AAA-00000001-01-07", 1, now=6_000_000)
    raised("leak", "point:p-cz/volume", 5_000_000, now=6_000_000)
    raised("pending", "point:p-cz/volume", 5_000_000, now=6_000_000)
    here.registry.events.settle("pending", "point:p-cz/volume", (), now=7_000_000)
    body = operations(here).json()
    assert [(one["kind"], one["meter"], one["since"]) for one in body["silent_meters"]] == [
        ("meter_never_heard", "p-cz", "1970-01-01T00:00:00Z"),
        ("silent", "p-cz", "1970-01-01T00:00:05Z"),
    ]
    (jump,) = body["suspicions"]
    assert (jump["kind"], jump["unit"], jump["label"], jump["amount"]) == ("suspect_jump", "cz-a", "Kitchen", 1.5)
    theirs = operations(here, "si").json()
    assert [one["meter"] for one in theirs["silent_meters"]] == ["p-si"]
    assert theirs["suspicions"] == []


def test_gateways_are_told_to_who_is_alone(here):
    """With several managers nobody is told of gateways: they belong to none of them."""
    here.registry.events.raise_("gateway_silent", "gateway:cellar", 5_000_000, now=6_000_000)
    assert operations(here).json()["late_gateways"] is None
    with unbound(here.registry) as db:
        db.execute("DELETE FROM managers WHERE id <> 'cz'")
    assert operations(here).json()["late_gateways"] == [{"name": "cellar", "since": "1970-01-01T00:00:05Z"}]


def test_flows_are_counted_from_start_to_end(here):
    """A finished and an abandoned activation, by day and portal; those of a month ago are not told any more."""
    inmes(here, phone=None)
    here.browser("inmes").start("activate")
    day = "2025-06-15"
    assert operations(here).json()["flows"] == [{"day": day, "name": "activate", "started": 2, "finished": 1}]
    assert operations(here, "si").json()["flows"] == []
    here.now += 86_400
    here.browser("inmes").start("login")
    assert [(one["day"], one["name"]) for one in operations(here).json()["flows"]] == [(day, "activate"), ("2025-06-16", "login")]
    here.now += 31 * 86_400
    assert operations(here).json()["flows"] == []


def test_messages_are_counted_of_the_own_manager(here):
    """What waits of one's own; what another manager's readers are told is not seen."""
    values = {"portal": "https://x", "unit": "u"}
    for manager, address in (("cz", "a@example.org"), ("cz", "b@example.org"), ("si", "c@example.org")):
        here.registry.outbox.put(manager, "email", address, "new_grant", "en", values, now=1)
    assert operations(here).json()["outbox"] == [{"channel": "email", "state": "waiting", "count": 2}]


def asked(here, path, manager="cz", scope="operations:read", **query):
    """An answer to a manager's token."""
    answer = here.service(manager, scope).get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_events_of_every_kind_are_told_with_what_became_of_them(here):
    """Own points and devices, the newest first, counted by kind; those of another manager, or of a device that was elsewhere then, are not."""
    raised = here.registry.events.raise_
    raised("leak", "point:p-cz/volume", 5_000_000, now=6_000_000, amount=20_000)
    raised("tamper", "device:AAA-00000001-01-07", 9_000_000, now=9_000_000, detail="cover")
    raised("tamper", "device:AAA-00000001-01-07", 1, now=9_000_000)
    raised("leak", "point:p-si/volume", 5_000_000, now=6_000_000)
    closed = raised("silent", "point:p-cz/volume", 4_000_000, now=6_000_000)
    here.registry.events.close(closed.id, by="olga", decision="new battery", now=7_000_000)
    body = asked(here, "/v1/events")
    assert [(one["kind"], one["state"], one["meter"], one["detail"]) for one in body["events"]] == [
        ("tamper", "open", "p-cz", "cover"),
        ("leak", "open", "p-cz", ""),
        ("silent", "closed", "p-cz", ""),
    ]
    assert (body["counts"], body["more"]) == ({"leak": 1, "silent": 1, "tamper": 1}, False)
    assert (body["events"][1]["amount"], body["events"][2]["decided_by"], body["events"][2]["decision"]) == (0.02, "olga", "new battery")
    assert [one["kind"] for one in asked(here, "/v1/events", state="open", kind="leak")["events"]] == ["leak"]
    assert asked(here, "/v1/events", limit=1)["more"]
    assert [one["meter"] for one in asked(here, "/v1/events", "si")["events"]] == ["p-si"]


@pytest.mark.sqlite_alone("it takes managers out past the references to them")
def test_events_of_the_installation_are_told_to_who_is_alone(here):
    """Of gateways, sources and jobs, among those of meters; with several managers they are nobody's."""
    raised = here.registry.events.raise_
    raised("leak", "point:p-cz/volume", 5_000_000, now=6_000_000)
    raised("source_lost", "source:mqtt", 7_000_000, now=7_000_000, detail="mqtt: refused")
    raised("meter_overdue", "source:bus/5", 8_000_000, now=8_000_000)
    raised("sequence_gap", "gateway:cellar", 4_000_000, now=8_000_000)
    assert [one["kind"] for one in asked(here, "/v1/events")["events"]] == ["leak"]
    here.registry._connection.executescript("PRAGMA foreign_keys = OFF; DELETE FROM managers WHERE id <> 'cz'")
    body = asked(here, "/v1/events", state="open")
    assert [(one["kind"], one["subject"], one["meter"]) for one in body["events"]] == [
        ("meter_overdue", "source:bus/5", None),
        ("source_lost", "source:mqtt", None),
        ("leak", "point:p-cz/volume", "p-cz"),
        ("sequence_gap", "gateway:cellar", None),
    ]
    assert body["counts"] == {"leak": 1, "meter_overdue": 1, "sequence_gap": 1, "source_lost": 1}
    assert [one["detail"] for one in asked(here, "/v1/events", kind="source_lost")["events"]] == ["mqtt: refused"]


def test_what_the_core_saw_on_the_air_is_told_to_whom_it_is_for(here):
    """Nothing before the first look; then the own part, with the places of awaited meters and gateways that are silent."""
    assert asked(here, "/v1/commissioning") == {"at": None, "awaited": [], "unknown": [], "gateways": []}
    awaited = {"point": "p-cz", "device": "AAA-00000001-01-07", "since": "2025-06-01T00:00:00Z"}
    gateway = {"name": "cellar", "last": None, "day": "2025-06-01", "meters": 1, "receptions": 5}
    stranger = {"device": "BBB-00000001-01-07", "gateway": "cellar", "receptions": 1, "rssi": None, "first": "2025-06-01", "last": "2025-06-01"}
    here.registry.commissioning.keep({"cz": {"awaited": [awaited], "unknown": [stranger], "gateways": [gateway]}}, 5_000_000)
    here.registry.events.raise_("gateway_silent", "gateway:cellar", 5_000_000, now=6_000_000)
    body = asked(here, "/v1/commissioning")
    (told,) = body["awaited"]
    assert (told["unit"], told["label"], told["device"]) == ("cz-a", "Kitchen", "AAA-00000001-01-07")
    assert (body["unknown"], body["gateways"]) == ([stranger], [gateway | {"silent_since": "1970-01-01T00:00:05Z"}])
    assert asked(here, "/v1/commissioning", "si")["unknown"] == []


def test_the_quality_of_a_month_counts_what_is_missing(here):
    """Three rows of fourteen ended days: measured, estimated, incomplete; the days without a row are incomplete, and so is each day of a meter that has none."""
    days = [civil.instant(f"2025-06-{day:02d}T00:00:00Z") for day in (1, 2, 3)]
    rows = np.zeros(3, POINT)
    rows["start"], rows["end"], rows["rev"], rows["coverage"], rows["quality"] = (
        days,
        [day + civil.DAY for day in days],
        1,
        (10_000, 8_000, 3_000),
        (0, 1, 2),
    )
    here.published.replace([PublishedSeries(1, "p-cz", Register("volume", "m3"), "total", "UTC")], [Block(1, LEVELS.index("day"), "2025-06", rows)])
    (told,) = asked(here, "/v1/quality")["properties"]
    assert told == {
        "property": "cz1", "name": "Main street 5", "meters": 1, "days": 14, "measured": 1, "estimated": 1, "incomplete": 12, "coverage": 0.15
    }  # fmt: skip
    (none,) = asked(here, "/v1/quality", "si")["properties"]
    assert (none["meters"], none["days"], none["coverage"]) == (0, 0, None)
    (may,) = asked(here, "/v1/quality", month="2025-05")["properties"]
    assert (may["days"], may["incomplete"]) == (31, 31)
    assert here.service("cz", "operations:read").get("/v1/quality", params={"month": "2026-05"}).status_code == 422


def test_grants_that_wait_are_listed_for_the_manager(here):
    """Those that begin later, of all units of the manager; allowing one takes it from the list."""
    inmes(here, phone=None)
    account, now = here.registry.accounts.reached("inmes", "email", "jana@example.org").id, int(here.now * 1e6)
    for name, manager, since in (("g_later", "cz", now + 10**9), ("g_now", "cz", now), ("g_theirs", "si", now + 10**9)):
        here.registry.accounts.add_grant(Grant(name, account, manager, f"{manager}-b", None, "resident", since, None, "test", None, now, None))
    (told,) = asked(here, "/v1/delayed-grants", scope="accounts:write")["grants"]
    assert (told["id"], told["label"], told["waits"], told["contacts"]) == ("g_later", "Flat b", True, ["j…@example.org"])
    assert here.service("cz", "accounts:write").post("/v1/grants/g_later/decision", json={"allow": True}).status_code == 204
    assert asked(here, "/v1/delayed-grants", scope="accounts:write")["grants"] == []


def test_who_may_ask(here):
    """The scope is needed."""
    assert operations(here, scopes=("units:read",)).status_code == 403
    assert TestClient(here.app).get("/v1/operations").status_code == 401
