"""MQTT control packets: what paho writes is read, what we write a real broker reads (test_mqtt); pieces, giants and nonsense (MQTT 5.0, 2 and 3)."""

import random
import struct

import pytest

from submeter.ingest.packets import Answer, Connect, Incoming, Kind, ProtocolError, Published, acknowledge, answer, completed, subscribe


def fed(incoming, data):
    """Write bytes as a socket would, as far as there is room; the packets that are whole then."""
    found = []
    while data:
        room = incoming.room()
        count = min(len(room), len(data))
        room[:count], data = data[:count], data[count:]
        incoming.came(count)
        while (packet := incoming.packet()) is not None:
            found.append((packet[0], bytes(packet[1])))
    return found


def length(number):
    """A variable byte integer as the standard's algorithm makes it (MQTT 5.0, 1.5.5)."""
    made = b""
    while True:
        number, digit = divmod(number, 128)
        made += bytes([digit | (0x80 if number else 0)])
        if not number:
            return made


def message(topic, payload, mid=7, flags=0x2, properties=b""):
    """A PUBLISH of version 5 as a broker writes it."""
    body = struct.pack("!H", len(topic)) + topic + (struct.pack("!H", mid) if flags & 6 else b"") + length(len(properties)) + properties + payload
    return bytes([0x30 | flags]) + length(len(body)) + body


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 100_000])
def test_packets_in_pieces_of_any_size_are_the_same_packets(size):
    """However the stream is cut, the same messages come out, byte for byte."""
    rng = random.Random(size)
    sent = [message(b"t/%d" % number, rng.randbytes(size), number + 1) for number in range(5)]
    incoming, stream, found = Incoming(300_000), b"".join(sent) * 3, []
    while stream:
        cut = rng.choice([1, 2, 3, 5, 1000, 70_000])
        found += fed(incoming, stream[:cut])
        stream = stream[cut:]
    told = [Published.of(first, memoryview(body), 5) for first, body in found]
    assert [(one.topic, one.mid, len(one.payload)) for one in told] == [(f"t/{number}", number + 1, size) for number in range(5)] * 3
    assert [message(one.topic.encode(), one.payload, one.mid) for one in told] == sent * 3


def test_a_giant_comes_shortened_and_what_follows_is_whole():
    """A message larger than the buffer can be refused and acknowledged; its rest is passed over, however it arrives."""
    for before in (b"", message(b"a", b"x" * 900)):
        giant, after = message(b"big", b"y" * 1_000_000, 9), message(b"b", b"after", 10)
        found = fed(Incoming(100_000), before + giant + after)
        told = [Published.of(first, memoryview(body), 5) for first, body in found]
        assert [one.mid for one in told][-2:] == [9, 10]
        assert 90_000 < len(told[-2].payload) < 100_000
        assert set(told[-2].payload) == set(b"y")
        assert told[-1].payload == b"after"


def test_flags_properties_and_topics_that_are_no_text():
    """Quality, retain and repetition are read; properties are passed over; a topic that is no UTF-8 is delivered like any other."""
    one = Published.of(0x3B, memoryview(message(b"\xff", b"p", 3, 0xB, b"\x01\x00")[2:]), 5)
    assert one == Published("\N{REPLACEMENT CHARACTER}", b"p", retain=True, dup=True, qos=1, mid=3)
    plain = Published.of(0x30, memoryview(b"\x00\x01tpayload"), 4)
    assert plain == Published("t", b"payload", retain=False, dup=False, qos=0, mid=0)


@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"\x00\x09t", b"\x00\x01t\x00", b"\x00\x01t\x00\x00\x00", b"\x00\x01t\x00\x01\x09", b"\x00\x01t\x00\x01\xff\xff\xff\xff"]
)
def test_a_message_that_is_none_is_refused(body):
    """Cut anywhere, without a packet id or with a length that is none."""
    with pytest.raises(ProtocolError):
        Published.of(0x32, memoryview(body), 5)


def test_nonsense_is_refused_and_never_anything_else():
    """Random bytes give packets or ProtocolError; random bodies too."""
    rng = random.Random(7)
    for _ in range(3000):
        data = rng.randbytes(rng.randrange(1, 40))
        try:
            for first, body in fed(Incoming(70_000), data):
                kind = Kind(first >> 4) if first >> 4 in set(Kind) else Kind.PUBLISH
                if kind is Kind.PUBLISH:
                    Published.of(first, memoryview(body), 5)
                elif kind in (Kind.CONNACK, Kind.SUBACK, Kind.DISCONNECT):
                    answer(kind, memoryview(body), 5)
        except ProtocolError:
            pass
    with pytest.raises(ProtocolError, match="ffffffff"):
        fed(Incoming(70_000), b"\x30\xff\xff\xff\xff\xff")


def test_answers_of_the_broker():
    """CONNACK with a keep-alive among other properties, SUBACK and DISCONNECT, in both versions."""
    properties = b"\x12\x00\x02id" + b"\x26\x00\x01k\x00\x01v" + b"\x22\x00\x0a" + b"\x13\x00\x1e"
    connack = memoryview(b"\x01\x00" + length(len(properties)) + properties)
    assert answer(Kind.CONNACK, connack, 5) == Answer(b"\x00", session_present=True, keepalive_s=30)
    assert answer(Kind.CONNACK, memoryview(b"\x00\x05"), 4) == Answer(b"\x05")
    assert answer(Kind.SUBACK, memoryview(b"\x00\x01\x00\x01\x87"), 5).codes == b"\x01\x87"
    assert answer(Kind.SUBACK, memoryview(b"\x00\x01\x80"), 4).codes == b"\x80"
    assert answer(Kind.DISCONNECT, memoryview(b"\x8e"), 5).codes == b"\x8e"
    assert answer(Kind.DISCONNECT, memoryview(b""), 5).codes == b"\x00"


def test_what_we_write():
    """As in the standard's figures: CONNECT with and without properties, SUBSCRIBE, acknowledgements of both qualities, PUBCOMP."""
    connect = Connect("id", 4, 60, 0, 1000, 1000, "user", "word").packet()
    assert connect == bytes.fromhex("101a0004 4d515454 04c0003c 0002 6964 0004 75736572 0004 776f7264".replace(" ", ""))
    assert Connect("id", 5, 60, 3600, 1000, 65_536).packet() == bytes.fromhex(
        "101c00044d5154540500003c0d11 00000e10 2103e8 2700010000 00026964".replace(" ", "")
    )
    assert subscribe(1, [("a/+", 0x21)], 5) == bytes.fromhex("820900010000 03612f2b21".replace(" ", ""))
    assert subscribe(1, [("a/+", 1)], 4) == bytes.fromhex("8208000100 03612f2b01".replace(" ", ""))
    assert acknowledge([(1, 1), (0, 0), (258, 2)]) == bytes.fromhex("40020001 50020102".replace(" ", ""))
    assert completed(memoryview(b"\x01\x02\x00")) == bytes.fromhex("70020102")
