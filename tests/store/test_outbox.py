import re

import pytest

from submeter.store import Registry, StoreError
from submeter.store.outbox import GIVEN_UP_AFTER

pytestmark = pytest.mark.both_engines

MINUTE = 60_000_000
CODE = {"code": "493817", "transaction": "19128", "minutes": "5"}
GRANT = {"portal": "https://portal.example", "unit": "flat 12"}


@pytest.fixture
def registry(tmp_path):
    """A registry with nothing in it."""
    with Registry(tmp_path / "registry.sqlite") as opened:
        yield opened


@pytest.fixture
def outbox(registry):
    """Its outbox."""
    return registry.outbox


def code(outbox, *, now=0, expires=5 * MINUTE, **other):
    """Put a code by SMS."""
    return outbox.put("c_1", "sms", "+420601111222", "code", "cs", CODE, now=now, expires=expires, **other)


def grant(outbox, *, now=0, address="jana@example.org", **other):
    """Put a notice by mail, which has no end."""
    return outbox.put("c_1", "email", address, "new_grant", "cs", GRANT, now=now, **other)


def fail(outbox, identity, now, error="no answer", *, retry_at):
    """A try that failed."""
    outbox.claim(identity, now, again=now)
    return outbox.failed(identity, now, error, retry_at=retry_at)


def bodies(registry):
    """What the rows say, as the file has it."""
    return [body for (body,) in registry._rows("SELECT body FROM outbox ORDER BY id")]


def test_a_message_waits_until_it_is_sent(registry, outbox):
    """What was put is due with its values; once sent it is due no more, and what it said is gone."""
    identity = code(outbox)
    (notice,) = outbox.due(1, 10)
    assert (notice.id, notice.channel, notice.address, notice.values, notice.tries) == (identity, "sms", "+420601111222", CODE, 0)
    assert outbox.claim(identity, 2, again=60).values == CODE
    outbox.sent(identity, 2)
    assert outbox.due(99, 10) == []
    assert (outbox.one(identity).state, outbox.one(identity).ended, outbox.one(identity).tries, outbox.one(identity).values) == ("sent", 2, 1, {})
    assert bodies(registry) == [None]


def test_a_message_exists_when_what_it_tells_is_committed(registry, outbox):
    """A transaction that is undone leaves no message; one that is committed leaves it with the rest."""

    def undone():
        with registry.writing():
            grant(outbox)
            registry.record("test", "test", "one")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undone()
    assert (outbox.due(1, 10), registry.audit()) == ([], [])
    with registry.writing():
        grant(outbox)
        registry.record("test", "test", "two")
    assert (len(outbox.due(1, 10)), len(registry.audit())) == (1, 1)


def test_a_message_survives_a_restart(tmp_path):
    """It waits in the file, with the same mark to the outside."""
    with Registry(tmp_path / "registry.sqlite") as registry:
        grant(registry.outbox)
        mark = registry.outbox.due(1, 1)[0].mark
    with Registry(tmp_path / "registry.sqlite") as registry:
        assert [notice.mark for notice in registry.outbox.due(1, 10)] == [mark]


def test_what_expires_goes_first(outbox):
    """A code does not stand in line behind a thousand notices; within a kind the order is that of falling due."""
    first, second = grant(outbox, now=0), grant(outbox, now=1)
    urgent = code(outbox, now=2)
    assert [notice.id for notice in outbox.due(3, 10)] == [urgent, first, second]
    assert [notice.id for notice in outbox.due(3, 1)] == [urgent]
    assert [notice.id for notice in outbox.due(3, 10, {"email"})] == [first, second]


def test_an_expired_message_is_never_due(registry, outbox):
    """At its end it is due no more, and `expire` takes what it said."""
    identity = code(outbox, expires=100)
    assert [notice.id for notice in outbox.due(99, 10)] == [identity]
    assert outbox.due(100, 10) == []
    assert (outbox.overdue(99), outbox.expire(99), outbox.overdue(100)) == (False, [], True)
    assert [(notice.id, notice.state, notice.values) for notice in outbox.expire(100)] == [(identity, "expired", {})]
    assert outbox.expire(101) == []
    assert bodies(registry) == [None]


def test_a_message_is_tried_by_one_at_a_time(outbox):
    """Who claims it has it until the time told; without an outcome it is due again then, and one that ended or expired is not to be had."""
    identity = code(outbox, expires=100)
    assert outbox.claim(identity, 1, again=60).tries == 1
    assert outbox.claim(identity, 2, again=61) is None
    assert (outbox.due(59, 1), outbox.claim(identity, 60, again=99).tries) == ([], 2)
    assert outbox.claim(identity, 100, again=200) is None
    other = code(outbox)
    outbox.cancel(other, now=1)
    assert outbox.claim(other, 2, again=3) is None


