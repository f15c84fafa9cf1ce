"""What makes a telegram a replay, by itself: counters that are authenticated, totals that are not (docs/decisions/2026-11-21-replay.md)."""

import pytest

from submeter.decoders import Telegram
from submeter.ingest.guard import COUNTER, Guard
from submeter.reading import DeviceId, Reading, Register
from submeter.store import Accepted

METER, OTHER = DeviceId("STM", "82000001", 3, 7), DeviceId("STM", "82000002", 3, 7)
VOLUME, BACK, FLOW = Register("volume", "m3"), Register("volume_backflow", "m3"), Register("flow", "m3/h")
SECOND = 1_000_000


def telegram(*readings, counter=None, device=METER):
    """A telegram with these readings of now."""
    return Telegram(device, tuple(readings), (), None, (), 0, counter, None, b"", more=False, suspect=False, notes=())


def total(value, register=VOLUME, stamp=None):
    """A reading of a total."""
    return Reading(register, value, stamp)


class Taking:
    """A guard that takes telegrams one after another; `sent` are values that earlier bytes brought."""

    def __init__(self, newest=None, sent=()):
        self.guard = Guard(newest or {})
        self.sent, self.asked = set(sent), []

    def __call__(self, one, second):
        """Whether it is taken."""

        def sent_before(register, value):
            self.asked.append((str(register), value))
            return value in self.sent

        objection = self.guard.objection(one, second * SECOND, sent_before)
        if objection is None:
            self.guard.accept(one, second * SECOND)
        return objection is None


#: Counters of telegrams with the second in which they are heard → which are taken.
COUNTERS = {
    "rising": ([(1, 0), (2, 100), (3, 200)], [True] * 3),
    "the same again": ([(1, 0), (1, 100)], [True, False]),
    "the same again within the radio window": ([(1, 0), (1, 10)], [True, True]),
    "a second later": ([(1, 0), (1, 11)], [True, False]),
    "lower": ([(5, 0), (4, 100), (6, 200)], [True, False, True]),
    "lower and heard before": ([(5, 1000), (4, 900), (5, 1100)], [True, True, False]),
    "a late one does not lower what is known": ([(5, 1000), (3, 0), (4, 2000), (6, 2100)], [True, True, False, True]),
    "zero is a counter": ([(0, 0), (0, 100), (1, 200)], [True, False, True]),
}


@pytest.mark.parametrize("name", COUNTERS)
def test_an_authenticated_counter_rises(name):
    """It must be higher than the highest one accepted, unless it was heard before that one; totals beside it are not asked about."""
    take = Taking()
    steps, taken = COUNTERS[name]
    assert [take(telegram(total(10), counter=counter), second) for counter, second in steps] == taken
    assert take.asked == []


#: Totals of telegrams with the second in which they are heard, and what was sent before → which are taken, and what was looked into.
TOTALS = {
    "rising": ([(10, 0), (11, 100)], {10, 11}, [True, True], []),
    "standing still": ([(10, 0), (10, 100)], {10}, [True, True], []),
    "a fall in bytes that were heard before": ([(10, 0), (9, 100)], {9}, [True, False], [("volume", 9)]),
    "a fall in bytes that are new: the classifier's": ([(10, 0), (9, 100), (10, 200)], set(), [True, True, True], [("volume", 9)]),
    "a fall within the radio window": ([(10, 0), (9, 10)], {9}, [True, True], []),
    "a fall that was heard before the newest": ([(10, 1000), (9, 0)], {9}, [True, True], []),
    "what was late is not the newest": ([(10, 1000), (9, 0), (10, 1100)], {9, 10}, [True] * 3, []),
    "behind an accepted fall the lower one is the newest": ([(10, 0), (5, 100), (6, 200)], {6}, [True] * 3, [("volume", 5)]),
}


@pytest.mark.parametrize("name", TOTALS)
def test_a_total_that_falls_is_looked_into(name):
    """Only where it falls, and only below what was heard before it, are the bytes of earlier telegrams asked about."""
    steps, sent, taken, asked = TOTALS[name]
    take = Taking(sent=sent)
    assert [take(telegram(total(value)), second) for value, second in steps] == taken
    assert take.asked == asked


@pytest.mark.parametrize(
    "falling",
    [
        Reading(FLOW, 1),  # may fall
        total(1, stamp="2026-01-01"),  # of another time
        Reading(VOLUME, None),  # no value
    ],
)
def test_what_may_fall_is_not_asked_about(falling):
    """Gauges, stored values, values that are none."""
    take = Taking({(str(METER), "flow"): Accepted(0, 10), (str(METER), "volume"): Accepted(0, 10)}, sent={1})
    assert take(telegram(falling), 100)
    assert take.asked == []


def test_each_register_and_each_device_is_for_itself():
    """A second counter of the same meter, and another meter, say nothing of the first."""
    take = Taking(sent={5})
    assert take(telegram(total(10), total(3, BACK)), 0)
    assert take(telegram(total(5), device=OTHER), 100)
    assert take(telegram(total(5, BACK)), 100)
    assert take(telegram(total(11), total(4, BACK)), 200)  # 4 is below 5, and was not sent before
    assert take.asked == [("volume_backflow", 4)]
    assert not take(telegram(total(5)), 300)


def test_what_was_accepted_is_kept_when_the_store_has_it():
    """Until then it is fresh; over a restart it is what the store says."""
    guard = Guard({(str(METER), COUNTER): Accepted(0, 5)})
    guard.accept(telegram(counter=7), 100)
    assert guard.fresh == {(str(METER), COUNTER): Accepted(100, 7)}
    guard.keep()
    assert guard.fresh == {}
    assert guard.objection(telegram(counter=7), 100 * SECOND, lambda *_: False) == "its counter 7 is not above the one before"
    guard.accept(telegram(counter=6), 200)
    assert guard.fresh == {}
    guard.accept(telegram(counter=6), 200, anyhow=True)
    assert guard.fresh == {(str(METER), COUNTER): Accepted(200, 6)}


def test_totals_together_rise_or_none_is_taken():
    """The fast way for ordinary telegrams: as `accept`, if none of the totals falls."""
    volume, back = (str(METER), "volume"), (str(METER), "volume_backflow")
    guard = Guard({volume: Accepted(0, 10), back: Accepted(0, 3)})
    assert not guard.rise([(volume, 11), (back, 2)], 100 * SECOND)
    assert guard.fresh == {}
    assert guard.rise([(volume, 11), (back, 2)], 10 * SECOND)  # in the radio window
    assert guard.rise([(volume, 12)], 100 * SECOND)
    assert guard.rise([(volume, 11)], 50 * SECOND)  # late
    assert guard.fresh == {volume: Accepted(100 * SECOND, 12), back: Accepted(10 * SECOND, 2)}
    assert guard.rise([], 0)
    assert (guard.last(str(METER), VOLUME), guard.last(str(METER), FLOW)) == (100 * SECOND, None)
