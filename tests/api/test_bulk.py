"""What services read: all rows that a token may see in one file, and which series changed; who may ask, and that reads are answered meanwhile."""

import csv
import io
import json
import re
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from asking import ask, consumption
from fastapi.testclient import TestClient
from test_information import Building, months

from submeter import civil
from submeter.api import bulk, bulk_formats, create_app
from submeter.api.bulk_formats import CSV, NDJSON, PARQUET
from submeter.store import Visible

SCOPES = ("bulk:read",)
QUERY = {"from": "2023-01-01", "to": "2023-04-01", "resolution": "P1M"}
FOREIGN = """
[[manager]]
id = "other"
name = "Other"
[[property]]
id = "far"
manager = "other"
name = "Far"
zone = "UTC"
[[unit]]
id = "far-1"
property = "far"
label = "far"
"""


@pytest.fixture
def building(tmp_path):
    """Two flats with water, heat and power, a meter of the house itself, and another manager's flat."""
    found = Building(tmp_path)
    found.text += FOREIGN
    found.flat("u")
    found.flat("v")
    found.point("water", "u", "cold_water", *months(2023, 1, ["0", "1.5", "1.500001", "4"]))
    found.point("power", "u", "heat", ("2023-01-01T00:00:00Z", "1"), ("2023-01-01T01:00:00Z", "3"), measures=("power", "kW"))
    found.point("heat", "v", "heat", *months(2023, 2, ["0", "1200"]))
    found.point("house", None, "cold_water", *months(2023, 1, ["0", "9000"]))
    found.point("theirs", "far-1", "cold_water", *months(2023, 1, ["0", "7", "9"]))
    yield found.open()
    found.core.close()


def read(building, accept=NDJSON, **query):
    """The rows of a bulk answer, each as a mapping of what its format holds."""
    answer = ask(building, "bulk/consumption", scopes=SCOPES, accept=accept, **{**QUERY, **query})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].split(";")[0] == accept
    return rows_of(accept, answer.content)


def rows_of(accept, content):
    """The rows of a file."""
    if accept == PARQUET:
        return pq.read_table(io.BytesIO(content)).to_pylist()
    text = content.decode("utf-8-sig")
    return [json.loads(line) for line in text.splitlines()] if accept == NDJSON else list(csv.DictReader(io.StringIO(text, newline="")))


def changes(building, **query):
    """The body of a changes answer."""
    answer = ask(building, "changes", scopes=SCOPES, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_lines_have_the_points_of_each_unit(building):
    """Every point that the units' own answers know is there with the same figures; nothing of the house or of another manager is."""
    known = {}
    for unit in ("u", "v"):
        for one in consumption(building, unit, "2023-01-01", "2023-04-01", quantity=["volume", "energy", "power"], by="meter")["series"]:
            known |= {(unit, one["meter"], point["start"]): point for point in one["points"] if "no_data" not in point["flags"]}
    lines = read(building)
    assert {(line["unit"], line["meter"], line["start"]) for line in lines} == set(known)
    assert len(lines) == len(known) == 5
    for line in lines:
        point = known[line["unit"], line["meter"], line["start"]]
        assert {name: line[name] for name in point} == point
    assert {(line["meter"], line["quantity"], line["class"], line["statistic"], line["uom"]) for line in lines} == {
        ("water", "volume", "cold_water", "sum", "m3"),
        ("power", "power", "heat", "mean", "kW"),
        ("heat", "energy", "heat", "sum", "kW.h"),
    }


def test_csv_has_the_same_rows(building):
    """The same columns with numbers written out."""
    rows, lines = read(building, CSV), read(building)
    assert [row.keys() for row in rows] == [line.keys() for line in lines]
    assert [row["value"] for row in rows if row["meter"] == "water"] == ["1.5", "0.000001", "2.499999"]
    assert [row["flags"].split() for row in rows] == [line["flags"] for line in lines]
    names = ("value", "lo", "hi", "min", "max", "n", "coverage", "rev")
    assert [[None if row[name] == "" else float(row[name]) for name in names] for row in rows] == [[line[name] for name in names] for line in lines]


def test_parquet_is_exact(building):
    """Numbers are decimals of six places, instants have their zone; unknown is null."""
    rows = read(building, PARQUET)
    water = [row for row in rows if row["meter"] == "water"]
    assert [row["value"] for row in water] == [Decimal("1.500000"), Decimal("0.000001"), Decimal("2.499999")]
    assert (water[0]["start"], water[0]["end"]) == (datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 2, 1, tzinfo=UTC))
    assert (water[0]["min"], water[0]["n"], water[0]["quality"], water[0]["coverage"]) == (None, None, "measured", Decimal("1.0000"))
    (power,) = [row for row in rows if row["meter"] == "power"]
    assert (power["min"], power["max"], power["lo"], power["n"]) == (Decimal(1), Decimal(3), None, 2)
    lines = read(building)
    assert [{name: str(row[name]) for name in ("unit", "register", "flags", "state", "rev")} for row in rows] == [
        {name: " ".join(line[name]) if name == "flags" else str(line[name]) for name in ("unit", "register", "flags", "state", "rev")}
        for line in lines
    ]
    assert [row["value"] for row in rows] == [Decimal(str(line["value"])).quantize(Decimal("0.000001")) for line in lines]


