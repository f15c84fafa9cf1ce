"""Payment strings and their QR codes, from the payment data that the accounting system sent: EPC (SEPA), UPN QR (Slovenia), ST00012 (Russia), SPD (Czechia).

Pure: nothing is opened. Rules: what a bank would refuse is refused here, when the data come: checksums of IBAN, reference and account, lengths, characters,
currency; amounts are whole minor units (hundredths). Standards: EPC069-12 version 002; UPN QR of Združenje bank Slovenije; GOST R 56042-2014; SPAYD 1.0.
"""

import re
from datetime import date
from typing import Annotated, Final, Literal
from urllib.parse import quote

import segno
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["Epc", "Payment", "PaymentError", "Spd", "St00012", "Upn", "drawn", "payment_string"]

#: How long the IBAN of a country is.
IBAN_LENGTHS: Final = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "NL"), 18),
    **dict.fromkeys(("SI",), 19),
    **dict.fromkeys(("AT", "BA", "EE", "LT", "LU"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "DE", "GB", "IE", "ME", "RS"), 22),
    **dict.fromkeys(("CZ", "ES", "RO", "SE", "SK"), 24),
    **dict.fromkeys(("PT",), 25),
    **dict.fromkeys(("FR", "GR", "IT", "SM"), 27),
    **dict.fromkeys(("CY", "HU", "PL"), 28),
}
#: Bytes that an EPC code may have, and the most that it says of money, cents.
EPC_BYTES: Final = 331
EPC_MOST: Final = 99_999_999_999
#: Digits of an amount in a UPN code.
UPN_MOST: Final = 99_999_999_999
#: Places of a Russian account that its bank's BIC is weighed with (Bank of Russia 515).
WEIGHTS: Final = (7, 1, 3)
#: Characters that SPAYD takes as they are.
PLAIN: Final = " $+-./:,!#&'()@;=?_"


class PaymentError(ValueError):
    """Payment data of which no string can be made."""


def _iban(text: str) -> str:
    """An IBAN without blanks; ValueError if its form, length or checksum is wrong."""
    iban = re.sub(r"\s", "", text).upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", iban) or len(iban) != IBAN_LENGTHS.get(iban[:2], len(iban)):
        raise ValueError("this is no IBAN: its form or length is wrong")
    if _mod97(iban[4:] + iban[:4]) != 1:
        raise ValueError("this is no IBAN: its checksum is wrong")
    return iban


def _reference(text: str) -> str:
    """A creditor reference (ISO 11649) without blanks; ValueError if its form or checksum is wrong."""
    reference = re.sub(r"\s", "", text).upper()
    if reference and (not re.fullmatch(r"RF[0-9]{2}[A-Z0-9]{1,21}", reference) or _mod97(reference[4:] + reference[:4]) != 1):
        raise ValueError("this is no RF reference: its form or checksum is wrong")
    return reference


def _upn_reference(text: str) -> str:
    """A Slovenian reference (SI and its model, or RF) without blanks; ValueError if its form is wrong."""
    reference = re.sub(r"\s", "", text).upper()
    if reference.startswith("RF"):
        return _reference(reference)
    if reference and not re.fullmatch(r"SI[0-9]{2}[0-9-]{0,22}", reference):
        raise ValueError("write SI, the model's two digits and the reference, or an RF reference")
    return reference


def _line(text: str) -> str:
    """Text of one line; ValueError for control characters."""
    if not text.isprintable():
        raise ValueError("this holds a line end or another control character")
    return text.strip()


def _latin2(text: str) -> str:
    """A line that ISO 8859-2 can say."""
    try:
        _line(text).encode("iso-8859-2")
    except UnicodeEncodeError:
        raise ValueError("this holds a character that ISO 8859-2 does not have") from None
    return text.strip()


def _unbarred(text: str) -> str:
    """A line without the sign that separates the fields of ST00012."""
    if "|" in text:
        raise ValueError("this holds |, which separates fields")
    return _line(text)


