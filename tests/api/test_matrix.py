"""Who may do what: every route with its rule, and seven principals against own, foreign and nonexistent units (portal FLOWS 10: 37, 39, 40)."""

import itertools

import numpy as np
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from portals import Here
from test_flows import inmes

from submeter import civil
from submeter.api.access import _access, _anyone
from submeter.api.periods import period
from submeter.reading import LEVELS, Register
from submeter.store import Block, PublishedSeries
from submeter.store.accounts import Grant
from submeter.store.published import POINT
from submeter.store.registry_types import Property, Visible

EDGE = 1_735_689_600_000_000
#: Routes that need nobody: those of flows, bound by a cookie of their own.
OPEN = {"/v1/flows/{name}", "/v1/flows/{identity}", "/v1/flows/{identity}/resend", "/v1/confirmations/{link}"}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Five portals; cz-a was somebody else's until 2025 and is its resident's now."""
    made = Here(tmp_path_factory.mktemp("matrix"))
    with made.registry.writing() as db:
        db.execute("UPDATE occupancies SET until = 1735689600000000 WHERE unit = 'cz-a'")
        db.execute("INSERT INTO occupancies VALUES ('cz-a', 1735689600000000, NULL, 'Next')")
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}')")
    publish(made)
    yield made
    made.close()


@pytest.fixture(scope="module")
def principals(here):
    """Seven who ask: name to client."""
    resident, _ = inmes(here, "cz-a", "own@example.org", None)
    neighbour, _ = inmes(here, "cz-b", "neighbour@example.org", None)
    former, _ = inmes(here, "cz-c", "former@example.org", None)
    account = here.registry.accounts.reached("inmes", "email", "former@example.org").id
    for grant in here.registry.accounts.grants(account):
        here.registry.accounts.end_grant(grant.id, 1)
    begun = here.registry.occupancies_of("cz-a")[0].since
    here.registry.accounts.add_grant(Grant("g_former", account, "cz", "cz-a", begun, "resident", begun, None, "test", None, begun, None))
    tokens = {
        "manager of another property": here.registry.create_token("ug"),
        "operator of another tenant": here.registry.create_token("si", ["units:read", "consumption:read", "claims:write"]),
        "token with the wrong scope": here.registry.create_token("cz", ["claims:write"]),
    }
    clients = {name: TestClient(here.app, headers={"Authorization": f"Bearer {token}"}) for name, token in tokens.items()}
    return {"nobody": TestClient(here.app), "resident": resident.client, "resident of another": neighbour.client, "former": former.client, **clients}


def publish(here):
    """Rows of every level around the hand-over, each with its start as its value, and a last index of the next holder's time."""
    blocks = []
    for level, name in enumerate(LEVELS):
        edges = civil.boundaries("UTC", name, EDGE - 20 * civil.DAY, EDGE + 20 * civil.DAY)
        rows = np.zeros(len(edges) - 1, POINT)
        rows["start"], rows["end"], rows["value"], rows["rev"], rows["coverage"] = edges[:-1], edges[1:], edges[:-1] // 1000, 1, 10_000
        labels = [civil.block_labels(name, civil.block_numbers("UTC", name, rows["start"][i : i + 1]))[0] for i in range(len(rows))]
        blocks += [Block(1, level, label, rows[np.array(labels) == label]) for label in sorted(set(labels))]
    head = PublishedSeries(1, "p", Register("volume", "m3"), "total", "UTC", EDGE + 5 * civil.DAY, 7, EDGE + 5 * civil.DAY)
    here.published.replace([head], blocks)


def routes(here):
    """Every route of the application with its methods."""
    return [route for route in here.app.routes if isinstance(route, APIRoute)]


def test_every_route_declares_its_rule(here):
    """A route without a scope, or without being named as open here, fails."""
    for route in routes(here):
        calls = {dependency.call for dependency in _all(route.dependant)}
        assert _access in calls or (_anyone in calls and route.path in OPEN), route.path


def _all(dependant):
    yield dependant
    for inner in dependant.dependencies:
        yield from _all(inner)


def _asked(here):
    """Reads of a unit: path and query."""
    for route in routes(here):
        if "{unit}" in route.path and "GET" in route.methods:
            yield route.path, {"from": "2025-06-01", "to": "2025-06-10"} if route.path.endswith("consumption") else {}


