"""The core's thread: trouble in one place keeps the others going, health tells it, and recovery needs no restart."""

import gc
import threading
import time

import pytest
from broker import wait_until
from installation import Installation
from prometheus_client import generate_latest

from submeter.commands import execute
from submeter.errors import SubmeterError
from submeter.service import CoreThread, serve
from submeter.store import StoreBrokenError, StoreError


@pytest.fixture
def thread(tmp_path, monkeypatch):
    """A running core's thread that does not wait long after trouble."""
    monkeypatch.setattr("submeter.service.RETRY_S", 0.05)
    running = CoreThread(Installation(tmp_path / "here").config)
    running.start()
    yield running
    running.stop()


def test_commands_answer_while_the_drain_fails(thread, monkeypatch):
    """Health is red with the reason, commands still run, and all is well when the trouble ends."""
    with monkeypatch.context() as broken:
        broken.setattr(thread.core, "drain", raising(StoreError("the disk is full")))
        wait_until(lambda: not thread.health()["ok"])
        assert "the disk is full" in thread.health()["trouble"]
        assert any(line.startswith("inbox:") for line in thread.submit("status"))
    wait_until(lambda: thread.health()["ok"])


def test_metrics_say_what_health_says(thread, monkeypatch):
    """`submeter_healthy` falls and rises with health; while a file cannot be asked, all that is not in it is told."""

    def told():
        text = generate_latest(thread.metrics.registry).decode()
        return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")}

    wait_until(lambda: told()["submeter_healthy"] == 1)
    with monkeypatch.context() as broken:
        for place in ("drain", "look"):
            broken.setattr(thread.core, place, raising(StoreError("the disk is full")))
        broken.setattr("submeter.service.Inbox", raising(StoreError("inbox.sqlite: disk I/O error")))
        broken.setattr(thread.core.registry.events, "_rows", raising(StoreError("registry.sqlite: disk I/O error")))
        wait_until(lambda: told()["submeter_healthy"] == 0)
        assert "submeter_ingest_inbox_rows" not in told()
        assert "submeter_ingest_free_bytes" in told()
        broken.setattr(thread, "_trouble", None)
        assert not thread.health()["ok"]
    wait_until(lambda: told()["submeter_healthy"] == 1 and "submeter_ingest_inbox_rows" in told())


def test_a_stopped_duckdb_is_opened_again_until_it_opens(thread, monkeypatch):
    """After a fatal error the file is reopened before every try; health stays red until that worked."""
    tries = []
    with monkeypatch.context() as broken:
        broken.setattr(thread.core, "drain", raising(StoreBrokenError("fsync failed")))
        wait_until(lambda: not thread.health()["ok"])
        broken.setattr(thread.core, "recover", lambda: tries.append(1) or raising(StoreError("still full"))())
        wait_until(lambda: len(tries) > 3)
        assert not thread.health()["ok"]
    wait_until(lambda: thread.health()["ok"])
    assert any(line.startswith("readings:") for line in thread.submit("status"))


def test_a_command_that_fails_inside_is_one_sentence(thread):
    """A wrong argument or an unknown command refuses with words; the loop goes on."""
    for command, arguments in (("status", {"nonsense": 1}), ("nonsense", {})):
        with pytest.raises(SubmeterError):
            list(thread.submit(command, arguments))
    assert thread.health()["ok"]


def test_a_process_that_only_collects_tells_the_operator(tmp_path):
    """A port that is not there is an open event for the core, which knows no collector of its own."""
    here = Installation(tmp_path / "here", f'[[serial]]\nname = "dongle"\nport = "{tmp_path}/none"\n')
    stop = threading.Event()
    collecting = threading.Thread(target=serve, args=[here.config], kwargs={"part": "collect", "stop": stop})
    collecting.start()
    try:
        with here.core() as core:
            wait_until(lambda: "open events: 1 source_lost" in list(execute(core, "status", {})))
            assert "dongle: " in next(execute(core, "events", {"kind": "source_lost"}))
    finally:
        stop.set()
        collecting.join()


def test_a_request_to_a_core_that_has_stopped_is_answered(tmp_path):
    """Nobody waits for ever for a core that is gone."""
    running = CoreThread(Installation(tmp_path / "here").config)
    running.start()
    running.stop()
    with pytest.raises(SubmeterError, match="has stopped"):
        list(running.submit("status"))


def test_a_stop_does_not_wait_for_the_backlog(tmp_path, monkeypatch):
    """A drain that would take long ends after the step under way."""
    here = Installation(tmp_path / "here")
    running = CoreThread(here.config)
    monkeypatch.setattr(running.core, "drain", lambda: time.sleep(0.01) or type("Step", (), {"messages": 1, "results": {}})())
    running.start()
    running.plan("hourly")
    time.sleep(0.1)
    stopping = threading.Thread(target=running.stop)
    stopping.start()
    stopping.join(10)
    assert not stopping.is_alive()


def test_a_port_in_use_is_one_sentence(tmp_path):
    """The service does not start when its port is taken, and says which section to change."""
    here = Installation(tmp_path / "here")
    here.start()
    other = Installation(tmp_path / "other")
    other.file.write_text(other.file.read_text().replace(f"port = {other.api}", f"port = {here.api}"))
    try:
        with pytest.raises(SubmeterError, match=r"Address already in use.*\[api\]"):
            serve(other.config, part="all", stop=threading.Event())
    finally:
        here.close()


def test_what_the_start_made_is_not_gone_through_again(tmp_path):
    """While the service runs, rounds of the garbage collector leave out what stays; afterwards all is as it was."""
    found, stop = [], threading.Event()
    gc.unfreeze()  # what conftest took out

    def started(_core):
        found.append(gc.get_freeze_count())
        stop.set()

    serve(Installation(tmp_path / "here").config, part="api", stop=stop, started=started)
    many = 10_000
    assert found[0] > many
    assert gc.get_freeze_count() == 0


def raising(error):
    """A function that always raises this."""

    def fail(*_, **__):
        raise error

    return fail
