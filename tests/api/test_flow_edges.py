"""Edges of flows: why a page was refused, as the audit has it; how long messages say that they hold; forms of claims; two who use one letter (portal FLOWS 1 to 6)."""

import re

import pytest
from portals import PASSWORD, inmes, logged_in

FORM = {"new_password": PASSWORD, "new_password_again": PASSWORD}


def reason(here, action):
    """The newest refusal of a flow."""
    return here.registry.trail.find(action=action, newest=True, limit=1)[0].detail


def at_code(here):
    """A login that waits for its code."""
    one = here.browser("inmes")
    one.start("login")
    one.go(name="jana@example.org", password=PASSWORD)
    return one, one.code()


def wrong(code):
    """Another code."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


@pytest.fixture
def jana(here):
    """Who has an account without a phone."""
    one, _ = inmes(here, phone=None)
    here.now += 3600
    return one


@pytest.mark.parametrize(
    ("tries", "later", "right", "said"),
    [
        (0, 0, False, "code: wrong"),
        (0, 300, True, "code: over"),
        (0, 299, True, None),
        (4, 0, True, "code: too soon"),
        (5, 0, True, "code: over"),
        (3, 0, True, None),
    ],
)
def test_why_a_code_was_refused(here, jana, tries, later, right, said):
    """Wrong, late, after five tries, or before its time; the browser learns none of it."""
    one, code = at_code(here)
    one.client.cookies.delete("__Host-browser")
    for _ in range(tries):
        one.go(code=wrong(code), _status=422)
    if tries == 4:
        two, _ = at_code(here)
        two.client.cookies.delete("__Host-browser")
        two.go(code="x", _status=422)
    here.now += later
    answer = one.go(code=code if right else wrong(code), _status=422 if said else 200)
    if said:
        assert (answer["type"], reason(here, "login.refused")) == ("not-accepted", said)
    else:
        assert answer["done"]


def test_why_a_password_was_refused(here, jana):
    """Wrong, then too soon, the right one too; somebody unknown is wrong as well."""
    for number in range(6):
        one = here.browser("inmes")
        one.start("login")
        one.go(name="jana@example.org", password="wrong words" if number < 5 else PASSWORD, _status=422)
        assert reason(here, "login.refused") == ("password: wrong" if number < 5 else "password: too soon")
    here.now += 600
    one = here.browser("inmes")
    one.start("login")
    one.go(name="nobody@example.org", password=PASSWORD, _status=422)
    assert reason(here, "login.refused") == "password: wrong"


def test_why_a_claim_was_refused(here):
    """Not known, and after five tries a day whatever is given; the next day again."""
    printed = here.claim("one_time_credentials", "cz-a")
    for number in range(7):
        one = here.browser("inmes")
        one.start("activate")
        given = printed if number >= 5 else printed | {"password": "X" * 12}
        one.go(**given, _status=422)
        said = "too many tries" if number >= 5 else "not known, used or over"
        assert reason(here, "activate.refused") == f"claim one_time_credentials: {said}"
    here.now += 86_400
    one = here.browser("inmes")
    one.start("activate")
    one.go(**printed)


@pytest.mark.parametrize(
    ("flow", "fields", "template", "minutes"),
    [("login", {"name": "jana@example.org", "password": PASSWORD}, "code", "5"), ("recover", {"name": "jana@example.org"}, "code", "10")],
)
def test_messages_say_how_long_they_hold(here, jana, flow, fields, template, minutes):
    """As their steps say: 300 and 600 seconds."""
    one = here.browser("inmes")
    one.start(flow)
    one.go(**fields)
    assert here.mail(template).values["minutes"] == minutes


def test_the_password_of_an_activation_holds_two_hours(here):
    """Its mail says so, with the address as login and the portal's own one."""
    one = here.browser("inmes")
    one.start("activate")
    one.go(**here.claim("one_time_credentials", "cz-a"))
    one.go(agree=True, accept=True)
    page = one.go(email="jana@example.org")
    values = here.mail("activation_password").values
    assert (values["minutes"], values["login"], values["portal"]) == ("120", "jana@example.org", "https://inmes.localhost")
    assert (page["step"]["expires_in"], page["step"]["resend_in"], page["step"]["address_masked"]) == (7200, 60, "j…@example.org")


