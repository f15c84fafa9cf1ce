"""What is heard on the air, of a manager's meters and of strangers, as the core told it last. Part of registry.sqlite, as `registry.commissioning`.

Strategy: receptions are in the readings' file, which the core alone opens; with each look for silence it keeps one text a manager here, so that the API can answer
it. Rules: a manager's text says nothing of another's meters; it need not outlast a power cut, the next look makes it again.
"""

import json
from collections.abc import Mapping
from typing import Any

from submeter.store.part import Part

__all__ = ["Commissioning"]


class Commissioning(Part):
    """The texts of a registry."""

    def keep(self, told: Mapping[str, Mapping[str, Any]], now: int) -> None:
        """Keep what is told to each manager (id), µs UTC, in place of all that was told before."""
        with self._file.writing(synced=False) as db:
            db.execute("DELETE FROM commissioning")
            db.executemany("INSERT INTO commissioning VALUES (?, ?, ?)", [(manager, now, json.dumps(dict(body))) for manager, body in told.items()])

    def of(self, manager: str) -> tuple[int, dict[str, Any]] | None:
        """Return when the core looked last, and what it found for a manager; None before the first look."""
        return next(((at, json.loads(body)) for at, body in self._rows("SELECT at, body FROM commissioning WHERE manager = ?", manager)), None)
