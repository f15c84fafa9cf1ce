"""Codes: checks 8 to 13, 19 and 20 (portal FLOWS 10)."""

import re
from base64 import b32decode
from pathlib import Path

import pytest
from portals import PASSWORD, Here, inmes, logged_in
from tables import dumped

from submeter.api.factors import totp
from submeter.api.flows.context import FAILURES
from submeter.api.sending import PREFIX_A_DAY
from submeter.config import ConfigError
from submeter.config.portals import load_portal


def test_check_09_codes_are_bound_to_their_flow_and_have_five_tries_across_resends(here):
    """A code of another flow is wrong; the sixth try is wrong even with the right code, also after a resend."""
    inmes(here)
    one, two = here.browser("inmes"), here.browser("inmes")
    codes = []
    for browser in (one, two):
        browser.start("login")
        browser.go(name="jana@example.org", password=PASSWORD)
        codes.append(browser.code())
    assert one.go(code=codes[1], _status=422)["type"] == "not-accepted" or codes[0] == codes[1]
    for _ in range(3):
        one.go(code="000000" if codes[0] != "000000" else "111111", _status=422)
    assert one.client.post(f"/v1/flows/{one.flow['id']}/resend").status_code == 422
    here.now += 61
    assert one.client.post(f"/v1/flows/{one.flow['id']}/resend").status_code == 200
    fresh = one.code()
    one.go(code="000000" if fresh != "000000" else "111111", _status=422)
    here.now += 31
    assert one.go(code=fresh, _status=422)["type"] == "not-accepted"
    here.now += 301
    assert two.go(code=codes[1], _status=422)["type"] == "not-accepted"


def test_check_11_no_more_than_five_messages_an_hour_go_to_an_address(here):
    """Further ones are not sent, and nothing says so; the next hour they are."""
    inmes(here, phone=None)
    sent = []
    for _ in range(8):
        one = here.browser("inmes")
        one.start("login")
        assert one.go(name="jana@example.org", password=PASSWORD)["step"]["channel"] == "email"
        sent.append(here.sent("code"))
    assert (max(sent), sent[-1]) == (4, 4), "the activation took one of the five"
    here.now += 3600
    one.start("login")
    one.go(name="jana@example.org", password=PASSWORD)
    assert logged_in(here, "inmes", "jana@example.org").units() == ["cz-a"]


