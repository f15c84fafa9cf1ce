"""Second factors of one's own: TOTP (RFC 6238) and recovery codes (portal FLOWS 7).

Rules: a TOTP secret is sealed with the installation's key, for its account; 30 seconds, one step either way, no counter twice; a recovery code is kept as a keyed
hash and is good once.
"""

import hmac
import secrets
from base64 import b32encode
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from submeter.api.secrets import Secrets, normalised, word
from submeter.store.accounts import Accounts, Factor
from submeter.store.registry import new_id

__all__ = ["Factors", "totp"]

STEP: Final = 30_000_000
NONCE: Final = 12
CODES: Final = 10


def totp(secret: bytes, counter: int) -> str:
    """The six digits of a counter (RFC 4226, 5.3)."""
    mac = hmac.digest(secret, counter.to_bytes(8, "big"), "sha1")
    at = mac[-1] & 0xF
    return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


class Factors:
    """The factors of all accounts."""

    def __init__(self, accounts: Accounts, key: Secrets) -> None:
        self._accounts = accounts
        self._key = key
        self._cipher = AESGCM(key.keyed("seal of factors"))

    def has_totp(self, account: str) -> bool:
        """Whether codes come from a device of one's own."""
        return any(one.kind == "totp" for one in self._accounts.factors(account))

    def codes_left(self, account: str) -> bool:
        """Whether an account has recovery codes that were not used."""
        return any(one.kind == "recovery" and one.used is None for one in self._accounts.factors(account))

    def begin(self, account: str, name: str, now: int) -> dict[str, str]:
        """A new secret, told this once; it counts when a code of it was given."""
        secret, nonce = secrets.token_bytes(20), secrets.token_bytes(NONCE)
        self._accounts.drop_factors(account, "totp:new")
        self._accounts.add_factor(
            Factor(new_id("o_"), account, "totp:new", nonce + self._cipher.encrypt(nonce, secret, account.encode()), 0, now, None)
        )
        text = b32encode(secret).decode()
        return {"secret": text, "uri": f"otpauth://totp/{quote(name)}?secret={text}&issuer=submeter"}

    def confirm(self, account: str, given: str, now: int) -> bool:
        """Take the new secret into use by a code of it."""
        for factor, counter in self._matching(account, "totp:new", given, now):
            self._accounts.confirm_factor(factor.id, counter)
            return True
        return False

    def recovery(self, account: str, now: int) -> list[str]:
        """Ten codes for bad times, told this once; those before are void."""
        codes = [word(8) for _ in range(CODES)]
        self._accounts.drop_factors(account, "recovery")
        for one in codes:
            self._accounts.add_factor(Factor(new_id("o_"), account, "recovery", self._key.keyed("recovery", account, one), 0, now, None))
        return codes

    def proves(self, account: str, given: str, now: int) -> bool:
        """Whether a text is a code of the account's device, or one of its recovery codes; it is used up by that."""
        if any(self._accounts.use_factor(factor.id, counter, now) for factor, counter in self._matching(account, "totp", given, now)):
            return True
        kept = self._key.keyed("recovery", account, normalised(given))
        found = [one for one in self._accounts.factors(account) if one.kind == "recovery" and hmac.compare_digest(one.secret, kept)]
        return any(self._accounts.use_factor(one.id, 1, now) for one in found)

    def _matching(self, account: str, kind: str, given: str, now: int) -> Iterator[tuple[Factor, int]]:
        """The factors of a kind that a code is of, with its counter: this one, the one before or the next."""
        for factor in self._accounts.factors(account):
            if factor.kind == kind:
                try:
                    secret = self._cipher.decrypt(factor.secret[:NONCE], factor.secret[NONCE:], account.encode())
                except InvalidTag:
                    continue
                for counter in range(now // STEP - 1, now // STEP + 2):
                    if hmac.compare_digest(totp(secret, counter).encode(), given.encode()):
                        yield factor, counter
