"""Self-service of an account: addresses, name and language, consents, invitations (portal FLOWS 5, 7 and 9; checks 23 and 31)."""

import pytest
from portals import PASSWORD, Here, inmes, logged_in
from test_matrix import EDGE, publish

from submeter import civil

NEW = {"channel": "email", "address": "new@example.org"}


@pytest.fixture
def here(tmp_path):
    """Five portals; cz-a has two meters of water, and a year of rows."""
    made = Here(tmp_path)
    with made.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}')")
        db.execute("INSERT INTO points VALUES ('q', 'cz1', 'cz-a', 'hot_water', '', 'volume', '{}')")
    publish(made)
    yield made
    made.close()


def contacts(one):
    """Own addresses as they are told."""
    return [(told["channel"], told["address"], told["use"]) for told in one.client.get("/v1/me/contacts").json()["contacts"]]


def send(one, status=201, **body):
    """A request for another address."""
    answer = one.client.post("/v1/me/contacts", json=NEW | body)
    assert answer.status_code == status, answer.text
    return answer.json()


def proven(here):
    """Everybody proved just now who it is."""
    with here.registry.writing() as db:
        db.execute("UPDATE sessions SET fresh = ?", (int(here.now * 1e6),))


def accepted(here, code, mail="petr@example.org"):
    """Somebody who follows an invitation."""
    guest = here.browser("inmes")
    guest.start("accept")
    guest.go(code=code)
    guest.go(email=mail)
    guest.follow()
    guest.go()
    guest.go(accept=True)
    guest.go(new_password=PASSWORD, new_password_again=PASSWORD)
    return guest


def test_a_new_address_counts_once_its_code_was_given(here):
    """Nothing before the code; then it is told to all addresses, old and new, and one signs in with it."""
    one, _ = inmes(here, phone=None)
    told = send(one)
    assert (told["address_masked"], told["expires_in"], told["resend_in"]) == ("n…@example.org", 300, 60)
    assert contacts(one) == [("email", "jana@example.org", "auth")]
    assert here.mail("code").address == "new@example.org"
    assert one.client.get("/v1/me/contacts").json()["waiting"]["address_masked"] == "n…@example.org"
    send(one, code=one.code())
    assert contacts(one) == [("email", "jana@example.org", "auth"), ("email", "new@example.org", "auth")]
    assert one.client.get("/v1/me/contacts").json()["waiting"] is None
    assert here.sent("contact_changed") == 2
    assert logged_in(here, "inmes", "new@example.org").units() == ["cz-a"]


def test_an_address_is_given_up_unless_it_is_the_last_way_in(here):
    """A login knows people by mail here: the phone alone would not do. The one that goes is told too; another account's is not there."""
    one, _ = inmes(here)
    other, _ = inmes(here, "cz-b", "eva@example.org", None)
    mail, phone = one.client.get("/v1/me/contacts").json()["contacts"]
    assert other.client.delete(f"/v1/me/contacts/{mail['id']}").status_code == 404
    assert one.client.delete(f"/v1/me/contacts/{mail['id']}").status_code == 422
    send(one)
    send(one, code=one.code())
    before = here.sent("contact_changed")
    assert one.client.delete(f"/v1/me/contacts/{mail['id']}").status_code == 204
    assert here.sent("contact_changed") == before + 3
    assert one.client.delete(f"/v1/me/contacts/{phone['id']}").status_code == 204
    (last,) = one.client.get("/v1/me/contacts").json()["contacts"]
    assert one.client.delete(f"/v1/me/contacts/{last['id']}").status_code == 422
    other_use = {"channel": "email", "address": "for-notices@example.org", "use": "notify"}
    here.now += 61
    send(one, **other_use)
    send(one, **other_use, code=one.code())
    assert one.client.delete(f"/v1/me/contacts/{last['id']}").status_code == 422, "notices are no way in"


