"""What the numbers of gateways' messages tell, by themselves and through the real drain."""

import json
import random
import threading

import pytest
from broker import wait_until
from test_sightings import House

from submeter import civil
from submeter.aggregate import watch
from submeter.config import Events
from submeter.ingest.following import Clock, follow, watch_inbox
from submeter.ingest.mqtt import MqttCollector
from submeter.ingest.numbering import Numbers
from submeter.ingest.room import Room
from submeter.ingest.session import MqttSettings
from submeter.store.inbox import REPLAY, Inbox, Message

START, MINUTE, DAY = civil.instant("2026-03-02T10:00:00Z"), civil.MINUTE, civil.DAY


def told(messages, now=None):
    """Kinds and instants (minutes after START) of what messages (boot, number, minute) tell, and the state after them."""
    numbers = Numbers("cellar")
    notes = []
    for boot, number, minute in messages:
        notes += numbers.take(boot, number, START + minute * MINUTE)
        numbers = Numbers.of("cellar", json.loads(json.dumps(numbers.state())))  # as it is kept
    notes += numbers.overdue(START + now * MINUTE) if now is not None else []
    return [(note.kind, (note.at - START) // MINUTE, note.ended is not None) for note in notes], numbers


def test_numbers_in_order_tell_nothing():
    """A gateway that is first heard in the middle of its life lacks nothing."""
    assert told([("a", number, number) for number in range(500, 520)], now=10_000)[0] == []


def test_a_hole_is_told_after_a_while():
    """What is missing for 15 minutes is told once, at the message before it, with what is missing."""
    messages = [("a", 1, 0), ("a", 2, 1), ("a", 6, 2), ("a", 7, 3)]
    assert told(messages, now=16) == ([], told(messages)[1])
    notes, numbers = told(messages, now=17)
    assert notes == [("sequence_gap", 1, False)]
    assert (numbers.missing, numbers.gaps) == (3, 1)
    assert list(numbers.overdue(START + DAY)) == []


def test_late_messages_close_a_hole():
    """The last missing one ends what was told, whatever the order; before that nothing is said."""
    numbers = told([("a", 1, 0), ("a", 200, 1)], now=60)[1]
    late = list(range(2, 200))
    random.Random(3).shuffle(late)
    notes = [list(numbers.take("a", number, START + 90 * MINUTE)) for number in late]
    assert [one for one in notes[:-1] if one] == []
    ((note,),) = notes[-1:]
    assert (note.kind, note.at, note.ended) == ("sequence_gap", START, START + 90 * MINUTE)
    assert numbers.missing == 0


def test_a_hole_that_closes_in_time_is_not_told():
    """Messages over HTTP may overtake each other."""
    assert told([("a", 1, 0), ("a", 3, 1), ("a", 2, 2), ("a", 4, 3)], now=100)[0] == []


def test_a_restart_is_told_with_what_its_first_messages_lack():
    """A new boot is a restart; its first number tells how many messages of it are missing."""
    notes, numbers = told([("a", 7, 0), ("b", 2, 5)], now=60)
    assert notes == [("gateway_restarted", 5, False), ("sequence_gap", 0, False)]
    assert (numbers.restarts, numbers.missing) == (1, 2)


def test_a_gateway_that_forgets_its_boot_is_a_restart():
    """Number 0 under the same boot, after others, is a start; no other number that was there before is."""
    assert told([("a", 0, 0), ("a", 1, 1), ("a", 1, 2), ("a", 0, 3), ("a", 1, 4)], now=60)[0] == [("gateway_restarted", 3, False)]


def test_two_devices_of_one_name_are_told_once_a_day():
    """Two boots that go on in turn are a conflict; neither's numbers look like holes."""
    messages = [("a", 0, 0), ("b", 0, 1), *((boot, number, 2 + number) for number in range(1, 30) for boot in ("a", "b"))]
    assert told(messages, now=1000)[0] == [("gateway_restarted", 1, False), ("gateway_identity_conflict", 3, False)]


def test_what_came_late_from_before_a_restart_is_no_conflict():
    """A missing message of the boot before fills its hole."""
    assert told([("a", 0, 0), ("a", 2, 1), ("b", 0, 2), ("a", 1, 3)], now=60)[0] == [("gateway_restarted", 2, False)]


def test_memory_is_bounded():
    """A gateway that starts anew with each message, or loses every second one, does not fill the file."""
    numbers = told([(f"b{number}", 0, number) for number in range(100)])[1]
    assert len(numbers.runs) <= 16
    numbers = told([("a", 2 * number, number) for number in range(300)])[1]
    assert len(numbers.runs["a"].holes) <= 64


RESTART, GAP, CONFLICT = "gateway_restarted", "sequence_gap", "gateway_identity_conflict"
WEEK = 7 * 24 * 60
#: What happens → messages (boot, number, minute), the minute of the look, what is told, and how many restarts, gaps and missing messages there are.
STORIES = {
    "nothing yet": ([], 0, [], (0, 0, 0)),
    "the first message of all may have any number": ([("a", 900, 0)], 60, [], (0, 0, 0)),
    "the same number again": ([("a", 5, 0), ("a", 5, 1), ("a", 5, 2)], 60, [], (0, 0, 0)),
    "a hole a minute before it is told": ([("a", 1, 0), ("a", 3, 0)], 14, [], (0, 0, 1)),
    "a hole when it is told": ([("a", 1, 0), ("a", 3, 0)], 15, [(GAP, 0, False)], (0, 1, 1)),
    "a hole counts from the message behind it": ([("a", 1, 0), ("a", 3, 10)], 24, [], (0, 0, 1)),
    "two holes are two gaps": ([("a", 1, 0), ("a", 3, 1), ("a", 6, 2)], 30, [(GAP, 0, False), (GAP, 1, False)], (0, 2, 3)),
    "the second of two holes is filled": ([("a", 1, 0), ("a", 3, 1), ("a", 5, 2), ("a", 4, 3)], 30, [(GAP, 0, False)], (0, 1, 1)),
    "a hole is filled from its middle": ([("a", 1, 0), ("a", 5, 1), ("a", 3, 2)], 30, [(GAP, 0, False)], (0, 1, 2)),
    "a hole is filled from both ends": ([("a", 1, 0), ("a", 5, 1), ("a", 2, 2), ("a", 4, 3), ("a", 3, 4)], 30, [], (0, 0, 0)),
    "number 0 may be late": ([("a", 9, 0), ("b", 1, 1), ("b", 0, 2)], 60, [(RESTART, 1, False)], (1, 0, 0)),
    "number 0 that came before is a start": ([("a", 0, 0), ("a", 1, 1), ("a", 0, 2), ("a", 1, 3)], 60, [(RESTART, 2, False)], (1, 0, 0)),
    "a start in the middle of a boot lacks what is before it": ([("a", 7, 0), ("b", 3, 5)], 20, [(RESTART, 5, False), (GAP, 0, False)], (1, 1, 3)),
    "the boot before goes on": ([("a", 0, 0), ("b", 0, 1), ("a", 1, 2)], 60, [(RESTART, 1, False), (CONFLICT, 2, False)], (1, 0, 0)),
    "a conflict is told again after a day": (
        [("a", 0, 0), ("b", 0, 1), ("a", 1, 2), ("b", 1, 3), ("a", 2, 2 + 1440), ("b", 2, 3 + 1440)],
        2000,
        [(RESTART, 1, False), (CONFLICT, 2, False), (CONFLICT, 2 + 1440, False)],
        (1, 0, 0),
    ),
    "a boot is remembered for a week": ([("a", 0, 0), ("b", 0, WEEK - 1), ("a", 1, WEEK)], WEEK, [(RESTART, WEEK - 1, False), (CONFLICT, WEEK, False)], (1, 0, 0)),
    "and forgotten then": ([("a", 0, 0), ("b", 0, WEEK), ("a", 1, WEEK + 1)], WEEK + 2, [(RESTART, WEEK, False), (RESTART, WEEK + 1, False)], (2, 0, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_what_numbers_tell(name):
    """Each story as it is told, and what is known of the gateway after it."""
    messages, minute, wanted, (restarts, gaps, missing) = STORIES[name]
    notes, numbers = told(messages, now=minute)
    assert notes == wanted
    assert (numbers.restarts, numbers.gaps, numbers.missing) == (restarts, gaps, missing)


@pytest.mark.parametrize(
    ("numbers", "count", "ranges"),
    [
        ((0, 2), 1, "1"),
        ((0, 5), 4, "1 to 4"),
        ((0, 20, 2, 5, 6, 9, 12), 14, "1, 3 to 4, 7 to 8, 10 to 11, 13 to 19"),
        ((0, 20, 2, 4, 6, 8, 10), 14, "1, 3, 5, 7, 9 and more"),
    ],
)
def test_a_gap_says_what_is_missing(numbers, count, ranges):
    """How many, between which instants, and which: five ranges at most; and how long the gap is."""
    state = told([("a", number, minute) for minute, number in enumerate(numbers)])[1]
    (note,) = state.overdue(START + DAY)
    between = "between 2026-03-02T10:00:00Z and 2026-03-02T10:01:00Z"
    assert note.detail.startswith(f"{count} messages of gateway cellar are missing, {between}: numbers {ranges} of boot 'a'")
    assert note.span == MINUTE


@pytest.fixture
def house(tmp_path):
    """A house with a drain."""
    made = House(tmp_path)
    yield made
    made.close()


def push(house, boot, *numbers, flags=0):
    """Numbered messages, a minute apart, decoded."""
    for number in numbers:
        house.now += MINUTE
        line = json.dumps({"v": 1, "gw": "cellar", "boot": boot, "seq": number, "t": []}).encode()
        house.inbox.append([Message("test", line, house.now, gateway="cellar", flags=flags)])
        house.drain.step()


def test_gaps_are_events_that_end(house):
    """Through inbox and drain: a gap is an event after a while, over a restart of submeter too, and closed when its messages are there."""
    push(house, "a", 0, 1, 4, 5)
    follow(house.inbox, house.registry, house.now)
    assert house.events() == []
    house.close()
    house.open()
    follow(house.inbox, house.registry, house.now + 20 * MINUTE)
    assert house.events() == [("sequence_gap", "gateway:cellar", START + 2 * MINUTE, None, "open")]
    push(house, "a", 3, 2)
    follow(house.inbox, house.registry, house.now)
    assert house.events() == [("sequence_gap", "gateway:cellar", START + 2 * MINUTE, house.now, "closed")]


def test_repetitions_and_replays_number_nothing(house):
    """A message that is delivered twice, and a replayed file of another year, change nothing; nothing is looked at twice."""
    push(house, "a", 0, 1, 1, 0, 2)
    push(house, "history", 7, 9, flags=REPLAY)
    follow(house.inbox, house.registry, house.now)
    before = house.registry.gateways.numbers()
    follow(house.inbox, house.registry, house.now + DAY)
    assert house.registry.gateways.numbers() == before
    assert house.events() == []
    assert before[1]["cellar"]["runs"]["a"]["highest"] == 2


def test_what_waits_is_looked_at_when_it_is_done(house):
    """Messages that the drain has not come to are left for the next time."""
    push(house, "a", 0)
    line = json.dumps({"v": 1, "gw": "cellar", "boot": "b", "seq": 0, "t": []}).encode()
    house.inbox.append([Message("test", line, house.now, gateway="cellar")])
    follow(house.inbox, house.registry, house.now)
    house.drain.step()
    follow(house.inbox, house.registry, house.now)
    assert [kind for kind, *_ in house.events()] == ["gateway_restarted"]


def test_a_full_disk_and_a_backlog_are_events_while_they_last(house):
    """Both begin once, and end when there is room and nothing waits for long."""
    free = [10]
    room = Room(house.folder, usage=lambda _: (1000, 0, free[0]), clock=iter(range(100)).__next__)
    house.inbox.append([Message("test", b"x", START - civil.HOUR - MINUTE)])
    for _ in range(2):
        watch_inbox(house.inbox, house.registry, room, START)
    assert house.events() == [("inbox_backlog", "inbox:messages", START, None, "open"), ("inbox_low_disk", "inbox:disk", START, None, "open")]
    house.drain.step()
    free[0] = 500
    watch_inbox(house.inbox, house.registry, room, START + MINUTE)
    assert house.events(state="open") == []


def test_a_clock_that_is_set_is_an_event(house):
    """A step of either direction is one event each; a clock that drifts, or is looked at for the first time, is none."""
    wall, running = iter([100, 160.5, 221, 341, 371]), iter([0, 60, 120, 180, 240])
    clock = Clock(lambda: START + round(next(wall) * civil.SECOND), lambda: next(running) * civil.SECOND)
    for _ in range(5):
        clock.look(house.registry)
    events = house.registry.events.find("collector_clock_step")
    assert [(event.subject, event.at - START, event.state) for event in events] == [
        ("inbox:clock", 341 * civil.SECOND, "open"),
        ("inbox:clock", 371 * civil.SECOND, "open"),
    ]
    assert "+60 s" in events[0].detail
    assert "-30 s" in events[1].detail


def test_a_collector_takes_nothing_while_the_disk_is_full(tmp_path, broker):
    """Messages wait at the broker while there is no room, and are kept when there is."""
    told, stop, free = [], threading.Event(), [0]
    collector = MqttCollector(MqttSettings(port=broker.port), tmp_path / "inbox.sqlite", lambda event, _: told.append(event))
    with Inbox(tmp_path / "inbox.sqlite") as inbox:
        free[0] = 500
        collector._room = Room(tmp_path, usage=lambda _: (1000, 0, free[0]), clock=iter(range(10**9)).__next__)
        thread = threading.Thread(target=collector.run, args=[stop])
        thread.start()
        wait_until(lambda: collector.counters.connected)
        free[0] = 0
        wait_until(lambda: told[-1:] == ["inbox_write_failed"])
        broker.publish(("submeter/v1/gw-7/up", b"kept back"))
        assert inbox.pending(10) == []
        free[0] = 500
        wait_until(lambda: [one.payload for one in inbox.pending(10)] == [b"kept back"])
        stop.set()
        thread.join()


def test_strangers_are_counted_once_a_day_and_gateway(house):
    """Devices that the directory does not have are one note a gateway and day, however many and however often looked."""
    house.known = None
    house.hear(START)
    for _ in range(2):
        watch(house.readings, house.registry, START + MINUTE, limits=Events(), nightly=False)
    (note,) = house.registry.events.find("unknown_meter_heard")
    assert (note.subject, note.at, note.state) == ("gateway:cellar", START - 10 * civil.HOUR, "closed")
    assert "heard 1 devices" in note.detail
    house.hear(START + DAY)
    watch(house.readings, house.registry, START + DAY, limits=Events(), nightly=False)
    assert len(house.registry.events.find("unknown_meter_heard")) == 1
