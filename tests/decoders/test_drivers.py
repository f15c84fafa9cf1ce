"""Drivers: each has a vector, each vector gives what it says, and a new one is found by itself."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from meter_vectors import Vector, as_readings, read, shown, vectors

from submeter.cli.decode import decode_line
from submeter.decoders import DICTIONARY, DecodeError, Record, identify
from submeter.decoders.catalogue import driver_of, drivers
from submeter.decoders.driver import Bits, Codes, Driver, Field
from submeter.decoders.flags import FLAGS
from submeter.decoders.registers import DAYS, UNITS
from submeter.reading import DeviceId
from submeter.simulate import encode

ROOT = Path(__file__).resolve().parent.parent.parent
VECTORS = vectors()
by_name = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
by_driver = pytest.mark.parametrize("driver", drivers(), ids=[driver.name for driver in drivers()])


@by_driver
def test_every_driver_has_a_vector(driver: Driver) -> None:
    """A driver without a telegram of our own making is not tested."""
    assert driver.name in {vector["driver"] for vector in VECTORS}


@by_name
def test_a_vector_gives_its_readings(vector: Vector) -> None:
    """Device, flags, readings, shown values and notes are as the vector says, and nothing is suspect."""
    telegram = read(vector)
    assert not telegram.suspect
    assert (str(telegram.device), list(telegram.status)) == (vector["device"], vector["status"])
    assert as_readings(telegram) == vector["readings"]
    assert shown(telegram) == vector["records"]
    assert list(telegram.notes) == vector.get("notes", [])


@by_name
def test_a_vector_is_for_its_driver(vector: Vector) -> None:
    """The device of a vector leads to the driver that the vector is for, by some CI field."""
    device = identify(bytes.fromhex(vector["hex"]), link=vector["link"])
    assert str(device) == vector["device"]
    assert vector["driver"] in {driver.name for ci in range(256) if (driver := driver_of(device, ci))}


@by_name
def test_a_cut_vector_yields_nothing_of_its_own(vector: Vector) -> None:
    """Whatever is cut off behind, under a right length field, gives no reading that the whole telegram does not give."""
    if vector["link"] == "mbus":
        return
    raw, whole = bytes.fromhex(vector["hex"]), as_readings(read(vector))
    for size in range(1, len(raw)):
        try:
            part = as_readings(read(vector, bytes([size - 1]) + raw[1:size]))
        except DecodeError:
            continue
        assert all(reading in whole for reading in part), size


def test_the_page_of_meters_says_whom_each_driver_is_for() -> None:
    """docs/meters.md: versions and types of each driver, and the CI fields of those that need one, in hex as in a device's id; no row is of another driver."""

    def hexes(values: Iterable[int]) -> str:
        return " ".join(f"{value:02X}" for value in values) or "any"

    page = (ROOT / "docs" / "meters.md").read_text(encoding="utf-8")
    rows = [row.strip("| ").split(" | ") for row in page.split("\n## ")[0].splitlines() if row.startswith("| ")][1:]
    assert {row[0]: row[3:] for row in rows} == {
        driver.name: [", ".join(f"{hexes(make.versions)} / {hexes(make.types)}" for make in driver.makes), hexes(sorted(driver.cis))]
        for driver in drivers()
    }


def test_names_are_unique() -> None:
    """A driver's name is its identity in lists."""
    names = [driver.name for driver in drivers()]
    assert len(names) == len(set(names))


def test_no_two_drivers_claim_the_same_telegrams() -> None:
    """Manufacturer, version, type and CI field lead to one driver of ours."""
    claimed: set[tuple[object, ...]] = set()
    for driver in drivers():
        for make in driver.makes:
            for claim in product(make.manufacturers.split(), make.versions or (None,), make.types or (None,), driver.cis or (None,)):
                assert claim not in claimed, (driver.name, claim)
                claimed.add(claim)


def flag_tables(driver: Driver) -> Iterator[Bits | Codes]:
    """Every table of flags of a driver."""
    yield from (one.flags for one in (*all_fields(driver), *driver.rules) if one.flags)
    yield from [driver.status] if driver.status else []


def all_fields(driver: Driver) -> Iterator[Field]:
    """Every field of a driver's tables."""
    for layout in driver.layouts:
        yield from layout.fields
        yield from (field for row in (layout.tags.fields.values() if layout.tags else ()) for field in row)


