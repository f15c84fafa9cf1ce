"""Guessing and telling apart: checks 14 to 18 (portal FLOWS 10).

`SUBMETER_GUESSES=10000` and `SUBMETER_SAMPLES=200` are for a release: medians are printed (`-s`), never asserted.
"""

import math
import os
import statistics
import time
from collections import Counter

from fastapi.testclient import TestClient
from portals import PASSWORD, Browser, inmes
from tables import names

GUESSES = int(os.environ.get("SUBMETER_GUESSES", "120"))
SAMPLES = int(os.environ.get("SUBMETER_SAMPLES", "3"))
#: What a stranger's pages may change, all of it out of sight: counts, flows and the audit.
UNSEEN = ("throttle", "flows", "audit", "outbox", "flow_counts", "audit_last")


def test_check_17_claims_are_throttled_by_their_identifier(here):
    """After five wrong tries a day the right secret is refused too; the next day it is not."""
    printed = here.claim("one_time_credentials", "cz-a")
    one = here.browser("inmes")
    one.start("activate")
    for _ in range(5):
        one.go(login=printed["login"], password="AAAABBBBCCCC", _status=422)
    assert one.go(**printed, _status=422)["type"] == "not-accepted"
    here.now += 86_400
    one.start("activate")
    one.go(**printed)


def stranger(here, portal, number):
    """A browser somewhere else: each number is a /24 of its own."""
    one = Browser(here, f"{portal}.localhost")
    one.client = TestClient(here.app, base_url=str(one.client.base_url), headers=dict(one.client.headers), client=(f"10.0.{number}.7", 50_000))
    return one


def page(answer):
    """An answer without what is random in it."""
    body = answer.json()
    body.pop("id", None)
    if body.get("step"):
        body["step"].pop("transaction_id", None)
    return answer.status_code, body, sorted(name for name in answer.headers if name != "content-length")


def seen(here, flow, pages, number=1):
    """The answers to the pages of a flow, each page sent whatever the one before said; with the seconds of the last."""
    one, told, took = stranger(here, "inmes" if flow != "activate" else "infoyugra", number), [], 0.0
    one.start(flow)
    for fields in pages:
        begun = time.perf_counter()
        answer = one.client.post(f"/v1/flows/{one.flow['id']}", json=fields)
        took = time.perf_counter() - begun
        told.append(page(answer))
    told.append(page(one.client.get(f"/v1/flows/{one.flow['id']}")))
    told.append(page(one.client.post(f"/v1/flows/{one.flow['id']}/resend")))
    return told, took


def kept(here):
    """Every row but those that nobody sees."""
    return {name: here.registry._rows(f"SELECT * FROM {name} ORDER BY 1") for name in names(here.registry) if name not in UNSEEN}


LOGIN = ({"name": "jana@example.org", "password": "a wrong one"}, {"name": "juna@example.org", "password": "a wrong one"})


def test_check_14_a_login_is_refused_alike_for_known_and_unknown(here):
    """Status, body, heads and next step; tries that come too soon, too; nothing but the count of failures is kept of the known one."""
    inmes(here)
    before = kept(here)
    for _ in range(7):
        known, unknown = (seen(here, "login", [fields])[0] for fields in LOGIN)
        assert known == unknown
    after = kept(here)
    (row,), (was,) = after.pop("accounts"), before.pop("accounts")
    assert after == before
    assert [place for place, (one, other) in enumerate(zip(row, was, strict=True)) if one != other] == [7]


def test_check_14_medians(here):
    """How long both take, printed for a release; each try is at its own time, so that none comes too soon."""
    inmes(here)
    took = ([], [])
    for number in range(SAMPLES):
        here.now += 86_401
        for place, fields in enumerate(LOGIN):
            took[place].append(seen(here, "login", [fields], number % 200)[1])
        with here.registry.writing() as db:
            db.execute("UPDATE accounts SET failures = 0")
            db.execute("DELETE FROM throttle")
    known, unknown = (statistics.median(one) * 1000 for one in took)
    print(f"\nlogin, {SAMPLES} samples each: known {known:.2f} ms, unknown {unknown:.2f} ms")  # noqa: T201
    assert min(known, unknown) > 0


def test_check_15_recovery_and_registration_tell_nobody(here):
    """Who has an account learns it by mail; the pages are the same, byte for byte, to the code that only the mail's owner has."""
    inmes(here)
    one = here.browser("infoyugra")
    one.start("activate")
    one.go(email="ivan@example.org", new_password=PASSWORD, new_password_again=PASSWORD)
    one.go(relation="owner")
    one.go(**here.claim("registration_code", "ug-a", account_no="1", city="Surgut"))
    one.follow()
    assert one.go()["done"]
    claims = [here.claim("registration_code", "ug-b", account_no=str(number), city="Surgut") for number in (2, 3)]
    form = {"new_password": PASSWORD, "new_password_again": PASSWORD}
    for flow, known, unknown in (
        ("recover", [{"name": "jana@example.org"}, {"code": "000000"}], [{"name": "juna@example.org"}, {"code": "000000"}]),
        ("recover", [{"name": "+420777123456"}, {"code": "x"}], [{"name": "+420777129956"}, {"code": "x"}]),
        (
            "activate",
            [{"email": "ivan@example.org", **form}, {"relation": "owner"}, claims[0], {"code": "AAAAAAAA"}],
            [{"email": "ivon@example.org", **form}, {"relation": "owner"}, claims[1], {"code": "AAAAAAAA"}],
        ),
    ):
        told, other = (seen(here, flow, pages)[0] for pages in (known, unknown))
        assert repr(told).replace("+420777123456", "+420777129956") == repr(other)
        assert told[0][0] == 200


