"""Records: data types, void codings, VIF and VIFE tables, chains (EN 13757-3; protocol notes 6)."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from submeter.decoders.fixed import read_fixed
from submeter.decoders.records import Record, walk
from submeter.decoders.vif import EXTENSION_FB, EXTENSION_FD, PRIMARY
from submeter.decoders.vife import interpret


def one(text: str) -> Record:
    """The only record of a payload."""
    found = walk(bytes.fromhex(text))
    assert found.broken is None
    assert len(found.records) == 1
    return found.records[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("01 13 ff", Decimal("-0.001")),
        ("02 13 3930", Decimal("12.345")),
        ("03 13 393000", Decimal("12.345")),
        ("04 13 39300000", Decimal("12.345")),
        ("06 13 393000000000", Decimal("12.345")),
        ("07 13 ffffffffffffff7f", Decimal("9223372036854775.807")),
        ("09 13 45", Decimal("0.045")),
        ("0a 13 4523", Decimal("2.345")),
        ("0c 13 45230100", Decimal("12.345")),
        ("0e 13 452301000000", Decimal("12.345")),
        ("0b 13 4000f0", Decimal("-0.04")),
        ("05 5b cdcccc3d", Decimal("0.1")),
        ("05 13 cdcccc3d", Decimal("0.0001")),
        ("0d 13 c2 4523", Decimal("2.345")),
        ("0d 13 d2 4523", Decimal("-2.345")),
        ("0d 13 e2 ff00", Decimal("0.255")),
        ("02 7c 03 485225 7b00", Decimal(123)),
        ("01 fd08 ff", Decimal(255)),
        ("02 fd17 00ff", Decimal(65280)),
        ("04 93fc11 ffffffff", Decimal("4294967.295")),
        ("0c 78 78563412", "12345678"),
        ("0d fd0c 05 31305f4c41", "AL_01"),
        ("04 7f 01020304", bytes([1, 2, 3, 4])),
        ("04 fd7f 01020304", bytes([1, 2, 3, 4])),
        ("0d 7f 03 010203", bytes([1, 2, 3])),
    ],
)
def test_data_types(text: str, value: Any) -> None:
    """Integers, BCD, floats, variable data and text become exact values; what has no meaning stays bytes."""
    assert one(text).value == value


@pytest.mark.parametrize(
    "text",
    [
        "01 13 80", "02 13 0080", "04 13 00000080", "07 13 0000000000000080", "0a 13 ffff", "0c 13 1a2b3c4d", "0b 13 0010e0", "05 13 0000c07f",
        "05 13 0000807f", "00 13", "08 13", "0d 13 00", "0d 13 c0", "426c ffff", "426c 0000", "426c 7e12", "046d 3f1fffff", "046d 80000000",
        "066d 3f3f1fffff00", "066d 059e0d5c2b3f", "426c c1d1", "04 9315 01000000", "04 930b 01000000",
    ],
)  # fmt: skip
def test_void_is_never_a_number(text: str) -> None:
    """80 00…, hex digits, NaN, no data, impossible dates, reported errors: a record without a value."""
    assert one(text).value is None


LENGTHS = {**{code: code for code in range(0xC0)}, **{code: code & 0x0F for first in (0xC0, 0xD0) for code in range(first, first + 10)}}
LENGTHS |= {**{code: code & 0x0F for code in range(0xE0, 0xF0)}, 0xF0: 16, 0xF1: 20, 0xF2: 24, 0xF3: 28, 0xF4: 32, 0xF5: 48, 0xF6: 64}


def test_lengths_of_variable_data() -> None:
    """Every length code: text, BCD of either sign, binary up to 15 bytes and by words; all others are reserved. What follows is found behind it."""
    for code in range(256):
        found = walk(b"\x0d\x7f" + bytes([code]) + bytes(range(LENGTHS.get(code, 0))) + b"\x01\x13\x07")
        if code in LENGTHS:
            assert [record.value for record in found.records] == [bytes(range(LENGTHS[code])) or None, Decimal("0.007")], hex(code)
        else:
            assert not found.records
            assert f"{code:02X}h" in str(found.broken)


def test_a_reported_error_has_its_name() -> None:
    """The meter says why there is no value."""
    assert one("04 9316 01000000").error == "overflow"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("426c 3f2c", date(2017, 12, 31)),
        ("426c e13a", date(2031, 10, 1)),
        ("426c 81bc", date(1992, 12, 1)),
        ("046d 1e0d5c2b", datetime(2018, 11, 28, 13, 30)),
        ("046d 1e2d5c2b", datetime(2018, 11, 28, 13, 30)),
        ("046d 1e4d5c2b", datetime(2018, 11, 28, 13, 30)),
        ("046d 1e8d5c2b", datetime(2018, 11, 28, 13, 30)),
        ("066d c51eed5c2b3f", datetime(2018, 11, 28, 13, 30, 5)),
        ("036d 051e0d", time(13, 30, 5)),
        ("04 fd30 1e0d5c2b", datetime(2018, 11, 28, 13, 30)),
        ("02 fd70 3f2c", date(2017, 12, 31)),
        ("02 934a 3f2c", date(2017, 12, 31)),
    ],
)
def test_dates(text: str, value: Any) -> None:
    """Types G, F, I and J, with century, summer time and weekday bits; misused century bits fall back to this century."""
    assert one(text).value == value


def test_the_century_of_a_date() -> None:
    """Two digits up to 80 are of this century, 81 to 99 of the last one, more is no year; bits of the century, where there are some, count before."""
    for year in range(128):
        g = year << 5 & 0xE0 | 1 | (year >> 3 << 4 | 1) << 8
        wanted = date(2000 + year if year <= 80 else 1900 + year, 1, 1) if year < 100 else None
        assert one(f"426c {g.to_bytes(2, 'little').hex()}").value == wanted, year
        for hundreds in range(4):
            said = 1900 + 100 * hundreds + year
            meant = 2000 + year if said > 2099 or (said < 2000 and year <= 80) else said
            found = one("046d 00" + bytes([hundreds << 5]).hex() + g.to_bytes(2, "little").hex()).value
            assert found == (datetime(meant, 1, 1) if year < 100 else None), (year, hundreds)


@pytest.mark.parametrize(
    ("text", "quantity", "unit", "exponent"),
    [
        ("00", "energy", "Wh", -3), ("07", "energy", "Wh", 4), ("08", "energy", "J", 0), ("0f", "energy", "J", 7), ("10", "volume", "m3", -6),
        ("17", "volume", "m3", 1), ("18", "mass", "kg", -3), ("20", "on_time", "s", 0), ("23", "on_time", "d", 0), ("26", "operating_time", "h", 0),
        ("28", "power", "W", -3), ("30", "power", "J/h", 0), ("3b", "flow", "m3/h", -3), ("40", "flow", "m3/min", -7), ("48", "flow", "m3/s", -9),
        ("50", "mass_flow", "kg/h", -3), ("5a", "temperature_flow", "°C", -1), ("5f", "temperature_return", "°C", 0),
        ("61", "temperature_difference", "K", -2), ("65", "temperature_ambient", "°C", -2), ("6b", "pressure", "bar", 0), ("6e", "hca", "hca", 0),
        ("72", "averaging_duration", "h", 0), ("75", "actuality_duration", "min", 0), ("7e", "any", "", 0), ("6f", "unknown", "", 0),
        ("fb00", "energy", "Wh", 5), ("fb01", "energy", "Wh", 6), ("fb02", "energy_reactive", "varh", 3), ("fb09", "energy", "J", 9),
        ("fb0d", "energy", "cal", 6), ("fb10", "volume", "m3", 2), ("fb14", "power_reactive", "var", 0), ("fb1a", "humidity", "%", -1),
        ("fb21", "volume", "ft3", -1), ("fb29", "power", "W", 6), ("fb2f", "frequency", "Hz", 0), ("fb34", "power_apparent", "VA", 0),
        ("fb7e", "power_cumulated_maximum", "W", 3), ("fb70", "unknown", "", 0), ("fd48", "voltage", "V", -1), ("fd5c", "current", "A", 0),
        ("fd3a", "counter", "1", 0), ("fd74", "battery_days", "d", 0), ("fd32", "tariff_duration", "h", 0), ("fd6c", "battery_operating_time", "h", 0),
        ("fd71", "rf_level", "dBm", 0), ("fdfd3e", "humidity", "%", 0), ("fdfd02", "battery_days", "month", 0), ("fdfd01", "unknown", "", 0), ("9370", "volume", "m3", -9),
        ("9376", "volume", "m3", -3), ("937d", "volume", "m3", 0), ("93fd7d", "volume", "m3", 3), ("fbae73", "frequency", "Hz", -4),
    ],
)  # fmt: skip
def test_codes(text: str, quantity: str, unit: str, exponent: int) -> None:
    """One code of each row of the tables, and the corrections of the power of ten."""
    about = interpret(bytes.fromhex(text))
    assert (about.quantity, about.unit, about.exponent) == (quantity, unit, exponent)


@pytest.mark.parametrize(
    ("text", "unit", "modifiers"),
    [
        ("933c", "m3", ("backward",)), ("93bb3e", "m3", ("forward", "base_conditions")), ("9322", "m3/h", ("per_h",)), ("9328", "m3", ("per_pulse_in_0",)),
        ("9348", "m3", ("upper_limit",)), ("9341", "1", ("lower_limit_count",)), ("9343", "", ("date_43",)), ("bb56", "h", ("duration_56",)),
        ("9369", "m3", ("leakage",)), ("ec7e", "", ("future",)), ("fdc8fc01", "V", ("phase_l1",)), ("86ff21", "Wh", ("manufacturer",)),
        ("ff07", "", ("manufacturer",)), ("9379", "m3", ("offset",)), ("936e", "", ("date_6e",)), ("9300", "m3", ()), ("fdbafc7f", "1", ("vife_7c_7f",)),
        ("ee93fc01", "hca", ("profile_backward", "phase_l1")),
    ],
)  # fmt: skip
def test_modifiers(text: str, unit: str, modifiers: tuple[str, ...]) -> None:
    """Every qualification leaves its word; those that change the unit change it."""
    about = interpret(bytes.fromhex(text))
    assert (about.unit, about.modifiers) == (unit, modifiers)


def test_an_offset_is_added_in_the_unit_of_the_code() -> None:
    """Additive correction 10^(n-3) of the VIF's unit: 5 l plus 0.01 l."""
    assert one("04 9379 05000000").value == Decimal("0.00501")


