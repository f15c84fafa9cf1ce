"""The encoder against the worked examples and the published telegrams; the decoder's own round trip is in test_roundtrip."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest

from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.encode import Header, Slot

METER = DeviceId("SIM", "10203040", 1, 0x16)


def rows(shared: Path, name: str) -> Iterator[dict]:
    """The rows of one corpus file."""
    yield from map(json.loads, (shared / "corpus" / name).read_text().splitlines())


def link(raw: bytes) -> DeviceId:
    """The address of a stripped frame."""
    word = int.from_bytes(raw[2:4], "little")
    letters = "".join(chr(0x40 + (word >> shift & 31)) for shift in (10, 5, 0))
    return DeviceId(letters, raw[4:8][::-1].hex().upper(), raw[8], raw[9])


def test_crc_check_value():
    """The CRC of the ASCII digits is the published check value (protocol notes 2.1)."""
    assert encode.crc(b"123456789") == 0xC2B7


@pytest.mark.parametrize(("form", "build"), [("crcA", encode.format_a), ("crcB", encode.format_b)])
def test_formats_against_published_frames(shared, form, build):
    """Every published telegram in format A or B comes out of its stripped form byte for byte."""
    plain = {row["id"]: row["telegram_hex"] for name in ("wmbus.jsonl", "onair.jsonl") for row in rows(shared, name)}
    pairs = [(row["id"].rsplit("/", 1)[0], row["telegram_hex"]) for row in rows(shared, "crc.jsonl") if row["frame_format"] == form]
    checked = [(build(bytes.fromhex(plain[base])), bytes.fromhex(expected)) for base, expected in pairs if base in plain]
    assert len(checked) >= 60
    assert all(built == expected for built, expected in checked)


def test_long_format_b_has_two_checks():
    """A frame of more than 126 bytes gets a second CRC, and L counts both."""
    frame = encode.format_b(encode.radio(METER, bytes(range(150))))
    assert frame[0] == len(frame) - 1 == 10 + 150 + 4 - 1
    assert encode.crc(frame[:126]) == int.from_bytes(frame[126:128], "big")
    assert encode.crc(frame[128:-2]) == int.from_bytes(frame[-2:], "big")


def test_radio_frame_carries_the_address():
    """L, C, manufacturer, id, version and type stand where EN 13757-4 puts them."""
    frame = encode.radio(METER, b"\x78")
    assert frame[0] == len(frame) - 1
    assert link(frame) == METER


def test_wired_checksum():
    """A long frame repeats L and ends in the sum of its bytes from C on."""
    frame = encode.wired(encode.plain(encode.bcd(b"\x06", 1234, 8), Header(address=METER)), address=5)
    assert frame[:4] == bytes([0x68, len(frame) - 6, len(frame) - 6, 0x68])
    assert frame[4:6] == b"\x08\x05"
    assert frame[-2:] == bytes([sum(frame[4:-2]) & 0xFF, 0x16])


def test_mode5_against_published_telegrams(shared):
    """Mode 5 on the plain telegram gives the encrypted one byte for byte, for every short or long header without other layers."""
    plain = {row["id"]: bytes.fromhex(row["telegram_hex"]) for row in rows(shared, "wmbus.jsonl")}
    checked = 0
    for row in rows(shared, "onair.jsonl"):
        if row["onair"] != "tpl5" or row["ci_chain"] not in (["7A"], ["72"]):
            continue
        source, air = plain[row["derived_from"]], bytes.fromhex(row["telegram_hex"])
        start, long = 10, row["ci_chain"] == ["72"]
        header = 5 if not long else 13
        address = link(b"\0\0" + air[15:17] + air[11:15] + air[17:19]) if long else None
        blocks = air[start + header - 2] >> 4
        secret = source[start + header + 2 : start + header + 16 * blocks]
        if source[start + header : start + header + 2] != b"\x2f\x2f" or len(air) != start + header + 16 * blocks:
            continue
        built = encode.mode5(secret, Header(*air[start + header - 4 : start + header - 2], address), bytes.fromhex(row["key_hex"]), link(air))
        assert built[header:] == air[start + header :], row["id"]
        checked += 1
    assert checked >= 10


def test_mode7_against_published_telegrams(shared):
    """AFL, derived keys, MAC and encryption reproduce a published telegram's mode 7 form byte for byte (5.2, 5.3)."""
    plain = {row["id"]: bytes.fromhex(row["telegram_hex"]) for row in rows(shared, "wmbus.jsonl")}
    row = next(row for row in rows(shared, "onair.jsonl") if row["id"] == "wmb/fiowater/000/enc")
    air, source = bytes.fromhex(row["telegram_hex"]), plain[row["derived_from"]]
    afl = 13
    counter = int.from_bytes(air[afl + 5 : afl + 9], "little")
    records = source[source.index(b"\x2f\x2f") + 2 :]
    header = Header(air[afl + 18], air[afl + 19])
    body = encode.mode7(records, header, bytes.fromhex(row["key_hex"]), link(air), counter=counter)
    built = encode.radio(link(air), encode.extended(body, control=air[11], access=air[12]))
    assert built == air


