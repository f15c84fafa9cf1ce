"""Residents' accounts: contacts, factors, claims, grants, consents, flows, sessions and what throttles them. Part of registry.sqlite, as `registry.accounts`.

Rules: nothing here is a secret in clear: passwords are argon2id, codes and claims keyed hashes, sessions SHA-256; who sees what follows from a grant and the
occupancy that it is of, both looked up at each request, so that an end works at once. What flows, sessions and throttles keep does not wait for the disk:
after a power cut the last of it may be missing. Instants are µs UTC.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from submeter.civil import DAY, MINUTE
from submeter.store.account_types import INVITED, OWN, ROLES, Account, Claim, Contact, Evidence, Factor, FlowRow, Grant, Session
from submeter.store.part import Part, columns
from submeter.store.registry_types import FINEST, Visible
from submeter.store.sql import upsert

__all__ = [
    "INVITED",
    "OWN",
    "ROLES",
    "Account",
    "Accounts",
    "Claim",
    "Contact",
    "Evidence",
    "Factor",
    "FlowRow",
    "Grant",
    "Session",
    "digest",
    "notice_address",
]

#: How long the holder of an ended occupancy reads what was measured in it: settlement (FLOWS 9).
SETTLEMENT: Final = 365 * DAY
#: A claim that nobody used or took back and that is not over.
_STANDING: Final = "used IS NULL AND withdrawn IS NULL AND (expires IS NULL OR expires > ?)"
#: The occupancy that a claim was made for is there and has not ended; a claim without one has no such end.
_LASTS: Final = """(occupancy IS NULL OR EXISTS (SELECT 1 FROM occupancies o WHERE o.unit = claims.unit AND o.since = claims.occupancy
  AND (o.until IS NULL OR o.until > ?)))"""
#: Units of an account at an instant: each grant in force with its occupancy (none on record: since ever) and the finest level of its property.
_VISIBLE: Final = """
SELECT g.unit, g.role, g.since, g.until, o.since, o.until, p.finest, g.occupancy IS NOT NULL AND o.since IS NULL AS lost,
  g.id, g.data_from, g.finest, g.quantities
FROM grants g JOIN units u ON u.id = g.unit JOIN properties p ON p.id = u.property AND p.manager = g.manager
LEFT JOIN occupancies o ON o.unit = g.unit AND o.since = g.occupancy
WHERE g.account = ? AND g.ended IS NULL AND g.since <= ? ORDER BY g.unit, o.since DESC NULLS LAST
"""

#: The same of a claim, for a guest.
_HELD: Final = """
SELECT g.unit, g.role, ?, g.until, o.since, o.until, p.finest, g.occupancy IS NOT NULL AND o.since IS NULL AS lost,
  g.id, g.data_from, g.finest, g.quantities
