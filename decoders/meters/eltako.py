"""Eltako DSZ (electricity): manufacturer VIFE 00 is the total of all phases, 01 to 03 are single ones; subunit 1 is reactive power."""

from fractions import Fraction
from typing import Final

from submeter.decoders.driver import Driver, Make, Rule

_REACTIVE: Final = 1
_PLACES: Final[tuple[tuple[str, ...], ...]] = ((), ("phase_l1",), ("phase_l2",), ("phase_l3",))


def _placed(vif: str) -> tuple[Rule, ...]:
    return tuple(Rule(f"{vif}FF{place:02X}", to={"modifiers": words}) for place, words in enumerate(_PLACES))


DRIVERS: Final = (
    Driver(
        name="eltako",
        about="Eltako DSZ, electricity",
        makes=(Make("ELT", (0x01,), (0x02,)),),
        rules=(
            *(Rule(rule.vif, {"subunit": _REACTIVE}, to={**rule.to, "quantity": "power_reactive", "subunit": 0}) for rule in _placed("AC")),
            *_placed("AC"),
            *_placed("FDC9"),
            *_placed("FDDB"),
            Rule("FF13", to={"quantity": "tariff_active", "unit": "1", "modifiers": ()}, scale=Fraction(1)),
            Rule("FF68", to={"quantity": "current_transformer_ratio", "unit": "1", "modifiers": ()}, scale=Fraction(1)),
        ),
    ),
)