def test_extended_ctr_against_published_telegram(shared):
    """The extended link layer's AES-CTR reproduces a published telegram byte for byte (section 3)."""
    plain = {row["id"]: bytes.fromhex(row["telegram_hex"]) for row in rows(shared, "wmbus.jsonl")}
    row = next(row for row in rows(shared, "onair.jsonl") if row["id"] == "wmb/em24/000/enc")
    air, source = bytes.fromhex(row["telegram_hex"]), plain[row["derived_from"]]
    session = int.from_bytes(air[13:17], "little") & 0x1FFFFFFF
    body = encode.extended_ctr(source[19:], bytes.fromhex(row["key_hex"]), link(air), access=air[12], control=air[11], session=session)
    assert encode.radio(link(air), body) == air


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (encode.bcd(b"\x13", 12345678, 8), "0C13 78563412"),
        (encode.bcd(b"\x5a", -40, 6), "0B5A 4000F0"),
        (encode.integer(b"\x13", -2, 4, Slot(storage=8)), "840413 FEFFFFFF"),
        (encode.integer(b"\x06", 1, 2, Slot(storage=1, tariff=5, subunit=1)), "C2 D0 10 06 0100"),
        (encode.integer(b"\x2b", 9, 3, Slot(function=1)), "132B 090000"),
        (encode.real(b"\x2b", 1.5), "052B 0000C03F"),
        (encode.absent(b"\x13"), "0013"),
        (encode.void(b"\x5a", 2), "025A 0080"),
        (encode.text(b"\xfd\x11", "abc"), "0DFD11 03 636261"),
        (encode.day(date(2026, 12, 31), Slot(storage=1)), "426C 5F3C"),
        (encode.minute(datetime(2026, 11, 21, 10, 5), summer=True), "046D 05AA 553B"),
        (encode.minute(datetime(2026, 11, 21, 10, 5), invalid=True), "046D 852A 553B"),
        (encode.second(datetime(2026, 11, 21, 10, 5, 33)), "066D 2105CA 553B 00"),
    ],
)
def test_record_bytes(record, expected):
    """Each coding gives the bytes that EN 13757-3 says."""
    assert record.hex() == bytes.fromhex(expected).hex()


@pytest.mark.parametrize(
    "overflow",
    [
        lambda: encode.bcd(b"\x13", 10**8, 8),
        lambda: encode.bcd(b"\x13", -(10**7), 8),
        lambda: encode.text(b"\xfd\x11", "x" * 192),
        lambda: encode.dib(4, Slot(storage=1 << 41)),
        lambda: encode.radio(METER, bytes(247)),
        lambda: encode.format_b(bytes(253)),
        lambda: encode.wired(bytes(254)),
        lambda: encode.mode5(bytes(239), Header(), bytes(16), METER),
    ],
)
def test_what_does_not_fit_is_refused(overflow):
    """The encoder never cuts a value or a frame."""
    with pytest.raises(ValueError, match=r"fit|characters|DIFEs"):
        overflow()
