"""An installation of files moves into a database: the same rows, also after the move was killed in its middle."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from installation import Installation
from tables import names
from typer.testing import CliRunner

from submeter.cli import app
from submeter.config import load
from submeter.core import Core
from submeter.reading import Register
from submeter.store import POINT, Block, Correction, Cut, Parts, Published, PublishedSeries, Registry, StoreError
from submeter.store.accounts import Account, Contact
from submeter.store.moving import move
from submeter.store.published import MIGRATIONS as PUBLISHED
from submeter.store.registry_schema import MIGRATIONS as REGISTRY

pytestmark = pytest.mark.sqlite_alone("it begins with files")
#: It moves a store in small pages, and dies of the third commit, or not.
MOVING = """
    import os, sys
    from pathlib import Path
    from submeter.store import moving
    from submeter.store.postgres import Postgres
    from submeter.store.published import MIGRATIONS

    copy, left, moving.PAGE = Postgres.copy, [int(sys.argv[3])], 40

    def counted(self, *arguments):
        copy(self, *arguments)
        left[0] -= 1
        if not left[0]:
            os._exit(9)

    Postgres.copy = counted
    for line in moving.move(Path(sys.argv[1]), sys.argv[2], MIGRATIONS):
        print(line)
"""


@pytest.fixture
def here(tmp_path):
    """An installation of files with rows in tables of every kind: keys of one and several columns, none, numbers, bytes, references to itself."""
    made = Installation(tmp_path, flats=2)
    with made.core() as core:
        registry, now = core.registry, 1
        for number, name in enumerate(("zoe", "adam", "mia")):
            registry.accounts.add(Account(f"a_{name}", "inmes", name, name, "cs", "hash", now, 0, None))
            registry.accounts.add_contact(Contact(f"c_{9 - number}", "a_zoe", "email", f"{name}@example.org", "auth", now), "inmes")
            registry.accounts.consent(f"n_{name}", f"a_{name}", "terms", "1", "cs", now)
            registry.accounts.remember_browser(f"a_{name}", name, now)
        first = registry.decisions.enter("reject", "m", by="x", reason="y", now=now, details={"t": 1, "until": 2})
        registry.decisions.withdraw(first.id, by="x", reason="y", now=now)
        fill(core.published)
    return made


def fill(published):
    """Blocks of some series, with what stands beside them."""
    rows = np.zeros(24, POINT)
    rows["value"], rows["lo"] = range(24), -(2**63)
    series = [PublishedSeries(number, f"m_{number}", Register("volume", "m3"), "total", "UTC", None, number) for number in range(900, 912)]
    blocks = [Block(one.id, level, f"2024-{month:02}", rows) for one in series for level in range(3) for month in range(1, 13)]
    corrections = {900: [Correction(900, 1, 0, 5, 1, None, "late", "job", 7, 2)]}
    published.replace(series, blocks, blocks[:3], corrections, [Parts(900, 1, "2024-01", 5, 9, rows[:1])], [Cut(900, "x", 0)])


@pytest.fixture
def server(cluster, tmp_path):
    """An empty database."""
    yield cluster().database_of(tmp_path / "elsewhere")
    cluster().drop(tmp_path)


def command(here, server):
    """Run `submeter migrate` with this database in the configuration."""
    text = here.file.read_text()
    if "database" not in text:
        here.file.write_text(text.replace("[data]\n", f'[data]\ndatabase = "{server}"\n'))
    return CliRunner().invoke(app, ["migrate", "-c", str(here.file)])


def rows_of(registry):
    """All rows of a registry."""
    return {
        table: sorted(map(repr, registry._rows(f"SELECT * FROM {table}")))
        for table in names(registry)
        if table not in ("contacts", "factors", "alert_rules")
    }


def test_an_installation_moves_and_goes_on(here, server):
    """Every row is there, order of entry too; the audit's chain goes on, numbers are not given again, and the core works with it."""
    folder = here.folder / "data"
    with Registry(folder / "registry.sqlite") as before, Published(folder / "published.sqlite") as rows:
        registry, series = rows_of(before), rows.series()
        contacts = before.accounts.contacts("a_zoe")
        audit, blocks = before.audit(), rows.read(905, 1, "2024-01", "2024-12")
    done = command(here, server)
    assert done.exit_code == 0, done.output
    assert "published.blocks: 432 rows, sha256 " in done.output
    assert "registry.devices: " in done.output
    assert sorted(one.name for one in folder.iterdir() if "sqlite" in one.name) == ["inbox.sqlite", "published.sqlite.moved", "registry.sqlite.moved"]
    with Core(load(here.file)) as core:
        assert rows_of(core.registry) == registry
        assert core.registry.accounts.contacts("a_zoe") == contacts
        assert [one.id for one in contacts] == ["c_9", "c_8", "c_7"]
        assert core.published.series() == series
        assert core.published.read(905, 1, "2024-01", "2024-12").tobytes() == blocks.tobytes()
        assert core.registry.decisions.enter("reject", "m", by="x", reason="y", now=2, details={"t": 1, "until": 2}).id == 3
        core.registry.accounts.add_contact(Contact("c_1", "a_zoe", "phone", "+420777123456", "auth", 1), "inmes")
        assert [one.id for one in core.registry.accounts.contacts("a_zoe")] == ["c_9", "c_8", "c_7", "c_1"]
        assert core.registry.audit()[: len(audit)] == audit
        assert core.registry.trail.verify().broken is None
        assert core.rollup() is not None
    assert "nothing is left to move" in command(here, server).output


