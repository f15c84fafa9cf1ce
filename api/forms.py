"""What people type, in the one form in which it is kept: texts, usernames, mail addresses, phone numbers as E.164 (portal FLOWS 5). Raises Invalid with the field's name."""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from submeter.api.problems import Invalid
from submeter.api.sending import channel_of
from submeter.store.outbox import writable

__all__ = ["Body", "address_of", "text_of", "username_of"]

#: Longest field of a page.
LONGEST: Final = 1024
#: No number is longer without its trunk digit or country.
LOCAL: Final = 9


class Body(BaseModel):
    """The body of a request, or a part of one: a field that it does not have is a mistake."""

    model_config = ConfigDict(extra="forbid")


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """A field as a text that can be kept; raises Invalid."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST or any("\ud800" <= char <= "\udfff" for char in value):
        raise Invalid(f"a text of 1 to {LONGEST} characters is needed", name)
    return value


def username_of(text: str) -> str:
    """A name for a login; raises Invalid."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{3,64}", text):
        raise Invalid("3 to 64 letters a-z, digits, _ or -", "name")
    return text


def address_of(channel: str, text: str, country: str, *, strict: bool = True) -> str:
    """An address in the one form in which it is kept: mail in lower case, phones as E.164 of the portal's country; raises Invalid, or gives "" if not `strict`."""
    found = _written(channel, text, country)
    if writable(channel_of(channel), found):
        return found
    if strict:
        raise Invalid("write a mail address" if channel == "email" else "write a phone number with its country, e.g. +420777123456", channel)
    return ""


def _written(channel: str, text: str, country: str) -> str:
    mail = text.strip().lower()
    if channel == "email":
        return mail if re.fullmatch(r"[^@\s\x00-\x1f]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", mail) else ""
    digits = re.sub(r"[\s().-]", "", text)
    if not re.fullmatch(r"\+?\d{8,15}", digits):
        return ""
    return digits if digits.startswith("+") else _international(digits, country)


def _international(digits: str, country: str) -> str:
    """A number without + as E.164: with 00, with the trunk's 0 (Russia: 8 and ten digits), with the country's own code, or bare."""
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    if digits.startswith("0") or (country == "7" and digits.startswith("8") and len(digits) == len("89123456789")):
        return f"+{country}{digits[1:]}"
    return f"+{digits}" if digits.startswith(country) and len(digits) >= LOCAL + len(country) else f"+{country}{digits}"
