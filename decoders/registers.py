"""From records to readings: names of the register dictionary, canonical units, instants (docs/registers.md; facts: registers 1 to 3).

Rules
* Only what the dictionary names becomes a reading; all else stays a record. A qualified value never gets the plain name.
* A void value gives no reading. So does a stored value without a date, and a number beyond any dial (10^10 canonical units).
* The same register and storage twice in one telegram: the first counts.
* A value is rounded once, half to even, to millionths of the canonical unit (kWh from GJ is not exact).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from submeter.decoders.records import Record
from submeter.reading import MICRO, Reading, Register, Source

__all__ = ["DAYS", "DICTIONARY", "UNITS", "Entry", "meter_time", "readings_of"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A register of the dictionary. `kind`: total rises for ever, period restarts at the set day, gauge, event (counts and flags)."""

    unit: str
    decimals: int
    kind: str


DICTIONARY: Final[Mapping[str, Entry]] = {
    "volume": Entry("m3", 3, "total"),
    "volume_backflow": Entry("m3", 3, "total"),
    "volume_forward": Entry("m3", 3, "total"),
    "volume_uncorrected": Entry("m3", 3, "total"),
    "volume_input_a": Entry("m3", 3, "total"),
    "volume_input_b": Entry("m3", 3, "total"),
    "pulse_a": Entry("1", 0, "total"),
    "pulse_b": Entry("1", 0, "total"),
    "energy": Entry("kWh", 3, "total"),
    "energy_cooling": Entry("kWh", 3, "total"),
    "energy_export": Entry("kWh", 3, "total"),
    "energy_reactive": Entry("kvarh", 3, "total"),
    "energy_reactive_export": Entry("kvarh", 3, "total"),
    "energy_apparent": Entry("kVAh", 3, "total"),
    "energy_inlet_m3c": Entry("m3·°C", 0, "total"),
    "energy_outlet_m3c": Entry("m3·°C", 0, "total"),
    "hca": Entry("hca", 0, "period"),
    "hca_total": Entry("hca", 0, "total"),
    "mass": Entry("kg", 3, "total"),
    "power": Entry("kW", 3, "gauge"),
    "power_reactive": Entry("kvar", 3, "gauge"),
    "power_apparent": Entry("kVA", 3, "gauge"),
    "flow": Entry("m3/h", 3, "gauge"),
    "temperature_flow": Entry("°C", 2, "gauge"),
    "temperature_return": Entry("°C", 2, "gauge"),
    "temperature_difference": Entry("K", 2, "gauge"),
    "temperature_medium": Entry("°C", 1, "gauge"),
    "temperature_ambient": Entry("°C", 2, "gauge"),
    "temperature_radiator": Entry("°C", 2, "gauge"),
    "humidity": Entry("%", 1, "gauge"),
    "pressure": Entry("bar", 3, "gauge"),
    "voltage": Entry("V", 1, "gauge"),
    "current": Entry("A", 3, "gauge"),
    "frequency": Entry("Hz", 2, "gauge"),
    "power_factor": Entry("1", 3, "gauge"),
    "operating_time": Entry("h", 0, "total"),
    "on_time": Entry("h", 0, "total"),
    "battery_days": Entry("d", 0, "gauge"),
    "battery_voltage": Entry("V", 2, "gauge"),
    "volume_leak": Entry("m3", 3, "event"),
    "duration_leak": Entry("h", 0, "event"),
    "alarm_count": Entry("1", 0, "event"),
    "button_count": Entry("1", 0, "event"),
    "status_flags": Entry("bits", 0, "event"),
}

