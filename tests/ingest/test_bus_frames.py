"""Known answers of the wired bus's frames and addresses (EN 13757-2, 5 and 6; EN 13757-7 for selection and orders; ingest/SERIAL.md 2)."""

import pytest

from submeter.ingest.bus.frames import (
    BAUDS,
    Secondary,
    address_order,
    baud_order,
    header_of,
    more_follows,
    nke,
    parse_address,
    request,
    select,
    verdict,
)
from submeter.ingest.bus.master import Timing
from submeter.ingest.bus.scan import Scan
from submeter.reading import DeviceId


def long_frame(inner):
    """A long frame around control field, address, CI field and data."""
    raw = bytes.fromhex(inner)
    return bytes([0x68, len(raw), len(raw), 0x68]) + raw + bytes([sum(raw) % 256, 0x16])


#: RSP_UD of primary address 5: long header of meter 20135442, NZR, version 3, electricity 2, one volume record.
PAGE = long_frame("08 05 72" + "42541320" + "523b" + "03" + "02" + "07 00 0000" + "0c13 78563412")


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        (nke(0), "10 40 00 40 16"),
        (nke(250), "10 40 fa 3a 16"),
        (nke(253), "10 40 fd 3d 16"),
        (request(254, fcb=True), "10 7b fe 79 16"),
        (request(1, fcb=False), "10 5b 01 5c 16"),
        (select(Secondary()), "68 0b 0b 68 53 fd 52 ff ff ff ff ff ff ff ff 9a 16"),
        (select(Secondary("1234FFFF", "4304", "01", "07")), "68 0b 0b 68 53 fd 52 ff ff 34 12 43 04 01 07 35 16"),
        (baud_order(5, 300), "68 03 03 68 73 05 b8 30 16"),
        (baud_order(253, 9600), "68 03 03 68 73 fd bd 2d 16"),
        (address_order(253, 12), "68 06 06 68 73 fd 51 01 7a 0c 48 16"),
    ],
)
def test_what_a_master_sends(sent, known):
    """Byte by byte, with the check sum over control field, address and what follows."""
    assert sent.hex(" ") == known


def test_baud_rates_are_those_of_the_standard():
    """CI B8 to BD, each the double of the one before."""
    assert list(BAUDS) == [300 << step for step in range(6)]
    assert list(BAUDS.values()) == list(range(0xB8, 0xBE))


CHANGED = [
    (0, "framing"),
    (1, "framing"),
    (2, "framing"),
    (3, "framing"),
    (4, "checksum"),
    (6, "checksum"),
    (-3, "checksum"),
    (-2, "checksum"),
    (-1, "framing"),
]


@pytest.mark.parametrize(("at", "reason"), CHANGED)
def test_one_wrong_byte_of_an_answer_has_its_reason(at, reason):
    """What frames it is `framing`, what it frames, and the sum itself, `checksum`."""
    changed = bytearray(PAGE)
    changed[at] ^= 0x01
    assert verdict(bytes(changed)) == (False, reason)


@pytest.mark.parametrize(
    ("answer", "whole", "reason"),
    [
        (PAGE, True, None),
        (long_frame("08 05 78"), True, None),
        (long_frame("08 05"), False, "framing"),
        (b"\xe5", True, None),
        (b"\xe5\xe5", False, "collision"),
        (b"\xe5" + PAGE, False, "collision"),
        (PAGE + b"\xe5", False, "framing"),
        (PAGE * 2, False, "framing"),
        (b"\x10\x40\x05\x45\x16", False, "framing"),
        (b"", False, "timeout"),
    ],
)
def test_whole_answers_and_what_is_none(answer, whole, reason):
    """An acknowledgement alone, or one long frame of at least three bytes; anything behind either is not one slave's answer."""
    assert verdict(answer) == (whole, reason)


@pytest.mark.parametrize("length", range(1, len(PAGE)))
def test_an_answer_is_not_whole_before_its_last_byte(length):
    """A master waits for what the frame's own length says, and for no byte more."""
    assert verdict(PAGE[:length]) == (False, "framing")


FIXED = "08 05 73" + "78563412" + "0a 00 e97e" + "01000000" + "35010000"
LONG = "08 05 72" + "42541320" + "523b" + "03" + "02" + "07 00 0000"


@pytest.mark.parametrize(
    ("inner", "address"),
    [
        (LONG, "20135442 523B 03 02"),
        ("08 05 72 42541320 523b 03 02", "20135442 523B 03 02"),
        ("08 05 72 42541320 523b 03", None),
        (FIXED, "12345678 FFFF FF FF"),
        ("08 05 73 78563412", "12345678 FFFF FF FF"),
        ("08 05 73 785634", None),
        ("08 05 7a 07 00 0000 0c13 78563412", None),
        ("08 05 78 0c13 78563412 0c13 78563412", None),
    ],
)
def test_whose_a_page_is(inner, address):
    """The long header names all, the fixed structure the number, a short header or none nobody."""
    found = header_of(long_frame(inner))
    assert (str(found) if found else None) == address


