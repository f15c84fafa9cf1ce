"""The Modbus collector against pymodbus's own server, on loopback and on ptys: from registers to readings and rows, and what is said when there are none."""

import json
import sys

import pytest
from broker import free_port, wait_until
from installation import Installation
from modbus_devices import Answering, Device, Pair, Serving
from pymodbus import FramerType
from threaded import kept, running
from typer.testing import CliRunner

from submeter import civil
from submeter.cli import app
from submeter.collectors import collectors
from submeter.commands import execute
from submeter.config import ConfigError, load
from submeter.core import now
from submeter.ingest import polling
from submeter.ingest.errors import PollError
from submeter.ingest.modbus.line import Line
from submeter.ingest.modbus.poller import ModbusCollector, ModbusSettings
from submeter.ingest.modbus.stations import Station
from submeter.reading import LEVELS
from submeter.store import Message

MAPS = """
[map.heat]
function = 3
[[map.heat.point]]
address = 0
type = "u32"
scale = 0.001
unit = "MWh"
register = "energy"
[[map.heat.point]]
address = 2
type = "u16"
scale = 0.1
unit = "kW"
register = "power"
[[map.heat.point]]
address = 10
type = "i16"
scale = 0.01
register = "temperature_flow"
"""
METER = "12345678"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Pauses between tries and looks are for real lines; on loopback a tenth of them does."""
    monkeypatch.setattr("submeter.ingest.modbus.line.SILENCE_S", 0.01)
    monkeypatch.setattr(polling, "TICK_S", 0.02)
    monkeypatch.setattr(polling, "BACKOFF_S", (0.1, 6.0))


def nobody(_source):
    """The voice of a collector whose events nobody hears."""
    return lambda *_: None


class Asking:
    """A collector of these stations on a thread of its own, until the block ends, and what it told."""

    def __init__(self, folder, url, *stations, **settings):
        self.folder, self.told = folder, []
        self.settings = ModbusSettings("line", url, stations, "cellar", **{"timeout_s": 1.0, "interval_s": 0.3, **settings})

    def __enter__(self):
        self.collector = ModbusCollector(self.settings, self.folder / "inbox.sqlite", lambda *event: self.told.append(event))
        self._end = running(self.collector)
        return self

    def __exit__(self, *_):
        self._end()

    def events(self, name):
        """What was told under this name."""
        return [detail for event, detail, *_ in self.told if event == name]

    @property
    def of_the_line(self):
        """What was told of the line itself: not of meters, nor that there is much to read."""
        return [event for event, *_ in self.told if event.startswith("port_")]

    @property
    def trouble(self):
        """What was told but that all is well, and that there is much to read."""
        return [event for event, *_ in self.told if not event.endswith("_connected") and event not in {"bus_full", "bus_eased"}]

    def wait_for(self, event):
        """Wait until it is told; returns the first sentence."""
        return wait_until(lambda: self.events(event))[0]

    def wait_for_messages(self, more):
        """Wait until so many more are kept."""
        before = self.collector.counters.messages
        wait_until(lambda: self.collector.counters.messages >= before + more)


def heat(unit=5, *, meter=METER, offset=0):
    """A station of the map above."""
    return Station(unit, "heat", offset, meter, 3, ((offset, 3), (10 + offset, 1)))


def blocks(message):
    """Address and registers of each block of a message."""
    return [(one["at"], one["hex"]) for one in json.loads(message.payload)["read"]]


@pytest.mark.parametrize("way", ["tcp", "rtu through tcp", "rtu", "rtu with echo"])
def test_devices_are_read_over_every_line(tmp_path, way):
    """Two units of one line: each read is one message with its registers as they came, asked for in one request for neighbours, by function 3 alone."""
    devices = [Device(5, at0=(0, 12_345, 255), at10=(0xF63C,)), Device(6, at50=(1, 2, 3), at60=(4,))]
    stations = (heat(5), heat(6, meter="87654321", offset=50))
    with Pair(echo=way.endswith("echo")) as pair:
        port = free_port()
        url = {"tcp": f"tcp://127.0.0.1:{port}", "rtu through tcp": f"socket://127.0.0.1:{port}"}.get(way, pair.ours)
        end = {"path": pair.theirs} if url == pair.ours else {"port": port, "framer": FramerType.SOCKET if way == "tcp" else FramerType.RTU}
        with Serving(*devices, **end), Asking(tmp_path, url, *stations) as asking:
            wait_until(lambda: asking.collector.counters.messages >= 6)
    found = {json.loads(message.payload)["unit"]: message for message in kept(tmp_path)}
    assert blocks(found[5]) == [(0, "0000303900ff"), (10, "f63c")]
    assert blocks(found[6]) == [(50, "000100020003"), (60, "0004")]
    assert (found[5].gateway, found[5].format, found[5].source) == ("cellar", "modbus", "line")
    assert {one for device in devices for one in device.asked} == {(3, 0, 3), (3, 10, 1), (3, 50, 3), (3, 60, 1)}
    assert (asking.trouble, asking.events("port_connected")) == ([], [url])


def test_a_server_that_dies_is_told_and_read_again_when_it_is_back(tmp_path):
    """One event, further tries after pauses, one event when it answers again; nothing is made up in between."""
    device, port = Device(5, at0=(0, 1, 2)), free_port()
    with Asking(tmp_path, f"tcp://127.0.0.1:{port}", heat(), interval_s=0.1) as asking:
        assert "refused" in asking.wait_for("port_refused")
        with Serving(device, port=port):
            asking.wait_for_messages(2)
        wait_until(lambda: len(asking.events("port_refused")) == 2)
        assert not asking.collector.counters.connected
        device.put(0, 0, 7)
        with Serving(device, port=port):
            asking.wait_for_messages(2)
    assert asking.of_the_line == ["port_refused", "port_connected", "port_refused", "port_connected"]
    assert asking.collector.counters.connections == 2
    assert [blocks(message)[0][1] for message in kept(tmp_path)][-1] == "000000070002"


def test_a_device_that_hangs_up_between_two_reads_is_no_trouble(tmp_path):
    """Many close a connection that says nothing for a while: the next read opens another, and nobody is told."""
    port = free_port()
    with Serving(Device(5, at0=(0, 1, 2)), port=port) as server, Asking(tmp_path, f"tcp://127.0.0.1:{port}", heat(), interval_s=0.1) as asking:
        for _ in range(10):
            asking.wait_for_messages(1)
            server.hang_up()
        asking.wait_for_messages(2)
    assert (asking.trouble, asking.of_the_line) == ([], ["port_connected"])


def test_devices_that_say_no_or_nothing_are_told_and_the_others_are_read(tmp_path):
    """An exception, silence: each has its reason and is told after three reads, the third unit's readings go on."""
    devices = [Device(5), Device(6), Device(7, at0=(0, 1, 2))]
    devices[0].refuses = 2
    devices[1].silent = True
    port = free_port()
    with Serving(*devices, port=port), Asking(tmp_path, f"tcp://127.0.0.1:{port}", *(heat(unit) for unit in (5, 6, 7)), timeout_s=0.3) as asking:
        wait_until(lambda: len(asking.events("meter_overdue")) == 2)
        asking.wait_for_messages(2)
        for one in devices:
            one.refuses, one.silent = None, False
        wait_until(lambda: len(asking.events("meter_connected")) == 3)
    told = sorted(asking.events("meter_overdue"))
    assert "unit 5, 12345678 failed 3 times in a row, at last exception: unit 5, 3 registers at 0: it has no such address (exception 2)" in told[0]
    assert "unit 6, 12345678 failed 3 times in a row, at last no_answer: unit 6, 3 registers at 0: asked 3 times" in told[1]
    assert asking.collector.counters.polls["exception"] >= 3
    assert asking.collector.counters.polls["no_answer"] >= 3
    assert asking.events("port_lost") == []


