"""Who of a line is read next, on a clock of the test."""

from itertools import pairwise

from submeter.ingest.rota import Rota

MINUTE = 60.0


class Line:
    """A rota whose clock stands still unless it is moved."""

    def __init__(self, *meters):
        self.now, self.told = 1000.0, []
        self.rota = Rota("cellar", meters, 15 * MINUTE, lambda event, detail: self.told.append((event, detail)), "check it", lambda: self.now)

    def until_due(self):
        """Move on to the next read; returns who is read and after how long."""
        begin = self.now
        while (one := self.rota.due()) is None:
            self.now += 1
        return one, self.now - begin


def test_each_meter_has_its_place_in_the_interval_by_its_name():
    """All are read once in an interval, at the same places after every start, and again an interval later."""
    line = Line("a", "b", "c")
    first = []
    for _ in range(3):
        one, _ = line.until_due()
        line.rota.answered(one)
        first.append((one, line.now))
    assert {one for one, _ in first} == {"a", "b", "c"}
    assert all(at - 1000 <= 15 * MINUTE for _, at in first)
    again = Line("c", "b", "a")
    assert again.until_due()[0] == first[0][0]
    for one, at in first:
        due, _ = line.until_due()
        line.rota.answered(due)
        assert (due, abs(line.now - at - 15 * MINUTE) <= 1) == (one, True)


def test_a_silent_meter_is_told_once_and_asked_less_often():
    """Three failures are one event, then the wait doubles up to an hour; an answer makes all as before and is told."""
    line = Line("a", "b")
    waits = []
    while len(waits) < 7:
        one, _ = line.until_due()
        if one == "b":
            line.rota.answered(one)
            continue
        line.rota.missed(one, TimeoutError("nothing came"))
        waits.append(line.now)
    assert [round((after - before) / MINUTE) for before, after in pairwise(waits)] == [15, 15, 15, 30, 60, 60]
    assert line.told == [("meter_overdue", "cellar: a failed 3 times in a row, at last nothing came")]
    line.rota.answered("a")
    assert line.told[-1] == ("meter_connected", "cellar: a answers again")


def test_a_line_on_which_nobody_answers_is_one_event():
    """Not one for each meter, and again only after somebody answered."""
    line = Line("a", "b")
    for _ in range(10):
        line.rota.missed(line.until_due()[0], TimeoutError("nothing came"))
    assert line.told == [("bus_silent", "cellar: none of 2 meters answers: check it; nothing came")]
    line.rota.answered("a")
    line.rota.missed("a", TimeoutError("x"))
    line.rota.missed("b", TimeoutError("x"))
    assert [event for event, _ in line.told].count("bus_silent") == 2


def test_a_read_that_broke_off_comes_again_behind_those_that_wait():
    """What the line's end interrupted is not lost for an interval, and does not keep the others from being read."""
    line = Line("a", "b", "c")
    line.now += 15 * MINUTE
    first = line.rota.due()
    line.now += 1
    second = line.rota.due()
    line.rota.answered(second)
    line.now += 1
    third = line.rota.due()
    line.rota.answered(third)
    assert line.rota.due() == first
    assert {first, second, third} == {"a", "b", "c"}


def test_a_line_without_meters_is_never_due():
    """Nothing to read, nothing wrong."""
    assert Line().rota.due() is None
