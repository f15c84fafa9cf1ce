"""The vocabulary of drivers: what each kind of table does, on drivers made up here."""

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import EntryPoint

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submeter.decoders import DecodeError, Profile, Record, Telegram, UnknownDriver, catalogue, codings, decode
from submeter.decoders.blocks import read_blocks, read_payload
from submeter.decoders.catalogue import driver_of, drivers
from submeter.decoders.deviations import implausible, understood
from submeter.decoders.driver import FILLED, PAYLOAD, TAIL, Bits, Codes, Driver, Field, Found, Gate, History, Layout, Make, Rule, Tags
from submeter.decoders.flags import words_of
from submeter.decoders.instants import with_instants
from submeter.decoders.records import walk
from submeter.reading import DeviceId
from submeter.simulate import encode

METER = DeviceId("PND", "20000001", 1, 7)
WORDS = {1: "leak", 2: "dry", 4: ""}


def driver(**tables: object) -> Driver:
    """A made-up driver with these tables."""
    return Driver("pond", "made up", (Make("PND"),), **tables)


def records(text: str, **tables: object) -> tuple[Record, ...]:
    """Standard records as a made-up driver understands them."""
    return understood(driver(**tables), walk(bytes.fromhex(text)).records)


def values(found: tuple[Record, ...]) -> list[tuple[str, str | None]]:
    """Quantity and value."""
    return [(one.quantity, None if one.value is None else f"{one.value:f}" if isinstance(one.value, Decimal) else str(one.value)) for one in found]


def test_bits_and_codes() -> None:
    """Named bits give their words once, quiet ones none, others one word for all; whole values likewise; nought is quiet."""
    assert Bits(WORDS).words(7) == ("leak", "dry")
    assert Bits(WORDS).words(0x31) == ("leak", "unnamed")
    assert [Bits({6: "burst", 2: "leak"}).words(value) for value in (2, 4, 6, 7)] == [
        ("leak",), ("unnamed",), ("burst", "leak"), ("burst", "leak", "unnamed"),
    ]  # fmt: skip
    assert (Codes({1: "smoke"}).words(1), Codes({1: "smoke"}).words(2), Codes({}, other="tamper").words(9), Codes({}).words(0)) == (
        ("smoke",), ("unnamed",), ("tamper",), (),
    )  # fmt: skip


def test_status_words() -> None:
    """The transport byte by the standard, or wholly by the driver; records' flags behind it, each once."""
    flagged = records("02fd17 0300", rules=(Rule("FD17", flags=Bits(WORDS)),))
    assert words_of(0x05, None, flagged) == ("busy", "power_low", "leak", "dry")
    assert words_of(0x05, Bits({1: "leak", 4: "removed"}), flagged) == ("leak", "removed", "dry")


def test_error_flags_without_a_table_are_unnamed() -> None:
    """FD17 that is set says so; nought, no value, a stored or error-state one does not, nor one that the driver's table knows to be quiet."""
    assert [one.flags for one in understood(None, walk(bytes.fromhex("02fd17 0100 02fd17 0000 00fd17 42fd17 0100 32fd17 0100")).records)] == [
        ("unnamed",), (), (), (), (),
    ]  # fmt: skip
    assert records("01fd17 04", rules=(Rule("FD17", flags=Bits(WORDS)),))[0].flags == ()


def test_rules_match_by_chain_attributes_and_order() -> None:
    """The first rule that matches counts; `nth` counts equal headers; without a match the record stays."""
    rules = (
        Rule("06", nth=2, to={"quantity": "energy_cooling"}),
        Rule(where={"quantity": "volume", "subunit": 1}, to={"quantity": "volume_input", "subunit": 0}),
        Rule("13", to={"quantity": "never"}, where={"storage": 9}),
    )
    found = records("0406 01000000 0406 02000000 844013 03000000 0413 04000000", rules=rules)
    assert values(found) == [("energy", "1000"), ("energy_cooling", "2000"), ("volume_input", "0.003"), ("volume", "0.004")]
    assert found[2].subunit == 0


def test_rules_read_data_again() -> None:
    """With a scale the data are a number in the dictionary's unit; void data and void numbers stay without a value, text and dates too."""
    rules = (
        Rule("13", void="00000080", to={"quantity": "volume"}),
        Rule("FF20", scale=Fraction(1, 100), to={"quantity": "energy"}),
        Rule("FF21", scale=Fraction(2), to={"quantity": "runtime", "unit": "min"}),
        Rule("6C", scale=Fraction(1), to={"quantity": "word"}),
        Rule("FD0C", scale=Fraction(1), to={"quantity": "word"}),
    )
    text = "0c13 00000080 04ff20 9cffffff 0cff20 00010000 02ff21 0080 02ff21 0300 0dfd0c 0141 026c 0128"
    found = records(text, rules=rules)
    assert values(found) == [
        ("volume", None), ("energy", "-1"), ("energy", "1"), ("runtime", None), ("runtime", "6"), ("word", None), ("word", "10241"),
    ]  # fmt: skip
    assert [one.unit for one in found] == ["m3", "kWh", "kWh", "min", "min", "", ""]


