"""Why rows change (SPEC 13): the reason, what did it, when that came and by whom; for the history and for corrections.

The newest decision about a series since the last run comes first, then readings that came late, then the directory.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import polars as pl
import pyarrow as pa

from submeter.aggregate.decided import SEQ
from submeter.aggregate.series import Series
from submeter.reading import Source
from submeter.store import CAUSE, Decision

__all__ = ["MESSAGE_BITS", "causes"]

#: Bits of `seq` below the number of the message, and below the telegram's place in it (ingest/rows.py).
MESSAGE_BITS: Final = 21
READING_BITS: Final = 8
REASONS: Final = {"accept": "correction", "reject": "correction", "exchange": "exchange"}

Cause = tuple[int, str, str | None, int | None, str | None]


def causes(
    batch: Mapping[int, Series], readings: pl.DataFrame, decisions: Iterable[Decision], *, fed: Collection[int], keyed: Collection[int]
) -> pa.Table:
    """One row of CAUSE per series.

    `decisions` are those since the last run; `fed` the series with new readings, `keyed` those of them whose telegrams had waited for a key.
    """
    newest = {(one.point, register): one for one in decisions for register in _registers(one, batch.values())}
    late = _received(readings)
    rows = [
        _cause(number, newest.get((one.point.id, str(one.register))), late.get(number), number in fed, number in keyed)
        for number, one in batch.items()
    ]
    return pa.Table.from_pylist([dict(zip(CAUSE.names, row, strict=True)) for row in rows], schema=CAUSE)


def _registers(one: Decision, batch: Iterable[Series]) -> Iterable[str]:
    return [one.register] if one.register else [str(series.register) for series in batch if series.point.id == one.point]


def _cause(number: int, decision: Decision | None, late: tuple[int, int | None] | None, fed: bool, keyed: bool) -> Cause:  # noqa: FBT001 - a row
    if decision is not None:
        return number, _reason(decision), f"decision {decision.withdraws or decision.id}", decision.at, decision.by
    if not fed or late is None:
        return number, "config", None, None, None
    message, received = late
    return number, "key_arrived" if keyed else "late_reading", f"message {message}", received, None


def _reason(decision: Decision) -> str:
    if decision.kind in {"reading", "withdraw"}:
        return "substitute" if decision.details.get("src") == "substitute" else "correction"
    return REASONS.get(decision.kind, "correction")


def _received(readings: pl.DataFrame) -> dict[int, tuple[int, int | None]]:
    """The message that brought each series' last received reading, and when, where a live value of the same telegram tells."""
    brought = readings.filter(pl.col("seq") < SEQ).select("series", "t", "src", place=pl.col("seq") // 2**READING_BITS)
    last = brought.group_by("series").agg(pl.col("place").max())
    heard = brought.filter(pl.col("src") == Source.LIVE).group_by("series", "place").agg(pl.col("t").max())
    found = last.join(heard, on=["series", "place"], how="left")
    return {series: (place >> MESSAGE_BITS - READING_BITS, t) for series, place, t in found.iter_rows()}
