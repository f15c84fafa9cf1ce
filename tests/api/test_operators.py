"""Operators in a browser: the link of the command line, what its session may do, and its ends (portal FLOWS 8, 9 and 10: 46)."""

import pytest
from fastapi.testclient import TestClient
from portals import Here, inmes
from tables import dumped

from submeter.config import parse
from submeter.store import Registry, StoreError
from submeter.store.directory import import_directory

HOUR = 3600


@pytest.fixture
def here(tmp_path):
    """Five portals."""
    made = Here(tmp_path)
    yield made
    made.close()


def link(here, manager="cz", name="olga", role="operator"):
    """A new link of an operator."""
    return here.registry.operators.invite(manager, name, role, identity=f"o_{manager}_{name}_{here.now}", now=int(here.now * 1e6))


def entered(here, portal="inmes", **who):
    """A browser with an operator's session."""
    one = here.browser(portal)
    answer = one.client.post(f"/v1/operators/{link(here, **who)}")
    assert answer.status_code == 204, answer.text
    return one.client


def test_check_46_a_fresh_installation_has_no_account_and_no_token(tmp_path):
    """Nobody gets in until an operator makes a token with the command line; its secret is told once and kept as a hash."""
    (tmp_path / "directory.toml").write_text('[[manager]]\nid = "c_1"\nname = "House"\n')
    with Registry(tmp_path / "registry.sqlite") as registry:
        import_directory(registry, tmp_path / "directory.toml")
        with registry.writing() as db:
            for table in ("tokens", "accounts", "sessions", "operators", "grants", "claims", "contacts"):
                assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert registry.token("") is None
        secret = registry.create_token("c_1")
        assert secret not in dumped(registry)
        assert registry.token(secret) is not None
    assert parse("", tmp_path / "pipeline.toml").portal == ()


def test_check_46_a_fresh_installation_has_no_operator(here):
    """No account, operator or token is there before somebody with the command line makes one; a guessed link opens nothing."""
    assert here.registry.operators.all() == []
    assert here.registry.tokens() == []
    answer = here.browser("inmes").client.post("/v1/operators/guess")
    assert (answer.status_code, answer.json()["type"]) == (422, "not-accepted")


def test_check_46_a_link_works_once(here):
    """It opens a session with a safe cookie; again, over, of another manager's host, or replaced by a newer one it is refused, always alike."""
    one, secret = here.browser("inmes").client, link(here)
    answers = [here.browser("iiportal").client.post(f"/v1/operators/{secret}")]
    opened = one.post(f"/v1/operators/{secret}")
    assert opened.status_code == 204
    cookie = opened.headers["set-cookie"]
    assert cookie.startswith("__Host-session=")
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"))
    answers.append(here.browser("inmes").client.post(f"/v1/operators/{secret}"))
    first, second = link(here, name="petr"), link(here, name="petr")
    answers.append(here.browser("inmes").client.post(f"/v1/operators/{first}"))
    here.now += HOUR / 2
    answers.append(here.browser("inmes").client.post(f"/v1/operators/{second}"))
    assert {(one.status_code, one.json()["type"]) for one in answers} == {(422, "not-accepted")}
    assert len({one.content for one in answers}) == 1
    dump = dumped(here.registry)
    assert not any(one in dump for one in (secret, first, second))


