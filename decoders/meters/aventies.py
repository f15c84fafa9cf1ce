"""Aventies allocators and water meters: month ends without dates, and flags (manufacturer layouts 13; registers 4)."""

from typing import Final

from submeter.decoders.driver import Bits, Driver, History, Make, Rule

_FLAGS: Final = Bits({0x01: "sensor_error", 0x02: "tamper", 0x04: "low_battery", 0x08: "memory_error", 0x10: "communication_error", 0x20: "reset"})
_RULES: Final = (Rule("FD17", flags=_FLAGS),)

DRIVERS: Final = (
    Driver(
        name="aventieshca",
        about="Aventies heat cost allocator",
        makes=(Make("AAA", (0x55,), (0x08,)),),
        rules=_RULES,
        histories=(History(range(1, 18)),),
    ),
    Driver(
        name="aventieswm",
        about="Aventies water meter",
        makes=(Make("AAA", (0x25,), (0x06, 0x07)),),
        rules=_RULES,
        histories=(History(range(1, 15)),),
    ),
)
