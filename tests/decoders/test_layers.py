"""Headers between link and records by known answers: CI fields, lengths, fields, addresses (EN 13757-3, -4 and -7; protocol notes 3 to 5)."""

from itertools import product

import pytest

from submeter.decoders import BadFrame, DecodeError, Rejected, UnknownDriver
from submeter.decoders.frame import Frame, parse_frame
from submeter.decoders.layers import Afl, Ell, Transport, device_of, identity_of, split_afl, split_ell, split_transport
from submeter.decoders.security import cmac
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.frames import link_address

LINK, INNER = DeviceId("STM", "81000001", 0x05, 0x07), DeviceId("SEN", "81000002", 0x06, 0x04)
#: CI fields of radio frames whose records are read, by the bytes of their headers; those without readings; the rest waits for a driver.
SIZES = {0x72: 12, 0x73: 12, 0x7A: 4, 0x7B: 4, 0x78: 0, 0x79: 0, **dict.fromkeys(range(0xA0, 0xB8), 0)}
NO_READINGS = {*range(0x50, 0x70), 0x70, 0x71, 0x74, 0x75, 0x7C, 0x7D, 0x7E, 0x7F, 0x80, 0x82, 0x83, *range(0xB8, 0xC8)}
BY_LINK = {"wmbus": SIZES, "diehl": SIZES | {0x71: 4}, "mbus": {0x72: 12, 0x76: 12, 0x7A: 4, 0x78: 0}}
#: Access number, status, configuration word.
TAIL = bytes.fromhex("2a 1c 3405")


def refusal(body: bytes, link: str = "wmbus") -> type[DecodeError] | None:
    """The class of the error that a body meets, None for one that is read."""
    try:
        split_transport(body, link)
    except DecodeError as error:
        return type(error)
    return None


@pytest.mark.parametrize("link", BY_LINK)
def test_every_ci_field_has_its_outcome(link: str) -> None:
    """Read, of no readings, or waiting; what is read has a header of its length, and one that is cut is no frame."""
    for ci in range(256):
        size = BY_LINK[link].get(ci)
        if link == "mbus" and ci == 0x73:
            assert [refusal(bytes([ci]) + bytes(length), link) for length in (15, 16, 17)] == [BadFrame, None, BadFrame]
        elif size is None:
            assert refusal(bytes([ci]) + bytes(40), link) == (Rejected if ci in NO_READINGS else UnknownDriver), hex(ci)
        else:
            assert refusal(bytes([ci]) + bytes(size), link) is None, hex(ci)
            assert not size or refusal(bytes([ci]) + bytes(size - 1), link) is BadFrame, hex(ci)
    assert refusal(b"", link) is BadFrame


@pytest.mark.parametrize("link", BY_LINK)
def test_a_header_has_its_fields(link: str) -> None:
    """Address in the order of the link, access number, status, configuration word low byte first; CI 76 has all of them high byte first."""
    for ci, size in BY_LINK[link].items():
        high = ci == 0x76
        sent = link_address(INNER)
        address = (sent[5:1:-1] + sent[1::-1] if high else sent[2:6] + sent[:2]) + sent[6:]
        header = (address if size == 12 else b"") + (TAIL[:2] + (TAIL[:1:-1] if high else TAIL[2:]) if size else b"")
        found = split_transport(bytes([ci]) + header + b"\x01\x02", link)
        assert (found.payload, found.message, found.ci) == (b"\x01\x02", bytes([ci]) + header + b"\x01\x02", ci)
        assert found.address == (sent if size == 12 else b"")
        assert (found.access, found.status, found.config, found.mode) == ((0x2A, 0x1C, 0x0534, 5) if size else (None, 0, 0, 0))
        assert (found.high_first, found.fixed, found.compact) == (high, False, ci in {0x73, 0x79, 0x7B})


def test_the_fixed_structure_has_its_fields() -> None:
    """Sixteen bytes on the wire: the payload begins with the status."""
    body = bytes.fromhex("73 78563412 0a 00 05e9 64000000 03000000")
    assert split_transport(body, "mbus") == Transport(0x73, b"", 10, 0, 0, body[6:], body)
    assert split_transport(body, "mbus").fixed
    assert not split_transport(body, "mbus").compact


@pytest.mark.parametrize("word", [0x0000, 0x0100, 0x1F00, 0xE000, 0x00FF, 0x0500, 0x2500, 0xFFFF])
def test_the_mode_is_five_bits_of_the_word(word: int) -> None:
    """Bits 8 to 12, nothing of the others."""
    assert split_transport(b"\x7a\0\0" + word.to_bytes(2, "little"), "wmbus").mode == {0x0100: 1, 0x1F00: 31, 0x0500: 5, 0x2500: 5, 0xFFFF: 31}.get(
        word, 0
    )


