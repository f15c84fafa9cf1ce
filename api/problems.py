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
├── NotFound          404  foreign, other manager's or nonexistent: one answer for all three
└── Invalid           422  a parameter, with its name
"""

from typing import ClassVar

from fastapi import FastAPI, Request
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
    "Problem",
    "Reauth",
    "StepExpired",
    "TooFine",
    "TooLarge",
    "Unauthenticated",
    "answer_of",
    "install",
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


class TooFine(Problem):
    """Finer than the property shows."""

    type, status, title = "resolution-not-available", 403, "This property shows no data this fine"


class Conflict(Problem):
    """What is asked does not fit what is there."""

    type, status, title = "conflict", 409, "That does not fit what is there"


class NotFound(Problem):
    """Foreign and nonexistent alike."""

    type, status, title = "not-found", 404, "There is no such thing for this token"


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
    return answer


def install(app: FastAPI) -> None:
    """Answer every error of `app` as problem+json."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        return answer_of(error)

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"parameter": str(item["loc"][-1]), "detail": str(item["msg"])} for item in error.errors()]
        return _body(Invalid.type, Invalid.status, Invalid.title, None, errors)

    @app.exception_handler(404)
    async def _missing(_: Request, __: Exception) -> JSONResponse:
        return _body(NotFound.type, NotFound.status, NotFound.title, None, None)

    @app.exception_handler(405)
    async def _method(_: Request, __: Exception) -> JSONResponse:
        return _body("method-not-allowed", 405, "This method is not offered here", None, None)

    @app.exception_handler(StoreError)
    async def _unavailable(_: Request, __: Exception) -> JSONResponse:
        answer = _body("unavailable", 503, "The tables cannot be read just now", None, None)
        answer.headers["Retry-After"] = "5"
        return answer

    @app.exception_handler(Exception)
    async def _bug(_: Request, __: Exception) -> JSONResponse:
        return _body(Problem.type, Problem.status, Problem.title, None, None)
