"""Attacks on meters and on the decoders: none is accepted; damage under a check never gives a reading; mutated frames end in a typed outcome.

Vectors are made here. `SUBMETER_FUZZ` says how many frames to mutate (default 20,000), `SUBMETER_SEED` which ones.
"""

import json
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from submeter.decoders import (
    DES_CBC,
    ELL_CTR,
    BadFrame,
    DecodeError,
    Downgrade,
    FormatKey,
    MacFail,
    Profile,
    Telegram,
    UnknownMeter,
    UnknownMode,
    WrongKey,
    decode,
    dedup_key,
    identify,
)
from submeter.reading import DeviceId, Reading
from submeter.simulate import encode

KEY = bytes.fromhex("2f90c6e1783bd45a0f6e21b7c8593da4")
DES_KEY = KEY[:8]
METER = DeviceId("STM", "83000001", 0x11, 0x04)
HEADER = encode.Header(access=77)
LONG = encode.Header(access=77, address=METER)
RECORDS = (
    encode.integer(b"\x06", 51234, 4)
    + encode.bcd(b"\x14", 87654, 8)
    + encode.integer(b"\x5b", 61, 1)
    + encode.day(date(2025, 12, 31), encode.Slot(storage=1))
    + encode.integer(b"\x06", 40000, 4, encode.Slot(storage=1))
)
FORMATS: dict[FormatKey, bytes] = {}
decode(encode.radio(METER, encode.plain(RECORDS, None)), lambda _: Profile(), formats=FORMATS)

#: Frames of every kind that a check protects: link, form, profile, the frame, and which of its bytes the check covers.
Kind = tuple[str, str, Profile, bytes, range]


def _covered(raw: bytes, first: int, last: int | None = None) -> range:
    return range(first, len(raw) if last is None else last)


def _kinds() -> Iterator[tuple[str, Kind]]:
    bare = encode.radio(METER, encode.plain(RECORDS, HEADER))
    for name, make in (("a", encode.format_a), ("b", encode.format_b)):
        raw = make(bare)
        yield f"format {name}", ("wmbus", name, Profile(), raw, _covered(raw, 0))
    raw = encode.wired(encode.plain(RECORDS, LONG))
    yield "wired", ("mbus", "wired", Profile(), raw, _covered(raw, 0))
    raw = encode.radio(METER, encode.mode7(RECORDS, HEADER, KEY, METER, counter=9))
    yield "mode 7", ("wmbus", "nocrc", Profile(KEY), raw, _covered(raw, 11))
    raw = encode.radio(METER, encode.extended_ctr(encode.plain(RECORDS, None), KEY, METER, access=3, session=16))
    yield "encrypted link layer", ("wmbus", "nocrc", Profile(KEY), raw, _covered(raw, 13))
    raw = encode.radio(METER, encode.compact(RECORDS))
    yield "compact", ("wmbus", "nocrc", Profile(), raw, _covered(raw, 13))
    raw = encode.radio(METER, encode.mode5(RECORDS, HEADER, KEY, METER))
    yield "mode 5, first block", ("wmbus", "nocrc", Profile(KEY), raw, _covered(raw, 15, 15 + 16))
    raw = encode.radio(METER, encode.mode2(RECORDS, HEADER, DES_KEY))
    yield "mode 2, first block", ("wmbus", "nocrc", Profile(DES_KEY, mode=DES_CBC), raw, _covered(raw, 15, 15 + 8))


KINDS = dict(_kinds())


def readings(raw: bytes, kind: Kind) -> tuple[Reading, ...]:
    """Readings of one frame; none where it is refused."""
    link, form, profile, _, _ = kind
    try:
        return decode(raw, lambda device: profile if device == METER else None, link=link, form=form, formats=dict(FORMATS)).readings
    except DecodeError:
        return ()


