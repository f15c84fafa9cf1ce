"""Many times more messages than can be decoded: they wait on the disk, memory stays bounded, nothing that was acknowledged is lost (reliability/FAULTS.md, 42).

`SUBMETER_OVERLOAD_S=120` is the full length.
"""

import json
import os
import sqlite3
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from broker import wait_until
from installation import Installation

from submeter import civil
from submeter.commands import execute
from submeter.core import now
from submeter.simulate.directory import directory
from submeter.simulate.fleet import Fleet
from submeter.simulate.formats import FORMATS

SECONDS = float(os.environ.get("SUBMETER_OVERLOAD_S", "6"))
#: MiB; half of it is what the process needs when nothing happens.
MOST = 512
ROUND = 30 * civil.SECOND
#: Messages a second, of a hundred telegrams each: some ten times what one processor decodes.
RATE = 400


class Flood(threading.Thread):
    """Publishes a fleet's batches, `RATE` a second; `sent` of each gateway are acknowledged once the thread has ended."""

    def __init__(self, broker, fleet):
        super().__init__()
        self._broker, self.sent, self.telegrams = broker, 0, 0
        self._batches = [json.loads(one.payload) for one in fleet.messages(2000, now() - 20 * civil.DAY, ROUND, form=FORMATS["native"])]
        self.start()

    def run(self):
        start = time.monotonic()
        with self._broker.publisher() as publish:
            while self.sent < RATE * SECONDS:
                time.sleep(max(0.0, start + self.sent / RATE - time.monotonic()))
                batch = self._batches[self.sent % len(self._batches)]
                later = self.sent // len(self._batches) * ROUND // 1000
                telegrams = [{**one, "ts": one["ts"] + later} for one in batch["t"]]
                publish(f"submeter/v1/{batch['gw']}/up", json.dumps({**batch, "seq": self.sent, "t": telegrams}).encode())
                self.sent, self.telegrams = self.sent + 1, self.telegrams + len(telegrams)


def peak(pid):
    """The most memory that a process ever used, MiB."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) // 1024 for row in rows if row.startswith("VmHWM"))


def counted(here, what):
    """A figure of the inbox."""
    with closing(sqlite3.connect(here.folder / "data" / "inbox.sqlite")) as inbox:
        return inbox.execute(f"SELECT {what} FROM messages").fetchone()[0]


def test_an_overload_waits_on_the_disk(tmp_path, broker):
    """Under a flood the service takes and acknowledges everything, decodes on, and needs no more than 512 MiB."""
    fleet = Fleet.make(1000, seed=9)
    gateways = "".join(f'[[gateway]]\nname = "{name}"\nstore_and_forward = true\n' for name in fleet.building.gateways)
    here = Installation(tmp_path / "here", f'[[mqtt]]\nname = "broker"\nport = {broker.port}\n{gateways}')
    (here.folder / "fleet.toml").write_text(directory(fleet.building, datetime(2024, 1, 1, tzinfo=UTC).date()))
    with here.core() as core:
        list(execute(core, "import", {"path": str(here.folder / "fleet.toml")}))
    here.start()
    try:
        flood = Flood(broker, fleet)
        flood.join()
        done = counted(here, "sum(state = 'done')")
        wait_until(lambda: counted(here, "count(DISTINCT gateway || ' ' || json_extract(payload, '$.seq'))") == flood.sent, 60)
        used = peak(here.process.pid)
        assert here.get("/v1/health", here.metrics)[1]["ok"]
    finally:
        here.close()
    sys.stdout.write(f"{flood.telegrams} telegrams in {SECONDS:.0f} s, {done / flood.sent:.1%} of the messages decoded by then, {used} MiB\n")
    assert used < MOST
    assert done > 0
