"""The parts of a month's figures that are plain arithmetic: sums that may be unknown, and stretches of days that were not measured."""

import pyarrow as pa
import pytest

from submeter import preview
from submeter.house import _mean, _stretches, total
from submeter.reading import MICRO, Register
from submeter.store import SeriesKey


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([3], 3),
        ([3, 4], 7),
        ([0], 0),
        ([0, 0], 0),
        ([3, None], None),
        ([None], None),
        ([-2, 5], 3),
    ],
)
def test_a_sum_is_known_if_all_of_it_is(values, expected):
    """One value that is not known makes the sum unknown, and no value is none; nought is a value."""
    assert total([{"value": value} for value in values], "value") == expected


def test_a_row_that_is_not_there_makes_a_sum_unknown():
    """A point without a row counts as not known, not as nought."""
    assert total([{"value": 3}, None], "value") is None
    assert total(iter([{"value": 3}, {"value": 4}]), "value") == 7


@pytest.mark.parametrize(
    ("micro", "count", "expected"), [(10, 2, 5), (10, 3, 3), (11, 3, 4), (5, 2, 2), (7, 2, 4), (-5, 2, -2), (2**70 + 2, 2, 2**69 + 1)]
)
def test_a_mean_is_exact_and_rounds_half_to_even(micro, count, expected):
    """No binary fraction comes between, whatever the size."""
    assert _mean(micro, count) == expected


@pytest.mark.parametrize(
    ("qualities", "expected"),
    [
        ("", []),
        ("000", []),
        ("1", [(0, 1, 1)]),
        ("011", [(1, 3, 1)]),
        ("110", [(0, 2, 1)]),
        ("0110110", [(1, 3, 1), (4, 6, 1)]),
        ("1122", [(0, 2, 1), (2, 4, 2)]),
        ("12", [(0, 1, 1), (1, 2, 2)]),
        ("101", [(0, 1, 1), (2, 3, 1)]),
        ("0220", [(1, 3, 2)]),
    ],
)
def test_stretches_of_days(qualities, expected):
    """Days of one quality that follow each other are one stretch; measured days and another quality end it."""
    days = [{"start": number, "end": number + 1, "quality": int(quality)} for number, quality in enumerate(qualities)]
    assert list(_stretches(days)) == expected


VOLUME = Register("volume", "m3")
SERIES = {SeriesKey("p", VOLUME, "counter"): 1, SeriesKey("q", VOLUME, "counter"): 2}


def changes(*rows):
    """Changes as a rehearsal tells them: series, level, day of 1970, value before and after; "new" or "gone"."""
    names = ("series", "level", "start", "was", "value", "fresh", "gone")
    day = 86_400 * MICRO
    told = [(series, level, start * day, was, value, kind == "new", kind == "gone") for series, level, start, was, value, kind in rows]
    return pa.table({name: [row[place] for row in told] for place, name in enumerate(names)})


def test_a_preview_counts_kinds_and_names_the_biggest_steps():
    """A line for each series and level, the most rows first; then steps by their size, with old and new value; then the sum."""
    found = changes(
        (1, 1, 0, 1_000_000, 3_500_000, ""),
        (1, 1, 1, None, 2_000_000, "new"),
        (1, 1, 2, 9_000_000, None, "gone"),
        (2, 2, 0, 1_000_000, 1_000_000, ""),
    )
    assert list(preview.lines(found, SERIES)) == [
        "p volume  day    1 new, 1 changed, 1 gone",
        "q volume  month  1 changed",
        "  p volume  day from 1970-01-03T00:00:00Z: 9 -> none",
        "  p volume  day from 1970-01-01T00:00:00Z: 1 -> 3.5",
        "  p volume  day from 1970-01-02T00:00:00Z: none -> 2",
        "4 rows would change; nothing is written",
    ]


def test_a_long_preview_is_cut():
    """Fifty series and levels are listed and the others counted; ten steps are shown; a series that is not known yet has its number."""
    many = changes(*((number, 0, 0, 0, number * MICRO, "") for number in range(3, 63)))
    lines = list(preview.lines(many, SERIES))
    assert len(lines) == 50 + 1 + 10 + 1
    assert lines[0].startswith("3  hour ")
    assert lines[50] == "… and 10 more series and levels"
    assert lines[51] == "  62  hour from 1970-01-01T00:00:00Z: 0 -> 62"
    assert lines[60] == "  53  hour from 1970-01-01T00:00:00Z: 0 -> 53"


def test_an_empty_preview():
    """Nothing would change: that is the only line."""
    assert list(preview.lines(changes(), SERIES)) == ["0 rows would change; nothing is written"]
