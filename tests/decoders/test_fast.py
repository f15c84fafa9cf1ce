"""Compiled layouts and the plain path are one specification: real, damaged and made-up telegrams give equal tables on both."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from both_paths import Sent, assert_same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meter_vectors import vectors

import submeter
from submeter.cli.readings import FORMS
from submeter.decoders import ELL_CTR, FormatKey, Profile, Record, WrongKey, decode, receive
from submeter.decoders.codings import Coding, bcd, bcd_be, date_g, seconds_2000, signed, unsigned, unsigned_be
from submeter.decoders.dates import read_date
from submeter.decoders.driver import Bits, Driver, Field, Found, Gate, History, Make, Rule, Tags
from submeter.decoders.driver import Layout as Block
from submeter.decoders.fast import Decoder, Heard, columns, decode_batch, keys, library, outcomes, singly
from submeter.decoders.fast.envelope import read_frames
from submeter.decoders.fast.layout import compilable, compile_layout
from submeter.decoders.fast.receiving import received
from submeter.decoders.fast.spots import Payload
from submeter.decoders.frame import parse_frame
from submeter.decoders.records import walk
from submeter.decoders.telegram import open_frame
from submeter.decoders.values import read_value
from submeter.decoders.vife import Information
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.building import Building

METER = DeviceId("SIM", "12345678", 0x01, 0x04)
KEY = bytes(range(16))
NOON = 1_795_258_800_000_000
some = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def real(shared: Path) -> Iterator[Sent]:
    """Every telegram of the corpus, with its key or without."""
    for file in sorted((shared / "corpus").glob("*.jsonl")):
        for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            key = bytes.fromhex(row["key_hex"]) if row.get("key_hex") else None
            decrypted = bool((row.get("security") or {}).get("already_plain"))
            for whole in (True, False):
                form = FORMS.get(row.get("frame_format"), "trailing")
                yield bytes.fromhex(row["telegram_hex"]), row.get("link") or "wmbus", form, decrypted, Profile(key, whole=whole)


def damaged(sent: Sent, rand: random.Random) -> Sent:
    """The telegram with bits turned, bytes replaced or its end cut off; the wired checksum is mostly put right again."""
    raw, link, form, decrypted, profile = sent
    data = bytearray(raw)
    how = rand.random()
    if how < 0.7:
        for _ in range(rand.choice((1, 1, 2, 5))):
            data[rand.randrange(len(data))] ^= 1 << rand.randrange(8)
    elif how < 0.85:
        data[rand.randrange(len(data))] = rand.choice((0, 0xFF, 0x80, 0x99, 0xF0, 0x2F))
    else:
        data = data[: rand.randrange(1, len(data) + 1)]
        data[0] = (len(data) - 1) & 0xFF if link == "wmbus" else data[0]
    if len(data) > 8 and data[0] == 0x68 and rand.random() < 0.9:
        data[1] = data[2] = (len(data) - 6) & 0xFF
        data[-2] = sum(data[4:-2]) & 0xFF
    return bytes(data), link, form if rand.random() < 0.8 else "auto", decrypted, profile


def test_the_corpus_is_the_same_on_both_paths(shared: Path) -> None:
    """Every real telegram gives the same rows, cold, warm, and where its form must be found; many of them have layouts."""
    decoder, sent = Decoder(), list(real(shared))
    assert assert_same(decoder, sent) > 600
    assert assert_same(decoder, [(raw, link, "auto", decrypted, profile) for raw, link, _, decrypted, profile in sent]) > 600


def test_two_addresses_may_have_one_name() -> None:
    """Bit 15 of the maker is in no name: the devices of other telegrams in the batch stay theirs."""
    raw = encode.radio(METER, bytes.fromhex("7a010000000413e8030000"))
    marked = raw[:3] + bytes([raw[3] | 0x80]) + raw[4:]
    others = [encode.radio(DeviceId("SIM", f"2000000{k}", 0x01, 0x07), bytes.fromhex("7a01000000 0f 01")) for k in range(3)]
    sent: list[Sent] = [(one, "wmbus", "auto", False, Profile()) for one in (raw, marked, *others)]
    decoder = Decoder()
    assert_same(decoder, sent)
    assert assert_same(decoder, sent) >= 2


def test_damaged_telegrams_are_the_same_on_both_paths(shared: Path) -> None:
    """With the layouts of the whole ones at hand, turned bits, odd bytes and cuts give what the plain path gives."""
    decoder, sent, rand = Decoder(), list(real(shared)), random.Random(3)
    assert_same(decoder, sent)
    assert assert_same(decoder, [damaged(row, rand) for row in sent]) > 100


def test_the_drivers_vectors_are_the_same_on_both_paths() -> None:
    """Every vector of every driver, whole, in pairs, and damaged over and over."""
    decoder, rand = Decoder(), random.Random(5)
    sent: list[Sent] = []
    for vector in vectors():
        key = bytes.fromhex(vector["key"]) if vector["key"] else None
        sent.append((bytes.fromhex(vector["hex"]), vector["link"], vector["form"], False, Profile(key, vector.get("mode"))))
    assert assert_same(decoder, sent + sent) > 40
    for _ in range(5):
        assert_same(decoder, [damaged(row, rand) for row in sent])


def test_a_simulated_building_is_read_by_layouts_alone() -> None:
    """Every meter of the simulator, wired and by radio, has a layout; one for each kind and storage."""
    meters = [place.meter for place in Building.make().places]
    decoder = Decoder()
    sent: list[Sent] = [
        (meter.telegram(NOON + 60_000_000 * number), "wmbus" if meter.key else "mbus", "auto", False, Profile(meter.key))
        for number in range(20)
        for meter in meters
    ]
    assert assert_same(decoder, sent) == len(sent)
    assert decoder.layouts < 20


vib = st.sampled_from(
    [
        bytes.fromhex(text)
        for text in [
            "13",
            "14",
            "03",
            "06",
            "0b",
            "0e",
            "6e",
            "2b",
            "3b",
            "5a",
            "5e",
            "66",
            "22",
            "20",
            "7d",
            "933c",
            "933b",
            "937d",
            "ff13",
            "fd17",
            "fb00",
            "fb08",
            "fd46",
            "9372",
            "8410",
            "13",
            "6c",
            "6d",
            "ec7e",
            "fd0c",
            "7f",
            "04",
            "86",
            "83",
            "3c",
            "933a",
            "fd97",
            "1d",
            "8578",
            "9313",
            "fb1a",
            "fd74",
            "fd71",
            "05fe",
        ]
    ]
)
header = st.tuples(st.integers(0, 15), st.integers(0, 3), st.booleans(), st.sampled_from([b"", b"\x10", b"\x40", b"\x01"]))
odd = st.sampled_from([b"\xff", b"\x00", b"\x80", b"\x99", b"\xf1", b"\x2f", b"\x01"]).map(lambda byte: byte * 8)


@st.composite
def record(draw: st.DrawFn) -> tuple[bytes, int]:
    """DIF, DIFE and VIF of a record, and how many bytes of data follow."""
    coding, function, storage, more = draw(header)
    size = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, 3, 6, 0)[coding]
    dif = bytes([coding | function << 4 * draw(st.sampled_from([0, 1])) & 0x30 | storage << 6 | bool(more) << 7]) + more
    return dif + draw(vib) + (b"\x03" if coding == 13 else b""), size


data = st.one_of(
    st.binary(min_size=8, max_size=8), odd, st.sampled_from(["1f0cbc3400000000", "00000000bc340000", "0102030000000000"]).map(bytes.fromhex)
)


@some
@given(st.lists(record(), min_size=1, max_size=7), st.lists(st.lists(data, min_size=7, max_size=7), min_size=2, max_size=12), st.integers(0, 255))
def test_made_up_records_are_the_same_on_both_paths(records: list[tuple[bytes, int]], values: list[list[bytes]], status: int) -> None:
    """Payloads of one shape with any values, void and impossible ones among them, and any status byte."""
    payloads = [b"".join(head + value[:size] for (head, size), value in zip(records, row, strict=False)) for row in values]
    sent: list[Sent] = [
        (encode.radio(METER, encode.plain(payload, encode.Header(access=7, status=status))), "wmbus", "nocrc", False, Profile())
        for payload in payloads
    ]
    decoder = Decoder()
    assert_same(decoder, sent)
    sealed: list[Sent] = [
        (encode.radio(METER, encode.mode5(payload, encode.Header(access=number), KEY, METER)), "wmbus", "auto", False, Profile(KEY))
        for number, payload in enumerate(payloads)
    ]
    assert_same(decoder, sealed)


@some
@given(st.lists(st.binary(min_size=8, max_size=8) | odd, min_size=1, max_size=30), st.integers(1, 8))
def test_integers_are_those_of_the_plain_path(words: list[bytes], size: int) -> None:
    """Types B and C of any size."""
    column, sizes = np.frombuffer(b"".join(words), "<u8"), np.full(len(words), size, np.uint8)
    value, void = columns.integers(columns.low_bytes(column, sizes), sizes, np.full(len(words), True))
    for word, number, is_void in zip(words, value.tolist(), void.tolist(), strict=True):
        assert read_value(4, None, word[:size], NUMBER) == (None if is_void else number)


@some
@given(
    st.lists(st.binary(min_size=6, max_size=6) | st.from_regex("[0-9f][0-9]{11}", fullmatch=True).map(bytes.fromhex), min_size=1), st.integers(1, 6)
)
def test_decimals_are_those_of_the_plain_path(words: list[bytes], size: int) -> None:
    """Type A of any size, signs and hex digits included."""
    column = np.array([int.from_bytes(word[:size], "little") for word in words], np.uint64)
    value, void = columns.bcd(column, np.full(len(words), size, np.uint8))
    for word, number, is_void in zip(words, value.tolist(), void.tolist(), strict=True):
        assert read_value(12, None, word[:size], NUMBER) == (None if is_void else number)


@some
@given(st.lists(st.binary(min_size=6, max_size=6), min_size=1, max_size=50), st.sampled_from([2, 4, 6]))
def test_dates_are_those_of_the_plain_path(words: list[bytes], size: int) -> None:
    """Types G, F and I, the impossible ones void."""
    sizes = np.full(len(words), size, np.uint8)
    value, void = columns.dates(np.array([int.from_bytes(word[:size], "little") for word in words], np.uint64), sizes)
    for word, number, is_void in zip(words, value.tolist(), void.tolist(), strict=True):
        expected = read_date(word[:size])
        assert is_void == (expected is None)
        if isinstance(expected, date):
            as_time = expected if isinstance(expected, datetime) else datetime(expected.year, expected.month, expected.day)
            assert np.datetime64(number, "us") == np.datetime64(as_time, "us")


NUMBER = Information("", "", 0, "number")


def same(*payloads: bytes) -> int:
    """Both paths agree on plain telegrams with these payloads; returns how many had a layout."""
    return assert_same(Decoder(), [(encode.radio(METER, encode.plain(one, encode.Header())), "wmbus", "nocrc", False, Profile()) for one in payloads])


def test_values_are_rounded_half_to_even() -> None:
    """9 J are 2.5 millionths of a kWh, 27 J 7.5: 2 and 8; below nought alike."""
    assert same(*(encode.integer(b"\x08", joules, 4) for joules in (9, 27, -9, -27, 10, 0))) == 6


def test_a_void_date_gives_way_to_the_next_of_its_storage() -> None:
    """Two dates of one storage, and two clocks: the first one that exists counts."""
    day, void = encode.day(date(2024, 12, 31), encode.Slot(storage=1)), bytes.fromhex("426c0000")
    clock, unset = encode.minute(datetime(2025, 3, 1, 12, 30)), bytes.fromhex("046d80000000")
    value = encode.bcd(b"\x13", 77, 8, encode.Slot(storage=1))
    assert same(day + day + value + clock + clock, void + day + value + unset + clock, void + void + value + unset + unset) == 1
    assert same(day + value + clock, void + value + unset) == 2


def test_nought_of_a_register_that_holds_nothing_else() -> None:
    """A scale so large that 1 is beyond any dial: nought is a reading all the same."""
    chain = bytes.fromhex("8ffdfdfdfd7d")
    assert same(encode.integer(chain, 1, 4), encode.integer(chain, 0, 4)) == 0


def test_an_address_of_ones_is_no_meter() -> None:
    """The id FFFFFFFF is refused among telegrams of the same kind of meter."""
    nobody = DeviceId("SIM", "FFFFFFFF", 0x01, 0x04)
    body = encode.plain(VOLUME, encode.Header())
    assert assert_same(Decoder(), [(encode.radio(device, body), "wmbus", "nocrc", False, Profile()) for device in (METER, nobody)]) == 1


def test_drivers_that_columns_cannot_judge_have_no_layouts() -> None:
    """A gate over a history, and two histories, are the plain path's; rules are asked by what headers say, and may not set what data say."""
    plain, headers = Driver("x", "", ()), {"dif", "vif", "quantity", "unit", "modifiers", "storage", "tariff", "subunit", "function", "error"}
    assert compilable(None)
    assert compilable(replace(plain, gate=Gate(needs=("volume",), clock_days=1)))
    assert compilable(replace(plain, histories=(History(range(2)),)))
    assert not compilable(replace(plain, gate=Gate(), histories=(History(range(2)),)))
    assert not compilable(replace(plain, histories=(History(range(2)), History(range(3)))))
    for name in Record._fields:
        assert compilable(replace(plain, rules=(Rule("13"), Rule(where={name: 1})))) == (name in headers), name
        assert compilable(replace(plain, rules=(Rule("13"), Rule(to={name: 1})))) == (name not in {"value", "data", "stamp", "flags"}), name


