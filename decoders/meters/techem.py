"""Techem's older radio devices: no header, no encryption, no check (manufacturer layouts 2). The type on the air tells the family.

MK Radio 3 and 4, allocators, Compact V and Vario 4 send the set day's value and what came since: both are readings of one period register, their
sum is shown only. The date of the present value has no year: it is the first such day behind the set day. Its day 0 is the first, month 0 December.
MK Radio 3a counts on, and tells twelve months back in halves, split behind the 15th, the newest first; month ends are reckoned back from its total.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Final

from submeter.decoders.blocks import field_record
from submeter.decoders.codings import date_d, unsigned
from submeter.decoders.driver import Block, Codes, Driver, Field, Found, Gate, Layout, Make
from submeter.decoders.errors import BadFrame
from submeter.decoders.instants import add_months
from submeter.decoders.records import Record

_TENTH, _HUNDREDTH = Fraction(1, 10), Fraction(1, 100)
_MEGAJOULE: Final = Fraction(10**6)
_CI: Final = frozenset((0xA0, 0xA1, 0xA2))
_GATE: Final = Gate()
#: Date words of a device that has not seen a set day yet.
_NEVER: Final = frozenset((b"\x00\x00", b"\xff\xff"))
#: Versions of newer devices that send the standard's records under the same types are not among these.
_WATER: Final = 0x07
_ALLOCATOR: Final = 0x08
_HEAT: Final = 0x04

_SET_DAY: Final = Field(1, 2, "date", date_d, storage=1)


def _periods(quantity: str, before: int, since: int, size: int, scale: Fraction = Fraction(1), unit: str = "") -> tuple[Field, ...]:
    """The set day, the final value of the period before it, the value since."""
    last = Field(before, size, quantity, scale=scale, unit=unit, storage=1, label="set_day", due=True)
    return (_SET_DAY, last, replace(last, at=since, storage=0, label="now", due=False))


def _sum_and_date(fields: tuple[Field, ...], current: int | None) -> Callable[[Block], Found]:
    """Reads the sum of both periods, and the date of the present value where it is coded."""

    def read(block: Block) -> Found:
        if date_d(block.data[1:3]) is None and block.data[1:3] not in _NEVER:
            raise BadFrame("the set day cannot be: nothing else vouches for these bytes")
        before, since = (field_record(field, block.data[field.at : field.at + field.size]) for field in fields[1:])
        assert isinstance(before.value, Decimal)
        assert isinstance(since.value, Decimal)
        total = since._replace(value=before.value + since.value, modifiers=("since_two_set_days",))
        if current is None:
            return Found((total,))
        today = _behind(date_d(block.data[1:3]), unsigned(block.data[current : current + 2]))
        return Found((total, since._replace(quantity="date", unit="", value=today)))

    return read


def _behind(start: date | None, word: int) -> date | None:
    """The first day behind `start` that has the day (bits 4-8) and month (9-12) of `word`."""
    if start is None:
        return None
    day, month = word >> 4 & 0x1F or 1, word >> 9 & 0x0F or 12
    later = (month, day) > (start.month, start.day)
    try:
        return date(start.year + (not later), month, day)
    except ValueError:
        return None


def _since_set_day(
    quantity: str, before: int, since: int, size: int, scale: Fraction = Fraction(1), unit: str = "", *more: Field, current: int | None = 5
) -> Layout:
    fields = _periods(quantity, before, since, size, scale, unit)
    return Layout((*fields, *more), size=since + size, read=_sum_and_date(fields, current), shows=True)


def _temperatures(at: int) -> tuple[Field, Field]:
    return (Field(at, 2, "temperature_ambient", scale=_HUNDREDTH), Field(at + 2, 2, "temperature_radiator", scale=_HUNDREDTH))


#: MK Radio 3a: the total, then twelve times (unknown, newer half month, older half month).
_TODAY_3A: Final = Field(2, 2, "date", date_d)
_TOTAL_3A: Final = Field(4, 3, "volume", scale=_TENTH)
_HALVES_3A: Final = 7
_MONTHS: Final = 12


def _half_months(block: Block) -> Found:
    """Consumption of each of the last months (shown), and the total at their ends."""
    today, total = date_d(block.data[2:4]), Decimal(unsigned(block.data[4:7])) / 10
    if today is None:
        raise BadFrame("the date cannot be: nothing else vouches for these bytes")
    halves = [Decimal(half) / 10 for k in range(_MONTHS) for half in block.data[_HALVES_3A + 3 * k + 1 : _HALVES_3A + 3 * k + 3]]
    first = 2 if today.day > 15 else 1  # halves of the present month
    months = [sum(halves[:first], Decimal()), *(halves[k] + halves[k + 1] for k in range(first, len(halves) - 1, 2))]
    end = today.replace(day=1) - timedelta(days=1)
    ends = accumulate(months, lambda left, used: left - used, initial=total)
    base = field_record(_TOTAL_3A, block.data[4:7])
    return Found(
        tuple(record for k, (used, left) in enumerate(zip(months, list(ends)[1:], strict=True)) for record in _month(base, k, end, used, left))
    )


def _month(base: Record, k: int, end: date, used: Decimal, left: Decimal) -> tuple[Record, Record]:
    """Use of the k-th month back, and the total at its beginning."""
    shown = base._replace(value=used, storage=k, stamp=add_months(end, 1 - k), modifiers=("month",))
    return shown, base._replace(value=left, storage=k + 1, stamp=add_months(end, -k), label="month_end")


def _driver(name: str, about: str, versions: tuple[int, ...], types: tuple[int, ...], medium: int, layout: Layout) -> Driver:
    return Driver(name, about, (Make("TCH", versions, types),), _CI, medium, (layout,), gate=_GATE)


DRIVERS: Final = (
    _driver("mkradio3", "Techem MK Radio 3 and 4, water", (), (0x62, 0x72), _WATER, _since_set_day("volume", 3, 7, 2, _TENTH)),
    _driver(
        "mkradio3a",
        "Techem MK Radio 3a, water: total and twelve months",
        (0x50,),
        (0x62, 0x72),
        _WATER,
        Layout((_TODAY_3A, _TOTAL_3A), size=_HALVES_3A + 3 * _MONTHS, read=_half_months),
    ),
    _driver("fhkvdataiii", "Techem heat cost allocator without temperatures", (), (0x80,), _ALLOCATOR, _since_set_day("hca", 3, 7, 2)),
    _driver(
        "fhkvdataiii-69",
        "Techem heat cost allocator, version 69h",
        (0x69,),
        (0x80,),
        _ALLOCATOR,
        _since_set_day("hca", 3, 7, 2, Fraction(1), "", *_temperatures(9)),
    ),
    _driver(
        "fhkvdataiii-94",
        "Techem heat cost allocator, version 94h",
        (0x94,),
        (0x80,),
        _ALLOCATOR,
        _since_set_day("hca", 3, 7, 2, Fraction(1), "", *_temperatures(10)),
    ),
    _driver("compact5", "Techem Compact V, heat, in kWh", (), (0x43,), _HEAT, _since_set_day("energy", 3, 7, 3, current=None)),
    _driver("compact5-45", "Techem Compact V, version 45h", (0x45,), (0xC3,), _HEAT, _since_set_day("energy", 3, 7, 3, current=None)),
    _driver("compact5-57", "Techem Compact V, version 57h", (0x57,), (0x44,), _HEAT, _since_set_day("energy", 3, 7, 3, current=None)),
    _driver(
        "vario451",
        "Techem Vario 4 (451), heat, in MJ",
        (0x27,),
        (0x04, 0xC3),
        _HEAT,
        _since_set_day("energy", 3, 7, 2, _MEGAJOULE, "J", current=None),
    ),
    _driver(
        "tsd2",
        "Techem smoke detector",
        (0x76,),
        (0xF0,),
        0x1A,
        Layout((_SET_DAY, Field(0, 1, "smoke_status", flags=Codes({1: "smoke"}))), size=3),
    ),
)