def test_histories_date_undated_storages() -> None:
    """Back by months from a base's date, month ends staying month ends, or from the month end before the meter's time; a base that is void dates nothing."""
    text = "8c0413 11000000 cc0413 12000000 8c0513 13000000 82046c 1f3c"
    by_base = records(text, histories=(History(range(8, 20), base=8),))
    assert [(one.stamp, one.label) for one in by_base[:3]] == [(date(2024, month, day), "month_end") for month, day in ((12, 31), (11, 30), (10, 31))]
    clock = "046d 1e0d5c2b 840113 01000000 c40113 02000000"
    assert [one.stamp for one in records(clock, histories=(History(range(2, 17)),))[1:]] == [date(2018, 10, 31), date(2018, 9, 30)]
    assert [one.stamp for one in records("840113 01000000", histories=(History(range(2, 17)), History(range(2, 9), base=2)))] == [None]


def test_a_storage_with_its_own_date_keeps_it() -> None:
    """A history dates only what the telegram does not."""
    found = records("840413 01000000 82046c 1f2c c40413 02000000 c2046c 012c", histories=(History(range(8, 20), base=8),))
    assert found[2].stamp == found[3].value


def test_an_instant_of_its_own_stays() -> None:
    """What a driver dated is not dated again by the storage's date."""
    volume, day = walk(bytes.fromhex("4413 01000000 426c 1f2c")).records
    assert with_instants((volume._replace(stamp=date(2020, 1, 1)), day))[0].stamp == date(2020, 1, 1)


def test_labels_of_a_rule_stay() -> None:
    """A rule may say what kind of instant a stored value has."""
    assert records("4413 01000000 426c 1f2c", rules=(Rule("13", to={"label": "month_end"}),))[0].label == "month_end"


TAGS = Layout(tags=Tags(start=1, lengths={1: 1, 2: 2}, fields={2: (Field(0, 2, "volume"),)}, check=2))


@pytest.mark.parametrize(
    ("text", "found", "note"),
    [
        ("00 0102 020300 ff 9999", ["3"], ""),
        ("00 020300 9999", ["3"], ""),
        ("00 020300 0105 9999", ["3"], ""),
        ("00 020300 77 0000 9999", ["3"], "register 77h is not known"),
        ("00 0105 02 9999", [], "register 02h runs over the end"),
        ("00", [], ""),
    ],
)
def test_a_tag_walk(text: str, found: list[str], note: str) -> None:
    """Ends at the filler, at the check bytes, at an unknown tag and at one that is cut, and says so of the last two."""
    read = read_payload(driver(layouts=(TAGS,)), bytes.fromhex(text), METER, 0xA0)
    assert read is not None
    assert [str(one.value) for one in read.records] == found
    assert note in "".join(read.notes)
    assert bool(note) == bool(read.notes)


def test_places_of_layouts() -> None:
    """The payload as it is or behind its filler; the tail; the data of a record with a VIF of its own. What does not fit is left alone."""
    volume = (Field(0, 1, "volume"),)
    filled = driver(layouts=(Layout(volume, at=PAYLOAD, guard=((0, 0xFF, 9), (7, 1, 1))), Layout((Field(1, 1, "volume"),), at=FILLED)))
    read = read_payload(filled, bytes.fromhex("2f2f072f"), METER, 0x7A)
    assert read is not None
    assert values(read.records) == [("volume", "47")]
    assert read_payload(driver(layouts=(Layout(volume, at=TAIL),)), b"\x07", METER, 0x7A) is None
    both = driver(layouts=(Layout(volume, at=TAIL, size=2), Layout(volume, at="ff5f", read=lambda block: Found(notes=(f"{len(block.records)}",)))))
    blocks = read_blocks(both, walk(bytes.fromhex("0413 01000000 02ff5f 0800 0f 0901")), METER, 0x7A)
    assert values(blocks.records)[2:] == [("volume", "9"), ("volume", "8")]
    assert (blocks.tail, blocks.notes) == (b"", ("3",))
    assert read_blocks(both, walk(bytes.fromhex("0f 09")), METER, 0x7A).tail == b"\x09"
    assert read_blocks(both, walk(b""), METER, 0x7A).records == ()


def test_fields_void_dates_and_words() -> None:
    """A void raw value and an impossible date are no value; text passes as it is."""
    tables = (
        Field(0, 1, "volume", void=frozenset((255,))),
        Field(1, 2, "date", codings.date_d),
        Field(0, 1, "word", lambda data: data.hex()),
        Field(9, 1, "volume"),
    )
    read = read_payload(driver(layouts=(Layout(tables),)), bytes.fromhex("ff ffff"), METER, 0xA0)
    assert read is not None
    assert values(read.records) == [("volume", None), ("date", None), ("word", "ff")]


