"""How many flows were started and finished, by manager, day (UTC) and name: where people get stuck. Part of registry.sqlite, as `registry.funnel`. Nobody is named."""

from typing import Any, Literal

from submeter import civil
from submeter.store.part import Part

__all__ = ["Funnel"]


class Funnel(Part):
    """The counts of a registry."""

    def count(self, manager: str, name: str, what: Literal["started", "finished"], now: int) -> None:
        """Count a flow that started or finished."""
        sql = (
            "INSERT INTO flow_counts VALUES (?, ?, ?, ?, ?) ON CONFLICT (manager, day, name) DO UPDATE SET "
            "started = flow_counts.started + excluded.started, finished = flow_counts.finished + excluded.finished"
        )
        self._run(sql, manager, civil.utc_date(now).isoformat(), name, what == "started", what == "finished")

    def forget(self, before: int) -> int:
        """Delete the counts of days before an instant; returns how many."""
        return self._run("DELETE FROM flow_counts WHERE day < ?", civil.utc_date(before).isoformat())

    def counts(self, manager: str, since: int) -> list[dict[str, Any]]:
        """Return the counts of a manager's flows from a day on, in order of day and name."""
        sql = "SELECT day, name, started, finished FROM flow_counts WHERE manager = ? AND day >= ? ORDER BY day, name"
        rows = self._rows(sql, manager, civil.utc_date(since).isoformat())
        return [dict(zip(("day", "name", "started", "finished"), row, strict=True)) for row in rows]
