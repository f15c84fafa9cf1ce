"""The outbox of a running submeter: threads that deliver, the commands, and what stands in the file afterwards."""

import threading
import time

import pytest
import structlog
from broker import free_port, wait_until
from installation import Installation
from receivers import hanging, http, smtp

from submeter.commands import execute
from submeter.config import parse
from submeter.core import now
from submeter.errors import SubmeterError
from submeter.outbox import Postmen
from submeter.service import serve
from submeter.store import Registry

MINUTE = 60_000_000
CODE = {"code": "493817", "transaction": "19128", "minutes": "5"}


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    """Looks often, and does not go through a proxy to loopback."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("submeter.outbox.LOOK_S", 0.02)
    monkeypatch.setattr("submeter.outbox.TROUBLE_S", 0.1)


@pytest.fixture
def registry(tmp_path):
    """The registry of a data folder."""
    (tmp_path / "data").mkdir()
    with Registry(tmp_path / "data" / "registry.sqlite") as opened:
        yield opened


def put(registry, channel, address, *, minutes=5):
    """Put a code."""
    return registry.outbox.put("", channel, address, "code", "cs", CODE, now=now(), expires=now() + int(minutes * MINUTE))


def states(registry):
    """The states of all messages in order."""
    return [state for (state,) in registry._rows("SELECT state FROM outbox ORDER BY id")]


def mail(port, timeout=5):
    """The configuration of a mail server on loopback."""
    return f'[mail]\nsink = "smtp"\nport = {port}\ntls = "none"\nsender = "portal@example.org"\ntimeout_s = {timeout}\n'


def postmen(tmp_path, text):
    """The threads for a configuration."""
    return Postmen(parse(text, tmp_path / "pipeline.toml"), now)


def test_a_hanging_mail_server_keeps_no_sms_waiting(registry, tmp_path):
    """SMS leave at once while mail hangs, nobody's transaction waits, and stopping does not take long."""
    put(registry, "email", "jana@example.org")
    with hanging() as port, http() as (url, received):
        running = postmen(tmp_path, f'{mail(port, 60)}[sms]\nsink = "http"\nurl = "{url}"\n')
        running.start()
        wait_until(lambda: registry.outbox.one(1).tries == 1)
        for number in range(3):
            put(registry, "sms", f"+42060111122{number}")
        wait_until(lambda: len(received.requests) == 3)
        wait_until(lambda: states(registry) == ["waiting", "sent", "sent", "sent"])
        began = time.monotonic()
        registry.record("test", "test", "still writes")
        assert time.monotonic() - began < 1
    running.stop()
    assert "493817" not in str(registry.audit())


def test_stopping_does_not_wait_for_a_server_that_hangs(registry, tmp_path, monkeypatch):
    """The message under way is left alone after a while: it is tried again after the next start."""
    monkeypatch.setattr("submeter.outbox.STOP_S", 0.2)
    put(registry, "email", "jana@example.org")
    with hanging() as port:
        running = postmen(tmp_path, mail(port, 60))
        running.start()
        wait_until(lambda: registry.outbox.one(1).tries == 1)
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < 2
    assert (states(registry), registry.outbox.one(1).due > now()) == (["waiting"], True)


def test_a_mail_server_that_comes_up_gets_what_waits(registry, tmp_path, monkeypatch):
    """Trouble is told once, and so is its end; the message leaves by itself, and nothing told holds the code."""
    monkeypatch.setattr("submeter.post.delivery.MINUTE", 100_000)
    port = free_port()
    with structlog.testing.capture_logs() as told:
        running = postmen(tmp_path, mail(port))
        running.start()
        put(registry, "email", "jana@example.org")
        wait_until(lambda: registry.outbox.one(1).tries >= 2)
        with smtp(port) as (_, inbox):
            wait_until(lambda: states(registry) == ["sent"])
        running.stop()
    assert len(inbox.mails) == 1
    assert [line["event"] for line in told if line["event"].startswith("outbox")] == ["outbox cannot deliver", "outbox delivers again"]
    assert "493817" not in str(told)
    assert "jana@" not in str(told)


def test_without_a_sink_codes_still_end(registry, tmp_path):
    """Nothing can leave, but what has expired is taken away."""
    running = postmen(tmp_path, "")
    running.start()
    put(registry, "sms", "+420601111222", minutes=0.005)
    wait_until(lambda: states(registry) == ["expired"])
    running.stop()
    assert registry._rows("SELECT body FROM outbox") == [(None,)]


