"""Modules that send the frame and nothing around it: ``L … [level]`` (Radiocrafts RC1180-MBUS; Amber in transparent mode; ingest/SERIAL.md 1).

Rules: nothing marks a start and nothing is checked, so a frame counts only if it can be a meter's: length, control field, manufacturer.
"""

from collections.abc import Callable
from typing import Final

from submeter.decoders.frame import CONTROLS
from submeter.ingest.framers import amber
from submeter.ingest.framers.core import INCOMPLETE, WRONG, BinaryFramer, Part, Radio, believable

__all__ = ["BareFramer"]

_SHORTEST: Final = 10


class BareFramer(BinaryFramer):
    """Bare frames; `rssi`: a level byte follows each. `counted`: the length byte counts it, and its scale is Amber's."""

    def __init__(self, *, rssi: bool = True, counted: bool = False) -> None:
        super().__init__()
        self.rssi = rssi
        self._counted = rssi and counted
        self._level: Callable[[int], int] = amber.level if counted else _radiocrafts

    def _first(self, rest: bytes) -> Part:
        length = rest[0] - self._counted
        if length < _SHORTEST or (len(rest) > 1 and rest[1] not in CONTROLS):
            return WRONG
        end = length + 1
        size = end + self.rssi
        if len(rest) < size:
            return INCOMPLETE
        frame = bytes([length]) + rest[1:end]
        if not believable(frame):
            return WRONG
        return Part(size, Radio(frame, self._level(rest[end]) if self.rssi else None))


def _radiocrafts(raw: int) -> int:
    return int(-raw / 2)
