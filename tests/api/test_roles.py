"""Who may do what at a unit, by role: every route of a unit or meter, generated, against ROLES (portal API 3; FLOWS 9 and 10: 37)."""

import re

import pytest
from fastapi.testclient import TestClient
from portals import Here
from test_matrix import EDGE, RANGE, publish, routes

from submeter.api.access import SESSION
from submeter.store.accounts import OWN, ROLES, Account, Claim, Grant, Session
from submeter.store.registry_types import READS, SCOPES

#: Who asks of cz-a: roles that an account has there, and those without an account.
HELD = ("resident", "resident:limited", "household", "third_party")
BARE = ("guest", "submitter", "demo")
#: What a route of a unit is asked with besides its path. A route with a body needs a row here.
ASKED = {
    ("GET", "/v1/units/{unit}/consumption"): RANGE | {"resolution": "P1M"},
    ("GET", "/v1/meters/{meter}/readings"): RANGE,
    ("POST", "/v1/meters/{meter}/readings"): {"value": "8"},
    ("PUT", "/v1/units/{unit}/alert-rules"): {"rules": []},
    ("PUT", "/v1/me/units/{unit}"): {},
    ("POST", "/v1/units/{unit}/statements"): {"from": "2025-01-01", "to": "2025-02-01"},
    ("POST", "/v1/units/{unit}/messages"): {"text": "hello"},
    ("POST", "/v1/units/{unit}/invitations"): {},
}
#: Limits are an account's own: nobody without one has any.
OF_ACCOUNTS = {("GET", "/v1/units/{unit}/alert-rules")}
#: Who may ask, and is told 422: only a resident invites (`_resident` in api/invitations.py).
INVITING = ("POST", "/v1/units/{unit}/invitations")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Five portals; cz-a and cz-b have a meter, and the monthly information of May."""
    made = Here(tmp_path_factory.mktemp("roles"))
    with made.registry.writing() as db:
        for point, unit in (("p", "cz-a"), ("q", "cz-b")):
            db.execute("INSERT INTO points VALUES (?, 'cz1', ?, 'cold_water', '', 'volume', '{}')", (point, unit))
            made.registry.information.keep(unit, made.registry.occupancies_of(unit)[0].since, "2025-05", "{}", now=EDGE)
    publish(made)
    yield made
    made.close()


def granted(here, name, **roles):
    """The browser of an account with a role at some units of cz."""
    accounts, now = here.registry.accounts, int(here.now * 1e6)
    accounts.add(Account(f"a_{name}", "inmes", None, "", "en", "", now, 0, None))
    for flat, role in roles.items():
        begun = here.registry.occupancies_of(f"cz-{flat}")[0].since
        accounts.add_grant(Grant(f"g_{name}_{flat}", f"a_{name}", "cz", f"cz-{flat}", begun, role, begun, None, "test", None, begun, None))
    return opened(here, name, f"a_{name}", "account", {})


def bare(here, role):
    """The browser of somebody without an account, who sees cz-a by a claim or the demo."""
    now = int(here.now * 1e6)
    claim = Claim(f"l_{role}", "cz", "bill", "cz-a", here.registry.occupancies_of("cz-a")[0].since, role, b"", b"", now, None, None, None, None, None)
    here.registry.accounts.add_claim(claim)
    point = {"point": "p"} if role == "submitter" else {}
    return opened(here, role, None, role, {"demo": "cz"} if role == "demo" else {"claims": [claim.id], "since": 0, **point})


def opened(here, name, account, role, held):
    """A browser with a session."""
    now, secret = int(here.now * 1e6), f"secret-of-{name}"
    session = Session(f"s_{name}", "inmes", "cz", account, role, held, now, now, now + 10**10, 10**10, now, "", None)
    here.registry.accounts.open_session(session, secret)
    client = TestClient(here.app, base_url="https://inmes.localhost", headers={"Origin": "https://inmes.localhost"})
    client.cookies.set(SESSION, secret)
    return client


def of_units(here):
    """Method, path and scopes of every route that names a unit or a meter."""
    paths = here.app.openapi()["paths"]
    found = [
        (method, route.path, frozenset(next(iter(paths[route.path][method.lower()]["security"][0].values()))))
        for route in routes(here)
        if re.search(r"{(unit|meter)}", route.path)
        for method in sorted(route.methods)
    ]
    assert len(found) > 15
    for method, path, _ in found:
        assert method in {"GET", "DELETE"} or (method, path) in ASKED, f"{method} {path}: add a body to ASKED in tests/api/test_roles.py"
    return found


def status(client, method, path, flat="a"):
    """What a route answers of a flat, without a session's end between two questions."""
    filled = path.replace("{unit}", f"cz-{flat}").replace("{meter}", {"a": "p", "b": "q"}[flat]).replace("{month}", "2025-05")
    wanted = ASKED.get((method, path))
    return client.request(method, filled, **({} if wanted is None else {"params": wanted} if method == "GET" else {"json": wanted})).status_code


