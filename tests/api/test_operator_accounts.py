"""The operator's part of accounts: grants on evidence, a recovery that is started, accounts that are disabled (portal FLOWS 6 and 9; checks 22, 23 and 29)."""

from fastapi.testclient import TestClient
from portals import PASSWORD, inmes


def operator(here, manager="cz", scope="accounts:write"):
    """A service token of a manager."""
    return here.service(manager, scope)


def account(one):
    """Whose session it is."""
    return one.client.get("/v1/me").json()["id"]


def test_an_operator_grants_a_unit_on_evidence_and_all_are_told(here):
    """Found by id or by a proven address; who sees the unit, and who gets it, are told; the kind of evidence is on record."""
    one, _ = inmes(here, phone=None)
    two, _ = inmes(here, "cz-b", "eva@example.org", None)
    body = {"address": "Eva@example.org", "unit": "cz-a", "role": "household", "evidence": "identity_document"}
    answer = operator(here).post("/v1/grants", json=body)
    assert answer.status_code == 201, answer.text
    assert (two.units(), here.sent("new_grant")) == (["cz-a", "cz-b"], 2)
    assert {grant["evidence"] for grant in two.client.get("/v1/grants").json()["grants"]} == {None, "identity_document"}
    assert any(entry.action == "grant.create" and "identity_document" in entry.detail for entry in here.registry.audit())
    assert operator(here).post("/v1/grants", json=body).status_code == 422
    by_id = {"account": account(one), "unit": "cz-c", "evidence": "contract"}
    assert operator(here).post("/v1/grants", json=by_id).status_code == 201
    assert one.units() == ["cz-a", "cz-c"]


def test_nothing_is_granted_that_is_not_the_managers(here):
    """Another manager's unit, another portal's account, an unknown address, no account, a scope that is missing."""
    one, _ = inmes(here)
    base = {"account": account(one), "unit": "cz-b", "evidence": "contract"}
    assert operator(here, "si").post("/v1/grants", json=base).status_code == 404
    assert operator(here, "si").post("/v1/grants", json=base | {"unit": "si-a"}).status_code == 404
    assert operator(here).post("/v1/grants", json={**base, "account": None, "address": "nobody@example.org"}).status_code == 404
    assert operator(here).post("/v1/grants", json={**base, "account": None}).status_code == 422
    assert operator(here).post("/v1/grants", json=base | {"role": "operator"}).status_code == 422
    assert operator(here).post("/v1/grants", json=base | {"evidence": "passport 123456"}).status_code == 422
    assert operator(here).post("/v1/grants", json=base | {"until": "2020-01-01T00:00:00Z"}).status_code == 422
    assert operator(here, scope="claims:write").post("/v1/grants", json=base).status_code == 403
    assert one.client.post("/v1/grants", json=base).status_code == 403
    assert one.units() == ["cz-a"]


def test_an_operator_starts_a_recovery_and_learns_nothing_by_it(here):
    """The addresses of the login are written to, once there is one for recovery only that; the answer has no code, and the password stays until the holder acts."""
    one, _ = inmes(here)
    path = f"/v1/accounts/{account(one)}/recovery"
    assert operator(here).post(path, json={}).json() == {"by": "message", "sent": 2}
    assert "code" not in here.mail("recovery_started").values
    assert one.units() == ["cz-a"]
    here.now += 61
    new = {"channel": "email", "address": "safe@example.org", "use": "recovery"}
    one.client.post("/v1/me/contacts", json=new)
    one.client.post("/v1/me/contacts", json=new | {"code": one.code()})
    assert operator(here).post(path, json={}).json() == {"by": "message", "sent": 1}
    assert here.mail("recovery_started").address == "safe@example.org"
    assert operator(here, "si").post(path, json={}).status_code == 404
    assert operator(here).post("/v1/accounts/a_nobody/recovery", json={}).status_code == 404
    assert operator(here).post(path, json={"password": "known to the operator"}).status_code == 422


def test_messages_of_recoveries_are_limited_like_all(here):
    """Six an hour to an address are five."""
    one, _ = inmes(here, phone=None)
    sent = [operator(here).post(f"/v1/accounts/{account(one)}/recovery", json={}).json()["sent"] for _ in range(6)]
    assert (sum(sent), sent[-1]) == (4, 0), "the activation took one of the five"


def test_a_disabled_account_is_out_at_once_and_its_address_free(here):
    """Sessions end, no password opens it, its guests are out too; another manager cannot do that; the address may register anew."""
    one, _ = inmes(here)
    path = f"/v1/accounts/{account(one)}"
    assert operator(here, "si").delete(path).status_code == 404
    assert one.units() == ["cz-a"]
    assert operator(here).delete(path).status_code == 204
    assert (one.units(), operator(here).delete(path).status_code) == (401, 404)
    again = here.browser("inmes")
    again.start("login")
    again.go(name="jana@example.org", password=PASSWORD, _status=422)
    fresh, _ = inmes(here, phone=None)
    assert fresh.units() == ["cz-a"]


def test_what_another_manager_of_the_portal_gave_stays(here):
    """An account of two managers loses the flat and the sessions of the one who disables it, and signs in to the other's."""
    one = here.browser("iiportal")
    one.start("activate")
    form = {"first_name": "Ana", "last_name": "Novak", "email": "ana@example.org", "new_password": PASSWORD, "new_password_again": PASSWORD}
    one.go(**form, **here.claim("bill", "si-a", payer_id="4711"))
    one.follow()
    one.go()
    who = account(one)
    second = {"account": who, "unit": "si2-a", "evidence": "contract"}
    assert operator(here, "si2").post("/v1/grants", json=second).status_code == 201
    secret = one.client.post("/v1/me/tokens", json={"label": "home"}).json()["secret"]
    program = TestClient(here.app, headers={"Authorization": f"Bearer {secret}"})
    assert [unit["id"] for unit in program.get("/v1/units").json()["units"]] == ["si-a", "si2-a"]
    assert operator(here, "si").delete(f"/v1/accounts/{who}").status_code == 204
    assert (one.units(), program.get("/v1/units").status_code) == (401, 401)
    assert {grant.unit for grant in here.registry.accounts.grants(who)} == {"si2-a"}
    assert here.registry.accounts.reached("iiportal", "email", "ana@example.org").id == who
