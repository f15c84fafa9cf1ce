"""Backup and restore: the drill under load (fault 51, G13), what is refused, and what came after the backup."""

import json
import os
import subprocess
import sys
import threading

import pytest
from installation import ROOT, Installation

from submeter import civil
from submeter.backup import MANIFEST, restore
from submeter.commands import execute
from submeter.config import load
from submeter.core import now
from submeter.errors import SubmeterError
from submeter.reading import LEVELS, MESSAGE_BITS
from submeter.service import CoreThread
from submeter.store import Inbox, Message, Registry, pack
from submeter.store.examine import FILES
from submeter.store.inbox import REPLAY

#: Backups under load that are restored and compared; 20 before a release.
DRILLS = int(os.environ.get("SUBMETER_DRILLS", "2"))
START = civil.instant("2026-03-01T00:00:00Z")
HOURS = [START + hour * civil.HOUR for hour in range(12)]


@pytest.fixture
def here(tmp_path):
    """An installation of one flat."""
    return Installation(tmp_path / "here")


def telegrams(place, hours):
    """A message of a place in each of these hours."""
    return [Message("test", place.meter.telegram(t).hex().encode(), t, gateway="g", flags=REPLAY) for t in hours]


def receive(core, place, hours):
    """Receive, decode and compute."""
    core.inbox.append(telegrams(place, hours))
    core.drain_all()
    core.rollup()


def backed_up(here, core, name="backup"):
    """The folder of a backup made now."""
    folder = here.folder.parent / name
    list(execute(core, "backup", {"folder": str(folder)}))
    return folder


def elsewhere(here, name="twin"):
    """The configuration of another data folder of the same installation, with its master key."""
    file = here.folder / f"{name}.toml"
    file.write_text(here.file.read_text().replace('folder = "data"', f'folder = "{name}"'))
    return load(file)


def readings(core, upto=2**40):
    """All readings of the first messages, by register and time."""
    numbers = {number: f"{device} {register}" for (device, register), number in core.readings.registers().items()}
    rows = core.readings.readings_of(list(numbers)).to_pylist()
    return [(numbers[row.pop("register")], *row.values()) for row in rows if row["seq"] >> MESSAGE_BITS <= upto]


def rows(core):
    """Every row of every series, and whether it is published so."""
    series = {str(key): number for key, number in core.readings.series().items()}
    found = {
        (key, level): pack(core.readings.rollups([number], level, -(2**62), 2**62)).tobytes()
        for key, number in series.items()
        for level in range(len(LEVELS))
    }
    assert all(core.published.read(series[key], level, "", "~").tobytes() == points for (key, level), points in found.items())
    return found


class Load(threading.Thread):
    """Receives a message a transaction and writes an audited token now and then, until told to stop; knows what was acknowledged."""

    def __init__(self, here):
        super().__init__()
        self.here, self.done, self.acknowledged, self.tokens = here, threading.Event(), 0, 0

    def run(self):
        data, places, number = self.here.folder / "data", self.here.building.places[:3], 0
        with Inbox(data / "inbox.sqlite") as inbox, Registry(data / "registry.sqlite") as registry:
            while not self.done.wait(0.002):
                self.acknowledged = inbox.append(telegrams(places[number % 3], [START + number * civil.MINUTE]))[-1]
                number += 1
                if number % 10 == 0:
                    registry.create_token(self.here.building.manager)
                    self.tokens += 1


def test_fault_51_a_backup_under_load_restores_to_the_same(here, tmp_path):
    """While messages come and the API writes: each backup has all that was acknowledged before it, and restored it is what the source was at that point."""
    thread, load_of = CoreThread(here.config), Load(here)
    thread.start()
    load_of.start()
    told = []
    try:
        for drill in range(DRILLS):
            if drill % 2:
                thread.plan("hourly")
            before = load_of.acknowledged, load_of.tokens
            list(thread.submit("backup", {"folder": str(tmp_path / f"backup{drill}")}))
            told.append((*before, load_of.acknowledged, load_of.tokens))
    finally:
        load_of.done.set()
        load_of.join()
        thread.stop()
    with here.core() as source:
        source.drain_all()
        for drill, (messages, tokens, messages_after, tokens_after) in enumerate(told):
            config = elsewhere(here, f"twin{drill}")
            manifest = json.loads((tmp_path / f"backup{drill}" / MANIFEST).read_text())
            list(restore(config, tmp_path / f"backup{drill}"))
            with type(source)(config) as twin:
                received = twin.inbox.received()
                assert messages <= received <= messages_after + 1
                assert manifest["watermark"] <= manifest["received"] == received
                assert readings(twin) == readings(source, received)
                assert tokens <= len(twin.registry.tokens()) - 1 <= tokens_after + 1
                assert twin.registry.trail.verify().broken is None
                assert twin.rollup(everything=True).rows == 0
                rows(twin)


def test_a_backup_restores_bit_by_bit(here):
    """Of a core at rest readings, rows, registry and archive come back as they were."""
    with here.core() as core:
        receive(core, here.building.places[0], HOURS)
        receive(core, here.building.places[1], [now() - 200 * civil.DAY + hour * civil.HOUR for hour in range(5)])
        list(execute(core, "job", {"name": "archive"}))
        assert core.archive.files()
        folder = backed_up(here, core)
        expected = readings(core), rows(core), core.registry.version(), [file.name for file in core.archive.files()]
    config = elsewhere(here)
    list(restore(config, folder))
    with type(core)(config) as twin:
        assert (readings(twin), rows(twin), twin.registry.version(), [file.name for file in twin.archive.files()]) == expected
        assert twin.registry.devices()  # their keys open
        assert twin.lacking is None
    assert all(
        path.stat().st_mode & 0o077 == 0
        for path in [config.data.folder, *config.data.folder.rglob("*")]
        if path.is_file() or path == config.data.folder
    )


