"""registry.sqlite, or the schema `registry` on PostgreSQL: the directory (who, what, where, since when), sealed meter keys, service tokens and the audit.

Strategy: full durability, small queries, frozen values out. The directory is written by the import alone (directory.py).
Rules: `visible` is the only way from a principal to units; secrets of tokens are kept as SHA-256 only; meter keys are sealed, and only a registry
opened with a vault can open them; the audit is append-only.
"""

import json
import re
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final, Protocol, Self

from submeter.config import Data
from submeter.reading import DeviceId
from submeter.store.accounts import Accounts, digest
from submeter.store.announcements import Announcements
from submeter.store.audit import Trail
from submeter.store.balance import Balance
from submeter.store.commissioning import Commissioning
from submeter.store.decisions import Decisions
from submeter.store.documents import Documents
from submeter.store.entities import Entities
from submeter.store.erasures import Erasures
from submeter.store.errors import StoreError, VaultError
from submeter.store.events import Events
from submeter.store.exports import Exports
from submeter.store.funnel import Funnel
from submeter.store.gateways import Gateways
from submeter.store.ids import new_id
from submeter.store.information import Informations
from submeter.store.letters import Letters
from submeter.store.messages import Messages
from submeter.store.new_contacts import NewContacts
from submeter.store.notices import Notices
from submeter.store.operators import Operators
from submeter.store.outbox import Outbox
from submeter.store.personal import PERSONAL, PersonalTokens
from submeter.store.reads import Reads
from submeter.store.registry_schema import MIGRATIONS
from submeter.store.registry_types import (
    READS,
    SCOPES,
    Assignment,
    AuditEntry,
    Device,
    Manager,
    Occupancy,
    Point,
    Principal,
    Property,
    Token,
    Unit,
    Visible,
)
from submeter.store.runs import Runs
from submeter.store.self_readings import SelfReadings
from submeter.store.sql import Connection, open_sql, querying, rehearsal, transaction
from submeter.store.sqlite import BUSY_TIMEOUT_S
from submeter.store.webhooks import Webhooks

__all__ = ["Registry", "Sealer", "new_id"]

TOKEN_PREFIX: Final = "smt_"  # noqa: S105 - the visible mark of a token, so that a leaked one is found
SELECT_VISIBLE: Final = "SELECT u.id, p.finest FROM units u JOIN properties p ON p.id = u.property WHERE p.manager = ?"
SELECT_ZONE_OF_DEVICE: Final = """
SELECT r.zone FROM assignments a JOIN points p ON p.id = a.point JOIN properties r ON r.id = p.property WHERE a.device = ? ORDER BY a.since DESC LIMIT 1
"""
#: Its condition is that of the index `audit_of_directory`, word for word: else it would read the audit.
SELECT_VERSION: Final = """
SELECT coalesce(max(id), 0) FROM audit INDEXED BY audit_of_directory WHERE (action IN ('directory.import', 'keys.import') AND detail <> '0 differences')
  OR action IN ('decision.accept', 'decision.reject', 'decision.exchange', 'decision.reading', 'decision.withdraw')
"""
NUMBER: Final = re.compile(r"[0-9A-F]{8}")
#: No beginning, µs.
EVER: Final = 2**62


class Sealer(Protocol):
    """What seals and opens meter keys: `Vault`, which only the core process has."""

    def seal(self, key: bytes, device: str) -> bytes:
        """Return the key sealed for this device."""

    def open(self, sealed: bytes, device: str) -> bytes:
        """Return the key in clear."""


