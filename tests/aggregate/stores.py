"""Helpers: three points over real stores, operations on them, and what a computation from scratch makes of the same readings."""

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from submeter import civil
from submeter.aggregate import READINGS, Finality, Rollups, rollup
from submeter.aggregate.states import with_state
from submeter.reading import LEVELS, MICRO, STATES, Register, Source
from submeter.store import DAYS, READING, RECEPTION, ROLLUP, Published, Readings, Registry, pack

#: Registers and parameters of the points: a plain index, one with a rate and a modulus, an allocator with a set day, an index that may restart, a gauge.
POINTS = {
    "plain": ("volume", "m3", {}),
    "rated": ("volume", "m3", {"max_rate_per_h": "0.5", "modulus": "1000"}),
    "month": ("hca", "hca", {"set_day": "month", "confirm_window": "P2D"}),
    "reset": ("volume", "m3", {"max_rate_per_h": "5", "resettable": True, "max_gap": "PT12H"}),
    "gauge": ("power", "kW", {"max_gap": "PT12H"}),
}
EVER = 2**62
BILLED = STATES.index("billed")


class Stores:
    """The stores of a folder with one house, a point for each of POINTS, and a device at each."""

    def __init__(self, folder: Path, points=tuple(POINTS)):
        self.readings = Readings(folder / "readings.duckdb")
        self.registry = Registry(folder / "registry.sqlite")
        self.published = Published(folder / "published.sqlite")
        self.rollups = Rollups(self.readings, self.registry, self.published, Finality())
        self.names, self.seq = points, 0
        if not self.registry.points():
            self.write(
                "INSERT INTO managers VALUES ('c', 'C')",
                "INSERT INTO properties (id, manager, name, zone, year_start, finest) VALUES ('b', 'c', 'House', 'Europe/Prague', '01-01', 'hour')",
            )
            for name in points:
                register, unit, parameters = POINTS[name]
                self.write(
                    ("INSERT INTO points VALUES (?, 'b', NULL, 'heat', '', ?, ?)", (name, str(Register(register, unit)), json.dumps(parameters)))
                )
                self.assign(name, 0, 0, None)

    def close(self):
        for store in (self.readings, self.registry, self.published):
            store.close()

    def write(self, *statements):
        """Change the directory."""
        with self.registry.writing() as db:
            for statement in statements:
                db.execute(*statement) if isinstance(statement, tuple) else db.execute(statement)
            self.registry.record("test", "directory.import", "")

    def device(self, name, number):
        return f"AAA-{self.names.index(name):04d}{number:04d}-01-07"

    def assign(self, name, number, since, until, start=None, end=None):
        """Put a device at a point."""
        device = self.device(name, number)
        self.write(
            ("INSERT OR IGNORE INTO devices (id, whole) VALUES (?, 1)", (device,)),
            ("DELETE FROM assignments WHERE point = ? AND device = ?", (name, device)),
            (
                "INSERT INTO assignments (point, device, since, until, start_value, end_value) VALUES (?, ?, ?, ?, ?, ?)",
                (name, device, since, until, start, end),
            ),
        )

    def store(self, name, number, readings, *, source=Source.LIVE):
        """Keep ``(t, value, due, status)`` readings of a device."""
        register = Register(*POINTS[name][:2])
        key = (self.device(name, number), register)
        identity = self.readings.register_ids([key])[key]
        rows = []
        for t, value, due, status in readings:
            self.seq += 1
            row = {"register": identity, "t": t, "value": value, "src": source, "status": status, "due": due, "pinned": False, "seq": self.seq}
            rows.append(row | {"label": "now", "time_source": "received"})
        self.readings.store(pa.Table.from_pylist(rows, schema=READING), RECEPTION.empty_table(), self.seq)

    def run(self, now, **options):
        return self.rollups.run(now=now, **options)

    def series(self):
        """Every series with its number, as the run stitches them."""
        return dict(self.rollups._numbered())

    def scratch(self, number, series, now):
        """Rows (schema ROLLUP) and days of a series from all its readings at once, by the kernel alone."""
        rows = [row for row in self.readings.readings_of([span.register for span in series.spans]).to_pylist() if row["t"] in _spans(series, row)]
        said = {kind: [one.details for one in self.registry.decisions.in_force(kind, point=series.point.id)] for kind in ("reject", "reading")}
        for row in rows:
            row["status"] |= 2 * any(one["t"] <= row["t"] < one["until"] for one in said["reject"])
        for i, one in enumerate(said["reading"]):
            of = [span.register for span in series.spans if span.start <= one["t"] < span.end]
            rows += [
                {"register": n, "t": one["t"], "value": one["value"], "src": Source.MANUAL, "status": 0, "due": False, "pinned": False} for n in of
            ]
            rows[len(rows) - len(of) :] = [row | {"seq": 2**62 + i} for row in rows[len(rows) - len(of) :]]
        schema = pl.from_arrow(READINGS.empty_table()).schema
        readings = pl.DataFrame([row | {"series": number, "dev": row["register"]} for row in rows], schema=schema)
        found = rollup(readings.to_arrow(), {number: series.spec}, days=True)
        fresh, reach, pending = (pl.from_arrow(part) for part in (found.rows, found.reach, found.pending))
        rows = with_state(fresh, reach.join(pending, on="series", how="left"), now=now, finality=Finality())
        return rows.sort("level", "start").to_arrow().select(ROLLUP.names).cast(ROLLUP), found.days.sort_by("start")

    def stands(self, now):
        """Assert that stored rows, kept days and published blocks are those of a computation from scratch."""
        known = self.series()
        levels = [self.readings.rollups(list(known), level, -EVER, EVER) for level in range(len(LEVELS))]
        ever = pa.table({"series": pa.array(known, pa.int32()), "first": [-EVER] * len(known), "beyond": [EVER] * len(known)})
        kept = pl.from_arrow(self.readings.days(ever).cast(DAYS)).sort("series", "start")
        for number, series in known.items():
            rows, days = self.scratch(number, series, now)
            own = [level.filter(pc.equal(level["series"], number)) for level in levels]
            assert _unbilled(pa.concat_tables(own), rows) == pl.from_arrow(rows).rows()
            assert kept.filter(pl.col("series") == number).rows() == pl.from_arrow(days).rows()
            for level, table in enumerate(own):
                assert self.published.read(number, level, "", "~").tobytes() == pack(table).tobytes()


def _spans(series, row):
    """Where the readings of a row's register count."""
    return next(range(span.start, span.end) for span in series.spans if span.register == row["register"])


def _unbilled(stored, fresh):
    """Stored rows with the state that they would have without a bill."""
    states = {(row["level"], row["start"]): row["state"] for row in fresh.to_pylist()}
    rows = pl.from_arrow(stored.select(ROLLUP.names).cast(ROLLUP)).rows(named=True)
    return [tuple((row | ({"state": states.get((row["level"], row["start"]))} if row["state"] == BILLED else {})).values()) for row in rows]


def units(number):
    """Micro units of a number."""
    return round(number * MICRO)


BASE = civil.instant("2026-02-20T00:00:00Z")