@pytest.mark.parametrize("name", KINDS)
def test_damage_under_a_check_gives_no_other_reading(name: str) -> None:
    """Every bit flipped alone, and short bursts, inside what the check covers."""
    kind = KINDS[name]
    good, covered, dice = kind[3], kind[4], random.Random(name)
    whole = set(readings(good, kind))
    assert len(whole) == 4
    damaged = [_flipped(good, at, 1 << bit) for at in covered for bit in range(8)]
    damaged += [_burst(good, dice.choice(covered), covered, dice, 1 if kind[1] == "wired" else 2) for _ in range(500)]
    leaked = [raw.hex() for raw in damaged if not set(readings(raw, kind)) <= whole]
    assert leaked == []


@pytest.mark.parametrize("name", KINDS)
def test_a_cut_telegram_gives_no_other_reading(name: str) -> None:
    """Cut anywhere, as it came or with its length field corrected."""
    kind = KINDS[name]
    good = kind[3]
    whole = set(readings(good, kind))
    for end in range(len(good)):
        assert readings(good[:end], kind) == ()
        if kind[0] == "wmbus" and end:
            corrected = bytes([end - 1]) + good[1:end]
            assert set(readings(corrected, kind)) <= whole


def _flipped(raw: bytes, at: int, mask: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :]


def _burst(raw: bytes, at: int, covered: range, dice: random.Random, longest: int) -> bytes:
    """Up to 16 bits in a row replaced, what a CRC of 16 bits finds for certain; one byte under a checksum."""
    end = min(at + dice.randint(1, longest), covered.stop)
    return raw[:at] + dice.randbytes(end - at) + raw[end:]


def spliced() -> bytes:
    """A genuine first block of mode 5 with plain records behind it."""
    body = encode.mode5(RECORDS, HEADER, KEY, METER)
    return encode.radio(METER, body[:3] + b"\x10" + body[4:21] + encode.bcd(b"\x14", 77777777, 8))


def spliced_des() -> bytes:
    """The same in mode 2."""
    body = encode.mode2(RECORDS, HEADER, DES_KEY)
    return encode.radio(METER, body[:3] + b"\x08" + body[4:13] + encode.bcd(b"\x14", 77777777, 8))


def shorter_code() -> bytes:
    """Mode 7 whose control byte asks for a code of two bytes."""
    body = encode.mode7(RECORDS, HEADER, KEY, METER, counter=9)
    return encode.radio(METER, bytes([0x90, 9]) + body[2:4] + b"\x23" + body[5:9] + body[9:11] + body[17:])


def without_code() -> bytes:
    """Mode 7 whose authentication layer says that it has no code."""
    body = encode.mode7(RECORDS, HEADER, KEY, METER, counter=9)
    return encode.radio(METER, bytes([0x90, 7, 0x00, 0x28]) + body[4:9] + body[17:])


def other_counter() -> bytes:
    """An old message under a new counter."""
    body = encode.mode7(RECORDS, HEADER, KEY, METER, counter=9)
    return encode.radio(METER, body[:5] + b"\xff" + body[6:])


def mode7_as_5() -> bytes:
    """The authentication layer taken away and the mode changed."""
    body = encode.mode7(RECORDS, HEADER, KEY, METER, counter=9)
    inner = body[2 + body[1] :]
    return encode.radio(METER, inner[:4] + b"\x05" + inner[6:])


def unsealed_session() -> bytes:
    """The encrypted link layer with its encryption bits cleared, and a right CRC of plain records."""
    plain = encode.plain(RECORDS, None)
    return encode.radio(METER, bytes([0x8D, 0x20, 3, 16, 0, 0, 0]) + encode.crc(plain).to_bytes(2, "little") + plain)


def plain_in_mode5() -> bytes:
    """2F2F in clear under a header that says encrypted."""
    return encode.radio(METER, bytes([0x7A, 77, 0, 0x10, 5]) + b"\x2f\x2f" + encode.bcd(b"\x14", 77777777, 8) + b"\x2f" * 8)


