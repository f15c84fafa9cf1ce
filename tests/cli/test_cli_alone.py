"""Commands that need no core: what `sniff` says of a file, what `decode` shows; and what each says instead."""

import json
import re

import pytest
from typer.testing import CliRunner

from submeter.cli import app
from submeter.reading import DeviceId
from submeter.simulate import encode

METER = DeviceId("STM", "82000001", 3, 7)
FRAME = encode.radio(METER, encode.plain(encode.bcd(b"\x13", 4711, 8), encode.Header(access=1, status=4)))
HEX = FRAME.hex()


def sniffed(folder, content, *words):
    """What `sniff` says of a file, line by line."""
    file = folder / "sent"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "pipeline.toml").write_text("")
    answer = CliRunner().invoke(app, ["sniff", str(file), *words, "-c", str(folder / "pipeline.toml")])
    assert answer.exit_code == 0, answer.output
    return answer.stdout.splitlines()


#: The content of a file → lines of what it is.
SNIFFED = [
    (HEX, ["  hex, 1 telegrams", "     0  STM-82000001-03-07"]),
    (FRAME, ["  binary, 1 telegrams", "     0  STM-82000001-03-07"]),
    ("hello", ["  cannot be read, unknown_format: no known format; it begins with b'hello'"]),
    ("", ["  cannot be read, empty: no bytes; it begins with b''"]),
    (f"{HEX}\n\nhello\n", ["  hex, 1 telegrams", "     0  STM-82000001-03-07", "  cannot be read, unknown_format: no known format; it begins with b'hello'"]),
    (json.dumps({"v": 1, "gw": "g", "boot": "b", "seq": 7, "t": [{"hex": HEX, "rssi": -70, "ts": "2026-03-01T00:00:00Z"}, {"hex": "zz"}]}),
     ["  native, gateway g, number 7 of boot b, 2 telegrams", "     0  STM-82000001-03-07  -70 dBm  2026-03-01T00:00:00Z", "     1  bad_hex: Non-hexadecimal digit found"]),
    (json.dumps({"frame": HEX[:-8] + "00000000"}), ["  esphome_json, 1 telegrams", "     0  STM-82000001-03-07"]),
    (json.dumps({"media": "water", "meter": "x", "id": "82000001", "total_m3": 1}), ["  wmbusmeters, 1 telegrams", "     0  parsed, 44 bytes"]),
]  # fmt: skip


@pytest.mark.parametrize(("content", "lines"), SNIFFED)
def test_what_sniff_says_of_a_file(tmp_path, content, lines):
    """Format, gateway and numbers; of each telegram its device, level and time, or why it is none; a file of lines is its lines."""
    assert sniffed(tmp_path, content) == lines


def test_sniff_reads_by_the_topic_that_is_told(tmp_path):
    """A batch of another gateway than its topic names is refused; an announcement is told as one."""
    batch = json.dumps({"v": 1, "gw": "g", "t": [{"hex": HEX}]})
    (line,) = sniffed(tmp_path, batch, "--topic", "submeter/v1/other/up")
    assert "gateway_mismatch: the topic says 'other', the message 'g'" in line
    (line,) = sniffed(tmp_path, "{}", "--topic", "homeassistant/sensor/x/config")
    assert "an announcement that cannot be read, bad_field: state_topic is missing" in line
    assert sniffed(tmp_path, "", "--topic", "homeassistant/sensor/x/config") == ["  no sensor is announced: what was, is taken back"]


def test_sniff_without_a_file_wants_an_inbox(tmp_path):
    """A file that is not there, an installation that never ran: one sentence each."""
    (tmp_path / "pipeline.toml").write_text("")
    for words, why in ((["nothing.txt"], "nothing.txt cannot be read: No such file"), ([], "has no inbox yet: start `submeter run`")):
        answer = CliRunner().invoke(app, ["sniff", *words, "-c", str(tmp_path / "pipeline.toml")])
        assert why in str(answer.exception)


def decoded(*words):
    """What `decode` says."""
    return CliRunner().invoke(app, ["decode", *words])


@pytest.mark.parametrize("text", [HEX, HEX.upper(), f"0x{HEX}", f"{HEX[:20]}_{HEX[20:]}", f"|{HEX}|", f"{HEX[:8]} {HEX[8:]}"])
def test_decode_reads_hex_in_every_dress(text):
    """Blanks, _ and | of logs, a 0x: device, word of its status, reading and record are shown."""
    answer = decoded(text)
    assert answer.exit_code == 0
    said = re.sub(r"\s+", " ", answer.stdout)
    assert said.startswith("STM-82000001-03-07 mode 0 access 1 power_low")
    for part in ("volume", "4.711", "m3", "reception"):
        assert part in said