FROM claims g JOIN units u ON u.id = g.unit JOIN properties p ON p.id = u.property AND p.manager = g.manager
LEFT JOIN occupancies o ON o.unit = g.unit AND o.since = g.occupancy WHERE g.id = ? AND g.withdrawn IS NULL
"""
_KEEP_FLOW: Final = upsert("flows", "id", f"{columns(FlowRow).removeprefix('id, ')}, link")


class Accounts(Part):
    """The accounts of a registry."""

    # Accounts and contacts

    def add(self, account: Account) -> None:
        """Add an account."""
        self._add("accounts", account)

    def account(self, identity: str) -> Account | None:
        """Return an account that has not ended."""
        return self._one(Account, "accounts", "id = ? AND ended IS NULL", identity)

    def named(self, realm: str, username: str) -> Account | None:
        """Return the account of a username."""
        return self._one(Account, "accounts", "realm = ? AND username = ? AND ended IS NULL", realm, username)

    def reached(self, realm: str, channel: str, address: str) -> Account | None:
        """Return the account that a proven address belongs to; addresses for notices belong to nobody."""
        sql = "SELECT account FROM contacts WHERE realm = ? AND channel = ? AND address = ? AND use <> 'notify' AND verified IS NOT NULL"
        return next((self.account(identity) for (identity,) in self._rows(sql, realm, channel, address)), None)

    def set_password(self, account: str, password: str) -> None:
        """Keep another hash; the count of failures begins anew."""
        self._run("UPDATE accounts SET password = ?, failures = 0 WHERE id = ?", password, account)

    def failed(self, account: str, *, reset: bool = False) -> None:
        """Count a wrong password, or forget the count after a right one."""
        self._run("UPDATE accounts SET failures = CASE WHEN ? = 1 THEN 0 ELSE failures + 1 END WHERE id = ?", reset, account)

    def contacts(self, account: str) -> list[Contact]:
        """Return the addresses of an account in order of entry."""
        return self._find(Contact, "contacts", "account = ? ORDER BY rowid", account)

    def add_contact(self, contact: Contact, realm: str) -> None:
        """Add an address."""
        self._add("contacts", contact, realm=realm)

    def drop_contact(self, account: str, identity: str) -> None:
        """Forget an address of an account."""
        self._run("DELETE FROM contacts WHERE id = ? AND account = ?", identity, account)

    def describe(self, account: str, name: str, locale: str, last_unit: str | None) -> None:
        """Keep how a person is called, in which language, and the unit that was shown last."""
        self._run("UPDATE accounts SET name = ?, locale = ?, last_unit = ? WHERE id = ?", name, locale, last_unit, account)

    def end(self, account: str, now: int) -> None:
        """End an account whose grants have ended, and its sessions; its addresses are free for others."""
        with self._file.writing() as db:
            db.execute("UPDATE accounts SET ended = ?, username = NULL WHERE id = ? AND ended IS NULL", (now, account))
            db.execute("UPDATE contacts SET verified = NULL WHERE account = ?", (account,))
            self.end_sessions(account, now)

    # Factors

    def add_factor(self, factor: Factor) -> None:
        """Add a factor."""
        self._add("factors", factor)

    def factors(self, account: str) -> list[Factor]:
        """Return the factors of an account, used recovery codes too, in order of entry."""
        return self._find(Factor, "factors", "account = ? ORDER BY rowid", account)

    def confirm_factor(self, identity: str, counter: int) -> None:
        """A new TOTP proved itself: it counts from now on, and takes the place of the one before."""
        with self._file.writing() as db:
            db.execute("DELETE FROM factors WHERE account = (SELECT account FROM factors WHERE id = ?) AND kind = 'totp'", (identity,))
            db.execute("UPDATE factors SET kind = 'totp', counter = ? WHERE id = ?", (counter, identity))

    def use_factor(self, identity: str, counter: int, now: int) -> bool:
        """Note that a factor was used at a counter; False if that, or a later one, was used before."""
        return bool(self._run("UPDATE factors SET counter = ?, used = ? WHERE id = ? AND counter < ?", counter, now, identity, counter))

    def drop_factors(self, account: str, *kinds: str) -> None:
        """Forget the factors of these kinds."""
        with self._file.writing() as db:
            db.executemany("DELETE FROM factors WHERE account = ? AND kind = ?", [(account, kind) for kind in kinds])

    def consent(self, identity: str, account: str, doc: str, version: str, locale: str, at: int) -> None:
        """Keep that a document was accepted."""
        sql = "INSERT INTO consents (id, account, doc, version, locale, at) VALUES (?, ?, ?, ?, ?, ?)"
        self._run(sql, identity, account, doc, version, locale, at)

    def consents(self, account: str) -> list[dict[str, Any]]:
        """Return what was accepted, in order of time."""
        names = ("id", "doc", "version", "locale", "at", "withdrawn")
        rows = self._rows("SELECT id, doc, version, locale, at, withdrawn FROM consents WHERE account = ? ORDER BY at, doc", account)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def withdraw_consent(self, account: str, identity: str, now: int) -> bool:
        """Note that a consent was taken back; False if the account has none like that."""
        return bool(self._run("UPDATE consents SET withdrawn = coalesce(withdrawn, ?) WHERE id = ? AND account = ?", now, identity, account))

    # Claims and grants

    def add_claim(self, claim: Claim) -> None:
        """Add a claim."""
        self._add("claims", claim)

    def claims(self, manager: str, kind: str, identifier: bytes, now: int) -> list[Claim]:
        """Return the claims of an identifier that are in force."""
        where = f"manager = ? AND kind = ? AND identifier = ? AND {_STANDING} AND {_LASTS}"
        return self._find(Claim, "claims", where, manager, kind, identifier, now, now)

    def stands(self, claim: Claim, now: int) -> bool:
        """Whether a claim is in force."""
        return claim.id in {one.id for one in self.claims(claim.manager, claim.kind, claim.identifier, now)}

    def claim(self, identity: str) -> Claim | None:
        """Return one claim, also a used one."""
        return self._one(Claim, "claims", "id = ?", identity)

    def claims_of(self, manager: str) -> list[Claim]:
        """Return all claims of a manager, the newest first."""
        return self._find(Claim, "claims", "manager = ? ORDER BY created DESC, id", manager)

    def use_claim(self, identity: str, now: int) -> bool:
        """Mark a claim as used; False if it is used, withdrawn or over by now: then nothing may follow from it."""
        return bool(self._run(f"UPDATE claims SET used = ? WHERE id = ? AND {_STANDING} AND {_LASTS}", now, identity, now, now))  # noqa: S608 - ours

    def withdraw_claim(self, manager: str, identity: str, now: int) -> bool:
        """Take a claim back; False if the manager has none like that."""
        return bool(self._run("UPDATE claims SET withdrawn = coalesce(withdrawn, ?) WHERE id = ? AND manager = ?", now, identity, manager))

    def add_grant(self, grant: Grant) -> None:
        """Add a grant."""
        self._add("grants", grant)

    def grant(self, identity: str) -> Grant | None:
        """Return one grant, also an ended one."""
        return self._one(Grant, "grants", "id = ?", identity)

    def grants(self, account: str) -> list[Grant]:
        """Return the grants of an account that have not ended, in order of their making."""
        return self._find(Grant, "grants", "account = ? AND ended IS NULL ORDER BY created, id", account)

    def grants_of(self, unit: str) -> list[Grant]:
        """Return the grants of a unit that have not ended."""
        return self._find(Grant, "grants", "unit = ? AND ended IS NULL ORDER BY created, id", unit)

    def waiting(self, manager: str, now: int) -> list[Grant]:
        """Return the grants of a manager's units that begin after an instant, those that begin first first."""
        return self._find(Grant, "grants", "manager = ? AND ended IS NULL AND since > ? ORDER BY since, id", manager, now)

    def grants_given(self, account: str) -> list[Grant]:
        """Return the grants that an account gave and that have not ended."""
        return self._find(Grant, "grants", "giver = ? AND ended IS NULL ORDER BY created, id", account)

    def invitations(self, account: str, unit: str, now: int) -> list[Claim]:
        """Return what an account gave for a unit and nobody followed yet, in order of making."""
        return self._find(Claim, "claims", f"giver = ? AND unit = ? AND {_STANDING} ORDER BY created, id", account, unit, now)

    def start_grant(self, identity: str, now: int) -> None:
        """Let a grant that waits begin now."""
        self._run("UPDATE grants SET since = min(since, ?) WHERE id = ?", now, identity)

    def confirm_grant(self, identity: str) -> None:
        """Make a limited grant a whole one."""
        self._run("UPDATE grants SET role = 'resident' WHERE id = ? AND role = 'resident:limited'", identity)

    def end_grant(self, identity: str, now: int) -> None:
        """End a grant, and those that its holder gave for the same unit, also those that nobody took up yet."""
        with self._file.writing() as db:
            row = db.execute("SELECT account, unit FROM grants WHERE id = ?", (identity,)).fetchone()
            db.execute("UPDATE grants SET ended = ? WHERE ended IS NULL AND (id = ? OR (giver = ? AND unit = ?))", (now, identity, *row))
            db.execute("UPDATE claims SET withdrawn = ? WHERE giver = ? AND unit = ? AND used IS NULL AND withdrawn IS NULL", (now, *row))

    def visible(self, account: str, now: int) -> list[Visible]:
        """Return what an account sees: the time of each grant's occupancy, as far as the grant reaches."""
        return list(_shown(self._rows(_VISIBLE, account, now), now))

    def held(self, claims: Sequence[str], since: int, now: int) -> list[Visible]:
        """Return what a guest sees by claims without an account; nothing before `since`, nothing of a claim that is withdrawn."""
        if since > now:
            return []
        return [visible for claim in claims for visible in _shown(self._rows(_HELD, since, claim), now)]

    # Flows

    def keep_flow(self, flow: FlowRow, link: bytes | None) -> None:
        """Keep a flow as it stands."""
        values = (flow.id, flow.cookie, flow.realm, flow.manager, flow.name, json.dumps(dict(flow.state)), flow.expires, link)
        self._run(_KEEP_FLOW, *values, synced=False)

    def flow(self, identity: str, now: int) -> FlowRow | None:
        """Return a flow that is not over."""
        return self._flow("id = ?", identity, now)

    def flow_of_link(self, link: bytes, now: int) -> FlowRow | None:
        """Return the flow that waits for a link."""
        return self._flow("link = ?", link, now)

    def _flow(self, where: str, value: object, now: int) -> FlowRow | None:
        found = self._one(FlowRow, "flows", f"{where} AND expires > ?", value, now)
        return found and replace(found, state=json.loads(str(found.state)))

    def end_flow(self, identity: str) -> None:
        """Forget a flow."""
        self._run("DELETE FROM flows WHERE id = ?", identity, synced=False)

    # Sessions and browsers

    def open_session(self, session: Session, secret: str) -> None:
        """Open a session."""
        self._add("sessions", session, held=json.dumps(dict(session.held)), hash=digest(secret))

    def session(self, secret: str, now: int) -> Session | None:
        """Return the session of a secret unless it is over, and note that it was seen."""
        found = next(iter(self._sessions("hash = ?", digest(secret), now)), None)
        if found is not None and now - found.seen > MINUTE:
            self._run("UPDATE sessions SET seen = ? WHERE id = ?", now, found.id, synced=False)
        return found if found is None or found.account is None or self.account(found.account) else None

    def sessions(self, account: str, now: int) -> list[Session]:
        """Return the running sessions of an account, the newest first."""
        return self._sessions("account = ?", account, now)

    def _sessions(self, where: str, value: object, now: int) -> list[Session]:
        running = "ended IS NULL AND expires > ? AND seen + idle > ? ORDER BY created DESC"
        found = self._find(Session, "sessions", f"{where} AND {running}", value, now, now)
        return [replace(one, held=json.loads(str(one.held))) for one in found]

    def freshen(self, identity: str, secret: str, now: int) -> None:
        """Note that the holder of a session proved again who it is; the session has another secret from now on."""
        self._run("UPDATE sessions SET fresh = ?, hash = ? WHERE id = ?", now, digest(secret), identity, synced=False)

    def end_session(self, identity: str, now: int) -> None:
        """End one session."""
        self._run("UPDATE sessions SET ended = ? WHERE id = ? AND ended IS NULL", now, identity)

    def end_sessions(self, account: str, now: int, *, but: str = "") -> int:
        """End all sessions of an account, but one; returns how many."""
        return self._run("UPDATE sessions SET ended = ? WHERE account = ? AND ended IS NULL AND id <> ?", now, account, but)

    def knows_browser(self, account: str, secret: str) -> bool:
        """Whether this browser signed in to this account before."""
        return bool(secret) and bool(self._rows("SELECT 1 FROM browsers WHERE hash = ? AND account = ?", digest(secret), account))

    def remember_browser(self, account: str, secret: str, now: int) -> None:
        """Note that this browser signed in to this account."""
        self._run(upsert("browsers", "hash, account", "seen"), digest(secret), account, now, synced=False)

    # Throttle

    def held_up(self, key: str, now: int, *, daily: int | None = None) -> bool:
        """Whether a try under this key has to wait: its delay is not over, or it had so many failures today."""
        rows = self._rows("SELECT fails, until, day FROM throttle WHERE key = ?", key)
        return bool(rows) and (rows[0][1] > now or (daily is not None and rows[0][2] == now // DAY and rows[0][0] >= daily))

    def count(self, key: str, now: int, delay: Callable[[int], int], *, daily: bool = False) -> None:
        """Count a failure (or a message) under a key; `delay` gives how long the next try waits after so many, µs. A daily count begins anew each day."""
        with self._file.writing(synced=False) as db:
            row = db.execute("SELECT fails, day FROM throttle WHERE key = ?", (key,)).fetchone() or (0, now // DAY)
            fails = (0 if daily and row[1] != now // DAY else row[0]) + 1
            db.execute(upsert("throttle", "key", "fails, until, day"), (key, fails, now + delay(fails), now // DAY))

    def forgive(self, key: str) -> None:
        """Forget the failures under a key."""
        self._run("DELETE FROM throttle WHERE key = ?", key, synced=False)

    def expire(self, now: int) -> int:
        """Delete flows and sessions that are over for a day, and failures of a week ago; returns how many flows and sessions."""
        with self._file.writing() as db:
            gone = db.execute("DELETE FROM flows WHERE expires < ?", (now - DAY,)).rowcount
            gone += db.execute("DELETE FROM sessions WHERE min(expires, seen + idle, coalesce(ended, expires)) < ?", (now - DAY,)).rowcount
            db.execute("DELETE FROM throttle WHERE day < ? AND until < ?", (now // DAY - 7, now))
        return gone

    def forget(self, *, browsers: int, claims: int) -> int:
        """Delete browsers that were not seen since an instant, and claims that were over, used or withdrawn before another; returns how many."""
        over = "DELETE FROM claims WHERE min(coalesce(used, ?1), coalesce(withdrawn, ?1), coalesce(expires, ?1)) < ?1"
        return self._run("DELETE FROM browsers WHERE seen < ?", browsers) + self._run(over, claims)


def digest(secret: str) -> bytes:
    """SHA-256 of a random secret: enough for what nobody can guess."""
    return hashlib.sha256(secret.encode()).digest()


def notice_address(contacts: Sequence[Contact], way: str) -> str | None:
    """The proven address for notices by 'email' or 'sms': one given for notices, else one to sign in with; never one for recovery."""
    channel, uses = "phone" if way == "sms" else way, ("notify", "auth")
    found = [one for one in contacts if one.channel == channel and one.verified is not None and one.use in uses]
    return min(found, key=lambda one: uses.index(one.use)).address if found else None


def _shown(rows: Sequence[tuple[Any, ...]], now: int) -> Iterator[Visible]:
    """The visible part of each grant: inside its occupancy, none once the settlement of an ended one is over, none of an occupancy that is no more."""
    for unit, role, _, until, begun, ended, finest, lost, grant, data_from, own_finest, quantities in rows:
        settled = ended is not None and ended + (SETTLEMENT if role not in INVITED else 0) <= now
        if lost or settled or (until is not None and until <= now):
            continue
        ends = [end for end in (ended, until) if end is not None]
        begins = [begin for begin in (begun, data_from) if begin is not None]
        level = "month" if role == "resident:limited" else max(finest, own_finest or finest, key=FINEST.index)
        chosen = None if quantities is None else frozenset(quantities.split())
        yield Visible(unit, max(begins) if begins else None, min(ends) if ends else None, level, role, grant, chosen)
