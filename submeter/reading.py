"""Core types: what a device is, what it measures, and one value of it at an instant.

Numbers are integers of 1e-6 of the register's canonical unit ("micro units"): m³, kWh, allocator units, kW, °C.
Instants are microseconds since 1970 in UTC wherever they are integers.
Field terms and register names: docs/registers.md.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import IntEnum
from typing import Final, NamedTuple, Self

MICRO: Final = 1_000_000
INT64_MAX: Final = 2**63 - 1
#: `seq` of a reading: message id, then position of the telegram in it, then of the reading in the telegram; so many bits each, and below the message's id.
POSITION_BITS: Final = 13
READING_BITS: Final = 8
MESSAGE_BITS: Final = POSITION_BITS + READING_BITS


class DeviceId(NamedTuple):
    """A physical meter: manufacturer (three letters), id (eight hex digits as printed, most significant first), version, type.

    All four belong to the identity (OMS vol. 2, 3.1.2): the same eight digits of two manufacturers are two devices.
    """

    manufacturer: str
    id: str
    version: int
    type: int

    def __str__(self) -> str:
        return f"{self.manufacturer}-{self.id}-{self.version:02X}-{self.type:02X}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form that `str` writes, e.g. ``KAM-12345678-1B-06``; raises ValueError that names the text."""
        try:
            manufacturer, identity, version, kind = text.strip().upper().split("-")
            int(identity, 16)
            device = cls(manufacturer, identity, int(version, 16), int(kind, 16))
        except ValueError:
            device = None
        if device is None or len(device.manufacturer) != 3 or not device.manufacturer.isalpha() or len(device.id) != 8:
            raise ValueError(f"{text!r} is not a device: write manufacturer-id-version-type, e.g. KAM-12345678-1B-06")
        return device


@dataclass(frozen=True, slots=True, order=True)
class Register:
    """One index or measured value of a device: dictionary name, canonical unit, tariff, subunit (channel).

    `index` tells apart registers that carry the same header twice in one telegram (1 is the first).
    """

    name: str
    unit: str
    tariff: int = 0
    subunit: int = 0
    index: int = 1

    def __str__(self) -> str:
        marks = [f"t{self.tariff}"] * bool(self.tariff) + [f"s{self.subunit}"] * bool(self.subunit) + [f"#{self.index}"] * (self.index > 1)
        return "".join([self.name, *(f"[{mark}]" for mark in marks)])


class Source(IntEnum):
    """Where a reading comes from; the number is its rank, the best first (SPEC 2.2)."""

    CORRECTION = 0
    MANUAL = 1
    LIVE = 2
    HISTORIC = 3
    SELF = 4
    SUBSTITUTE = 5


#: Status of a reading. Bit values as stored; PERMANENT_ERROR and INVALID exclude the value from the index (SPEC 4.1).
STATUS: Final = ("power_low", "permanent_error", "temporary_error", "invalid", "busy", "app_error", "alarm")

LEVELS: Final = ("hour", "day", "month", "year")
QUALITIES: Final = ("measured", "estimated", "incomplete")
STATES: Final = ("open", "provisional", "final", "billed")
#: Flags of a row in the order of their bits as stored (SPEC 5; `possible_loss`: DECISIONS 16).
FLAGS: Final = (
    "rollover", "exchange", "exchange_unknown", "reset", "reset_unknown", "suspect_jump", "suspect_exchange", "possible_loss", "substitute",
)  # fmt: skip


class Reading(NamedTuple):
    """One decoded value of a register.

    `value` is in micro units; None where the meter sent a void value (never a number).
    `stamp` says when it was valid: None is the instant of reception, a naive datetime is the meter's local time, a date follows SPEC 2.3.
    `label` is `now`, `set_day`, `month_end` or `period_end` (facts: registers, section 2); `due` marks the last value before a restart.
    """

    register: Register
    value: int | None
    stamp: datetime | date | None = None
    label: str = "now"
    due: bool = False
    source: Source = Source.LIVE
    status: tuple[str, ...] = ()


def to_micro(value: Decimal) -> int:
    """`value` in micro units, rounded once, half to even (SPEC 12.2). Exact for any number of digits."""
    digits = max(value.adjusted() + 8, 1) + 6
    with_places = value.quantize(Decimal(1).scaleb(-6), ROUND_HALF_EVEN, _context(digits))
    return int(with_places.scaleb(6, _context(digits)))


def from_micro(value: int) -> Decimal:
    """Micro units as an exact decimal without trailing zeros or exponent."""
    number = Decimal(value).scaleb(-6, _context(len(str(value)) + 6))
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize(_context(len(str(value)) + 6))


def _context(digits: int) -> Context:
    return Context(prec=digits, rounding=ROUND_HALF_EVEN)
