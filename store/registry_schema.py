"""Tables of the registry, for both engines (sql.py). A migration once released never changes, a new one is appended; `audit` and `decisions` take rows and give none back."""

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
    /* sqlite */ CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
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
    ALTER TABLE audit ADD COLUMN manager TEXT;
    ALTER TABLE audit ADD COLUMN purpose TEXT;
    ALTER TABLE audit ADD COLUMN outcome TEXT;
    ALTER TABLE audit ADD COLUMN request TEXT;
    ALTER TABLE audit ADD COLUMN network TEXT;
    ALTER TABLE audit ADD COLUMN hash BLOB;
    CREATE INDEX audit_manager ON audit (manager);
    CREATE INDEX audit_action ON audit (action);
    CREATE TABLE reads (
      unit TEXT NOT NULL, hour INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, role TEXT NOT NULL, since INTEGER NOT NULL,
      manager TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, times INTEGER NOT NULL,
      PRIMARY KEY (unit, hour, actor, action, role, since)) STRICT, WITHOUT ROWID;
    CREATE INDEX reads_hour ON reads (hour);
    CREATE TABLE exports (
      id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts, file TEXT NOT NULL, asked INTEGER NOT NULL, ready INTEGER, expires INTEGER NOT NULL,
      failed INTEGER NOT NULL) STRICT;
    CREATE INDEX exports_account ON exports (account);
    CREATE TABLE erasures (account TEXT PRIMARY KEY REFERENCES accounts, asked INTEGER NOT NULL, due INTEGER NOT NULL) STRICT;
    """,
    """
    CREATE TABLE personal_tokens (
      id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, account TEXT NOT NULL REFERENCES accounts, manager TEXT NOT NULL, scopes TEXT NOT NULL,
      grants TEXT NOT NULL, label TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER, ended INTEGER) STRICT;
    CREATE INDEX personal_tokens_account ON personal_tokens (account);
    CREATE TABLE new_contacts (
      account TEXT PRIMARY KEY REFERENCES accounts, channel TEXT NOT NULL, address TEXT NOT NULL, use TEXT NOT NULL, hash BLOB NOT NULL,
      tries INTEGER NOT NULL, expires INTEGER NOT NULL, resend INTEGER NOT NULL) STRICT;
    ALTER TABLE accounts ADD COLUMN last_unit TEXT;
    ALTER TABLE consents ADD COLUMN id TEXT;
    /* sqlite */ UPDATE consents SET id = 'n_' || substr(lower(hex(randomblob(8))), 1, 16);
    CREATE UNIQUE INDEX consents_id ON consents (id);
    ALTER TABLE claims ADD COLUMN data_from INTEGER;
    ALTER TABLE claims ADD COLUMN finest TEXT;
    ALTER TABLE claims ADD COLUMN quantities TEXT;
    ALTER TABLE claims ADD COLUMN sent_to TEXT;
    ALTER TABLE grants ADD COLUMN data_from INTEGER;
    ALTER TABLE grants ADD COLUMN finest TEXT;
    ALTER TABLE grants ADD COLUMN quantities TEXT;
    ALTER TABLE grants ADD COLUMN evidence TEXT;
    """,
    """
    CREATE TABLE wishes (
      account TEXT NOT NULL REFERENCES accounts, event TEXT NOT NULL, channel TEXT NOT NULL, since INTEGER NOT NULL,
      PRIMARY KEY (account, event, channel)) STRICT;
    CREATE TABLE posted (
      id INTEGER PRIMARY KEY AUTOINCREMENT, manager TEXT NOT NULL REFERENCES managers, name TEXT NOT NULL, kind TEXT NOT NULL, unit TEXT NOT NULL,
      amount INTEGER NOT NULL, currency TEXT NOT NULL, day TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (manager, name)) STRICT;
    CREATE TABLE alert_rules (
      id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts, unit TEXT NOT NULL, quantity TEXT NOT NULL, kind TEXT NOT NULL,
      amount INTEGER NOT NULL, channels TEXT NOT NULL, since INTEGER NOT NULL, told INTEGER) STRICT;
    CREATE INDEX alert_rules_account ON alert_rules (account, unit);
    CREATE TABLE notice_marks (source TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    CREATE TABLE flow_counts (
      manager TEXT NOT NULL, day TEXT NOT NULL, name TEXT NOT NULL, started INTEGER NOT NULL, finished INTEGER NOT NULL,
      PRIMARY KEY (manager, day, name)) STRICT;
    CREATE TABLE webhooks (
      id TEXT PRIMARY KEY, manager TEXT NOT NULL REFERENCES managers, url TEXT NOT NULL, secret TEXT NOT NULL, created INTEGER NOT NULL,
      due INTEGER NOT NULL, tries INTEGER NOT NULL, delivered INTEGER, error TEXT NOT NULL, version INTEGER, series INTEGER, event INTEGER,
      information INTEGER) STRICT;
    """,
    """
    CREATE TABLE document_files (sha TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
    CREATE TABLE documents (
      id TEXT PRIMARY KEY, manager TEXT NOT NULL REFERENCES managers, property TEXT, entrance TEXT, unit TEXT, holder INTEGER,
      account TEXT REFERENCES accounts, kind TEXT NOT NULL, title TEXT NOT NULL, locale TEXT NOT NULL, since TEXT, until TEXT, amount INTEGER,
      currency TEXT, due TEXT, visible_from INTEGER NOT NULL, payment TEXT, media TEXT NOT NULL, sha TEXT NOT NULL REFERENCES document_files,
      size INTEGER NOT NULL, created INTEGER NOT NULL) STRICT;
    CREATE INDEX documents_unit ON documents (manager, unit);
    CREATE INDEX documents_account ON documents (account) WHERE account IS NOT NULL;
    CREATE TRIGGER documents_are_not_edited BEFORE UPDATE ON documents BEGIN SELECT RAISE(ABORT, 'documents are never edited'); END;
    CREATE TRIGGER document_files_are_not_edited BEFORE UPDATE ON document_files BEGIN SELECT RAISE(ABORT, 'documents are never edited'); END;
    CREATE TABLE document_reads (
      document TEXT NOT NULL REFERENCES documents, account TEXT NOT NULL REFERENCES accounts, at INTEGER NOT NULL, PRIMARY KEY (document, account)) STRICT;
    CREATE TABLE unit_wishes (
      account TEXT NOT NULL REFERENCES accounts, unit TEXT NOT NULL, e_invoices INTEGER NOT NULL, statement_monthly INTEGER NOT NULL,
      announcements_by_mail INTEGER NOT NULL, PRIMARY KEY (account, unit)) STRICT;
    CREATE TABLE announcements (
      id TEXT PRIMARY KEY, manager TEXT NOT NULL REFERENCES managers, property TEXT, entrance TEXT, unit TEXT, since INTEGER NOT NULL, until INTEGER,
      created INTEGER NOT NULL, texts TEXT NOT NULL) STRICT;
    CREATE INDEX announcements_manager ON announcements (manager, since);
    CREATE TABLE announcement_reads (
      announcement TEXT NOT NULL REFERENCES announcements, account TEXT NOT NULL REFERENCES accounts, at INTEGER NOT NULL,
      PRIMARY KEY (announcement, account)) STRICT;
    CREATE TABLE balance (
      manager TEXT NOT NULL REFERENCES managers, id TEXT NOT NULL, unit TEXT NOT NULL, holder INTEGER, account TEXT NOT NULL, period TEXT NOT NULL,
      at INTEGER NOT NULL, service TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('charge', 'payment', 'penalty')), amount INTEGER NOT NULL,
      currency TEXT NOT NULL, PRIMARY KEY (manager, id)) STRICT;
    CREATE INDEX balance_unit ON balance (unit, at);
    CREATE TABLE messages (
      id TEXT PRIMARY KEY, manager TEXT NOT NULL REFERENCES managers, unit TEXT NOT NULL, account TEXT REFERENCES accounts, text TEXT NOT NULL,
      created INTEGER NOT NULL, status TEXT NOT NULL, changed INTEGER) STRICT;
    CREATE INDEX messages_account ON messages (account, unit);
    """,
    """
    CREATE TABLE self_readings (
      id INTEGER PRIMARY KEY AUTOINCREMENT, point TEXT NOT NULL, register TEXT NOT NULL, t INTEGER NOT NULL, value INTEGER NOT NULL,
      received INTEGER NOT NULL, sender TEXT NOT NULL, confirmation TEXT NOT NULL UNIQUE, photo TEXT, taken INTEGER) STRICT;
    CREATE INDEX self_readings_point ON self_readings (point, t);
    ALTER TABLE claims ADD COLUMN point TEXT;
    CREATE TABLE letters (
      id TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('recovery', 'confirmation')), subject TEXT NOT NULL, proof BLOB NOT NULL,
      created INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER) STRICT;
    CREATE INDEX letters_subject ON letters (kind, subject);
    """,
    """
    CREATE INDEX audit_of_directory ON audit (id)
    WHERE (action IN ('directory.import', 'keys.import') AND detail <> '0 differences')
      OR action IN ('decision.accept', 'decision.reject', 'decision.exchange', 'decision.reading', 'decision.withdraw');
    """,
    """
    DELETE FROM wishes WHERE event IN ('statement', 'announcement');
    UPDATE grants SET evidence = replace(evidence, ' ', '_') WHERE evidence IS NOT NULL;
    """,
    """
    CREATE TABLE operators (
      id TEXT PRIMARY KEY, manager TEXT NOT NULL REFERENCES managers, name TEXT NOT NULL, role TEXT NOT NULL, created INTEGER NOT NULL, ended INTEGER,
      link BLOB UNIQUE, link_until INTEGER) STRICT;
    CREATE UNIQUE INDEX operators_name ON operators (manager, name) WHERE ended IS NULL;
    CREATE TABLE commissioning (manager TEXT PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
    """,
    """
    CREATE TABLE gateways (
      name TEXT PRIMARY KEY, token BLOB UNIQUE, password TEXT, created INTEGER NOT NULL, rotated INTEGER NOT NULL, revoked INTEGER) STRICT;
    CREATE TABLE gateway_progress (one INTEGER PRIMARY KEY CHECK (one = 1), upto INTEGER NOT NULL) STRICT;
    CREATE TABLE gateway_numbers (gateway TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
    """,
    """
    CREATE TABLE entities (
      source TEXT NOT NULL, topic TEXT NOT NULL, since INTEGER NOT NULL, told TEXT NOT NULL, PRIMARY KEY (source, topic, since)) STRICT;
    CREATE TABLE meter_names (name TEXT PRIMARY KEY, device TEXT NOT NULL) STRICT;
    """,
    """
    CREATE TABLE audit_last (id INTEGER NOT NULL) STRICT;
    /* sqlite */ INSERT INTO audit_last SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit';
    /* postgres */ INSERT INTO audit_last VALUES (0);
    /* postgres */ ALTER TABLE contacts ADD COLUMN rowid BIGINT GENERATED ALWAYS AS IDENTITY;
    /* postgres */ ALTER TABLE factors ADD COLUMN rowid BIGINT GENERATED ALWAYS AS IDENTITY;
    /* postgres */ ALTER TABLE alert_rules ADD COLUMN rowid BIGINT GENERATED ALWAYS AS IDENTITY;
    """,
)
