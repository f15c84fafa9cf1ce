"""Key files through the command line's commands: what waited for a key is decoded at its original time."""

import pytest
from installation import Installation
from typer.testing import CliRunner

from submeter import civil
from submeter.cli import app
from submeter.commands import execute
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.store import Message
from submeter.store.errors import KeyFileError

KEY = bytes.fromhex("ab47d2690f3ec51882745bd90c16fea3")
STRANGER = DeviceId("STM", "85000001", 0x01, 0x07)
AT = civil.instant("2026-03-01T00:00:00Z")


@pytest.fixture
def here(tmp_path):
    """An installation of one flat, and a key file for a meter that nobody has entered yet."""
    (tmp_path / "keys.csv").write_text(f"Number;Key\n85000001;{KEY.hex()}\n")
    return Installation(tmp_path / "here")


def heard(core):
    """One telegram of the stranger."""
    raw = encode.radio(STRANGER, encode.mode5(encode.bcd(b"\x13", 4711, 8), encode.Header(access=1), KEY, STRANGER))
    core.inbox.append([Message("test", raw.hex().encode(), AT, gateway="gw")])
    core.drain_all()


def test_a_key_file_adopts_a_meter_that_was_heard(here, tmp_path):
    """The number of the file finds the meter among those heard, and its telegram becomes a reading of its own time."""
    with here.core() as core:
        left_out = list(execute(core, "import.keys", {"path": str(tmp_path / "keys.csv")}))
        assert any("was not heard yet" in line for line in left_out)
        heard(core)
        assert [row.reason for row in core.inbox.quarantined()] == ["unknown_meter"]
        lines = list(execute(core, "import.keys", {"path": str(tmp_path / "keys.csv")}))
        assert lines[0] == "1 keys in keys.csv: meters from column 'Number', keys from column 'Key'"
        assert f"key of {STRANGER} added" in lines
        assert core.inbox.quarantined() == []
        numbers = {device: number for (device, _), number in core.readings.registers().items()}
        assert [(row["t"], row["value"]) for row in core.readings.readings_of([numbers[str(STRANGER)]]).to_pylist()] == [(AT, 4_711_000)]
        with pytest.raises(KeyFileError, match="no column 'x'"):
            list(execute(core, "import.keys", {"path": str(tmp_path / "keys.csv"), "key_column": "x"}))


def test_the_command_line_takes_key_files(here, tmp_path, monkeypatch):
    """`submeter import` knows a key file from a directory, and asks for the password of a zip unless the environment has it."""
    run = CliRunner()
    config = ["--config", str(here.file)]
    assert "keys from column 'Key'" in run.invoke(app, ["import", str(tmp_path / "keys.csv"), *config], catch_exceptions=False).output
    (tmp_path / "order.kem").write_bytes(b"PK nothing")
    asked = run.invoke(app, ["import", str(tmp_path / "order.kem"), *config], input="secret\n")
    assert "Password of the key file" in asked.output
    assert isinstance(asked.exception, KeyFileError)
    monkeypatch.setenv("SUBMETER_KEY_FILE_PASSWORD", "secret")
    assert "Password" not in run.invoke(app, ["import", str(tmp_path / "order.kem"), *config]).output