def checked(here, client, role, flat, *, own):
    """Ask every route of a unit as one of a role: 403 where its scopes are not the role's, else never 401, 403 or 404."""
    for method, path, scopes in of_units(here):
        allowed = scopes <= {*ROLES[role], *(OWN if own else ())} and (own or (method, path) not in OF_ACCOUNTS)
        answer = status(client, method, path, flat)
        cell = (role, method, path, sorted(scopes), answer)
        assert (answer == 403) == (not allowed), cell
        assert answer not in {401, 404, 500}, cell
        if (method, path) == INVITING and allowed:
            assert (answer == 201) == (role == "resident"), cell
        if role == "submitter" and allowed:
            return


@pytest.mark.parametrize("role", HELD)
def test_an_account_does_at_a_unit_what_its_role_allows(here, role):
    """Resident, limited one, household and third party, each at the only unit that they see."""
    checked(here, granted(here, role.replace(":", "_"), a=role), role, "a", own=True)


@pytest.mark.parametrize("role", BARE)
def test_who_has_no_account_does_what_the_role_allows(here, role):
    """Guest, submitter and demo; nothing that an account does with itself."""
    checked(here, bare(here, role), role, "a", own=False)


@pytest.mark.parametrize("role", HELD[1:])
def test_a_resident_of_one_unit_is_no_resident_of_another(here, role):
    """Who lives at B does at A only what the grant of A allows, and at B all."""
    client = granted(here, f"mixed_{role.replace(':', '_')}", a=role, b="resident")
    checked(here, client, role, "a", own=True)
    checked(here, client, "resident", "b", own=True)


def personal(here):
    """A program with a personal token that may read all that there is."""
    granted(here, "programs", a="resident")
    scopes = [scope for scope in ROLES["resident"] if scope.endswith(":read")]
    _, secret = here.registry.personal.make(
        "a_programs", "cz", scopes, ["g_programs_a"], "", now=int(here.now * 1e6), expires=int(here.now * 1e6) + 10**12
    )
    return TestClient(here.app, headers={"Authorization": f"Bearer {secret}"})


def test_tokens_are_refused_what_is_a_sessions(here):
    """Routes of sessions and of oneself answer 403 to personal and service tokens, whatever is asked; a personal token changes nothing at all."""
    program, service = personal(here), here.service("cz", *READS)
    asked = [(method, route.path) for route in routes(here) for method in sorted(route.methods)]
    own = [(method, path) for method, path in asked if re.match(r"/v1/(session|sessions|me|grants|invitations)(/|$)", path)]
    assert len(own) > 25
    for client in (program, service):
        for method, path in own:
            answer = client.request(method, re.sub("{.*?}", "x", path))
            assert (answer.status_code, answer.json()["type"]) == (403, "forbidden-scope"), (method, path)
    for method, path in asked:
        if method != "GET" and not re.match("/v1/(flows|confirmations)/", path):
            assert program.request(method, re.sub("{.*?}", "x", path)).status_code == 403, (method, path)


def test_the_scopes_of_an_account_are_no_service_tokens(here):
    """What is one's own is never a service token's."""
    assert not {scope for scope in SCOPES if scope.endswith(":self")}
    assert ROLES["account"]
