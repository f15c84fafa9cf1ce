"""Rules of [[mapping]] one by one: where values stand, which numbers they are, units, times, names (docs/gateways.md, "a shape of your own"; ingest/FORMATS.md 7)."""

import json
from decimal import Decimal
from fractions import Fraction

import pytest

from submeter.ingest.envelopes import BadPayload, split
from submeter.ingest.envelopes.core import value_at
from submeter.ingest.envelopes.mapping import Rule, Value, factor_of, fits
from submeter.ingest.envelopes.parsed import values_of
from submeter.reading import Register

EIGHT = 1_795_248_000_000_000  # 2026-11-21 08:00:00 UTC


def read(told, *values, topic="site/a/data", **rule):
    """The telegrams of a message by a rule for one value, whose meter is 12345678."""
    made = Rule(rule.pop("of", "site/+/data"), rule.pop("meter", "m"), values or (Value("v", "volume", "m3"),), **rule)
    return split(topic, json.dumps(told).encode(), rules=[made]).telegrams


def only(told, *values, **rule):
    """The only telegram: its reason, or what it says."""
    (one,) = read(told, *values, **rule)
    return one.reason or values_of(one.raw)


#: A number as senders write it → what it is; None for what says that there is none, a reason for what is no number.
NUMBERS = [
    (0, "0"), (-3, "-3"), (1.5, "1.5"), ("1234.5", "1234.5"), (" 7 ", "7"), ("1e3", "1000"), ("-0.001", "-0.001"), (123_456_789.123, "123456789.123"),
    ("0.1234567890123456789", "0.1234567890123456789"), ("1e9", "1000000000"),
    (None, "no_values"), ("", "no_values"), ("  ", "no_values"), ("unknown", "no_values"), ("Unavailable", "no_values"), ("null", "no_values"), ("None", "no_values"),
    ("NaN", "no_values"), ("Infinity", "no_values"), (True, "no_values"), (False, "no_values"),
    ("x", "bad_field"), ("1,5", "bad_field"), ("12 m3", "bad_field"), ([], "bad_field"), ({}, "bad_field"), ("0x10", "bad_field"),
    ("1e41", "bad_field"), ("1e-41", "bad_field"), ("1" * 81, "bad_field"), ("0." + "1" * 79, "bad_field"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "number"), NUMBERS)
def test_what_is_a_number(told, number):
    """A number or a text that is one, exactly as written; words for no value are none; anything else is refused, never guessed."""
    found = only({"m": "12345678", "v": told})
    if number in {"no_values", "bad_field"}:
        assert found == number
    else:
        assert found == ("12345678", {Register("volume", "m3"): Decimal(number)})


#: Register and unit there → how much of the register's own unit one is.
UNITS = [
    ("volume", "m3", "1"), ("volume", "m³", "1"), ("volume", "L", "0.001"), ("volume", "l", "0.001"), ("volume", "", "1"),
    ("energy", "kWh", "1"), ("energy", "MWh", "1000"), ("energy", "Wh", "0.001"), ("energy", "GJ", "2500/9"), ("energy", "MJ", "5/18"),
    ("energy_cooling", "MWh", "1000"), ("power", "kW", "1"), ("power", "W", "0.001"), ("flow", "m3/h", "1"), ("flow", "m³/h", "1"), ("flow", "L/h", "0.001"), ("flow", "l/h", "0.001"),
    ("temperature_flow", "°C", "1"), ("hca", "hca", "1"), ("hca", "", "1"),
]  # fmt: skip


@pytest.mark.parametrize(("register", "unit", "factor"), UNITS)
def test_units_are_changed_exactly(register, unit, factor):
    """As a fraction: 0.36 GJ are 100 kWh, not 99.99…."""
    assert factor_of(register, unit) == Fraction(factor)
    told = only({"m": "1", "v": "0.36"}, Value("v", register, unit))
    (number,) = told.values.values()
    numerator, _, denominator = factor.partition("/")
    assert number * Decimal(denominator or 1) == Decimal("0.36") * Decimal(numerator)


@pytest.mark.parametrize(
    ("register", "unit", "why"),
    [
        ("volume", "kWh", "volume is in m3"),
        ("energy", "m3", "energy is in kWh"),
        ("volume", "gal", "cannot be changed"),
        ("volum", "m3", "none of docs/registers.md"),
    ],
)
def test_a_unit_that_cannot_be_changed(register, unit, why):
    """Told when the configuration is read, with what the register is in."""
    with pytest.raises(ValueError, match=why):
        Value("v", register, unit)


#: A path → what stands there in DOCUMENT.
DOCUMENT = {"a": {"b": [{"c": 1}, [2, 3]], "": 4, "0": 5}, "a.b": 6, "n": None}
PATHS = [
    ("a.b.0.c", 1), ("a.b.1.0", 2), ("a.b.1.1", 3), ("a.", 4), ("a.0", 5), ("n", None), ("a.b.2", None), ("a.b.-1", None), ("a.b.c", None), ("a.b.0.c.d", None), ("x", None),
    ("a.b.00.c", 1), ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "found"), PATHS)
def test_what_stands_at_a_path(path, found):
    """Keys and list indexes with dots between, nothing else; what is not there is nothing, not an error."""
    assert value_at(DOCUMENT, path) == found


