"""Collectors on several machines hand their inboxes over to one core: nothing is lost and nothing comes twice, whoever is away or killed.

`SUBMETER_MESSAGES=20000` is the full size of the test with processes.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from broker import free_port, wait_until
from collecting import batch, drained
from threaded import kept, running

from submeter.ingest.handover import CommonFolder, Giver, HandoverSettings, Taker
from submeter.store import Inbox, Message

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = int(os.environ.get("SUBMETER_MESSAGES", "600"))


def filled(path, numbers, received_at=None):
    """An inbox with numbered messages."""
    with Inbox(path) as inbox:
        inbox.append([Message("mqtt", b"%d" % number, received_at or time.time_ns() // 1000, "gw", "t") for number in numbers])
        return inbox.identity


def received(folder):
    """How many messages the core's inbox has taken."""
    with Inbox(folder / "inbox.sqlite") as inbox:
        return inbox.received()


def payloads(folder):
    """What the core's inbox holds, in its order."""
    return [int(message.payload) for message in kept(folder)]


@pytest.fixture
def machines(tmp_path):
    """Folders of two collectors and of the core, and the common one."""
    for name in ("north", "south", "core"):
        (tmp_path / name).mkdir()
    return tmp_path / "north", tmp_path / "south", tmp_path / "core", tmp_path / "common"


def giver(folder, place, **settings):
    """A collector's side on a thread; returns it and what stops it."""
    told = []
    one = Giver(HandoverSettings(str(place), **settings), folder / "inbox.sqlite", lambda *event: told.append(event))
    return one, told, running(one)


def taker(folder, place):
    """The core's side on a thread; returns it, its events and what stops it."""
    told = []
    one = Taker(HandoverSettings(str(place)), folder / "inbox.sqlite", lambda *event: told.append(event))
    return one, told, running(one)


def test_two_inboxes_become_one_each_in_its_own_order(machines):
    """All messages with their own times, gateways and topics; those of one machine in the order of their arrival; the folder is empty again."""
    north, south, core, common = machines
    filled(north / "inbox.sqlite", range(12_000), 1_790_000_000_000_000)
    filled(south / "inbox.sqlite", range(20_000, 20_500))
    sides = [giver(north, common), giver(south, common), taker(core, common)]
    wait_until(lambda: received(core) == 12_500)
    for _, _, end in sides:
        end()
    sizes = [sum(len(b"%d" % number) for number in numbers) for numbers in (range(12_000), range(20_000, 20_500))]
    assert [(one.counters.messages, one.counters.bytes) for one, _, _ in sides] == [(12_000, sizes[0]), (500, sizes[1]), (12_500, sum(sizes))]
    with Inbox(core / "inbox.sqlite") as inbox:
        found = inbox.pending(20_000)
    assert [int(one.payload) for one in found if int(one.payload) < 20_000] == list(range(12_000))
    assert [int(one.payload) for one in found if int(one.payload) >= 20_000] == list(range(20_000, 20_500))
    assert {(one.received_at, one.gateway, one.topic, one.source, one.flags) for one in found if one.payload == b"0"} == {
        (1_790_000_000_000_000, "gw", "t", "mqtt", 0)
    }
    assert CommonFolder(str(common)).files() == []


def test_what_a_side_did_before_it_was_killed_is_not_done_twice(machines):
    """Killed after the file is there, after it is taken, before it is deleted: each message once, and a file that grew meanwhile is not deleted unread."""
    north, _, core, common = machines
    name = filled(north / "inbox.sqlite", range(100))
    folder = CommonFolder(str(common))
    with Inbox(north / "inbox.sqlite") as inbox, Inbox(core / "inbox.sqlite") as central:
        waiting = inbox.pending(1000)
        folder.put(name, waiting)  # … and killed before `finish`
        assert central.take_over(name, folder.get(folder.files()[0][1])) == 100  # … and killed before `drop`
        inbox.append([Message("mqtt", b"%d" % number, 1, "gw") for number in range(100, 150)])
        stale = folder.files()[0][1]
        folder.put(name, inbox.pending(1000))
        folder.drop(stale)
        assert len(folder.files()) == 1
    ends = [giver(north, common)[2], taker(core, common)[2]]
    wait_until(lambda: len(kept(core)) == 150 and not folder.files())
    for end in ends:
        end()
    assert payloads(core) == list(range(150))


def test_a_file_that_is_none_is_put_aside_and_told(machines):
    """A damaged file costs itself: it stays as .refused, what comes after it is taken."""
    north, _, core, common = machines
    name = filled(north / "inbox.sqlite", range(3))
    (common / name).mkdir(parents=True)
    (common / name / f"{0:015d}-{0:015d}.parquet").write_bytes(b"PAR1 nonsense")
    (common / name / ".half.parquet").write_bytes(b"PAR1")
    _, told, end = taker(core, common)
    stop = giver(north, common)[2]
    wait_until(lambda: payloads(core) == [0, 1, 2])
    stop()
    end()
    assert [event for event, _ in told if event == "handover_refused"] == ["handover_refused"]
    assert (common / name / f"{0:015d}-{0:015d}.refused").read_bytes() == b"PAR1 nonsense"


