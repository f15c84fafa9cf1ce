"""Passwords: checks 1 to 5 and 7 (portal FLOWS 10)."""

import pytest
from argon2 import PasswordHasher
from portals import PASSWORD, inmes, logged_in

from submeter.api.secrets import HASHER, Secrets, fault_of, listed
from submeter.config import ConfigError
from submeter.config.portals import SHIPPED, load_portal


def test_check_05_the_password_is_changed_with_the_present_one_and_a_fresh_proof(here):
    """The wrong present password is refused, the right one ends all other sessions and is told to every address."""
    one, _ = inmes(here)
    two = logged_in(here, "inmes", "jana@example.org")
    assert two.client.put("/v1/me/password", json={"present": "wrong", "new": "another fine sentence"}).status_code == 422
    assert two.client.put("/v1/me/password", json={"present": PASSWORD, "new": "short"}).json()["type"] == "invalid"
    assert two.client.put("/v1/me/password", json={"present": PASSWORD, "new": "another fine sentence"}).status_code == 204
    assert (one.units(), two.units()) == (401, ["cz-a"])
    assert here.sent("password_changed") == 2
    here.now += 301
    assert two.client.put("/v1/me/password", json={"present": "another fine sentence", "new": PASSWORD}).json()["type"] == "reauth"


def chosen(here, password, again=None, status=422):
    """The answer to a password chosen in an activation."""
    one = here.browser("infoyugra")
    one.start("activate")
    return one.go(email="a@example.org", new_password=password, new_password_again=again or password, _status=status)


@pytest.mark.parametrize("sign", ["\u00e9", "e\u0301", "\U0001f642"])
def test_check_01_lengths_are_counted_in_code_points_after_nfc(here, sign):
    """Eight to 256 signs, whatever their bytes; a letter and its combining mark are one."""
    assert "too short" in chosen(here, sign + "abcdef")["errors"][0]["detail"]
    assert "too long" in chosen(here, sign + "ab3!" * 64)["errors"][0]["detail"]
    for enough in (sign + "abcdefg", sign + "ab3" + "ab3!" * 63):
        chosen(here, enough, status=200)


def test_check_01_both_forms_of_a_letter_are_one_password():
    """NFC: a keyboard that sends the mark by itself opens the same door."""
    secrets = Secrets(bytes(32))
    assert secrets.verify(secrets.hash("caf\u00e9 au lait"), "cafe\u0301 au lait")


def test_check_01_alone_a_password_has_fifteen(tmp_path):
    """At level 1 a shorter floor stops the start; at level 2 less than 8 does."""
    file = tmp_path / "mine.toml"
    for level, least, wrong in ((1, 14, "write 15 or more"), (2, 7, "password_min")):
        file.write_text(f'locales = ["en"]\ncountry = "420"\n[policy]\nlevel = {level}\npassword_min = {least}\n')
        with pytest.raises(ConfigError, match=wrong):
            load_portal("mine", file)


@pytest.mark.parametrize("password", ["lowercase only words", "NOTHINGBUTCAPITALS", "948372615049", "zyxwvu tsrqpo"])
def test_check_02_no_composition_is_asked_for(password):
    """Length and the list decide; no class of signs is needed, no rotation, no question can be configured."""
    for name in SHIPPED:
        policy = load_portal(name).policy
        assert fault_of(password, policy, ()) is None
        assert not [
            field for field in type(policy).model_fields if any(word in field for word in ("class", "digit", "rotat", "question", "hint", "history"))
        ]


def test_check_03_common_passwords_are_refused_with_the_reason(here):
    """Three thousand or more are listed, in capitals too."""
    assert len(listed()) >= 3000
    for bad, why in (("Password123", "too common"), ("QWERTY12345", "too common"), ("aaaabbbb", "too uniform"), ("infoyugra", "easily guessed")):
        assert why in chosen(here, bad)["errors"][0]["detail"]


@pytest.mark.parametrize(
    "password", ["MainStreet5", "mainstreet flat a", "12345678", "ZRI12345678", "submetering-house", "jana.example1", "Inmes-Flat"]
)
def test_check_03_words_of_the_own_house_are_refused(here, password):
    """Street, flat, manager, the numbers of the own meters and the own address are what a neighbour tries first."""
    with here.registry.writing() as db:
        db.execute("UPDATE managers SET name = 'Submetering House' WHERE id = 'cz'")
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}')")
        db.execute("INSERT INTO devices VALUES ('ZRI-12345678-01-07', NULL, NULL, 0)")
        db.execute("INSERT INTO assignments VALUES ('p', 'ZRI-12345678-01-07', 0, NULL, NULL, NULL)")
    one, _ = inmes(here, mail="jana.example@example.org")
    answer = one.client.put("/v1/me/password", json={"present": PASSWORD, "new": password})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "new"), answer.text


def test_check_04_a_password_is_verified_exactly_as_given(here):
    """Nothing is cut: the last of 256 signs counts, and one more is another password; case and spaces count."""
    secrets, long = Secrets(bytes(32)), "ab3!" * 64
    kept = secrets.hash(long)
    assert [secrets.verify(kept, one) for one in (long, long + "x", long[:-1], long[:-1] + "?", f" {long}", long.upper())] == [True] + [False] * 5
    one = here.browser("inmes")
    one.start("login")
    assert one.go(name="jana@example.org", password="x" * 1024, _status=422)["type"] == "not-accepted"


def test_check_07_hashes_are_argon2id_and_made_anew_when_they_are_weak(here):
    """OWASP's least; a weaker hash of before is replaced at the next login, and only by a right password."""
    inmes(here, phone=None)
    account = here.registry.accounts.reached("inmes", "email", "jana@example.org")
    assert account.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    here.registry.accounts.set_password(account.id, weak)
    one = here.browser("inmes")
    one.start("login")
    one.go(name="jana@example.org", password="wrong", _status=422)
    assert here.registry.accounts.account(account.id).password == weak
    assert logged_in(here, "inmes", "jana@example.org").units() == ["cz-a"]
    assert not HASHER.check_needs_rehash(here.registry.accounts.account(account.id).password)