def test_a_registry_that_cannot_be_opened_is_tried_again(tmp_path):
    """The thread outlives it, says it once, and delivers when the file is there."""
    with structlog.testing.capture_logs() as told:
        running = postmen(tmp_path, '[sms]\nsink = "file"\nfolder = "out"\n')
        running.start()
        wait_until(lambda: sum("cannot be opened" in str(line) for line in told) == 2)
        (tmp_path / "data").mkdir()
        with Registry(tmp_path / "data" / "registry.sqlite") as registry:
            put(registry, "sms", "+420601111222")
            wait_until(lambda: states(registry) == ["sent"])
        running.stop()
    assert sorted(line["channel"] for line in told if line["event"] == "outbox cannot deliver") == ["sms", "webhooks"]
    assert "493817" in next((tmp_path / "out").iterdir()).read_text()


def test_a_wrong_text_stops_the_start(tmp_path, monkeypatch):
    """Texts are checked before anything is sent."""

    def wrong():
        raise SubmeterError("texts/cs.toml: [code] body: it does not say code")

    monkeypatch.setattr("submeter.outbox.verify", wrong)
    with pytest.raises(SubmeterError, match=r"\[code\] body"):
        postmen(tmp_path, "")


def test_the_service_delivers(tmp_path):
    """`submeter run` sends what another process, such as the API, put into the outbox; it stops with the rest."""
    with http() as (url, received):
        here = Installation(tmp_path / "here", f'[sms]\nsink = "http"\nurl = "{url}"\n')
        stop, ready = threading.Event(), threading.Event()
        service = threading.Thread(target=serve, args=[here.config], kwargs={"part": "all", "stop": stop, "started": lambda _core: ready.set()})
        service.start()
        try:
            assert ready.wait(20)
            with Registry(here.config.data.folder / "registry.sqlite") as registry:
                put(registry, "sms", "+420601111222")
                wait_until(lambda: states(registry) == ["sent"])
        finally:
            stop.set()
            service.join(20)
        assert not service.is_alive()
    assert len(received.requests) == 1
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("outbox")]


def test_the_commands_show_where_and_why_but_not_what(tmp_path):
    """`submeter outbox` and `status` name id, channel, masked address, template, tries and error; `--retry` makes a message due."""
    here = Installation(tmp_path / "here")
    with here.core() as core:
        outbox = core.registry.outbox
        first, second = put(core.registry, "sms", "+420601111222"), put(core.registry, "email", "jana@example.org")
        outbox.claim(first, now(), again=now() + 60 * MINUTE)
        outbox.failed(first, now(), "the SMS gateway answered 500", retry_at=now() + 2 * MINUTE)
        outbox.failed(second, now(), "550 no such user", retry_at=None)
        lines = list(execute(core, "outbox", {}))
        assert len(lines) == 2
        assert lines[0].split("  due ")[0].split() == [str(first), "sms", "+420…22", "code", "1", "tries"]
        assert lines[0].endswith("the SMS gateway answered 500")
        assert f"{second}  email  j…@example.org  code  0 tries  given up" in lines[1]
        status = list(execute(core, "status", {}))
        assert "outbox: 1 sms waiting: nothing sends it, set sink of [sms] in pipeline.toml" in status
        assert "outbox: 1 email given up" in status
        retried = list(execute(core, "outbox", {"retry": first}))
        assert "0 tries" in retried[0]
        assert outbox.one(first).due <= now()
        assert (core.registry.audit()[-1].action, core.registry.audit()[-1].subject) == ("outbox.retry", f"message:{first}")
        assert "493817" not in str([*lines, *status, *retried, core.registry.audit()])
        with pytest.raises(SubmeterError, match="is given up and what it said is deleted"):
            list(execute(core, "outbox", {"retry": second}))


def test_retention_forgets_ended_messages(tmp_path):
    """The job deletes what ended longer ago than its limit; what waits stays."""
    here = Installation(tmp_path / "here", "[retention]\noutbox_days = 1\n")
    with here.core() as core:
        outbox = core.registry.outbox
        ended, waiting, young = (put(core.registry, "sms", "+420601111222") for _ in range(3))
        outbox.sent(ended, now() - 25 * 60 * MINUTE)
        outbox.sent(young, now() - 23 * 60 * MINUTE)
        assert "outbox: 1 ended messages deleted" in list(execute(core, "job", {"name": "retention"}))
        assert [one.id for one in outbox.find(["waiting", "sent"])] == [waiting, young]