@pytest.mark.parametrize(
    ("coding", "text", "value"),
    [
        (codings.unsigned, "0102", 0x201), (codings.unsigned_be, "0102", 0x102), (codings.signed, "ff", -1), (codings.signed, "0080", None),
        (codings.bcd, "3412", 1234), (codings.bcd, "341f", None), (codings.bcd_be, "1234", 1234), (codings.date_g, "3f2c", date(2017, 12, 31)),
        (codings.date_d, "9f25", date(2018, 12, 31)), (codings.date_d, "0000", None), (codings.date_short_year, "322d", date(2022, 9, 18)),
        (codings.seconds_2000, "80510100", datetime(2000, 1, 2)), (codings.seconds_2000, "00000000", None),
    ],
)  # fmt: skip
def test_codings(coding: codings.Coding, text: str, value: object) -> None:
    """Numbers low or high byte first, decimal digits, dates of four kinds; void ones are nothing."""
    assert coding(bytes.fromhex(text)) == value


def gated(gate: Gate, text: str, received: datetime | None = None) -> str | None:
    """What a gate says of standard records."""
    return implausible(gate, records(text), received)


def test_gates() -> None:
    """Years of all dates, the meter's clock against the reception, largest, falling and negative values, and what has to be there."""
    clock, heard = "046d 1e0d5c2b", datetime(2018, 12, 1)
    assert gated(Gate(), f"{clock} 0413 01000000") is None
    assert "cannot be" in str(gated(Gate(years=(2019, 2030)), clock))
    assert "too far" in str(gated(Gate(clock_days=2), clock, heard))
    assert gated(Gate(clock_days=4), clock, heard) is None
    assert gated(Gate(clock_days=2), clock) is None
    assert gated(Gate(clock_days=2), "0413 01000000", heard) is None
    assert "cannot be" in str(gated(Gate(largest={"volume": 1}), "0413 e9030000"))
    assert gated(Gate(largest={"volume": 1}), "0413 e8030000 0406 e9030000") is None
    assert "is 0.001" in str(gated(Gate(rising=("volume",)), "0413 01000000 4413 02000000"))
    assert gated(Gate(rising=("volume",)), "0413 02000000 4413 02000000 4406 09000000 840113 01000000") is None
    assert gated(Gate(rising=("volume",)), "4413 02000000") is None
    assert "below nought" in str(gated(Gate(rising=("volume",)), "0413 ffffff8f"))
    assert "is missing" in str(gated(Gate(needs=("volume",)), "0c13 ffffffff"))


def test_an_entry_point_without_drivers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that leads to something else is told apart by name."""
    entry = EntryPoint("pond", "submeter.decoders.meters.apator162:DRIVERS.__len__", catalogue.ENTRY_POINTS)
    monkeypatch.setattr(catalogue, "entry_points", lambda group: [entry])
    with pytest.raises(TypeError, match="pond"):
        drivers.__wrapped__()


def test_drivers_of_other_packages_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that an operator may replace one of ours."""
    entry = EntryPoint("pond", "submeter.decoders.meters.axioma:DRIVERS", catalogue.ENTRY_POINTS)
    monkeypatch.setattr(catalogue, "entry_points", lambda group: [entry])
    assert drivers.__wrapped__()[0].name == "q400"


def heard(device: DeviceId, body: str | bytes, profile: Profile | None = None, **more: object) -> Telegram:
    """Decode a radio frame with this body."""
    raw = encode.radio(device, bytes.fromhex(body) if isinstance(body, str) else body)
    return decode(raw, lambda _: profile or Profile(), **more)


def test_a_foreign_payload_is_kept() -> None:
    """A manufacturer's CI field without a driver, and with one whose layout does not fit, waits for a driver."""
    with pytest.raises(UnknownDriver, match="no driver"):
        heard(METER, "a2 0102")
    with pytest.raises(UnknownDriver, match="tsd2"):
        heard(DeviceId("TCH", "31000013", 0x76, 0xF0), "a0 01")


KINDS = [
    DeviceId(maker, "30000001", (make.versions or (0x33,))[0], (make.types or (0x07,))[0])
    for one in drivers()
    for make in one.makes
    for maker in make.manufacturers.split()
]


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(0, 255),
    st.binary(max_size=90),
    st.sampled_from([Profile(), Profile(bytes(16)), Profile(bytes(8))]),
    st.booleans(),
)
def test_any_payload_of_a_driver_is_a_telegram_or_a_reason(device: DeviceId, ci: int, rest: bytes, profile: Profile, decrypted: bool) -> None:
    """No other exception leaves the package, whatever stands behind a driver's address, and no value beyond a dial comes out."""
    for code in {ci, 0x7A, 0xA0 + ci % 8, *sorted((driver_of(device, ci) or drivers()[0]).cis)[:1]}:
        try:
            telegram = heard(device, bytes([code]) + rest, profile, decrypted=decrypted)
        except DecodeError:
            continue
        assert all(one.value is not None and abs(one.value) <= 10**16 for one in telegram.readings)
        assert all(not isinstance(one.value, Decimal) or one.value.is_finite() for one in telegram.records)
