"""What is written to people: the templates with the values that each one takes. Their texts stand in `texts/LOCALE.toml`, beside the words of the language.

Rules: every language has the same templates, and in each part (subject, body, sms) the same values; a body says all values of its template. `verify`
checks that at start. A value is put in as it is and never read for braces; in a subject and an SMS it is one line.
"""

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from submeter.config import words
from submeter.config.errors import ConfigError
from submeter.config.languages import LOCALES, read, toml_of

__all__ = ["SECRET", "TEMPLATES", "Text", "parse", "texts", "verify", "written"]

#: Each template with the values that it takes. Dates, months, amounts and names of things come as they are to be read, in the reader's language.
TEMPLATES: Final[Mapping[str, frozenset[str]]] = {
    "activation_password": frozenset({"portal", "login", "secret", "minutes"}),
    "confirm_link": frozenset({"portal", "link", "minutes"}),
    "code": frozenset({"code", "transaction", "minutes"}),
    "account_exists": frozenset({"portal"}),
    "new_grant": frozenset({"portal", "unit"}),
    "factor_changed": frozenset({"portal", "factor", "when"}),
    "contact_changed": frozenset({"portal", "contact", "when"}),
    "password_changed": frozenset({"portal", "when"}),
    "recovery_started": frozenset({"portal"}),
    "suspicious_login": frozenset({"portal", "browser", "when"}),
    "invitation": frozenset({"portal", "link", "code", "inviter", "unit", "until"}),
    "monthly_information": frozenset({"link", "unit", "month"}),
    "balance_due": frozenset({"link", "unit", "amount", "date"}),
    "payment_received": frozenset({"link", "unit", "amount", "date"}),
    "leak": frozenset({"link", "unit", "point", "since"}),
    "silence": frozenset({"link", "unit", "point", "since"}),
    "limit_exceeded": frozenset({"link", "unit", "quantity", "when", "used", "limit"}),
    "statement": frozenset({"link", "unit", "period"}),
    "message_to_operator": frozenset({"link", "unit", "ticket", "sender", "text"}),
    "announcement": frozenset({"link", "title", "text"}),
    "export_ready": frozenset({"link", "until"}),
    "erasure_asked": frozenset({"portal", "when"}),
    "recovery_letter": frozenset({"portal", "unit", "secret", "until"}),
    "confirmation_letter": frozenset({"portal", "unit", "secret", "until"}),
    "claim_letter": frozenset({"portal", "unit", "until"}),
    "claims_cover": frozenset({"portal", "place"}),
}
#: Templates with something that opens a door: they end with it, so they must say when.
SECRET: Final = frozenset({"activation_password", "confirm_link", "code", "invitation", "recovery_letter", "confirmation_letter"})

#: Parts of a template in the files, and what the frame of a mail is called there.
PARTS: Final = ("subject", "body", "sms")
FRAME: Final = "frame"
#: A section that is no template: config/words.py reads it.
WORDS: Final = "words"
#: What every template may name besides its values: who writes.
_BRAND: Final = frozenset({"brand"})

Part = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Text:
    """A message as it is read: a subject and a body for mails and letters, `short` for SMS."""

    subject: str = field(repr=False)
    body: str = field(repr=False)
    short: str = field(repr=False)


@cache
def texts(locale: str) -> Mapping[str, Part]:
    """Read the file of a language, checked; ConfigError names the file, the template and the part that is wrong."""
    return _checked(read(locale), f"texts/{locale}.toml")


def parse(text: str, file: str) -> Mapping[str, Part]:
    """Check the text of a language's file; ConfigError has one line per mistake."""
    return _checked(toml_of(text, file), file)


def _checked(whole: Mapping[str, Part], file: str) -> Mapping[str, Part]:
    found = {name: parts for name, parts in whole.items() if name != WORDS}
    if mistakes := list(_mistakes(found)):
        raise ConfigError("\n".join(f"{file}: {mistake}" for mistake in mistakes))
    return found


def verify() -> None:
    """Check texts and words of all languages; ConfigError names what is wrong, or where two differ."""
    words.verify()
    first, *others = LOCALES
    for locale in others:
        for template in TEMPLATES:
            for part in PARTS:
                if _names(texts(locale)[template][part]) != _names(texts(first)[template][part]):
                    raise ConfigError(f"texts/{locale}.toml: [{template}] {part}: it has other values in braces than texts/{first}.toml")


def written(template: str, locale: str, values: Mapping[str, str], brand: str) -> Text:
    """Fill a template in; `brand` is who writes."""
    parts, named = texts(locale)[template], dict(values) | {"brand": brand}
    lines = {name: " ".join(value.split()) for name, value in named.items()}
    body = parts["body"].format_map(named)
    return Text(
        f"[{lines['brand']}] {parts['subject'].format_map(lines)}",
        texts(locale)[FRAME]["body"].format_map({"text": body, "brand": lines["brand"]}),
        parts["sms"].format_map(lines),
    )


def _mistakes(found: Mapping[str, Part]) -> Iterator[str]:
    if _names(found.get(FRAME, {}).get("body", "")) != {"text", "brand"}:
        yield f"[{FRAME}] body: it says {{text}} and {{brand}}, nothing else"
    yield from (f"[{name}]: there is no such template" for name in found.keys() - TEMPLATES.keys() - {FRAME})
    for template, values in TEMPLATES.items():
        parts = found.get(template, {})
        yield from (f"[{template}] {part}: it is missing" for part in PARTS if not parts.get(part))
        yield from (f"[{template}] {part}: there is no such part" for part in parts.keys() - set(PARTS))
        for part, text in parts.items():
            if unknown := _names(text) - values - _BRAND:
                yield f"[{template}] {part}: there is no value {', '.join(sorted(unknown))}"
        if missing := values - _names(parts.get("body", "")):
            yield f"[{template}] body: it does not say {', '.join(sorted(missing))}"


def _names(text: str) -> set[str]:
    """The values that a text names; a brace that is none of them is a name that nobody has."""
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError:
        return {text}
    return {text if form or conversion or not name.isidentifier() else name for _, name, form, conversion in parsed if name is not None}
