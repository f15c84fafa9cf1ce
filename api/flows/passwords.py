"""Passwords: the steps `secret` and `verify`, and the change by who is signed in (portal FLOWS 5 and 7)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from submeter.api.flows.context import FAILURES, Draft, Flows, Refused
from submeter.api.flows.telling import tell
from submeter.api.forms import text_of
from submeter.api.problems import Invalid, NotAccepted
from submeter.api.secrets import fault_of
from submeter.api.sending import count_today, delay
from submeter.civil import HOUR
from submeter.config.portals import Step
from submeter.store.accounts import Account, Session, digest

__all__ = ["change_password", "secret", "verify"]

#: A right password after so many wrong ones is told to its owner.
MANY: Final = 5
#: Wrong passwords a day from a /24 of a manager; browsers that an account knows are not held up by others.
PASSWORDS_A_NETWORK: Final = 100


def secret(draft: Draft, _step: Step, fields: Mapping[str, Any]) -> None:
    """A new password; an account gets it at the end of the flow."""
    password = text_of(fields, "new_password")
    if fields.get("new_password_again", password) != password:
        raise Invalid("the two are not the same", "new_password_again")
    if fault := fault_of(password, draft.policy, _of_draft(draft)):
        raise Invalid(fault, "new_password")
    draft.state["password"] = draft.flows.secrets.hash(password)


def verify(draft: Draft, _step: Step, fields: Mapping[str, Any]) -> None:
    """The present password of who is identified, attached or signed in; a browser that is known to the account has a count of its own."""
    state, accounts, browser, now = draft.state, draft.accounts, draft.browser, draft.now
    account, password = draft.account(state.get("attach") or state.get("who") or state.get("account")), text_of(fields, "password")
    known = account is not None and accounts.knows_browser(account.id, browser.secret)
    key = f"login:{draft.flow.realm}:{account.id if account else state.get('name', '')}:{digest(browser.secret).hex() if known else ''}"
    place = f"logins:{draft.flow.manager}:{browser.network}"
    waits = accounts.held_up(key, now) or (not known and accounts.held_up(place, now, daily=PASSWORDS_A_NETWORK))
    right = draft.flows.secrets.verify(account.password if account else None, password)
    if waits or not right or account is None or account.failures >= FAILURES:
        with draft.flows.registry.writing():
            accounts.count(key, now, delay)
            count_today(accounts, place, now)
            if account is not None and not waits:
                accounts.failed(account.id)
        raise Refused("password: " + ("too soon" if waits else "off until recovery" if right and account else "wrong"))
    if account.failures >= MANY:
        unique = f"failures:{account.id}:{now // HOUR}"
        tell(draft.flows, account, draft.flow.manager, "suspicious_login", {"browser": browser.agent or "?"}, unique=unique)
    accounts.forgive(key)
    if draft.flows.secrets.outdated(account.password):
        accounts.set_password(account.id, draft.flows.secrets.hash(password))
    state["who"] = account.id
    state.setdefault("methods", []).append("password")


def change_password(flows: Flows, session: Session, present: str, new: str) -> None:
    """Another password for who proves the present one; ends all other sessions. Raises NotAccepted, also for a try that comes too soon; Invalid."""
    account, now = flows.accounts.account(session.account) if session.account else None, flows.now()
    key = f"login:{session.realm}:{session.account}:change"
    waits = flows.accounts.held_up(key, now)
    if not flows.secrets.verify(account.password if account else None, present) or waits or account is None:
        flows.accounts.count(key, now, delay)
        flows.refusals.note(f"account:{session.account}", "password.refused", session.id, "too soon" if waits else "wrong")
        raise NotAccepted
    if fault := fault_of(new, flows.portal(session.manager).policy, _words(flows, session.realm, session.manager, account, (), ())):
        raise Invalid(fault, "new")
    hashed = flows.secrets.hash(new)
    with flows.registry.writing():
        flows.accounts.set_password(account.id, hashed)
        flows.accounts.end_sessions(account.id, now, but=session.id)
        flows.registry.personal.end_all(account.id, now)
        flows.registry.record(f"account:{account.id}", "password.change", account.id)
        tell(flows, account, session.manager, "password_changed")


def _of_draft(draft: Draft) -> list[str]:
    """Words that anybody would try for this account first."""
    state = draft.state
    units = [claim.unit for one in state.get("claims", []) if (claim := draft.accounts.claim(one))]
    typed = [contact["address"].split("@")[0] for contact in state.get("contacts", {}).values()]
    typed += [state.get("username") or "", *state.get("profile", {}).values()]
    return _words(draft.flows, draft.flow.realm, draft.flow.manager, draft.account(state.get("who")), units, typed)


def _words(flows: Flows, realm: str, manager: str, account: Account | None, claimed: Sequence[str], typed: Sequence[str]) -> list[str]:
    """Names of portal and manager, of the own house and flat, numbers of its meters, and what the account calls itself."""
    registry, accounts = flows.registry, flows.accounts
    own = [account.name, account.username or "", *(one.address.split("@")[0] for one in accounts.contacts(account.id))] if account else []
    granted = [grant.unit for grant in accounts.grants(account.id)] if account else []
    units = [unit for one in [*claimed, *granted] if (unit := registry.unit(one))]
    houses = [building.name for unit in units if (building := registry.property(unit.property))]
    places = [one.device for unit in units for point in registry.points_of(unit.id) for one in registry.assignments_of(point.id)]
    managers = [one.name for one in registry.managers() if one.id == manager]
    names = [realm, manager, *managers, *houses, *(unit.label for unit in units), *places, *own, *typed]
    return [part for name in names for part in re.split(r"[\W_]+", name) if part]
