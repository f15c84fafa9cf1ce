"""Every byte of a telegram is told, once, whatever the telegram."""

import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from submeter.cli import app
from submeter.decoders import DES_CBC, FormatKey, Profile, decode
from submeter.decoders.crc import crc16
from submeter.decoders.explain import Row, explain
from submeter.reading import DeviceId
from submeter.simulate import encode

KEY = bytes.fromhex("71e0d3289bf54a06c8927d1e35fa6b40")
METER = DeviceId("STM", "84000001", 0x11, 0x04)
HEADER = encode.Header(access=77, status=0x0C)
LONG = encode.Header(access=77, address=METER)
RECORDS = (
    encode.integer(b"\x06", 51234, 4)
    + encode.FILLER
    + encode.bcd(b"\x14", 87654, 8, encode.Slot(storage=1))
    + encode.day(date(2025, 12, 31), encode.Slot(storage=1))
    + encode.text(b"\xfd\x0c", "abc")
    + encode.void(b"\x5b", 2)
    + b"\x2f\x0f\x01\x02"
)
PLAIN = encode.radio(METER, encode.plain(RECORDS, HEADER))
AES = Profile(KEY)
VECTORS = [row for file in sorted((Path(__file__).parents[1] / "vectors" / "meters").glob("*.json")) for row in json.loads(file.read_text())]


def told(
    raw: bytes, profile: Profile | None, link: str = "wmbus", form: str = "auto", formats: dict[FormatKey, bytes] | None = None
) -> tuple[Row, ...]:
    """The rows of a telegram."""
    return explain(raw, lambda _: profile, link=link, form=form, formats=formats)


def covered(rows: tuple[Row, ...]) -> list[bytes]:
    """The bytes of consecutive rows joined, a new piece wherever counting starts from 0 again."""
    pieces: list[bytes] = []
    for row in (row for row in rows if row.data and "CRC of block" not in row.what):
        if row.at == 0:
            pieces.append(b"")
        assert row.at == len(pieces[-1]), row
        pieces[-1] += row.data
    return pieces


@pytest.mark.parametrize("header", [None, HEADER, LONG])
def test_each_byte_of_a_plain_telegram_has_its_row(header: encode.Header | None) -> None:
    """In order, without gaps, with and without link CRCs, with an extended link layer in front and receiver's bytes behind."""
    body = encode.plain(RECORDS, header)
    for bare in (encode.radio(METER, body), encode.radio(METER, encode.extended(body, access=3))):
        assert covered(told(bare, Profile())) == [bare]
        assert covered(told(encode.format_a(bare), Profile())) == [bare]
        assert [row.what for row in told(encode.format_b(bare), Profile()) if "CRC" in row.what] == ["CRC of block 1, right"]
        (tail,) = (row for row in told(bare, Profile()) if row.what == "DIF: manufacturer data to the end")
        assert (tail.data, bare[tail.at :]) == (b"\x0f", b"\x0f\x01\x02")
        (behind,) = (row for row in told(bare + b"\x99", Profile(), form="trailing") if row.at == len(bare))
        assert (behind.data, behind.layer) == (b"\x99", "link")


def test_the_wire_is_told_too() -> None:
    """Idle bytes, start, checksum and end; the old fixed structure."""
    for body in (encode.plain(RECORDS, LONG), bytes.fromhex("73 78563412 0a00 05e9 64000000 03000000")):
        raw = b"\xff" + encode.wired(body) + b"\xe5"
        rows = sorted((row for row in told(raw, Profile(mode=0), "mbus") if row.data), key=lambda row: row.at)
        parts = {row.what for row in rows}
        assert {"checksum, right", "end", "behind the frame"} <= parts
        assert sum(len(row.data) for row in rows) >= len(raw) - 8


