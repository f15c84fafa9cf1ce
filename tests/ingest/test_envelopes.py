"""Envelopes: whatever comes in, telegrams or a reason come out."""

import json
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payloads import GOOD, LINE, PARTLY, REFUSED, TELEGRAM, TOPIC, batch, encoded

from submeter.ingest.envelopes import FORMATS, BadPayload, Envelope, Heard, split

RAW = bytes.fromhex(TELEGRAM)
EIGHT = 1_795_248_000_000_000  # 2026-11-21 08:00:00 UTC


def typed(topic, payload, pinned=None):
    """The outcome of a split; any other exception than BadPayload fails the test."""
    try:
        return split(topic, payload, pinned)
    except BadPayload as error:
        return error


@pytest.mark.parametrize("name", REFUSED)
def test_broken_messages_are_refused_with_their_reason(name):
    """Each kind of broken message has its reason."""
    reason, payload = REFUSED[name]
    with pytest.raises(BadPayload) as caught:
        split(TOPIC, payload)
    assert caught.value.reason == reason


@pytest.mark.parametrize("name", PARTLY)
def test_a_broken_telegram_costs_itself_alone(name):
    """Of several telegrams only the broken one is refused, with its reason, at its own position."""
    reason, payload = PARTLY[name]
    telegrams = split(TOPIC, payload).telegrams
    assert sorted(telegram.reason or "" for telegram in telegrams) == ["", reason]
    assert [telegram.raw for telegram in telegrams if telegram.reason is None] == [RAW]


def test_malformed_payloads_give_a_reason(shared):
    """Every payload row of the shared malformed set is refused, none raises anything else."""
    rows = [json.loads(line) for line in (shared / "reliability" / "malformed.jsonl").read_text().splitlines()]
    payloads = {row["id"]: row["raw"].encode() for row in rows if row["layer"] == "payload"}
    assert len(payloads) == 38
    taken = {
        name
        for name, payload in payloads.items()
        if isinstance(outcome := typed(TOPIC, payload), Envelope) and any(t.reason is None for t in outcome.telegrams)
    }
    assert taken <= {"M258"}, "only the cut rtl_wmbus line looks like a telegram to the envelope; its frame is the decoder's to refuse"


def test_native_batch_is_read_whole():
    """Gateway, numbering, both kinds of time, level, mode, form and kind arrive as sent."""
    document = batch(
        {"hex": TELEGRAM.upper(), "ts": "2026-11-21T08:00:00.250Z", "rssi": -77, "mode": "T1"},
        {"hex": TELEGRAM, "ts": 1795248003000, "form": "nocrc", "kind": "mbus", "rssi": "loud", "mode": 5, "extra": [{}]},
        ts="2026-11-21T09:00:05+01:00",
        boot=17,
        other="ignored",
    )
    first = Heard(RAW, gw_time=EIGHT + 250_000, rssi_dbm=-77, mode="T1")
    second = Heard(RAW, link="mbus", form="nocrc", gw_time=EIGHT + 3_000_000)
    assert split(TOPIC, encoded(document)) == Envelope("native", (first, second), "gw-7", "17", 1, EIGHT + 5_000_000)


def test_native_batch_may_leave_out_what_a_gateway_does_not_know():
    """Without boot, seq and times, and with no telegram at all, a batch is still one."""
    assert split(None, b'{"v":1,"gw":"x","t":[]}') == Envelope("native", (), "x")


def test_zlib_is_undone_once():
    """A compressed batch is the batch."""
    assert split(TOPIC, zlib.compress(GOOD)) == split(TOPIC, GOOD)


def test_a_bomb_takes_no_memory():
    """Of 64 MiB of compressed zeros no more than the limit is unpacked."""
    bomb = zlib.compress(bytes(64 * 1024 * 1024), 9)
    tracemalloc.start()
    assert typed(TOPIC, bomb).reason == "too_large"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


@pytest.mark.parametrize("payload", [TELEGRAM, TELEGRAM.upper(), "0x" + TELEGRAM, f" {TELEGRAM}\r\n"])
def test_bare_hex_in_any_dress(payload):
    """Case, a 0x and white space around do not matter."""
    assert split("any/topic", payload.encode()) == Envelope("hex", (Heard(RAW),))


def test_bare_bytes_with_a_frame_form():
    """The frame itself as payload is taken."""
    assert split("any/topic", RAW) == Envelope("binary", (Heard(RAW),))


