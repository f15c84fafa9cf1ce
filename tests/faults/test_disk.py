"""Disks that are full, broken or read-only: faults 6, 7, 9, 10 and 53 of reliability/FAULTS.md (8 is in tests/store/test_readings.py).

`SUBMETER_POINTS=20` is the full number of places on the way to a full disk. Health is promised to be red within `RED_S` of a fault and green again within `GREEN_S` of its end:
how long both took at most is printed (`-s`).
"""

import os
import subprocess
import time
from pathlib import Path

import pytest
from broker import wait_until
from bulk import ROWS, VOLUME, rows
from disks import failing, filled, mounted, small
from exactly import exactly_once
from installation import Installation
from pushing import Pushed, stored_message

from submeter import jobs
from submeter.service import CoreThread
from submeter.store import RECEPTION, Inbox, Readings, Registry, StoreBrokenError, StoreError

POINTS = int(os.environ.get("SUBMETER_POINTS", "4"))
KIB = 1024
RED_S, GREEN_S = 5.0, 30.0
INJECTED = ("fdatasync,fsync:error=EIO", "pwrite64:error=EIO", "pwrite64:error=ENOSPC")


class Taken:
    """How long health took to become red and green again; what takes longer than is promised fails."""

    def __init__(self):
        self.reds, self.greens = [], []

    def red(self, holds):
        self.reds.append(seconds_until(holds, RED_S))

    def green(self, holds):
        self.greens.append(seconds_until(holds, GREEN_S))

    def tell(self, fault, note):
        """Print the figures for docs/trust.md, and note them beside the test."""
        said = f"red after {max(self.reds):.2f} s at most, green after {max(self.greens):.2f} s at most"
        print(f"\n{fault}, {len(self.reds)} times: {said}")  # noqa: T201
        note(fault, said)


def seconds_until(holds, limit):
    """Wait until this holds, for so many seconds at most; how long it took."""
    began = time.monotonic()
    wait_until(holds, limit)
    return time.monotonic() - began


def test_fault_06_disk_full_at_the_wal_append(tmp_path, record_property):
    """Wherever on its way the disk gets full: what is not kept is refused, health is red in time, and all goes on by itself when there is room."""
    taken = Taken()
    with small(tmp_path / "disk", 40) as disk:
        here = Pushed(disk / "here")
        thread, troubles = CoreThread(here.config), []
        thread.start()
        try:
            for point in range(POINTS):
                with filled(disk, leaving=point * 24 * KIB):
                    taken.red(lambda: not thread.health()["ok"])
                    troubles.append(until_trouble(here, thread))
                taken.green(lambda: thread.health()["ok"])
            with Inbox(here.folder / "data" / "inbox.sqlite") as inbox:
                wait_until(lambda: inbox.counts().waiting == 0)
        finally:
            thread.stop()
        taken.tell("full disk", record_property)
        assert all("nearly full" in trouble or "StoreError" in trouble or "StoreBrokenError" in trouble for trouble in troubles), troubles
        exactly_once(here, here.sent)


def until_trouble(here, thread):
    """Have messages kept until the inbox refuses one, which is kept for the next time, or the core cannot go on. Returns what health says."""
    with Inbox(here.folder / "data" / "inbox.sqlite") as inbox:

        def refused():
            (message,) = here.waiting or here.next(1)
            try:
                inbox.append([stored_message(message)])
            except StoreError:
                here.waiting = [message]
                return True
            here.waiting = []
            here.sent.extend(message.sent)
            return "Error" in str(thread.health()["trouble"])

        wait_until(refused)
    wait_until(lambda: not thread.health()["ok"])
    return thread.health()["trouble"]


def test_fault_07_disk_full_in_a_checkpoint(tmp_path):
    """A file that outgrows its disk, checkpoints included, has after reopening all that was committed, and goes on when there is room."""
    number, told = 0, 0
    with small(tmp_path / "disk", 48) as disk:
        readings = Readings(disk / "readings.duckdb")
        readings.register_ids([("A", VOLUME)])

        def fill():
            nonlocal number, told
            while True:
                number += 1
                readings.store(rows(number), RECEPTION.empty_table(), number)
                told = number

        with pytest.raises(StoreError):
            fill()
        subprocess.run(["mount", "-o", "remount,size=160m", disk], check=True)
        readings.reopen()
        assert readings.watermark() in {told, number}
        assert readings.counts()["readings"] == readings.watermark() * ROWS
        for later in range(readings.watermark() + 1, number + 3):
            readings.store(rows(later), RECEPTION.empty_table(), later)
        assert readings.counts()["readings"] == (number + 2) * ROWS
        readings.close()


