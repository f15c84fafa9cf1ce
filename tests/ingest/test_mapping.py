"""A shape of messages that the configuration describes."""

import json
from decimal import Decimal

import pytest

from submeter.config import ConfigError, parse
from submeter.ingest.envelopes import BadPayload, split
from submeter.ingest.envelopes.mapping import Rule, Value, fits
from submeter.ingest.envelopes.parsed import values_of
from submeter.ingest.settings import routes_of, rules_of
from submeter.reading import Register

RULE = Rule(
    "site7/+/data",
    "serial",
    (Value("vol", "volume", "L"), Value("heat.0.total", "energy", "MWh"), Value("n", "energy", "GJ")),
    "data",
    "ts",
    "unix_ms",
)
VOLUME, ENERGY = Register("volume", "m3"), Register("energy", "kWh")


def read(told, rule=RULE, topic="site7/a/data"):
    """The telegrams of a message."""
    return split(topic, json.dumps(told).encode(), rules=[rule]).telegrams


def test_records_are_read_and_units_changed_exactly():
    """Litres and megawatt hours, numbers as texts, one time stamp for all; a broken record costs itself only."""
    told = {
        "ts": 1_795_248_003_000,
        "data": [{"serial": "12345678", "vol": "1234.5", "heat": [{"total": 2.5}]}, {"vol": 1}, {"serial": "1", "vol": "unavailable"}],
    }
    good, unnamed, empty = read(told)
    assert values_of(good.raw) == ("12345678", {VOLUME: Decimal("1.2345"), ENERGY: Decimal(2500)})
    assert (good.gw_time, good.link) == (1_795_248_003_000_000, "parsed")
    assert [(one.reason, json.loads(one.raw)["vol"]) for one in (unnamed, empty)] == [("bad_field", 1), ("no_values", "unavailable")]


def test_a_frame_a_level_and_a_wall_clock(shared):
    """`raw` gives a telegram as any gateway's; a local time waits for the gateway's zone."""
    frame = "2e44333003020100071b7a634820252f2f0265840842658308820165950802fb1aae0142fb1aae018201fb1aa9012f"
    rule = Rule("a/#", "topic:1", raw="hex", rssi="db", time="at", time_format="local")
    (heard,) = read({"hex": frame, "db": -71, "at": "2026-03-02 10:30:00"}, rule, "a/b/c")
    assert (heard.raw.hex(), heard.link, heard.rssi_dbm, str(heard.wall)) == (frame, "wmbus", -71, "2026-03-02 10:30:00")
    (heard,) = read({"v": 1}, Rule("a/#", "topic:1", [Value("v", "power", "W")]), "a/QDS-12345678-37-08")
    assert values_of(heard.raw) == ("QDS-12345678-37-08", {Register("power", "kW"): Decimal("0.001")})


def test_other_topics_and_pinned_sources_pass_it_by():
    """A rule reads the topics of its filter, all of them, and no other."""
    assert [fits(one, "a/b/c") for one in ("a/+/c", "a/#", "#", "a/b/c", "a/+", "a/b/c/d", "b/#")] == [True] * 4 + [False] * 3
    with pytest.raises(BadPayload, match="no known format"):
        read({"serial": "12345678", "vol": 1}, topic="site8/a/data")
    with pytest.raises(BadPayload, match="not hex"):
        split("site7/a/data", b"{}", "hex", [RULE])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[",
        b"null",
        b"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
        b'{"data": 5}',
        b'{"data": [1, null, "x", []]}',
        b'{"data": [{"serial": "1", "vol": "x"}]}',
        b'{"data": [{"serial": "1", "vol": "1e999999999"}]}',
        b'{"data": [{"serial": "1", "vol": "-1e-999999999"}]}',
        b'{"data": [{"serial": "1", "vol": "0e999999999"}]}',
        b'{"data": [{"serial": "1", "vol": 1e300}]}',
        b'{"data": [{"serial": "1", "vol": "' + b"1" * 100_000 + b'"}]}',
        b'{"data": [{"serial": "1", "vol": "0.' + b"1" * 100_000 + b'"}]}',
    ],
)
def test_what_does_not_fit_is_refused_with_a_word(payload):
    """Never another error, never a value."""
    try:
        assert all(one.reason for one in split("site7/a/data", payload, rules=[RULE]).telegrams)
    except BadPayload as error:
        assert error.reason in {"empty", "bad_json", "too_deep"}  # noqa: PT017


def test_the_configuration_says_it_and_is_checked(tmp_path):
    """A register that is none, a unit that cannot be changed, both raw and values: refused before anything runs."""
    text = '[[mapping]]\ntopic = "a/+"\nvalues = [{path = "v", register = "volume", unit = "L"}]\n[[lorawan]]\nport = 2\ncarries = "records"'
    config = parse(text, tmp_path / "pipeline.toml")
    assert rules_of(config) == [Rule("a/+", "meter", [Value("v", "volume", "L")])]
    assert routes_of(config) == [("", 2, "records")]
    for wrong, why in (('register = "volum"', "none of docs"), ('register = "energy"', "cannot be changed")):
        with pytest.raises(ConfigError, match=why):
            rules_of(parse(text.replace('register = "volume"', wrong), tmp_path / "pipeline.toml"))
    with pytest.raises(ConfigError, match="either raw or values"):
        rules_of(parse('[[mapping]]\ntopic = "a"', tmp_path / "pipeline.toml"))
