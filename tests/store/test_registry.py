from concurrent.futures import ThreadPoolExecutor

import pytest

from submeter.reading import DeviceId
from submeter.store import SCOPES, Registry, StoreError, Vault, VaultError
from submeter.store.accounts import Account
from submeter.store.registry import SELECT_VERSION
from submeter.store.registry_schema import MIGRATIONS
from submeter.store.sql import open_sql

DEVICE = DeviceId("AAA", "12345678", 0x1B, 0x06)
KEY = bytes(range(16))
pytestmark = pytest.mark.both_engines
#: What an engine has beside UPDATE and DELETE.
INSTEAD = {
    "sqlite": ["REPLACE INTO audit (id, at, actor, action, subject, detail) SELECT id, 0, '', '', '', '' FROM audit"],
    "postgres": [
        "TRUNCATE audit",
        "INSERT INTO audit (id, at, actor, action, subject, detail) SELECT id, 0, '', '', '', '' FROM audit ON CONFLICT (id) DO UPDATE SET at = 0",
    ],
}


HOUSES = (
    "INSERT INTO managers VALUES ('c_1', 'One'), ('c_2', 'Two')",
    "INSERT INTO properties (id, manager, name, zone, year_start, finest) VALUES ('b_1', 'c_1', 'House', 'Europe/Prague', '01-01', 'day'), ('b_2', 'c_2', 'Home', 'UTC', '07-01', 'hour')",
    "INSERT INTO units VALUES ('u_1', 'b_1', '1', ''), ('u_2', 'b_1', '2', ''), ('u_3', 'b_2', '1', '')",
    """INSERT INTO points VALUES ('m_1', 'b_1', 'u_1', 'cold_water', 'kitchen', 'volume flow', '{"max_gap": "PT6H"}')""",
)


@pytest.fixture
def registry(tmp_path):
    """Two managers with a property and units each, and one device with a sealed key."""
    with Registry(tmp_path / "registry.sqlite", Vault.create(tmp_path / "master.key")) as opened:
        with opened.writing() as db:
            for statement in HOUSES:
                db.execute(statement)
            db.execute("INSERT INTO devices VALUES (?, ?, 5, 1)", (str(DEVICE), opened.vault.seal(KEY, str(DEVICE))))
        yield opened


def test_a_device_has_its_key_in_clear(registry):
    """The core reads a device with its key opened; one that is not in the directory is None."""
    device = registry.device(DEVICE)
    assert (device.id, device.key, device.mode) == (DEVICE, KEY, 5)
    assert registry.devices() == [device]
    assert registry.device(DeviceId("BBB", "12345678", 0x1B, 0x06)) is None


def test_a_device_does_not_show_its_key(registry):
    """The text form of a device, which may reach a log, has no key."""
    assert repr(registry.device(DEVICE)) == "Device(AAA-12345678-1B-06, key=yes, mode=5)"


def test_an_account_does_not_show_its_password(registry):
    """The text form of an account, which may reach a log, has no hash, name or address."""
    registry.accounts.add(Account("a_1", "inmes", "jana", "Jana", "cs", "$argon2id$secret", 1, 0, None))
    assert repr(registry.accounts.account("a_1")) == "Account(a_1)"


def test_the_log_of_a_file_is_emptied(registry):
    """Nothing that was deleted stands in it then; a server's log is the server's."""
    registry.record("test", "test", "x", "a detail that is long gone")
    assert registry.empty_log()
    if registry._connection.engine == "sqlite":
        assert registry.path.with_name("registry.sqlite-wal").stat().st_size == 0


def test_without_the_master_key_a_sealed_key_is_an_error(registry, tmp_path):
    """A process without the master key never takes a keyed device for one without key."""
    with Registry(registry.path) as other, pytest.raises(VaultError, match="no master key"):
        other.device(DEVICE)
    with Registry(registry.path, Vault.create(tmp_path / "other.key")) as other, pytest.raises(VaultError, match="another master key"):
        other.device(DEVICE)


def test_the_gate_shows_the_units_of_the_own_manager(registry):
    """A service token sees the units of its manager with the property's finest level, and no other."""
    principal = registry.token(registry.create_token("c_1"))
    assert [(seen.unit, seen.since, seen.until, seen.finest) for seen in registry.visible(principal)] == [
        ("u_1", None, None, "day"),
        ("u_2", None, None, "day"),
    ]
    assert [seen.unit for seen in registry.visible(principal, "u_2")] == ["u_2"]
    assert registry.visible(principal, "u_3") == registry.visible(principal, "u_9") == []


def test_a_token_is_shown_once_and_kept_as_its_hash(registry, tmp_path):
    """The secret of a token opens the door and stands in no file."""
    secret = registry.create_token("c_2", ["units:read"])
    assert secret.startswith("smt_")
    assert len(secret) > 40
    principal = registry.token(secret)
    assert (principal.manager, principal.scopes) == ("c_2", {"units:read"})
    assert registry.token(secret + "x") is None
    assert registry.token("") is None
    for file in tmp_path.glob("registry.sqlite*"):
        assert secret.encode() not in file.read_bytes()
        assert secret.removeprefix("smt_").encode() not in file.read_bytes()


