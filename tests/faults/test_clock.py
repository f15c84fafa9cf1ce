"""A clock that jumps under the running service: fault 19 of reliability/FAULTS.md (20 and 21 are in tests/aggregate and tests/ingest).

The process reads its clock through `time`, which a `sitecustomize` of the test shifts by what a file says; timers and threads have the true one. (libfaketime
makes Python's own sleeping fail.)
"""

import sqlite3
import time
from contextlib import closing

import pytest
from broker import wait_until
from exactly import exactly_once
from pushing import Pushed

from submeter.core import now

SHIFTED = """
import time
from pathlib import Path

_true, _file = time.time_ns, Path({file!r})
time.time_ns = lambda: _true() + int(_file.read_text() or 0) * 1_000_000_000
time.time = lambda: time.time_ns() / 1e9
"""
HOUR = 3600


@pytest.fixture
def clock(tmp_path):
    """The file that says how many seconds a clock is ahead."""
    file = tmp_path / "clock"
    file.write_text("0")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SHIFTED.format(file=str(file)))
    return file


def test_fault_19_a_clock_that_jumps(tmp_path, clock):
    """Three hours back, a year ahead and right again: nobody waits for ever, what comes counts once at its own time, and the rows are those of a recompute."""
    here = Pushed(tmp_path / "here")
    try:
        here.start(PYTHONPATH=str(tmp_path / "site"))
        here.push_all(here.next(4))
        for ahead in (-3 * HOUR, 365 * 24 * HOUR, 0):
            clock.write_text(str(ahead))
            time.sleep(0.3)
            if ahead <= 0:  # a gateway's own time a year ago is none that can be believed
                here.push_all(here.next(4))
            here.command("rollup")
            wait_until(here.green, 60)
        here.stop()
        with closing(sqlite3.connect(here.folder / "data" / "inbox.sqlite")) as inbox:
            (earliest,) = inbox.execute("SELECT min(received_at) FROM messages").fetchone()
        assert earliest < now() - 2 * HOUR * 1_000_000  # the clock did jump
    finally:
        here.close()
    exactly_once(here, here.sent)
