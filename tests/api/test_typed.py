"""What people type, in the one form in which it is kept: addresses, names, texts, identifiers, passwords (portal FLOWS 5 and 7)."""

import pytest

from submeter.api.forms import address_of, text_of, username_of
from submeter.api.problems import Invalid
from submeter.api.secrets import ALPHABET, Secrets, code, fault_of, listed, normalised, word
from submeter.config.portals import load_portal

SECRETS = Secrets(bytes(32))


@pytest.mark.parametrize(
    ("country", "typed", "kept"),
    [
        ("420", "+420 777 123 456", "+420777123456"),
        ("420", "777 123 456", "+420777123456"),
        ("420", "(777) 123-456", "+420777123456"),
        ("420", "777.123.456", "+420777123456"),
        ("420", "00420777123456", "+420777123456"),
        ("420", "0044 7911 123456", "+447911123456"),
        ("420", "420777123456", "+420777123456"),
        ("420", "420123456", "+420420123456"),
        ("386", "031 234 567", "+38631234567"),
        ("386", "38631234567", "+386" + "38631234567"),
        ("7", "8 (912) 345-67-89", "+79123456789"),
        ("7", "89123456", "+789123456"),
        ("7", "79123456789", "+79123456789"),
        ("7", "912 345 67 89", "+79123456789"),
        ("420", "89123456789", "+42089123456789"),
        ("47", "12 34 56 78", "+4712345678"),
        ("47", "+49 151 23456789", "+4915123456789"),
    ],
)
def test_phones_are_kept_as_e164_of_the_portals_country(country, typed, kept):
    """With +, with 00, with the trunk's 0 (Russia: 8 and ten digits), with the own country's code, or bare."""
    assert address_of("phone", typed, country) == kept


@pytest.mark.parametrize(
    "typed", ["", "1234567", "1234567890123456", "phone", "777-123-45x", "++420777123456", "+420/777123456", "777 123 456 ext 1"]
)
def test_what_is_no_phone(typed):
    """Too few digits, too many, or other signs: named, or nothing where any name may be typed."""
    with pytest.raises(Invalid) as refused:
        address_of("phone", typed, "420")
    assert refused.value.errors[0]["parameter"] == "phone"
    assert address_of("phone", typed, "420", strict=False) == ""


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Jana@Example.ORG", "jana@example.org"),
        ("  jana@example.org\n", "jana@example.org"),
        ("j+water@sub.example.org", "j+water@sub.example.org"),
        ("a@b", "a@b"),
        ("x" * 64 + "@example.org", "x" * 64 + "@example.org"),
    ],
)
def test_mail_addresses_are_kept_in_lower_case(typed, kept):
    """Without blanks around them."""
    assert address_of("email", typed, "420") == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "jana",
        "@example.org",
        "jana@",
        "ja na@example.org",
        "jana@exa mple.org",
        "jana@-example.org",
        "jana@example.org-",
        "x" * 65 + "@example.org",
        "a@b@c",
    ],
)
def test_what_is_no_mail_address(typed):
    """Named by its field; nothing where any name may be typed."""
    with pytest.raises(Invalid) as refused:
        address_of("email", typed, "420")
    assert refused.value.errors[0]["parameter"] == "email"
    assert address_of("email", typed, "420", strict=False) == ""


@pytest.mark.parametrize(
    ("typed", "good"),
    [("abc", True), ("a" * 64, True), ("Jana_N-7", True), ("ab", False), ("a" * 65, False), ("jana novak", False), ("jána", False), ("", False)],
)
def test_usernames(typed, good):
    """3 to 64 letters a-z, digits, _ or -, kept as they are."""
    if good:
        assert username_of(typed) == typed
    else:
        with pytest.raises(Invalid):
            username_of(typed)


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("x", True),
        ("x" * 1024, True),
        (" x ", True),
        ("x" * 1025, False),
        ("", False),
        (" \t", False),
        (None, False),
        (7, False),
        (["x"], False),
        ("\ud800", False),
        ("a\udfffb", False),
    ],
)
def test_texts(value, good):
    """1 to 1,024 characters that can be kept, not only blanks; as they were typed."""
    if good:
        assert text_of({"city": value}, "city") == value
        return
    with pytest.raises(Invalid) as refused:
        text_of({"city": value}, "city")
    assert refused.value.errors[0]["parameter"] == "city"


