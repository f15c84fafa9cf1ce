"""Payment strings: the examples of the standards, and what a bank would refuse."""

import pytest
from pydantic import TypeAdapter, ValidationError

from submeter.api.payments import Payment, PaymentError, payment_string

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
    ],
)
def test_what_is_refused_with_its_amount(data, amount, currency):
    """Currencies, bounds, lengths in bytes, an account of another bank."""
    with pytest.raises(PaymentError):
        payment_string(READ(data), amount, currency, None)