def test_the_address_of_another_account_is_answered_alike_and_never_taken_over(here):
    """Its own mail says that there is an account; no code is right, and it stays where it was."""
    one, _ = inmes(here, phone=None)
    inmes(here, "cz-b", "eva@example.org", None)
    taken = send(one, address="eva@example.org")
    assert (here.mail().template, here.mail().address) == ("account_exists", "eva@example.org")
    here.now += 61
    assert send(one, address="eve@example.org") == taken
    assert here.mail().template == "code"
    here.now += 61
    send(one, address="eva@example.org")
    for guess in ("000000", "123456"):
        send(one, 422, address="eva@example.org", code=guess)
    assert contacts(one) == [("email", "jana@example.org", "auth")]
    assert logged_in(here, "inmes", "eva@example.org").units() == ["cz-b"]


def test_an_address_that_got_an_account_meanwhile_is_not_taken_over(here):
    """The right code comes too late."""
    one, _ = inmes(here, phone=None)
    send(one, address="eva@example.org")
    code = one.code()
    inmes(here, "cz-b", "eva@example.org", None)
    send(one, 422, address="eva@example.org", code=code)
    assert contacts(one) == [("email", "jana@example.org", "auth")]


@pytest.mark.parametrize("how", ["wrong", "late", "other address", "other account", "too often"])
def test_only_the_code_of_this_address_in_time_proves_it(here, how):
    """Wrong, late, meant for another address or account, or after five tries: not accepted, and nothing is added."""
    one, _ = inmes(here, phone=None)
    other, _ = inmes(here, "cz-b", "eva@example.org", None)
    send(one)
    code = one.code()
    if how == "wrong":
        send(one, 422, code=f"{(int(code) + 1) % 1_000_000:06d}")
    elif how == "late":
        here.now += 300
        send(one, 422, code=code)
    elif how == "other address":
        send(one, 422, address="newer@example.org", code=code)
    elif how == "other account":
        send(other, 422, code=code)
        send(other)
        send(other, 422, code=code if code != other.code() else "x")
    else:
        for _ in range(5):
            send(one, 422, code="x")
        send(one, 422, code=code)
        here.now += 61
        send(one)
        send(one, 422, code=one.code())
    assert len(contacts(one)) == len(contacts(other)) == 1


def test_codes_are_kept_as_keyed_hashes_and_need_a_fresh_proof(here):
    """No file but the waiting message knows the code; five minutes after the proof nothing is changed."""
    one, _ = inmes(here, phone=None)
    send(one)
    waits = here.registry.new_contacts.of(one.client.get("/v1/me").json()["id"])
    assert one.code() not in repr(waits)
    here.now += 301
    assert send(one, 401)["type"] == "reauth"
    (own,) = one.client.get("/v1/me/contacts").json()["contacts"]
    assert one.client.delete(f"/v1/me/contacts/{own['id']}").json()["type"] == "reauth"


def test_messages_to_a_new_address_are_limited(here):
    """Another code after a minute, five an hour to an address, twenty a day to a phone prefix; more are not sent, and nothing says so."""
    one, _ = inmes(here, phone=None)
    send(one)
    send(one, 422)
    before = here.registry.outbox.counts()[("email", "waiting")]
    for _ in range(7):
        here.now += 61
        proven(here)
        send(one)
    assert here.registry.outbox.counts()[("email", "waiting")] == before + 4
    for number in range(25):
        here.now += 61
        proven(here)
        send(one, channel="phone", address=f"777 000 0{number:02d}")
    assert here.registry.outbox.counts()[("sms", "waiting")] == 20


def test_an_address_for_recovery_gets_the_code_of_a_recovery(here):
    """Codes of a login go to the others, as before."""
    one, _ = inmes(here, phone=None)
    send(one, use="recovery")
    send(one, use="recovery", code=one.code())
    assert contacts(one)[1] == ("email", "new@example.org", "recovery")
    lost = here.browser("inmes")
    lost.start("recover")
    lost.go(name="jana@example.org")
    assert here.mail("code").address == "new@example.org"
    two = here.browser("inmes")
    two.start("login")
    two.go(name="jana@example.org", password=PASSWORD)
    assert here.mail("code").address == "jana@example.org"


