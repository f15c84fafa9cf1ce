"""Our own malformed messages (FAULTS.md, G4), beside those of payloads.py: each is refused with the reason of its row, or gives what the row states and nothing else.

What a message gives is a list, one element a telegram: the reason of a refused one, the hex of a frame, or register and value of told numbers.
"""

import base64
import json

import pytest
from payloads import LINE, TELEGRAM, TOPIC, batch, encoded

from submeter.ingest.envelopes import BadPayload, split
from submeter.ingest.envelopes.mapping import Rule, Value
from submeter.ingest.envelopes.native import gateway_of
from submeter.ingest.envelopes.parsed import values_of

HEX = [TELEGRAM]
WATER = {"media": "water", "meter": "iperl", "name": "x", "id": "12345678"}
RULE = Rule("home/+/water", "topic:1", (Value("v.now", "volume", "L"),), rssi="level")
TIMED = Rule(RULE.topic, RULE.meter, RULE.values, time="at")
CHIRP = {"deviceInfo": {"devEui": "0011223344556677"}, "fPort": 2, "fCnt": 10, "data": "AQI="}


def told(value):
    """A message of wmbusmeters with this total, as JSON text."""
    return (json.dumps(WATER)[:-1] + f', "total_m3": {value}}}').encode()


def home(value, **more):
    """A home-made message with this number, as JSON text."""
    return (json.dumps(more)[:-1] + (", " if more else "") + f'"v": {{"now": {value}}}}}').encode()


def line(at, text):
    """A line of rtl_wmbus with one column changed."""
    columns = LINE.split(b";")
    columns[at] = text
    return b";".join(columns)


VALUES = [
    ("a number", told("12.345"), [{"volume": "12.345"}]),
    ("a number of 40 digits is read as it is written in a double", told("1.1000000000000000000000000000000000000001"), [{"volume": "1.1"}]),
    ("no number in quotes", told('"12.345"'), "no_values"),
    ("NaN", told("NaN"), "bad_json"),
    ("Infinity", told("Infinity"), "bad_json"),
    ("minus Infinity", told("-Infinity"), "bad_json"),
    ("beyond a double", told("1e999"), "bad_json"),
    ("beyond any dial", told("1e11"), ["bad_field"]),
    ("beyond any dial, below zero", told("-1e11"), ["bad_field"]),
    ("an integer of 300 digits", told("9" * 300), ["bad_field"]),
    ("a tiny number", told("1e-300"), [{"volume": "1E-300"}]),
    ("below zero, which the classifier is to judge", told("-1"), [{"volume": "-1"}]),
    ("minus zero", told("-0.0"), [{"volume": "-0.0"}]),
    ("true", told("true"), "no_values"),
    ("null", told("null"), "no_values"),
    ("a list", told("[1]"), "no_values"),
    ("an object", told('{"value": 1}'), "no_values"),
    ("hexadecimal", told("0x10"), "bad_json"),
    ("a leading zero", told("012"), "bad_json"),
    ("a leading plus", told("+12"), "bad_json"),
    ("a point and no digit before it", told(".5"), "bad_json"),
    ("a point and no digit behind it", told("5."), "bad_json"),
    ("a comma for the point", told("12,345"), "bad_json"),
    ("blanks in a number", told("12 345"), "bad_json"),
    ("Arabic digits", told("\u0661\u0662"), "bad_json"),
    ("the number twice: the last counts, as everywhere in JSON", told('1, "total_m3": 2'), [{"volume": "2"}]),
    ("an id of seven digits", encoded(WATER | {"id": "1234567", "total_m3": 1}), "bad_field"),
    ("an id of nine digits", encoded(WATER | {"id": "123456789", "total_m3": 1}), "bad_field"),
    ("an id that is a number", encoded(WATER | {"id": 12345678, "total_m3": 1}), "bad_field"),
    ("an id with hex letters", encoded(WATER | {"id": "1234567A", "total_m3": 1}), "bad_field"),
    ("an id of Arabic digits", encoded(WATER | {"id": "\u0661" * 8, "total_m3": 1}), "bad_field"),
    ("an id with a line end", encoded(WATER | {"id": "12345678\n", "total_m3": 1}), "bad_field"),
    ("a time without a zone", encoded(WATER | {"total_m3": 1, "timestamp": "2026-01-01T00:00:00"}), "bad_time"),
    ("a time of no calendar", encoded(WATER | {"total_m3": 1, "timestamp": "2026-02-30T00:00:00Z"}), "bad_time"),
    ("a time of hour 24", encoded(WATER | {"total_m3": 1, "timestamp": "2026-02-28T24:30:00Z"}), "bad_time"),
    ("a time that is empty", encoded(WATER | {"total_m3": 1, "timestamp": ""}), "bad_time"),
    ("nothing that is used", encoded(WATER | {"temperature_c": 1}), "no_values"),
]  # fmt: skip

