"""Who read my data, what was refused to whom, and what becomes of a request that fails (portal FLOWS 10: 43, 44; API 9)."""

import time

import pytest
from fastapi.testclient import TestClient
from portals import PASSWORD, Here, inmes, logged_in
from structlog.testing import capture_logs
from test_matrix import publish

from submeter.api import access_log as module
from submeter.api.refusals import ROWS, TOGETHER
from submeter.store import StoreError
from submeter.store.accounts import Grant

MAIL = "jana@example.org"


@pytest.fixture
def here(tmp_path):
    """Five portals."""
    made = Here(tmp_path)
    with made.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}')")
    yield made
    made.close()


def service(here, manager="cz", *scopes):
    """A client with a service token, and its id."""
    secret = here.registry.create_token(manager, scopes or ("units:read", "consumption:read", "bulk:read"))
    return TestClient(here.app, headers={"Authorization": f"Bearer {secret}"}, raise_server_exceptions=False), here.registry.token(secret).token


def log(one):
    """The access log of who is signed in."""
    answer = one.client.get("/v1/me/access-log")
    assert answer.status_code == 200, answer.text
    return answer.json()["reads"]


def account(here, mail=MAIL):
    """The account of an address."""
    return here.registry.accounts.reached("inmes", "email", mail).id


def grant(here, mail, role, unit="cz-a"):
    """Let an account that is there see a unit in its present occupancy."""
    begun = here.registry.occupancies_of(unit)[-1].since
    here.registry.accounts.add_grant(Grant(f"g_{mail}", account(here, mail), "cz", unit, begun, role, 1, None, "test", None, 1, None))


def test_a_service_token_shows_with_manager_route_and_count(here):
    """Who, what, which unit, when and how often; another hour is another line, what nobody read is not there."""
    one, _ = inmes(here)
    client, token = service(here)
    for _ in range(3):
        assert client.get("/v1/units/cz-a/meters").status_code == 200
        here.now += 60
    client.get("/v1/units/cz-b/meters")
    here.now += 3240
    client.get("/v1/units/cz-a/consumption", params={"from": "2025-06-01", "to": "2025-06-02"})
    later, first = log(one)
    assert first["who"] == {"kind": "manager", "name": "inmes", "token": token}
    assert (first["action"], first["unit"], first["label"], first["times"]) == ("meters", "cz-a", "Flat a", 3)
    assert (first["first"], first["last"]) == ("2025-06-15T15:06:40Z", "2025-06-15T15:08:40Z")
    assert (later["action"], later["times"]) == ("consumption", 1)


def test_own_reads_are_not_told_and_nobody_sees_the_log_of_another(here):
    """The resident's own reads are no lines; a neighbour's log has nothing of the unit."""
    one, _ = inmes(here)
    other, _ = inmes(here, "cz-b", "petr@example.org", "777000111")
    assert one.client.get("/v1/units/cz-a/meters").status_code == 200
    service(here)[0].get("/v1/units/cz-a/meters")
    assert [line["who"]["kind"] for line in log(one)] == ["manager"]
    assert log(other) == []
    assert service(here)[0].get("/v1/me/access-log").status_code == 403
    assert TestClient(here.app).get("/v1/me/access-log").status_code == 401


@pytest.mark.parametrize("role", ["household", "third_party", "resident"])
def test_people_show_by_name_or_masked_address(here, role):
    """Household, third parties, and a second account with the same right: each with its kind; they do not see the log of the unit unless they live there."""
    one, _ = inmes(here)
    other, _ = inmes(here, "cz-b", "petr@example.org", None)
    grant(here, "petr@example.org", role)
    assert other.client.get("/v1/units/cz-a/meters").status_code == 200
    (line,) = log(one)
    assert line["who"] == {"kind": role, "name": "p…@example.org", "token": None}
    assert log(other) == []