@pytest.mark.parametrize(
    ("raw", "profile", "inside"),
    [
        (encode.radio(METER, encode.mode5(RECORDS, HEADER, KEY, METER)), AES, b"\x2f\x2f" + RECORDS),
        (encode.radio(METER, encode.mode7(RECORDS, HEADER, KEY, METER, counter=1234)), AES, b"\x2f\x2f" + RECORDS),
        (encode.radio(METER, encode.mode2(RECORDS, HEADER, KEY[:8])), Profile(KEY[:8], mode=DES_CBC), b"\x2f\x2f" + RECORDS),
        (
            encode.radio(METER, encode.extended_ctr(encode.plain(RECORDS, HEADER), KEY, METER, access=1, session=33)),
            AES,
            encode.plain(RECORDS, HEADER),
        ),
    ],
)
def test_what_was_encrypted_is_told_as_sent_and_as_read(raw: bytes, profile: Profile, inside: bytes) -> None:
    """The frame as it came, then what it held; without the key the frame alone, and why. The key is in no row."""
    sent, read = covered(told(raw, profile))
    assert sent == raw
    assert read.startswith(inside)
    rows = told(raw, Profile())
    assert rows[-1].layer == "refused"
    assert raw.startswith(covered(rows)[0])
    assert not any(KEY[:8].hex() in row.what for row in (*rows, *told(raw, profile)))


def test_the_counter_and_the_status_are_words() -> None:
    """Fields that a person looks for."""
    text = " ".join(row.what for row in told(encode.radio(METER, encode.mode7(RECORDS, HEADER, KEY, METER, counter=1234)), AES))
    for word in (
        "message counter 1234",
        "power low, permanent error",
        "mode 7",
        "id 84000001",
        "energy = 51234 kWh",
        "storage 1",
        "no value",
        "filler",
    ):
        assert word in text


def test_the_configuration_counts_what_is_encrypted() -> None:
    """Blocks of sixteen bytes in modes 5 and 7, bytes in mode 2, nothing in others; a mode without a name is told by its number."""
    for mode, count, said in (
        (5, 0x30, "3 blocks of 16 bytes"),
        (7, 0x20, "2 blocks of 16 bytes"),
        (2, 0x1F, "24 bytes"),
        (0, 0x30, None),
        (29, 0x30, None),
    ):
        body = bytes([0x7A, 1, 0, count, mode]) + bytes(48)
        (row,) = (row.what for row in told(encode.radio(METER, body), Profile()) if row.what.startswith("configuration"))
        assert row.startswith(f"configuration: mode {mode}, ")
        assert row.split(", ")[2:] == ([said] if said else []), row


def test_a_compact_frame_is_told_as_it_came_and_as_it_was_built() -> None:
    """Signature, CRC and data; then the full frame, where its format is known."""
    records = encode.integer(b"\x06", 51234, 4) + encode.integer(b"\x14", 1, 4)
    formats: dict[FormatKey, bytes] = {}
    decode(encode.radio(METER, encode.plain(records, None)), lambda _: Profile(), formats=formats)
    raw = encode.radio(METER, encode.compact(records))
    assert covered(told(raw, Profile(), formats=formats)) == [raw, records]
    assert told(raw, Profile())[-1].what.startswith("unknown_driver")


def test_what_cannot_be_read_is_told_as_far_as_it_goes() -> None:
    """No frame, a cut record, a stranger, a service without readings: the reason is the last row."""
    assert told(b"\x01\x02", Profile())[-1].what.startswith("bad_frame")
    assert told(b"", None)[-1].what.startswith("bad_frame")
    cut = encode.radio(METER, encode.plain(RECORDS[:4], HEADER))
    assert covered(told(cut, Profile())) == [cut]
    assert told(cut, Profile())[-1] == Row(0, b"", "refused", "bad_frame")
    assert any(row.what == "not readable as a record" and row.data == cut[-len(RECORDS[:4]) :] for row in told(cut, Profile()))
    assert told(PLAIN, None)[-1].what.startswith("unknown_meter")
    assert told(encode.radio(METER, b"\x6e\x00\x00"), Profile())[-1].what.startswith("rejected")


