"""Runs of the jobs: when each was planned, began and ended, how, and by whom; and which jobs are paused. Part of registry.sqlite.

Strategy: a row is written when a run begins and completed when it ends, so that a row without an end after a start is a run that was killed.
Rules: instants are µs UTC; what a job has covered is told by this table alone, never by the scheduler's memory, so that it survives any restart.
"""

from dataclasses import dataclass
from typing import Final, Literal

from submeter.store.part import Part

__all__ = ["By", "Outcome", "Run", "Runs"]

By = Literal["schedule", "operator", "catch_up"]
Outcome = Literal["ok", "failed", "killed"]
#: Runs kept of each job; older ones go when a new one begins.
KEPT: Final = 1000
#: What is kept of a report.
LONGEST_DETAIL: Final = 2000

_FORGET: Final = "DELETE FROM runs WHERE job = ?1 AND id <= (SELECT max(id) FROM runs WHERE job = ?1) - ?2 AND outcome IS NOT NULL"
_COVERED: Final = "SELECT max(max(started, coalesce(planned, started))) FROM runs WHERE job = ? AND outcome = 'ok'"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job: `planned` is None where an operator asked for it, `ended` and `outcome` while it is under way."""

    id: int
    job: str
    planned: int | None
    started: int
    ended: int | None
    outcome: str | None
    by: str
    detail: str


class Runs(Part):
    """The runs of a registry, as `registry.runs`."""

    def begin(self, job: str, *, by: By, now: int, planned: int | None = None) -> Run:
        """Note that a run begins."""
        with self._file.writing() as db:
            row = db.execute(
                "INSERT INTO runs (job, planned, started, by, detail) VALUES (?, ?, ?, ?, '') RETURNING *", (job, planned, now, by)
            ).fetchone()
            db.execute(_FORGET, (job, KEPT))
        return Run(*row)

    def end(self, run: Run, outcome: Outcome, *, now: int, detail: str = "") -> None:
        """Note how a run ended, with its report."""
        self._run("UPDATE runs SET ended = ?, outcome = ?, detail = ? WHERE id = ?", now, outcome, detail[:LONGEST_DETAIL], run.id)

    def interrupted(self, *, now: int) -> list[Run]:
        """Note every run under way as killed, as a start does: the process that ran it is gone. Returns them."""
        with self._file.writing() as db:
            sql = "UPDATE runs SET ended = ?, outcome = 'killed', detail = 'the process ended in the middle of it' WHERE outcome IS NULL RETURNING *"
            return [Run(*row) for row in db.execute(sql, (now,)).fetchall()]

    def covered(self, job: str) -> int | None:
        """Up to which instant the planned runs of a job are done; None if none ever succeeded."""
        found: int | None = self._rows(_COVERED, job)[0][0]
        return found

    def last(self, job: str) -> Run | None:
        """Return the newest run of a job."""
        return next(iter(self.history(job, 1)), None)

    def history(self, job: str | None = None, limit: int = 20) -> list[Run]:
        """Return the newest runs, of one job if asked, the newest first."""
        return self._find(Run, "runs", "job = ?1 OR ?1 IS NULL ORDER BY id DESC LIMIT ?2", job, limit)

    def pause(self, job: str, *, now: int) -> None:
        """Keep a job from running by itself until `resume`, also over restarts."""
        with self._file.writing() as db:
            db.execute("INSERT INTO paused_jobs VALUES (?, ?) ON CONFLICT DO NOTHING", (job, now))
            self._file.record("operator", "job.pause", f"job:{job}")

    def resume(self, job: str) -> None:
        """Let a job run by itself again."""
        with self._file.writing() as db:
            db.execute("DELETE FROM paused_jobs WHERE job = ?", (job,))
            self._file.record("operator", "job.resume", f"job:{job}")

    def paused(self) -> dict[str, int]:
        """Return the paused jobs with the instant since when."""
        return dict(self._rows("SELECT job, since FROM paused_jobs ORDER BY job"))
