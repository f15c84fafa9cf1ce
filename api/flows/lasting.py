"""What lasts of a flow: an account, its grants, a session, a new password (portal FLOWS 4, 8 and 9)."""

import secrets as random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from submeter.api.flows.context import Draft, Refused, State
from submeter.api.flows.telling import tell, tell_holders
from submeter.civil import HOUR, SECOND
from submeter.config.portals import ClaimKind, Step
from submeter.store.accounts import Account, Claim, Contact, Grant, Session
from submeter.store.registry import new_id

__all__ = ["finish", "grant", "session"]

#: A grant to a unit whose holder has another phone waits so long (FLOWS 4).
WAIT: Final = 72 * HOUR
#: Who has a session without an account.
VISITORS: Final = frozenset({"guest", "submitter", "demo"})


def grant(draft: Draft, step: Step) -> None:
    """Make the account if there is none, and a grant of every claim, in one transaction; raises Refused if a claim is over by now."""
    state = draft.state
    with draft.flows.registry.writing():
        account = state.get("attach") or state.get("account") or state.get("who") or _made(draft)
        for one in state.get("claims", []):
            _granted(draft, one, account, step)
        state["account"] = account


def _made(draft: Draft) -> str:
    """A new account with what was proven; raises Refused without a password or a proven channel."""
    state, flow, accounts = draft.state, draft.flow, draft.accounts
    contacts = {channel: one for channel, one in state.get("contacts", {}).items() if one["proven"] or one["use"] == "notify"}
    if "password" not in state or not any(one["proven"] and one["use"] != "notify" for one in contacts.values()):
        raise Refused("no account without a password and a proven address")
    username = state.get("username")
    if username and accounts.named(flow.realm, username):
        raise Refused("the username is taken")
    if any(accounts.reached(flow.realm, channel, one["address"]) for channel, one in contacts.items() if one["use"] != "notify"):
        raise Refused("the address has an account meanwhile")
    profile = state.get("profile", {})
    name = " ".join(profile[part] for part in ("first_name", "last_name") if part in profile)
    account = Account(new_id("a_"), flow.realm, username, name, str(state["locale"]), state["password"], draft.now, 0, None)
    accounts.add(account)
    for channel, one in contacts.items():
        accounts.add_contact(Contact(new_id("c_"), account.id, channel, one["address"], one["use"], one["proven"]), flow.realm)
    for one in state.get("consents", []):
        accounts.consent(new_id("n_"), account.id, one["doc"], one["version"], account.locale, one["at"])
    draft.flows.registry.record(f"account:{account.id}", "account.create", flow.manager, flow.name)
    return account.id


def _granted(draft: Draft, identity: str, account: str, step: Step) -> None:
    """A grant of one claim; those who see the unit already are told."""
    accounts, now = draft.accounts, draft.now
    claim = accounts.claim(identity)
    if claim is None:
        raise Refused("the claim is gone")
    kind = draft.tenant.portal.claims[claim.kind]
    if not (accounts.use_claim(claim.id, now) if kind.single_use else accounts.stands(claim, now)):
        raise Refused("the claim was used or withdrawn meanwhile")
    if any((one.unit, one.occupancy) == (claim.unit, claim.occupancy) for one in accounts.grants(account)):
        return
    others = [one for one in _beside(draft, claim) if one.account != account]
    since = now + _wait(draft, kind, others)
    role = claim.role if claim.giver or step.role == "resident" else step.role
    made = Grant(new_id("g_"), account, claim.manager, claim.unit, claim.occupancy, role, since, claim.until, claim.kind, claim.giver, now, None)
    accounts.add_grant(replace(made, data_from=claim.data_from, finest=claim.finest, quantities=claim.quantities))
    if role == "resident:limited" and (own := draft.account(account)):
        draft.flows.post_codes.confirmation(own, made, draft.policy, draft.tenant.url, now)
    draft.flows.registry.record(f"account:{account}", "grant.create", claim.unit, f"{claim.kind} {made.id}", manager=claim.manager)
    before = {account} if draft.state.get("attach") else set()
    tell_holders(draft.flows, {one.account for one in others} | before, claim.manager, claim.unit)


def _beside(draft: Draft, claim: Claim) -> list[Grant]:
    """The grants that there are in the same occupancy."""
    return [one for one in draft.accounts.grants_of(claim.unit) if one.occupancy == claim.occupancy]


