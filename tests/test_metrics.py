"""Metrics count what happened: telegrams by gateway and outcome, repetitions, late decoding, states of meters, commits, reads of a bus."""

import json
import re
import threading
import urllib.request

import pytest
from broker import free_port, wait_until
from installation import Installation
from prometheus_client import generate_latest

from submeter import civil
from submeter.commands import execute
from submeter.core import now
from submeter.ingest.bus.master import Timing
from submeter.ingest.bus.poller import BusCollector, BusSettings
from submeter.ingest.common import Counters, Spread
from submeter.ingest.schedule import Meter
from submeter.metrics import Metrics, of_sources
from submeter.service import CoreThread, serve
from submeter.simulate import Bus, PtyLine, slaves
from submeter.store import Message

HEAD = {"v": 1, "boot": "a"}


@pytest.fixture
def thread(tmp_path):
    """A core's thread, not started, of an installation in which the first meter's key is missing."""
    made = CoreThread(Installation(tmp_path / "here", keyless=1).config)
    yield made
    made.core.close()


def samples(registry):
    """Every sample that is exported: name and labels as they are written, and value."""
    lines = [line for line in generate_latest(registry).decode().splitlines() if line.startswith("submeter_")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def of(registry, name):
    """The samples of one metric, by their labels in the order of the alphabet."""
    found = samples(registry)
    return {tuple(re.findall(r'="([^"]*)"', key)): value for key, value in found.items() if key.split("{")[0] == name}


def batch(gateway, seq, *frames):
    """A native batch received now."""
    payload = json.dumps({**HEAD, "gw": gateway, "seq": seq, "t": [{"hex": frame.hex()} for frame in frames]}).encode()
    return Message("mqtt", payload, now(), gateway=gateway)


def test_telegrams_and_what_came_before_by_gateway(thread, tmp_path):
    """Two gateways that hear one telegram, a message sent again, one that nobody understands, a meter without a key and the key that comes later."""
    core = thread.core
    building = Installation(tmp_path / "other").building
    keyless, place = building.places[:2]
    frame, sealed = place.meter.telegram(now() - civil.MINUTE), keyless.meter.telegram(now() - civil.MINUTE)
    once = batch("cellar", 1, frame, sealed)
    core.inbox.append([once, batch("attic", 1, frame), once, Message("http", b"???", now(), gateway="attic")])
    core.drain_all()
    registry = thread.metrics.registry
    assert of(registry, "submeter_ingest_telegrams_total") == {
        ("cellar", "wmbus", "decoded"): 1, ("cellar", "wmbus", "no_key"): 1, ("attic", "wmbus", "duplicate"): 1, ("attic", "message", "rejected"): 1
    }  # fmt: skip
    assert of(registry, "submeter_ingest_messages_total") == {("native", "mqtt"): 3, ("unknown", "http"): 1}
    assert of(registry, "submeter_ingest_duplicates_total") == {("attic", "radio"): 1, ("cellar", "redelivery"): 1}
    assert of(registry, "submeter_ingest_rejected_total") == {("unknown_format",): 1}
    list(execute(core, "import", {"path": str(core.config.data.folder.parent / "directory.toml")}))
    assert of(registry, "submeter_redecoded_total") == {("key",): 1, ("adopted",): 0, ("profile",): 0}


def test_meters_are_counted_by_state(thread):
    """Each assigned meter is in one state, by the events that are open."""
    core = thread.core
    silent, awaited, both = core.registry.assignments()[:3]
    raised = core.registry.events.raise_
    raised("silent", f"point:{silent.point}/volume", 1, now=1)
    raised("meter_never_heard", f"device:{awaited.device}", 1, now=1)
    raised("wrong_key", f"device:{both.device}", 1, now=1)
    raised("silent", f"point:{both.point}/volume", 1, now=1)
    core.look()
    found = {state: int(count) for (state,), count in of(thread.metrics.registry, "submeter_meters").items()}
    others = len(core.registry.assignments()) - 3
    assert found == {"ok": others, "silent": 1, "never_heard": 1, "no_key": 0, "wrong_key": 1}


def test_gateways_beyond_a_bound_have_no_name():
    """The first ones keep their series, all others are one: sums stay right, and no sender can fill the memory."""
    metrics = Metrics(lambda: None, lambda: 0, dict)
    step = type("Step", (), {"formats": {}, "refused": {}, "redelivered": {}, "telegrams": {(f"g{n}", "wmbus", "decoded"): 1 for n in range(2500)}})
    metrics.count(step)
    metrics.count(step)
    telegrams = {key: metric._value.get() for key, metric in metrics._telegrams._metrics.items()}
    assert len(telegrams) == 2001
    assert telegrams["", "wmbus", "decoded"] == 1000
    assert telegrams["g7", "wmbus", "decoded"] == 2


def test_a_spread_counts_up_to_each_bound():
    """A value on a bound belongs to it; the last bound has all."""
    spread = Spread((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 7.0):
        spread.add(value)
    assert (list(spread.upto()), spread.total) == ([("1.0", 2), ("2.0", 3), ("+Inf", 4)], 10.0)


def test_commits_are_counted_with_their_size():
    """A commit that fails is none."""
    counters, kept = Counters(), []
    counters.commit(kept.extend, [1, 2, 3])
    with pytest.raises(OSError, match="full"):
        counters.commit(lambda _: (_ for _ in ()).throw(OSError("full")), [4])
    registry = of_sources({"mqtt": counters})
    assert of(registry, "submeter_ingest_batch_size_count") == {("mqtt",): 1}
    assert of(registry, "submeter_ingest_batch_size_sum") == {("mqtt",): 3}
    assert of(registry, "submeter_ingest_commit_seconds_count") == {("mqtt",): 1}


def test_reads_of_a_bus_are_counted_by_outcome(tmp_path):
    """Answers and timeouts, with how long they took."""
    on = Bus(slaves(2, 1), 1)
    on.slaves[1].silent = True
    with PtyLine(on, tmp_path / "ttyBUS"):
        settings = BusSettings("cellar", str(tmp_path / "ttyBUS"), (Meter(1), Meter(2)), "cellar", Timing(38400, latency_s=0.0), interval_s=0.1)
        collector, stop = BusCollector(settings, tmp_path / "inbox.sqlite", lambda *_: None), threading.Event()
        thread = threading.Thread(target=collector.run, args=[stop])
        thread.start()
        try:
            wait_until(lambda: collector.counters.polls["answered"] and collector.counters.polls["timeout"])
        finally:
            stop.set()
            thread.join()
    registry = of_sources({"cellar": collector.counters})
    polls = of(registry, "submeter_bus_poll_total")
    assert polls.keys() == {("cellar", "answered"), ("cellar", "timeout")}
    assert of(registry, "submeter_bus_poll_seconds_count") == {("cellar",): sum(polls.values())}


def test_a_process_that_only_collects_has_metrics_of_its_own(tmp_path):
    """On the port that is configured for it: what its sources do, and its health."""
    port = free_port()
    here = Installation(tmp_path / "here", f'[[drop]]\nname = "ftp"\nfolder = "{tmp_path}"\n')
    here.file.write_text(here.file.read_text().replace("[metrics]\n", f"[metrics]\ncollect_port = {port}\n"))
    stop, started = threading.Event(), threading.Event()
    collecting = threading.Thread(target=serve, args=[here.config], kwargs={"part": "collect", "stop": stop, "started": lambda _: started.set()})
    collecting.start()
    try:
        assert started.wait(20)
        wait_until(lambda: here.get("/v1/health", port)[1]["sources"] == {"ftp": "connected"})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert 'submeter_source_connected{source="ftp"} 1.0' in answer.read().decode()
    finally:
        stop.set()
        collecting.join()