def test_no_master_key_is_in_a_backup(here):
    """Neither the master key nor the portals' key is in any file of it, and all its files are their owner's alone."""
    (here.folder / "data" / "portal.key").write_text("0123456789abcdef" * 4)
    with here.core() as core:
        folder = backed_up(here, core)
    key = (here.folder / "master.key").read_text().strip()
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        raw = file.read_bytes()
        assert key.encode() not in raw
        assert bytes.fromhex(key) not in raw
        assert b"0123456789abcdef" * 4 not in raw
        assert file.stat().st_mode & 0o077 == 0


def test_a_damaged_backup_is_refused_before_anything_is_touched(here):
    """A flipped bit, a missing file, a missing manifest: named, and the data folder is not even made."""
    with here.core() as core:
        receive(core, here.building.places[0], HOURS)
        folder = backed_up(here, core)
    config = elsewhere(here)
    for name in (*FILES, MANIFEST):
        raw = (folder / name).read_bytes()
        broken = bytearray(raw)
        broken[len(raw) // 2] ^= 1
        for text in (bytes(broken), None):
            (folder / name).unlink()
            if text is not None:
                (folder / name).write_bytes(text)
            else:
                (folder / name).mkdir()
            with pytest.raises(SubmeterError, match=name):
                list(restore(config, folder))
            assert not config.data.folder.exists()
            (folder / name).rmdir() if text is None else (folder / name).unlink()
            (folder / name).write_bytes(raw)
    list(restore(config, folder))


def test_a_backup_of_a_newer_release_is_refused(here):
    """A schema that this release does not know is named with the release that does."""
    with here.core() as core:
        folder = backed_up(here, core)
    manifest = json.loads((folder / MANIFEST).read_text())
    for name in FILES:
        newer = {**manifest, "submeter": "99.0", "schemas": {**manifest["schemas"], name: FILES[name] + 1}}
        (folder / MANIFEST).write_text(json.dumps(newer))
        with pytest.raises(
            SubmeterError, match=rf"{name} has schema {FILES[name] + 1}, this submeter knows {FILES[name]}: restore with release 99\.0"
        ):
            list(restore(elsewhere(here), folder))


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "master.key", "archive/../../evil"])
def test_a_manifest_reaches_nothing_else(here, name):
    """A name in a manifest that is no file of a backup is refused."""
    with here.core() as core:
        folder = backed_up(here, core)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = {"bytes": 1, "sha256": ""}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(SubmeterError, match="no file of a backup"):
        list(restore(elsewhere(here), folder))


def test_data_are_replaced_only_when_told_and_kept(here):
    """A data folder with data is refused; with `replace` what was there is kept, and messages that came after the backup are decoded again."""
    place = here.building.places[0]
    with here.core() as core:
        receive(core, place, HOURS[:6])
        folder = backed_up(here, core)
        receive(core, place, HOURS[6:])
        expected = readings(core), rows(core)
    (here.folder / "data" / "readings.duckdb").write_bytes(b"gone")
    with pytest.raises(SubmeterError, match="--replace"):
        list(restore(here.config, folder))
    said = "\n".join(restore(here.config, folder, replace=True))
    assert "6 messages came after the backup" in said
    with here.core() as core:
        assert readings(core) == expected[0]
        assert rows(core).keys() == expected[1].keys()
    (kept,) = (here.folder / "data" / "damaged").iterdir()
    assert (kept / "readings.duckdb").read_bytes() == b"gone"


def test_what_was_archived_after_the_backup_is_taken_over(here):
    """Messages that went to the archive after the backup are not lost by a restore over it: they are told, and a rebuild has them."""
    place, old = here.building.places[0], [now() - 200 * civil.DAY + hour * civil.HOUR for hour in range(8)]
    with here.core() as core:
        receive(core, place, old[:4])
        folder = backed_up(here, core)
        receive(core, place, old[4:])
        list(execute(core, "job", {"name": "archive"}))
        expected = {row[1:] for row in readings(core)}
    list(restore(here.config, folder, replace=True))
    with here.core() as core:
        assert "submeter rebuild" in core.lacking
        list(execute(core, "rebuild", {}))
        assert {row[1:] for row in readings(core)} == expected


@pytest.mark.parametrize("where", ["data/backup", "full"])
def test_a_backup_has_a_place_of_its_own(here, where):
    """Neither into the data folder nor over another backup; and what could not be made whole is taken away."""
    (here.folder / "full").mkdir()
    (here.folder / "full" / "x").write_text("x")
    with here.core() as core, pytest.raises(SubmeterError, match="choose"):
        list(execute(core, "backup", {"folder": str(here.folder / where)}))
    assert (here.folder / "full" / "x").exists()


def test_the_command_lines(here, tmp_path):
    """`backup` works beside a running service and alone, `restore` only when none runs, each with its exit status."""
    here.command("backup", str(tmp_path / "alone"))
    here.start()
    try:
        said = here.command("backup", str(tmp_path / "beside"))
        assert "files" in said
        command = [sys.executable, "-m", "submeter", "restore", str(tmp_path / "alone"), "--replace", "--config", str(here.file)]
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert refused.returncode == 2
        assert "in use by another submeter" in refused.stderr
    finally:
        here.stop()
    assert "restored: 4 files" in here.command("restore", str(tmp_path / "beside"), "--replace")
