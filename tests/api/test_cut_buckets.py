"""Buckets over a hand-over: former and next holder see exactly their own part, in every form of an answer (portal FLOWS 9)."""

import csv
import io
import json
from decimal import Decimal
from itertools import pairwise
from zipfile import ZipFile

import pyarrow.parquet as pq
import pytest
from asking import ask
from fastapi.testclient import TestClient
from test_information import Building

from submeter import civil
from submeter.api import SignIn, bulk, create_app
from submeter.api.access import Access, SeenUnit
from submeter.api.bulk_formats import CSV, NDJSON, PARQUET, WRITERS
from submeter.api.consumption import answer, shown_series
from submeter.api.files import XLSX
from submeter.api.flows import Tenant
from submeter.api.periods import period
from submeter.api.secrets import Secrets
from submeter.config.portals import load_portal
from submeter.store import Visible
from submeter.store.accounts import Account, Grant, Session
from submeter.store.registry_types import Principal

HOST = "inmes.localhost"
OVER = "2024-04-11T12:20:00Z"
NOW = civil.instant("2024-07-01T12:00:00Z")
RESOLUTIONS = {"PT1H": "hour", "P1D": "day", "P1M": "month", "P1Y": "year"}
QUERY = {"from": "2024-01-01", "to": "2024-07-01"}


@pytest.fixture(scope="module")
def building(tmp_path_factory):
    """A flat that changed hands on 11 April 12:20, with a meter read each hour, one read each month, one with the protocol's values, and a gauge."""
    found = Building(tmp_path_factory.mktemp("cut"))
    found.flat("u", ("Anna", "2023-01-01", OVER), ("Boris", OVER, None))
    hours = [(f"2024-0{month}-{day:02d}T{hour:02d}:07:00Z", month, day, hour) for month in (3, 4, 5) for day in range(1, 31) for hour in range(24)]
    found.point("hourly", "u", "cold_water", *((t, f"{100 + i * 0.013:.3f}") for i, (t, *_) in enumerate(hours)))
    months = [(f"2024-0{month}-01T00:00:00Z", str(month * 3)) for month in range(1, 8)]
    found.point("monthly", "u", "cold_water", *months)
    found.point("protocol", "u", "cold_water", ("2024-04-01T00:00:00Z", "10"), (OVER, "14"), ("2024-05-01T00:00:00Z", "20"))
    found.point("power", "u", "energy", *((t, str(20 + i % 3)) for i, (t, *_) in enumerate(hours)), measures=("power", "kW"))
    found.open()
    yield found
    found.core.close()


@pytest.fixture(scope="module")
def holders(building):
    """Anna and Boris, signed in: name to client."""
    registry = building.core.registry
    portals = SignIn(Secrets(bytes(32)), [Tenant(load_portal("inmes"), "m", HOST)])
    app = create_app(registry, building.core.published, "1", clock=lambda: NOW / civil.SECOND, portals=portals)
    clients = {}
    for one in registry.occupancies_of("u"):
        name = one.name.lower()
        registry.accounts.add(Account(name, "inmes", name, one.name, "cs", "", 0, 0, None))
        registry.accounts.add_grant(Grant(f"g_{name}", name, "m", "u", one.since, "resident", one.since, None, "test", None, 0, None))
        session = Session(f"s_{name}", "inmes", "m", name, "account", {}, 0, NOW, NOW + civil.DAY, civil.DAY, NOW, "", None)
        registry.accounts.open_session(session, name)
        clients[name] = TestClient(app, base_url=f"https://{HOST}", cookies={"__Host-session": name})
    return clients


def points_of(client, resolution, **query):
    """Points of each meter."""
    answer = client.get("/v1/units/u/consumption", params={**QUERY, "resolution": resolution, "by": "meter", **query})
    assert answer.status_code == 200, answer.text
    return {one["label"]: one["points"] for one in answer.json()["series"]}


