"""Small functions of many routes by known answers: what clients like and have, cursors, numbers and instants, money, networks, delays, who may be told how often."""

import re
from decimal import Decimal
from fractions import Fraction

import pytest

from submeter.api.labels import decimals_of, label_of
from submeter.api.mirror import minor, money
from submeter.api.negotiation import cursor, likes, place_of_cursor, preferred, tags
from submeter.api.numbers import moment, number
from submeter.api.problems import Invalid
from submeter.api.sending import PREFIX_A_DAY, channel_of, count_today, delay, let_out
from submeter.api.trace import network_of
from submeter.civil import DAY, HOUR, SECOND
from submeter.store import Registry
from submeter.store.published import NULL

NOW = 20_000 * DAY
FORM = re.compile(r"([0-9]+)-([0-9]+)")


@pytest.mark.parametrize(
    ("header", "liked"),
    [
        ("", []),
        ("cs", [("cs", 1)]),
        ("CS , en;q=0.5", [("cs", 1), ("en", 0.5)]),
        ("en;q=0", [("en", 0)]),
        ("en; q = 0.123", [("en", 0.123)]),
        ("en;Q=1.000", [("en", 1)]),
        ("en;q=0.1234", [("en", 0)]),
        ("en;q=1.1", [("en", 0)]),
        ("en;q=", [("en", 0)]),
        ("en;q=0.5;q=0.2", [("en", 0.2)]),
        ("text/csv;charset=utf-8", [("text/csv", 1)]),
        (",;q=1,", []),
    ],
)
def test_weights_of_a_header(header, liked):
    """RFC 9110, 12.4.2: 0 to 1 with three decimals at most; what cannot be read is 0, without one it is 1."""
    assert list(likes(header)) == liked


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("b/x", "b/x"),
        ("b/*", "b/x"),
        ("*/*", "a/x"),
        ("a/x;q=0.1, */*;q=0.5", "b/x"),
        ("b/x;q=0.5, a/*;q=0.5", "a/x"),
        ("a/*;q=0, */*", "b/x"),
        ("c/x", "a/x"),
    ],
)
def test_the_offer_that_is_liked_best(accept, chosen):
    """The closest name in the header counts; the first offer where none is liked, or several are as much."""
    assert preferred(accept, ("a/x", "b/x", "c/y")) == chosen


@pytest.mark.parametrize(
    ("header", "held"), [('"a"', {'"a"'}), ('W/"a", "b"', {'"a"', '"b"'}), ("*", {"*"}), ("", {""}), (' "a" ,"b" ', {'"a"', '"b"'})]
)
def test_entity_tags(header, held):
    """RFC 9110, 13.1.2: several, weak ones too."""
    assert tags(header) == held


@pytest.mark.parametrize("place", ["0-0", "12-7", f"{10**17}-{10**17}"])
def test_a_cursor_comes_back_as_its_place(place):
    """And is opaque: letters that a URL takes."""
    assert place_of_cursor(cursor(place), FORM, "/v1/x") == tuple(map(int, place.split("-")))
    assert re.fullmatch(r"[A-Za-z0-9_=-]+", cursor(place))


@pytest.mark.parametrize(
    "text", ["", "12-7", "x", "\u00e9", cursor("a12"), cursor("12-"), cursor("12-7 "), cursor("-1-7"), cursor("1-2-3"), "/w==", "MTIt=Nw"]
)
def test_what_is_no_cursor(text):
    """Another route's, a cut one, no base64, other signs: named with the route whose it should be."""
    with pytest.raises(Invalid) as refused:
        place_of_cursor(text, FORM, "/v1/changes")
    assert (refused.value.errors[0]["parameter"], "/v1/changes" in str(refused.value)) == ("after", True)


@pytest.mark.parametrize(
    ("micro", "shown"),
    [
        (0, 0),
        (1, 1e-06),
        (-1, -1e-06),
        (1_500_000, 1.5),
        (2_000_000, 2),
        (-2_000_000, -2),
        (123_456_789_012_345, 123456789.012345),
        (NULL, None),
        (None, None),
    ],
)
def test_numbers_of_micro_units(micro, shown):
    """Whole ones are whole; unknown is null, never 0."""
    assert number(micro) == shown
    assert isinstance(number(micro), float) == isinstance(shown, float)


@pytest.mark.parametrize(
    ("micro", "shown"), [(Fraction(10, 3), 3e-06), (Fraction(5, 2), 2e-06), (Fraction(7, 2), 4e-06), (Fraction(6_000_000, 3), 2), (Fraction(1, 3), 0)]
)
def test_means_are_rounded_once(micro, shown):
    """To the sixth decimal, halves to the even one."""
    assert number(micro) == shown


