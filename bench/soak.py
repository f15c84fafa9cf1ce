"""`./run soak [NAME…]`: the long runs of docs/trust.md, one after the other; a line for each, to be put there.

Strategy: each is a test of the suite at its full length, which environment variables give; one that is set already counts, so that `SUBMETER_CYCLES=100 ./run soak kills`
is a shorter run and its line says so. Ends with 1 if one failed; what it said is printed.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from submeter import __version__

ROOT: Final = Path(__file__).resolve().parent.parent


class Run(NamedTuple):
    """What is run: the promise with its length in braces, the variable and its full value, and the tests."""

    promise: str
    variable: str
    full: int
    tests: tuple[str, ...]


RUNS: Final = {
    "kills": Run("{} times kill -9 of the service, all of the chain", "SUBMETER_CYCLES", 1000, ("tests/test_kill.py",)),
    "collector": Run("{} messages, one kill -9 of the collector or the broker a thousand", "SUBMETER_MESSAGES", 20_000, ("tests/ingest/test_mqtt_losses.py",)),
    "inside": Run(
        "{} times kill -9 in checkpoints, and in rollups", "SUBMETER_KILLS", 100, ("tests/faults/test_processes.py::test_fault_04_killed_in_a_checkpoint", "tests/aggregate/test_rollup_kills.py")
    ),
    "cuts": Run("{} cuts of DuckDB's log, and as many cuts, zeroed and random ends of the inbox's", "SUBMETER_CUTS", 500, ("tests/faults/test_torn_logs.py",)),
    "points": Run("{} places on the way to a full disk, and input and output errors", "SUBMETER_POINTS", 20, ("tests/faults/test_disk.py",)),
    "overload": Run("{} s of ten times what is decoded, in 512 MiB", "SUBMETER_OVERLOAD_S", 120, ("tests/test_overload.py",)),
    "backlog": Run("{} hours of a broker that was down", "SUBMETER_BACKLOG_HOURS", 240, ("tests/faults/test_network.py::test_fault_22_a_broker_that_was_down_for_a_day",)),
    "orders": Run("{} orders and repetitions of a series", "SUBMETER_EXAMPLES", 10_000, ("tests/aggregate/test_invariants.py::test_order_and_repetition_do_not_matter",)),
    "chain": Run("{} orders, splits and repetitions through the whole chain", "SUBMETER_ORDERS", 50, ("tests/faults/test_deliveries.py::test_fault_28_any_order_up_to_forty_days_late_gives_the_same_rows",)),
    "frames": Run("{} mutated frames", "SUBMETER_FUZZ", 50_000_000, ("tests/decoders/test_attacks.py::test_mutated_frames_end_in_a_typed_outcome",)),
    "guesses": Run("{} guesses from 100 addresses", "SUBMETER_GUESSES", 10_000, ("tests/api/test_checks_guessing.py::test_check_16_guesses_from_a_hundred_addresses_find_nothing",)),
    "requests": Run("{} requests made from the document", "SUBMETER_REQUESTS", 20_000, ("tests/api/test_contract.py",)),
}  # fmt: skip


def soak(name: str) -> bool:
    """Make one long run, and print its line; whether it held."""
    run = RUNS[name]
    length = os.environ.get(run.variable, str(run.full))
    command = [sys.executable, "-m", "pytest", "-q", "-rs", *run.tests]
    started, version = time.monotonic(), f"{__version__} {_revision()}"
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, run.variable: length}, capture_output=True, text=True, check=False)
    took, held = time.monotonic() - started, done.returncode == 0 and "SKIPPED" not in done.stdout
    figure = "held" if held else "FAILED, or not run,"
    promise = run.promise.format(f"{int(length):,}")
    seed = f"SUBMETER_SEED={os.environ['SUBMETER_SEED']} " if "SUBMETER_SEED" in os.environ else ""
    today, said = datetime.now(UTC).date(), f"`{seed}{run.variable}={length} ./run soak {name}`"
    sys.stdout.write(f"| {promise} | {figure} in {took:.0f} s | {today} | {version} | {said} |\n")
    sys.stdout.flush()
    if not held:
        sys.stderr.write(done.stdout + done.stderr)
    return held


def _revision() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip()


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(RUNS)
    if unknown := [name for name in chosen if name not in RUNS]:
        sys.exit(f"soak: no run is called {unknown[0]}; there are {', '.join(RUNS)}")
    held = [soak(name) for name in chosen]
    sys.exit(0 if all(held) else 1)
