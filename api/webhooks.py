"""`GET · POST /v1/webhooks`, `DELETE /v1/webhooks/{id}`: where a manager's systems are told that something is new (portal API 3). post/webhooks.py tells them."""

import secrets
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter
from pydantic import Field

from submeter import civil
from submeter.api.access import Access, scoped
from submeter.api.forms import Body
from submeter.api.numbers import moment
from submeter.api.problems import Invalid, NotFound
from submeter.store.registry import new_id

__all__ = ["routes"]

#: Webhooks of a manager.
MOST: Final = 20
HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Wanted(Body):
    """Where to tell."""

    url: Annotated[str, Field(max_length=500, pattern=r"^https?://[\x21-\x7e]+$")]


routes: Final = APIRouter(tags=["service"])


@routes.get("/v1/webhooks")
async def webhooks(access: Annotated[Access, scoped("webhooks:write", cost="r")]) -> dict[str, Any]:
    """The own webhooks, without their secrets."""
    return {
        "webhooks": [
            {
                "id": one.id,
                "url": one.url,
                "created": civil.iso(one.created),
                "delivered": moment(one.delivered),
                "failures": one.tries,
                "error": one.error or None,
            }
            for one in access.registry.webhooks.of(access.principal.manager)
        ]
    }


@routes.post("/v1/webhooks", status_code=201)
async def add(access: Annotated[Access, scoped("webhooks:write", cost="w")], body: Wanted) -> dict[str, Any]:
    """Add a webhook; the secret that signs its requests is told this once."""
    _check(body.url)
    manager, registry = access.principal.manager, access.registry
    if len(registry.webhooks.of(manager)) >= MOST:
        raise Invalid(f"{MOST} webhooks at most: delete one", "url")
    identity, secret = new_id("w_"), secrets.token_urlsafe(32)
    with registry.writing():
        registry.webhooks.add(identity, manager, body.url, secret, now=access.now)
        registry.record(access.principal.actor, "webhook.create", identity)
    return {"id": identity, "url": body.url, "secret": secret}


@routes.delete("/v1/webhooks/{identity}", status_code=204)
async def remove(identity: str, access: Annotated[Access, scoped("webhooks:write", cost="w")]) -> None:
    """Delete an own webhook."""
    with access.registry.writing():
        if not access.registry.webhooks.remove(access.principal.manager, identity):
            raise NotFound
        access.registry.record(access.principal.actor, "webhook.delete", identity)


def _check(text: str) -> None:
    """Raises Invalid for an address that is not HTTPS, nor of this machine; what it resolves to is checked at each delivery."""
    try:
        url = urlsplit(text)
        plain = bool(url.hostname) and not url.username and not url.password and not url.fragment and (url.port is None or url.port > 0)
    except ValueError:
        raise Invalid("write an address, e.g. https://example.org/hook", "url") from None
    if not plain or (url.scheme != "https" and url.hostname not in HERE):
        raise Invalid("write an address with https and without a user, e.g. https://example.org/hook", "url")
