"""A manager's own program for a while: posts to the API's routes in this process, before anything listens."""

import asyncio
import json
from types import TracebackType
from typing import Any, Final, Self

from starlette.types import Message

from submeter import __version__
from submeter.api import create_app
from submeter.demo.folder import Demo
from submeter.errors import SubmeterError
from submeter.service import sign_in
from submeter.store import Published, Registry

__all__ = ["Asking"]

MADE: Final = (200, 201)


class Asking:
    """The application over the stores of a demo."""

    def __init__(self, demo: Demo) -> None:
        self._tokens = demo.tokens
        self._registry = Registry.of(demo.config.data)
        self._published = Published.of(demo.config.data)
        self._app = create_app(self._registry, self._published, __version__, portals=sign_in(demo.config))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._app.state.reads.close()
        self._published.close()
        self._registry.close()

    def post(self, manager: str, path: str, body: Any) -> Any:
        """What a route answers to a body: a list goes as NDJSON, all else as JSON. SubmeterError if it refuses."""
        lines = isinstance(body, list)
        sent = "\n".join(json.dumps(one) for one in (body if lines else [body])).encode()
        headers = {
            "host": "localhost", "authorization": f"Bearer {self._tokens[manager]}", "content-length": str(len(sent)),
            "content-type": "application/x-ndjson" if lines else "application/json",
        }  # fmt: skip
        status, answer = asyncio.run(self._asked(path, headers, sent))
        if status not in MADE:
            raise SubmeterError(f"POST {path} is refused: {answer}")
        return answer

    async def _asked(self, path: str, headers: dict[str, str], sent: bytes) -> tuple[int, Any]:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("localhost", 80),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        heard: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": sent, "more_body": False}

        async def send(message: Message) -> None:
            heard.append(message)

        await self._app(scope, receive, send)
        return heard[0]["status"], json.loads(b"".join(message.get("body", b"") for message in heard))
