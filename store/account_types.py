"""Rows of residents' accounts, and what each role may do at a unit (portal API 3). Instants are µs UTC; nothing here is a secret in clear."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["INVITED", "OWN", "ROLES", "Account", "Claim", "Contact", "Evidence", "Factor", "FlowRow", "Grant", "Session"]

#: Roles of those who are invited: they see nothing once the inviter's time is over.
INVITED: Final = ("household", "third_party")
#: Which paper an operator saw, or that no paper was needed; never a copy or a number of it.
Evidence = Literal["identity_document", "contract", "lease", "bill", "deed", "land_register", "power_of_attorney", "known_in_person"]
#: What every account may do with itself.
OWN: Final = ("me:self", "sessions:self", "grants:self")
_READS: Final = ("units:read", "consumption:read")
_GUEST: Final = (*_READS, "readings:read", "announcements:read")
_HOUSEHOLD: Final = (*_GUEST, "events:read")
_RESIDENT: Final = (*_HOUSEHOLD, "documents:read", "balance:read", "readings:self", "alerts:self", "statements:self", "messages:self")
#: What a role may do at a unit (API.md 3). A session of an account may do all that some grant allows; each unit asks its own grant.
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "account": (*OWN, *_RESIDENT),
    "resident": _RESIDENT,
    "resident:limited": _READS,
    "household": _HOUSEHOLD,
    "third_party": _READS,
    "guest": _GUEST,
    "submitter": ("readings:self",),
    "demo": _HOUSEHOLD,
}


@dataclass(frozen=True, slots=True)
class Account:
    """A person in a realm; `password` is the argon2id hash, `failures` the wrong ones in a row, `last_unit` the one that was shown last."""

    id: str
    realm: str
    username: str | None
    name: str
    locale: str
    password: str
    created: int
    failures: int
    ended: int | None
    last_unit: str | None = None

    def __repr__(self) -> str:
        """Name the account without its hash."""
        return f"Account({self.id})"


@dataclass(frozen=True, slots=True)
class Contact:
    """An address of an account: channel 'email' or 'phone', use 'auth', 'notify' or 'recovery'; `verified` is when it was proven."""

    id: str
    account: str
    channel: str
    address: str
    use: str
    verified: int | None


@dataclass(frozen=True, slots=True)
class Factor:
    """A second factor: kind 'totp', 'totp:new' (not proven yet) or 'recovery'; `secret` sealed or hashed, `counter` the last one used."""

    id: str
    account: str
    kind: str
    secret: bytes
    counter: int
    created: int
    used: int | None


@dataclass(frozen=True, slots=True)
class Claim:
    """What gives the right to a unit, for the occupancy that begins at `occupancy`; hashes only.

    An invitation has a `giver` (account), an end, and what the grant is narrowed to; `sent_to` is the masked address that it was sent to. A claim to send
    readings in has the `point` of its meter.
    """

    id: str
    manager: str
    kind: str
    unit: str
    occupancy: int | None
    role: str
    identifier: bytes
    proof: bytes
    created: int
    expires: int | None
    used: int | None
    withdrawn: int | None
    giver: str | None
    until: int | None
    data_from: int | None = None
    finest: str | None = None
    quantities: str | None = None
    sent_to: str | None = None
    point: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may see a unit, as what, in which occupancy, from when on and until when; `giver` invited.

    Narrowed to data not before `data_from`, to a level, and to `quantities` (classes, with spaces between); `evidence` is the kind that an operator saw.
    """

    id: str
    account: str
    manager: str
    unit: str
    occupancy: int | None
    role: str
    since: int
    until: int | None
    source: str
    giver: str | None
    created: int
    ended: int | None
    data_from: int | None = None
    finest: str | None = None
    quantities: str | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that proved who it is; `held` is what a guest holds without an account, `fresh` when it was last proven, `idle` its longest pause."""

    id: str
    realm: str
    manager: str
    account: str | None
    role: str
    held: Mapping[str, Any]
    created: int
    seen: int
    expires: int
    idle: int
    fresh: int
    agent: str
    ended: int | None


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A flow as kept between its pages; `state` is the interpreter's."""

    id: str
    cookie: bytes
    realm: str
    manager: str
    name: str
    state: Mapping[str, Any]
    expires: int
