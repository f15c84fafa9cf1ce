"""Units, instants and bounds by known answers: the fixed structure's units, factors to the dictionary's, months, profiles' steps, places of registers."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from submeter.decoders import Profile, decode
from submeter.decoders.codings import date_d, date_short_year, seconds_2000, signed
from submeter.decoders.dates import read_date
from submeter.decoders.fixed import read_fixed
from submeter.decoders.instants import add_months, step
from submeter.decoders.registers import DAYS, DICTIONARY, UNITS
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.encode import Slot

#: EN 13757-3, units of the fixed structure by code: the first of each decade by the standard's own name.
FIXED = {
    0x02: ("energy", "Wh", 1), 0x05: ("energy", "Wh", 10**3), 0x08: ("energy", "Wh", 10**6), 0x0B: ("energy", "J", 10**3), 0x0E: ("energy", "J", 10**6),
    0x11: ("energy", "J", 10**9), 0x14: ("power", "W", 1), 0x17: ("power", "W", 10**3), 0x1A: ("power", "W", 10**6), 0x1D: ("power", "J/h", 10**3),
    0x20: ("power", "J/h", 10**6), 0x23: ("power", "J/h", 10**9), 0x26: ("volume", "m3", Fraction(1, 10**6)), 0x29: ("volume", "m3", Fraction(1, 10**3)),
    0x2C: ("volume", "m3", 1), 0x2F: ("flow", "m3/h", Fraction(1, 10**6)), 0x32: ("flow", "m3/h", Fraction(1, 10**3)), 0x35: ("flow", "m3/h", 1),
}  # fmt: skip
ALONE = {0x38: ("temperature_flow", "°C", Fraction(1, 1000)), 0x39: ("hca", "hca", 1)}


def test_units_of_the_fixed_structure() -> None:
    """Sixty-four codes: three to a decade's name, then ten and a hundred of it; the temperature and the allocator's unit; others say nothing."""
    wanted = {first + more: (name, unit, factor * 10**more) for first, (name, unit, factor) in FIXED.items() for more in range(3)} | ALONE
    for code in range(64):
        for high in (0, 0x40, 0x80, 0xC0):
            record, _ = read_fixed(bytes([1, code | high, 0x3F]) + (7).to_bytes(4, "little") + bytes(4)).records
            name, unit, factor = wanted.get(code, ("unknown", "", None))
            assert (record.quantity, record.unit, record.value) == (
                name,
                unit,
                None if factor is None else Decimal((7 * factor).numerator) / (7 * factor).denominator,
            )


@pytest.mark.parametrize(
    ("status", "counter", "value", "storage"),
    [(0, "12345678", 78563412, 0), (1, "12345678", 0x78563412, 0), (2, "12345678", 78563412, 1), (3, "ffffffff", 0xFFFFFFFF, 1), (0, "1234567a", None, 0),
     (0, "a2345678", None, 0), (0xFC, "00000001", 1_000_000, 0)],
)  # fmt: skip
def test_counters_of_the_fixed_structure(status: int, counter: str, value: int | None, storage: int) -> None:
    """Decimal, or binary by bit 0 of the status; stored by bit 1; a digit that is none makes it void."""
    for first in (True, False):
        data = bytes.fromhex(counter)
        found = read_fixed(bytes([status, 0x2C, 0x2C]) + (data + bytes(4) if first else bytes(4) + data)).records
        assert (found[not first].value, found[not first].storage) == (value, storage)


#: What one of each unit is in the register's: by definition.
FACTORS = {
    "Wh": "1/1000", "J": "1/3600000", "cal": "1163/1000000000", "varh": "1/1000", "VAh": "1/1000", "W": "1/1000", "J/h": "1/3600000", "var": "1/1000", "VA": "1/1000",
    "ft3": "28316846592/1000000000000", "m3/min": "60", "m3/s": "3600", "s": "1/3600", "min": "1/60", "h": "1", "d": "24",
}  # fmt: skip


def test_factors_of_units() -> None:
    """To the units of the dictionary; those that it has itself are themselves; a foot is 0.3048 m, a month the twelfth of 365 days and a quarter."""
    assert {unit: Fraction(factor) for unit, factor in FACTORS.items()} == {unit: factor for unit, factor in UNITS.items() if unit in FACTORS}
    assert {factor for unit, factor in UNITS.items() if unit not in FACTORS} == {1}
    assert UNITS["ft3"] == Fraction("0.3048") ** 3
    assert UNITS.keys() >= {entry.unit for entry in DICTIONARY.values()} - {"d"}
    assert {"h": Fraction(1, 24), "d": 1, "month": Fraction("365.25") / 12, "y": Fraction("365.25")} == DAYS


DICTIONARY_ROWS = """
total m3 3: volume volume_backflow volume_forward volume_uncorrected volume_input_a volume_input_b
total 1 0: pulse_a pulse_b
total kWh 3: energy energy_cooling energy_export
total kvarh 3: energy_reactive energy_reactive_export
total kVAh 3: energy_apparent
total m3·°C 0: energy_inlet_m3c energy_outlet_m3c
period hca 0: hca
total hca 0: hca_total
total kg 3: mass
gauge kW 3: power
gauge kvar 3: power_reactive
gauge kVA 3: power_apparent
gauge m3/h 3: flow
gauge °C 2: temperature_flow temperature_return temperature_ambient temperature_radiator
gauge K 2: temperature_difference
gauge °C 1: temperature_medium
gauge % 1: humidity
gauge bar 3: pressure
gauge V 1: voltage
gauge A 3: current
gauge Hz 2: frequency
gauge 1 3: power_factor
total h 0: operating_time on_time
gauge d 0: battery_days
gauge V 2: battery_voltage
event m3 3: volume_leak
event h 0: duration_leak
event 1 0: alarm_count button_count
event bits 0: status_flags
"""


def test_the_dictionary() -> None:
    """Kind, unit and decimals of every register."""
    rows = [(head.split(), names.split()) for head, _, names in (line.partition(": ") for line in DICTIONARY_ROWS.strip().splitlines())]
    wanted = {name: (kind, unit, int(decimals)) for (kind, unit, decimals), names in rows for name in names}
    assert wanted == {name: (entry.kind, entry.unit, entry.decimals) for name, entry in DICTIONARY.items()}


def registers(records: bytes, kind: int = 7) -> list[str]:
    """Registers of a telegram."""
    device = DeviceId("STM", "92000001", 1, kind)
    return [str(one.register) for one in decode(encode.radio(device, encode.plain(records, None)), lambda _: Profile()).readings]


@pytest.mark.parametrize(
    ("tariff", "subunit", "there"), [(255, 0, True), (256, 0, False), (0, 255, True), (0, 256, False), (255, 255, True), (1, 0, True)]
)
def test_places_of_a_register_end_at_255(tariff: int, subunit: int, there: bool) -> None:
    """Larger tariffs and subunits are damage."""
    assert bool(registers(encode.integer(b"\x13", 1, 4, Slot(tariff=tariff, subunit=subunit)))) == there


@pytest.mark.parametrize(
    ("records", "kind", "there"),
    [
        ("0413 ffffffff", 7, False), ("0413 feffffff", 7, True), ("026e ffff", 8, False), ("0259 ffff", 4, True), ("02fd74 ffff", 7, False), ("02fd74 feff", 7, True),
        ("0226 ffff", 4, False), ("042b ffffffff", 4, True), ("01fd17 ff", 7, True), ("046d ffffffff", 7, False),
    ],
)  # fmt: skip
def test_all_ones_are_no_count(records: str, kind: int, there: bool) -> None:
    """Of totals and periods, and of a battery's days; a gauge may be one below nought, and flags may all be set."""
    assert bool(registers(bytes.fromhex(records), kind)) == there


