"""A copy of one's own data: what is in it, whose, for how long (portal API 10; FLOWS 10: 31, 35)."""

import csv
import io
import json
import stat
import time
import zipfile

import pytest
from fastapi.testclient import TestClient
from portals import PASSWORD, Here, inmes, logged_in
from test_matrix import EDGE, publish

from submeter.api import privacy
from submeter.api.export import SECTIONS
from submeter.forget import forget
from submeter.store.accounts import Grant

MAIL = "jana@example.org"
WEEK = 7 * 86_400


@pytest.fixture
def here(tmp_path):
    """Five portals; cz-a has rows around the end of 2024, and was somebody else's until then."""
    made = Here(tmp_path)
    with made.registry.writing() as db:
        db.execute("UPDATE occupancies SET until = ? WHERE unit = 'cz-a'", (EDGE,))
        db.execute("INSERT INTO occupancies VALUES ('cz-a', ?, NULL, 'Next')", (EDGE,))
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '=1+1', 'volume', '{}')")
    publish(made)
    yield made
    made.close()


def fetched(one):
    """Ask for an export and wait for it: its id and the zip."""
    asked = one.client.post("/v1/me/export")
    assert asked.status_code == 202, asked.text
    for _ in range(1200):
        answer = one.client.get(f"/v1/me/export/{asked.json()['id']}")
        if answer.status_code != 202:
            break
        time.sleep(0.05)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    return asked.json()["id"], zipfile.ZipFile(io.BytesIO(answer.content))


def test_the_copy_has_every_section_as_json_and_csv(here):
    """Account, addresses, consents, grants, sessions, units, meters, consumption, access log; both forms say the same rows."""
    one, _ = inmes(here)
    secret = here.registry.create_token("cz")
    TestClient(here.app, headers={"Authorization": f"Bearer {secret}"}).get("/v1/units/cz-a/meters")
    here.app.state.reads.flush()
    _, book = fetched(one)
    assert sorted(book.namelist()) == sorted(f"{name}.{kind}" for name in SECTIONS for kind in ("json", "csv"))
    told = {name: json.loads(book.read(f"{name}.json")) for name in SECTIONS}
    for name, rows in told.items():
        assert len(list(csv.reader(io.StringIO(book.read(f"{name}.csv").decode("utf-8-sig"))))) == len(rows) + 1, name
    assert {row["address"] for row in told["contacts"]} == {MAIL, "+420777123456"}
    assert [row["doc"] for row in told["consents"]] == ["privacy"]
    assert [(row["unit"], row["role"]) for row in told["grants"]] == [("cz-a", "resident")]
    assert [row["action"] for row in told["access_log"]] == ["meters"]
    assert [row["id"] for row in told["meters"]] == ["p"]
    assert len(told["account"]) == len(told["sessions"]) == len(told["units"]) == 1


def test_the_copy_has_the_own_time_only_of_every_level(here):
    """No row of the former holder, none that lies over the hand-over; the sums are there from hours to years."""
    one, _ = inmes(here)
    rows = json.loads(fetched(one)[1].read("consumption.json"))
    assert {row["level"] for row in rows} == {"hour", "day", "month", "year"}
    assert min(row["start"] for row in rows) == "2025-01-01T00:00:00+00:00"
    assert {row["value"] >= EDGE / 1e9 for row in rows} == {True}


def test_the_finest_level_holds_in_the_copy_too(here):
    """A house that shows months gives months and years."""
    with here.registry.writing() as db:
        db.execute("UPDATE properties SET finest = 'month' WHERE id = 'cz1'")
    one, _ = inmes(here)
    assert {row["level"] for row in json.loads(fetched(one)[1].read("consumption.json"))} == {"month", "year"}


def test_the_copy_holds_nothing_that_opens_a_door_and_runs_no_formula(here):
    """No hash, no secret, no password; cells of CSV are defused."""
    one, _ = inmes(here)
    one.client.post("/v1/me/factors", json={"kind": "recovery"})
    _, book = fetched(one)
    whole = "".join(book.read(name).decode() for name in book.namelist())
    assert not [word for word in (PASSWORD, "argon2", "hash", "secret") if word in whole]
    assert '"kind": "recovery"' in whole
    assert "'=1+1" in book.read("meters.csv").decode()


