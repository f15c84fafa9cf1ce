"""What all steps stand on: the tenants by host, the stores and secrets, and the draft of a flow at work."""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from submeter.api.factors import Factors
from submeter.api.post_codes import PostCodes
from submeter.api.problems import Invalid
from submeter.api.refusals import Refusals
from submeter.api.secrets import Secrets
from submeter.civil import SECOND
from submeter.config.portals import Policy, Portal, Step
from submeter.store.accounts import Account, Accounts, FlowRow, Session
from submeter.store.registry import Registry

__all__ = ["FAILURES", "Browser", "Draft", "Flows", "Outcome", "Refused", "State", "Tenant", "page_of"]

IDLE: Final = 1800 * SECOND
#: After so many wrong passwords or codes in a row only recovery helps.
FAILURES: Final = 100
ATTACH: Final = tuple(
    Step.model_validate(one) for one in ({"do": "verify"}, {"do": "challenge", "factor": "second"}, {"do": "grant"}, {"do": "session"})
)

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tenant:
    """The manager that a host stands for, and the portal whose accounts it takes; where messages to the operator go, and links out, by name."""

    portal: Portal
    manager: str
    host: str
    operator_email: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    #: The manager whose units the demo shows, and the days of the month on which readings are taken.
    demo: str = ""
    readings_open: tuple[int, int] | None = None

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"https://{self.host}"


@dataclass(frozen=True, slots=True)
class Browser:
    """Who asks: where from (the /24 of the address), what it calls itself, its long-lived secret, and its session if it has one."""

    network: str = ""
    agent: str = ""
    secret: str = ""
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A flow after a page; `session` is the secret of a session that was opened."""

    flow: FlowRow
    session: str | None = None


class Refused(Exception):  # noqa: N818 - a refusal, told to nobody but the audit
    """Why a page is refused."""


class Flows:
    """What flows work with: a registry, its secrets, `tenants` by host; `now` gives µs UTC."""

    def __init__(self, registry: Registry, secrets: Secrets, tenants: Mapping[str, Tenant], now: Callable[[], int], refusals: Refusals) -> None:
        self.registry, self.accounts, self.secrets = registry, registry.accounts, secrets
        self.tenants, self.now, self.refusals = tenants, now, refusals
        self.factors, self.post_codes = Factors(registry.accounts, secrets), PostCodes(registry, secrets)
        self._turns = [threading.RLock() for _ in range(64)]

    def tenant(self, host: str) -> Tenant | None:
        """The tenant of a host name, with or without a port."""
        return self.tenants.get(re.sub(r":\d+$", "", host))

    def tenant_of(self, flow: FlowRow) -> Tenant:
        """The tenant of a flow."""
        return next(one for one in self.tenants.values() if (one.portal.name, one.manager) == (flow.realm, flow.manager))

    def realm_of(self, host: str) -> str | None:
        """The portal of a host name."""
        found = self.tenant(host)
        return found.portal.name if found else None

    def operated(self, manager: str) -> Tenant | None:
        """The first host that stands for a manager; None where it has none."""
        return next((one for one in self.tenants.values() if one.manager == manager), None)

    def url_of(self, manager: str) -> str:
        """Where the pages of a manager's portal are, "" where it has none."""
        found = self.operated(manager)
        return found.url if found else ""

    def portal(self, manager: str) -> Portal:
        """The portal of a manager; raises Invalid where it has none."""
        found = self.operated(manager)
        if found is None:
            raise Invalid("this manager has no portal: add [[portal]] to pipeline.toml", "manager")
        return found.portal

    def steps(self, flow: FlowRow, state: Mapping[str, Any]) -> tuple[Step, ...]:
        """The list that a flow goes through, in this state."""
        return ATTACH if state["list"] == "attach" else self.tenant_of(flow).portal.flows[state["list"]]

    def page(self, flow: FlowRow) -> tuple[Step, ...]:
        """The steps of the page at which a flow stands, none where it is done."""
        return () if flow.state.get("done") else page_of(self.steps(flow, flow.state), flow.state["at"])

    def turn(self, identity: str) -> AbstractContextManager[Any]:
        """Pages of one flow come one after another: open it inside, or two at once would have the tries of one."""
        return self._turns[hash(identity) % len(self._turns)]

    def keep(self, flow: FlowRow) -> None:
        """Keep a flow, and under which link it is found."""
        link = flow.state.get("challenge", {}).get("link")
        self.accounts.keep_flow(flow, bytes.fromhex(link) if link else None)


@dataclass(frozen=True, slots=True)
class Draft:
    """A flow at work: its row as it stands, the state that steps change, who asks and when (µs UTC)."""

    flows: Flows
    flow: FlowRow
    state: State
    browser: Browser
    now: int

    @property
    def tenant(self) -> Tenant:
        """Whose flow it is."""
        return self.flows.tenant_of(self.flow)

    @property
    def policy(self) -> Policy:
        """The rules of its portal."""
        return self.tenant.portal.policy

    @property
    def accounts(self) -> Accounts:
        """All accounts."""
        return self.flows.accounts

    @property
    def steps(self) -> tuple[Step, ...]:
        """The list in this state."""
        return self.flows.steps(self.flow, self.state)

    def account(self, identity: str | None) -> Account | None:
        """An account by its id; None for None."""
        return self.accounts.account(identity) if identity else None

    def keep(self) -> FlowRow:
        """Keep the state; the flow lives as long as its open challenge, and half an hour without a page."""
        expires = max(self.now + IDLE, self.state.get("challenge", {}).get("expires", 0))
        kept = replace(self.flow, state=self.state, expires=expires)
        self.flows.keep(kept)
        return kept


def page_of(steps: Sequence[Step], at: int) -> tuple[Step, ...]:
    """The step at an index with those that join it."""
    end = at + 1
    while end < len(steps) and steps[end].join:
        end += 1
    return tuple(steps[at:end])
