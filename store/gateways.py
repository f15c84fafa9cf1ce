"""Who may deliver: the credentials of gateways, and how far the numbers of their messages were looked at. Part of registry.sqlite, as `registry.gateways`.

Strategy: one secret a gateway, good as its password at the broker and as its token over HTTP, shown once. Kept of it are a SHA-256, to find who holds it, and the line
of mosquitto's password file (``$7$``: PBKDF2-SHA512), so that the file can be written at any time. What is known of the numbers (ingest/MQTT.md 10) is one text a gateway.
Rules: a secret has 256 random bits, so the rounds of the password file protect nothing more; what is made, changed or ended is in the audit. Instants are µs UTC.
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from submeter.store.accounts import digest
from submeter.store.errors import StoreError
from submeter.store.part import Part

__all__ = ["COLLECTOR", "Credential", "Gateways", "password_line"]

#: The user of the collector at the broker (ingest/MQTT.md 8): it has a password like a gateway, and no token.
COLLECTOR: Final = "submeter-ingest"
#: What a gateway may be called: one level of a topic, a user of the broker, a part of a path.
NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
PREFIX: Final = "smg_"
#: What mosquitto_passwd writes itself.
ROUNDS: Final = 101
SALT: Final = 12


@dataclass(frozen=True, slots=True)
class Credential:
    """A gateway that was let in: when first, when its secret was made, and when it was shut out."""

    name: str
    created: int
    rotated: int
    revoked: int | None


class Gateways(Part):
    """The gateways of a registry."""

    def create(self, name: str, now: int) -> str:
        """Let a gateway in, one that was shut out too; return its secret, told this once. StoreError for one that is in, or a name that cannot be."""
        if not NAME.fullmatch(name):
            raise StoreError(f"{name!r} is no name of a gateway: write 1 to 64 letters, digits, _ . and -, as the gateway names itself")
        found = self._one(Credential, "gateways", "name = ?", name)
        if found is not None and found.revoked is None:
            raise StoreError(f"gateway {name} has credentials already: `submeter gateway rotate {name}` makes new ones")
        return self._set(name, "gateway.create", now)

    def rotate(self, name: str, now: int) -> str:
        """Replace the secret of a gateway: the old one is void at once over HTTP, at the broker with its next password file. StoreError if it is not in."""
        found = self._one(Credential, "gateways", "name = ?", name)
        if found is None or found.revoked is not None:
            raise StoreError(
                f"gateway {name} has no credentials: `submeter gateway create {name}` makes them, `submeter gateway list` shows who has some"
            )
        return self._set(name, "gateway.rotate", now)

    def revoke(self, name: str, now: int) -> None:
        """Shut a gateway out: at once over HTTP, at the broker with its next password file. StoreError if it is not in."""
        sql = "UPDATE gateways SET revoked = ?, token = NULL, password = NULL WHERE name = ? AND revoked IS NULL"
        with self._file.writing() as db:
            if not db.execute(sql, (now, name)).rowcount:
                raise StoreError(f"gateway {name} has no credentials: `submeter gateway list` shows who has some")
            self._file.record("operator", "gateway.revoke", f"gateway:{name}")

    def all(self) -> list[Credential]:
        """Return all gateways that were ever let in, in order of their names, without their secrets."""
        return self._find(Credential, "gateways", "true ORDER BY name")

    def passwords(self) -> list[str]:
        """Return the lines of mosquitto's password file, of all that are in."""
        return [line for (line,) in self._rows("SELECT password FROM gateways WHERE revoked IS NULL ORDER BY name")]

    def holder(self, secret: str) -> str | None:
        """Return the gateway whose token this is; None if nobody's, and for the collector's own password."""
        rows = self._rows("SELECT name FROM gateways WHERE token = ? AND revoked IS NULL", digest(secret))
        return str(rows[0][0]) if rows else None

    def numbers(self) -> tuple[int, dict[str, Mapping[str, Any]]]:
        """Return the id of the inbox's last message that was looked at (0 at first), and what is known of each gateway's numbers."""
        upto = self._rows("SELECT upto FROM gateway_progress")
        states = self._rows("SELECT gateway, state FROM gateway_numbers ORDER BY gateway")
        return (int(upto[0][0]) if upto else 0), {gateway: json.loads(state) for gateway, state in states}

    def keep_numbers(self, upto: int, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep what is known of these gateways' numbers up to a message, with the transaction that is open."""
        with self._file.writing() as db:
            db.execute("INSERT INTO gateway_progress VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET upto = excluded.upto", (upto,))
            db.executemany(
                "INSERT INTO gateway_numbers VALUES (?, ?) ON CONFLICT (gateway) DO UPDATE SET state = excluded.state",
                [(gateway, json.dumps(dict(state))) for gateway, state in states.items()],
            )

    def _set(self, name: str, action: str, now: int) -> str:
        secret = PREFIX + secrets.token_urlsafe(32)
        token = None if name == COLLECTOR else digest(secret)
        with self._file.writing() as db:
            db.execute(
                "INSERT INTO gateways VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT (name) DO UPDATE SET "
                "token = excluded.token, password = excluded.password, rotated = excluded.rotated, revoked = NULL",
                (name, token, password_line(name, secret), now, now),
            )
            self._file.record("operator", action, f"gateway:{name}")
        return secret


def password_line(name: str, secret: str, salt: bytes | None = None) -> str:
    """A line of mosquitto's password file, as `mosquitto_passwd` of version 2 writes it; a new salt unless told."""
    salt = secrets.token_bytes(SALT) if salt is None else salt
    hashed = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, ROUNDS)
    return f"{name}:$7${ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(hashed).decode()}"