def test_name_language_and_the_last_unit_are_ones_own(here):
    """What is left out stays; a language that the portal does not speak, and a unit that is not there, are refused."""
    one, _ = inmes(here)
    assert one.client.patch("/v1/me", json={"name": " Jana N. ", "unit": "cz-a"}).status_code == 204
    assert one.client.patch("/v1/me", json={"locale": "en"}).status_code == 204
    own = one.client.get("/v1/me").json()
    assert (own["name"], own["locale"], own["unit"]) == ("Jana N.", "en", "cz-a")
    assert one.client.patch("/v1/me", json={"locale": "nb"}).status_code == 422
    assert one.client.patch("/v1/me", json={"unit": "cz-b"}).status_code == 404
    assert one.client.patch("/v1/me", json={"name": "a\nb"}).status_code == 422
    assert one.client.get("/v1/me").json() == own


def test_consents_are_given_and_taken_back(here):
    """Each has an id; twice the same is one; what was taken back stays on record; another account's is not there."""
    one, _ = inmes(here)
    other, _ = inmes(here, "cz-b", "eva@example.org", None)
    (first,) = one.client.get("/v1/me/consents").json()["consents"]
    assert (first["doc"], first["withdrawn"]) == ("privacy", None)
    assert other.client.delete(f"/v1/me/consents/{first['id']}").status_code == 404
    assert one.client.post("/v1/me/consents", json={"doc": "privacy"}).json()["id"] == first["id"]
    assert one.client.delete(f"/v1/me/consents/{first['id']}").status_code == 204
    assert one.client.post("/v1/me/consents", json={"doc": "privacy"}).json()["id"] != first["id"]
    found = one.client.get("/v1/me/consents").json()
    assert [consent["withdrawn"] is None for consent in found["consents"]] == [False, True]
    assert found["documents"] == {"privacy": "1"}
    assert one.client.post("/v1/me/consents", json={"doc": "nothing"}).status_code == 422


def test_a_third_party_sees_chosen_quantities_as_coarse_and_as_long_as_it_was_invited_for(here):
    """Other meters are not there, days are too fine, rows before and after are not answered; no last index, no monthly information."""
    one, _ = inmes(here)
    since, until = EDGE, int(here.now) * civil.SECOND + 2 * civil.DAY
    asked = {"role": "third_party", "data_from": civil.iso(since), "until": civil.iso(until), "quantities": ["cold_water"], "finest": "month"}
    answer = one.client.post("/v1/units/cz-a/invitations", json=asked)
    assert answer.status_code == 201, answer.text
    (listed,) = one.client.get("/v1/units/cz-a/invitations").json()["invitations"]
    assert {name: listed[name] for name in asked} == asked
    assert "code" not in listed
    guest = accepted(here, answer.json()["code"])
    assert one.client.get("/v1/units/cz-a/invitations").json()["invitations"] == []
    (given,) = one.client.get("/v1/grants").json()["given"]
    assert (given["role"], given["quantities"], given["finest"]) == ("third_party", ["cold_water"], "month")
    found = guest.client.get("/v1/units/cz-a/meters").json()
    assert (found["classes"], [meter["id"] for meter in found["meters"]]) == ({"cold_water": 1}, ["p"])
    assert found["meters"][0]["registers"][0]["last"] is None
    query = {"from": "2024-11-01", "to": "2025-06-01", "resolution": "P1M"}
    (series,) = guest.client.get("/v1/units/cz-a/consumption", params=query).json()["series"]
    assert series["points"][0]["start"] == "2025-01-01T00:00:00+00:00"
    assert guest.client.get("/v1/units/cz-a/consumption", params=query | {"resolution": "P1D"}).status_code == 403
    assert guest.client.post("/v1/units/cz-a/invitations", json={}).status_code == 422, "who is invited invites nobody"
    here.now = until / 1e6
    assert guest.units() in ([], 401)
    assert here.registry.accounts.visible(here.registry.accounts.reached("inmes", "email", "petr@example.org").id, until) == []


