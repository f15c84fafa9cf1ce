"""Amber and Würth AMB8465, AMB8665, AMB3665, Metis-II in command mode: ``FF 03 len data[len] xor`` (ingest/SERIAL.md 1).

The data is the frame without its length byte; the module's setting RSSI_Enable puts a level byte behind it. Answers to commands have bit 7 of the
command set: they are the command and the data.
"""

from functools import reduce
from operator import xor
from typing import Final

from submeter.ingest.framers.core import INCOMPLETE, WRONG, BinaryFramer, Part, Radio

__all__ = ["AmberFramer", "checksum", "level"]

_RECEIVED: Final = 0x03
_ANSWER: Final = 0x80


class AmberFramer(BinaryFramer):
    """Bytes of an Amber module; `rssi`: it attaches the level."""

    start = b"\xff"

    def __init__(self, *, rssi: bool = True) -> None:
        super().__init__()
        self.rssi = rssi

    def _first(self, rest: bytes) -> Part:
        if len(rest) > 1 and rest[1] != _RECEIVED and not rest[1] & _ANSWER:
            return WRONG
        if len(rest) < 3 or len(rest) < rest[2] + 4:
            return INCOMPLETE
        size = rest[2] + 4
        if checksum(rest[: size - 1]) != rest[size - 1]:
            return WRONG
        data = rest[3 : size - 1]
        if rest[1] != _RECEIVED or len(data) < 2:
            return Part(size, answer=rest[1:2] + data if rest[1] & _ANSWER else b"")
        frame, heard = (data[:-1], level(data[-1])) if self.rssi else (data, None)
        return Part(size, Radio(bytes([len(frame)]) + frame, heard))


def checksum(data: bytes) -> int:
    """All bytes, exclusive or."""
    return reduce(xor, data, 0)


def level(raw: int) -> int:
    """DBm of the level byte of Amber modules and of culfw."""
    return int((raw - 256 if raw > 127 else raw) / 2 - 74)
