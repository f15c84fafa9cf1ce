"""What only PostgreSQL can do wrong: the dialect, locks, a server that goes away, and errors that say too much."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from broker import free_port
from postgres import running
from typer.testing import CliRunner

from submeter.cli import app
from submeter.config import parse
from submeter.core import Core
from submeter.store import Published, Registry, StoreError
from submeter.store.postgres import Postgres, open_postgres, translated
from submeter.store.published import MIGRATIONS as PUBLISHED
from submeter.store.registry_schema import MIGRATIONS as REGISTRY
from submeter.store.sql import migrate, transaction
from submeter.store.sqlite import open_sqlite

FIRST = "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x INTEGER, z TEXT);\n"


@pytest.fixture(autouse=True)
def engine(cluster, tmp_path):
    """A database of this test alone."""
    cluster()
    yield "postgres"
    cluster().drop(tmp_path)


@pytest.fixture
def server(tmp_path):
    """Its address."""
    return running().database_of(tmp_path)


@pytest.fixture
def registry(tmp_path, server):
    """A registry in it."""
    with Registry(tmp_path / "registry.sqlite", server=server) as opened:
        yield opened


@pytest.fixture
def plain(server):
    """A schema of one table."""
    connection = open_postgres(server, "plain", [FIRST])
    yield connection
    connection.close()


def end_others(server):
    """The server ends all connections to this database."""
    with psycopg.connect(server, autocommit=True) as raw:
        raw.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")


@pytest.mark.parametrize(
    ("written", "sent", "order"),
    [
        ("SELECT ?, ? WHERE a = 'a?' || ?", "SELECT $1, $2 WHERE a = 'a?' || $3", (0, 1, 2)),
        ("SELECT ?2, ?1, ?2", "SELECT $1, $2, $1", (1, 0)),
        ("""SELECT :b, 'it''s :a', ":a", :a::text, :b""", """SELECT $1, 'it''s :a', ":a", $2::text, $1""", ("b", "a")),
        ("SELECT 1 FROM audit INDEXED BY audit_x WHERE id > ?", "SELECT 1 FROM audit WHERE id > $1", (0,)),
        (
            "CREATE TABLE t (a BLOB, b TEXT REFERENCES u) STRICT, WITHOUT ROWID;\n",
            'CREATE TABLE t (a BYTEA, b TEXT COLLATE "C" REFERENCES u DEFERRABLE);\n',
            (),
        ),
        ("INSERT INTO t VALUES ('INTEGER')", "INSERT INTO t VALUES ('INTEGER')", ()),
    ],
)
def test_statements_are_translated(written, sent, order):
    """Marks become numbers, outside of texts and names; types change where a table is made, and nowhere else."""
    assert translated(written) == (sent, order)


@pytest.mark.parametrize(("name", "migrations"), [("registry", REGISTRY), ("published", PUBLISHED)])
def test_both_engines_have_the_same_tables(tmp_path, server, name, migrations):
    """Tables, columns in their order, keys and references are those of the file; more there is only what numbers rows in order of entry."""
    file, schema = open_sqlite(tmp_path / "x.sqlite", migrations), open_postgres(server, name, migrations)
    names = [one for (one,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")]
    assert names == [
        one for (one,) in schema.execute('SELECT tablename::text FROM pg_tables WHERE schemaname = ? ORDER BY tablename COLLATE "C"', (name,))
    ]
    kinds = {"INTEGER": "bigint", "TEXT": "text", "BLOB": "bytea"}
    columns = "SELECT column_name::text, data_type::text, is_nullable::text FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position"
    for table in names:
        wanted = [
            (column, kinds[kind], "NO" if needed or key else "YES") for _, column, kind, needed, _, key in file.execute(f"PRAGMA table_info({table})")
        ]
        assert [row for row in schema.execute(columns, (name, table)) if row[0] != "rowid"] == wanted, table
        assert sorted(set(schema.referring(table))) == sorted(set(file.referring(table))), table
    file.close()
    schema.close()


def test_values_come_back_as_they_went(plain):
    """Whole numbers of 64 bits, truths as numbers, texts of any script, bytes and nothing."""
    row = plain.execute("INSERT INTO a (x, z) VALUES (?, ?) RETURNING x, z", (-(2**63), "Žižkov 'č' \U0001f600 %s $1")).fetchone()
    assert row == (-(2**63), "Žižkov 'č' \U0001f600 %s $1")
    assert plain.execute("INSERT INTO a (x, z) VALUES (?, ?) RETURNING id, x, z", (True, None)).fetchone() == (2, 1, None)
    assert plain.executemany("UPDATE a SET x = :x WHERE id = :id", [{"id": 1, "x": 5}, {"id": 2, "x": 6}, {"id": 3, "x": 7}]).rowcount == 2


def test_texts_are_in_order_of_their_bytes(plain):
    """As in SQLite, whatever the database's language is."""
    plain.executemany("INSERT INTO a (z) VALUES (?)", [(text,) for text in ("b", "Č", "a", "B", "_")])
    assert [text for (text,) in plain.execute("SELECT z FROM a ORDER BY z")] == ["B", "_", "a", "b", "Č"]


