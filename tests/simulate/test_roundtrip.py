"""What the encoder writes the decoder reads: records of every coding, link frames, headers, security modes, simulated meters."""

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from submeter.decoders import DecodeError, Profile, Record, Telegram, decode, identify
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.simulate.encode import Header, Slot
from submeter.simulate.meters import Meter
from submeter.simulate.models import MODELS

DEVICE = DeviceId("SIM", "22009001", 1, 0x16)
INNER = DeviceId("SIM", "22009777", 3, 0x07)
KEY = bytes(range(16))
RECORDS = encode.bcd(b"\x13", 1234, 8) + encode.day(date(2026, 12, 31), Slot(storage=1)) + encode.integer(b"\x13", 777, 4, Slot(storage=1))

slots = st.builds(Slot, st.integers(0, 2**20), st.integers(0, 3), st.integers(0, 2**10), st.integers(0, 2**5))


def read(record: bytes) -> Record:
    """The one record of a plain telegram that carries it."""
    records = decode(encode.radio(DEVICE, encode.plain(record, None)), lambda _: Profile()).records
    assert len(records) == 1
    return records[0]


def place(record: Record) -> Slot:
    """The slot that the decoder saw."""
    return Slot(record.storage, record.function, record.tariff, record.subunit)


@given(slots, st.sampled_from([1, 2, 3, 4, 6, 8]), st.data())
def test_integers(slot, size, data):
    """A signed integer of any length and slot comes back scaled by its VIF, the lowest number aside, which means void."""
    value = data.draw(st.integers(1 - (1 << 8 * size - 1), (1 << 8 * size - 1) - 1))
    record = read(encode.integer(b"\x13", value, size, slot))
    assert (record.value, place(record)) == (Decimal(value).scaleb(-3), slot)


@given(slots, st.sampled_from([2, 4, 6, 8, 12]), st.data())
def test_bcd(slot, digits, data):
    """A packed decimal comes back, a negative one with one digit less."""
    value = data.draw(st.integers(1 - 10 ** (digits - 1), 10**digits - 1))
    record = read(encode.bcd(b"\x03", value, digits, slot))
    assert (record.value, place(record)) == (Decimal(value), slot)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats(value):
    """A float32 comes back as a decimal that is the same float32."""
    assert np.float32(str(read(encode.real(b"\x2b", value)).value)) == np.float32(value)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
def test_texts(value):
    """A text comes back with its first character first."""
    assert read(encode.text(b"\xfd\x11", value)).value == value


@given(st.dates(date(2000, 1, 1), date(2080, 12, 31)), slots)
def test_days(value, slot):
    """A type G date comes back in its slot."""
    record = read(encode.day(value, slot))
    assert (record.value, place(record)) == (value, slot)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2080, 12, 31)), st.booleans())
def test_times(value, summer):
    """Types F and I come back to the minute and to the second, with or without the summer bit."""
    assert read(encode.minute(value, summer=summer)).value == value.replace(second=0, microsecond=0)
    assert read(encode.second(value, summer=summer)).value == value.replace(microsecond=0)


@pytest.mark.parametrize(
    "record", [encode.absent(b"\x13"), encode.void(b"\x13", 4), encode.minute(datetime(2026, 1, 1), invalid=True), encode.real(b"\x13", float("nan"))]
)
def test_no_value(record):
    """No data, void, an unset clock and NaN are records without a value."""
    assert read(record).value is None