@pytest.mark.parametrize(
    ("inner", "more"),
    [
        (LONG + "0c13 78563412 1f", True),
        (LONG + "0c13 78563412 0f", False),
        (LONG + "0c13 78563412 0f 1f", False),
        (LONG + "1f 0c13", True),  # what follows is the maker's
        (LONG + "0c13 1f563412", False),
        (FIXED, False),
        (FIXED[:-2] + "1f", False),
        ("08 05 7a 07 00 0000 1f", True),
        ("08 05 78 1f", True),
        (LONG[:-4], False),
    ],
)
def test_whether_another_page_follows(inner, more):
    """DIF 1F says so, in the place of a DIF only: in values, behind 0F and in the fixed structure the byte means something else."""
    assert more_follows(long_frame(inner)) is more


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1", 1),
        ("250", 250),
        ("254", 254),
        (" 5 ", 5),
        ("007", 7),
        ("20135442", Secondary("20135442")),
        ("2013FFFF", Secondary("2013FFFF")),
        ("20135442 523b 03 02", Secondary("20135442", "523B", "03", "02")),
        ("20135442-523B-03-02", Secondary("20135442", "523B", "03", "02")),
        ("20135442523B0302", Secondary("20135442", "523B", "03", "02")),
        ("nzr-20135442-03-02", Secondary("20135442", "523B", "03", "02")),
        ("KAM-12345678-1B-06", Secondary("12345678", "2D2C", "1B", "06")),
    ],
)
def test_an_address_in_every_form(text, address):
    """As scan prints it, as the directory names the device, or a primary one."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["0", "251", "252", "253", "255", "0005", "-5", "2013544", "201354420", "2013544G", "20135442 523B", "KAM-12345678-1B", "5 6"]
)
def test_what_is_no_address(text):
    """Addresses of everybody and of whoever is selected are not those of a meter; the sentence says what to write."""
    with pytest.raises(ValueError, match=r"is no address: write a primary one from 1 to 250 \(254 for the only slave of a line\)"):
        parse_address(text)


@pytest.mark.parametrize("device", ["NZR-20135442-03-02", "KAM-12345678-1B-06", "AAA-00000000-00-00", "ZZZ-99999999-FF-FE"])
def test_an_address_goes_over_the_line_and_back(device):
    """Of a device of the directory, as eight bytes of a selection, and of a header that holds the same."""
    address = Secondary.of(DeviceId.parse(device))
    assert Secondary.sent(address.encoded) == address
    assert parse_address(str(address)) == address
    assert len(address.encoded) == 8


@pytest.mark.parametrize(
    ("mask", "covered"),
    [
        ("FFFFFFFF FFFF FF FF", True),
        ("20135442 523B 03 02", True),
        ("2FFFFFFF FFFF FF FF", True),
        ("2013544F 523B FF 02", True),
        ("FFFFFFF2 FFFF 03 FF", True),
        ("3FFFFFFF FFFF FF FF", False),
        ("20135443 FFFF FF FF", False),
        ("FFFFFFFF 523C FF FF", False),
        ("FFFFFFFF FFFF 04 FF", False),
        ("FFFFFFFF FFFF FF 03", False),
        ("FFFFFFFF 5FFF FF FF", False),  # parts of a manufacturer are no wildcard
    ],
)
def test_whom_a_mask_means(mask, covered):
    """F stands for any digit of the number, FFFF for any manufacturer, FF for any version and medium."""
    assert parse_address(mask).covers(parse_address("20135442 523B 03 02")) is covered


def test_a_digit_of_a_mask():
    """The search puts digits in from the left, and changes nothing else."""
    assert str(Secondary().with_digit(0, "7")) == "7FFFFFFF FFFF FF FF"
    assert str(Secondary("70FFFFFF", "523B", "03", "02").with_digit(7, "9")) == "70FFFFF9 523B 03 02"


@pytest.mark.parametrize(
    ("baud", "answer_s", "gap_s", "silence_s", "page_s"),
    [(300, 1.18, 22 / 300 + 0.03, 0.14, 9.57), (2400, 0.2175, 22 / 2400 + 0.03, 0.04375, 1.19625)],
)
def test_how_long_an_answer_may_take(baud, answer_s, gap_s, silence_s, page_s):
    """EN 13757-2, 5.6.1: 330 bits and 50 ms to its first byte, with the way of the line; eleven bits a byte."""
    timing = Timing(baud)
    found = (timing.answer_s, timing.gap_s, timing.silence_s, timing.on_the_line_s(261))
    assert found == pytest.approx((answer_s, gap_s, silence_s, page_s))


def test_a_slow_way_gives_answers_more_time():
    """Through a TCP gateway bytes of one answer may come as far apart as the way there is long."""
    slow = Timing(2400, latency_s=0.5)
    assert (slow.answer_s, slow.gap_s, slow.silence_s) == pytest.approx((0.6875, 22 / 2400 + 0.5, 33 / 2400 + 0.5))


class Deaf:
    """A master to whom nobody answers; notes whom it was to select, and how often."""

    def __init__(self):
        self.selected = []

    def select(self, mask, *, tries):
        """Nobody is there."""
        self.selected.append((str(mask), tries))
        return False

    def deselect(self):
        """The search is over."""
        self.selected.append(("none", 0))


@pytest.mark.parametrize("thorough", [False, True])
def test_a_search_on_an_empty_line_asks_once(thorough):
    """All meters are called three times; where nobody answers there is nothing to part, and nobody is left selected."""
    deaf = Deaf()
    assert list(Scan(deaf, thorough=thorough).run()) == []
    assert deaf.selected == [("FFFFFFFF FFFF FF FF", 3), ("none", 0)]
    assert list(Scan(deaf, thorough=thorough).known([Secondary("20135442")])) == []
    assert deaf.selected[2:] == [("20135442 FFFF FF FF", 2 if thorough else 1)]
