"""What is written to people: the templates with the values that each one takes. Their texts stand in `texts/LOCALE.toml`, one file a language."""

from collections.abc import Mapping
from typing import Final

__all__ = ["LOCALES", "SECRET", "TEMPLATES"]

LOCALES: Final = ("cs", "sl", "nb", "ru", "en", "de")
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
    "suspicious_login": frozenset({"portal", "browser", "when"}),
    "invitation": frozenset({"portal", "link", "inviter", "unit", "until"}),
    "monthly_information": frozenset({"link", "unit", "month"}),
    "balance_due": frozenset({"link", "unit", "amount", "date"}),
    "payment_received": frozenset({"link", "unit", "amount", "date"}),
    "leak": frozenset({"link", "unit", "point", "since"}),
    "silence": frozenset({"link", "unit", "point", "since"}),
    "statement": frozenset({"link", "unit", "period"}),
    "message_to_operator": frozenset({"link", "unit", "sender", "text"}),
}
#: Templates with something that opens a door: they end with it, so they must say when.
SECRET: Final = frozenset({"activation_password", "confirm_link", "code", "invitation"})