def shape(payload: bytes, driver: Driver, ci: int = 0x7A) -> bool:
    """Whether payloads like this one have a layout with tables."""
    layout = compile_layout(Payload(payload, driver, METER, ci))
    return layout is not None and layout.fields is not None


def test_a_scale_that_is_no_decimal_is_left_to_the_plain_path() -> None:
    """A driver's scale of a third is rounded there to sixty digits: no layout for a rule, one by one for a field."""
    for scale, linear in ((Fraction(1, 3), False), (Fraction(1, 8), True)):
        assert shape(VOLUME, Driver("x", "", (), rules=(Rule("13", scale=scale, to={"quantity": "volume"}),))) == linear
        assert shape(bytes(4), Driver("x", "", (), layouts=(Block((Field(0, 4, "volume", scale=scale),)),)))


def blocks(*fields: Field, gate: Gate | None = None) -> Driver:
    """A driver whose payload is these fields."""
    return Driver("x", "", (), layouts=(Block(fields),), gate=gate)


def test_what_columns_cannot_tell_has_no_layout() -> None:
    """Bits of a text, and a gate over what is no field of whole numbers, or over what has none."""
    known, missing = Field(0, 4, "volume"), Gate(needs=("energy",))
    assert shape(bytes(8), blocks(known, Field(4, 4, "date_time", seconds_2000)))
    assert not shape(bytes(8), blocks(known, gate=missing))
    assert shape(bytes(8), blocks(known, gate=replace(missing, needs=("volume",))))
    assert not shape(bytes(8), blocks(Field(0, 4, "volume", scale=Fraction(1, 3)), gate=Gate(rising=("volume",))))
    assert not shape(bytes.fromhex("0dfd170105"), Driver("x", "", ()))
    bounded, rising = Gate(largest={"volume": 9}), Gate(rising=("volume",))
    assert shape(bytes(8), blocks(known, gate=bounded))
    assert shape(bytes(8), blocks(known, gate=rising))
    assert not shape(bytes(8), blocks(known, Field(4, 4, "volume", modifiers=("average",)), gate=bounded))
    assert not shape(VOLUME, Driver("x", "", (), gate=rising))