def test_an_operator_may_all_of_the_own_manager_and_nothing_of_residents(here):
    """Units, claims and the audit of the manager; no route of an account; nothing of another manager, at no other host."""
    client = entered(here)
    assert client.get("/v1/session").json()["operator"] == "olga"
    assert {one["id"] for one in client.get("/v1/units").json()["units"]} == {"cz-a", "cz-b", "cz-c"}
    assert client.get("/v1/units/si-a").status_code == client.get("/v1/units/si-a/meters").status_code == 404
    for path in ("/v1/operations", "/v1/claims", "/v1/audit"):
        assert client.get(path).status_code == 200, path
    for path in ("/v1/me", "/v1/grants", "/v1/sessions", "/v1/me/access-log"):
        assert client.get(path).status_code == 403, path
    made = client.post("/v1/claims", json={"claims": [{"unit": "cz-a", "kind": "one_time_credentials"}]})
    assert made.status_code == 201
    assert client.post("/v1/claims", json={"claims": [{"unit": "si-a", "kind": "one_time_credentials"}]}).status_code == 404
    rows = [(one.actor, one.action) for one in here.registry.trail.find(manager="cz")]
    assert {("operator", "operator.link"), ("operator:olga", "session.open"), ("operator:olga", "claims.create")} <= set(rows)


def test_a_session_is_good_at_the_host_of_its_manager_alone(here):
    """Two managers share a realm of accounts; an operator of one has nothing at the other's host."""
    client = entered(here, "iiportal", manager="si")
    cookies = {"Cookie": f"__Host-session={client.cookies['__Host-session']}"}
    for host, status in (("iiportal.localhost", 200), ("second.localhost", 401), ("inmes.localhost", 401)):
        assert TestClient(here.app, base_url=f"https://{host}").get("/v1/units", headers=cookies).status_code == status, host


def test_who_only_reads_changes_nothing(here):
    """Role manager: reads and operations, neither claims nor the audit."""
    client = entered(here, role="manager")
    assert client.get("/v1/operations").status_code == client.get("/v1/units").status_code == 200
    assert client.get("/v1/claims").status_code == client.get("/v1/audit").status_code == 403
    assert client.post("/v1/claims", json={"claims": [{"unit": "cz-a", "kind": "one_time_credentials"}]}).status_code == 403


def test_an_operators_session_ends(here):
    """After half an hour without a request, after twelve hours in all, by log out, and at once when the operator is ended."""
    idle = entered(here)
    here.now += HOUR / 2 + 1
    assert idle.get("/v1/units").status_code == 401
    busy = entered(here)
    for _ in range(48):
        here.now += HOUR / 4 - 1
        assert busy.get("/v1/units").status_code == 200
    here.now += 60
    assert busy.get("/v1/units").status_code == 401
    left, ended = entered(here), entered(here)
    assert left.delete("/v1/session").status_code == 204
    assert left.get("/v1/units").status_code == 401
    here.registry.operators.end("cz", "olga", int(here.now * 1e6))
    assert ended.get("/v1/units").status_code == 401
    with pytest.raises(StoreError, match="no operator olga"):
        here.registry.operators.end("cz", "olga", 1)


def test_another_sites_page_changes_nothing(here):
    """An operator's session is asked for its origin like any other, and so is the link."""
    client = entered(here)
    other = {"Origin": "https://evil.example"}
    assert client.post("/v1/claims", json={"claims": []}, headers=other).status_code == 403
    assert here.browser("inmes").client.post(f"/v1/operators/{link(here)}", headers=other).status_code == 403


def test_residents_see_that_the_manager_read(here):
    """What an operator reads of a flat is in its resident's access log, by the manager's name."""
    resident, _ = inmes(here, phone=None)
    entered(here).get("/v1/units/cz-a/meters")
    reads = resident.client.get("/v1/me/access-log").json()["reads"]
    assert [(one["who"]["kind"], one["who"]["name"], one["unit"]) for one in reads] == [("manager", "inmes", "cz-a")]


@pytest.mark.parametrize(
    ("manager", "name", "role"), [("nobody", "olga", "operator"), ("cz", " ", "operator"), ("cz", "a\nb", "operator"), ("cz", "olga", "root")]
)
def test_what_cannot_be_an_operator_is_refused(here, manager, name, role):
    """A manager that is not there, a name that is none, a role that nobody has."""
    with pytest.raises(StoreError):
        here.registry.operators.invite(manager, name, role, identity="o_1", now=1)
