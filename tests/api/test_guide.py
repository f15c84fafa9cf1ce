"""docs/api-guide.md and docs/grafana.md, run block by block as they stand, against a running submeter: commands in one shell, Python in one program, SQL by DuckDB."""

import csv
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from installation import Installation
from receivers import http

from submeter import civil, keep
from submeter.core import now
from submeter.post.webhooks import notify
from submeter.service import serve
from submeter.simulate import Network
from submeter.store import Message
from submeter.store.inbox import REPLAY

ROOT = Path(__file__).resolve().parents[2]
GUIDE, GRAFANA = ((ROOT / "docs" / name).read_text() for name in ("api-guide.md", "grafana.md"))
START, END = civil.instant("2025-12-31T12:00:00Z"), civil.instant("2026-04-02T12:00:00Z")
#: Where a block ends in what the shell says.
MARK = "-- next block --"


def blocks(language, page=GUIDE):
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def received(here, core, since, until):
    """Take a day's telegrams of that time in, roll up and publish."""
    sent = Network(here.building, civil.DAY, "b").messages(since, until)
    core.inbox.append([Message("test", m.payload, until, gateway=m.gateway, flags=REPLAY) for m in sent])
    core.drain_all()
    core.rollup()


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Three months of two flats, served by a submeter in a thread of its own; a token gets one read a second."""
    made = Installation(tmp_path_factory.mktemp("guide") / "here", flats=2)
    made.file.write_text(made.file.read_text().replace("[api]\n", "[api]\nreads_per_minute = 60\n"))
    with made.core() as core:
        received(made, core, START, END)
        made.hooks = core.registry.create_token(made.building.manager, ["webhooks:write"])
    stop, up = threading.Event(), threading.Event()
    thread = threading.Thread(target=serve, args=[made.config], kwargs={"part": "api", "stop": stop, "started": lambda _core: up.set()})
    thread.start()
    assert up.wait(60)
    yield made
    stop.set()
    thread.join()


@pytest.fixture(scope="module")
def environment(here):
    """What a reader has: submeter in the path, this client, the configuration in the folder where the commands are typed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "docs" / "examples"), "API": f"http://127.0.0.1:{here.api}", "TOKEN": here.token}


@pytest.fixture(scope="module")
def said(here, environment):
    """What each block of commands says, typed one after the other; only the port is another."""
    text = f"\necho '{MARK}'\n".join(blocks("sh")).replace("http://127.0.0.1:8080", environment["API"])
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=here.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [part.strip() for part in done.stdout.split(MARK)]


def test_the_commands_of_the_guide_answer_what_it_says(here, said):
    """Units, meters, a month of days, the next page, refusals, 304, files and a webhook, by curl."""
    _, units, meters, month, following, refusals, etag, cursor, _, hooks = said
    flat = here.building.flats[0].id
    assert [unit["id"] for unit in json.loads(units)["units"]] == [one.id for one in here.building.flats]
    assert json.loads(meters)["unit"] == flat
    assert {len(series["points"]) for series in json.loads(month)["series"]} == {31}
    assert "2026-04-01T00:00:00+02:00" in following
    assert refusals.split() == ["401", "404", "200"]
    assert etag.split() == ["200", "304"]
    assert cursor
    (hook,) = json.loads(hooks)["webhooks"]
    assert hook["url"] == "https://portal.example.org/submeter"
    assert json.loads((here.folder / "webhook.json").read_text())["secret"]


def test_the_files_of_the_guide_hold_the_rows(here, said):
    """CSV of a unit and of all, and Parquet: months and days of the asked time; a refusal has its type."""
    assert len(said) == len(blocks("sh"))
    unit, everything = ((here.folder / name).read_text("utf-8-sig").splitlines()[1:] for name in ("unit.csv", "all.csv"))
    assert {line.split(",")[0] for line in everything} == {one.id for one in here.building.flats}
    assert len(unit) % 3 == 0
    assert sum("2026-02-01T00:00:00+01:00,2026-03-01T00:00:00+01:00" in line for line in unit) == len(unit) / 3 > 0
    days = pq.read_table(here.folder / "all.parquet").to_pylist()
    assert len({row["start"] for row in days}) == 90
    assert json.loads((here.folder / "refusal.json").read_text())["type"] == "not-found"


