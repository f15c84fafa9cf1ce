"""What older versions of DuckDB did wrong after a crash (reliability/FAULTS.md 1.3), asked of the one that is installed: G15.

Each statement is committed by a process that then kills itself; another one opens the file.
"""

import os
import subprocess
import sys

import duckdb
import pytest

CRASHED = {
    "an index": (
        ["CREATE TABLE t (a INTEGER, b INTEGER)", "CHECKPOINT", "INSERT INTO t VALUES (1, 1)", "CREATE INDEX i ON t (a)"],
        "SELECT count(*) FROM t WHERE a = 1",
        1,
    ),
    "a column with a default": (
        ["CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)", "CHECKPOINT", "ALTER TABLE t ADD COLUMN made TIMESTAMP DEFAULT now()::TIMESTAMP"],
        "SELECT count(made) FROM t",
        1,
    ),
    "an index between other changes": (
        [
            "CREATE TABLE t (a INTEGER)",
            "CHECKPOINT",
            "CREATE INDEX i ON t (a)",
            "INSERT INTO t VALUES (1)",
            "ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 7",
            "INSERT INTO t VALUES (2, 8)",
        ],
        "SELECT count(*) FROM t WHERE a = 1",
        1,
    ),
    "a key that is written twice": (
        ["CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER)", "CHECKPOINT", "INSERT INTO t VALUES (1, 1)", "INSERT OR REPLACE INTO t VALUES (1, 2)"],
        "SELECT b FROM t WHERE a = 1",
        2,
    ),
}
CRASH = """
import os, signal, sys
import duckdb
connection = duckdb.connect(sys.argv[1])
for statement in sys.argv[2:]:
    connection.execute(statement)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", CRASHED)
def test_what_was_committed_before_a_crash_is_found(tmp_path, name):
    """The file opens, and a look-up finds what was committed."""
    statements, question, answer = CRASHED[name]
    file = tmp_path / "t.duckdb"
    done = subprocess.run([sys.executable, "-c", CRASH, file, *statements], capture_output=True, check=False, env=dict(os.environ))
    assert done.returncode == -9, done.stderr
    with duckdb.connect(file) as connection:
        assert connection.execute(question).fetchone() == (answer,)


def test_commits_are_synced(tmp_path):
    """DuckDB waits for the disk at each commit."""
    with duckdb.connect(tmp_path / "t.duckdb") as connection:
        assert connection.execute("SELECT current_setting('fsync_mode')").fetchone()[0].upper() == "STANDARD"
