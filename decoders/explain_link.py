"""The link layer in rows, and what all explaining is made of: `Row` and the `Cursor` that tells bytes field by field."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from submeter.decoders.errors import DecodeError
from submeter.decoders.frame import Frame, strip_a, strip_b
from submeter.decoders.layers import device_of

__all__ = ["LINK", "Cursor", "Row", "address_rows", "link_rows"]

#: Where the body starts in a radio frame without its CRCs, and on the wire.
LINK: Final = {"wmbus": 10, "mbus": 6}
_CONTROL: Final = {0x44: "SND_NR, sent spontaneously", 0x46: "SND_IR, sent for installation"}
#: Parts of an address: what they are called, and their bytes.
_ADDRESS: Final = {"M": ("manufacturer", 2), "id": ("id", 4), "V": ("version", 1), "T": ("type", 1)}
_FORMATS: Final = ((strip_a, "A", 12, 18), (strip_b, "B", 128, 128))


@dataclass(frozen=True, slots=True)
class Row:
    """Some bytes and what they mean.

    `layer`: link, extended link, authentication, transport, security, record, compact, manufacturer; without bytes: reading, note, refused.
    """

    at: int
    data: bytes
    layer: str
    what: str


@dataclass(slots=True)
class Cursor:
    """Bytes that are told field by field; `base` is where they start."""

    data: bytes
    base: int
    layer: str
    at: int = 0
    rows: list[Row] = field(default_factory=list)

    def take(self, size: int, what: str | Callable[[bytes], str]) -> bytes:
        """Tell the next `size` bytes, as far as there are some."""
        part = self.data[self.at : self.at + size]
        if part:
            self.rows.append(Row(self.base + self.at, part, self.layer, what if isinstance(what, str) else what(part)))
        self.at += len(part)
        return part


def link_rows(raw: bytes, frame: Frame) -> Iterator[Row]:
    """Rows for what stands around the body of a frame."""
    yield from _wired(raw, frame) if frame.link == "mbus" else _radio(raw, frame)


def address_rows(cursor: Cursor, order: str) -> None:
    """Tell an address in the order of the link (`M id V T`) or of the long header (`id M V T`)."""
    part = cursor.data[cursor.at : cursor.at + 8]
    address = part if order.startswith("M") else part[4:6] + part[:4] + part[6:]
    try:
        device = device_of(address)
        known = {"M": device.manufacturer, "id": device.id, "V": f"{device.version:02X}h", "T": f"{device.type:02X}h"}
    except DecodeError as error:
        known = dict.fromkeys(_ADDRESS, f"not readable: {error}")
    for name in order.split():
        word, size = _ADDRESS[name]
        cursor.take(size, f"{word} {known[name]}")


def _radio(raw: bytes, frame: Frame) -> Iterator[Row]:
    for strip, name, first, size in _FORMATS:
        try:
            bare = strip(raw)
        except DecodeError:
            continue
        if bare[LINK["wmbus"] :] == frame.body:
            yield from _radio_header(bare, f"frame format {name}")
            blocks = [raw[:first], *(raw[at : at + size] for at in range(first, len(raw), size))]
            yield from (Row(0, block[-2:], "link", f"CRC of block {number}, right") for number, block in enumerate(blocks, 1))
            return
    end = raw[0] + 1
    yield from _radio_header(raw[:end], "its CRCs were taken off")
    if len(raw) > end:
        yield Row(end, raw[end:], "link", "behind the telegram: the receiver's")


def _radio_header(bare: bytes, form: str) -> Iterator[Row]:
    cursor = Cursor(bare, 0, "link")
    cursor.take(1, f"L: {bare[0]} bytes follow; {form}")
    cursor.take(1, f"C: {_CONTROL.get(bare[1], 'RSP_UD, an answer')}")
    address_rows(cursor, "M id V T")
    yield from cursor.rows


def _wired(raw: bytes, frame: Frame) -> Iterator[Row]:
    start = raw.find(bytes([frame.control]) + frame.address + frame.body)
    cursor = Cursor(raw, 0, "link")
    cursor.take(start - 4, "in front of the frame: idle bytes of the bus")
    cursor.take(start - cursor.at, lambda data: f"68 L L 68: {data[1]} bytes follow")
    cursor.take(1, "C: RSP_UD, an answer")
    cursor.take(1, f"A: primary address {frame.address[0]}")
    cursor.at += len(frame.body)
    cursor.take(1, "checksum, right")
    cursor.take(1, "end")
    cursor.take(len(raw), "behind the frame")
    yield from cursor.rows