@pytest.mark.parametrize(
    ("day", "months", "other"),
    [
        ("2024-01-31", 1, "2024-02-29"), ("2023-01-31", 1, "2023-02-28"), ("2024-02-29", 1, "2024-03-31"), ("2024-02-28", 1, "2024-03-28"), ("2024-01-30", 1, "2024-02-29"),
        ("2024-04-30", -2, "2024-02-29"), ("2023-12-31", 1, "2024-01-31"), ("2024-01-15", -1, "2023-12-15"), ("2024-01-31", -12, "2023-01-31"),
        ("2024-06-30", 0, "2024-06-30"), ("2024-02-29", 12, "2025-02-28"), ("2025-02-28", 12, "2026-02-28"), ("2023-02-28", 12, "2024-02-29"), ("2024-03-30", -1, "2024-02-29"),
    ],
)  # fmt: skip
def test_months(day: str, months: int, other: str) -> None:
    """The same day, the last of a month staying the last, a day that the month lacks becoming its last; of a time, at the same time."""
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(other)
    assert add_months(datetime.fromisoformat(day + "T12:34"), months) == datetime.fromisoformat(other + "T12:34")


@pytest.mark.parametrize("unit", range(4))
def test_steps_of_a_profile(unit: int) -> None:
    """Seconds, minutes, hours, days times 1 to 250; 254 is a half year, a quarter, a month by the unit; all else is no time."""
    base = datetime(2024, 1, 15, 12)
    for spacing in range(256):
        for count in (1, -2):
            wanted: datetime | None = None
            if 1 <= spacing <= 250:
                wanted = base + timedelta(seconds=count * spacing * (1, 60, 3600, 86400)[unit])
            elif spacing == 254 and unit:
                wanted = add_months(base, count * {1: 6, 2: 3, 3: 1}[unit])  # type: ignore[assignment]
            assert step(base, head=bytes([unit << 4 | 0x84, spacing]), count=count) == wanted, spacing
    assert step(None, head=b"\x34\x01", count=1) is None