MAPPED = [
    ("a number", home("12345"), [{"volume": "12.345"}]),
    ("a text that is a number", home('"12345"'), [{"volume": "12.345"}]),
    ("a text that is none", home('"12.3.4"'), ["bad_field"]),
    ("a text with a unit", home('"12345 L"'), ["bad_field"]),
    ("a text NaN is no value", home('"NaN"'), ["no_values"]),
    ("a text Infinity is no value", home('"Infinity"'), ["no_values"]),
    ("a text -Infinity is no value", home('"-inf"'), ["no_values"]),
    ("a text sNaN is no value", home('"sNaN"'), ["no_values"]),
    ("a text of a number without end", home('"1e999999999"'), ["bad_field"]),
    ("a text of a thousand digits", home(f'"{"9" * 1000}"'), ["bad_field"]),
    ("a number beyond any dial", home("1e15"), ["bad_field"]),
    ("unavailable is no value", home('"unavailable"'), ["no_values"]),
    ("null is no value", home("null"), ["no_values"]),
    ("true is no value", home("true"), ["no_values"]),
    ("a list", home("[1]"), ["bad_field"]),
    ("an object", home("{}"), ["bad_field"]),
    ("the object is missing", b'{"w": 1}', ["no_values"]),
    ("a list in place of the object", b'[{"v": {"now": 5}}, {"v": 7}]', [{"volume": "0.005"}, "no_values"]),
    ("a bare number", b"12345", ["no_values"]),
    ("a time without a zone", home("5", at="2026-01-01T00:00:00"), ["bad_time"]),
    ("a time that is a number", home("5", at=1), ["bad_time"]),
    ("a time in the year 10000", home("5", at="10000-01-01T00:00:00Z"), ["bad_time"]),
    ("a level that is a word", home("5", level="loud"), ["bad_field"]),
    ("no JSON", b"12345 L", "bad_json"),
    ("nothing", b"", "empty"),
    ("bytes of no alphabet", b"\xff\xfe\x00", "bad_json"),
]  # fmt: skip