def test_each_holder_sees_the_reads_of_the_own_time(here):
    """What was read before a hand-over is not told to who came then, nor what the former reads of the own time."""
    inmes(here)
    service(here)[0].get("/v1/units/cz-a/meters")
    here.app.state.reads.flush()
    edge = int((here.now + 7200) * 1e6)
    with here.registry.writing() as db:
        db.execute("UPDATE occupancies SET until = ? WHERE unit = 'cz-a'", (edge,))
        db.execute("INSERT INTO occupancies VALUES ('cz-a', ?, NULL, 'Next')", (edge,))
    here.now += 10_800
    later, _ = inmes(here, "cz-a", "next@example.org", "777000222")
    logged = logged_in(here, "inmes", MAIL)
    service(here)[0].get("/v1/units/cz-a/consumption", params={"from": "2025-06-01", "to": "2025-06-02"})
    logged.client.get("/v1/units/cz-a/meters")
    assert [line["action"] for line in log(logged)] == ["meters"]
    assert [line["action"] for line in log(later)] == ["consumption"]


def test_bulk_and_changes_count_for_every_unit_in_them(here):
    """Whoever takes everything is told to everybody."""
    publish(here)
    one, _ = inmes(here)
    other, _ = inmes(here, "cz-b", "petr@example.org", "777000111")
    client, _ = service(here)
    assert client.get("/v1/changes").json()["changes"]
    assert client.get("/v1/bulk/consumption", params={"from": "2025-01-01", "to": "2025-01-10"}).text
    assert sorted(line["action"] for line in log(one)) == ["bulk", "changes"]
    assert [line["action"] for line in log(other)] == ["bulk"]


def test_the_log_is_on_the_disk_without_anybody_looking(here, monkeypatch):
    """A timer writes what is in memory; a read itself writes nothing."""
    monkeypatch.setattr(module, "WAIT_S", 0.05)
    client, _ = service(here)
    client.get("/v1/units/cz-a/meters")
    for _ in range(400):
        if here.registry._rows("SELECT times FROM reads"):
            break
        time.sleep(0.05)
    assert here.registry._rows("SELECT unit, action, times FROM reads") == [("cz-a", "meters", 1)]


class Nowhere:
    """A registry that takes nothing."""

    def another(self):
        """As one does whose disk is full, or whose server is away."""
        raise StoreError("there is no room")


def test_what_the_disk_does_not_take_is_kept_for_the_next_time(here):
    """A flush that fails loses nothing; the end of the process writes the rest."""
    client, _ = service(here)
    client.get("/v1/units/cz-a/meters")
    reads = here.app.state.reads
    registry, reads._registry = reads._registry, Nowhere()
    reads.close()
    client.get("/v1/units/cz-a/meters")
    reads._registry = registry
    reads.close()
    assert here.registry._rows("SELECT times FROM reads") == [(2,)]


def test_a_read_does_not_wait_for_a_writer(here):
    """While another process holds the registry's lock for writing, reads are answered."""
    client, _ = service(here)
    with here.registry.another() as other, other.writing() as db:
        db.execute("DELETE FROM throttle")
        assert client.get("/v1/units/cz-a/meters").status_code == 200
    here.app.state.reads.flush()


def test_43_refused_authorisations_are_in_the_audit(here):
    """Of a known principal: the scope, the fresh proof, another's unit; with route, request, /24 and manager."""
    one, _ = inmes(here)
    client, token = service(here, "cz", "units:read")
    answers = [client.get("/v1/units/cz-a/consumption"), client.get("/v1/units/si-a/meters"), client.get("/v1/units/nowhere/meters")]
    here.now += 400
    assert one.client.post("/v1/me/export").status_code == 401
    rows = [row for row in here.registry.audit() if row.outcome == "refused"]
    assert [(row.actor, row.action, row.subject, row.detail) for row in rows] == [
        (f"token:{token}", "consumption", "cz-a", "forbidden-scope"),
        (f"token:{token}", "meters", "si-a", "not-visible"),
        (f"token:{token}", "meters", "nowhere", "not-visible"),
        (f"account:{account(here)}", "ask_export", "", "reauth"),
    ]
    assert [row.request for row in rows[:3]] == [answer.headers["X-Request-Id"] for answer in answers]
    assert {row.manager for row in rows} == {"cz"}


