"""What a push is answered, without a listener: the application itself, request by request (docs/gateways.md, HTTP push; RFC 9110)."""

import asyncio
import base64
import gzip
import json
import zlib

import pytest
from payloads import GOOD, TOPIC

from submeter.ingest.common import Counters, Reporter
from submeter.ingest.envelopes.core import MAX_INFLATED, MAX_MESSAGE
from submeter.ingest.push import MAX_BODY, Push, Together
from submeter.ingest.room import Room
from submeter.rates import Rates
from submeter.store.errors import StoreError

SECRET = "smg_right"
BEARER = {"authorization": f"Bearer {SECRET}"}
PATH = "/ingest/v1/gw-7"
STARVED, WIDE = (1 << 40, 0, 1 << 20), (1 << 40, 0, 1 << 39)


def basic(user, secret=SECRET):
    """The header of HTTP basic."""
    return {"authorization": "basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


class Application:
    """Push with a store that keeps in memory, or refuses, and a disk of a test's choice."""

    def __init__(self, *, refuses=False, usage=WIDE, per_minute=0, tokens=None):
        self.kept, self.told, self.refuses, self.counters = [], [], refuses, Counters()
        holder = tokens or {SECRET: "gw-7", "smg_other": "gw-8"}.get
        reporter = Reporter(lambda event, _detail, _about="": self.told.append(event))
        self.push = Push("http", holder, self._keep, Rates({"p": per_minute}), Room("disk", lambda _: usage), self.counters, reporter)

    async def _keep(self, message):
        if self.refuses:
            raise StoreError("the disk is full")
        self.kept.append(message)

    def __call__(self, *pieces, method="POST", path=PATH, headers=None, gone=False):
        """One request whose body comes in these pieces, and then nobody is there if `gone`: status, what is said, headers."""
        events = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        events.append({"type": "http.disconnect"} if gone else {"type": "http.request"})
        sent = []

        async def receive():
            return events.pop(0)

        async def send(message):
            sent.append(message)

        lines = [(name.encode(), value.encode("latin-1")) for name, value in (BEARER if headers is None else headers).items()]
        asyncio.run(self.push({"type": "http", "method": method, "path": path, "headers": lines}, receive, send))
        start, body = sent
        told = {name.decode(): value.decode() for name, value in start["headers"]}
        assert told["content-length"] == str(len(body["body"]))
        return start["status"], json.loads(body["body"]), told


#: A request → its status, and a word of what is said.
REFUSED = [
    ({"path": "/"}, 404, "there is only /ingest/v1/<gateway>"),
    ({"path": "/ingest/v1/"}, 404, "there is only"),
    ({"path": "/ingest/v1/gw-7/up"}, 404, "there is only"),
    ({"path": "/ingest/v2/gw-7"}, 404, "there is only"),
    ({"method": "GET"}, 405, "write POST or PUT"),
    ({"method": "post"}, 405, "write POST or PUT"),
    ({"headers": {}}, 401, "write Authorization: Bearer <token>"),
    ({"headers": {"authorization": SECRET}}, 401, "write Authorization"),
    ({"headers": {"authorization": "Bearer "}}, 401, "write Authorization"),
    ({"headers": {"authorization": f"Digest {SECRET}"}}, 401, "write Authorization"),
    ({"headers": {"authorization": "Bearer smg_wrong"}}, 401, "no gateway has this token"),
    ({"headers": {"authorization": "Basic ===="}}, 401, "cannot be read"),
    ({"headers": {"authorization": "Basic /w=="}}, 401, "cannot be read"),
    ({"headers": basic("gw-8")}, 401, "no gateway has this token"),
    ({"headers": basic("gw-7", "smg_wrong")}, 401, "no gateway has this token"),
    ({"headers": {"authorization": "Bearer smg_other"}}, 403, "not that of gw-7"),
    ({"headers": BEARER | {"content-length": str(MAX_BODY + 1)}}, 413, f"at most {MAX_BODY} bytes"),
    ({"headers": BEARER | {"content-encoding": "br"}}, 400, "'br' is not read"),
    ({"headers": BEARER | {"content-encoding": "gzip"}}, 400, "damaged or cut"),
    ({"gone": True}, 400, "the body is cut"),
]


@pytest.mark.parametrize(("request_", "status", "said"), REFUSED, ids=[f"{number} {status}" for number, (_, status, _) in enumerate(REFUSED)])
def test_what_is_refused_says_why_and_is_not_kept(request_, status, said):
    """One line of JSON; 401 names the ways to come in, and no refusal that helps nobody to wait says when to come again."""
    application = Application()
    answered, body, headers = application(GOOD, **request_)
    assert answered == status
    assert said in body["error"]
    assert (headers.get("www-authenticate"), headers.get("retry-after")) == ('Bearer, Basic realm="submeter"' if status == 401 else None, None)
    assert (application.kept, dict(application.counters.answers)) == ([], {status: 1})


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"method": "PUT"},
        {"headers": {"authorization": f"bEARER  {SECRET} "}},
        {"headers": basic("gw-7")},
        {"headers": BEARER | {"content-encoding": "identity"}},
        {"headers": BEARER | {"content-length": "nonsense"}},
        {"headers": BEARER | {"content-length": "²"}},
        {"headers": BEARER | {"content-length": str(MAX_BODY)}},
    ],
)
def test_what_is_taken(how):
    """The message as it came, under the gateway's own topic, counted with its bytes."""
    application = Application()
    assert application(GOOD[:5], GOOD[5:], **how)[:2] == (200, {"stored": 1, "rejected": 0})
    (kept,) = application.kept
    assert (kept.source, kept.payload, kept.gateway, kept.topic) == ("http", GOOD, "gw-7", TOPIC)
    assert (application.counters.messages, application.counters.bytes) == (1, len(GOOD))
    assert application.told == ["http_connected"]


