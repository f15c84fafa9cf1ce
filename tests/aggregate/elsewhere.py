"""Helpers: buckets computed in this process, as Spark computes them in others, and all that a run of the rollups leaves behind."""

import sqlite3

from submeter.aggregate import Engine, EngineError
from submeter.aggregate.buckets import compute

#: Tables of readings.duckdb that a run writes.
TABLES = ("rollups", "history", "days", "computed", "corrections", "bills", "unpublished")


class Here:
    """An engine that computes each bucket here, one after the other; `computed` has the outputs' names.

    It stops after `failing` buckets, computes each `twice`, and does something `before` and `after` each: as a test asks for.
    """

    def __init__(self, stores, folder):
        self.computed, self.folder = [], folder
        self.failing, self.twice = None, False
        self.before, self.after = lambda one: one, lambda one: None
        self.engine = Engine(stores.readings, folder, self._run, lambda *_: None)

    def _run(self, buckets, told):
        done = []
        for one in buckets:
            if len(done) == self.failing:
                raise EngineError("stopped")
            done.append(compute(self.before(one)))
            if self.twice:
                compute(one)
            self.after(one)
            self.computed.append(one.output.name)
            told(len(done))
        return done


def left_behind(stores, folder):
    """Everything that runs wrote: rows, history, days, corrections, blocks, parts, heads and events, but the numbers of versions and events."""
    found = {name: stores.readings._duck.read(f"SELECT * FROM {name} ORDER BY ALL").to_pylist() for name in TABLES}
    with sqlite3.connect(folder / "published.sqlite") as db:
        for table, columns in (
            ("blocks", "series, level, block, data"),
            ("revisions", "series, level, block, data"),
            ("corrections", "*"),
            ("parts", "*"),
            ("series", "id, point, name, kind, zone, last_t, last_value, last_heard"),
        ):
            found[f"published {table}"] = sorted(db.execute(f"SELECT {columns} FROM {table}").fetchall())
    events = [(one.kind, one.subject, one.at, one.gone, one.detail, one.amount, one.count) for one in stores.registry.events.find()]
    return found | {"events": sorted(events, key=repr)}
