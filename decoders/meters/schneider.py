"""Schneider iEM3000 (electricity): manufacturer VIFEs, reactive values in subunit 1, apparent ones in subunit 2 (manufacturer layouts 12).

The same energies come as whole watt hours and, in another telegram, as floats that are in other units: only the whole ones are readings.
Values of single phases, averages of them, and the settings of the meter are shown.
"""

from fractions import Fraction
from typing import Final

from submeter.decoders.driver import Driver, Make, Rule

_REACTIVE, _APPARENT = 1, 2
_TARIFFS: Final = ("8510", "8520", "8530", "858010")
_PHASES: Final = ("phase_l1", "phase_l2", "phase_l3")
_BETWEEN: Final = ("phase_l1_l2", "phase_l2_l3", "phase_l3_l1")
_PLACES: Final = (*enumerate(_PHASES, 1), (0x04, "average"), *enumerate(_BETWEEN, 5), (0x08, "average_between"))
_CURRENTS: Final = (*enumerate(_PHASES, 1), (0x00, "average"))
#: VIF FF xx: what was set, or counted. The other codes have no meaning that is known.
_SETTINGS: Final = {
    0x10: "tariff_active", 0x21: "phases", 0x22: "wires", 0x23: "power_system", 0x29: "current_transformer_primary",
    0x2A: "current_transformer_secondary", 0x28: "current_transformers",
}  # fmt: skip


def _energy(vif: str, active: str, reactive: str, word: str = "") -> tuple[Rule, ...]:
    """Active and reactive energy under one VIF: floats first, which are no readings."""
    words = (word,) if word else ()
    names = {"quantity": reactive, "unit": "varh", "subunit": 0}
    return (
        Rule(vif, {"dif": b"\x05"}, to={"quantity": active, "modifiers": (*words, "float")}),
        Rule(vif, {"dif": b"\x85\x40"}, to={**names, "modifiers": (*words, "float")}),
        Rule(vif, {"subunit": _REACTIVE}, to={**names, "modifiers": words}),
        Rule(vif, {"tariff": 0}, to={"quantity": active, "modifiers": words}),
    )


_RULES: Final = (
    *(Rule("03", {"dif": bytes.fromhex(dif)}, to={"modifiers": ("float",)}) for dif in _TARIFFS),
    *_energy("03", "energy", "energy_reactive"),
    *_energy("83FF09", "energy_export", "energy_reactive_export"),
    *_energy("83FF0D", "energy", "energy_reactive", "partial"),
    *(rule for phase, word in enumerate(_PHASES, 1) for rule in _energy(f"83FF{phase:02X}", "energy", "energy_reactive", word)),
    Rule("2E", {"subunit": _REACTIVE}, to={"quantity": "power_reactive", "subunit": 0}),
    Rule("2E", {"subunit": _APPARENT}, to={"quantity": "power_apparent", "subunit": 0}),
    *(Rule(f"AEFF{place:02X}", to={"modifiers": (word,)}) for place, word in enumerate(_PHASES, 1)),
    *(Rule(f"FDDCFF{place:02X}", to={"modifiers": (word,)}) for place, word in _CURRENTS),
    *(Rule(f"FDC9FF{place:02X}", to={"modifiers": (word,)}) for place, word in _PLACES),
    Rule("FF0A", to={"quantity": "power_factor", "modifiers": ()}, scale=Fraction(1)),
    Rule("FF0B", to={"quantity": "frequency", "modifiers": ()}, scale=Fraction(1)),
    Rule("FF20", to={"quantity": "operating_time", "unit": "s", "modifiers": ()}, scale=Fraction(1)),
    Rule("FF24", to={"quantity": "frequency", "modifiers": ("nominal",)}, scale=Fraction(1)),
    *(Rule(f"FF{code:02X}", to={"quantity": word, "unit": "1", "modifiers": ()}, scale=Fraction(1)) for code, word in _SETTINGS.items()),
    *(
        Rule(f"FF{code:02X}", to={"quantity": f"setting_{code:02x}", "unit": "1", "modifiers": ()}, scale=Fraction(1))
        for code in (0x25, 0x26, 0x27, *range(0x2B, 0x39))
    ),
)

DRIVERS: Final = (Driver("iem3000", "Schneider iEM3000, electricity", (Make("SEC", (0x13, 0x15, 0x18), (0x02,)),), rules=_RULES),)
