"""Jobs on a real core: what was missed runs once, a pause lasts, a failure is an event until the next success, a preview changes nothing."""

import threading

import pytest
from broker import wait_until
from installation import Installation

from submeter import civil, jobs
from submeter.commands import execute
from submeter.core import now
from submeter.errors import SubmeterError
from submeter.ingest.room import Writes
from submeter.reading import LEVELS
from submeter.retries import Retries
from submeter.service import CoreThread
from submeter.store import Message, StoreError, pack
from submeter.store.inbox import REPLAY

HOURS = [civil.instant("2026-03-01T00:00:00Z") + hour * civil.HOUR for hour in range(6)]


@pytest.fixture
def here(tmp_path):
    """An installation of one flat."""
    return Installation(tmp_path / "here")


def heard(place, t):
    """A hex message as a replay brings it."""
    return Message("test", place.meter.telegram(t).hex().encode(), t, gateway=place.gateways[0], flags=REPLAY)


def due(core, at):
    """Names of the jobs that a start at this instant would catch up."""
    return [one.name for one, _ in jobs.missed(core, now=at)]


def everything(core):
    """All rows as the readings' file has them, with their revisions."""
    series = sorted(core.readings.series().values())
    return {(one, level): pack(core.readings.rollups([one], level, -(2**62), 2**62)).tobytes() for one in series for level in range(len(LEVELS))}


def test_a_start_catches_up_what_was_missed_once(here):
    """After three days without a process each job that was due in them runs once, however often it was due (fault 17)."""
    with here.core() as core:
        for name in jobs.JOBS:
            list(jobs.perform(core, name, by="operator"))
        assert due(core, now()) == []
        later = now() + 3 * civil.DAY
        assert set(due(core, later)) >= {"hourly", "nightly"}
    thread = CoreThread(here.config)
    try:
        with pytest.MonkeyPatch.context() as moved:
            moved.setattr("submeter.service.now", lambda: later)
            thread.catch_up()
            thread.catch_up()
        thread.start()
        wait_until(
            lambda: thread.core.registry.runs.history("nightly")[0].outcome == "ok" and thread.core.registry.runs.last("nightly").by == "catch_up"
        )
        runs = thread.core.registry.runs.history("nightly")
        assert [run.by for run in runs] == ["catch_up", "operator"]
    finally:
        thread.stop()


def test_a_run_cut_off_by_a_kill_is_shown_and_caught_up(here):
    """A run without an end is noted as killed by the next start, and is due again."""
    with here.core() as core:
        for name in jobs.JOBS:
            list(jobs.perform(core, name, by="operator"))
        core.registry.runs.begin("nightly", by="schedule", now=now() + 2 * civil.DAY)
    with here.core() as core:
        assert core.registry.runs.last("nightly").outcome == "killed"
        assert "nightly" in due(core, now() + 2 * civil.DAY)
        assert any("killed" in line for line in execute(core, "rollup.status", {}))


def test_a_pause_survives_restarts_and_a_resume_catches_up(here):
    """A paused job is neither planned nor caught up until it is resumed; then what it missed runs at once."""
    with here.core() as core:
        list(execute(core, "job.pause", {"name": "nightly"}))
    with here.core() as core:
        assert "nightly" not in due(core, now())
        assert list(jobs.perform(core, "nightly", by="schedule")) == []
        assert core.registry.runs.last("nightly") is None
        list(execute(core, "job.resume", {"name": "nightly"}))
        assert core.registry.runs.last("nightly").by == "catch_up"
    with here.core() as core, pytest.raises(SubmeterError, match="one of hourly, nightly"):
        list(execute(core, "job.pause", {"name": "weekly"}))


def test_a_failed_job_is_an_event_until_it_succeeds(here, monkeypatch):
    """A failure raises one event however often it repeats, turns health red and counts; the next success closes it."""
    thread = CoreThread(here.config)
    thread.start()
    try:
        with monkeypatch.context() as broken:
            broken.setattr(thread.core, "rollup", failing)
            for _ in range(2):
                with pytest.raises(SubmeterError, match="the disk is full"):
                    list(thread.submit("job", {"name": "nightly"}))
        event = thread.core.registry.events.find("job_failed", "job:nightly", "open")
        assert [(one.count, one.detail) for one in event] == [(2, "the disk is full")]
        assert "nightly failed: the disk is full" in thread.health()["trouble"]
        assert thread.metrics.registry.get_sample_value("submeter_job_failures_total", {"job": "nightly"}) == 2
        list(thread.submit("job", {"name": "nightly"}))
        assert thread.core.registry.events.find("job_failed", state="open") == []
        assert thread.health()["ok"]
    finally:
        thread.stop()


def failing(*_args, **_more):
    """A disk that is full."""
    raise StoreError("the disk is full")


