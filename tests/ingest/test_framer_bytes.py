"""Known answers of the dongles' lines, byte by byte: heads, levels, check sums, answers (ingest/SERIAL.md 1)."""

import pytest
from dongle_lines import amber, cul, im871a, iu891a, rc1180
from payloads import RAW

from submeter.ingest.dongles.talk import Raw
from submeter.ingest.framers import MAX_LINE, AmberFramer, BareFramer, CulFramer, Im871aFramer, Iu891aFramer, LineFramer, Radio
from submeter.ingest.framers.amber import checksum
from submeter.ingest.framers.amber import level as amber_level
from submeter.ingest.framers.core import MAX_REST, MOST_ANSWERS, x25
from submeter.ingest.framers.im871a import level as im871a_level

KINDS = {
    "im871a": (Im871aFramer, im871a),
    "iu891a": (Iu891aFramer, iu891a),
    "amber": (AmberFramer, amber),
    "cul": (CulFramer, cul),
    "rc1180": (BareFramer, rc1180),
}


def test_check_sums():
    """CRC-16/X-25 by its check value; Amber's is the exclusive or of the configuration's question."""
    assert x25(b"123456789") == 0x906E
    assert x25(b"") == 0
    assert checksum(bytes.fromhex("ff0a020080")) == 0x77
    assert checksum(b"") == 0


@pytest.mark.parametrize(("raw", "dbm"), [(0x00, -74), (0x10, -66), (0x11, -65), (0x7F, -10), (0x80, -138), (0x81, -137), (0xFE, -75), (0xFF, -74)])
def test_levels_of_amber_and_culfw(raw, dbm):
    """A signed byte in halves of a dB, 74 below."""
    assert amber_level(raw) == dbm
    assert AmberFramer().feed(amber(RAW, raw)) == [Radio(RAW, dbm)]
    assert CulFramer().feed(cul(RAW, tail=f"00{raw:02X}")) == [Radio(RAW, dbm)]


@pytest.mark.parametrize(("raw", "dbm"), [(0, -122), (45, -100), (46, -99), (100, -72), (229, -8), (230, 0), (255, 0)])
def test_levels_of_an_im871a(raw, dbm):
    """Halves of a dB from 45 on; from 230 on it is saturated."""
    assert im871a_level(raw) == dbm
    assert Im871aFramer().feed(im871a(RAW, raw)) == [Radio(RAW, dbm)]


@pytest.mark.parametrize(("raw", "dbm"), [(0, 0), (120, -60), (121, -60), (255, -127)])
def test_levels_of_an_rc1180(raw, dbm):
    """Halves of a dB below zero."""
    assert BareFramer().feed(rc1180(RAW, raw)) == [Radio(RAW, dbm)]


