"""Whether the disk has room for what is received (ingest/INBOX.md 6), and whether it takes a write at all.

Rules: it is short of room under 5 % or 1 GiB free, whichever is less, and has room again at 7 % or 1.4 GiB, so that a collector does not go on and off at the limit;
looked at once a second at most. A disk that cannot be asked is not short: the commit will tell.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["LOW", "Room", "Writes"]

#: Free bytes below which nothing is taken: a share of the disk in percent, and bytes.
LOW: Final = (5, 1 << 30)
#: … and from which on it is taken again.
ENOUGH: Final = (7, 1_400 << 20)
EVERY_S: Final = 1.0


class Room:
    """The room of one folder; `usage` asks the disk for its bytes: all, used, free."""

    def __init__(
        self, folder: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder
        self._usage = usage
        self._clock = clock
        self._looked: float | None = None
        self._short = False

    @property
    def short(self) -> bool:
        """Nothing more should be taken now."""
        moment = self._clock()
        if self._looked is None or moment - self._looked >= EVERY_S:
            self._looked = moment
            self._short = self._look()
        return self._short

    def free(self) -> int | None:
        """Bytes that are free, None where the disk cannot be asked."""
        try:
            return self._usage(self.folder)[2]
        except OSError:
            return None

    def _look(self) -> bool:
        try:
            whole, _, free = self._usage(self.folder)
        except OSError:
            return False
        percent, least = ENOUGH if self._short else LOW
        return free < min(whole * percent // 100, least)


class Writes:
    """Whether a folder takes writes, looked at once a second at most: what tells that a trouble is over where nothing else would be written."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._probe = folder / ".write"
        self._clock = clock
        self._look_at = 0.0

    def again(self) -> bool:
        """Whether it is time to look, and a page can be written down to the disk."""
        if self._clock() < self._look_at:
            return False
        self._look_at = self._clock() + EVERY_S
        try:
            file = os.open(self._probe, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(file, bytes(4096), 0)
                os.fsync(file)
            finally:
                os.close(file)
        except OSError:
            return False
        finally:
            with suppress(OSError):
                self._probe.unlink(missing_ok=True)
        return True
