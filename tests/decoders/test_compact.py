"""Compact frames: formats learnt from full frames, and the CRC of the full frame built again."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from submeter.cli.decode import decode_line
from submeter.decoders import BadFrame, FormatKey, Formats, Profile, Telegram, UnknownDriver, decode
from submeter.decoders.compact import MOST, SHIPPED
from submeter.reading import DeviceId
from submeter.simulate import encode

KEY = bytes.fromhex("5c01e7a94d38f26b90b4d1127fae6830")
METER = DeviceId("STM", "81000001", 0x21, 0x04)
RECORDS = encode.integer(b"\x06", 1234, 4) + encode.integer(b"\x14", 5678, 4) + encode.text(b"\xfd\x0c", "T1") + encode.integer(b"\x2d", 7, 2)
LATER = encode.integer(b"\x06", 1240, 4) + encode.integer(b"\x14", 5700, 4) + encode.text(b"\xfd\x0c", "T22") + encode.integer(b"\x2d", 9, 2)
FULL = encode.radio(METER, encode.plain(RECORDS, None))
PLAIN = Profile()


def heard(raw: bytes, formats: Formats | None = None, profile: Profile = PLAIN) -> Telegram:
    """Decode under a profile with what is known of formats."""
    return decode(raw, lambda _: profile, formats=formats)


def taught(full: bytes = FULL, profile: Profile = PLAIN) -> Formats:
    """What one full frame teaches."""
    formats: dict[FormatKey, bytes] = {}
    heard(full, formats, profile)
    return formats


@pytest.mark.parametrize("header", [None, encode.Header(access=4), encode.Header(access=4, address=METER)])
def test_a_compact_frame_says_what_its_full_frame_would(header: encode.Header | None) -> None:
    """With any transport header, text of another length included, once a full frame of the kind was heard."""
    compact = heard(encode.radio(METER, encode.compact(LATER, header)), taught())
    full = heard(encode.radio(METER, encode.plain(LATER, None)))
    assert compact.readings == full.readings != ()
    assert compact.records == full.records


def test_encrypted_compact_frames_open_like_full_ones() -> None:
    """Inside the extended link layer, and inside mode 5 with its check bytes and filler around."""
    profile = Profile(KEY)
    formats = taught(encode.radio(METER, encode.extended_ctr(encode.plain(RECORDS, None), KEY, METER, access=1, session=16)), profile)
    sealed = encode.extended_ctr(encode.compact(LATER), KEY, METER, access=2, session=17)
    wanted = heard(encode.radio(METER, encode.plain(LATER, None))).readings
    assert heard(encode.radio(METER, sealed), formats, profile).readings == wanted
    inner = encode.compact(LATER)[1:]
    mode5 = b"\x7b" + encode.mode5(inner, encode.Header(access=2), KEY, METER)[1:]
    assert heard(encode.radio(METER, mode5), formats, profile).readings == wanted


def test_an_unknown_format_waits() -> None:
    """Without its full frame, or with that of another kind of meter, the frame is kept for later and named."""
    raw = encode.radio(METER, encode.compact(RECORDS))
    other = DeviceId("STM", "81000001", 0x22, 0x04)
    for formats in (None, {}, taught(encode.radio(other, encode.plain(RECORDS, None)))):
        with pytest.raises(UnknownDriver, match=r"format [0-9A-F]{4}h"):
            heard(raw, formats)


def test_damage_gives_no_reading() -> None:
    """One flipped bit anywhere in the CRC or the data: the full frame's CRC tells."""
    good = encode.radio(METER, encode.compact(RECORDS))
    for at in range(13, len(good)):
        raw = bytearray(good)
        raw[at] ^= 0x04
        telegram = heard(bytes(raw), taught())
        assert (telegram.readings, telegram.reason) == ((), "bad_frame")


def test_a_cut_frame_gives_no_reading() -> None:
    """Cut anywhere: suspect, or not a telegram."""
    body = encode.compact(RECORDS)
    for end in range(1, len(body)):
        with suppress(BadFrame):
            assert heard(encode.radio(METER, body[:end]), taught()).readings == ()


def test_a_wrong_format_is_found_out() -> None:
    """Another format under the same signature does not pass the CRC, and a shipped one that does is taken in its place."""
    key = next(iter(taught()))
    assert heard(encode.radio(METER, encode.compact(RECORDS)), {key: bytes.fromhex("04130406")}).suspect
    shipped = encode.integer(b"\xff\x20", 0, 2) + encode.integer(b"\x13", 4711, 4) + encode.integer(b"\x13", 4000, 4, encode.Slot(storage=1))
    signature = encode.crc(bytes.fromhex("02ff2004134413"))
    wrong = {("STM", 0x21, 0x04, signature): b"\x04\x06"}
    assert heard(encode.radio(METER, encode.compact(shipped)), wrong).readings[0].value == 4_711_000


def test_published_formats_are_known_from_the_start() -> None:
    """Each stands under the signature that its headers give."""
    published = "A8ED C412 0905 36D4 61EB D2F7 DD34 7C0E A9F3 B34D E7A2 8400 F1E7 52C2 AE5A 73DE 8C13 2274 052D"
    assert sorted(SHIPPED) == sorted(int(signature, 16) for signature in published.split())


def test_only_whole_telegrams_teach() -> None:
    """A cut frame, manufacturer data and a frame with more to follow teach nothing; a format once learnt stays; there is a bound."""
    for records in (RECORDS[:-1], RECORDS + b"\x0f\x01", RECORDS + b"\x1f", b""):
        assert taught(encode.radio(METER, encode.plain(records, None))) == {}
    formats = taught()
    (key,) = formats
    formats[key] = b"kept"
    heard(FULL, formats)
    assert formats == {key: b"kept"}
    many: dict[FormatKey, bytes] = {("XYZ", 0, 0, number): b"" for number in range(MOST)}
    heard(FULL, many)
    assert len(many) == MOST


def test_a_line_may_bring_the_full_frame_along() -> None:
    """`decode --jsonl` learns from `prior_telegrams_hex`, and is not disturbed by what is none."""
    compact = encode.radio(METER, encode.compact(LATER)).hex()
    row = {"id": 1, "telegram_hex": compact, "key_hex": None, "prior_telegrams_hex": ["00", FULL.hex()]}
    assert decode_line(json.dumps(row))["readings"][0]["value"] == 1_240_000
    assert decode_line(json.dumps(row | {"prior_telegrams_hex": None}))["error"].startswith("unknown_driver")


def test_real_compact_frames(shared: Path) -> None:
    """All of the corpus pass their CRC, but the one that was edited by hand."""
    for name in ("wmbus", "onair"):
        lines = (shared / "corpus" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [row for row in map(json.loads, lines) if row["link"] == "wmbus" and row["ci_chain"][-1] in {"79", "7B", "73"}]
        assert len(rows) >= 8
        for row in rows:
            decrypted = bool(row["security"].get("already_plain"))
            answer = decode_line(json.dumps({**row, "frame_format": None, "decrypted": decrypted}))
            assert ("error" in answer) == row["id"].startswith("wmb/kamwater/006"), (row["id"], answer.get("error"))