def test_storage_tariff_subunit_and_function() -> None:
    """The fields spread over DIF and DIFEs, low bits first."""
    record = one("d4 d5 21 13 01000000")
    assert (record.function, record.storage, record.tariff, record.subunit) == (1, 1 | 5 << 1 | 1 << 5, 1 | 2 << 2, 1)


@pytest.mark.parametrize(
    ("status", "units", "expected"),
    [
        (1, "297e", [("volume", Decimal("1.234"), 0), ("volume", Decimal("4.321"), 1)]),
        (3, "2902", [("volume", Decimal("1.234"), 1), ("energy", Decimal(4321), 1)]),
        (0, "393a", [("hca", Decimal(400), 0), ("unknown", None, 0)]),
    ],
)
def test_the_fixed_structure(status: int, units: str, expected: list[tuple[str, Decimal | None, int]]) -> None:
    """Binary or BCD by the status; `historic` repeats the first unit one storage on; stored counters are storage 1."""
    counters = "00040000 00000000" if status == 0 else "d2040000 e1100000"
    found = read_fixed(bytes([status]) + bytes.fromhex(units + counters))
    assert [(record.quantity, record.value, record.storage) for record in found.records] == expected


def test_fillers_tails_and_more() -> None:
    """2F is skipped; 0F and 1F end the records with manufacturer data, 1F with more telegrams to come."""
    found = walk(bytes.fromhex("2f2f 0113 01 2f 0113 02 0f a1b2"))
    assert ([record.value for record in found.records], found.tail, found.more) == ([Decimal("0.001"), Decimal("0.002")], b"\xa1\xb2", False)
    assert walk(bytes.fromhex("0113 01 1f")).more


