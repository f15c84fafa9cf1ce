"""Codes by letter: recovery without another factor, and confirming what knowledge alone gave (FLOWS 4 and 6, checks 12 and 21)."""

import io
from dataclasses import replace

import pytest
from portals import PASSWORD, inmes, logged_in
from pypdf import PdfReader
from tables import dumped

from submeter.store.accounts import digest

NEW = "another good sentence"
DAY = 86_400


def at_the_letter(here, name="jana@example.org"):
    """A recovery up to the page that waits for the letter."""
    one = here.browser("inmes")
    one.start("recover")
    one.go(name=name)
    page = one.go(code=one.code())
    assert (page["step"]["do"], page["step"]["channel"]) == (["challenge"], "letter")
    return one


def secret(here, template="recovery_letter"):
    """What the letter says."""
    return here.mail(template).values["secret"]


def test_recovery_waits_for_a_letter_to_the_flat(here):
    """One address and no device: sixty bits go to the unit by post, and come back days later in the same flow; all sessions end, all contacts hear of it."""
    old, _ = inmes(here, phone=None)
    one = at_the_letter(here)
    letter = here.mail("recovery_letter")
    assert (letter.channel, letter.address) == ("letter", "Main street 5, Flat a")
    assert len(secret(here)) == 12
    here.now += 9 * DAY
    page = one.go(code=f" {secret(here)[:6].lower()}-{secret(here)[6:]} ")
    assert page["step"]["fields"] == ["new_password", "new_password_again"]
    assert one.go(new_password=NEW, new_password_again=NEW)["done"]
    assert old.units() == one.units() == 401
    assert here.sent("password_changed") == 1
    assert logged_in(here, "inmes", "jana@example.org", NEW).units() == ["cz-a"]


def test_the_code_of_the_letter_works_in_a_new_recovery_too(here):
    """The first browser is gone: name, mail code and letter code in another one; the letter is not sent twice within a week."""
    inmes(here, phone=None)
    at_the_letter(here)
    here.now += 3 * DAY
    one = at_the_letter(here)
    assert here.sent("recovery_letter") == 1
    one.go(code=secret(here))
    assert one.go(new_password=NEW, new_password_again=NEW)["done"]


def test_a_letter_works_once_and_for_thirty_days(here):
    """Used or over it is like a wrong one."""
    inmes(here, phone=None)
    one = at_the_letter(here)
    code = secret(here)
    one.go(code=code)
    one.go(new_password=NEW, new_password_again=NEW)
    again = at_the_letter(here)
    assert again.go(code=code, _status=422)["type"] == "not-accepted"
    late = secret(here)
    here.now += 30 * DAY
    third = at_the_letter(here)
    assert third.go(code=late, _status=422)["type"] == "not-accepted"


def test_two_flows_with_one_letter_change_one_password(here):
    """Both proved the code before either set a password: the second one is refused."""
    inmes(here, phone=None)
    first, second = at_the_letter(here), at_the_letter(here)
    for one in (first, second):
        one.go(code=secret(here))
    assert first.go(new_password=NEW, new_password_again=NEW)["done"]
    assert second.go(new_password=PASSWORD, new_password_again=PASSWORD, _status=422)["type"] == "not-accepted"


def test_a_letter_is_the_last_way_and_opens_no_other_account(here):
    """Who has a phone, or recovery codes, is asked for those; the code of one account is none of another."""
    inmes(here, "cz-a", "jana@example.org", "777123456")
    one = here.browser("inmes")
    one.start("recover")
    one.go(name="jana@example.org")
    assert one.go(code=one.code())["step"]["channel"] == "phone"
    inmes(here, "cz-b", "b@example.org", None)
    inmes(here, "cz-c", "c@example.org", None)
    at_the_letter(here, "b@example.org")
    code = secret(here)
    assert at_the_letter(here, "c@example.org").go(code=code, _status=422)["type"] == "not-accepted"
    account = here.registry.accounts.reached("inmes", "email", "b@example.org").id
    here.app.state.flows.factors.recovery(account, int(here.now * 1e6))
    sent = here.sent("recovery_letter")
    again = here.browser("inmes")
    again.start("recover")
    again.go(name="b@example.org")
    assert again.go(code=again.code())["step"]["channel"] != "letter"
    assert here.sent("recovery_letter") == sent


