"""Link frames: forms, checks, order of recognition (EN 13757-2 and -4; ingest formats, section 3)."""

import pytest

from submeter.decoders import BadFrame, DecodeError, Profile, Rejected, decode, identify
from submeter.decoders.crc import crc16
from submeter.decoders.frame import parse_frame, strip_a, strip_b
from submeter.reading import DeviceId
from submeter.simulate import encode

METER = DeviceId("STM", "81000001", 0x05, 0x07)
BODY = encode.plain(encode.bcd(b"\x13", 4711, 8), encode.Header(access=9))
RADIO = encode.radio(METER, BODY)
LONG = encode.radio(METER, BODY + bytes([0x2F] * 150))
WIRED = encode.wired(encode.plain(encode.bcd(b"\x13", 4711, 8), encode.Header(access=9, address=METER)))


def test_crc_of_the_standard() -> None:
    """The check value of the polynomial: CRC of "123456789"."""
    assert crc16(b"123456789") == 0xC2B7


@pytest.mark.parametrize("raw", [RADIO, LONG])
def test_crcs_come_off(raw: bytes) -> None:
    """Formats A and B give the frame without CRCs and with its own length."""
    assert strip_a(encode.format_a(raw)) == raw
    assert strip_b(encode.format_b(raw)) == raw


@pytest.mark.parametrize(
    ("raw", "link"),
    [
        (RADIO, "wmbus"),
        (encode.format_a(RADIO), "wmbus"),
        (encode.format_b(RADIO), "wmbus"),
        (encode.format_a(LONG), "wmbus"),
        (encode.format_b(LONG), "wmbus"),
        (WIRED, "mbus"),
        (WIRED[4:-2], "mbus"),
    ],
)
def test_a_form_is_recognised(raw: bytes, link: str) -> None:
    """Undeclared bytes are recognised by length, checksum and CRCs, whatever the link."""
    frame = parse_frame(raw)
    assert (frame.link, identify(raw)) == (link, METER)
    assert frame.body in {BODY, parse_frame(LONG).body, parse_frame(WIRED).body}


def test_a_damaged_frame_with_crcs_is_refused_where_the_form_is_declared() -> None:
    """Declared format B is binding; undeclared, the damaged frame looks like one without CRCs."""
    damaged = encode.format_b(RADIO)[:-4] + b"\x55" + encode.format_b(RADIO)[-3:]
    with pytest.raises(BadFrame):
        parse_frame(damaged, form="b")
    assert parse_frame(damaged).body != BODY


def test_bytes_behind_the_length_need_the_declared_form() -> None:
    """Receivers append level and quality bytes: accepted where declared, cut off."""
    with pytest.raises(BadFrame):
        parse_frame(RADIO + b"\x55\x66")
    assert parse_frame(RADIO + b"\x55\x66", form="trailing").body == BODY


def test_a_wired_frame_is_found_between_idle_bytes() -> None:
    """Garbage before and behind, a false start byte included, is left out; recognition without a declared link is strict."""
    noisy = b"\xff\x68\x01" + WIRED + b"\xe5\xff"
    assert parse_frame(noisy, "mbus") == parse_frame(WIRED)
    assert parse_frame(noisy, form="wired") == parse_frame(WIRED)
    with pytest.raises(BadFrame):
        parse_frame(noisy)


@pytest.mark.parametrize(
    ("raw", "link"),
    [
        (b"\xe5", "mbus"),
        (bytes.fromhex("105b015c16"), "mbus"),
        (encode.wired(BODY, control=0x5B), "mbus"),
        (encode.radio(METER, BODY, control=0x40), "wmbus"),
    ],
)
def test_whole_frames_without_data_are_rejected(raw: bytes, link: str) -> None:
    """Acknowledgements, requests and link resets are not damage."""
    with pytest.raises(Rejected):
        parse_frame(raw, link)


@pytest.mark.parametrize("control", [0x44, 0x46, 0x08, 0x18, 0x28, 0x38])
def test_data_frames_are_accepted(control: int) -> None:
    """Spontaneous, installation and answer frames carry readings."""
    assert parse_frame(encode.radio(METER, BODY, control=control)).body == BODY


@pytest.mark.parametrize(
    "raw", [b"", b"\x00", RADIO[:-1], RADIO[:10], bytes([9]) + RADIO[1:10], WIRED[:-1], WIRED[:-1] + b"\x17", bytes([0x1E, 0x99]) + RADIO[2:]]
)
def test_anything_else_is_a_bad_frame(raw: bytes) -> None:
    """Empty, cut, without a CI field, with a wrong stop byte or an unknown control field."""
    with pytest.raises(BadFrame):
        parse_frame(raw)


def test_an_unknown_form_is_named() -> None:
    """A misspelt form is told, with those that exist."""
    with pytest.raises(BadFrame, match="nocrc"):
        parse_frame(RADIO, form="crc")


