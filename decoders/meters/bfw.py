"""BFW 240 radio, heat cost allocator (manufacturer layouts 5): a payload that looks like standard records and is none.

Two numbers high byte first, then 18 month ends of 12 bits in pairs, then the day. The set day is not told: it is the newest month end with the
previous period's value behind which the units fell, and the same month end a year before.
"""

from datetime import date, timedelta
from functools import lru_cache, partial
from typing import Final

from submeter.decoders.codings import pairs, unsigned_be
from submeter.decoders.driver import Block, Driver, Due, Field, Found, Layout, Make
from submeter.decoders.errors import BadFrame
from submeter.decoders.instants import add_months

_HEAD: Final = b"\x2f\x2f"
_SIZE: Final = 40
_MONTHS_AT: Final = 10
_MONTHS: Final = 18
_YEAR: Final = 12


def _day(data: bytes) -> date | None:
    """Day, month, year since 2000, two digits each."""
    try:
        day, month, year = pairs(data[:3])
        return date(2000 + year, month, day)
    except ValueError:
        return None


_TODAY: Final = Field(37, 3, "date", _day)


def _refuse(block: Block) -> Found:
    """Raises BadFrame where the payload is of another form, for it would pass as records."""
    data = block.data
    if len(data) < _SIZE or not data.startswith(_HEAD) or _day(data[_TODAY.at : _TODAY.at + _TODAY.size]) is None:
        raise BadFrame("no BFW payload: 2F2F, its length or its date is missing")
    return Found()


def _end(back: int, day: date) -> date:
    """The last month end but `back` before a day."""
    return add_months(day.replace(day=1) - timedelta(days=1), -back)


def _previous_day(data: bytes) -> date | None:
    """When the previous period ended."""
    restart, today = _last_restart(data), _day(data[_TODAY.at :])
    return None if restart is None or today is None else _end(restart, today)


def _month_end(back: int, data: bytes) -> int:
    """The value at that month end."""
    value, restart = _values(data)[back], _last_restart(data)
    return Due(value) if restart is not None and back in (restart, restart + _YEAR) else value


@lru_cache(maxsize=1024)
def _values(data: bytes) -> tuple[int, ...]:
    """The month ends' values, newest first: three bytes x y z are the older x + 256 · (y >> 4), the newer z + 256 · (y & 15)."""
    triples = (data[at : at + 3] for at in range(_TODAY.at - 3, _MONTHS_AT - 1, -3))
    return tuple(value for x, y, z in triples for value in ((y & 0x0F) << 8 | z, y >> 4 << 8 | x))


@lru_cache(maxsize=1024)
def _last_restart(data: bytes) -> int | None:
    """How many month ends back the last restart was."""
    previous, months = unsigned_be(data[4:6]), _values(data)
    later = (unsigned_be(data[6:8]), *months)
    return next((back for back in range(_YEAR) if months[back] == previous and later[back] < previous), None)


DRIVERS: Final = (
    Driver(
        name="bfw240radio",
        about="BFW 240 radio, heat cost allocator",
        makes=(Make("BFW", (0x02,), (0x08,)),),
        cis=frozenset((0x7A,)),
        layouts=(
            Layout(
                (
                    Field(6, 2, "hca", unsigned_be),
                    Field(4, 2, "hca", unsigned_be, storage=1, label="set_day", due=True),
                    _TODAY,
                    *(
                        Field(0, _SIZE, "hca", partial(_month_end, back), storage=2 + back, label="month_end", reckon=partial(_end, back))
                        for back in range(_MONTHS)
                    ),
                    Field(0, _SIZE, "date", _previous_day, storage=1, quiet=True),
                ),
                read=_refuse,
                shows=True,
                vital=frozenset((_TODAY.at,)),
                shape=((0, 0xFF), (1, 0xFF)),
            ),
        ),
    ),
)