def other_maker() -> bytes:
    """The meter's number under another manufacturer."""
    return encode.radio(DeviceId("SEN", METER.id, METER.version, METER.type), encode.plain(RECORDS, HEADER))


def long_header_of_the_meter() -> bytes:
    """A stranger's radio frame that names the meter in its long header."""
    return encode.radio(DeviceId("SEN", "83000009", 1, 4), encode.plain(RECORDS, LONG))


@pytest.mark.parametrize(
    ("attack", "profile", "error"),
    [
        (spliced, Profile(KEY), Downgrade),
        (spliced_des, Profile(DES_KEY, mode=DES_CBC), Downgrade),
        (shorter_code, Profile(KEY), MacFail),
        (without_code, Profile(KEY), MacFail),
        (other_counter, Profile(KEY), MacFail),
        (mode7_as_5, Profile(KEY), WrongKey),
        (mode7_as_5, Profile(KEY, mode=7), WrongKey),
        (unsealed_session, Profile(KEY), Downgrade),
        (unsealed_session, Profile(KEY, mode=ELL_CTR), Downgrade),
        (plain_in_mode5, Profile(KEY), WrongKey),
        (other_maker, Profile(KEY), UnknownMeter),
        (long_header_of_the_meter, Profile(KEY), Downgrade),
    ],
)
def test_attacks_are_refused_by_name(attack: Callable[[], bytes], profile: Profile, error: type[DecodeError]) -> None:
    """Splice, downgrade, changed authentication, plaintext, foreign identity: each has its reason."""
    with pytest.raises(error):
        decode(attack(), lambda device: profile if device == METER else None)


def test_a_trusted_source_may_have_opened_mode_7() -> None:
    """Its code then covers bytes that are gone: only a source declared to decrypt may send it."""
    body = encode.mode7(RECORDS, HEADER, KEY, METER, counter=9)
    size = 2 + body[1]
    opened = encode.radio(METER, body[: size + 6] + b"\x2f\x2f" + RECORDS + b"\x2f" * (-(len(RECORDS) + 2) % 16))
    assert len(decode(opened, lambda _: Profile(KEY), decrypted=True).readings) == 4
    with pytest.raises(MacFail):
        decode(opened, lambda _: Profile(KEY))


def test_des_opens_only_what_is_pinned_to_it() -> None:
    """Mode 2 with its key opens for a profile that names it, and for no other; AES keys and profiles do not open it, DES does not open AES."""
    raw = encode.radio(METER, encode.mode2(RECORDS, HEADER, DES_KEY))
    telegram = decode(raw, lambda _: Profile(DES_KEY, mode=DES_CBC))
    assert (telegram.mode, len(telegram.readings)) == (DES_CBC, 4)
    assert decode(raw[:15] + b"\x2f\x2f" + raw[17:], lambda _: Profile(DES_KEY, mode=DES_CBC), decrypted=True).mode == DES_CBC
    for profile, error in (
        (Profile(DES_KEY), UnknownMode),
        (Profile(KEY), UnknownMode),
        (Profile(), UnknownMode),
        (Profile(KEY, mode=DES_CBC), WrongKey),
    ):
        with pytest.raises(error):
            decode(raw, lambda _, profile=profile: profile)
    with pytest.raises(Downgrade):
        decode(encode.radio(METER, encode.plain(RECORDS, HEADER)), lambda _: Profile(DES_KEY, mode=DES_CBC))
    with pytest.raises(BadFrame):
        decode(encode.radio(METER, bytes([0x7A, 1, 0, 0x40, 2]) + bytes(16)), lambda _: Profile(DES_KEY, mode=DES_CBC))


