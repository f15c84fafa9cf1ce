"""Text lines: rtl_wmbus, hex. What a line is, its envelope says; here it only has an end and a bound."""

from collections import deque
from typing import Final

__all__ = ["MAX_LINE", "LineFramer"]

#: The longest telegram is 290 bytes, 580 digits, and a dozen short columns.
MAX_LINE: Final = 2048


class LineFramer:
    """Bytes in, whole lines out; keeps its rest, never raises, counts what it drops."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = False
        self.bad = 0
        self.dropped = 0
        self.answers: deque[bytes] = deque(maxlen=0)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that these bytes complete, without line ends and without empty ones."""
        *whole, rest = data.split(b"\n")
        lines = [line for part in whole if (line := self._line(part))]
        self._extend(rest)
        return lines

    def settle(self) -> list[bytes]:
        """A line may pause: nothing is given up."""
        return []

    def _line(self, end: bytes) -> bytes:
        self._extend(end)
        line = bytes(self._rest).strip()
        self._rest.clear()
        self._skipping = False
        return line

    def _extend(self, part: bytes) -> None:
        if self._skipping or len(self._rest) + len(part) > MAX_LINE:
            self.bad += not self._skipping
            self.dropped += len(self._rest) + len(part)
            self._rest.clear()
            self._skipping = True
        else:
            self._rest += part
