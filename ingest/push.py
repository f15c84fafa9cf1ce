"""HTTP push: ``POST|PUT /ingest/v1/<gateway>``, answered with 200 when the message is on disk (ingest/MQTT.md 9; reliability/FAULTS.md 1.1).

Strategy: an ASGI application of one route. Who sends is settled before a byte of the body is read, the body is read within its bounds, and what has come together is
committed together. A message is kept as if it had been published under the gateway's native topic, so that everything behind is the same.
Rules: a body that is readable is kept and answered 200, whatever it says, since a gateway would send a refused one for ever; what is not kept is never answered
200; repeating a request is harmless. Refusals are one line of JSON that says what is wrong.
"""

import asyncio
import base64
import binascii
import json
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from submeter.failpoint import failpoint
from submeter.ingest.common import Counters, Reporter, now_us
from submeter.ingest.envelopes import BadPayload, split
from submeter.ingest.envelopes.core import MAX_INFLATED, MAX_MESSAGE
from submeter.ingest.room import Room
from submeter.rates import Rates
from submeter.store.errors import StoreError
from submeter.store.inbox import Message

__all__ = ["Push", "Together", "inflated"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY: Final = 1024 * 1024
#: How long a body may take to come.
BODY_S: Final = 30.0
#: How long a message waits for others, and how many share a commit at most.
LINGER_S: Final = 0.005
TOGETHER: Final = 500
#: When to come again after a refusal that is ours.
RETRY_S: Final = 30


class RefusedError(Exception):
    """The answer to a request that is not taken: its status, what is wrong, and when to come again, if that helps."""

    def __init__(self, status: int, words: str, retry_s: int | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.retry_s = retry_s


class Together:
    """Commits what comes together in one transaction: `append` runs in a thread, one at a time; `keep` returns when the message is on disk."""

    def __init__(self, append: Callable[[Sequence[Message]], object]) -> None:
        self._append = append
        self._waiting: list[tuple[Message, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def keep(self, message: Message) -> None:
        """Keep a message; raises StoreError where the inbox refuses it."""
        kept = asyncio.get_running_loop().create_future()
        self._waiting.append((message, kept))
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit())
        await kept

    async def _commit(self) -> None:
        while self._waiting:
            if len(self._waiting) < TOGETHER:
                await asyncio.sleep(LINGER_S)
            batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            failed: Exception | None = None
            try:
                await asyncio.to_thread(self._append, [message for message, _ in batch])
            except Exception as error:  # noqa: BLE001  each of these requests is told; the next may go well
                failed = error
            for _, kept in batch:
                if not kept.done():
                    kept.set_exception(failed) if failed else kept.set_result(None)


class _Request(NamedTuple):
    gateway: str
    headers: Mapping[str, str]


class Push:
    """The application; `holder` says whose a token is, `keep` returns when a message is on disk and raises StoreError if it cannot be."""

    def __init__(
        self,
        source: str,
        holder: Callable[[str], str | None],
        keep: Callable[[Message], Awaitable[None]],
        rates: Rates,
        room: Room,
        counters: Counters,
        reporter: Reporter,
    ) -> None:
        self._source = source
        self._holder = holder
        self._keep = keep
        self._rates = rates
        self._room = room
        self._counters = counters
        self._reporter = reporter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        retry: list[tuple[bytes, bytes]] = []
        try:
            body: Mapping[str, object] = await self._taken(_request(scope), receive)
            status = 200
        except RefusedError as error:
            status, body = error.status, {"error": str(error)}
            retry = [(b"retry-after", str(error.retry_s).encode())] if error.retry_s is not None else []
            retry += [(b"www-authenticate", b'Bearer, Basic realm="submeter"')] if status == 401 else []
        self._counters.answers[status] += 1
        raw = json.dumps(body).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(raw)).encode()), *retry]
        with suppress(OSError):
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": raw})

    async def _taken(self, request: _Request, receive: Receive) -> Mapping[str, object]:
        """Keep the message of a request; returns what is said of it."""
        self._admit(request)
        try:
            async with asyncio.timeout(BODY_S):
                raw = await _body(request.headers, receive)
        except TimeoutError:
            raise RefusedError(400, f"the body did not come within {BODY_S:.0f} s") from None
        payload = _decoded(raw, request.headers.get("content-encoding", ""))
        topic = f"submeter/v1/{request.gateway}/up"
        kept = payload if len(payload) <= MAX_MESSAGE else zlib.compress(payload, 1)
        try:
            failpoint("received")
            await self._keep(Message(self._source, kept, now_us(), gateway=request.gateway, topic=topic))
            failpoint("kept")
        except StoreError as error:
            self._counters.failed_commits += 1
            self._counters.connected = False
            self._reporter.tell("inbox_write_failed", str(error))
            raise RefusedError(503, "the inbox cannot take it now", RETRY_S) from error
        self._counters.connected = True
        self._reporter.tell("http_connected", "the inbox takes what is pushed")
        self._counters.messages += 1
        self._counters.bytes += len(raw)
        stored, rejected = _outcome(topic, kept)
        return {"stored": stored, "rejected": rejected}

    def _admit(self, request: _Request) -> None:
        """Settle whether this gateway may deliver now; raises RefusedError."""
        user, secret = _credentials(request.headers.get("authorization", ""))
        try:
            gateway = self._holder(secret)
        except StoreError as error:
            raise RefusedError(503, "tokens cannot be looked up now", RETRY_S) from error
        if gateway is None or user not in {None, gateway}:
            raise RefusedError(401, "no gateway has this token: `submeter gateway create` or `rotate` makes one")
        if gateway != request.gateway:
            raise RefusedError(403, f"this token is not that of {request.gateway}")
        if wait := self._rates.wait(gateway, "p", time.monotonic()):
            raise RefusedError(429, "too many requests: put more telegrams into one", int(wait) + 1)
        if self._room.short:
            raise RefusedError(503, "the disk is nearly full", RETRY_S)