Iban = Annotated[str, Field(max_length=42), AfterValidator(_iban)]
Bic = Annotated[str, Field(pattern=r"^([A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?)?$")]
Purpose = Annotated[str, Field(pattern=r"^([A-Z]{4})?$")]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Epc(_Data):
    """A SEPA credit transfer; either an RF `reference` or a `text`."""

    scheme: Literal["epc"]
    iban: Iban
    name: Annotated[str, Field(min_length=1, max_length=70), AfterValidator(_line)]
    bic: Bic = ""
    purpose: Purpose = ""
    reference: Annotated[str, Field(max_length=35), AfterValidator(_reference)] = ""
    text: Annotated[str, Field(max_length=140), AfterValidator(_line)] = ""

    def string(self, amount: int, currency: str, _due: str | None) -> str:
        """The lines of the code; PaymentError for what the standard has no room for."""
        if currency != "EUR" or not 0 < amount <= EPC_MOST:
            raise PaymentError("epc pays 0.01 to 999999999.99 EUR")
        if self.reference and self.text:
            raise PaymentError("epc takes a reference or a text, not both")
        lines = ["BCD", "002", "1", "SCT", self.bic, self.name, self.iban, f"EUR{_decimal(amount)}", self.purpose, self.reference, self.text]
        string = "\n".join(lines).rstrip("\n")
        if len(string.encode()) > EPC_BYTES:
            raise PaymentError(f"epc has room for {EPC_BYTES} bytes: shorten name or text")
        return string


class Upn(_Data):
    """A Slovenian payment order: payer and payee with street and town, the payee's reference."""

    scheme: Literal["upn"]
    iban: Annotated[Iban, Field(pattern=r"(?i)^\s*SI")]
    name: Annotated[str, Field(min_length=1, max_length=33), AfterValidator(_latin2)]
    street: Annotated[str, Field(max_length=33), AfterValidator(_latin2)] = ""
    town: Annotated[str, Field(max_length=33), AfterValidator(_latin2)] = ""
    purpose: Annotated[str, Field(pattern=r"^[A-Z]{4}$")] = "OTHR"
    text: Annotated[str, Field(min_length=1, max_length=42), AfterValidator(_latin2)]
    reference: Annotated[str, Field(max_length=35), AfterValidator(_upn_reference)]
    payer: Annotated[str, Field(max_length=33), AfterValidator(_latin2)] = ""
    payer_street: Annotated[str, Field(max_length=33), AfterValidator(_latin2)] = ""
    payer_town: Annotated[str, Field(max_length=33), AfterValidator(_latin2)] = ""

    def string(self, amount: int, currency: str, due: str | None) -> str:
        """The nineteen fields, each ended by a line end, and the sum that checks them."""
        if currency != "EUR" or not 0 < amount <= UPN_MOST:
            raise PaymentError("upn pays 0.01 to 999999999.99 EUR")
        day = date.fromisoformat(due).strftime("%d.%m.%Y") if due else ""
        payer = ["", "", "", "", self.payer, self.payer_street, self.payer_town]
        what = [f"{amount:011d}", "", "", self.purpose, self.text, day]
        fields = ["UPNQR", *payer, *what, self.iban, self.reference, self.name, self.street, self.town]
        string = "".join(f"{field}\n" for field in fields)
        return f"{string}{len(string):03d}\n"


