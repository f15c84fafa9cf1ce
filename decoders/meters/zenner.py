"""Zenner: modules 0B with a block of their own, Minomess, IUWS, C5 ISF, and the heat cost allocator Caltos E with its clone (manufacturer layouts 9).

C5 ISF sends the largest power of a month under a VIFE that would make it a power per month.
"""

from fractions import Fraction
from typing import Final

from submeter.decoders.driver import TAIL, Bits, Driver, Field, Layout, Make, Rule

_UNIT: Final = Fraction(1, 256_000)  # m³
#: A stored volume that was never taken; as a decimal it would be 80,000 m³.
_VOID: Final = "00000080"

#: Bits of FD17.
_MINOMESS: Final = Bits({
    0x8000: "burst", 0x4000: "removed", 0x2000: "leak", 0x1000: "backflow_earlier", 0x0800: "backflow", 0x0400: "blocked_earlier",
    0x0200: "undersized", 0x0100: "oversized", 0x80: "removed_earlier", 0x40: "tamper_earlier", 0x20: "leak_earlier", 0x10: "temporary_error",
    0x08: "permanent_error", 0x04: "battery_end", 0x02: "alarm",
})  # fmt: skip
#: Bits of the transport status byte: 08h is an invalid metrological table, 80h a product scale (no trouble).
_CALTOS: Final = Bits({0x04: "low_battery", 0x08: "permanent_error", 0x10: "temporary_error", 0x20: "removed", 0x40: "not_commissioned", 0x80: ""})

DRIVERS: Final = (
    Driver(
        name="zenner0b",
        about="Zenner radio module 0Bh, water",
        makes=(Make("ZRI", (0x0B,), (0x16,)),),
        layouts=(
            Layout(
                (
                    Field(0, 4, "status_flags", flags=Bits({})),
                    Field(4, 4, "volume", scale=_UNIT, storage=1, label="set_day"),
                    Field(8, 4, "volume", scale=_UNIT),
                ),
                at=TAIL,
                size=12,
            ),
        ),
    ),
    Driver(
        name="caltose",
        about="Zenner Caltos E and its clone, heat cost allocators",
        makes=(Make("ZRI", (0xFC, 0xFD), (0x08,)),),
        rules=(Rule(where={"storage": 8}, to={"label": "month_end"}),),
        status=_CALTOS,
    ),
    Driver(
        name="minomess",
        about="Zenner Minomess, water",
        makes=(Make("ZRI", (0x00, 0x01), (0x06, 0x07, 0x16)),),
        rules=(
            Rule("FD17", flags=_MINOMESS),
            Rule(where={"quantity": "volume", "storage": 8}, void=_VOID, to={"label": "month_end"}),
            Rule(where={"quantity": "volume"}, void=_VOID),
        ),
    ),
    Driver(
        name="c5isf",
        about="Zenner C5 ISF, heat and cold",
        makes=(Make("ZRI", (0x88,), (0x0D,)),),
        rules=(Rule("AE25", to={"unit": "W", "modifiers": ("of_month",)}),),
    ),
    Driver(
        name="iuws",
        about="Zenner IUWS, water",
        makes=(Make("ZRI", (0x99,), (0x07,)),),
        rules=(
            Rule(where={"quantity": "volume", "storage": 30}, void=_VOID, to={"label": "month_end"}),
            Rule(where={"quantity": "volume"}, void=_VOID),
        ),
    ),
)
