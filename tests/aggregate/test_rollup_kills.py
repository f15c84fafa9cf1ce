"""kill -9 in the middle of a rollup: rows are old or new, never half, and the next run equals a computation from scratch.

`SUBMETER_KILLS` says how many times (default 4).
"""

import itertools
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from stores import BASE, EVER, Stores

from submeter import civil
from submeter.reading import LEVELS

KILLS = int(os.environ.get("SUBMETER_KILLS", "4"))
HERE = Path(__file__).parent
#: Stores readings, live and late, and rolls them up, for ever; a line on stdout for each run that is through.
GROWING = """
    import random, sys
    from pathlib import Path
    sys.path.insert(0, {here!r})
    from stores import BASE, POINTS, Stores, units
    from submeter import civil
    stores, chance = Stores(Path({folder!r})), random.Random({seed})
    stores.seq = {seed} * 1_000_000
    print("open", flush=True)
    while True:
        for name in POINTS:
            hours = range(start := chance.randrange(60 * 24), start + chance.randrange(1, 60))
            stores.store(name, 0, [(BASE + hour * civil.HOUR, units(500) + hour * units(0.01), False, 0) for hour in hours])
        stores.run({now})
        print("run", flush=True)
"""


def levels_agree(stores):
    """Assert that no row is half: hours add up to days, days to months, months to years."""
    for number, series in stores.series().items():
        if series.kind == "gauge":
            continue
        rows = [stores.readings.rollups([number], level, -EVER, EVER).to_pylist() for level in range(len(LEVELS))]
        for finer, coarser in itertools.pairwise(rows):
            for whole in coarser:
                assert sum(row["value"] for row in finer if whole["start"] <= row["start"] < whole["end"]) == whole["value"]


@pytest.mark.slow
def test_a_rollup_that_is_killed_leaves_old_rows_or_new_ones(tmp_path):
    """A process that rolls up a growing store is killed at random: levels agree at once, and a rerun equals a computation from scratch."""
    chance, now = random.Random(11), BASE + 70 * civil.DAY
    for kill in range(KILLS):
        script = textwrap.dedent(GROWING).format(here=str(HERE), folder=str(tmp_path), seed=kill, now=now)
        running = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        running.stdout.readline()
        time.sleep(chance.uniform(0.05, 2.5))
        running.send_signal(signal.SIGKILL)
        running.wait()
        stores = Stores(tmp_path)
        levels_agree(stores)
        stores.run(now)
        stores.stands(now)
        stores.close()
