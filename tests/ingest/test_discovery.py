"""What bridges announce to Home Assistant: which entities are used, and what their messages say."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from submeter.ingest.envelopes import BadPayload, Payload
from submeter.ingest.envelopes.discovery import announced, is_announcement, kept, taken, wants_retained
from submeter.ingest.envelopes.entities import described, judged
from submeter.ingest.envelopes.parsed import values_of
from submeter.reading import Register

TOPIC = "homeassistant/sensor/cellar/volume/config"
VOLUME, ENERGY = Register("volume", "m3"), Register("energy", "kWh")
CONFIG = {
    "state_topic": "cellar/7/state",
    "value_template": "{{ value_json.volume }}",
    "unit_of_measurement": "m³",
    "device_class": "water",
    "state_class": "total_increasing",
    "unique_id": "cellar_7_volume",
    "device": {"identifiers": ["cellar_7"], "manufacturer": "ACW", "model": "Cyble"},
}


def told(topic=TOPIC, **changes):
    """The entities of an announcement with changes; None takes a field out."""
    return announced("home", topic, json.dumps({name: value for name, value in {**CONFIG, **changes}.items() if value is not None}).encode())


def used(**changes):
    """What is taken of one entity: register and unit; or why it is not."""
    ((entity),) = judged(told(**changes))
    return (entity.value.register, entity.value.unit) if entity.value else entity.why


def read(state, *entities):
    """What a message says of entities: the meter, its values and the telegram."""
    payload = state if isinstance(state, bytes) else json.dumps(state).encode()
    (heard,) = described(tuple(one for each in entities for one in each), Payload("cellar/7/state", payload)).telegrams
    return *values_of(heard.raw), heard


def test_topics_of_announcements():
    """Four or five levels that end with config; of filters of such topics the retained messages are wanted too."""
    topics = (
        "homeassistant/sensor/x/config",
        TOPIC,
        "homeassistant/config",
        "homeassistant/a/b/c/d/config",
        "homeassistant/sensor/x/state",
        "x/a/b/config",
        None,
    )
    assert [is_announcement(topic) for topic in topics] == [True, True, False, False, False, False, False]
    filters = ("homeassistant/+/+/config", "homeassistant/#", "homeassistant/sensor/+/state", "submeter/v1/+/up", "#")
    assert [wants_retained(one) for one in filters] == [True, True, False, False, False]


def test_long_and_short_keys_say_the_same():
    """Abbreviated keys, with the base topic at the beginning or the end of a topic."""
    short = {
        "~": "cellar/7", "stat_t": "~/state", "val_tpl": CONFIG["value_template"], "unit_of_meas": "m³", "dev_cla": "water", "stat_cla": "total_increasing",
        "uniq_id": "cellar_7_volume", "dev": {"ids": "cellar_7", "mf": "ACW", "mdl": "Cyble"},
    }  # fmt: skip
    assert announced("home", TOPIC, json.dumps(short).encode()) == told()
    assert announced("home", TOPIC, json.dumps({**short, "~": "7/state", "stat_t": "cellar/~"}).encode()) == told()
    assert taken(kept(told())) == told()


def test_what_is_shown_to_operators_has_no_control_characters():
    """A bridge cannot write on the operator's screen."""
    ((entity),) = judged(told(unique_id="a\x1b[2J\nb", device={"identifiers": ["c\x07ellar"], "model": "\u202ex"}))
    assert str(entity).startswith("a[2Jb  cellar/7/state")
    assert (entity.told.meter, entity.told.model) == ("home:cellar", "x")


