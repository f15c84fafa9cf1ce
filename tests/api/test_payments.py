"""Payment strings: the examples of the standards, and what a bank would refuse."""

import re

import pytest
from pydantic import TypeAdapter, ValidationError

from submeter.api.payments import Payment, PaymentError, drawn, payment_string

READ = TypeAdapter(Payment).validate_python
EPC = {"scheme": "epc", "bic": "BPOTBEB1", "name": "Red Cross of Belgium", "iban": "BE72 0000 0000 1616", "purpose": "CHAR", "text": "Urgency fund"}
UPN = {
    "scheme": "upn",
    "payer": "Janez Novak",
    "payer_street": "Dunajska 1",
    "payer_town": "1000 Ljubljana",
    "purpose": "RENT",
    "text": "Plačilo najemnine 10/2016",
    "iban": "SI56 0510 0801 0486 080",
    "reference": "RF45 SBO2 010",
    "name": "Novo podjetje d.o.o.",
    "street": "Lepa cesta 15",
    "town": "3698 Loški Potok",
}
RUSSIAN = {
    "scheme": "st00012",
    "name": "Товарищество «Три кита»",
    "account": "40702810138250123017",
    "bank": 'Банк "Север"',
    "bic": "044525225",
    "correspondent": "30101810965770000413",
}
CZECH = {"scheme": "spd", "iban": "CZ58 5500 0000 0012 6509 8001"}

UPNQR = (
    "UPNQR\n\n\n\n\nJanez Novak\nDunajska 1\n1000 Ljubljana\n00000008105\n\n\nRENT\nPlačilo najemnine 10/2016\n15.11.2016\nSI56051008010486080\n"
    "RF45SBO2010\nNovo podjetje d.o.o.\nLepa cesta 15\n3698 Loški Potok\n188\n"
)
EXAMPLES = [
    (EPC, 100, "EUR", None, "BCD\n002\n1\nSCT\nBPOTBEB1\nRed Cross of Belgium\nBE72000000001616\nEUR1.00\nCHAR\n\nUrgency fund"),
    (
        {
            "scheme": "epc",
            "bic": "BHBLDEHHXXX",
            "name": "Franz Mustermänn",
            "iban": "DE71110220330123456789",
            "purpose": "GDDS",
            "reference": "RF18539007547034",
        },
        1230,
        "EUR",
        None,
        "BCD\n002\n1\nSCT\nBHBLDEHHXXX\nFranz Mustermänn\nDE71110220330123456789\nEUR12.30\nGDDS\nRF18539007547034",
    ),
    (
        UPN,
        8105,
        "EUR",
        "2016-11-15",
        UPNQR,
    ),
    (
        RUSSIAN,
        100_000,
        "RUB",
        None,
        'ST00012|Name=Товарищество «Три кита»|PersonalAcc=40702810138250123017|BankName=Банк "Север"|BIC=044525225|CorrespAcc=30101810965770000413|Sum=100000',
    ),
    (CZECH, 48_055, "CZK", None, "SPD*1.0*ACC:CZ5855000000001265098001*AM:480.55*CC:CZK"),
    (
        CZECH | {"text": "PLATBA ZA ZBOŽÍ *%", "variable": "1234567890", "bic": "RZBCCZPP"},
        48_000,
        "CZK",
        "2026-02-14",
        "SPD*1.0*ACC:CZ5855000000001265098001+RZBCCZPP*AM:480.00*CC:CZK*DT:20260214*MSG:PLATBA ZA ZBO%C5%BD%C3%8D %2A%25*X-VS:1234567890",
    ),
]


@pytest.mark.parametrize(("data", "amount", "currency", "due", "string"), EXAMPLES)
def test_examples(data, amount, currency, due, string):
    """What the standards, or banks after them, print."""
    assert payment_string(READ(data), amount, currency, due) == string


