"""What browsers see of flows: what a portal offers, and the page at which a flow stands (portal API 3)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from submeter.api.flows.challenges import told
from submeter.api.flows.claim import fields_of_claim
from submeter.api.flows.context import Flows, Tenant, page_of
from submeter.api.problems import NotAccepted
from submeter.config.portals import Step
from submeter.store.accounts import Claim, FlowRow

__all__ = ["fields_of", "front", "offered", "reviewed", "shown"]


def front(tenant: Tenant) -> dict[str, Any]:
    """What a portal offers to who comes to it: its languages, links out, and each flow with the fields of its first page."""
    portal = tenant.portal
    flows = {}
    for name in sorted(offered(tenant)):
        page = page_of(portal.flows[name], 0)
        flows[name] = {"by": [by for step in page for by in step.by], **_asked(tenant, page)}
    return {
        "name": portal.name,
        "brand": portal.brand or portal.name,
        "locales": list(portal.locales),
        "country": portal.country,
        "level": portal.policy.level,
        "password_min": portal.policy.password_min,
        "links": {name: link for name, link in tenant.links.items() if name != "pay"},
        "flows": flows,
    }


def offered(tenant: Tenant) -> set[str]:
    """The flows of a portal; the demo only where there is something to show."""
    return {one for one in tenant.portal.flows if one != "demo" or tenant.demo}


def shown(flows: Flows, flow: FlowRow) -> dict[str, Any]:
    """A flow as its browser sees it."""
    state, page, done = flow.state, flows.page(flow), bool(flow.state.get("done"))
    pages = [step for step in flows.steps(flow, state) if not step.join and step.do not in {"grant", "session"}]
    total = max(len(pages) - 1, state["page"] - done)
    return {
        "id": flow.id,
        "name": flow.name,
        "index": min(state["page"], total),
        "total": total,
        "step": _page(flows, flow, page) if page else None,
        "done": done,
    }


def _page(flows: Flows, flow: FlowRow, page: Sequence[Step]) -> dict[str, Any]:
    found = _asked(flows.tenant_of(flow), page) | {"optional": all(step.optional for step in page)}
    found["show"] = _rooms(flows, flow.state) if any(step.do == "review" for step in page) else {}
    return found | told(flows, flow.state)


def _asked(tenant: Tenant, page: Sequence[Step]) -> dict[str, Any]:
    """What a page asks for: fields, and documents to accept."""
    return {
        "do": [step.do for step in page],
        "fields": [name for step in page for name in fields_of(tenant, step)],
        "optional_fields": [name for step in page if step.optional for name in fields_of(tenant, step)],
        "documents": [{"doc": step.doc, "version": tenant.portal.documents.get(step.doc, "1")} for step in page if step.do == "consent"],
    }


def fields_of(tenant: Tenant, step: Step) -> Iterator[str]:
    """The fields that a step asks for."""
    if step.do == "identify" and step.source == "typed":
        yield "name"
    elif step.do == "claim":
        yield from fields_of_claim(tenant, step)
    elif step.do in {"review", "consent"}:
        yield {"review": "agree", "consent": "accept"}[step.do]
    elif step.do == "profile":
        yield from step.fields
    elif step.do == "contact":
        yield from step.channel
    elif step.do == "challenge":
        yield "code"
    elif step.do == "secret":
        yield from ("new_password", "new_password_again")
    elif step.do == "verify":
        yield "password"


def reviewed(flows: Flows, flow: FlowRow) -> Claim:
    """The claim whose rooms a flow shows now to be agreed to; raises NotAccepted at any other page."""
    claim = flows.accounts.claim(flow.state["claims"][-1]) if any(step.do == "review" for step in flows.page(flow)) else None
    if claim is None:
        raise NotAccepted
    return claim


def _rooms(flows: Flows, state: Mapping[str, Any]) -> dict[str, Any]:
    claim = flows.accounts.claim(state["claims"][-1])
    unit = flows.registry.unit(claim.unit) if claim else None
    building = flows.registry.property(unit.property) if unit else None
    return {"property": building.name, "entrance": unit.entrance, "unit": unit.label} if unit and building else {}