def whole(building, resolution, **query):
    """Points of each meter as a service sees them."""
    answer = ask(building, "units/u/consumption", **{**QUERY, "resolution": resolution, "by": "meter", **query})
    return {one["label"]: one["points"] for one in answer.json()["series"]}


def cut_of(points):
    """The one point that is cut."""
    (found,) = [point for point in points if "cut" in point["flags"]]
    return found


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("meter", ["hourly", "monthly", "protocol"])
def test_both_parts_make_the_whole_bucket_and_meet_at_the_hand_over(building, holders, resolution, meter):
    """To the micro unit, with the state and the revision of the bucket; nothing else is cut, and neither sees a bucket of the other."""
    former, following = (points_of(holders[name], resolution)[meter] for name in ("anna", "boris"))
    ended, begun = cut_of(former), cut_of(following)
    assert ended is former[-1]
    assert begun is following[0]
    assert civil.instant(ended["end"]) == civil.instant(begun["start"]) == civil.instant(OVER)
    (bucket,) = [point for point in whole(building, resolution)[meter] if (point["start"], point["end"]) == (ended["start"], begun["end"])]
    assert round((ended["value"] + begun["value"]) * 1e6) == round(bucket["value"] * 1e6)
    assert {(one["state"], one["rev"]) for one in (ended, begun)} == {(bucket["state"], bucket["rev"])}
    assert whole(building, resolution)[meter] == [*former[:-1], bucket, *following[1:]]


def test_the_example_of_the_flows(holders):
    """10.0 on 1 April, 14.0 at the hand-over, 20.0 on 1 May: four and six, without doubt."""
    for name, used in (("anna", 4), ("boris", 6)):
        point = cut_of(points_of(holders[name], "P1M")["protocol"])
        assert (point["value"], point["lo"], point["hi"], point["flags"]) == (used, used, used, ["cut"])


def test_without_a_reading_of_the_hand_over_bounds_are_told(holders):
    """A meter that is read once a month: each part is an estimate between nothing and all of the month."""
    for name in holders:
        point = cut_of(points_of(holders[name], "P1D")["monthly"])
        assert (point["lo"], point["hi"]) == (0, 3)


def test_a_mean_is_not_cut(holders):
    """Of a gauge nothing is said of a bucket that is another holder's too."""
    for name in holders:
        assert cut_of(points_of(holders[name], "P1M")["power"])["value"] is None


def test_sums_of_several_meters_are_cut_alike(holders):
    """By quantity the parts of all meters are one value."""
    for name in holders:
        parts = [cut_of(points)["value"] for label, points in points_of(holders[name], "P1M").items() if label != "power"]
        answer = holders[name].get("/v1/units/u/consumption", params={**QUERY, "resolution": "P1M", "quantity": "volume"})
        point = cut_of(answer.json()["series"][0]["points"])
        assert round(point["value"] * 1e6) == sum(round(value * 1e6) for value in parts)
        assert point["flags"] == ["cut"]


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_files_hold_the_same_parts(holders, resolution):
    """CSV and XLSX have the points of the JSON answer, no row of another time and no value of the whole."""
    for name, client in holders.items():
        query = {**QUERY, "resolution": resolution, "by": "meter"}
        told = [point for points in points_of(client, resolution).values() for point in points]
        rows = list(
            csv.DictReader(io.StringIO(client.get("/v1/units/u/consumption", params=query, headers={"Accept": CSV}).content.decode("utf-8-sig")))
        )
        for row, point in zip(rows, told, strict=True):
            assert (row["start"], row["end"], row["flags"].split()) == (point["start"], point["end"], point["flags"]), name
            assert [None if row[key] == "" else float(row[key]) for key in ("value", "lo", "hi")] == [point.get(key) for key in ("value", "lo", "hi")]
        sheet = client.get("/v1/units/u/consumption", params=query, headers={"Accept": XLSX})
        with ZipFile(io.BytesIO(sheet.content)) as book:
            text = book.read("xl/worksheets/sheet1.xml").decode()
        cut = [point["value"] for point in told if "cut" in point["flags"] and point["value"] is not None]
        assert all(f"<v>{value:.16g}</v>" in text for value in cut)