def plainly(device: DeviceId, *bodies: bytes) -> int:
    """Both paths agree on plain telegrams of one device; returns how many had a layout."""
    return assert_same(Decoder(), [(encode.radio(device, body), "wmbus", "nocrc", False, Profile()) for body in bodies])


def test_fields_may_overlap() -> None:
    """Bytes that two fields read give both their values."""
    assert shape(bytes(4), blocks(Field(0, 3, "volume"), Field(1, 1, "energy")))


@pytest.mark.parametrize("coding", [unsigned, unsigned_be, signed, bcd, bcd_be])
def test_fields_of_any_width_are_those_of_the_plain_path(known: Callable[[Driver], None], coding: Coding) -> None:
    """Numbers of one to nine bytes at the ends of what they hold, void ones and flags among them."""
    ends = [
        b"\0" * 9,
        b"\1" + b"\0" * 8,
        b"\x7f" * 9,
        b"\x80" + b"\0" * 8,
        b"\0" * 8 + b"\x80",
        b"\x99" * 9,
        b"\xfe" + b"\xff" * 8,
        b"\xff" * 9,
        b"\x12" * 9,
    ]
    void = frozenset((0x1212,))
    fields = (
        (Field(1, size, "volume", coding, Fraction(1, 1000), void=void), Field(1, size, "alarm", flags=Bits({1: "leak"}))) for size in range(1, 10)
    )
    layouts = tuple(Block(both, size=1 + size, guard=((0, 0xFF, size),)) for size, both in enumerate(fields, 1))
    known(Driver("pond", "made up", (Make("PND"),), frozenset((0xA7,)), layouts=layouts))
    device = DeviceId("PND", "20000001", 1, 7)
    bodies = [bytes([0xA7, size]) + end[:size] for size in range(1, 10) for end in (*ends, *(one[::-1] for one in ends))]
    assert assert_same(Decoder(), [(encode.radio(device, body), "wmbus", "nocrc", False, Profile()) for body in bodies])


