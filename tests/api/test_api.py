"""The read API over real stores: what is answered, to whom, and how refusals look."""

from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from installation import Installation
from prometheus_client import CollectorRegistry

from submeter import civil
from submeter.api import create_app, create_operations
from submeter.commands import execute
from submeter.reading import MICRO
from submeter.simulate import Building, Network, anchors, counters, directory, expected, instants
from submeter.store import Message, Published, Registry
from submeter.store.inbox import REPLAY

START = civil.instant("2026-03-27T12:00:00Z")
END = civil.instant("2026-03-31T12:00:00Z")
NOW = civil.instant("2026-03-31T10:00:00Z")
STEP = civil.HOUR
ZONE = "Europe/Prague"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A flat's four days over the change to summer time, rolled up; and another manager's house."""
    made = Installation(tmp_path_factory.mktemp("api") / "here", flats=2)
    foreign = Building.make(flats=1, seed=2, manager="other")
    other = made.folder / "other.toml"
    other.write_text(directory(foreign, datetime(2024, 1, 1, tzinfo=UTC).date()))
    with made.core() as core:
        list(execute(core, "import", {"path": str(other)}))
        core.inbox.append(
            [Message("test", m.payload, END, gateway=m.gateway, flags=REPLAY) for m in Network(made.building, STEP, "b").messages(START, END)]
        )
        core.drain_all()
        core.rollup()
        made.foreign_token = core.registry.create_token("other")
        made.units_only = core.registry.create_token(made.building.manager, ["units:read"])
        made.ended = core.registry.create_token(made.building.manager)
        core.registry.revoke_token(core.registry.token(made.ended).token)
    made.foreign = foreign
    return made


@pytest.fixture
def client(here):
    """The application over its own connections, at a fixed present."""
    with Registry(here.folder / "data" / "registry.sqlite") as registry, Published(here.folder / "data" / "published.sqlite") as published:
        app = create_app(registry, published, "1", clock=lambda: NOW / civil.SECOND)
        yield TestClient(app, headers={"Authorization": f"Bearer {here.token}"}, raise_server_exceptions=False)


def consumption(client, unit, **query):
    """The body of a consumption answer."""
    answer = client.get(f"/v1/units/{unit}/consumption", params={"from": "2026-03-27", "to": "2026-04-01", **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def known(place):
    """Anchors of the place's main counter."""
    return anchors(place, counters(place)[0], list(instants(place, START, END, STEP)))


def flat(here, number=0):
    """A flat and its places."""
    home = here.building.flats[number]
    return home, [place for place in here.building.places if place.flat == home.id]


@pytest.mark.parametrize("resolution", ["PT1H", "P1D", "P1M", "P1Y"])
def test_every_point_is_the_true_difference(here, client, resolution):
    """By meter, each bucket that readings reach is the rounded index at its end less that at its start."""
    home, places = flat(here)
    for series in consumption(client, home.id, resolution=resolution, by="meter")["series"]:
        place = next(place for place in places if place.id == series["meter"])
        told = known(place)
        for point in series["points"]:
            start, end = civil.instant(point["start"]), civil.instant(point["end"])
            if end > told[0][0]:
                assert round(point["value"] * MICRO) == expected(told, start, end), point


def test_the_day_of_the_clock_change_has_twenty_three_hours(here, client):
    """Hours of 29 March: 23 of them, with offsets, and their sum is the day."""
    home, places = flat(here)
    meter = places[0].id
    hours = consumption(client, home.id, resolution="PT1H", by="meter", **{"from": "2026-03-29", "to": "2026-03-30"})
    days = consumption(client, home.id, resolution="P1D", by="meter", **{"from": "2026-03-29", "to": "2026-03-30"})
    points = next(series for series in hours["series"] if series["meter"] == meter)["points"]
    day = next(series for series in days["series"] if series["meter"] == meter)["points"][0]
    assert len(points) == 23
    assert (points[1]["end"], points[2]["end"]) == ("2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00")
    assert sum(round(point["value"] * MICRO) for point in points) == round(day["value"] * MICRO)
    assert day["quality"] == "measured"


