"""Backup, restore and doctor where registry and published rows are in PostgreSQL: its own tools copy them, and nothing is touched while it is away."""

import subprocess

import pytest
from installation import Installation
from postgres import program

from submeter import civil
from submeter.backup import restore
from submeter.commands import execute
from submeter.config import load
from submeter.doctor import examine
from submeter.errors import SubmeterError
from submeter.reading import LEVELS
from submeter.store import Message, pack
from submeter.store.inbox import REPLAY
from submeter.store.postgres import connect

HOURS = [civil.instant("2026-03-01T00:00:00Z") + hour * civil.HOUR for hour in range(36)]


@pytest.fixture
def here(tmp_path, cluster):
    """An installation on a database, with half a day of readings."""
    made = Installation(tmp_path / "here", database=cluster().database_of(tmp_path / "here" / "data"))
    with made.core() as core:
        receive(core, made, HOURS[:12])
    yield made
    cluster().drop(tmp_path)


def receive(core, here, hours):
    """Receive a telegram of the first place in each of these hours, decode and compute."""
    meter = here.building.places[0].meter
    core.inbox.append([Message("test", meter.telegram(t).hex().encode(), t, gateway="g", flags=REPLAY) for t in hours])
    core.drain_all()
    core.rollup()


def shown(core):
    """What is published, by series and level."""
    return {(one.id, level): core.published.read(one.id, level, "", "~").tobytes() for one in core.published.series() for level in range(len(LEVELS))}


def computed(core):
    """The same of the rows."""
    series = sorted(core.readings.series().values())
    return {(one, level): pack(core.readings.rollups([one], level, -(2**62), 2**62)).tobytes() for one in series for level in range(len(LEVELS))}


def told(here, **options):
    """What the doctor leaves to the operator."""
    return [finding.text for finding in examine(here.config, **options) if finding.state == "left"]


def files(here):
    """The stores of the data folder, by when they were written."""
    return {path: path.stat().st_mtime_ns for path in (here.folder / "data").iterdir() if path.name != "core.lock"}


def run(name, *words):
    """A program of PostgreSQL."""
    subprocess.run([program(name), *words], check=True, timeout=60)


def test_files_and_a_dump_become_an_installation_again(here, cluster, tmp_path):
    """A backup, then a dump of the registry: in another folder and database all is as it was, also what is published, whatever came after; an older dump is seen at the start."""
    with here.core() as core:
        said = list(execute(core, "backup", {"folder": str(tmp_path / "backup")}))
        before = computed(core)
        receive(core, here, HOURS[12:])
        token = core.registry.create_token(here.building.manager)
    assert any("pg_dump --format=custom --schema=registry" in line for line in said)
    assert not (tmp_path / "backup" / "registry.sqlite").exists()
    run("pg_dump", "--format=custom", "--schema=registry", "--schema=published", "-f", str(tmp_path / "dump"), here.config.data.database)
    there = cluster().database_of(tmp_path / "twin")
    file = here.folder / "twin.toml"
    file.write_text(here.file.read_text().replace('folder = "data"', 'folder = "twin"').replace(here.config.data.database, there))
    twin = load(file)
    with pytest.raises(SubmeterError, match=r"registry in PostgreSQL .* is empty: bring its dump back first"):
        list(restore(twin, tmp_path / "backup"))
    run("pg_restore", "-d", there, str(tmp_path / "dump"))
    list(restore(twin, tmp_path / "backup"))
    here.file = file
    with here.core() as core:
        assert shown(core) == computed(core) == before
        assert core.registry.token(token) is not None
        receive(core, here, HOURS[12:])
        assert shown(core) == computed(core) != before
    assert told(here) == []
    run("pg_restore", "--clean", "--if-exists", "-d", there, str(tmp_path / "dump"))  # now the database is older than the files
    with here.core() as core:
        assert any("what is published is older than the readings" in line for line in core.levelled)
        core.rollup()
        assert shown(core) == computed(core)


def test_the_doctor_looks_at_the_database_first(here, cluster, tmp_path):
    """One that is away, newer, empty or older is told, also by a dry run; a restore touches nothing meanwhile."""
    with here.core() as core:
        list(execute(core, "backup", {"folder": str(tmp_path / "backup")}))
    before = files(here)
    cluster().stop("fast")
    try:
        assert all("look whether the server runs" in told(here, dry_run=dry)[0] for dry in (True, False))
        with pytest.raises(SubmeterError, match="look whether the server runs"):
            list(restore(here.config, tmp_path / "backup", replace=True))
    finally:
        cluster().start()
    assert files(here) == before
    with connect(here.config.data.database) as raw:
        raw.execute("UPDATE registry.schema_version SET version = version + 1")
        assert "run the newer release or restore an older dump" in told(here)[0]
        with pytest.raises(SubmeterError, match="run the newer release"):
            list(restore(here.config, tmp_path / "backup", replace=True))
        raw.execute("UPDATE registry.schema_version SET version = version - 2")
        assert any("it is brought up when it is opened" in finding.text for finding in examine(here.config, dry_run=True))
        raw.execute("DROP SCHEMA registry CASCADE")
        assert "is another database meant" in told(here)[0]