def test_a_device_may_announce_several_sensors_at_once():
    """Common fields count for each component; what is no sensor is passed over."""
    parts = {
        "a": {"p": "sensor", **{name: CONFIG[name] for name in ("value_template", "unit_of_measurement")}},
        "b": {"p": "button"},
        "c": {"p": "sensor"},
    }
    device = {"dev": CONFIG["device"], "state_topic": "cellar/7/state", "state_class": "total_increasing", "cmps": parts}
    (one,) = announced("home", "homeassistant/device/cellar/config", json.dumps(device).encode())
    assert (one.state_topic, one.template, one.meter) == ("cellar/7/state", "{{ value_json.volume }}", "home:cellar_7")
    assert told("homeassistant/switch/cellar/config") == announced("home", TOPIC, b" ") == ()


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{{ value_json.volume }}", "volume"),
        ("{{value_json.water.total}}", "water.total"),
        ("{{ value_json['total_m3'] | float }}", "total_m3"),
        ('{{ value_json["volume"] | float | round(3) }}', "volume"),
        ("{{ value_json.meter['volume'] | int }}", "meter.volume"),
    ],
)
def test_templates_that_are_read(template, path):
    """A path by dots or brackets, with filters of form."""
    ((entity),) = judged(told(value_template=template))
    assert entity.value.path == path


@pytest.mark.parametrize(
    "template",
    [
        "{{ value_json.volume | float / 1000 }}",
        "{{ value_json.volume | float * 10 }}",
        "{{ value_json.volume | float(0) }}",
        "{{ value_json.volume + 1 }}",
        "{{ value_json.volume }}{{ value_json.volume }}",
        "{% if value_json.volume %}{{ value_json.volume }}{% endif %}",
        "{{ value_json.get('volume') }}",
        "{{ value_json }}",
        "{{ value_json.volume | round }}",
        "{{ states('sensor.x') }}",
        "{{ value_json['a.b'] }}",
        "x {{ value }}",
        "{{ value_json.volume",
        "{{ value_json.volume " + "x" * 5000 + " }}",
    ],
)
def test_any_other_template_makes_the_entity_unusable(template):
    """No template is run, and none is read in part: the operator sees the reason."""
    assert "its template is none of those" in used(value_template=template)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"unit_of_measurement": "L"}, ("volume", "L")),
        ({"unit_of_measurement": "MWh", "value_template": "{{ value_json.ENERGY.Total }}"}, ("energy", "MWh")),
        ({"unit_of_measurement": "GJ", "value_template": "{{ value_json.totalHeatEnergy }}"}, ("energy", "GJ")),
        ({"unit_of_measurement": "MJ", "value_template": "{{ value_json.energy }}"}, ("energy", "MJ")),
        ({"unit_of_measurement": "Wh", "value_template": "{{ value_json.energy }}"}, ("energy", "Wh")),
        ({"unit_of_measurement": "W", "value_template": "{{ value_json.power }}", "state_class": "measurement"}, ("power", "W")),
        ({"unit_of_measurement": "kW", "value_template": "{{ value_json.current_power_consumption_kw }}", "state_class": None}, ("power", "kW")),
        ({"unit_of_measurement": "m³/h", "value_template": "{{ value_json.volume_flow_m3h }}", "state_class": None}, ("flow", "m3/h")),
        ({"unit_of_measurement": "L/h", "value_template": "{{ value_json.flow }}", "state_class": None}, ("flow", "L/h")),
        ({"unit_of_measurement": "°C", "value_template": "{{ value_json.flow_temperature }}", "state_class": None}, ("temperature_flow", "°C")),
        ({"unit_of_measurement": "℃", "value_template": "{{ value_json.return_temperature }}", "state_class": None}, ("temperature_return", "°C")),
        ({"unit_of_measurement": "hca", "value_template": "{{ value_json.current_consumption_hca }}", "state_class": "total"}, ("hca", "hca")),
        ({"unit_of_measurement": None, "value_template": "{{ value_json.current_consumption_hca }}", "state_class": "total"}, ("hca", "hca")),
        ({"value_template": None, "state_topic": "cellar/7/water_total/state"}, ("volume", "m3")),
    ],
)
def test_unit_and_place_say_the_register(changes, found):
    """The units of meters; allocator units have none, and the word hca in their key."""
    assert used(**changes) == found


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"unit_of_measurement": "dBm"}, "do not say"),
        ({"unit_of_measurement": None}, "do not say"),
        ({"unit_of_measurement": None, "value_template": "{{ value_json.consumption_at_set_date_hca }}", "state_class": "total"}, "do not say"),
        ({"unit_of_measurement": None, "value_template": "{{ value_json.current_consumption_hca }}", "state_class": None}, "state_class"),
        ({"value_template": "{{ value_json.target_m3 }}"}, "do not say"),
        ({"value_template": "{{ value_json.volume_month_start }}"}, "do not say"),
        ({"value_template": "{{ value_json.history.volume }}"}, "do not say"),
        ({"value_template": "{{ value_json.ENERGY.Yesterday }}", "unit_of_measurement": "kWh"}, "do not say"),
        ({"unit_of_measurement": "°C", "value_template": "{{ value_json.temperature }}"}, "do not say"),
        ({"unit_of_measurement": "Energy (kWh)", "value_template": "{{ value_json.records['0'].value }}"}, "do not say"),
        ({"state_class": "measurement"}, "state_class"),
        ({"state_class": None}, "state_class"),
        ({"device_class": "volume_storage"}, "what a store holds"),
        ({"last_reset_value_template": "{{ value_json.since }}"}, "starts anew"),
    ],
)
def test_what_may_be_another_value_is_not_guessed(changes, why):
    """Last month's value, a tank, a tariff, an unknown unit: unusable, with the reason."""
    assert why in used(**changes)


