"""A preview of a rollup as lines: per series and level how many rows would be new, changed or gone, and the biggest steps with old and new value."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from submeter import civil
from submeter.reading import LEVELS, MICRO
from submeter.store import SeriesKey

__all__ = ["lines"]

#: Series, and rows with their values, that are listed one by one.
LISTED: Final = 50
BIGGEST: Final = 10


def lines(changes: pa.Table, series: Mapping[SeriesKey, int]) -> Iterator[str]:
    """Lines for changes as `Readings.rehearsal` tells them."""
    names = {number: f"{key.point} {key.register}" for key, number in series.items()}
    counts = defaultdict[tuple[int, int], Counter[str]](Counter)
    rows = changes.to_pylist()
    for row in rows:
        counts[row["series"], row["level"]]["new" if row["fresh"] else "gone" if row["gone"] else "changed"] += 1
    for (number, level), count in sorted(counts.items(), key=lambda item: -item[1].total())[:LISTED]:
        kinds = ", ".join(f"{count[kind]} {kind}" for kind in ("new", "changed", "gone") if count[kind])
        yield f"{names.get(number, number)}  {LEVELS[level]:5}  {kinds}"
    if len(counts) > LISTED:
        yield f"… and {len(counts) - LISTED} more series and levels"
    for row in sorted(rows, key=_step, reverse=True)[:BIGGEST]:
        if _step(row):
            yield f"  {names.get(row['series'], row['series'])}  {LEVELS[row['level']]} from {civil.iso(row['start'])}: {_text(row['was'])} -> {_text(row['value'])}"
    yield f"{len(rows)} rows would change; nothing is written"


def _step(row: Mapping[str, Any]) -> int:
    return abs(int(row["value"] or 0) - int(row["was"] or 0))


def _text(value: int | None) -> str:
    return "none" if value is None else f"{Decimal(value) / MICRO:f}"