class Registry:
    """Open or create the file, or the schema on a PostgreSQL `server`; StoreError names it if it is damaged, newer than this release or out of reach.

    What is kept in files beside the registry is in the folder of `path` with either engine.
    """

    def __init__(self, path: Path, vault: Sealer | None = None, *, server: str = "") -> None:
        self.path = path
        self.vault = vault
        self._server = server
        self._connection = open_sql(path, MIGRATIONS, server=server, overwrite=True)
        self._lock = threading.RLock()
        #: Who reads waits for no other thread's writing; the thread that writes sees what it wrote.
        self._reading = open_sql(path, MIGRATIONS, server=server)
        self._reading_lock = threading.Lock()
        self._writer: int | None = None
        self.events = Events(self, self._rows)
        self.runs = Runs(self, self._rows)
        self.decisions = Decisions(self, self._rows)
        self.information = Informations(self, self._rows)
        self.outbox = Outbox(self, self._rows)
        self.accounts = Accounts(self, self._rows)
        self.trail = Trail(self, self._rows)
        self.reads = Reads(self, self._rows)
        self.exports = Exports(self, self._rows)
        self.erasures = Erasures(self, self._rows)
        self.personal = PersonalTokens(self, self._rows)
        self.new_contacts = NewContacts(self, self._rows)
        self.notices = Notices(self, self._rows)
        self.funnel = Funnel(self, self._rows)
        self.webhooks = Webhooks(self, self._rows)
        self.documents = Documents(self, self._rows)
        self.announcements = Announcements(self, self._rows)
        self.balance = Balance(self, self._rows)
        self.messages = Messages(self, self._rows)
        self.letters = Letters(self, self._rows)
        self.self_readings = SelfReadings(self, self._rows)
        self.operators = Operators(self, self._rows)
        self.commissioning = Commissioning(self, self._rows)
        self.gateways = Gateways(self, self._rows)
        self.entities = Entities(self, self._rows)

    @classmethod
    def of(cls, data: Data, vault: Sealer | None = None) -> Self:
        """The registry of an installation, where [data] says that it is."""
        return cls(data.folder / "registry.sqlite", vault, server=data.server())

    def another(self) -> "Registry":
        """The same registry over connections of its own, for another thread; without a vault."""
        return Registry(self.path, server=self._server)

    def claim(self) -> None:
        """Be the only core of this registry, wherever it is; StoreError if another one is there."""
        self._connection.claim()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        self._connection.close()
        self._reading.close()

    def empty_log(self) -> bool:
        """Empty the write-ahead log, in which values that were deleted still stand; False where somebody reads or writes just now: try again."""
        if self._connection.engine != "sqlite":
            return True
        with self._lock, querying(self._connection) as db:
            db.execute("PRAGMA busy_timeout = 50")
            try:
                return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                db.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")

    @contextmanager
    def writing(self, *, synced: bool = True) -> Iterator[Connection]:
        """Everything written inside is durable together or not at all; inside another `writing`, together with that one.

        Not `synced`: nothing waits for the disk, and after a power cut the last of it may be missing.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            with transaction(self._connection, synced=synced) as connection, self._seen_here():
                yield connection

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Everything written inside is undone at the end; meant for the one thread that writes."""
        with self._lock, rehearsal(self._connection), self._seen_here():
            yield

    @contextmanager
    def _seen_here(self) -> Iterator[None]:
        """What this thread has written so far, it reads."""
        self._writer = threading.get_ident()
        try:
            yield
        finally:
            self._writer = None

    # The directory

    def managers(self) -> list[Manager]:
        """Return all managers in order of their names."""
        return [Manager(*row) for row in self._rows("SELECT id, name FROM managers ORDER BY name, id")]

    def properties(self) -> list[Property]:
        """Return all properties in order of their names."""
        return [Property(*row) for row in self._rows("SELECT * FROM properties ORDER BY name, id")]

    def property(self, identity: str) -> Property | None:
        """Return one property."""
        return next((Property(*row) for row in self._rows("SELECT * FROM properties WHERE id = ?", identity)), None)

    def units(self) -> list[Unit]:
        """Return all units in order of their ids."""
        return [Unit(*row) for row in self._rows("SELECT * FROM units ORDER BY id")]

    def unit(self, identity: str) -> Unit | None:
        """Return one unit."""
        return next((Unit(*row) for row in self._rows("SELECT * FROM units WHERE id = ?", identity)), None)

    def points(self) -> list[Point]:
        """Return all points in order of their ids."""
        return [_point(row) for row in self._rows("SELECT * FROM points ORDER BY id")]

    def points_of(self, unit: str) -> list[Point]:
        """Return the points of one unit in order of their ids."""
        return [_point(row) for row in self._rows("SELECT * FROM points WHERE unit = ? ORDER BY id", unit)]

    def points_in(self, building: str) -> list[Point]:
        """Return the points of one property, its units' and its own, in order of their ids."""
        return [_point(row) for row in self._rows("SELECT * FROM points WHERE property = ? ORDER BY id", building)]

    def zone_of(self, point: str) -> str:
        """Return the IANA zone of a point; StoreError if there is no such point."""
        rows = self._rows("SELECT zone FROM points JOIN properties ON properties.id = points.property WHERE points.id = ?", point)
        if not rows:
            raise StoreError(f"{self.path} has no point {point}: import the directory that names it")
        return str(rows[0][0])

    def zone_of_device(self, device: DeviceId) -> str:
        """Return the zone in which a device's clock is meant: that of the last point it was assigned to, UTC if there is none."""
        rows = self._rows(SELECT_ZONE_OF_DEVICE, str(device))
        return str(rows[0][0]) if rows else "UTC"

    def installed(self, device: DeviceId) -> int | None:
        """Return when the first assignment of a device began (µs UTC), None if it has none."""
        since: int | None = self._rows("SELECT min(since) FROM assignments WHERE device = ?", str(device))[0][0]
        return since

    def device(self, device: DeviceId) -> Device | None:
        """Return a device with its key in clear; VaultError if it has one and it cannot be opened here."""
        rows = self._rows("SELECT key_sealed, mode, whole FROM devices WHERE id = ?", str(device))
        return self._device(device, *rows[0]) if rows else None

    def numbered(self, number: str) -> list[DeviceId]:
        """Return the device that a gateway's name is linked to, else the devices with this number (eight digits), whoever made them."""
        if linked := self._rows("SELECT device FROM meter_names JOIN devices ON devices.id = meter_names.device WHERE name = ?", number):
            return [DeviceId.parse(linked[0][0])]
        if not NUMBER.fullmatch(number):
            return []
        return [DeviceId.parse(identity) for (identity,) in self._rows("SELECT id FROM devices WHERE substr(id, 5, 8) = ?", number)]

    def devices(self) -> list[Device]:
        """Return all devices with their keys in clear, in order of their ids."""
        rows = self._rows("SELECT id, key_sealed, mode, whole FROM devices ORDER BY id")
        return [self._device(DeviceId.parse(identity), sealed, mode, whole) for identity, sealed, mode, whole in rows]

    def device_names(self) -> list[str]:
        """Return the ids of all devices, without their keys."""
        return [str(identity) for (identity,) in self._rows("SELECT id FROM devices ORDER BY id")]

    def assignments(self) -> list[Assignment]:
        """Return all assignments in order of point and time."""
        return [Assignment(*row) for row in self._rows("SELECT * FROM assignments ORDER BY point, since")]

    def assignments_of(self, point: str) -> list[Assignment]:
        """Return the assignments of one point in order of time."""
        return [Assignment(*row) for row in self._rows("SELECT * FROM assignments WHERE point = ? ORDER BY since", point)]

    def assignments_with(self, device: str) -> list[Assignment]:
        """Return the assignments of one device in order of time."""
        return [Assignment(*row) for row in self._rows("SELECT * FROM assignments WHERE device = ? ORDER BY since", device)]

    def replace_assignments(self, point: str, assignments: Sequence[Assignment]) -> None:
        """Make these all the assignments of a point; StoreError for a device that the directory does not have."""
        known = {identity for (identity,) in self._rows("SELECT id FROM devices")}
        if unknown := sorted({one.device for one in assignments} - known):
            raise StoreError(f"there is no device {unknown[0]}: import it with its key first")
        with self.writing() as db:
            db.execute("DELETE FROM assignments WHERE point = ?", (point,))
            db.executemany("INSERT INTO assignments VALUES (?, ?, ?, ?, ?, ?)", [astuple(one) for one in assignments])

    def point(self, identity: str) -> Point:
        """Return one point; StoreError if there is none."""
        found = self.point_of(identity)
        if found is None:
            raise StoreError(f"there is no point {identity}: the directory names them, `GET /v1/units/{{unit}}/meters` shows them")
        return found

    def point_of(self, identity: str) -> Point | None:
        """Return one point, None if there is none."""
        return next((_point(row) for row in self._rows("SELECT * FROM points WHERE id = ?", identity)), None)

    def occupancies_of(self, unit: str) -> list[Occupancy]:
        """Return who lived in a unit in order of time."""
        return [Occupancy(*row) for row in self._rows("SELECT * FROM occupancies WHERE unit = ? ORDER BY since", unit)]

    def hand_overs(self) -> dict[str, tuple[int, ...]]:
        """Return the instants at which an occupancy of a unit begins or ends, in order, of units that have any."""
        found = defaultdict[str, tuple[int, ...]](tuple)
        ends = "SELECT unit, since AS at FROM occupancies UNION SELECT unit, until FROM occupancies WHERE until IS NOT NULL ORDER BY unit, at"
        for unit, at in self._rows(ends):
            found[unit] += (at,)
        return dict(found)

    def holders_of(self, unit: str) -> list[Occupancy]:
        """Return its occupancies; of a unit without any on record one without beginning and end, so that what it uses has a holder."""
        return self.occupancies_of(unit) or [Occupancy(unit, -EVER, None, "")]

    def degree_days(self, building: str) -> dict[str, int]:
        """Return the degree days of a property by month ``YYYY-MM``, millionths of K·d."""
        return dict(self._rows("SELECT month, value FROM degree_days WHERE property = ? ORDER BY month", building))

    def version(self) -> int:
        """Return a number that rises with every import that changed the directory or a key, and every decision that changes rows; 0 before the first."""
        return int(self._rows(SELECT_VERSION)[0][0])

    # Who may see what

    def visible(self, principal: Principal, unit: str | None = None, *, now: int | None = None) -> list[Visible]:
        """Return the units that `principal` may see, or the one asked for if it is among them. The one gate (API.md, principle 2)."""
        if principal.account is not None or principal.held is not None:
            held = principal.held or () if principal.account is None else self.accounts.visible(principal.account, _now() if now is None else now)
            return [one for one in held if unit in {None, one.unit} and (principal.grants is None or one.grant in principal.grants)]
        one, values = ("", [principal.manager]) if unit is None else (" AND u.id = ?", [principal.manager, unit])
        rows = self._rows(f"{SELECT_VISIBLE}{one} ORDER BY u.id", *values)
        return [Visible(identity, None, None, finest) for identity, finest in rows]

    def create_token(self, manager: str, scopes: Sequence[str] = READS) -> str:
        """Make a service token for a manager (id) and return its secret, which is shown this once; StoreError for an unknown manager or scope."""
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            raise StoreError(f"{', '.join(unknown) or 'nothing'} is no scope of a service token: write some of {', '.join(SCOPES)}")
        if manager not in {one.id for one in self.managers()}:
            raise StoreError(f"there is no manager {manager}: the directory has {', '.join(one.id for one in self.managers()) or 'none yet'}")
        identity, secret = new_id("k_"), TOKEN_PREFIX + secrets.token_urlsafe(32)
        with self.writing() as db:
            db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, NULL)", (identity, digest(secret), manager, " ".join(scopes), _now()))
            self.record("operator", "token.create", identity, " ".join(scopes), manager=manager)
        return secret

    def token(self, secret: str, *, now: int | None = None) -> Principal | None:
        """Return who holds this secret; None if nobody, or if the token was revoked or is over."""
        if secret.startswith(PERSONAL):
            own = self.personal.held(secret, _now() if now is None else now)
            return Principal(own.id, own.manager, frozenset(own.scopes), own.account, None, frozenset(own.grants)) if own else None
        rows = self._rows("SELECT id, manager, scopes FROM tokens WHERE hash = ? AND revoked IS NULL", digest(secret))
        return Principal(rows[0][0], rows[0][1], frozenset(rows[0][2].split())) if rows else None

    def tokens(self) -> list[Token]:
        """Return all service tokens in order of their making, without their secrets."""
        rows = self._rows("SELECT id, manager, scopes, created, revoked FROM tokens ORDER BY created, id")
        return [Token(identity, manager, tuple(scopes.split()), created, revoked) for identity, manager, scopes, created, revoked in rows]

    def revoke_token(self, identity: str) -> None:
        """End a service token at once; StoreError if there is none with this id."""
        with self.writing() as db:
            if not db.execute("UPDATE tokens SET revoked = coalesce(revoked, ?) WHERE id = ?", (_now(), identity)).rowcount:
                raise StoreError(f"there is no token {identity}: `submeter token list` shows their ids")
            self.record("operator", "token.revoke", identity)

    # The audit

    def record(self, actor: str, action: str, subject: str, detail: str = "", *, manager: str = "", outcome: str = "ok") -> None:
        """Append one line to the audit, inside the transaction that is open if there is one."""
        self.trail.record(actor, action, subject, detail, manager=manager, outcome=outcome)

    def audit(self) -> list[AuditEntry]:
        """Return the audit in order of writing."""
        return self.trail.find()

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        own = self._writer == threading.get_ident()
        with self._lock if own else self._reading_lock, querying(self._connection if own else self._reading) as db:
            return db.execute(sql, values).fetchall()

    def _device(self, device: DeviceId, sealed: bytes | None, mode: int | None, whole: int) -> Device:
        if sealed is None:
            return Device(device, None, mode, bool(whole))
        if self.vault is None:
            raise VaultError(f"the key of {device} is sealed and this process has no master key: name one in pipeline.toml, [keys]")
        return Device(device, self.vault.open(sealed, str(device)), mode, bool(whole))


def _now() -> int:
    return time.time_ns() // 1000


def _point(row: tuple[Any, ...]) -> Point:
    identity, building, unit, quantity, label, registers, parameters = row
    return Point(identity, building, unit, quantity, label, tuple(registers.split()), json.loads(parameters))