def test_by_quantity_sums_a_units_counters_of_one_class(here, client):
    """Two allocators of a flat are one series whose value, bounds and quality are those of both."""
    home, _ = flat(here, 1)
    together = next(series for series in consumption(client, home.id)["series"] if series["class"] == "heat_allocation")
    apart = [series for series in consumption(client, home.id, by="meter")["series"] if series["class"] == "heat_allocation"]
    assert len(apart) == 2
    assert together["meter"] is None
    for whole, *parts in zip(together["points"], *(series["points"] for series in apart), strict=True):
        assert round(whole["value"] * MICRO) == sum(round(part["value"] * MICRO) for part in parts)
        assert round(whole["lo"] * MICRO) == sum(round(part["lo"] * MICRO) for part in parts)


def test_a_gauge_answers_mean_minimum_maximum_and_count(here, client):
    """Power of a heat meter: the mean lies between the extremes, and `lo`, `hi` are not used for them."""
    home, _ = flat(here)
    (power,) = consumption(client, home.id, quantity="power", resolution="P1D")["series"]
    point = power["points"][1]
    assert power["statistic"] == "mean"
    assert point["min"] <= point["value"] <= point["max"]
    assert point["n"] == 24
    assert "lo" not in point


def test_unknown_is_null_and_never_zero(here, client):
    """A bucket without a row answers null with no_data, incomplete and revision 0; buckets that have not begun are not answered."""
    home, _ = flat(here)
    series = consumption(client, home.id, by="meter", **{"from": "2020-01-01", "to": "2020-01-03"})["series"][0]
    assert [(p["value"], p["flags"], p["quality"], p["rev"], p["coverage"]) for p in series["points"]] == [
        (None, ["no_data"], "incomplete", 0, 0)
    ] * 2
    latest = consumption(client, home.id, to="2030-01-01")["series"][0]["points"][-1]
    assert civil.instant(latest["start"]) <= NOW < civil.instant(latest["end"])
    assert consumption(client, home.id, **{"from": "2027-01-01", "to": "2027-02-01"})["series"][0]["points"] == []


def test_the_meters_own_index_is_answered_on_request(here, client):
    """`include=index` gives what the dial showed at both ends; its difference is the value."""
    home, places = flat(here)
    series = next(s for s in consumption(client, home.id, by="meter", include="index")["series"] if s["meter"] == places[0].id)
    point = series["points"][2]
    assert round((point["index_end"] - point["index_start"]) * MICRO) == round(point["value"] * MICRO)


def test_an_unchanged_answer_is_304(here, client):
    """The same question with the ETag gets no body; another question has another ETag."""
    home, _ = flat(here)
    query = {"from": "2026-03-27", "to": "2026-04-01"}
    first = client.get(f"/v1/units/{home.id}/consumption", params=query)
    again = client.get(f"/v1/units/{home.id}/consumption", params=query, headers={"If-None-Match": first.headers["ETag"]})
    other = client.get(f"/v1/units/{home.id}/consumption", params={**query, "resolution": "P1M"}, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.content, other.status_code) == (200, 304, b"", 200)
    assert first.headers["Cache-Control"] == "private, no-cache"


def test_meters_tell_device_and_last_index(here, client):
    """Each point of the flat with its device, when it was last heard and the index it showed."""
    home, places = flat(here)
    body = client.get(f"/v1/units/{home.id}/meters").json()
    meter = next(meter for meter in body["meters"] if meter["id"] == places[0].id)
    last = instants(places[0], START, END, STEP)[-1]
    assert meter["device"] == str(places[0].meter.device)
    assert civil.instant(meter["last_heard"]) == last // civil.SECOND * civil.SECOND or civil.instant(meter["last_heard"]) == last
    assert round(meter["registers"][0]["last"] * MICRO) == places[0].meter.total(counters(places[0])[0], last)
    assert body["classes"]["cold_water"] == 1