#: What cannot be decoded → a word of what is said; exit status 1.
UNDECODED = [
    (("zz",), "no telegram: non-hexadecimal"),
    ((HEX[:-2],), "bad_frame"),
    ((HEX, "--link", "mbus"), "bad_frame"),
    ((HEX, "--form", "a"), "bad_frame"),
    ((HEX, "--key", "xyz"), "no telegram"),
    ((HEX[:-2], "--explain"), "refused"),
]


@pytest.mark.parametrize(("words", "said"), UNDECODED)
def test_decode_says_what_is_wrong(words, said):
    """The reason by which it would be kept, and what was expected; nothing else is shown."""
    answer = decoded(*words)
    assert answer.exit_code == 1
    assert said in answer.stdout
    assert "Readings" not in answer.stdout


def test_decode_explains_every_byte():
    """The bytes of all rows are the telegram, in order."""
    answer = decoded(HEX, "--explain")
    assert answer.exit_code == 0
    assert "manufacturer" in answer.stdout.lower()


#: Options of `broker-config` → what is in it, and what is not.
BROKER = [
    (
        (),
        ["per_listener_settings false", "listener 8883", "listener 8884", "acl_file /etc/mosquitto/submeter.acl", "user submeter-ingest"],
        ["global_plugin"],
    ),
    (("--part", "conf"), ["listener 8883"], ["user submeter-ingest"]),
    (("--part", "acl"), ["user submeter-ingest", "pattern write submeter/v1/%u/#"], ["listener"]),
    (("--for", "2.1", "--plugins", "/p"), ["global_plugin /p/mosquitto_persist_sqlite.so", "plugin_opt_flush_period 0"], ["per_listener_settings"]),
    (("--etc", "/e", "--data", "/d"), ["password_file /e/submeter.passwd", "cafile /e/certs/ca.crt", "persistence_location /d/"], ["/etc/mosquitto"]),
    (
        ("--certs", "/c", "--port", "1", "--password-port", "2", "--address", "10.0.0.1"),
        ["cafile /c/ca.crt", "listener 1 10.0.0.1", "listener 2 10.0.0.1"],
        ["8883"],
    ),
    (("--sender", "esp=wmbus/#", "--sender", "sdr=rtl/+"), ["user esp\ntopic write wmbus/#", "user sdr\ntopic write rtl/+"], []),
]


@pytest.mark.parametrize(("words", "there", "absent"), BROKER)
def test_the_brokers_files(tmp_path, words, there, absent):
    """Each option stands where the broker looks for it."""
    (tmp_path / "pipeline.toml").write_text("")
    answer = CliRunner().invoke(app, ["broker-config", *words, "-c", str(tmp_path / "pipeline.toml")])
    assert answer.exit_code == 0
    assert [part for part in there if part not in answer.stdout] == [part for part in absent if part in answer.stdout] == []


@pytest.mark.parametrize("sender", ["esp", "esp=", "=wmbus/#", ""])
def test_a_sender_needs_a_user_and_a_topic(tmp_path, sender):
    """Refused with an example."""
    (tmp_path / "pipeline.toml").write_text("")
    answer = CliRunner().invoke(app, ["broker-config", "--sender", sender, "-c", str(tmp_path / "pipeline.toml")])
    assert answer.exit_code == 2
    assert "write USER=TOPIC" in answer.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "pipeline.toml has no [[mqtt]]: write --broker NAME"),
        ('[[mqtt]]\nname = "a"\n[[mqtt]]\nname = "b"', "pipeline.toml has a, b: write --broker NAME"),
    ],
)
def test_which_broker_is_checked_must_be_clear(tmp_path, text, why):
    """None, or several without a name."""
    (tmp_path / "pipeline.toml").write_text(text)
    answer = CliRunner().invoke(app, ["broker-check", "-c", str(tmp_path / "pipeline.toml")])
    assert why in str(answer.exception)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("scan", "/dev/ttyNONE"), "/dev/ttyNONE cannot be opened"),
        (("scan", "socket://nowhere"), "socket://nowhere cannot be opened: write socket://host:port"),
        (("scan", "/dev/ttyNONE", "--echo", "maybe"), "--echo maybe: write auto, yes or no"),
        (("poll", "/dev/ttyNONE", "5"), "/dev/ttyNONE cannot be opened"),
        (("poll", "/dev/ttyNONE", "300"), "'300' is no address"),
        (("bus", "set-baud", "/dev/ttyNONE", "5", "9600"), "/dev/ttyNONE cannot be opened"),
        (("modbus",), "there is no [[modbus]] in the configuration"),
        (("modbus", "line"), "there is no [[modbus]] of the name line"),
    ],
)  # fmt: skip
def test_lines_that_cannot_be_opened(tmp_path, monkeypatch, words, why):
    """What is not there, or cannot be meant, is one sentence."""
    monkeypatch.chdir(tmp_path)
    assert why in str(CliRunner().invoke(app, words).exception)
