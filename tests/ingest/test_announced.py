"""Entities that bridges announce to Home Assistant, from a real broker to readings: kept over restarts, removed, linked to a meter, shown to the operator."""

import json
from dataclasses import replace

import pytest
from broker import wait_until
from installation import Installation
from threaded import running
from typer.testing import CliRunner

from submeter import civil
from submeter.cli import app
from submeter.collectors import mqtt_settings
from submeter.commands import execute
from submeter.ingest.mqtt import MqttCollector
from submeter.reading import DeviceId
from submeter.simulate.fleet import Fleet
from submeter.simulate.formats import FORMATS
from submeter.store import Inbox, Message, StoreError
from submeter.store.inbox import RETAIN

START = civil.instant("2026-03-02T10:00:00Z")
STATE = "cellar/7/state"
FLEET = Fleet.make(6)
TOPICS = '[[mqtt]]\nname = "home"\nport = {}\ntopics = ["homeassistant/sensor/+/config", "homeassistant/sensor/+/+/config", "cellar/+/state"]\n'


def topic(name):
    """Where an entity is announced."""
    return f"homeassistant/sensor/{name}/config"


def config(name="volume", unit="m³", **changes):
    """An announcement of a counter of the device cellar_7."""
    told = {
        "stat_t": STATE,
        "val_tpl": f"{{{{ value_json.{name} }}}}",
        "unit_of_meas": unit,
        "stat_cla": "total_increasing",
        "dev": {"ids": ["cellar_7"]},
    }
    return json.dumps({**told, "uniq_id": name, **changes}).encode()


def state(**values):
    """A message of the device."""
    return json.dumps(values).encode()


class Here(Installation):
    """An installation whose first meter is called by its eight digits, or linked to cellar_7."""

    @property
    def meter(self):
        return self.building.places[0].meter.device

    def kept(self, core):
        """Readings of the first meter: register, value in micro units."""
        numbers = {number: key for key, number in core.readings.registers().items() if key[0] == str(self.meter)}
        rows = core.readings.readings_of(list(numbers)).to_pylist() if numbers else []
        return sorted((numbers[row["register"]][1].name, row["value"]) for row in rows)


def run(core, command, **arguments):
    """The lines of a command."""
    return list(execute(core, command, arguments))


def put(core, *messages, at=START, source="home"):
    """Messages (topic, payload, flags) as a collector keeps them, drained."""
    core.inbox.append([Message(source, payload, at + n, topic=name, flags=flags) for n, (name, payload, flags) in enumerate(messages)])
    core.drain_all()


@pytest.fixture
def here(tmp_path):
    """An installation without a broker."""
    return Here(tmp_path / "here")


def test_retained_announcements_and_live_states_become_readings(tmp_path, broker):
    """Announced before the collector connects, over its restart, with one that cannot be used and one that is removed; retained states are no readings."""
    here = Here(tmp_path / "here", TOPICS.format(broker.port))
    digits = here.meter.id
    with broker.publisher() as publish:
        publish(topic("volume"), config(), retain=True)
        publish(topic("a/energy"), config("energy", "MWh", val_tpl="{{ value_json['energy'] | float | round(3) }}"), retain=True)
        publish(topic("scaled"), config("power", "W", val_tpl="{{ value_json.power | float * 100 }}"), retain=True)
        publish(STATE, state(id=digits, volume=1), retain=True)
    settings = replace(mqtt_settings(here.config.mqtt[0]), session_expiry_s=600)

    def collect(number, *messages):
        """Collect until the inbox has had so many messages: connect, publish, stop."""
        collector = MqttCollector(settings, here.folder / "data" / "inbox.sqlite", lambda *_: None)
        stop = running(collector)
        try:
            wait_until(lambda: collector.counters.connected)
            with broker.publisher() as publish:
                for name, payload, retain in messages:
                    publish(name, payload, retain=retain)
            with Inbox(here.folder / "data" / "inbox.sqlite") as inbox:
                wait_until(lambda: inbox.received() >= number)
        finally:
            stop()

    collect(4, (STATE, state(id=digits, volume="12.5", energy=2, power=3), True))
    with here.core() as core:
        core.drain_all()
        assert here.kept(core) == [("energy", 2000_000_000), ("volume", 12_500_000)]
        said = "\n".join(run(core, "meters.announced"))
        assert "power | float * 100 }}  cannot be used: its template is none of those that are read" in said
        assert "volume in m3" in said
        assert any("announced: 1 entities cannot be used" in line for line in run(core, "status"))
        assert core.inbox.counts().refused == {}

    collect(8, (STATE, state(id=digits, volume="13.5", energy=3), False))  # the three announcements come again
    with here.core() as core:
        core.drain_all()
        assert here.kept(core)[-2:] == [("volume", 12_500_000), ("volume", 13_500_000)]
        assert len(core.registry.entities.all()) == 3

    collect(13, (topic("volume"), b"", True), (STATE, state(id=digits, volume="14.5", energy=4), False))
    with here.core() as core:
        core.drain_all()
        assert here.kept(core) == [
            ("energy", 2000_000_000), ("energy", 3000_000_000), ("energy", 4000_000_000), ("volume", 12_500_000), ("volume", 13_500_000),
        ]  # fmt: skip
        assert not any("volume in m3" in line for line in run(core, "meters.announced"))


