"""One pass over the outbox, with a real registry: what leaves, what waits, what is given up, and what nobody may read afterwards."""

import pytest
import structlog
from broker import free_port
from receivers import http, smtp

from submeter.config import parse
from submeter.post import Outlets, Report, SinkError, delay, deliver, outlets
from submeter.store import Registry, StoreError

MINUTE = 60_000_000
CODE = {"code": "493817", "transaction": "19128", "minutes": "5"}
GRANT = {"portal": "https://portal.example", "unit": "flat 12"}


class Sink:
    """Keeps messages; raises what it is told to."""

    def __init__(self, error=None):
        self.taken, self.error = [], error

    def send(self, message):
        if self.error:
            raise self.error
        self.taken.append(message)


class Clock:
    """Stands until it is moved."""

    def __init__(self):
        self.at = 1_000_000

    def __call__(self):
        return self.at


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    """Loopback is not asked for through a proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def registry(tmp_path):
    """A registry with one manager."""
    with Registry(tmp_path / "registry.sqlite") as opened:
        with opened.writing() as db:
            db.execute("INSERT INTO managers VALUES ('c_1', 'Správa domů')")
        yield opened


@pytest.fixture
def clock():
    """The clock of a test."""
    return Clock()


@pytest.fixture
def told():
    """What was logged."""
    with structlog.testing.capture_logs() as lines:
        yield lines


def code(registry, clock, channel="sms", address="+420601111222"):
    """Put a code for five minutes."""
    return registry.outbox.put("c_1", channel, address, "code", "cs", CODE, now=clock(), expires=clock() + 5 * MINUTE)


def grant(registry, clock, manager="c_1"):
    """Put a notice by mail."""
    return registry.outbox.put(manager, "email", "jana@example.org", "new_grant", "en", GRANT, now=clock())


def bodies(registry):
    """What the rows say, as the file has it."""
    return [body for (body,) in registry._rows("SELECT body FROM outbox ORDER BY id")]


@pytest.mark.feature("N14")
def test_what_is_due_leaves(registry, clock):
    """A pass sends what is due by each sink, written in its language in the manager's name, and a second pass sends nothing."""
    mails, messages = Sink(), Sink()
    grant(registry, clock)
    code(registry, clock)
    both = Outlets({"email": mails, "sms": messages}, {"email": "portal@example.org", "sms": "INMES"})
    assert deliver(registry, both, clock) == Report(sent=2)
    assert deliver(registry, both, clock) == Report()
    assert mails.taken[0].text.subject == "[Správa domů] New access to your flat"
    assert messages.taken[0].text.short.startswith("Kód 493817, transakce 19128")
    assert [(one.to, one.sender, one.brand) for one in mails.taken + messages.taken] == [
        ("jana@example.org", "portal@example.org", "Správa domů"),
        ("+420601111222", "INMES", "Správa domů"),
    ]
    assert bodies(registry) == [None, None]


def test_a_manager_writes_as_himself(registry, clock):
    """Name and senders of [[sender]] go before the directory and the sections; the installation itself writes as submeter."""
    config = parse('[mail]\nsender = "all@example.org"\n[[sender]]\nmanager = "c_1"\nname = "INMES"\nmail = "inmes@example.org"\n', registry.path)
    sink = Sink()
    for manager in ("c_1", "", "c_9"):
        grant(registry, clock, manager)
    deliver(registry, Outlets({"email": sink}, outlets(config).sender, outlets(config).managers), clock)
    assert [(one.brand, one.sender) for one in sink.taken] == [
        ("INMES", "inmes@example.org"),
        ("submeter", "all@example.org"),
        ("submeter", "all@example.org"),
    ]


def test_what_has_no_sink_waits(registry, clock):
    """Without a sink a message stays as it is; another channel's leaves."""
    waiting, sink = grant(registry, clock), Sink()
    code(registry, clock)
    assert deliver(registry, Outlets({"sms": sink}), clock).sent == 1
    assert (registry.outbox.one(waiting).state, registry.outbox.one(waiting).values, registry.outbox.one(waiting).tries) == ("waiting", GRANT, 0)


