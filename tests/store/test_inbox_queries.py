"""What is asked of an inbox besides its order: numbers of gateways, last messages by topic, what another inbox held, strangers, and its own numbers."""

from dataclasses import replace

import pytest

from submeter.store.inbox import REPLAY, RETAIN, Done, Inbox, Message, Quarantined, Stored

NOW = 1_780_000_000_000_000


@pytest.fixture
def inbox(tmp_path):
    """An empty inbox."""
    with Inbox(tmp_path / "inbox.sqlite") as opened:
        yield opened


def fill(inbox, *messages):
    """Messages, one a second, each as what differs from the first; returns them with their ids."""
    first = Message("mqtt", b"x", NOW, "cellar", "site/cellar/up")
    ids = inbox.append([replace(first, **{"received_at": NOW + number * 1_000_000} | changed) for number, changed in enumerate(messages)])
    return inbox.messages(ids)


def telegram(message, position=0, **changed):
    """A telegram of a stranger."""
    return replace(
        Quarantined(message, position, NOW, None, "cellar", "ABC-12345678-01-07", "unknown_meter", "", "wmbus", "auto", b"\x01"), **changed
    )


@pytest.mark.parametrize(("topics", "found"), [(None, [1, 2, 3]), ("site/attic/up".__eq__, [2]), ("".__eq__, [3]), ("other".__eq__, [])])
def test_last_messages_by_topic(inbox, topics, found):
    """Those whose topic is wanted; one without a topic has an empty one."""
    fill(inbox, {}, {"topic": "site/attic/up"}, {"topic": None})
    messages, end = inbox.last(9, topics=topics)
    assert ([message.id for message, _ in messages], end) == (found, 3)


def test_last_messages_come_in_order_with_their_reasons(inbox):
    """So many of the newest behind an id, of a gateway if asked; nothing new leaves the place as it is."""
    fill(inbox, {}, {"gateway": "attic"}, {}, {"topic": "other"}, {})
    inbox.finish([Done(3, reason="unknown_format"), Done(5)])
    assert [(message.id, reason) for message, reason in inbox.last(3)[0]] == [(3, "unknown_format"), (4, None), (5, None)]
    assert [message.id for message, _ in inbox.last(2, gateway="cellar", after=1)[0]] == [4, 5]
    assert [message.id for message, _ in inbox.last(1, topics="site/cellar/up".__eq__, after=1)[0]] == [5]
    assert inbox.last(9, after=5) == ([], 5)
    assert inbox.last(9, after=8) == ([], 8)


def test_messages_of_another_inbox_are_taken_over_once(inbox):
    """In their order, up to where that inbox was taken before; each inbox has a name of its own."""
    stored = [Stored("mqtt", b"%d" % number, NOW, id=number) for number in (3, 5, 9)]
    assert [inbox.take_over("other", some) for some in (stored[:2], stored, stored[:1])] == [2, 1, 0]
    assert inbox.take_over("third", stored[:1]) == 1
    assert inbox.take_over("other", []) == 0
    assert [message.payload for message in inbox.pending(9)] == [b"3", b"5", b"9", b"3"]
    assert len(inbox.identity) == 16


def test_the_next_number_may_be_moved_up(inbox):
    """Behind what the readings already have; never down."""
    assert not inbox.number_from(0)
    assert inbox.number_from(7)
    assert list(inbox.append([Message("s", b"", NOW)])) == [8]
    assert [inbox.number_from(last) for last in (7, 8, 9)] == [False, False, True]
    assert list(inbox.append([Message("s", b"", NOW)])) == [10]
    assert inbox.received() == 10


def test_what_gateways_delivered_since_an_instant(inbox):
    """How many, the first and the last; replayed files and messages of nobody aside."""
    fill(inbox, {}, {"gateway": "attic", "flags": RETAIN}, {}, {"flags": REPLAY}, {"gateway": None}, {})
    second = 1_000_000
    assert inbox.gateways(since=NOW) == {"attic": (1, NOW + second, NOW + second), "cellar": (3, NOW, NOW + 5 * second)}
    assert inbox.gateways(since=NOW + 1) == {"attic": (1, NOW + second, NOW + second), "cellar": (2, NOW + 2 * second, NOW + 5 * second)}