@pytest.mark.parametrize("form", ["homeassistant", "libmbus2mqtt"])
def test_simulated_bridges_over_a_broker(tmp_path, broker, form):
    """What `submeter simulate` announces and sends is collected, and every value of every meter of its directory is a reading."""
    topics = '["homeassistant/#", "bridge/+/+/state", "libmbus2mqtt/device/+/state"]'
    here = Here(tmp_path / "here", f"[[mqtt]]\nport = {broker.port}\ntopics = {topics}\n")
    words = ["simulate", "gateway", "--format", form, "--meters", "6", "--telegrams", "12", "--broker", f"127.0.0.1:{broker.port}"]
    stop = running(collector := MqttCollector(mqtt_settings(here.config.mqtt[0]), here.folder / "data" / "inbox.sqlite", lambda *_: None))
    try:
        wait_until(lambda: collector.counters.connected)
        CliRunner().invoke(app, [*words, "--directory", str(here.folder / "fleet.toml")], catch_exceptions=False)
        announcements = sum(1 for _ in FORMATS[form].announced(FLEET.places))
        wait_until(lambda: collector.counters.messages >= announcements + 12)
    finally:
        stop()
    with here.core() as core:
        run(core, "import", path=str(here.folder / "fleet.toml"))
        found = {key for key in core.readings.registers() if key[0] in {str(place.meter.device) for place in FLEET.places}}
        assert found == {(str(place.meter.device), register) for place in FLEET.places for register in place.meter.truth(START)}
        assert core.readings.counts()["readings"] == 2 * len(found)
        assert core.inbox.counts().quarantined == {}


def test_a_retained_state_is_no_reading_and_a_retained_announcement_counts(here):
    """The flag of the broker: age unknown for a value, wanted for an announcement."""
    with here.core() as core:
        put(core, (topic("v"), config(), RETAIN), (STATE, state(id=here.meter.id, volume=1), RETAIN), (STATE, state(id=here.meter.id, volume=2), 0))
        assert here.kept(core) == [("volume", 2_000_000)]
        assert core.inbox.counts().refused == {"retained": 1}


def test_a_message_is_read_by_what_was_announced_when_it_came_after_a_rebuild_too(here):
    """A unit that changed, an entity that was removed, a message before the first announcement: a rebuild gives the same readings and more only of the last."""
    with here.core() as core:
        put(core, (STATE, state(id=here.meter.id, volume=1), 0), (topic("v"), config(), RETAIN), (STATE, state(id=here.meter.id, volume=2), 0))
        put(core, (topic("v"), config(unit="L"), 0), (STATE, state(id=here.meter.id, volume=3000), 0), at=START + civil.HOUR)
        put(core, (topic("v"), b"", 0), (STATE, state(id=here.meter.id, volume=9), 0), at=START + 2 * civil.HOUR)
        assert here.kept(core) == [("volume", 2_000_000), ("volume", 3_000_000)]
        assert core.inbox.counts().refused == {"unknown_format": 2}
        before = core.registry.entities.all()
    with here.core() as core:
        run(core, "rebuild")
        assert here.kept(core) == [("volume", 1_000_000), ("volume", 2_000_000), ("volume", 3_000_000)]
        assert core.registry.entities.all() == before


def test_the_operator_links_a_name_once(here):
    """What a bridge calls cellar_7 waits, is linked, and is decoded at its own time; from then on it counts at once."""
    with here.core() as core:
        put(core, (topic("v"), config(), RETAIN), (STATE, state(volume=5), 0))
        assert core.inbox.counts().quarantined == {"unknown_meter": 1}
        (line,) = run(core, "meters.announced")
        assert "submeter meters --named home:cellar_7 --device ID" in line
        with pytest.raises(StoreError, match="the directory has no device"):
            run(core, "meters.named", name="home:cellar_7", device=str(DeviceId("STM", "11112222", 1, 7)))
        said = run(core, "meters.named", name="home:cellar_7", device=str(here.meter))
        assert said[1].startswith("1 telegrams that waited")
        put(core, (STATE, state(volume=6), 0), at=START + civil.HOUR)
        assert here.kept(core) == [("volume", 5_000_000), ("volume", 6_000_000)]
        assert f"home:cellar_7 (): {here.meter}" in run(core, "meters.announced")[0]
        assert [(one.subject, one.detail) for one in core.registry.audit() if one.action == "meter.link"] == [(str(here.meter), "home:cellar_7")]


