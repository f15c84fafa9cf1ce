"""A whole submeter in a temporary folder: simulated building, directory, configuration, and `submeter run` as a child process."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from broker import free_port, wait_until
from postgres import running

from submeter import civil
from submeter.commands import execute
from submeter.config import load
from submeter.core import Core
from submeter.simulate import Building, directory
from submeter.store import Vault

ROOT = Path(__file__).resolve().parent.parent


def database_line(folder: Path, database: str) -> str:
    """What [data] says of the database of a data folder: the one asked for, else one where all tests run on PostgreSQL."""
    if os.environ.get("SUBMETER_DATABASE") == "postgres":
        database = database or running().database_of(folder)
    return f'database = "{database}"\n' if database else ""


class Installation:
    """One data folder; `core()` opens it here, `start()` runs it as a process. The keys of the first `keyless` meters come with the next import only."""

    def __init__(self, folder: Path, extra: str = "", flats: int = 1, keyless: int = 0, database: str = "") -> None:
        self.folder = folder
        self.building = Building.make(flats=flats)
        self.file = folder / "pipeline.toml"
        self.api, self.metrics = free_port(), free_port()
        self.process = None
        folder.mkdir(parents=True, exist_ok=True)
        gateways = "".join(f'[[gateway]]\nname = "{name}"\nstore_and_forward = true\n' for name in self.building.gateways)
        self.file.write_text(
            f'[data]\nfolder = "data"\n{database_line(folder / "data", database)}[log]\nlevel = "debug"\n[rollup]\nhourly = "* * * * *"\n[api]\nport = {self.api}\n[metrics]\nport = {self.metrics}\n{gateways}{extra}'
        )
        Vault.create(folder / "master.key")
        text = directory(self.building, datetime(2024, 1, 1, tzinfo=UTC).date())
        (folder / "directory.toml").write_text(text)
        for place in self.building.places[:keyless]:
            text = text.replace(f'key = "{place.meter.key.hex()}"\n', "")
        (folder / "first.toml").write_text(text)
        with self.core() as core:
            list(execute(core, "import", {"path": str(folder / "first.toml")}))
            self.token = core.registry.create_token(self.building.manager)

    @property
    def config(self):
        return load(self.file)

    def core(self):
        """The stores, opened in this process; no other may run."""
        return Core(self.config)

    def spawn(self, log=None, **environment):
        """Run `submeter run` and do not wait; it says what it does to `run.log` of its folder, or to another file."""
        command = [sys.executable, "-m", "submeter", "run", "--config", str(self.file)]
        with (log or self.folder / "run.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **environment})

    def start(self, log=None, **environment):
        """Run `submeter run` and wait until it listens everywhere."""
        self.spawn(log, **environment)
        self.listening()
        return self

    def listening(self):
        """Wait until the process listens everywhere."""
        wait_until(self._listens, 120)

    def stop(self):
        """Stop it as a service manager would; it must end by itself."""
        self.process.terminate()
        assert self.process.wait(20) == 0, self.log
        self.process = None

    def kill(self):
        """Kill -9."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def close(self):
        """End what still runs."""
        if self.process is not None:
            self.kill()

    @property
    def log(self) -> str:
        """What the process said."""
        return (self.folder / "run.log").read_text()

    def command(self, *words) -> str:
        """Run a command line beside the process, or alone; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "submeter", *words, "--config", str(self.file)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, path: str, port: int | None = None):
        """GET from the API (or another port): status and JSON body."""
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.api}{path}", headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def consumption(self, place, start: int, end: int, resolution: str = "PT1H"):
        """Points of one place's main register."""
        query = f"from={civil.iso(start)}&to={civil.iso(end)}&resolution={resolution}&by=meter"
        status, body = self.get(f"/v1/units/{place.flat}/consumption?{query}")
        assert status == 200, body
        return next((series["points"] for series in body["series"] if series["meter"] == place.id), [])

    def _listens(self):
        assert self.process.poll() is None, self.log
        try:
            sources = self.get("/v1/health", self.metrics)[1]["sources"]
            wanted = len(self.config.mqtt) + len(self.config.serial) + self.config.http.enabled
            return self.get("/v1/units")[0] == 200 and list(sources.values()) == ["connected"] * wanted
        except OSError:
            time.sleep(0.05)
            return False
