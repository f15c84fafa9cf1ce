"""A preview of a rollup, the jobs' table of instants, and how often one may ask: what is told, from values alone."""

import pyarrow as pa
import pytest

from submeter import civil
from submeter.config import parse
from submeter.jobs import JOBS, last_due
from submeter.preview import BIGGEST, LISTED, lines
from submeter.rates import MOST, Rates
from submeter.reading import LEVELS, Register
from submeter.store import SeriesKey

START = civil.instant("2026-03-01T00:00:00Z")
KEY = SeriesKey("p1", Register("volume", "m3"), "counter")
DAY, MONTH = LEVELS.index("day"), LEVELS.index("month")


def row(was, value, level=DAY, series=1, start=START):
    """A row that would change: from nothing it is new, to nothing it is gone."""
    return {"series": series, "level": level, "start": start, "was": was, "value": value, "fresh": was is None, "gone": value is None}


def told(*rows, series=None):
    """What a preview says."""
    names = ("series", "level", "start", "was", "value")
    table = pa.table(
        {name: pa.array([one[name] for one in rows], pa.int64()) for name in names}
        | {name: pa.array([one[name] for one in rows], pa.bool_()) for name in ("fresh", "gone")}
    )
    return list(lines(table, series or {KEY: 1}))


def test_nothing_would_change():
    """One line, which says that nothing was written either."""
    assert told() == ["0 rows would change; nothing is written"]


def test_rows_are_counted_by_series_and_level():
    """The most first; new, changed and gone, in this order, those that there are."""
    said = told(row(None, 5), row(1, 2), row(3, 4), row(7, None), row(1, 1, MONTH))
    assert said[:2] == ["p1 volume  day    1 new, 2 changed, 1 gone", "p1 volume  month  1 changed"]
    assert said[-1] == "5 rows would change; nothing is written"


def test_the_biggest_steps_are_shown_with_their_values():
    """In units, the biggest first, at most ten; a row that keeps its value (its quality changes) is none."""
    rows = [row(0, number * 1_000_000, start=START + number * civil.DAY) for number in range(1, BIGGEST + 5)]
    steps = [line for line in told(*rows, row(4, 4)) if line.startswith("  ")]
    assert len(steps) == BIGGEST
    assert steps[0] == "  p1 volume  day from 2026-03-15T00:00:00Z: 0 -> 14"
    assert [line for line in told(row(None, 1_500_000), row(2_000_000, None)) if line.startswith("  ")] == [
        "  p1 volume  day from 2026-03-01T00:00:00Z: 2 -> none",
        "  p1 volume  day from 2026-03-01T00:00:00Z: none -> 1.5",
    ]


def test_a_long_list_is_cut_and_says_so():
    """Fifty series and levels, and how many more; one that the directory has lost is named by its number."""
    said = told(*(row(1, 2, series=number) for number in range(LISTED + 3)))
    assert said[LISTED] == "… and 3 more series and levels"
    assert sum(line.startswith("p1 ") for line in said) == 1
    assert "7  day    1 changed" in said


#: A job's cron, now, and when it was due last.
DUE = [
    ("5 * * * *", "2026-03-01T10:04:59Z", "2026-03-01T09:05:00Z"),
    ("5 * * * *", "2026-03-01T10:05:00Z", "2026-03-01T10:05:00Z"),
    ("15 2 * * *", "2026-03-01T02:14:00Z", "2026-02-28T02:15:00Z"),
    ("0 3 1 * *", "2026-03-31T00:00:00Z", "2026-03-01T03:00:00Z"),
    ("0 3 1 1 *", "2026-12-31T23:59:00Z", "2026-01-01T03:00:00Z"),
    ("0 0 29 2 *", "2026-03-01T00:00:00Z", "2024-02-29T00:00:00Z"),
    ("30 2 * * *", "2026-03-29T02:30:00Z", "2026-03-29T02:30:00Z"),  # the hour that Prague skips: crons are UTC
]


@pytest.mark.parametrize(("cron", "moment", "due"), DUE)
def test_when_a_job_was_due_last(tmp_path, cron, moment, due):
    """At or before now, also years ago."""
    config = parse(f'[rollup]\nhourly = "{cron}"', tmp_path / "pipeline.toml")
    found = last_due(JOBS["hourly"], config, civil.instant(moment))
    assert civil.iso(found) == due


def test_a_bucket_fills_as_time_goes():
    """Twice a minute's requests at once, then one each time that one has come; the wait is told to the instant."""
    rates = Rates({"r": 6})
    assert [rates.wait("ann", "r", 0.0) for _ in range(12)] == [0.0] * 12
    assert rates.wait("ann", "r", 0.0) == pytest.approx(10.0)
    assert rates.wait("ann", "r", 4.0) == pytest.approx(6.0)
    assert rates.wait("ann", "r", 10.0) == 0.0
    assert rates.wait("ann", "r", 5.0) > 0  # a clock that goes back gives nothing
    assert rates.wait("bob", "r", 10.0) == 0.0
    assert [rates.wait("ann", "r", 10_000.0) for _ in range(13)][-2:] == [0.0, pytest.approx(10.0)]


def test_buckets_that_are_full_again_are_forgotten():
    """Memory is bounded by who asked in the last two minutes; whoever used up his requests just now is not let in by it."""
    rates = Rates({"c": 1})
    for number in range(MOST):
        rates.wait(f"{number}", "c", 0.0)
    assert [rates.wait("ann", "c", 200.0) for _ in range(2)] == [0.0, 0.0]
    assert len(rates._buckets) == 1
    assert rates.wait("ann", "c", 200.0) > 0
