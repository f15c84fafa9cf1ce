"""IMST iU891A: SLIP, ``C0 SAP msg body CRC C0`` (ingest/SERIAL.md 1).

A reception is SAP 09, message 20: time (4), three bytes, level (1, signed), then the frame with its length byte.
Rules: every C0 ends one frame and may begin the next, so garbage between two frames is a frame of its own with a wrong CRC.
"""

from collections import deque
from typing import Final

from submeter.ingest.framers.core import Radio, x25

__all__ = ["Iu891aFramer"]

_END: Final = b"\xc0"
_RECEIVED: Final = b"\x09\x20"
_HEADER: Final = 10  # SAP, msg, time (4), three bytes, level
#: Every byte of the longest frame escaped.
_LONGEST: Final = 2 * (255 + 1 + _HEADER + 2)


class Iu891aFramer:
    """Bytes of an iU891A."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = False
        self.bad = 0
        self.dropped = 0
        self.answers: deque[bytes] = deque(maxlen=0)

    def feed(self, data: bytes) -> list[Radio]:
        """Return the telegrams that these bytes complete."""
        *whole, rest = data.split(_END)
        heard = [radio for part in whole if (radio := self._finish(part))]
        self._extend(rest)
        return heard

    def settle(self) -> list[Radio]:
        """Give up a cut frame."""
        self._give_up(self._rest)
        self._rest.clear()
        self._skipping = False
        return []

    def _finish(self, part: bytes) -> Radio | None:
        self._extend(part)
        body = _unescaped(bytes(self._rest))
        sound = len(body) > 4 and x25(body[:-2]) == int.from_bytes(body[-2:], "little")
        if not sound:
            self._give_up(self._rest)
        self._rest.clear()
        self._skipping = False
        if not sound or body[:2] != _RECEIVED or len(body) <= _HEADER + 2:
            return None
        level = body[_HEADER - 1]
        return Radio(body[_HEADER:-2], level - 256 if level > 127 else level)

    def _extend(self, part: bytes) -> None:
        if self._skipping or len(self._rest) + len(part) > _LONGEST:
            self._skipping = True
            self._give_up(self._rest + part)
            self._rest.clear()
        else:
            self._rest += part

    def _give_up(self, lost: bytes | bytearray) -> None:
        self.bad += bool(lost)
        self.dropped += len(lost)


def _unescaped(data: bytes) -> bytes:
    return data.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