@pytest.mark.parametrize("bit", range(16))
def test_bits_of_makers_dates(bit: int) -> None:
    """Day 0 to 4, month 5 to 8, then the year since 2000: seven bits of Techem's, five of Apator's."""
    word = (1 << bit) | (1 if bit > 4 else 0) | (1 << 5 if not 4 < bit < 9 else 0)
    sent = word.to_bytes(2, "little")
    month, year = word >> 5 & 15, word >> 9
    assert date_d(sent) == date(2000 + year, month, word & 31)
    assert date_short_year(sent) == date(2000 + (year & 31), month, word & 31)


def test_seconds_and_signed_numbers_of_makers() -> None:
    """Since 2000; nought is void. The lowest number is void."""
    assert seconds_2000((86400 * 366 + 61).to_bytes(4, "little")) == datetime(2001, 1, 1, 0, 1, 1)
    assert seconds_2000(bytes(4)) is None
    assert [signed(bytes.fromhex(text)) for text in ("80", "81", "0080", "0180", "ff7f", "000080")] == [None, -127, None, -32767, 32767, None]


@pytest.mark.parametrize("size", range(9))
def test_a_date_has_two_three_four_or_six_bytes(size: int) -> None:
    """No other size is one."""
    day = {2: "213c", 3: "3b3b17", 4: "0000213c", 6: "000000213c00"}.get(size)
    found = read_date(bytes.fromhex(day) if day else bytes([0x21] * size))
    assert (found is not None) == (size in {2, 3, 4, 6})


#: Records, and the register that they become by the device type (EN 13757-7); of all other types the last one, `-` for none.
HEAT, COLD, BOTH, WATER, UNSAID = {0x04, 0x0C}, {0x0A, 0x0B}, {0x0D}, {0x06, 0x07, 0x15, 0x16, 0x17}, {0x00, 0x0E, 0x0F, 0x36, 0x37}
BY_TYPE = {
    "0406 01000000": [(COLD, "energy_cooling")], "04863c 01000000": [({0x02}, "energy_export"), (HEAT | BOTH, "energy_cooling"), (None, "-")],
    "04863b 01000000": [(COLD, "energy_cooling"), ({0x02} | HEAT | BOTH, "energy"), (None, "-")], "841006 01000000": [(COLD, "energy_cooling[t1]"), (BOTH, "energy_cooling"), (None, "energy[t1]")],
    "842006 01000000": [(COLD, "energy_cooling[t2]"), (None, "energy[t2]")], "04fb823c 01000000": [({0x02}, "energy_reactive_export"), (None, "-")],
    "046e 01000000": [({0x08} | UNSAID, "hca"), (None, "-")], "025a 0100": [(WATER, "temperature_medium"), ({0x08}, "temperature_radiator"), (None, "temperature_flow")],
    "025e 0100": [({0x08}, "temperature_radiator"), (None, "temperature_return")], "02fd46 0100": [({0x02}, "voltage"), (None, "battery_voltage")],
    "049369 01000000": [(WATER, "volume_leak"), (None, "-")], "02a269 0100": [(WATER, "duration_leak"), (None, "-")], "02a669 0100": [(WATER, "duration_leak"), (None, "-")],
    "04933c 01000000": [(None, "volume_backflow")], "04933b 01000000": [(None, "volume_forward")], "04933a 01000000": [(None, "volume_uncorrected")],
    "04933e 01000000": [(None, "volume")], "04931d 01000000": [(None, "volume")], "0493fc11 01000000": [(None, "volume")], "049312 01000000": [(None, "-")],
}  # fmt: skip


@pytest.mark.parametrize("records", BY_TYPE)
def test_the_name_of_a_register_by_the_device_type(records: str) -> None:
    """Each of 256 types: heat, cold, both, water, electricity, allocators, and those that name no medium."""
    default = {"0406 01000000": "energy"}.get(records, BY_TYPE[records][-1][1])
    for kind in range(256):
        name = next((name for types, name in BY_TYPE[records] if types is not None and kind in types), default)
        assert registers(bytes.fromhex(records), kind) == ([] if name == "-" else [name]), hex(kind)