def test_entities_that_contradict_each_other_are_not_used():
    """Two that would be one register, or two devices under one topic: neither is taken; the same one announced twice is no contradiction."""
    other = told(value_template="{{ value_json.water }}")
    assert [entity.why for entity in judged(told() + other)] == ["several entities of this topic may be its volume"] * 2
    assert [entity.why for entity in judged(told() + told(unique_id="again"))] == ["", ""]
    assert all("several devices" in entity.why for entity in judged(told() + told(device={"identifiers": ["cellar_8"]})))
    with pytest.raises(BadPayload, match="no_usable_entity"):
        read({"volume": 1, "water": 2}, told(), other)


ENTITIES = (told(unit_of_measurement="L"), told(unit_of_measurement="MWh", value_template="{{ value_json.heat.energy | float }}"))


def test_the_entities_of_a_topic_are_one_telegram_with_one_time():
    """Units are changed exactly, numbers may be texts, the message's own time counts for all; what it does not hold is left out."""
    meter, values, heard = read({"volume": "1234.5", "heat": {"energy": 2.5}, "timestamp": "2026-03-02T10:00:00Z", "rssi_dbm": -71}, *ENTITIES)
    assert (meter, values) == ("home:cellar_7", {VOLUME: Decimal("1.2345"), ENERGY: Decimal(2500)})
    assert (heard.link, heard.form, heard.gw_time, heard.rssi_dbm) == ("parsed", "homeassistant", 1_772_445_600_000_000, -71)
    assert read({"volume": "unknown", "heat": {"energy": 1}}, *ENTITIES)[1] == {ENERGY: Decimal(1000)}


def test_who_is_meant():
    """Eight digits in the message, else the announced serial number, else the identifier, else the topic."""
    assert read({"volume": 1, "id": "33225544"}, told())[0] == "33225544"
    assert read({"volume": 1, "id": 33225544}, told())[0] == "33225544"
    for other in ("7", 7, None, True, ["33225544"]):
        assert read({"volume": 1, "id": other}, told())[0] == "home:cellar_7"
    assert read({"volume": 1}, told(device={"ids": ["x"], "sn": "86000001"}))[0] == "86000001"
    assert read({"volume": 1}, told(device={"ids": ["x"], "sn": "7"}))[0] == "home:x"
    assert read({"volume": 1}, told(device=None))[0] == "home:cellar/7/state"


