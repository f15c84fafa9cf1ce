"""Any bytes in, one typed outcome out."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submeter.decoders import DecodeError, Profile, Telegram, decode, dedup_key, identify
from submeter.decoders.fixed import read_fixed
from submeter.decoders.frame import FORMS
from submeter.decoders.records import walk
from submeter.reading import DeviceId
from submeter.simulate import encode

KEY = bytes(range(16))
METER = DeviceId("STM", "71000001", 0x05, 0x0D)
LARGEST = 10**16
some = settings(max_examples=300, deadline=None)
profiles = st.sampled_from([None, Profile(), Profile(KEY), Profile(KEY, whole=False), Profile(KEY, mode=7), Profile(b"short")])


def sane(telegram: Telegram) -> None:
    """No number or date that cannot have been in the frame."""
    for reading in telegram.readings:
        assert reading.value is not None
        assert abs(reading.value) <= LARGEST
        assert reading.stamp is None or 1981 <= reading.stamp.year <= 2099
    for record in telegram.records:
        assert not isinstance(record.value, Decimal) or record.value.is_finite()
        assert not isinstance(record.value, date) or 1900 <= record.value.year <= 2099
    assert not (telegram.suspect and telegram.readings)


def outcome(call: Callable[[], Any]) -> str:
    """The reason of a refusal, or what was made of the bytes."""
    try:
        found = call()
    except DecodeError as refusal:
        return refusal.reason
    if isinstance(found, Telegram):
        sane(found)
        return found.reason or "decoded"
    return "value"


@some
@given(st.binary(max_size=300), st.sampled_from(["wmbus", "mbus"]), st.sampled_from(["auto", *FORMS, "nonsense"]), profiles, st.booleans())
def test_any_bytes_are_a_telegram_or_a_reason(raw: bytes, link: str, form: str, profile: Profile | None, decrypted: bool) -> None:
    """No other exception leaves the package, whatever the bytes, the declared form and the profile."""
    outcome(lambda: decode(raw, lambda _: profile, link=link, form=form, decrypted=decrypted))
    outcome(lambda: identify(raw, link=link, form=form))
    outcome(lambda: dedup_key(raw, link=link, form=form))


ci = st.sampled_from([0x72, 0x7A, 0x78, 0x76, 0x73, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x79, 0xA0])


@some
@given(st.lists(ci, min_size=1, max_size=3).map(bytes), st.binary(max_size=120), profiles, st.booleans())
def test_any_body_in_a_good_frame_is_a_telegram_or_a_reason(head: bytes, rest: bytes, profile: Profile | None, decrypted: bool) -> None:
    """The same behind a link frame that is right, by radio and on the wire."""
    outcome(lambda: decode(encode.radio(METER, head + rest), lambda _: profile, decrypted=decrypted))
    outcome(lambda: decode(encode.wired(head + rest), lambda _: profile, link="mbus", decrypted=decrypted))


header = st.sampled_from(
    [
        bytes.fromhex(text)
        for text in ["0413", "0c06", "8404fd17", "4d78", "8d04ee13", "0d9313", "0dfd3b", "05fb2e", "2c7c", "046d", "426c", "04fc", "84ff", "0fff"]
    ]
)


@some
@given(st.lists(st.tuples(header, st.binary(max_size=9)), max_size=12).map(lambda parts: b"".join(head + data for head, data in parts)))
def test_any_records_are_walked_to_their_end(payload: bytes) -> None:
    """The walk takes any bytes, keeps what came before the damage, and says where it stopped."""
    found = walk(payload)
    assert found.broken is None or str(len(found.records) + 1) in found.broken
    outcome(lambda: decode(encode.radio(METER, encode.plain(payload, encode.Header())), lambda _: Profile()))
    outcome(lambda: read_fixed(payload))


#: Entries whose frame does hold a good number, although the entry is in the list for something else: readings allowed.
HOLDS_NUMBERS = frozenset(
    ["M031", "M047", "M048", "M049", "M052", "M059", "M060", "M114", "M115", "M123", "M133", "M134", "M158", "M159", "M160", "M163", "M183", "M208", "M214", "M215", "M216", "M217", "M218"]
)  # fmt: skip
ATTACK_KEY = bytes(range(16))
ATTACKED = DeviceId("SEN", "12345678", 0x68, 0x07)
#: Outcome of the attacks on the keyed meter; replays and regressions need the history of the meter, which the decoders do not have.
ATTACKS = {
    "M208": "decoded", "M209": "downgrade", "M210": "downgrade", "M211": "wrong_key", "M212": "unknown_mode", "M213": "unknown_mode",
    "M214": "decoded", "M219": "wrong_key", "M220": "bad_frame",
}  # fmt: skip


def malformed(shared: Path, *layers: str) -> list[dict[str, str]]:
    """Entries of the malformed set that enter at these layers."""
    lines = (shared / "reliability" / "malformed.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["layer"] in layers]


def test_malformed_frames_end_in_one_typed_outcome(shared: Path) -> None:
    """Each frame of the malformed set is decoded, or refused with a reason; readings come only from those that hold a good number."""
    rows = [row for row in malformed(shared, "mbus", "wmbus") if len(row["hex"]) % 2 == 0]
    assert len(rows) > 200
    for row in rows:
        raw, link = bytes.fromhex(row["hex"]), row["layer"]
        outcome(lambda raw=raw, link=link: decode(raw, profile_of, link=link))
        try:
            telegram = decode(raw, profile_of, link=link)
        except DecodeError:
            continue
        assert row["id"] in HOLDS_NUMBERS or {reading.register.name for reading in telegram.readings} <= {"status_flags"}, row["id"]


def profile_of(device: DeviceId) -> Profile:
    """The attacked meter has a key, all others are plain."""
    return Profile(ATTACK_KEY) if device == ATTACKED else Profile()


def test_malformed_records_are_walked(shared: Path) -> None:
    """Record areas that hung or crashed other decoders end, and their damage is told."""
    for row in malformed(shared, "dvrecords"):
        found = walk(bytes.fromhex(row["hex"]))
        assert found.broken or found.tail or found.records


@pytest.mark.parametrize(("name", "expected"), ATTACKS.items())
def test_attacks_on_a_keyed_meter(shared: Path, name: str, expected: str) -> None:
    """Splice, downgrade, plaintext under an encrypting header, unknown modes and flipped blocks give no reading of the meter."""
    row = next(row for row in malformed(shared, "wmbus") if row["id"] == name)
    raw = bytes.fromhex(row["hex"])
    assert outcome(lambda: decode(raw, profile_of)) == expected
    if name == "M214":
        assert decode(raw, profile_of).device != ATTACKED
