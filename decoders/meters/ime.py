"""IME Conto and Nemo (electricity): tariff and subunit numbers are totals, tariffs and phases (manufacturer layouts 12).

Values of single phases and partial counters are shown and are no readings. Conto has a manufacturer's VIF for everything; Nemo uses the standard's
VIFs of active values, with their units, for reactive ones in subunit 2.
"""

from fractions import Fraction
from typing import Any, Final

from submeter.decoders.driver import Driver, Make, Rule

_ELECTRICITY: Final = 0x02

#: Tariff number → what it stands for.
_TOTAL, _PARTIAL, _THREE_PHASES = 5, 6, 7
_CONTO: Final[dict[int, dict[str, Any]]] = {
    0: {"modifiers": ()},
    1: {"modifiers": ()},
    2: {"modifiers": ()},
    _TOTAL: {"modifiers": (), "tariff": 0},
    _PARTIAL: {"modifiers": ("partial",), "tariff": 0},
    _THREE_PHASES: {"modifiers": (), "tariff": 0},
    **{8 + phase: {"modifiers": (f"phase_l{phase + 1}",), "tariff": 0} for phase in range(3)},
}
_BETWEEN: Final = ("phase_l1_l2", "phase_l2_l3", "phase_l3_l1")
_CONTO_LINES: Final = {8 + place: {"modifiers": (word,), "tariff": 0} for place, word in enumerate(_BETWEEN)}


def _conto(vif: str, quantity: str, scale: Fraction, places: dict[int, dict[str, Any]] = _CONTO, **more: Any) -> tuple[Rule, ...]:
    return tuple(Rule(vif, {"tariff": tariff}, to={"quantity": quantity, **to, **more}, scale=scale) for tariff, to in places.items())


_CONTO_RULES: Final = (
    *_conto("FF80843B", "energy", Fraction(1, 100)),
    *_conto("FF80843C", "energy_export", Fraction(1, 100)),
    *_conto("FF81843B", "energy_reactive", Fraction(1, 100)),
    *_conto("FF81843C", "energy_reactive_export", Fraction(1, 100)),
    *_conto("FF842B", "power", Fraction(1, 1000)),
    *_conto("FF852B", "power_reactive", Fraction(1, 1000)),
    *_conto("FF862B", "power_apparent", Fraction(1, 1000)),
    *_conto("FF8748", "voltage", Fraction(1, 10)),
    *_conto("FF8848", "voltage", Fraction(1, 10), _CONTO_LINES),
    *_conto("FF8959", "current", Fraction(1, 1000)),
    *_conto("FF8A48", "frequency", Fraction(1, 10)),
    *_conto("FF8B28", "power_factor", Fraction(1, 1000)),
    *_conto("FF8C2B", "power_factor_sector", Fraction(1)),
    Rule("FF8D2B", to={"quantity": "power", "modifiers": ("demand",)}, scale=Fraction(1, 1000)),
    *_conto("FF8E2B", "power", Fraction(1, 1000), function=1),
    *_conto("FF8F21", "operating_time", Fraction(1), unit="min"),
    Rule("FF9029", to={"quantity": "pulse_input", "modifiers": ()}, scale=Fraction(1, 100)),
    Rule("FF912B", to={"quantity": "pulse_unit", "modifiers": ()}, scale=Fraction(1)),
)

_PHASES: Final = (*(f"phase_l{phase}" for phase in (1, 2, 3)), *_BETWEEN)


def _nemo(vif: str, **to: Any) -> tuple[Rule, ...]:
    """The six places of one VIF: three phases, then three pairs of them."""
    return tuple(Rule(f"{vif}FF{place:02X}", to={"modifiers": (word,), **to}) for place, word in enumerate(_PHASES, 1))


_ACTIVE, _REACTIVE = 1, 2
_NEMO_RULES: Final = (
    *(Rule(rule.vif, {"subunit": _REACTIVE}, to={**rule.to, "quantity": "power_reactive", "subunit": 0}) for rule in _nemo("AB")),
    *_nemo("AB", subunit=0),
    *_nemo("FDBA", quantity="power_factor"),
    *_nemo("FDC8")[:3],
    *(Rule(f"FDC8FF{place:02X}", to={"modifiers": (word,)}) for place, word in enumerate(_BETWEEN, 4)),
    *_nemo("FDD9")[:3],
    Rule("FDD9FF04", to={"modifiers": ("neutral",)}),
    Rule("FF5A", to={"quantity": "frequency", "modifiers": ()}, scale=Fraction(1, 10)),
    Rule("FD3A", {"dif": b"\x05"}, to={"quantity": "power_factor"}),
    Rule(where={"quantity": "energy", "tariff": 1, "subunit": _ACTIVE}, to={"tariff": 0, "subunit": 0}),
    Rule(where={"quantity": "energy", "tariff": 1, "subunit": _REACTIVE}, to={"quantity": "energy_reactive", "tariff": 0, "subunit": 0}),
    Rule(where={"quantity": "energy", "subunit": _ACTIVE}, to={"modifiers": ("partial",)}),
    Rule(where={"quantity": "energy", "subunit": _REACTIVE}, to={"quantity": "energy_reactive", "modifiers": ("partial",)}),
    Rule(where={"quantity": "power", "tariff": 1, "subunit": _ACTIVE}, to={"tariff": 0, "subunit": 0}),
    Rule(where={"quantity": "power", "tariff": 1, "subunit": _REACTIVE}, to={"quantity": "power_reactive", "tariff": 0, "subunit": 0}),
    Rule(where={"quantity": "power", "subunit": _ACTIVE}, to={"modifiers": ("negative",)}),
    Rule(where={"quantity": "power", "subunit": _REACTIVE}, to={"quantity": "power_reactive", "modifiers": ("negative",)}),
)

DRIVERS: Final = (
    Driver("ime_conto", "IME Conto, electricity", (Make("IME", (0x66,), (_ELECTRICITY,)),), rules=_CONTO_RULES),
    Driver("ime_nemo", "IME Nemo, electricity", (Make("IME", (0x1D,), (_ELECTRICITY,)),), rules=_NEMO_RULES),
)
