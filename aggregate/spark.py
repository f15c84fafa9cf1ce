"""Buckets computed on Apache Spark: one task for each, which reads and writes its own files (docs/decisions/2026-11-28-spark.md).

Strategy: the driver is a process of its own, `python -m submeter.aggregate.spark URL`: Java and its memory go when the work is done, and a core that runs for
months never holds them. It is given the buckets on standard input and answers in lines of JSON; what Spark says besides goes to a log. What travels through
Spark is a description of each bucket and three numbers back, never readings or rows: so nothing is shuffled and no Java ever sees a row.
Rules: Spark repeats a task whose worker was lost; every setting of Spark is its operator's (spark-defaults.conf, SPARK_CONF_DIR), except that a master on this
machine's loopback is met there, and that no page is served. Only `drive` and what it calls import pyspark.
"""

import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

from submeter.aggregate.buckets import Bucket, Done, compute
from submeter.aggregate.errors import EngineError
from submeter.errors import SubmeterError

__all__ = ["Spark", "compute_all", "missing", "session"]

#: Seconds between two looks at how far the work is, and until a driver that was asked to end is killed.
LOOK_S: Final = 0.2
END_S: Final = 10
LOOPBACK: Final = ("local", "spark://127.", "spark://localhost", "spark://[::1]")
LOG: Final = "spark.log"
#: Words of a line of Spark's log that says what went wrong, the most telling first.
TELLING: Final = ("EngineError: ", " ERROR ", "Error: ", "Exception: ")
MASTER: Final = "spark://"
CONNECT_S: Final = 5


def missing() -> str | None:
    """What Spark lacks on this machine, and how to get it; None if nothing."""
    if find_spec("pyspark") is None:
        return "pyspark is not installed: pip install 'submeter[spark]', or in a checkout .venv/bin/uv pip install --require-hashes -r requirements-spark.lock"
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java", path=f"{home}/bin" if home else None) is None:
        return "Spark needs Java 17 or later: apt install openjdk-17-jre-headless, or set JAVA_HOME to where it is"
    return None


class Spark:
    """Computes buckets on the cluster of `master`; a run of `Engine`. `stopping` ends it early; the driver's log goes to `folder`."""

    def __init__(self, master: str, folder: Path, stopping: Callable[[], bool] = lambda: False) -> None:
        self._master, self._log, self._stopping = master, folder / LOG, stopping
        if lacking := missing() or _silent(master):
            raise EngineError(lacking)

    def __call__(self, buckets: Sequence[Bucket], told: Callable[[int], None]) -> Sequence[Done]:
        """Compute all of them; EngineError with Spark's own words if it gave up."""
        with self._log.open("wb") as log, self._driver(log) as driver:
            done = self._followed(driver, buckets, told)
        if done is None:
            raise EngineError(
                f"Spark at {self._master} did not finish: {_why(self._log)}; all of it is in {self._log}. What was computed stays: run it again"
            )
        return done

    @contextmanager
    def _driver(self, log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
        command = [sys.executable, "-m", "submeter.aggregate.spark", self._master]
        driver = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)  # noqa: S603 - ourselves
        try:
            yield driver
        finally:
            if driver.poll() is None:
                driver.terminate()
            try:
                driver.wait(END_S)
            except subprocess.TimeoutExpired:
                driver.kill()
                driver.wait()
            for pipe in (driver.stdin, driver.stdout):
                if pipe is not None:
                    pipe.close()

    def _followed(self, driver: "subprocess.Popen[bytes]", buckets: Sequence[Bucket], told: Callable[[int], None]) -> Sequence[Done] | None:
        """Give the driver its work and follow what it tells; None if it ended without a result."""
        assert driver.stdin is not None
        assert driver.stdout is not None
        try:
            pickle.dump(list(buckets), driver.stdin)
            driver.stdin.close()
        except BrokenPipeError:
            return None
        for line in driver.stdout:
            said = json.loads(line)
            if "took" in said:
                driver.wait()
                return [Done(*one) for one in said["took"]]
            told(said["done"])
            if self._stopping():
                raise EngineError("the computation was stopped: everything is as it was, and what was computed is there; start it again")
        return None


@contextmanager
def session(master: str) -> Iterator[Any]:
    """A SparkContext of that master for as long as it is needed."""
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415 - an extra

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    conf = SparkConf().setMaster(master).setAppName("submeter rollup").set("spark.ui.enabled", "false").set("spark.ui.showConsoleProgress", "false")
    if master.startswith(LOOPBACK):
        conf.set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1")
    context = SparkContext(conf=conf)
    try:
        yield context
    finally:
        context.stop()


def compute_all(context: Any, buckets: Sequence[Bucket], told: Callable[[int], None] = lambda _done: None) -> list[Done]:
    """Compute buckets on a cluster, a task for each; tells how many are done until all are, or until telling fails."""
    ended = threading.Event()

    def look() -> None:
        tracker, done = context.statusTracker(), 0
        while not ended.wait(LOOK_S):
            stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            done = max(done, sum(stage.numCompletedTasks for stage in stages if stage))
            told(done)

    looking = threading.Thread(target=look, name="progress", daemon=True)
    looking.start()
    try:
        return list(context.parallelize(buckets, len(buckets)).map(compute).collect())
    finally:
        ended.set()
        looking.join()


def drive(master: str) -> None:
    """The driver's process: buckets from standard input, lines of JSON to standard output."""
    buckets = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what else is said here, by Java too, is log

    def tell(**said: object) -> None:
        try:
            answers.write(json.dumps(said) + "\n")
            answers.flush()
        except OSError:
            os._exit(1)  # nobody follows any more

    with session(master) as context:
        took = compute_all(context, buckets, lambda done: tell(done=done))
    tell(took=took)


def _silent(master: str) -> str | None:
    """That no standalone master answers: Spark itself would try for a minute; of other masters nothing is known here."""
    if not master.startswith(MASTER):
        return None
    for place in master.removeprefix(MASTER).split(","):
        host, _, port = place.rpartition(":")
        with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), CONNECT_S):
            return None
    return f"no Spark master answers at {master}: is it started, and is this the address that its page shows?"


def _why(log: Path) -> str:
    """The line of Spark's log that says best what went wrong."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()] or ["it said nothing"]
    return next((line for word in TELLING for line in reversed(lines) if word in line), lines[-1])[:300]


if __name__ == "__main__":
    try:
        drive(sys.argv[1])
    except SubmeterError as error:
        sys.exit(str(error))
