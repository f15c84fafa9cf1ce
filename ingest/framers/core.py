"""What the binary framers share: the resync rule (ingest/SERIAL.md 1), and what a telegram from a dongle is.

Strategy: a framer looks at the start of what is buffered and says: not enough bytes yet, no frame starts here, or a frame of so many bytes.
Rules: where no frame starts, ONE byte is dropped and the next start byte is looked for in what is left, so that garbage costs no telegram behind it;
a frame that stays cut through two seconds of silence (`settle`) is no frame.
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import Final, Generic, NamedTuple, TypeVar

from submeter.decoders import DecodeError, identify

__all__ = ["INCOMPLETE", "WRONG", "BinaryFramer", "DelimitedFramer", "Framer", "Part", "Radio", "believable", "x25"]

#: What a port may be behind by: longest frame, 64 KiB of rest.
MAX_REST: Final = 64 * 1024
#: Answers of the device that wait for whoever asked.
MOST_ANSWERS: Final = 8


class Radio(NamedTuple):
    """One telegram as a dongle heard it: the frame without link-layer CRCs, its level, the radio mode where the dongle tells."""

    frame: bytes
    rssi_dbm: int | None = None
    mode: str | None = None


class Part(NamedTuple):
    """The first `size` bytes of the buffer are one whole frame of the line: a telegram, or an answer of the dongle itself."""

    size: int
    radio: Radio | None = None
    answer: bytes = b""


#: More bytes are needed.
INCOMPLETE: Final = Part(-1)
#: No frame starts here.
WRONG: Final = Part(0)


One = TypeVar("One", Radio, bytes)


class Framer(ABC, Generic[One]):
    """What every framer does; `bad` counts frames or lines that it gave up, `dropped` bytes of no telegram; `answers` is what the device said of itself, the newest last."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self.bad = 0
        self.dropped = 0
        self.answers: deque[bytes] = deque(maxlen=MOST_ANSWERS)

    @abstractmethod
    def feed(self, data: bytes) -> list[One]:
        """Return the telegrams, or the lines, that these bytes complete."""

    def settle(self) -> list[One]:
        """The line has been silent: give up what is cut, return what was hidden behind it. Here nothing is given up: it may pause in the middle."""
        return []


class BinaryFramer(Framer[Radio]):
    """A framer of frames that begin with the byte `start` (None: any)."""

    start: bytes | None = None

    @abstractmethod
    def _first(self, rest: bytes) -> Part:
        """What the buffer, which begins with the start byte, begins with."""

    def feed(self, data: bytes) -> list[Radio]:
        """Return the telegrams that these bytes complete."""
        self._rest += data
        self._drop(len(self._rest) - MAX_REST)
        return self._telegrams()

    def settle(self) -> list[Radio]:
        """Drop the first byte of a cut frame until none is left."""
        heard: list[Radio] = []
        while self._rest:
            self.bad += 1
            self._drop(1)
            heard += self._telegrams()
        return heard

    def _telegrams(self) -> list[Radio]:
        heard: list[Radio] = []
        while (part := self._next()) is not None:
            if part.size:
                del self._rest[: part.size]
                heard += [part.radio] if part.radio else []
                self.answers += [part.answer] if part.answer else []
            else:
                self.bad += 1
                self._drop(1)
        return heard

    def _next(self) -> Part | None:
        """The part at the next start byte, None where bytes are missing."""
        if self.start is not None:
            at = self._rest.find(self.start)
            self._drop(len(self._rest) if at < 0 else at)
        part = self._first(bytes(self._rest)) if self._rest else INCOMPLETE
        return None if part == INCOMPLETE else part

    def _drop(self, count: int) -> None:
        if count > 0:
            self.dropped += count
            del self._rest[:count]


class DelimitedFramer(Framer[One]):
    """A framer of what ends with the byte `end`; what is longer than `longest` is dropped up to the next end."""

    end: bytes
    longest: int

    def __init__(self) -> None:
        super().__init__()
        self._skipping = False

    @abstractmethod
    def _of(self, whole: bytes) -> One | None:
        """What the bytes between two ends are."""

    def feed(self, data: bytes) -> list[One]:
        """Return what these bytes complete."""
        *whole, rest = data.split(self.end)
        found = [one for part in whole if (one := self._finish(part))]
        self._extend(rest)
        return found

    def _finish(self, part: bytes) -> One | None:
        self._extend(part)
        whole = bytes(self._rest)
        self._rest.clear()
        self._skipping = False
        return self._of(whole)

    def _extend(self, part: bytes) -> None:
        if self._skipping or len(self._rest) + len(part) > self.longest:
            self.bad += not self._skipping
            self.dropped += len(self._rest) + len(part)
            self._rest.clear()
            self._skipping = True
        else:
            self._rest += part


def believable(frame: bytes) -> bool:
    """Whether bytes that no checksum protects are the frame of a meter: length, control field, manufacturer."""
    try:
        identify(frame, form="nocrc")
    except DecodeError:
        return False
    return True


def x25(data: bytes) -> int:
    """CRC-16/X-25, as the IMST dongles send it."""
    register = 0xFFFF
    for byte in data:
        register = register >> 8 ^ _X25[(register ^ byte) & 0xFF]
    return register ^ 0xFFFF


def _x25_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x8408 if byte & 1 else 0)
    return byte


_X25: Final = tuple(map(_x25_of, range(256)))
