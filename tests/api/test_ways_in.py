"""Whoever changes the own addresses can still sign in, and an address that no message can go to is told by name (portal FLOWS 7)."""

import pytest
from portals import PASSWORD, inmes, logged_in

from submeter.forget import forget


def ask(browser, status=201, **body):
    """Ask for an address, or prove it."""
    answer = browser.client.post("/v1/me/contacts", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def remove(browser, address):
    """The status of removing an address."""
    held = browser.client.get("/v1/me/contacts").json()["contacts"]
    return browser.client.delete(f"/v1/me/contacts/{next(one['id'] for one in held if one['address'] == address)}").status_code


def test_a_portal_that_sends_its_codes_by_sms_keeps_a_phone(here):
    """Inkomus knows the username, yet its code goes to the phone: a mail beside it does not do, another phone does."""
    one = here.browser("inkomus")
    one.start("activate")
    one.go(name="ivan", phone="9161234567", new_password=PASSWORD, new_password_again=PASSWORD, accept=True)
    one.go(code=one.code())
    one = logged_in(here, "inkomus", "ivan")
    ask(one, channel="email", address="ivan@example.org")
    ask(one, channel="email", address="ivan@example.org", code=one.code())
    assert remove(one, "+79161234567") == 422
    here.now += 60
    ask(one, channel="phone", address="9167654321")
    ask(one, channel="phone", address="9167654321", code=one.code())
    assert remove(one, "+79161234567") == 204
    logged_in(here, "inkomus", "ivan")
    assert here.mail("code").address == "+79167654321"


@pytest.mark.parametrize("use", ["notify", "recovery"])
def test_the_last_way_in_is_not_made_something_else(here, use):
    """Asking for the own address again, for notices or recovery, would take it from the login: refused as its removal is."""
    one, _ = inmes(here, phone=None)
    own = {"channel": "email", "address": "jana@example.org", "use": use}
    ask(one, **own)
    assert ask(one, **own, code=one.code(), status=422)["errors"][0]["parameter"] == "use"
    assert [told["use"] for told in one.client.get("/v1/me/contacts").json()["contacts"]] == ["auth"]
    assert logged_in(here, "inmes", "jana@example.org").units() == ["cz-a"]


@pytest.mark.parametrize(
    ("channel", "address"), [("email", "a(b@example.org"), ("email", "a..b@example.org"), ("email", "a@example..org"), ("phone", "777123456789012")]
)
def test_an_address_that_no_message_can_go_to_is_told_by_name(here, channel, address):
    """In a flow and here: 422, where it was 503."""
    one, _ = inmes(here)
    assert ask(one, channel=channel, address=address, status=422)["errors"][0]["parameter"] == channel
    two = here.browser("inmes")
    two.start("activate")
    two.go(**here.claim("one_time_credentials", "cz-b"))
    two.go(agree=True, accept=True)
    if channel == "phone":
        two.go(email="petr@example.org")
        two.go(code=two.code())
    assert two.go(**{channel: address}, _status=422)["type"] == "invalid"


def test_what_is_over_is_deleted(here):
    """Addresses that nobody proved, and tokens that ended, a day later (check 47); what is in force stays."""
    one, _ = inmes(here)
    ask(one, channel="email", address="new@example.org")
    for days in (1, 365):
        body = {"label": "x", "scopes": ["units:read"], "units": ["cz-a"], "days": days}
        assert one.client.post("/v1/me/tokens", json=body).status_code == 201
    for later, left in ((0, (1, 2)), (2 * 86_400 - 1, (0, 2)), (2 * 86_400 + 1, (0, 1))):
        forget(here.registry, int((here.now + later) * 1e6), 0)
        counts = [here.registry._rows(f"SELECT count(*) FROM {table}")[0][0] for table in ("new_contacts", "personal_tokens")]
        assert tuple(counts) == left