def test_the_notice_names_the_link_and_the_file_is_its_owners_alone(here):
    """A mail and an SMS lead to the export; the file has a random name and mode 0600; the audit knows of it."""
    one, _ = inmes(here)
    identity, _ = fetched(one)
    assert here.sent("export_ready") == 2
    assert here.mail("export_ready").values["link"] == f"https://inmes.localhost/export/{identity}"
    (file,) = (here.registry.path.parent / "exports").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert identity not in file.name
    assert [row.action for row in here.registry.audit() if row.subject == identity] == ["export.create", "export.read"]


def test_only_its_owner_with_a_fresh_proof_gets_it(here):
    """Another account gets 404, as for none; after five minutes 401 reauth; a token and a stranger nothing."""
    one, _ = inmes(here)
    other, _ = inmes(here, "cz-b", "petr@example.org", "777000111")
    identity, _ = fetched(one)
    assert other.client.get(f"/v1/me/export/{identity}").content == other.client.get("/v1/me/export/e_nothing").content
    assert other.client.get(f"/v1/me/export/{identity}").status_code == 404
    here.now += 301
    for answer in (one.client.post("/v1/me/export"), one.client.get(f"/v1/me/export/{identity}")):
        assert (answer.status_code, answer.json()["type"]) == (401, "reauth")
    secret = here.registry.create_token("cz", ["units:read"])
    assert TestClient(here.app, headers={"Authorization": f"Bearer {secret}"}).post("/v1/me/export").status_code == 403
    assert TestClient(here.app).get(f"/v1/me/export/{identity}").status_code == 401


def test_it_is_gone_after_a_week(here):
    """The route says so at once, the nightly job deletes the file."""
    one, _ = inmes(here)
    identity, _ = fetched(one)
    folder = here.registry.path.parent / "exports"
    forget(here.registry, int((here.now + WEEK - 1) * 1e6), 0)
    assert len(list(folder.iterdir())) == 1
    here.now += WEEK
    late = logged_in(here, "inmes", MAIL)
    assert late.client.get(f"/v1/me/export/{identity}").status_code == 404
    forget(here.registry, int(here.now * 1e6), 0)
    assert list(folder.iterdir()) == []


def test_one_that_is_being_made_is_not_made_again(here, monkeypatch):
    """Asking twice gives the same; what a stopped process left behind is not waited for longer than an hour."""
    monkeypatch.setattr(privacy, "_pool", type("Stopped", (), {"submit": lambda *_: None})())
    one, _ = inmes(here)
    first = one.client.post("/v1/me/export").json()
    assert one.client.post("/v1/me/export").json() == first
    here.now += 3601
    assert logged_in(here, "inmes", MAIL).client.post("/v1/me/export").json()["id"] != first["id"]


def test_what_cannot_be_made_is_told_so(here):
    """A folder that cannot be written: the state is `failed`, nothing is announced, another may be asked for."""
    one, _ = inmes(here)
    (here.registry.path.parent / "exports").write_text("in the way")
    identity = one.client.post("/v1/me/export").json()["id"]
    for _ in range(1200):
        answer = one.client.get(f"/v1/me/export/{identity}").json()
        if answer["state"] != "waiting":
            break
        time.sleep(0.05)
    assert answer["state"] == "failed"
    assert here.sent("export_ready") == 0
    assert one.client.post("/v1/me/export").json()["id"] != identity


def test_a_household_copy_is_in_the_log_of_the_resident(here):
    """Who takes a copy that holds another's unit is told to that one."""
    one, _ = inmes(here)
    other, _ = inmes(here, "cz-b", "petr@example.org", None)
    account = here.registry.accounts.reached("inmes", "email", "petr@example.org").id
    here.registry.accounts.add_grant(Grant("g_h", account, "cz", "cz-a", EDGE, "household", 1, None, "test", None, 1, None))
    fetched(other)
    (line,) = one.client.get("/v1/me/access-log").json()["reads"]
    assert (line["who"]["kind"], line["action"], line["times"]) == ("household", "export", 1)
