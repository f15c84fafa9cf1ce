"""Records become readings: names by device type, canonical units, instants, what stays a record (registers 1 to 3)."""

from datetime import date, datetime

import pytest

from submeter.decoders import DICTIONARY, Profile, Telegram, decode
from submeter.decoders.instants import with_instants
from submeter.decoders.records import walk
from submeter.decoders.registers import meter_time
from submeter.reading import DeviceId, Source
from submeter.simulate import encode

WATER, HEAT, COLD, BOTH, ELECTRICITY, ALLOCATOR = 0x07, 0x04, 0x0A, 0x0D, 0x02, 0x08


def read(text: str, kind: int = WATER, status: int = 0) -> Telegram:
    """Decode records, written as hex, of a device of this type."""
    device = DeviceId("STM", "91000001", 1, kind)
    return decode(encode.radio(device, encode.plain(bytes.fromhex(text), encode.Header(status=status))), lambda _: Profile())


def values(text: str, kind: int = WATER) -> dict[str, int | None]:
    """Register → value in micro units of what those records give."""
    return {str(reading.register): reading.value for reading in read(text, kind).readings}


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("0413 01000000", WATER, "volume"), ("04933c 01000000", WATER, "volume_backflow"), ("04933b 01000000", WATER, "volume_forward"),
        ("04933a 01000000", 0x03, "volume_uncorrected"), ("04933e 01000000", 0x03, "volume"), ("0406 01000000", HEAT, "energy"),
        ("0406 01000000", COLD, "energy_cooling"), ("0406 01000000", BOTH, "energy"), ("841006 01000000", BOTH, "energy_cooling"),
        ("04863c 01000000", BOTH, "energy_cooling"), ("04863c 01000000", ELECTRICITY, "energy_export"), ("841006 01000000", HEAT, "energy[t1]"),
        ("844006 01000000", ELECTRICITY, "energy[s1]"), ("04fb823c 01000000", ELECTRICITY, "energy_reactive_export"),
        ("04fb05 01000000", ELECTRICITY, "energy_apparent"), ("046e 01000000", ALLOCATOR, "hca"), ("025a 0100", WATER, "temperature_medium"),
        ("025a 0100", HEAT, "temperature_flow"), ("025a 0100", ALLOCATOR, "temperature_radiator"), ("025e 0100", ALLOCATOR, "temperature_radiator"),
        ("0265 0100", WATER, "temperature_ambient"), ("142b 01000000", HEAT, "power_max"), ("242b 01000000", HEAT, "power_min"),
        ("342b 01000000", HEAT, "power_at_error"), ("02fd46 0100", WATER, "battery_voltage"), ("02fd46 0100", ELECTRICITY, "voltage"),
        ("02fd74 0100", WATER, "battery_days"), ("02fb1a 0100", 0x1B, "humidity"), ("02 7c 03 485225 0100", 0x1B, "humidity"),
        ("02fd17 0100", WATER, "status_flags"), ("0226 0100", HEAT, "operating_time"), ("04933d 01000000", WATER, None),
        ("04863b 01000000", HEAT, "energy"), ("04863b 01000000", BOTH, "energy"), ("04863b 01000000", COLD, "energy_cooling"),
        ("04863b 01000000", ELECTRICITY, "energy"), ("04863b 01000000", WATER, None), ("84108e3b 01000000", BOTH, "energy_cooling"),
        ("046e 01000000", 0x00, "hca"), ("046e 01000000", 0x0F, "hca"), ("046e 01000000", 0x37, "hca"), ("046e 01000000", HEAT, None),
    ],
)  # fmt: skip
def test_names(text: str, kind: int, name: str | None) -> None:
    """The same code names another register on another device type; function, tariff and subunit are part of the register."""
    assert list(values(text, kind)) == ([] if name is None else [name])


