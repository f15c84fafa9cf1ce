"""CUL and nanoCUL (culfw): lines ``b<hex>LLRR`` of frame format A, ``bY<hex>LLRR`` of format B (ingest/SERIAL.md 1).

LL and RR (link quality, level) are there after `X21`. What it answers to `V`, `br…` and `X` are lines too. Rules: the CRCs decide, so garbage before the `b` of a line costs nothing; an odd number of
digits (nanoCUL cuts over 148 bytes) or a wrong CRC costs that line.
"""

import re
from typing import Final

from submeter.decoders import BadFrame
from submeter.decoders.frame import strip_a, strip_b
from submeter.ingest.framers.amber import level
from submeter.ingest.framers.core import DelimitedFramer, Radio
from submeter.ingest.framers.lines import MAX_LINE

__all__ = ["CulFramer"]

_LINE: Final = re.compile(rb"b(Y?)((?:[0-9A-F]{2})+)$")
_ANSWER: Final = re.compile(rb"V [ -~]+|[A-Z]MODE|[0-9A-F]{2} +\d+")


class CulFramer(DelimitedFramer[Radio]):
    """Lines of a CUL."""

    end = b"\n"
    longest = MAX_LINE

    def _of(self, whole: bytes) -> Radio | None:
        line = whole.strip()
        if not line:
            return None
        if _ANSWER.fullmatch(line):
            self.answers.append(line)
            return None
        found = _LINE.search(line)
        radio = _stripped(bytes.fromhex(found[2].decode("ascii")), b=bool(found[1])) if found else None
        if radio is None:
            self.bad += 1
            self.dropped += len(line)
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
