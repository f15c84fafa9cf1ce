"""What the drivers of BFW, BMeters and Qundis refuse or leave alone: payloads of another form must not pass as records."""

import pytest
from meter_vectors import vectors

from submeter.decoders import BadFrame, DecodeError, Downgrade, Profile, Telegram, UnknownDriver, UnknownMode, WrongKey, decode
from submeter.reading import DeviceId
from submeter.simulate import encode

BFW = DeviceId("BFW", "33000009", 0x02, 0x08)
CLIMA = DeviceId("BMP", "34000019", 0x53, 0x08)
DIGIT = DeviceId("BMT", "34000020", 0x13, 0x07)
MASKED = next(vector for vector in vectors() if vector["name"] == "rfmtx1, row 5")
WALK_BY = next(vector for vector in vectors() if vector["name"] == "qundis, walk-by water: differences of ten litres")
PLAIN = "7a 01 00 0000"


def heard(device: DeviceId, body: str, profile: Profile | None = None) -> Telegram:
    """Decode a radio frame with this body."""
    return decode(encode.radio(device, bytes.fromhex(body)), lambda _: profile or Profile())


def masked(at: int, change: str) -> Telegram:
    """The masked telegram with other bytes at this place of its body."""
    body = bytes.fromhex(MASKED["hex"])[10:].hex()
    return heard(DeviceId.parse(MASKED["device"]), body[: 2 * at] + change + body[2 * at + len(change) :])


@pytest.mark.parametrize(
    "payload",
    [
        "2f2f 0413 01000000",
        "2f2f 001f 04b30136 152a" + "00" * 27 + "3002",
        "2f2e 001f 04b30136 152a" + "00" * 27 + "290224",
        "2f2f 001f 04b30136 152a" + "00" * 27 + "300224",
        "2f2f 001f 04b30136 152a" + "00" * 27 + "2f0224",
    ],
)
def test_a_bfw_payload_of_another_form_is_no_records(payload: str) -> None:
    """Too short, another head, a date that cannot be: refused, not read by DIF and VIF."""
    with pytest.raises(BadFrame):
        heard(BFW, f"{PLAIN} {payload}")


def test_a_hydroclima_tail_without_records_is_kept() -> None:
    """The variant whose values stand in the tail alone waits for a driver."""
    with pytest.raises(UnknownDriver):
        heard(CLIMA, f"{PLAIN} 046d1e0a4934 0f 10" + "00" * 23)


def test_hydrodigit_blocks_that_are_cut() -> None:
    """Whole blocks are read, the first one that runs over the end stops the walk and is told; the records stay."""
    telegram = heard(DIGIT, f"{PLAIN} 0c1321435600 0f 05 0a 0100")
    assert [str(one.register) for one in telegram.readings] == ["volume", "battery_voltage"]
    assert telegram.notes == ("byte 2: block 04h runs over the end",)


def test_months_without_a_clock_have_no_instant() -> None:
    """They are shown, and are no readings."""
    telegram = heard(DIGIT, f"{PLAIN} 0c1321435600 0f 10" + "010000" * 12)
    assert [str(one.register) for one in telegram.readings] == ["volume"]
    assert sum(one.quantity == "volume" for one in telegram.records) == 13


@pytest.mark.parametrize(
    ("at", "change", "error"),
    [
        (8, "ffffffff", WrongKey),
        (18, "300510220024", WrongKey),
        (18, "3a0510220524", WrongKey),
        (4, "16", UnknownMode),
        (3, "0710", UnknownMode),
    ],
)
def test_a_masked_total_has_only_its_digits_and_its_clock(at: int, change: str, error: type[DecodeError]) -> None:
    """Other digits, a clock that cannot be, another configuration word: no reading."""
    with pytest.raises(error):
        masked(at, change)


def test_a_masked_total_that_is_cut() -> None:
    """Without its clock it is not believed."""
    with pytest.raises(BadFrame):
        heard(DeviceId.parse(MASKED["device"]), bytes.fromhex(MASKED["hex"])[10:30].hex())


def test_a_mask_protects_nothing() -> None:
    """Such a telegram is plain: a device with a key does not speak so."""
    raw = bytes.fromhex(MASKED["hex"])
    with pytest.raises(Downgrade):
        decode(raw, lambda _: Profile(bytes(16)))
    assert decode(raw, lambda _: Profile(bytes(16), 0)).mode == 0


def test_a_damaged_walk_by_telegram_is_shown_and_not_believed() -> None:
    """The data set before the damage is shown; no reading comes of a telegram that is cut."""
    telegram = heard(DeviceId.parse(WALK_BY["device"]), bytes.fromhex(WALK_BY["hex"])[10:-3].hex())
    assert telegram.suspect
    assert not telegram.readings
    assert "volume" in {one.quantity for one in telegram.records}


#: Bytes behind each tag of the Apator at-wmbus-16-2 (manufacturer layouts 1.1).
TAGS = {
    1: "a2 a5 a9 af", 2: "11 41 43 a7 a8 aa ab ac ad b4", 3: "01 44 a6 b6 b7 b8 b9 ba bb bc bd be bf c0 c1 c2 c3 c4 c5 c6 c7 d0 d3", 4: "00 42 a0 a1 a4 f0",
    5: "b0", 6: "40 8b 8c", 7: "8e a3", 8: "b1 b3", 9: "8a 71", 10: "80 81 82 83 84 86 87", 11: "85 88 8f", 13: "72", 16: "b2 b5", 17: "73", 21: "74",
    25: "75", 29: "76", 33: "77", 37: "78", 41: "79", 45: "7a", 49: "7b", 53: "7c",
}  # fmt: skip


def test_each_tag_of_an_apator162_has_its_length() -> None:
    """The total behind any register is found; behind a tag that is not known nothing is guessed."""
    lengths = {int(tag, 16): size for size, tags in TAGS.items() for tag in tags.split()} | {0x10: 4}
    for tag in {*range(0xFF)} - {0x10}:
        registers = f"{tag:02x}" + "00" * lengths.get(tag, 4) + "10 40e20100"
        told = heard(DeviceId("APA", "35000001", 0x05, 0x07), f"{PLAIN} 0f 00000000000000 {registers} ffff 0000")
        totals = [one.value for one in told.readings if one.label == "now" and one.value]
        assert totals == ([123_456_000] if tag in lengths else []), hex(tag)
