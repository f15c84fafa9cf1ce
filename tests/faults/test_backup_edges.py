"""Backups and restores at their edges: disks that are full or another one, folders that are none, and inboxes that do not belong to the backup."""

import json
import shutil
from pathlib import Path

import pytest
from disks import filled, small
from installation import Installation

from submeter import civil
from submeter.backup import MANIFEST, restore
from submeter.commands import execute
from submeter.config import load
from submeter.core import now
from submeter.errors import SubmeterError
from submeter.store import Message, StoreError
from submeter.store.inbox import REPLAY

START = civil.instant("2026-03-01T00:00:00Z")


@pytest.fixture
def here(tmp_path):
    """An installation of one flat whose first meter was heard four times."""
    made = Installation(tmp_path / "here")
    with made.core() as core:
        heard(made, core, range(4))
    return made


def heard(here, core, hours, start=START):
    """The first meter is heard in these hours."""
    place = here.building.places[0]
    times = [start + hour * civil.HOUR for hour in hours]
    core.inbox.append([Message("test", place.meter.telegram(t).hex().encode(), t, gateway="g", flags=REPLAY) for t in times])
    core.drain_all()
    core.rollup()


def backed_up(core, folder):
    """What a backup into this folder says."""
    return list(execute(core, "backup", {"folder": str(folder)}))


def counted(here):
    """How many readings there are."""
    with here.core() as core:
        return core.readings.counts()["readings"]


def test_a_file_is_no_folder(here, tmp_path):
    """A name that is taken by a file is refused, and the file is as it was."""
    (tmp_path / "note").write_text("mine")
    with here.core() as core, pytest.raises(SubmeterError, match="note is no folder: choose another name"):
        backed_up(core, tmp_path / "note")
    assert (tmp_path / "note").read_text() == "mine"


def test_a_backup_that_does_not_fit_leaves_nothing(here, tmp_path):
    """A disk that is too small: said with the folder, nothing is left on it, and the service goes on."""
    with small(tmp_path / "disk", 1) as disk, here.core() as core:
        with pytest.raises(StoreError, match=r"copy/readings.duckdb cannot be written: No space left on device; free disk space first"):
            backed_up(core, disk / "copy")
        assert not (disk / "copy").exists()
        heard(here, core, range(4, 6))
    assert counted(here) > 0


def test_archives_on_another_disk(here, tmp_path):
    """Where files of the archive cannot be linked they are copied; the backup restores to the same readings."""
    with here.core() as core:
        heard(here, core, range(3), start=now() - 200 * civil.DAY)
        list(execute(core, "job", {"name": "archive"}))
        archived = [file.relative_to(core.folder) for file in core.archive.files()]
        expected = core.readings.counts()["readings"]
    assert archived
    with small(tmp_path / "disk", 40) as disk:
        with here.core() as core:
            backed_up(core, disk / "copy")
        assert {(disk / "copy" / file).stat().st_nlink for file in archived} == {1}
        list(restore(here.config, disk / "copy", replace=True))
    assert counted(here) == expected
    with here.core() as core:
        assert [file.relative_to(core.folder) for file in core.archive.files()] == archived


def test_a_restore_that_does_not_fit_says_what_to_do(here, tmp_path):
    """A disk that gets full while files are put back: what to do stands in the sentence, and with room the same command does it."""
    with here.core() as core:
        backed_up(core, tmp_path / "copy")
    expected = counted(here)
    with small(tmp_path / "disk", 30) as disk:
        twin = disk / "twin.toml"
        twin.write_text(here.file.read_text().replace('folder = "data"', f'folder = "{disk / "data"}"'))
        shutil.copy(here.folder / "master.key", disk / "master.key")
        with filled(disk), pytest.raises(StoreError, match="free disk space, then restore again with --replace"):
            list(restore(load(twin), tmp_path / "copy"))
        list(restore(load(twin), tmp_path / "copy", replace=True))
        here.file = twin
        assert counted(here) == expected


@pytest.mark.parametrize("name", ["published.sqlite", "registry.sqlite", "inbox.sqlite"])
def test_a_schema_that_is_not_the_manifests(here, tmp_path, name):
    """A file of another schema than the manifest tells is named: the backup is not of one piece."""
    with here.core() as core:
        backed_up(core, tmp_path / "copy")
    manifest = json.loads((tmp_path / "copy" / MANIFEST).read_text())
    if name not in manifest["files"]:
        pytest.skip("is in the database")
    manifest["schemas"][name] -= 1
    (tmp_path / "copy" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(SubmeterError, match=f"{name} is not of the schema that the manifest tells"):
        list(restore(here.config, tmp_path / "copy", replace=True))
    assert counted(here) > 0


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "Expecting value"), ("[]", "list"), ('{"files": {}}', "schemas"), ('{"schemas": {}}', "files"), ('{"schemas": 1, "files": {}}', "int")],
)
def test_a_manifest_that_is_none(here, tmp_path, text, told):
    """Empty, of another shape, without its parts: the backup is not whole, with what is wrong."""
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / MANIFEST).write_text(text)
    with pytest.raises(SubmeterError, match=rf"is no whole backup: {MANIFEST} cannot be read .*{told}.*take another one"):
        list(restore(here.config, tmp_path / "copy", replace=True))


def test_an_inbox_that_cannot_be_read_is_kept_aside(here, tmp_path):
    """What came after the backup is in an inbox that is rubbish: the backup is restored, it is said, and the file is kept."""
    with here.core() as core:
        backed_up(core, tmp_path / "copy")
        expected = core.readings.counts()["readings"]
        heard(here, core, range(4, 6))
    inbox = here.folder / "data" / "inbox.sqlite"
    inbox.write_bytes(b"rubbish" * 1000)
    said = list(restore(here.config, tmp_path / "copy", replace=True))
    assert "the inbox that was there cannot be read: what came after the backup is not in it" in said
    kept = Path(next(line for line in said if line.startswith("what was there is kept in ")).removeprefix("what was there is kept in "))
    assert (kept / "inbox.sqlite").read_bytes() == b"rubbish" * 1000
    assert counted(here) == expected


def test_an_inbox_of_another_installation_is_not_taken_over(here, tmp_path):
    """A backup over a data folder of somebody else: theirs is kept aside, and none of their messages becomes ours."""
    with here.core() as core:
        backed_up(core, tmp_path / "copy")
        expected = core.readings.counts()["readings"]
    shutil.rmtree(here.folder / "data")
    other = Installation(tmp_path / "other")
    with other.core() as core:
        heard(other, core, range(9))
    shutil.copytree(other.folder / "data", here.folder / "data")
    said = list(restore(here.config, tmp_path / "copy", replace=True))
    assert "the inbox that was there is of another installation: nothing of it is taken over" in said
    assert counted(here) == expected
