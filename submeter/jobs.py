"""The jobs: what runs by itself, when, and what is known of its runs.

Strategy: a table of jobs, each a generator of lines over the open core. APScheduler only puts names into the core's queue; whether a planned run was missed
is told by the history in the registry, so that a start catches up what the process slept through: once, however often it was due.
Rules: one job at a time, on the core's thread; a failed job raises the event `job_failed`, which its next success closes; a run that failed, was killed or was
never planned before counts as missed; a paused job runs only when an operator asks. Cron expressions are in UTC: no hour is doubled or skipped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from apscheduler.triggers.cron import CronTrigger

from submeter import civil, information, keep, notices, statements
from submeter import core as cores
from submeter.config import Config
from submeter.core import Core
from submeter.errors import SubmeterError
from submeter.forget import forget
from submeter.store import Run
from submeter.store.runs import By

__all__ = ["JOBS", "Job", "job", "last_due", "missed", "perform", "status"]

log = structlog.get_logger()

#: Months whose information the monthly job makes, or makes anew where late readings changed it; also what was missed while nothing ran.
MONTHS: Final = 3
ZONE: Final = ZoneInfo("UTC")
#: How far back the last planned run of a job is looked for, in steps that keep the search short.
LOOK_BACK: Final = tuple(days * civil.DAY for days in (1 / 24, 1, 8, 32, 367, 4 * 366))


@dataclass(frozen=True, slots=True)
class Job:
    """One job: its name, what it does in a sentence, when, and how; a run yields its report line by line."""

    name: str
    about: str
    cron: Callable[[Config], str]
    run: Callable[[Core], Iterator[str]]

    def trigger(self, config: Config) -> CronTrigger:
        """When it runs."""
        trigger: CronTrigger = CronTrigger.from_crontab(self.cron(config), timezone=ZONE)
        return trigger


def _hourly(core: Core) -> Iterator[str]:
    core.drain_all()
    yield str(core.rollup(settle=False))
    yield core.watch(nightly=False)


def _nightly(core: Core) -> Iterator[str]:
    core.drain_all()
    yield str(core.rollup(settle=True))
    yield forget(core.registry, cores.now(), core.config.retention.outbox_days)
    yield core.watch(nightly=True)


def _monthly(core: Core) -> Iterator[str]:
    core.drain_all()
    yield str(core.rollup(settle=True))
    month = civil.utc_date(cores.now())
    for _ in range(MONTHS):
        month = civil.month_before(month)
        yield from information.publish_all(core, month)
    yield from statements.send_all(core, civil.month_before(civil.utc_date(cores.now())))


JOBS: Final = {
    one.name: one
    for one in (
        Job(
            "hourly",
            "decodes what waits, computes what changed and publishes it, looks for what fell silent",
            lambda config: config.rollup.hourly,
            _hourly,
        ),
        Job(
            "nightly",
            "lets rows become provisional and final, looks for leaks, stuck meters and sums that do not agree, forgets people's data whose time is over",
            lambda config: config.rollup.nightly,
            _nightly,
        ),
        Job(
            "monthly",
            "closes the month before and makes the monthly information of every flat, of three months back too where it changed; sends statements to those who want them",
            lambda config: config.rollup.monthly,
            _monthly,
        ),
        Job(
            "notices",
            "puts into the outbox what people wished to be told: monthly information, leaks, silence, balance and payments, limits",
            lambda config: config.rollup.notices,
            notices.tell,
        ),
        Job(
            "archive", "moves closed messages and the readings of closed months to the archive", lambda config: config.retention.archive, keep.archive
        ),
        Job(
            "retention",
            "deletes what is older than its limit, and gives the room back",
            lambda config: config.retention.retention,
            keep.retention,
        ),
    )
}


def job(name: str) -> Job:
    """The job of this name; SubmeterError names those that there are."""
    if name not in JOBS:
        raise SubmeterError(f"there is no job {name!r}: write one of {', '.join(JOBS)}")
    return JOBS[name]


def last_due(one: Job, config: Config, now: int) -> int | None:
    """The last instant at or before `now` (µs UTC) for which a job is planned; None if there was none in four years."""
    trigger, until = one.trigger(config), _moment(now)
    for span in LOOK_BACK:
        found, fire = None, trigger.get_next_fire_time(None, _moment(now - int(span)))
        while fire is not None and fire <= until:
            found, fire = fire, trigger.get_next_fire_time(fire, fire)
        if found is not None:
            return civil.instant(found.isoformat())
    return None


def missed(core: Core, *, now: int) -> Iterator[tuple[Job, int]]:
    """The jobs whose last planned run did not succeed, with its instant; paused ones left out."""
    paused = core.registry.runs.paused()
    for one in JOBS.values():
        due, covered = last_due(one, core.config, now), core.registry.runs.covered(one.name)
        if due is not None and one.name not in paused and (covered is None or covered < due):
            yield one, due


def perform(core: Core, name: str, *, by: By, planned: int | None = None) -> Iterator[str]:
    """Run a job now, with its row in the history; what ends it is noted, raised as an event, and raised again here."""
    one = job(name)
    if by != "operator" and name in core.registry.runs.paused():
        return
    run = core.registry.runs.begin(name, by=by, planned=planned, now=cores.now())
    report: list[str] = []
    core.work.begin(name)
    try:
        for line in one.run(core):
            report.append(line)
            yield line
    except Exception as error:
        _failed(core, run, error)
        raise
    finally:
        core.work.end()
    stopped = core.stopping.is_set()
    core.registry.runs.end(run, "killed" if stopped else "ok", now=cores.now(), detail="the service stopped" if stopped else "\n".join(report))
    if not stopped:
        core.registry.events.settle("job_failed", _subject(name), (), now=cores.now())


def status(core: Core, *, now: int) -> Iterator[str]:
    """What runs, what is planned, and how the last runs ended."""
    yield f"now: {core.work}" if core.work.name else "now: nothing runs"
    paused = core.registry.runs.paused()
    for one in JOBS.values():
        fire = one.trigger(core.config).get_next_fire_time(None, _moment(now))
        due = f"paused since {civil.iso(paused[one.name])}" if one.name in paused else f"next {fire:%Y-%m-%d %H:%M}" if fire else "never"
        last = core.registry.runs.last(one.name)
        yield f"{one.name:10} {one.cron(core.config)!r} UTC, {due}; last: {_told(last) if last else 'none yet'}"
    yield from (f"  {run.job:10} {_told(run)}" for run in core.registry.runs.history(limit=10))


def _failed(core: Core, run: Run, error: Exception) -> None:
    """Note the failure; where the registry itself is in trouble, the log has to do."""
    words = str(error) if isinstance(error, SubmeterError) else f"{type(error).__name__}: {error}"
    log.error("job failed", job=run.job, error=words)
    try:
        core.registry.runs.end(run, "failed", now=cores.now(), detail=words)
        before = core.registry.events.find("job_failed", _subject(run.job), "open")
        at = before[0].at if before else run.started
        core.registry.events.raise_("job_failed", _subject(run.job), at, now=cores.now(), detail=words)
    except SubmeterError as trouble:
        log.error("the failure of a job could not be noted", job=run.job, error=str(trouble))


def _subject(name: str) -> str:
    return f"job:{name}"


def _told(run: Run) -> str:
    lasted = f" after {(run.ended - run.started) / 1e6:.1f} s" if run.ended is not None else ""
    report = f": {run.detail.splitlines()[0]}" if run.detail else ""
    return f"{civil.iso(run.started)} by {run.by.replace('_', ' ')}, {run.outcome or 'under way'}{lasted}{report}"


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1e6, UTC)
