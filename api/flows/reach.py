"""Where a challenge goes: an address of this flow, a device of one's own, or the proven address that stands first (portal FLOWS 6 and 7)."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from submeter.api.flows.context import Draft, Flows
from submeter.api.sending import channel_of
from submeter.civil import HOUR
from submeter.config.portals import Step

__all__ = ["RECOVERY", "Way", "delayed", "ways"]

#: The channel of a step that begins a recovery.
RECOVERY: Final = ("recovery",)


class Way(NamedTuple):
    """Where a challenge can go, and the account that it proves; without an address a device of one's own (`totp`), without a channel nowhere."""

    channel: str | None
    address: str | None
    account: str | None


def ways(draft: Draft, step: Step) -> list[Way]:
    """The ways of a challenge, at least one, the best first."""
    mine, attach = draft.state.get("contacts", {}), draft.state.get("attach")
    for channel in step.channel:
        if channel in mine and mine[channel]["proven"] is None and not attach:
            return [Way(channel, mine[channel]["address"], None)]
    who = attach or draft.state.get("who")
    if who is None:
        return [Way(None, None, None)]
    device = [Way("totp", None, who)] if step.channel != RECOVERY and draft.flows.factors.has_totp(who) else []
    return [*device, *(Way(*one, who) for one in _proven(draft, step, who))] or [Way(None, None, who)]


def _proven(draft: Draft, step: Step, who: str) -> list[tuple[str, str]]:
    """The proven addresses of an account that a step allows, the best first: not used in this flow, its channel in working order."""
    recovering, used = step.channel == RECOVERY, {method.split(":")[1] for method in draft.state.get("methods", []) if ":" in method}
    order = step.channel if step.channel and not recovering else ("phone", "email")
    typed = draft.state.get("typed", {}).get("by")
    if recovering and typed in order:
        order = (typed,)
    verified = [contact for contact in draft.accounts.contacts(who) if contact.verified is not None and contact.use != "notify"]
    ranked = sorted(
        verified,
        key=lambda contact: (
            step.factor == "second" and contact.channel in used,
            not recovering and delayed(draft.flows, contact.channel),
            (contact.use == "recovery") is not recovering,
            _rank(order, contact.channel),
        ),
    )
    wanted = [contact for contact in ranked if step.factor or contact.channel in order or (recovering and contact.use == "recovery")]
    if step.factor == "second" and draft.flow.name == "recover":
        wanted = [contact for contact in wanted if contact.channel not in used]
    return [(contact.channel, contact.address) for contact in wanted]


def delayed(flows: Flows, channel: str | None) -> bool:
    """Whether messages of a channel do not leave just now: then another one goes first, and the page says so."""
    return channel in {"phone", "email"} and flows.registry.outbox.trouble(channel_of(channel), flows.now() - HOUR)


def _rank(order: Sequence[str], channel: str) -> int:
    return order.index(channel) if channel in order else len(order)
