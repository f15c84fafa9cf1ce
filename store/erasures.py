"""Accounts that are to be erased, and what erasing is. Part of registry.sqlite, as `registry.erasures`.

Strategy: a wish is a row, which may be taken back for a week; then everything that refers to the account goes in one transaction: the rows of every table with a
foreign key to `accounts`, whichever those are, letters that it got, messages to its addresses, flows and counts under its id or addresses, bytes of documents that are nobody's now, and the account.
Rules: meter data of its units, also what it sent in, stay with the property; grants that it gave end; the audit and the access log keep its random id, which then names nobody.
"""

import json
from dataclasses import dataclass
from typing import Final

from submeter.store.part import Part

__all__ = ["WAIT", "Erasure", "Erasures"]

#: How long a wish may be taken back, µs.
WAIT: Final = 7 * 86_400_000_000
#: The addresses of an account, also one that waits for its code.
_ADDRESSES: Final = "SELECT address FROM contacts WHERE account = ?1 UNION SELECT address FROM new_contacts WHERE account = ?1"
#: Messages to an address; where another account has it too they may be that one's, and go with their time.
_MESSAGES: Final = "DELETE FROM outbox WHERE address = ? AND NOT EXISTS (SELECT 1 FROM contacts WHERE address = ? AND account <> ?)"


@dataclass(frozen=True, slots=True)
class Erasure:
    """An account that asked to be erased, when, and when it is (µs UTC)."""

    account: str
    asked: int
    due: int


class Erasures(Part):
    """The erasures of a registry."""

    def ask(self, account: str, now: int) -> Erasure:
        """Keep the wish; one that was kept before stands."""
        self._run("INSERT INTO erasures VALUES (?, ?, ?) ON CONFLICT DO NOTHING", account, now, now + WAIT)
        return self.ripe(2**62, account)[0]

    def withdraw(self, account: str) -> bool:
        """Take the wish back; False if there is none."""
        return bool(self._run("DELETE FROM erasures WHERE account = ?", account))

    def ripe(self, now: int, account: str | None = None) -> list[Erasure]:
        """Return the wishes that are due, of all accounts or of one."""
        return self._find(Erasure, "erasures", "due <= ? AND ? IN (account, '') ORDER BY due, account", now, account or "")

    def erase(self, account: str, now: int) -> None:
        """Erase an account now."""
        addresses = [address for (address,) in self._rows(_ADDRESSES, account)]
        with self._file.writing() as db:
            db.defer()
            db.execute("UPDATE grants SET ended = ? WHERE giver = ? AND ended IS NULL", (now, account))
            db.execute("UPDATE claims SET withdrawn = coalesce(withdrawn, ?) WHERE giver = ? AND used IS NULL", (now, account))
            for name in (account, *addresses):
                db.execute("DELETE FROM flows WHERE instr(state, ?) > 0", (json.dumps(name)[1:-1],))
                db.execute("DELETE FROM throttle WHERE instr(key, ?) > 0", (name,))
            for address in addresses:
                db.execute(_MESSAGES, (address, address, account))
            db.execute("UPDATE self_readings SET sender = '' WHERE sender = ?", (f"account:{account}",))
            db.execute("DELETE FROM letters WHERE subject = ?1 OR subject IN (SELECT id FROM grants WHERE account = ?1)", (account,))
            for table, column in db.referring("accounts"):
                db.execute(f"DELETE FROM {table} WHERE {column} = ?", (account,))  # noqa: S608 - names of our own tables
            db.execute("DELETE FROM document_files WHERE sha NOT IN (SELECT sha FROM documents)")
            db.execute("DELETE FROM accounts WHERE id = ?", (account,))
            self._file.record("job:nightly", "account.erase", account)