def test_a_date_that_no_gate_believes_goes_to_the_plain_path() -> None:
    """Techem water with set days in 2024 and 2090: the second is refused."""
    days = (24 << 9 | 12 << 5 | 31, 90 << 9 | 12 << 5 | 31)
    bodies = (b"\xa2\x00" + day.to_bytes(2, "little") + bytes.fromhex("0100 1001 0200 0000 0000") for day in days)
    assert plainly(DeviceId("TCH", "12345678", 0x74, 0x62), *bodies) == 1


def test_a_clock_far_from_the_reception_is_not_believed() -> None:
    """A meter whose clock is its only check, heard in time, 366 days and longer away, and at a time that nobody knows: as on the plain path."""
    vector = next(one for one in vectors() if one["driver"] == "apatorna1")
    raw, profile = bytes.fromhex(vector["hex"]), Profile(bytes.fromhex(vector["key"]))
    clock = decode(raw, lambda _: profile, form=vector["form"]).meter_time
    assert clock
    year, second = timedelta(days=366), timedelta(seconds=1)
    times = [clock, clock - year, clock + year, None, datetime(2070, 1, 1), clock - year - second, clock + year + second]
    batch = Decoder().of_profiles(replace(Heard.of([raw] * 7, form=vector["form"]), received=times), [profile] * 7)
    assert batch.columns.done.tolist() == [True] * 4 + [False] * 3
    assert all(isinstance(batch.others[number].error, WrongKey) for number in range(4, 7))