def test_a_failure_is_tried_again_later(outbox):
    """A failed message is due at the time told, and remembers the error."""
    identity = grant(outbox)
    fail(outbox, identity, 10, "no answer", retry_at=20)
    assert outbox.due(19, 10) == []
    (notice,) = outbox.due(20, 10)
    assert (notice.tries, notice.tried, notice.error) == (1, 10, "no answer")
    assert fail(outbox, identity, 30, "no answer", retry_at=40).tried == 10


@pytest.mark.parametrize("retry_at", [None, 5 * MINUTE])
def test_a_message_is_given_up(registry, outbox, retry_at):
    """Without a next try, or with one after its end, it is given up and says nothing any more."""
    assert fail(outbox, code(outbox), 10, "refused", retry_at=retry_at).state == "given_up"
    assert bodies(registry) == [None]


def test_a_message_without_end_is_given_up_three_days_after_its_first_try(outbox):
    """Not after its making: what waited while nothing could send is still tried."""
    identity = grant(outbox, now=0)
    late = 10 * GIVEN_UP_AFTER
    assert fail(outbox, identity, late, "no answer", retry_at=late + MINUTE).state == "waiting"
    assert fail(outbox, identity, late + 1, "no answer", retry_at=late + GIVEN_UP_AFTER - 1).state == "waiting"
    assert fail(outbox, identity, late + 2, "no answer", retry_at=late + GIVEN_UP_AFTER).state == "given_up"


def test_no_secret_is_told(outbox):
    """Neither the values nor the address are in a repr, nor in an error that a gateway spoke."""
    identity = code(outbox)
    notice = fail(outbox, identity, 1, "gateway said:\r\n 493817 to +420601111222 refused", retry_at=2)
    assert notice.error == "gateway said: … to … refused"
    assert "493817" not in repr(notice)
    assert "601111222" not in repr(notice)
    assert notice.masked == "+420…22"


def test_a_row_that_has_ended_cannot_keep_its_values(registry, outbox):
    """The table itself refuses it."""
    code(outbox)
    with pytest.raises(StoreError, match=r"(?i)check constraint"), registry.writing() as db:
        db.execute("UPDATE outbox SET state = 'sent'")


@pytest.mark.sqlite_alone("it reads the bytes of the file")
def test_nothing_of_a_code_is_left_in_the_file(tmp_path):
    """Where it stood is overwritten: after a checkpoint the file's bytes hold it nowhere."""
    with Registry(tmp_path / "registry.sqlite") as registry:
        identities = [code(registry.outbox) for _ in range(50)]
        registry._rows("PRAGMA wal_checkpoint(TRUNCATE)")
        assert b"493817" in (tmp_path / "registry.sqlite").read_bytes()
        for identity in identities:
            registry.outbox.sent(identity, 1)
        registry._rows("PRAGMA wal_checkpoint(TRUNCATE)")
        assert b"493817" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_unique_messages_are_made_once(outbox):
    """The same name of the same manager is one message, also after it was sent; another manager's is another."""
    first = grant(outbox, unique="information/u_1/2026-10/1")
    outbox.sent(first, 1)
    assert grant(outbox, unique="information/u_1/2026-10/1") == first
    assert outbox.due(2, 10) == []
    other = outbox.put("c_2", "email", "x@example.org", "new_grant", "en", GRANT, now=0, unique="information/u_1/2026-10/1")
    assert other != first
    assert grant(outbox) != grant(outbox)


def test_a_message_is_cancelled(registry, outbox):
    """What has not left can be taken back, once; what has left cannot."""
    identity = code(outbox)
    assert outbox.cancel(identity, now=1)
    assert not outbox.cancel(identity, now=2)
    assert (outbox.due(2, 10), bodies(registry)) == ([], [None])
    gone = code(outbox)
    outbox.sent(gone, 3)
    assert not outbox.cancel(gone, now=4)
    outbox.sent(identity, 5)
    assert outbox.one(identity).state == "cancelled"


def test_retry_makes_it_due_at_once(outbox):
    """A waiting message is due again; of one that has ended nothing is left to send."""
    identity = grant(outbox)
    fail(outbox, identity, 1, "no answer", retry_at=1000)
    assert (outbox.retry(identity, now=5).due, outbox.one(identity).tries) == (5, 0)
    fail(outbox, identity, 6, "refused", retry_at=None)
    with pytest.raises(StoreError, match=f"message {identity} is given up and what it said is deleted"):
        outbox.retry(identity, now=7)
    with pytest.raises(StoreError, match="there is no message 99"):
        outbox.retry(99, now=7)