def test_a_core_does_not_start_between_the_two(here, server):
    """With a database in the configuration and the file still there it says what to do."""
    here.file.write_text(here.file.read_text().replace("[data]\n", f'[data]\ndatabase = "{server}"\n'))
    with pytest.raises(StoreError, match="`submeter migrate` moves it there"):
        Core(load(here.file))


def test_a_move_needs_a_database_and_the_folder_for_itself(here, server):
    """Without one it says what to write; beside a core it refuses."""
    assert "names no database" in str(CliRunner().invoke(app, ["migrate", "-c", str(here.file)]).exception)
    with here.core():
        assert "in use by another submeter" in str(command(here, server).exception)


@pytest.mark.parametrize("commits", [1, 3, 7])
def test_a_move_that_was_killed_goes_on(here, server, commits):
    """Whatever it had committed stays, nothing comes twice, and the end is the same."""
    path = here.folder / "data" / "published.sqlite"
    run = [sys.executable, "-c", textwrap.dedent(MOVING), path, server]
    assert subprocess.run([*run, str(commits)], check=False).returncode == 9
    with Published(path, server=server) as half:
        there = half.series(), half._connection.execute("SELECT count(*) FROM blocks").fetchone()[0]
    assert there != ([], 432)
    resumed = subprocess.run([*run, "0"], check=True, capture_output=True, text=True).stdout
    assert "published.blocks: 432 rows" in resumed
    with Published(path) as before, Published(path, server=server) as after:
        assert before.series() == after.series()
        for one in after.series():
            assert before.read(one.id, 1, "2024", "2025").tobytes() == after.read(one.id, 1, "2024", "2025").tobytes()


@pytest.mark.parametrize(
    "change", ["UPDATE blocks SET version = 99 WHERE series = 905 AND level = 0", "DELETE FROM blocks WHERE series = 900 AND level = 0"]
)
def test_what_came_out_different_is_named(here, server, change):
    """Somebody else's rows in the database are not taken for moved ones."""
    path = here.folder / "data" / "published.sqlite"
    list(move(path, server, PUBLISHED))
    with Published(path, server=server) as other:
        other._connection.execute(change)
    with pytest.raises(StoreError, match=r"blocks is not as in .*; DROP SCHEMA published CASCADE"):
        list(move(path, server, PUBLISHED))


def test_every_table_is_moved(here, server):
    """One that comes later, too."""
    path = here.folder / "data" / "registry.sqlite"
    later = [
        *REGISTRY,
        "CREATE TABLE later (id TEXT PRIMARY KEY, account TEXT REFERENCES accounts, b BLOB) STRICT;\nINSERT INTO later SELECT id, id, NULL FROM accounts;\n",
    ]
    assert [line for line in move(path, server, later) if line.startswith("registry.later: 3 rows")]