def test_void_bits_name_nothing() -> None:
    """Error flags written as decimals, once with digits that are none."""
    assert plainly(METER, *(encode.plain(VOLUME + bytes.fromhex(one), encode.Header()) for one in ("0afd170100", "0afd17bbaa"))) == 2


def test_tags_are_walked_as_they_stand() -> None:
    """Filler in one telegram, a register in the next of the same length: each gets its own layout."""
    head, total = b"\x0f" + bytes(7), bytes.fromhex("10e8030000")
    bodies = (head + total + rest + bytes(2) for rest in (b"\xff" * 5, bytes.fromhex("71 2a 07000000")[:5], bytes.fromhex("10 07000000")))
    device = DeviceId("APA", "12345678", 0x05, 0x07)
    assert plainly(device, *(encode.plain(body, encode.Header()) for body in bodies)) == 3


@pytest.mark.parametrize("bit", range(8))
def test_the_byte_that_ends_a_tag_walk_is_compared(bit: int) -> None:
    """Filler, or a register whose tag differs from it in one bit: never one layout for both."""
    tag = 0xFF ^ 1 << bit
    driver = Driver("x", "", (), layouts=(Block(tags=Tags(start=0, lengths={tag: 1}, fields={tag: (Field(0, 1, "volume"),)})),))
    layout = compile_layout(Payload(b"\xff\xff", driver, METER, 0x7A))
    assert layout is not None
    assert layout.fields is not None
    assert ((np.array([tag, 7], np.uint8) & layout.mask) != layout.pattern).any()


def test_a_date_in_a_tag_has_no_layout() -> None:
    """It is not known how its bytes would be written."""
    fields = {1: (Field(0, 2, "date", date_g), Field(2, 9, "volume"))}
    assert not shape(b"\x01\0\0", Driver("x", "", (), layouts=(Block(tags=Tags(start=0, lengths={1: 2}, fields=fields)),)))


def month(back: int, day: date) -> date:
    """The same day so many months before."""
    return day.replace(month=day.month - back)


def test_a_reckoned_instant_counts_from_the_first_date() -> None:
    """While another date of its storage would take its place, a void one goes to the plain path."""
    value, first, second = Field(4, 4, "volume", storage=2, reckon=partial(month, 0)), Field(0, 2, "date", date_g), Field(2, 2, "date", date_g)
    for fields, must in (((value, first), [False, False]), ((value, first, second), [True, False, False])):
        layout = compile_layout(Payload(bytes(8), blocks(*fields), METER, 0x7A))
        assert layout is not None
        assert layout.dates is not None
        assert layout.dates["must"].tolist() == must


#: A volume at the end of a month, its date, and increments of three months before that.
MONTHS = bytes.fromhex("4413 88130000 426c be2b 4d9313 0a 74fe 0a000000 14000000")


def test_what_a_profile_adds_up_must_be_whole() -> None:
    """Increments have a layout where millionths add up exactly, and where nothing stands between them and their profile."""
    assert shape(MONTHS, Driver("x", "", ()))
    assert not shape(MONTHS.replace(b"\x13\x88", b"\x08\x88").replace(b"\x93\x13", b"\x88\x13"), Driver("x", "", ()))
    shown = Block(at="tail", read=lambda _: Found((walk(VOLUME).records[0],)), shows=True)
    assert not shape(MONTHS + b"\x0f\x00", Driver("x", "", (), layouts=(shown,)))


def test_a_base_of_ones_is_no_reading_and_is_added_to() -> None:
    """As on the plain path, and in columns: the same layout reads profiles of other bases beside it."""
    bodies = [encode.plain(MONTHS.replace(bytes.fromhex("88130000"), base), encode.Header()) for base in (b"\xff" * 4, b"\x88\x13\0\0")]
    assert plainly(METER, *bodies) == plainly(METER, *reversed(bodies)) == 1


def test_the_head_of_a_profile_says_what_its_elements_are() -> None:
    """One whose head is of no coding, one with two elements, one in days: each its own layout."""
    bodies = [encode.plain(MONTHS.replace(b"\x74\xfe", head), encode.Header()) for head in (b"\x70\xfe", b"\x74\xfe", b"\x72\xfe", b"\x74\x01")]
    assert plainly(METER, *bodies, *bodies) == 2 * len(bodies)