@by_driver
def test_a_driver_speaks_the_vocabulary(driver: Driver) -> None:
    """Flags are those of the table; rules name attributes of records; a register's unit has a factor to the dictionary's."""
    words = {word.removesuffix("_earlier") for table in flag_tables(driver) for word in table.names.values()} - {""}
    attributes = set(Record._fields)
    assert words <= FLAGS.keys()
    assert all({*rule.where, *rule.to} <= attributes for rule in driver.rules)
    for field in all_fields(driver):
        units = DAYS if field.quantity == "battery_days" else UNITS
        assert field.quantity not in DICTIONARY or not field.unit or field.unit in units, field


@by_driver
def test_a_flag_is_one_bit_and_has_one_name(driver: Driver) -> None:
    """In each table of bits; several bits at once are only kept quiet. None is beyond its field."""
    for table in flag_tables(driver):
        if isinstance(table, Bits):
            assert all(mask.bit_count() == 1 for mask, word in table.names.items() if word)
            assert sum(table.names) == sum(1 << bit for bit in range(64) if sum(table.names) >> bit & 1)
    for field in all_fields(driver):
        if field.flags:
            assert all(0 < value < 1 << 8 * field.size for value in field.flags.names)


def test_lines_show_what_drivers_read() -> None:
    """`decode --jsonl` lists the records of drivers and the flags; an eight-byte key opens the Diehl group's own cipher."""
    vector = next(one for one in VECTORS if one["name"] == "izar, key of its own")
    answer = decode_line(json.dumps({"id": "x", "telegram_hex": vector["hex"], "key_hex": vector["key"]}))
    assert [(one["value"], one["timestamp"]) for one in answer["readings"] if one["quantity"] == "volume"] == [(123.456, None), (120, "2024-03-31")]
    assert "flags" not in answer
    flagged = next(one for one in VECTORS if one["driver"] == "tsd2")
    assert decode_line(json.dumps({"id": "x", "telegram_hex": flagged["hex"]}))["flags"] == ["smoke"]


MADE_UP = dedent(
    """
    from fractions import Fraction
    from submeter.decoders.codings import unsigned_be
    from submeter.decoders.driver import Bits, Driver, Field, Layout, Make

    DRIVERS = (
        Driver(
            name="pondmeter",
            about="a made-up water meter",
            makes=(Make("PND", types=(0x07,)),),
            cis=frozenset((0xA7,)),
            layouts=(
                Layout(
                    (Field(1, 3, "volume", unsigned_be, Fraction(1, 100)), Field(0, 1, "status_flags", flags=Bits({1: "leak", 2: "dry_earlier"}))),
                    size=4,
                    guard=((0, 0xF0, 0x50),),
                ),
            ),
        ),
    )
    """
)


def decoded(tmp_path: Path, raw: bytes) -> dict[str, Any]:
    """What a process of its own, with this folder's packages, makes of a telegram."""
    line = json.dumps({"id": "x", "telegram_hex": raw.hex()})
    paths = os.pathsep.join((str(tmp_path), str(ROOT)))
    command = [sys.executable, "-m", "submeter", "decode", "--jsonl"]
    done = subprocess.run(command, input=line, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": paths}, cwd=tmp_path)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_adding_a_meter_is_one_file(tmp_path: Path) -> None:
    """A package of somebody else's with one driver file and one entry point reads its meter; without it nobody does; a false guard is no reading."""
    raw = encode.radio(DeviceId("PND", "20000001", 1, 7), bytes.fromhex("a7 51 001122"))
    assert decoded(tmp_path, raw)["error"].startswith("unknown_driver")
    (tmp_path / "pondmeter.py").write_text(MADE_UP)
    (tmp_path / "pondmeter-1.dist-info").mkdir()
    (tmp_path / "pondmeter-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: pondmeter\nVersion: 1\n")
    (tmp_path / "pondmeter-1.dist-info" / "entry_points.txt").write_text("[submeter.meters]\npond = pondmeter:DRIVERS\n")
    answer = decoded(tmp_path, raw)
    assert [(one["quantity"], one["value"], one["unit"]) for one in answer["readings"]] == [("volume", 43.86, "m3"), ("status_flags", 81, "bits")]
    assert decoded(tmp_path, raw[:-4] + b"\x60\x00\x00\x01")["error"].startswith("unknown_driver")
