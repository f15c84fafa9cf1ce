"""When meters of a bus are read: spread, restarts, speeds, failures, load; on clocks of its own."""

import itertools
from collections import Counter

import pytest

from submeter.ingest.schedule import Meter, Schedule

DAY = 86_400.0


def schedule(meters, interval_s=900.0, calendar=0.0, now=0.0):
    """A schedule of a line."""
    return Schedule(meters, interval_s, now, calendar)


def reads(one, until, *, took_s=1.0, now=0.0, calendar=0.0, failing=()):
    """Read whoever is next until that time: (second, meter) of each read."""
    heard = []
    while now < until:
        meter = one.next(now)
        if meter is None:
            now, calendar = now + 1, calendar + 1
            continue
        heard.append((now, meter))
        now, calendar = now + took_s, calendar + took_s
        one.tried(meter, took_s, now, calendar, answered=meter not in failing)
    return heard


def test_the_load_is_even_and_nobody_is_forgotten():
    """200 meters each quarter of an hour: everyone four times an hour, and no minute has more than a quarter of them."""
    meters = [Meter(number) for number in range(1, 201)]
    heard = reads(schedule(meters), 3600)
    assert set(Counter(meter for _, meter in heard).values()) == {4}
    assert max(Counter(int(at // 60) for at, _ in heard).values()) < 30


def test_a_restart_neither_repeats_nor_skips_a_read():
    """A meter that is read once a day is read once a day, though the program starts anew every five hours."""
    battery = Meter(7, interval_s=DAY)
    instants = []
    for begin in range(0, int(10 * DAY), 5 * 3600):
        instants += [begin + at for at, _ in reads(schedule([battery], calendar=begin), 5 * 3600, calendar=begin)]
    assert len(instants) == 10
    assert {round(b - a, -2) for a, b in itertools.pairwise(instants)} == {DAY}


def test_a_clock_that_is_set_back_repeats_no_read():
    """Right after a read the calendar jumps back by a minute: the meter still rests for half of its interval."""
    meter = Meter(7)
    one = schedule([meter])
    (at, _), *_ = reads(one, 1000)
    again = schedule([meter], calendar=at - 1)
    while again.next(at) is None:
        at += 1
    again.tried(meter, 1.0, at, at - 60, answered=True)
    assert again.next(at + 449) is None


def due(*meters):
    """All of these wait since a moment ago, the first for longest."""
    one = schedule(meters)
    for number, meter in enumerate(meters):
        one._due[meter] = float(number)
    return one


def test_one_speed_at_a_time():
    """Of those that are due, the ones of the present speed are read together."""
    slow, fast = [Meter(number, 300) for number in (1, 3, 5)], [Meter(number) for number in (2, 4, 6)]
    one = due(*(meter for pair in zip(slow, fast, strict=True) for meter in pair))
    speeds = [meter.baud for _, meter in reads(one, 100, now=10.0)][:6]
    assert speeds == [None] * 3 + [300] * 3


def test_who_fails_comes_last_and_more_rarely():
    """After three failures a meter stands behind those that answer; its interval doubles up to an hour; one success resets it."""
    good, dead = Meter(1), Meter(2)
    one = schedule([good, dead])
    gaps = [at for at, meter in reads(one, 6 * 3600, failing={dead}) if meter == dead]
    gaps = [round(b - a, -2) for a, b in itertools.pairwise(gaps)]
    assert gaps[:6] == [900, 900, 900, 1800, 3600, 3600]
    assert one.misses[dead] > 3
    one._due.update({dead: 0.0, good: 1.0})
    assert one.next(10.0) == good
    assert one.tried(dead, 1.0, 10.0, 10.0, answered=True) > 3
    assert one.misses[dead] == 0


def test_who_waits_for_a_whole_interval_comes_first():
    """On a bus that is too full, neither speed nor failures keep anyone waiting for ever."""
    starved, others = Meter(1, 300), [Meter(number) for number in range(2, 40)]
    heard = reads(schedule([starved, *others]), 4 * 3600, took_s=60.0)
    assert sum(meter == starved for _, meter in heard) >= 3


def test_load_is_what_reads_take_of_the_time():
    """Sixty meters that take ten seconds each, every quarter of an hour: two thirds."""
    one = schedule([Meter(number) for number in range(60)])
    reads(one, 1800, took_s=10.0)
    assert one.load == pytest.approx(600 / 900)


def test_a_read_that_broke_off_comes_again_behind_those_that_wait():
    """What the line's end interrupted is not lost for an interval, and does not keep the others from being read."""
    one = due(*map(Meter, "abc"))
    first, second, third = one.next(10.0), one.next(11.0), one.next(12.0)
    assert [first, second, third] == [Meter("a"), Meter("b"), Meter("c")]
    one.tried(second, 1.0, 13.0, 13.0, answered=True)
    one.tried(third, 1.0, 14.0, 14.0, answered=True)
    assert one.next(15.0) == first


def test_a_line_without_meters_is_never_due():
    """Nothing to read, nothing wrong."""
    assert schedule([]).next(DAY) is None
