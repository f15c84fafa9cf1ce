"""Kamstrup Multical and flowIQ: manufacturer VIFs, info codes, pulse inputs (manufacturer layouts 10; compact frames: `decoders.compact`).

E8 and E9 are volume times temperature: the change of one divided by the change of the volume is the mean temperature. Subunits 1 and 2 are the
pulse inputs A and B. Tariffs of heat-and-cold meters are tariffs: their cooling energy is the one with VIFE 3C, so they are named as heat meters.
Water meters: storage 1 is the last month, a temperature of 127 °C is none.
"""

from fractions import Fraction
from typing import Final

from submeter.decoders.driver import Bits, Driver, Make, Rule

_MAKERS: Final = "KAM KAW"
_ONE: Final = Fraction(1)
_HEAT, _BOTH, _WATER, _PRESSURE = (0x04, 0x0A, 0x0B, 0x0C), (0x0D,), (0x06, 0x07, 0x15, 0x16, 0x17), (0x18,)
_602: Final = (0x1C,)


def _bits(words: str) -> Bits:
    """Flags by bit number, the lowest first; `-` has no name."""
    return Bits({1 << bit: word for bit, word in enumerate(words.split()) if word != "-"})


_HEAT_INFO: Final = _bits(
    "power_failure low_battery sensor_error sensor_error sensor_error sensor_error sensor_error wrong_installation air backflow - overflow leak leak "
    "external_alarm external_alarm communication_error device_error leak leak sensor_error sensor_error communication_error device_error air backflow "
    "- overflow burst burst leak leak"
)
_602_INFO: Final = _bits(
    "power_failure - sensor_error sensor_error communication_error sensor_error leak device_error leak burst communication_error device_error air air "
    "backflow backflow"
)
#: Bits 0 to 3 now, then three bits each of how long within the last thirty days.
_WATER_INFO: Final = _bits("dry backflow leak burst " + " ".join(f"{word}_earlier " * 3 for word in ("dry", "backflow", "leak", "burst")))
_WATER_INFO_LONG: Final = _bits("dry backflow leak burst tamper low_battery wrong_temperature overflow - no_consumption")


def _info(vif: str, flags: Bits) -> Rule:
    return Rule(vif, scale=_ONE, to={"quantity": "status_flags", "modifiers": ()}, flags=flags)


def _raw(vif: str, quantity: str, unit: str = "1") -> Rule:
    return Rule(vif, scale=_ONE, to={"quantity": quantity, "unit": unit, "modifiers": ()})


_HEAT_RULES: Final = (
    _raw("FF07", "energy_inlet_m3c", "m3·°C"),
    _raw("FF08", "energy_outlet_m3c", "m3·°C"),
    _raw("EEFF07", "pulse_a"),
    _raw("EEFF08", "pulse_b"),
    _info("FF22", _HEAT_INFO),
    _info("FF21", Bits({})),
    Rule("A5FF21", to={"modifiers": ("in_error",)}),
    Rule(where={"quantity": "volume", "subunit": 1}, to={"quantity": "volume_input_a", "subunit": 0}),
    Rule(where={"quantity": "volume", "subunit": 2}, to={"quantity": "volume_input_b", "subunit": 0}),
)

DRIVERS: Final = (
    Driver("kamheat", "Kamstrup Multical, heat or cold", (Make(_MAKERS, types=_HEAT),), rules=_HEAT_RULES),
    Driver("kamheat-both", "Kamstrup Multical, heat and cold", (Make(_MAKERS, types=_BOTH),), medium=_HEAT[0], rules=_HEAT_RULES),
    Driver("kamheat-602", "Kamstrup Multical 602", (Make(_MAKERS, _602, _HEAT),), rules=(Rule("FD17", flags=_602_INFO), *_HEAT_RULES)),
    Driver(
        "kamwater",
        "Kamstrup Multical 21 and flowIQ, water",
        (Make(_MAKERS, types=_WATER),),
        rules=(
            _info("FF20", _WATER_INFO),
            _info("FF23", _WATER_INFO_LONG),
            Rule(where={"quantity": "volume", "storage": 1}, to={"label": "month_end"}),
            Rule(where={"quantity": "temperature_flow"}, void="7f"),
            Rule(where={"quantity": "temperature_ambient"}, void="7f"),
        ),
    ),
    Driver("kampress", "Kamstrup pressure sensor", (Make(_MAKERS, types=_PRESSURE),), rules=(_raw("FF09", "alpha"), _raw("FF0A", "beta"))),
)
