"""Personal read tokens: what they read, what they never do, and all that ends them (portal FLOWS 8, checks 29 and 31)."""

import re
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from portals import PASSWORD, Here, inmes
from tables import dumped
from test_matrix import publish

TIMES = {"from": "2025-01-01", "to": "2025-01-03"}


@pytest.fixture
def here(tmp_path):
    """Five portals; cz-a has a meter."""
    made = Here(tmp_path)
    with made.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}')")
    publish(made)
    yield made
    made.close()


def holder(here, secret):
    """A program that has a token."""
    return TestClient(here.app, base_url="https://inmes.localhost", headers={"Authorization": f"Bearer {secret}"})


def made(one, **body):
    """A token of somebody signed in."""
    answer = one.client.post("/v1/me/tokens", json={"label": "home"} | body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def second_flat(here, one):
    """The operator gives the same account another flat."""
    operator = holder(here, here.registry.create_token("cz", ["accounts:write"]))
    body = {"account": one.client.get("/v1/me").json()["id"], "unit": "cz-b", "evidence": "contract"}
    assert operator.post("/v1/grants", json=body).status_code == 201


def test_a_token_reads_what_it_was_made_for_and_its_secret_is_told_once(here):
    """Form, scopes, etag and 304; the list has no secret, the store only its hash."""
    one, _ = inmes(here)
    token = made(one)
    assert re.fullmatch(r"sm_[0-9a-z]{8}_[0-9a-z]{32}", token["secret"])
    assert token["secret"].split("_")[1] == token["id"]
    program = holder(here, token["secret"])
    first = program.get("/v1/units/cz-a/consumption", params=TIMES)
    assert (first.status_code, first.headers["cache-control"]) == (200, "private, no-cache")
    again = program.get("/v1/units/cz-a/consumption", params=TIMES, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert [unit["id"] for unit in program.get("/v1/units").json()["units"]] == ["cz-a"]
    (listed,) = one.client.get("/v1/me/tokens").json()["tokens"]
    assert (listed["label"], listed["scopes"], listed["units"]) == ("home", ["units:read", "consumption:read"], ["cz-a"])
    assert "secret" not in listed
    kept = [dumped(here.registry).encode(), *(file.read_bytes() for file in here.registry.path.parent.glob("registry.sqlite*"))]
    assert not any(token["secret"].split("_")[2].encode() in content for content in kept)
    assert holder(here, token["secret"][:-1] + "~").get("/v1/units").status_code == 401


def test_a_token_never_acts_on_the_account(here):
    """Every route of oneself answers 403, also with all scopes that a token can have; scopes to write are refused when it is made."""
    one, _ = inmes(here)
    scopes = one.client.get("/v1/me/tokens").json()["scopes"]
    assert all(scope.endswith(":read") for scope in scopes)
    program = holder(here, made(one, scopes=scopes)["secret"])
    for method, path in (
        *(("GET", f"/v1/{name}") for name in ("me", "sessions", "grants", "me/tokens", "me/contacts", "me/consents", "me/factors")),
        *(("POST", f"/v1/{name}") for name in ("me/tokens", "me/contacts", "me/consents", "me/factors", "units/cz-a/invitations", "claims")),
        *(("DELETE", f"/v1/{name}") for name in ("sessions", "me/tokens/x", "me/contacts/x", "grants/x", "invitations/x", "accounts/x")),
        ("PATCH", "/v1/me"),
        ("PUT", "/v1/me/password"),
    ):
        assert program.request(method, path).status_code == 403, (method, path)
    for wrong in ("me:self", "bulk:read", "accounts:write", "readings:self"):
        assert one.client.post("/v1/me/tokens", json={"label": "x", "scopes": [wrong]}).status_code == 422, wrong


def test_a_token_sees_its_units_only_and_dies_with_the_grant(here):
    """A flat that the account has besides is not there; the grant given up, its own is not there either, nor after a new grant to the same flat."""
    one, _ = inmes(here)
    second_flat(here, one)
    assert one.units() == ["cz-a", "cz-b"]
    token = made(one, units=["cz-a"])
    assert token["units"] == ["cz-a"]
    program = holder(here, token["secret"])
    assert {program.get(f"/v1/units/{unit}/meters").status_code for unit in ("cz-b", "si-a")} == {404}
    assert program.get("/v1/units/cz-a/meters").status_code == 200
    assert one.client.post("/v1/me/tokens", json={"label": "x", "units": ["si-a"]}).status_code == 404
    (own,) = here.registry.accounts.grants_of("cz-a")
    assert one.client.delete(f"/v1/grants/{own.id}").status_code == 204
    assert program.get("/v1/units/cz-a/meters").status_code == 404
    assert program.get("/v1/units").json() == {"units": []}
    here.registry.accounts.add_grant(replace(own, id="g_again"))
    assert one.units() == ["cz-a", "cz-b"]
    assert program.get("/v1/units/cz-a/meters").status_code == 404


def test_a_token_ends_by_its_owner_and_with_its_time(here):
    """Ended, it is nobody's; so it is after its days; another account's token is not there; a label, a unit and a number are needed."""
    one, _ = inmes(here)
    other, _ = inmes(here, "cz-b", "eva@example.org", None)
    short, long = made(one, days=1), made(one)
    assert other.client.delete(f"/v1/me/tokens/{long['id']}").status_code == 404
    assert holder(here, long["secret"]).get("/v1/units").status_code == 200
    assert one.client.post("/v1/me/tokens", json={"label": "x", "days": 366}).status_code == 422
    here.now += 3000
    assert one.client.delete(f"/v1/me/tokens/{long['id']}").status_code == 204
    assert holder(here, long["secret"]).get("/v1/units").status_code == 401
    assert holder(here, short["secret"]).get("/v1/units").status_code == 200
    here.now += 86_400
    assert holder(here, short["secret"]).get("/v1/units").status_code == 401


def test_ten_tokens_an_account_and_a_fresh_proof_for_each(here):
    """The eleventh is refused until one ended; five minutes after the proof none is made."""
    one, _ = inmes(here)
    tokens = [made(one) for _ in range(10)]
    assert one.client.post("/v1/me/tokens", json={"label": "x"}).status_code == 422
    one.client.delete(f"/v1/me/tokens/{tokens[0]['id']}")
    made(one)
    here.now += 301
    assert one.client.post("/v1/me/tokens", json={"label": "x"}).json()["type"] == "reauth"


def test_the_last_use_is_told_and_written_once_a_minute(here):
    """Nothing before the first use; within a minute it stays as it is."""
    one, _ = inmes(here)
    program = holder(here, made(one)["secret"])

    def used():
        return one.client.get("/v1/me/tokens").json()["tokens"][0]["used"]

    assert used() is None
    seen = []
    for _ in range(3):
        program.get("/v1/units")
        seen.append(used())
        here.now += 40
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize("how", ["password", "recovery", "disabled"])
def test_tokens_end_at_once_with_what_opened_them(here, how):
    """Another password, a recovery, an account that is disabled: the next request is nobody's."""
    one, _ = inmes(here)
    program = holder(here, made(one)["secret"])
    assert program.get("/v1/units").status_code == 200
    if how == "password":
        assert one.client.put("/v1/me/password", json={"present": PASSWORD, "new": "another fine sentence"}).status_code == 204
    elif how == "recovery":
        lost = here.browser("inmes")
        lost.start("recover")
        lost.go(name="jana@example.org")
        lost.go(code=lost.code())
        lost.go(code=lost.code())
        assert lost.go(new_password="another fine sentence", new_password_again="another fine sentence")["done"]
    else:
        operator = holder(here, here.registry.create_token("cz", ["accounts:write"]))
        assert operator.delete(f"/v1/accounts/{one.client.get('/v1/me').json()['id']}").status_code == 204
    assert program.get("/v1/units").status_code == 401
