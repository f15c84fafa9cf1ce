"""BMeters: Hydroclima (allocator) and Hydrodigit (water), standard records and a manufacturer's tail; RFM-TX1 in its old coding (layouts 6 to 8).

Hydroclima: what its tail qualifies (averages, sums of periods without a date) is shown. Its variant without records is not read.
Hydrodigit: a content byte says which blocks follow. Monthly values are of calendar months; those from the present month on are last year's.
RFM-TX1: the total is masked with a table that was published, so the telegram counts as plain. Digits and a clock that can be are its only check.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache, partial
from typing import Final

from submeter.decoders.codings import bcd, date_g, pairs, signed, unsigned
from submeter.decoders.driver import TAIL, Bits, Block, Codes, Driver, Field, Found, Layout, Make, Sealed
from submeter.decoders.errors import BadFrame, UnknownDriver, UnknownMode, WrongKey
from submeter.decoders.security import PLAIN, Opened

_HUNDREDTH, _LITRE = Fraction(1, 100), Fraction(1, 1000)


def _hydroclima(block: Block) -> Found:
    """Refuses the variant whose values stand in the tail alone."""
    if all(record.quantity != "hca" for record in block.records):
        raise UnknownDriver("a Hydroclima telegram without records")
    return Found()


def _temperature(at: int, quantity: str, *words: str, function: int = 0) -> Field:
    return Field(at, 2, quantity, signed, _HUNDREDTH, function=function, modifiers=words)


def _units(at: int, size: int, word: str, storage: int = 0) -> Field:
    return Field(at, size, "hca", storage=storage, modifiers=(word,))


#: Offsets count from the identifier byte; times of two bytes are of unknown coding.
_STATUS: Final = Field(1, 2, "status_flags", flags=Bits({}))
_CLIMA_10: Final = (
    _STATUS,
    Field(5, 2, "date", date_g),
    _temperature(7, "temperature_ambient", "average"),
    _temperature(9, "temperature_ambient", function=1),
    Field(11, 2, "date", date_g, function=1),
    Field(13, 2, "measurement_count", unit="1"),
    _temperature(15, "temperature_ambient", "average", "last_month"),
    _temperature(17, "temperature_radiator", "average", "last_month"),
    _units(19, 2, "indication"),
    Field(21, 3, "hca_total"),
)
_CLIMA_11: Final = (
    _STATUS,
    Field(5, 2, "date", date_g),
    Field(7, 2, "case_opened", date_g),
    _temperature(9, "temperature_radiator", "average"),
    _temperature(11, "temperature_ambient", "average"),
    _temperature(13, "temperature_ambient", "last_period", function=1),
    Field(15, 2, "date", date_g, function=1),
    _temperature(17, "temperature_radiator", "average", "last_period"),
    _temperature(19, "temperature_ambient", "average", "last_period"),
    *(_units(21 + 2 * back, 2, "period", 1 + back) for back in range(4)),
    *(replace(_temperature(29 + 2 * back, "temperature_ambient", "period"), storage=1 + back) for back in range(3)),
    Field(35, 9, "temperature_classes", bytes.hex),
    Field(44, 3, "hca_total"),
)

_BATTERY: Final = (370, 190, 210, 220, 230, 240, 250, 265, 280, 290, 305, 320, 335, 350, 370, 370)


def _battery(data: bytes) -> int:
    """Hundredths of a volt by the low nibble."""
    return _BATTERY[data[0] & 0x0F]


def _date(data: bytes) -> date | None:
    """Year since 2000, month in the low nibble, day, in decimal digits."""
    try:
        year, month, day = pairs(bytes((data[0], data[1] & 0x0F, data[2])))
        return date(2000 + year, month, day)
    except ValueError:
        return None


def _month(data: bytes) -> int | None:
    return None if unsigned(data) >= 10_000_000 else unsigned(data)


_FRAUD: Final = Bits({0x80: "magnet_earlier", 0x40: "tamper_earlier", 0x20: "removed_earlier"})


def _end(month: int, clock: date) -> date:
    """The last day of that month before the present one."""
    year = clock.year - (month >= clock.month)
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


_LEAK: Final = Codes({}, other="leak_earlier")
_MONTH_END: Final = Field(0, 3, "volume", _month, _HUNDREDTH, label="month_end")
#: Bit of the content byte, length, fields of each block, in the order in which they follow.
_BLOCKS: Final = (
    (0x01, 1, (Field(0, 1, "battery_voltage", _battery, _HUNDREDTH),)),
    (0x02, 4, (Field(0, 1, "fraud_type", flags=_FRAUD), Field(1, 3, "fraud_date", _date))),
    (0x80, 3, (Field(0, 3, "leak_date", _date, flags=_LEAK),)),
    (0x04, 4, (Field(0, 4, "volume_backflow", scale=_LITRE),)),
    (0x10, 36, tuple(replace(_MONTH_END, at=3 * k, storage=2 + k, reckon=partial(_end, 1 + k)) for k in range(12))),
)


def _fields(data: bytes) -> tuple[Field, ...]:
    """Those of the blocks that the content byte names, as far as they are whole."""
    return _fields_of(data[0], len(data))[0]


@lru_cache(maxsize=4096)
def _fields_of(content: int, size: int) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """The fields of a block's content, and a note where it runs over the end."""
    found, at = list[Field](), 1
    for bit, length, fields in _BLOCKS:
        if not content & bit:
            continue
        if at + length > size:
            return tuple(found), (f"byte {at}: block {bit:02X}h runs over the end",)
        found += (replace(field, at=at + field.at) for field in fields)
        at += length
    return tuple(found), ()


