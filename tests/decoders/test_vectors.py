"""Telegrams of our own making, whole: bytes in, readings out (tests/vectors/decode.json)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from submeter.decoders import BadFrame, DecodeError, Profile, Telegram, decode, dedup_key, identify
from submeter.reading import DeviceId, from_micro

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "vectors" / "decode.json").read_text(encoding="utf-8"))
by_name = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
#: Vectors whose every byte a CRC, a checksum or a code covers.
CHECKED = [vector for vector in VECTORS if vector["form"] in {"a", "b"} or vector["link"] == "mbus" or "code" in vector["name"]]


def read(vector: dict[str, Any], raw: bytes | None = None) -> Telegram:
    """Decode a vector, or other bytes as if they were it; only its own device is known."""
    key = bytes.fromhex(vector["key"]) if vector["key"] else None
    device = DeviceId.parse(vector["device"])
    return decode(
        bytes.fromhex(vector["hex"]) if raw is None else raw,
        lambda found: Profile(key) if found == device else None,
        link=vector["link"],
        form=vector["form"],
    )


def readings(telegram: Telegram) -> list[dict[str, Any]]:
    """The readings in the form of the vectors."""
    return [
        {
            "register": str(reading.register),
            "value": str(from_micro(reading.value)) if reading.value is not None else None,
            "at": reading.stamp.isoformat() if reading.stamp else None,
            "label": reading.label,
            "due": reading.due,
        }
        for reading in telegram.readings
    ]


@by_name
def test_a_telegram_gives_its_readings(vector: dict[str, Any]) -> None:
    """Device, status and every reading with value, instant and label are as the vector says."""
    telegram = read(vector)
    assert (str(telegram.device), list(telegram.status), readings(telegram)) == (vector["device"], vector["status"], vector["readings"])
    assert not telegram.suspect


@by_name
def test_identity_needs_no_key(vector: dict[str, Any]) -> None:
    """`identify` names the meter, not the adapter, and agrees with `decode`."""
    assert str(identify(bytes.fromhex(vector["hex"]), link=vector["link"], form=vector["form"])) == vector["device"]


def cut(raw: bytes, vector: dict[str, Any]) -> Iterator[bytes]:
    """Every shorter telegram whose envelope is right all the same: length, checksum."""
    if vector["link"] == "mbus":
        for size in range(3, len(raw) - 6):
            inner = raw[4 : 4 + size]
            yield bytes([0x68, size, size, 0x68]) + inner + bytes([sum(inner) & 0xFF, 0x16])
    else:
        for size in range(1, len(raw)):
            yield bytes([size - 1]) + raw[1:size]


@by_name
def test_a_cut_telegram_yields_no_reading_of_its_own(vector: dict[str, Any]) -> None:
    """Whatever is cut off behind, under a right envelope, gives nothing that the whole telegram does not give."""
    whole = readings(read(vector))
    for raw in cut(bytes.fromhex(vector["hex"]), vector):
        try:
            part = readings(read(vector, raw))
        except DecodeError:
            continue
        assert all(reading in whole for reading in part), raw.hex()


@pytest.mark.parametrize("vector", CHECKED, ids=[vector["name"] for vector in CHECKED])
def test_a_flipped_bit_yields_no_reading_of_its_own(vector: dict[str, Any]) -> None:
    """Under a CRC, a checksum or an authentication code no single flipped bit changes a reading."""
    whole, raw = readings(read(vector)), bytes.fromhex(vector["hex"])
    for bit in range(8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            part = readings(read(vector, bytes(damaged)))
        except DecodeError:
            continue
        assert part == whole, damaged.hex()


def test_receptions_of_one_telegram_share_a_key() -> None:
    """Hop and access part of the extended link layer do not count, nor do CRCs; another payload, or another meter, gives another key."""
    raw = bytes.fromhex(next(vector["hex"] for vector in VECTORS if "extended link layer, plain" in vector["name"]))
    repeated = raw[:11] + bytes([raw[11] | 0x10, raw[12] + 1]) + raw[13:]
    assert dedup_key(raw) == dedup_key(repeated)
    assert len({dedup_key(raw), dedup_key(raw[:-1] + b"\x00"), dedup_key(raw[:4] + b"\x99" + raw[5:])}) == 3
    assert len(dedup_key(raw)) == 16
    with pytest.raises(BadFrame):
        dedup_key(raw[:-1])