def test_what_no_cipher_opens_is_not_plain() -> None:
    """A frame of the Diehl group that no key opens is refused, also where its bytes would pass for values."""
    body = b"\xa0" + bytes.fromhex("00 05 00 13 10 00 00 00 08 00 00 00 9e 2c").ljust(20, b"\0")
    assert plainly(DeviceId("HYD", "33000006", 0x86, 0x03), body) == 0


def test_compact_frames_teach_nothing() -> None:
    """A published format is read, and stays out of what was learnt."""
    payload = encode.integer(bytes.fromhex("ff20"), 0, 2) + encode.integer(b"\x13", 1234, 4) + encode.integer(b"\x13", 999, 4, encode.Slot(storage=1))
    formats: dict[FormatKey, bytes] = {}
    decoded = decode_batch(
        pa.table({"raw": [encode.radio(DeviceId("KAM", "12345678", 0x1B, 0x16), encode.compact(payload))]}), lambda _: Profile(), formats
    )
    assert 1_234_000 in decoded.readings["value"].to_pylist()
    assert formats == {}


def test_a_driver_that_refuses_the_probe_has_no_layout() -> None:
    """Hydroclima without its records: the refusal is the plain path's."""
    clima = DeviceId("BMP", "12345678", 0x53, 0x08)
    raw = encode.radio(clima, encode.plain(b"\x0f\x10" + bytes(30), encode.Header()))
    assert assert_same(Decoder(), [(raw, "wmbus", "nocrc", False, Profile())]) == 0


def test_a_history_counts_back_from_the_meters_time() -> None:
    """Month ends of two registers; none without a time that exists."""
    month = encode.Slot(storage=1)
    values = VOLUME + encode.bcd(b"\x13", 900, 8, month) + encode.bcd(b"\x06", 70, 8, month)
    device = DeviceId("AAA", "12345678", 0x25, 0x07)
    payloads = (
        values + encode.minute(datetime(2025, 3, 1, 12, 30)),
        values + encode.minute(datetime(2025, 3, 31, 12, 30)),
        values + bytes.fromhex("046d80000000"),
    )
    assert (
        assert_same(Decoder(), [(encode.radio(device, encode.plain(one, encode.Header())), "wmbus", "nocrc", False, Profile()) for one in payloads])
        == 3
    )


def test_a_compact_frame_of_a_driver_with_an_own_payload_stays_on_the_plain_path() -> None:
    """That driver may read it otherwise."""
    frame = parse_frame(encode.radio(METER, encode.compact(VOLUME + encode.integer(b"\x3b", 5, 2))))
    plain = open_frame(frame, METER, lambda _: Profile(), decrypted=False)
    assert singly._records(plain._replace(driver=blocks(Field(0, 4, "volume"))), {}) is None


def test_outcomes_are_the_telegrams_of_the_plain_path() -> None:
    """As objects, with status and clock; what had a layout lists no records."""
    meters = [place.meter for place in Building.make().places if place.meter.key]
    raws = [meter.telegram(NOON) for meter in meters]
    stored = encode.bcd(b"\x13", 5, 8, encode.Slot(storage=1)) + encode.minute(datetime(2024, 12, 31, 23, 59), encode.Slot(storage=1))
    raws += [encode.radio(METER, encode.plain(VOLUME + stored, encode.Header(access=3, status=0x0C))), encode.radio(METER, b"\xa9" + VOLUME)]
    profile_of = ({meter.device: Profile(meter.key) for meter in meters} | {METER: Profile()}).get
    decoder, heard = Decoder(), Heard.of(raws)
    *found, refused = outcomes(decoder, decoder.of_devices(heard, profile_of))
    assert [one.telegram for one in found] == [replace(decode(raw, profile_of), records=()) for raw in raws[:-1]]
    assert refused.reason == "unknown_driver"
    *single, alone = decoder.one_by_one(heard, profile_of)
    assert [replace(one.telegram, records=()) for one in single if one.telegram] == [one.telegram for one in found]
    assert str(alone.error) == str(refused.error)


def test_receptions_of_any_kind_are_those_of_receive() -> None:
    """Whatever the CI field: the device and the key of `receive`, or None for what must be asked there; the common ones are told at once."""
    heads = [None, encode.Header(access=1), encode.Header(access=1, address=METER)]
    common = [encode.plain(VOLUME, head) for head in heads]
    raws = [encode.radio(METER, body) for body in (*common, *(encode.extended(common[1], access=access) for access in range(3)))]
    raws += [encode.radio(METER, bytes([ci]) + common[2][1:]) for ci in range(256)]
    decoder = Decoder()
    told = received(decoder, decoder.of_devices(Heard.of(raws), lambda _: Profile()))
    for raw, one in zip(raws, told, strict=True):
        assert one is None or one == (str(receive(raw)[0]), receive(raw)[1])
    assert all(told[:6])
    assert told[3:6] == [told[3]] * 3


