"""Tables of registry.sqlite. A migration once released never changes, a new one is appended; `audit` and `decisions` take rows and give none back."""

from typing import Final

__all__ = ["MIGRATIONS"]

MIGRATIONS: Final = (
    """
    CREATE TABLE managers (id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT;
    CREATE TABLE properties (
      id TEXT PRIMARY KEY, manager TEXT NOT NULL REFERENCES managers, name TEXT NOT NULL, zone TEXT NOT NULL, year_start TEXT NOT NULL,
      finest TEXT NOT NULL) STRICT;
    CREATE TABLE units (
      id TEXT PRIMARY KEY, property TEXT NOT NULL REFERENCES properties, label TEXT NOT NULL, entrance TEXT NOT NULL) STRICT;
    CREATE INDEX units_property ON units (property);
    CREATE TABLE points (
      id TEXT PRIMARY KEY, property TEXT NOT NULL REFERENCES properties, unit TEXT REFERENCES units, quantity TEXT NOT NULL, label TEXT NOT NULL,
      registers TEXT NOT NULL, parameters TEXT NOT NULL) STRICT;
    CREATE INDEX points_unit ON points (unit);
    CREATE TABLE devices (id TEXT PRIMARY KEY, key_sealed BLOB, mode INTEGER, whole INTEGER NOT NULL) STRICT;
    CREATE TABLE assignments (
      point TEXT NOT NULL REFERENCES points, device TEXT NOT NULL REFERENCES devices, since INTEGER NOT NULL, until INTEGER, start_value INTEGER,
      end_value INTEGER, PRIMARY KEY (point, since)) STRICT;
    CREATE INDEX assignments_device ON assignments (device);
    CREATE TABLE occupancies (
      unit TEXT NOT NULL REFERENCES units, since INTEGER NOT NULL, until INTEGER, name TEXT NOT NULL, PRIMARY KEY (unit, since)) STRICT;
    CREATE TABLE tokens (
      id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, manager TEXT NOT NULL REFERENCES managers, scopes TEXT NOT NULL, created INTEGER NOT NULL,
      revoked INTEGER) STRICT;
    CREATE TABLE audit (
      id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
      detail TEXT NOT NULL) STRICT;
    CREATE TRIGGER audit_is_not_edited BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never edited'); END;
    CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
      BEGIN SELECT RAISE(ABORT, 'audit rows are never replaced'); END;
    CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;
    """,
    """
    CREATE TABLE events (
      id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER, raised INTEGER NOT NULL,
      seen INTEGER NOT NULL, count INTEGER NOT NULL, amount INTEGER, detail TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
      decided_by TEXT, decided_at INTEGER, decision TEXT NOT NULL, UNIQUE (kind, subject, at)) STRICT;
    CREATE INDEX events_open ON events (kind, subject) WHERE state = 'open';
    CREATE INDEX events_subject ON events (subject);
    """,
    """
    CREATE TABLE runs (
      id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, planned INTEGER, started INTEGER NOT NULL, ended INTEGER, outcome TEXT, by TEXT NOT NULL,
      detail TEXT NOT NULL) STRICT;
    CREATE INDEX runs_job ON runs (job, id);
    CREATE TABLE paused_jobs (job TEXT PRIMARY KEY, since INTEGER NOT NULL) STRICT;
    """,
    """
    CREATE TABLE decisions (
      id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, author TEXT NOT NULL, reason TEXT NOT NULL, kind TEXT NOT NULL, point TEXT NOT NULL,
      register TEXT NOT NULL, details TEXT NOT NULL, audit INTEGER NOT NULL, withdraws INTEGER UNIQUE REFERENCES decisions) STRICT;
    CREATE INDEX decisions_point ON decisions (point);
    CREATE TRIGGER decisions_are_not_edited BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions are never edited'); END;
    CREATE TRIGGER decisions_are_not_deleted BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions are never deleted'); END;
    """,
    """
    ALTER TABLE properties ADD COLUMN hours_kept INTEGER;
    ALTER TABLE properties ADD COLUMN days_kept INTEGER;
    """,
    """
    CREATE TABLE information (
      unit TEXT NOT NULL, since INTEGER NOT NULL, month TEXT NOT NULL, version INTEGER NOT NULL, published INTEGER NOT NULL, body TEXT NOT NULL,
      notified INTEGER, via TEXT, PRIMARY KEY (unit, since, month, version)) STRICT;
    CREATE TABLE degree_days (
      property TEXT NOT NULL REFERENCES properties, month TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (property, month)) STRICT;
    """,
    """
    CREATE TABLE outbox (
      id INTEGER PRIMARY KEY AUTOINCREMENT, mark TEXT NOT NULL UNIQUE, manager TEXT NOT NULL,
      channel TEXT NOT NULL CHECK (channel IN ('email', 'sms', 'letter')), address TEXT NOT NULL, template TEXT NOT NULL, locale TEXT NOT NULL,
      body TEXT, created INTEGER NOT NULL, due INTEGER NOT NULL, expires INTEGER, once TEXT,
      state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'given_up', 'expired', 'cancelled')), tries INTEGER NOT NULL, tried INTEGER,
      ended INTEGER, error TEXT NOT NULL, UNIQUE (manager, once), CHECK ((state = 'waiting') = (body IS NOT NULL))) STRICT;
    CREATE INDEX outbox_waiting ON outbox (due) WHERE state = 'waiting';
    CREATE INDEX outbox_address ON outbox (address);
    """,
    """
    CREATE TABLE accounts (
      id TEXT PRIMARY KEY, realm TEXT NOT NULL, username TEXT, name TEXT NOT NULL, locale TEXT NOT NULL, password TEXT NOT NULL, created INTEGER NOT NULL,
      failures INTEGER NOT NULL DEFAULT 0, ended INTEGER, UNIQUE (realm, username)) STRICT;
    CREATE TABLE contacts (
      id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts, realm TEXT NOT NULL, channel TEXT NOT NULL, address TEXT NOT NULL, use TEXT NOT NULL,
      verified INTEGER) STRICT;
    CREATE UNIQUE INDEX contacts_address ON contacts (realm, channel, address) WHERE use <> 'notify' AND verified IS NOT NULL;
    CREATE INDEX contacts_account ON contacts (account);
    CREATE TABLE factors (
      id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts, kind TEXT NOT NULL, secret BLOB NOT NULL, counter INTEGER NOT NULL,
      created INTEGER NOT NULL, used INTEGER) STRICT;
    CREATE INDEX factors_account ON factors (account);
    CREATE TABLE claims (
      id TEXT PRIMARY KEY, manager TEXT NOT NULL REFERENCES managers, kind TEXT NOT NULL, unit TEXT NOT NULL, occupancy INTEGER, role TEXT NOT NULL,
      identifier BLOB NOT NULL, proof BLOB NOT NULL, created INTEGER NOT NULL, expires INTEGER, used INTEGER, withdrawn INTEGER, giver TEXT,
      until INTEGER) STRICT;
    CREATE INDEX claims_identifier ON claims (manager, kind, identifier);
    CREATE TABLE grants (
      id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts, manager TEXT NOT NULL REFERENCES managers, unit TEXT NOT NULL, occupancy INTEGER,
      role TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, source TEXT NOT NULL, giver TEXT, created INTEGER NOT NULL, ended INTEGER) STRICT;
    CREATE INDEX grants_account ON grants (account);
    CREATE INDEX grants_unit ON grants (unit);
    CREATE TABLE consents (
      account TEXT NOT NULL REFERENCES accounts, doc TEXT NOT NULL, version TEXT NOT NULL, locale TEXT NOT NULL, at INTEGER NOT NULL, withdrawn INTEGER) STRICT;
    CREATE TABLE flows (
      id TEXT PRIMARY KEY, cookie BLOB NOT NULL, link BLOB UNIQUE, realm TEXT NOT NULL, manager TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
      expires INTEGER NOT NULL) STRICT;
    CREATE TABLE sessions (
      id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, realm TEXT NOT NULL, manager TEXT NOT NULL, account TEXT REFERENCES accounts, role TEXT NOT NULL,
      held TEXT NOT NULL, created INTEGER NOT NULL, seen INTEGER NOT NULL, expires INTEGER NOT NULL, idle INTEGER NOT NULL, fresh INTEGER NOT NULL,
      agent TEXT NOT NULL, ended INTEGER) STRICT;
    CREATE INDEX sessions_account ON sessions (account);
    CREATE TABLE throttle (key TEXT PRIMARY KEY, fails INTEGER NOT NULL, until INTEGER NOT NULL, day INTEGER NOT NULL) STRICT;
    CREATE TABLE browsers (hash BLOB NOT NULL, account TEXT NOT NULL REFERENCES accounts, seen INTEGER NOT NULL, PRIMARY KEY (hash, account)) STRICT;
    """,
    """
    CREATE INDEX audit_of_directory ON audit (id)
    WHERE (action IN ('directory.import', 'keys.import') AND detail <> '0 differences')
      OR action IN ('decision.accept', 'decision.reject', 'decision.exchange', 'decision.reading', 'decision.withdraw');
    """,
)