def test_check_16_guesses_from_a_hundred_addresses_find_nothing(here):
    """Passwords, then codes by one who knows the password: no session, five tries a code at most, and the owner's browser still gets in."""
    owner, _ = inmes(here)
    accounts = here.registry.accounts
    identity = accounts.reached("inmes", "email", "jana@example.org").id
    thieves = [stranger(here, "inmes", number) for number in range(min(100, GUESSES))]
    for one in thieves:
        one.start("login")
    for number in range(GUESSES // 2):
        here.now += 1
        one = thieves[number % len(thieves)]
        answer = one.client.post(f"/v1/flows/{one.flow['id']}", json={"name": "jana@example.org", "password": f"guess {number}"})
        assert answer.status_code in {410, 422}
        if answer.status_code == 410:
            one.start("login")
    assert thieves[0].client.post(f"/v1/flows/{thieves[0].flow['id']}", json={"name": "jana@example.org", "password": PASSWORD}).status_code == 422
    _guess_codes(here, thieves, GUESSES - GUESSES // 2)
    compared = Counter(entry.actor for entry in here.registry.audit() if entry.detail == "code: wrong")
    assert max(compared.values()) <= 5
    assert accounts.account(identity).failures < 100
    sessions = accounts.sessions(identity, int(here.now * 1e6))
    assert len(sessions) <= 1, "none but that of the owner"
    assert {one.units() for one in thieves[:5]} == {401}
    here.now += 3600
    owner.client.delete("/v1/session")
    owner.start("login")
    owner.go(name="jana@example.org", password=PASSWORD)
    owner.go(code=owner.code())
    assert owner.units() == ["cz-a"]
    assert here.sent("suspicious_login") > 0


def _guess_codes(here, thieves, count):
    """Guess codes of logins whose password is right, and at last give the right one: it is refused. Passwords and messages are not held up here, codes are."""
    for number in range(math.ceil(count / 6) * 6):
        here.now += 1
        one = thieves[number // 6 % len(thieves)]
        if number % 6 == 0:
            one.start("login")
            with here.registry.writing() as db:
                db.execute("DELETE FROM throttle WHERE key LIKE 'login%' OR key LIKE 'send%'")
                db.execute("UPDATE accounts SET failures = 0")
            one.go(name="jana@example.org", password=PASSWORD)
            code = one.code()
        guess = f"{number:06d}" if f"{number:06d}" != code else "999999"
        last = number % 6 == 5
        assert one.client.post(f"/v1/flows/{one.flow['id']}", json={"code": code if last else guess}).status_code == 422


def test_check_16_many_accounts_from_one_address_are_held_up(here):
    """A /24 has a hundred wrong passwords a day at a manager: then a right one is refused there, but not in a known browser or elsewhere."""
    owner, _ = inmes(here, phone=None)
    here.registry.accounts.count("logins:cz:10.0.1.0/24", int(here.now * 1e6), lambda _: 0, daily=True)
    with here.registry.writing() as db:
        db.execute("UPDATE throttle SET fails = 99 WHERE key LIKE 'logins:%'")
    thief = stranger(here, "inmes", 1)
    thief.start("login")
    for fields in ({"name": "somebody@example.org", "password": "wrong"}, {"name": "jana@example.org", "password": PASSWORD}):
        assert thief.go(**fields, _status=422)["type"] == "not-accepted"
    elsewhere = stranger(here, "inmes", 2)
    elsewhere.start("login")
    elsewhere.go(name="jana@example.org", password=PASSWORD)
    owner.client = TestClient(
        here.app, base_url=str(owner.client.base_url), headers=dict(owner.client.headers), client=("10.0.1.9", 1), cookies=owner.client.cookies
    )
    owner.start("login")
    owner.go(name="jana@example.org", password=PASSWORD)


def test_check_18_every_way_to_a_session_proves_two_factors(here):
    """Of each portal: a list that ends with a session has a secret or claim and a proven channel before it, or begins with a session that had."""
    for host in here.app.state.flows.tenants.values():
        assert host.portal.policy.level == 2
        for name, steps in host.portal.flows.items():
            kinds = [step.do for step in steps]
            if "session" in kinds and name not in {"upgrade", "add", "demo", "self_reading"}:
                known = {"verify", "claim"} & set(kinds[: kinds.index("session")])
                assert known, (host.portal.name, name)
                assert "challenge" in kinds[: kinds.index("session")], (host.portal.name, name)


def test_check_18_no_page_can_be_left_out(here):
    """The page after the present one is not taken: fields of a later page are nothing to an earlier one."""
    inmes(here, phone=None)
    one = here.browser("inmes")
    one.start("login")
    one.go(code="000000", _status=422)
    one.go(name="jana@example.org", _status=422)
    one.go(name="jana@example.org", password=PASSWORD)
    one.go(name="jana@example.org", password=PASSWORD, _status=422)
    assert one.units() == 401