def _hydrodigit(block: Block) -> Found:
    return Found(notes=_fields_of(block.data[0], len(block.data))[1])


#: Old RFM-TX1: the configuration word, the rows of the masks, places in the payload.
_OLD_CODING, _OLD_MODE = 0x1006, 16
_MASKS: Final = bytes.fromhex(
    "7A101A0A 70132213 B90B8E99 79074A16 079ACB69 32A1390E 9C7E6099 B4C480A3 0ACE1903 F005A586 1698115E 0CC97DA2 4A48E41F 772E8AE8 BD78578C 396F2805"
)
#: Where total and clock stand in the whole message, which is what the layout sees.
_TX_TOTAL, _TX_CLOCK = slice(7, 11), slice(18, 24)


def _clock(data: bytes) -> datetime | None:
    """Second, minute, hour, day, month, year since 2000, two digits each."""
    try:
        second, minute, hour, day, month, year = pairs(data)
        return datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001  local time of the meter
    except ValueError:
        return None


def _open_rfmtx1(sealed: Sealed) -> Opened:
    """The whole message with its total unmasked: each byte xor the access number xor the mask of its low digit. Such a message is plain."""
    transport, message = sealed.transport, sealed.transport.message
    if transport.config != _OLD_CODING or transport.address:
        raise UnknownMode(f"security mode {transport.mode}")
    if len(message) < _TX_CLOCK.stop:
        raise BadFrame("cut before its clock")
    key = message[1]
    row = 4 * (key & 0x0F)
    total = bytes(byte ^ key ^ mask for byte, mask in zip(message[_TX_TOTAL], _MASKS[row : row + 4], strict=True))
    if bcd(total) is None or _clock(message[_TX_CLOCK]) is None:
        raise WrongKey("unmasked, its total has no decimal digits, or its clock cannot be")
    return Opened(message[: _TX_TOTAL.start] + total + message[_TX_TOTAL.stop :], PLAIN)


DRIVERS: Final = (
    Driver(
        name="hydroclima",
        about="BMeters Hydroclima, heat cost allocator: temperatures behind its records",
        makes=(Make("BMP BMT", (0x53, 0x85), (0x08,)),),
        layouts=(
            Layout(_CLIMA_10, at=TAIL, size=24, guard=((0, 0xFF, 0x10),), read=_hydroclima, shows=True),
            Layout(_CLIMA_11, at=TAIL, size=47, guard=((0, 0xFF, 0x11),), read=_hydroclima, shows=True),
        ),
    ),
    Driver(
        name="hydrodigit",
        about="BMeters Hydrodigit, water: backflow, months and battery behind its records",
        makes=(Make("BMP BMT", (0x13, 0x15, 0x17), (0x06, 0x07)),),
        layouts=(Layout(at=TAIL, read=_hydrodigit, shows=True, vital=frozenset(), shape=((0, 0xFF),), shaped=_fields),),
    ),
    Driver(
        name="rfmtx1",
        about="BMeters RFM-TX1, water, old coding",
        makes=(Make("BMP BMT", (0x05,), (0x07,)),),
        layouts=(
            Layout(
                (Field(_TX_TOTAL.start, 4, "volume", bcd, _LITRE), Field(_TX_CLOCK.start, 6, "date_time", _clock)),
                size=_TX_CLOCK.stop,
                guard=((0, 0xFF, 0x7A), (3, 0xFF, _OLD_CODING & 0xFF), (4, 0xFF, _OLD_CODING >> 8)),
            ),
        ),
        cipher=_open_rfmtx1,
        modes=frozenset((_OLD_MODE,)),
    ),
)
