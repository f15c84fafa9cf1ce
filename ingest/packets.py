"""MQTT control packets, versions 5 and 3.1.1, as far as a receiver needs them (OASIS MQTT 5.0, clauses 2 and 3; 3.1.1, the same).

Strategy: `Incoming` is the buffer that the socket writes into; packets are looked at where they lie, and only a payload is copied out of it.
Rules: a packet that is larger than the buffer, which no broker that was told our maximum sends, comes shortened and its rest is passed over, so
that it can be refused and acknowledged instead of coming again for ever. What is no MQTT raises ProtocolError: the connection has no use any more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

__all__ = [
    "DISCONNECT",
    "PINGREQ",
    "Answer",
    "Connect",
    "Incoming",
    "Kind",
    "ProtocolError",
    "Published",
    "acknowledge",
    "answer",
    "completed",
    "subscribe",
]

PINGREQ: Final = b"\xc0\x00"
DISCONNECT: Final = b"\xe0\x00"
#: Reason codes and return codes from here on say no.
FAILURE: Final = 0x80
#: First bytes of the answers to a message of quality 1 (PUBACK) and 2 (PUBREC).
RECEIVED: Final = {1: b"\x40\x02", 2: b"\x50\x02"}
#: Property of CONNACK: the keep-alive that the broker wants instead of ours, two bytes (MQTT 5.0, 3.2.2.3.14).
SERVER_KEEP_ALIVE: Final = 0x13
#: Bytes of the values of a CONNACK's properties; None: a length of two bytes comes first; a pair of such for 0x26.
WIDTHS: Final = {
    0x11: 4,
    0x21: 2,
    0x24: 1,
    0x25: 1,
    0x27: 4,
    0x12: None,
    0x22: 2,
    0x1F: None,
    0x28: 1,
    0x29: 1,
    0x2A: 1,
    0x13: 2,
    0x1A: None,
    0x1C: None,
    0x15: None,
    0x16: None,
}
USER_PROPERTY: Final = 0x26
#: What is left of the buffer before what waits in it is moved to its front.
LITTLE: Final = 65_536


class ProtocolError(ConnectionError):
    """The broker sends what is no MQTT, or what it must not send to us."""


class Kind(IntEnum):
    """Control packets that a broker sends to a receiver (MQTT 5.0, 2.1.2)."""

    CONNACK = 2
    PUBLISH = 3
    PUBREL = 6
    SUBACK = 9
    PINGRESP = 13
    DISCONNECT = 14


@dataclass(frozen=True, slots=True)
class Connect:
    """The first packet; `version` is 5 or 4 (which is 3.1.1). The session of an earlier connection is taken up."""

    client_id: str
    version: int
    keepalive_s: int
    session_expiry_s: int
    receive_maximum: int
    maximum_packet: int
    username: str | None = None
    password: str | None = None

    def packet(self) -> bytes:
        """As bytes (MQTT 5.0, 3.1)."""
        flags = 0x80 * (self.username is not None) | 0x40 * (self.password is not None)
        properties = b""
        if self.version == 5:
            expiry, largest = self.session_expiry_s.to_bytes(4, "big"), self.maximum_packet.to_bytes(4, "big")
            properties = _counted(b"\x11" + expiry + b"\x21" + self.receive_maximum.to_bytes(2, "big") + b"\x27" + largest)
        names = b"".join(_text(word) for word in (self.client_id, self.username, self.password) if word is not None)
        head = _text("MQTT") + bytes((self.version, flags)) + self.keepalive_s.to_bytes(2, "big")
        return b"\x10" + _counted(head + properties + names)


class Answer(NamedTuple):
    """What CONNACK, SUBACK or DISCONNECT say: codes, whether the broker had kept our session, the keep-alive that it wants."""

    codes: bytes
    session_present: bool = False
    keepalive_s: int | None = None


class Published(NamedTuple):
    """A message; `mid` is 0 where quality 0 asks for no acknowledgement."""

    topic: str
    payload: bytes
    retain: bool
    dup: bool
    qos: int
    mid: int

    @classmethod
    def of(cls, flags: int, body: memoryview, version: int) -> "Published":
        """Read a PUBLISH (MQTT 5.0, 3.3). A topic that is no UTF-8, which no correct broker sends, must not make its message come again for ever."""
        qos, at = flags >> 1 & 3, 2 + int.from_bytes(body[:2], "big")
        topic, mid = str(body[2:at], "utf-8", "replace"), 0
        if qos:
            mid, at = int.from_bytes(body[at : at + 2], "big"), at + 2
        if version == 5:
            length, at = _varint(body, at)
            at += length
        if at > len(body) or qos == 3 or (qos and not mid):
            raise ProtocolError(f"the broker sends a message that is none: {body[:32].hex()}")
        return cls(topic, bytes(body[at:]), bool(flags & 1), bool(flags & 8), qos, mid)


def subscribe(mid: int, topics: Iterable[tuple[str, int]], version: int) -> bytes:
    """SUBSCRIBE to topic filters, each with its options (MQTT 5.0, 3.8)."""
    filters = b"".join(_text(topic) + bytes((options,)) for topic, options in topics)
    return b"\x82" + _counted(mid.to_bytes(2, "big") + b"\x00" * (version == 5) + filters)


def acknowledge(messages: Sequence[tuple[int, int]]) -> bytes:
    """PUBACK or PUBREC of (mid, qos); nothing for quality 0."""
    return b"".join(RECEIVED[qos] + mid.to_bytes(2, "big") for mid, qos in messages if qos)


def completed(body: memoryview) -> bytes:
    """PUBCOMP, the answer to a PUBREL (MQTT 5.0, 3.7)."""
    return b"\x70\x02" + bytes(body[:2])


def answer(kind: Kind, body: memoryview, version: int) -> Answer:
    """Read a CONNACK (MQTT 5.0, 3.2), SUBACK (3.9) or DISCONNECT (3.14)."""
    if kind is Kind.DISCONNECT:
        return Answer(bytes(body[:1]) or b"\x00")
    if len(body) < 2:
        raise ProtocolError(f"the broker cuts its {kind.name} short")
    if kind is Kind.CONNACK:
        return Answer(bytes(body[1:2]), bool(body[0] & 1), _keepalive(body) if version == 5 else None)
    length, at = _varint(body, 2) if version == 5 else (0, 2)
    return Answer(bytes(body[at + length :]))


class Incoming:
    """Bytes of a connection as packets. The body of a packet is valid until the next `room`."""

    def __init__(self, capacity: int) -> None:
        self._view = memoryview(bytearray(capacity))
        self._start = self._end = 0
        self._pass_over = 0

    def room(self) -> memoryview:
        """Where the next bytes go; empty while packets have to be taken first."""
        view, start, end = self._view, self._start, self._end
        if start == end or (start and len(view) - end < LITTLE):
            view[: end - start] = bytes(view[start:end])
            self._start, self._end = 0, end - start
        return view[self._end :]

    def came(self, count: int) -> None:
        """So many bytes have been written into the room."""
        self._end += count
        if self._pass_over:
            passed = min(self._pass_over, self._end - self._start)
            self._pass_over -= passed
            self._start += passed

    def packet(self) -> tuple[int, memoryview] | None:
        """The next packet: its first byte and its body. None while it is not whole."""
        view, start, end = self._view, self._start, self._end
        if end - start < 2:
            return None
        length, at = view[start + 1], start + 2
        if length >= 0x80:
            if end - start < 5 and all(byte >= 0x80 for byte in view[start + 1 : end]):
                return None
            length, at = _varint(view[:end], start + 1)
        stop = at + length
        if stop > end:
            if start or end < len(view):
                return None
            self._pass_over, stop = stop - end, end
        self._start = stop
        return view[start], view[at:stop]


def _keepalive(body: memoryview) -> int | None:
    """The keep-alive among the properties of a CONNACK."""
    length, at = _varint(body, 2) if len(body) > 2 else (0, 2)
    end = min(at + length, len(body))
    while at < end:
        name, at = body[at], at + 1
        if name == SERVER_KEEP_ALIVE:
            return int.from_bytes(body[at : at + 2], "big")
        for width in (None, None) if name == USER_PROPERTY else (WIDTHS.get(name, 0),):
            if width == 0:
                raise ProtocolError(f"the broker answers with a property that there is not: {name:02x}")
            at += width if width is not None else 2 + int.from_bytes(body[at : at + 2], "big")
    return None


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A variable byte integer and what follows it (MQTT 5.0, 1.5.5)."""
    value = 0
    for position, byte in enumerate(data[at : at + 4]):
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return value, at + position + 1
    raise ProtocolError(f"the broker sends a length that is none: {data[at : at + 4].hex()}")


def _counted(body: bytes) -> bytes:
    """A body behind its length as a variable byte integer."""
    length, head = len(body), bytearray()
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes((*head, length)) + body


def _text(word: str) -> bytes:
    encoded = word.encode()
    return len(encoded).to_bytes(2, "big") + encoded
