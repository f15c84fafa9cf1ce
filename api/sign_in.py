"""Routes of sign-in: flows page by page, links of mails, sessions (portal API 3).

Pages run on one thread of their own, since a password takes 20 ms of a processor: a burst of sign-ins waits for itself and never holds up those who read
(portal STACK 4).
Cookies are `__Host-`, Secure, HttpOnly, SameSite=Lax; answers are `no-store`.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Body, Depends, Request, Response
from fastapi.responses import JSONResponse

from submeter.api.access import BROWSER, FLOW, SESSION, Access, anyone, scoped, session_of
from submeter.api.flows import Browser, Flows, Outcome, Tenant, interpreter
from submeter.api.flows.challenges import confirm as follow
from submeter.api.flows.challenges import resend as send_again
from submeter.api.flows.shown import front as offered
from submeter.api.flows.shown import shown
from submeter.api.problems import NotFound, StepExpired
from submeter.api.trace import network_of
from submeter.store.accounts import FlowRow, Session
from submeter.store.audit import ORIGIN

__all__ = ["FlowsHere", "apart", "opened", "routes"]

T = TypeVar("T")
#: How long a browser is known by the accounts that it signed in to, seconds.
KNOWN: Final = 400 * 86_400
Fields = Annotated[dict[str, Any], Body(description="the fields of the page")]


routes: Final = APIRouter(tags=["sign-in"])

_pool: Final = ThreadPoolExecutor(1, "sign-in")


async def _flows(request: Request) -> Flows:
    flows: Flows = request.app.state.flows
    return flows


FlowsHere = Annotated[Flows, Depends(_flows)]


async def apart(work: Callable[..., T], *args: Any) -> T:
    """Work that takes a processor for long, on the thread of sign-in."""
    return await asyncio.get_running_loop().run_in_executor(_pool, partial(copy_context().run, work, *args))


@routes.get("/v1/portal", dependencies=[anyone])
async def front(request: Request, flows: FlowsHere) -> dict[str, Any]:
    """What the portal of this host offers: languages, its flows with the fields of their first pages, and links to elsewhere."""
    return offered(_tenant(flows, request))


@routes.post("/v1/flows/{name}", dependencies=[anyone])
async def submit(request: Request, flows: FlowsHere, name: str, fields: Fields = {}) -> Response:  # noqa: B006 - never changed
    """Start the flow of this name, or submit a page of the flow with this id."""
    browser, known = _browser(request)
    if name.startswith("f_"):
        outcome, cookie = await apart(_in_turn, flows, request, name, lambda flow: interpreter.submit(flows, flow, fields, browser)), None
    else:
        outcome, cookie = await apart(interpreter.start, flows, _tenant(flows, request), name, browser, fields.get("locale"))
    return _answer(flows, outcome, cookie, browser, known=known)


@routes.get("/v1/flows/{identity}", dependencies=[anyone])
async def page(request: Request, flows: FlowsHere, identity: str) -> Response:
    """The present page, also after a reload."""
    return JSONResponse(shown(flows, opened(flows, request, identity)))


@routes.post("/v1/flows/{identity}/resend", dependencies=[anyone])
async def resend(request: Request, flows: FlowsHere, identity: str, fields: Fields = {}) -> Response:  # noqa: B006 - never changed
    """Send the code or link again; with `channel` by another of the ways that the page names as `others`."""
    outcome = await apart(_in_turn, flows, request, identity, lambda flow: send_again(flows, flow, fields.get("channel")))
    return JSONResponse(shown(flows, outcome.flow))


@routes.delete("/v1/flows/{identity}", dependencies=[anyone], status_code=204)
async def cancel(request: Request, flows: FlowsHere, identity: str) -> Response:
    """Leave: nothing of the flow lasts."""
    await apart(_in_turn, flows, request, identity, lambda flow: flows.accounts.end_flow(flow.id))
    answer = Response(status_code=204)
    answer.delete_cookie(FLOW, secure=True, httponly=True)
    return answer


@routes.post("/v1/confirmations/{link}", dependencies=[anyone])
async def confirm(request: Request, flows: FlowsHere, link: str) -> dict[str, Any]:
    """Follow the link of a mail: proves the address in the browser that began, shows the code to type there in any other."""
    here, told = await apart(follow, flows, link, request.cookies.get(FLOW, ""))
    return {"flow": told} if here else {"code": told}


@routes.get("/v1/session")
async def session(access: Annotated[Access, scoped(cost="c")]) -> dict[str, Any]:
    """Who is signed in here, and until when; of an operator also the `zone` of the manager's first property."""
    own = access.own_session()
    zones = [one.zone for one in access.registry.properties() if one.manager == own.manager] if "operator" in own.held else []
    return _told(own, own) | {"zone": next(iter(zones), "UTC")}