@pytest.mark.parametrize(
    ("line", "known"),
    [
        (f"T1;1;1;2026-11-21 08:00:00.250;97;148;00112233;0x{TELEGRAM}", {"mode": "T1", "gw_time": EIGHT + 250_000, "level": 97}),
        (f"rtl2;C1;1;1;2026-11-21 08:00:00.000;97;148;00112233;0x{TELEGRAM}", {"mode": "C1", "gw_time": EIGHT, "level": 97}),
        (f"T1;1;1;2026-11-21 08:00:00.00Z;-44;;;0x{TELEGRAM}", {"mode": "T1", "gw_time": EIGHT, "rssi_dbm": -44}),
        (f"S1;1;1;;-63;;;0X{TELEGRAM.upper()}", {"mode": "S1", "rssi_dbm": -63}),
        (f"T1;1;1;;;;;;extra;0x{TELEGRAM}", {"mode": "T1"}),
    ],
)
def test_rtl_wmbus_lines_of_all_senders(line, known):
    """Algorithm column, empty and Z times, dBm and raw levels, missing columns."""
    assert split(None, line.encode() + b"\r\n") == Envelope("rtl_wmbus", (Heard(RAW, form="nocrc", **known),))


def test_a_refused_line_keeps_its_bytes_and_time():
    """A line with a wrong CRC keeps the line, the mode, the time and the level for the quarantine."""
    line = LINE.replace(b"T1;1;1", b"T1;0;1")
    (heard,) = split(None, line).telegrams
    assert (heard.raw, heard.reason, heard.mode, heard.gw_time, heard.level) == (line, "bad_crc", "T1", EIGHT, 97)


def test_esphome_json_alone_and_in_an_array():
    """One object is one telegram, an array of them is one message of several."""
    message = {"address": "00112233", "mode": "T", "rssi": -44, "frame": TELEGRAM}
    heard = Heard(RAW, rssi_dbm=-44, mode="T")
    assert split("home/wmbus/raw/00112233", encoded(message)) == Envelope("esphome_json", (heard,))
    assert split(None, encoded([message, message])) == Envelope("json_array", (heard, heard))


def test_limits_are_inclusive():
    """A message of exactly 256 KiB, of 5000 telegrams or of depth 16 is taken."""
    assert split(TOPIC, GOOD.ljust(256 * 1024)).telegrams
    assert len(split(TOPIC, encoded(batch(t=[{"hex": "aa"}] * 5000))).telegrams) == 5000
    assert split(TOPIC, encoded(batch(extra=json.loads("[" * 15 + "]" * 15)))).telegrams
    with pytest.raises(BadPayload, match="too_deep"):
        split(TOPIC, encoded(batch(extra=json.loads("[" * 16 + "]" * 16))))


def test_brackets_inside_strings_are_no_depth():
    """Depth is counted outside strings, escapes included."""
    assert split(TOPIC, encoded(batch(note='\\"' + "[{" * 50))).gateway == "gw-7"


@given(st.binary(max_size=400), st.sampled_from([None, TOPIC, "", "a/b"]), st.sampled_from([None, "none", *(known.name for known in FORMATS)]))
def test_any_bytes_give_a_typed_outcome(payload, topic, pinned):
    """Random bytes never raise anything but BadPayload, under any topic and any pinned format."""
    typed(topic, payload, pinned)
    typed(topic, zlib.compress(payload), pinned)


@given(st.sampled_from([GOOD, LINE, TELEGRAM.encode(), zlib.compress(GOOD), RAW, b"[" + GOOD + b"]"]), st.data())
def test_damaged_messages_give_a_typed_outcome(payload, data):
    """A good message cut, changed or spliced anywhere never raises anything but BadPayload."""
    at = data.draw(st.integers(0, len(payload)))
    typed(TOPIC, payload[:at] + data.draw(st.binary(max_size=8)) + payload[at + data.draw(st.integers(0, 8)) :])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.just(TELEGRAM),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.sampled_from(["v", "gw", "t", "ts", "hex", "frame", "rssi", "x"]), children),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {"v": st.just(1), "t": st.lists(JSON, max_size=4)}, optional={"gw": JSON, "boot": JSON, "seq": JSON, "ts": JSON, "frame": JSON}
    )
)
def test_documents_of_the_right_shape_give_a_typed_outcome(document):
    """JSON with the right names and wrong contents never raises anything but BadPayload."""
    typed(TOPIC, json.dumps(document).encode())
    typed(TOPIC, json.dumps([document, {"frame": document["t"]}]).encode())