def test_damaged_answers_are_asked_for_again(tmp_path):
    """Every third answer of an RTU line has a wrong byte: each read is right, and no meter is told."""
    with Pair(damage=3) as pair, Serving(Device(5, at0=(1, 2, 3), at10=(4,)), path=pair.theirs):
        with Asking(tmp_path, pair.ours, heat(), interval_s=0.05, timeout_s=0.4) as asking:
            asking.wait_for_messages(6)
        assert pair.damaged >= 3
    assert {str(blocks(message)) for message in kept(tmp_path)} == {str([(0, "000100020003"), (10, "0004")])}
    assert (asking.trouble, asking.events("port_connected")) == ([], [pair.ours])


@pytest.mark.parametrize("way", [FramerType.RTU, FramerType.SOCKET])
def test_an_answer_that_comes_late_is_never_that_of_another_request(tmp_path, way):
    """Two meters of one unit, whose reads look alike: what comes after its time is asked for again, and never taken for what was asked then."""
    device, port = Device(5, at0=(1, 1, 1), at50=(2, 2, 2)), free_port()
    device.late_s = 0.25
    stations = [Station(5, "heat", 0, meter, 3, ((at, 3),)) for at, meter in ((0, "11111111"), (50, "22222222"))]
    url = f"{'socket' if way is FramerType.RTU else 'tcp'}://127.0.0.1:{port}"
    with Serving(device, port=port, framer=way), Asking(tmp_path, url, *stations, timeout_s=0.2, interval_s=0.05) as asking:
        asking.wait_for_messages(12)
    assert {(json.loads(message.payload)["meter"], blocks(message)[0]) for message in kept(tmp_path)} == {
        ("11111111", (0, "0001" * 3)),
        ("22222222", (50, "0002" * 3)),
    }


