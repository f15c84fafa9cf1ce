"""Addresses that somebody wants to add to the own account and has not proven yet, one an account. Part of registry.sqlite, as `registry.new_contacts`.

Rules: the code is a keyed hash; it is gone once the address is proven or another one is wanted. Instants are µs UTC.
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

from submeter.civil import DAY
from submeter.store.events import File
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


class NewContacts:
    """The waiting addresses of a registry."""

    def __init__(self, file: File, rows: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._file = file
        self._rows = rows

    def keep(self, contact: NewContact) -> None:
        """Keep an address instead of the one that waited for this account."""
        with self._file.writing() as db:
            db.execute(upsert("new_contacts", "account", "channel, address, use, hash, tries, expires, resend"), astuple(contact))

    def of(self, account: str) -> NewContact | None:
        """Return the address that waits, also one whose code is over."""
        return next((NewContact(*row) for row in self._rows("SELECT * FROM new_contacts WHERE account = ?", account)), None)

    def expire(self, now: int) -> None:
        """Delete the addresses whose code is over for a day."""
        with self._file.writing() as db:
            db.execute("DELETE FROM new_contacts WHERE expires < ?", (now - DAY,))

    def drop(self, account: str) -> None:
        """Forget the address that waits."""
        with self._file.writing() as db:
            db.execute("DELETE FROM new_contacts WHERE account = ?", (account,))
