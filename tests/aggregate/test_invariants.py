"""What holds for every register and every set of readings (SPEC 12.1), and that both ways of computing rows are one."""

import os
from collections import defaultdict
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from rolling import STARTS, by_series, exact, factors, kernel, samples, specs, table

from submeter.aggregate import rollup
from submeter.reading import LEVELS

thorough = settings(max_examples=int(os.environ.get("SUBMETER_EXAMPLES", "60")), deadline=None)


@thorough
@given(samples(plain=True), specs(plain=True))
def test_plain_series_have_the_rows_of_the_definitions(found, spec):
    """Columns and exact arithmetic give the same rows where every reading is an anchor."""
    assert kernel(found, spec) == exact(found, spec)


@thorough
@given(samples(), specs())
def test_any_series_has_the_rows_of_the_definitions(found, spec):
    """Columns and exact arithmetic give the same rows whatever the meter does."""
    assert kernel(found, spec) == exact(found, spec)


@thorough
@given(samples(), specs(), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(found, spec, random):
    """Readings shuffled and partly repeated give the same rows; repetitions are dropped as duplicates."""
    again = found + random.choices(found, k=3)
    random.shuffle(again)
    assert kernel(again, spec) == kernel(found, spec)


@thorough
@given(samples(), specs(kinds=("total", "period")), st.booleans())
def test_levels_add_up_and_bounds_hold(found, spec, rated):
    """Hours add up to days, days to months, months to years, exactly; no use is negative; every value lies within its bounds."""
    if rated:
        spec = replace(spec, parameters=replace(spec.parameters, factors=factors([(STARTS[0], 1.5), (STARTS[4] + 5, 0.333)])))
    rows = kernel(found, spec)
    for _, row in rows:
        assert row.value >= 0
        assert row.lo <= row.value
        assert row.hi is None or row.value <= row.hi
        assert 0 <= row.coverage <= 10_000
    for level in range(len(LEVELS) - 1):
        for _, whole in (pair for pair in rows if pair[0] == level + 1):
            inside = [row for number, row in rows if number == level and whole.start <= row.start and row.end <= whole.end]
            assert sum(row.value for row in inside) == whole.value
            assert (whole.hi is None) == any(row.hi is None for row in inside)


@thorough
@given(st.lists(st.tuples(samples(size=6), specs()), min_size=1, max_size=6))
def test_series_do_not_touch_each_other(cases):
    """A series has the same rows alone and among others of any zone and kind."""
    numbered = dict(enumerate(cases))
    together = by_series(rollup(table((n, s) for n, (found, _) in numbered.items() for s in found), {n: spec for n, (_, spec) in numbered.items()}))
    assert together == {n: rows for n, (found, spec) in numbered.items() if (rows := kernel(found, spec))}


@thorough
@given(samples(size=20), specs(kinds=("total", "period")))
def test_the_index_moves_by_what_is_booked(found, spec):
    """Where the display is known at both ends of an unflagged row, it moved by the row's value, unless it restarted inside."""
    by_level = defaultdict(list)
    for level, row in kernel(found, spec):
        by_level[level].append(row)
    for row in by_level[0]:
        if (
            row.index_start is not None
            and row.index_end is not None
            and not row.flags
            and spec.parameters.set_day is None
            and not any(s.due for s in found)
        ):
            assert row.index_end - row.index_start == row.value