def test_what_need_not_outlast_a_crash_does_not_wait_for_the_disk(registry):
    """Only inside; the next transaction waits again."""
    for synced, expected in ((False, "off"), (True, "on")):
        with registry.writing(synced=synced) as db:
            assert db.execute("SHOW synchronous_commit").fetchone() == (expected,)
    assert registry._rows("SHOW synchronous_commit") == [("on",)]


def test_a_statement_that_failed_takes_its_transaction_with_it(plain, server):
    """Also where somebody caught the error: then the end of the transaction says that nothing was kept."""

    def careless():
        with transaction(plain):
            plain.execute("INSERT INTO a (x) VALUES (1)")
            with pytest.raises(StoreError, match="missing"):
                plain.execute("SELECT missing FROM a")

    with pytest.raises(StoreError, match="nothing was kept"):
        careless()
    assert not plain.in_transaction
    assert plain.execute("SELECT count(*) FROM a").fetchone() == (0,)


def test_a_migration_that_fails_leaves_the_old_schema(plain, server):
    """Neither its first half nor a new version."""
    with pytest.raises(StoreError, match="nowhere"):
        open_postgres(server, "plain", [FIRST, "CREATE TABLE c (x INTEGER);\nINSERT INTO nowhere VALUES (1);\n"])
    assert plain.execute("SELECT to_regclass('c')::text, (SELECT version FROM schema_version)").fetchone() == (None, 1)


def test_many_may_open_at_once(server):
    """Eight openers of a new schema agree on one."""

    def opened(_):
        connection = open_postgres(server, "many", [FIRST, "ALTER TABLE a ADD COLUMN y INTEGER;\n"])
        found = connection.execute("SELECT version FROM schema_version").fetchall()
        connection.close()
        return found

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened, range(8))) == [[(2,)]] * 8


def test_nothing_that_two_count_at_once_is_lost(registry):
    """What is read in a transaction still holds when it is written, over several connections."""

    def count(other):
        for _ in range(25):
            other.accounts.count("address", 0, lambda _fails: 0)
            other.record("operator", "test", "x")

    with registry.another() as second, registry.another() as third, ThreadPoolExecutor(3) as pool:
        list(pool.map(count, (registry, second, third)))
    assert registry._rows("SELECT fails FROM throttle") == [(75,)]
    assert (registry.trail.verify().linked, registry.trail.verify().broken) == (75, None)


def test_a_writer_waits_for_another_one_only_so_long(plain, server, monkeypatch):
    """Then it is an error that says where to look, and the connection goes on."""
    monkeypatch.setattr("submeter.store.postgres.LOCK_TIMEOUT", "100ms")
    other = Postgres(server, "plain")
    with transaction(plain), pytest.raises(StoreError, match="lock timeout; another process writes"), transaction(other):
        pass
    with transaction(other):
        other.execute("INSERT INTO a (x) VALUES (1)")
    assert plain.execute("SELECT count(*) FROM a").fetchone() == (1,)
    other.close()


def test_a_connection_that_the_server_ended_is_made_anew(registry, server):
    """Reading and writing go on by themselves."""
    registry.record("operator", "test", "before")
    end_others(server)
    assert len(registry.audit()) == 1
    end_others(server)
    registry.record("operator", "test", "after")
    assert [one.subject for one in registry.audit()] == ["before", "after"]


def test_a_transaction_ends_with_its_connection(registry, server):
    """What came before is not kept alone: nothing of it is, and what follows is refused until the next one."""

    def careless():
        with registry.writing():
            registry.record("operator", "test", "lost")
            end_others(server)
            with pytest.raises(StoreError):
                registry.record("operator", "test", "refused")
            registry.record("operator", "test", "refused too")

    with pytest.raises(StoreError):
        careless()
    registry.record("operator", "test", "kept")
    assert [(one.id, one.subject) for one in registry.audit()] == [(1, "kept")]


