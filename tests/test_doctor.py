"""`submeter doctor` on a real installation: each trouble is found, mended where that is sure, and named with what to do where it is not."""

import os
import subprocess
import sys

import pytest
from installation import ROOT, Installation

from submeter import civil, doctor
from submeter.core import now
from submeter.doctor import examine
from submeter.errors import SubmeterError
from submeter.store import Message, pack
from submeter.store.inbox import REPLAY

HOURS = [civil.instant("2026-03-01T00:00:00Z") + hour * civil.HOUR for hour in range(12)]


@pytest.fixture
def here(tmp_path):
    """An installation of one flat with half a day of readings, closed."""
    here = Installation(tmp_path / "here")
    with here.core() as core:
        receive(core, here.building.places[0], HOURS)
    return here


def receive(core, place, hours):
    """Receive a telegram of a place in each of these hours, decode and compute."""
    core.inbox.append([Message("test", place.meter.telegram(t).hex().encode(), t, gateway="g", flags=REPLAY) for t in hours])
    core.drain_all()
    core.rollup()


def told(here, state, **options):
    """What a doctor says of this installation in findings of one state."""
    return [finding.text for finding in examine(here.config, **options) if finding.state == state]


def run(here, *words):
    """The command line: exit status and output."""
    command = [sys.executable, "-m", "submeter", "doctor", *words, "--config", str(here.file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_healthy_installation_is_told_as_such(here):
    """Exit status 0 and no finding but good ones; the files are named."""
    status, said = run(here)
    assert status == 0, said
    assert {line.split()[0] for line in said.splitlines()} == {"ok"}
    assert all(name in said for name in ("inbox.sqlite", "readings.duckdb", "registry.sqlite", "published.sqlite", "master.key", "GiB free"))


def test_nothing_there_is_no_finding(tmp_path):
    """Before the first start there is nothing to mend."""
    (tmp_path / "pipeline.toml").write_text('[data]\nfolder = "data"\n')
    here = Installation.__new__(Installation)
    here.file = tmp_path / "pipeline.toml"
    assert told(here, "left") == []


def test_beside_a_running_core_it_stops(here):
    """It names the process that has the data folder, and looks at nothing."""
    with here.core(), pytest.raises(SubmeterError, match=rf"process {os.getpid()}"):
        next(examine(here.config))


def test_a_key_that_others_can_read_is_closed(here):
    """The master key's mode becomes 0600 and the operator is told what it means."""
    (here.folder / "master.key").chmod(0o644)
    assert any("can open all meters' keys" in line for line in told(here, "left", dry_run=True))
    assert (here.folder / "master.key").stat().st_mode & 0o777 == 0o644
    assert any("can open all meters' keys" in line for line in told(here, "mended"))
    assert (here.folder / "master.key").stat().st_mode & 0o777 == 0o600


def test_files_that_others_can_read_are_closed(here):
    """A file of the data folder that others may read is their owner's alone afterwards."""
    (here.folder / "data" / "inbox.sqlite").chmod(0o640)
    assert any("inbox.sqlite" in line for line in told(here, "mended"))
    assert (here.folder / "data" / "inbox.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_damaged_published_file_is_made_again(here):
    """What can be computed is thrown away, kept beside, and made again."""
    file = here.folder / "data" / "published.sqlite"
    raw = bytearray(file.read_bytes())
    raw[5000:9000] = bytes(4000)
    file.write_bytes(raw)
    assert any("published.sqlite" in line for line in told(here, "mended"))
    assert told(here, "left") == []
    with here.core() as core:
        main = core.published.series_of([here.building.places[0].id])[0]
        assert core.published.read(main.id, 0, "", "~").tobytes() == pack(core.readings.rollups([main.id], 0, -(2**62), 2**62)).tobytes()
        assert core.published.read(main.id, 0, "", "~").size
    assert [path.name for path in (here.folder / "data" / "damaged").glob("*/*.sqlite")] == ["published.sqlite"]


@pytest.mark.parametrize("name", ["registry.sqlite", "inbox.sqlite"])
def test_what_nothing_else_holds_is_left(here, name):
    """A damaged registry or inbox is not touched: exit status 1 and the way to the backup."""
    file = here.folder / "data" / name
    raw = bytearray(file.read_bytes())
    for at in range(4096, len(raw), 4096):
        raw[at : at + 100] = b"\xff" * 100
    file.write_bytes(raw)
    status, said = run(here)
    assert status == 1
    assert "submeter restore" in said
    assert file.read_bytes() == raw


def test_stale_blocks_are_published_again(here):
    """A block that is not what the rows say is found and replaced."""
    with here.core() as core:
        main = core.published.series_of([here.building.places[0].id])[0]
        good = core.published.read(main.id, 0, "", "~").tobytes()
        core.published._connection.execute("UPDATE blocks SET data = zeroblob(length(data)) WHERE level = 0")
    assert any("1 series had stale blocks" in line for line in told(here, "mended"))
    with here.core() as core:
        assert core.published.read(main.id, 0, "", "~").tobytes() == good


def test_a_wrong_clock_is_left(here, monkeypatch):
    """A clock before the newest message, or before this release was installed, is named with both instants."""
    with here.core() as core:
        core.inbox.append([Message("test", b"00", now() + civil.DAY)])
    assert any("the newest message came on" in line for line in told(here, "left"))
    monkeypatch.setattr(doctor, "now", lambda: civil.instant("1990-01-01T00:00:00Z"))
    assert any("1990-01-01" in line and "set the clock" in line for line in told(here, "left", dry_run=True))


def test_a_full_disk_is_left(here, monkeypatch):
    """Too little room is named before anything is written."""
    monkeypatch.setattr("submeter.ingest.room.LOW", (100, 1 << 60))
    monkeypatch.setattr("submeter.ingest.room.ENOUGH", (100, 1 << 60))
    assert any("free disk space" in line for line in told(here, "left", dry_run=True))


def test_a_damaged_archive_file_is_left(here):
    """A file of the archive that does not read is named; one that was half written is taken away."""
    folder = here.folder / "data" / "archive" / "messages"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "2025-01-01.parquet").write_bytes(b"PAR1 no")
    (folder / "2025-01-02.new").write_bytes(b"PAR1")
    assert any("2025-01-01.parquet cannot be read" in line for line in told(here, "left"))
    assert not (folder / "2025-01-02.new").exists()


def test_waiting_work_is_done(here):
    """Messages that wait and ranges that are dirty are worked off."""
    with here.core() as core:
        core.inbox.append([Message("test", here.building.places[1].meter.telegram(HOURS[0]).hex().encode(), HOURS[0], gateway="g", flags=REPLAY)])
    assert told(here, "left") == []
    with here.core() as core:
        assert core.inbox.counts().waiting == core.readings.counts()["dirty"] == 0
