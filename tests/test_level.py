"""Stores of different ages in one folder: brought to one level at the start, or told where only a rebuild helps."""

import shutil

import pytest
from broker import wait_until
from house import WHO, House
from installation import Installation

from submeter import civil, service
from submeter.commands import execute
from submeter.core import Core, now
from submeter.doctor import examine
from submeter.reading import LEVELS
from submeter.service import CoreThread
from submeter.store import Message, pack
from submeter.store.inbox import REPLAY

HOURS = [civil.instant("2026-03-01T00:00:00Z") + hour * civil.HOUR for hour in range(12)]


@pytest.fixture
def here(tmp_path):
    """An installation of one flat whose last meter's key comes later."""
    return Installation(tmp_path / "here", keyless=1)


def receive(core, place, hours):
    """Receive a telegram of a place in each of these hours, decode and compute."""
    core.inbox.append([Message("test", place.meter.telegram(t).hex().encode(), t, gateway="g", flags=REPLAY) for t in hours])
    core.drain_all()
    core.rollup()


def set_aside(here, name):
    """Copy a store's file, closed, and give back how it is put in its place again."""
    file, copy = here.folder / "data" / name, here.folder / name
    shutil.copy(file, copy)
    return lambda: shutil.copy(copy, file)


def readings(core):
    """How many readings there are."""
    return core.readings.readings_of(list(core.readings.registers().values())).num_rows


def agree(core):
    """What is published equals the rows."""
    series = sorted(core.readings.series().values())
    return all(
        core.published.read(one, level, "", "~").tobytes() == pack(core.readings.rollups([one], level, -(2**62), 2**62)).tobytes()
        for one in series
        for level in range(len(LEVELS))
    )


def test_a_new_inbox_counts_on_behind_the_readings(here):
    """After inbox.sqlite was lost, what comes next is decoded: its numbers are no longer taken for stored."""
    place = here.building.places[1]
    with here.core() as core:
        receive(core, place, HOURS[:6])
        before = readings(core)
    for file in (here.folder / "data").glob("inbox.sqlite*"):
        file.unlink()
    with here.core() as core:
        assert any("inbox.sqlite is older" in line for line in core.levelled)
        receive(core, place, HOURS[6:])
        assert readings(core) == before + len(HOURS[6:])


def test_an_older_readings_file_catches_up(here):
    """A copy of readings.duckdb from before takes the messages that it lacks from the inbox, and all agrees again."""
    place = here.building.places[1]
    with here.core() as core:
        receive(core, place, HOURS[:6])
    bring_back = set_aside(here, "readings.duckdb")
    with here.core() as core:
        receive(core, place, HOURS[6:])
        expected = readings(core)
    bring_back()
    with here.core() as core:
        assert any("6 messages of the inbox are decoded again" in line for line in core.levelled)
        core.drain_all()
        core.rollup()
        assert readings(core) == expected
        assert agree(core)


def test_an_older_published_file_is_published_again(here):
    """A copy of published.sqlite from before is brought up to date by the next run, and its version does not fall."""
    place = here.building.places[1]
    with here.core() as core:
        receive(core, place, HOURS[:6])
    bring_back = set_aside(here, "published.sqlite")
    with here.core() as core:
        receive(core, place, HOURS[6:])
        version = core.published.version()
    bring_back()
    with here.core() as core:
        assert any("what is published is older" in line for line in core.levelled)
        assert core.published.version() >= version
        core.rollup()
        assert agree(core)
    with here.core() as core:
        assert core.levelled == []


def test_late_telegrams_that_were_lost_are_told_and_rebuilt(here):
    """A readings file from before a late key has lost telegrams that wait nowhere: health says so until `rebuild` brought them back."""
    keyless, place = here.building.places[:2]
    with here.core() as core:
        receive(core, keyless, HOURS[:6])
        receive(core, place, HOURS[:6])
    bring_back = set_aside(here, "readings.duckdb")
    with here.core() as core:
        list(execute(core, "import", {"path": str(here.folder / "directory.toml")}))
        expected = readings(core)
    bring_back()
    thread = CoreThread(here.config)
    thread.start()
    try:
        assert "submeter rebuild" in thread.health()["trouble"]
        list(thread.submit("rebuild"))
        assert thread.health()["ok"]
        assert readings(thread.core) == expected
    finally:
        thread.stop()
    with here.core() as core:
        assert core.lacking is None


@pytest.mark.sqlite_alone("the registry's file is taken away")
def test_an_empty_registry_beside_readings_is_told(here, monkeypatch):
    """Health is red and says why until the directory is there again; what came meanwhile waited and is decoded then."""
    monkeypatch.setattr(service, "LOOK_S", 0.0)
    place = here.building.places[1]
    with here.core() as core:
        receive(core, place, HOURS[:6])
        before = readings(core)
    (here.folder / "data" / "registry.sqlite").unlink()
    thread = CoreThread(here.config)
    thread.start()
    try:
        wait_until(lambda: "the registry is empty" in str(thread.health()["trouble"]))
        assert "the registry is older than the readings, or new" in thread.core.levelled[0]
    finally:
        thread.stop()
    assert [one for one in examine(here.config) if one.state == "left" and "the registry is empty" in one.text]
    thread = CoreThread(here.config)
    thread.start()
    try:
        thread.core.inbox.append([Message("test", place.meter.telegram(HOURS[6]).hex().encode(), HOURS[6], gateway="g", flags=REPLAY)])
        wait_until(lambda: thread.core.inbox.counts().quarantined)
        list(thread.submit("import", {"path": str(here.folder / "directory.toml")}))
        wait_until(lambda: thread.health()["ok"])
    finally:
        thread.stop()
    with here.core() as core:
        assert readings(core) == before + 1


@pytest.mark.sqlite_alone("the registry's file is put back")
def test_what_an_older_registry_changes_back_has_no_decision_of_before_as_its_cause(tmp_path):
    """Of two decisions the second is not in it: its rows change back, and the first has nothing to do with that."""
    house, registry = House(tmp_path / "h"), tmp_path / "h" / "data" / "registry.sqlite"
    house.hear(("2024-01-01T00:00:00Z", "100"), ("2024-01-20T00:00:00Z", "200"))
    house.do("reading", point="p", at="2024-01-05T00:00:00Z", value="150", pinned=True, **WHO)
    before = house.told("day")
    house.core.close()
    older = registry.read_bytes()
    with Core(house.core.config) as house.core:
        house.do("reading", point="p", at="2024-01-15T00:00:00Z", value="190", pinned=True, **WHO)
        assert {row["caused_by"] for row in house.history() if row["replaced_at"] == max(one["replaced_at"] for one in house.history())} == {
            "decision 2"
        }
    registry.write_bytes(older)
    with Core(house.core.config) as house.core:
        known = len(house.history())
        house.core.rollup()
        assert house.told("day") == before
        assert {row["caused_by"] for row in house.history()[known:]} == {None}


def test_messages_that_only_the_archive_has_are_told(tmp_path):
    """A lost readings file whose messages are in the archive alone is told, and `rebuild` brings all back."""
    here = Installation(tmp_path / "here", "[retention]\ninbox_days = 10\n")
    place, days = here.building.places[1], [now() - day * civil.DAY for day in range(30, 20, -1)]
    with here.core() as core:
        receive(core, place, days)
        list(execute(core, "job", {"name": "archive"}))
        expected = readings(core)
    for file in (here.folder / "data").glob("readings.duckdb*"):
        file.unlink()
    with here.core() as core:
        assert "in the archive alone" in core.lacking
        list(execute(core, "rebuild", {}))
        assert core.lacking is None
        assert readings(core) == expected
