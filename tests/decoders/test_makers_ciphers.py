"""Ciphers of makers' own: which key opens what, and what is refused (Apator NA-1, Diehl)."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from meter_vectors import FOLDER, vectors

from submeter.decoders import (
    BadFrame,
    DecodeError,
    Downgrade,
    NoKey,
    Profile,
    Rejected,
    Telegram,
    UnknownDriver,
    UnknownMode,
    WrongKey,
    decode,
    identify,
)
from submeter.decoders.diehl import keystream
from submeter.reading import DeviceId
from submeter.simulate import encode

BY_NAME = {vector["name"]: vector for vector in vectors()}
AES = bytes(range(16))
OWN = bytes.fromhex("0123456789abcdef")
NA1 = DeviceId("APA", "32000001", 0x14, 0x07)


def heard(name: str, profile: Profile, change: bytes | None = None, **more: Any) -> Telegram:
    """Decode a vector as a device with this profile; `change` replaces its last bytes."""
    raw = bytes.fromhex(BY_NAME[name]["hex"])
    return decode(raw[: -len(change)] + change if change else raw, lambda _: profile, **more)


def test_a_published_key_protects_nothing() -> None:
    """PRIOS and real data under a published key count as plain: a device with a key of its own does not speak so, one pinned to plain may."""
    for name in ("izar, swapped address, first published key", "real data, CI 7A"):
        assert heard(name, Profile()).mode == 0
        assert heard(name, Profile(mode=0)).readings
        for key in (AES, OWN):
            with pytest.raises(Downgrade):
                heard(name, Profile(key))


def test_a_key_of_its_own_opens_first() -> None:
    """Eight bytes that the operator set; without them the published ones do not help."""
    assert heard("izar, key of its own", Profile(OWN)).mode == 1
    for other in (Profile(), Profile(AES), Profile(OWN[:7] + b"\0")):
        with pytest.raises(WrongKey):
            heard("izar, key of its own", other)


def test_weak_checks_do_not_stand_alone() -> None:
    """A date that does not exist, a stored value above the present one, records that run over the end: refused although the check passes."""
    key = bytes.fromhex("39BC8A10E66D83F8")

    def prios(plain: str) -> Telegram:
        head = bytes.fromhex("2423850702000033a2016a55")
        body = bytes.fromhex(plain)
        cipher = bytes(a ^ b for a, b in zip(body, keystream(key, head, len(body)), strict=True))
        frame = b"\x44" + head + b"\x13" + cipher
        return decode(bytes([len(frame)]) + frame, lambda _: Profile())

    assert len(prios("4b 40e20100 10270000 3f2c").readings) == 4
    for plain, kind in (
        ("4b 40e20100 10270000 3f2d", WrongKey),
        ("4b 10270000 40e20100 3f2c", WrongKey),
        ("4b 01e1f505 10270000 3f2c", WrongKey),
        ("4b 40", UnknownDriver),
    ):
        with pytest.raises(kind):
            prios(plain)


def test_real_data_is_never_read_as_it_stands() -> None:
    """Plaintext under a header that says real data is refused, unless the source is declared to decrypt."""
    body = bytes.fromhex("7a 8f 00 10 7d 0413 12170100")
    raw = encode.radio(DeviceId("HYD", "07048B00", 0x77, 0x97), body)
    with pytest.raises(WrongKey):
        decode(raw, lambda _: Profile())
    telegram = decode(raw, lambda _: Profile(), decrypted=True)
    assert ([str(one.register) for one in telegram.readings], telegram.mode) == (["volume"], 1)
    with pytest.raises(BadFrame):
        decode(encode.radio(DeviceId("HYD", "07048B00", 0x77, 0x97), body[:5]), lambda _: Profile())


def test_real_data_has_a_short_header() -> None:
    """A long header with such a mode is none of the group's."""
    inner = DeviceId("HYD", "07048B00", 0x77, 0x97)
    long = encode.Header(access=1, address=inner).encode(0x1500)
    with pytest.raises(UnknownMode):
        decode(encode.radio(inner, long + bytes.fromhex("0413 12170100")), lambda _: Profile())


def test_real_data_end_where_their_records_end() -> None:
    """The sum alone is a weak check."""
    key, plain = bytes.fromhex("39BC8A10E66D83F8"), bytes.fromhex("0413 121701")
    head = bytes.fromhex("2423 2004 02000033 7a 37 00 45")
    cipher = bytes(a ^ b for a, b in zip(plain, keystream(key, head, len(plain)), strict=True))
    frame = b"\x44" + head + bytes([sum(plain) & 0xEF | 0x10]) + cipher
    with pytest.raises(WrongKey):
        decode(bytes([len(frame)]) + frame, lambda _: Profile())


def test_wired_signatures_are_no_modes() -> None:
    """On the wire the same two bytes mean nothing: records are read as they stand."""
    header = encode.Header(address=DeviceId("DME", "33000012", 0x41, 0x04)).encode(0x1500)
    telegram = decode(encode.wired(header + bytes.fromhex("0413 12170100")), lambda _: Profile(), link="mbus")
    assert [one.value for one in telegram.readings] == [71_442_000]