def test_fault_07_a_checkpoint_that_fails_is_told_as_broken(tmp_path):
    """A checkpoint without room stops DuckDB: the file says so, opens again with everything, and is right when there is room."""
    with small(tmp_path / "disk", 48) as disk:
        readings = Readings(disk / "readings.duckdb")
        readings.register_ids([("A", VOLUME)])
        readings.store(rows(1), RECEPTION.empty_table(), 1)
        with filled(disk), pytest.raises(StoreBrokenError):
            readings.copy_to(tmp_path / "copy.duckdb")
        readings.reopen()
        assert (readings.watermark(), readings.counts()["readings"]) == (1, ROWS)
        readings.store(rows(2), RECEPTION.empty_table(), 2)
        assert readings.counts()["readings"] == 2 * ROWS
        readings.close()


@pytest.fixture
def running(tmp_path):
    """A service that is pushed to."""
    here = Pushed(tmp_path / "here")
    here.start()
    with Registry(here.folder / "data" / "registry.sqlite") as registry:
        wait_until(lambda: all((run := registry.runs.last(name)) and run.outcome == "ok" for name in jobs.JOBS), 60)
    yield here
    here.close()


def test_fault_09_input_output_errors(running, strace, record_property):
    """While the disk answers with errors, nothing is answered with 200 and health is red in time; when they end, all is well without a restart, a job that failed too."""
    taken = Taken()
    for injection in INJECTED[:POINTS] * max(1, POINTS // len(INJECTED) // 2):
        running.push_all(running.next(4))
        with failing(strace, running.process.pid, injection):
            refused = running.next(1)
            assert not running.push(refused[0]), injection
            taken.red(running.red)
            with pytest.raises(AssertionError):
                running.command("rollup", "--now", "hourly")
        taken.green(running.green)
        running.push_all(refused)
    taken.tell("errors", record_property)
    running.push_all(running.next(4))
    running.stop()
    exactly_once(running, running.sent)


def test_fault_10_a_disk_that_turns_read_only(tmp_path, mkfs):
    """A file system that gives up writing: nothing is taken, what was published is still served, and after a repair everything kept is there."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run([mkfs, "-q", image], check=True)
    disk = tmp_path / "disk"
    with mounted(disk, "-o", "loop", str(image)):
        here = Pushed(disk / "here")
        subprocess.run(["sync", "--file-system", disk], check=True)  # the test's own files
        here.start(log=tmp_path / "log")
        try:
            here.push_all(here.next(4))
            subprocess.run(["mount", "-o", "remount,abort", disk], check=False, capture_output=True)
            refused = here.next(1)
            assert not here.push(refused[0])
            wait_until(here.red, 30)
            assert here.get("/v1/units")[0] == 200
        finally:
            here.close()
    subprocess.run(["e2fsck", "-p", image], check=False)  # its status tells that it repaired something
    with mounted(disk, "-o", "loop", str(image)):
        try:
            here.start(log=tmp_path / "log")
            here.push_all(refused + here.next(4))
            here.stop()
        finally:
            here.close()
        exactly_once(here, here.sent)


def test_fault_53_a_log_that_takes_nothing(tmp_path):
    """The disk of the log is full: the service starts, takes and answers, whatever it would have to say."""
    here = Pushed(tmp_path / "here")
    try:
        here.start(log=Path("/dev/full"))
        here.push_all(here.next(4))
        assert here.green()
    finally:
        here.close()
    exactly_once(here, here.sent)


def test_a_start_on_a_full_disk_is_one_sentence(tmp_path):
    """Nothing can be written, not even who holds the folder: the start is refused with what to free, and works once there is room."""
    with small(tmp_path / "disk", 40) as disk:
        here = Installation(disk / "here")
        with filled(disk), pytest.raises(StoreError, match="free disk space"):
            here.core()
        with here.core() as core:
            assert core.lacking is None
