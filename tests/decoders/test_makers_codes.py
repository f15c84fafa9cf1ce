"""Codes of manufacturers' own, each by its value: VIFEs of Schneider meters, the battery of BMeters (manufacturer layouts 12 and 7)."""

from decimal import Decimal

import pytest

from submeter.decoders import Profile, Record, decode
from submeter.reading import DeviceId
from submeter.simulate import encode

METER = DeviceId("SEC", "36000001", 0x13, 0x02)
PHASES = {1: "phase_l1", 2: "phase_l2", 3: "phase_l3"}
PLACES = {**PHASES, 4: "average", 5: "phase_l1_l2", 6: "phase_l2_l3", 7: "phase_l3_l1", 8: "average_between"}
SETTINGS = {
    0x10: "tariff_active", 0x21: "phases", 0x22: "wires", 0x23: "power_system", 0x28: "current_transformers", 0x29: "current_transformer_primary",
    0x2A: "current_transformer_secondary", **{code: f"setting_{code:02x}" for code in (0x25, 0x26, 0x27, *range(0x2B, 0x39))},
}  # fmt: skip


def records(text: str) -> tuple[Record, ...]:
    """The records of a Schneider telegram."""
    return decode(encode.radio(METER, encode.plain(bytes.fromhex(text), encode.Header(access=1))), lambda _: Profile()).records


@pytest.mark.parametrize(
    ("vif", "quantity", "words"),
    [("83ff", "energy", PHASES), ("aeff", "power", PHASES), ("fddcff", "current", {0: "average", **PHASES}), ("fdc9ff", "voltage", PLACES)],
)
def test_a_schneider_meter_says_where_it_measured(vif: str, quantity: str, words: dict[int, str]) -> None:
    """The last byte of the chain is the phase, or the phases between which; any other code leaves the mark of the manufacturer."""
    for code in range(9):
        (record,) = records(f"04{vif}{code:02x} 01000000")
        assert (record.quantity, record.modifiers) == (quantity, (words.get(code, "manufacturer"),)), code


def test_a_schneider_meter_tells_its_settings() -> None:
    """What was set or counted is shown under its name or number; codes that nobody knows stay bytes."""
    for code in {*range(0x0C, 0x40)} - {0x20, 0x24}:
        (record,) = records(f"04ff{code:02x} 07000000")
        wanted = (SETTINGS[code], 7) if code in SETTINGS else ("manufacturer", bytes((7, 0, 0, 0)))
        assert (record.quantity, record.value) == wanted, hex(code)


def test_a_hydrodigit_tells_its_battery_by_a_nibble() -> None:
    """Sixteen steps of the low nibble; the high one says nothing of it."""
    volts = ["3.7", "1.9", "2.1", "2.2", "2.3", "2.4", "2.5", "2.65", "2.8", "2.9", "3.05", "3.2", "3.35", "3.5", "3.7", "3.7"]
    for byte in range(256):
        raw = encode.radio(DeviceId("BMT", "36000002", 0x13, 0x07), bytes.fromhex(f"7a010000000c13214356000f01{byte:02x}"))
        (battery,) = (one for one in decode(raw, lambda _: Profile()).records if one.quantity == "battery_voltage")
        assert battery.value == Decimal(volts[byte & 0x0F]), hex(byte)
