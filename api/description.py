"""The OpenAPI document: what every route may answer besides its result, said once for all of them (portal API 6).

Rule: every refusal is problem+json of one form.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI

from submeter.api.access import SESSION

__all__ = ["describe"]

#: Status of a refusal: what it says of any route.
REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "401": "No or ended token or session (`unauthenticated`), or a fresh proof is needed (`reauth`)",
        "403": "Not with this scope or role (`forbidden-scope`), not this fine (`resolution-not-available`), or asked for by another site (`cross-site`)",
        "404": "Foreign and nonexistent alike (`not-found`)",
        "405": "This method is not offered here (`method-not-allowed`)",
        "409": "Something else happened meanwhile (`conflict`)",
        "410": "The flow or its step is over (`step-expired`)",
        "413": "The body is too large (`too-large`)",
        "415": "The body is not called JSON (`not-json`)",
        "422": "A parameter or field is wrong (`invalid`), or a refusal in a flow (`not-accepted`)",
        "429": "Too many requests of this token or account (`too-many-requests`), with Retry-After",
        "500": "A fault here (`internal`)",
        "503": "The tables cannot be read (`unavailable`), with Retry-After",
    }
)
COOKIE: Final = {"type": "apiKey", "in": "cookie", "name": SESSION, "description": "The session of a browser, opened by a flow of its portal"}
PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "status", "title"],
    "properties": {
        "type": {"type": "string"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}},
    },
}


def describe(app: FastAPI) -> None:
    """Let the document of `app` say what may be refused."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _add(plain())
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]


def _add(document: dict[str, Any]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    document["components"].setdefault("securitySchemes", {})["session"] = COOKIE
    for operation in _operations(document):
        if operation.get("security"):
            operation["security"].append({"session": []})
        operation["responses"] |= {status: {"description": text, "content": content} for status, text in REFUSALS.items()}


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()