def test_a_revoked_token_ends_at_once(registry):
    """Revoking ends a token for good; the list keeps it with its end."""
    secret, other = registry.create_token("c_1"), registry.create_token("c_1")
    registry.revoke_token(registry.token(secret).token)
    assert registry.token(secret) is None
    assert registry.token(other) is not None
    assert sorted(token.revoked is not None for token in registry.tokens()) == [False, True]
    with pytest.raises(StoreError, match="there is no token k_none"):
        registry.revoke_token("k_none")


@pytest.mark.parametrize(
    ("manager", "scopes", "said"), [("c_9", SCOPES, "there is no manager c_9"), ("c_1", ["all"], "all is no scope"), ("c_1", [], "no scope")]
)
def test_a_token_needs_a_manager_and_known_scopes(registry, manager, scopes, said):
    """A token for nobody, or for what does not exist, is refused."""
    with pytest.raises(StoreError, match=said):
        registry.create_token(manager, scopes)
    assert registry.tokens() == []


def test_the_audit_is_append_only(registry, engine):
    """Lines of the audit can be added, never changed or deleted."""
    registry.record("operator", "test", "u_1", "detail")
    for statement in (
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM audit",
        *INSTEAD[engine],
    ):
        with pytest.raises(StoreError, match="audit rows are never"), registry.writing() as db:
            db.execute(statement)
    assert [(entry.actor, entry.action, entry.subject, entry.detail) for entry in registry.audit()] == [("operator", "test", "u_1", "detail")]


def test_tokens_are_in_the_audit(registry):
    """Making and ending a token leaves a line each, without the secret."""
    secret = registry.create_token("c_1")
    identity = registry.token(secret).token
    registry.revoke_token(identity)
    assert [(entry.action, entry.subject) for entry in registry.audit()] == [("token.create", identity), ("token.revoke", identity)]
    assert not any(secret in entry.detail for entry in registry.audit())


def test_points_have_registers_and_parameters(registry):
    """A point names its registers, the main one first, and the parameters of the main one; its zone is the property's."""
    (point,) = registry.points_of("u_1")
    assert (point.registers, point.parameters) == (("volume", "flow"), {"max_gap": "PT6H"})
    assert registry.points() == [point]
    assert registry.points_of("u_2") == []
    assert registry.zone_of("m_1") == "Europe/Prague"
    with pytest.raises(StoreError, match="no point m_9"):
        registry.zone_of("m_9")


def test_single_things(registry):
    """A unit and a property are found by id, or are None."""
    assert registry.unit("u_3").property == "b_2"
    assert registry.property("b_2").year_start == "07-01"
    assert registry.unit("u_9") is registry.property("b_9") is None
    assert [one.name for one in registry.managers()] == ["One", "Two"]
    assert [one.id for one in registry.properties()] == ["b_2", "b_1"]
    assert registry.assignments() == registry.assignments_of("m_1") == registry.occupancies_of("u_1") == []


@pytest.mark.sqlite_alone("tests/store/test_postgres.py asks the server")
def test_commits_are_on_the_disk(registry):
    """The registry's connection waits for the disk at each commit."""
    assert registry._rows("PRAGMA synchronous") == [(2,)]
    assert registry._rows("PRAGMA journal_mode") == [("wal",)]


def test_a_newer_file_is_refused(tmp_path, server, outside):
    """A file of a newer release is refused by name and left as it is."""
    file = tmp_path / "registry.sqlite"
    known = len(MIGRATIONS)
    open_sql(file, [f"CREATE TABLE t{n} (x INTEGER);" for n in range(known + 1)], server=server).close()
    with pytest.raises(StoreError, match=rf"registry.* has schema {known + 1}, this submeter knows {known}"):
        Registry(file)
    assert outside(file, "SELECT version FROM schema_version") == [(known + 1,)]


def test_who_reads_waits_for_no_writer_and_the_writer_sees_its_own(registry):
    """While one thread writes, another reads what stood before; the one that writes reads what it wrote."""
    with registry.writing() as db:
        db.execute("INSERT INTO managers VALUES ('c_3', 'Three')")
        with ThreadPoolExecutor(1) as other:
            assert len(other.submit(registry.managers).result(timeout=10)) == 2
        assert len(registry.managers()) == 3
    assert len(registry.managers()) == 3
    with registry.rehearsal():
        with registry.writing() as db:
            db.execute("INSERT INTO managers VALUES ('c_4', 'Four')")
        assert len(registry.managers()) == 4
    assert len(registry.managers()) == 3


@pytest.mark.sqlite_alone("SQLite is told by name which index to take")
def test_the_version_of_the_directory_does_not_read_the_audit(registry):
    """However many people signed in since, it is found by an index."""
    ((*_, plan),) = registry._rows(f"EXPLAIN QUERY PLAN {SELECT_VERSION}")
    assert "INDEX audit_of_directory" in plan


@pytest.mark.sqlite_alone("tests/store/test_postgres.py asks the server")
def test_what_need_not_outlast_a_power_cut_does_not_wait_for_the_disk(registry):
    """Only inside is the file written without waiting; the next transaction waits again."""
    for synced, expected in ((False, 1), (True, 2)):
        with registry.writing(synced=synced) as db:
            db.execute("UPDATE managers SET name = name")
            assert db.execute("PRAGMA synchronous").fetchone() == (expected,)
