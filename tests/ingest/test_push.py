"""HTTP push over a real listener: 200 means on disk, who sends is settled first, and no body harms anybody."""

import base64
import gzip
import http.client
import json
import os
import random
import socket
import sqlite3
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest
from broker import free_port, wait_until
from payloads import GOOD, PARTLY, REFUSED

from submeter.config import Data
from submeter.ingest.envelopes import split
from submeter.ingest.http import HttpCollector, HttpSettings
from submeter.ingest.push import RefusedError, inflated
from submeter.ingest.room import Room
from submeter.store import Inbox, Registry


class Listening:
    """A collector on a thread of its own over a data folder, with the tokens of two gateways."""

    def __init__(self, folder, **settings):
        self.folder, self.port, self.events = folder, free_port(), []
        with Registry(folder / "registry.sqlite") as registry:
            self.tokens = {name: registry.gateways.create(name, 1) for name in ("gw-7", "gw-8")}
        self.collector = HttpCollector(
            HttpSettings(port=self.port, **settings),
            Data.model_validate({"folder": folder}, context={"base": folder}),
            lambda event, _: self.events.append(event),
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.collector.run, args=[self._stop])

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: self.collector.counters.connected)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def push(self, body, gateway="gw-7", method="POST", path=None, **headers):
        """One request with the gateway's token: status, JSON answer, Retry-After."""
        headers = {"Authorization": f"Bearer {self.tokens[gateway]}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path or f"/ingest/v1/{gateway}", body, {name: value for name, value in headers.items() if value is not None})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers["Retry-After"]
        finally:
            connection.close()

    def kept(self):
        """All messages of the inbox."""
        with Inbox(self.folder / "inbox.sqlite") as inbox:
            return inbox.pending(1_000_000)


@pytest.fixture
def listening(tmp_path):
    """A listening collector."""
    with Listening(tmp_path) as running:
        yield running


def batch(telegrams, gateway="gw-7"):
    """A native batch; random bytes hardly compress."""
    noise = random.Random(1)
    return json.dumps({"v": 1, "gw": gateway, "t": [{"hex": noise.randbytes(150).hex()} for _ in range(telegrams)]}).encode()


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_is_answered_is_kept_as_received(listening, method):
    """A message is on disk with its gateway and source when it is answered 200, under the gateway's native topic."""
    assert listening.push(GOOD, method=method) == (200, {"stored": 1, "rejected": 0}, None)
    (kept,) = listening.kept()
    assert (kept.source, kept.gateway, kept.topic, kept.payload) == ("http", "gw-7", "submeter/v1/gw-7/up", GOOD)


def test_a_payload_that_nobody_understands_is_kept_and_answered(listening):
    """What cannot be read is kept too, so that its sender does not send it for ever; how much of it cannot be read is told."""
    bodies = [payload for _, payload in [*REFUSED.values(), *PARTLY.values()] if payload]
    answers = [listening.push(body) for body in bodies]
    assert {status for status, _, _ in answers} == {200}
    assert all(said["rejected"] > 0 for _, said, _ in answers)
    assert listening.push(b"") == (200, {"stored": 1, "rejected": 1}, None)
    assert len(listening.kept()) == len(bodies) + 1


def test_another_gateways_message_is_refused_by_its_own_words(listening):
    """A batch that names another gateway than the path is kept and gives no telegram."""
    assert listening.push(batch(2, gateway="gw-8"))[1] == {"stored": 1, "rejected": 1}


def test_who_sends_is_settled_first(listening):
    """No credentials or wrong ones are 401, another gateway's 403; nothing is kept; basic works as a bearer does."""
    wrong = {"none": None, "bearer": "Bearer smg_wrong", "empty": "Bearer ", "digest": "Digest x", "basic": "Basic ====", "utf": "Basic /w=="}
    for header in wrong.values():
        status, said, _ = listening.push(GOOD, Authorization=header)
        assert status == 401
        assert said["error"]
    assert listening.push(GOOD, path="/ingest/v1/gw-8")[0] == 403
    stolen = base64.b64encode(f"gw-8:{listening.tokens['gw-7']}".encode()).decode()
    assert listening.push(GOOD, gateway="gw-8", Authorization=f"Basic {stolen}")[0] == 401
    assert listening.kept() == []
    own = base64.b64encode(f"gw-7:{listening.tokens['gw-7']}".encode()).decode()
    assert listening.push(GOOD, Authorization=f"Basic {own}")[0] == 200


def test_a_new_secret_and_an_end_hold_at_once(listening):
    """After a rotation the old token is void, after a revocation the new one is."""
    with Registry(listening.folder / "registry.sqlite") as registry:
        fresh = registry.gateways.rotate("gw-7", 2)
        assert listening.push(GOOD)[0] == 401
        assert listening.push(GOOD, Authorization=f"Bearer {fresh}")[0] == 200
        registry.gateways.revoke("gw-7", 3)
        assert listening.push(GOOD, Authorization=f"Bearer {fresh}")[0] == 401


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", lambda raw: zlib.compress(raw)[2:-4])]
)
def test_compressed_bodies_are_undone(listening, encoding, pack):
    """Both gzip and deflate, with its header or bare, are kept as what they hold."""
    assert listening.push(pack(GOOD), Content_Encoding=encoding)[0] == 200
    assert [one.payload for one in listening.kept()] == [GOOD]


