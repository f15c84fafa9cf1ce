"""GWF radio modules: a tail of three bytes with alarms and the battery's rest (manufacturer layouts 13). The pulse module 0Eh counts water."""

from fractions import Fraction
from typing import Final

from submeter.decoders.driver import TAIL, Bits, Driver, Field, Layout, Make

_WATER: Final = 0x07
_ALARMS: Final = Bits({0x02: "leak", 0x08: "burst", 0x20: "low_battery", 0x40: "backflow"})
#: Bit 0; bits 1 and 2 mean nothing that is known, bits 3 to 7 are the battery.
_MODE: Final = Bits({0x01: "power_saving", **{1 << bit: "" for bit in range(1, 8)}})


def _half_years(data: bytes) -> int:
    return data[0] >> 3


_TAIL: Final = Layout(
    (
        Field(1, 1, "status_flags", flags=_ALARMS),
        Field(2, 1, "power_mode", flags=_MODE),
        Field(2, 1, "battery_days", _half_years, Fraction(1, 2), unit="y"),
    ),
    at=TAIL,
    size=3,
    guard=((0, 0xFF, 0x01),),
)

DRIVERS: Final = (
    Driver("gwfpulse", "GWF pulse module 01h, water", (Make("GWF", (0x01,), (0x0E,)),), medium=_WATER, layouts=(_TAIL,)),
    Driver("gwf", "GWF module 3Ch, water and gas", (Make("GWF", (0x3C,), (0x03, 0x07)),), layouts=(_TAIL,)),
)