def claiming(here):
    """Who is asked for claims at the portal where several may be given."""
    one = here.browser("infoyugra")
    one.start("activate")
    one.go(email="ivan@example.org", **FORM)
    one.go(relation="owner")
    return one


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"claims": ["x"]}, "claims"),
        ({"claims": [None]}, "claims"),
        ({"claims": [{}]}, "account_no"),
        ({"account_no": "a", "city": "Surgut"}, "account_no"),
        ({}, "account_no"),
        ({"account_no": 7, "city": "Surgut", "code": "x"}, "account_no"),
    ],
)
def test_claims_that_cannot_be_read(here, given, parameter):
    """No object, or fields missing: by the field that comes first."""
    assert claiming(here).go(**given, _status=422)["errors"][0]["parameter"] == parameter


def test_one_wrong_claim_of_several_refuses_them_all(here):
    """Nothing of the page is kept: the right ones alone are taken afterwards."""
    good = here.claim("registration_code", "ug-a", account_no="a", city="Surgut")
    one = claiming(here)
    assert one.go(claims=[good, good | {"code": "X" * 12}], _status=422)["type"] == "not-accepted"
    one.go(claims=[good])
    one.follow()
    assert one.go()["done"]
    assert one.units() == ["ug-a"]


@pytest.mark.parametrize(("manager", "status"), [("si2", 200), ("cz", 422), ("nobody", 422)])
def test_a_manager_is_chosen_among_those_of_the_portal(here, manager, status):
    """Another portal's is none, whatever the claim."""
    one = here.browser("iiportal")
    one.start("activate")
    one.go(first_name="Ana", last_name="Novak", email="ana@example.org", **FORM, **here.claim("bill", "si-a", payer_id="1"))
    one.follow()
    one.go()
    one.start("add")
    one.go(**here.claim("bill", "si2-b", payer_id="2"), manager=manager, _status=status)
    assert one.units() == (["si-a", "si2-b"] if status == 200 else ["si-a"])
    if status != 200:
        assert reason(here, "add.refused") == "no manager of this realm"


def test_of_two_who_type_one_letter_the_first_to_end_gets_in(here):
    """Both pass the first page; the second one is refused at its last, and has neither an account nor a flat."""
    printed, browsers = here.claim("one_time_credentials", "cz-a"), []
    for mail in ("jana@example.org", "eva@example.org"):
        one = here.browser("inmes")
        one.start("activate")
        one.go(**printed)
        one.go(agree=True, accept=True)
        one.go(email=mail)
        one.go(code=one.code())
        one.go()
        browsers.append(one)
    first, second = browsers
    assert first.go(**FORM)["done"]
    assert second.go(**FORM, _status=422)["type"] == "not-accepted"
    assert reason(here, "activate.refused") == "the claim was used or withdrawn meanwhile"
    assert (first.units(), second.units()) == (["cz-a"], 401)
    assert here.registry.accounts.reached("inmes", "email", "eva@example.org") is None


def test_of_two_who_prove_one_address_the_second_is_told_at_the_end(here):
    """The account was made meanwhile: the second activation makes no other of the same address."""
    browsers = []
    for unit in ("cz-a", "cz-b"):
        one = here.browser("inmes")
        one.start("activate")
        one.go(**here.claim("one_time_credentials", unit))
        one.go(agree=True, accept=True)
        one.go(email="jana@example.org")
        one.go(code=one.code())
        one.go()
        browsers.append(one)
        here.now += 61
    assert browsers[0].go(**FORM)["done"]
    browsers[1].go(**FORM, _status=422)
    assert reason(here, "activate.refused") == "the address has an account meanwhile"
    assert logged_in(here, "inmes", "jana@example.org").units() == ["cz-a"]


def test_the_same_flat_twice_is_one_grant(here):
    """What is not used up may be given again, and changes nothing."""
    printed = here.claim("bill", "si-a", payer_id="1")
    one = here.browser("iiportal")
    one.start("activate")
    one.go(first_name="Ana", last_name="Novak", email="ana@example.org", **FORM, **printed)
    one.follow()
    one.go()
    before = one.client.get("/v1/grants").json()["grants"]
    one.start("add")
    assert one.go(**printed)["done"]
    assert one.client.get("/v1/grants").json()["grants"] == before