class St00012(_Data):
    """A Russian payment order: the payee's account at a bank, its tax numbers, the payer's account number there."""

    scheme: Literal["st00012"]
    name: Annotated[str, Field(min_length=1, max_length=160), AfterValidator(_unbarred)]
    account: Annotated[str, Field(pattern=r"^[0-9]{20}$")]
    bank: Annotated[str, Field(min_length=1, max_length=45), AfterValidator(_unbarred)]
    bic: Annotated[str, Field(pattern=r"^[0-9]{9}$")]
    correspondent: Annotated[str, Field(pattern=r"^([0-9]{20}|0)$")]
    inn: Annotated[str, Field(pattern=r"^([0-9]{10}|[0-9]{12})?$")] = ""
    kpp: Annotated[str, Field(pattern=r"^([0-9]{9})?$")] = ""
    text: Annotated[str, Field(max_length=210), AfterValidator(_unbarred)] = ""
    payer_account: Annotated[str, Field(max_length=30), AfterValidator(_unbarred)] = ""

    def string(self, amount: int, currency: str, _due: str | None) -> str:
        """The fields of the standard, the five required ones first, in UTF-8."""
        if currency != "RUB" or not 0 < amount < 10**18:
            raise PaymentError("st00012 pays RUB, more than nothing")
        if not self.bic.endswith(("000", "001", "002")) and _weighed(self.bic[-3:] + self.account):
            raise PaymentError("st00012: the account does not belong to a bank of this BIC")
        needed = {"Name": self.name, "PersonalAcc": self.account, "BankName": self.bank, "BIC": self.bic, "CorrespAcc": self.correspondent}
        others = {"PayeeINN": self.inn, "KPP": self.kpp, "Sum": str(amount), "Purpose": self.text, "PersAcc": self.payer_account}
        return "|".join(["ST00012", *(f"{name}={value}" for name, value in (needed | {key: one for key, one in others.items() if one}).items())])


class Spd(_Data):
    """A Czech or Slovak payment (QR Platba), with the three Czech symbols."""

    scheme: Literal["spd"]
    iban: Iban
    bic: Bic = ""
    name: Annotated[str, Field(max_length=35), AfterValidator(_line)] = ""
    text: Annotated[str, Field(max_length=60), AfterValidator(_line)] = ""
    reference: Annotated[str, Field(pattern=r"^[0-9]{0,16}$")] = ""
    variable: Annotated[str, Field(pattern=r"^[0-9]{0,10}$")] = ""
    specific: Annotated[str, Field(pattern=r"^[0-9]{0,10}$")] = ""
    constant: Annotated[str, Field(pattern=r"^[0-9]{0,10}$")] = ""

    def string(self, amount: int, currency: str, due: str | None) -> str:
        """Keys and values between stars."""
        if not 0 < amount < 10**9:
            raise PaymentError("spd pays 0.01 to 9999999.99")
        values = {
            "ACC": f"{self.iban}+{self.bic}" if self.bic else self.iban,
            "AM": _decimal(amount),
            "CC": currency,
            "RF": self.reference,
            "RN": self.name,
            "DT": (due or "").replace("-", ""),
            "MSG": self.text,
            "X-VS": self.variable,
            "X-SS": self.specific,
            "X-KS": self.constant,
        }
        return "*".join(["SPD", "1.0", *(f"{key}:{quote(value, safe=PLAIN)}" for key, value in values.items() if value)])


Payment = Annotated[Epc | Upn | St00012 | Spd, Field(discriminator="scheme")]


def payment_string(data: Epc | Upn | St00012 | Spd, amount: int | None, currency: str | None, due: str | None) -> str:
    """What a QR code says for an amount (minor units, ISO 4217) and a due date (ISO 8601); PaymentError where no bank would take it."""
    if amount is None or currency is None:
        raise PaymentError("a payment needs the document's amount and currency")
    return data.string(amount, currency, due)


def drawn(data: Epc | Upn | St00012 | Spd, string: str) -> str:
    """The QR code of a payment string as SVG to stand in a page: correction M; of `upn` in ISO 8859-2 and of version 15, as banks read it."""
    if isinstance(data, Upn):
        code = segno.make(string, error="m", version=15, mode="byte", encoding="iso-8859-2", eci=True, boost_error=False)
    else:
        code = segno.make(string, error="m", micro=False, encoding="utf-8", boost_error=False)
    return str(code.svg_inline(scale=4))


def _decimal(amount: int) -> str:
    return f"{amount // 100}.{amount % 100:02d}"


def _mod97(text: str) -> int:
    return int("".join(str(int(char, 36)) for char in text)) % 97


def _weighed(digits: str) -> int:
    """The last digit of the weighed sum: 0 where account and bank agree."""
    return sum(int(digit) * WEIGHTS[place % 3] % 10 for place, digit in enumerate(digits)) % 10