def radio(body: bytes) -> Frame:
    """A radio frame of the link address."""
    return parse_frame(encode.radio(LINK, body))


PARTNER = link_address(INNER)
SESSION = bytes.fromhex("44332221")


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [
        (bytes.fromhex("8c 81 07"), Ell(0x81, 7, link_address(LINK))),
        (bytes.fromhex("8d 82 08") + SESSION, Ell(0x82, 8, link_address(LINK), SESSION)),
        (bytes.fromhex("8e 83 09") + PARTNER, Ell(0x83, 9, PARTNER)),
        (bytes.fromhex("8f 84 0a") + PARTNER + SESSION, Ell(0x84, 10, PARTNER, SESSION)),
    ],
)  # fmt: skip
def test_extended_link_layers_have_their_fields(layer: bytes, wanted: Ell) -> None:
    """Control, access, the address that a cipher would use, the session number; then what follows, its CRC first where there is a session. Cut anywhere: no frame."""
    rest = b"\xab\xcd\x78" if wanted.session else b"\x78"
    assert split_ell(radio(layer + rest)) == (wanted, rest)
    for size in range(1, len(layer) + (2 if wanted.session else 0)):
        with pytest.raises(BadFrame):
            split_ell(radio((layer + rest)[:size]))


@pytest.mark.parametrize("kind", range(8))
def test_the_cipher_of_a_session_is_three_bits(kind: int) -> None:
    """The highest ones of its number, whatever the others say."""
    for low in (0, 0x1FFFFFFF):
        layer = b"\x8d\x20\x01" + (kind << 29 | low).to_bytes(4, "little") + b"\0\0\x78"
        ell, _ = split_ell(radio(layer))
        assert ell is not None
        assert ell.encryption == kind


def test_other_layers_are_none() -> None:
    """Only the four CI fields of radio frames begin such a layer."""
    for ci in set(range(256)) - {0x8C, 0x8D, 0x8E, 0x8F}:
        assert split_ell(radio(bytes([ci]) + bytes(20))) == (None, bytes([ci]) + bytes(20)), hex(ci)
    assert split_ell(parse_frame(encode.wired(b"\x8c\x20\x01\x78"))) == (None, b"\x8c\x20\x01\x78")


FIELDS = {
    13: ("control", b"\x25"),
    9: ("key information", b"\x99\x98"),
    11: ("counter", b"\x01\x02\x03\x04"),
    10: ("mac", bytes(range(8))),
    12: ("length", b"\x20\0"),
}


@pytest.mark.parametrize("bits", list(product((0, 1), repeat=4)))
def test_an_authentication_layer_has_the_fields_that_it_names(bits: tuple[int, ...]) -> None:
    """In their order, whichever are there beside the control byte; what follows begins behind its own length."""
    flags, there = 1 << 13, {"control": FIELDS[13][1]}
    data = FIELDS[13][1]
    for bit, (name, part) in list(FIELDS.items())[1:]:
        if bits[(9, 11, 10, 12).index(bit)]:
            flags |= 1 << bit
            data += part
            there[name] = part
    layer = bytes([0x90, 2 + len(data)]) + flags.to_bytes(2, "little") + data
    found, rest = split_afl(layer + b"\x78\x01")
    assert found == Afl(*(there.get(name, b"") for name in ("control", "counter", "mac", "length")))
    assert rest == b"\x78\x01"
    if len(data) > 1:
        with pytest.raises(BadFrame):
            split_afl(bytes([0x90, 1 + len(data)]) + flags.to_bytes(2, "little") + data[:-1] + b"\x78\x01")
    with pytest.raises(BadFrame):
        split_afl(layer)


@pytest.mark.parametrize(("kind", "size"), list(enumerate((0, None, None, 2, 4, 8, 12, 16, *(None,) * 8))))
def test_the_type_of_authentication_says_how_long_the_code_is(kind: int, size: int | None) -> None:
    """Types 3 to 7 of a code cut to 2 to 16 bytes, 0 of none; all others are reserved."""
    layer = bytes([0x90, 3 + 20]) + (1 << 13 | 1 << 10).to_bytes(2, "little") + bytes([0xF0 | kind]) + bytes(range(20)) + b"\x78"
    if size is None:
        with pytest.raises(BadFrame, match=f"type {kind} is reserved"):
            split_afl(layer)
    else:
        found, _ = split_afl(layer)
        assert found is not None
        assert found.mac == bytes(range(size))


