"""Where a request comes from and what becomes of it: an id for each, which its log lines, its rows of the audit and its answer carry; and the last resort.

Rules: an error that nobody caught is answered generically (API.md 6, `internal`), with the id by which the operator finds it in the log; what was refused to whom
is in the audit. The tenant is that of the host, then that of the token or session (`whose`).
"""

import ipaddress
import secrets
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request

from submeter.api.problems import NotVisible, Problem, internal
from submeter.api.refusals import Refusals
from submeter.errors import SubmeterError
from submeter.store.audit import ORIGIN, Origin
from submeter.store.registry_types import Principal

__all__ = ["install", "network_of", "refused", "route_of", "whose"]

log = structlog.get_logger()

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]

#: Refusals that the audit has: of the wrong scope, without a proof or from another site; and of objects of others, answered as if they were not there.
REFUSED: Final = frozenset({401, 403})


class Trace:
    """The middleware: gives each request its origin, and answers what nobody caught."""

    def __init__(self, app: ASGIApp, manager_of: Callable[[str], str]) -> None:
        self._app = app
        self._manager_of = manager_of

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, begun = Request(scope), False
        identity = f"r_{secrets.token_hex(8)}"
        host = request.client.host if request.client else ""
        token = ORIGIN.set(Origin(identity, network_of(host), self._manager_of(request.headers.get("host", "")), purpose="self"))

        async def marked(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", []), (b"x-request-id", identity.encode())]
            await send(message)

        try:
            await self._app(scope, receive, marked)
        except Exception as error:
            # Neither what the error says nor any variable: a code or an address may be among them.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("a request failed", request=identity, method=request.method, route=route_of(request), error=type(error).__name__, where=where)
            _failed(request, error)
            if begun:
                raise
            await internal(identity)(scope, receive, marked)
        finally:
            ORIGIN.reset(token)


def install(app: FastAPI, refusals: Refusals, manager_of: Callable[[str], str]) -> None:
    """Trace the requests of `app`; `manager_of` gives the tenant of a host, "" for none."""
    app.state.refusals = refusals
    app.add_middleware(Trace, manager_of=manager_of)


def whose(principal: Principal, manager: str) -> str:
    """From here on the request is this principal's and of this manager; returns how the audit calls it."""
    purpose = "operation" if principal.account is None and principal.held is None else "self"
    ORIGIN.set(replace(ORIGIN.get(), actor=principal.actor, manager=manager, purpose=purpose))
    return principal.actor


def refused(request: Request, error: Problem) -> None:
    """Write a refused authorisation into the audit."""
    if error.status in REFUSED or isinstance(error, NotVisible):
        refusals: Refusals = request.app.state.refusals
        subject = str(request.path_params.get("unit", ""))[:100]
        refusals.note(ORIGIN.get().actor, route_of(request), subject, "not-visible" if isinstance(error, NotVisible) else error.type)


def route_of(request: Request) -> str:
    """The name of the route that a request is for, "" where there is none."""
    return str(getattr(request.scope.get("route"), "name", ""))


def network_of(host: str) -> str:
    """The /24 of an address, /48 of IPv6: what is throttled and kept of it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


def _failed(request: Request, error: Exception) -> None:
    """Write a failure into the audit, as far as that can be written to."""
    refusals: Refusals = request.app.state.refusals
    try:
        refusals.note(ORIGIN.get().actor, route_of(request), "", type(error).__name__, outcome="failed")
    except SubmeterError as trouble:
        log.error("a failure could not be written into the audit", error=str(trouble))