#: Factor from each unit of a VIF to the canonical one of its registers. The calorie is the international one (1 Mcal = 1.163 kWh).
UNITS: Final[Mapping[str, Fraction]] = {
    "Wh": Fraction(1, 1000), "J": Fraction(1, 3_600_000), "cal": Fraction(1163, 10**9),
    "varh": Fraction(1, 1000), "VAh": Fraction(1, 1000),
    "W": Fraction(1, 1000), "J/h": Fraction(1, 3_600_000), "var": Fraction(1, 1000), "VA": Fraction(1, 1000),
    "m3": Fraction(1), "ft3": Fraction(28_316_846_592, 10**12),
    "m3/h": Fraction(1), "m3/min": Fraction(60), "m3/s": Fraction(3600),
    "kWh": Fraction(1), "kvarh": Fraction(1), "kVAh": Fraction(1), "kW": Fraction(1), "kvar": Fraction(1), "kVA": Fraction(1),
    "s": Fraction(1, 3600), "min": Fraction(1, 60), "h": Fraction(1), "d": Fraction(24),
    **{same: Fraction(1) for same in ("hca", "kg", "°C", "K", "%", "bar", "V", "A", "Hz", "bits", "m3·°C", "1")},
}  # fmt: skip

#: The same for registers in days.
DAYS: Final[Mapping[str, Fraction]] = {"h": Fraction(1, 24), "d": Fraction(1), "month": Fraction(1461, 48), "y": Fraction(1461, 4)}

_ELECTRICITY, _COLD_IS_ENERGY, _BOTH = frozenset((0x02,)), frozenset((0x0A, 0x0B)), frozenset((0x0D,))
_HEAT: Final = frozenset((0x04, 0x0C)) | _BOTH
_WATER: Final = frozenset((0x06, 0x07, 0x15, 0x16, 0x17))
_ALLOCATOR: Final = frozenset((0x08,))
#: Types that name no medium: other, bus or system, unknown, radio converters.
_UNSAID: Final = frozenset((0x00, 0x0E, 0x0F, 0x36, 0x37))
_ANY: Final[frozenset[int]] = frozenset(range(256))

#: (quantity, modifiers) → names by device type, the first row that fits. A quantity that is not here keeps its own name.
_NAMES: Final[Mapping[tuple[str, tuple[str, ...]], tuple[tuple[frozenset[int], str], ...]]] = {
    ("volume", ("backward",)): ((_ANY, "volume_backflow"),),
    ("volume", ("forward",)): ((_ANY, "volume_forward"),),
    ("volume", ("uncorrected",)): ((_ANY, "volume_uncorrected"),),
    ("volume", ("base_conditions",)): ((_ANY, "volume"),),
    ("volume", ("leakage",)): ((_WATER, "volume_leak"),),
    ("on_time", ("leakage",)): ((_WATER, "duration_leak"),),
    ("operating_time", ("leakage",)): ((_WATER, "duration_leak"),),
    ("energy", ()): ((_COLD_IS_ENERGY, "energy_cooling"), (_ANY, "energy")),
    ("energy", ("backward",)): ((_ELECTRICITY, "energy_export"), (_HEAT, "energy_cooling")),
    ("energy", ("forward",)): ((_COLD_IS_ENERGY, "energy_cooling"), (_ELECTRICITY | _HEAT, "energy")),
    ("energy_reactive", ("backward",)): ((_ELECTRICITY, "energy_reactive_export"),),
    ("hca", ()): ((_ALLOCATOR | _UNSAID, "hca"),),
    ("temperature_flow", ()): ((_WATER, "temperature_medium"), (_ALLOCATOR, "temperature_radiator"), (_ANY, "temperature_flow")),
    ("temperature_return", ()): ((_ALLOCATOR, "temperature_radiator"), (_ANY, "temperature_return")),
    ("voltage", ()): ((_ELECTRICITY, "voltage"), (_ANY, "battery_voltage")),
}
#: Text VIFs that name a quantity of the dictionary.
_TEXT_UNITS: Final = {"%RH": ("humidity", "%")}

_SUFFIX: Final = ("", "_max", "_min", "_at_error")
#: No dial shows more, in micro units.
LARGEST: Final = 10**10 * MICRO
_LARGEST_PLACE: Final = 255  # tariff and subunit; larger ones are damage
_COOLING_TARIFF: Final = 1