@routes.delete("/v1/session", status_code=204)
async def log_out(access: Annotated[Access, scoped(cost="c")]) -> Response:
    """End this session."""
    own = access.own_session()
    with access.registry.writing():
        access.registry.accounts.end_session(own.id, access.now)
        access.registry.record(ORIGIN.get().actor, "session.end", own.id)
    answer = Response(status_code=204, headers={"Clear-Site-Data": '"cache", "storage"'})
    answer.delete_cookie(SESSION, secure=True, httponly=True)
    return answer


@routes.get("/v1/sessions")
async def sessions(access: Annotated[Access, scoped("sessions:self", cost="c")]) -> dict[str, Any]:
    """Own sessions."""
    return {"sessions": [_told(one, access.session) for one in access.registry.accounts.sessions(access.account(), access.now)]}


@routes.delete("/v1/sessions/{identity}", status_code=204)
async def end(identity: str, access: Annotated[Access, scoped("sessions:self", cost="c")]) -> None:
    """End one of the own sessions."""
    if identity not in {one.id for one in access.registry.accounts.sessions(access.account(), access.now)}:
        raise NotFound
    access.registry.accounts.end_session(identity, access.now)
    access.registry.record(ORIGIN.get().actor, "session.end", identity)


@routes.delete("/v1/sessions", status_code=204)
async def end_others(access: Annotated[Access, scoped("sessions:self", cost="c")]) -> None:
    """End all others of the own sessions."""
    access.registry.accounts.end_sessions(access.account(), access.now, but=access.session.id if access.session else "")
    access.registry.record(ORIGIN.get().actor, "sessions.end", access.account())


def _tenant(flows: Flows, request: Request) -> Tenant:
    """The tenant of the host that was asked; raises NotFound."""
    found = flows.tenant(request.headers.get("host", ""))
    if found is None:
        raise NotFound
    return found


def opened(flows: Flows, request: Request, identity: str) -> FlowRow:
    """A flow of this browser and host; raises StepExpired."""
    tenant, flow = _tenant(flows, request), interpreter.found(flows, identity, request.cookies.get(FLOW, ""))
    if (flow.realm, flow.manager) != (tenant.portal.name, tenant.manager):
        raise StepExpired
    return flow


def _in_turn(flows: Flows, request: Request, identity: str, work: Callable[[FlowRow], T]) -> T:
    """Work on a flow as it stands when it is its turn."""
    with flows.turn(identity):
        return work(opened(flows, request, identity))


def _browser(request: Request) -> tuple[Browser, bool]:
    """Who asks; a browser without a secret of its own gets one."""
    host = request.client.host if request.client else ""
    known = request.cookies.get(BROWSER)
    agent = "".join(char for char in request.headers.get("user-agent", "") if char.isprintable())
    return Browser(network_of(host), agent, known or secrets.token_urlsafe(24), session_of(request)), known is not None


def _answer(flows: Flows, outcome: Outcome, cookie: str | None, browser: Browser, *, known: bool) -> Response:
    answer = JSONResponse(shown(flows, outcome.flow))
    kept = {"secure": True, "httponly": True, "samesite": "lax", "path": "/"}
    if cookie:
        answer.set_cookie(FLOW, cookie, **kept)  # type: ignore[arg-type]
    if outcome.session:
        answer.set_cookie(SESSION, outcome.session, **kept)  # type: ignore[arg-type]
    if not known:
        answer.set_cookie(BROWSER, browser.secret, max_age=KNOWN, **kept)  # type: ignore[arg-type]
    return answer


def _told(one: Session, here: Session | None) -> dict[str, Any]:
    return {
        "id": one.id,
        "account": one.account,
        "role": one.role,
        "meter": one.held.get("point"),
        "operator": one.held.get("name"),
        "created": one.created // 1_000_000,
        "seen": one.seen // 1_000_000,
        "expires": one.expires // 1_000_000,
        "agent": one.agent,
        "here": here is not None and one.id == here.id,
    }
