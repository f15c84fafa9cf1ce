"""The five portals' onboarding over HTTP, from the first page to the first table, with what they refuse (portal FLOWS 1 to 5)."""

import json

import pytest
from portals import PASSWORD, inmes, logged_in

from submeter.api.forms import address_of
from submeter.config import ConfigError
from submeter.config.portals import load_portal

pytestmark = pytest.mark.both_engines


@pytest.mark.feature("I1", "I2", "I6", "I8", "I14")
def test_inmes_activates_and_logs_in_with_two_factors(here):
    """One-time credentials, review and consent, mail password, optional phone, own password; then a code at each login."""
    one, printed = inmes(here)
    assert one.units() == ["cz-a"]
    assert (one.flow["index"], one.flow["total"]) == (6, 6)
    again = here.browser("inmes")
    again.start("activate")
    assert again.go(**printed, _status=422)["type"] == "not-accepted"
    assert one.client.delete("/v1/session").status_code == 204
    assert one.units() == 401
    assert logged_in(here, "inmes", "jana@example.org").units() == ["cz-a"]
    assert here.mail("code").channel == "sms"


@pytest.mark.feature("I11")
def test_inmes_without_a_phone_gets_its_codes_by_mail(here):
    """The phone may be left out: its code is not asked for."""
    one, _ = inmes(here, phone=None)
    assert one.units() == ["cz-a"]
    assert logged_in(here, "inmes", "jana@example.org").units() == ["cz-a"]


@pytest.mark.feature("I9")
def test_inmes_attaches_a_second_flat_and_leaves_the_password_as_it_was(here):
    """A proven mail that has an account: its present password and a code of its own, then the second flat."""
    inmes(here)
    one = here.browser("inmes")
    one.start("activate")
    one.go(**here.claim("one_time_credentials", "cz-b"))
    one.go(agree=True, accept=True)
    one.go(email="jana@example.org")
    page = one.go(code=one.code())
    assert page["step"]["fields"] == ["password"]
    assert one.go(password="wrong password", _status=422)["type"] == "not-accepted"
    one.go(password=PASSWORD)
    assert one.go(code=one.code())["done"]
    assert one.units() == ["cz-a", "cz-b"]


@pytest.mark.feature("S1", "S3", "S6", "S7")
def test_iiportal_one_form_a_link_and_a_single_session(here):
    """Eight fields on one page, the address confirmed by a link; a new session ends the other; a second manager is added by mail."""
    one = here.browser("iiportal")
    printed = here.claim("bill", "si-a", payer_id="4711")
    page = one.start("activate")
    assert page["step"]["fields"] == ["first_name", "last_name", "email", "password", "payer_id", "new_password", "new_password_again"]
    form = {"first_name": "Ana", "last_name": "Novak", "email": "ana@example.org", "new_password": PASSWORD, "new_password_again": PASSWORD}
    one.go(**form, **printed)
    other = here.browser("iiportal")
    assert one.units() == 401
    assert set(one.follow(other)) == {"code"}
    assert "flow" in one.follow()
    assert one.go()["done"]
    assert one.units() == ["si-a"]
    second = logged_in(here, "iiportal", "ana@example.org")
    assert (one.units(), second.units()) == (401, ["si-a"])
    second.start("add")
    second.go(**here.claim("bill", "si2-b", payer_id="9"), manager="si2")
    assert second.units() == ["si-a", "si2-b"]


@pytest.mark.feature("Y3", "Y4", "Y6", "Y7")
def test_a_link_opened_elsewhere_shows_a_code_to_type(here):
    """Mail scanners change nothing: another browser gets eight letters, the first one goes on with them."""
    one = here.browser("infoyugra")
    one.start("activate")
    one.go(email="ivan@example.org", new_password=PASSWORD, new_password_again=PASSWORD)
    one.go(relation="owner")
    claims = [here.claim("registration_code", f"ug-{flat}", account_no=flat, city="Surgut") for flat in "ab"]
    one.go(claims=claims)
    code = one.follow(here.browser("infoyugra"))["code"]
    assert one.go(code="AAAAAAAA", _status=422)["type"] == "not-accepted"
    assert one.go(code=code)["done"]
    assert one.units() == ["ug-a", "ug-b"]
    assert logged_in(here, "infoyugra", "ivan@example.org").units() == ["ug-a", "ug-b"]


