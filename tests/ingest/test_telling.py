"""What collectors tell becomes events that begin once and end: with a real registry, a real mosquitto, ptys of dongles and buses."""

import os
import re
import tty
from pathlib import Path

import pytest
from broker import wait_until
from threaded import running

from submeter import civil
from submeter.config import Data
from submeter.ingest import serial as serial_module
from submeter.ingest.bus.master import Timing
from submeter.ingest.bus.poller import BusCollector, BusSettings
from submeter.ingest.common import now_us
from submeter.ingest.mqtt import MqttCollector
from submeter.ingest.schedule import Meter
from submeter.ingest.serial import SerialCollector, SerialSettings
from submeter.ingest.session import MqttSettings
from submeter.ingest.telling import ENDS, TROUBLE, Teller
from submeter.simulate import Bus, PtyLine, slaves
from submeter.store import KINDS, Registry

INGEST = Path(__file__).resolve().parent.parent.parent / "ingest"


class Told:
    """A teller with the events that it has written."""

    def __init__(self, folder, steady_s=0.05):
        self.folder = folder
        self.teller = Teller(Data.model_validate({"folder": folder}, context={"base": folder}), steady_s, retry_s=0.05)

    def __enter__(self):
        self.teller.start()
        return self

    def __exit__(self, *_):
        self.teller.stop()

    def events(self, kind=None, state=None):
        """The events there are."""
        with Registry(self.folder / "registry.sqlite") as registry:
            return registry.events.find(kind, state=state)

    def open(self):
        """Kinds and subjects of those that are open."""
        return [(event.kind, event.subject) for event in self.events(state="open")]

    def run(self, collector, settings):
        """Start a collector that tells to it; returns what stops it."""
        self.collector = collector(settings, self.folder / "inbox.sqlite", self.teller.voice(settings.name))
        return running(self.collector)


@pytest.fixture
def told(tmp_path):
    """One that waits a moment only before a recovery counts."""
    with Told(tmp_path) as teller:
        yield teller


def test_all_that_is_told_is_an_event_or_ends_one():
    """No collector tells what nobody would see; every kind is one that is known."""
    said = {name for file in INGEST.rglob("*.py") for name in re.findall(r'(?:\.tell|_on_event|DongleError)\(\s*"(\w+)"', file.read_text())}
    assert len(said) > 15
    assert said - {"meter_connected"} == (TROUBLE.keys() | ENDS.keys()) - {"meter_connected"}
    assert set(TROUBLE.values()) <= set(KINDS)
    assert {kind for kinds in ENDS.values() for kind in kinds} == set(TROUBLE.values()) - {
        "mqtt_session_lost",
        "drop_refused",
        "dongle_refused",
    }


def test_an_event_begins_once_and_ends_with_its_recovery(told):
    """Told again it is counted; it ends at the instant of the recovery; back within a day it is the same event, later another one."""
    voice = told.teller.voice("dongle")
    voice("port_lost", "/dev/x: gone")
    wait_until(lambda: told.open() == [("source_lost", "source:dongle")])
    (begun,) = told.events()
    voice("port_lost", "/dev/x: still gone")
    wait_until(lambda: told.events()[0].count == 2)
    before = now_us()
    voice("port_connected", "/dev/x")
    after = now_us()
    wait_until(lambda: told.open() == [])
    (ended,) = told.events()
    assert (ended.at, ended.decision, ended.detail) == (begun.at, "gone", "dongle: /dev/x: still gone")
    assert before <= ended.until <= after
    voice("port_lost", "/dev/x: gone")
    wait_until(lambda: told.open() == [("source_lost", "source:dongle")])
    assert [(event.at, event.count, event.until) for event in told.events()] == [(begun.at, 3, None)]
    with Registry(told.folder / "registry.sqlite") as registry:
        registry.events.settle("source_lost", "source:dongle", (), now=2, ended=begun.at - civil.DAY)
    voice("port_lost", "/dev/x: gone")
    wait_until(lambda: len(told.events()) == 2)


