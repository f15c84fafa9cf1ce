"""Routes of data protection: a copy of the own data, and erasing the own account (portal API 10).

Rules: both ask for a proof of the last five minutes; exports are made in two threads with connections of their own, told by a notice, and gone after a week; an
erasure may be taken back for a week.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.export import Subject, write
from submeter.api.flows import Flows
from submeter.api.flows.telling import tell
from submeter.api.problems import NotFound
from submeter.api.sign_in import FlowsHere
from submeter.errors import SubmeterError
from submeter.store.exports import Export
from submeter.store.published import Published
from submeter.store.registry import new_id

__all__ = ["routes"]

log = structlog.get_logger()

AT_ONCE: Final = 2
#: An export that is not ready by then is not waited for any more: another may be asked for.
PATIENCE: Final = 3600 * civil.SECOND
#: What somebody must be allowed to read for it to be in an export.
SCOPES: Final = frozenset({"units:read", "consumption:read"})

routes: Final = APIRouter(tags=["account"])
_pool: Final = ThreadPoolExecutor(AT_ONCE, "export")


@routes.post("/v1/me/export", status_code=202)
async def ask_export(request: Request, access: Annotated[Access, scoped("me:self", cost="e")], flows: FlowsHere) -> dict[str, Any]:
    """Ask for a copy of one's data; the one that is being made already, if there is one."""
    access.proven()
    own, exports = access.account(), access.registry.exports
    for one in exports.of(own, access.now):
        if one.ready is None and not one.failed and one.asked > access.now - PATIENCE:
            return _told(one)
    with access.registry.writing():
        one = exports.ask(new_id("e_"), own, access.now)
        access.registry.record(f"account:{own}", "export.create", one.id)
    _pool.submit(_make, replace(access, scopes=SCOPES, route="export", read=request.app.state.reads.note), request.app.state.published, flows, one)
    return _told(one)


@routes.get("/v1/me/export")
async def exports(access: Annotated[Access, scoped("me:self", cost="c")]) -> dict[str, Any]:
    """Copies that were asked for, and whether they are ready."""
    return {"exports": [_told(one) for one in access.registry.exports.of(access.account(), access.now)]}


@routes.get("/v1/me/export/{identity}")
async def export(identity: str, access: Annotated[Access, scoped("me:self", cost="e")]) -> Response:
    """The zip, once it is ready; until then 202 with its state."""
    access.proven()
    one = access.registry.exports.one(identity, access.account(), access.now)
    if one is None:
        raise NotFound
    if one.ready is None:
        return JSONResponse(_told(one), 202)
    access.registry.record(f"account:{one.account}", "export.read", one.id)
    return FileResponse(access.registry.exports.path(one), media_type="application/zip", filename="my-data.zip")


@routes.post("/v1/me/erasure", status_code=202)
async def ask_erasure(access: Annotated[Access, scoped("me:self", cost="w")], flows: FlowsHere) -> dict[str, Any]:
    """Ask for the own account to be erased in a week; tells every address of it."""
    session, own = access.proven(), access.account()
    with access.registry.writing():
        before = access.registry.erasures.ripe(2**62, own)
        wish = access.registry.erasures.ask(own, access.now)
        if not before:
            access.registry.record(f"account:{own}", "erasure.ask", own)
            tell(flows, access.holder(), session.manager, "erasure_asked", {"when": civil.iso(wish.due)})
    return {"asked": civil.iso(wish.asked), "due": civil.iso(wish.due)}


@routes.delete("/v1/me/erasure", status_code=204)
async def withdraw_erasure(access: Annotated[Access, scoped("me:self", cost="w")]) -> None:
    """Take the wish back."""
    access.proven()
    with access.registry.writing():
        if not access.registry.erasures.withdraw(access.account()):
            raise NotFound
        access.registry.record(f"account:{access.account()}", "erasure.withdraw", access.account())


def _make(access: Access, published: Published, flows: Flows, one: Export) -> None:
    """Make an export, on a thread of its own; what goes wrong is noted with it and in the log."""
    try:
        with access.registry.another() as registry:
            try:
                _write(replace(access, registry=registry), published, flows, one)
            except (SubmeterError, OSError):
                registry.exports.failed(one.id)
                raise
    except (SubmeterError, OSError) as error:
        log.error("an export could not be made", export=one.id, error=str(error))


def _write(access: Access, published: Published, flows: Flows, one: Export) -> None:
    account = access.registry.accounts.account(one.account)
    if account is None:
        return
    with access.registry.exports.create(one) as file:
        write(Subject(account, access, published), file)
    with access.registry.writing():
        if access.registry.exports.made(one.id, flows.now()) and access.session:
            link = f"{flows.url_of(access.session.manager)}/export/{one.id}"
            tell(flows, account, access.session.manager, "export_ready", {"link": link, "until": civil.iso(one.expires)}, by=access.registry)
        else:
            access.registry.exports.path(one).unlink(missing_ok=True)


def _told(one: Export) -> dict[str, Any]:
    state = "failed" if one.failed else "waiting" if one.ready is None else "ready"
    return {"id": one.id, "state": state, "asked": civil.iso(one.asked), "expires": civil.iso(one.expires)}