@pytest.mark.feature("N2", "N3", "N6", "N8")
def test_impreso_guest_becomes_an_account_and_adds_a_customer(here):
    """Printed numbers and a phone code make a guest; a password makes it an account; a second place is added with that password."""
    places = {flat: here.claim("metering_point", f"no-{flat}", facility_no=f"1{flat}", metering_point_id="707057500") for flat in "ab"}
    one = here.browser("impreso")
    one.start("guest")
    one.go(**places["a"], phone="41234567", accept=True)
    one.go(code=one.code())
    assert one.units() == ["no-a"]
    guest = one.client.cookies["__Host-session"]
    one.start("upgrade")
    assert one.go(new_password=PASSWORD, new_password_again=PASSWORD)["done"]
    assert one.units() == ["no-a"]
    assert one.client.cookies["__Host-session"] != guest
    two = here.browser("impreso")
    two.start("guest")
    two.go(**places["b"], phone="+47 412 34 567", accept=True)
    two.go(code=two.code())
    assert two.units() == ["no-b"]
    two.start("add")
    two.go(password=PASSWORD)
    assert two.units() == ["no-a", "no-b"]
    assert logged_in(here, "impreso", "41234567").units() == ["no-a", "no-b"]


def test_another_phone_with_the_printed_numbers_waits_and_the_holder_is_told(here):
    """Whoever holds an invoice does not get in beside the holder: three days, and a notice."""
    place = here.claim("metering_point", "no-a", facility_no="1", metering_point_id="7")
    one = here.browser("impreso")
    one.start("guest")
    one.go(**place, phone="41234567", accept=True)
    one.go(code=one.code())
    one.start("upgrade")
    one.go(new_password=PASSWORD, new_password_again=PASSWORD)
    thief = here.browser("impreso")
    thief.start("guest")
    thief.go(**place, phone="49999999", accept=True)
    thief.go(code=thief.code())
    assert thief.units() == []
    thief.start("upgrade")
    thief.go(new_password=PASSWORD, new_password_again=PASSWORD)
    assert thief.units() == []
    assert here.mail("new_grant").address == "+4741234567"


@pytest.mark.feature("K5", "K9")
def test_inkomus_account_first_then_a_flat(here):
    """Username, phone and consent make an account without a flat; the office password adds one; a taken name shows only after the phone is proven."""
    one = here.browser("inkomus")
    form = {"name": "ivan", "phone": "8 912 345-67-89", "new_password": PASSWORD, "new_password_again": PASSWORD, "accept": True}
    one.start("activate")
    one.go(**form)
    assert one.go(code=one.code())["done"]
    assert one.units() == 401
    two = logged_in(here, "inkomus", "ivan")
    assert two.units() == []
    two.start("add")
    two.go(**here.claim("office_password", "ru-a", account_no="55"))
    assert two.units() == ["ru-a"]
    assert logged_in(here, "inkomus", "89123456789").units() == ["ru-a"]
    taken = here.browser("inkomus")
    taken.start("activate")
    taken.go(**{**form, "phone": "89120000000"})
    assert taken.go(code=taken.code(), _status=422)["type"] == "not-accepted"


@pytest.mark.feature("S8")
def test_recovery_asks_for_a_second_factor_and_ends_all_sessions(here):
    """A code to the mail, one to the phone, a new password; what was signed in is not any more."""
    one, _ = inmes(here)
    lost = here.browser("inmes")
    lost.start("recover")
    lost.go(name="jana@example.org")
    assert here.mail("code").channel == "email"
    lost.go(code=lost.code())
    assert here.mail("code").channel == "sms"
    lost.go(code=lost.code())
    assert lost.go(new_password="another fine sentence", new_password_again="another fine sentence")["done"]
    assert one.units() == 401
    assert here.sent("password_changed") == 2
    assert logged_in(here, "inmes", "jana@example.org", "another fine sentence").units() == ["cz-a"]


def test_the_household_is_invited_and_sent_away(here):
    """A code that the resident hands over makes a second account that reads; taking the grant back works at once."""
    one, _ = inmes(here)
    assert one.client.get("/v1/grants").json()["grants"][0]["unit"] == "cz-a"
    invitation = one.client.post("/v1/units/cz-a/invitations", json={})
    assert invitation.status_code == 201, invitation.text
    guest = here.browser("inmes")
    guest.start("accept")
    guest.go(code=invitation.json()["code"])
    guest.go(email="petr@example.org")
    guest.follow()
    guest.go()
    guest.go(accept=True)
    assert guest.go(new_password=PASSWORD, new_password_again=PASSWORD)["done"]
    assert guest.units() == ["cz-a"]
    assert guest.client.post("/v1/units/cz-a/invitations", json={}).status_code == 422
    given = one.client.get("/v1/grants").json()["given"]
    assert one.client.delete(f"/v1/grants/{given[0]['id']}").status_code == 204
    assert guest.units() == []
    here.now += 301
    assert one.client.post("/v1/units/cz-a/invitations", json={}).json()["type"] == "reauth"
    one.start("reauth")
    one.go(password=PASSWORD)
    assert one.client.post("/v1/units/cz-a/invitations", json={}).status_code == 201


