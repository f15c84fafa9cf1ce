"""Faults 50 and 52: wrong configurations, migrations that were killed, and releases that are older than the files."""

import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing

import duckdb
import pytest
from installation import ROOT, Installation
from migrating import SCHEMAS, opened, slow

from submeter.doctor import examine
from submeter.store import StoreError
from submeter.store.examine import FILES

MIGRATING = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from migrating import opened, slow
    file = Path(sys.argv[1])
    print("begins", flush=True)
    opened(file, (*slow(file),))
    print("done", flush=True)
"""


def tables(file):
    """The tables of a closed file."""
    if file.suffix == ".duckdb":
        with closing(duckdb.connect(file)) as connection:
            return {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.mark.parametrize("name", SCHEMAS)
def test_fault_50_a_migration_that_was_killed_leaves_the_old_schema(tmp_path, name):
    """SIGKILL at any moment of a migration: the release before still opens the file, with its rows, or the migration is whole; then the new one goes on."""
    chance, halfway = random.Random(50), 0
    for number in range(4):
        file = tmp_path / str(number) / name
        file.parent.mkdir()
        opened(file, SCHEMAS[name]).close()
        command = [sys.executable, "-c", textwrap.dedent(MIGRATING), file, ROOT / "tests" / "faults"]
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT / "tests")})
        assert child.stdout.readline() == "begins\n"
        time.sleep(number * 0.1 + chance.uniform(0.0, 0.1))
        child.send_signal(signal.SIGKILL)
        whole = "done" in child.communicate()[0]
        if "after" not in tables(file):
            assert not whole
            assert "slow" not in tables(file)
            opened(file, SCHEMAS[name]).close()
            halfway += 1
        opened(file, slow(file)).close()
        assert {"slow", "after"} <= tables(file)
    assert halfway


@pytest.mark.parametrize("name", SCHEMAS)
def test_fault_50_every_older_schema_is_brought_up(tmp_path, name):
    """A file of each schema that ever was opens with this release, at the newest one."""
    newest = opened(tmp_path / name, SCHEMAS[name])
    newest.close()
    for version in range(1, len(SCHEMAS[name])):
        file = tmp_path / str(version) / name
        file.parent.mkdir()
        opened(file, SCHEMAS[name][:version]).close()
        opened(file, SCHEMAS[name]).close()
        assert tables(file) == tables(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[data]\nfolder = \n", ("pipeline.toml", "line 2")),
        ("[data]\nfolders = 'x'\n", ("pipeline.toml", "folders")),
        ("[api]\nport = 0\n", ("port",)),
    ],
)
def test_fault_50_a_wrong_configuration_is_refused_by_place(tmp_path, text, words):
    """A configuration that cannot be used ends the start with status 2 and the file with line or key, and makes no data folder."""
    (tmp_path / "pipeline.toml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "submeter", "run", "--config", tmp_path / "pipeline.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline.toml"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_fault_52_a_release_that_is_older_than_a_file_stops(tmp_path, name):
    """Whichever file is of a newer schema: the core does not start, says which and what to do, changes nothing in it; the doctor says the same."""
    here = Installation(tmp_path / "here")
    file = here.folder / "data" / name
    opened(file, slow(file)).close()
    before = tables(file)
    words = f"{name} has schema {FILES[name] + 1}, this submeter knows {FILES[name]}: run the newer release or restore an older backup"
    with pytest.raises(StoreError, match=words):
        here.core()
    done = subprocess.run(
        [sys.executable, "-m", "submeter", "run", "--config", here.file], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert any(words in finding.text for finding in examine(here.config) if finding.state == "left")
    assert tables(file) == before