@pytest.mark.parametrize(("time", "found"), [("2026-03-02 10:30:00", (None, "2026-03-02 10:30:00")), ("soon", (None, "None")), (5, (None, "None"))])
def test_a_time_without_a_zone_waits_for_the_gateways(time, found):
    """A wall clock is kept as one; what is no time is passed over."""
    heard = read({"volume": 1, "timestamp": time}, told())[2]
    assert (heard.gw_time, str(heard.wall)) == found


def test_bare_values():
    """`{{ value }}` is the whole message, also with zeros before; a word that says that there is none is no value."""
    bare = told(value_template="{{ value | float }}", state_topic="cellar/volume")
    assert read(b"0012.50\n", bare)[1] == {VOLUME: Decimal("12.50")}
    for word in (b"unavailable", b"unknown", b"null", b"None"):
        with pytest.raises(BadPayload, match="no_values"):
            read(word, bare)
    with pytest.raises(BadPayload, match="bad_field"):
        read(b"open", bare)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "bad_json"),
        (b"[]", "bad_field"),
        (b"5", "bad_field"),
        (b"{}", "bad_field"),
        (b"\xff", "bad_json"),
        (b'{"stat_t": ""}', "bad_field"),
        (b'{"stat_t": 7}', "bad_field"),
        (json.dumps({"state_topic": "x" * 1001}).encode(), "bad_field"),
        (b'{"a":' * 20 + b"1" + b"}" * 20, "too_deep"),
        (b" {" + b" " * 300_000, "too_large"),
    ],
)
def test_broken_announcements_are_refused_with_a_word(payload, reason):
    """Never another error."""
    with pytest.raises(BadPayload) as refusal:
        announced("home", TOPIC, payload)
    assert refusal.value.reason == reason


def test_an_announcement_has_so_many_entities_at_most():
    """Two hundred."""
    parts = {str(n): {"p": "sensor", "stat_t": "x"} for n in range(201)}
    with pytest.raises(BadPayload, match="too_many"):
        announced("home", "homeassistant/device/x/config", json.dumps({"cmps": parts}).encode())


def test_the_published_announcements_of_wmbusmeters(shared):
    """Those of the samples: allocator units are taken, the level of reception is not."""
    rows = [json.loads(line) for line in (shared / "ingest" / "samples.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["format"] == "ha_discovery_wmbusmeters"]
    names = {"{id}": "33225544", "{name}": "attic", "{driver}": "qcaloric"}
    entities = []
    for row in rows:
        payload = row["payload"].replace("{attribute}", "current_consumption_hca" if "hca" in row["topic"] else "rssi_dbm")
        for name, value in names.items():
            payload = payload.replace(name, value)
        entities += announced("home", row["topic"].replace("{id}", "33225544"), payload.encode())
    (units, level) = judged(tuple(entities))
    assert (units.value.register, units.told.meter, level.value) == ("hca", "home:wmbusmeters_33225544", None)


SOME = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["sensor", "{{ value }}", "m³", "total", "x/~"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ids", "sn", "p", "stat_t", "volume", "id", "timestamp"]), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = ["~", "stat_t", "val_tpl", "unit_of_meas", "stat_cla", "dev_cla", "dev", "cmps", "name"]


@given(st.dictionaries(st.sampled_from(FIELDS), SOME), SOME | st.binary(max_size=30), st.sampled_from([TOPIC, "homeassistant/device/x/config"]))
def test_any_announcement_and_any_message_give_a_typed_outcome(config, state, topic):
    """Wrong shapes never raise anything but BadPayload."""
    payload = state if isinstance(state, bytes) else json.dumps(state).encode()
    for entities in (told(), ()):
        try:
            found = announced("home", topic, json.dumps(config).encode())
            described(found + entities, Payload("t", payload.strip()))
        except BadPayload:
            continue
