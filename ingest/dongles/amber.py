"""Amber and Würth AMB8465 and its like in command mode: ``FF command len data xor``, answered with bit 7 of the command set (ingest/SERIAL.md 1).

Question: read the configuration, ``FF 0A 02 00 80 77``. Its byte 45 says whether a level follows each telegram: the framer is told. That byte is never set,
since setting it (command 09) writes flash, which its maker warns may be lost by it; command 04 sets the mode until the next reset.
"""

from typing import Final

from submeter.ingest.dongles.talk import Talk
from submeter.ingest.errors import DongleError
from submeter.ingest.framers import AmberFramer
from submeter.ingest.framers.amber import checksum

__all__ = ["MODES", "identify", "set_mode"]

#: As the other side of meters that send in S1, T1, C1; C+T is both.
MODES: Final = {"S1": 0x03, "T1": 0x08, "C1": 0x0E, "C+T": 0x09}
_SET_MODE, _GET = 0x04, 0x0A
_ANSWER: Final = 0x80
_PARAMETERS: Final = 0x80
_LEVEL: Final = 0x45


def identify(talk: Talk) -> bytes:
    """Return the configuration; the framer knows from now on whether levels are sent."""
    parameters = _asked(talk, "read configuration (amber)", _GET, bytes([0, _PARAMETERS]), size=2 + _PARAMETERS)[2:]
    if isinstance(talk.framer, AmberFramer):
        talk.framer.rssi = parameters[_LEVEL] == 1
    return parameters


def set_mode(talk: Talk, mode: str, _: bytes) -> None:
    """Set the mode until the next reset; raises DongleError for a refusal."""
    (status,) = _asked(talk, f"set mode {mode}", _SET_MODE, bytes([MODES[mode]]), size=1)
    if status not in {0, MODES[mode]}:
        raise DongleError("dongle_refused", f"it refuses mode {mode} with status {status:02X}: write one that this module has")


def _asked(talk: Talk, what: str, command: int, data: bytes, *, size: int) -> bytes:
    frame = bytes([0xFF, command, len(data)]) + data

    def reading(answer: bytes) -> bytes | None:
        return answer[1:] if answer[0] == command | _ANSWER and len(answer) == 1 + size else None

    return talk.ask(what, frame + bytes([checksum(frame)]), reading)
