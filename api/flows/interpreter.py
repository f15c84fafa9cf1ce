"""The interpreter: a flow begins, takes its pages one by one, goes on by itself where nothing is asked, and ends (portal FLOWS 1)."""

import copy
import hmac
import secrets as random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from submeter.api.flows import challenges, lasting, passwords, steps
from submeter.api.flows.claim import claim
from submeter.api.flows.context import IDLE, Browser, Draft, Flows, Outcome, Refused, State, Tenant, page_of
from submeter.api.flows.shown import offered
from submeter.api.problems import Invalid, NotAccepted, StepExpired
from submeter.config.portals import Step
from submeter.store.accounts import FlowRow, Session, digest
from submeter.store.registry import new_id

__all__ = ["found", "start", "submit"]

#: What each step that asks for something does with its fields.
STEPS: Final[Mapping[str, Callable[[Draft, Step, Mapping[str, Any]], None]]] = {
    "identify": steps.identify,
    "claim": claim,
    "review": steps.review,
    "consent": steps.consent,
    "profile": steps.profile,
    "contact": steps.contact,
    "challenge": challenges.prove,
    "secret": passwords.secret,
    "verify": passwords.verify,
}


def start(flows: Flows, tenant: Tenant, name: str, browser: Browser, locale: str | None = None) -> tuple[Outcome, str]:
    """Begin a flow; returns it with the secret that binds it to this browser. Raises Invalid for a flow that the portal does not have."""
    names, locales, now = offered(tenant), tenant.portal.locales, flows.now()
    if name not in names:
        raise Invalid(f"this portal has {', '.join(sorted(names))}", "name")
    state: State = {"list": name, "at": 0, "page": 0, "locale": locale if locale in locales else locales[0]}
    state |= _begun_by(flows, browser.session, name)
    secret = random.token_urlsafe(32)
    flow = FlowRow(new_id("f_"), digest(secret), tenant.portal.name, tenant.manager, name, state, now + IDLE)
    begun = _advanced(Draft(flows, flow, state, browser, now)), secret
    flows.registry.funnel.count(flow.manager, name, "started", now)
    return begun


def _begun_by(flows: Flows, session: Session | None, name: str) -> State:
    """What a session brings to `add`, `upgrade` and `reauth`; raises NotAccepted where one is needed and is not there."""
    if name not in {"add", "upgrade", "reauth"}:
        return {}
    if session is None or (session.account is None and session.role != "guest") or (name == "reauth" and session.account is None):
        raise NotAccepted
    begun = {"session": session.id, "account": session.account, **({} if session.account else session.held)}
    phone = begun.get("contacts", {}).get("phone", {}).get("address")
    known = flows.accounts.reached(session.realm, "phone", phone) if name == "upgrade" and phone else None
    return begun | ({"list": "attach", "attach": known.id} if known else {})


def found(flows: Flows, identity: str, cookie: str) -> FlowRow:
    """The flow of this id, if this browser began it; raises StepExpired."""
    flow = flows.accounts.flow(identity, flows.now())
    if flow is None or not hmac.compare_digest(flow.cookie, digest(cookie)):
        raise StepExpired
    return flow


def submit(flows: Flows, flow: FlowRow, fields: Mapping[str, Any], browser: Browser) -> Outcome:
    """Take the fields of a page; raises NotAccepted (any refusal), Invalid (what cannot be understood), StepExpired."""
    state: State = copy.deepcopy(dict(flow.state))
    if state.get("done") or state.get("session") not in {None, browser.session and browser.session.id}:
        raise StepExpired
    draft = Draft(flows, flow, state, browser, flows.now())
    page = page_of(draft.steps, state["at"])
    try:
        for step in page:
            STEPS[step.do](draft, step, fields)
        state["at"] = state.pop("next", state["at"] + len(page))
        state["page"] += 1
        return _advanced(draft)
    except Refused as refused:
        kept = {**flow.state, **({"challenge": state["challenge"]} if "challenge" in state and "challenge" in flow.state else {})}
        with flows.registry.writing():
            flows.keep(replace(flow, state=kept))
            flows.refusals.note("", f"{flow.name}.refused", flow.id, str(refused), manager=flow.manager)
        raise NotAccepted from None


def _advanced(draft: Draft) -> Outcome:
    """Go on to the next page that asks for something, doing what asks for nothing; the flow is done after the last step. All of it lasts, or nothing."""
    session, state, list_ = None, draft.state, draft.steps
    with draft.flows.registry.writing():
        while state["at"] < len(list_):
            step = list_[state["at"]]
            if step.do == "grant":
                lasting.grant(draft, step)
            elif step.do == "session":
                session = lasting.session(draft, step)
            elif step.do == "identify" and step.source == "session":
                steps.from_session(draft)
            elif step.do != "challenge" or challenges.ask(draft, step):
                break
            state["at"] += 1
        if state["at"] >= len(list_):
            session = lasting.finish(draft) or session
        return Outcome(draft.keep(), session)