#: An account of each country, as the registry of IBANs prints it.
IBANS = """
    NO93 8601 1117 947 | BE68 5390 0754 7034 | DK50 0040 0440 1162 43 | FI21 1234 5600 0007 85 | NL91 ABNA 0417 1643 00 | SI56 2633 0001 2039 086
    AT61 1904 3002 3457 3201 | BA39 1290 0794 0102 8494 | EE38 2200 2210 2014 5685 | LT12 1000 0111 0100 1000 | LU28 0019 4006 4475 0000
    CH93 0076 2011 6238 5295 7 | HR12 1001 0051 8630 0016 0 | LI21 0881 0000 2324 013A A | LV80 BANK 0000 4351 9500 1 | BG80 BNBG 9661 1020 3456 78
    DE89 3704 0044 0532 0130 00 | GB29 NWBK 6016 1331 9268 19 | IE29 AIBK 9311 5212 3456 78 | ME25 5050 0001 2345 6789 51 | RS35 2600 0560 1001 6113 79
    CZ65 0800 0000 1920 0014 5399 | ES91 2100 0418 4502 0005 1332 | RO49 AAAA 1B31 0075 9384 0000 | SE45 5000 0000 0583 9825 7466
    SK31 1200 0000 1987 4263 7541 | PT50 0002 0123 1234 5678 9015 4 | FR14 2004 1010 0505 0001 3M02 606 | GR16 0110 1250 0000 0001 2300 695
    IT60 X054 2811 1010 0000 0123 456 | SM86 U032 2509 8000 0000 0270 100 | CY17 0020 0128 0000 0012 0052 7600 | HU42 1177 3016 1111 1018 0000 0000
    PL61 1090 1014 0000 0712 1981 2874 | MT84 MALT 0110 0001 2345 MTLC AST0 01S
"""


@pytest.mark.parametrize("iban", [one.strip() for line in IBANS.split("\n") for one in line.split("|") if one.strip()])
def test_accounts_of_all_countries(iban):
    """Taken with blanks and in any case, kept without; one digit changed, lost or put in is refused."""
    plain = iban.replace(" ", "")
    assert READ(EPC | {"iban": iban.lower()}).iban == plain
    digit = max(place for place, sign in enumerate(plain) if sign.isdigit())
    for wrong in (plain[:digit] + str((int(plain[digit]) + 1) % 10) + plain[digit + 1 :], plain[:-1], f"{plain}0"):
        with pytest.raises(ValidationError):
            READ(EPC | {"iban": wrong})


@pytest.mark.parametrize(
    ("reference", "kept"),
    [
        ("RF18 5390 0754 7034", "RF18539007547034"),
        ("rf712348231", "RF712348231"),
        ("RF45SBO2010", "RF45SBO2010"),
        ("", ""),
        ("RF18539007547035", None),
        ("RF18", None),
        ("XX18539007547034", None),
    ],
)
def test_creditor_references(reference, kept):
    """ISO 11649: its form and its checksum."""
    if kept is None:
        with pytest.raises(ValidationError):
            READ(EPC | {"reference": reference, "text": ""})
    else:
        assert READ(EPC | {"reference": reference, "text": ""}).reference == kept


@pytest.mark.parametrize(
    ("reference", "kept"),
    [
        ("SI12 1234567-1234-12", "SI121234567-1234-12"),
        ("si99", "SI99"),
        ("RF45 SBO2 010", "RF45SBO2010"),
        ("", ""),
        ("SI1", None),
        ("SI12 12A", None),
        ("RF46SBO2010", None),
        ("SI12" + "1" * 23, None),
    ],
)
def test_slovenian_references(reference, kept):
    """SI with its model, or RF."""
    if kept is None:
        with pytest.raises(ValidationError):
            READ(UPN | {"reference": reference})
    else:
        assert READ(UPN | {"reference": reference}).reference == kept


