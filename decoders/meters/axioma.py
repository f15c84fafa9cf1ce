"""Axioma Q400 (water): standard records with one deviation, a battery in percent, not days (manufacturer layouts 13)."""

from typing import Final

from submeter.decoders.driver import Driver, Make, Rule

DRIVERS: Final = (
    Driver(
        name="q400",
        about="Axioma Q400, water: battery in percent",
        makes=(Make("AXI", types=(0x06, 0x07, 0x16)),),
        rules=(
            Rule("FD74", where={"dif": b"\x01"}, to={"quantity": "battery_percent", "unit": "pct"}),
            Rule("FD17", where={"function": 3}, to={"quantity": "error_code", "unit": "1"}),
        ),
    ),
)