def test_what_comes_and_goes_is_one_event(tmp_path):
    """A recovery that does not last ends nothing."""
    with Told(tmp_path, steady_s=3600) as told:
        voice = told.teller.voice("mqtt")
        for _ in range(3):
            voice("mqtt_session_taken_over", "two of one id")
            voice("mqtt_connected", "here again")
        wait_until(lambda: told.events() and told.events()[0].count == 3)
        assert told.open() == [("mqtt_session_taken_over", "source:mqtt")]


def test_what_the_registry_refuses_is_written_later(tmp_path):
    """Events wait while there is no registry to write to."""
    (tmp_path / "registry.sqlite").mkdir()
    with Told(tmp_path) as told:
        told.teller.voice("mqtt")("inbox_write_failed", "the disk is full")
        wait_until(lambda: told.teller._refused_until)
        (tmp_path / "registry.sqlite").rmdir()
        wait_until(lambda: told.open() == [("inbox_write_failed", "source:mqtt")])


def test_a_broker_that_goes_and_one_that_forgot_us(told, broker):
    """Away it is lost, back it is not; that it had forgotten us stays until somebody closes it."""
    end = told.run(MqttCollector, MqttSettings(port=broker.port))
    try:
        wait_until(lambda: told.collector.counters.connected)
        broker.stop()
        wait_until(lambda: ("source_lost", "source:mqtt") in told.open())
        broker.forget_sessions()
        broker.start()
        wait_until(lambda: told.open() == [("mqtt_session_lost", "source:mqtt")])
    finally:
        end()


def test_a_port_that_is_open_and_says_nothing(told, monkeypatch):
    """It stalls once, whatever it is opened again; its first byte ends that."""
    monkeypatch.setattr(serial_module, "BACKOFF_S", (0.05, 0.05))
    master, slave = os.openpty()
    tty.setraw(slave)
    end = told.run(SerialCollector, SerialSettings("dongle", os.ttyname(slave), stall_s=0.2))
    try:
        wait_until(lambda: told.open() == [("port_stalled", "source:dongle")])
        wait_until(lambda: told.collector.counters.connections >= 4)
        assert [(event.state, event.count) for event in told.events()] == [("open", 1)]
        wait_until(lambda: os.write(master, b"00\n") and told.open() == [])
        wait_until(lambda: told.open() == [("port_stalled", "source:dongle")])
        assert [(event.kind, event.count) for event in told.events()] == [("port_stalled", 2)]
    finally:
        end()
        os.close(master)
        os.close(slave)


def test_a_meter_of_a_bus_and_then_all_of_them(told):
    """One that does not answer is one event of its own; all are the bus's; each ends with an answer."""
    on = Bus(slaves(3, 1), 1)
    on.slaves[2].silent = True
    with PtyLine(on, told.folder / "ttyBUS"):
        settings = BusSettings(
            "cellar", str(told.folder / "ttyBUS"), tuple(map(Meter, (1, 2, 3))), "cellar", Timing(38400, latency_s=0.0), interval_s=0.5
        )
        end = told.run(BusCollector, settings)
        try:
            wait_until(lambda: told.open() == [("meter_overdue", "source:cellar/3")], 60)
            on.slaves[0].silent = on.slaves[1].silent = True
            wait_until(lambda: ("bus_silent", "source:cellar") in told.open(), 60)
            assert ("meter_overdue", "source:cellar/1") not in told.open()
            on.slaves[0].silent = False
            wait_until(lambda: ("bus_silent", "source:cellar") not in told.open(), 60)
            wait_until(lambda: ("meter_overdue", "source:cellar/2") in told.open(), 60)
            on.slaves[1].silent = on.slaves[2].silent = False
            wait_until(lambda: told.open() == [], 60)  # who was silent for long is asked less often
        finally:
            end()
