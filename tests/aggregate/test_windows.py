"""Windows of a series: which readings and rows are theirs, what is planned for new readings, and what becomes of one that does not hold."""

from dataclasses import replace

import pytest

from submeter import civil
from submeter.aggregate import Exchange, Parameters, SeriesSpec
from submeter.aggregate.windows import NEAR, RANGES, Day, Window, planned
from submeter.reading import INT64_MAX
from submeter.store import tabled

DAY, HOUR = civil.DAY, civil.HOUR
WAIT = 24 * HOUR
COUNTER = SeriesSpec(Parameters(confirm_window=WAIT), "UTC")
GAUGE = SeriesSpec(Parameters(kind="gauge"), "UTC")
FIRST, LAST = Day(10 * DAY, 9 * DAY, 7, odd=False, next_t=10 * DAY + HOUR), Day(20 * DAY, 19 * DAY, 9, odd=True, next_t=20 * DAY + HOUR)


def window(begin=FIRST, stop=LAST, **more):
    """A window of a counter."""
    return Window(1, gauge=False, wait=WAIT, begin=begin, stop=stop, **more)


@pytest.mark.parametrize(
    ("one", "rows", "readings"),
    [
        (window(), (10 * DAY, 20 * DAY), (9 * DAY + 1, 20 * DAY + HOUR + WAIT + 1)),
        (window(begin=None), (-INT64_MAX, 20 * DAY), (-INT64_MAX, 20 * DAY + HOUR + WAIT + 1)),
        (window(stop=None), (10 * DAY, INT64_MAX), (9 * DAY + 1, INT64_MAX)),
        (replace(window(), gauge=True, wait=0), (10 * DAY, 20 * DAY), (9 * DAY, 20 * DAY + HOUR + 1)),
    ],
)
def test_what_a_window_replaces_and_reads(one, rows, readings):
    """Rows between its days; readings from behind the anchor, which a gauge reads too, until decisions up to its end have looked far enough."""
    assert (one.first, one.beyond) == rows
    assert (one.read_from, one.read_before) == readings


def test_all_of_a_series():
    """From its first reading, or from the floor that retention left; a gauge waits for nothing."""
    assert Window.whole(1, COUNTER) == Window(1, gauge=False, wait=WAIT)
    assert Window.whole(1, GAUGE) == Window(1, gauge=True, wait=0)
    kept = Window.whole(1, COUNTER, FIRST)
    assert (kept.begin, kept.floor, kept.is_whole, kept.is_widest) == (FIRST, FIRST, False, True)
    assert (Window.whole(1, COUNTER).is_whole, Window.whole(1, COUNTER).is_widest) == (True, True)
    assert [one.is_widest for one in (window(), window(begin=None), window(stop=None), window(stop=None, floor=FIRST))] == [False, False, False, True]


#: Which days came out, and what is computed instead (None: it holds).
HELD = {
    "both ends as they stood": ((FIRST, LAST), None),
    "the begin differs": ((FIRST._replace(anchor_v=8), LAST), {"begin": None, "stop": None}),
    "the begin is not there": ((LAST,), {"begin": None, "stop": None}),
    "the end differs": ((FIRST, LAST._replace(odd=False)), {"stop": None}),
    "the end is not there": ((FIRST,), {"stop": None}),
    "both differ": ((), {"begin": None, "stop": None}),
}


@pytest.mark.parametrize("case", HELD)
def test_a_window_that_does_not_hold_is_computed_wider(case):
    """To the end if its end differs, from the first reading if its begin does."""
    days, instead = HELD[case]
    found = window().holds({day.start: day for day in days})
    assert found == (None if instead is None else replace(window(), **instead))


def test_the_floor_of_retention_is_taken_as_it_stood():
    """A window that begins there needs no proof of it, and none begins before it."""
    kept = window(floor=FIRST)
    assert kept.holds({LAST.start: LAST}) is None
    later = replace(kept, begin=FIRST._replace(start=12 * DAY))
    assert later.holds({LAST.start: LAST}) == replace(kept, stop=None)


@pytest.mark.parametrize(
    ("one", "inside"),
    [
        (window(), [9 * DAY + 1, 15 * DAY, 20 * DAY + HOUR + WAIT]),
        (window(begin=None), [8 * DAY, 9 * DAY, 9 * DAY + 1, 15 * DAY, 20 * DAY + HOUR + WAIT]),
        (window(begin=None, stop=None), [8 * DAY, 9 * DAY, 9 * DAY + 1, 15 * DAY, 20 * DAY + HOUR + WAIT, 20 * DAY + HOUR + WAIT + 1]),
    ],
)
def test_exchanges_inside_a_window(one, inside):
    """Those that are walked over: where readings are read."""
    instants = [8 * DAY, 9 * DAY, 9 * DAY + 1, 15 * DAY, 20 * DAY + HOUR + WAIT, 20 * DAY + HOUR + WAIT + 1]
    spec = replace(COUNTER, exchanges=tuple(Exchange(at) for at in instants))
    assert [exchange.at for exchange in one.narrowed(spec).exchanges] == inside


def plan(*ranges, floor=None, spec=COUNTER, known=None):
    """Windows of series 1 for ranges of new readings; what was asked, and (first, beyond) of each. `known` gives begin and stop by number of the question."""
    asked = []

    def begun(table):
        asked.extend((row["t_from"], row["t_to"], row["wait"]) for row in table.to_pylist())
        assert table.schema == RANGES
        found = [{"id": row["id"], **(known or {}).get(row["id"], {})} for row in table.to_pylist()]
        return Answer(found)

    windows = dict(planned({1: ranges}, {1: spec}, {} if floor is None else {1: floor}, begun)).get(1, [])
    return asked, [(one.first, one.beyond) for one in windows]