def test_addresses_are_put_right() -> None:
    """Swapped for real data and PRIOS, but not for Sappel's PRIOS, other makers, other control fields or standard telegrams."""
    sent = DeviceId("HYD", "11223344", 0x55, 0x66)
    swapped = "HYD-66551122-44-33"

    def name(body: str, maker: str = "HYD", control: int = 0x44) -> str:
        device = DeviceId(maker, sent.id, sent.version, sent.type)
        return str(identify(encode.radio(device, bytes.fromhex(body), control=control)))

    assert {name(body) for body in ("7a01001075", "7101000000", "a2010203", "b101", "b3")} == {swapped}
    assert {name(body) for body in ("7a01000005", "7a010010", "78", "b001", "a8")} == {str(sent)}
    assert (name("a201", "SAP"), name("b201", "SAP")) == ("SAP-11223344-55-66", "SAP-66551122-44-33")
    assert (name("a201", "TCH"), name("a201", control=0x08)) == ("TCH-11223344-55-66", str(sent))


def test_an_alarm_of_another_maker_is_none_of_ours() -> None:
    """CI 71 is real data in that group only."""
    with pytest.raises(Rejected):
        decode(encode.radio(DeviceId("KAM", "11223344", 1, 7), bytes.fromhex("7101000000")), lambda _: Profile())


def test_mode_5_with_a_published_key() -> None:
    """Tried only where no key is configured: with one, only that one counts; where it does not open, the device lacks its key."""
    published, own = "mode 5 with the published key", "mode 5 with a key of its own"
    assert heard(published, Profile()).readings
    with pytest.raises(WrongKey):
        heard(published, Profile(AES))
    with pytest.raises(NoKey):
        heard(own, Profile())
    assert heard(own, Profile(AES)).mode == 5


def test_na1_believes_its_clock_only_near_the_reception() -> None:
    """The clock is the only check of the key: more than 366 days off is another key; a wrong key, none, or a cut block give no reading."""
    name = "apatorna1, litres, summer time"
    key = Profile(bytes.fromhex(BY_NAME[name]["key"]))
    clock = heard(name, key).meter_time
    assert clock
    for days in (-366, 366):
        assert heard(name, key, received=clock + timedelta(days=days)).readings
        with pytest.raises(WrongKey):
            heard(name, key, received=clock + timedelta(days=days, seconds=days))
    with pytest.raises(NoKey):
        heard(name, Profile())
    with pytest.raises(WrongKey):
        heard(name, Profile(b"short"))
    raw = bytes.fromhex(BY_NAME[name]["hex"])
    with pytest.raises(BadFrame):
        decode(bytes([raw[0] - 1]) + raw[1:-1], lambda _: key)


def na1(block: str) -> Telegram:
    """An NA-1 telegram with this block, encrypted as the meter does it."""
    raw = encode.radio(NA1, b"\xa0\x07\x00")
    cipher = Cipher(algorithms.AES(AES), modes.CBC(raw[2:10] + b"\x07" * 8)).encryptor()
    return decode(encode.radio(NA1, b"\xa0\x07\x00" + cipher.update(bytes.fromhex(block))), lambda _: Profile(AES))


def test_na1_takes_the_whole_difference_off() -> None:
    """The older total is the present one less a difference of 26 bits, in the same unit; bits 0 to 3 and 8 to 31 of the present one are its litres."""
    found = na1("00 0300005f 00a4002f 80 02 0000a0 00 00")
    values = [one.value for one in found.readings if one.register.name == "volume"]
    assert values == [0x5F00003 * 1000, (0x5F00003 - 0x2800002) * 1000]


def test_na1_rarely_believes_a_wrong_key() -> None:
    """Of two hundred wrong keys none passes beside the time of reception."""
    for number in range(200):
        with pytest.raises(DecodeError):
            heard("apatorna1, litres, summer time", Profile(number.to_bytes(16, "big")), received=datetime(2024, 7, 15))


def test_e_itn_needs_its_marker() -> None:
    """Without the A0 behind the unknown bytes, or cut before the current date, nothing is read."""
    device = DeviceId("APT", "32000004", 4, 8)
    for body in ("b6 03 aaa0bb a1 a1 0000 41010000 2d00 322d", "b6 ff", "a0 a1 0000 4101 0000 2d00"):
        with pytest.raises(UnknownDriver):
            decode(encode.radio(device, bytes.fromhex(body)), lambda _: Profile())


@pytest.mark.parametrize(
    ("version", "kind", "body", "dates"),
    [
        (0x74, 0x62, "a2 06 9f25 5900 e005 3100", ["2018-12-31"]),
        (0x74, 0x62, "a2 06 9f25 5900 f01b 3100", ["2018-12-31"]),
        (0x74, 0x62, "a2 06 0000 0000 b029 3100", []),
        (0x50, 0x72, "a2 0c00 0000 102500" + "001020" * 12, None),
        (0x39, 0x43, "a2 10 ffff 13c500 60 8f1d00", []),
        (0x39, 0x43, "a2 10 e0ff 13c500 60 8f1d00", None),
    ],
)
def test_techem_without_a_date_that_exists(version: int, kind: int, body: str, dates: list[str] | None) -> None:
    """A present day that no month has is left out; a set day that cannot be is not believed, since nothing else vouches for the bytes; none yet is."""
    device = DeviceId("TCH", "31000014", version, kind)
    raw = encode.radio(device, bytes.fromhex(body))
    if dates is None:
        with pytest.raises(BadFrame):
            decode(raw, lambda _: Profile())
    else:
        found = decode(raw, lambda _: Profile())
        assert [str(one.value) for one in found.records if one.quantity == "date" and one.value] == dates


def test_every_family_file_has_vectors_of_its_name() -> None:
    """Vectors stand in a file named as the module of their drivers."""
    modules = {path.stem for path in (Path(__file__).parents[2] / "decoders" / "meters").glob("*.py")} - {"__init__"}
    assert {path.stem for path in FOLDER.glob("*.json")} == modules
