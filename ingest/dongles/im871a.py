"""IMST iM871A and iM170A: ``A5 01 message length payload`` is a request to the device, its answer is the message plus one (ingest/SERIAL.md 1).

Question: device information, message 0F: module type, device mode, firmware, protocol, id (4). A mode is set in RAM by message 03 (first payload byte 0)
and read back by message 05: flags (bit 0: the device mode follows, bit 1: then the link mode), …. What has been read back counts, not that it was taken.
Source of the messages beyond SERIAL.md: the maker's Host Controller Interface, document 4100/6404/0050.
"""

from typing import Final

from submeter.ingest.dongles.talk import Talk
from submeter.ingest.errors import DongleError

__all__ = ["MODES", "identify", "set_mode"]

MODES: Final = {
    "S1": 0x00, "S1m": 0x01, "S2": 0x02, "T1": 0x03, "T2": 0x04, "R2": 0x05, "C1a": 0x06, "C1b": 0x07, "C2a": 0x08, "C2b": 0x09, "C+T": 0x0A,
}  # fmt: skip
_SET, _GET, _INFORMATION = 0x03, 0x05, 0x0F
_DEVICE_MODE, _LINK_MODE = 1, 2
#: The first firmware that listens to C and T at a time.
_BOTH: Final = 0x14


def identify(talk: Talk) -> bytes:
    """Return the device information."""
    return _asked(talk, "device information (im871a)", _INFORMATION, shortest=3)


def set_mode(talk: Talk, mode: str, information: bytes) -> None:
    """Set the link mode in RAM, with a level for each telegram; raises DongleError where it is another one afterwards."""
    code, firmware = MODES[mode], information[2]
    if mode == "C+T" and firmware < _BOTH:
        raise DongleError("dongle_refused", f'C+T needs firmware {_BOTH:X}, this one has {firmware:X}: write mode = "T1" or "C1a", or update it')
    _asked(talk, f"set mode {mode}", _SET, bytes([0, _LINK_MODE, code, 0x30, 1, 0]))
    kept = _asked(talk, "read mode", _GET, shortest=3)
    at = 1 + (kept[0] & _DEVICE_MODE)
    if not kept[0] & _LINK_MODE or kept[at] != code:
        raise DongleError("dongle_refused", f"it was told mode {mode} and has another one: {kept.hex(' ')}")


def _asked(talk: Talk, what: str, message: int, payload: bytes = b"", *, shortest: int = 0) -> bytes:
    def reading(answer: bytes) -> bytes | None:
        return answer[1:] if answer[0] == message + 1 and len(answer) > shortest else None

    return talk.ask(what, bytes([0xA5, 0x01, message, len(payload)]) + payload, reading)