def test_a_folder_that_is_away_is_told_and_waited_for(machines):
    """A share that cannot be written: messages stay in the collector's inbox, and go when it is back."""
    north, _, core, common = machines
    filled(north / "inbox.sqlite", range(5))
    common.write_bytes(b"a file where the folder should be")
    one, told, end = giver(north, common)
    wait_until(lambda: told)
    assert told[0][0] == "handover_lost"
    assert str(common) in told[0][1]
    assert not one.counters.connected
    common.unlink()
    stop = taker(core, common)[2]
    wait_until(lambda: payloads(core) == [0, 1, 2, 3, 4])
    end()
    stop()


def test_what_was_handed_over_is_kept_for_its_days(machines):
    """Old messages leave the collector's inbox once they are handed over, young ones and the newest stay."""
    north, _, _, common = machines
    day = 86_400 * 1_000_000
    filled(north / "inbox.sqlite", range(10), time.time_ns() // 1000 - 3 * day)
    filled(north / "inbox.sqlite", range(10, 15))
    end = giver(north, common, keep_days=2)[2]

    def left():
        with Inbox(north / "inbox.sqlite") as inbox:
            return [int(message.payload) for message in inbox.done()]

    wait_until(lambda: left() == [10, 11, 12, 13, 14])
    end()


@pytest.fixture
def object_store():
    """An S3-compatible server on a free port: the URL of a folder in it."""
    if os.environ.get("CI"):
        import moto.server  # noqa: F401
    else:
        pytest.importorskip("moto.server", reason="an S3-compatible server: .venv/bin/uv pip install --require-hashes -r requirements-spark.lock")
    port = free_port()
    known = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    before = {name: os.environ.get(name) for name in known}
    os.environ.update(known)
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=eu-central-1"
    try:
        yield f"s3://meters/inbox?{address}&allow_bucket_creation=true"
    finally:
        server.kill()
        server.wait()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def test_an_object_store_serves_as_well(machines, object_store):
    """The same through S3: collectors give, the core takes, the bucket is empty again."""
    north, south, core, _ = machines
    filled(north / "inbox.sqlite", range(300))
    filled(south / "inbox.sqlite", range(300, 500))
    ends = [giver(north, object_store)[2], giver(south, object_store)[2], taker(core, object_store)[2]]
    wait_until(lambda: sorted(payloads(core)) == list(range(500)), 60)
    for end in ends:
        end()
    assert CommonFolder(object_store).files() == []


class Machine:
    """A machine that only collects: `submeter run --only collect` with a topic filter of its own."""

    def __init__(self, folder, port, gateway, common):
        folder.mkdir()
        self.file = folder / "pipeline.toml"
        self.file.write_text(
            f'[data]\nfolder = "data"\n[handover]\ngive = "{common}"\n'
            f'[[mqtt]]\nport = {port}\nclient_id = "{gateway}"\ntopics = ["submeter/v1/{gateway}/up"]\n'
        )
        self.log = folder / "log"
        self.process = None

    def start(self):
        """Start it and wait until it listens to the broker."""
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "submeter", "run", "--only", "collect", "--config", str(self.file)]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        wait_until(self._listens, 60)

    def kill(self):
        """Kill -9."""
        self.process.kill()
        self.process.wait()

    def _listens(self):
        assert self.process.poll() is None, self.log.read_text()
        return "mqtt_connected" in self.log.read_text()


def test_two_machines_one_stopped_for_a_while_give_each_telegram_once(machines, broker):
    """Each telegram is heard by a gateway of both machines; both are killed at random, one is away for half of the time: each number one reading."""
    _, _, core, common = machines
    chance = random.Random(8)
    both = [Machine(core.parent / name, broker.port, name, common) for name in ("gw-a", "gw-b")]
    end = taker(core, common)[2]
    for machine in both:
        machine.start()
    try:
        third = MESSAGES // 3
        with broker.publisher() as publish:
            for number in range(MESSAGES):
                if number == third:
                    both[1].kill()
                if number == third + third // 2:
                    both[0].kill()
                    both[0].start()
                if number == 2 * third:
                    both[1].start()
                for name in ("gw-a", "gw-b"):
                    publish(f"submeter/v1/{name}/up", batch(number, name))
                time.sleep(chance.uniform(0, 0.004))
        wait_until(lambda: received(core) >= 2 * MESSAGES and not CommonFolder(str(common)).files(), 60)
    finally:
        for machine in both:
            machine.kill()
        end()
    counted, counts = drained(core / "inbox.sqlite", ("gw-a", "gw-b"))
    assert counted == dict.fromkeys(range(MESSAGES), 1)
    assert counts.quarantined == {}
    assert counts.refused.keys() <= {"redelivered"}