@pytest.mark.parametrize("address", ["0000 01000081 05 07", "ffff 01000081 05 07", "8d4e ffffffff 05 07"])
def test_a_void_address_is_no_meter(address: str) -> None:
    """Manufacturer codes outside A to Z and the id FFFFFFFF come from bytes that the receiver could not read."""
    raw = b"\x44" + bytes.fromhex(address) + BODY
    with pytest.raises(BadFrame):
        identify(bytes([len(raw)]) + raw)


@pytest.mark.parametrize("raw", [encode.wired(bytes.fromhex("72 01000081 8d4e 05")), encode.radio(METER, bytes.fromhex("72 01000081 8d4e 05"))])
def test_a_cut_address_is_not_replaced_by_the_link_s(raw: bytes) -> None:
    """A telegram that starts to name another meter is never booked to the adapter."""
    with pytest.raises(BadFrame):
        identify(raw)


def test_ids_keep_hex_digits_and_the_soft_address_bit_is_no_letter() -> None:
    """Ids are text; bit 15 of the manufacturer code is not part of its letters."""
    raw = b"\x44" + bytes.fromhex("8dce efbeadde 05 07") + BODY
    assert str(identify(bytes([len(raw)]) + raw)) == "STM-DEADBEEF-05-07"


def test_a_wired_answer_without_header_is_named_by_its_primary_address() -> None:
    """No manufacturer, no id: XXX and the bus address."""
    assert str(identify(encode.wired(b"\x78" + encode.bcd(b"\x13", 1, 8), address=17), link="mbus")) == "XXX-00000017-00-00"


def test_a_bare_frame_that_ends_like_its_own_crc_decodes() -> None:
    """One bare frame in 65,536 looks like format B; where that reading fails, the bare one is taken instead of losing the telegram."""
    unfinished = encode.radio(METER, BODY + encode.integer(b"\x2b", 0, 2))
    raw = unfinished[:-2] + crc16(unfinished[:-2]).to_bytes(2, "big")
    assert strip_b(raw)
    telegram = decode(raw, lambda _: Profile())
    assert not telegram.suspect
    assert {reading.register.name for reading in telegram.readings} == {"volume", "power"}


@pytest.mark.parametrize(
    ("unit_1", "unit_2", "kind"),
    [(0x02, 0x42, 4), (0x42, 0x42, 5), (0x82, 0x82, 3), (0xC2, 0x82, 4), (0x29, 0xE9, 6), (0x69, 0xE9, 7), (0xB9, 0xF9, 8)],
)
def test_the_medium_of_the_fixed_structure_is_a_device_type(unit_1: int, unit_2: int, kind: int) -> None:
    """The top bits of both unit bytes; its five media for meters of mode 2 are the plain ones: a heat meter of them is no cooling meter."""
    body = bytes.fromhex("73 01000091 07 01") + bytes([unit_1, unit_2]) + bytes(8)
    assert identify(encode.wired(body), link="mbus").type == kind


def outcome(raw: bytes, link: str, form: str) -> str:
    """The reason of a frame that is refused, or `read`."""
    try:
        parse_frame(raw, link, form)
    except DecodeError as error:
        return error.reason
    return "read"


def test_every_control_field_has_its_outcome() -> None:
    """Answers and spontaneous data are read, what else a meter or a reader sends is rejected; on radio other bytes are no frame."""
    read, known = {0x08, 0x18, 0x28, 0x38, 0x44, 0x46}, {0x06, 0x40, 0x47, 0x48, 0x53, 0x73}
    for control in range(256):
        radio, wire = bytearray(RADIO), bytearray(WIRED)
        radio[1] = wire[4] = control
        wire[-2] = sum(wire[4:-2]) & 0xFF
        assert outcome(bytes(radio), "wmbus", "nocrc") == ("read" if control in read else "rejected" if control in known else "bad_frame")
        assert outcome(bytes(wire), "mbus", "wired") == ("read" if control in read else "rejected")


@pytest.mark.parametrize("form", ["a", "b"])
def test_the_length_of_a_frame_with_crcs_is_its_own(form: str) -> None:
    """A length field that says more or less is refused although the CRCs are right; so is nothing at all."""
    for change in (-1, 0, 1):
        if form == "a":
            head = bytes([RADIO[0] + change]) + RADIO[1:10]
            raw = head + crc16(head).to_bytes(2, "big") + encode.format_a(RADIO)[12:]
        else:
            data = bytes([RADIO[0] + 2 + change]) + RADIO[1:]
            raw = data + crc16(data).to_bytes(2, "big")
        assert outcome(raw, "wmbus", form) == ("bad_frame" if change else "read")
    assert outcome(b"", "wmbus", form) == "bad_frame"


def test_user_data_of_the_wire_begin_with_a_known_field() -> None:
    """Without start, length and checksum only the CI fields of meters' data are taken for a frame, by answers and by nothing else."""
    for ci in range(256):
        raw = b"\x08\x01" + bytes([ci]) + WIRED[7:-2]
        assert outcome(raw, "mbus", "userdata") == ("read" if ci in {0x72, 0x73, 0x76, 0x78, 0x7A} else "bad_frame"), hex(ci)
    assert outcome(b"\x44\x01" + WIRED[6:-2], "mbus", "userdata") == "bad_frame"
