"""Meter files of wmbusmeters become keys of the meters that were heard; folder or file, lists, makers, patterns, no key."""

import pytest
from installation import Installation
from typer.testing import CliRunner

from submeter import civil
from submeter.cli import app
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.store import Message
from submeter.store.errors import KeyFileError
from submeter.store.meter_files import is_meter_files, read_meter_files

KEY = bytes.fromhex("ab47d2690f3ec51882745bd90c16fea3")
OTHER = bytes.fromhex("11111111111111111111111111111111")


@pytest.fixture
def folder(tmp_path):
    """A folder as wmbusmeters has it."""
    made = tmp_path / "wmbusmeters.d"
    made.mkdir()
    (made / "kitchen").write_text(f"# cold water\nname=Kitchen\ndriver=multical21:t1\nid=85000001\nkey={KEY.hex().upper()}\n")
    (made / "two").write_text(f"name=Two\ndriver=auto\nid=85000002.M=KAM.V=1B.T=16, 85000003\nkey = {OTHER.hex()}\n")
    (made / "plain").write_text("name=Plain\nid=85000004\nkey=NOKEY\nalarmfields=x\n")
    (made / "all").write_text(f"name=All\nid=*\nkey={OTHER.hex()}\n")
    (made / "readme").write_text("nothing\n")
    return made


def test_files_become_rows(folder):
    """Each meter with a key once; what is left out is said."""
    rows, told = read_meter_files(folder)
    assert [(row.number, row.makers, row.key) for row in rows] == [
        ("85000001", (), KEY), ("85000002", ("KAM",), OTHER), ("85000003", (), OTHER),
    ]  # fmt: skip
    assert told == "meter files of wmbusmeters, 1 without a key; patterns are no meters: all (*)"
    assert [row.number for row in read_meter_files(folder / "kitchen")[0]] == ["85000001"]
    assert is_meter_files(folder)
    assert not is_meter_files(folder / "readme")
    assert not any(KEY.hex() in repr(row).lower() for row in rows)


def test_what_is_no_text_is_passed_over(folder):
    """A file that is not text among them is none of a meter; the others are read."""
    (folder / "binary").write_bytes(b"\xff\xfe\x00key=")
    assert [row.number for row in read_meter_files(folder)[0]] == ["85000001", "85000002", "85000003"]


def test_a_key_that_is_none_is_named_by_its_file(folder):
    """The mistake names the file, never the key."""
    (folder / "two").write_text("name=Two\nid=85000002\nkey=abc123\n")
    with pytest.raises(KeyFileError, match="two: the key") as caught:
        read_meter_files(folder)
    assert "abc123" not in str(caught.value)


def test_the_command_line_takes_the_folder(folder, tmp_path):
    """`submeter import /etc/wmbusmeters.d`: a meter that was heard is decoded at its original time; the others are told."""
    here, at = Installation(tmp_path / "here"), civil.instant("2026-03-01T00:00:00Z")
    stranger = DeviceId("STM", "85000001", 0x01, 0x07)
    raw = encode.radio(stranger, encode.mode5(encode.bcd(b"\x13", 4711, 8), encode.Header(access=1), KEY, stranger))
    with here.core() as core:
        core.inbox.append([Message("test", raw.hex().encode(), at, gateway="gw")])
        core.drain_all()
    output = CliRunner().invoke(app, ["import", str(folder), "--config", str(here.file)], catch_exceptions=False).output
    assert f"key of {stranger} added" in output
    assert "85000002 is not in the directory and was not heard yet" in output
    with here.core() as core:
        assert [row["value"] for number in core.readings.registers().values() for row in core.readings.readings_of([number]).to_pylist()] == [
            4_711_000
        ]


def test_a_directory_is_none(tmp_path):
    """A directory in TOML or CSV has ids, names and keys too, and stays a directory; the command line takes it as one."""
    here = Installation(tmp_path / "here", keyless=1)
    assert not is_meter_files(here.folder / "directory.toml")
    assert not is_meter_files(here.folder)
    done = CliRunner().invoke(app, ["import", str(here.folder / "directory.toml"), "--config", str(here.file)])
    assert done.exit_code == 0, done.output
    with here.core() as core:
        assert core.registry.device(here.building.places[0].meter.device).key == here.building.places[0].meter.key