VECTORS = [row for file in sorted((Path(__file__).parents[1] / "vectors" / "meters").glob("*.json")) for row in json.loads(file.read_text())]
SEEDS = (
    [kind[3] for kind in KINDS.values()]
    + [bytes.fromhex(row["hex"]) for row in VECTORS]
    + [
        encode.radio(METER, encode.extended(encode.plain(RECORDS + encode.text(b"\xfd\x0c", "abc") + b"\x0f\x01\x02", LONG), access=1)),
        encode.radio(METER, bytes.fromhex("a0119f255502d0364100000304")),
        encode.wired(bytes.fromhex("73 78563412 0a00 05e9 64000000 03000000")),
        bytes.fromhex("68" * 40),
    ]
)
PROFILES = (
    None, Profile(), Profile(KEY), Profile(DES_KEY, mode=DES_CBC), Profile(KEY, whole=False),
    *(Profile(bytes.fromhex(key)) for key in sorted({row["key"] for row in VECTORS if row.get("key")})),
)  # fmt: skip


def mutated(dice: random.Random) -> bytes:
    """A seed with bytes changed, cut, doubled or spliced with another; half of the radio frames get a right length again."""
    raw = bytearray(dice.choice(SEEDS))
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(raw) or 1)
        change = dice.randrange(6)
        if change == 0:
            raw[at : at + 1] = dice.randbytes(1)
        elif change == 1:
            raw = raw[:at]
        elif change == 2:
            raw[at:at] = raw[at : at + dice.randint(1, 20)]
        elif change == 3:
            raw[at:] = dice.choice(SEEDS)[at:]
        elif change == 4:
            raw[at : at + 4] = dice.choice((b"\xff" * 4, bytes(4), b"\x2f" * 4, b"\x80\x80\x80\x80", b"\x0d\xfd\x0c\xf6", b"\x8d\x04\x93\x1f"))
        else:
            raw[at:at] = dice.randbytes(dice.randint(1, 30))
    if raw and dice.random() < 0.5:
        raw[0] = (len(raw) - 1) & 0xFF
    return bytes(raw[:400])


def taken(raw: bytes, profile: Profile | None, link: str) -> None:
    """Every entry of the package, on any bytes; only its own errors may leave."""
    for call in (
        lambda: decode(raw, lambda _: profile, link=link, formats=dict(FORMATS)),
        lambda: decode(raw, lambda _: profile, link=link, decrypted=True),
        lambda: identify(raw, link=link),
        lambda: dedup_key(raw, link=link),
    ):
        with suppress(DecodeError):
            found = call()
            if isinstance(found, Telegram):
                assert not (found.suspect and found.readings)
                assert all(not isinstance(record.value, Decimal) or record.value.is_finite() for record in found.records)


@pytest.mark.parametrize("row", VECTORS, ids=[row["name"] for row in VECTORS])
def test_a_damaged_byte_of_a_drivers_vector_ends_in_a_typed_outcome(row: dict[str, str]) -> None:
    """Each byte in turn becomes what is special somewhere: manufacturer data, text and extension VIFs, void."""
    raw, profile = bytes.fromhex(row["hex"]), Profile(bytes.fromhex(row["key"]) if row.get("key") else None, whole=False)
    for at in range(len(raw)):
        for byte in (0x0F, 0x7C, 0xFB, 0xFF):
            with suppress(DecodeError):
                decode(raw[:at] + bytes([byte]) + raw[at + 1 :], lambda _: profile, link=row["link"], form=row["form"], formats={})


def test_mutated_frames_end_in_a_typed_outcome(record_property: Callable[[str, object], None]) -> None:
    """Frames broken at random raise nothing but DecodeError, and memory stays flat; the slowest is reported."""
    frames = int(os.environ.get("SUBMETER_FUZZ", "20000"))
    dice = random.Random(int(os.environ.get("SUBMETER_SEED", "1303")))
    slowest, before = 0.0, 0
    for number in range(frames):
        raw, profile, link = mutated(dice), dice.choice(PROFILES), dice.choice(("wmbus", "wmbus", "mbus"))
        started = time.perf_counter()
        taken(raw, profile, link)
        slowest = max(slowest, time.perf_counter() - started)
        if number == frames // 10:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    record_property("slowest_ms", round(slowest * 1000, 2))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20 * 1024
