"""Routes of what one says of oneself: name, language, the unit shown last, consents (portal API 3)."""

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from submeter.api.access import Access, scoped
from submeter.api.forms import Body
from submeter.api.problems import Invalid, NotFound
from submeter.api.sign_in import FlowsHere
from submeter.config.portals import Portal
from submeter.store.registry import new_id

__all__ = ["routes"]


class Self(Body):
    """What is to be another one; what is left out stays."""

    name: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    locale: str | None = None
    unit: str | None = None


class Consent(Body):
    """A document that is accepted, in its present version."""

    doc: str


routes: Final = APIRouter(tags=["account"])


@routes.patch("/v1/me", status_code=204)
async def describe(access: Annotated[Access, scoped("me:self", cost="w")], flows: FlowsHere, body: Self) -> None:
    """Change one's name, the language of messages, or the unit that is shown first."""
    accounts, own = access.registry.accounts, access.holder()
    locales = flows.portal(access.principal.manager).locales
    if body.locale is not None and body.locale not in locales:
        raise Invalid(f"this portal speaks {', '.join(locales)}", "locale")
    unit = own.last_unit if body.unit is None else access.unit(body.unit).unit.id
    accounts.describe(own.id, own.name if body.name is None else body.name.strip(), body.locale or own.locale, unit)


@routes.get("/v1/me/consents")
async def consents(access: Annotated[Access, scoped("me:self", cost="c")], flows: FlowsHere) -> dict[str, Any]:
    """What was accepted, and the documents of the portal with their present versions."""
    return {"consents": access.registry.accounts.consents(access.account()), "documents": _documents(flows.portal(access.principal.manager))}


@routes.post("/v1/me/consents", status_code=201)
async def consent(access: Annotated[Access, scoped("me:self", cost="w")], flows: FlowsHere, body: Consent) -> dict[str, Any]:
    """Accept a document in its present version; one that is accepted already is not accepted twice."""
    accounts, own = access.registry.accounts, access.holder()
    documents = _documents(flows.portal(access.principal.manager))
    if body.doc not in documents:
        raise Invalid(f"this portal has {', '.join(sorted(documents))}", "doc")
    said = {"doc": body.doc, "version": documents[body.doc]}
    with access.registry.writing():
        given = next((one for one in accounts.consents(own.id) if one["withdrawn"] is None and said.items() <= one.items()), None)
        if given is None:
            accounts.consent(new_id("n_"), own.id, body.doc, said["version"], own.locale, access.now)
            access.registry.record(f"account:{own.id}", "consent.give", body.doc, said["version"])
    return next(one for one in accounts.consents(own.id) if one["withdrawn"] is None and said.items() <= one.items())


@routes.delete("/v1/me/consents/{identity}", status_code=204)
async def withdraw(identity: str, access: Annotated[Access, scoped("me:self", cost="w")]) -> None:
    """Take a consent back; that it was given, and until when, stays on record."""
    own = access.account()
    with access.registry.writing():
        if not access.registry.accounts.withdraw_consent(own, identity, access.now):
            raise NotFound
        access.registry.record(f"account:{own}", "consent.withdraw", identity)


def _documents(portal: Portal) -> dict[str, str]:
    """The documents that a portal asks to accept, with their versions."""
    asked = {step.doc for steps in portal.flows.values() for step in steps if step.do == "consent"}
    return {name: portal.documents.get(name, "1") for name in sorted({*asked, *portal.documents})}
