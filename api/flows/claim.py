"""The step `claim`: what gives the right to a unit, and how often it may be tried (portal FLOWS 5)."""

import hmac
from collections.abc import Iterator, Mapping
from typing import Any, Final

from submeter.api.flows.context import Draft, Refused, Tenant
from submeter.api.forms import text_of
from submeter.api.problems import Invalid
from submeter.api.secrets import Secrets, normalised
from submeter.api.sending import count_today
from submeter.config.portals import ClaimKind, Step
from submeter.store.accounts import Claim

__all__ = ["claim", "fields_of_claim", "hashes"]

#: Tries a day of a claim's identifier, and of a /24, by the class of its fields.
TRIES: Final[Mapping[str, tuple[int, int | None]]] = {"secret": (5, None), "knowledge": (3, 20), "identifier": (3, 20)}
#: Tries a day of a /24 at claims that are a secret alone: a stranger must not use up the tries of all.
A_NETWORK: Final = 20


def claim(draft: Draft, step: Step, fields: Mapping[str, Any]) -> None:
    """One claim, or several where the step repeats."""
    several = fields.get("claims") if step.repeat else None
    for one in several if isinstance(several, list) and several else [fields]:
        if not isinstance(one, Mapping):
            raise Invalid("each claim is an object of its fields", "claims")
        draft.state.setdefault("claims", []).append(_claimed(draft, step, one).id)


def fields_of_claim(tenant: Tenant, step: Step) -> Iterator[str]:
    """The fields of all kinds that a step takes."""
    yield from sorted({field for kind in _kinds(tenant, step) for field in tenant.portal.claims[kind].fields})
    yield from ("manager",) if step.tenant == "choose" else ()


def hashes(secrets: Secrets, manager: str, name: str, kind: ClaimKind, values: Mapping[str, str]) -> tuple[bytes, bytes]:
    """The keyed hashes of a claim's identifiers and of what proves it."""
    told, proven = (
        [normalised(values[field]) for field, one in sorted(kind.fields.items()) if (one == "identifier") is wanted] for wanted in (True, False)
    )
    return secrets.keyed("identifier", manager, name, *told), secrets.keyed("proof", manager, name, *told, *proven)


def _claimed(draft: Draft, step: Step, fields: Mapping[str, Any]) -> Claim:
    """The claim that fields prove; raises Refused as if it were wrong where too many were tried."""
    tenant, accounts, now = draft.tenant, draft.accounts, draft.now
    manager = _chosen(draft, text_of(fields, "manager")) if step.tenant == "choose" and fields.get("manager") else draft.flow.manager
    name = next((kind for kind in _kinds(tenant, step) if all(fields.get(field) for field in tenant.portal.claims[kind].fields)), None)
    if name is None:
        raise Invalid("fields are missing", next(fields_of_claim(tenant, step), "claim"))
    kind = tenant.portal.claims[name]
    identifier, proof = hashes(draft.flows.secrets, manager, name, kind, {field: text_of(fields, field) for field in kind.fields})
    known = accounts.claims(manager, name, identifier, now)
    mine, network = TRIES["knowledge" if any(one.role == "resident:limited" for one in known) else kind.strength]
    named = "identifier" in kind.fields.values()
    own, place = (f"claim:{identifier.hex()}", mine), (f"claims:{manager}:{draft.browser.network}", network or A_NETWORK)
    keys = [*([own] if named else []), *([place] if network or not named else [])]
    waits = any(accounts.held_up(key, now, daily=most) for key, most in keys)
    found = [one for one in known if hmac.compare_digest(one.proof, proof)]
    if waits or not found:
        for key, _ in keys:
            count_today(accounts, key, now)
        raise Refused(f"claim {name}: {'too many tries' if waits else 'not known, used or over'}")
    return found[0]


def _chosen(draft: Draft, manager: str) -> str:
    if not any((one.portal.name, one.manager) == (draft.flow.realm, manager) for one in draft.flows.tenants.values()):
        raise Refused("no manager of this realm")
    return manager


def _kinds(tenant: Tenant, step: Step) -> list[str]:
    return [kind for kind in step.kind if tenant.portal.claims[kind].enabled]
