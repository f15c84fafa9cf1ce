"""How settled a row is: open → provisional → final, by time alone (SPEC 13). `billed` is an operator's act.

open         not ended, or touching the undecided tail, or reaching past the last reading before the finality delay has passed
provisional  ended, finality delay not passed
final        hours and days `hours` after their end; months on local day `month_day` of the next month; years with their last month
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from submeter.reading import LEVELS, STATES

__all__ = ["Finality", "with_state"]

OPEN, PROVISIONAL, FINAL = (STATES.index(state) for state in ("open", "provisional", "final"))
MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Finality:
    """When rows become final."""

    hours: int = 48
    month_day: int = 5

    def delay(self, level: str) -> int:
        """Microseconds from a row's end until it is final; day 5 of the next month begins four days after the month's end."""
        span = timedelta(hours=self.hours) if level in {"hour", "day"} else timedelta(days=self.month_day - 1)
        return span // MICROSECOND


def with_state(rows: pl.DataFrame, computed: pl.DataFrame, *, now: int, finality: Finality) -> pl.DataFrame:
    """`rows` with the column `state`; `computed` has each series' `last` instant, and `since` when a tail is undecided (null: none is)."""
    delay = pl.col("level").replace_strict({number: finality.delay(level) for number, level in enumerate(LEVELS)}, return_dtype=pl.Int64)
    settled = pl.col("end") + delay <= now
    undecided = pl.col("end") > pl.col("since")
    is_open = (pl.col("end") > now) | undecided.fill_null(value=False) | ((pl.col("end") > pl.col("last")) & ~settled)
    state = pl.when(is_open).then(OPEN).when(settled).then(FINAL).otherwise(PROVISIONAL).cast(pl.UInt8)
    known = rows.join(computed.select("series", "last", "since"), on="series", how="left")
    return known.with_columns(state.alias("state")).drop("last", "since")
