"""My places and limits, as a person without script uses them (portal SCREENS 12 and 15)."""

import pytest
from portals import Here
from reader import activated

from submeter.portal import create_portal
from submeter.store.accounts import Grant


@pytest.fixture
def here(tmp_path):
    """Five portals with their pages; a flat with a water meter."""
    made = Here(tmp_path)
    made.app.mount("/", create_portal(made.app))
    with made.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('p0', 'cz1', 'cz-a', 'cold_water', 'room 0', 'volume', '{}')")
    yield made
    made.close()


@pytest.fixture
def resident(here):
    """Who came in by the printed letter just now."""
    return activated(here, "cz-a", "jana@example.org")


def granted(here, name, unit, role):
    """Another place of the resident."""
    account, now = here.registry.accounts.reached("inmes", "email", "jana@example.org").id, int(here.now * 1e6)
    here.registry.accounts.add_grant(Grant(name, account, "cz", unit, None, role, now, None, "test", None, now, None))


def test_a_place_is_given_up(here, resident):
    """N8: what it means is said before the button; then the place is gone, the other one stays."""
    granted(here, "g_second", "cz-b", "resident")
    resident.open("/places")
    assert {href for href, _ in resident.page.links} >= {"/home?unit=cz-a", "/home?unit=cz-b"}
    form = next(form for form in resident.page.forms if form.fields.get("id", {}).get("value") == "g_second")
    assert [button["value"] for button in form.buttons] == ["give_up"]
    resident.client.post("/places", content=b"id=g_second&do=give_up")
    assert [one["unit"] for one in resident.client.get("/v1/grants").json()["grants"]] == ["cz-a"]
    assert resident.client.post("/places", content=b"id=g_foreign&do=give_up").status_code == 404


def test_a_limited_place_is_made_whole_by_the_letters_code(here, resident):
    """K6: the code of the letter makes it whole; a wrong one is said, and what the place is stays."""
    granted(here, "g_limited", "cz-b", "resident:limited")
    flows, accounts = here.app.state.flows, here.registry.accounts
    grant = accounts.grant("g_limited")
    assert flows.post_codes.confirmation(accounts.account(grant.account), grant, flows.portal("cz").policy, "inmes.localhost", int(here.now * 1e6))
    resident.open("/places")
    resident.fill("confirm", id="g_limited", code="WRONGWRONG")
    assert resident.status == 422
    assert ("#f-code", "") in resident.page.links
    assert here.registry.accounts.grant("g_limited").role == "resident:limited"
    resident.fill("confirm", id="g_limited", code=f" {here.mail('confirmation_letter').values['secret']} ")
    assert resident.status == 200
    assert here.registry.accounts.grant("g_limited").role == "resident"


def test_limits_are_added_and_taken_away(here, resident):
    """Y12: a limit of the day by mail, with a comma; the API has it; what cannot be is said, what was typed stays; it is taken away."""
    resident.open("/units/cz-a/limits")
    resident.fill("add", quantity="cold_water", kind="day", amount="0,5", **{"channel/email": "on"})
    assert resident.status == 200, resident.page.text
    (rule,) = resident.client.get("/v1/units/cz-a/alert-rules").json()["rules"]
    assert (rule["quantity"], rule["kind"], rule["amount"], rule["channels"]) == ("cold_water", "day", 0.5, ["email"])
    assert "0,500" in resident.page.text
    resident.fill("add", amount="much", kind="night", **{"channel/email": "on"})
    assert resident.status == 422
    assert resident.form("amount").fields["amount"]["value"] == "much"
    assert ("#f-amount", "") in resident.page.links
    resident.fill("drop")
    assert resident.client.get("/v1/units/cz-a/alert-rules").json()["rules"] == []


def test_a_limit_that_the_property_does_not_show_is_said(here, resident):
    """Where days are the finest, a night is none to watch: the form says so."""
    with here.registry.writing() as db:
        db.execute("UPDATE properties SET finest = 'day' WHERE id = 'cz1'")
    resident.open("/units/cz-a/limits")
    resident.fill("add", quantity="cold_water", kind="night", amount="1", **{"channel/email": "on"})
    assert resident.status == 422


@pytest.mark.parametrize("unit", ["cz-b", "si-a", "u_nowhere"])
def test_limits_of_a_foreign_flat_are_not_there(resident, unit):
    """To look and to change: as if it were no flat."""
    assert resident.client.get(f"/units/{unit}/limits").status_code == 404
    assert resident.client.post(f"/units/{unit}/limits", content=b"do=add&quantity=cold_water&kind=day&amount=1&channel/email=on").status_code == 404


def test_copies_that_were_asked_for_are_listed(here, resident):
    """Each with its state and, when it is ready, the way to it; one that failed says so."""
    account = here.registry.accounts.reached("inmes", "email", "jana@example.org").id
    for name in ("e_waits", "e_failed"):
        here.registry.exports.ask(name, account, int(here.now * 1e6))
    here.registry.exports.failed("e_failed")
    told = resident.client.get("/v1/me/export").json()["exports"]
    assert {one["id"]: one["state"] for one in told} == {"e_waits": "waiting", "e_failed": "failed"}
    resident.open("/profile/data")
    assert {"připravuje se", "nepodařila se"} <= {word for word in ("připravuje se", "nepodařila se") if word in resident.page.text}
    assert "Nepodařilo se ji vytvořit" in resident.open("/export/e_failed").text