def test_counts_and_lists(outbox):
    """How many of each channel and state, and which."""
    code(outbox)
    first, second = grant(outbox), grant(outbox)
    fail(outbox, first, 1, "refused", retry_at=None)
    assert outbox.counts() == {("email", "given_up"): 1, ("email", "waiting"): 1, ("sms", "waiting"): 1}
    assert [notice.id for notice in outbox.find({"given_up"})] == [first]
    assert second in [notice.id for notice in outbox.find({"waiting", "given_up"})]


def test_old_messages_and_those_of_a_person_are_forgotten(outbox):
    """Ended ones before an instant, or all to an address; what waits stays otherwise."""
    old, young, waiting = grant(outbox), grant(outbox), grant(outbox, address="petr@example.org")
    outbox.sent(old, 10)
    outbox.sent(young, 20)
    assert outbox.forget(before=20) == 1
    assert [notice.id for notice in outbox.find({"sent", "waiting"})] == [young, waiting]
    assert outbox.forget(address="petr@example.org") == 1
    assert outbox.counts() == {("email", "sent"): 1}


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("email", "jana@example.org\r\nBcc: all@example.org"),
        ("email", "jana@example.org\n"),
        ("email", "jana@example.org, petr@example.org"),
        ("email", "Jana <jana@example.org>"),
        ("email", "jana"),
        ("email", "-oX@example.org"),
        ("email", "jana..nova@example.org"),
        ("email", "jána@example.org"),
        ("email", "jana@.example.org"),
        ("email", "jana@example.org\x00"),
        ("email", "a" * 250 + "@b.cz"),
        ("email", ""),
        ("sms", "+420 601 111 222"),
        ("sms", "+420601111222\n"),
        ("sms", "112"),
        ("sms", "+420601111222&to=1"),
        ("sms", "٤٢٠٦٠١١١١"),
        ("letter", "Jana Nová\nDlouhá 1"),
        ("letter", ""),
    ],
)
def test_an_address_that_says_more_than_one_is_refused(outbox, channel, address):
    """Control characters, lists and names never come into a header or a request; the refusal, in one line, does not repeat them."""
    with pytest.raises(StoreError) as caught:
        outbox.put("c_1", channel, address, "new_grant", "cs", GRANT, now=0)
    assert re.fullmatch(f"this address cannot be written to by {channel}: write .*", str(caught.value))


@pytest.mark.parametrize("channel_address", [("email", "jana.nova+flat@pošta.cz"), ("sms", "4791234567"), ("letter", "Jana Nová, Dlouhá 1, Praha")])
def test_usual_addresses_are_taken(outbox, channel_address):
    """Accents in a domain, plus signs, and a postal address in one line."""
    outbox.put("c_1", *channel_address, "new_grant", "cs", GRANT, now=0)
    assert outbox.due(1, 1)[0].address == channel_address[1]


def test_what_does_not_fit_is_refused_when_it_is_put(outbox):
    """A mistake shows where it is made, not when the message is to leave; its values are not in the refusal."""
    for changed, said in (
        ({"channel": "fax"}, "fax is no channel"),
        ({"template": "hello"}, "hello is no template"),
        ({"locale": "xx"}, "xx is no language"),
        ({"values": {"code": "493817"}}, "look at minutes, transaction"),
        ({"values": CODE | {"more": "493817"}}, "look at more"),
        ({"expires": None}, "code holds a secret: say when it expires"),
    ):
        wanted = {"channel": "sms", "address": "+420601111222", "template": "code", "locale": "cs", "values": CODE, "expires": 9} | changed
        with pytest.raises(StoreError, match=said) as caught:
            outbox.put("c_1", **wanted, now=0)
        assert "493817" not in str(caught.value)
    assert outbox.counts() == {}


def test_two_workers_see_the_same_file(tmp_path):
    """The API writes with a connection of its own, the worker reads with another: each sees what the other committed."""
    with Registry(tmp_path / "registry.sqlite") as one, Registry(tmp_path / "registry.sqlite") as other:
        identity = code(one.outbox)
        assert [notice.id for notice in other.outbox.due(1, 10)] == [identity]
        other.outbox.sent(identity, 2)
        assert one.outbox.due(3, 10) == []


def test_the_file_of_a_process_that_died_is_read(tmp_path, outside):
    """A message is on the disk when `put` returns."""
    registry = Registry(tmp_path / "registry.sqlite")
    grant(registry.outbox)
    assert outside(registry.path, "SELECT count(*) FROM outbox") == [(1,)]
    registry.close()
