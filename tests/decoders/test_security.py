"""What a device's profile lets through (reliability: FAULTS 2.2)."""

import pytest

from submeter.decoders import (
    ELL_CTR,
    BadFrame,
    DecodeError,
    Downgrade,
    MacFail,
    NoKey,
    Profile,
    UnknownDriver,
    UnknownMeter,
    UnknownMode,
    WrongKey,
    decode,
)
from submeter.decoders.security import cmac
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.layers import derived_keys

KEY = bytes.fromhex("6b1f9c3e5a8d20714ce6b3f80d952a47")
METER = DeviceId("STM", "71000001", 0x05, 0x07)
RECORDS = encode.bcd(b"\x13", 4711, 8)
HEADER = encode.Header(access=9)
PLAIN = encode.radio(METER, encode.plain(RECORDS, HEADER))
MODE_5 = encode.radio(METER, encode.mode5(RECORDS, HEADER, KEY, METER))
MODE_7 = encode.radio(METER, encode.mode7(RECORDS, HEADER, KEY, METER, counter=5))
CTR = encode.radio(METER, encode.extended_ctr(encode.plain(RECORDS, HEADER), KEY, METER, access=9, session=77))


def volumes(raw: bytes, profile: Profile | None, *, decrypted: bool = False) -> list[int | None]:
    """Values of the readings under a profile, in micro units."""
    return [reading.value for reading in decode(raw, lambda _: profile, decrypted=decrypted).readings]


@pytest.mark.parametrize(
    ("raw", "profile", "mode"),
    [
        (PLAIN, Profile(), 0),
        (PLAIN, Profile(KEY, mode=0), 0),
        (MODE_5, Profile(KEY), 5),
        (MODE_5, Profile(KEY, mode=5), 5),
        (MODE_7, Profile(KEY), 7),
        (MODE_7, Profile(KEY, mode=7), 7),
        (CTR, Profile(KEY), ELL_CTR),
        (CTR, Profile(KEY, mode=ELL_CTR), ELL_CTR),
    ],
)
def test_what_the_profile_allows_is_read(raw: bytes, profile: Profile, mode: int) -> None:
    """Each mode opens with its key and says which mode it was."""
    telegram = decode(raw, lambda _: profile)
    assert ([reading.value for reading in telegram.readings], telegram.mode) == ([4_711_000], mode)


@pytest.mark.parametrize(
    ("raw", "profile", "error"),
    [
        (PLAIN, None, UnknownMeter),
        (PLAIN, Profile(KEY), Downgrade),
        (PLAIN, Profile(mode=5), Downgrade),
        (MODE_5, Profile(), NoKey),
        (MODE_7, Profile(), NoKey),
        (CTR, Profile(), NoKey),
        (MODE_5, Profile(KEY[::-1]), WrongKey),
        (CTR, Profile(KEY[::-1]), WrongKey),
        (MODE_7, Profile(KEY[::-1]), MacFail),
        (MODE_5, Profile(KEY, mode=7), Downgrade),
        (CTR, Profile(KEY, mode=5), Downgrade),
        (MODE_5, Profile(KEY[:8]), WrongKey),
    ],
)
def test_what_it_does_not_allow_is_refused_by_name(raw: bytes, profile: Profile | None, error: type[DecodeError]) -> None:
    """Plain for a keyed device, a weaker mode than the pinned one, no key, a wrong key: each has its own reason, and names the device."""
    with pytest.raises(error) as caught:
        decode(raw, lambda _: profile)
    assert caught.value.device == METER
    assert KEY.hex() not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "profile", "said"),
    [
        (PLAIN, Profile(KEY), "sent as plain, the device's profile demands an encrypted one"),
        (PLAIN, Profile(KEY, ELL_CTR), "sent as plain, the device's profile demands ELL AES-CTR"),
        (CTR, Profile(KEY, mode=5), "sent as ELL AES-CTR, the device's profile demands mode 5"),
        (MODE_5, Profile(KEY, mode=0), "sent as mode 5, the device's profile demands plain"),
    ],
)
def test_a_downgrade_says_what_came_and_what_is_demanded(raw: bytes, profile: Profile, said: str) -> None:
    """Modes by their names or numbers: what the operator compares with the directory."""
    with pytest.raises(Downgrade, match=said):
        decode(raw, lambda _: profile)


