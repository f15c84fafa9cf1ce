"""Apator besides the tag walk: NA-1 (encrypted, water), E-ITN 30 (allocator), 08 and 172 (older water modules); manufacturer layouts 1.2 to 1.4.

NA-1: one AES block without a check of the key, so the meter's clock has to be near the reception. The halves of its packed total are not updated
together at times: single dips of 0.25 m³ are the meter's own.
E-ITN: the first date's high byte is the A0 in front of the record, be it the CI field or a marker behind bytes of unknown meaning.
"""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from submeter.decoders.blocks import field_records
from submeter.decoders.codings import date_short_year, seconds_2000, signed, unsigned
from submeter.decoders.dates import DateValue
from submeter.decoders.driver import Bits, Block, Codes, Driver, Field, Found, Gate, Layout, Make, Sealed
from submeter.decoders.errors import BadFrame, UnknownDriver
from submeter.decoders.security import MANUFACTURER, Opened, key_of

_WATER: Final = 0x07

#: NA-1: access number, frame status, then the block.
_HEAD: Final = 2
_NA1_SIZE: Final = _HEAD + 16
_FRAME_STATUS: Final = Bits(
    {
        0x01: "summer_time",
        0x02: "historic",
        0x04: "overflow",
        0x08: "communication_error",
        0x10: "radio_blocked",
        0x20: "installation",
        0x40: "wrong_temperature",
        0x80: "service",
    }
)
_STATUS: Final = {0x80: "underflow", 0x40: "overflow", 0x20: "backflow", 0x10: "unchanged", 0x08: "leak", 0x04: "removed", 0x02: "magnet"}
_STATUS_NOW: Final = Bits({**_STATUS, 0x01: "low_battery"})
_STATUS_BEFORE: Final = Bits({**{bit: f"{word}_earlier" for bit, word in _STATUS.items()}, 0x01: "battery_end"})
_LITRE: Final = Fraction(1, 1000)


def _open_na1(sealed: Sealed) -> Opened:
    """The AES block; IV is the link address and eight times the access number, which stands in front of it. Nothing tells a wrong key."""
    payload = sealed.transport.payload
    if len(payload) != _NA1_SIZE:
        raise BadFrame(f"{len(payload)} bytes where this meter sends {_NA1_SIZE}")
    iv = sealed.address + payload[:1] * 8
    plain = Cipher(AES(key_of(sealed.profile)), CBC(iv)).decryptor().update(payload[_HEAD:])
    return Opened(payload[:_HEAD] + plain, MANUFACTURER)


def _total(data: bytes) -> int:
    """Litres: mantissa in bits 0-3 and 8-31, exponent in 4-5."""
    packed = unsigned(data[:4])
    return ((packed >> 8 << 4) | packed & 0x0F) * _litres(data)


def _litres(data: bytes) -> int:
    return (1, 10, 100, 1000)[data[0] >> 4 & 3]


def _total_before(data: bytes) -> int:
    """The same less a difference, which stands behind the clock and its age."""
    return _total(data) - (unsigned(data[10:13]) << 2 | data[9] & 3) * _litres(data)


def _hours(data: bytes) -> int:
    """The age of the older total."""
    return data[0] | data[1] >> 2 << 8


def _time_before(data: bytes) -> datetime | None:
    """Clock less age."""
    clock = seconds_2000(data[:4])
    return clock - timedelta(hours=_hours(data[4:6])) if clock else None


_MARKER: Final = 0xA0


def _season(data: bytes) -> DateValue | None:
    """The season's first day: the byte here, and the marker in front of it."""
    return date_short_year(data + bytes([_MARKER]))


_DEGREE: Final = Fraction(1, 256)
_EITN: Final = (
    Field(0, 1, "date", _season, storage=1),
    Field(3, 2, "hca", storage=1, label="set_day", due=True),
    Field(5, 2, "seal_word", flags=Codes({}, other="seal_broken")),
    Field(5, 2, "seal_date", date_short_year),
    Field(7, 2, "hca"),
    Field(9, 2, "date", date_short_year),
    Field(11, 2, "temperature_ambient", signed, _DEGREE, storage=1, modifiers=("average",)),
    Field(13, 2, "temperature_ambient", signed, _DEGREE, modifiers=("average",)),
)
_EITN_SIZE: Final = 11


def _eitn(block: Block) -> Found:
    """The record behind the CI field A0, or behind a length, as many unknown bytes, and a marker A0."""
    start = 0 if block.ci == _MARKER else 2 + block.data[0]
    data = block.data[start:]
    if len(data) < _EITN_SIZE or (start and block.data[start - 1] != _MARKER):
        raise UnknownDriver("an E-ITN telegram without its record")
    return Found(tuple(field_records(_EITN, data)))


def _third(of: Fraction) -> Layout:
    return Layout((Field(0, 4, "volume", scale=of / 3),), size=4)


_LARGEST: Final = {"volume": 1_000_000}

DRIVERS: Final = (
    Driver(
        name="apatorna1",
        about="Apator AT-WMBUS-NA-1, water",
        makes=(Make("APA", (0x14,), (_WATER,)),),
        cis=frozenset((0xA0, 0xA1)),
        layouts=(
            Layout(
                (
                    Field(1, 1, "status_frame", flags=_FRAME_STATUS),
                    Field(_HEAD + 5, 4, "date_time", seconds_2000),
                    Field(_HEAD + 14, 1, "status_flags", flags=_STATUS_NOW),
                    Field(_HEAD + 15, 1, "status_historic", flags=_STATUS_BEFORE),
                    Field(_HEAD + 1, 4, "volume", _total, _LITRE),
                    Field(_HEAD + 1, 13, "volume", _total_before, _LITRE, storage=1, label="month_end"),
                    Field(_HEAD + 5, 6, "date_time", _time_before, storage=1),
                    Field(_HEAD + 9, 2, "historic_age", _hours, unit="h"),
                ),
                size=_NA1_SIZE,
            ),
        ),
        gate=Gate(years=(2010, 2080), clock_days=366, largest={"volume": 100_000}, rising=("volume",), needs=("date_time",)),
        cipher=_open_na1,
    ),
    Driver(
        name="apatoreitn",
        about="Apator E-ITN 30, heat cost allocator",
        makes=(Make("APA APT", (0x04,), (0x08,)),),
        cis=frozenset((_MARKER, 0xB6)),
        layouts=(Layout(read=_eitn),),
        gate=Gate(needs=("date",)),
    ),
    Driver(
        name="apator08",
        about="Apator water module 08",
        makes=(Make("APT", (0x0F,), (0x0F,)), Make("APT", (0x03,), (0x03,))),
        cis=frozenset((0xA0,)),
        medium=_WATER,
        layouts=(_third(Fraction(1, 1000)),),
        gate=Gate(largest=_LARGEST),
    ),
    Driver(
        name="apator172",
        about="Apator water module 172",
        makes=(Make("APT", (0x04,), (0x11,)),),
        cis=frozenset((0xA0,)),
        medium=_WATER,
        layouts=(_third(Fraction(1)),),
        gate=Gate(largest=_LARGEST),
    ),
)