def framed(request, pdu):
    """An answer of Modbus TCP to a request, whose own frame is right."""
    return request[:4] + (len(pdu) + 1).to_bytes(2, "big") + request[6:7] + pdu


RIGHT = b"\3\6" + bytes(6)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
        lambda _: bytes(300),
        lambda _: b"\xff" * 300,
        lambda request: request,
        lambda request: framed(request, b"\4\6" + bytes(6)),
        lambda request: framed(request, b"\3\4" + bytes(4)),
        lambda request: framed(request, b"\3\x08" + bytes(8)),
        lambda request: framed(request, b"\3\6" + bytes(5)),
        lambda request: framed(request, b"\3"),
        lambda request: framed(request, b"\x63" + bytes(6)),
        lambda request: framed(request, b"\x83"),
        lambda request: framed(request, RIGHT)[:-1],
        lambda request: framed(b"\xee" + request[1:], RIGHT),
        lambda request: framed(request[:6] + b"\x09", RIGHT),
        lambda request: framed(request[:2] + b"\1\1" + request[4:], RIGHT),
    ],
)
def test_answers_that_do_not_fit_are_none(answer):
    """Another protocol, another unit, function, length or number, a cut answer: it is asked again and then given up, and nothing is read."""
    with Answering(answer) as server:
        line = Line(f"tcp://127.0.0.1:{server.port}", timeout_s=0.1)
        with pytest.raises(PollError, match=r"no_answer|exception"):
            line.read(5, 3, 0, 3)
        line.close()
    with Answering(lambda request: framed(request, RIGHT)) as server:
        line = Line(f"tcp://127.0.0.1:{server.port}", timeout_s=5)
        assert line.read(5, 3, 0, 3) == bytes(6)
        line.close()


@pytest.mark.parametrize("end", [b"", None])
def test_a_device_that_hangs_up_at_each_request_is_lost(end):
    """Three connections that end or are reset without an answer: the line is gone, not the meter."""
    with Answering(lambda _: end) as server:
        line = Line(f"tcp://127.0.0.1:{server.port}", timeout_s=5)
        with pytest.raises(OSError, match="hangs up when unit 5 is asked"):
            line.read(5, 3, 0, 3)
        line.close()


def test_an_address_that_is_none_is_told(tmp_path):
    """The sentence says what to write; no device at all is told too."""
    with Asking(tmp_path, "socket://127.0.0.1", heat()) as asking:
        assert "write tcp://host:port" in asking.wait_for("port_lost")
    with Asking(tmp_path, str(tmp_path / "ttyNONE"), heat()) as asking:
        assert "ttyNONE" in asking.wait_for("port_lost")