@pytest.mark.feature("K4")
def test_nothing_lasts_of_a_flow_that_is_left(here):
    """No account, no used claim; its id opens nothing in another browser."""
    printed = here.claim("one_time_credentials", "cz-a")
    one = here.browser("inmes")
    one.start("activate")
    one.go(**printed)
    assert here.browser("inmes").client.get(f"/v1/flows/{one.flow['id']}").status_code == 410
    assert one.client.get(f"/v1/flows/{one.flow['id']}").status_code == 200
    assert one.client.delete(f"/v1/flows/{one.flow['id']}").status_code == 204
    assert one.client.get(f"/v1/flows/{one.flow['id']}").status_code == 410
    assert here.registry.accounts.reached("inmes", "email", "jana@example.org") is None
    inmes_again = here.browser("inmes")
    inmes_again.start("activate")
    inmes_again.go(**printed)


def test_a_session_is_of_its_own_portal(here):
    """The cookie of one portal opens nothing at another one's host."""
    one, _ = inmes(here)
    other = here.browser("iiportal")
    other.client.cookies.set("__Host-session", one.client.cookies["__Host-session"])
    assert (one.units(), other.units()) == (["cz-a"], 401)


def test_a_guest_whose_phone_has_an_account_proves_that_account(here):
    """An upgrade never makes a second account of a phone: the password that is there, and a code, then the place is added to it."""
    places = {flat: here.claim("metering_point", f"no-{flat}", facility_no=f"1{flat}", metering_point_id="7") for flat in "ab"}
    for flat in "ab":
        one = here.browser("impreso")
        one.start("guest")
        one.go(**places[flat], phone="41234567", accept=True)
        one.go(code=one.code())
        page = one.start("upgrade")
        if flat == "a":
            one.go(new_password=PASSWORD, new_password_again=PASSWORD)
    assert page["step"]["fields"] == ["password"]
    one.go(password=PASSWORD)
    assert one.go(code=one.code())["done"]
    assert one.units() == ["no-a", "no-b"]


@pytest.mark.parametrize("value", ["", " ", None, 5, [], {}, "x" * 2000, "\ud800", "a@b\r\nBcc: c@d", "a\0b@example.org"])
def test_fields_that_are_no_texts_are_refused_by_name(here, value):
    """Anything else than an address is told so; nothing breaks."""
    one = here.browser("infoyugra")
    one.start("activate")
    body = json.dumps({"email": value, "new_password": PASSWORD, "new_password_again": PASSWORD})
    answer = one.client.post(f"/v1/flows/{one.flow['id']}", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "email")


def test_an_occupancy_that_ends_takes_the_household_with_it_and_leaves_the_holder_a_year(here):
    """The directory ends the occupancy: the holder reads on for settlement, the household does not, and after a year nobody does."""
    one, _ = inmes(here)
    invitation = one.client.post("/v1/units/cz-a/invitations", json={}).json()
    guest = here.browser("inmes")
    guest.start("accept")
    guest.go(code=invitation["code"])
    guest.go(email="petr@example.org")
    guest.follow()
    guest.go()
    guest.go(accept=True)
    guest.go(new_password=PASSWORD, new_password_again=PASSWORD)
    assert guest.units() == ["cz-a"]
    ended = int(here.now * 1e6)
    with here.registry.writing() as db:
        db.execute("UPDATE occupancies SET until = ? WHERE unit = 'cz-a'", (ended,))
    assert (one.units(), guest.units()) == (["cz-a"], [])
    account = here.registry.accounts.reached("inmes", "email", "jana@example.org").id
    year = 366 * 86_400_000_000
    assert here.registry.accounts.visible(account, ended + year) == []
    (visible,) = here.registry.accounts.visible(account, ended + 1)
    assert visible.until == ended


def test_the_operator_lets_a_waiting_grant_begin_or_ends_it(here):
    """Who sees a unit is listed with masked addresses; another manager's grants are not there; sessions end at once."""
    place = here.claim("metering_point", "no-a", facility_no="1", metering_point_id="7")
    for phone in ("41234567", "49999999"):
        here.now += 1
        one = here.browser("impreso")
        one.start("guest")
        one.go(**place, phone=phone, accept=True)
        one.go(code=one.code())
        one.start("upgrade")
        one.go(new_password=PASSWORD, new_password_again=PASSWORD)
    assert one.units() == []
    ours, foreign = (here.service(manager, "accounts:write") for manager in ("no", "cz"))
    first, waiting = ours.get("/v1/accounts", params={"unit": "no-a"}).json()["grants"]
    assert (first["waits"], waiting["waits"], waiting["contacts"]) == (False, True, ["+474…99"])
    assert foreign.get("/v1/accounts", params={"unit": "no-a"}).status_code == 404
    assert foreign.post(f"/v1/grants/{waiting['id']}/decision", json={"allow": True}).status_code == 404
    assert foreign.delete(f"/v1/accounts/{waiting['account']}/sessions").status_code == 404
    assert ours.post(f"/v1/grants/{waiting['id']}/decision", json={"allow": True}).status_code == 204
    assert one.units() == ["no-a"]
    assert ours.post(f"/v1/grants/{waiting['id']}/decision", json={"allow": False}).status_code == 204
    assert one.units() == []
    assert ours.delete(f"/v1/accounts/{first['account']}/sessions").status_code == 204


