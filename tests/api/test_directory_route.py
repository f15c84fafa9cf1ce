"""A manager's own directory over HTTP: the same again changes nothing, mistakes are told at once, and nothing of another manager is seen or touched."""

import json

import pytest
from fastapi.testclient import TestClient
from portals import Here
from tables import script, unbound

DEVICES = """
INSERT INTO points VALUES ('p-cz', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}'), ('p-si', 'si1', 'si-a', 'cold_water', '', 'volume', '{}');
INSERT INTO devices VALUES ('AAA-00000001-01-07', NULL, NULL, 1), ('AAA-00000002-01-07', NULL, NULL, 1), ('AAA-00000003-01-07', NULL, 5, 1);
INSERT INTO assignments VALUES ('p-cz', 'AAA-00000001-01-07', 0, NULL, NULL, NULL), ('p-si', 'AAA-00000002-01-07', 0, NULL, NULL, NULL);
"""
NEW = {
    "property": [{"id": "new", "name": "Lipová 12", "zone": "Europe/Prague"}],
    "unit": [{"id": "new-1", "property": "new", "label": "1"}, {"property": "new", "label": "2", "entrance": "B"}],
    "occupancy": [{"unit": "new-1", "name": "Jana", "from": "2025-01-01", "to": None}],
}


@pytest.fixture
def here(tmp_path):
    """Five managers; cz and si have a meter each, a third one is nobody's yet."""
    made = Here(tmp_path)
    script(made.registry, DEVICES)
    yield made
    made.close()


def put(here, body, manager="cz", scopes=("directory:write",), lines=False, **query):
    """The answer to a manager's token."""
    token = here.registry.create_token(manager, list(scopes))
    kind = "application/x-ndjson" if lines else "application/json"
    client = TestClient(here.app, headers={"Authorization": f"Bearer {token}", "Content-Type": kind}, raise_server_exceptions=False)
    return client.put("/v1/directory", content=body if isinstance(body, bytes) else json.dumps(body), params=query)


def everything(here):
    """All rows of the directory."""
    tables = ("managers", "properties", "units", "points", "devices", "assignments", "occupancies")
    return {table: here.registry._rows(f"SELECT * FROM {table}") for table in tables}


def test_the_same_again_changes_nothing(here):
    """Three kinds are added in whatever order; a second time nothing differs; a change is told with its fields, and in the audit with who made it."""
    first = put(here, dict(reversed(NEW.items())))
    assert first.status_code == 200, first.text
    assert first.json()["counts"] == {"property": {"added": 1}, "unit": {"added": 2}, "occupancy": {"added": 1}}
    before = everything(here)
    again = put(here, NEW).json()
    assert (again["changed"], again["differences"]) == (0, [])
    assert everything(here) == before
    version = here.registry.version()
    changed = put(here, {"unit": [{"id": "new-1", "property": "new", "label": "1a"}]}).json()
    assert changed["differences"] == ["unit new-1 changed label"]
    assert here.registry.version() > version
    assert here.registry.audit()[-1].actor.startswith("token:k_")
    assert here.registry.property("new").manager == "cz"


def test_a_dry_run_tells_the_same_and_changes_nothing(here):
    """Counts as of the run after it; neither rows nor audit."""
    before, lines = everything(here), len(here.registry.audit())
    foretold = put(here, NEW, dry_run="true").json()
    assert everything(here) == before
    assert len(here.registry.audit()) == lines + 1
    assert foretold["dry_run"] is True
    assert put(here, NEW).json()["counts"] == foretold["counts"]


def test_lines_are_read_too(here):
    """NDJSON, an object a line with its kind, larger than other bodies may be."""
    rows = [{"kind": "unit", "property": "cz1", "label": f"flat {number:05}", "entrance": "x" * 60} for number in range(1500)]
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    assert len(body) > 65_536
    assert put(here, body, lines=True).json()["counts"] == {"unit": {"added": 1500}}
    assert put(here, body, lines=True).json()["changed"] == 0


def test_mistakes_are_told_with_their_places_and_nothing_is_taken(here):
    """Whole or not at all."""
    body = {"unit": [{"property": "cz1", "label": "new"}, {"property": "cz1"}, {"property": "cz1", "label": "x", "colour": "red"}]}
    before, answer = everything(here), put(here, body)
    assert answer.status_code == 422
    assert [one["parameter"] for one in answer.json()["errors"]] == ["unit/1", "unit/2"]
    assert everything(here) == before


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"unit": {}}', b'{"unit": [1]}', b'{"unit": [{"label": {}}]}', b'{"unit": [{"label": 1.5}]}', b"[" * 100_000, b"\xff",
        b'{"property": [{"name": "a", "zone": "UTC", "year_start": []}]}', b'{"occupancy": [{"unit": "cz-a", "name": "x", "from": "9999-12-31"}]}',
        b'{"occupancy": [{"unit": "cz-a", "name": "x", "from": "0001-01-01"}]}', b'{"unit": [{"property": "cz1", "label": "\\ud800"}]}', b'{"\\ud800": [{}]}', b'{"unit": [{"\\ud800": 1}]}', b'{"unit": [{"id": "\\ud800"}]}',
    ],
)  # fmt: skip
def test_what_is_no_directory_is_refused(here, body):
    """422, whatever comes, and nothing changes."""
    before = everything(here)
    assert put(here, body).status_code == 422
    assert everything(here) == before