@pytest.mark.parametrize("dbm", [-128, -25, -1, 0, 5, 127])
def test_levels_of_an_iu891a(dbm):
    """A signed byte."""
    assert Iu891aFramer().feed(iu891a(RAW, dbm)) == [Radio(RAW, dbm)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pieces_of_any_size_are_the_same_telegrams(kind, size):
    """Byte by byte as well as at once, and nothing is left over."""
    make, line = KINDS[kind]
    whole, pieces, sent = make(), make(), line(RAW) * 3
    heard = [one for at in range(0, len(sent), size) for one in pieces.feed(sent[at : at + size])]
    assert heard == whole.feed(sent)
    assert [one.frame for one in heard] == [RAW] * 3
    assert (pieces.bad, pieces.dropped, pieces.settle()) == (0, 0, [])


@pytest.mark.parametrize("kind", ["im871a", "amber"])
def test_more_than_a_buffer_at_once_costs_the_oldest(kind):
    """What a port is behind by is bounded; the newest telegram is heard, and every byte that was dropped is counted."""
    make, line = KINDS[kind]
    framer = make()
    assert framer.feed(bytes(MAX_REST) + line(RAW)) == [Radio(RAW, framer.feed(line(RAW))[0].rssi_dbm)]
    assert framer.dropped == MAX_REST


def sealed(inner):
    """A message of an iM871A with its check sum: head, message, length, payload."""
    raw = bytes.fromhex(inner)
    return b"\xa5" + raw + x25(raw).to_bytes(2, "little")


#: What an iM871A sends → answers of the device itself, and bytes that are dropped.
IMST = [
    (sealed("8110 04 01020304"), [bytes.fromhex("1001020304")], 0),  # endpoint 1: device information
    (sealed("8104 00"), [b"\x04"], 0),
    (sealed("8304 00"), [], 0),  # endpoint 3: nobody asks it
    (sealed("8204 00"), [], 0),  # the radio, another message
    (bytes.fromhex("a5010401ff"), [b"\x04\xff"], 0),  # without a check sum, but about the device itself
    (bytes.fromhex("a501040c") + bytes(12), [bytes([4]) + bytes(12)], 0),
    (bytes.fromhex("a5010421") + bytes(33), [], 37),  # too long to be believed
    (bytes.fromhex("a5030400"), [], 4),  # nobody vouches for it
    (bytes.fromhex("a5020300"), [], 4),  # a reception without a frame
    (bytes.fromhex("a5910400"), [], 4),  # a reserved bit
    (bytes.fromhex("a5800400"), [], 4),  # endpoint 0
    (bytes.fromhex("a5850400"), [], 4),  # endpoint 5
    (sealed("8104 00")[:-1] + b"\0", [], 6),  # another check sum
]


@pytest.mark.parametrize(("sent", "answers", "dropped"), IMST)
def test_what_an_im871a_says_of_itself(sent, answers, dropped):
    """An answer is the message and its payload; what cannot be a message is dropped, and the telegram behind it is heard."""
    framer = Im871aFramer()
    heard = framer.feed(sent + im871a(RAW)) + framer.settle()
    assert heard == [Radio(RAW, -72)]
    assert (list(framer.answers), framer.dropped) == (answers, dropped)


@pytest.mark.parametrize(("control", "tail"), [(0x0, 0), (0x2, 4), (0x4, 1), (0x8, 2), (0x6, 5), (0xA, 6), (0xC, 3), (0xE, 7)])
def test_what_stands_behind_the_payload_of_an_im871a(control, tail):
    """Bits of the head say whether time, level and check sum follow; in all cases the frame is the same."""
    sent = im871a(RAW, 100, control=control, time=b"\1\2\3\4" * bool(control & 2))
    assert len(sent) == 4 + len(RAW) - 1 + tail
    assert Im871aFramer().feed(sent) == [Radio(RAW, -72 if control & 4 else None)]


def ordered(command, data):
    """An answer of an Amber module."""
    frame = bytes([0xFF, command, len(data)]) + data
    return frame + bytes([checksum(frame)])


#: What an Amber module sends → its answers, and bytes that are dropped.
AMBER = [
    (ordered(0x84, b"\0"), [b"\x84\0"], 0),
    (ordered(0x8A, b"\0\x80" + bytes(128)), [b"\x8a\0\x80" + bytes(128)], 0),
    (ordered(0x03, b"\1"), [], 0),  # a reception without a frame
    (ordered(0x03, b""), [], 0),
    (ordered(0x04, b"\0"), [], 5),  # an order, which no module sends
    (ordered(0x84, b"\0")[:-1] + b"\0", [], 5),
]


@pytest.mark.parametrize(("sent", "answers", "dropped"), AMBER)
def test_what_an_amber_module_says_of_itself(sent, answers, dropped):
    """Answers have the highest bit of the command set; anything else but a reception is no frame."""
    framer = AmberFramer()
    assert framer.feed(sent + amber(RAW)) == [Radio(RAW, -66)]
    assert (list(framer.answers), framer.dropped) == (answers, dropped)


#: A line of a CUL → the telegram, the answer, and whether the line is bad.
CUL = [
    (cul(RAW), Radio(RAW, -48), None, False),
    (cul(RAW, tail=""), Radio(RAW), None, False),
    (cul(RAW, b=True), Radio(RAW, -48, "C1"), None, False),
    (cul(RAW, b=True, tail=""), Radio(RAW, None, "C1"), None, False),
    (b"garbage" + cul(RAW), Radio(RAW, -48), None, False),
    (cul(RAW).lower(), None, None, True),
    (cul(RAW)[:-3] + b"\r\n", None, None, True),  # an odd number of digits
    (cul(RAW).replace(b"b", b"bY"), None, None, True),
    (cul(RAW)[1:], None, None, True),
    (b"b\r\n", None, None, True),
    (b"\r\n", None, None, False),
    (b"V 1.67 nanoCUL868\r\n", None, b"V 1.67 nanoCUL868", False),
    (b"TMODE\r\n", None, b"TMODE", False),
    (b"21  900\r\n", None, b"21  900", False),
    (b"? (r is unknown)\r\n", None, None, True),
]


@pytest.mark.parametrize(("sent", "radio", "answer", "bad"), CUL)
def test_lines_of_a_cul(sent, radio, answer, bad):
    """Format A, format B, with and without levels; what it says of itself; a line that is neither is counted with its bytes."""
    framer = CulFramer()
    assert framer.feed(sent) == ([radio] if radio else [])
    assert list(framer.answers) == ([answer] if answer else [])
    assert (framer.bad, framer.dropped) == ((1, len(sent.strip())) if bad else (0, 0))
    assert framer.feed(cul(RAW)) == [Radio(RAW, -48)]


def test_a_line_without_an_end_is_bounded():
    """What is longer than any line is dropped up to the next end, counted once, and the next line is whole."""
    for make, line, found in ((LineFramer, b"line\n", [b"line"]), (CulFramer, cul(RAW), [Radio(RAW, -48)])):
        framer = make()
        for _ in range(10):
            assert framer.feed(b"x" * MAX_LINE) == []
        assert (framer.bad, framer.feed(b"x\n" + line)) == (1, found)
        assert framer.dropped == 10 * MAX_LINE + 1


def slip(inner):
    """A message of an iU891A with its check sum."""
    raw = bytes.fromhex(inner)
    raw += x25(raw).to_bytes(2, "little")
    return b"\xc0" + raw.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


#: What an iU891A sends → how many frames are bad.
SLIP = [
    (b"\xc0" * 30, 0),
    (slip("0921 0102030400000000"), 0),  # another message
    (slip("0a20 0102030400000000 1144"), 0),  # another endpoint
    (slip("0920 01020304000000e7"), 0),  # no frame in it
    (slip("0920"), 1),
    (b"\xc0\x09\xc0", 1),
    (iu891a(RAW)[:-3] + b"\0\0\xc0", 1),
]


@pytest.mark.parametrize(("sent", "bad"), SLIP)
def test_messages_of_an_iu891a_that_are_no_telegram(sent, bad):
    """Other messages are passed over, broken ones counted; every end begins the next."""
    framer = Iu891aFramer()
    assert framer.feed(sent + iu891a(RAW)) == [Radio(RAW, -25)]
    assert framer.bad == bad


def test_escaped_bytes_of_an_iu891a():
    """C0 and DB in a frame, also side by side, come out as they went in; a frame whose end lacks counts in silence."""
    frame = RAW[:-6] + bytes.fromhex("c0dbdcdbddc0")
    framer = Iu891aFramer()
    assert framer.feed(iu891a(frame)) == [Radio(frame, -25)]
    assert framer.feed(iu891a(frame)[:-1]) == []
    assert framer.settle() == [Radio(frame, -25)]
    assert framer.settle() == []


def test_answers_that_nobody_takes_are_bounded():
    """The newest wait for whoever asked."""
    framer = CulFramer()
    for number in range(2 * MOST_ANSWERS):
        framer.feed(b"V %d\n" % number)
    assert list(framer.answers) == [b"V %d" % number for number in range(MOST_ANSWERS, 2 * MOST_ANSWERS)]
    raw = Raw()
    assert raw.feed(b"abc") == raw.feed(b"de") == raw.settle() == []
    assert list(raw.answers) == [b"abcde"]
    raw.feed(bytes(5000))
    assert [len(one) for one in raw.answers] == [4096]
