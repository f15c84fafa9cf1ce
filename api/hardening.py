"""What every answer carries and every body must be, whatever the route (portal FLOWS 10: 33, 34, 36, 41, 44)."""

from typing import Final

from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from submeter.api.problems import NotJson, Problem, TooLarge, answer_of

__all__ = ["harden"]

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
#: Bodies that a form of another site could send: no route of the interface takes them.
OF_FORMS: Final = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
#: Longest body, bytes, and that of routes that take more: batches, and documents of 10 MiB in base64.
BODY: Final = 65_536
BATCH: Final = 8_388_608
LONGER: Final = {"/v1/claims": BATCH, "/v1/directory": BATCH, "/v1/balance": BATCH, "/v1/documents": 14_680_064}


def harden(app: FastAPI) -> None:
    """Limit bodies, and add the headers."""
    app.add_middleware(_Hardened)


class _Hardened:
    """The middleware: a plain ASGI one, since every read passes it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if "authorization" not in request.headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        fault = _fault(request)
        await (self._app if fault is None else answer_of(fault))(scope, receive, hardened)


def _fault(request: Request) -> Problem | None:
    """Why a body is not even read."""
    length, most = request.headers.get("content-length", "0"), LONGER.get(request.url.path, BODY)
    if "transfer-encoding" in request.headers or not length.isdecimal() or int(length) > most:
        return TooLarge(f"{most} bytes at most, with their length in the head")
    return NotJson() if int(length) and request.url.path.startswith("/v1/") and _kind(request) in OF_FORMS else None


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
