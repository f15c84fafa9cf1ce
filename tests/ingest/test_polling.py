"""Who of a line is told: one meter, or all of them, and when."""

from submeter.ingest.errors import PollError
from submeter.ingest.polling import Watch
from submeter.ingest.schedule import Meter

NOTHING = PollError("timeout", "nothing came")


def watched(*addresses):
    """A watch of these meters, the meters, and what it tells."""
    told, meters = [], [*map(Meter, addresses)]
    return Watch(meters, lambda *event: told.append(event), "check it"), meters, told


def test_a_silent_meter_is_told_once():
    """Three failures are one event, an answer another; the first answer after the start is told too, since the event may be of before."""
    watch, (a, b), told = watched("a", "b")
    watch.answered(b)
    for misses in range(1, 6):
        watch.missed(a, misses, NOTHING)
        watch.answered(b)
    watch.answered(a)
    watch.answered(a)
    assert told == [
        ("bus_connected", "b answers"),
        ("meter_connected", "b answers", "b"),
        ("meter_overdue", "a failed 3 times in a row, at last timeout: nothing came", "a"),
        ("meter_connected", "a answers", "a"),
    ]


def test_a_line_on_which_nobody_answers_is_one_event():
    """Not one for each meter, and again only after somebody answered."""
    watch, (a, b), told = watched("a", "b")
    for misses in range(1, 6):
        watch.missed(a, misses, NOTHING)
        watch.missed(b, misses, NOTHING)
    assert told == [("bus_silent", "none of 2 meters answers: check it; timeout: nothing came")]
    watch.answered(a)
    watch.missed(a, 1, NOTHING)
    watch.missed(b, 6, NOTHING)
    assert [event for event, *_ in told].count("bus_silent") == 2


def test_a_line_that_is_too_full_is_told_once_until_it_is_not():
    """It begins above 70 % of the time and ends below 50 %."""
    watch, _, told = watched(1)
    for load in (0.7, 0.71, 0.9, 0.5, 0.8, 0.4, 0.3):
        watch.busy(load)
    assert [(event, detail.split()[2]) for event, detail in told] == [("bus_full", "71%"), ("bus_eased", "40%")]
