"""A flat with water meters and allocators, and published rows of all levels, for pages: some estimated, some days not known."""

import time

import numpy as np
from portals import Here

from submeter import civil
from submeter.portal import create_portal
from submeter.reading import LEVELS, QUALITIES, Register
from submeter.store import Block, PublishedSeries
from submeter.store.published import NULL, POINT

METERS = (("cold_water", "volume", "m3"), ("hot_water", "volume", "m3"), ("heat_allocation", "hca", "hca"), ("heat_allocation", "hca", "hca"))
BACK = 900


def furnished(folder):
    """Five portals with their pages, and the flat, as of now."""
    made = Here(folder)
    made.app.mount("/", create_portal(made.app))
    made.now = time.time()
    furnish(made)
    return made


def furnish(here):
    """Meters of cz-a with rows from two and a half years ago until now; hours are a whole number of thousandths, days and months their sums."""
    now = int(here.now * 1e6)
    with here.registry.writing() as db:
        for number, (quantity, register, _) in enumerate(METERS):
            db.execute("INSERT INTO points VALUES (?, 'cz1', 'cz-a', ?, ?, ?, '{}')", (f"p{number}", quantity, f"room {number}", register))
    heads, blocks = [], []
    for number, (_, register, unit) in enumerate(METERS):
        heads.append(PublishedSeries(number + 1, f"p{number}", Register(register, unit), "total", "UTC", now, 7_000_000, now))
        blocks += [block for level in range(len(LEVELS)) for block in _blocks(number, level, now)]
    here.published.replace(heads, blocks)


def substation(here):
    """A district-heating substation of no-a: energy, and the power of the same meter, mean, least and most; numbered after the flat's series."""
    now, number = int(here.now * 1e6), len(METERS)
    with here.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('h0', 'no1', 'no-a', 'heat', 'Varmesentral', 'energy power', '{}')")
        db.execute("INSERT INTO devices VALUES ('KAM-55667788-1C-04', NULL, NULL, 0)")
        db.execute("INSERT INTO assignments VALUES ('h0', 'KAM-55667788-1C-04', 1, NULL, NULL, NULL)")
    heads, blocks = [], []
    for series, register, kind in ((number, Register("energy", "kWh"), "total"), (number + 1, Register("power", "kW"), "gauge")):
        heads.append(PublishedSeries(series + 1, "h0", register, kind, "UTC", now, 41_234_000_000 if kind == "total" else None, now))
        for level in range(len(LEVELS)):
            made = _blocks(series, level, now)
            for block in made:
                block.points["value"] *= 1000
                block.points["lo"], block.points["hi"], block.points["n"] = block.points["value"] // 2, block.points["value"] * 2, 24
            blocks += made
    here.published.replace(heads, blocks)


def _blocks(number, level, now):
    name = LEVELS[level]
    edges = civil.boundaries("UTC", name, now - BACK * civil.DAY, now)
    rows = np.zeros(len(edges) - 1, POINT)
    rows["start"], rows["end"], rows["rev"], rows["coverage"], rows["state"] = edges[:-1], edges[1:], 1, 10_000, 2
    rows["value"] = np.diff(_used(number, edges))
    rows["lo"], rows["hi"] = rows["value"], rows["value"]
    rows["index_start"] = NULL
    rows["index_end"] = np.where(edges[1:] <= now, 7_000_000 - (now - edges[1:]) // civil.HOUR, NULL)
    odd = (edges[:-1] // civil.DAY + number) % 17 == 0
    if name == "month":
        odd = np.arange(len(rows)) % 4 == 1
        rows["quality"][odd] = QUALITIES.index("estimated")
        rows["lo"][odd], rows["hi"][odd] = rows["value"][odd] * 97 // 100, rows["value"][odd] * 103 // 100
    if name == "day":
        rows["quality"][odd] = QUALITIES.index("estimated")
        rows = rows[(edges[:-1] // civil.DAY + number) % 19 != 0]
    labels = np.array(civil.block_labels(name, civil.block_numbers("UTC", name, rows["start"])))
    return [Block(number + 1, level, label, rows[labels == label]) for label in sorted(set(labels))]


def _used(number, edges):
    """Micro units up to each edge: a thousandth an hour and more by the day of the week."""
    hours = np.arange(edges[0] // civil.HOUR, edges[-1] // civil.HOUR)
    return np.append(0, np.cumsum(1000 * (1 + number + hours // 24 % 7)))[edges // civil.HOUR - hours[0]]


def homely(here):
    """The flat cz-a as people live in one, for pictures: rooms and devices with names, heat by the season, water that differs from day to day."""
    now = int(here.now * 1e6)
    places = (
        ("cold_water", "Kitchen", "volume", "m3", "DME-10203040-07-06"),
        ("hot_water", "Bathroom", "volume", "m3", "DME-10203041-07-06"),
        ("heat_allocation", "Living room", "hca", "hca", "QDS-51200301-37-08"),
        ("heat_allocation", "Bedroom", "hca", "hca", "QDS-51200302-37-08"),
        ("heat_allocation", "Kitchen", "hca", "hca", "QDS-51200303-37-08"),
    )
    with here.registry.writing() as db:
        db.execute("UPDATE properties SET name = 'Lipová 12'")
        db.execute("UPDATE units SET label = 'Flat 7' WHERE id = 'cz-a'")
        for number, (quantity, label, register, _, device) in enumerate(places):
            db.execute("INSERT INTO points VALUES (?, 'cz1', 'cz-a', ?, ?, ?, '{}')", (f"p{number}", quantity, label, register))
            db.execute("INSERT INTO devices VALUES (?, NULL, NULL, 0)", (device,))
            db.execute("INSERT INTO assignments VALUES (?, ?, 1, NULL, NULL, NULL)", (f"p{number}", device))
    heads, blocks = [], []
    for number, (_, _, register, unit, _) in enumerate(places):
        index = 141_327_000 + 71_401_000 * number
        heads.append(PublishedSeries(number + 1, f"p{number}", Register(register, unit), "total", "UTC", now, index, now))
        for level in range(len(LEVELS)):
            made = _blocks(number, level, now)
            for block in made:
                _lived(block.points, number, register, now)
            blocks += made
    here.published.replace(heads, blocks)


def _lived(rows, number, register, now):
    """Put amounts of daily life into rows: some by day of the year, some by chance that is the same each time; days sum to their months."""
    days = np.arange(now // civil.DAY - BACK - 400, now // civil.DAY + 2)
    chance = 0.5 + np.abs(np.sin(days * 12.9898 + number * 78.233) * 43758.5453) % 1
    cold = np.maximum(np.cos((days % 365 - 15) / 365 * 2 * np.pi) + 0.35, 0)
    used = chance * ((3.2, 1.1, 0.7)[number - 2] * cold if register == "hca" else (0.11, 0.06)[number])
    start, end = (np.interp(np.minimum(rows[name], now) / civil.DAY, days, np.cumsum(used) - used) for name in ("start", "end"))
    rows["value"] = np.round((end - start) * 1000).astype(np.int64) * 1000
    rows["lo"], rows["hi"] = rows["value"] * 97 // 100, rows["value"] * 103 // 100
