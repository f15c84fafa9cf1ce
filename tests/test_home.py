"""Home Assistant is shown chosen meters: over a real broker, as it changes, after troubles, and as our own collector reads it."""

import json
import shutil
import threading
from copy import copy
from dataclasses import replace

import pytest
from at_home import Here, Watcher
from broker import wait_until
from receivers import hanging
from threaded import kept, running
from typer.testing import CliRunner

from submeter import civil
from submeter.cli import app
from submeter.collectors import mqtt_settings
from submeter.config import ConfigError, parse
from submeter.core import now
from submeter.home import verify
from submeter.ingest.mqtt import MqttCollector
from submeter.post.shown import _key, _word, shown
from submeter.reading import Register, from_micro
from submeter.service import serve

ROOT = "homeassistant/device/submeter-home/house-1-flat-01-"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("submeter.home.LOOK_S", 0.05)
    monkeypatch.setattr("submeter.post.home_assistant.PAUSES_S", (0.2, 0.2))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An installation with a day of readings."""
    made = Here(tmp_path_factory.mktemp("home") / "here", 1)
    made.day()
    return made


@pytest.fixture
def here(built, tmp_path, broker):
    """A copy of it that shows at the broker."""
    made = copy(built)
    made.folder, made.counted = tmp_path / "here", []
    shutil.copytree(built.folder, made.folder)
    made.file = made.folder / "pipeline.toml"
    made.file.write_text(built.file.read_text().replace("[home_assistant]\nport = 1\n", f"[home_assistant]\nport = {broker.port}\n"))
    return made


@pytest.fixture
def watcher(broker):
    """Somebody who reads all at the broker."""
    made = Watcher(broker.port)
    yield made
    made.close()


def test_named_meters_are_shown_with_their_last_readings_and_nobody_else(here, watcher):
    """A device for each point of the named flat, a sensor for each register with class, unit and the published value; no name of a holder and no key."""
    home = here.home()
    wanted = here.wanted()
    wait_until(lambda: watcher.there == wanted)
    home.stop()
    kitchen, hall, bedroom = (json.loads(watcher.there[f"{ROOT}{name}/config"]) for name in ("kitchen", "hall", "bedroom"))
    water = kitchen["components"]["volume"]
    assert (water["device_class"], water["unit_of_measurement"], water["state_class"]) == ("water", "m³", "total_increasing")
    heat = {key: (one.get("device_class"), one.get("unit_of_measurement"), one.get("state_class")) for key, one in hall["components"].items()}
    assert heat == {
        "energy": ("energy", "kWh", "total_increasing"),
        "volume": ("volume", "m³", "total_increasing"),
        "power": ("power", "kW", "measurement"),
        "flow": ("volume_flow_rate", "m³/h", "measurement"),
        "temperature_flow": ("temperature", "°C", "measurement"),
        "temperature_return": ("temperature", "°C", "measurement"),
        "last_reading": ("timestamp", None, None),
    }
    assert bedroom["components"]["hca"]["unit_of_measurement"] == "hca"
    assert kitchen["device"]["name"] == "Flat 1 kitchen"
    assert kitchen["availability_topic"] == "submeter/home/status"
    value = json.loads(watcher.there[water["state_topic"]])
    with here.core() as core:
        (series,) = core.published.series_of(["house-1-flat-01-kitchen"])
        holders = [one.name for unit in core.registry.units() for one in core.registry.occupancies_of(unit.id)]
    assert value == {
        "id": kitchen["device"]["serial_number"],
        "timestamp": civil.iso(series.last_t),
        "volume": float(from_micro(series.last_value)),
    }
    said = " ".join([*watcher.there, *(payload.decode() for payload in watcher.there.values())])
    assert "flat-02" not in said
    assert not [name for name in holders if name in said]
    assert not [place for place in here.building.places if place.meter.key and place.meter.key.hex() in said.lower()]
    wait_until(lambda: watcher.status == [b"online", b"offline"])


def test_our_own_collector_reads_what_is_shown(here, broker, tmp_path):
    """The same values at the same instants, of the same meters, in another installation that hears the announcements."""
    topics = '["homeassistant/device/+/+/config", "submeter/home/+/+"]'
    other = Here(
        tmp_path / "other",
        1,
        f'[[mqtt]]\nname = "home"\nport = {broker.port}\ntopics = {topics}\n[[gateway]]\nname = "home"\nstore_and_forward = true\n',
    )
    (settings,) = (mqtt_settings(one) for one in other.config.mqtt)
    collector = MqttCollector(settings, other.folder / "data" / "inbox.sqlite", lambda *_: None)
    end = running(collector)
    try:
        wait_until(lambda: collector.counters.connected)
        home = here.home()
        wanted = here.wanted()
        wait_until(lambda: len(kept(other.folder / "data")) >= len(wanted))
        home.stop()
    finally:
        end()
    with other.core() as core:
        core.drain_all()
        numbers = {number: key for key, number in core.readings.registers().items()}
        read = {
            (numbers[row["register"]][0].split("-")[1], numbers[row["register"]][1].name, row["value"], row["t"])
            for row in core.readings.readings_of(list(numbers)).to_pylist()
        }
    told = {
        (value["id"], name, round(number * 1e6), civil.instant(value["timestamp"]))
        for topic, value in ((topic, json.loads(payload)) for topic, payload in wanted.items() if not topic.endswith("/config"))
        for name, number in value.items()
        if name not in {"id", "timestamp"}
    }
    assert read == told
    assert {name for _, name, _, _ in read} == {"volume", "energy", "power", "flow", "temperature_flow", "temperature_return", "hca"}


def test_what_changes_follows_and_what_is_gone_is_taken_back(here, watcher):
    """A later reading changes its value only; a point whose meter was taken away, and what an earlier configuration showed, disappear."""
    stale = f"{ROOT}gone/config", "submeter/home/house-1-flat-01-gone/volume"
    home = here.home()
    wait_until(lambda: watcher.there == here.wanted())
    home.stop()
    before, taken = dict(watcher.there), here.count("taken")
    assert taken == len(before)
    with here.core() as core, core.registry.writing() as db:
        db.execute("UPDATE assignments SET until = ? WHERE point = 'house-1-flat-01-hall'", (now(),))
    here.day(1)
    for topic in stale:
        watcher._client.publish(topic, b"{}", retain=True)
    wait_until(lambda: set(stale) <= set(watcher.there))
    home = here.home()
    wait_until(lambda: watcher.there == here.wanted())
    home.stop()
    assert not [topic for topic in watcher.there if "hall" in topic]
    changed = {topic for topic, payload in watcher.there.items() if before[topic] != payload}
    assert changed
    assert not [topic for topic in changed if topic.endswith("/config")]
    assert here.count("failed") == 0


def test_a_broker_that_was_away_and_forgot_has_everything_again(here, broker):
    """Without a broker nothing waits and nothing is counted; when it comes, and when it has come again, all stands there."""
    broker.kill()
    home = here.home()
    assert not home.connected
    wanted = here.wanted()
    for times in (1, 2):
        broker.start()
        watcher = Watcher(broker.port)
        wait_until(lambda there=watcher.there: there == wanted, 30)
        wait_until(lambda times=times: here.count("taken") == times * len(wanted))
        watcher.close()
        broker.kill()
        wait_until(lambda: not home.connected)
    assert here.count("failed") == 0
    home.stop()


def test_a_broker_that_never_answers_keeps_nobody_waiting(here):
    """Start and stop return although the broker takes the connection and says nothing."""
    with hanging() as port:
        here.file.write_text(here.file.read_text().replace("[home_assistant]\nport = ", f"[home_assistant]\nport = {port}\n#"))
        home = here.home()
        assert not home.connected
        home.stop()
    assert here.counted == []


def test_a_running_submeter_shows_and_counts(here, watcher):
    """`submeter run` brings it to the broker, and its metrics tell so."""
    wanted, stop, up = here.wanted(), threading.Event(), threading.Event()
    thread = threading.Thread(target=serve, args=[here.config], kwargs={"part": "all", "stop": stop, "started": lambda _core: up.set()})
    thread.start()
    try:
        assert up.wait(60)
        wait_until(lambda: watcher.there == wanted)
        wait_until(lambda: f'submeter_home_assistant_messages_total{{result="taken"}} {len(wanted)}.0' in here.told())
        assert "submeter_home_assistant_connected 1.0" in here.told()
    finally:
        stop.set()
        thread.join()
    wait_until(lambda: watcher.status[-1] == b"offline")


def test_a_collector_that_would_read_it_is_refused(tmp_path):
    """A subscription of the same broker that covers our values is a mistake of the configuration; another broker, or a narrower topic, is none."""
    for broker, fine in (
        ('topics = ["#"]', False),
        ('host = "localhost"\ntopics = ["submeter/+/+/+"]', False),
        ('host = "other"\ntopics = ["#"]', True),
        ("", True),
    ):
        config = parse(f'[[mqtt]]\n{broker}\n[home_assistant]\npoints = ["*"]\n', tmp_path / "pipeline.toml")
        if fine:
            verify(config)
        else:
            with pytest.raises(ConfigError, match="narrow its topics"):
                verify(config)


def test_check_says_what_is_shown(tmp_path):
    """One line with the broker and the patterns; none where nothing is shown."""
    file = tmp_path / "pipeline.toml"
    file.write_text('[home_assistant]\nusername = "ha"\nunits = ["a", "b*"]\n')
    assert "home      mqtt://ha@127.0.0.1:1883 as submeter-home: units a, b*\n" in CliRunner().invoke(app, ["check", "-c", str(file)]).output
    file.write_text("")
    assert "home " not in CliRunner().invoke(app, ["check", "-c", str(file)]).output


def test_more_points_than_are_shown_are_counted(here, monkeypatch):
    """What is over the bound is left out, and said."""
    monkeypatch.setattr("submeter.post.shown.MOST", 2)
    with here.core() as core:
        what = shown(core.registry, core.published, here.config.home_assistant, now=now())
    points = sum(place.flat == "house-1-flat-01" for place in here.building.places)
    assert (what.points, what.left_out) == (2, points - 2)
    assert sum(topic.endswith("/config") for topic in what.messages) == 2


def test_ids_and_registers_are_one_level_of_a_topic():
    """Wildcards, slashes, dots and letters of other scripts are written by their numbers; tariffs and channels are words."""
    assert _word("a/b+#.č-1_Z") == "a_2f_b_2b__23__2e__10d_-1_Z"
    assert [_key(Register("energy", "kWh", 2, 1, 3)), _key(Register("hca", "hca"))] == ["energy_t2_s1_3", "hca"]


def test_a_new_meter_is_shown_from_its_own_first_reading(here):
    """Between an exchange and the new meter's first reading nothing is shown of the point: the last value is the old meter's."""
    point = "house-1-flat-01-kitchen"
    with here.core() as core:
        (old,) = core.registry.assignments_of(point)
        moment = now()
        exchanged = replace(old, until=moment), replace(old, device="SIM-11111111-01-07", since=moment)
        with core.registry.writing() as db:
            db.execute("INSERT INTO devices (id, whole) VALUES ('SIM-11111111-01-07', 1)")
        core.registry.replace_assignments(point, exchanged)
        what = shown(core.registry, core.published, here.config.home_assistant, now=moment)
    assert not [topic for topic in what.messages if point in topic]
    assert what.messages


def test_a_broker_that_refuses_is_told_once(here, broker, capsys):
    """A wrong user: nothing is published, the log says so once, and stopping does not wait for anything."""
    broker.stop()
    broker.configure(broker.configuration.replace("allow_anonymous true", "allow_anonymous false"))
    broker.start()
    home = here.home()
    wait_until(lambda: home._said)
    assert "refuses" in home._said
    assert not home.connected
    home.stop()
    assert capsys.readouterr().out.count("home assistant is not told") == 1
    assert here.counted == []


def test_a_file_of_certificates_that_is_not_there_is_named(here):
    """TLS without its file is a mistake of the configuration, told at once."""
    here.file.write_text(here.file.read_text().replace("[home_assistant]\n", '[home_assistant]\ntls = true\nca_file = "none.crt"\n'))
    with pytest.raises(ConfigError, match=r"\[home_assistant\]: ca_file .*none\.crt cannot be used"):
        here.home()