@pytest.mark.parametrize("accept", [NDJSON, CSV, PARQUET])
def test_files_are_written_in_parts(building, monkeypatch, accept):
    """However few rows are held at a time, the file is the same; a range without rows is an empty file of the same form."""
    whole = read(building, accept, resolution="PT1H")
    monkeypatch.setattr(bulk_formats, "GROUP", 100)
    monkeypatch.setattr(bulk_formats, "SOME", 7)
    answer = ask(building, "bulk/consumption", scopes=SCOPES, accept=accept, **{**QUERY, "resolution": "PT1H"})
    assert rows_of(accept, answer.content) == whole
    assert len(whole) > 2000
    assert read(building, accept, **{"from": "2020-01-01", "to": "2020-02-01"}) == []
    assert read(building, accept, **{"from": "2030-01-01", "to": "2030-02-01"}) == []


def test_a_range_is_not_cut_at_the_limit_of_one_answer(building):
    """Over 10,000 hours are asked for; what lies behind them is there."""
    lines = read(building, resolution="PT1H", **{"from": "2021-06-01", "to": "2023-04-01"})
    water = [line for line in lines if line["meter"] == "water"]
    assert len(water) == (31 + 28 + 31) * 24
    assert water[-1]["end"] == "2023-04-01T00:00:00+00:00"


def test_only_buckets_of_the_range_are_answered(building):
    """Half-open: the month that begins at `to` is not there, the one that holds `from` is."""
    lines = read(building, **{"from": "2023-01-15", "to": "2023-03-01"})
    assert [line["start"][:7] for line in lines if line["meter"] == "water"] == ["2023-01", "2023-02"]


def test_only_what_is_visible_of_a_unit_is_answered(building, monkeypatch):
    """Of a unit that may be seen from mid-January to mid-March, February is the only month that is wholly so."""
    begin, until = civil.instant("2023-01-15T00:00:00Z"), civil.instant("2023-03-15T00:00:00Z")
    monkeypatch.setattr(type(building.core.registry), "visible", lambda *_, **__: [Visible("u", begin, until, "hour")])
    assert [line["start"][:7] for line in read(building) if line["meter"] == "water"] == ["2023-02"]


def test_a_house_that_shows_no_days_is_left_out_of_days(building, tmp_path):
    """Where some houses show days the others are left out; where none does the answer is a refusal."""
    registry = building.core.registry
    more = building.text.replace('id = "far"\nmanager = "other"', 'id = "far"\nmanager = "m"\nfinest = "month"')
    (tmp_path / "more.toml").write_text(more)
    building.do("import", path=str(tmp_path / "more.toml"))
    assert registry.property("far").finest == "month"
    assert "theirs" in {line["meter"] for line in read(building)}
    assert "theirs" not in {line["meter"] for line in read(building, resolution="P1D")}
    (tmp_path / "all.toml").write_text(more.replace('id = "b"\nmanager = "m"', 'id = "b"\nmanager = "m"\nfinest = "month"'))
    building.do("import", path=str(tmp_path / "all.toml"))
    answer = ask(building, "bulk/consumption", scopes=SCOPES, **{**QUERY, "resolution": "P1D"})
    assert (answer.status_code, answer.json()["type"]) == (403, "resolution-not-available")


def test_hostile_names_are_defused_in_csv(building, tmp_path):
    """An id of the directory that begins as a formula arrives as text in CSV, and as it is elsewhere."""
    (tmp_path / "sub").mkdir()
    hostile = Building(tmp_path / "sub")
    hostile.flat("-u")
    hostile.point("-water", "-u", "cold_water", *months(2023, 1, ["0", "1"]))
    hostile.open()
    assert [(row["unit"], row["meter"]) for row in read(hostile, CSV)] == [("'-u", "'-water")]
    assert [(row["unit"], row["meter"]) for row in read(hostile, NDJSON)] == [("-u", "-water")]
    hostile.core.close()


@pytest.mark.parametrize("query", [{"from": "yesterday"}, {"from": "2023-05-01"}, {"from": "2010-01-01"}, {"resolution": "PT15M"}])
def test_wrong_ranges_are_refused_before_anything_is_sent(building, query):
    """422 with the parameter."""
    answer = ask(building, "bulk/consumption", scopes=SCOPES, **{**QUERY, **query})
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")


