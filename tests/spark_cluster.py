"""A real Spark cluster for tests and bench: a standalone master and two workers of one core each, on loopback, ended by their process ids.

Rules: memory is bounded; a process ends with the one that started it, whatever ends that.
"""

import ctypes
import os
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

from broker import free_port, wait_until

DEFAULTS = """
spark.driver.memory 512m
spark.executor.memory 512m
spark.executor.extraJavaOptions -XX:+UseSerialGC
spark.driver.extraJavaOptions -XX:+UseSerialGC
"""
#: Of Linux: the signal that a process gets when its parent dies.
PR_SET_PDEATHSIG = 1
START_S = 120


class Cluster:
    """The cluster at `url`; `workers` are processes with their executors in one group each. `environment` is what a driver needs to meet it."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self._folder, self._home = folder, Path(find_spec("pyspark").origin).parent
        folder.mkdir(parents=True)
        (folder / "spark-defaults.conf").write_text(DEFAULTS)
        self.environment = {"SPARK_CONF_DIR": str(folder), "SPARK_LOCAL_IP": "127.0.0.1"}
        port = free_port()
        self.url = f"spark://127.0.0.1:{port}"
        self._master = self._start("master", "org.apache.spark.deploy.master.Master", "--port", str(port))
        wait_until(lambda: "New state: ALIVE" in self.log("master"), START_S)
        self.workers = [
            self._start(f"worker{i}", "org.apache.spark.deploy.worker.Worker", "--cores", "1", "--memory", "1g", "--work-dir", str(folder), self.url)
            for i in range(workers)
        ]
        for i in range(workers):
            wait_until(lambda i=i: "Successfully registered" in self.log(f"worker{i}"), START_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (*self.workers, self._master):
            kill(process)

    def log(self, name: str) -> str:
        """What a process said."""
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def _start(self, name, program, *words):
        command = [str(self._home / "bin" / "spark-class"), program, "--host", "127.0.0.1", "--webui-port", "0", *words]
        environment = {
            **os.environ,
            **self.environment,
            "SPARK_HOME": str(self._home),
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC",
        }
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True, preexec_fn=_with_parent)  # noqa: PLW1509 - one call of the kernel


def kill(process):
    """Kill -9 of a worker with its executors, or of the master."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
