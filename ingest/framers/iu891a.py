"""IMST iU891A: SLIP, ``C0 SAP msg body CRC C0`` (ingest/SERIAL.md 1).

A reception is SAP 09, message 20: time (4), three bytes, level (1, signed), then the frame with its length byte.
Rules: every C0 ends one frame and may begin the next, so garbage between two frames is a frame of its own with a wrong CRC.
"""

from typing import Final

from submeter.ingest.framers.core import DelimitedFramer, Radio, x25

__all__ = ["Iu891aFramer"]

_RECEIVED: Final = b"\x09\x20"
_HEADER: Final = 10  # SAP, msg, time (4), three bytes, level
_CRC: Final = 2


class Iu891aFramer(DelimitedFramer[Radio]):
    """Bytes of an iU891A."""

    end = b"\xc0"
    longest = 2 * (255 + 1 + _HEADER + 2)  # every byte escaped

    def settle(self) -> list[Radio]:
        """Give up a cut frame; one whose end alone is missing counts."""
        whole = self._finish(b"")
        return [whole] if whole else []

    def _of(self, whole: bytes) -> Radio | None:
        body = _unescaped(whole)
        if len(body) <= 2 + _CRC or x25(body[:-_CRC]) != int.from_bytes(body[-_CRC:], "little"):
            self.bad += bool(whole)
            self.dropped += len(whole)
            return None
        if body[:2] != _RECEIVED or len(body) <= _HEADER + _CRC:
            return None
        level = body[_HEADER - 1]
        return Radio(body[_HEADER:-_CRC], level - 256 if level > 127 else level)


def _unescaped(data: bytes) -> bytes:
    return data.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
