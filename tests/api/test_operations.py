"""How a manager's installation does, over HTTP: its own silence, suspicions, flows and messages, and nobody else's."""

import pytest
from fastapi.testclient import TestClient
from portals import Here, inmes

ROWS = """
INSERT INTO points VALUES ('p-cz', 'cz1', 'cz-a', 'cold_water', 'Kitchen', 'volume', '{}'), ('p-si', 'si1', 'si-a', 'cold_water', '', 'volume', '{}');
INSERT INTO devices VALUES ('AAA-00000001-01-07', NULL, NULL, 1);
INSERT INTO assignments VALUES ('p-cz', 'AAA-00000001-01-07', 10, NULL, NULL, NULL);
"""


@pytest.fixture
def here(tmp_path):
    """Five managers; cz and si have a point each."""
    made = Here(tmp_path)
    made.registry._connection.executescript(ROWS)
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
    here.registry._connection.executescript("PRAGMA foreign_keys = OFF; DELETE FROM managers WHERE id <> 'cz'")
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


def test_who_may_ask(here):
    """The scope is needed."""
    assert operations(here, scopes=("units:read",)).status_code == 403
    assert TestClient(here.app).get("/v1/operations").status_code == 401