@pytest.mark.parametrize("mode", [1, 2, 3, 4, 6, 8, 9, 10, 13, 15, 16, 31])
@pytest.mark.parametrize("profile", [Profile(), Profile(KEY)])
def test_a_mode_not_read_here_is_never_parsed(mode: int, profile: Profile) -> None:
    """Bytes under such a header could look like plain records; they are not read, with or without a key."""
    raw = encode.radio(METER, bytes([0x7A, 9, 0, 0x10, mode]) + RECORDS)
    with pytest.raises(UnknownMode):
        decode(raw, lambda _: profile)


@pytest.mark.parametrize("mode", [5, 7])
def test_a_wired_telegram_without_an_address_is_not_decrypted(mode: int) -> None:
    """A short header on the wire has no address, of which the initial vector or the derived keys are made."""
    raw = encode.wired(bytes([0x7A, 9, 0, 0x20, mode]) + bytes(32))
    with pytest.raises(BadFrame, match="no address"):
        decode(raw, lambda _: Profile(KEY), link="mbus")


@pytest.mark.parametrize("profile", [Profile(), Profile(KEY)])
def test_plaintext_under_an_encrypting_header_needs_a_trusted_source(profile: Profile) -> None:
    """2F2F in clear opens nothing, unless the source is declared to decrypt."""
    raw = encode.radio(METER, bytes([0x7A, 9, 0, 0x10, 5]) + b"\x2f\x2f" + RECORDS + bytes([0x2F] * 8))
    with pytest.raises((NoKey, WrongKey)):
        volumes(raw, profile)
    assert volumes(raw, profile, decrypted=True) == [4_711_000]
    assert volumes(MODE_5, Profile(KEY), decrypted=True) == [4_711_000]


def test_a_session_with_an_address_of_its_own() -> None:
    """The longest extended link header names its partner, whose address the cipher uses then."""
    partner = DeviceId("STM", "71000003", 0x05, 0x07)
    short = encode.extended_ctr(encode.plain(RECORDS, HEADER), KEY, partner, access=9, session=77)
    body = b"\x8f" + short[1:3] + encode.radio(partner, b"\x78")[2:10] + short[3:]
    assert volumes(encode.radio(METER, body), Profile(KEY)) == [4_711_000]
    with pytest.raises(WrongKey):
        volumes(encode.radio(METER, b"\x8f" + short[1:3] + encode.radio(METER, b"\x78")[2:10] + short[3:]), Profile(KEY))


def test_plaintext_under_a_session_needs_a_trusted_source_and_its_check_sum() -> None:
    """Under an encrypting extended link header: read where the source decrypts, with the CRC of what it sends; from anybody else it is not opened."""
    body = encode.plain(RECORDS, HEADER)
    head = bytes([0x8D, 0x20, 9]) + (0x20000000 | 77).to_bytes(4, "little")
    opened = encode.radio(METER, head + encode.crc(body).to_bytes(2, "little") + body)
    damaged = encode.radio(METER, head + (encode.crc(body) ^ 1).to_bytes(2, "little") + body)
    assert volumes(opened, Profile(KEY), decrypted=True) == [4_711_000]
    for raw, decrypted in ((opened, False), (damaged, True), (damaged, False)):
        with pytest.raises(WrongKey):
            volumes(raw, Profile(KEY), decrypted=decrypted)


def test_records_spliced_behind_a_genuine_block_are_refused() -> None:
    """The block count of mode 5 is not authenticated: a plain rest is a downgrade unless the device is pinned to send one."""
    genuine = encode.mode5(RECORDS + encode.bcd(b"\x3b", 12, 6) + encode.bcd(b"\x5a", 214, 4), HEADER, KEY, METER)
    spliced = encode.radio(METER, genuine[:3] + b"\x10" + genuine[4:21] + encode.bcd(b"\x13", 9_999_999, 8))
    with pytest.raises(Downgrade, match="whole"):
        volumes(spliced, Profile(KEY))
    with_rest = encode.radio(METER, encode.mode5(RECORDS, HEADER, KEY, METER) + encode.bcd(b"\x3b", 12, 6))
    assert volumes(with_rest, Profile(KEY, whole=False)) == [4_711_000, 12_000]
    assert volumes(encode.radio(METER, encode.mode5(RECORDS, HEADER, KEY, METER) + b"\x2f\x2f"), Profile(KEY)) == [4_711_000]