@pytest.fixture
def here(tmp_path):
    """An installation whose building heat meter is behind a Modbus line, by a map of the operator's own."""
    here = Installation(tmp_path / "here")
    meter = next(place.meter.device for place in here.building.places if place.meter.kind == "building_heat")
    (here.folder / "maps.toml").write_text(MAPS)
    line = f'[[modbus]]\nname = "line"\nurl = "tcp://127.0.0.1:{free_port()}"\nmaps = "maps.toml"\nmeters = [{{unit = 5, map = "heat", meter = "{meter}"}}]\n'
    here.file.write_text(here.file.read_text() + line)
    here.meter = str(meter)
    return here


def readings(core, meter):
    """The readings of a meter by register: instants and values."""
    numbers = core.readings.registers()
    found = {}
    for (device, register), number in numbers.items():
        if device == meter:
            found[register.name] = [(row["t"], row["value"]) for row in core.readings.readings_of([number]).to_pylist()]
    return found


def test_registers_become_readings_and_hours(here):
    """What the collector of the configuration keeps is read by the core: exact values with one instant; hours follow; a void register is no reading."""
    device = Device(5, at0=(0, 12_345, 0xFFFF), at10=(6_543,))
    (collector,) = collectors(here.config, nobody)
    with Serving(device, port=int(here.config.modbus[0].url.rsplit(":", 1)[1])):
        told = ModbusCollector(
            ModbusSettings("line", collector.settings.url, collector.settings.stations, "line", interval_s=0.2),
            here.folder / "data" / "inbox.sqlite",
            lambda *_: None,
        )
        end = running(told)
        try:
            wait_until(lambda: told.counters.messages)
        finally:
            end()
    with here.core() as core:
        first = core.inbox.pending(1)[0]
        start = now() // civil.HOUR * civil.HOUR - 3 * civil.HOUR
        for hour in range(3):
            payload = first.payload.replace(b"00003039", f"{12_342 + hour:08x}".encode())
            core.inbox.append([Message("line", payload, start + hour * civil.HOUR, "line", format="modbus")])
        core.drain_all()
        core.rollup()
        found = readings(core, here.meter)
        assert set(found) == {"energy", "temperature_flow"}
        assert (first.received_at, 12_345_000_000) in found["energy"]
        assert found["temperature_flow"][-1] == (first.received_at, 65_430_000)
        place = next(place for place in here.building.places if str(place.meter.device) == here.meter)
        main = next(one for one in core.published.series_of([place.id]) if one.register.name == "energy")
        hours = core.published.read(main.id, LEVELS.index("hour"), "", "~")
        used = dict(zip(hours["start"].tolist(), hours["value"].tolist(), strict=True))
        assert [used[start], used[start + civil.HOUR]] == [1_000_000] * 2


def test_a_corrected_map_reads_the_kept_registers_again(here):
    """Registers are kept as they came: after a scale was corrected, a rebuild gives the right values at the old times; a map that is gone keeps them in quarantine."""
    payload = b'{"modbus":1,"map":"heat","unit":5,"meter":"%s","read":[{"fc":3,"at":0,"hex":"00003039ffff"}]}' % here.meter.encode()
    at = now() - civil.DAY
    with here.core() as core:
        core.inbox.append([Message("line", payload, at, "line", format="modbus")])
        core.drain_all()
        assert readings(core, here.meter) == {"energy": [(at, 12_345_000_000)]}
    (here.folder / "maps.toml").write_text(MAPS.replace("0.001", "0.01"))
    with here.core() as core:
        list(execute(core, "rebuild", {}))
        assert readings(core, here.meter) == {"energy": [(at, 123_450_000_000)]}
        core.inbox.append([Message("line", payload.replace(b'"heat"', b'"heating"'), at + civil.HOUR, "line", format="modbus")])
        core.drain_all()
        assert core.inbox.counts().quarantined == {"unknown_map": 1}
        (first, _), (second, _) = core.inbox.last(2)[0]
        assert f"  energy 123450 kWh at {civil.iso(at)}, by the clock: received" in list(execute(core, "explain", {"message": first.id}))
        assert any("in quarantine, unknown_map" in line for line in execute(core, "explain", {"message": second.id}))
    (here.folder / "maps.toml").write_text(MAPS.replace("map.heat", "map.heating"))
    here.file.write_text(here.file.read_text().replace('map = "heat"', 'map = "heating"'))
    with here.core() as core:
        list(execute(core, "requeue", {"device": here.meter, "since": civil.iso(at)}))
        core.drain_all()
        assert core.inbox.counts().quarantined == {}
        assert (at + civil.HOUR, 12_345_000_000) in readings(core, here.meter)["energy"]


