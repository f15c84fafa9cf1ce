"""Value information: what the VIF and VIFE bytes of a record say (EN 13757-3; protocol notes 6.6 and 6.7). Tables, no arithmetic.

A code gives a quantity, a unit and the power of ten of the raw number. Quantity names are those of docs/registers.md where the
dictionary has one; a code that no table holds stays `unknown`, and its record is kept raw.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["EXTENSION_FB", "EXTENSION_FD", "EXTENSION_FD_FD", "PRIMARY", "UNKNOWN", "Code"]

NUMBER, DATE, TEXT, BITS, BLOCK = "number", "date", "text", "bits", "block"


@dataclass(frozen=True, slots=True)
class Code:
    """Meaning of one VIF: value = raw * 10^exponent in `unit`. `kind` says how raw is read: number, date, text, bits (unsigned) or block."""

    quantity: str
    unit: str = ""
    exponent: int = 0
    kind: str = NUMBER


UNKNOWN: Final = Code("unknown")

_Rows = Iterable[tuple[int, int, str, str, int]]


def _scaled(rows: _Rows) -> dict[int, Code]:
    """Rows (first code, last code, quantity, unit, exponent of the first code): the exponent rises by one a code."""
    return {code: Code(quantity, unit, exponent + code - first) for first, last, quantity, unit, exponent in rows for code in range(first, last + 1)}


def _timed(rows: Iterable[tuple[int, str]], units: str = "s min h d") -> dict[int, Code]:
    """Rows (first code, quantity): the following codes are the same in the next larger unit of time."""
    return {first + step: Code(quantity, unit) for first, quantity in rows for step, unit in enumerate(units.split())}


def _plain(rows: Iterable[tuple[int, str, str]], kind: str = NUMBER) -> dict[int, Code]:
    return {code: Code(quantity, unit, 0, kind) for code, quantity, unit in rows}


PRIMARY: Final[dict[int, Code]] = {
    **_scaled((
        (0x00, 0x07, "energy", "Wh", -3),
        (0x08, 0x0F, "energy", "J", 0),
        (0x10, 0x17, "volume", "m3", -6),
        (0x18, 0x1F, "mass", "kg", -3),
        (0x28, 0x2F, "power", "W", -3),
        (0x30, 0x37, "power", "J/h", 0),
        (0x38, 0x3F, "flow", "m3/h", -6),
        (0x40, 0x47, "flow", "m3/min", -7),
        (0x48, 0x4F, "flow", "m3/s", -9),
        (0x50, 0x57, "mass_flow", "kg/h", -3),
        (0x58, 0x5B, "temperature_flow", "°C", -3),
        (0x5C, 0x5F, "temperature_return", "°C", -3),
        (0x60, 0x63, "temperature_difference", "K", -3),
        (0x64, 0x67, "temperature_ambient", "°C", -3),
        (0x68, 0x6B, "pressure", "bar", -3),
    )),
    **_timed(((0x20, "on_time"), (0x24, "operating_time"), (0x70, "averaging_duration"), (0x74, "actuality_duration"))),
    **_plain(((0x6C, "date", ""), (0x6D, "date_time", "")), DATE),
    0x6E: Code("hca", "hca"),
    **_plain(((0x78, "serial", ""), (0x79, "identification", "")), TEXT),
    0x7A: Code("bus_address", "", 0, BITS),
    0x7E: Code("any"),
    0x7F: Code("manufacturer", "", 0, BLOCK),
}  # fmt: skip

EXTENSION_FB: Final[dict[int, Code]] = {
    **_scaled((
        (0x00, 0x01, "energy", "Wh", 5),
        (0x02, 0x03, "energy_reactive", "varh", 3),
        (0x04, 0x05, "energy_apparent", "VAh", 3),
        (0x08, 0x09, "energy", "J", 8),
        (0x0C, 0x0F, "energy", "cal", 5),
        (0x10, 0x11, "volume", "m3", 2),
        (0x14, 0x17, "power_reactive", "var", 0),
        (0x18, 0x19, "mass", "kg", 5),
        (0x1A, 0x1B, "humidity", "%", -1),
        (0x28, 0x29, "power", "W", 5),
        (0x2C, 0x2F, "frequency", "Hz", -3),
        (0x30, 0x31, "power", "J/h", 8),
        (0x34, 0x37, "power_apparent", "VA", 0),
        (0x58, 0x5B, "temperature_flow", "°F", -3),
        (0x5C, 0x5F, "temperature_return", "°F", -3),
        (0x60, 0x63, "temperature_difference", "°F", -3),
        (0x64, 0x67, "temperature_ambient", "°F", -3),
        (0x74, 0x77, "temperature_limit", "°C", -3),
        (0x78, 0x7F, "power_cumulated_maximum", "W", -3),
    )),
    0x20: Code("volume", "ft3"),
    0x21: Code("volume", "ft3", -1),
    0x2A: Code("phase_voltage_voltage", "°", -1),
    0x2B: Code("phase_voltage_current", "°", -1),
}  # fmt: skip

EXTENSION_FD: Final[dict[int, Code]] = {
    **_scaled((
        (0x00, 0x03, "credit", "currency", -3),
        (0x04, 0x07, "debit", "currency", -3),
        (0x40, 0x4F, "voltage", "V", -9),
        (0x50, 0x5F, "current", "A", -12),
    )),
    **_plain((
        (0x09, "medium", ""), (0x0A, "manufacturer_name", ""), (0x0B, "parameter_set", ""), (0x0C, "model", ""), (0x0D, "hardware", ""),
        (0x0E, "firmware", ""), (0x0F, "software", ""), (0x10, "customer_location", ""), (0x11, "customer", ""), (0x12, "access_code_user", ""),
        (0x13, "access_code_operator", ""), (0x14, "access_code_system", ""), (0x15, "access_code_developer", ""), (0x16, "password", ""),
        (0x67, "supplier_information", ""),
    ), TEXT),
    **_plain((
        (0x08, "access_number", ""), (0x17, "status_flags", "bits"), (0x18, "status_mask", "bits"), (0x1A, "digital_output", "bits"),
        (0x1B, "digital_input", "bits"), (0x1F, "remote_control", "bits"), (0x62, "control_signal", "bits"), (0x66, "parameter_activation", "bits"),
        (0x74, "battery_days", "d"),
    ), BITS),
    **_plain((
        (0x1C, "baud_rate", "Bd"), (0x1D, "response_delay", "bit_times"), (0x1E, "retry", ""), (0x20, "storage_first", ""), (0x21, "storage_last", ""),
        (0x22, "storage_block", ""), (0x28, "storage_interval", "month"), (0x29, "storage_interval", "y"), (0x2A, "operator_data", ""),
        (0x2B, "time_point_second", "s"), (0x38, "tariff_period", "month"), (0x39, "tariff_period", "y"), (0x3A, "counter", "1"),
        (0x60, "reset_count", "1"), (0x61, "cumulation_count", "1"), (0x63, "weekday", ""), (0x64, "week", ""), (0x65, "day_change", ""),
        (0x71, "rf_level", "dBm"), (0x72, "daylight_saving", ""), (0x73, "listening_window", ""), (0x75, "stop_count", "1"),
    )),
    **_plain(((0x30, "tariff_start", ""), (0x70, "battery_change", "")), DATE),
    **_plain(((0x3B, "container", ""), (0x76, "manufacturer_container", "")), BLOCK),
    **_timed(((0x24, "storage_interval"), (0x2C, "since_readout"), (0x34, "tariff_period"), (0x3C, "transmission_period"))),
    **_timed(((0x31, "tariff_duration"),), "min h d"),
    **_timed(((0x68, "since_cumulation"), (0x6C, "battery_operating_time")), "h d month y"),
}  # fmt: skip

EXTENSION_FD_FD: Final[dict[int, Code]] = {
    **_plain(((0x02, "battery_days", "month"), (0x03, "battery_days", "y")), BITS),
    **_plain(((0x3D, "concentration", "ppm"), (0x3E, "humidity", "%"))),
}
