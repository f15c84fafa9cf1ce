import pytest

from submeter.store import KINDS, NOTES, TASKS, Registry, StoreError

pytestmark = pytest.mark.both_engines

POINT = "point:m_1/volume"


@pytest.fixture
def registry(tmp_path):
    """A registry with nothing in it."""
    with Registry(tmp_path / "registry.sqlite") as opened:
        yield opened


@pytest.fixture
def events(registry):
    """Its events."""
    return registry.events


def test_an_event_is_told_once(events):
    """The same kind, subject and instant is one event: told again it only counts, and keeps when it was raised."""
    first = events.raise_("leak", "device:A", 100, now=200, detail="water")
    again = events.raise_("leak", "device:A", 100, now=300, detail="water")
    assert (first.state, first.raised, first.seen, first.count, first.until) == ("open", 200, 200, 1, None)
    assert (again.id, again.raised, again.seen, again.count) == (first.id, 200, 300, 2)
    assert events.find() == [again]
    assert events.raise_("leak", "device:A", 101, now=300).id != first.id
    assert events.raise_("leak", "device:B", 100, now=300).id != first.id
    assert events.raise_("burst", "device:A", 100, now=300).id != first.id


def test_what_is_known_of_an_open_event_moves_on(events):
    """Amount and detail are those told last; a count that is given replaces the counting."""
    events.raise_("suspect_jump", POINT, 100, now=200, amount=5, detail="five")
    told = events.raise_("suspect_jump", POINT, 100, now=300, amount=7, detail="seven", count=4)
    assert (told.amount, told.detail, told.count) == (7, "seven", 4)


def test_what_holds_no_longer_closes_by_itself(events):
    """Open events of the kind and subject that are not among those that still hold close, inside the instants given and nowhere else."""
    for at in (10, 20, 30, 40):
        events.raise_("suspect_jump", POINT, at, now=100)
    events.raise_("suspect_jump", "point:m_2/volume", 20, now=100)
    events.raise_("reset", POINT, 20, now=100)
    assert events.settle("suspect_jump", POINT, {30}, now=200, since=20, until=40) == 1
    assert [(event.subject, event.kind, event.at) for event in events.find(state="closed")] == [(POINT, "suspect_jump", 20)]
    gone = events.find(state="closed")[0]
    assert (gone.until, gone.decided_at, gone.decided_by, gone.decision) == (200, 200, None, "gone")
    assert events.settle("suspect_jump", POINT, [], now=300, ended=250) == 3
    assert {event.until for event in events.find("suspect_jump", POINT)} == {200, 250}


def test_an_event_that_closed_by_itself_opens_again(events):
    """Readings may arrive in any order: a condition found again is open again."""
    first = events.raise_("suspect_jump", POINT, 10, now=100)
    events.settle("suspect_jump", POINT, (), now=200)
    again = events.raise_("suspect_jump", POINT, 10, now=300)
    assert (again.id, again.state, again.until, again.decided_at, again.decision) == (first.id, "open", None, None, "")


def test_what_a_person_closed_stays_closed(events, registry):
    """A decision stands, with its author in the audit, however often the condition is found again."""
    event = events.raise_("suspect_jump", POINT, 10, now=100, amount=5)
    closed = events.close(event.id, by="jan", decision="accepted", now=200)
    assert (closed.state, closed.decided_by, closed.decided_at, closed.decision) == ("closed", "jan", 200, "accepted")
    again = events.raise_("suspect_jump", POINT, 10, now=300, amount=9)
    assert (again.state, again.decision, again.amount, again.seen) == ("closed", "accepted", 5, 300)
    assert events.settle("suspect_jump", POINT, (), now=400) == 0
    assert [(line.actor, line.action, line.subject) for line in registry.audit()] == [("jan", "event.close", f"event:{event.id}")]


def test_only_an_open_event_can_be_closed(events, registry):
    """Closing twice, or what is not there, is an error that says so, and leaves no line in the audit."""
    with pytest.raises(StoreError, match="there is no event 7"):
        events.close(7, by="jan", decision="seen", now=200)
    event = events.raise_("leak", "device:A", 10, now=100)
    events.close(event.id, by="jan", decision="seen", now=200)
    with pytest.raises(StoreError, match="closed already \\(seen by jan\\)"):
        events.close(event.id, by="eva", decision="seen", now=200)
    assert len(registry.audit()) == 1


def test_information_is_closed_from_the_start(events):
    """A kind that only tells is never open, nor is a condition that was over when it was told; an open one of that instant stays open."""
    note = events.raise_("rollover", POINT, 10, now=100)
    past = events.raise_("leak", "device:A", 10, now=100, over=True)
    assert (
        (note.state, note.decision, note.decided_by, note.until)
        == (past.state, past.decision, past.decided_by, past.until)
        == ("closed", "note", None, 10)
    )
    assert events.raise_("rollover", POINT, 10, now=200).state == "closed"
    events.raise_("burst", "device:A", 10, now=100)
    assert events.raise_("burst", "device:A", 10, now=200, over=True).state == "open"
    assert events.counts() == {"burst": 1}


def test_events_are_found(events):
    """By kind, subject and state, in order of their instants; and the open ones are counted by kind."""
    for kind, subject, at in (("leak", "device:A", 30), ("leak", "device:B", 10), ("silent", "device:A", 20), ("rollover", POINT, 5)):
        events.raise_(kind, subject, at, now=100)
    assert [event.at for event in events.find()] == [5, 10, 20, 30]
    assert [event.at for event in events.find("leak")] == [10, 30]
    assert [event.at for event in events.find("leak", "device:A")] == [30]
    assert [event.at for event in events.find(subject="device:A", state="open")] == [20, 30]
    assert events.counts() == {"leak": 2, "silent": 1}


def test_a_kind_is_one_of_the_table(events):
    """A misspelt kind is refused, so that every event is one that the documentation explains."""
    with pytest.raises(StoreError, match="leek is no kind of event"):
        events.raise_("leek", "device:A", 10, now=100)
    assert len(set(KINDS)) == len(KINDS)
    assert not set(TASKS) & set(NOTES)


def test_several_are_one_transaction(events, registry):
    """What is told inside one `writing` is there together or not at all."""

    def write():
        with registry.writing():
            events.raise_("leak", "device:A", 10, now=100)
            events.raise_("leek", "device:A", 10, now=100)

    with pytest.raises(StoreError, match="no kind"):
        write()
    assert events.find() == []
    with registry.writing():
        event = events.raise_("leak", "device:A", 10, now=100)
        events.close(event.id, by="jan", decision="seen", now=100)
    with Registry(registry.path) as other:
        assert [one.decision for one in other.events.find()] == ["seen"]