def test_a_void_manufacturer_is_no_device() -> None:
    """Letters outside A to Z: nobody is asked for a profile."""
    raw = bytearray(encode.radio(METER, encode.plain(VOLUME, encode.Header())))
    raw[2:4] = bytes(2)
    asked: list[DeviceId] = []
    decoded = decode_batch(pa.table({"raw": [bytes(raw)], "form": ["nocrc"]}), asked.append)
    assert decoded.telegrams["reason"].to_pylist() == ["bad_frame"]
    assert asked == []


def test_the_package_offers_both_entrances() -> None:
    """`submeter.decode` and `submeter.decode_batch` are there, and nothing else by accident."""
    assert submeter.decode_batch is decode_batch
    assert submeter.decode is decode
    with pytest.raises(AttributeError, match="no attribute 'encode'"):
        submeter.encode  # noqa: B018


def telegrams(*rows: tuple[bytes, str, bool]) -> pa.Table:
    """A table of (raw, form, decrypted)."""
    return pa.table({"raw": [row[0] for row in rows], "form": [row[1] for row in rows], "decrypted": [row[2] for row in rows]})


VOLUME = encode.bcd(b"\x13", 1234, 8)


def test_a_batch_of_many_forms_keeps_its_order() -> None:
    """Bare, with CRCs, encrypted, wrong, empty and unknown telegrams each give their row, and readings in order."""
    stranger = DeviceId("SIM", "99999999", 1, 4)
    plain = encode.radio(METER, encode.plain(VOLUME, encode.Header(access=1)))
    sealed = encode.radio(METER, encode.mode5(VOLUME, encode.Header(access=2), KEY, METER))
    table = telegrams(
        (encode.format_a(sealed), "a", False),
        (sealed, "nocrc", False),
        (b"", "auto", False),
        (encode.format_b(sealed), "auto", False),
        (plain, "auto", False),
        (encode.radio(stranger, encode.plain(VOLUME, encode.Header(access=1))), "auto", False),
        (encode.format_b(sealed)[:-1] + b"\0", "b", False),
        (sealed + b"\x55", "trailing", False),
    )
    decoded = decode_batch(table, {METER: Profile(KEY)}.get)
    assert decoded.telegrams["reason"].to_pylist() == [None, None, "bad_frame", None, "downgrade", "unknown_meter", "bad_frame", None]
    assert decoded.readings["telegram"].to_pylist() == [0, 1, 3, 7]
    assert set(decoded.readings["value"].to_pylist()) == {1_234_000}


def test_a_table_needs_its_telegrams_only() -> None:
    """Link, form and decrypted have defaults, for the column and for nulls in it."""
    raw = encode.radio(METER, encode.plain(VOLUME, encode.Header()))
    wired = encode.wired(encode.plain(VOLUME, encode.Header(address=METER)))
    decoded = decode_batch(pa.table({"raw": [raw]}), lambda _: Profile())
    assert decoded.readings["value"].to_pylist() == [1_234_000]
    table = pa.table({"raw": [raw, wired], "link": pa.array([None, "mbus"])})
    assert decode_batch(table, lambda _: Profile()).readings["device"].to_pylist() == [str(METER)] * 2


def test_no_telegrams_give_empty_tables() -> None:
    """A table without rows is answered by tables without rows."""
    decoded = decode_batch(pa.table({"raw": pa.array([], pa.binary())}), lambda _: None)
    assert (decoded.readings.num_rows, decoded.telegrams.num_rows) == (0, 0)


def test_plaintext_under_an_encrypting_header_needs_a_source_that_decrypts() -> None:
    """2F2F behind a header that says mode 5 is read only where the source is trusted, without a key too."""
    header = encode.Header(access=2)
    sealed = encode.radio(METER, encode.mode5(VOLUME, header, KEY, METER))
    opened = sealed[:15] + (b"\x2f\x2f" + VOLUME).ljust(len(sealed) - 15, b"\x2f")
    for profile, reason in ((Profile(KEY), "wrong_key"), (Profile(), "no_key")):
        decoded = decode_batch(telegrams((opened, "nocrc", True), (opened, "nocrc", False)), lambda _, profile=profile: profile)
        assert decoded.telegrams["reason"].to_pylist() == [None, reason]