def bare(plain):
    """Deflate without a head, as some senders mean the word."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(plain) + packer.flush()


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), (" X-Gzip", gzip.compress), ("deflate", zlib.compress), ("Deflate ", bare)])
def test_what_is_compressed_is_kept_plain(encoding, pack):
    """Gzip, zlib and bare deflate; cut, with something behind, or more than the limit when undone: refused."""
    application, headers = Application(), BEARER | {"content-encoding": encoding}
    assert application(pack(GOOD), headers=headers)[0] == 200
    assert application.kept[0].payload == GOOD
    assert [application(body, headers=headers)[0] for body in (pack(GOOD)[:-1], pack(GOOD) + b"x", GOOD, b"")] == [400] * 4
    largest = b" " * MAX_INFLATED
    assert [application(pack(body), headers=headers)[0] for body in (largest, largest + b" ")] == [200, 413]


def test_a_body_in_pieces_has_its_limit():
    """Exactly a megabyte is taken, and kept compressed, since a message of the inbox is smaller; a byte more is not, whatever the head says."""
    application, piece = Application(), b"x" * (MAX_BODY // 4)
    assert application(*[piece] * 4)[:2] == (200, {"stored": 1, "rejected": 1})
    assert zlib.decompress(application.kept[0].payload) == piece * 4
    for headers in (BEARER, BEARER | {"content-length": "5"}):
        assert application(*[piece] * 4, b"x", headers=headers)[0] == 413
    assert application(b"x" * MAX_MESSAGE)[0] == 200
    assert application(b"x" * (MAX_MESSAGE + 1))[0] == 200
    assert [len(one.payload) < MAX_MESSAGE for one in application.kept] == [True, False, True]


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    """Who opens a request and says nothing holds his place for half a minute only."""
    monkeypatch.setattr("submeter.ingest.push.BODY_S", 0.02)
    application, sent = Application(), []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    lines = [(b"authorization", BEARER["authorization"].encode())]
    asyncio.run(application.push({"type": "http", "method": "POST", "path": PATH, "headers": lines}, receive, send))
    assert (sent[0]["status"], "did not come within" in sent[1]["body"].decode()) == (400, True)


def test_refusals_of_ours_say_when_to_come_again():
    """An inbox or a registry that refuses, a disk that is full, a gateway that asks too often: 503 and 429, with the time."""

    def broken(_secret):
        raise StoreError("no registry")

    for application, status, seconds in (
        (Application(refuses=True), 503, "30"),
        (Application(usage=STARVED), 503, "30"),
        (Application(tokens=broken), 503, "30"),
    ):
        answered, _, headers = application(GOOD)
        assert (answered, headers["retry-after"], application.kept) == (status, seconds, [])
    often = Application(per_minute=1)
    assert [often(GOOD)[0] for _ in range(3)] == [200, 200, 429]
    assert 0 < int(often(GOOD)[2]["retry-after"]) <= 61


def test_trouble_with_the_inbox_is_told_and_is_over_with_the_next_message():
    """Both are events; health asks the counters."""
    application = Application(refuses=True)
    application(GOOD)
    assert (application.told, application.counters.connected, application.counters.failed_commits) == (["inbox_write_failed"], False, 1)
    application.refuses = False
    application(GOOD)
    assert (application.told, application.counters.connected) == (["inbox_write_failed", "http_connected"], True)


def test_a_sender_that_does_not_wait_for_the_answer_harms_nobody():
    """The message is kept; that the answer cannot be sent is nobody's trouble. What is no request is passed over."""
    application = Application()

    async def receive():
        return {"type": "http.request", "body": GOOD}

    async def send(_message):
        raise BrokenPipeError

    lines = [(b"authorization", BEARER["authorization"].encode())]
    asyncio.run(application.push({"type": "http", "method": "POST", "path": PATH, "headers": lines}, receive, send))
    asyncio.run(application.push({"type": "lifespan"}, receive, send))
    assert (len(application.kept), dict(application.counters.answers)) == (1, {200: 1})


def test_messages_that_come_together_are_committed_together():
    """Several that wait share a commit, in their order; at most 500; a commit that fails is told to each of its senders, and the next one may go well."""
    commits = []

    def append(messages):
        commits.append(list(messages))
        if messages[0] == "bad":
            raise StoreError("full")

    async def act():
        together = Together(append)
        first = await asyncio.gather(*(together.keep(number) for number in range(501)))
        failed = await asyncio.gather(together.keep("bad"), together.keep("with it"), return_exceptions=True)
        after = await asyncio.gather(together.keep("good"))
        return first, [str(one) for one in failed], after

    assert asyncio.run(act()) == ([None] * 501, ["full", "full"], [None])
    assert commits == [list(range(500)), [500], ["bad", "with it"], ["good"]]