SQUEEZED = gzip.compress(GOOD)
#: Malformed requests (FAULTS.md, G4): body, headers, status, and how many telegrams were refused where it was kept.
MALFORMED = {
    "gzip that is cut": (SQUEEZED[:-1], {"Content_Encoding": "gzip"}, 400, None),
    "gzip cut in its head": (SQUEEZED[:5], {"Content_Encoding": "gzip"}, 400, None),
    "gzip with a wrong sum": (SQUEEZED[:-8] + bytes(4) + SQUEEZED[-4:], {"Content_Encoding": "gzip"}, 400, None),
    "gzip and more": (SQUEEZED + b"x", {"Content_Encoding": "gzip"}, 400, None),
    "gzip twice": (gzip.compress(SQUEEZED), {"Content_Encoding": "gzip"}, 200, 1),
    "plain that says gzip": (GOOD, {"Content_Encoding": "gzip"}, 400, None),
    "gzip that says nothing": (SQUEEZED, {}, 200, 1),
    "nothing that says gzip": (b"", {"Content_Encoding": "gzip"}, 400, None),
    "an encoding that is not read": (GOOD, {"Content_Encoding": "br"}, 400, None),
    "two encodings": (SQUEEZED, {"Content_Encoding": "gzip, gzip"}, 400, None),
    "nothing": (b"", {}, 200, 1),
    "a NUL": (b"\0", {}, 200, 1),
    "half a letter": (GOOD.replace(b"gw-7", b"gw-7\xc3"), {}, 200, 1),
    "a form of a browser": (b"frame=" + GOOD, {"Content_Type": "application/x-www-form-urlencoded"}, 200, 1),
    "a good one of no type": (GOOD, {"Content_Type": "application/nonsense"}, 200, 0),
    "no credentials": (GOOD, {"Authorization": ""}, 401, None),
    "a bearer of nothing": (GOOD, {"Authorization": "Bearer "}, 401, None),
    "a bearer with a letter of Latin-1": (GOOD, {"Authorization": "Bearer \xe9"}, 401, None),
    "basic that is no base64": (GOOD, {"Authorization": "Basic %%%"}, 401, None),
    "basic without a secret": (GOOD, {"Authorization": "Basic " + base64.b64encode(b"gw-7").decode()}, 401, None),
    "basic of no text": (GOOD, {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()}, 401, None),
}  # fmt: skip


def test_malformed_requests_end_as_stated(listening):
    """Each has its status; what is answered 200 is kept, and how much of it cannot be read is told."""
    for what, (body, headers, status, rejected) in MALFORMED.items():
        answered, told, _ = listening.push(body, **headers)
        assert (answered, told.get("rejected")) == (status, rejected), what
    with Inbox(listening.folder / "inbox.sqlite") as inbox:
        assert inbox.counts().waiting == sum(rejected is not None for *_, rejected in MALFORMED.values())


def test_a_body_of_a_megabyte_is_split_like_any_other(listening):
    """What is larger than a message over MQTT is kept compressed; its telegrams are all there."""
    body = batch(3000)
    assert 900_000 < len(body) < 1024 * 1024
    assert listening.push(body)[:2] == (200, {"stored": 3000, "rejected": 0})
    (kept,) = listening.kept()
    assert len(split(kept.topic, kept.payload).telegrams) == 3000


