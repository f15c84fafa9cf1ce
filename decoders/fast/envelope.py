"""From frames to columns: where each payload stands, whose it is, how it is protected; the headers of thousands of frames at once.

Strategy: bare radio frames are read where they lie. All other forms are taken off their link by `frame.parse_frame` one by one, which also settles
what an undeclared frame is; only that a bare frame does not look like format B is settled here, for all at once: the CRC is linear, so the register
behind a block is the XOR of one table entry a byte. Headers read here: CI 7A, 72, 78 and the manufacturers', each bare or behind an extended link layer
I (8C), and CI 72 on the wire. All others are not `fast` and go to the plain path, or are opened by it (`layered`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from submeter.decoders.crc import crc16
from submeter.decoders.diehl import CODES, REAL_DATA_CI
from submeter.decoders.errors import DecodeError
from submeter.decoders.fast.columns import Bools, Ints, Words, spread, words
from submeter.decoders.frame import CONTROLS, carries_data, parse_frame
from submeter.decoders.layers import COMPACT, MANUFACTURER_CI

__all__ = ["SLACK", "Frames", "Heard", "read_frames", "registers"]

_LONG, _SHORT, _NONE, _ELL = 0x72, 0x7A, 0x78, 0x8C
#: Bytes of a header and its CI, by CI; nought where it is not read here.
_HEADER: Final = np.zeros(256, np.int64)
_HEADER[[_LONG, _SHORT, _NONE, *MANUFACTURER_CI]] = 13, 5, 1, *(1 for _ in MANUFACTURER_CI)
#: Behind the last frame, so that its headers may be read before their length is known: longer than they are, and than the word that begins there.
SLACK: Final = bytes(32)
#: The digits of an address; FFFFFFFF is none.
_ID: Final = np.uint64(0xFFFFFFFF << 16)
#: CI fields of further layers, of compact frames, and of the Diehl group's real data.
_LAYERS: Final = np.isin(np.arange(256), (0x8C, 0x8D, 0x8E, 0x8F, 0x90, *COMPACT, REAL_DATA_CI))
_MAKER: Final = np.uint64(0xFFFF)
_DIEHL: Final = np.array([int.from_bytes(code, "little") for code in CODES], np.uint64)
_BLOCK_B: Final = 128
#: No frame is longer.
_LONGEST: Final = 256
_OTHER, _BARE, _SNIFFED, _WIRED = range(4)
#: How a frame of a form is read; one of the wire whose form must be found is `wired`.
_KINDS: Final = {"auto": _SNIFFED, "nocrc": _BARE, "wired": _WIRED}
_CONTROL_WIRED: Final = np.array([carries_data(control) for control in range(256)])
_CONTROL: Final = np.isin(np.arange(256), list(CONTROLS))


def _contributions() -> npt.NDArray[np.uint16]:
    """What a byte adds to the CRC register, by the number of bytes behind it, then by the byte."""
    table = np.zeros((_LONGEST, 256), np.uint16)
    table[0] = [crc16(bytes([byte])) ^ 0xFFFF for byte in range(256)]
    for behind in range(1, _LONGEST):
        before = table[behind - 1]
        table[behind] = (before << 8) ^ table[0][before >> 8]
    return table.ravel()


_CONTRIBUTIONS: Final = _contributions()
#: The register behind data and their own CRC, whatever the data.
_WHOLE: Final = crc16(b"\xff\xff") ^ 0xFFFF


@dataclass(frozen=True, slots=True)
class Heard:
    """Telegrams as columns of equal length; `decrypted` and `received`: see `decode`."""

    raw: Sequence[bytes]
    link: Sequence[str]
    form: Sequence[str]
    decrypted: Sequence[bool]
    received: Sequence[datetime | None] | None = None

    @classmethod
    def of(cls, raw: Sequence[bytes], *, link: str = "wmbus", form: str = "auto", decrypted: bool = False) -> "Heard":
        """All of one link and form."""
        return cls(raw, [link] * len(raw), [form] * len(raw), [decrypted] * len(raw))


@dataclass(frozen=True, slots=True)
class Frames:
    """Columns of frames. `payload` is the place in `buffer`, `size` its length; `address` M id V T as one word as sent; `access` is -1 where none is sent.

    A frame is `length` bytes from its control field at `start` on. `layered` frames may be opened by `singly`; then `opened` is the security mode and `counter` what must rise (both -1 otherwise).
    """

    buffer: npt.NDArray[np.uint8]
    words: Words
    fast: Bools
    wired: Bools
    ci: npt.NDArray[np.uint8]
    address: Words
    access: Ints
    status: Ints
    config: Ints
    payload: Ints
    size: Ints
    start: Ints
    length: Ints
    layered: Bools
    opened: Ints
    counter: Ints

    @property
    def of_diehl(self) -> Bools:
        """Whose link names a maker of the Diehl group, which means other addresses by some CI fields."""
        return np.isin(self.words[self.start + 1] & _MAKER, _DIEHL)


def read_frames(heard: Heard) -> Frames:
    """Headers of all frames."""
    forms = ("wired" if form == "auto" and link == "mbus" else form for link, form in zip(heard.link, heard.form, strict=True))
    kind = np.array([_KINDS.get(form, _OTHER) for form in forms], np.int8)
    raws, size = list(heard.raw), np.fromiter(map(len, heard.raw), np.int64, len(heard.raw))
    buffer, at = _buffer(raws), np.cumsum(size) - size
    wired = (kind == _WIRED) & _is_wired(buffer, at, size)
    good = wired | ((kind == _BARE) | (kind == _SNIFFED)) & _is_bare(buffer, at, size, kind == _SNIFFED)
    if good.all():
        return _headers(buffer, at + np.where(wired, 4, 1), size - np.where(wired, 6, 1), wired, good)
    for number in np.flatnonzero(~good).tolist():
        try:
            frame = parse_frame(heard.raw[number], heard.link[number], heard.form[number])
        except DecodeError:
            continue
        wired[number], good[number] = frame.link == "mbus", True
        head, tail = (b"\0\0\0\0", b"\0\0") if wired[number] else (b"\0", b"")
        raws[number] = head + bytes([frame.control]) + frame.address + frame.body + tail
    size = np.fromiter(map(len, raws), np.int64, len(raws))
    return _headers(_buffer(raws), np.cumsum(size) - size + np.where(wired, 4, 1), size - np.where(wired, 6, 1), wired, good)


def _buffer(parts: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytearray(b"".join((*parts, SLACK))), np.uint8)


def _is_bare(buffer: npt.NDArray[np.uint8], at: Ints, size: Ints, sniffed: Bools) -> Bools:
    """Whether a frame is one without CRCs, and could not be taken for another form where that is `sniffed`."""
    bare: Bools = (buffer[at] + np.int64(1) == size) & (size > 10) & _CONTROL[buffer[at + 1]]
    wired = (buffer[at] == 0x68) & (buffer[at + 3] == 0x68) & (buffer[at + 1] == buffer[at + 2])
    doubtful = np.flatnonzero(bare & sniffed)
    if len(doubtful):
        bare[doubtful] &= ~wired[doubtful] & (registers(buffer, at[doubtful], np.minimum(size[doubtful], _BLOCK_B)) != _WHOLE)
    return bare


def _is_wired(buffer: npt.NDArray[np.uint8], at: Ints, size: Ints) -> Bools:
    """Whether a frame is a whole long one, its checksum right, that carries data."""
    length = buffer[at + 1]
    wired: Bools = (buffer[at] == 0x68) & (buffer[at + 3] == 0x68) & (length == buffer[at + 2]) & (size == length + np.int64(6)) & (length > 2)
    chosen = np.flatnonzero(wired)
    if len(chosen):
        last = at[chosen] + size[chosen] - 1
        owner, number = spread(size[chosen] - 6)
        total = np.add.reduceat(buffer[at[chosen][owner] + 4 + number].astype(np.int64), np.cumsum(size[chosen] - 6) - (size[chosen] - 6))
        wired[chosen] = (buffer[last] == 0x16) & (total & 0xFF == buffer[last - 1]) & _CONTROL_WIRED[buffer[at[chosen] + 4]]
    return wired


def registers(buffer: npt.NDArray[np.uint8], at: Ints, size: Ints) -> npt.NDArray[np.uint16]:
    """The CRC register behind each block of at most `_LONGEST` bytes: the complement of its CRC."""
    owner, number = spread(size)
    bytes_ = buffer[at[owner] + number]
    return np.bitwise_xor.reduceat(_CONTRIBUTIONS[(size[owner] - 1 - number) << 8 | bytes_], np.cumsum(size) - size)


def _headers(buffer: npt.NDArray[np.uint8], at: Ints, size: Ints, wired: Bools, good: Bools) -> Frames:
    """Columns of frames that begin with their control field at `at`; what lies behind a frame's end is read, but never used."""
    view = words(buffer)
    first = at + np.where(wired, 2, 9)
    ci_at = np.where(~wired & (buffer[first] == _ELL), first + 3, first)
    ci = buffer[ci_at]
    long, none = ci == _LONG, _HEADER[ci] == 1
    payload = ci_at + _HEADER[ci]
    left = at + size - payload
    fast = good & (_HEADER[ci] > 0) & (left >= 0) & (long | ~wired)
    header = payload - 4
    address = np.where(long, _from_long(view[ci_at + 1]), view[at + 1])
    fast &= ~(wired & (address & _MAKER == 0)) & (address & _ID != _ID)
    return Frames(
        buffer, view, fast, wired, ci, address,
        access=np.where(none, -1, buffer[header].astype(np.int64)),
        status=np.where(none, 0, buffer[header + 1]).astype(np.int64),
        config=np.where(none, 0, buffer[header + 2] | buffer[header + 3].astype(np.int64) << 8),
        payload=payload,
        size=np.where(fast, left, 0),
        start=at,
        length=size,
        layered=good & ~wired & ~fast & _LAYERS[buffer[first]],
        opened=np.full(len(at), -1),
        counter=np.full(len(at), -1),
    )  # fmt: skip


def _from_long(column: Words) -> Words:
    """M id V T from the order id M V T of the long header."""
    version_type = column & np.uint64(0xFFFF << 48)
    turned: Words = (column & np.uint64(0xFFFFFFFF)) << np.uint64(16) | column >> np.uint64(32) & _MAKER | version_type
    return turned