PATHS = ["bulk/consumption?from=2023-01-01&to=2023-04-01&resolution=P1M", "changes"]


@pytest.mark.parametrize("path", PATHS)
def test_who_may_ask(building, path):
    """No token 401, a token that may only read units and consumption 403; another manager's token gets its own flat and no other."""
    client = TestClient(create_app(building.core.registry, building.core.published, "1"))
    assert [client.get(f"/v1/{path}", headers=head).status_code for head in ({}, {"Authorization": "Bearer smt_wrong"})] == [401, 401]
    refused = ask(building, path, scopes=("units:read", "consumption:read"))
    assert (refused.status_code, refused.json()["detail"]) == (403, "missing: bulk:read")
    token = building.core.registry.create_token("other", ["bulk:read"])
    theirs = client.get(f"/v1/{path}", headers={"Authorization": f"Bearer {token}"}).text
    assert '"far-1"' in theirs
    assert not re.search('"(u|v|b)"', theirs)
    ours = ask(building, path, scopes=SCOPES).text
    assert "far" not in ours
    assert "theirs" not in ours


def test_the_scope_for_bulk_opens_nothing_else(building):
    """A bulk token reads no unit; foreign and nonexistent units stay one answer to the token that may."""
    assert ask(building, "units", scopes=SCOPES).status_code == 403
    query = {**QUERY, "compare": "building"}
    foreign, nothing = (ask(building, f"units/{unit}/consumption", **query) for unit in ("far-1", "none"))
    assert (foreign.status_code, foreign.content) == (404, nothing.content)


def test_changes_begin_with_everything_and_go_on_from_the_cursor(building):
    """All visible series with their versions, then nothing, then the one series that changed."""
    first = changes(building)
    assert sorted((one["unit"], one["meter"], one["class"], one["quantity"]) for one in first["changes"]) == [
        ("u", "power", "heat", "power"),
        ("u", "water", "cold_water", "volume"),
        ("v", "heat", "heat", "energy"),
    ]
    assert [one["version"] for one in first["changes"]] == sorted(one["version"] for one in first["changes"])
    assert first["more"] is False
    again = changes(building, after=first["next"])
    assert (again["changes"], again["next"]) == ([], first["next"])
    building.hear(building.told[0][0], "cold_water", ("2023-05-01T00:00:00Z", "5"))
    building.hear(building.told[4][0], "cold_water", ("2023-05-01T00:00:00Z", "50"))
    then = changes(building, after=first["next"])
    assert [(one["meter"], one["version"] > first["changes"][-1]["version"]) for one in then["changes"]] == [("water", True)]
    assert changes(building, after=then["next"])["changes"] == []


def test_many_changes_come_in_pages_also_within_one_version(building, monkeypatch):
    """No series is lost or told twice where a page ends inside a publication."""
    monkeypatch.setattr(bulk, "MOST_CHANGES", 1)
    monkeypatch.setattr(bulk, "PAGE", 2)
    tables = building.core.published
    assert {one.version for one in tables.series()} != {tables.replace(tables.series(), [])}
    told, cursor, more = [], None, True
    while more:
        body = changes(building, **({"after": cursor} if cursor else {}))
        assert len(body["changes"]) == 1
        told += [one["meter"] for one in body["changes"]]
        cursor, more = body["next"], body["more"]
    assert sorted(told) == ["heat", "power", "water"]


@pytest.mark.parametrize("after", ["", "x", "4711", "é", "LTEtMQ==", "OTk5OTk5OTktMQ=="])
def test_a_cursor_of_somewhere_else_is_refused(building, after):
    """What is no cursor, or of tables that went further than these, is a wrong parameter and not an empty answer."""
    answer = ask(building, "changes", scopes=SCOPES, after=after)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "after")


def test_reads_are_answered_while_a_bulk_answer_is_written(building, monkeypatch):
    """The rows are made in a thread: with one that stands still, the API answers another request."""
    begun, go = threading.Event(), threading.Event()

    def slow(stretches):
        begun.set()
        assert go.wait(20)
        yield from (b"x\n" for _ in stretches)

    monkeypatch.setattr(bulk, "WRITERS", {NDJSON: slow})
    app = create_app(building.core.registry, building.core.published, "1")
    token = building.core.registry.create_token("m", ["bulk:read", "units:read"])
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as client:
        found = []
        thread = threading.Thread(target=lambda: found.append(client.get(f"/v1/{PATHS[0]}")))
        thread.start()
        try:
            assert begun.wait(20)
            assert client.get("/v1/units").status_code == 200
            assert not found
        finally:
            go.set()
            thread.join(20)
    assert found[0].content == b"x\n" * 3
