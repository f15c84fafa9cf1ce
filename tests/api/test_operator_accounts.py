"""What an operator may do with accounts: give with evidence, ask for a new password, end; never see or set a secret (portal FLOWS 6, 10: 22, 29)."""

import pytest
from fastapi.testclient import TestClient
from portals import Here
from test_flows import inmes


@pytest.fixture
def here(tmp_path):
    """Five portals."""
    made = Here(tmp_path)
    yield made
    made.close()


def operator(here, manager="cz"):
    """A client with the token of a manager's operator."""
    token = here.registry.create_token(manager, ["accounts:write"])
    return TestClient(here.app, headers={"Authorization": f"Bearer {token}"})


def account(here, mail):
    """The id of an account."""
    return here.registry.accounts.reached("inmes", "email", mail).id


def test_a_unit_is_given_with_evidence_and_everybody_is_told(here):
    """An account found by its proven address sees the unit from then on; the audit has the kind of paper; holders and the account get a notice."""
    neighbour, _ = inmes(here, "cz-b", "eva@example.org", None)
    one, _ = inmes(here, "cz-a", "jana@example.org", None)
    before = here.sent("new_grant")
    answer = operator(here).post("/v1/grants", json={"unit": "cz-b", "email": "jana@example.org", "evidence": "contract"})
    assert answer.status_code == 201, answer.text
    assert one.units() == ["cz-a", "cz-b"]
    assert here.sent("new_grant") == before + 2
    assert "contract" in next(entry.detail for entry in here.registry.audit() if entry.action == "grant.give")
    assert operator(here).post("/v1/grants", json={"unit": "cz-b", "email": "jana@example.org", "evidence": "bill"}).status_code == 409
    assert neighbour.units() == ["cz-b"]


def test_what_is_not_the_managers_is_not_there(here):
    """Units, accounts and addresses of others are answered as what does not exist."""
    inmes(here, "cz-a", "jana@example.org", None)
    identity = account(here, "jana@example.org")
    foreign = operator(here, "si")
    for path, method in (
        (f"/v1/accounts/{identity}/recovery", "post"),
        (f"/v1/accounts/{identity}", "delete"),
        (f"/v1/accounts/{identity}/sessions", "delete"),
    ):
        other = path.replace(identity, "a_nobody")
        answers = [getattr(foreign, method)(one) for one in (path, other)]
        assert (answers[0].status_code, answers[0].content) == (answers[1].status_code, answers[1].content) == (404, answers[0].content)
    body = {"evidence": "bill"}
    assert foreign.post("/v1/grants", json=body | {"unit": "cz-a", "account": identity}).status_code == 404
    assert foreign.post("/v1/grants", json=body | {"unit": "si-a", "account": identity}).status_code == 404
    assert foreign.post("/v1/grants", json=body | {"unit": "si-a"}).status_code == 422


def test_an_operator_asks_for_a_new_password_and_never_sees_one(here):
    """The notice goes to the account's own addresses; the answer is empty; no route or field of the operator takes a password or tells a code."""
    one, _ = inmes(here, "cz-a", "jana@example.org", None)
    answer = operator(here).post(f"/v1/accounts/{account(here, 'jana@example.org')}/recovery")
    assert (answer.status_code, answer.content) == (202, b"null")
    assert here.mail("recovery_started").address == "jana@example.org"
    assert one.units() == ["cz-a"]
    bodies = {name: set(schema["properties"]) for name, schema in here.app.openapi()["components"]["schemas"].items() if "properties" in schema}
    assert not bodies["Given"] & {"password", "code", "secret"}


def test_a_disabled_account_is_out_at_once(here):
    """The next request of its session is refused, its password opens nothing, and its address is free."""
    one, _ = inmes(here, "cz-a", "jana@example.org", None)
    assert operator(here).delete(f"/v1/accounts/{account(here, 'jana@example.org')}").status_code == 204
    assert one.units() == 401
    assert here.registry.accounts.reached("inmes", "email", "jana@example.org") is None