def test_check_20_codes_of_an_own_device_take_the_place_of_sms(here):
    """TOTP is proven before it counts, asked for at login without a message, good once; a recovery code is good once too; every change is told."""
    one, _ = inmes(here)
    secret = b32decode(one.client.post("/v1/me/factors", json={"kind": "totp"}).json()["secret"])
    assert one.client.post("/v1/me/factors", json={"kind": "totp", "code": "000000"}).status_code == 422
    assert one.client.get("/v1/me/factors").json() == {"totp": False, "recovery_codes": 0}

    def code():
        return totp(secret, int(here.now) // 30)

    assert one.client.post("/v1/me/factors", json={"kind": "totp", "code": code()}).status_code == 201
    codes = one.client.post("/v1/me/factors", json={"kind": "recovery"}).json()["codes"]
    assert (len(codes), here.sent("factor_changed")) == (10, 4)
    before = here.sent("code")
    two = here.browser("inmes")
    two.start("login")
    page = two.go(name="jana@example.org", password=PASSWORD)
    assert (page["step"]["channel"], here.sent("code")) == ("totp", before)
    assert two.go(code=code(), _status=422)["type"] == "not-accepted", "the code that proved the device was used by that"
    here.now += 60
    spent = code()
    two.go(code=spent)
    assert two.units() == ["cz-a"]
    for given, status in ((spent, 422), (totp(secret, int(here.now) // 30 + 5), 422), (totp(secret, int(here.now) // 30 - 2), 422), (codes[3], 200)):
        three = here.browser("inmes")
        three.start("login")
        three.go(name="jana@example.org", password=PASSWORD)
        three.go(code=given, _status=status)
    again = here.browser("inmes")
    again.start("login")
    again.go(name="jana@example.org", password=PASSWORD)
    again.go(code=codes[3], _status=422)
    assert two.client.get("/v1/me/factors").json() == {"totp": True, "recovery_codes": 9}
    assert two.client.delete("/v1/me/factors/totp").status_code == 204
    assert logged_in(here, "inmes", "jana@example.org").units() == ["cz-a"]


def test_check_20_totp_is_that_of_the_standard():
    """RFC 6238, appendix B (SHA-1, the last six digits)."""
    secret = b"12345678901234567890"
    assert [totp(secret, t // 30) for t in (59, 1111111109, 1234567890, 20000000000)] == ["287082", "081804", "005924", "353130"]


def wrong(code):
    """A code that is not this one."""
    return "000000" if code != "000000" else "111111"


def login(here, browser=None):
    """A login up to its code."""
    one = browser or here.browser("inmes")
    one.start("login")
    one.go(name="jana@example.org", password=PASSWORD)
    return one


def test_check_08_codes_have_six_digits_end_and_are_good_once(here):
    """Five minutes; the code of a login that is done, or of one that was sent again, opens nothing."""
    inmes(here, phone=None)
    one = login(here)
    code = one.code()
    assert re.fullmatch(r"\d{6}", code)
    here.now += 300
    one.go(code=code, _status=422)
    two = login(here)
    spent = two.code()
    two.go(code=spent)
    assert two.client.post(f"/v1/flows/{two.flow['id']}", json={"code": spent}).status_code == 410
    three = login(here)
    before = three.code()
    here.now += 61
    three.client.post(f"/v1/flows/{three.flow['id']}/resend")
    assert before == three.code() or three.go(code=before, _status=422)["type"] == "not-accepted"
    three.go(code=three.code())


@pytest.mark.parametrize(("key", "value"), [("code_ttl", 601), ("code_tries", 6), ("mail_ttl", 86_401), ("letter_days", 31)])
def test_check_08_limits_of_codes_cannot_be_configured_away(tmp_path, key, value):
    """More than the ceiling stops the start."""
    file = tmp_path / "mine.toml"
    file.write_text(f'locales = ["en"]\ncountry = "420"\n[policy]\n{key} = {value}\n')
    with pytest.raises(ConfigError, match=key):
        load_portal("mine", file)


def test_check_10_after_a_hundred_failures_the_factor_is_off_until_recovery(here):
    """Right passwords in between forgive no wrong code; counts last over a restart; recovery opens again."""
    inmes(here)
    accounts = here.registry.accounts
    identity = accounts.reached("inmes", "email", "jana@example.org").id
    for _ in range(3):
        one = login(here)
        one.go(code=wrong(one.code()), _status=422)
    assert accounts.account(identity).failures == 3
    with here.registry.writing() as db:
        db.execute("UPDATE accounts SET failures = ?", (FAILURES - 1,))
    one = login(here)
    one.go(code=wrong(one.code()), _status=422)
    assert one.go(code=one.code(), _status=422)["type"] == "not-accepted"
    folder = here.registry.path.parent
    here.close()
    again = Here(folder)
    two = again.browser("inmes")
    two.start("login")
    two.go(name="jana@example.org", password=PASSWORD, _status=422)
    again.close()


def test_check_10_pages_of_a_flow_that_are_sent_at_once_have_the_tries_of_one(here):
    """Forty wrong codes side by side use up five tries and no more are taken for right: the right one is refused."""
    from concurrent.futures import ThreadPoolExecutor

    inmes(here, phone=None)
    one = login(here)
    right, path = one.code(), f"/v1/flows/{one.flow['id']}"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: one.client.post(path, json={"code": wrong(right)}).status_code, range(40)))
    assert set(answers) == {422}
    assert here.registry.accounts.flow(one.flow["id"], 0).state["challenge"]["tries"] == 40
    here.now += 3600
    assert one.client.post(path, json={"code": right}).status_code in {410, 422}


def test_check_11_a_code_is_sent_again_after_a_minute_and_strangers_numbers_have_a_prefix(here):
    """Twenty SMS a day to unproven numbers of one prefix; a resident's proven number goes on being written to."""
    one, _ = inmes(here)
    login(here, one)
    assert one.client.post(f"/v1/flows/{one.flow['id']}/resend").status_code == 422
    here.now += 61
    assert one.client.post(f"/v1/flows/{one.flow['id']}/resend").status_code == 200
    before = here.sent("code")
    for number in range(PREFIX_A_DAY + 5):
        pumped = here.browser("inmes")
        pumped.start("activate")
        pumped.go(**here.claim("one_time_credentials", "cz-b"))
        pumped.go(agree=True, accept=True)
        pumped.go(email=f"x{number}@example.org")
        pumped.go(code=pumped.code())
        assert pumped.go(phone=f"7771{number:05d}")["step"]["fields"] == ["code"]
    assert here.sent("code") - before == PREFIX_A_DAY - 1, "one of the twenty went to the resident's own number when it was new"
    assert logged_in(here, "inmes", "jana@example.org").units() == ["cz-a"]


def test_check_12_the_word_of_a_mail_ends_and_never_becomes_the_password(here):
    """Two hours, eight letters of 5 bits; it opens no login."""
    one = here.browser("inmes")
    one.start("activate")
    one.go(**here.claim("one_time_credentials", "cz-a"))
    one.go(agree=True, accept=True)
    one.go(email="jana@example.org")
    assert one.flow["step"]["expires_in"] == load_portal("inmes").policy.mail_ttl
    late = one.code()
    assert len(late) * 5 >= 40
    here.now += 7200
    one.go(code=late, _status=410)
    one, printed = inmes(here, unit="cz-b", mail="petr@example.org", phone=None)
    for secret in (late, printed["password"]):
        two = here.browser("inmes")
        two.start("login")
        two.go(name="petr@example.org", password=secret, _status=422)
    assert len(printed["password"]) * 5 >= 40


def test_check_12_letters_end_after_thirty_days(here):
    """What is printed is good for a month."""
    printed = here.claim("one_time_credentials", "cz-a")
    here.now += 30 * 86_400
    one = here.browser("inmes")
    one.start("activate")
    one.go(**printed, _status=422)


def test_check_13_no_code_is_found_in_what_is_kept(here):
    """Once its message has left, neither the registry nor its journal holds a code, a printed secret, a password or a session in clear."""
    one, printed = inmes(here)
    two = login(here)
    planted = {"code": two.code(), "printed": printed["password"], "password": PASSWORD, "session": one.client.cookies["__Host-session"]}
    dump = dumped(here.registry)
    assert {name for name, secret in planted.items() if secret in dump} == set()
    assert two.go(code=planted["code"])["done"]


def test_check_13_secrets_are_compared_in_constant_time():
    """No code, claim, cookie or factor is compared with == in the modules that take them."""
    api = Path(__file__).parents[2] / "api"
    for file in (*(api / "flows").glob("*.py"), api / "factors.py", api / "secrets.py"):
        text = file.read_text()
        assert "compare_digest" in text or file.stem not in {"claim", "challenges", "interpreter", "factors"}
        assert not re.findall(r"(?:secret|proof|cookie|hash|code|given|digest\([^)]*\)) == ", text)


def test_check_19_sms_goes_to_proven_numbers_only(here):
    """A login never writes to a number that was left unproven or is only for notices; the own device goes before SMS."""
    one = here.browser("infoyugra")
    one.start("activate")
    one.go(email="ivan@example.org", new_password=PASSWORD, new_password_again=PASSWORD)
    one.go(relation="owner")
    one.go(**here.claim("registration_code", "ug-a", account_no="1", city="Surgut"), phone="+79123456789")
    one.follow()
    one.go()
    two = here.browser("infoyugra")
    two.start("login")
    assert two.go(name="ivan@example.org", password=PASSWORD)["step"]["channel"] == "email"
    assert {one.channel for one in here.arrived()} == {"email"}


def device(here, one):
    """Set a device up for the account of a browser; a function that gives its present code."""
    secret = b32decode(one.client.post("/v1/me/factors", json={"kind": "totp"}).json()["secret"])
    assert one.client.post("/v1/me/factors", json={"kind": "totp", "code": totp(secret, int(here.now) // 30)}).status_code == 201
    here.now += 60
    return lambda: totp(secret, int(here.now) // 30)


def at_the_code(here):
    """A login that proved its password."""
    one = here.browser("inmes")
    one.start("login")
    one.go(name="jana@example.org", password=PASSWORD)
    return one


def test_check_19_a_device_is_offered_beside_sms_and_mail_and_one_may_choose(here):
    """After the password: the device first, the others named by their channel alone; a chosen one is written to, and each of them opens."""
    code = device(here, inmes(here)[0])
    one, before = at_the_code(here), here.sent("code")
    step = one.flow["step"]
    assert (step["channel"], step["others"], step["address_masked"]) == ("totp", ["phone", "email"], None)
    step = one.other("phone")
    assert (step["channel"], step["others"], step["address_masked"], here.sent("code")) == ("phone", ["totp", "email"], "+420…56", before + 1)
    assert here.mail("code").channel == "sms"
    one.go(code=one.code())
    two = at_the_code(here)
    two.other("email")
    assert (here.mail("code").channel, two.flow["step"]["others"]) == ("email", ["totp", "phone"])
    two.go(code=two.code())
    three, told = at_the_code(here), here.sent("code")
    three.other("phone")
    assert three.other("totp")["channel"] == "totp"
    assert here.sent("code") == told + 1
    three.go(code=code())
    assert [browser.units() for browser in (one, two, three)] == [["cz-a"]] * 3


def test_check_19_another_way_has_no_tries_of_its_own_and_is_not_written_to_at_once_again(here):
    """Five tries over all ways; the code of a way that was left is void; a way back waits its minute, the one that was chosen stays at a resend."""
    device(here, inmes(here)[0])
    one = at_the_code(here)
    one.other("phone")
    by_sms = one.code()
    one.other("email")
    by_mail = one.code()
    if by_sms != by_mail:
        one.go(code=by_sms, _status=422)
    one.other("phone", _status=422)
    one.other("email", _status=422)
    one.other("letter", _status=422)
    one.other(["phone"], _status=422)
    here.now += 61
    assert one.client.post(f"/v1/flows/{one.flow['id']}/resend").json()["step"]["channel"] == "email"
    one.other("phone")
    assert one.client.get(f"/v1/flows/{one.flow['id']}").json()["step"]["channel"] == "phone"
    for _ in range(5):
        one.go(code="not it", _status=422)
    one.other("totp")
    here.now += 61
    one.other("phone")
    one.go(code=one.code(), _status=422)


def test_check_19_a_stranger_learns_nothing_of_the_ways(here):
    """Before anything is proven a page names no other way, and takes none: known names and unknown ones alike."""
    device(here, inmes(here)[0])
    pages = []
    for name in ("jana@example.org", "nobody@example.org"):
        one = here.browser("inmes")
        one.start("recover")
        one.go(name=name)
        one.other("totp", _status=422)
        pages.append({**one.flow["step"], "transaction_id": "", "address_masked": one.flow["step"]["address_masked"][1:]})
    assert pages[0] == pages[1]
    assert pages[0]["others"] == []