class Answer(list):
    """Rows as a table gives them."""

    def to_pylist(self):
        """The rows."""
        return self


def day(number, next_t=None):
    """A day of which the segment before it ends there."""
    return Day(number * DAY, number * DAY - HOUR, 1, odd=False, next_t=number * DAY if next_t is None else next_t)._asdict()


def test_ranges_that_are_near_are_one_question():
    """Twice the confirm window and three days apart at most; in whatever order they come."""
    far = 2 * WAIT + NEAR
    assert NEAR == 3 * DAY
    assert plan((5 * DAY, 6 * DAY), (DAY, 2 * DAY))[0] == [(DAY, 6 * DAY, WAIT)]
    assert plan((DAY, 2 * DAY), (2 * DAY + far, 9 * DAY))[0] == [(DAY, 9 * DAY, WAIT)]
    assert plan((DAY, 2 * DAY), (2 * DAY + far + 1, 9 * DAY))[0] == [(DAY, 2 * DAY, WAIT), (2 * DAY + far + 1, 9 * DAY, WAIT)]
    assert plan((DAY, 9 * DAY), (2 * DAY, 3 * DAY))[0] == [(DAY, 9 * DAY, WAIT)]
    assert plan((DAY, 2 * DAY), (50 * DAY, 55 * DAY), (51 * DAY, 52 * DAY))[0] == [(DAY, 2 * DAY, WAIT), (50 * DAY, 55 * DAY, WAIT)]
    assert plan((DAY, 2 * DAY), (2 * DAY + NEAR + 1, 9 * DAY), spec=GAUGE)[0] == [(DAY, 2 * DAY, 0), (2 * DAY + NEAR + 1, 9 * DAY, 0)]


def test_what_is_known_around_a_range_is_its_window():
    """Nothing known: all of the series; a begin without a stop goes to the end."""
    assert plan((50 * DAY, 51 * DAY))[1] == [(-INT64_MAX, INT64_MAX)]
    assert plan((50 * DAY, 51 * DAY), known={0: {"begin": day(48), "stop": day(53)}})[1] == [(48 * DAY, 53 * DAY)]
    assert plan((50 * DAY, 51 * DAY), known={0: {"begin": day(48), "stop": None}})[1] == [(48 * DAY, INT64_MAX)]
    assert plan((50 * DAY, 51 * DAY), known={0: {"begin": None, "stop": day(53)}})[1] == [(-INT64_MAX, 53 * DAY)]


@pytest.mark.parametrize(
    ("second", "windows"),
    [
        ({"begin": day(60), "stop": day(63)}, [(8 * DAY, 13 * DAY), (60 * DAY, 63 * DAY)]),
        ({"begin": day(60), "stop": None}, [(8 * DAY, 13 * DAY), (60 * DAY, INT64_MAX)]),
        ({"begin": day(13), "stop": day(63)}, [(8 * DAY, 63 * DAY)]),
        ({"begin": day(12), "stop": day(63)}, [(8 * DAY, 63 * DAY)]),
    ],
)
def test_windows_that_touch_become_one(second, windows):
    """No day is in two; with a day between them they stay two."""
    known = {0: {"begin": day(8), "stop": day(13)}, 1: second}
    assert plan((10 * DAY, 11 * DAY), (61 * DAY, 62 * DAY), known=known)[1] == windows


def test_readings_that_are_read_for_one_window_are_no_other_ones():
    """Where the first window reads as far as the second range begins, both are one."""
    near = {0: {"begin": day(8), "stop": day(13, next_t=60 * DAY)}, 1: {"begin": day(60), "stop": day(70)}}
    assert plan((10 * DAY, 11 * DAY), (61 * DAY, 62 * DAY), known=near)[1] == [(8 * DAY, 70 * DAY)]
    assert plan((10 * DAY, 11 * DAY), (61 * DAY + 1, 62 * DAY), known=near)[1] == [(8 * DAY, 13 * DAY), (60 * DAY, 70 * DAY)]


def test_nothing_is_planned_before_the_floor():
    """What would begin before it begins there; what would end before it is not computed at all."""
    floor = Day(**day(40))
    known = {0: {"begin": day(8), "stop": day(43)}}
    assert plan((10 * DAY, 41 * DAY), floor=floor, known=known)[1] == [(40 * DAY, 43 * DAY)]
    assert plan((10 * DAY, 41 * DAY), floor=floor)[1] == [(40 * DAY, INT64_MAX)]
    assert plan((50 * DAY, 51 * DAY), floor=floor, known={0: {"begin": day(45), "stop": day(53)}})[1] == [(45 * DAY, 53 * DAY)]
    for stop in (13, 40):
        assert plan((10 * DAY, 11 * DAY), floor=floor, known={0: {"begin": day(8), "stop": day(stop)}})[1] == []


def test_series_are_planned_apart():
    """Each with its own ranges; one without a range has no window."""

    def begun(table):
        assert table == tabled([(0, 1, DAY, DAY, WAIT), (1, 2, 5 * DAY, 6 * DAY, 0)], RANGES)
        return tabled([], RANGES).select(["id"])

    found = dict(planned({1: [(DAY, DAY)], 2: [(5 * DAY, 6 * DAY)], 3: []}, {1: COUNTER, 2: GAUGE, 3: COUNTER}, {}, begun))
    assert found == {1: [Window.whole(1, COUNTER)], 2: [Window.whole(2, GAUGE)]}