@dataclass(frozen=True, slots=True)
class Target:
    """A register, and the ratio from a record's value to its millionths."""

    register: Register
    above: int
    below: int


def readings_of(records: tuple[Record, ...], device_type: int, status: tuple[str, ...]) -> tuple[Reading, ...]:
    """The readings of a telegram, each register and storage once, in the order of the records."""
    readings: dict[tuple[Register, int], Reading] = {}
    for record in records:
        target = target_of(record, device_type)
        if target is None or not isinstance(record.value, Decimal) or (record.storage and record.stamp is None):
            continue
        value = micro_of(record.value, target)
        if value is not None and not _all_ones(record):
            readings.setdefault((target.register, record.storage), _reading(target.register, value, record, status))
    return tuple(readings.values())


def meter_time(records: tuple[Record, ...]) -> datetime | None:
    """The meter's clock as sent: naive local time."""
    for record in records:
        if record.quantity == "date_time" and not (record.storage or record.function or record.modifiers) and isinstance(record.value, datetime):
            return record.value
    return None


def _reading(register: Register, value: int, record: Record, status: tuple[str, ...]) -> Reading:
    if not record.storage:
        return Reading(register, value, status=status)
    due = record.due or (record.label == "set_day" and register.name in DICTIONARY and DICTIONARY[register.name].kind == "period")
    return Reading(register, value, record.stamp, record.label, due=due, source=Source.HISTORIC, status=status)


def target_of(record: Record, device_type: int) -> Target | None:
    """Where the values of such a record go; None where the dictionary has no register for them."""
    return _target(record.quantity, record.unit, record.modifiers, device_type, record.function, record.tariff, record.subunit)


@lru_cache(maxsize=4096)
def _target(quantity: str, unit: str, modifiers: tuple[str, ...], device_type: int, function: int, tariff: int, subunit: int) -> Target | None:
    if quantity == "text":
        quantity, unit = _TEXT_UNITS.get(unit, (quantity, unit))
    name = _name(quantity, modifiers, device_type)
    factor = (DAYS if quantity == "battery_days" else UNITS).get(unit, Fraction(0))
    if name == "energy" and device_type in _BOTH and tariff == _COOLING_TARIFF:
        name, tariff = "energy_cooling", 0
    if name is None or not factor or max(tariff, subunit) > _LARGEST_PLACE:
        return None
    register = Register(name + _SUFFIX[function], DICTIONARY[name].unit, tariff, subunit)
    return Target(register, (factor * MICRO).numerator, (factor * MICRO).denominator)


def _name(quantity: str, modifiers: tuple[str, ...], device_type: int) -> str | None:
    plain = tuple(word for word in modifiers if word not in {"unsigned", "standard_conform"})
    rows = _NAMES.get((quantity, plain))
    if rows is None:
        return quantity if quantity in DICTIONARY and not plain else None
    return next((name for types, name in rows if device_type in types), None)


def micro_of(value: Decimal, target: Target) -> int | None:
    """`value` in millionths of the canonical unit, half to even; None where it is larger than any dial."""
    if abs(value) > LARGEST:
        return None
    above, below = value.as_integer_ratio()
    micro, rest = divmod(above * target.above, below * target.below)
    twice, whole = 2 * rest, below * target.below
    micro += twice > whole or (twice == whole and micro % 2 == 1)
    return micro if abs(micro) <= LARGEST else None


def _all_ones(record: Record) -> bool:
    return record.data != b"" and record.data.strip(b"\xff") == b"" and all_ones_void(record.quantity)


def all_ones_void(quantity: str) -> bool:
    """Whether FF… is no value: in a counter, as a number, it would be one step below zero (protocol notes 6.4); and no battery lasts so many days."""
    known = DICTIONARY.get(quantity)
    return quantity == "battery_days" or (known is not None and known.kind in {"total", "period"})
