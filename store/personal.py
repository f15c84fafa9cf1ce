"""Personal read tokens: what a resident gives to programs of the own home (portal FLOWS 8). Part of registry.sqlite, as `registry.personal`.

Rules: a secret is kept as SHA-256 only and told once; a token reads through some grants of its account and dies with them, with the account, and when all are
ended at once; its last use is written at most once a minute. Instants are µs UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from submeter.civil import DAY, MINUTE
from submeter.store.accounts import digest
from submeter.store.ids import lower_word
from submeter.store.part import Part

__all__ = ["PERSONAL", "PersonalToken", "PersonalTokens"]

#: What every secret begins with, so that a leaked one is found.
PERSONAL: Final = "sm_"
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


class PersonalTokens(Part):
    """The personal tokens of a registry."""

    def make(
        self, account: str, manager: str, scopes: Sequence[str], grants: Sequence[str], label: str, *, now: int, expires: int
    ) -> tuple[PersonalToken, str]:
        """Make a token; returns it with its secret, which is told this once."""
        identity = lower_word(8)
        secret = f"{PERSONAL}{identity}_{lower_word(32)}"
        made = PersonalToken(identity, account, manager, tuple(scopes), tuple(grants), label, now, expires, None)
        self._add("personal_tokens", made, hash=digest(secret), scopes=" ".join(scopes), grants=" ".join(grants))
        return made, secret

    def of(self, account: str, now: int) -> list[PersonalToken]:
        """Return the running tokens of an account in order of their making."""
        return self._read("account = ? AND " + _RUNNING + " ORDER BY created, id", account, now)

    def held(self, secret: str, now: int) -> PersonalToken | None:
        """Return the token of a secret unless it is over, and note that it was used."""
        found = next(iter(self._read("hash = ? AND " + _RUNNING, digest(secret), now)), None)
        if found is not None and (found.used is None or now - found.used > MINUTE):
            self._run("UPDATE personal_tokens SET used = ? WHERE id = ?", now, found.id, synced=False)
        return found

    def end(self, account: str, identity: str, now: int) -> bool:
        """End one token at once; False if the account has none like that."""
        return bool(self._run("UPDATE personal_tokens SET ended = ? WHERE id = ? AND account = ? AND ended IS NULL", now, identity, account))

    def end_all(self, account: str, now: int) -> None:
        """End all tokens of an account at once."""
        self._run("UPDATE personal_tokens SET ended = ? WHERE account = ? AND ended IS NULL", now, account)

    def expire(self, now: int) -> int:
        """Delete tokens that are over for a day; returns how many."""
        return self._run("DELETE FROM personal_tokens WHERE min(expires, coalesce(ended, expires)) < ?", now - DAY)

    def _read(self, where: str, *values: object) -> list[PersonalToken]:
        found = self._find(PersonalToken, "personal_tokens", where, *values)
        return [replace(one, scopes=tuple(str(one.scopes).split()), grants=tuple(str(one.grants).split())) for one in found]