def test_43_strangers_do_not_fill_the_disk(here):
    """Hundreds of refusals are a few rows and a count, also those of wrong passwords."""
    stranger = TestClient(here.app, base_url="https://inmes.localhost", headers={"Origin": "https://inmes.localhost"})
    for _ in range(200):
        assert stranger.get("/v1/units").status_code == 401
    one = here.browser("inmes")
    for _ in range(30):
        one.start("login")
        one.go(name="nobody@example.org", password="wrong", _status=422)
    assert len(here.registry.audit()) == 1 + 3 * ROWS
    here.now += TOGETHER / 1e6
    stranger.get("/v1/units")
    told = ["password: too soon: 20 more times", "unauthenticated", "unauthenticated: 195 more times"]
    assert sorted(row.detail for row in here.registry.audit()[-3:]) == told


def test_43_sign_in_leaves_a_trace_without_secrets_or_lines_of_its_own(here):
    """Activation, wrong and right passwords, log in, log out: rows in UTC; no code, password or address, no line break of a name."""
    inmes(here)
    one = here.browser("inmes")
    one.start("login")
    one.go(name="x@example.org\r\n2026-01-01 operator token.create", password="hunter2hunter2", _status=422)
    one = logged_in(here, "inmes", MAIL)
    codes = {value for one in here.arrived() for name, value in one.values.items() if name in {"code", "secret"}}
    one.client.delete("/v1/session")
    rows = here.registry.audit()
    assert {"account.create", "grant.create", "session.open", "login.refused", "session.end"} <= {row.action for row in rows}
    written = str(rows)
    assert len(codes) >= 2
    assert not [word for word in ("hunter2", PASSWORD, MAIL, "777123456", *codes) if word in written]
    assert all(field.isprintable() for row in rows for field in (row.actor, row.action, row.subject, row.detail))
    assert here.registry.trail.verify().broken is None


def test_44_a_failure_is_generic_and_found_by_its_request(here, monkeypatch):
    """The last resort says an id and nothing else; log and audit have it, neither what the error said nor where a secret stood."""

    def broken(*_):
        raise RuntimeError(PASSWORD)

    monkeypatch.setattr(here.registry, "points_of", broken)
    client, token = service(here)
    with capture_logs() as logged:
        answer = client.get("/v1/units/cz-a/meters")
    identity = answer.headers["X-Request-Id"]
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.json() == {"type": "internal", "status": 500, "title": "Something failed here", "detail": f"request {identity}"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    (line,) = [one for one in logged if one["event"] == "a request failed"]
    assert (line["request"], line["error"]) == (identity, "RuntimeError")
    assert PASSWORD not in str(logged)
    row = here.registry.audit()[-1]
    assert (row.request, row.actor, row.action, row.outcome) == (identity, f"token:{token}", "meters", "failed")


def test_the_audit_route_shows_rows_of_the_own_manager(here):
    """Half-open range, filters, pages with a cursor; nothing of another manager, nothing without the scope."""
    inmes(here)
    one = here.browser("iiportal")
    one.start("activate")
    client, _ = service(here, "cz", "audit:read")
    whole = client.get("/v1/audit").json()
    assert {"grant.create", "session.open", "claims.create"} <= {row["action"] for row in whole["audit"]}
    assert {row.outcome for row in here.registry.audit() if row.manager != "cz"} == {"ok"}
    assert {row["action"] for row in service(here, "si", "audit:read")[0].get("/v1/audit").json()["audit"]} == {"token.create"}
    assert [row["action"] for row in client.get("/v1/audit", params={"unit": "cz-a"}).json()["audit"]] == ["grant.create"]
    pages, cursor = [], None
    while True:
        page = client.get("/v1/audit", params={"limit": 2} | ({"after": cursor} if cursor else {})).json()
        pages += page["audit"]
        cursor = page["next"]
        if not page["more"]:
            break
    assert pages == whole["audit"]
    assert client.get("/v1/audit", params={"after": cursor}).json()["audit"] == []
    at = whole["audit"][0]["at"]
    assert client.get("/v1/audit", params={"to": at}).json()["audit"] == []
    assert client.get("/v1/audit", params={"from": "2100-01-01"}).json()["audit"] == []
    wrong = [{"limit": 1001}, {"limit": 0}, {"after": "x"}, {"from": "2025-01-02", "to": "2025-01-01"}, {"from": "yesterday"}]
    assert [client.get("/v1/audit", params=one).status_code for one in wrong] == [422] * 5
    assert service(here, "cz", "units:read")[0].get("/v1/audit").status_code == 403
