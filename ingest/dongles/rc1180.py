"""Radiocrafts RC1180-MBUS: byte 00 opens its configuration (`>`), ``0`` dumps 256 bytes of memory and `>`, ``X`` leaves (ingest/SERIAL.md 1).

The mode is in the memory alone (byte 3: 0 for S1, 1 for T1; byte 5: a level follows each frame), which is read and never written: a module of another
mode is told. Rules: nothing follows 00 unless `>` came; whoever came in also leaves, or the module would hear nothing.
Source of the bytes: the maker's data sheet, rev. 1.0, configuration memory.
"""

from typing import Final

from submeter.ingest.dongles.talk import Raw, Talk
from submeter.ingest.errors import DongleError
from submeter.ingest.framers import BareFramer

__all__ = ["MODES", "identify", "set_mode"]

MODES: Final = {"S1": 0, "T1": 1}
_PROMPT: Final = b">"
_MEMORY: Final = 256
_MODE, _LEVEL = 3, 5


def identify(talk: Talk) -> bytes:
    """Return the memory; the framer knows from now on whether levels are sent."""
    own, talk.framer = talk.framer, Raw()
    try:
        talk.ask("open configuration (rc1180)", b"\x00", lambda answer: answer.endswith(_PROMPT) or None)
        try:
            memory = talk.ask("read configuration", b"0", _memory)
        finally:
            talk.say(b"X")
    finally:
        talk.framer = own
    if isinstance(own, BareFramer):
        own.rssi = memory[_LEVEL] == 1
    return memory


def set_mode(_: Talk, mode: str, memory: bytes) -> None:
    """Nothing is set; raises DongleError where the memory says another mode."""
    if memory[_MODE] != MODES[mode]:
        raise DongleError("dongle_refused", f"its memory says another mode than {mode}, and is not written to: set it with its maker's tool")


def _memory(answer: bytes) -> bytes | None:
    return answer[:_MEMORY] if len(answer) == _MEMORY + 1 and answer.endswith(_PROMPT) else None
