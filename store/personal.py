"""Personal read tokens: what a resident gives to programs of the own home (portal FLOWS 8). Part of registry.sqlite, as `registry.personal`.

Rules: a secret is kept as SHA-256 only and told once; a token reads through some grants of its account and dies with them, with the account, and when all are
ended at once; its last use is written at most once a minute. Instants are µs UTC.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from submeter.civil import DAY, MINUTE
from submeter.store.accounts import digest
from submeter.store.events import File
from submeter.store.ids import lower_word

__all__ = ["PERSONAL", "PersonalToken", "PersonalTokens"]

#: What every secret begins with, so that a leaked one is found.
PERSONAL: Final = "sm_"
_COLUMNS: Final = "id, account, manager, scopes, grants, label, created, expires, used"
_RUNNING: Final = "ended IS NULL AND expires > ? AND account IN (SELECT id FROM accounts WHERE ended IS NULL)"


@dataclass(frozen=True, slots=True)
class PersonalToken:
    """A token as listed, never its secret: whose, from which manager's portal, for what, by which grants, until when, and when it was used last."""

    id: str
    account: str
    manager: str
    scopes: tuple[str, ...]
    grants: tuple[str, ...]
    label: str
    created: int
    expires: int
    used: int | None


class PersonalTokens:
    """The personal tokens of a registry."""

    def __init__(self, file: File, rows: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._file = file
        self._rows = rows

    def make(
        self, account: str, manager: str, scopes: Sequence[str], grants: Sequence[str], label: str, *, now: int, expires: int
    ) -> tuple[PersonalToken, str]:
        """Make a token; returns it with its secret, which is told this once."""
        identity = lower_word(8)
        secret = f"{PERSONAL}{identity}_{lower_word(32)}"
        row = (identity, digest(secret), account, manager, " ".join(scopes), " ".join(grants), label, now, expires)
        with self._file.writing() as db:
            db.execute("INSERT INTO personal_tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", row)
        return PersonalToken(identity, account, manager, tuple(scopes), tuple(grants), label, now, expires, None), secret

    def of(self, account: str, now: int) -> list[PersonalToken]:
        """Return the running tokens of an account in order of their making."""
        return self._read("account = ? AND " + _RUNNING + " ORDER BY created, id", account, now)

    def held(self, secret: str, now: int) -> PersonalToken | None:
        """Return the token of a secret unless it is over, and note that it was used."""
        found = next(iter(self._read("hash = ? AND " + _RUNNING, digest(secret), now)), None)
        if found is not None and (found.used is None or now - found.used > MINUTE):
            with self._file.writing(synced=False) as db:
                db.execute("UPDATE personal_tokens SET used = ? WHERE id = ?", (now, found.id))
        return found

    def end(self, account: str, identity: str, now: int) -> bool:
        """End one token at once; False if the account has none like that."""
        with self._file.writing() as db:
            sql = "UPDATE personal_tokens SET ended = ? WHERE id = ? AND account = ? AND ended IS NULL"
            return bool(db.execute(sql, (now, identity, account)).rowcount)

    def end_all(self, account: str, now: int) -> None:
        """End all tokens of an account at once."""
        with self._file.writing() as db:
            db.execute("UPDATE personal_tokens SET ended = ? WHERE account = ? AND ended IS NULL", (now, account))

    def expire(self, now: int) -> int:
        """Delete tokens that are over for a day; returns how many."""
        with self._file.writing() as db:
            return db.execute("DELETE FROM personal_tokens WHERE min(expires, coalesce(ended, expires)) < ?", (now - DAY,)).rowcount

    def _read(self, where: str, *values: object) -> list[PersonalToken]:
        rows = self._rows(f"SELECT {_COLUMNS} FROM personal_tokens WHERE {where}", *values)  # noqa: S608 - our own words
        return [
            PersonalToken(identity, account, manager, tuple(scopes.split()), tuple(grants.split()), label, created, expires, used)
            for identity, account, manager, scopes, grants, label, created, expires, used in rows
        ]