@pytest.mark.parametrize("kind", [NDJSON, CSV, PARQUET])
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_bulk_files_hold_the_same_parts(building, holders, resolution, kind):
    """Whoever may see a flat in part has the own part in a file of many flats: as its points, to the last place."""
    registry = building.core.registry
    (flat, house) = registry.unit("u"), registry.property("b")
    edges = [None, civil.instant(OVER), None]
    for name, (since, until) in zip(holders, pairwise(edges), strict=True):
        asked = bulk.period(QUERY["from"], QUERY["to"], resolution, house, now=NOW)
        plan = bulk.Plan([SeenUnit(flat, house, Visible("u", since, until, "hour"))], {"b": bulk._uncut(asked, house, NOW)})
        content = b"".join(WRITERS[kind](bulk._stretches(plan, Access(Principal("k", "m", frozenset()), registry), building.core.published)))
        found = [(Decimal(str(row["value"])), row["flags"]) for row in _rows(kind, content) if row["meter"] != "power"]
        told = [point for label, points in points_of(holders[name], resolution).items() if label != "power" for point in points]
        assert found == [(Decimal(str(point["value"])), " ".join(point["flags"])) for point in told if point["value"] is not None]


def _rows(kind, content):
    """Rows of a file; flags as text."""
    if kind == PARQUET:
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
        return [row | {"value": row["value"].normalize()} for row in rows]
    if kind == CSV:
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    return [row | {"flags": " ".join(row["flags"])} for row in map(json.loads, content.splitlines())]


def test_other_views_of_a_cut_bucket_tell_nothing(holders):
    """Parts are of the newest rows: as billed, or as they stood, there is none, and never the whole."""
    for name in holders:
        point = cut_of(points_of(holders[name], "P1M", as_of="1")["hourly"])
        assert (point["value"], point["flags"]) == (None, ["cut", "no_data"])


def test_comparisons_of_a_cut_bucket(holders):
    """The former holder's April is beside the own March; the next one's beside nothing; last year is the former holder's alone."""
    query = {"from": "2024-04-01", "to": "2024-05-01", "resolution": "P1M", "by": "meter", "compare": ["previous", "year", "building"]}
    for name, reasons in (("anna", [None, None]), ("boris", ["other_holder", "other_holder"])):
        body = holders[name].get("/v1/units/u/consumption", params=query).json()
        for comparison, start, reason in zip(("previous", "year"), ("2024-03", "2023-04"), reasons, strict=True):
            for series in body["compare"][comparison]["series"]:
                (point,) = series["points"]
                assert (point["start"][:7], point["reason"]) == (start, reason)
                assert reason is None or point["value"] is None
        assert {point["reason"] for series in body["compare"]["building"]["series"] for point in series["points"]} <= {
            "cut",
            "only_by_quantity",
            "only_of_counters",
        }


def test_an_edge_that_is_no_hand_over_has_no_part(building):
    """Seen from an instant on that nobody moved at: the bucket is cut and tells nothing."""
    seen = Visible("u", civil.instant("2024-03-20T05:00:00Z"), None, "hour")
    points = _points_seen(building, seen)
    assert points[0]["start"].startswith("2024-03-20T05:00")
    assert (points[0]["value"], points[0]["flags"]) == (None, ["cut", "no_data"])
    assert points[1]["value"] is not None


def _points_seen(building, visible):
    registry, published = building.core.registry, building.core.published
    house = registry.property("b")
    asked = period(QUERY["from"], QUERY["to"], "P1M", house, now=NOW, visible=visible)
    shown = shown_series(published, [one for one in registry.points_of("u") if one.id == "hourly"], None)
    body = answer(SeenUnit(registry.unit("u"), house, visible), asked, shown, published, view="latest", by_meter=True, index=False)
    return body["series"][0]["points"]
