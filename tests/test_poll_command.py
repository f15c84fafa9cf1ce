"""`submeter poll` beside a running core: who holds the line reads for the operator, before all else."""

import threading
import urllib.request

from broker import wait_until
from installation import Installation
from typer.testing import CliRunner

from submeter.cli import app
from submeter.ingest.bus.frames import Secondary
from submeter.service import serve
from submeter.simulate import Bus, PtyLine, slaves
from submeter.store import Inbox


def test_a_core_that_reads_a_bus_reads_for_the_operator(tmp_path):
    """The port is the core's alone, so it reads the meter, by port or by name, and keeps what it read; a meter that is away is exit status 1."""
    on = Bus(slaves(2, 5), 5)
    here = Installation(tmp_path / "here", f'[[bus]]\nname = "cellar"\nport = "{tmp_path / "ttyBUS"}"\nbaud = 9600\ninterval_minutes = 1440\n')
    run, stop, started = CliRunner(), threading.Event(), threading.Event()
    with PtyLine(on, tmp_path / "ttyBUS") as line:
        thread = threading.Thread(target=lambda: serve(here.config, part="all", stop=stop, started=lambda _: started.set()))
        thread.start()
        try:
            assert started.wait(60)
            for port, address in ((line.url, "2"), ("cellar", str(Secondary.of(on.slaves[1].device)))):
                read = run.invoke(app, ["poll", port, address, "--config", str(here.file)])
                assert (read.exit_code, on.slaves[1].device.id in read.stdout) == (0, True), read.output
            with Inbox(here.config.data.folder / "inbox.sqlite") as inbox:
                wait_until(lambda: "cellar" in inbox.gateways(since=0))
            away = run.invoke(app, ["poll", "cellar", "9", "--config", str(here.file)])
            assert (away.exit_code, "timeout" in away.stderr) == (1, True)
            told = urllib.request.urlopen(f"http://127.0.0.1:{here.metrics}/metrics").read().decode()
            assert 'submeter_bus_poll_total{bus="cellar",result="answered"} 2.0' in told
            assert 'submeter_bus_poll_total{bus="cellar",result="timeout"} 1.0' in told
        finally:
            stop.set()
            thread.join()
        alone = run.invoke(app, ["poll", line.url, "2", "--baud", "9600", "--config", str(here.file)])
        assert (alone.exit_code, on.slaves[1].device.id in alone.stdout) == (0, True)