FRAMED = [
    ("hex with 0x before it", b"0x" + TELEGRAM.encode(), HEX),
    ("hex with white space around it", b" \r\n" + TELEGRAM.encode() + b"\n", HEX),
    ("hex in quotes", f'"{TELEGRAM}"'.encode(), "unknown_format"),
    ("hex with a byte order mark", b"\xef\xbb\xbf" + TELEGRAM.encode(), "unknown_format"),
    ("hex in full width", "".join(chr(ord(one) + 0xFEE0) for one in TELEGRAM.upper()).encode(), "unknown_format"),
    ("hex with a minus", b"-" + TELEGRAM.encode(), "unknown_format"),
    ("base64 of the frame", base64.b64encode(bytes.fromhex(TELEGRAM)), "unknown_format"),
    ("a line", LINE, HEX),
    ("a line whose CRC is wrong", line(1, b"0"), ["bad_crc"]),
    ("a line whose code is wrong", line(2, b"0"), ["bad_crc"]),
    ("a line with a CRC of 2", line(1, b"2"), "unknown_format"),
    ("a line without a time", line(3, b""), HEX),
    ("a line with a time of no calendar", line(3, b"2026-13-01 08:00:00.000"), ["bad_time"]),
    ("a line of the year 1970", line(3, b"1970-01-01 00:00:00.000"), ["bad_time"]),
    ("a line without 0x", line(7, TELEGRAM.encode()), ["bad_line"]),
    ("a line with an odd number of digits", line(7, b"0x" + TELEGRAM.encode()[:-1]), ["bad_hex"]),
    ("a line with a letter that is no digit", line(7, b"0x" + TELEGRAM.encode()[:-1] + b"g"), ["bad_hex"]),
    ("a line with 0x alone", line(7, b"0x"), ["bad_hex"]),
    ("a good line and a broken one", LINE + b"\n" + line(1, b"0"), [*HEX, "bad_crc"]),
    ("a line and words", LINE + b"\nhello", [*HEX, "bad_line"]),
    ("a batch within a batch", encoded(batch({"hex": json.dumps(batch())})), ["bad_hex"]),
    ("a batch with base64 for hex", encoded(batch({"hex": "FEQ="})), ["bad_hex"]),
    ("a batch with a form that there is not", encoded(batch({"hex": TELEGRAM, "form": "c"})), ["bad_field"]),
    ("a batch with a kind that there is not", encoded(batch({"hex": TELEGRAM, "kind": "lorawan"})), ["bad_field"]),
    ("a batch with an instant before 2000", encoded(batch({"hex": TELEGRAM, "ts": 0})), ["bad_time"]),
    ("a batch with an instant in seconds in place of milliseconds", encoded(batch({"hex": TELEGRAM, "ts": 1_795_248_000})), ["bad_time"]),
    ("a batch with an instant of true", encoded(batch({"hex": TELEGRAM, "ts": True})), ["bad_field"]),
    ("an uplink", encoded(CHIRP), ["0102"]),
    ("an uplink with base64 that is cut", encoded(CHIRP | {"data": "AQI"}), "bad_base64"),
    ("an uplink with hex in place of base64", encoded(CHIRP | {"data": "01-02"}), "bad_base64"),
    ("an uplink with an EUI of 15 digits", encoded(CHIRP | {"deviceInfo": {"devEui": "001122334455667"}}), "bad_field"),
    ("an uplink with an EUI of null", encoded(CHIRP | {"deviceInfo": {"devEui": None}}), "bad_field"),
    ("an uplink with a count that is a text", encoded(CHIRP | {"fCnt": "10"}), "bad_field"),
    ("an uplink of no time", encoded(CHIRP | {"time": "yesterday"}), "bad_time"),
]  # fmt: skip

#: Topics whose gateway a batch of gw-7 must not be counted for, or is.
TOPICS = {
    "submeter/v1/gw-7/up": "gw-7", "submeter/v1//up": "", "submeter/v1/gw-7/up/": None, "/submeter/v1/gw-7/up": None, "submeter/v2/gw-7/up": None,
    "submeter/v1/gw-7/down": None, "submeter/v1/a/b/up": None, "submeter/v1/../up": "..", "SUBMETER/v1/gw-7/up": None, "": None, "submeter/v1/gw-7\0/up": "gw-7\0",
}  # fmt: skip


def given(telegram):
    """What a telegram gives, or why it does not."""
    if telegram.reason or telegram.link != "parsed":
        return telegram.reason or telegram.raw.hex()
    try:
        return {register.name: str(value) for register, value in values_of(telegram.raw).values.items()}
    except BadPayload as refusal:
        return refusal.reason


def outcome(topic, payload, rules=()):
    """The reason of a refusal, or what each telegram gives."""
    try:
        return [given(one) for one in split(topic, payload, rules=rules).telegrams]
    except BadPayload as refusal:
        return refusal.reason


@pytest.mark.parametrize(("what", "payload", "expected"), VALUES, ids=[row[0] for row in VALUES])
def test_told_values_end_as_stated(what, payload, expected):
    """Numbers, ids and times that a program tells are taken as they are written, or refused."""
    assert outcome("wmbusmeters/x", payload) == expected


@pytest.mark.parametrize(("what", "payload", "expected"), MAPPED, ids=[row[0] for row in MAPPED])
def test_mapped_messages_end_as_stated(what, payload, expected):
    """The same of a shape that the configuration describes."""
    assert outcome("home/m1/water", payload, [TIMED if b'"at"' in payload else RULE]) == expected


@pytest.mark.parametrize(("what", "payload", "expected"), FRAMED, ids=[row[0] for row in FRAMED])
def test_frames_in_messages_end_as_stated(what, payload, expected):
    """Hex, base64, lines, batches and uplinks."""
    assert outcome(TOPIC, payload) == expected


@pytest.mark.parametrize(("topic", "gateway"), TOPICS.items())
def test_topics_name_a_gateway_or_none(topic, gateway):
    """A batch under a topic of another gateway is refused; other topics name none, and the batch's own name counts."""
    assert gateway_of(topic) == gateway
    assert outcome(topic, encoded(batch())) == (HEX if gateway in {"gw-7", None} else "gateway_mismatch")