@pytest.mark.parametrize(
    "damage",
    ["04", "84", "0413", "0413 010000", "0493", "0d13", "0d13 05 4142", "0d13 ca", "0d13 f8", "027c 05 41", "02fc", "3f 13", "7f", "84" + "80" * 11 + "00 13", "04 93" + "80" * 11 + "00"],
)  # fmt: skip
def test_damage_stops_the_walk_and_is_told(damage: str) -> None:
    """What came before is kept, what is cut or reserved is not guessed."""
    found = walk(bytes.fromhex("0113 01" + damage))
    assert [record.value for record in found.records] == [Decimal("0.001")]
    assert found.broken
    assert "record 2" in found.broken


def test_ten_extension_bytes_are_allowed() -> None:
    """The longest chains of the standard are read."""
    assert one("84" + "80" * 9 + "00 13 01000000").value == Decimal("0.001")
    assert one("04 93" + "80" * 9 + "00 01000000").value == Decimal("0.001")


def test_the_tables_name_each_code_once() -> None:
    """No code of the primary table is lost to an overlapping row (128 codes, of which 6F, 7B, 7C, 7D are no quantity)."""
    assert set(range(128)) - set(PRIMARY) == {0x6F, 0x7B, 0x7C, 0x7D}
    assert max(EXTENSION_FB) < 128
    assert max(EXTENSION_FD) < 128
