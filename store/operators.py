"""Who works for a manager in a browser: operators, let in by a link of the command line that is good once. Part of registry.sqlite, as `registry.operators`.

Rules: there is none before one is added; of a link its SHA-256 is kept, and only the newest of an operator counts; a session is asked at each request whether its
operator is still there, so that an end works at once. Instants are µs UTC.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from submeter.civil import HOUR, MINUTE
from submeter.store.accounts import Session, digest
from submeter.store.errors import StoreError
from submeter.store.part import Part, columns
from submeter.store.registry_types import SCOPES

__all__ = ["STAFF", "Operator", "Operators", "session_of"]

#: What the roles of operators may do: all of the tenant but what is residents' own; and reading it (portal API 3).
STAFF: Final[Mapping[str, tuple[str, ...]]] = {
    "operator": SCOPES,
    "manager": tuple(scope for scope in SCOPES if scope.endswith(":read") and scope not in {"audit:read", "bulk:read"}),
}
#: How long a link is good; how long a session lasts at most, and without a request (FLOWS 8, staff).
LINK: Final = 30 * MINUTE
LASTS: Final = 12 * HOUR
IDLE: Final = 30 * MINUTE
LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who works for a manager; `link_until` is the end of a link that nobody followed yet."""

    id: str
    manager: str
    name: str
    role: str
    created: int
    ended: int | None
    link_until: int | None


class Operators(Part):
    """The operators of a registry."""

    def invite(self, manager: str, name: str, role: str, *, identity: str, now: int) -> str:
        """Add an operator (as `identity`), or give one that is there another role; return the secret of a new link, told this once.

        StoreError for a manager, name or role that cannot be.
        """
        if role not in STAFF:
            raise StoreError(f"{role!r} is no role of an operator: write one of {', '.join(STAFF)}")
        if not name.strip() or len(name) > LONGEST or not name.isprintable():
            raise StoreError(f"a name has 1 to {LONGEST} printable characters")
        if not self._rows("SELECT 1 FROM managers WHERE id = ?", manager):
            raise StoreError(f"there is no manager {manager}: the directory names them")
        secret = secrets.token_urlsafe(32)
        with self._file.writing() as db:
            db.execute(
                "INSERT INTO operators (id, manager, name, role, created) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (manager, name) WHERE ended IS NULL DO UPDATE SET role = excluded.role",
                (identity, manager, name, role, now),
            )
            db.execute(
                "UPDATE operators SET link = ?, link_until = ? WHERE manager = ? AND name = ? AND ended IS NULL",
                (digest(secret), now + LINK, manager, name),
            )
            self._file.record("operator", "operator.link", f"operator:{name}", role, manager=manager)
        return secret

    def take(self, secret: str, manager: str, now: int) -> Operator | None:
        """Use a link up at the portal of a manager; None if it is not good there, was used, or is over."""
        with self._file.writing() as db:
            sql = "UPDATE operators SET link = NULL, link_until = NULL WHERE link = ? AND manager = ? AND link_until > ? AND ended IS NULL"
            row = db.execute(f"{sql} RETURNING {columns(Operator)}", (digest(secret), manager, now)).fetchone()
            return Operator(*row) if row else None

    def one(self, identity: str) -> Operator | None:
        """Return an operator that has not ended."""
        return self._one(Operator, "operators", "id = ? AND ended IS NULL", identity)

    def all(self) -> list[Operator]:
        """Return all operators, ended ones too, in order of manager, name and making."""
        return self._find(Operator, "operators", "true ORDER BY manager, name, created")

    def end(self, manager: str, name: str, now: int) -> None:
        """End an operator with link and sessions, at once; StoreError if there is none."""
        with self._file.writing() as db:
            sql = "UPDATE operators SET ended = ?, link = NULL, link_until = NULL WHERE manager = ? AND name = ? AND ended IS NULL RETURNING id"
            row = db.execute(sql, (now, manager, name)).fetchone()
            if row is None:
                raise StoreError(f"there is no operator {name} of {manager}: `submeter operator list` shows them")
            db.execute(
                "UPDATE sessions SET ended = ? WHERE account IS NULL AND ended IS NULL AND json_extract(held, '$.operator') = ?", (now, row[0])
            )
            self._file.record("operator", "operator.end", f"operator:{name}", manager=manager)


def session_of(one: Operator, identity: str, realm: str, agent: str, now: int) -> Session:
    """The session that a link opens: of nobody's account, for one manager, with an end some hours later."""
    held = {"operator": one.id, "name": one.name}
    return Session(identity, realm, one.manager, None, one.role, held, now, now, now + LASTS, IDLE, now, agent[:100], None)