def test_two_brokers_do_not_mix(here):
    """The same topics and names at another broker are other entities and other meters."""
    with here.core() as core:
        put(core, (topic("v"), config(), RETAIN))
        put(core, (topic("v"), config(unit="L"), RETAIN), (STATE, state(id=here.meter.id, volume=2000), 0), source="mill")
        put(core, (STATE, state(id=here.meter.id, volume=3), 0), at=START + civil.HOUR)
        assert here.kept(core) == [("volume", 2_000_000), ("volume", 3_000_000)]
        run(core, "meters.named", name="home:cellar_7", device=str(here.meter))
        put(core, (STATE, state(volume=5000), 0), at=START + 2 * civil.HOUR, source="mill")
        assert core.inbox.counts().quarantined == {"unknown_meter": 1}
        assert "mill:cellar_7" in core.inbox.quarantined()[0].detail


@pytest.mark.parametrize("name", ["*", "????????", "[0-9]*", "8600000?", "1234567"])
def test_a_name_is_no_pattern(here, name):
    """What a message calls a meter matches no device by wildcards."""
    with here.core() as core:
        assert core.registry.numbered(name) == []
        assert core.registry.numbered(here.meter.id) == [here.meter]


def test_known_formats_come_first(here):
    """The JSON of wmbusmeters is read by its own fields also where its bridge announces entities; a field that they lack is taken from these."""
    told = {"_": "telegram", "media": "water", "meter": "x", "id": here.meter.id}
    with here.core() as core:
        put(core, (topic("v"), config("total_m3", "L"), 0), (topic("e"), config("total_energy_kwh", "kWh"), 0))
        put(core, (STATE, state(**told, total_m3=7), 0), (STATE, state(**told, total_energy_kwh=8), 0))
        assert here.kept(core) == [("energy", 8_000_000), ("volume", 7_000_000)]


def test_broken_announcements_are_counted_and_change_nothing(here):
    """What was announced before stays."""
    with here.core() as core:
        put(
            core,
            (topic("v"), config(), RETAIN),
            (topic("v"), b"{", RETAIN),
            (topic("v"), b'{"stat_t": 5}', 0),
            (STATE, state(id=here.meter.id, volume=1), 0),
        )
        assert core.inbox.counts().refused == {"bad_json": 1, "bad_field": 1}
        assert here.kept(core) == [("volume", 1_000_000)]


def test_an_announcement_keeps_a_bounded_history(here):
    """A bridge that changes its mind all the time does not fill the registry."""
    with here.core() as core:
        put(core, *((topic("v"), config(unit=unit), 0) for unit in ("L", "m³") * 20), (STATE, state(id=here.meter.id, volume=1), 0))
        assert len(core.registry.entities.all()) == 16
        assert here.kept(core) == [("volume", 1_000_000)]


def test_the_operator_sees_announcements_and_states(here):
    """`sniff` and `decode --explain` say what is announced and what a message is; `meters --announced` and `--named` are commands."""
    with here.core() as core:
        put(
            core,
            (topic("v"), config(), RETAIN),
            (topic("x"), config("x", "dBm"), RETAIN),
            (STATE, state(id=here.meter.id, volume=1), 0),
            (topic("v"), b"", 0),
        )
        assert "volume in m3" in "".join(run(core, "explain", message=1))
        assert "format homeassistant, 1 telegrams" in "".join(run(core, "explain", message=3))
        assert "taken back" in "".join(run(core, "explain", message=4))

    def command(*words):
        return CliRunner().invoke(app, [*words, "-c", str(here.file)], catch_exceptions=False).output

    said = command("sniff")
    assert "volume in m3" in said
    assert "homeassistant, 1 telegrams" in said
    assert "do not say for certain" in command("meters", "--announced")
    assert f"what gateways call cellar_7 is {here.meter}" in command("meters", "--named", "cellar_7", "--device", str(here.meter))
    assert CliRunner().invoke(app, ["meters", "--named", "x", "-c", str(here.file)]).exit_code == 2
    file = here.folder / "one"
    file.write_bytes(config())
    assert "volume in m3" in command("sniff", str(file), "--topic", topic("v"))
