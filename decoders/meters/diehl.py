"""Diehl group: IZAR PRIOS (water), real data, and the group's OMS meters such as Sharky and Hydrus (manufacturer layouts 3).

PRIOS and real data are enciphered with keys that were published, unless the operator set an own one: opened with a published key they count as
plain. Their checks are weak (a foreign frame passes one in a hundred times): dates have to exist, records have to end where the payload ends, the set
day's value may not exceed the present one. OMS frames in mode 5 may use a published key too, when the operator set none.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final

from submeter.decoders.blocks import field_record
from submeter.decoders.codings import date_g, unsigned
from submeter.decoders.diehl import MAKERS, REAL_DATA_CI, keystream
from submeter.decoders.driver import Bits, Block, Driver, Field, Found, Gate, Layout, Make, Rule, Sealed
from submeter.decoders.errors import BadFrame, UnknownMode, WrongKey
from submeter.decoders.records import walk
from submeter.decoders.security import MANUFACTURER, PLAIN, Opened

_PUBLISHED: Final = (bytes.fromhex("39BC8A10E66D83F8"), bytes.fromhex("51728910E66D83F8"))
_PUBLISHED_AES: Final = _PUBLISHED[1] * 2
_KEY_SIZE: Final = 8
#: Bytes of the transport part in front of the cipher text: CI and four more.
_HEAD: Final = 5
_GROUP: Final = (Make(" ".join(MAKERS)),)
_WATER: Final = 0x07


def _plains(sealed: Sealed) -> Iterator[Opened]:
    """What each key makes of the cipher text: the device's own first, then the published ones."""
    message = sealed.transport.message
    head, cipher = sealed.address + message[:4], message[_HEAD:]
    own = [sealed.profile.key] if sealed.profile.key and len(sealed.profile.key) == _KEY_SIZE else []
    if sealed.decrypted:
        yield Opened(cipher, MANUFACTURER)
    for key in (*own, *_PUBLISHED):
        mode = MANUFACTURER if key in own else PLAIN
        yield Opened(bytes(a ^ b for a, b in zip(cipher, keystream(key, head, len(cipher)), strict=True)), mode)


def _first(sealed: Sealed, believable: Callable[[bytes], bool]) -> Opened:
    if len(sealed.transport.message) <= _HEAD:
        raise BadFrame("cut before its cipher text")
    for opened in _plains(sealed):
        if believable(opened.payload):
            return opened
    raise WrongKey("neither a key of its own nor a published one opens it")


def _open_prios(sealed: Sealed) -> Opened:
    """The four header bytes, then the plain text."""
    opened = _first(sealed, _prios)
    return Opened(sealed.transport.message[1:_HEAD] + opened.payload, opened.mode)


def _prios(plain: bytes) -> bool:
    stamp = plain[9:11]
    return plain[0] == 0x4B and (len(stamp) < 2 or stamp in {b"\x00\x00", b"\xff\xff"} or date_g(stamp) is not None)


def _open_real_data(sealed: Sealed) -> Opened:
    """Real data (modes 16 and up), where bit 12 of the configuration word says so."""
    transport = sealed.transport
    if transport.address:
        raise UnknownMode(f"security mode {transport.mode}")
    check = transport.message[4] & 0xEF
    return _first(sealed, lambda plain: (sum(plain) & 0xEF == check or sealed.decrypted) and _whole(plain))


def _whole(plain: bytes) -> bool:
    found = walk(plain)
    return found.broken is None and bool(found.records)


def _seconds(data: bytes) -> int:
    return 4 << (data[0] & 0x0F)


def _half_years(data: bytes) -> int:
    return data[0] & 0x1F


#: Three header bytes: alarm and send period, leak and battery, the rest; masks without a word are numbers.
_ALARMS: Final = Bits({
    0x80: "general_alarm", **{1 << bit: "" for bit in range(7)},
    0x8000: "leak", 0x4000: "leak_earlier", 0x2000: "blocked", **{1 << bit: "" for bit in range(8, 13)},
    0x800000: "backflow", 0x400000: "underflow", 0x200000: "overflow", 0x100000: "submerged",
    0x080000: "tamper", 0x040000: "tamper_earlier", 0x020000: "tamper", 0x010000: "tamper_earlier",
})  # fmt: skip
_LITRE: Final = Fraction(1, 1000)
_PRIOS_FIELDS: Final = (
    Field(0, 3, "status_flags", flags=_ALARMS),
    Field(0, 1, "transmission_period", _seconds, unit="s"),
    Field(1, 1, "battery_days", _half_years, Fraction(1, 2), unit="y"),
    Field(5, 4, "volume", scale=_LITRE),
    Field(9, 4, "volume", scale=_LITRE, storage=1),
    Field(13, 2, "date", date_g, storage=1),
)

_YEAR: Final = 1_000_000


def _sappel(block: Block) -> Found:
    """What is printed on a Sappel meter: supplier, year, type, diameter; and its serial number."""
    device = block.device
    if device.manufacturer != "SAP":
        return Found()
    sent = bytes.fromhex(device.id)[::-1] + bytes([device.version, device.type])
    year, serial = divmod(unsigned(sent[:4]) & 0x3FFFFFF, _YEAR)
    letters = ((sent[5] & 0x0F) << 1 | sent[4] >> 7, (sent[4] & 0x7C) >> 2, (sent[4] & 3) << 3 | sent[3] >> 5)
    supplier, kind, diameter = (chr(0x40 + letter) for letter in letters)
    prefix = f"{supplier}{year:02d}{kind}{diameter}"
    return Found((field_record(Field(0, 0, "serial", lambda _: f"{prefix} {serial:06d}"), b""),))


#: Second energies and month ends of the group's standard records (registers 4); hours of operation in error under what elsewhere is a record error.
_RULES: Final = (
    Rule(where={"quantity": "energy", "tariff": 1, "modifiers": ()}, to={"quantity": "energy_cooling", "tariff": 0}),
    Rule("A618", scale=Fraction(1), to={"quantity": "operating_time", "unit": "h", "modifiers": ("in_error",), "error": None}),
    Rule(where={"storage": 3}, to={"label": "month_end"}),
)

DRIVERS: Final = (
    Driver(
        name="izar",
        about="Diehl IZAR PRIOS, water",
        makes=_GROUP,
        cis=frozenset(range(0xA0, 0xA8)),
        medium=_WATER,
        layouts=(Layout(_PRIOS_FIELDS, size=9, read=_sappel, shows=True),),
        gate=Gate(years=(2000, 2080), largest={"volume": 100_000}, rising=("volume",)),
        cipher=_open_prios,
    ),
    Driver(
        name="diehl",
        about="Diehl Sharky, Hydrus and others: standard records, also as real data",
        makes=_GROUP,
        cis=frozenset((REAL_DATA_CI, 0x72, 0x7A)),
        rules=_RULES,
        cipher=_open_real_data,
        modes=frozenset(range(16, 32)),
        published=_PUBLISHED_AES,
    ),
)