def test_managers_points_devices_and_keys_are_out_of_reach(here):
    """The operator's kinds are refused by name."""
    for kind, row in (
        ("manager", {"id": "cz", "name": "Mine"}),
        ("device", {"id": "AAA-00000001-01-07", "key": "00" * 16}),
        ("point", {"id": "p-cz", "unit": "cz-a", "quantity": "cold_water"}),
        ("degree_days", {"property": "cz1", "month": "2025-01", "value": "1"}),
    ):
        before, answer = everything(here), put(here, {kind: [row]})
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, f"{kind}/0")
        assert everything(here) == before


@pytest.mark.parametrize(
    ("kind", "foreign", "nowhere"),
    [
        ("unit", {"property": "si1", "label": "x"}, {"property": "none", "label": "x"}),
        ("occupancy", {"unit": "si-a", "name": "x", "from": "2025-01-01"}, {"unit": "none", "name": "x", "from": "2025-01-01"}),
        ("occupancy", {"unit": "si-a", "name": "Holder", "from": "2024-01-01", "remove": True}, {"unit": "none", "name": "Holder", "from": "2024-01-01", "remove": True}),
        ("assignment", {"point": "p-si", "device": "AAA-00000001-01-07", "from": "2025-01-01"}, {"point": "none", "device": "AAA-00000001-01-07", "from": "2025-01-01"}),
        ("assignment", {"point": "p-cz", "device": "AAA-00000002-01-07", "from": "2025-01-01"}, {"point": "p-cz", "device": "AAA-00000008-01-07", "from": "2025-01-01"}),
        ("property", {"name": "x", "zone": "UTC", "manager": "si"}, {"name": "x", "zone": "UTC", "manager": "none"}),
    ],
)  # fmt: skip
def test_another_managers_things_are_as_if_they_were_not_there(here, kind, foreign, nowhere):
    """The same refusal but for the name, and nothing changes."""
    before = everything(here)
    answers = [put(here, {kind: [row]}) for row in (foreign, nowhere)]
    assert [answer.status_code for answer in answers] == [422, 422]
    (mine, theirs), names = [answer.text for answer in answers], {*map(str, foreign.values())} ^ {*map(str, nowhere.values())}
    for name in names:
        mine, theirs = mine.replace(name, "…"), theirs.replace(name, "…")
    assert mine == theirs
    assert everything(here) == before


def test_an_id_of_another_manager_is_not_taken_over(here):
    """Neither a property nor a unit moves to who names its id."""
    before = everything(here)
    for kind, row in (("property", {"id": "si1", "name": "Mine", "zone": "UTC"}), ("unit", {"id": "si-a", "property": "cz1", "label": "Mine"})):
        assert put(here, {kind: [row]}).status_code == 422
    assert everything(here) == before


def test_an_exchange_of_an_own_meter_is_taken_and_a_meter_of_nobody_is_not(here):
    """In an installation of several managers nobody's meter may be anybody's; who is alone may assign it."""
    end = {"point": "p-cz", "device": "AAA-00000001-01-07", "from": "1970-01-01T00:00:00Z", "to": "2025-01-01", "end_value": "812.5"}
    begin = {"point": "p-cz", "device": "AAA-00000003-01-07", "from": "2025-01-01"}
    assert put(here, {"assignment": [end]}).json()["differences"] == ["assignment p-cz 1970-01-01T00:00:00Z changed until end_value"]
    assert put(here, {"assignment": [begin]}).status_code == 422
    with unbound(here.registry) as db:
        db.execute("DELETE FROM properties WHERE manager <> 'cz'")
        db.execute("DELETE FROM managers WHERE id <> 'cz'")
    assert put(here, {"assignment": [begin]}).status_code == 200
    assert here.registry._rows("SELECT key_sealed, mode FROM devices WHERE id = 'AAA-00000003-01-07'") == [(None, 5)]


def test_an_exchange_at_a_set_day_is_refused_as_an_import_would(here):
    """What the rows cannot be computed with is not taken."""
    script(here.registry, """UPDATE points SET parameters = '{"kind": "period", "set_day": "12-31"}' WHERE id = 'p-cz'""")
    end = {"point": "p-cz", "device": "AAA-00000001-01-07", "from": "1970-01-01T00:00:00Z", "to": "2025-01-01"}
    begin = {"point": "p-cz", "device": "AAA-00000001-01-07", "from": "2025-01-01"}
    assert "falls on the set day" in put(here, {"assignment": [end, begin]}).text
    assert put(here, {"assignment": [end, begin | {"from": "2025-01-01T00:00:01Z"}]}).status_code == 200


def test_who_may_write(here):
    """The scope is needed; nobody without a token."""
    assert put(here, NEW, scopes=("units:read",)).status_code == 403
    assert TestClient(here.app).put("/v1/directory", json=NEW).status_code == 401