@pytest.mark.parametrize(
    ("portal", "typed", "kept"),
    [
        ("inmes", "777 123 456", "+420777123456"),
        ("inmes", "00420777123456", "+420777123456"),
        ("inmes", "420777123456", "+420777123456"),
        ("iiportal", "041 234 567", "+38641234567"),
        ("infoyugra", "8 (912) 345-67-89", "+79123456789"),
        ("infoyugra", "9123456789", "+79123456789"),
        ("impreso", "+47 41234567", "+4741234567"),
    ],
)
@pytest.mark.feature("Y5", "K2")
def test_phone_numbers_have_one_form(portal, typed, kept):
    """However it is written, a number is kept as E.164 of the portal's country."""
    assert address_of("phone", typed, load_portal(portal).country) == kept


@pytest.mark.parametrize(
    ("list_", "fault"),
    [
        ('login = [{do="identify", by=["email"]}, {do="verify", join=true}, {do="session"}]', "at level 2 a login needs"),
        ('activate = [{do="challenge", channel="email"}]', r"flows.activate, step 1 \(challenge\): no contact of email"),
        ('activate = [{do="claim", kind="none"}]', "claim kind 'none' is not declared"),
        ('activate = [{do="contact", channel="email"}, {do="secret"}, {do="grant"}]', "without a proven channel"),
        ('activate = [{do="dance"}]', "flows.activate.0.do"),
        ('activate = [{do="secret", join=true}]', "joins nothing"),
    ],
)
def test_a_list_that_cannot_work_stops_the_start(tmp_path, list_, fault):
    """One line names portal, list, step and what is wrong."""
    file = tmp_path / "mine.toml"
    file.write_text(f'locales = ["en"]\ncountry = "420"\n[flows]\n{list_}\n')
    with pytest.raises(ConfigError, match=fault):
        load_portal("mine", file)


def test_a_portal_that_is_not_shipped_needs_its_file():
    """The line lists those that are."""
    with pytest.raises(ConfigError, match="inkomus, inmes"):
        load_portal("elsewhere")


def test_an_activation_never_changes_the_password_that_is_there(here):
    """A form with a mail that has an account goes on with that account's password; the one typed in the form is dropped."""
    for flat in "ab":
        one = here.browser("infoyugra")
        one.start("activate")
        typed = PASSWORD if flat == "a" else "somebody else's words"
        one.go(email="ivan@example.org", new_password=typed, new_password_again=typed)
        one.go(relation="owner")
        one.go(**here.claim("registration_code", f"ug-{flat}", account_no=flat, city="Surgut"))
        one.follow()
        page = one.go()
    assert (one.units(), page["step"]["fields"]) == (401, ["password"])
    one.go(password="somebody else's words", _status=422)
    one.go(password=PASSWORD)
    one.go(code=one.code())
    assert one.units() == ["ug-a", "ug-b"]
    assert logged_in(here, "infoyugra", "ivan@example.org").units() == ["ug-a", "ug-b"]


def test_who_gives_a_grant_up_takes_those_along_that_came_from_it(here):
    """The household sees the flat through the resident, and not without."""
    one, _ = inmes(here)
    code = one.client.post("/v1/units/cz-a/invitations", json={}).json()["code"]
    guest = here.browser("inmes")
    guest.start("accept")
    guest.go(code=code)
    guest.go(email="petr@example.org")
    guest.follow()
    guest.go()
    guest.go(accept=True)
    guest.go(new_password=PASSWORD, new_password_again=PASSWORD)
    (own,) = one.client.get("/v1/grants").json()["grants"]
    assert guest.units() == ["cz-a"]
    assert one.client.delete(f"/v1/grants/{own['id']}").status_code == 204
    assert (one.units(), guest.units()) == ([], [])


def test_wrong_invitations_from_elsewhere_do_not_use_up_the_tries_of_all(here):
    """A code that is a secret alone is throttled by where it is tried from; a resident with limited sight invites nobody."""
    one, _ = inmes(here)
    code = one.client.post("/v1/units/cz-a/invitations", json={}).json()["code"]
    guest = here.browser("inmes")
    guest.start("accept")
    for _ in range(6):
        guest.go(code="AAAABBBBCCCC", _status=422)
    guest.go(code=code)
    with here.registry.writing() as db:
        db.execute("UPDATE grants SET role = 'resident:limited'")
    assert one.client.post("/v1/units/cz-a/invitations", json={}).status_code == 422