PATHS = ["/v1/units", "/v1/units/{unit}/meters", "/v1/units/{unit}/consumption?from=2026-03-27&to=2026-04-01"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", [None, "smt_wrong", "", "ended"])
def test_without_a_valid_token_nothing_is_answered(here, client, path, token):
    """No token, a wrong one and a revoked one get the same 401 with a challenge."""
    secret = here.ended if token == "ended" else token
    client.headers.pop("Authorization")
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    answer = client.get(path.format(unit=here.building.flats[0].id), headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", PATHS[1:])
def test_foreign_and_nonexistent_units_are_one_answer(here, client, path):
    """Another manager's unit and none at all get the same 404; the other manager's token sees only its own."""
    foreign, nothing = (client.get(path.format(unit=unit)) for unit in (here.foreign.flats[0].id, "u_none"))
    assert foreign.status_code == nothing.status_code == 404
    assert foreign.content == nothing.content
    theirs = client.get("/v1/units", headers={"Authorization": f"Bearer {here.foreign_token}"}).json()["units"]
    assert {unit["id"] for unit in theirs} == {flat.id for flat in here.foreign.flats}


def test_a_token_without_the_scope_is_told_so(here, client):
    """Visible, but not this: 403 names the missing scope."""
    answer = client.get(PATHS[2].format(unit=here.building.flats[0].id), headers={"Authorization": f"Bearer {here.units_only}"})
    assert (answer.status_code, answer.json()["type"]) == (403, "forbidden-scope")
    assert "consumption:read" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-03-01T00:00:00"}, "to"),
        ({"from": "2026-05-01"}, "to"),
        ({"from": "2019-01-01"}, "from"),
        ({"from": "1800-01-01", "to": "1801-01-01"}, "from"),
        ({"resolution": "PT15M"}, "resolution"),
        ({"by": "tenant"}, "by"),
        ({"include": "everything"}, "include"),
    ],
)
def test_a_wrong_parameter_is_named(here, client, query, parameter):
    """422 with the parameter that is wrong; nothing of it is a server's error."""
    answer = client.get(PATHS[2].split("?")[0].format(unit=here.building.flats[0].id), params={"from": "2026-03-27", "to": "2026-04-01", **query})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["parameter"] == parameter


def test_finer_than_the_property_shows_is_refused(here, tmp_path):
    """A property whose finest is the month answers months and refuses hours and days (H08)."""
    text = (here.folder / "directory.toml").read_text().replace('zone = "Europe/Prague"', 'zone = "Europe/Prague"\nfinest = "month"')
    coarse = Installation(tmp_path / "coarse")
    (coarse.folder / "coarse.toml").write_text(text)
    with coarse.core() as core:
        list(execute(core, "import", {"path": str(coarse.folder / "coarse.toml")}))
    with Registry(coarse.folder / "data" / "registry.sqlite") as registry, Published(coarse.folder / "data" / "published.sqlite") as published:
        client = TestClient(create_app(registry, published, "1"), headers={"Authorization": f"Bearer {coarse.token}"})
        codes = [
            client.get(PATHS[2].format(unit=coarse.building.flats[0].id) + f"&resolution={resolution}").status_code
            for resolution in ("PT1H", "P1D", "P1M")
        ]
    assert codes == [403, 403, 200]


def test_a_long_answer_goes_on_at_next(here, client):
    """Over 10,000 points the answer is cut at a bucket, and `next` is the range that remains."""
    home, _ = flat(here)
    body = consumption(client, home.id, resolution="PT1H", **{"from": "2024-01-01", "to": "2026-03-30"})
    assert len(body["series"][0]["points"]) == 10_000
    assert body["next"]["from"] == body["series"][0]["points"][-1]["end"]


def test_other_paths_and_methods_are_problems_too(client):
    """Unknown paths and methods answer problem+json."""
    missing, wrong = client.get("/v1/nothing"), client.post("/v1/units")
    assert (missing.status_code, missing.json()["type"]) == (404, "not-found")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "method-not-allowed")


def test_a_fault_inside_is_a_plain_500(client):
    """An unexpected error tells nothing of the inside but the id of the request."""
    client.app.state.registry = None
    answer = client.get("/v1/units")
    detail = f"request {answer.headers['X-Request-Id']}"
    assert (answer.status_code, answer.json()) == (500, {"type": "internal", "status": 500, "title": "Something failed here", "detail": detail})


@pytest.mark.parametrize(("ok", "status"), [(True, 200), (False, 503)])
def test_operations_tell_the_truth(ok, status):
    """Health is 503 with the trouble as soon as the process says so; metrics are Prometheus text."""
    client = TestClient(create_operations(lambda: {"ok": ok, "trouble": "disk"}, lambda: {"ok": ok}, CollectorRegistry()))
    assert (client.get("/v1/health").status_code, client.get("/v1/health").json()["trouble"]) == (status, "disk")
    assert client.get("/v1/ready").status_code == status
    assert client.get("/metrics").headers["content-type"].startswith("text/plain")