def test_failures_wait_longer_and_longer(registry, clock):
    """1, 2, 4 minutes and so on up to six hours; the pass ends at the first message while a sink is out."""
    assert [delay(tries) // MINUTE for tries in (1, 2, 3, 9, 10, 1000)] == [1, 2, 4, 256, 360, 360]
    sink = Sink(SinkError("down", whole=True))
    first, second = grant(registry, clock), grant(registry, clock)
    assert deliver(registry, Outlets({"email": sink}), clock) == Report(failed=1, trouble={"email": "down"})
    assert [registry.outbox.one(one).tries for one in (first, second)] == [1, 0]
    assert registry.outbox.one(first).due == clock() + MINUTE
    sink.error = SinkError("busy")
    clock.at += MINUTE
    assert deliver(registry, Outlets({"email": sink}), clock) == Report(failed=2)
    assert registry.outbox.one(first).due == clock() + 2 * MINUTE


def test_a_server_that_was_down_gets_it_when_it_is_up(registry, clock, tmp_path):
    """Down, nothing is lost and nothing is sent; up, everything arrives once."""
    port = free_port()
    found = outlets(parse(f'[mail]\nsink = "smtp"\nport = {port}\ntls = "none"\nsender = "portal@example.org"\ntimeout_s = 1', tmp_path / "p.toml"))
    for _ in range(3):
        grant(registry, clock)
    assert "Connection refused" in deliver(registry, found, clock).trouble["email"]
    clock.at += MINUTE
    with smtp(port) as (_, inbox):
        assert deliver(registry, found, clock) == Report(sent=3)
        assert deliver(registry, found, clock) == Report()
    assert len({one.content.split(b"Message-ID: ")[1].split(b"\r\n")[0] for one in inbox.mails}) == 3


def test_a_gateway_that_was_down_gets_it_when_it_is_up(registry, clock, tmp_path):
    """The same of SMS; a code that is over by then is not sent."""
    port = free_port()
    found = outlets(parse(f'[sms]\nsink = "http"\nurl = "http://127.0.0.1:{port}/"\ntimeout_s = 1', tmp_path / "p.toml"))
    old = code(registry, clock)
    clock.at += 3 * MINUTE
    young = code(registry, clock)
    assert deliver(registry, found, clock).failed == 1
    clock.at += 2 * MINUTE
    with http(port) as (_, received):
        assert deliver(registry, found, clock) == Report(sent=1, expired=1)
    assert [registry.outbox.one(one).state for one in (old, young)] == ["expired", "sent"]
    assert len(received.requests) == 1


def test_an_expired_code_is_never_sent(registry, clock):
    """Not at its last instant, and not when it expires while the pass is under way."""
    late, early = code(registry, clock, address="+420601111333"), Sink()

    class Slow(Sink):
        def send(self, message):
            super().send(message)
            clock.at += 5 * MINUTE

    slow = Slow()
    first = registry.outbox.put("c_1", "sms", "+420601111222", "code", "cs", CODE, now=clock(), expires=clock() + MINUTE)
    assert deliver(registry, Outlets({"sms": slow}), clock).sent == 1
    assert deliver(registry, Outlets({"sms": early}), clock).expired + len(early.taken) == 1
    assert sorted([registry.outbox.one(one).state for one in (first, late)]) == ["expired", "sent"]
    assert bodies(registry) == [None, None]


def test_what_is_given_up_is_told(registry, clock, told):
    """An event for the operator, one for each channel that counts on, without address or text; closed, the next one is a new one."""
    sink = Sink(SinkError("550 no such user 493817 jana@example.org", lasting=True))
    for _ in range(2):
        code(registry, clock, "email", "jana@example.org")
        assert deliver(registry, Outlets({"email": sink}), clock).given_up == 1
        clock.at += 1
    (event,) = registry.events.find("undelivered", state="open")
    assert (event.subject, event.count, event.detail) == ("outbox:email", 2, "message 2, code: 550 no such user … …")
    registry.events.close(event.id, by="me", decision="address mended", now=clock())
    code(registry, clock)
    clock.at += 5 * MINUTE
    assert deliver(registry, Outlets({}), clock).expired == 1
    assert [(one.subject, one.detail) for one in registry.events.find("undelivered", state="open")] == [
        ("outbox:sms", "message 3, code: expired after 0 tries")
    ]
    assert [line["log_level"] for line in told] == ["warning"] * 3
    everything = f"{told}{registry.events.find()}{registry.audit()}{registry.outbox.find(['given_up', 'expired'])}"
    assert "493817" not in everything
    assert "jana@" not in everything


def test_a_fault_in_a_sink_tells_its_kind_only(registry, clock, told):
    """An exception that nobody foresaw may hold the message in its words: they are dropped. The others are sent."""
    broken = Sink(ValueError("cannot encode 493817"))
    code(registry, clock)
    good = Sink()
    grant(registry, clock)
    assert deliver(registry, Outlets({"sms": broken, "email": good}), clock) == Report(sent=1, failed=1)
    assert registry.outbox.find(["waiting"])[0].error == "ValueError in Sink"
    assert "493817" not in str(told)


def test_a_crash_after_sending_sends_again_as_the_same_message(registry, clock, monkeypatch):
    """At least once: what was sent and could not be noted waits a minute, and goes again under the same mark."""
    sink = Sink()
    grant(registry, clock)
    with monkeypatch.context() as broken:

        def full(*_):
            raise StoreError("the disk is full")

        broken.setattr(registry.outbox, "sent", full)
        with pytest.raises(StoreError):
            deliver(registry, Outlets({"email": sink}), clock)
    assert deliver(registry, Outlets({"email": sink}), clock) == Report()
    clock.at += MINUTE
    assert deliver(registry, Outlets({"email": sink}), clock) == Report(sent=1)
    assert sink.taken[0] == sink.taken[1]


def test_nothing_is_sent_that_cannot_be_noted(registry, clock, monkeypatch):
    """A disk that is full before the try keeps the message here, however often it is looked at."""
    sink = Sink()
    grant(registry, clock)

    def full(*_, **__):
        raise StoreError("the disk is full")

    monkeypatch.setattr(registry.outbox, "claim", full)
    for _ in range(3):
        with pytest.raises(StoreError):
            deliver(registry, Outlets({"email": sink}), clock)
    assert sink.taken == []


def test_no_transaction_is_open_while_a_sink_works(registry, clock, tmp_path):
    """Another connection may write meanwhile."""

    class Looking(Sink):
        def send(self, message):
            super().send(message)
            with Registry(tmp_path / "registry.sqlite") as other:
                other.record("test", "test", "while sending")

    grant(registry, clock)
    assert deliver(registry, Outlets({"email": Looking()}), clock).sent == 1
    assert len(registry.audit()) == 1


def test_a_message_cancelled_during_the_pass_is_not_sent(registry, clock):
    """A newer code takes the older one back, even when the pass has begun."""
    second = []

    class Cancelling(Sink):
        def send(self, message):
            super().send(message)
            registry.outbox.cancel(second[0], now=clock())

    grant(registry, clock)
    second.append(grant(registry, clock))
    sink = Cancelling()
    assert deliver(registry, Outlets({"email": sink}), clock) == Report(sent=1)
    assert len(sink.taken) == 1


def test_a_pass_has_a_limit(registry, clock):
    """So many messages of a channel, and the rest in the next pass."""
    for _ in range(3):
        grant(registry, clock)
    sink = Sink()
    assert deliver(registry, Outlets({"email": sink}), clock, limit=2).sent == 2
    assert deliver(registry, Outlets({"email": sink}), clock, limit=2).sent == 1


def test_the_notice_of_monthly_information_is_its_proof(registry, clock):
    """The version is noted as told when the first message of it leaves, not before, and by no other message."""
    information, values = registry.information, {"link": "https://portal.example", "unit": "flat 12", "month": "October 2026"}
    information.keep("u_1", -5, "2026-10", "{}", now=1)
    version = information.newest("u_1", -5, "2026-10")
    for name in (version.notice, f"{version.notice}/a_2", "information/u_1", "other/u_1/-5/2026-10/1", f"{version.notice}1"):
        registry.outbox.put("c_1", "email", "jana@example.org", "monthly_information", "cs", values, now=clock(), unique=name)
    deliver(registry, Outlets({"email": Sink(SinkError("down"))}), clock)
    assert information.newest("u_1", -5, "2026-10").notified is None
    clock.at += MINUTE
    told = clock()
    deliver(registry, Outlets({"email": Sink()}), clock, limit=1)
    clock.at += MINUTE
    assert deliver(registry, Outlets({"email": Sink()}), clock).sent == 4
    assert (information.newest("u_1", -5, "2026-10").notified, information.newest("u_1", -5, "2026-10").via) == (told, "email")
