"""The process ends between two steps of the chain, at a named place, and starts again: faults 1, 2, 3 and 5 of reliability/FAULTS.md."""

import re

import pytest
from collecting import Child, batch, drained
from exactly import exactly_once
from installation import ROOT
from payloads import TOPIC
from pushing import Pushed, chosen, stored_message

from submeter import civil
from submeter.core import now
from submeter.failpoint import ENDED, NAMES
from submeter.reading import DeviceId
from submeter.simulate import encode
from submeter.store import Inbox, Message

STRANGER = encode.radio(DeviceId("ZZZ", "99999999", 1, 7), encode.plain(encode.bcd(b"\x13", 1, 8), encode.Header(access=1)))


@pytest.fixture
def here(tmp_path):
    """An installation that is pushed to."""
    made = Pushed(tmp_path / "here")
    yield made
    made.close()


def test_fault_02_killed_between_inbox_and_readings(here):
    """What the inbox has is decoded by the next process, once."""
    ended_while_it_decodes(here, "decoded")


def test_fault_02_killed_between_readings_and_the_mark_in_the_inbox(here):
    """What the readings have is not decoded again, though the inbox calls it undone."""
    ended_while_it_decodes(here, "stored")


def ended_while_it_decodes(here, failpoint):
    """A process that ends there with waiting messages, and another one with more of them; what gave no reading is kept too, and each reception counts once."""
    with Inbox(here.folder / "data" / "inbox.sqlite") as inbox:
        for environment, status in ((chosen(failpoint), ENDED), ({}, 0)):
            for message in here.next(4):
                inbox.append([stored_message(message)])
                here.sent.extend(message.sent)
            inbox.append([Message("t", STRANGER.hex().encode(), now() - status * civil.MINUTE)])  # apart, or they were one transmission
            assert here.rolls_up(**environment) == status
        assert inbox.counts().quarantined == {"unknown_meter": 2}
    with here.core() as core:
        assert sum(row["n"] for row in core.readings.receptions().to_pylist()) == len(here.sent) + 2
    exactly_once(here, here.sent)


def test_fault_03_killed_between_commit_and_answer(here):
    """What is kept and was not answered is sent again, and known again."""
    first = here.next(1)
    here.start(**chosen("kept"))
    assert not here.push(first[0])
    here.ended_at("kept")
    here.start()
    here.push_all(first + here.next(4))
    here.stop()
    exactly_once(here, here.sent)


@pytest.mark.parametrize("failpoint", ["received", "kept"])
def test_fault_01_and_03_killed_before_the_acknowledgement_over_mqtt(tmp_path, broker, monkeypatch, failpoint):
    """Over MQTT the broker sends again what was not acknowledged: each message gives one reading."""
    path = tmp_path / "inbox.sqlite"
    Child(broker.port, path).kill()  # the session exists
    with monkeypatch.context() as ending:
        for name, value in chosen(failpoint).items():
            ending.setenv(name, value)
        child = Child(broker.port, path)
    broker.publish(*((TOPIC, batch(number)) for number in range(20)))
    assert child.ended() == ENDED
    with Inbox(path) as inbox:
        assert (inbox.received() > 0) == (failpoint == "kept")
    child = Child(broker.port, path)
    broker.publish((TOPIC, batch(20)))
    child.until_kept(20)
    child.kill()
    counted, counts = drained(path)
    assert counted == dict.fromkeys(range(21), 1)
    assert counts.refused.keys() <= {"redelivered"}


@pytest.mark.parametrize("failpoint", ["computed", "published"])
def test_fault_05_killed_in_a_rollup(here, failpoint):
    """Rows are old or new, and the next run publishes what a computation from scratch gives."""
    with here.core() as core:
        for message in here.next(60):
            here.sent.extend(message.sent)
            core.inbox.append([stored_message(message)])
        core.drain_all()
    assert here.rolls_up(**chosen(failpoint)) == ENDED
    exactly_once(here, here.sent)


def test_a_failpoint_needs_both_variables(here):
    """Without SUBMETER_TEST=1 the name of a place changes nothing."""
    with here.core() as core:
        core.inbox.append([stored_message(message) for message in here.next(4)])
        core.drain_all()
    assert here.rolls_up(SUBMETER_FAILPOINT="computed", SUBMETER_TEST="") == 0


def test_every_failpoint_is_named_where_it_stands():
    """The places of the table are those in the code."""
    found = set()
    for file in ROOT.glob("*/*.py"):
        if file.parent.name not in {"tests", "bench"}:
            found |= set(re.findall(r'failpoint\("(\w+)"\)', file.read_text()))
    assert found == set(NAMES)
