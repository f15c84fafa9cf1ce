"""What every answer carries and every body must be, whatever the route (portal FLOWS 10: 33, 34, 36, 41, 44)."""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI, Request, Response

from submeter.api.problems import NotJson, TooLarge, answer_of

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

    @app.middleware("http")
    async def _hardened(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        length, most = request.headers.get("content-length", "0"), LONGER.get(request.url.path, BODY)
        if "transfer-encoding" in request.headers or not length.isdecimal() or int(length) > most:
            answer: Response = answer_of(TooLarge(f"{most} bytes at most, with their length in the head"))
        elif int(length) and request.url.path.startswith("/v1/") and _kind(request) in OF_FORMS:
            answer = answer_of(NotJson())
        else:
            answer = await call_next(request)
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if "authorization" not in request.headers:
            answer.headers["Cache-Control"] = "no-store"
        return answer


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
