"""What a page asks the API: requests to the application in the same process, as the browser that asked for the page.

Rules: the browser's cookies, origin, language and address go along, nothing else; cookies that an answer sets are kept for the next question of the same page and
go back to the browser with it. What was read is kept for the rest of the page, until something is changed. An answer that is no success is `Refused`, with the problem that the API told.
"""

import asyncio
import json
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message

__all__ = ["Api", "Refused"]

#: Headers of the browser that the API sees too.
PASSED: Final = frozenset({b"host", b"origin", b"sec-fetch-site", b"user-agent", b"x-forwarded-for"})
SUCCESS: Final = range(200, 300)


class Refused(Exception):  # noqa: N818 - an answer like any other
    """The API refused: its status, and the problem as it told it (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('type')}")
        self.status = status
        self.problem = problem

    @property
    def type(self) -> str:
        """The stable word of the problem."""
        return str(self.problem.get("type", ""))


class Api:
    """The API as one browser sees it, for the time of one page; `locale` is the language of labels."""

    def __init__(self, app: ASGIApp, request: Request, locale: str) -> None:
        self._app = app
        self._scope = request.scope
        self._cookies = dict(request.cookies)
        self._locale = locale
        self._set: list[bytes] = []
        self._read: dict[tuple[str, str], bytes] = {}

    async def get(self, path: str, **query: Any) -> Any:
        """Read; raises Refused."""
        asked = [
            (name, part) for name, value in query.items() if value is not None for part in (value if isinstance(value, (list, tuple)) else [value])
        ]
        question = path, urlencode(asked)
        if question not in self._read:
            self._read[question] = await self.raw("GET", *question)
        return json.loads(self._read[question] or b"null")

    async def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Change; raises Refused."""
        self._read.clear()
        return json.loads(await self.raw(method, path, "", json.dumps(body or {}).encode()) or b"null")

    async def raw(self, method: str, path: str, query: str, body: bytes = b"", accept: bytes = b"application/json") -> bytes:
        """The bytes of an answer; raises Refused."""
        status, headers, answer = await self._call(method, path, query, body, accept)
        for name, value in headers:
            if name == b"set-cookie":
                self._set.append(value)
                self._cookies |= {key: one.value for key, one in SimpleCookie(value.decode("latin-1")).items()}
        if status not in SUCCESS:
            raise Refused(status, json.loads(answer) if answer else {})
        return answer

    def dress(self, response: Response) -> Response:
        """Give the browser the cookies that the API set."""
        response.raw_headers.extend((b"set-cookie", value) for value in self._set)
        return response

    async def _call(self, method: str, path: str, query: str, body: bytes, accept: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = [pair for pair in self._scope["headers"] if pair[0] in PASSED]
        headers += [(b"cookie", cookies.encode("latin-1")), (b"accept", accept), (b"accept-language", self._locale.encode())]
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())] if body else []
        kept = {name: self._scope[name] for name in ("type", "asgi", "http_version", "scheme", "client", "server") if name in self._scope}
        scope = {
            **kept,
            "method": method,
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
        }
        status, found, parts = 0, [], bytearray()
        begun, ended = False, asyncio.Event()

        async def receive() -> Message:
            nonlocal begun
            if begun:
                await ended.wait()
                return {"type": "http.disconnect"}
            begun = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status, found
            if message["type"] == "http.response.start":
                status, found = message["status"], list(message.get("headers", []))
            elif message["type"] == "http.response.body":
                parts.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    ended.set()

        await self._app(scope, receive, send)
        return status, found, bytes(parts)
