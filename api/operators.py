"""`POST /v1/operators/{link}`: an operator comes in by the link of the command line (FLOWS 10: 46).

Rules: a link is good once, for half an hour, at the host of its manager; whatever is wrong with one, the answer is the same. It is followed by a POST, so that nothing
that only looks at links uses it up.
"""

import secrets
from typing import Final

from fastapi import APIRouter, Request, Response

from submeter.api.access import SESSION, anyone, microseconds
from submeter.api.problems import NotAccepted, NotFound
from submeter.api.sign_in import FlowsHere
from submeter.store.operators import session_of
from submeter.store.registry import Registry, new_id

__all__ = ["routes"]

routes: Final = APIRouter(tags=["sign-in"])


@routes.post("/v1/operators/{link}", dependencies=[anyone], status_code=204)
async def enter(request: Request, flows: FlowsHere, link: str) -> Response:
    """Open an operator's session; the link is used up."""
    registry: Registry = request.app.state.registry
    tenant, now = flows.tenant(request.headers.get("host", "")), microseconds(request)
    if tenant is None:
        raise NotFound
    secret, agent = secrets.token_urlsafe(32), "".join(char for char in request.headers.get("user-agent", "") if char.isprintable())
    with registry.writing():
        found = registry.operators.take(link, tenant.manager, now)
        if found is not None:
            session = session_of(found, new_id("s_"), tenant.portal.name, agent, now)
            registry.accounts.open_session(session, secret)
            registry.record(f"operator:{found.name}", "session.open", found.manager, session.id, manager=found.manager)
    if found is None:
        request.app.state.refusals.note("", "operator.enter", "", "no link, used or over", manager=tenant.manager)
        raise NotAccepted
    answer = Response(status_code=204)
    answer.set_cookie(SESSION, secret, secure=True, httponly=True, samesite="lax", path="/")
    return answer
