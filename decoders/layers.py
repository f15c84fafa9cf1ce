"""Headers between the link frame and the records: extended link (ELL), authentication (AFL), transport (TPL).

Order on the air: ELL → AFL → TPL → records, each at most once. An encrypted ELL hides all that follows, so the walk has two steps:
`split_ell`, then (after decryption, see security) `split_transport`. What is not read here ends in UnknownDriver and stays in the quarantine.
Sources: EN 13757-3 and -4, EN 13757-7; tables of CI fields and header lengths in the protocol notes, sections 3 to 5.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from submeter.decoders import diehl
from submeter.decoders.errors import BadFrame, Rejected, UnknownDriver
from submeter.decoders.frame import Frame
from submeter.reading import DeviceId

__all__ = [
    "ANONYMOUS",
    "COMPACT",
    "MANUFACTURER_CI",
    "Afl",
    "Ell",
    "Transport",
    "address_of",
    "device_of",
    "identity_of",
    "split_afl",
    "split_ell",
    "split_transport",
]

#: Manufacturer of a wired device that sends none: fixed structure, and answers without a header (id = primary address).
ANONYMOUS: Final = "XXX"

_ELL: Final = {0x8C: 2, 0x8D: 8, 0x8E: 10, 0x8F: 16}
_ELL_ADDRESSED: Final = frozenset((0x8E, 0x8F))
_ELL_SESSION: Final = frozenset((0x8D, 0x8F))
_AFL: Final = 0x90
_MAC_LENGTH: Final = {0: 0, 3: 2, 4: 4, 5: 8, 6: 12, 7: 16}

LONG, SHORT, NONE = 12, 4, 0
_FIXED, _HIGH_FIRST = 0x73, 0x76
#: Media of the fixed structure that are not device types: gas, heat, warm water, water, allocator again, for meters that know mode 2.
_FIXED_MEDIA: Final = {0x0A: 0x03, 0x0B: 0x04, 0x0C: 0x06, 0x0D: 0x07, 0x0E: 0x08}
_FULL: Final = {0x72: LONG, 0x7A: SHORT, 0x78: NONE}
#: CI fields of manufacturers' own payloads, which only a driver reads.
MANUFACTURER_CI: Final = frozenset(range(0xA0, 0xB8))
#: CI fields of compact frames, and the bytes of their headers.
COMPACT: Final = {0x73: LONG, 0x7B: SHORT, 0x79: NONE}
_RADIO: Final = {**_FULL, **COMPACT, **dict.fromkeys(MANUFACTURER_CI, NONE)}
#: Bytes of the transport header of each CI that carries records.
_HEADER: Final = {"mbus": {**_FULL, _HIGH_FIRST: LONG}, "wmbus": _RADIO, "diehl": {**_RADIO, diehl.REAL_DATA_CI: SHORT}}
#: CI fields that the meter's own address follows; 73 means the fixed structure on the wire, a compact frame by radio.
_ADDRESSED: Final = {"mbus": frozenset((0x72, 0x76)), "wmbus": frozenset((0x72, 0x73, 0x6B, 0x6F, 0x75))}
_NO_READINGS: Final = frozenset((*range(0x50, 0x70), 0x70, 0x71, 0x74, 0x75, *range(0x7C, 0x80), 0x80, 0x82, 0x83, *range(0xB8, 0xC8)))


class Ell(NamedTuple):
    """Extended link layer. `address` is the one its cipher uses (M id V T as sent); `session` its number field, empty where it has none."""

    control: int
    access: int
    address: bytes
    session: bytes = b""

    @property
    def encryption(self) -> int:
        """0 none, 1 AES-128-CTR (bits 29 to 31 of the session number)."""
        return self.session[3] >> 5 if self.session else 0


class Afl(NamedTuple):
    """Authentication and fragmentation layer: message control, counter and the parts the code is computed over."""

    control: bytes
    counter: bytes
    mac: bytes
    length: bytes


class Transport(NamedTuple):
    """Transport header and the payload behind it. `address` is M id V T as sent, empty where the link's address counts.

    `message` is all of it from the CI on, which authentication codes cover.
    """

    ci: int
    address: bytes
    access: int | None
    status: int
    config: int
    payload: bytes
    message: bytes

    @property
    def high_first(self) -> bool:
        """Multi-byte values come high byte first (historic mode 2 on the wire)."""
        return self.ci == _HIGH_FIRST

    @property
    def fixed(self) -> bool:
        """The payload is the fixed structure of two counters."""
        return self.ci == _FIXED and not self.address

    @property
    def compact(self) -> bool:
        """The payload is data whose headers an earlier frame taught."""
        return self.ci in COMPACT and not self.fixed

    @property
    def mode(self) -> int:
        """Security mode of the configuration word (bits 8 to 12)."""
        return self.config >> 8 & 0x1F


def device_of(address: bytes) -> DeviceId:
    """Identity from the eight bytes M(2) id(4) V T; raises BadFrame for letters outside A to Z and for the void id FFFFFFFF."""
    letters = _letters(address[:2])
    identity = address[5:1:-1].hex().upper()
    if identity == "FFFFFFFF":
        raise BadFrame("the meter's id is FFFFFFFF: bytes that the receiver could not read")
    return DeviceId(letters, identity, address[6], address[7])


@lru_cache(maxsize=4096)
def _letters(sent: bytes) -> str:
    """The manufacturer of a code of three letters, five bits each."""
    code = int.from_bytes(sent, "little")
    letters = [code >> 10 & 31, code >> 5 & 31, code & 31]
    if not all(1 <= letter <= 26 for letter in letters):
        raise BadFrame(f"manufacturer code {code:04X}h is not three letters")
    return "".join(chr(64 + letter) for letter in letters)


def address_of(frame: Frame) -> bytes:
    """M id V T of the meter as far as it is readable without a key: of the transport layer's long header, else of the link."""
    body = frame.body
    if frame.link == "wmbus":
        ell, body = split_ell(frame)
        if ell and ell.encryption:
            return diehl.address_of(frame)
        _, body = split_afl(body[2:] if ell and ell.session else body)  # behind a session number stands a CRC
    if not body or body[0] not in _ADDRESSED[frame.link]:
        return diehl.address_of(frame)
    if len(body) < 9:
        raise BadFrame("cut inside the address of the transport header")
    return _long_address(body[1:9], high_first=body[0] == _HIGH_FIRST)