def test_one_core_has_a_database(tmp_path, server):
    """A core of another data folder is refused, also after the server ended the connections, until the first one is gone."""
    configs = [parse(f'[data]\nfolder = "{name}"\ndatabase = "{server}"\n[keys]\nmaster_key_file = ""\n', tmp_path / "x.toml") for name in "ab"]
    with Core(configs[0]) as core:
        end_others(server)
        core.registry.record("operator", "test", "x")
        with pytest.raises(StoreError, match="core of another data folder"):
            Core(configs[1])
        with Registry.of(configs[1].data) as beside:
            assert len(beside.audit()) == 1
    Core(configs[1]).close()


def test_a_server_that_stops_is_an_error_and_then_used_again(registry, cluster):
    """While it is away each call says so; when it is back everything that was committed is there."""
    registry.record("operator", "test", "x")
    cluster().stop("immediate")
    try:
        with pytest.raises(StoreError, match="look whether the server runs"):
            registry.audit()
    finally:
        cluster().start()
    assert len(registry.audit()) == 1


def test_a_password_is_needed_and_never_told(tmp_path, server, cluster):
    """It stands in a file of its own; a wrong one is an error that names the store and not the password."""
    cluster().execute("DROP ROLE IF EXISTS guarded", "CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'p@ss/w:rd?'")
    config, secret = tmp_path / "pipeline.toml", tmp_path / "database.password"
    address = server.replace("submeter@", "guarded@")
    config.write_text(f'[data]\ndatabase = "{address}"\ndatabase_password_file = "database.password"\n')
    for password, code in (("p@ss/w:rd?", 0), ("wr0ng/pass", 1)):
        secret.write_text(f"{password}\n")
        done = CliRunner().invoke(app, ["check", "-c", str(config)])
        told = f"{done.output}{done.exception}"
        assert (done.exit_code, password in told) == (code, False), told
        assert ("PostgreSQL 1" in told) is (code == 0)
    assert "password authentication failed" in told
    assert "database_password_file" in told
    assert address.partition("//")[2].partition("/")[2] in told


def test_a_server_that_is_not_there_is_told_with_what_to_do():
    """Host, and where to look."""
    with pytest.raises(StoreError, match=r"published in PostgreSQL database x at 127\.0\.0\.1: .*refused.*; look whether the server runs"):
        Postgres(f"postgresql://submeter@127.0.0.1:{free_port()}/x", "published")


def test_a_database_that_is_not_there_is_told_with_what_to_do(cluster, tmp_path):
    """How it is made."""
    with pytest.raises(StoreError, match=r'"nowhere" does not exist; .* has this database \(createdb'):
        Published(tmp_path / "published.sqlite", server=cluster().server("nowhere"))


def test_a_database_of_other_letters_is_refused(cluster, tmp_path):
    """Before anything is made in it."""
    cluster().execute("DROP DATABASE IF EXISTS latin", "CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
    with pytest.raises(StoreError, match="keeps LATIN1, not UTF8"):
        Published(tmp_path / "published.sqlite", server=cluster().server("latin"))


def test_values_of_rows_are_in_no_error(registry):
    """An address that is there twice is not repeated in the log."""
    twice = "INSERT INTO throttle VALUES ('somebody@example.org', 0, 0, 0), ('somebody@example.org', 0, 0, 0)"
    with pytest.raises(StoreError) as told, registry.writing() as db:
        db.execute(twice)
    assert "duplicate key" in str(told.value)
    assert "somebody" not in str(told.value)
    assert told.value.__cause__ is None


def test_without_the_driver_the_extra_is_named():
    """An installation without it says what to install."""
    script = "import sys; sys.modules['psycopg'] = None\nfrom submeter.store.sql import reached\nreached('postgresql://x/y')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pip install 'submeter[postgres]'" in done.stderr


def test_a_new_column_is_seen_by_who_has_the_store_open(plain, server):
    """A newer release may come up beside an older process: what that one asks by name goes on."""
    for _ in range(10):
        plain.execute("SELECT id, x FROM a")
    other = open_postgres(server, "plain", [FIRST])
    with transaction(other):
        migrate(other, [FIRST, "ALTER TABLE a ADD COLUMN y INTEGER;\n"])
    other.close()
    assert plain.execute("SELECT id, x FROM a").fetchall() == []