@pytest.mark.parametrize(("mode", "body"), [
    (ELL_CTR, encode.extended_ctr(encode.plain(VOLUME, encode.Header(access=9)), KEY, METER, access=5, session=0x77)),
    (7, encode.mode7(VOLUME, encode.Header(access=9), KEY, METER, counter=8)),
    (ELL_CTR, encode.extended_ctr(encode.plain(VOLUME, None), KEY, METER, access=5, session=0x78)),
    (7, encode.mode7(VOLUME, encode.Header(access=9, address=METER), KEY, METER, counter=9)),
    (0, encode.extended(encode.plain(VOLUME, encode.Header(access=9)), access=5)),
    (5, encode.extended(encode.mode5(VOLUME, encode.Header(access=9, address=METER), KEY, METER), access=5)),
])  # fmt: skip
def test_layered_telegrams_have_layouts_too(mode: int, body: bytes) -> None:
    """Extended link layer and authentication layer are opened one by one; a wrong key is refused as ever."""
    raw, profile = encode.radio(METER, body), Profile(KEY if mode else None)
    sent: list[Sent] = [
        (raw, "wmbus", "nocrc", False, profile),
        (raw, "wmbus", "auto", False, Profile(bytes(16))),
        (raw[:-3], "wmbus", "auto", False, profile),
    ]
    assert assert_same(Decoder(), sent) == 1


def test_frames_with_check_sums_are_not_taken_for_bare_ones() -> None:
    """Format A and B of every length, not declared: payloads are those of the bare frames, without the check sums between and behind."""
    bare = [encode.radio(METER, encode.plain(b"\x0d\x78" + bytes([size]) + b"7" * size, encode.Header(access=size))) for size in range(1, 191)]
    wanted = read_frames(Heard.of(bare))
    assert wanted.size.tolist() == [3 + size for size in range(1, 191)]
    for form in (encode.format_a, encode.format_b):
        found = read_frames(Heard.of(list(map(form, bare))))
        assert found.fast.all()
        assert found.size.tolist() == wanted.size.tolist()


def test_wired_frames_are_whole_on_both_paths() -> None:
    """Each byte of the envelope changed, and a byte more or less, in frames that stand between others: as on the plain path, and whole ones in columns."""
    whole = encode.wired(encode.plain(VOLUME, encode.Header(access=1, address=METER)))
    damaged = [whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(5) for bit in (1, 2, 128)]
    damaged += [
        whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:],
        whole[:-1] + b"\x17",
        whole[:-1],
        whole + b"\x16",
        whole[1:],
        whole[:9],
        b"\x68\x01\x01\x68\x08\x08\x16",
    ]
    sent: list[Sent] = [(raw, "mbus", "auto", False, Profile()) for one in damaged for raw in (whole, one)]
    assert assert_same(Decoder(), sent) >= len(damaged)


def test_a_full_frame_teaches_the_compact_ones_behind_it() -> None:
    """Formats are learnt in the order of the telegrams, from layouts too."""
    payload = encode.integer(b"\x13", 1234, 4) + encode.integer(b"\x5b", 21, 1)
    full = encode.radio(METER, encode.plain(payload, encode.Header()))
    formats: dict[FormatKey, bytes] = {}
    decoded = decode_batch(pa.table({"raw": [full, full]}), lambda _: Profile(), formats)
    assert decoded.readings["telegram"].to_pylist() == [0, 0, 1, 1]
    assert list(formats.values()) == [bytes.fromhex("0413015b")]


def test_a_bug_in_a_decoder_costs_its_telegram_only() -> None:
    """What breaks on one telegram is told as its outcome."""

    def broken(_: DeviceId) -> Profile | None:
        raise ZeroDivisionError

    command = encode.radio(METER, b"\xb9" + VOLUME)
    decoded = decode_batch(pa.table({"raw": [command]}), broken)
    assert decoded.telegrams.select(["reason", "detail"]).to_pylist() == [{"reason": "rejected", "detail": "internal: ZeroDivisionError"}]


def test_caches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layouts, keys and device names beyond their bounds are forgotten, and nothing that is decoded changes."""
    monkeypatch.setattr(library, "LAYOUTS", 3)
    monkeypatch.setattr(library, "VARIANTS", 2)
    monkeypatch.setattr(keys, "KEYS", 2)
    monkeypatch.setattr("submeter.decoders.fast.batch.DEVICES", 2)
    decoder = Decoder()
    for number in range(12):
        device = DeviceId("SIM", f"{number:08d}", 1, number)
        key = bytes([number]) * 16
        sent: list[Sent] = [
            (encode.radio(device, encode.mode5(bytes([4, vif]) + bytes(4), encode.Header(), key, device)), "wmbus", "auto", False, Profile(key))
            for vif in (0x13, 0x14, 0x15, 0x03)
        ]
        assert assert_same(decoder, sent) == 2
    assert decoder.layouts <= 6
