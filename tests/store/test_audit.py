"""The audit: appended, linked row by row, escaped, and broken where somebody changed it."""

from contextlib import suppress

import pytest
from typer.testing import CliRunner

from submeter.cli import app
from submeter.store import Registry
from submeter.store.audit import ORIGIN, Origin, escaped
from submeter.store.registry_schema import MIGRATIONS
from submeter.store.sqlite import open_sqlite

pytestmark = pytest.mark.both_engines
#: How many migrations there were before the audit was linked.
BEFORE = next(number for number, script in enumerate(MIGRATIONS) if "ALTER TABLE audit ADD COLUMN hash" in script)


@pytest.fixture
def file(tmp_path):
    """A registry with five rows."""
    path = tmp_path / "registry.sqlite"
    with Registry(path) as registry:
        for number in range(5):
            registry.record("operator", "test", f"u_{number}", "detail")
    return path


@pytest.fixture
def tamper(outside, engine):
    """What somebody does who can write the store."""
    off = [f"DROP TRIGGER audit_is_not_{name}" for name in ("edited", "replaced", "deleted")]
    return lambda path, statement: outside(path, *(off if engine == "sqlite" else ["ALTER TABLE audit DISABLE TRIGGER USER"]), statement)


def broken(path):
    """The first row that does not hold."""
    with Registry(path) as registry:
        return registry.trail.verify().broken


def test_an_untouched_audit_holds(file):
    """All rows are linked, also those written after the file was opened again."""
    with Registry(file) as registry:
        registry.record("operator", "test", "more")
        chain = registry.trail.verify()
    assert (chain.linked, chain.older, chain.broken) == (6, 0, None)
    with Registry(file) as registry:
        assert registry.trail.verify().head == chain.head


@pytest.mark.parametrize("column", ["at", "actor", "action", "subject", "detail", "manager", "purpose", "outcome", "request", "network", "hash"])
def test_a_changed_field_is_found_at_its_row(file, tamper, column):
    """Whatever of a row is changed, the row is named."""
    other = "(SELECT hash FROM audit WHERE id = 1)" if column == "hash" else "7"
    tamper(file, f"UPDATE audit SET {column} = {other} WHERE id = 3")
    assert broken(file) == 3


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("DELETE FROM audit WHERE id = 3", 4),
        ("DELETE FROM audit WHERE id = 1", 2),
        ("DELETE FROM audit WHERE id >= 4", 4),
        ("DELETE FROM audit", 1),
        ("UPDATE audit SET hash = NULL WHERE id = 5", 5),
        (
            "INSERT INTO audit SELECT 9, at, actor, action, subject, detail, manager, purpose, outcome, request, network, hash FROM audit WHERE id = 5",
            9,
        ),
    ],
)
def test_rows_taken_out_or_put_in_are_found(file, tamper, statement, row):
    """In the middle, at the beginning, at the end, all of them."""
    tamper(file, statement)
    assert broken(file) == row


@pytest.mark.sqlite_alone("on PostgreSQL the audit is linked from its first row")
def test_rows_of_before_the_chain_are_its_anchor(tmp_path, tamper):
    """An older file gets a chain from its next row on, which breaks there if one of the older rows is changed."""
    path = tmp_path / "registry.sqlite"
    old = open_sqlite(path, MIGRATIONS[:BEFORE])
    old.executemany("INSERT INTO audit (at, actor, action, subject, detail) VALUES (1, 'a', 'b', ?, '')", [("x",), ("y",)])
    old.close()
    with Registry(path) as registry:
        assert registry.trail.verify().older == 2
        registry.record("operator", "test", "first")
        registry.record("operator", "test", "second")
        chain = registry.trail.verify()
        assert [one.manager for one in registry.audit()] == [None, None, "", ""]
    assert (chain.linked, chain.older, chain.broken) == (2, 2, None)
    tamper(path, "UPDATE audit SET subject = 'z' WHERE id = 1")
    assert broken(path) == 3


def test_what_is_undone_leaves_no_gap(file):
    """A transaction that fails takes its rows with it, and the chain goes on."""
    with Registry(file) as registry:
        with suppress(ZeroDivisionError), registry.writing():
            registry.record("operator", "test", "undone")
            raise ZeroDivisionError
        with registry.rehearsal():
            registry.record("operator", "test", "rehearsed")
        registry.record("operator", "test", "kept")
        assert (registry.trail.verify().broken, registry.audit()[-1].id) == (None, 6)


def test_two_connections_write_one_chain(file):
    """What another process appended meanwhile is linked to."""
    with Registry(file) as one, Registry(file) as other:
        for number in range(4):
            (one, other)[number % 2].record("operator", "test", str(number))
        assert one.trail.verify().broken is None
        assert one.trail.verify().linked == 9


def test_control_characters_are_escaped_in_every_field(file):
    """Nobody can write a line of their own into a log by a name."""
    nasty = "x\r\n2026-01-01 operator\x1b[2J\u2028\u202e\ud800"
    with Registry(file) as registry:
        token = ORIGIN.set(Origin(nasty, nasty, nasty))
        try:
            registry.record(nasty, nasty, nasty, nasty, outcome=nasty)
        finally:
            ORIGIN.reset(token)
        row = registry.audit()[-1]
    told = r"x\r\n2026-01-01 operator\x1b[2J\u2028\u202e\ud800"
    assert [row.actor, row.action, row.subject, row.detail, row.manager, row.outcome, row.request, row.network] == [told] * 8
    assert escaped("Žižkov 5, č. 3") == "Žižkov 5, č. 3"


def test_rows_are_found_by_each_filter(file):
    """Time is half-open; actor, action, object and manager are exact; pages go on by id."""
    with Registry(file) as registry:
        registry.record("token:k", "other", "u_1", manager="m")
        rows = registry.audit()
        trail = registry.trail
        assert trail.find(actor="token:k") == trail.find(action="other") == trail.find(manager="m") == rows[-1:]
        assert [one.id for one in trail.find(subject="u_1")] == [2, 6]
        assert [one.id for one in trail.find(since=rows[1].at, until=rows[3].at)] == [one.id for one in rows if rows[1].at <= one.at < rows[3].at]
        assert [one.id for one in trail.find(limit=2)] == [1, 2]
        assert [one.id for one in trail.find(limit=2, newest=True)] == [5, 6]
        assert [one.id for one in trail.find(after=4)] == [5, 6]


def test_the_command_lists_and_verifies(tmp_path, file, tamper, server):
    """`submeter audit` shows rows by filter; `--verify` tells the last hash, or names the first broken row and fails."""
    config = tmp_path / "pipeline.toml"
    config.write_text(f'[data]\nfolder = "{tmp_path}"\ndatabase = "{server}"\n')

    def run(*arguments):
        return CliRunner().invoke(app, ["audit", "-c", str(config), *arguments])

    listed = run("--unit", "u_3")
    assert listed.exit_code == 0, listed.output
    assert [line.split()[2:5] for line in listed.output.splitlines()] == [["operator", "test", "u_3"]]
    assert len(run("--from", "2020-01-01", "--action", "test").output.splitlines()) == 5
    assert run("--to", "2020-01-01").output == ""
    with Registry(file) as registry:
        assert registry.trail.verify().head in run("--verify").output
    tamper(file, "UPDATE audit SET detail = 'nothing' WHERE id = 2")
    assert "row 2" in str(run("--verify").exception)
