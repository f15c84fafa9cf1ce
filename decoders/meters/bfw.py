"""BFW 240 radio, heat cost allocator (manufacturer layouts 5): a payload that looks like standard records and is none.

Two numbers high byte first, then 18 month ends of 12 bits in pairs, then the day. The set day is not told: it is the newest month end with the
previous period's value behind which the units fell, and the same month end a year before.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from submeter.decoders.blocks import field_record
from submeter.decoders.codings import bcd_be, unsigned_be
from submeter.decoders.driver import Block, Driver, Field, Found, Layout, Make
from submeter.decoders.errors import BadFrame
from submeter.decoders.instants import add_months

_HEAD: Final = b"\x2f\x2f"
_SIZE: Final = 40
_MONTHS_AT: Final = 10
_YEAR: Final = 12


def _day(data: bytes) -> date | None:
    """Day, month, year since 2000, two digits each."""
    digits = [bcd_be(data[at : at + 1]) for at in range(3)]
    try:
        return None if None in digits else date(2000 + int(digits[2] or 0), int(digits[1] or 0), int(digits[0] or 0))
    except ValueError:
        return None


_PREVIOUS: Final = Field(4, 2, "hca", unsigned_be, storage=1, due=True)
_NOW: Final = Field(6, 2, "hca", unsigned_be)
_TODAY: Final = Field(37, 3, "date", _day)


def _read(block: Block) -> Found:
    """All of the payload; raises BadFrame where it is of another form, for it would pass as records."""
    data = block.data
    today = _day(data[_TODAY.at : _TODAY.at + _TODAY.size])
    if len(data) < _SIZE or not data.startswith(_HEAD) or today is None:
        raise BadFrame("no BFW payload: 2F2F, its length or its date is missing")
    previous, now, day = (field_record(field, data[field.at : field.at + field.size]) for field in (_PREVIOUS, _NOW, _TODAY))
    months, ends = list(_months(data)), [add_months(today.replace(day=1) - timedelta(days=1), -back) for back in range(18)]
    restarts = _restarts(unsigned_be(previous.data), [unsigned_be(now.data), *months])
    stored = (
        now._replace(
            data=b"",
            value=Decimal(value),
            storage=2 + back,
            stamp=end,
            label="set_day" if back in restarts else "month_end",
            due=back in restarts,
        )
        for back, (value, end) in enumerate(zip(months, ends, strict=True))
    )
    return Found((now, previous._replace(stamp=ends[restarts[0]] if restarts else None, label="set_day"), day, *stored))


def _months(data: bytes) -> Iterator[int]:
    """The month ends' values, newest first: three bytes x y z are the older x + 256 · (y >> 4), the newer z + 256 · (y & 15)."""
    for at in range(_TODAY.at - 3, _MONTHS_AT - 1, -3):
        x, y, z = data[at : at + 3]
        yield (y & 0x0F) << 8 | z
        yield y >> 4 << 8 | x


def _restarts(previous: int, newest_first: list[int]) -> list[int]:
    """How many month ends back the restarts were."""
    pairs = list(zip(newest_first[1:], newest_first, strict=False))
    last = next((back for back, (value, later) in enumerate(pairs[:_YEAR]) if value == previous and later < value), None)
    return [] if last is None else list(range(last, len(pairs), _YEAR))


DRIVERS: Final = (
    Driver(
        name="bfw240radio",
        about="BFW 240 radio, heat cost allocator",
        makes=(Make("BFW", (0x02,), (0x08,)),),
        cis=frozenset((0x7A,)),
        layouts=(Layout(read=_read),),
    ),
)
