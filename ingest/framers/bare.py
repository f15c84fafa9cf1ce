"""Modules that send the frame and nothing around it: ``L … [level]`` (Radiocrafts RC1180-MBUS; ingest/SERIAL.md 1).

Rules: nothing marks a start and nothing is checked, so a frame counts only if it can be a meter's: length, control field, manufacturer.
"""

from typing import Final

from submeter.decoders.frame import CONTROLS
from submeter.ingest.framers.core import INCOMPLETE, WRONG, BinaryFramer, Part, Radio, believable

__all__ = ["BareFramer"]

_SHORTEST: Final = 10


class BareFramer(BinaryFramer):
    """Bare frames; `rssi`: a level byte follows each."""

    def __init__(self, *, rssi: bool = True) -> None:
        super().__init__()
        self.rssi = rssi

    def _first(self, rest: bytes) -> Part:
        if rest[0] < _SHORTEST or (len(rest) > 1 and rest[1] not in CONTROLS):
            return WRONG
        end = rest[0] + 1
        size = end + self.rssi
        if len(rest) < size:
            return INCOMPLETE
        frame = rest[:end]
        if not believable(frame):
            return WRONG
        return Part(size, Radio(frame, int(-rest[end] / 2) if self.rssi else None))
