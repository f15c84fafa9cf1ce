"""How settled rows are, by time alone (SPEC 13)."""

import polars as pl
import pytest

from submeter import civil
from submeter.aggregate import Finality
from submeter.aggregate.states import with_state
from submeter.reading import LEVELS, STATES

DAY, HOUR = civil.DAY, civil.HOUR
END = 100 * DAY
#: Level, `now` after the row's end, the last instant of data (before its end: negative), begin of an undecided tail, and the state.
CASES = {
    "it has not ended": ("hour", -1, 0, None, "open"),
    "it ends now": ("hour", 0, 0, None, "provisional"),
    "it waits for late readings": ("hour", 48 * HOUR - 1, 0, None, "provisional"),
    "two days later": ("hour", 48 * HOUR, 0, None, "final"),
    "days alike": ("day", 48 * HOUR - 1, 0, None, "provisional"),
    "days too": ("day", 48 * HOUR, 0, None, "final"),
    "a month until its fifth day": ("month", 4 * DAY - 1, 0, None, "provisional"),
    "a month on the fifth": ("month", 4 * DAY, 0, None, "final"),
    "a year with its last month": ("year", 4 * DAY - 1, 0, None, "provisional"),
    "a year then": ("year", 4 * DAY, 0, None, "final"),
    "no reading since": ("hour", HOUR, -1, None, "open"),
    "no reading for long": ("hour", 48 * HOUR, -1, None, "final"),
    "a tail that begins at its end": ("hour", 48 * HOUR, 0, 0, "final"),
    "an undecided tail in it": ("hour", 400 * DAY, 0, -1, "open"),
    "never a reading": ("hour", HOUR, None, None, "provisional"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_state_of_a_row(case):
    """Open, provisional or final: by its end, its series' last instant and tail."""
    level, passed, last, tail, state = CASES[case]
    rows = pl.DataFrame(
        {"series": [1], "level": [LEVELS.index(level)], "end": [END]}, schema={"series": pl.Int32, "level": pl.UInt8, "end": pl.Int64}
    )
    known = [(1, None if last is None else END + last, None if tail is None else END + tail)]
    computed = pl.DataFrame(known, schema={"series": pl.Int32, "last": pl.Int64, "since": pl.Int64}, orient="row")
    found = with_state(rows, computed, now=END + passed, finality=Finality())
    assert found.drop("state").equals(rows)
    assert STATES[found["state"][0]] == state


@pytest.mark.parametrize(
    ("finality", "delays"), [(Finality(), (2, 2, 4, 4)), (Finality(hours=0, month_day=1), (0, 0, 0, 0)), (Finality(72, 28), (3, 3, 27, 27))]
)
def test_when_rows_become_final(finality, delays):
    """Hours and days after so many hours, months and years on a day of the next month."""
    assert [finality.delay(level) for level in LEVELS] == [days * DAY for days in delays]
