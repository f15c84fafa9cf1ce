"""What the tables of malformed frames share: a case, and the meter that sends it (FAULTS.md, G4).

Strategy: each case is a frame that `submeter.simulate.encode` makes whole, then one thing is wrong with it. It states its one outcome: the word of the
quarantine, or the readings that it may give and no other. The tables are links.py … in malformed_*.py; test_malformed_frames.py runs them.
"""

from decimal import Decimal
from typing import NamedTuple

from submeter.decoders import Profile
from submeter.reading import DeviceId
from submeter.simulate import encode

METER = DeviceId("SMU", "71000001", 0x05, 0x07)
KEY = bytes(range(16))
#: How a keyed meter is known.
KEYED = Profile(KEY)
PLAIN = Profile()
#: The one good record of most cases: 12.345 m³.
GOOD = encode.bcd(b"\x13", 12_345, 8)
VOLUME = Decimal("12.345")

HEADER = encode.Header(access=9)

#: Register (with "@" and its date where it is a stored one) and value.
Readings = dict[str, Decimal]


class Case(NamedTuple):
    """A frame, what is wrong with it in words, and its outcome: a reason, or all readings that it gives."""

    what: str
    raw: bytes
    expected: str | Readings
    link: str = "wmbus"
    form: str = "auto"
    profile: Profile | None = PLAIN


def ok(value: str | None = "12.345", **others: str) -> Readings:
    """These readings: of `volume`, and of other registers by name."""
    volume = {} if value is None else {"volume": Decimal(value)}
    return volume | {name: Decimal(other) for name, other in others.items()}


def nothing() -> Readings:
    """A telegram that is understood and gives no reading."""
    return {}


def air(records: bytes = GOOD, header: encode.Header = HEADER) -> bytes:
    """The meter's radio frame of these records, without CRCs, plain."""
    return encode.radio(METER, encode.plain(records, header))


def wire(records: bytes = GOOD) -> bytes:
    """Its wired frame."""
    return encode.wired(encode.plain(records, encode.Header(HEADER.access, address=METER)))


def flipped(raw: bytes, at: int, bits: int = 1) -> bytes:
    """The bytes with one of them changed."""
    at %= len(raw)
    return raw[:at] + bytes([raw[at] ^ bits]) + raw[at + 1 :]


def put(raw: bytes, at: int, value: int) -> bytes:
    """The bytes with one of them set."""
    return flipped(raw, at, raw[at % len(raw)] ^ value)
