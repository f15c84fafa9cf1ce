"""Notices to accounts: what changed, who got in, in their own language, at every proven address (portal FLOWS 4)."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from submeter import civil
from submeter.api.flows.context import Flows
from submeter.api.sending import channel_of
from submeter.config.texts import TEMPLATES
from submeter.store.accounts import Account
from submeter.store.registry import Registry

__all__ = ["factor_changed", "tell", "tell_holders"]


def tell(
    flows: Flows,
    account: Account,
    manager: str,
    template: str,
    values: Mapping[str, str] = MappingProxyType({}),
    *,
    unique: str | None = None,
    by: Registry | None = None,
) -> None:
    """A notice to every proven address of an account, with `unique` only one of its kind; `by` another connection, of a thread of its own."""
    registry, now = by or flows.registry, flows.now()
    told = {"portal": flows.url_of(manager), "when": civil.iso(now), **values}
    values = {name: told[name] for name in TEMPLATES[template]}
    for one in registry.accounts.contacts(account.id):
        if one.verified is not None:
            once = f"{unique}:{one.id}" if unique else None
            registry.outbox.put(manager, channel_of(one.channel), one.address, template, account.locale, values, now=now, unique=once)


def tell_holders(flows: Flows, accounts: Collection[str], manager: str, identity: str) -> None:
    """Tell these accounts that somebody has new access to a unit."""
    unit = flows.registry.unit(identity)
    for one in sorted(accounts):
        if holder := flows.accounts.account(one):
            tell(flows, holder, manager, "new_grant", {"unit": unit.label if unit else identity})


def factor_changed(flows: Flows, identity: str, manager: str, kind: str) -> None:
    """Tell all addresses of an account that its factors are others now, and write it into the audit."""
    flows.registry.record(f"account:{identity}", "factor.change", identity, kind)
    if account := flows.accounts.account(identity):
        tell(flows, account, manager, "factor_changed", {"factor": kind})