def test_no_letter_goes_to_a_flat_that_was_left(here):
    """The next holder would read it: who moved out asks the operator."""
    inmes(here, phone=None)
    with here.registry.writing() as db:
        db.execute("UPDATE occupancies SET until = ? WHERE unit = 'cz-a'", (int((here.now + 1) * 1e6),))
    here.now += 60
    one = here.browser("inmes")
    one.start("recover")
    one.go(name="jana@example.org")
    assert one.go(code=one.code())["step"]["channel"] != "letter"
    assert here.sent("recovery_letter") == 0


def test_the_operator_orders_a_letter_of_its_own_residents(here):
    """Also a second one at once; never of an account that sees no unit of the manager, and the code is not told."""
    inmes(here, phone=None)
    account = here.registry.accounts.reached("inmes", "email", "jana@example.org").id
    ours, foreign = (here.service(manager, "accounts:write") for manager in ("cz", "si"))
    for _ in range(2):
        answer = ours.post(f"/v1/accounts/{account}/recovery", json={"by": "letter"})
        assert answer.json() == {"by": "letter", "sent": 1}
    assert here.sent("recovery_letter") == 2
    assert foreign.post(f"/v1/accounts/{account}/recovery", json={"by": "letter"}).status_code == 404
    assert ours.post("/v1/accounts/a_nobody/recovery", json={"by": "letter"}).status_code == 404
    assert here.sent("recovery_letter") == 2


def test_after_a_hundred_failures_recovery_still_works(here):
    """The password is off until recovery: that is the way back."""
    inmes(here, phone=None)
    account = here.registry.accounts.reached("inmes", "email", "jana@example.org").id
    for _ in range(100):
        here.registry.accounts.failed(account)
    one = at_the_letter(here)
    one.go(code=secret(here))
    assert one.go(new_password=NEW, new_password_again=NEW)["done"]
    assert logged_in(here, "inmes", "jana@example.org", NEW).units() == ["cz-a"]


def test_codes_of_letters_are_kept_as_hashes(here):
    """Once the letter left, no store holds the code (check 13)."""
    inmes(here, phone=None)
    at_the_letter(here)
    code = secret(here)
    assert code not in dumped(here.registry)
    assert digest(code).hex() not in dumped(here.registry)


def test_the_sink_of_letters_makes_a_pdf_to_print(here, tmp_path):
    """Address, code and date stand on paper, in the reader's language."""
    inmes(here, phone=None)
    at_the_letter(here)
    code = secret(here)
    (file,) = (tmp_path / "letters").iterdir()
    text = PdfReader(io.BytesIO(file.read_bytes())).pages[0].extract_text()
    assert file.suffix == ".pdf"
    assert all(one in text for one in ("Main street 5\nFlat a", code, "Obnova přístupu", "15. 7. 2025"))


@pytest.mark.feature("K6")
def test_what_knowledge_gave_is_limited_until_the_letter_comes(here):
    """The sum of the last payments opens months only; the code that goes to the flat opens the rest, once, and for its own grant alone."""
    flows = here.app.state.flows
    tenant = flows.tenants["inkomus.localhost"]
    kind = tenant.portal.claims["last_payment"].model_copy(update={"enabled": True})
    portal = tenant.portal.model_copy(update={"claims": {**tenant.portal.claims, "last_payment": kind}})
    flows.tenants = {**flows.tenants, "inkomus.localhost": replace(tenant, portal=portal)}
    one = here.browser("inkomus")
    one.start("activate")
    one.go(name="ivan", phone="9161234567", new_password=PASSWORD, new_password_again=PASSWORD, accept=True)
    one.go(code=one.code())
    one.start("login")
    one.go(name="ivan", password=PASSWORD)
    one.go(code=one.code())
    printed = here.claim("last_payment", "ru-a", account_no="7", last_month_payments="1234.50")
    one.start("add")
    assert one.go(**printed)["done"]
    (grant,) = one.client.get("/v1/grants").json()["grants"]
    assert grant["role"] == "resident:limited"
    path = f"/v1/grants/{grant['id']}/confirmation"
    assert one.client.post(path, json={"code": "AAAAAAAAAAAA"}).status_code == 422
    assert one.client.post("/v1/grants/g_nothing/confirmation", json={"code": "A"}).status_code == 404
    code = secret(here, "confirmation_letter")
    assert one.client.post(path, json={"code": code}).status_code == 204
    assert one.client.get("/v1/grants").json()["grants"][0]["role"] == "resident"
    assert one.client.post(path, json={"code": code}).status_code == 422