def test_numbers_of_gateways_up_to_the_first_that_waits(inbox):
    """Of done messages alone; repeated replies, replayed files and messages without a number are passed over, and so many come at once."""
    fill(inbox, {}, {}, {"flags": REPLAY}, {}, {}, {})
    inbox.finish([Done(number, "native", "cellar", "b", number) for number in (1, 2, 3)] + [Done(4)])
    second = 1_000_000
    assert inbox.numbered(after=0, limit=9) == ([("cellar", "b", 1, NOW), ("cellar", "b", 2, NOW + second)], 4)
    assert inbox.numbered(after=0, limit=1) == ([("cellar", "b", 1, NOW)], 1)
    assert inbox.numbered(after=2, limit=9) == ([], 4)
    assert inbox.numbered(after=9, limit=9) == ([], 9)
    inbox.finish([Done(5, "native", "cellar", "b", 7), Done(6, "native", "cellar", "b", 8)])
    assert inbox.numbered(after=4, limit=2) == ([("cellar", "b", 7, NOW + 4 * second), ("cellar", "b", 8, NOW + 5 * second)], 6)


def test_done_messages_of_a_time(inbox):
    """Half-open, behind an id, at most so many; when the oldest was received; what waits is none."""
    messages = fill(inbox, {}, {}, {}, {})
    inbox.finish([Done(number) for number in (1, 2, 3)])
    second = 1_000_000
    asked = ({}, {"after": 1}, {"since": NOW + second, "until": NOW + 2 * second}, {"limit": 1}, {"since": NOW + 9 * second})
    assert [[one.id for one in inbox.done(**some)] for some in asked] == [[1, 2, 3], [2, 3], [2], [1], []]
    assert inbox.oldest_done(before=NOW + 9 * second, after=NOW + 1) == NOW + second
    assert inbox.oldest_done(before=NOW, after=0) is None
    inbox.remove([1, 3, 99])
    assert [one.id for one in inbox.after(0, 9)] == [2, 4]
    inbox.restore(messages)
    assert [one.id for one in inbox.pending(9)] == [1, 3, 4]
    assert inbox.messages([4, 1, 1, 77]) == [messages[0], messages[3]]


def test_messages_are_decoded_again_from_an_id_on(inbox):
    """Those that were done, without their reasons; those that wait are no more than that."""
    fill(inbox, {}, {}, {}, {})
    inbox.finish([Done(1), Done(2, reason="unknown_format"), Done(3)])
    assert inbox.reopen(after=1) == 2
    assert [one.id for one in inbox.pending(9)] == [2, 3, 4]
    assert inbox.counts().refused == {}


def test_strangers_are_forgotten_by_age(inbox):
    """Messages with nothing but old ones, how many in each; telegrams kept for another reason stay."""
    inbox.quarantine(
        [
            telegram(1), telegram(1, 1), telegram(2, received_at=NOW - 5), telegram(2, 1, received_at=NOW + 5),
            telegram(3, received_at=NOW - 5), telegram(4, reason="no_key"),
        ]
    )  # fmt: skip
    assert inbox.strangers(NOW) == [(3, 1)]
    assert inbox.strangers(NOW + 1) == [(1, 2), (3, 1)]
    assert inbox.forget_strangers(NOW) == 2
    assert [(one.message, one.position) for one in inbox.quarantined()] == [(1, 0), (1, 1), (2, 1), (4, 0)]
    assert [one.position for one in inbox.quarantined_of(1)] == [0, 1]


def test_the_mark_of_the_readings_that_were_written_only_rises(inbox):
    """With what is released; a file that was made again has another."""
    inbox.quarantine([telegram(1), telegram(2)])
    marks = []
    for change in (lambda: inbox.release([(1, 0)], 7), lambda: inbox.release([], 5), lambda: inbox.release([(2, 0)]), lambda: inbox.marked(3)):
        change()
        marks.append(inbox.mark())
    assert marks == [7, 7, 7, 3]
    assert inbox.quarantined() == []


def test_what_another_inbox_says_of_its_messages_counts(inbox, tmp_path):
    """Reasons and quarantine of the messages that it holds; of others nothing changes."""
    messages = fill(inbox, {}, {}, {})
    inbox.finish([Done(number, reason="old") for number in (1, 2, 3)])
    inbox.quarantine([telegram(number) for number in (1, 2, 3)])
    with Inbox(tmp_path / "again.sqlite") as again:
        again.restore(messages[:2])
        again.finish([Done(1), Done(2, reason="new")])
        again.quarantine([telegram(2, reason="no_key"), telegram(2, 1)])
    inbox.take_quarantine(tmp_path / "again.sqlite")
    inbox.compact()
    assert [(one.message, one.position, one.reason) for one in inbox.quarantined()] == [
        (2, 0, "no_key"),
        (2, 1, "unknown_meter"),
        (3, 0, "unknown_meter"),
    ]
    assert inbox.counts().refused == {"new": 1, "old": 1}
