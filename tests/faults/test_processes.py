"""Processes that are killed, doubled, starved or stopped: faults 4, 14, 15, 16 and 18 of reliability/FAULTS.md.

`SUBMETER_KILLS` says how often a checkpoint is killed (default 3), `SUBMETER_STOPPED_S` for how long a process is stopped (default 2; FAULTS says 60).
"""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

from broker import wait_until
from bulk import ROWS, VOLUME
from exactly import exactly_once
from installation import ROOT, Installation
from pushing import Pushed, numbered, stored_message
from test_kill import arrived

from submeter.service import CoreThread
from submeter.store import Inbox, Readings

KILLS = int(os.environ.get("SUBMETER_KILLS", "3"))
STOPPED_S = float(os.environ.get("SUBMETER_STOPPED_S", "2"))
HERE = ROOT / "tests" / "faults"
#: Stores batches and checkpoints after each, for ever; tells of each batch that is stored.
CHECKPOINTING = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from bulk import rows
    from submeter.store import RECEPTION, Readings
    readings = Readings(Path(sys.argv[1]))
    print("open", flush=True)
    number = readings.watermark()
    while True:
        number += 1
        readings.store(rows(number), RECEPTION.empty_table(), number)
        print(number, flush=True)
        readings._duck.checkpoint()
"""


def test_fault_04_killed_in_a_checkpoint(tmp_path):
    """Killed at random while it does little but checkpoint, the file opens with all that was told as stored, and at most one batch more."""
    chance, file = random.Random(4), tmp_path / "readings.duckdb"
    with Readings(file) as readings:
        readings.register_ids([("A", VOLUME)])
    for _ in range(KILLS):
        command = [sys.executable, "-c", textwrap.dedent(CHECKPOINTING), file, HERE]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert running.stdout.readline() == "open\n"
        time.sleep(chance.uniform(0.05, 1.0))
        running.send_signal(signal.SIGKILL)
        told = [int(line) for line in running.communicate()[0].split()]
        with Readings(file) as readings:
            upto = readings.watermark()
            assert readings.counts()["readings"] == upto * ROWS
            assert not told or upto in {told[-1], told[-1] + 1}


def test_fault_14_a_second_service_is_refused_with_the_first_ones_number(tmp_path):
    """A second `submeter run` in the same folder ends at once with one sentence that names the process, and harms nothing."""
    here = Pushed(tmp_path / "here").start()
    try:
        here.push_all(here.next(2))
        words = [sys.executable, "-m", "submeter", "run", "--config", str(here.file)]
        second = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert second.returncode not in {0, 77}
        assert f"in use by another submeter (process {here.process.pid})" in second.stderr
        assert "Traceback" not in second.stderr
        here.push_all(here.next(2))
        here.stop()
    finally:
        here.close()
    exactly_once(here, here.sent)


def test_fault_18_overlapping_runs_wait_for_each_other(tmp_path):
    """What two schedulers and operators ask for at once is done one after the other, and each is answered."""
    thread, inside, most = CoreThread(Installation(tmp_path / "here").config), [], []
    rollup = thread.core.rollup

    def watched(**options):
        inside.append(None)
        most.append(len(inside))
        time.sleep(0.05)
        report = rollup(**options)
        inside.pop()
        return report

    thread.core.rollup = watched
    thread.start()
    try:
        with ThreadPoolExecutor() as several:
            answers = list(several.map(lambda name: list(thread.submit("job", {"name": name})), ("hourly", "nightly") * 3))
    finally:
        thread.stop()
    assert all(answers)
    assert (len(most), set(most)) == (6, {1})


def test_fault_15_little_memory(tmp_path):
    """A backlog is decoded in a process that may have only a little memory more than it has with nothing to do."""
    here = Installation(tmp_path / "here", flats=4)
    messages = list(numbered(here.building))
    with Inbox(here.folder / "data" / "inbox.sqlite") as inbox:
        inbox.append([stored_message(message) for message in messages])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(STARVED), here.file], capture_output=True, text=True, check=False, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    exactly_once(here, [one for message in messages for one in message.sent])


#: Drains with an address space that may grow by 192 MiB.
STARVED = """
    import re, resource, sys
    from pathlib import Path
    from submeter.config import load
    from submeter.core import Core
    with Core(load(Path(sys.argv[1]))) as core:
        size = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (size + (192 << 20), resource.RLIM_INFINITY))
        core.drain_all()
        assert core.inbox.counts().waiting == 0
"""


def test_fault_16_a_process_that_is_stopped_for_a_while(tmp_path, broker):
    """Stopped for longer than its connection lasts, it is connected again when it goes on, and has everything once."""
    here = Installation(tmp_path / "here", f'[[mqtt]]\nname = "broker"\nport = {broker.port}\n')
    messages, sent = numbered(here.building), []
    try:
        here.start()
        for stopped in (False, True, False):
            if stopped:
                here.process.send_signal(signal.SIGSTOP)
            for message in (next(messages) for _ in range(10)):
                broker.publish((message.topic, message.payload))
                sent.append(message)
            if stopped:
                time.sleep(STOPPED_S)
                broker.stop()  # whoever waits for a process that does not answer ends the connection
                broker.start()
                here.process.send_signal(signal.SIGCONT)
        wait_until(lambda: arrived(here) == len(sent), 60)
        here.stop()
    finally:
        here.close()
    exactly_once(here, [one for message in sent for one in message.sent])
