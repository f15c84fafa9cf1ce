"""readings.duckdb when its log does not open, as after a power cut (FAULTS 1.3): the longest prefix that opens stays, the rest is decoded again.

Strategy: DuckDB takes a log that was cut, and refuses one with zeros, rubbish or a flipped bit in a commit; so the longest prefix is found by bisection,
on a link to the file that is opened only to read. Rules: what is changed or taken away is kept before, in `damaged/`, the file itself too where
the disk has room for it; a file that does not open without its log is left alone: that is no matter of the log.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb

from submeter.store.errors import StoreError

__all__ = ["DAMAGED", "keep", "mend"]

#: Where files are kept as they were found, beside the file, in a folder named by the instant.
DAMAGED: Final = "damaged"


def mend(path: Path, config: Mapping[str, Any]) -> str | None:
    """Cut the log of a DuckDB file back to what opens; returns what was done in a sentence, None if its log is not what is wrong with the file."""
    log = path.with_name(f"{path.name}.wal")
    if not log.exists():
        return None
    size = log.stat().st_size
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="mend-") as folder:
        try:
            length = _longest(size, _probe(path, log, Path(folder), config))
        except OSError as error:
            raise StoreError(f"{log} cannot be mended: {error.strerror}; free disk space and file rights come first") from error
    if length is None:
        return None
    whole = shutil.disk_usage(path.parent).free >= 2 * path.stat().st_size
    kept = keep(path.parent, log, *[path] * whole)
    with log.open("r+b") as file:
        file.truncate(length)
        os.fsync(file.fileno())
    return (
        f"{log.name} did not open: its first {length} of {size} bytes do and stay; what was behind them is decoded again from the inbox. "
        f"{'Both files are kept as they were' if whole else 'The log is kept as it was'} in {kept}"
    )


def keep(folder: Path, *files: Path) -> Path:
    """Copy files as they are into a folder of their own under `damaged/`; returns it."""
    kept = folder / DAMAGED / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S.%fZ}"
    try:
        kept.mkdir(parents=True, mode=0o700)
        for file in files:
            shutil.copy2(file, kept / file.name)
    except OSError as error:
        raise StoreError(f"{kept} cannot be written: {error.strerror}; free disk space first: nothing is changed before it is kept") from error
    return kept


def _longest(size: int, opens: Callable[[int], bool]) -> int | None:
    """The greatest length that opens, found as if all shorter ones did; None if not even the file without a log does."""
    if not opens(0):
        return None
    least, beyond = 0, size
    while beyond - least > 1:
        middle = (least + beyond) // 2
        least, beyond = (middle, beyond) if opens(middle) else (least, middle)
    return least


def _probe(path: Path, log: Path, folder: Path, config: Mapping[str, Any]) -> Callable[[int], bool]:
    """Tells whether the file opens with so many bytes of its log; nothing of either is changed."""
    link, copy = folder / path.name, folder / log.name
    try:
        link.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, link)
    shutil.copyfile(log, copy)
    whole = copy.read_bytes()

    def opens(length: int) -> bool:
        copy.write_bytes(whole[:length])
        try:
            duckdb.connect(link, read_only=True, config=dict(config)).close()
        except duckdb.Error:
            return False
        return True

    return opens
