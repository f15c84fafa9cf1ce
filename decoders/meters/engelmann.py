"""Engelmann FAW (water): fifteen month ends without dates, reckoned back from the meter's own time (manufacturer layouts 11)."""

from typing import Final

from submeter.decoders.driver import Bits, Driver, History, Make, Rule

_FLAGS: Final = Bits({
    0x01: "sensor_error", 0x02: "reset", 0x04: "memory_error", 0x08: "removed", 0x10: "magnet", 0x20: "leak", 0x40: "blocked", 0x80: "backflow",
})  # fmt: skip

DRIVERS: Final = (
    Driver(
        name="engelmann_faw",
        about="Engelmann FAW, water: fifteen month ends",
        makes=(Make("EFE", (0x00,), (0x07,)),),
        rules=(Rule("FD17", flags=_FLAGS),),
        histories=(History(range(2, 17)),),
    ),
)
