"""Vectors of the drivers (tests/vectors/meters/FAMILY.json): how they are read and what they compare.

`python tests/decoders/meter_vectors.py NAME DRIVER HEX [KEY]` prints a vector as it is decoded now; compare each value with what was encoded.
"""

import json
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from submeter.decoders import Profile, Record, Telegram, decode, identify
from submeter.decoders.records import FUNCTIONS
from submeter.reading import DeviceId, from_micro

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "meters"
Vector = dict[str, Any]


def vectors() -> list[Vector]:
    """Every vector of every family."""
    return [vector for path in sorted(FOLDER.glob("*.json")) for vector in json.loads(path.read_text(encoding="utf-8"))]


def read(vector: Vector, raw: bytes | None = None) -> Telegram:
    """Decode a vector, or other bytes as if they were it; only its own device is known."""
    profile = Profile(bytes.fromhex(vector["key"]) if vector["key"] else None, vector.get("mode"))
    device = DeviceId.parse(vector["device"])
    whole = bytes.fromhex(vector["hex"]) if raw is None else raw
    return decode(whole, lambda found: profile if found == device else None, link=vector["link"], form=vector["form"])


def as_readings(telegram: Telegram) -> list[list[Any]]:
    """Register, value, instant, label, due of each reading."""
    return [
        [str(one.register), str(from_micro(one.value)), one.stamp.isoformat() if one.stamp else None, one.label, one.due]
        for one in telegram.readings
        if one.value is not None
    ]


def shown(telegram: Telegram) -> list[list[Any]]:
    """What the records say beside the readings: words (with function, tariff and subunit where there is one), value, unit, storage, instant."""
    return [
        [" ".join((one.quantity, *one.modifiers, *_place(one))), _text(one), one.unit, one.storage, one.stamp.isoformat() if one.stamp else None]
        for one in telegram.records
    ]


def _place(record: Record) -> Iterator[str]:
    yield from [FUNCTIONS[record.function]] * bool(record.function)
    yield from [f"t{record.tariff}"] * bool(record.tariff)
    yield from [f"s{record.subunit}"] * bool(record.subunit)


def _text(record: Record) -> str | None:
    value = record.value
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, date) else value.hex() if isinstance(value, bytes) else None if value is None else str(value)


def made(name: str, driver: str, raw: str, key: str | None = None) -> Vector:
    """A vector of a radio telegram, with what is decoded of it now."""
    vector = {"name": name, "driver": driver, "link": "wmbus", "form": "auto", "hex": raw, "key": key, "device": str(identify(bytes.fromhex(raw)))}
    telegram = read(vector)
    notes = {"notes": list(telegram.notes)} if telegram.notes else {}
    return {**vector, "status": list(telegram.status), "readings": as_readings(telegram), "records": shown(telegram), **notes}


if __name__ == "__main__":
    print(json.dumps([made(*sys.argv[1:])], indent=1, ensure_ascii=False))  # noqa: T201 - this is its answer