#: A time, its form → the instant as seconds from eight, or a reason.
TIMES = [
    ("2026-11-21T08:00:00Z", "rfc3339", 0), ("2026-11-21T09:00:01+01:00", "rfc3339", 1), ("2026-11-21T08:00:00", "rfc3339", "bad_time"), (5, "rfc3339", "bad_time"),
    (1_795_248_000, "unix_s", 0), ("1795248000.25", "unix_s", 0.25), (1_795_248_000_250, "unix_ms", 0.25), ("1795248000250", "unix_ms", 0.25),
    (1_795_248_000_000, "unix_s", "bad_time"), (1_795_248_000, "unix_ms", "bad_time"), ("soon", "unix_s", "bad_field"), (None, "unix_ms", "bad_time"), (None, "rfc3339", "bad_field"),
    ("2026-13-01 00:00:00", "local", "bad_time"), (None, "local", "bad_field"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "form", "found"), TIMES)
def test_times_of_a_record(told, form, found):
    """Each form as it is described; a record whose time is none is refused by name, and kept."""
    (one,) = read({"m": "1", "v": 1, "at": told}, time="at", time_format=form)
    assert one.reason or (one.gw_time - EIGHT) / 1e6 == found
    assert (one.reason or found) == found


def test_a_local_time_is_a_wall_clock():
    """It waits for the zone of its gateway, whatever offset it claims."""
    for told in ("2026-11-21 08:00:00", "2026-11-21T08:00:00+05:00"):
        (one,) = read({"m": "1", "v": 1, "at": told}, time="at", time_format="local")
        assert (one.gw_time, one.wall.isoformat()) == (None, "2026-11-21T08:00:00")


#: Where the meter's name stands, topic and message → the name, or a reason.
NAMES = [
    ("m", {"m": "12345678", "v": 1}, "12345678"),
    ("m", {"m": 12345678, "v": 1}, "12345678"),
    ("id.no", {"id": {"no": "x"}, "v": 1}, "x"),
    ("topic:0", {"v": 1}, "site"),
    ("topic:1", {"v": 1}, "a"),
    ("topic:3", {"v": 1}, "bad_field"),
    ("topic:x", {"topic:x": "y", "v": 1}, "y"),
    ("m", {"v": 1}, "bad_field"),
    ("m", {"m": "", "v": 1}, "bad_field"),
    ("m", {"m": True, "v": 1}, "bad_field"),
    ("m", {"m": 1.5, "v": 1}, "bad_field"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "told", "name"), NAMES)
def test_whose_a_record_is(place, told, name):
    """A text or a whole number at its path, or a level of the topic."""
    found = only(told, meter=place)
    assert (found if isinstance(found, str) else found.id) == name


def test_name_and_time_may_stand_once_for_all_records():
    """What a record lacks is looked for in the message; what it has goes before."""
    told = {"m": "all", "at": 1_795_248_000, "data": [{"v": 1}, {"v": 2, "m": "own", "at": 1_795_248_001}]}
    found = read(told, records="data", time="at", time_format="unix_s")
    assert [(values_of(one.raw).id, (one.gw_time - EIGHT) // 1_000_000) for one in found] == [("all", 0), ("own", 1)]


def test_records_are_bounded():
    """Five thousand are taken, one more is refused as a whole; a record that is no list is the only one."""
    assert len(read({"m": "1", "data": [{"v": 1}] * 5000}, records="data")) == 5000
    with pytest.raises(BadPayload, match="5001 records; a message has at most 5000"):
        read({"m": "1", "data": [{"v": 1}] * 5001}, records="data")
    assert only({"m": "1", "data": {"v": 1}}, records="data").id == "1"
    assert only({"m": "1"}, records="data") == "no_values"


@pytest.mark.parametrize(
    ("told", "dbm", "level"), [(-71, -71, None), ("-71.4", -71, None), (97, None, 97), ("unknown", None, None), (None, None, None)]
)
def test_the_level_of_a_record(told, dbm, level):
    """A number or a text that is one, dBm below zero."""
    (one,) = read({"m": "1", "v": 1, "db": told}, rssi="db")
    assert (one.rssi_dbm, one.level, one.reason) == (dbm, level, None)


#: A topic filter, a topic, and whether it is one of it (MQTT 5.0, 4.7.1).
FILTERS = [
    ("a/b", "a/b", True), ("a/b", "a/b/c", False), ("a/b", "a", False), ("a/+", "a/b", True), ("a/+", "a/", True), ("a/+", "a", False), ("a/+", "a/b/c", False),
    ("+/+", "a/b", True), ("+", "a", True), ("+", "/a", False), ("/+", "/a", True), ("a/#", "a/b/c", True), ("a/#", "a", True), ("a/#", "ab", False), ("#", "a/b", True),
    ("a/+/c", "a/b/c", True), ("a/+/c", "a/b/d", False), ("A/b", "a/b", False), ("#", None, False), ("a", None, False),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "topic", "fit"), FILTERS)
def test_topics_of_a_filter(wanted, topic, fit):
    """One level for a plus, the level itself and all below for a hash; a message without a topic is of no filter."""
    assert fits(wanted, topic) is fit