@pytest.mark.parametrize(
    ("at", "zone", "shown"),
    [
        (None, "", None),
        (None, "Europe/Prague", None),
        (0, "", "1970-01-01T00:00:00Z"),
        (0, "Europe/Prague", "1970-01-01T01:00:00+01:00"),
        (-1, "UTC", "1969-12-31T23:59:59.999999+00:00"),
    ],
)
def test_moments(at, zone, shown):
    """UTC, or local with its offset; what is not there is null."""
    assert moment(at, zone) == shown


@pytest.mark.parametrize(
    ("amount", "kept", "told"),
    [
        ("0", 0, "0.00"),
        ("0.05", 5, "0.05"),
        ("-0.05", -5, "-0.05"),
        ("1", 100, "1.00"),
        ("-1234.5", -123450, "-1234.50"),
        ("99999999999.99", 9999999999999, "99999999999.99"),
    ],
)
def test_money(amount, kept, told):
    """Whole hundredths inside, two decimals outside, the sign before both."""
    assert (minor(Decimal(amount)), money(kept)) == (kept, told)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("127.0.0.1", "127.0.0.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::1", "::/48"),
        ("", ""),
        ("testclient", ""),
        ("192.0.2.256", ""),
    ],
)
def test_networks(host, network):
    """The /24 of an address, the /48 of IPv6; "" for what is none."""
    assert network_of(host) == network


@pytest.mark.parametrize(("fails", "seconds"), [(0, 0), (4, 0), (5, 30), (6, 60), (7, 120), (15, 30720), (16, 61440), (17, 86400), (1000, 86400)])
def test_a_try_waits_longer_with_each_failure(fails, seconds):
    """Four are free, then half a minute and its doubles, a day at most."""
    assert delay(fails) == seconds * SECOND


@pytest.mark.parametrize(("contact", "channel"), [("phone", "sms"), ("email", "email")])
def test_what_writes_to_a_contact(contact, channel):
    """A phone gets SMS."""
    assert channel_of(contact) == channel


@pytest.fixture
def accounts(tmp_path):
    """Accounts of an empty registry."""
    with Registry(tmp_path / "registry.sqlite") as registry:
        yield registry.accounts


def sent(accounts, channel, addresses, *, hours=0, proven=False, manager="m"):
    """Which messages are let out, two an hour and address."""
    return [let_out(accounts, "realm", manager, channel, address, 2, NOW + hours * HOUR, proven=proven) for address in addresses]


def test_an_address_gets_so_many_messages_an_hour(accounts):
    """The next hour, and another address, have their own; what is not let out is not counted."""
    assert sent(accounts, "email", ["a@x", "a@x", "a@x", "b@x"]) == [True, True, False, True]
    assert sent(accounts, "email", ["a@x"], hours=1) == [True]


def test_unproven_numbers_of_a_prefix_have_a_limit_a_day(accounts):
    """A proven one, another prefix, another manager and mail are not held up by it; the next day begins anew."""
    numbers = [f"+420777{number:06d}" for number in range(PREFIX_A_DAY + 1)]
    assert sent(accounts, "phone", numbers) == [True] * PREFIX_A_DAY + [False]
    fresh = ["+420777999999"]
    assert sent(accounts, "phone", fresh, hours=23) == [False]
    assert sent(accounts, "phone", fresh, proven=True) == [True]
    assert sent(accounts, "phone", ["+420601999999"]) == [True]
    assert sent(accounts, "phone", fresh, manager="other") == [True]
    assert sent(accounts, "email", ["+42077@x"]) == [True]
    assert sent(accounts, "phone", fresh, hours=24) == [True]


def test_what_a_day_has_is_counted_by_the_day(accounts):
    """Nobody waits but for the count of today."""
    for _ in range(3):
        count_today(accounts, "k", NOW)
    assert accounts.held_up("k", NOW, daily=3)
    assert not accounts.held_up("k", NOW, daily=4)
    assert not accounts.held_up("k", NOW)
    assert not accounts.held_up("k", NOW + DAY, daily=3)
    count_today(accounts, "k", NOW + DAY)
    assert not accounts.held_up("k", NOW + DAY, daily=2)


@pytest.mark.parametrize(
    ("uom", "locale", "label", "decimals"),
    [
        ("m3", "en", "m³", 3),
        ("m3", "ru", "м³", 3),
        ("{hca}", "de", "Verbrauchseinheiten", 2),
        ("kW.h", "en", "kWh", 3),
        ("Cel", "cs", "°C", 2),
        ("%", "en", "%", 1),
        ("V", "en", "V", 1),
        ("Hz", "en", "Hz", 2),
        ("h", "en", "h", 0),
        ("1", "en", "", 0),
        ("m3.Cel", "en", "m³·°C", 3),
        ("[furlong]", "en", "[furlong]", 3),
    ],
)
def test_labels_and_decimals_of_units(uom, locale, label, decimals):
    """As people of a language write a unit; one that nobody knows stays its code, with three decimals."""
    assert (label_of(uom, locale), decimals_of(uom)) == (label, decimals)
