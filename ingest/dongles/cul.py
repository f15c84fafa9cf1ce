"""CUL and nanoCUL (culfw): text lines (ingest/SERIAL.md 1).

Question: ``V``; the answer has the word CUL. ``brt``, ``brc``, ``brs`` are answered by TMODE, CMODE, SMODE; ``X21`` switches levels on and is answered by
nothing, so ``X`` behind it asks what is on. All of it is forgotten when the supply ends.
"""

from typing import Final

from submeter.ingest.dongles.talk import Talk

__all__ = ["MODES", "identify", "set_mode"]

MODES: Final = {"S1": b"s", "T1": b"t", "C1": b"c"}
_LEVELS: Final = b"21"


def identify(talk: Talk) -> bytes:
    """Return the line with its version."""
    return talk.ask("version (cul)", b"V\r\n", lambda line: line if line.startswith(b"V ") and b"CUL" in line else None)


def set_mode(talk: Talk, mode: str, _: bytes) -> None:
    """Listen in this mode, with levels."""
    letter = MODES[mode]
    talk.ask(f"set mode {mode}", b"br" + letter + b"\r\n", lambda line: line == letter.upper() + b"MODE" or None)
    talk.ask("switch levels on", b"X" + _LEVELS + b"\r\nX\r\n", lambda line: line.split()[0] == _LEVELS or None)
