"""Addresses that somebody wants to add to the own account and has not proven yet, one an account. Part of registry.sqlite, as `registry.new_contacts`.

Rules: the code is a keyed hash; it is gone once the address is proven or another one is wanted. Instants are µs UTC.
"""

from dataclasses import astuple, dataclass

from submeter.civil import DAY
from submeter.store.part import Part, columns
from submeter.store.sql import upsert

__all__ = ["NewContact", "NewContacts"]


@dataclass(frozen=True, slots=True)
class NewContact:
    """An address that waits for its code: `tries` so far, when it `expires`, and from when on another code may be asked for."""

    account: str
    channel: str
    address: str
    use: str
    hash: bytes
    tries: int
    expires: int
    resend: int


class NewContacts(Part):
    """The waiting addresses of a registry."""

    def keep(self, contact: NewContact) -> None:
        """Keep an address instead of the one that waited for this account."""
        self._run(upsert("new_contacts", "account", columns(NewContact).removeprefix("account, ")), *astuple(contact))

    def of(self, account: str) -> NewContact | None:
        """Return the address that waits, also one whose code is over."""
        return self._one(NewContact, "new_contacts", "account = ?", account)

    def expire(self, now: int) -> None:
        """Delete the addresses whose code is over for a day."""
        self._run("DELETE FROM new_contacts WHERE expires < ?", now - DAY)

    def drop(self, account: str) -> None:
        """Forget the address that waits."""
        self._run("DELETE FROM new_contacts WHERE account = ?", account)