def test_status_is_answered_while_a_job_runs(here, monkeypatch):
    """An operator sees what runs and how far it is, although the core's thread is busy with it."""
    thread = CoreThread(here.config)
    busy, go_on = threading.Event(), threading.Event()

    def slow(**_more):
        thread.core.work.step("series computed", 1, 4)
        busy.set()
        go_on.wait(10)
        return "done"

    monkeypatch.setattr(thread.core, "rollup", slow)
    thread.start()
    try:
        thread.plan("hourly")
        thread.plan("hourly")
        assert busy.wait(10)
        assert next(iter(thread.submit("rollup.status"))) == "now: hourly: series computed 1 of 4 (25 %)"
    finally:
        go_on.set()
        thread.stop()


def test_a_preview_says_exactly_what_the_run_changes(here):
    """Nothing is written by a preview, not even a number; the run after it changes just the rows that it named."""
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS[:4]])
        core.drain_all()
        core.rollup()
        core.inbox.append([heard(place, t) for t in (HOURS[4], HOURS[1] + civil.HOUR // 2)])
        core.drain_all()
        before, counts, version = everything(core), core.readings.counts(), [one.version for one in core.published.series()]
        foretold = core.preview()
        assert (everything(core), core.readings.counts(), [one.version for one in core.published.series()]) == (before, counts, version)
        assert foretold.num_rows > 0
        report = core.rollup()
        assert report.rows == foretold.num_rows
        assert everything(core) != before
        assert core.preview().num_rows == 0
        assert list(execute(core, "rollup.preview", {}))[-1] == "0 rows would change; nothing is written"


def test_a_preview_of_new_series_leaves_no_number_behind(here):
    """Series that only a rehearsal numbered are not known afterwards; the run numbers them again."""
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        core.drain_all()
        foretold = list(execute(core, "rollup.preview", {}))
        assert any("new" in line for line in foretold)
        assert core.readings.series() == {}
        assert f"{core.rollup().rows} rows would change" in foretold[-1]


def test_a_range_is_computed_anew(here):
    """`--from` and `--to` compute the series of every register there, and change nothing that is right; half a range is refused."""
    place = here.building.places[0]
    with here.core() as core:
        core.inbox.append([heard(place, t) for t in HOURS])
        core.drain_all()
        core.rollup()
        before = everything(core)
        said = list(execute(core, "rollup", {"since": "2026-03-01", "until": "2026-03-01", "settle": False}))
        assert not said[-1].startswith("0 series")
        assert everything(core) == before
        for wrong in ({"since": "2026-03-01"}, {"since": "2026-03-02", "until": "2026-02-01"}, {"since": "March", "until": "2026-03-02"}):
            with pytest.raises(SubmeterError):
                list(execute(core, "rollup", wrong))


def test_a_job_that_a_store_refused_is_tried_again_by_itself(here, monkeypatch):
    """When there is room again nobody waits for the next hour: the job runs, and health is green."""
    monkeypatch.setattr("submeter.retries.FIRST_S", 0.1)
    thread = CoreThread(here.config)
    thread.start()
    try:
        with monkeypatch.context() as broken:
            broken.setattr(thread.core, "rollup", failing)
            with pytest.raises(SubmeterError, match="the disk is full"):
                list(thread.submit("job", {"name": "hourly"}))
            assert not thread.health()["ok"]
        wait_until(lambda: thread.health()["ok"])
        last = thread.core.registry.runs.last("hourly")
        assert (last.by, last.outcome) == ("catch_up", "ok")
    finally:
        thread.stop()


def test_tries_grow_apart_and_wait_for_a_disk_that_takes_writes(tmp_path):
    """After 10 s, then after twice as long each time up to five minutes; none while nothing can be written, none for a fault in the job."""
    clock, tried, folder = [0.0], [], tmp_path / "comes at 61"
    waiting = Retries(folder, lambda: clock[0])
    waiting.ended("hourly", StoreError("full"))
    waiting.ended("monthly", ValueError("a fault"))
    for second in range(1, 800):
        clock[0] = float(second)
        if second > 60:
            folder.mkdir(exist_ok=True)
        for name in waiting.due():
            tried.append((name, second))
            waiting.ended(name, StoreError("full"))
    assert tried == [("hourly", second) for second in (61, 81, 121, 201, 361, 661)]
    waiting.ended("hourly")
    clock[0] = 5000.0
    assert list(waiting.due()) == []


def test_a_folder_that_takes_no_write_is_seen(tmp_path):
    """Nothing is left of the look, and it is not looked at again within a second."""
    clock = [5.0]
    there, nowhere = Writes(tmp_path, lambda: clock[0]), Writes(tmp_path / "nowhere", lambda: clock[0])
    assert (there.again(), nowhere.again()) == (True, False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "nowhere").mkdir()
    for moment, looks in ((5.9, False), (6.0, True), (6.9, False), (7.0, True)):
        clock[0] = moment
        assert (there.again(), nowhere.again()) == (looks, looks)
