"""A fleet of meters with a year of hourly readings in a data folder, special events among them; and checksums of what runs made of it."""

import sqlite3
from hashlib import blake2b

import duckdb
import numpy as np
import pyarrow as pa

from submeter import civil
from submeter.reading import LEVELS, Register, Source
from submeter.store import READING, RECEPTION, Published, Readings, Registry

START, HOURS, TOGETHER = civil.instant("2025-01-01T00:00:00Z"), 8571, 100
MIDDLE = START + HOURS // 2 * civil.HOUR + 1
#: Of each ten meters one is exchanged, one has a set day, one shows an absurd value once.
EXCHANGED, SET_DAY, GLITCHED = 0, 3, 6
WATER, ALLOCATOR = Register("volume", "m3"), Register("hca", "hca")


def fill(folder, readings):
    """Make a data folder with so many readings, as near as whole meters come; returns how many there are."""
    meters = max(readings // HOURS, 10)
    folder.mkdir()
    (folder.parent / f"{folder.name}.toml").write_text(f'[data]\nfolder = "{folder}"\n')
    with Readings(folder / "readings.duckdb") as store, Registry(folder / "registry.sqlite") as registry:
        _directory(registry, meters)
        for first in range(0, meters, TOGETHER):
            numbers = range(first, min(first + TOGETHER, meters))
            store.store(_readings(store, numbers), RECEPTION.empty_table(), 0)
    return meters * HOURS


def _device(number, of=0):
    return f"AAA-{2 * number + of:08d}-01-07"


def _register(number):
    return ALLOCATOR if number % 10 == SET_DAY else WATER


def _directory(registry, meters):
    parameters = {SET_DAY: '{"set_day": "07-01"}'}
    with registry.writing() as db:
        db.execute("INSERT INTO managers VALUES ('c', 'C')")
        db.execute(
            "INSERT INTO properties (id, manager, name, zone, year_start, finest) VALUES ('b', 'c', 'House', 'Europe/Prague', '01-01', 'hour')"
        )
        for number in range(meters):
            given = parameters.get(number % 10, '{"max_rate_per_h": "5"}')
            db.execute("INSERT INTO points VALUES (?, 'b', NULL, 'cold_water', '', ?, ?)", (f"p{number}", _register(number).name, given))
            spans = [(0, None)] if number % 10 != EXCHANGED else [(0, MIDDLE), (MIDDLE, None)]
            for of, (since, until) in enumerate(spans):
                db.execute("INSERT INTO devices (id, whole) VALUES (?, 1)", (_device(number, of),))
                db.execute(
                    "INSERT INTO assignments (point, device, since, until) VALUES (?, ?, ?, ?)", (f"p{number}", _device(number, of), since, until)
                )
        registry.record("test", "directory.import", "")


def _readings(store, numbers):
    random = np.random.default_rng(numbers[0])
    keys = [(_device(number, of), _register(number)) for number in numbers for of in (0, 1)]
    known = store.register_ids(keys)
    t = START + np.arange(HOURS) * civil.HOUR + random.integers(0, civil.HOUR // 2, (len(numbers), HOURS))
    steps = random.integers(0, 50, t.shape) * np.where(np.array([_register(number) == WATER for number in numbers]), 1000, 20_000)[:, None]
    value = np.cumsum(steps, axis=1)
    register = np.empty(t.shape, np.int64)
    for i, number in enumerate(numbers):
        old, new = (known[_device(number, of), _register(number)] for of in (0, 1))
        register[i] = np.where((t[i] >= MIDDLE) & (number % 10 == EXCHANGED), new, old)
        if number % 10 == GLITCHED:
            value[i, HOURS // 2] += 10**9
        if number % 10 == SET_DAY:
            passed = t[i] >= civil.midnight("Europe/Prague", civil.utc_date(START).replace(month=7))
            value[i, passed] -= value[i, np.argmax(passed)]
    count = t.size
    seq = (np.arange(count) + int(numbers[0]) * HOURS) << 21
    columns = {"register": register.ravel(), "t": t.ravel(), "value": value.ravel(), "src": np.full(count, int(Source.LIVE)), "seq": seq}
    words = {"label": pa.array(["now"] * count), "time_source": pa.array(["received"] * count)}
    zero = np.zeros(count, np.int8)
    return pa.table([words.get(field.name, pa.array(columns.get(field.name, zero))).cast(field.type) for field in READING], schema=READING)


def checksums(folder):
    """Of each level: how many rows are stored and a sum over all of each, and a digest of what is published; and that of heads and days."""
    with duckdb.connect(folder / "readings.duckdb", read_only=True) as db:
        rows = db.sql("SELECT level, count(*), sum(hash(COLUMNS(*)))::VARCHAR FROM rollups GROUP BY level ORDER BY level").fetchall()
        days = db.sql("SELECT count(*), sum(hash(COLUMNS(*)))::VARCHAR FROM days").fetchall()
    found = {f"stored {LEVELS[level]}": tuple(rest) for level, *rest in rows} | {"days": days}
    with sqlite3.connect(folder / "published.sqlite") as db:
        for level, name in enumerate(LEVELS):
            digest = blake2b(digest_size=16)
            for row in db.execute("SELECT series, block, data FROM blocks WHERE level = ? ORDER BY series, block", (level,)):
                digest.update(repr(row[:2]).encode() + row[2])
            found[f"published {name}"] = digest.hexdigest()
        heads = db.execute("SELECT id, point, name, kind, zone, last_t, last_value, last_heard FROM series ORDER BY id").fetchall()
    return found | {"heads": blake2b(repr(heads).encode(), digest_size=16).hexdigest()}


def published(folder):
    """How many series are published in a folder."""
    with Published(folder / "published.sqlite") as store:
        return len(store.series())