def test_bounds_hold(listening):
    """Over a megabyte, told or not, and over four after decompression are 413; what is cut or damaged is 400; nothing is kept."""
    bomb = gzip.compress(b" " * 5_000_000)
    assert listening.push(b"x" * (1024 * 1024 + 1))[0] == 413
    assert listening.push(b"x" * 65536 for _ in range(17))[0] == 413
    assert listening.push(bomb, Content_Encoding="gzip")[0] == 413
    assert listening.push(gzip.compress(GOOD)[:-5], Content_Encoding="gzip")[0] == 400
    assert listening.push(GOOD, Content_Encoding="gzip")[0] == 400
    assert listening.push(GOOD, Content_Encoding="br")[0] == 400
    assert listening.push(GOOD, method="GET")[0] == 405
    assert listening.push(GOOD, path="/ingest/v2/gw-7")[0] == 404
    assert listening.kept() == []


def test_a_sender_that_goes_away_in_the_middle_harms_nobody(listening):
    """A body cut by the end of its connection is not kept; the next request is served."""
    with socket.create_connection(("127.0.0.1", listening.port)) as client:
        head = f"POST /ingest/v1/gw-7 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {listening.tokens['gw-7']}\r\nContent-Length: 100\r\n\r\n"
        client.sendall(head.encode() + b"half")
    assert listening.push(GOOD)[0] == 200
    assert [one.payload for one in listening.kept()] == [GOOD]


def test_what_the_inbox_refuses_is_not_answered_as_kept(listening):
    """While the inbox cannot commit the answer is 503 with Retry-After, and 200 again when it is well."""
    with sqlite3.connect(listening.folder / "inbox.sqlite") as other:
        other.execute("ALTER TABLE messages RENAME TO away")
    status, _, retry = listening.push(GOOD)
    assert (status, int(retry) > 0) == (503, True)
    assert not listening.collector.counters.connected
    with sqlite3.connect(listening.folder / "inbox.sqlite") as other:
        other.execute("ALTER TABLE away RENAME TO messages")
    other.close()
    assert listening.push(GOOD)[0] == 200
    assert listening.collector.counters.connected
    assert dict(listening.collector.counters.answers) == {503: 1, 200: 1}


def test_requests_that_come_together_share_their_commits(tmp_path, monkeypatch):
    """Of a hundred requests that wait while the file is busy all are kept, in far fewer transactions than requests."""
    sizes, append = [], Inbox.append
    monkeypatch.setattr(Inbox, "append", lambda self, messages: sizes.append(len(messages)) or append(self, messages))
    with Listening(tmp_path) as running, closing(sqlite3.connect(tmp_path / "inbox.sqlite", isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(50) as many:
            answers = many.map(lambda number: running.push(b"%d" % number), range(100))
            wait_until(lambda: sizes)
            blocker.execute("ROLLBACK")
            assert {status for status, _, _ in answers} == {200}
        assert sorted(int(one.payload) for one in running.kept()) == list(range(100))
    assert len(sizes) < 50


def test_too_many_requests_are_told_when_to_come_again(tmp_path):
    """A gateway over its rate is 429 with Retry-After; another one is not concerned."""
    with Listening(tmp_path, per_minute=2) as running:
        answers = [running.push(GOOD) for _ in range(6)]
        assert [status for status, _, _ in answers] == [200] * 4 + [429] * 2
        assert int(answers[-1][2]) > 0
        assert running.push(GOOD, gateway="gw-8")[0] == 200


def test_a_port_in_use_is_told_once_and_tried_again(tmp_path):
    """A collector whose port is taken says so, and listens when it is free."""
    running = Listening(tmp_path)
    taken = socket.create_server(("127.0.0.1", running.port))
    running._thread.start()
    wait_until(lambda: running.events == ["http_refused"])
    taken.close()
    wait_until(lambda: running.events == ["http_refused", "http_connected"])
    assert running.push(GOOD)[0] == 200
    running.__exit__()


def test_any_compressed_bytes_are_undone_or_refused():
    """Cut and damaged streams give a refusal, never another error."""
    noise = random.Random(2)
    for number in range(300):
        raw = bytearray(gzip.compress(os.urandom(200)))
        raw[noise.randrange(len(raw))] ^= 1 << number % 8
        with suppress(RefusedError):
            inflated(bytes(raw[: noise.randrange(1, len(raw) + 1)]))


def test_a_full_disk_refuses_until_there_is_room_again(tmp_path):
    """It is short of room below the limit, and stays so until well above it."""
    free, clock = [100], iter(range(100))
    room = Room(tmp_path, usage=lambda _: (1000, 0, free[0]), clock=lambda: next(clock))
    told = []
    for free[0] in (100, 49, 60, 69, 70, 51, 49):
        told.append(room.short)
    assert told == [False, True, True, True, False, False, True]
    free[0] = 0
    assert Room(tmp_path / "nowhere").short is False