def identity_of(frame: Frame) -> DeviceId:
    """The meter that a frame speaks of, without any key; raises BadFrame when its address is void or cut."""
    address = address_of(frame)
    if len(address) == 8 and not (frame.link == "mbus" and address[:2] == bytes(2)):
        return device_of(address)
    body = frame.body
    if len(body) == 17 and body[0] == _FIXED:
        medium = body[7] >> 6 | body[8] >> 6 << 2
        return DeviceId(ANONYMOUS, body[4:0:-1].hex().upper(), 0, _FIXED_MEDIA.get(medium, medium))
    return DeviceId(ANONYMOUS, f"{address[0]:08d}", 0, 0)


def _long_address(header: bytes, *, high_first: bool = False) -> bytes:
    """M id V T from the order id M V T of the long header."""
    identity, code = header[:4], header[4:6]
    return (code[::-1] + identity[::-1] if high_first else code + identity) + header[6:8]


def split_ell(frame: Frame) -> tuple[Ell | None, bytes]:
    """The extended link header of a radio frame and what follows its readable part; raises BadFrame when it is cut."""
    body = frame.body
    size = _ELL.get(body[0]) if frame.link == "wmbus" else None
    if size is None:
        return None, body
    if len(body) <= size:
        raise BadFrame("cut inside the extended link header")
    address = body[3:11] if body[0] in _ELL_ADDRESSED else frame.address
    if body[0] not in _ELL_SESSION:
        return Ell(body[1], body[2], address), body[1 + size :]
    return Ell(body[1], body[2], address, body[size - 5 : size - 1]), body[size - 1 :]


def split_afl(body: bytes) -> tuple[Afl | None, bytes]:
    """The authentication layer and what follows; raises BadFrame when it is cut, UnknownDriver for fragments (they must be joined first)."""
    if body[:1] != bytes([_AFL]):
        return None, body
    end = 2 + body[1] if len(body) > 1 else 0
    if end < 4 or len(body) <= end:
        raise BadFrame("cut inside the authentication layer")
    flags = int.from_bytes(body[2:4], "little")
    if flags & 0x40FF:
        raise UnknownDriver("one fragment of a longer message")
    if body[end] == _AFL:
        raise BadFrame("two authentication layers")
    return _afl_fields(body[4:end], flags), body[end:]


def _afl_fields(data: bytes, flags: int) -> Afl:
    """[MCL 1] [KI 2] [MCR 4] [MAC n] [ML 2], present as `flags` say (EN 13757-7)."""
    control = data[: flags >> 13 & 1]
    authentication = control[0] & 0x0F if control else 0
    if authentication not in _MAC_LENGTH:
        raise BadFrame(f"authentication type {authentication} is reserved")
    sizes = (len(control), 2 * (flags >> 9 & 1), 4 * (flags >> 11 & 1), _MAC_LENGTH[authentication] * (flags >> 10 & 1), 2 * (flags >> 12 & 1))
    if sum(sizes) > len(data):
        raise BadFrame("the authentication layer is shorter than its flags say")
    parts, at = [], 0
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    return Afl(control=parts[0], counter=parts[2], mac=parts[3], length=parts[4])


def split_transport(body: bytes, link: str) -> Transport:
    """The transport header; raises BadFrame when it is cut, Rejected for commands and alarms, UnknownDriver for payloads not read here.

    `link`: wmbus, mbus, or diehl for radio frames of that group, which has a CI field of its own.
    """
    if not body:
        raise BadFrame("no CI field")
    ci = body[0]
    if link == "mbus" and ci == _FIXED:
        return _fixed(body)
    size = _HEADER[link].get(ci)
    if size is None:
        raise _unread(ci)
    if len(body) < 1 + size:
        raise BadFrame(f"cut inside the transport header of CI {ci:02X}h")
    if size == NONE:
        return Transport(ci, b"", None, 0, 0, body[1:], body)
    high_first = ci == _HIGH_FIRST
    address = _long_address(body[1:9], high_first=high_first) if size == LONG else b""
    access, status, config = body[size - 3], body[size - 2], body[size - 1 : size + 1]
    return Transport(ci, address, access, status, int.from_bytes(config, "big" if high_first else "little"), body[1 + size :], body)


def _fixed(body: bytes) -> Transport:
    """CI 73 on the wire: id(4) access status, then unit1 unit2 counter1(4) counter2(4); the payload starts at the status byte."""
    if len(body) != 17:
        raise BadFrame("the fixed structure has 16 bytes")
    return Transport(_FIXED, b"", body[5], 0, 0, body[6:], body)


def _unread(ci: int) -> UnknownDriver | Rejected:
    if ci in _NO_READINGS:
        return Rejected(f"CI {ci:02X}h carries no readings")
    return UnknownDriver(f"CI {ci:02X}h is read by no driver")
