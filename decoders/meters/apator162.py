"""Apator at-wmbus-16-2 (water): a tag walk (manufacturer layouts 1.1).

Behind the marker (0F; older ones send another byte there) stand seven bytes of status and time, then registers. History values are counter
readings of past periods, newest first, without dates.
"""

from fractions import Fraction
from typing import Final

from submeter.decoders.driver import FILLED, Driver, Field, Layout, Make, Tags

_LITRE: Final = Fraction(1, 1000)

#: Data bytes behind each tag.
_LENGTHS: Final = {
    **dict.fromkeys((0x00, 0x10, 0x42, 0xA0, 0xA1, 0xA4, 0xF0), 4),
    **dict.fromkeys((0x01, 0x44, 0xA6, *range(0xB6, 0xC8), 0xD0, 0xD3), 3),
    **dict.fromkeys((0x11, 0x41, 0x43, 0xA7, 0xA8, 0xAA, 0xAB, 0xAC, 0xAD, 0xB4), 2),
    **dict.fromkeys((0x40, 0x8B, 0x8C), 6),
    **{tag: 1 + 4 * (1 + (tag & 0x0F)) for tag in range(0x71, 0x7D)},
    **dict.fromkeys((0x80, 0x81, 0x82, 0x83, 0x84, 0x86, 0x87), 10),
    **dict.fromkeys((0x85, 0x88, 0x8F), 11),
    0x8A: 9,
    **dict.fromkeys((0x8E, 0xA3), 7),
    **dict.fromkeys((0xA2, 0xA5, 0xA9, 0xAF), 1),
    0xB0: 5,
    **dict.fromkeys((0xB1, 0xB3), 8),
    **dict.fromkeys((0xB2, 0xB5), 16),
}


#: As many as the longest history has; those beyond a register's end are left out.
_HISTORY: Final = tuple(Field(1 + 4 * k, 4, "volume", scale=_LITRE, storage=1 + k) for k in range(13))
_TAGS: Final = Tags(
    start=8,
    lengths=_LENGTHS,
    fields={0x10: (Field(0, 4, "volume", scale=_LITRE),), **dict.fromkeys(range(0x71, 0x7D), _HISTORY)},
    check=2,
)

DRIVERS: Final = (
    Driver(
        name="apator162",
        about="Apator at-wmbus-16-2, water",
        makes=(Make("APA", (0x05,), (0x06, 0x07)),),
        cis=frozenset((0x7A,)),
        layouts=(Layout(at=FILLED, size=8, tags=_TAGS),),
    ),
)
