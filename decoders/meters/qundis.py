"""Qundis, and Siemens and Landis+Staefa meters of its making: standard records, or a walk-by data set in one record (manufacturer layouts 4).

A receiver hears both forms by turns; both give the present value, that of the set day (storage 1) and that of the last month end (storage 17).
The data set adds differences of the last twelve months, oldest first. They are shown. Those of allocators, new less old over a restart as well,
lead back exactly from the month end's value, so the values at earlier month ends are readings, provided that they meet the set day's. Those of
water are rounded to ten litres, those of heat at times: no readings. An encrypted data set of the same length is left alone.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from fractions import Fraction
from functools import lru_cache, partial
from typing import Final

from submeter.decoders.blocks import field_records
from submeter.decoders.codings import bcd, date_g, signed
from submeter.decoders.driver import Bits, Block, Driver, Due, Field, Found, Layout, Make, Rule
from submeter.decoders.instants import add_months
from submeter.decoders.vif import PRIMARY, UNKNOWN

#: Device class of a data set → its quantity, and the unit of a difference in units of the values.
_ALLOCATOR: Final = 0xB0
_CLASSES: Final = {_ALLOCATOR: ("hca", 1), 0xC0: ("energy", 1), 0xC1: ("volume", 10)}
_CLASS, _VIF = 9, 10
_SIZE: Final = 54
#: Offsets count from the length byte of the record's data.
_NOW: Final = Field(13, 4, "", bcd)
_SET_DAY: Final = replace(_NOW, at=19, storage=1, label="set_day")
_MONTH_END: Final = replace(_NOW, at=25, storage=17, label="month_end")
_ERROR_DATE: Final = Field(11, 2, "date", date_g, function=3)
_SET_DATE: Final = Field(17, 2, "date", date_g, storage=1)
_MONTH_DATE: Final = Field(23, 2, "date", date_g, storage=17)
#: The newest first.
_MONTHS: Final = tuple(Field(29 + 2 * (11 - back), 2, "", signed, storage=17 + back, modifiers=("difference",)) for back in range(12))


def _walk_by(block: Block) -> Found:
    """The differences of the last months, which are shown."""
    data = block.data
    fields, months = _fields(data[_CLASS], data[_VIF])
    if not fields:
        return Found(notes=(f"walk-by data of class {data[_CLASS]:02X}h with VIF {data[_VIF]:02X}h are not read",))
    end = _day(data, _MONTH_DATE)
    return Found(tuple(one._replace(stamp=_before(end, back), label="month_end") for back, one in enumerate(field_records(months, data))))


def _values(data: bytes) -> tuple[Field, ...]:
    return _fields(data[_CLASS], data[_VIF])[0]


@lru_cache(maxsize=256)
def _fields(kind: int, vif: int) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    """Values and dates of a device class whose values have that VIF, and its differences; none where they do not fit."""
    about, (quantity, step) = PRIMARY.get(vif, UNKNOWN), _CLASSES.get(kind, ("", 0))
    if quantity != about.quantity:
        return (), ()
    scale = Fraction(10) ** about.exponent
    values = [replace(field, quantity=quantity, scale=scale, unit=about.unit) for field in (_NOW, _SET_DAY, _MONTH_END)]
    months = tuple(replace(field, quantity=quantity, scale=scale * step, unit=about.unit) for field in _MONTHS)
    return (*values, _ERROR_DATE, _SET_DATE, _MONTH_DATE, *(_EARLIER if kind == _ALLOCATOR else ())), months


def _earlier(back: int, data: bytes) -> int | None:
    """An allocator's value so many month ends before the last one; those of set days are due."""
    values = _chain(data)
    return values[back - 1] if back <= len(values) else None


@lru_cache(maxsize=1024)
def _chain(data: bytes) -> tuple[int, ...]:
    """Its values at the month ends before the last one, the newest first; none if they do not meet the set day's."""
    end, set_day, set_value = _day(data, _MONTH_DATE), _day(data, _SET_DATE), bcd(_bytes(data, _SET_DAY))
    if end is None or set_day is None:
        return ()
    values = {add_months(end, -back): value for back, value in enumerate(_back(data), 1)}
    if values.get(set_day, set_value) != set_value:
        return ()
    due = {set_day, add_months(set_day, -12)}
    return tuple(Due(value) if stamp in due else value for stamp, value in values.items())


def _back(data: bytes) -> Iterator[int]:
    """The month end's value less one difference after the other, from the newest on; ends at a void one and below nought."""
    value = bcd(_bytes(data, _MONTH_END))
    for month in _MONTHS:
        used = signed(_bytes(data, month))
        if value is None or used is None or value < used:
            return
        value -= used
        yield value


def _sooner(months: int, day: date) -> date:
    return add_months(day, -months)


def _bytes(data: bytes, field: Field) -> bytes:
    return data[field.at : field.at + field.size]


def _day(data: bytes, field: Field) -> date | None:
    day = date_g(_bytes(data, field))
    return day if isinstance(day, date) else None


def _before(day: date | None, months: int) -> date | None:
    return add_months(day, -months) if day else None


#: Month ends before the last one: their values hang on all of the block.
_EARLIER: Final = tuple(
    Field(0, _SIZE, "hca", partial(_earlier, back), storage=17 + back, label="month_end", reckon=partial(_sooner, back), since=17, quiet=True)
    for back in range(1, 13)
)

#: Error flags of sixteen bits (VIF FD17).
_ERRORS: Final = Bits({
    0x001: "no_consumption", 0x002: "sensor_error", 0x004: "sensor_error", 0x008: "wrong_temperature", 0x010: "low_battery",
    0x020: "sensor_error", 0x040: "sensor_error", 0x080: "memory_error", 0x100: "tamper", 0x200: "device_error",
})  # fmt: skip
_TWO_BYTES: Final = {"dif": b"\x02"}
_DATA_SET: Final = Layout(
    at="ff5f",
    size=_SIZE,
    guard=((0, 0xFF, 0x35), (1, 0xFF, 0x00), (2, 0xFF, 0x82), (8, 0xFF, 0x07), (_VIF, 0x80, 0x00)),
    read=_walk_by,
    shows=True,
    vital=frozenset(),
    shape=((_CLASS, 0xFF), (_VIF, 0xFF)),
    shaped=_values,
)
_RULES: Final = (Rule("FD17", where=_TWO_BYTES, flags=_ERRORS), Rule(where={"storage": 17}, to={"label": "month_end"}))
_MAKERS: Final = "LSE QDS"

DRIVERS: Final = (
    Driver(
        "qundis",
        "Qundis, Siemens and Landis+Staefa water, heat and allocators, walk-by data too",
        (Make(_MAKERS),),
        layouts=(_DATA_SET,),
        rules=_RULES,
    ),
    Driver(
        name="qundis-converter",
        about="Qundis meters behind a radio converter whose telegram does not name the meter",
        makes=(Make(_MAKERS, types=(0x37,)),),
        cis=frozenset((0x78,)),
        medium=0x08,
        layouts=(_DATA_SET,),
        rules=_RULES,
    ),
    Driver(
        name="qsmoke",
        about="Qundis smoke detector",
        makes=(Make(_MAKERS, types=(0x1A,)),),
        rules=(Rule("7C034C4123", to={"quantity": "alarm_count", "unit": "1"}), Rule("7C03495523", to={"quantity": "button_count", "unit": "1"})),
    ),
)