@pytest.mark.parametrize("row", VECTORS, ids=[row["name"] for row in VECTORS])
def test_drivers_payloads_are_told_by_their_tables(row: dict[str, Any]) -> None:
    """Every byte of each driver's vector is told, fields that share bytes more than once."""
    key = bytes.fromhex(row["key"]) if row.get("key") else None
    rows = told(bytes.fromhex(row["hex"]), Profile(key, whole=False), row["link"], row["form"])
    frame = [one for one in rows if one.data and "CRC of block" not in one.what]
    pieces = [at for at, one in enumerate(frame) if one.at == 0] or [0]
    sent = frame[: pieces[1]] if len(pieces) > 1 else frame
    places = {at for one in sent for at in range(one.at, one.at + len(one.data))}
    assert places == set(range(len(places)))
    assert len(places) == max(one.at + len(one.data) for one in sent)
    assert all(set(one.data) == {0x2F} for one in rows if one.what == "filler")


def test_an_address_in_the_extended_link_layer_and_a_reported_error_are_told() -> None:
    """Extended link layer III names the partner; a record may hold an error in place of a value."""
    partner = encode.radio(DeviceId("STM", "84000002", 1, 7), b"\x78")[2:10]
    raw = encode.radio(METER, b"\x8e\x80\x05" + partner + encode.plain(bytes.fromhex("04941500000000"), None))
    rows = told(raw, Profile())
    assert covered(rows) == [raw]
    text = " ".join(row.what for row in rows)
    assert all(word in text for word in ("control: bidirectional", "id 84000002", "no value: the meter reports no_data"))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(["wmbus", "mbus"]), st.integers(0, 2**32))
def test_nothing_makes_it_fail(noise: bytes, link: str, seed: int) -> None:
    """Any bytes, and any damage to good ones: rows, and no exception."""
    dice = random.Random(seed)
    body = bytearray(dice.choice([encode.plain(RECORDS, LONG), encode.mode7(RECORDS, HEADER, KEY, METER, counter=1), encode.compact(RECORDS[:12])]))
    body[dice.randrange(len(body))] = dice.randrange(256)
    for raw in (noise, encode.radio(METER, bytes(body[: dice.randrange(1, len(body))])), encode.wired(noise)):
        for profile in (None, Profile(), AES):
            assert told(raw, profile, link)


def test_the_command_prints_the_rows() -> None:
    """`submeter decode --explain`: offset, bytes, layer, meaning; the exit status is that of decode."""
    raw = encode.radio(METER, encode.mode5(RECORDS, HEADER, KEY, METER))
    result = CliRunner().invoke(app, ["decode", raw.hex(), "--key", KEY.hex(), "--explain"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert all(word in result.output for word in ("configuration: mode 5", "DIF: integer, 32 bits", "VIF: energy", "51234 kWh"))
    assert CliRunner().invoke(app, ["decode", raw.hex(), "--explain"]).exit_code == 1
    assert CliRunner().invoke(app, ["decode", "zz", "--explain"]).exit_code == 1


def test_an_unencrypted_session_is_told_to_its_end() -> None:
    """An extended link layer with a session that says no encryption: its CRC is told as it is, and the records follow in clear."""
    body = encode.plain(RECORDS, HEADER)
    raw = encode.radio(METER, b"\x8d\x20\x05" + bytes(4) + encode.crc(body).to_bytes(2, "little") + body)
    rows = told(raw, None)
    assert any("session number" in row.what for row in rows)
    assert any(row.what == "access number 5" and row.data == b"\x05" for row in rows)
    assert not any("encrypted" in row.what for row in rows if "CRC of what follows" in row.what)


def test_a_declared_form_counts_also_in_the_rows() -> None:
    """A bare frame that ends like its own CRC and is declared bare is not told as format B."""
    unfinished = encode.radio(METER, encode.plain(RECORDS[:-4] + encode.integer(b"\x2b", 0, 2), HEADER))
    raw = unfinished[:-2] + crc16(unfinished[:-2]).to_bytes(2, "big")
    assert not any("frame format B" in row.what for row in told(raw, None, form="nocrc"))
