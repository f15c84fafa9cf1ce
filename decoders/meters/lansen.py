"""Lansen pulse adapter: two inputs, the second in subunit 1 (registers 1)."""

from typing import Final

from submeter.decoders.driver import Driver, Make, Rule

DRIVERS: Final = (
    Driver(
        name="lansenpu",
        about="Lansen pulse adapter",
        makes=(Make("LAS", (0x14,), (0x00,)),),
        rules=(
            Rule("FD3A", {"subunit": 0}, to={"quantity": "pulse_a"}),
            Rule("FD3A", {"subunit": 1}, to={"quantity": "pulse_b", "subunit": 0}),
        ),
    ),
)