def test_foreign_units_are_like_nonexistent_ones_for_everybody(here, principals):
    """For every read of a unit and every principal: what is not the own is answered as what is not there, byte for byte."""
    for (path, query), (name, client) in itertools.product(_asked(here), principals.items()):
        seen = {}
        for unit in ("cz-a", "si-a", "u_nowhere"):
            answer = client.get(path.replace("{unit}", unit).replace("{month}", "2025-05"), params=query)
            seen[unit] = answer.status_code, answer.content
        assert seen["si-a"] == seen["u_nowhere"] or name == "operator of another tenant", (path, name)
        expected = {"nobody": {401}, "token with the wrong scope": {403}, "resident": {200, 404}, "former": {200, 404}}.get(name, {404})
        assert seen["cz-a"][0] in expected, (path, name, seen)
        assert (seen["cz-a"][0] == 200) <= (name in {"resident", "former"})


def test_the_resident_reads_and_the_neighbour_does_not(here, principals):
    """The own unit is there, for nobody else but the one who lived there before."""
    assert [name for name, client in principals.items() if client.get("/v1/units/cz-a/meters").status_code == 200] == ["resident", "former"]


def test_former_and_present_holder_see_their_own_time_only(here, principals):
    """Buckets of the other one's time are not answered, whatever is asked for."""
    edge = "2025-01-01T00:00:00+00:00"
    for name, inside in (("resident", lambda point: point["start"] >= edge), ("former", lambda point: point["end"] <= edge)):
        for resolution in ("PT1H", "P1D", "P1M", "P1Y"):
            query = {"from": "2024-12-20", "to": "2025-01-10", "resolution": resolution}
            answer = principals[name].get("/v1/units/cz-a/consumption", params=query)
            assert answer.status_code == 200
            points = answer.json()["series"][0]["points"]
            assert points
            assert all(inside(point) for point in points)
            values = [point["value"] for point in points if "cut" not in point["flags"]]
            assert None not in values
            own = [value >= EDGE / 1e9 if name == "resident" else value < EDGE / 1e9 for value in values]
            assert all(own)
    (cut,) = principals["former"].get("/v1/units/cz-a/consumption", params=query | {"to": "2024-12-31"}).json()["series"][0]["points"]
    assert (cut["start"], cut["end"], cut["value"]) == ("2024-01-01T00:00:00+00:00", edge, 1704067.2)


def test_the_last_index_of_the_next_holder_is_not_shown_to_the_former(here, principals):
    """What the meter shows today is the business of who lives there today."""
    last = {name: principals[name].get("/v1/units/cz-a/meters").json()["meters"][0] for name in ("resident", "former")}
    assert last["resident"]["registers"][0]["last"] is not None
    assert (last["former"]["registers"][0]["last"], last["former"]["last_heard"]) == (None, None)


def test_a_bucket_over_the_hand_over_is_cut_there():
    """From noon on the eleventh: the month begins there, is marked, and known by where it begins by itself."""
    noon = civil.instant("2025-04-11T12:00:00Z")
    building = Property("b", "m", "B", "UTC", "01-01", "hour")
    for visible, edges, cut in (
        (Visible("u", noon, None, "hour"), [noon, civil.instant("2025-05-01T00:00:00Z")], {noon}),
        (Visible("u", None, noon, "hour"), [civil.instant("2025-04-01T00:00:00Z"), noon], {civil.instant("2025-04-01T00:00:00Z")}),
        (Visible("u", noon, noon, "hour"), [noon], set()),
    ):
        found = period("2025-04-01", "2025-05-01", "P1M", building, now=civil.instant("2026-01-01T00:00:00Z"), visible=visible)
        assert (found.edges.tolist(), set(found.cut)) == (edges, cut)
        assert found.starts == [civil.instant("2025-04-01T00:00:00Z")] * len(cut)


def test_the_information_of_the_other_holder_is_not_there(here, principals):
    """Each holder reads the own version of the month of the hand-over, whatever instant is asked for."""
    for since, body in ((here.registry.occupancies_of("cz-a")[0].since, "former"), (EDGE, "resident")):
        here.registry.information.keep("cz-a", since, "2025-02", f'{{"whose": "{body}"}}', now=EDGE)
    for name, own, other in (("resident", "2025-01-15", "2024-06-01"), ("former", "2024-06-01", "2025-01-15")):
        path = "/v1/units/cz-a/information/2025-02"
        assert principals[name].get(path, params={"at": own}).json()["whose"] == principals[name].get(path).json()["whose"] == name
        assert principals[name].get(path, params={"at": other}).status_code == 404
