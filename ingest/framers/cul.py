"""CUL and nanoCUL (culfw): lines ``b<hex>LLRR`` of frame format A, ``bY<hex>LLRR`` of format B (ingest/SERIAL.md 1).

LL and RR (link quality, level) are there after `X21`. What it answers to `V`, `br…` and `X` are lines too. Rules: the CRCs decide, so garbage before the `b` of a line costs nothing; an odd number of
digits (nanoCUL cuts over 148 bytes) or a wrong CRC costs that line.
"""

import re
from collections import deque
from typing import Final

from submeter.decoders import BadFrame
from submeter.decoders.frame import strip_a, strip_b
from submeter.ingest.framers.amber import level
from submeter.ingest.framers.core import MOST_ANSWERS, Radio
from submeter.ingest.framers.lines import LineFramer

__all__ = ["CulFramer"]

_LINE: Final = re.compile(rb"b(Y?)((?:[0-9A-F]{2})+)$")
_ANSWER: Final = re.compile(rb"V [ -~]+|[A-Z]MODE|[0-9A-F]{2} +\d+")


class CulFramer:
    """Lines of a CUL."""

    def __init__(self) -> None:
        self._lines = LineFramer()
        self._bad = 0
        self._dropped = 0
        self.answers: deque[bytes] = deque(maxlen=MOST_ANSWERS)

    @property
    def bad(self) -> int:
        """Lines that held no telegram."""
        return self._bad + self._lines.bad

    @property
    def dropped(self) -> int:
        """Their bytes."""
        return self._dropped + self._lines.dropped

    def feed(self, data: bytes) -> list[Radio]:
        """Return the telegrams that these bytes complete."""
        return [radio for line in self._lines.feed(data) if (radio := self._radio(line))]

    def settle(self) -> list[Radio]:
        """A line may pause: nothing is given up."""
        return []

    def _radio(self, line: bytes) -> Radio | None:
        if _ANSWER.fullmatch(line):
            self.answers.append(line)
            return None
        found = _LINE.search(line)
        radio = _stripped(bytes.fromhex(found[2].decode("ascii")), b=bool(found[1])) if found else None
        if radio is None:
            self._bad += 1
            self._dropped += len(line)
        return radio


def _stripped(raw: bytes, *, b: bool) -> Radio | None:
    """The frame without CRCs; with the level first, since it is switched on."""
    mode = "C1" if b else None
    for frame, rssi in ((raw[:-2], level(raw[-1])), (raw, None)):
        try:
            return Radio(strip_b(frame) if b else strip_a(frame), rssi, mode)
        except BadFrame:
            continue
    return None
