"""Frames of the wired M-Bus as a master sends and reads them, and the addresses of slaves (EN 13757-2; ingest/SERIAL.md 2). Pure.

Rules: E5 followed by anything is a collision; a long frame of its own length with a wrong checksum is damaged; anything else is no frame. An answer
is whole as soon as its own length says so.
"""

import re
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, Self

from submeter.decoders import DecodeError
from submeter.decoders.frame import parse_frame
from submeter.decoders.layers import split_transport
from submeter.decoders.records import walk
from submeter.reading import DeviceId

__all__ = [
    "ACK",
    "BAUDS",
    "SELECTED",
    "Address",
    "Reason",
    "Secondary",
    "Verdict",
    "address_order",
    "baud_order",
    "header_of",
    "more_follows",
    "nke",
    "parse_address",
    "request",
    "select",
    "verdict",
]

ACK: Final = b"\xe5"
#: What CI B8 to BD mean; what is above them means different things to different makers.
BAUDS: Final = {300: 0xB8, 600: 0xB9, 1200: 0xBA, 2400: 0xBB, 4800: 0xBC, 9600: 0xBD}
#: Primary address of the slave that is selected, and the one that all slaves answer.
SELECTED: Final = 253
EVERYBODY: Final = 254

Reason = Literal["timeout", "checksum", "collision", "framing", "not_selected", "page_limit"]

_SECONDARY: Final = re.compile(r"([0-9A-F]{8})[ -]?([0-9A-F]{4})[ -]?([0-9A-F]{2})[ -]?([0-9A-F]{2})")


@dataclass(frozen=True, slots=True)
class Secondary:
    """A secondary address, or a mask of many: eight digits of the id, then manufacturer, version and medium as sent, in hex; F, FFFF and FF mean any."""

    id: str = "FFFFFFFF"
    manufacturer: str = "FFFF"
    version: str = "FF"
    medium: str = "FF"

    def __str__(self) -> str:
        return f"{self.id} {self.manufacturer} {self.version} {self.medium}"

    @classmethod
    def of(cls, device: DeviceId) -> Self:
        """The address of a device of the directory."""
        letters = [ord(letter) - 64 for letter in device.manufacturer]
        code = letters[0] << 10 | letters[1] << 5 | letters[2]
        return cls(device.id, code.to_bytes(2, "little").hex().upper(), f"{device.version:02X}", f"{device.type:02X}")

    @classmethod
    def sent(cls, header: bytes) -> Self:
        """The address in the eight bytes of a long header."""
        text = header.hex().upper()
        return cls(header[3::-1].hex().upper(), text[8:12], text[12:14], text[14:16])

    @property
    def encoded(self) -> bytes:
        """Its eight bytes in a selection."""
        return bytes.fromhex(self.id)[::-1] + bytes.fromhex(self.manufacturer + self.version + self.medium)

    def covers(self, other: "Secondary") -> bool:
        """Whether this mask means that slave."""
        digits = all(mine in {"F", its} for mine, its in zip(self.id, other.id, strict=True))
        pairs = ((self.manufacturer, other.manufacturer, "FFFF"), (self.version, other.version, "FF"), (self.medium, other.medium, "FF"))
        return digits and all(mine in {its, wild} for mine, its, wild in pairs)

    def with_digit(self, at: int, digit: str) -> Self:
        """The same with one digit of the id."""
        return replace(self, id=self.id[:at] + digit + self.id[at + 1 :])


#: How a slave is addressed: by a primary address (1 to 250, 254 for the only one on a line), or by a secondary one.
Address = int | Secondary


def parse_address(text: str) -> Address:
    """Read `5`, `20135442 523B 03 07` or `NZR-20135442-03-07`; raises ValueError that says what to write."""
    word = text.strip().upper()
    if word.isdecimal() and len(word) <= 3 and (1 <= int(word) <= 250 or int(word) == EVERYBODY):
        return int(word)
    if found := _SECONDARY.fullmatch(word):
        return Secondary(*found.groups())
    if re.fullmatch(r"[0-9A-F]{8}", word):
        return Secondary(word)
    try:
        return Secondary.of(DeviceId.parse(word))
    except ValueError:
        raise ValueError(
            f"{text!r} is no address: write a primary one from 1 to 250 (254 for the only slave of a line), eight digits of an id, a secondary "
            'address such as "20135442 523B 03 07", or a device such as NZR-20135442-03-07'
        ) from None


def nke(address: int) -> bytes:
    """SND_NKE: forget pages and frame count bit; to 253, be selected no more."""
    return _short(0x40, address)


def request(address: int, *, fcb: bool) -> bytes:
    """REQ_UD2: send user data."""
    return _short(0x7B if fcb else 0x5B, address)


def select(mask: Secondary) -> bytes:
    """The selection of all slaves that the mask means."""
    return _long(bytes([0x53, SELECTED, 0x52]) + mask.encoded)


def baud_order(address: int, baud: int) -> bytes:
    """SND_UD: listen at this baud rate, one of BAUDS, after the acknowledgement; the first frame after SND_NKE or a selection."""
    return _long(bytes([0x73, address, BAUDS[baud]]))


def address_order(address: int, new: int) -> bytes:
    """SND_UD: have this primary address (record 01 7A); the first frame after SND_NKE or a selection."""
    return _long(bytes([0x73, address, 0x51, 0x01, 0x7A, new]))


def _long(inner: bytes) -> bytes:
    return bytes([0x68, len(inner), len(inner), 0x68]) + inner + bytes([sum(inner) & 0xFF, 0x16])


def _short(control: int, address: int) -> bytes:
    return bytes([0x10, control, address, control + address & 0xFF, 0x16])


class Verdict(NamedTuple):
    """What an answer is: `whole` frames need no more bytes; `reason` says what is wrong with one that is none."""

    whole: bool
    reason: Reason | None = None


_CUT: Final = Verdict(whole=False, reason="framing")


def verdict(answer: bytes) -> Verdict:
    """Judge what has come so far; an acknowledgement is whole, yet what follows it makes a collision of it."""
    if not answer:
        return Verdict(whole=False, reason="timeout")
    if answer[:1] == ACK:
        return Verdict(whole=True) if len(answer) == 1 else Verdict(whole=False, reason="collision")
    if answer[0] != 0x68 or len(answer) < 9 or answer[1] != answer[2] or answer[3] != 0x68 or answer[1] < 3:
        return _CUT
    size = answer[1] + 6
    if len(answer) < size or answer[size - 1] != 0x16 or len(answer) > size:
        return _CUT
    return Verdict(whole=True) if sum(answer[4 : size - 2]) & 0xFF == answer[size - 2] else Verdict(whole=False, reason="checksum")


def header_of(answer: bytes) -> Secondary | None:
    """The address in the long header of an answer; None for one without (fixed structure, no header)."""
    if answer[6] == 0x72 and len(answer) >= 17:
        return Secondary.sent(answer[7:15])
    if answer[6] == 0x73 and len(answer) >= 13:  # fixed structure: the id alone
        return Secondary(answer[10:6:-1].hex().upper())
    return None


def more_follows(answer: bytes) -> bool:
    """Whether the last DIF says that another page follows."""
    try:
        transport = split_transport(parse_frame(answer, "mbus").body, "mbus")
    except DecodeError:
        return False
    return not transport.fixed and walk(transport.payload, high_first=transport.high_first).more
