"""Why rows change (SPEC 13): the reason, what did it, when that came and by whom; for the history and for corrections.

Where anything but late readings changed, the newest decision about the series since the last run is what did it; without one it is the directory.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import polars as pl
import pyarrow as pa

from submeter.aggregate.decided import SEQ
from submeter.aggregate.series import Series
from submeter.reading import MESSAGE_BITS, READING_BITS, Source
from submeter.store import CAUSE, Decision, tabled

__all__ = ["MESSAGE_BITS", "causes"]

#: The words of SPEC 13 that each kind of decision can be the reason of.
REASONS: Final[Mapping[str, Collection[str]]] = {
    "accept": {"correction"},
    "reject": {"correction"},
    "exchange": {"exchange", "config"},
    "reading": {"substitute", "correction"},
}

Cause = tuple[int, str, str | None, int | None, str | None]


def causes(batch: Mapping[int, Series], readings: pl.DataFrame, reason: str, decisions: Iterable[Decision], *, keyed: Collection[int]) -> pa.Table:
    """One row of CAUSE per series of a batch that is computed for one `reason`, a word of SPEC 13.

    `decisions` are those since the last run, `keyed` the series with telegrams that had waited for a key.
    """
    if reason == "late_reading":
        late = _received(readings)
        rows = [_late(number, late.get(number), keyed=number in keyed) for number in batch]
    else:
        newest = {(one.point, register): one for one in decisions for register in _registers(one, batch.values()) if reason in REASONS[one.kind]}
        rows = [_decided(number, reason, newest.get((one.point.id, str(one.register)))) for number, one in batch.items()]
    return tabled(rows, CAUSE)


def _registers(one: Decision, batch: Iterable[Series]) -> Iterable[str]:
    return [one.register] if one.register else [str(series.register) for series in batch if series.point.id == one.point]


def _late(number: int, late: tuple[int, int | None] | None, *, keyed: bool) -> Cause:
    message, received = late or (None, None)
    return number, "key_arrived" if keyed else "late_reading", None if message is None else f"message {message}", received, None


def _decided(number: int, reason: str, decision: Decision | None) -> Cause:
    if decision is None:
        return number, reason, None, None, None
    return number, reason, f"decision {decision.withdraws or decision.id}", decision.at, decision.by


def _received(readings: pl.DataFrame) -> dict[int, tuple[int, int | None]]:
    """The message that brought each series' last received reading, and when, where a live value of the same telegram tells."""
    brought = readings.filter(pl.col("seq") < SEQ).select("series", "t", "src", place=pl.col("seq") // 2**READING_BITS)
    last = brought.group_by("series").agg(pl.col("place").max())
    heard = brought.filter(pl.col("src") == Source.LIVE).group_by("series", "place").agg(pl.col("t").max())
    found = last.join(heard, on=["series", "place"], how="left")
    return {series: (place >> MESSAGE_BITS - READING_BITS, t) for series, place, t in found.iter_rows()}