def _wait(draft: Draft, kind: ClaimKind, others: Sequence[Grant]) -> int:
    """How long a grant by printed identifiers waits where the holder has another phone (FLOWS 4); raises Refused where that is denied."""
    phone, policy = draft.state.get("contacts", {}).get("phone", {}).get("address"), draft.policy.new_phone_on_claim
    phones = {one.address for grant in others for one in draft.accounts.contacts(grant.account) if one.channel == "phone"}
    if kind.strength != "identifier" or not others or phone in phones or policy == "allow":
        return 0
    if policy == "deny":
        raise Refused("another phone is bound to this unit")
    return WAIT


def session(draft: Draft, step: Step) -> str:
    """Open a session: of the account, or of a guest with what it proved; returns its secret."""
    state, flow, accounts, policy, now = draft.state, draft.flow, draft.accounts, draft.policy, draft.now
    account, guest = state.get("account") or state.get("who"), step.role in VISITORS
    if account is None and not guest:
        raise Refused("nobody to open a session for")
    if step.single and account:
        accounts.end_sessions(account, now)
    if (before := state.get("session")) is not None:
        accounts.end_session(before, now)
    held = _held(draft, step.role) if guest else {}
    longest = (policy.guest_hours if guest else policy.absolute_hours) * HOUR
    life = min(step.ttl * SECOND, longest) if step.ttl else longest
    secret, idle = random.token_urlsafe(32), policy.idle_minutes * 60 * SECOND
    role, owner = (step.role, None) if guest else ("account", account)
    opened = Session(new_id("s_"), flow.realm, flow.manager, owner, role, held, now, now, now + life, idle, now, draft.browser.agent[:100], None)
    accounts.open_session(opened, secret)
    if owner:
        accounts.failed(owner, reset=True)
        _remember(draft, owner)
    draft.flows.registry.record(f"account:{owner}" if owner else f"flow:{flow.id}", "session.open", flow.manager, opened.id)
    return secret


def _remember(draft: Draft, owner: str) -> None:
    """The browser is known from now on; a login by one that was not is told."""
    browser, accounts = draft.browser, draft.accounts
    if not browser.secret:
        return
    if not accounts.knows_browser(owner, browser.secret) and draft.flow.name == "login" and (known := draft.account(owner)):
        tell(draft.flows, known, draft.flow.manager, "suspicious_login", {"browser": browser.agent or "?"})
    accounts.remember_browser(owner, browser.secret, draft.now)


def _held(draft: Draft, role: str) -> State:
    """What a session without an account holds: claims from when on, for a submitter the one meter of its claim, for a demo whose units it shows."""
    if role == "demo":
        return {"demo": draft.tenant.demo}
    held: State = {name: draft.state[name] for name in ("contacts", "claims", "consents", "locale") if name in draft.state}
    claims = [claim for one in draft.state.get("claims", []) if (claim := draft.accounts.claim(one))]
    if role == "submitter":
        points = [claim.point for claim in claims if claim.point]
        if not points:
            raise Refused("no meter to send a reading of")
        return held | {"since": draft.now, "point": points[0]}
    kinds = draft.tenant.portal.claims
    return held | {"since": draft.now + max((_wait(draft, kinds[one.kind], _beside(draft, one)) for one in claims), default=0)}


def finish(draft: Draft) -> str | None:
    """The end of a list: an account without a grant, a new password after recovery, a fresh proof; that gives the session a new secret, which is returned."""
    state, flow, secret = draft.state, draft.flow, None
    if flow.name == "recover" and "password" in state and state.get("who"):
        _recovered(draft, state["who"])
    elif flow.name == "reauth":
        secret = random.token_urlsafe(32)
        draft.accounts.freshen(state["session"], secret, draft.now)
        draft.accounts.failed(state["who"], reset=True)
        draft.flows.registry.record(f"account:{state['account']}", "session.reauth", state["session"], manager=flow.manager)
    elif "password" in state and not state.get("account") and flow.name == "activate":
        with draft.flows.registry.writing():
            state["account"] = _made(draft)
    state["done"] = True
    draft.flows.registry.funnel.count(flow.manager, flow.name, "finished", draft.now)
    for name in ("password", "claims", "contacts", "consents", "profile", "challenge"):
        state.pop(name, None)
    return secret


def _recovered(draft: Draft, who: str) -> None:
    """The new password of an account: all that was signed in ends."""
    registry, accounts = draft.flows.registry, draft.accounts
    with registry.writing():
        account = accounts.account(who)
        if draft.state.get("letter") and not registry.letters.use(draft.state["letter"], draft.now):
            raise Refused("the letter was used meanwhile")
        accounts.set_password(who, draft.state["password"])
        accounts.end_sessions(who, draft.now)
        registry.personal.end_all(who, draft.now)
        registry.record(f"account:{who}", "account.recover", draft.flow.manager)
        if account:
            tell(draft.flows, account, draft.flow.manager, "password_changed")