def test_registers_of_an_unknown_meter_wait_apart_from_what_gateways_name(here):
    """They stay in quarantine when a name that a gateway uses is linked to a device."""
    payload = b'{"modbus":1,"map":"heat","unit":5,"meter":"99999999","read":[{"fc":3,"at":0,"hex":"00003039ffff"}]}'
    with here.core() as core:
        core.inbox.append([Message("line", payload, now(), "line", format="modbus")])
        core.drain_all()
        assert "0 telegrams that waited" in list(execute(core, "meters.named", {"name": "home:cellar_7", "device": here.meter}))[1]
        assert core.inbox.counts().quarantined == {"unknown_meter": 1}


def test_check_says_what_is_asked_and_what_is_wrong(here, monkeypatch):
    """`submeter check` reads the maps; a mistake in one, an unknown one, a meter twice, and a missing pymodbus are one line each, at the start too."""

    def check():
        return CliRunner().invoke(app, ["check", "--config", str(here.file)])

    text = here.file.read_text()
    assert f"modbus    line: {here.config.modbus[0].url}, 1 meters each 15 min" in check().stdout
    for old, new, why in (
        ('map = "heat"', 'map = "danfoss-ecl"', "map 'danfoss-ecl' has no points"),
        ('map = "heat"', 'map = "ecl"', "none is shipped under this name"),
        (f', meter = "{here.meter}"', "", "write meter"),
        (f'"{here.meter}"', '"1234"', "is not a device"),
        ('"maps.toml"', '"none.toml"', "none.toml: cannot be read"),
        ("meters = [{", f'meters = [{{unit = 5, map = "heat", meter = "{here.meter}"}}, {{', "is there twice"),
    ):
        assert old in text
        here.file.write_text(text.replace(old, new))
        with pytest.raises(ConfigError, match=why):
            collectors(load(here.file), nobody)
        assert check().exit_code != 0
    here.file.write_text(text)
    monkeypatch.setitem(sys.modules, "pymodbus", None)
    with pytest.raises(ConfigError, match=r"pip install 'submeter\[modbus\]'"):
        collectors(here.config, nobody)
    assert check().exit_code != 0


def test_the_command_shows_what_a_map_makes_of_the_registers(here):
    """`submeter modbus` reads now: each point with address, registers and value; what is not read is told, and the exit status says so."""

    def shown(*words):
        return CliRunner().invoke(app, ["modbus", *words, "--config", str(here.file)])

    device = Device(5, at0=(0, 12_345, 0xFFFF), at10=(0xF63C,))
    with Serving(device, port=int(here.config.modbus[0].url.rsplit(":", 1)[1])):
        done = shown()
        assert (done.exit_code, done.stdout.splitlines()) == (
            0,
            [
                f"unit 5, {here.meter}",
                "      0  00003039  energy 12345 kWh",
                "      2  ffff      power no value",
                "     10  f63c      temperature_flow -25 °C",
            ],
        )
        device.refuses = 2
        done = shown("line")
        assert (done.exit_code, "exception 2" in done.stderr, done.stdout) == (1, True, "")
    assert "cannot be read" in shown().stderr
    assert "no [[modbus]] of the name other" in str(shown("other").exception)
    assert not (here.folder / "data" / "inbox.sqlite").exists() or kept(here.folder / "data") == []
