"""The steps that only take what is typed: identify, review, consent, profile, contact (portal FLOWS 1)."""

from collections.abc import Mapping
from typing import Any

from submeter.api.flows.context import Draft
from submeter.api.forms import address_of, text_of, username_of
from submeter.api.problems import Invalid
from submeter.api.secrets import normalised
from submeter.config.portals import Step

__all__ = ["consent", "contact", "from_session", "identify", "profile", "review"]


def identify(draft: Draft, step: Step, fields: Mapping[str, Any]) -> None:
    """Who it is; a name that nobody has goes on like one that somebody has."""
    typed = text_of(fields, "name")
    if step.new:
        draft.state["username"] = username_of(typed)
        return
    realm, found = draft.flow.realm, None
    for by in step.by:
        address = typed.strip() if by == "username" else address_of(by, typed, draft.tenant.portal.country, strict=False)
        if address and found is None:
            found = draft.accounts.named(realm, address) if by == "username" else draft.accounts.reached(realm, by, address)
            draft.state.setdefault("typed", {"by": by, "address": address})
    draft.state.update(who=found.id if found else None, name=normalised(typed))


def from_session(draft: Draft) -> None:
    """Whose phone it is that a guest proved."""
    phone = draft.state.get("contacts", {}).get("phone", {}).get("address")
    found = draft.accounts.reached(draft.flow.realm, "phone", phone) if phone else None
    draft.state.update(who=found.id if found else None, name=phone or "")


def review(_draft: Draft, _step: Step, fields: Mapping[str, Any]) -> None:
    """These are the own rooms."""
    if fields.get("agree") is not True:
        raise Invalid("true, if these are your rooms; else write to the operator and leave", "agree")


def consent(draft: Draft, step: Step, fields: Mapping[str, Any]) -> None:
    """A document is accepted."""
    if fields.get("accept") is not True:
        raise Invalid("true, to go on", "accept")
    version = draft.tenant.portal.documents.get(step.doc, "1")
    draft.state.setdefault("consents", []).append({"doc": step.doc, "version": version, "at": draft.now})


def profile(draft: Draft, step: Step, fields: Mapping[str, Any]) -> None:
    """Words about oneself, without authority."""
    draft.state["profile"] = {**draft.state.get("profile", {}), **{name: text_of(fields, name) for name in step.fields}}


def contact(draft: Draft, step: Step, fields: Mapping[str, Any]) -> None:
    """An address, to be proven by a challenge."""
    for channel in step.channel:
        if step.optional and not fields.get(channel):
            continue
        address = address_of(channel, text_of(fields, channel), draft.tenant.portal.country)
        attach = step.existing == "attach"
        draft.state.setdefault("contacts", {})[channel] = {"address": address, "use": step.use, "attach": attach, "proven": None}