def test_an_account_has_the_names_of_its_profile(here):
    """First and last name as they were typed, in the language of the flow."""
    one = here.browser("iiportal")
    one.start("activate", locale="en")
    one.go(first_name="Ana", last_name="Novak", email="ana@example.org", **FORM, **here.claim("bill", "si-a", payer_id="1"))
    one.follow()
    one.go()
    own = one.client.get("/v1/me").json()
    assert (own["name"], own["locale"], own["username"]) == ("Ana Novak", "en", None)


@pytest.mark.parametrize("flow", ["add", "reauth"])
def test_what_goes_on_from_a_session_needs_one(here, flow):
    """A stranger begins neither."""
    one = here.browser("iiportal")
    assert one.client.post(f"/v1/flows/{flow}", json={}).json()["type"] == "not-accepted"


def test_a_flow_of_a_session_ends_with_it(here):
    """What a session began is over once it is signed out."""
    jana, _ = inmes(here, phone=None)
    jana.start("reauth")
    flow = jana.flow["id"]
    jana.client.delete("/v1/session")
    assert jana.client.post(f"/v1/flows/{flow}", json={"password": PASSWORD}).status_code == 410


def test_a_name_is_looked_for_in_the_order_of_the_portal(here):
    """A username that is also somebody's phone is the username's account: the phone's password does not open it."""
    for name, phone, password in (("ivan", "89123456789", "words of ivan"), ("89123456789", "89160000000", "words of oleg")):
        one = here.browser("inkomus")
        one.start("activate")
        one.go(name=name, phone=phone, new_password=password, new_password_again=password, accept=True)
        one.go(code=one.code())
    one = here.browser("inkomus")
    one.start("login")
    one.go(name="89123456789", password="words of ivan", _status=422)
    one.go(name="89123456789", password="words of oleg")
    assert here.mail("code").address == "+79160000000"


def test_each_request_has_an_id_of_its_own(here):
    """64 random bits, in the answer and in the audit."""
    client = here.browser("inmes").client
    found = [client.get("/v1/portal").headers["X-Request-Id"] for _ in range(20)]
    assert len(set(found)) == 20
    assert all(re.fullmatch(r"r_[0-9a-f]{16}", one) for one in found)


@pytest.mark.parametrize(
    ("said", "parameter"),
    [
        ({}, "agree"),
        ({"agree": True}, "accept"),
        ({"accept": True}, "agree"),
        ({"agree": True, "accept": False}, "accept"),
        ({"agree": "true", "accept": True}, "agree"),
        ({"agree": 1, "accept": True}, "agree"),
        ({"agree": True, "accept": "on"}, "accept"),
    ],
)
def test_nobody_goes_on_without_agreeing_and_accepting(here, said, parameter):
    """True, and nothing that looks like it; nothing is kept of what was not accepted."""
    one = here.browser("inmes")
    one.start("activate")
    page = one.go(**here.claim("one_time_credentials", "cz-a"))
    assert page["step"]["do"] == ["review", "consent"]
    assert one.go(**said, _status=422)["errors"][0]["parameter"] == parameter
    assert one.client.get(f"/v1/flows/{one.flow['id']}").json() == page


def test_what_was_accepted_is_kept_with_its_version_and_time(here):
    """Of a new account: the document, its version, the language and when."""
    accepted_at = int(here.now * 1e6)
    one, _ = inmes(here, phone=None)
    (consent,) = one.client.get("/v1/me/consents").json()["consents"]
    assert (consent["doc"], consent["version"], consent["locale"], consent["at"], consent["withdrawn"]) == ("privacy", "1", "cs", accepted_at, None)


def test_sessions_last_as_long_as_their_steps_say(here):
    """A day for an account, an hour for a guest."""
    one, _ = inmes(here, phone=None)
    guest = here.browser("impreso")
    guest.start("guest")
    guest.go(**here.claim("metering_point", "no-a", facility_no="1", metering_point_id="7"), phone="41234567", accept=True)
    guest.go(code=guest.code())
    told = [who.client.get("/v1/session").json() for who in (one, guest)]
    assert [(session["role"], session["expires"] - session["created"]) for session in told] == [("account", 86_400), ("guest", 3600)]
    assert [session["account"] is None for session in told] == [False, True]