FORMS = [
    ("nocrc", lambda frame: frame),
    ("a", encode.format_a),
    ("b", encode.format_b),
]
BODIES = [
    (0, None, DEVICE, lambda: encode.plain(RECORDS, None)),
    (0, None, DEVICE, lambda: encode.plain(RECORDS, Header(access=5, status=4))),
    (0, None, INNER, lambda: encode.plain(RECORDS, Header(access=5, address=INNER))),
    (5, KEY, DEVICE, lambda: encode.mode5(RECORDS, Header(access=5), KEY, DEVICE)),
    (5, KEY, INNER, lambda: encode.mode5(RECORDS, Header(access=5, address=INNER), KEY, DEVICE)),
    (5, KEY, DEVICE, lambda: encode.extended(encode.mode5(RECORDS, Header(access=5), KEY, DEVICE), access=5)),
    (7, KEY, DEVICE, lambda: encode.mode7(RECORDS, Header(access=5), KEY, DEVICE, counter=99)),
    (7, KEY, INNER, lambda: encode.extended(encode.mode7(RECORDS, Header(access=5, address=INNER), KEY, DEVICE, counter=99), access=5)),
    (0x8D, KEY, DEVICE, lambda: encode.extended_ctr(encode.plain(RECORDS, None), KEY, DEVICE, access=5, session=77 << 4)),
]


def values(telegram: Telegram) -> list[int | None]:
    """Values of its readings in micro units."""
    return [reading.value for reading in telegram.readings]


@pytest.mark.parametrize(("form", "frame"), FORMS, ids=[form for form, _ in FORMS])
@pytest.mark.parametrize(("mode", "key", "device", "body"), BODIES)
def test_every_layer(form, frame, mode, key, device, body):
    """Each header and security mode in each link format gives the same readings, from the meter that the header names."""
    telegram = decode(frame(encode.radio(DEVICE, body())), lambda _: Profile(key), form=form)
    assert (telegram.device, telegram.mode, telegram.suspect) == (device, mode, False)
    assert values(telegram) == [1_234_000, 777_000]


@pytest.mark.parametrize(("mode", "key", "device", "body"), [row for row in BODIES if row[1]])
def test_wrong_key(mode, key, device, body):
    """With another key nothing comes out."""
    with pytest.raises(DecodeError):
        decode(encode.radio(DEVICE, body()), lambda _: Profile(bytes(16)))


def test_long_telegram_in_all_formats():
    """A telegram whose format B has two checks reads alike in all three formats."""
    records = b"".join(encode.bcd(b"\x13", n, 8, Slot(tariff=n)) for n in range(22))
    plain = encode.radio(DEVICE, encode.plain(records, Header()))
    assert len(plain) > 126
    read = [values(decode(frame(plain), lambda _: Profile(), form=form)) for form, frame in FORMS]
    assert read[0] == read[1] == read[2] == [n * 1000 for n in range(22)]


def test_fifteen_encrypted_blocks():
    """The longest encrypted telegram that fits is read whole."""
    records = b"".join(encode.bcd(b"\x13", n, 8, Slot(tariff=n)) for n in range(1, 29))
    raw = encode.radio(DEVICE, encode.mode5(records.ljust(238, b"\x2f"), Header(), KEY, DEVICE))
    assert len(raw) == 255
    assert len(values(decode(raw, lambda _: Profile(KEY)))) == 28


def test_wired():
    """A long frame of the bus reads the same records."""
    raw = encode.wired(encode.plain(RECORDS, Header(address=DEVICE)), address=9)
    telegram = decode(raw, lambda _: Profile(), link="mbus")
    assert (telegram.device, values(telegram)) == (DEVICE, [1_234_000, 777_000])


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("zone", ["Europe/Prague", "America/St_Johns"])
def test_simulated_meters(kind, zone):
    """A simulated meter's telegram gives exactly what it shows and what it stored, at any time of the year."""
    meter = Meter.make(kind, 7, seed=3, zone=zone)
    for days in range(0, 366, 13):
        t = (1_767_225_600 + days * 90_061) * 1_000_000
        link = "mbus" if meter.key is None else "wmbus"
        assert identify(meter.telegram(t), link=link) == meter.device
        telegram = decode(meter.telegram(t), lambda _: Profile(meter.key), link=link)
        assert {reading.register: reading.value for reading in telegram.readings if reading.stamp is None} == meter.truth(t)
        stored = meter.stored(t)
        assert {(reading.register, reading.value) for reading in telegram.readings if reading.stamp == stored.day} == set(stored.values)
        assert all(reading.due for reading in telegram.readings if reading.stamp) == (meter.model.stored == "set_day")
