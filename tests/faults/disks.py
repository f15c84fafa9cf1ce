"""Disks for tests that need root: a small one, one that gets full, and one that turns read-only. Without root, or where nothing may be mounted, the test is skipped."""

import contextlib
import os
import signal
import subprocess
import time

import pytest


@contextlib.contextmanager
def mounted(folder, *options):
    """`mount OPTIONS folder`, and unmounted at the end; skips where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *options, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # also where a test failed with files open


def small(folder, mebibytes):
    """A disk in memory of so many MiB."""
    return mounted(folder, "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs")


@contextlib.contextmanager
def filled(folder, leaving=0):
    """Inside, the disk has so many bytes left."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        free = os.statvfs(folder)
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_bsize - leaving))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def failing(strace, pid, *injections):
    """Inside, system calls of a running process fail as `strace -e inject=` says."""
    words = [word for one in injections for word in ("-e", f"inject={one}")]
    running = subprocess.Popen([strace, "-f", "-qq", "-o", "/dev/null", "-p", str(pid), *words], stderr=subprocess.PIPE)
    time.sleep(0.5)
    if running.poll() is not None:
        pytest.skip(f"no process can be traced here: {running.stderr.read().decode().strip()}")
    try:
        yield
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate()