def test_the_python_of_the_guide_runs(here, environment):
    """The client reads, follows pages, tells refusals; the file that it writes is the same as curl's."""
    program = "\n".join(blocks("python"))
    done = subprocess.run([sys.executable, "-c", program], cwd=here.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *rows, hours, problem = done.stdout.splitlines()
    assert {row.split()[0] for row in rows} == {"cold_water", "heat", "heat_allocation", "hot_water"}
    assert int(hours.split()[0]) % 10_919 == 0
    assert problem == "404 not-found"
    assert pq.read_table(here.folder / "all.parquet").num_rows


def test_the_example_is_a_program(here, environment):
    """It prints the months of all units."""
    words = [sys.executable, str(ROOT / "docs" / "examples" / "client.py"), environment["API"], "2026-01-01", "2026-03-01"]
    done = subprocess.run(words, env={**environment, "SUBMETER_TOKEN": here.token}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {tuple(line.split("\t")[:1]) for line in done.stdout.splitlines()} == {(one.label,) for one in here.building.flats}


@pytest.fixture
def client(here, environment, monkeypatch):
    """The guide's client, in this process."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))
    import client

    return client.Client(environment["API"], here.token)


def test_the_client_waits_where_it_asks_too_often(here, client):
    """After the bucket is empty the next answer comes after the seconds that the API named, without a word of the caller."""
    asked = []
    for _ in range(500):
        request = urllib.request.Request(f"{client.address}/v1/webhooks", headers={"Authorization": f"Bearer {here.hooks}"})
        try:
            urllib.request.urlopen(request).close()
        except urllib.error.HTTPError as error:
            asked.append((error.code, error.headers["Retry-After"]))
            break
    assert asked == [(429, "1")]
    client.token = here.hooks
    assert client.get("/v1/webhooks").keys() == {"webhooks"}


def test_an_unchanged_answer_comes_from_memory(here, client):
    """The second time the same bytes come back, and the API sent none."""
    unit, query = here.building.flats[1].id, {"resolution": "P1M", "from": "2026-01-01", "to": "2026-02-01"}
    first = client.get(f"/v1/units/{unit}/consumption", **query)
    ((key, (tag, _)),) = client._kept.items()
    client._kept[key] = tag, b'"kept"'
    assert client.get(f"/v1/units/{unit}/consumption", **query) == "kept"
    assert first["unit"] == unit


def test_the_receiver_of_the_guide_takes_what_is_signed(here, client, monkeypatch, capsys):
    """A real request to a webhook is taken and counted; one with another body is refused."""
    import client as module

    with http() as (url, gateway), here.core() as core:
        core.registry.webhooks.add("w_test", here.building.manager, f"{url}/hook", "s3cret", now=now())
        assert notify(core.registry, core.published, now, private=True) == 0
        received(here, core, END, END + 3 * civil.DAY)
        assert notify(core.registry, core.published, now, private=True) == 1
        ((_, _, headers, body),) = gateway.requests
    (here.folder / "webhook.json").write_text(json.dumps({"secret": "s3cret"}))
    monkeypatch.chdir(here.folder)
    scope = {"json": json, "signed_by": module.signed_by}
    exec(blocks("python")[-1], scope)
    assert scope["receive"](headers, body) == 204
    assert "series have new rows" in capsys.readouterr().out
    assert scope["receive"](headers, body + b" ") == 403
    monkeypatch.setattr(time, "time", lambda: now() / 1e6 + 600)
    assert scope["receive"](headers, body) == 403


def panels():
    """What docs/grafana.md writes into each panel: field → the words between backticks."""
    for table in re.findall(r"(?:^\|.*\n)+", GRAFANA, re.MULTILINE):
        yield {row.split("|")[1].strip(): re.findall(r"`([^`]+)`", row) for row in table.splitlines()}


@pytest.fixture
def asked(here):
    """Asks for a panel's URL as Grafana does: with its time range filled in, and its header."""

    def ask(panel):
        filled = panel["URL"][0].replace("${__from:date:iso}", "2026-01-01T00:00:00.000Z").replace("${__to:date:iso}", "2026-02-01T00:00:00.000Z")
        headers = dict(one.split(": ") for one in panel.get("Header", ()))
        request = urllib.request.Request(f"http://127.0.0.1:{here.api}{filled}", headers={"Authorization": f"Bearer {here.token}", **headers})
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode("utf-8-sig")

    return ask


def test_panels_of_grafana_find_their_columns(asked):
    """The URLs of the page are answered for the range of a dashboard, and what they answer has the root and the columns that it names."""
    flat, everybody = panels()
    points = json.loads(asked(flat))
    for step in re.findall(r"\w+", flat["Rows/Root"][0]):
        points = points[int(step) if step.isdigit() else step]
    assert len(points) == 31 * 24
    assert set(flat["Columns"]) <= points[0].keys()
    rows = list(csv.DictReader(asked(everybody).splitlines()))
    assert set(everybody["Columns"]) <= rows[0].keys()
    assert {row["unit"] for row in rows} == {"house-1-flat-01", "house-1-flat-02"}


def test_queries_of_grafana_give_what_the_api_says(here, environment, client, monkeypatch):
    """DuckDB runs each query of the page over the file that its commands write, and over the archive: a time, a metric, a number; days are those of the API."""
    with here.core() as core:
        list(keep.archive(core))
    (here.folder / "token.curl").write_text(f'header = "Authorization: Bearer {here.token}"\n')
    subprocess.run(["bash", "-euc", blocks("sh", GRAFANA)[0]], cwd=here.folder, env=environment, check=True)
    monkeypatch.chdir(here.folder)
    span = "BETWEEN '2026-01-31T23:00:00Z' AND '2026-02-28T22:00:00Z'"
    filled = [re.sub(r"\$__timeFilter\((.*)\)(?=\n)", rf"\1 {span}", query) for query in blocks("sql", GRAFANA)]
    days, quality, readings = (duckdb.sql(f"SELECT epoch(time), * EXCLUDE (time) FROM ({query})").fetchall() for query in filled)
    unit = here.building.flats[0].id
    water = {}
    for series, point in client.rows(unit, "2026-02-01", "2026-03-01", "P1D"):
        if series["class"] in {"cold_water", "hot_water"}:
            water[point["start"]] = water.get(point["start"], 0) + point["value"]
    assert [round(value, 6) for _, metric, value in days if metric == unit] == [round(value, 6) for value in water.values()]
    assert quality
    assert all(0 <= share <= 1 for _, _, share in quality)
    sent = {device for _, device, _ in readings}
    assert sent
    assert sent <= {str(place.meter.device) for place in here.building.places}
    assert all(value > 0 for _, _, value in readings)