def test_mode_5_without_encrypted_blocks_is_plain() -> None:
    """Nothing is encrypted then, so a keyed device refuses it."""
    raw = encode.radio(METER, bytes([0x7A, 9, 0, 0x00, 5]) + RECORDS)
    assert volumes(raw, Profile()) == [4_711_000]
    with pytest.raises(Downgrade):
        volumes(raw, Profile(KEY))


def test_the_wire_has_a_signature_where_radio_has_a_mode() -> None:
    """Old wired meters put anything there: only modes 5 and 7 mean encryption, and not for a device pinned plain."""
    for word in (0x16, 0x05):
        body = encode.plain(RECORDS, encode.Header(access=1, address=METER))
        raw = encode.wired(body[:11] + bytes([0x10, word]) + body[13:])
        assert [r.value for r in decode(raw, lambda _: Profile(mode=0), link="mbus").readings] == [4_711_000]
    with pytest.raises((NoKey, BadFrame)):
        decode(raw, lambda _: Profile(), link="mbus")


def test_authentication_needs_its_code_and_its_counter() -> None:
    """Mode 7 without an authentication layer, or without a code in it, is refused."""
    body = encode.mode7(RECORDS, HEADER, KEY, METER, counter=5)
    with pytest.raises(BadFrame):
        volumes(encode.radio(METER, body[2 + body[1] :]), Profile(KEY))
    bare = bytes([0x90, 7, 0x00, 0x28]) + body[4:9] + body[17:]
    with pytest.raises(MacFail):
        volumes(encode.radio(METER, bare), Profile(KEY))


def test_mode_7_is_opened_whatever_its_bytes_look_like() -> None:
    """Plain records under a right authentication code are not what the header says: they are decrypted, and are none then."""
    body = encode.mode7(RECORDS, HEADER, KEY, METER, counter=5)
    spoken = body[17:-16] + (b"\x2f\x2f" + RECORDS).ljust(16, b"\x2f")
    code = cmac(derived_keys(KEY, METER, 5)[1], body[4:9] + spoken)[:8]
    with pytest.raises(WrongKey):
        volumes(encode.radio(METER, body[:9] + code + spoken), Profile(KEY))


def test_fragments_wait_for_a_driver_and_a_second_layer_is_damage() -> None:
    """One part of a longer message is not read alone; layers do not nest."""
    body = encode.mode7(RECORDS, HEADER, KEY, METER, counter=5)
    for flags in (b"\x01\x2c", b"\x00\x6c"):
        with pytest.raises(UnknownDriver):
            volumes(encode.radio(METER, body[:2] + flags + body[4:]), Profile(KEY))
    with pytest.raises(BadFrame):
        volumes(encode.radio(METER, body[: 2 + body[1]] + body), Profile(KEY))


@pytest.mark.parametrize(("session", "error"), [(0x40000000, UnknownMode), (0, BadFrame)])
def test_other_encryptions_of_the_link_layer(session: int, error: type[DecodeError]) -> None:
    """A cipher not read here is an unknown mode; none at all still has its payload CRC."""
    body = bytes([0x8D, 0x20, 9]) + session.to_bytes(4, "little") + bytes(2) + encode.plain(RECORDS, HEADER)
    with pytest.raises(error):
        volumes(encode.radio(METER, body), Profile(KEY))


def test_the_authenticated_counter_is_reported() -> None:
    """Whoever keeps the last counter can tell a replay."""
    assert decode(MODE_7, lambda _: Profile(KEY)).counter == 5
    assert decode(CTR, lambda _: Profile(KEY)).counter == 77
    assert decode(MODE_5, lambda _: Profile(KEY)).counter is None


def test_a_meter_named_inside_an_encrypted_link_needs_the_same_key() -> None:
    """A key holder cannot speak for a meter with another key."""
    other = DeviceId("STM", "72000002", 0x05, 0x07)
    body = encode.plain(RECORDS, encode.Header(access=1, address=other))
    raw = encode.radio(METER, encode.extended_ctr(body, KEY, METER, access=9, session=78))
    assert decode(raw, lambda _: Profile(KEY)).device == other
    with pytest.raises(UnknownMeter):
        decode(raw, lambda device: Profile(KEY if device == METER else KEY[::-1]))
    with pytest.raises(UnknownMeter):
        decode(raw, lambda device: Profile(KEY) if device == METER else None)


def test_a_profile_never_shows_its_key() -> None:
    """Not even in a traceback."""
    assert repr(Profile(KEY, 5)) == "Profile(key=set, mode=5, whole=True)"
