"""Rollups on a real Spark cluster: a master and two workers on loopback, one of them killed in the middle.

`SUBMETER_SPARK_READINGS` says of how many readings (default 100,000; the bar is 10,000,000).
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fleet import checksums, fill, published
from spark_cluster import Cluster, kill

from submeter.aggregate.buckets import Bucket
from submeter.aggregate.errors import EngineError
from submeter.aggregate.spark import Spark
from submeter.commands import execute
from submeter.config import load
from submeter.core import Core

READINGS = int(os.environ.get("SUBMETER_SPARK_READINGS", "100000"))
LIMIT_S = 300 + READINGS / 20_000
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, spark):
    """A cluster for all tests of this file."""
    with Cluster(tmp_path_factory.mktemp("spark") / "cluster") as running:
        yield running


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A folder with copies of one data folder, `here` of them rolled up without Spark."""
    folder = tmp_path_factory.mktemp("fleet")
    fill(folder / "here", READINGS)
    for name in ("there", "killed"):
        shutil.copytree(folder / "here", folder / name)
        (folder / f"{name}.toml").write_text(f'[data]\nfolder = "{folder / name}"\n')
    command(folder / "here.toml")
    return folder


def command(config, *words, **environment):
    """Run `submeter rollup` and return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "submeter", "rollup", *words, "--config", str(config)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_rows_of_a_cluster_are_those_of_one_process(cluster, fleet):
    """`submeter rollup --engine spark` stores and publishes what `submeter rollup` does, to the last bit of all four levels; then nothing is left to do."""
    said = command(fleet / "there.toml", "--engine", "spark", "--master", cluster.url, **cluster.environment)
    assert checksums(fleet / "there") == checksums(fleet / "here")
    assert "buckets computed (0 more were there)" in said
    assert "0 series computed, 0 rows changed, 0 blocks" in command(fleet / "there.toml")
    said = command(fleet / "there.toml", "--engine", "spark", "--master", cluster.url, **cluster.environment)
    assert "spark: 0 of" in said


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle_costs_no_row(cluster, fleet, monkeypatch):
    """One of two workers is killed with kill -9 while it computes: its buckets are computed again by the other, and no half output is taken."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    outputs = fleet / "killed" / "spark" / "rows"
    seen = []

    def strike():
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            if done := list(outputs.glob("0*")):
                kill(cluster.workers[0])
                seen.append(len(done))
                return
            time.sleep(0.005)

    striking = threading.Thread(target=strike)
    striking.start()
    with Core(load(fleet / "killed.toml")) as core:
        said = list(execute(core, "rollup.spark", {"master": cluster.url}))
        computed = core.spark_used.computed
    striking.join()
    assert cluster.workers[0].poll() is not None
    assert 0 < seen[0] < computed, f"the worker was killed when {seen} of {computed} buckets were done: not in the middle"
    assert checksums(fleet / "killed") == checksums(fleet / "here"), said
    assert not list(outputs.glob(".*"))


def test_a_master_that_is_not_there_is_said_at_once(tmp_path, spark):
    """A wrong address costs seconds, not the minute that Spark tries; nothing is computed."""
    with pytest.raises(EngineError, match=r"no Spark master answers at spark://127\.0\.0\.1:1"):
        Spark("spark://127.0.0.1:1", tmp_path)


@pytest.mark.slow
def test_what_a_worker_refuses_is_said_in_its_words(tmp_path, spark):
    """A task that fails on a worker ends the run with the worker's own sentence, and names the log with the rest."""
    bucket = Bucket(tmp_path / "rows" / "00000-0", (), {}, (), release="0.0")
    with pytest.raises(EngineError, match=r"install the same submeter on all machines.*spark\.log"):
        Spark("local[1]", tmp_path)([bucket], lambda _done: None)


@pytest.mark.slow
def test_a_stop_ends_the_driver(tmp_path, spark):
    """A core that is to stop ends a run under way, and nothing of it runs on."""
    (tmp_path / "rows").mkdir()
    with pytest.raises(EngineError, match="was stopped"):
        Spark("local[1]", tmp_path, stopping=lambda: True)([Bucket(tmp_path / "rows" / "00000-0", (), {}, ())] * 50, lambda _done: None)
    drivers = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "submeter.aggregate.spark"], capture_output=True, text=True, check=False)
    assert drivers.stdout == ""


def test_without_the_extra_the_command_says_what_to_install(tmp_path, monkeypatch):
    """Where pyspark or Java is missing, the command names the package to install, and nothing is published."""
    fill(tmp_path / "data", 0)
    with Core(load(tmp_path / "data.toml")) as core:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("JAVA_HOME", raising=False)
        for module, words in ((None, r"pip install 'submeter\[spark\]'"), (sys, "openjdk-17-jre-headless")):
            monkeypatch.setitem(sys.modules, "pyspark", module)
            with pytest.raises(EngineError, match=words):
                list(execute(core, "rollup.spark", {"master": "local[1]"}))
    assert not published(tmp_path / "data")
