"""Errors of the API as problem+json (RFC 9457): stable `type`, one sentence for a person, never a secret or a stack.

Problem
├── Unauthenticated   401  no or ended token or session
├── Reauth            401  fresh proof needed
├── TooLarge          413  a body longer than allowed
├── CrossSite         403  a change asked for by another site
├── NotAccepted       422  any refusal in a flow
├── StepExpired       410  a flow or challenge that is over
├── ForbiddenScope    403  visible, but the token lacks the scope
├── TooFine           403  finer than the property's `finest`
├── Conflict          409  what is asked for is there already
├── NotJson           415  a body of another kind
├── TooManyRequests   429  with Retry-After
├── NotFound          404  foreign, other manager's or nonexistent: one answer for all three
│   └── NotVisible         the same of a unit: the audit has who asked for it
└── Invalid           422  a parameter, with its name
"""

from collections.abc import Callable
from typing import ClassVar

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from submeter.store.errors import StoreError

__all__ = [
    "Conflict",
    "CrossSite",
    "ForbiddenScope",
    "Invalid",
    "NotAccepted",
    "NotFound",
    "NotJson",
    "NotVisible",
    "Problem",
    "Reauth",
    "StepExpired",
    "TooFine",
    "TooLarge",
    "TooManyRequests",
    "Unauthenticated",
    "answer_of",
    "install",
    "internal",
]


class Problem(Exception):  # noqa: N818 - the field's word (RFC 9457)
    """One refusal; `parameter` names the one that is the cause, where one is."""

    type: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something failed here"

    def __init__(self, detail: str | None = None, parameter: str | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = [{"parameter": parameter, "detail": detail or self.title}] if parameter else None


class Unauthenticated(Problem):
    """No token, or one that ended."""

    type, status, title = "unauthenticated", 401, "A valid token is needed"


class ForbiddenScope(Problem):
    """The object is visible to the token, the action is not."""

    type, status, title = "forbidden-scope", 403, "The token lacks the scope for this"


class NotAccepted(Problem):
    """Any refusal in a flow: wrong, used, over or too soon, all alike."""

    type, status, title = "not-accepted", 422, "That was not accepted"


class StepExpired(Problem):
    """A flow or challenge that is over, or another browser's."""

    type, status, title = "step-expired", 410, "This is over: start again"


class Reauth(Problem):
    """The session proved who it is too long ago for this."""

    type, status, title = "reauth", 401, "Prove again who you are: flow reauth"


class CrossSite(Problem):
    """A change that another site's page asked for."""

    type, status, title = "cross-site", 403, "This must be asked for by the portal's own pages"


class TooLarge(Problem):
    """A body longer than allowed."""

    type, status, title = "too-large", 413, "The body is too large"


class NotJson(Problem):
    """A body that is not called JSON: a form of another site could send it."""

    type, status, title = "not-json", 415, "The body must be application/json"


class TooManyRequests(Problem):
    """More than the rate of this principal; `after` is when to ask again, seconds."""

    type, status, title = "too-many-requests", 429, "Too many requests: wait a little"

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after


class TooFine(Problem):
    """Finer than the property shows."""

    type, status, title = "resolution-not-available", 403, "This property shows no data this fine"


class Conflict(Problem):
    """What is asked for does not fit what is there: something else under the same name, or the same already."""

    type, status, title = "conflict", 409, "That does not fit what is there"


class NotFound(Problem):
    """Foreign and nonexistent alike."""

    type, status, title = "not-found", 404, "There is no such thing for this token"


class NotVisible(NotFound):
    """A unit that is not there for who asks; answered as NotFound."""


class Invalid(Problem):
    """A parameter that cannot be understood or is out of bounds."""

    type, status, title = "invalid", 422, "A parameter is wrong"


def _body(kind: str, status: int, title: str, detail: str | None, errors: list[dict[str, str]] | None) -> JSONResponse:
    content = {"type": kind, "status": status, "title": title, "detail": detail, "errors": errors}
    return JSONResponse({key: value for key, value in content.items() if value is not None}, status, media_type="application/problem+json")


def answer_of(error: Problem) -> JSONResponse:
    """A refusal as a response."""
    answer = _body(error.type, error.status, error.title, error.detail, error.errors)
    if error.status == Unauthenticated.status:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyRequests):
        answer.headers["Retry-After"] = str(error.after)
    return answer


def internal(request: str | None = None) -> JSONResponse:
    """The answer to what nobody caught: nothing but the id of the request."""
    return _body(Problem.type, Problem.status, Problem.title, request and f"request {request}", None)


def install(app: FastAPI, refused: Callable[[Request, Problem], None]) -> None:
    """Answer every error of `app` as problem+json; `refused` is told of every refusal."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, error: Problem) -> JSONResponse:
        refused(request, error)
        return answer_of(error)

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"parameter": str(item["loc"][-1]), "detail": str(item["msg"])} for item in error.errors()]
        return _body(Invalid.type, Invalid.status, Invalid.title, None, errors)

    @app.exception_handler(400)
    async def _unreadable(_: Request, __: Exception) -> JSONResponse:
        return answer_of(Invalid("this is no JSON in UTF-8", "body"))

    @app.exception_handler(404)
    async def _missing(_: Request, __: Exception) -> JSONResponse:
        return _body(NotFound.type, NotFound.status, NotFound.title, None, None)

    @app.exception_handler(405)
    async def _method(_: Request, error: HTTPException) -> JSONResponse:
        answer = _body("method-not-allowed", 405, "This method is not offered here", None, None)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(StoreError)
    async def _unavailable(_: Request, __: Exception) -> JSONResponse:
        answer = _body("unavailable", 503, "The tables cannot be read just now", None, None)
        answer.headers["Retry-After"] = "5"
        return answer

    @app.exception_handler(Exception)
    async def _bug(_: Request, __: Exception) -> JSONResponse:
        return internal()
