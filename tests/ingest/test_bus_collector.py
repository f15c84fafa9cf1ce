"""The bus collector and the dongles on real ptys: reads reach the inbox whole, failures have a reason, a line that comes back is read again."""

import json
import os
import socket

import pytest
from broker import free_port, wait_until
from threaded import kept, running
from typer.testing import CliRunner

from submeter.cli import app
from submeter.ingest.bus.master import Timing
from submeter.ingest.bus.poller import BusCollector, BusSettings
from submeter.ingest.envelopes import split
from submeter.ingest.schedule import Meter
from submeter.ingest.serial import SerialCollector, SerialSettings
from submeter.reading import DeviceId
from submeter.simulate import Bus, Faults, PtyLine, TcpLine, encode, slaves

FAST = Timing(38400, latency_s=0.0)
#: What is told of how busy a bus is, which depends on this machine.
LOAD = {"bus_full", "bus_eased"}


def meters(*addresses):
    """Meters of the speed and the interval of their bus."""
    return tuple(map(Meter, addresses))


def test_meters_are_read_in_turn_and_a_line_that_was_unplugged_again(tmp_path):
    """Two-page reads of three meters each second, damaged answers among them; a silent meter is told; after unplugging and plugging in reads go on."""
    on = Bus(slaves(4, 3, pages=2), 3, Faults(corrupt=0.1))
    on.slaves[3].silent = True
    told = []
    settings = BusSettings("bus", str(tmp_path / "ttyBUS"), meters(1, 2, 3, 4), "cellar", FAST, interval_s=0.5)
    with PtyLine(on, tmp_path / "ttyBUS") as line:
        collector = BusCollector(settings, tmp_path / "inbox.sqlite", lambda *event: told.append(event))
        end = running(collector)
        try:
            wait_until(lambda: any(event == "meter_overdue" for event, *_ in told))
            line.unplug()
            wait_until(lambda: any(event == "port_lost" for event, *_ in told))
            before = collector.counters.messages
            line.plug_in()
            wait_until(lambda: collector.counters.messages > before + 3)
        finally:
            end()
    messages = kept(tmp_path)
    assert {message.gateway for message in messages} == {"cellar"}
    assert all(len(split(None, message.payload, message.format).telegrams) == 2 for message in messages)
    addresses = {bytes.fromhex(one["hex"])[5] for message in messages for one in json.loads(message.payload)["t"]}
    assert addresses == {1, 2, 3}
    assert collector.counters.polls["timeout"] >= 3
    assert "4 failed 3 times in a row" in next(detail for event, detail, *_ in told if event == "meter_overdue")


def test_a_bus_without_answers_is_one_event(tmp_path):
    """Nobody answers a whole round: one sentence, not one for each meter."""
    on = Bus(slaves(3, 1), 1)
    for one in on.slaves:
        one.silent = True
    told = []
    with PtyLine(on, tmp_path / "ttyBUS"):
        collector = BusCollector(
            BusSettings("bus", str(tmp_path / "ttyBUS"), meters(1, 2, 3), "bus", FAST, interval_s=0.3),
            tmp_path / "inbox.sqlite",
            lambda *event: told.append(event),
        )
        end = running(collector)
        try:
            wait_until(lambda: collector.counters.polls.total() >= 12)
        finally:
            end()
    assert [event for event, *_ in told] == ["port_connected", "bus_silent"]


def collecting(folder, url, *which, **settings):
    """A collector of these meters at 38400 baud, and what it tells."""
    told = []
    bus = BusSettings("bus", url, which, "bus", FAST, **settings)
    return BusCollector(bus, folder / "inbox.sqlite", lambda *event: told.append(event)), told


def read_ids(folder):
    """Which meters were read."""
    return [split(None, message.payload, message.format).telegrams[0].raw[7:11][::-1].hex() for message in kept(folder)]


def test_meters_of_several_baud_rates_are_read_on_one_line(tmp_path):
    """Each meter hears its own rate only; all are read, one rate after the other."""
    on = Bus(slaves(4, 3, bauds=[38400, 9600, 4800]), 3)
    which = [Meter(one.primary, None if one.baud == 38400 else one.baud) for one in on.slaves]
    with PtyLine(on, tmp_path / "ttyBUS") as line:
        collector, told = collecting(tmp_path, line.url, *which, interval_s=0.8)
        end = running(collector)
        try:
            wait_until(lambda: {one.device.id for one in on.slaves} <= set(read_ids(tmp_path)))
        finally:
            end()
    assert "meter_overdue" not in {event for event, *_ in told}


def test_what_an_operator_asks_for_comes_first(tmp_path):
    """A read that is asked for is done before those that wait, whether the schedule knows the meter or not; a failure is an answer too."""
    on = Bus(slaves(20, 3), 3)
    with PtyLine(on, tmp_path / "ttyBUS") as line:
        collector, _ = collecting(tmp_path, line.url, *meters(*range(1, 20)), interval_s=0.01)
        asked, absent = collector.ask(20), collector.ask(99)
        end = running(collector)
        try:
            wait_until(lambda: asked.done.is_set() and absent.done.is_set() and collector.counters.messages > 3)
        finally:
            end()
    assert read_ids(tmp_path)[0] == on.slaves[19].device.id
    assert (len(split(None, asked.message.payload, asked.message.format).telegrams), asked.error) == (1, None)
    assert (absent.message, absent.error.reason) == (None, "timeout")


