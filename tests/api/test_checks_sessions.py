"""Sessions: checks 25 to 32 (portal FLOWS 10)."""

import pytest
from portals import PASSWORD, inmes, logged_in

from submeter.store.accounts import digest


def test_check_30_sessions_are_listed_and_ended_by_their_owner(here):
    """An hour without a request, a day at most; the list shows both browsers, and ends the other."""
    one, _ = inmes(here)
    two = logged_in(here, "inmes", "jana@example.org")
    listed = two.client.get("/v1/sessions").json()["sessions"]
    assert sorted(session["here"] for session in listed) == [False, True]
    assert two.client.delete("/v1/sessions").status_code == 204
    assert (one.units(), two.units()) == (401, ["cz-a"])
    here.now += 3601
    assert two.units() == 401


def secret(browser):
    """The session's secret in a browser."""
    return browser.client.cookies["__Host-session"]


def with_secret(here, value):
    """What a browser with this session's secret sees."""
    one = here.browser("inmes")
    one.client.cookies.set("__Host-session", value)
    return one.units()


def test_check_25_sessions_are_random_and_kept_as_hashes(here):
    """256 bits, looked up at each request: one sign more or less is nobody."""
    one, _ = inmes(here)
    held = secret(one)
    assert len(held) >= 43
    with here.registry.writing() as db:
        rows = db.execute("SELECT hash FROM sessions").fetchall()
    assert rows == [(digest(held),)]
    assert [with_secret(here, value) for value in (held, held[:-1], held + "A", "", held.swapcase())] == [["cz-a"], 401, 401, 401, 401]


def test_check_26_login_fresh_proof_and_upgrade_give_another_secret(here):
    """A secret planted before is nobody's; that of before a fresh proof is void; a guest's is void once it is an account."""
    one, _ = inmes(here)
    planted = here.browser("inmes")
    planted.client.cookies.set("__Host-session", "planted")
    planted.start("login")
    planted.go(name="jana@example.org", password=PASSWORD)
    planted.go(code=planted.code())
    assert with_secret(here, "planted") == 401
    before = secret(one)
    one.start("reauth")
    assert one.go(password=PASSWORD)["done"]
    assert (secret(one) != before, one.units(), with_secret(here, before)) == (True, ["cz-a"], 401)


def test_check_27_residents_have_an_hour_of_rest_and_a_day_in_all(here):
    """An hour without a request ends a session, however short the day; a day ends it, however busy; both are in the documentation."""
    from pathlib import Path

    one, _ = inmes(here)
    here.now += 3599
    assert one.units() == ["cz-a"]
    here.now += 3600
    assert one.units() == 401
    two = logged_in(here, "inmes", "jana@example.org")
    for _ in range(24):
        here.now += 3599
        assert two.units() == ["cz-a"]
    here.now += 25
    assert two.units() == 401
    documented = (Path(__file__).parents[2] / "docs" / "portals.md").read_text()
    assert "an hour without a request, a day in all" in documented


def test_check_27_guests_have_an_hour(here):
    """However busy a guest is."""
    one = here.browser("impreso")
    one.start("guest")
    one.go(**here.claim("metering_point", "no-a", facility_no="1", metering_point_id="7"), phone="41234567", accept=True)
    one.go(code=one.code())
    here.now += 1800
    assert one.units() == ["no-a"]
    here.now += 1799
    assert one.units() == ["no-a"]
    here.now += 2
    assert one.units() == 401


def test_check_28_log_out_ends_the_session_and_clears_the_browser(here):
    """The cookie of before is nobody's; a flow that the session began ends with it."""
    one, _ = inmes(here)
    held, flow = secret(one), one.start("reauth")
    answer = one.client.delete("/v1/session")
    assert answer.status_code == 204
    assert {'"cache"', '"storage"'} <= set(answer.headers["clear-site-data"].split(", "))
    assert with_secret(here, held) == 401
    assert one.client.post(f"/v1/flows/{flow['id']}", json={"password": PASSWORD}).status_code == 410


def test_check_29_what_ends_ends_at_once(here):
    """A grant, a password, an account: the next request is 401, or 404 for the flat."""
    one, _ = inmes(here)
    two = logged_in(here, "inmes", "jana@example.org")
    one.client.put("/v1/me/password", json={"present": PASSWORD, "new": "another fine sentence"})
    assert (one.units(), two.units()) == (["cz-a"], 401)
    (grant,) = one.client.get("/v1/grants").json()["grants"]
    here.registry.accounts.end_grant(grant["id"], int(here.now * 1e6))
    assert (one.units(), one.client.get("/v1/units/cz-a/meters").status_code) == ([], 404)
    with here.registry.writing() as db:
        db.execute("UPDATE accounts SET ended = 1")
    assert one.units() == 401


def test_check_29_a_guest_ends_with_its_claim(here):
    """A claim that the operator takes back shows nothing any more, also to who holds a session of it."""
    one = here.browser("impreso")
    one.start("guest")
    one.go(**here.claim("metering_point", "no-a", facility_no="1", metering_point_id="7"), phone="41234567", accept=True)
    one.go(code=one.code())
    operator = here.service("no", "claims:write")
    (claim,) = operator.get("/v1/claims").json()["claims"]
    assert operator.delete(f"/v1/claims/{claim['id']}").status_code == 204
    assert (one.units(), one.client.get("/v1/units/no-a/meters").status_code) == ([], 404)


def test_check_30_the_operator_ends_sessions_too(here):
    """Of accounts that see a unit of the own, and of no other."""
    one, _ = inmes(here)
    account = here.registry.accounts.reached("inmes", "email", "jana@example.org").id
    for manager, status, units in (("si", 404, ["cz-a"]), ("cz", 204, 401)):
        answer = here.service(manager, "accounts:write").delete(f"/v1/accounts/{account}/sessions")
        assert (answer.status_code, one.units()) == (status, units)


#: Changes that need a proof of the last five minutes.
FRESH = [
    ("PUT", "/v1/me/password", {"present": PASSWORD, "new": "another fine sentence"}),
    ("POST", "/v1/me/factors", {"kind": "totp"}),
    ("POST", "/v1/me/factors", {"kind": "recovery"}),
    ("DELETE", "/v1/me/factors/totp", None),
    ("POST", "/v1/units/cz-a/invitations", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), FRESH, ids=[f"{method} {path}" for method, path, _ in FRESH])
def test_check_31_changes_of_who_gets_in_need_a_fresh_proof(here, method, path, body):
    """After five minutes 401 `reauth`; after the flow it works."""
    one, _ = inmes(here, phone=None)
    here.now += 301
    kept = {} if body is None else {"json": body}
    answer = one.client.request(method, path, **kept)
    assert (answer.status_code, answer.json()["type"]) == (401, "reauth")
    one.start("reauth")
    one.go(password=PASSWORD)
    assert one.client.request(method, path, **kept).is_success


def test_check_32_cookies_are_bound_to_the_host(here):
    """__Host-, Secure, HttpOnly, SameSite and no Domain: those of flow, browser and session."""
    inmes(here, phone=None)
    two = here.browser("inmes")
    lines = two.client.post("/v1/flows/login", json={}).headers.get_list("set-cookie")
    two.start("login")
    two.go(name="jana@example.org", password=PASSWORD)
    lines += two.client.post(f"/v1/flows/{two.flow['id']}", json={"code": two.code()}).headers.get_list("set-cookie")
    assert {line.split("=")[0] for line in lines} == {"__Host-flow", "__Host-browser", "__Host-session"}
    for line in lines:
        parts = {part.strip().lower() for part in line.split(";")}
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts
        assert "domain" not in line.lower()