def _request(scope: Scope) -> _Request:
    match scope["path"].split("/"):
        case ["", "ingest", "v1", gateway] if gateway:
            pass
        case _:
            raise RefusedError(404, "there is only /ingest/v1/<gateway>")
    if scope["method"] not in {"POST", "PUT"}:
        raise RefusedError(405, "write POST or PUT")
    return _Request(gateway, {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]})


def _credentials(header: str) -> tuple[str | None, str]:
    """User, None for a bearer, and secret; raises RefusedError where there is neither."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return None, rest.strip()
    if scheme.lower() == "basic":
        try:
            user, _, secret = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise RefusedError(401, "the basic credentials cannot be read") from None
        return user, secret
    raise RefusedError(401, "write Authorization: Bearer <token>, or HTTP basic with gateway and token")


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body; raises RefusedError for one that is too large, or that is cut."""
    told = headers.get("content-length", "")
    body, more = bytearray(), True
    while max(len(body), int(told) if told.isdecimal() else 0) <= MAX_BODY:
        if not more:
            return bytes(body)
        event = await receive()
        if event["type"] == "http.disconnect":
            raise RefusedError(400, "the body is cut")
        body += event.get("body", b"")
        more = event.get("more_body", False)
    raise RefusedError(413, f"a body has at most {MAX_BODY} bytes: send less in one")


def _decoded(raw: bytes, encoding: str) -> bytes:
    match encoding.strip().lower():
        case "" | "identity":
            return raw
        case "gzip" | "x-gzip" | "deflate":
            return inflated(raw)
        case other:
            raise RefusedError(400, f"Content-Encoding {other!r} is not read: write gzip or deflate")


def inflated(raw: bytes) -> bytes:
    """Undo gzip, zlib or bare deflate within the bound; raises RefusedError."""
    for form in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        stream = zlib.decompressobj(form)
        with suppress(zlib.error):
            plain = stream.decompress(raw, MAX_INFLATED + 1)
            if len(plain) > MAX_INFLATED:
                raise RefusedError(413, f"a body has at most {MAX_INFLATED} bytes after decompression")
            if stream.eof and not stream.unused_data:
                return plain
    raise RefusedError(400, "the compressed body is damaged or cut")


def _outcome(topic: str, payload: bytes) -> tuple[int, int]:
    """How many telegrams were kept, and how many of them cannot be read; a message that is none counts as one."""
    try:
        telegrams = split(topic, payload).telegrams
    except BadPayload:
        return 1, 1
    return len(telegrams), sum(one.reason is not None for one in telegrams)