@pytest.mark.parametrize(
    ("text", "kind", "micro"),
    [
        ("0400 01000000", HEAT, 1), ("0408 01000000", HEAT, 0), ("0409 01000000", HEAT, 3), ("040e 01000000", HEAT, 277_778),
        ("04fb08 01000000", HEAT, 27_777_778), ("04fb0d 01000000", HEAT, 1_163_000), ("04fb20 01000000", 0x03, 28_317), ("0430 50c30000", HEAT, 13_889),
        ("0440 39300000", WATER, 74_070), ("0222 0300", HEAT, 3_000_000), ("0221 0300", HEAT, 50_000), ("0223 0300", HEAT, 72_000_000),
        ("02fd74 0300", WATER, 3_000_000), ("01fd74 c8", WATER, 200_000_000), ("02fdfd02 b400", WATER, 5_478_750_000), ("01fdfd03 02", WATER, 730_500_000),
        ("053e 0ad7233c", WATER, 10_000), ("0413 feffffff", WATER, -2000),
    ],
)  # fmt: skip
def test_units(text: str, kind: int, micro: int) -> None:
    """Each unit of the tables in canonical millionths, rounded once, half to even; a float is the decimal that it prints as."""
    assert [reading.value for reading in read(text, kind).readings] == [micro]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("046e 01000000", WATER), ("049322 01000000", WATER), ("049340 01000000", WATER), ("049350 01000000", WATER), ("04937e 01000000", WATER),
        ("0493ff21 01000000", WATER), ("049379 01000000", WATER), ("04863c 01000000", WATER), ("05fd48 0000c07f", ELECTRICITY), ("02fdc8fc01 0100", ELECTRICITY),
        ("0413 ffffffff", WATER), ("04fb58 01000000", HEAT), ("0713 ffffffffffffff7f", WATER), ("4413 01000000", WATER), ("440f 01000000 426c ffff", HEAT),
        ("84b0b0b0b030 13 01000000", WATER), ("04fd3a 01000000", WATER), ("0413 00000080", WATER), ("049315 01000000", WATER),
        ("02fd74 ffff", WATER), ("02fdfd02 ffff", WATER),
    ],
)  # fmt: skip
def test_what_stays_a_record(text: str, kind: int) -> None:
    """Qualified, void, undated, impossible, or no register of the dictionary: kept as a record, never a reading."""
    telegram = read(text, kind)
    assert (telegram.readings, len(telegram.records) > 0) == ((), True)


def test_the_first_of_equal_registers_counts() -> None:
    """The same header twice in one telegram: without a driver nobody knows what the second is."""
    assert values("0413 01000000 0413 02000000") == {"volume": 1000}


def test_status_bits_go_with_every_reading() -> None:
    """Words of the transport status byte."""
    assert read("0413 01000000", status=0x1D).status == ("busy", "power_low", "permanent_error", "temporary_error")
    assert read("0413 01000000", status=0x03).readings[0].status == ("alarm",)
    assert read("0413 01000000", status=0x02).readings[0].status == ("app_error",)


def test_stored_values_have_the_instant_of_their_storage() -> None:
    """Storage 1 is the set day, others end a period; the date may stand behind its values; now has no stamp."""
    readings = read("4413 01000000 426c 3f2c 82016c 1e3b 840113 02000000 0413 03000000 446d 1e0d5c2b").readings
    assert [(r.stamp, r.label, r.due, r.source) for r in readings] == [
        (date(2017, 12, 31), "set_day", False, Source.HISTORIC),
        (date(2024, 11, 30), "period_end", False, Source.HISTORIC),
        (None, "now", False, Source.LIVE),
    ]


def test_the_set_day_value_of_an_allocator_is_due() -> None:
    """It is the last before the restart."""
    assert [(r.label, r.due) for r in read("4b6e 990000 426c 3f2c 0b6e 120000", ALLOCATOR).readings] == [("set_day", True), ("now", False)]


def test_the_meter_s_clock() -> None:
    """The date-time of storage 0; without it, or void, nothing."""
    assert read("0413 01000000 046d 1e0d5c2b").meter_time == datetime(2018, 11, 28, 13, 30)
    assert meter_time(walk(bytes.fromhex("446d 1e0d5c2b 346d 1e0d5c2b 046d 9e0d5c2b")).records) is None


def test_codings_of_a_profile() -> None:
    """Elements are integers of 1 to 4, 6 and 8 bytes, or BCD of 2 to 8 and of 12 digits; a block of any other coding is none."""
    sizes = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8, 9: 1, 10: 2, 11: 3, 12: 4, 14: 6}
    for coding in range(16):
        elements = b"".join(number.to_bytes(sizes.get(coding, 4), "little") for number in (7, 5))
        block = bytes([0x30 | coding, 0xFE]) + elements
        found = read(f"4413 88130000 426c be2b 4d9313 {len(block):02x} {block.hex()}").readings
        assert [one.value for one in found] == [5_000_000, *([7_000, 5_000] if coding in sizes else [])], coding