@pytest.mark.parametrize(
    ("data", "currency", "amount", "taken"),
    [
        (EPC, "EUR", 1, True),
        (EPC, "EUR", 99_999_999_999, True),
        (EPC, "EUR", 100_000_000_000, False),
        (UPN, "EUR", 1, True),
        (UPN, "EUR", 99_999_999_999, True),
        (UPN, "EUR", 0, False),
        (RUSSIAN, "RUB", 1, True),
        (RUSSIAN, "RUB", 10**18 - 1, True),
        (RUSSIAN, "RUB", 10**18, False),
        (RUSSIAN, "RUB", 0, False),
        (CZECH, "CZK", 1, True),
        (CZECH, "EUR", 999_999_999, True),
        (CZECH, "CZK", 0, False),
    ],
)
def test_the_bounds_of_amounts(data, currency, amount, taken):
    """The least and the most that each standard has room for."""
    try:
        payment_string(READ(data), amount, currency, None)
    except PaymentError:
        assert not taken
    else:
        assert taken


@pytest.mark.parametrize(("more", "taken"), [(0, True), (1, False)])
def test_an_epc_code_has_room_for_331_bytes(more, taken):
    """Counted in UTF-8, to the byte."""
    data = EPC | {"name": "x" * 70, "text": "ж" * 99}
    room = 331 - len(payment_string(READ(data), 100, "EUR", None).encode())
    filled = READ(data | {"text": "ж" * (99 + room // 2) + "x" * (room % 2 + more)})
    if taken:
        assert len(payment_string(filled, 100, "EUR", None).encode()) == 331
    else:
        with pytest.raises(PaymentError):
            payment_string(filled, 100, "EUR", None)


@pytest.mark.parametrize(("data", "amount", "currency", "due", "string"), EXAMPLES)
def test_codes_are_drawn_as_banks_read_them(data, amount, currency, due, string):
    """Inline SVG without a header; of UPN always version 15 (77 modules and a border of 4), of others as small as may be, and never a micro code."""
    payment = READ(data)
    svg = drawn(payment, payment_string(payment, amount, currency, due))
    size = int(re.search(r'<svg width="(\d+)" height="\1"', svg)[1]) // 4 - 8
    assert svg.startswith("<svg")
    assert size == 77 if data["scheme"] == "upn" else 21 <= size < 77
    assert (size - 17) % 4 == 0


@pytest.mark.parametrize(
    "data",
    [
        EPC | {"iban": "BE72000000001617"},
        EPC | {"iban": "BE7200000000161"},
        EPC | {"name": "Two\nlines"},
        EPC | {"name": "x" * 71},
        EPC | {"reference": "RF19539007547034", "text": ""},
        EPC | {"bic": "short"},
        UPN | {"iban": EPC["iban"]},
        UPN | {"name": "Компания"},
        UPN | {"name": "x" * 34},
        UPN | {"reference": "4711"},
        RUSSIAN | {"name": "a|Sum=1"},
        RUSSIAN | {"account": "4070281013825012301"},
        CZECH | {"variable": "12345678901"},
        CZECH | {"scheme": "other"},
    ],
)
def test_what_is_refused_when_it_comes(data):
    """Checksums, lengths, characters."""
    with pytest.raises(ValidationError):
        READ(data)


@pytest.mark.parametrize(
    ("data", "amount", "currency"),
    [
        (EPC, 100, "CZK"),
        (EPC, 0, "EUR"),
        (EPC, -100, "EUR"),
        (EPC | {"reference": "RF18539007547034"}, 100, "EUR"),
        (EPC | {"name": "ж" * 70, "text": "ж" * 140}, 100, "EUR"),
        (UPN, 100, "CZK"),
        (UPN, 10**11, "EUR"),
        (RUSSIAN, 100, "EUR"),
        (RUSSIAN | {"account": "40702810138250123018"}, 100, "RUB"),
        (CZECH, 10**9, "CZK"),
        (CZECH, None, None),
        (CZECH, 100, None),
        (CZECH, None, "CZK"),
    ],
)
def test_what_is_refused_with_its_amount(data, amount, currency):
    """Currencies, bounds, lengths in bytes, an account of another bank."""
    with pytest.raises(PaymentError):
        payment_string(READ(data), amount, currency, None)