@pytest.mark.parametrize(
    ("typed", "compared"),
    [
        ("ab cd", "ABCD"),
        ("ab-cd", "ABCD"),
        ("ab\u2013cd\u2010", "ABCD"),
        ("\uff11\uff12\uff13", "123"),
        ("\u00a012\t3\n", "123"),
        ("straße", "STRASSE"),
        ("a_b.c", "A_B.C"),
        ("", ""),
    ],
)
def test_identifiers_are_compared_without_case_blanks_and_hyphens(typed, compared):
    """And without forms of digits."""
    assert normalised(typed) == compared


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("abcdefg", "too short"),
        ("Xk7#mQ2p", None),
        ("x7" * 128, "too uniform"),
        ("ab3!" * 64, None),
        ("ab3!" * 64 + "x", "too long"),
        ("password1", "too common"),
        ("PASSWORD1", "too common"),
        ("p4ssw0rd2024", "too common"),
        ("2024heslo", "too common"),
        ("abababab", "too uniform"),
        ("abcabcab", "too uniform"),
        ("abcdabcd", None),
        ("Mainstreet", "too easily guessed"),
        ("mainSTREET12", "too easily guessed"),
        ("Mainstreetqwer", None),
        ("MainstreetNovakova", "too easily guessed"),
        ("12345678Novakova", None),
    ],
)
def test_passwords(password, fault):
    """Length, then what is tried first, few different signs, and words about oneself with hardly more than them."""
    found = fault_of(password, load_portal("inmes").policy, ["Mainstreet", "Novakova", "abc"])
    assert found is None if fault is None else found.startswith(fault)


def test_the_list_of_common_passwords():
    """3,000 or more (FLOWS 7): words, with tails and heads, and with digits for letters; none of them in capitals, since it is compared without case."""
    assert len(listed()) >= 3000
    assert {"password", "heslo!", "qwertz123", "2025winter", "p4ssw0rd", "s3cr3t1", "1q2w3e4r"} <= listed()
    assert all(one == one.casefold() for one in listed())
    assert {"", "!", "123"}.isdisjoint(listed())


def test_words_and_codes_are_of_the_alphabet_and_length():
    """32 signs that nobody takes for one another: no 0, 1, I or O; codes keep their leading zeros."""
    assert len(set(ALPHABET)) == 32
    assert set("01IO").isdisjoint(ALPHABET)
    assert {len(word(length)) for length in (8, 12)} == {8, 12}
    assert set(word(2000)) == set(ALPHABET)
    assert {len(code()) for _ in range(200)} == {6}
    assert code(4).isdecimal()
    assert any(code().startswith("0") for _ in range(500))


def test_keyed_hashes_depend_on_the_key_and_on_each_part_in_its_place():
    """No two lists of texts are one text; another installation's hash is another one."""
    parts = [("a", "b"), ("b", "a"), ("ab",), ("a", "b", ""), ("", "a", "b")]
    assert len({SECRETS.keyed(*one) for one in parts}) == len(parts)
    assert SECRETS.keyed("a") == Secrets(bytes(32)).keyed("a") != Secrets(bytes([1] * 32)).keyed("a")
    assert SECRETS.word_of("a") == SECRETS.word_of("a") != SECRETS.word_of("b")
    assert len(SECRETS.word_of("a")) == 8
    assert set(SECRETS.word_of("a")) <= set(ALPHABET)


def test_the_key_is_made_once_and_its_owners_alone(tmp_path):
    """32 bytes in a file of mode 0600; the next start reads the same."""
    first, again = Secrets.of(tmp_path / "portal.key"), Secrets.of(tmp_path / "portal.key")
    assert first.keyed("a") == again.keyed("a")
    assert len((tmp_path / "portal.key").read_bytes()) == 32
    assert (tmp_path / "portal.key").stat().st_mode & 0o777 == 0o600


def test_a_password_is_verified_as_it_was_given():
    """In NFC, and nothing else changed; a broken hash and an account that is not there are no."""
    kept = SECRETS.hash("pa\u0308ss word")
    assert [SECRETS.verify(kept, one) for one in ("p\u00e4ss word", "pa\u0308ss word", "p\u00e4ss word ", "P\u00e4ss word")] == [
        True,
        True,
        False,
        False,
    ]
    assert not SECRETS.verify("no hash", "x")
    assert not SECRETS.verify(None, "x")
    assert not SECRETS.outdated(kept)
    assert SECRETS.outdated(kept.replace("m=19456", "m=9728"))