def test_a_gateway_that_says_nothing_is_connected_anew(tmp_path, monkeypatch):
    """Three reads without a byte through TCP end the connection; the next one is read. Only who never answers is told."""
    monkeypatch.setattr("submeter.ingest.polling.BACKOFF_S", (0.02, 0.1))
    on = Bus(slaves(1, 3), 3)
    on.slaves[0].silent = True
    with TcpLine(on) as line:
        collector, told = collecting(tmp_path, line.url, *meters(1), interval_s=0.05)
        end = running(collector)
        try:
            wait_until(lambda: collector.counters.connections >= 3)
            assert collector.counters.polls.total() >= 6
            on.slaves[0].silent = False
            wait_until(lambda: collector.counters.messages)
        finally:
            end()
    assert [event for event, *_ in told if event not in LOAD] == ["port_connected", "meter_overdue", "bus_connected", "meter_connected"]


def test_a_gateway_that_takes_no_connection_is_told_as_such(tmp_path):
    """A refused connection is a reason of its own: somebody else may have the gateway's only one."""
    collector, told = collecting(tmp_path, f"socket://127.0.0.1:{free_port()}", *meters(1))
    end = running(collector)
    try:
        wait_until(lambda: told)
    finally:
        end()
    assert told[0][0] == "port_refused"
    assert "one client only" in told[0][1]


def test_a_bus_that_is_too_full_is_told(tmp_path):
    """Where reading takes most of the time, that is one event."""
    on = Bus(slaves(3, 3), 3)
    for one in on.slaves:
        one.delay_s = 0.02
    with PtyLine(on, tmp_path / "ttyBUS") as line:
        collector, told = collecting(tmp_path, line.url, *meters(1, 2, 3), interval_s=0.06)
        end = running(collector)
        try:
            wait_until(lambda: collector.counters.messages > 20)
        finally:
            end()
    assert [event for event, *_ in told].count("bus_full") == 1


@pytest.mark.parametrize("kind", ["amber", "im871a", "iu891a", "cul"])
def test_a_dongle_is_listened_to(tmp_path, shared, kind):
    """What the shared captures of dongles hold reaches the inbox as a telegram with its level."""
    rows = map(json.loads, (shared / "ingest/samples.jsonl").read_text().splitlines())
    sample = next(row for row in rows if (row.get("expect") or {}).get("framer") == kind)
    master, slave = os.openpty()
    collector = SerialCollector(SerialSettings("dongle", os.ttyname(slave), 9600, kind=kind), tmp_path / "inbox.sqlite", lambda *_: None)
    end = running(collector)
    try:
        wait_until(lambda: collector.counters.connected)
        payload = bytes.fromhex(sample["payload"]) if sample["encoding"] == "hex" else sample["payload"].encode()
        os.write(master, payload)
        wait_until(lambda: collector.counters.messages)
    finally:
        end()
        os.close(master)
        os.close(slave)
    (message,) = kept(tmp_path)
    (heard,) = split(None, message.payload, message.format).telegrams
    assert (heard.rssi_dbm, heard.link, heard.form) == (sample["expect"]["rssi_dbm"], "wmbus", "nocrc")


def test_a_program_and_a_port_that_is_sent_to(tmp_path):
    """A child's lines are messages, and it is started again when it ends; lines to a UDP port arrive too."""
    frame = encode.radio(DeviceId("STM", "82000001", 3, 7), encode.plain(encode.bcd(b"\x13", 1, 8), encode.Header(1, 0))).hex()
    told = []
    collector = SerialCollector(SerialSettings("child", "", command=f"echo {frame}"), tmp_path / "inbox.sqlite", lambda *event: told.append(event))
    end = running(collector)
    try:
        wait_until(lambda: collector.counters.messages >= 2)
    finally:
        end()
    assert [message.payload.decode() for message in kept(tmp_path)][:2] == [frame, frame]
    assert any("echo ended with status 0" in detail for _, detail in told)


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_lines_that_are_sent_to_a_port(tmp_path, scheme):
    """Gateways send lines to us: each is a message; the last one of a connection may lack its end."""
    port, kind = free_port(), {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}[scheme]
    collector = SerialCollector(SerialSettings("sent", f"{scheme}://127.0.0.1:{port}"), tmp_path / "inbox.sqlite", lambda *_: None)
    end = running(collector)
    try:
        wait_until(lambda: collector.counters.connected)
        with socket.socket(socket.AF_INET, kind) as sender:
            sender.connect(("127.0.0.1", port))
            sender.sendall(b"one\ntwo")
        wait_until(lambda: collector.counters.messages == 2)
    finally:
        end()
    assert [message.payload for message in kept(tmp_path)] == [b"one", b"two"]


def test_the_bus_at_the_command_line(tmp_path):
    """`submeter scan` writes addresses that `poll` and [[bus]] take; a wrong one says what to write."""
    on = Bus(slaves(3, 5), 5)
    with PtyLine(on, tmp_path / "ttyBUS") as line:
        run = CliRunner()
        found = run.invoke(app, ["scan", line.url, "--baud", "38400", "--latency", "0"], catch_exceptions=False)
        addresses = found.stdout.splitlines()
        assert (found.exit_code, len(addresses)) == (0, 3)
        read = run.invoke(app, ["poll", line.url, addresses[0], "--baud", "38400", "--latency", "0"], catch_exceptions=False)
        assert (read.exit_code, "energy" in read.stdout or "volume" in read.stdout) == (0, True)
        assert run.invoke(app, ["poll", line.url, "251", "--baud", "38400"]).exit_code != 0
        assert run.invoke(app, ["poll", line.url, "99", "--baud", "38400", "--latency", "0"]).exit_code == 1
