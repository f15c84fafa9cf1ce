"""IMST iM871A and iM170A: ``A5 ctrl|endpoint msg len payload [time 4] [rssi 1] [CRC 2]`` (ingest/SERIAL.md 1).

A reception is endpoint 2, message 3; its payload is the frame without its length byte. What is attached behind the payload is said by bits of `ctrl`.
Endpoint 1 is the device itself: its answers are the message and the payload.
Rules: a message without CRC is believed only if it is the frame of a meter, or an answer about the device itself.
"""

from typing import Final

from submeter.ingest.framers.core import INCOMPLETE, WRONG, BinaryFramer, Part, Radio, believable, x25

__all__ = ["Im871aFramer", "level"]

_TIME, _RSSI, _CRC = 2, 4, 8
_RADIO: Final = (2, 3)
_DEVICE: Final = 1


class Im871aFramer(BinaryFramer):
    """Bytes of an iM871A."""

    start = b"\xa5"

    def _first(self, rest: bytes) -> Part:
        if len(rest) < 4:
            return INCOMPLETE if len(rest) < 2 or _plausible(rest[1]) else WRONG
        control, endpoint, message, length = rest[1] >> 4, rest[1] & 0x0F, rest[2], rest[3]
        if not _plausible(rest[1]):
            return WRONG
        end = 4 + length
        size = end + 4 * bool(control & _TIME) + bool(control & _RSSI) + 2 * bool(control & _CRC)
        if len(rest) < size:
            return INCOMPLETE
        frame = bytes([length]) + rest[4:end]
        received = (endpoint, message) == _RADIO
        if control & _CRC:
            sound = x25(rest[1 : size - 2]) == int.from_bytes(rest[size - 2 : size], "little")
        else:
            sound = believable(frame) if received else endpoint == _DEVICE and length <= 32
        if not sound:
            return WRONG
        rssi = rest[end + 4 * bool(control & _TIME)] if control & _RSSI else None
        if received:
            return Part(size, Radio(frame, None if rssi is None else level(rssi)))
        return Part(size, answer=bytes([message]) + frame[1:] if endpoint == _DEVICE else b"")


def _plausible(head: int) -> bool:
    """Bit 4 is reserved, endpoints are 1 to 4."""
    return not head & 0x10 and 1 <= head & 0x0F <= 4


def level(raw: int) -> int:
    """DBm of the dongle's level byte."""
    return 0 if raw >= 230 else int(-100 + 0.5 * (raw - 45))