@pytest.mark.parametrize("bit", range(16))
def test_fragments_are_told_by_their_bits(bit: int) -> None:
    """A fragment's number or more to follow: one part of a message is not read alone."""
    layer = bytes([0x90, 2 + 7]) + (1 << 13 | 1 << bit).to_bytes(2, "little") + b"\0" * 7 + b"\x78"
    if bit < 8 or bit == 14:
        with pytest.raises(UnknownDriver):
            split_afl(layer)
    else:
        assert split_afl(layer)[1] == b"\x78"


def test_a_layer_without_fields_has_its_two_bytes() -> None:
    """The shortest one, and those that are cut or come twice."""
    assert split_afl(bytes.fromhex("90 02 0000 78")) == (Afl(b"", b"", b"", b""), b"\x78")
    assert split_afl(b"\x78\x90") == (None, b"\x78\x90")
    for text in ("90", "9002", "90020000", "9001 00 78", "9000 78", "9003 0000 78", "9002 0000 90 02 0000 78"):
        with pytest.raises(BadFrame):
            split_afl(bytes.fromhex(text))


#: EN 13757-7, by the published example of a meter: key, counter and id give the keys of one message and its code.
def test_keys_of_mode_7_are_those_of_the_example() -> None:
    """The key for encryption and the one for authentication, by CMAC over the counter, the id and seven times 07."""
    key, seed = bytes.fromhex("27a46451f7b786e877810ddb9465a3a1"), bytes.fromhex("7c690300 14690125") + b"\x07" * 7
    assert cmac(key, b"\x00" + seed).hex() == "bfc8c8f2c2071b215f053a8bee565b84"
    assert cmac(key, b"\x01" + seed).hex() == "9b3fd3705db05433489924be0d3f2bf1"


@pytest.mark.parametrize(
    ("body", "device"),
    [
        (encode.plain(b"", None), LINK), (encode.plain(b"", encode.Header()), LINK), (encode.plain(b"", encode.Header(address=INNER)), INNER),
        (encode.extended(encode.plain(b"", encode.Header(address=INNER)), access=1), INNER), (encode.extended(encode.plain(b"", None), access=1), LINK),
        (b"\x8e\x20\x01" + PARTNER + encode.plain(b"", None), LINK), (b"\x8e\x20\x01" + PARTNER + encode.plain(b"", encode.Header(address=INNER)), INNER),
        (b"\x8d\x20\x01" + bytes(4) + b"\xaa\xbb" + encode.plain(b"", encode.Header(address=INNER)), INNER),
        (b"\x8d\x20\x01" + SESSION + b"\xaa\xbb" + encode.plain(b"", encode.Header(address=INNER)), LINK),
        (b"\x8d\x20\x01" + bytes(4) + b"\x72\xbb" + encode.plain(b"", None), LINK),
        (b"\x90\x02\0\0" + encode.plain(b"", encode.Header(address=INNER)), INNER), (b"\x90\x02\0\0" + encode.plain(b"", None), LINK),
        (b"\x8c\x20\x01\x90\x02\0\0" + encode.plain(b"", encode.Header(address=INNER)), INNER),
        (b"\x73" + encode.plain(b"", encode.Header(address=INNER))[1:], INNER), (b"\x6b" + encode.plain(b"", encode.Header(address=INNER))[1:], INNER),
        (b"\x6f" + encode.plain(b"", encode.Header(address=INNER))[1:], INNER), (b"\x75" + encode.plain(b"", encode.Header(address=INNER))[1:], INNER),
        (b"\x76" + encode.plain(b"", encode.Header(address=INNER))[1:], LINK), (b"\xa0" + encode.plain(b"", encode.Header(address=INNER))[1:], LINK),
    ],
)  # fmt: skip
def test_a_meter_is_named_by_the_innermost_readable_address(body: bytes, device: DeviceId) -> None:
    """The long header's, behind whatever layers are readable without a key, else the link's; never a partner's."""
    assert identity_of(radio(body)) == device


@pytest.mark.parametrize(
    ("code", "letters"), [("2d2c", "KAM"), ("2dac", "KAM"), ("2104", "AAA"), ("5a6b", "ZZZ"), ("0104", None), ("2004", None), ("2100", None), ("3b04", None),
                          ("216c", None), ("6107", None), ("4107", "AZA"), ("0000", None), ("ffff", None)],
)  # fmt: skip
def test_a_manufacturer_is_three_letters(code: str, letters: str | None) -> None:
    """Five bits each, A to Z; the sixteenth bit is none of them."""
    address = bytes.fromhex(code) + bytes.fromhex("0100 0081 05 07")
    if letters is None:
        with pytest.raises(BadFrame):
            device_of(address)
    else:
        assert device_of(address) == DeviceId(letters, "81000001", 5, 7)