def test_quantities_that_are_not_chosen_are_as_if_there_was_no_meter(here):
    """Chosen hot water, cold is answered like nothing."""
    one, _ = inmes(here)
    code = one.client.post("/v1/units/cz-a/invitations", json={"role": "third_party", "quantities": ["hot_water"]}).json()["code"]
    guest = accepted(here, code)
    query = {"from": "2024-12-01", "to": "2025-02-01", "quantity": "volume"}
    assert len(one.client.get("/v1/units/cz-a/consumption", params=query).json()["series"]) == 1
    assert guest.client.get("/v1/units/cz-a/consumption", params=query).json()["series"] == []
    here.registry.information.keep("cz-a", here.registry.occupancies_of("cz-a")[0].since, "2025-01", "{}", now=EDGE)
    assert [who.client.get("/v1/units/cz-a/information/2025-01").status_code for who in (one, guest)] == [200, 404]


def test_the_household_sees_from_the_day_that_was_chosen_also_in_comparisons(here):
    """What was before is the inviter's: not answered, and not compared with."""
    one, _ = inmes(here)
    code = one.client.post("/v1/units/cz-a/invitations", json={"data_from": civil.iso(EDGE)}).json()["code"]
    guest = accepted(here, code)
    query = {"from": "2025-01-01", "to": "2025-01-03", "compare": "previous"}
    mine, theirs = (who.client.get("/v1/units/cz-a/consumption", params=query).json() for who in (one, guest))
    assert mine["series"] == theirs["series"]
    values = [[point["value"] for point in found["compare"]["previous"]["series"][0]["points"]] for found in (mine, theirs)]
    assert None not in values[0]
    assert values[1] == [None, None]
    (early,) = guest.client.get("/v1/units/cz-a/consumption", params={"from": "2024-12-01", "to": "2024-12-31"}).json()["series"]
    assert early["points"] == []


def test_an_invitation_with_an_address_is_sent_and_its_code_told_to_nobody(here):
    """The mail has the link; the list the masked address; nobody is invited beyond the own time, or twice with one code."""
    one, _ = inmes(here)
    answer = one.client.post("/v1/units/cz-a/invitations", json={"address": "Petr@example.org"}).json()
    assert "code" not in answer
    assert answer["sent_to"] == "p…@example.org"
    mail = here.mail("invitation")
    assert (mail.address, mail.values["unit"]) == ("petr@example.org", "Flat a")
    code = mail.values["code"]
    assert accepted(here, code).units() == ["cz-a"]
    again = here.browser("inmes")
    again.start("accept")
    again.go(code=code, _status=422)


@pytest.mark.parametrize(
    "body", [{"role": "owner"}, {"quantities": ["gold"]}, {"finest": "year"}, {"until": "2020-01-01T00:00:00Z"}, {"until": "tomorrow"}]
)
def test_an_invitation_that_means_nothing_is_refused(here, body):
    """Unknown roles, classes and levels, an end that is over."""
    one, _ = inmes(here)
    assert one.client.post("/v1/units/cz-a/invitations", json=body).status_code == 422


def test_an_invitation_ends_with_the_grant_of_who_gave_it(here):
    """Nobody takes up what a former resident gave."""
    one, _ = inmes(here)
    code = one.client.post("/v1/units/cz-a/invitations", json={}).json()["code"]
    (own,) = one.client.get("/v1/grants").json()["grants"]
    assert one.client.delete(f"/v1/grants/{own['id']}").status_code == 204
    late = here.browser("inmes")
    late.start("accept")
    late.go(code=code, _status=422)


def test_a_factor_that_is_given_up_ends_all_other_sessions(here):
    """Who signed in with it signs in again."""
    one, _ = inmes(here)
    two = logged_in(here, "inmes", "jana@example.org")
    one.client.post("/v1/me/factors", json={"kind": "recovery"})
    assert two.units() == ["cz-a"]
    assert one.client.delete("/v1/me/factors/recovery").status_code == 204
    assert (one.units(), two.units()) == (["cz-a"], 401)
