"""How many flows were started and finished, by manager, day (UTC) and name: where people get stuck. Part of registry.sqlite, as `registry.funnel`. Nobody is named."""

from collections.abc import Callable
from typing import Any, Literal

from submeter import civil
from submeter.store.events import File

__all__ = ["Funnel"]


class Funnel:
    """The counts of a registry."""

    def __init__(self, file: File, rows: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._file = file
        self._rows = rows

    def count(self, manager: str, name: str, what: Literal["started", "finished"], now: int) -> None:
        """Count a flow that started or finished."""
        values = (manager, civil.utc_date(now).isoformat(), name, what == "started", what == "finished")
        with self._file.writing() as db:
            db.execute(
                "INSERT INTO flow_counts VALUES (?, ?, ?, ?, ?) ON CONFLICT (manager, day, name) DO UPDATE SET "
                "started = flow_counts.started + excluded.started, finished = flow_counts.finished + excluded.finished",
                values,
            )

    def forget(self, before: int) -> int:
        """Delete the counts of days before an instant; returns how many."""
        with self._file.writing() as db:
            return db.execute("DELETE FROM flow_counts WHERE day < ?", (civil.utc_date(before).isoformat(),)).rowcount

    def counts(self, manager: str, since: int) -> list[dict[str, Any]]:
        """Return the counts of a manager's flows from a day on, in order of day and name."""
        sql = "SELECT day, name, started, finished FROM flow_counts WHERE manager = ? AND day >= ? ORDER BY day, name"
        rows = self._rows(sql, manager, civil.utc_date(since).isoformat())
        return [dict(zip(("day", "name", "started", "finished"), row, strict=True)) for row in rows]
