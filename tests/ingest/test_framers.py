"""Framers of the dongles: published samples, garbage between frames, any pieces, any bytes."""

import json
import random

import pytest
from dongle_lines import amber, cul, im871a, iu891a, rc1180
from hypothesis import given
from hypothesis import strategies as st

from submeter.ingest.framers import AmberFramer, BareFramer, CulFramer, Im871aFramer, Iu891aFramer, LineFramer, Radio
from submeter.reading import DeviceId
from submeter.simulate.encode import Header, integer, plain, radio

MAKE = {"im871a": Im871aFramer, "iu891a": Iu891aFramer, "amber": AmberFramer, "cul": CulFramer, "rc1180": BareFramer, "lines": LineFramer}
SENT = {"im871a": im871a, "iu891a": iu891a, "amber": amber, "cul": cul, "rc1180": rc1180}
LEVEL = {"im871a": -72, "iu891a": -25, "amber": -66, "cul": -48, "rc1180": -60}


def frames(count, seed=1):
    """Telegrams of made-up meters, of different lengths."""
    dice = random.Random(seed)
    for number in range(count):
        records = b"".join(integer(b"\x13", dice.randrange(10**6), 4) for _ in range(dice.randrange(1, 12)))
        yield radio(DeviceId("ABC", f"{number:08d}", 1, 7), plain(records, Header(access=number & 0xFF)))


def test_the_shared_samples_give_their_telegram(shared):
    """Every complete sample of a dongle's line gives its telegram with the level that is declared for it."""
    rows = [json.loads(line) for line in (shared / "ingest" / "samples.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "framer" in row.get("expect", {})]
    assert {row["expect"]["framer"] for row in rows} == {"im871a", "iu891a", "amber", "cul"}
    for row in rows:
        data = bytes.fromhex(row["payload"]) if row["encoding"] == "hex" else row["payload"].encode()
        heard = MAKE[row["expect"]["framer"]]().feed(data)
        assert [one.rssi_dbm for one in heard] == [row["expect"]["rssi_dbm"]], row["id"]
        assert all(len(one.frame) == one.frame[0] + 1 for one in heard)


@pytest.mark.parametrize("kind", ["im871a", "iu891a", "amber"])
def test_garbage_between_frames_costs_no_frame(kind):
    """With 0 to 11 random bytes before each of 500 frames, all 500 come out, in order, whatever pieces they come in."""
    for seed in range(4):
        dice, wanted = random.Random(seed), list(frames(500, seed))
        line = b"".join(dice.randbytes(dice.randrange(12)) + SENT[kind](frame) for frame in wanted)
        framer, heard, at = MAKE[kind](), [], 0
        while at < len(line):
            size = dice.randrange(1, 200)
            heard += framer.feed(line[at : at + size])
            at += size
        heard += framer.settle()
        assert heard == [Radio(frame, LEVEL[kind]) for frame in wanted]
        assert framer.dropped > 0


def test_garbage_costs_a_cul_the_dirtied_line_at_most():
    """Random bytes before a line spoil at most that line; the CRCs tell, and what is lost is counted."""
    dice, wanted = random.Random(3), list(frames(500))
    framer = CulFramer()
    heard = framer.feed(b"".join(dice.randbytes(dice.randrange(12)) + cul(frame) for frame in wanted))
    assert len(heard) + framer.bad >= 500
    assert len(heard) >= 490
    assert {one.frame for one in heard} <= set(wanted)


def test_bare_frames_after_garbage_come_with_the_next_silence():
    """Without delimiters a false length may swallow what follows, until the line is silent; garbage that looks like a meter's frame is rare."""
    dice, wanted = random.Random(3), list(frames(100))
    framer = BareFramer()
    heard = []
    for frame in wanted:
        heard += framer.feed(dice.randbytes(dice.randrange(12)) + rc1180(frame))
        heard += framer.settle()
    assert sum(Radio(frame, -60) in heard for frame in wanted) >= 97


def test_forms_and_levels_of_the_modules():
    """Format B of a CUL, one without levels, an Amber and a bare module without levels, a reception with a time stamp."""
    frame = next(frames(1))
    assert CulFramer().feed(cul(frame, b=True)) == [Radio(frame, -48, "C1")]
    assert CulFramer().feed(cul(frame, tail="")) == [Radio(frame, None)]
    assert BareFramer(rssi=False).feed(frame) == [Radio(frame, None)]
    assert AmberFramer(rssi=False).feed(amber(frame, None)) == [Radio(frame, None)]
    assert Im871aFramer().feed(im871a(frame, 255, control=0xE, time=b"\1\2\3\4")) == [Radio(frame, 0)]
    assert Im871aFramer().feed(im871a(frame, control=4)) == [Radio(frame, -72)]


def test_a_damaged_frame_is_counted_and_costs_itself_alone():
    """One wrong bit in a checked frame drops that frame; the one behind it is heard."""
    first, second = frames(2)
    for kind in ("im871a", "iu891a", "amber", "cul"):
        framer, line = MAKE[kind](), bytearray(SENT[kind](first))
        line[20] ^= 1
        heard = framer.feed(bytes(line) + SENT[kind](second)) + framer.settle()
        assert heard == [Radio(second, LEVEL[kind])], kind
        assert framer.bad >= 1


def test_a_cut_frame_is_given_up_in_silence():
    """A frame whose end never came is dropped when the line has been silent, and counted."""
    frame, other = frames(2)
    for kind in ("im871a", "iu891a", "amber", "rc1180"):
        framer = MAKE[kind]()
        assert framer.feed(SENT[kind](frame)[:-9]) + framer.settle() == []
        assert framer.bad >= 1
        assert framer.feed(SENT[kind](other)) == [Radio(other, LEVEL[kind])], kind


@pytest.mark.parametrize("kind", list(MAKE))
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_any_bytes_are_survived(kind, pieces):
    """Whatever comes, a framer raises nothing and keeps at most its bound."""
    framer = MAKE[kind]()
    for piece in pieces:
        framer.feed(piece)
    framer.settle()
    assert len(getattr(framer, "_rest", b"")) <= 2048