@pytest.mark.parametrize(
    ("control", "spacing", "steps"),
    [
        ("31", "fe", [date(2026, 1, 31), date(2025, 12, 31), date(2025, 11, 30)]),
        ("21", "fe", [date(2025, 11, 30), date(2025, 8, 31), date(2025, 5, 31)]),
        ("11", "fe", [date(2025, 8, 31), date(2025, 2, 28), date(2024, 8, 31)]),
        ("31", "07", [date(2026, 2, 21), date(2026, 2, 14), date(2026, 2, 7)]),
        ("31", "fd", [None, None, None]),
        ("31", "00", [None, None, None]),
    ],
)
def test_steps_of_a_history(control: str, spacing: str, steps: list[date | None]) -> None:
    """Months, quarters, half years, days; a month's last day stays the last; spacings that are no time give no instant."""
    block = bytes.fromhex(f"82046c 5c32 8d049313 05 {control}{spacing} 010203")
    assert [record.stamp for record in with_instants(walk(block).records)[2:]] == steps


@pytest.mark.parametrize(
    ("control", "vife", "elements"),
    [
        ("31", "13", [5, -2]), ("71", "13", [95, -159]), ("71", "1f", [105, 359]), ("b1", "13", [105, 359]), ("b1", "1e", [95, -159]),
        ("f1", "1e", [105, 103]),
    ],
)  # fmt: skip
def test_elements_of_a_history(control: str, vife: str, elements: list[int]) -> None:
    """Absolute values and differences are signed, increments and decrements are not; all but the first are summed from the base."""
    block = bytes.fromhex(f"82046c 5c32 820413 6400 8d0493{vife} 04 {control}fe 05fe")
    assert [int(record.value * 1000) for record in with_instants(walk(block).records)[3:]] == elements


def test_increments_end_at_a_hole_and_allocator_increments_stay_deltas() -> None:
    """After an unknown increment nothing is known; units restart at a set day that the block does not tell."""
    broken = with_instants(walk(bytes.fromhex("820413 6400 8d04931f 05 71fe 05ff03")).records)
    assert len(broken) == 3
    allocator = with_instants(walk(bytes.fromhex("82046c 5c32 82046e 6400 8d04ee1f 04 71fe 0503")).records)
    assert [(int(record.value), record.modifiers) for record in allocator[3:]] == [(5, ("delta",)), (3, ("delta",))]
    assert [r.register.name for r in read("82046c 5c32 82046e 6400 8d04ee1f 04 71fe 0503", ALLOCATOR).readings] == ["hca"]


def test_a_broken_telegram_has_records_but_no_readings() -> None:
    """What precedes the damage may lack its date or its status: it is shown, not billed."""
    telegram = read("0413 01000000 0413 0100")
    assert (telegram.suspect, telegram.readings, len(telegram.records), telegram.reason) == (True, (), 1, "bad_frame")


def test_what_only_a_driver_reads_says_so() -> None:
    """Manufacturer data without any reading wait for a driver; beside readings they do not."""
    assert read("0f a1b2").reason == "unknown_driver"
    assert read("04ff07 01000000").reason == "unknown_driver"
    assert read("0413 01000000 0f a1b2").reason is None
    assert read("").reason is None


def test_a_leak_of_water_has_registers_of_its_own() -> None:
    """Volume and duration under VIFE 69 (leakage), the latter in any unit of time; of other meters they are shown."""
    assert values("049369 39300000 02a269 0300 02a569 5a00", 0x07) == {"volume_leak": 12_345_000, "duration_leak": 3_000_000}
    assert values("049369 39300000", 0x04) == {}


def test_every_register_has_a_unit_and_a_kind() -> None:
    """The dictionary is complete: what a portal shows and a rollup needs."""
    assert {entry.kind for entry in DICTIONARY.values()} == {"total", "period", "gauge", "event"}
    assert all(entry.unit and entry.decimals >= 0 for entry in DICTIONARY.values())


@pytest.mark.parametrize(("raw", "micro"), [(5, 0), (15, 2), (25, 2), (26, 3), (-5, 0), (-15, -2), (-16, -2), (-24, -2), (-26, -3)])
def test_halves_go_to_the_even_millionth(raw: int, micro: int) -> None:
    """Ten-millionths of a cubic metre: ties to even, on both sides of zero."""
    assert values("069372" + raw.to_bytes(6, "little", signed=True).hex()) == {"volume": micro}
