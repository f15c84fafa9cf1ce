"""Flows: one interpreter for all portals, a page at a time (portal FLOWS 1 to 7).

Strategy: a flow is a row with what was said so far; a page is a step with those that join it, submitted and refused together; a step changes a draft of the
state, which is kept only if the whole page is right. `grant`, or the end of the list, writes what follows in one transaction.
Rules: every refusal is the one answer NotAccepted, its reason goes to the audit; a name that is not known goes on like a known one and takes as long; an
activation never changes the credentials of an account that is there; a try that comes too soon is answered like a wrong one.
"""

import copy
import hmac
import re
import secrets as random
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from submeter import civil
from submeter.api.factors import Factors
from submeter.api.forms import address_of, masked, text_of, username_of
from submeter.api.post_codes import PostCodes
from submeter.api.problems import Invalid, NotAccepted, StepExpired
from submeter.api.refusals import Refusals
from submeter.api.secrets import Secrets, code, fault_of, normalised, word
from submeter.api.sending import delay as _delay
from submeter.api.sending import let_out
from submeter.civil import DAY, HOUR, SECOND
from submeter.config.portals import ClaimKind, Portal, Step
from submeter.config.texts import TEMPLATES
from submeter.store.accounts import Account, Claim, Contact, FlowRow, Grant, Session, digest
from submeter.store.outbox import Channel
from submeter.store.registry import Registry, new_id

__all__ = ["Browser", "Flows", "Outcome", "Tenant"]

IDLE: Final = 1800 * SECOND
#: A grant to a unit whose holder has another phone waits so long (FLOWS 4).
WAIT: Final = 72 * HOUR
#: After so many wrong passwords or codes in a row only recovery helps.
FAILURES: Final = 100
#: A right password after so many wrong ones is told to its owner.
MANY: Final = 5
#: Tries a day of a claim's identifier, and of a /24, by the class of its fields.
TRIES: Final[Mapping[str, tuple[int, int | None]]] = {"secret": (5, None), "knowledge": (3, 20), "identifier": (3, 20)}
#: Tries a day of a /24 at claims that are a secret alone: a stranger must not use up the tries of all.
A_NETWORK: Final = 20
ATTACH: Final = tuple(
    Step.model_validate(one) for one in ({"do": "verify"}, {"do": "challenge", "factor": "second"}, {"do": "grant"}, {"do": "session"})
)
#: Wrong passwords a day from a /24 of a manager; browsers that an account knows are not held up by others.
PASSWORDS_A_NETWORK: Final = 100
#: Who has a session without an account.
VISITORS: Final = frozenset({"guest", "submitter", "demo"})
#: Template of the message for each form of a challenge.
FORMS: Final = {"code": "code", "password": "activation_password", "link": "confirm_link"}

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


class _Refused(Exception):  # noqa: N818 - a refusal, told to nobody but the audit
    """Why a page is refused."""


class Flows:
    """The interpreter over a registry; `tenants` by host, `clock` gives µs UTC."""

    def __init__(self, registry: Registry, secrets: Secrets, tenants: Mapping[str, Tenant], clock: Callable[[], int], refusals: Refusals) -> None:
        self._registry = registry
        self._accounts = registry.accounts
        self.secrets = secrets
        self._tenants = tenants
        self._now = clock
        self._refusals = refusals
        self.factors = Factors(self._accounts, secrets)
        self._turns = [threading.RLock() for _ in range(64)]
        self.post_codes = PostCodes(registry, secrets)

    def tenant(self, host: str) -> Tenant | None:
        """The tenant of a host name, with or without a port."""
        return self._tenants.get(re.sub(r":\d+$", "", host))

    def front(self, tenant: Tenant) -> dict[str, Any]:
        """What a portal offers to who comes to it: its languages, and each flow with the fields of its first page."""
        flows = {}
        for name in sorted(self._offered(tenant)):
            page = _page(tenant.portal.flows[name], 0)
            flows[name] = {
                "do": [step.do for step in page],
                "by": [by for step in page for by in step.by],
                "fields": [field for step in page for field in self._fields(tenant, step)],
                "optional_fields": [field for step in page if step.optional for field in self._fields(tenant, step)],
                "documents": self._documents(tenant, page),
            }
        return {
            "name": tenant.portal.name,
            "brand": tenant.portal.brand or tenant.portal.name,
            "locales": list(tenant.portal.locales),
            "country": tenant.portal.country,
            "level": tenant.portal.policy.level,
            "password_min": tenant.portal.policy.password_min,
            "flows": flows,
        }

    @staticmethod
    def _offered(tenant: Tenant) -> set[str]:
        """The flows of a portal; the demo only where there is something to show."""
        return {one for one in tenant.portal.flows if one != "demo" or tenant.demo}

    def _documents(self, tenant: Tenant, page: Sequence[Step]) -> list[dict[str, str]]:
        """What a page asks to accept."""
        return [{"doc": step.doc, "version": tenant.portal.documents.get(step.doc, "1")} for step in page if step.do == "consent"]

    def realm_of(self, host: str) -> str | None:
        """The portal of a host name."""
        found = self.tenant(host)
        return found.portal.name if found else None

    def host_of(self, manager: str) -> str:
        """The host of a manager's portal, "" where it has none."""
        return next((one.host for one in self._tenants.values() if one.manager == manager), "")

    def now(self) -> int:
        """What time it is, µs UTC."""
        return self._now()

    def portal(self, manager: str) -> Portal:
        """The portal of a manager; raises Invalid where it has none."""
        found = next((one.portal for one in self._tenants.values() if one.manager == manager), None)
        if found is None:
            raise Invalid("this manager has no portal: add [[portal]] to pipeline.toml", "manager")
        return found

    def operated(self, manager: str) -> Tenant | None:
        """The first host that stands for a manager; None where it has none."""
        return next((one for one in self._tenants.values() if one.manager == manager), None)

    def order_letter(self, account: str, manager: str, *, by: str) -> bool:
        """Send a recovery code to the unit of an account, as an operator orders it; False where there is no account or unit of this manager."""
        found = self._accounts.account(account)
        if found is None or manager not in {one.manager for one in self._accounts.grants(account)}:
            return False
        self._registry.record(by, "recovery.letter", account)
        return self.post_codes.recovery(found, self.portal(manager).policy, f"https://{self.host_of(manager)}", self._now(), again=True)

    def _tenant(self, flow: FlowRow) -> Tenant:
        return next(one for one in self._tenants.values() if (one.portal.name, one.manager) == (flow.realm, flow.manager))

    # Starting, showing, ending

    def start(self, tenant: Tenant, name: str, browser: Browser, locale: str | None = None) -> tuple[Outcome, str]:
        """Begin a flow; returns it with the secret that binds it to this browser. Raises Invalid for a flow that the portal does not have."""
        offered = self._offered(tenant)
        if name not in offered:
            raise Invalid(f"this portal has {', '.join(sorted(offered))}", "name")
        state: State = {"list": name, "at": 0, "page": 0, "locale": locale if locale in tenant.portal.locales else tenant.portal.locales[0]}
        state |= self._begun_by(browser.session, name)
        secret = random.token_urlsafe(32)
        flow = FlowRow(new_id("f_"), digest(secret), tenant.portal.name, tenant.manager, name, state, self._now() + IDLE)
        begun = self._advanced(flow, state, browser), secret
        self._registry.funnel.count(flow.manager, name, "started", self._now())
        return begun

    def _begun_by(self, session: Session | None, name: str) -> State:
        """What a session brings to `add`, `upgrade` and `reauth`; raises NotAccepted where one is needed and is not there."""
        if name not in {"add", "upgrade", "reauth"}:
            return {}
        if session is None or (session.account is None and session.role != "guest") or (name == "reauth" and session.account is None):
            raise NotAccepted
        begun = {"session": session.id, "account": session.account, **({} if session.account else session.held)}
        phone = begun.get("contacts", {}).get("phone", {}).get("address")
        known = self._accounts.reached(session.realm, "phone", phone) if name == "upgrade" and phone else None
        return begun | ({"list": "attach", "attach": known.id} if known else {})

    def open(self, identity: str, cookie: str) -> FlowRow:
        """The flow of this id, if this browser began it; raises StepExpired."""
        flow = self._accounts.flow(identity, self._now())
        if flow is None or not hmac.compare_digest(flow.cookie, digest(cookie)):
            raise StepExpired
        return flow

    def turn(self, identity: str) -> AbstractContextManager[Any]:
        """Pages of one flow come one after another: open it inside, or two at once would have the tries of one."""
        return self._turns[hash(identity) % len(self._turns)]

    def cancel(self, flow: FlowRow) -> None:
        """Forget a flow: nothing of it lasts."""
        self._accounts.end_flow(flow.id)

    def shown(self, flow: FlowRow) -> dict[str, Any]:
        """A flow as its browser sees it (API.md 3)."""
        state, steps = flow.state, self._steps(flow.realm, flow.state)
        page = _page(steps, state["at"]) if not state.get("done") else ()
        pages = [start for start, step in enumerate(steps) if not step.join and step.do not in {"grant", "session"}]
        total = max(len(pages) - 1, state["page"] - bool(state.get("done")))
        return {
            "id": flow.id,
            "name": flow.name,
            "index": min(state["page"], total),
            "total": total,
            "step": self._step(flow, page) if page else None,
            "done": bool(state.get("done")),
        }

    def _step(self, flow: FlowRow, page: Sequence[Step]) -> dict[str, Any]:
        tenant, state = self._tenant(flow), flow.state
        found: dict[str, Any] = {"do": [step.do for step in page], "fields": [name for step in page for name in self._fields(tenant, step)]}
        found["optional"] = all(step.optional for step in page)
        found["optional_fields"] = [name for step in page if step.optional for name in self._fields(tenant, step)]
        found["documents"] = self._documents(tenant, page)
        found["show"] = self._rooms(state) if any(step.do == "review" for step in page) else {}
        if challenge := state.get("challenge"):
            now = self._now()
            found |= {
                "form": challenge["form"],
                "transaction_id": challenge["transaction"],
                "channel": challenge.get("shown"),
                "address_masked": challenge["masked"],
            }
            found["delayed"] = self._delayed(challenge.get("shown"))
            found |= {"expires_in": max((challenge["expires"] - now) // SECOND, 0), "resend_in": max((challenge["resend"] - now) // SECOND, 0)}
        return found

    def _fields(self, tenant: Tenant, step: Step) -> Iterator[str]:
        """The fields that a step asks for."""
        if step.do == "identify" and step.source == "typed":
            yield "name"
        elif step.do == "claim":
            yield from sorted({field for kind in _kinds(tenant, step) for field in tenant.portal.claims[kind].fields})
            yield from ("manager",) if step.tenant == "choose" else ()
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

    def reviewed(self, flow: FlowRow) -> Claim:
        """The claim whose rooms a flow shows now to be agreed to; raises NotAccepted at any other page."""
        page = () if flow.state.get("done") else _page(self._steps(flow.realm, flow.state), flow.state["at"])
        claim = self._accounts.claim(flow.state["claims"][-1]) if any(step.do == "review" for step in page) else None
        if claim is None:
            raise NotAccepted
        return claim

    # A page

    def submit(self, flow: FlowRow, fields: Mapping[str, Any], browser: Browser) -> Outcome:
        """Take the fields of a page; raises NotAccepted (any refusal), Invalid (what cannot be understood), StepExpired."""
        draft: State = copy.deepcopy(dict(flow.state))
        if draft.get("done") or draft.get("session") not in {None, browser.session and browser.session.id}:
            raise StepExpired
        page = _page(self._steps(flow.realm, draft), draft["at"])
        try:
            for step in page:
                getattr(self, f"_{step.do}")(flow, draft, step, fields, browser)
            draft["at"] = draft.pop("next", draft["at"] + len(page))
            draft["page"] += 1
            return self._advanced(flow, draft, browser)
        except _Refused as refused:
            kept = {**flow.state, **({"challenge": draft["challenge"]} if "challenge" in draft and "challenge" in flow.state else {})}
            with self._registry.writing():
                self._keep(replace(flow, state=kept))
                self._refusals.note("", f"{flow.name}.refused", flow.id, str(refused), manager=flow.manager)
            raise NotAccepted from None

    def _advanced(self, flow: FlowRow, draft: State, browser: Browser) -> Outcome:
        """Go on to the next page that asks for something, doing what asks for nothing; the flow is done after the last step. All of it lasts, or nothing."""
        with self._registry.writing():
            return self._gone_on(flow, draft, browser)

    def _gone_on(self, flow: FlowRow, draft: State, browser: Browser) -> Outcome:
        session = None
        steps = self._steps(flow.realm, draft)
        while draft["at"] < len(steps):
            step = steps[draft["at"]]
            if step.do == "grant":
                self._commit(flow, draft, step)
            elif step.do == "session":
                session = self._opened(flow, draft, step, browser)
            elif step.do == "identify" and step.source == "session":
                self._from_session(flow, draft)
            elif step.do != "challenge" or self._challenged(flow, draft, step):
                break
            draft["at"] += 1
        if draft["at"] >= len(steps):
            session = self._finish(flow, draft) or session
        flow = replace(flow, state=draft, expires=max(self._now() + IDLE, draft.get("challenge", {}).get("expires", 0)))
        self._keep(flow)
        return Outcome(flow, session)

    def _keep(self, flow: FlowRow) -> None:
        link = flow.state.get("challenge", {}).get("link")
        self._accounts.keep_flow(flow, bytes.fromhex(link) if link else None)

    def _steps(self, realm: str, state: Mapping[str, Any]) -> tuple[Step, ...]:
        portal = next(one.portal for one in self._tenants.values() if one.portal.name == realm)
        return ATTACH if state["list"] == "attach" else portal.flows[state["list"]]

    # The nine steps

    def _identify(self, flow: FlowRow, draft: State, step: Step, fields: Mapping[str, Any], _browser: Browser) -> None:
        typed = text_of(fields, "name")
        if step.new:
            draft["username"] = username_of(typed)
            return
        found = None
        for by in step.by:
            address = typed.strip() if by == "username" else address_of(by, typed, self._tenant(flow).portal.country, strict=False)
            if address and found is None:
                found = self._accounts.named(flow.realm, address) if by == "username" else self._accounts.reached(flow.realm, by, address)
                draft.setdefault("typed", {"by": by, "address": address})
        draft["who"], draft["name"] = found.id if found else None, normalised(typed)

    def _from_session(self, flow: FlowRow, draft: State) -> None:
        phone = draft.get("contacts", {}).get("phone")
        found = self._accounts.reached(flow.realm, "phone", phone["address"]) if phone else None
        draft["who"], draft["name"] = found.id if found else None, phone["address"] if phone else ""

    def _claim(self, flow: FlowRow, draft: State, step: Step, fields: Mapping[str, Any], browser: Browser) -> None:
        several = fields.get("claims") if step.repeat else None
        for one in several if isinstance(several, list) and several else [fields]:
            if not isinstance(one, Mapping):
                raise Invalid("each claim is an object of its fields", "claims")
            claim = self._claimed(flow, step, one, browser)
            draft.setdefault("claims", []).append(claim.id)

    def _claimed(self, flow: FlowRow, step: Step, fields: Mapping[str, Any], browser: Browser) -> Claim:
        """The claim that fields prove; raises _Refused as if it were wrong where too many were tried."""
        tenant = self._tenant(flow)
        manager = self._chosen(flow.realm, text_of(fields, "manager")) if step.tenant == "choose" and fields.get("manager") else flow.manager
        kinds = [kind for kind in _kinds(tenant, step) if all(fields.get(field) for field in tenant.portal.claims[kind].fields)]
        if not kinds:
            raise Invalid("fields are missing", next(iter(self._fields(tenant, step)), "claim"))
        kind = tenant.portal.claims[kinds[0]]
        identifier, proof = self.hashes(manager, kinds[0], kind, {name: text_of(fields, name) for name in kind.fields})
        now = self._now()
        known = self._accounts.claims(manager, kinds[0], identifier, now)
        mine, network = TRIES["knowledge" if any(one.role == "resident:limited" for one in known) else kind.strength]
        named = "identifier" in kind.fields.values()
        own, place = (f"claim:{identifier.hex()}", mine), (f"claims:{manager}:{browser.network}", network or A_NETWORK)
        keys = [*([own] if named else []), *([place] if network or not named else [])]
        waits = any(self._accounts.held_up(key, now, daily=most) for key, most in keys)
        found = [one for one in known if hmac.compare_digest(one.proof, proof)]
        if waits or not found:
            for key, _ in keys:
                self._accounts.count(key, now, lambda _: 0, daily=True)
            raise _Refused(f"claim {kinds[0]}: {'too many tries' if waits else 'not known, used or over'}")
        return found[0]

    def hashes(self, manager: str, name: str, kind: ClaimKind, values: Mapping[str, str]) -> tuple[bytes, bytes]:
        """The keyed hashes of a claim's identifiers and of what proves it."""
        told, proven = (
            [normalised(values[field]) for field, one in sorted(kind.fields.items()) if (one == "identifier") is wanted] for wanted in (True, False)
        )
        return self.secrets.keyed("identifier", manager, name, *told), self.secrets.keyed("proof", manager, name, *told, *proven)

    def _chosen(self, realm: str, manager: str) -> str:
        if not any((one.portal.name, one.manager) == (realm, manager) for one in self._tenants.values()):
            raise _Refused("no manager of this realm")
        return manager

    def _rooms(self, state: Mapping[str, Any]) -> dict[str, Any]:
        claim = self._accounts.claim(state["claims"][-1])
        unit = self._registry.unit(claim.unit) if claim else None
        building = self._registry.property(unit.property) if unit else None
        return {"property": building.name, "entrance": unit.entrance, "unit": unit.label} if unit and building else {}

    def _review(self, _flow: FlowRow, _draft: State, _step: Step, fields: Mapping[str, Any], _browser: Browser) -> None:
        if fields.get("agree") is not True:
            raise Invalid("true, if these are your rooms; else write to the operator and leave", "agree")

    def _consent(self, flow: FlowRow, draft: State, step: Step, fields: Mapping[str, Any], _browser: Browser) -> None:
        if fields.get("accept") is not True:
            raise Invalid("true, to go on", "accept")
        version = self._tenant(flow).portal.documents.get(step.doc, "1")
        draft.setdefault("consents", []).append({"doc": step.doc, "version": version, "at": self._now()})

    def _profile(self, _flow: FlowRow, draft: State, step: Step, fields: Mapping[str, Any], _browser: Browser) -> None:
        draft["profile"] = {**draft.get("profile", {}), **{name: text_of(fields, name) for name in step.fields}}

    def _contact(self, flow: FlowRow, draft: State, step: Step, fields: Mapping[str, Any], _browser: Browser) -> None:
        for channel in step.channel:
            if step.optional and not fields.get(channel):
                continue
            address = address_of(channel, text_of(fields, channel), self._tenant(flow).portal.country)
            draft.setdefault("contacts", {})[channel] = {"address": address, "use": step.use, "attach": step.existing == "attach", "proven": None}

    def _secret(self, flow: FlowRow, draft: State, _step: Step, fields: Mapping[str, Any], _browser: Browser) -> None:
        password = text_of(fields, "new_password")
        if fields.get("new_password_again", password) != password:
            raise Invalid("the two are not the same", "new_password_again")
        if fault := fault_of(password, self._tenant(flow).portal.policy, self._context(flow, draft)):
            raise Invalid(fault, "new_password")
        draft["password"] = self.secrets.hash(password)

    def _context(self, flow: FlowRow, draft: State) -> list[str]:
        """Words that anybody would try for this account first."""
        units = [claim.unit for one in draft.get("claims", []) if (claim := self._accounts.claim(one))]
        typed = [contact["address"].split("@")[0] for contact in draft.get("contacts", {}).values()]
        account = self._accounts.account(draft["who"]) if draft.get("who") else None
        return self._words(flow.realm, flow.manager, account, units, [*typed, draft.get("username") or "", *draft.get("profile", {}).values()])

    def _words(self, realm: str, manager: str, account: Account | None, claimed: Sequence[str], typed: Sequence[str]) -> list[str]:
        """Names of portal and manager, of the own house and flat, numbers of its meters, and what the account calls itself."""
        own = [account.name, account.username or "", *(one.address.split("@")[0] for one in self._accounts.contacts(account.id))] if account else []
        units = [unit for one in [*claimed, *self._units(account)] if (unit := self._registry.unit(one))]
        houses = [building.name for unit in units if (building := self._registry.property(unit.property))]
        places = [one.device for unit in units for point in self._registry.points_of(unit.id) for one in self._registry.assignments_of(point.id)]
        managers = [one.name for one in self._registry.managers() if one.id == manager]
        names = [realm, manager, *managers, *houses, *(unit.label for unit in units), *places, *own, *typed]
        return [part for name in names for part in re.split(r"[\W_]+", name) if part]

    def _units(self, account: Account | None) -> list[str]:
        return [grant.unit for grant in self._accounts.grants(account.id)] if account else []

    def _verify(self, flow: FlowRow, draft: State, _step: Step, fields: Mapping[str, Any], browser: Browser) -> None:
        """The present password of who is identified, attached or signed in; a browser that is known to the account has a count of its own."""
        who = draft.get("attach") or draft.get("who") or draft.get("account")
        account, password, now = self._accounts.account(who) if who else None, text_of(fields, "password"), self._now()
        known = account is not None and self._accounts.knows_browser(account.id, browser.secret)
        key = f"login:{flow.realm}:{account.id if account else draft.get('name', '')}:{digest(browser.secret).hex() if known else ''}"
        place = f"logins:{flow.manager}:{browser.network}"
        waits = self._accounts.held_up(key, now) or (not known and self._accounts.held_up(place, now, daily=PASSWORDS_A_NETWORK))
        right = self.secrets.verify(account.password if account else None, password)
        if waits or not right or account is None or account.failures >= FAILURES:
            with self._registry.writing():
                self._accounts.count(key, now, _delay)
                self._accounts.count(place, now, lambda _: 0, daily=True)
                if account is not None and not waits:
                    self._accounts.failed(account.id)
            raise _Refused("password: " + ("too soon" if waits else "off until recovery" if right and account else "wrong"))
        if account.failures >= MANY:
            self.tell(account, flow.manager, "suspicious_login", {"browser": browser.agent or "?"}, unique=f"failures:{account.id}:{now // HOUR}")
        self._accounts.forgive(key)
        if self.secrets.outdated(account.password):
            self._accounts.set_password(account.id, self.secrets.hash(password))
        draft["who"] = account.id
        draft.setdefault("methods", []).append("password")

    # Challenges

    def _challenged(self, flow: FlowRow, draft: State, step: Step) -> bool:
        """Send what a challenge asks for; False if there is nothing to prove, since the address was left out."""
        channel, address, account = self._reach(flow, draft, step)
        if channel is None and account is None and "typed" not in draft and "attach" not in draft:
            return False
        now, policy = self._now(), self._tenant(flow).portal.policy
        ttl = (step.ttl or policy.code_ttl) * SECOND
        sent = {"tries": 0, "expires": now + ttl, "resend": now + policy.resend_after * SECOND, "transaction": new_id("t_")[-6:], "form": step.form}
        typed = draft.get("typed", {}) if step.channel == ("recovery",) else {}
        shown = typed.get("address") if typed and typed["by"] != "username" else address if not typed else None
        secret = word(step.length) if step.form == "password" else code()
        draft["challenge"] = {
            **sent,
            "channel": channel,
            "address": address,
            "account": account,
            "second": step.channel != ("recovery",),
            "masked": masked(shown),
            "shown": None if typed else channel,
        }
        if step.form == "link" and address:
            secret = random.token_urlsafe(24)
            draft["challenge"]["link"] = digest(secret).hex()
            draft["challenge"]["hash"] = self.secrets.keyed("code", flow.id, self.secrets.word_of(draft["challenge"]["link"])).hex()
        elif address:
            draft["challenge"]["hash"] = self.secrets.keyed("code", flow.id, secret).hex()
        if address and channel:
            self._send(flow, draft, channel, address, secret)
        elif step.otherwise == "letter" and channel is None and account and not self.factors.codes_left(account):
            self._by_letter(flow, draft, account)
        return True

    def _by_letter(self, flow: FlowRow, draft: State, identity: str) -> None:
        """No factor is left: a code goes to the unit of the account by post, and the challenge waits for it as long as it holds (FLOWS 6)."""
        tenant, now, account = self._tenant(flow), self._now(), self._accounts.account(identity)
        if account and self.post_codes.recovery(account, tenant.portal.policy, f"https://{tenant.host}", now):
            draft["challenge"] |= {"channel": "letter", "shown": "letter", "expires": now + tenant.portal.policy.letter_days * DAY}

    def _reach(self, flow: FlowRow, draft: State, step: Step) -> tuple[str | None, str | None, str | None]:
        """Channel and address that a challenge goes to, and the account that it proves; None, None, account for its own device (TOTP)."""
        mine = draft.get("contacts", {})
        for channel in step.channel:
            if channel in mine and mine[channel]["proven"] is None and not draft.get("attach"):
                return channel, mine[channel]["address"], None
        who = draft.get("attach") or draft.get("who")
        if who is None:
            return None, None, None
        if step.channel != ("recovery",) and self.factors.has_totp(who):
            return "totp", None, who
        verified = [contact for contact in self._accounts.contacts(who) if contact.verified is not None and contact.use != "notify"]
        used = {method.split(":")[1] for method in draft.get("methods", []) if ":" in method}
        order = step.channel if step.channel and step.channel != ("recovery",) else ("phone", "email")
        typed = draft.get("typed", {}).get("by")
        if step.channel == ("recovery",) and typed in order:
            order = (typed,)
        recovering = step.channel == ("recovery",)
        ranked = sorted(
            verified,
            key=lambda contact: (
                step.factor == "second" and contact.channel in used,
                step.channel != ("recovery",) and self._delayed(contact.channel),
                (contact.use == "recovery") is not recovering,
                _rank(order, contact.channel),
            ),
        )
        wanted = [contact for contact in ranked if step.factor or contact.channel in order or (recovering and contact.use == "recovery")]
        if step.factor == "second" and flow.name == "recover":
            wanted = [contact for contact in wanted if contact.channel not in used]
        return (wanted[0].channel, wanted[0].address, who) if wanted else (None, None, who)

    def _delayed(self, channel: str | None) -> bool:
        """Whether messages of a channel do not leave just now: then another one goes first, and the page says so."""
        return channel in {"phone", "email"} and self._registry.outbox.trouble("sms" if channel == "phone" else "email", self._now() - HOUR)

    def _send(self, flow: FlowRow, draft: State, channel: str, address: str, secret: str) -> None:
        """Put the message into the outbox, unless so many went there already: then nothing is sent, and nothing is said."""
        now, policy, challenge = self._now(), self._tenant(flow).portal.policy, draft["challenge"]
        proven = challenge["account"] is not None
        if not let_out(self._accounts, flow.realm, flow.manager, channel, address, policy.resend_per_hour, now, proven=proven):
            self._registry.record(f"flow:{flow.id}", "message.held_back", flow.manager, "too many to this address")
            return
        minutes = str((challenge["expires"] - now) // (60 * SECOND))
        host = self._tenant(flow).host
        told = {"code": secret, "secret": secret, "transaction": challenge["transaction"], "minutes": minutes, "portal": f"https://{host}"}
        told |= {"login": address, "link": f"https://{host}/confirm/{secret}"}
        template: str = FORMS[challenge["form"]]
        values: dict[str, str] = {name: told[name] for name in TEMPLATES[template]}
        by: Channel = "sms" if channel == "phone" else "email"
        self._registry.outbox.put(flow.manager, by, address, template, str(draft["locale"]), values, now=now, expires=challenge["expires"])

    def resend(self, flow: FlowRow) -> Outcome:
        """Send a challenge again with another code; the count of tries goes on. Raises NotAccepted before its time."""
        draft: State = copy.deepcopy(dict(flow.state))
        before = draft.get("challenge")
        if before is None or before["resend"] > self._now():
            raise NotAccepted
        steps = self._steps(flow.realm, draft)
        step = next(step for step in _page(steps, draft["at"]) if step.do == "challenge")
        with self._registry.writing():
            self._challenged(flow, draft, step)
            draft["challenge"] |= {"tries": before["tries"], "transaction": before["transaction"]}
            flow = replace(flow, state=draft, expires=max(self._now() + IDLE, draft["challenge"]["expires"]))
            self._keep(flow)
        return Outcome(flow)

    def _challenge(self, flow: FlowRow, draft: State, _step: Step, fields: Mapping[str, Any], browser: Browser) -> None:
        """A code against what was sent; a link that was followed in this browser needs none. TOTP and recovery codes count as second factors."""
        challenge, now = draft["challenge"], self._now()
        given = "" if challenge.get("confirmed") else normalised(text_of(fields, "code"))
        challenge["tries"] += 1
        account = self._accounts.account(challenge["account"]) if challenge["account"] else None
        over = challenge["expires"] <= now or challenge["tries"] > self._tenant(flow).portal.policy.code_tries
        key = f"codes:{flow.realm}:{challenge['account'] or challenge['address']}"
        waits = self._accounts.held_up(key, now) and not (account and self._accounts.knows_browser(account.id, browser.secret))
        letter = self.post_codes.proves("recovery", account.id, given, now) if account and challenge["channel"] == "letter" else None
        right = letter is not None or self._proven(flow, challenge, account, given)
        if over or waits or not right:
            with self._registry.writing():
                self._accounts.count(key, now, _delay)
                if account is not None:
                    self._accounts.failed(account.id)
            raise _Refused("code: " + ("over" if over else "too soon" if waits else "wrong"))
        self._accounts.forgive(key)
        draft.pop("challenge")
        draft["letter"] = letter.id if letter else None
        draft.setdefault("methods", []).append(f"code:{challenge['channel']}")
        if account is not None:
            self._accounts.failed(account.id, reset=True)
        else:
            self._prove(flow, draft, challenge["channel"], now)

    def _proven(self, flow: FlowRow, challenge: State, account: Account | None, given: str) -> bool:
        if challenge.get("confirmed"):
            return True
        if account is not None and challenge["second"] and account_is_on(account) and self.factors.proves(account.id, given, self._now()):
            return True
        sent = bytes.fromhex(challenge.get("hash", "00"))
        return hmac.compare_digest(self.secrets.keyed("code", flow.id, given), sent) and (account_is_on(account) or flow.name == "recover")

    def _prove(self, flow: FlowRow, draft: State, channel: str, now: int) -> None:
        """An address of this flow is proven; where it belongs to an account, the rest of the flow is that account's (FLOWS 5, attach)."""
        contact = draft["contacts"][channel]
        contact["proven"] = now
        found = self._accounts.reached(flow.realm, channel, contact["address"])
        if found is None:
            return
        if contact["attach"]:
            draft |= {"attach": found.id, "list": "attach", "next": 0}
            draft.pop("password", None)
        else:
            contact["use"] = "notify"

    def confirm(self, link: str, cookie: str) -> tuple[bool, str]:
        """Follow a link of a mail: in the browser that began the flow it proves the address, in another one it shows the word to type there."""
        waiting = self._accounts.flow_of_link(digest(link), self._now())
        with self.turn(waiting.id if waiting else ""):
            return self._followed(link, cookie)

    def _followed(self, link: str, cookie: str) -> tuple[bool, str]:
        flow = self._accounts.flow_of_link(digest(link), self._now())
        if flow is None or flow.state["challenge"]["expires"] <= self._now():
            raise StepExpired
        state = copy.deepcopy(dict(flow.state))
        if not hmac.compare_digest(flow.cookie, digest(cookie)):
            return False, self.secrets.word_of(state["challenge"]["link"])
        state["challenge"]["confirmed"] = True
        self._keep(replace(flow, state=state))
        return True, flow.id

    def change_password(self, session: Session, present: str, new: str) -> None:
        """Another password for who proves the present one; ends all other sessions. Raises NotAccepted, also for a try that comes too soon; Invalid."""
        account, now = self._accounts.account(session.account) if session.account else None, self._now()
        key = f"login:{session.realm}:{session.account}:change"
        waits = self._accounts.held_up(key, now)
        if not self.secrets.verify(account.password if account else None, present) or waits or account is None:
            self._accounts.count(key, now, _delay)
            self._refusals.note(f"account:{session.account}", "password.refused", session.id, "too soon" if waits else "wrong")
            raise NotAccepted
        if fault := fault_of(new, self.portal(session.manager).policy, self._words(session.realm, session.manager, account, (), ())):
            raise Invalid(fault, "new")
        hashed = self.secrets.hash(new)
        with self._registry.writing():
            self._accounts.set_password(account.id, hashed)
            self._accounts.end_sessions(account.id, now, but=session.id)
            self._registry.personal.end_all(account.id, now)
            self._registry.record(f"account:{account.id}", "password.change", account.id)
            self.tell(account, session.manager, "password_changed")

    def factor_changed(self, identity: str, manager: str, kind: str) -> None:
        """Tell all addresses of an account that its factors are others now, and write it into the audit."""
        self._registry.record(f"account:{identity}", "factor.change", identity, kind)
        if account := self._accounts.account(identity):
            self.tell(account, manager, "factor_changed", {"factor": kind})

    # What lasts

    def _commit(self, flow: FlowRow, draft: State, step: Step) -> None:
        """Make the account if there is none, and a grant of every claim, in one transaction; raises _Refused if a claim is over by now."""
        now = self._now()
        with self._registry.writing():
            account = draft.get("attach") or draft.get("account") or draft.get("who") or self._made(flow, draft, now)
            for one in draft.get("claims", []):
                self._granted(flow, draft, one, account, step, now)
            draft["account"] = account

    def _made(self, flow: FlowRow, draft: State, now: int) -> str:
        """A new account with what was proven; raises _Refused without a password or a proven channel."""
        contacts = {channel: one for channel, one in draft.get("contacts", {}).items() if one["proven"] or one["use"] == "notify"}
        if "password" not in draft or not any(one["proven"] and one["use"] != "notify" for one in contacts.values()):
            raise _Refused("no account without a password and a proven address")
        username = draft.get("username")
        if username and self._accounts.named(flow.realm, username):
            raise _Refused("the username is taken")
        if any(self._accounts.reached(flow.realm, channel, one["address"]) for channel, one in contacts.items() if one["use"] != "notify"):
            raise _Refused("the address has an account meanwhile")
        profile = draft.get("profile", {})
        name = " ".join(profile[part] for part in ("first_name", "last_name") if part in profile)
        account = Account(new_id("a_"), flow.realm, username, name, str(draft["locale"]), draft["password"], now, 0, None)
        self._accounts.add(account)
        for channel, one in contacts.items():
            self._accounts.add_contact(Contact(new_id("c_"), account.id, channel, one["address"], one["use"], one["proven"]), flow.realm)
        for one in draft.get("consents", []):
            self._accounts.consent(new_id("n_"), account.id, one["doc"], one["version"], account.locale, one["at"])
        self._registry.record(f"account:{account.id}", "account.create", flow.manager, flow.name)
        return account.id

    def _granted(self, flow: FlowRow, draft: State, identity: str, account: str, step: Step, now: int) -> None:
        claim = self._accounts.claim(identity)
        if claim is None:
            raise _Refused("the claim is gone")
        kind = self._tenant(flow).portal.claims[claim.kind]
        if not (self._accounts.use_claim(claim.id, now) if kind.single_use else self._accounts.stands(claim, now)):
            raise _Refused("the claim was used or withdrawn meanwhile")
        if any((one.unit, one.occupancy) == (claim.unit, claim.occupancy) for one in self._accounts.grants(account)):
            return
        others = [one for one in self._accounts.grants_of(claim.unit) if one.occupancy == claim.occupancy and one.account != account]
        since = now + self._wait(flow, draft, kind, others)
        role = claim.role if claim.giver or step.role == "resident" else step.role
        grant = Grant(new_id("g_"), account, claim.manager, claim.unit, claim.occupancy, role, since, claim.until, claim.kind, claim.giver, now, None)
        self._accounts.add_grant(replace(grant, data_from=claim.data_from, finest=claim.finest, quantities=claim.quantities))
        if role == "resident:limited" and (own := self._accounts.account(account)):
            self.post_codes.confirmation(own, grant, self._tenant(flow).portal.policy, f"https://{self._tenant(flow).host}", now)
        self._registry.record(f"account:{account}", "grant.create", claim.unit, f"{claim.kind} {grant.id}", manager=claim.manager)
        before = {account} if draft.get("attach") else set()
        self.tell_holders({one.account for one in others} | before, claim.manager, claim.unit)

    def _wait(self, flow: FlowRow, draft: State, kind: ClaimKind, others: Sequence[Grant]) -> int:
        """How long a grant by printed identifiers waits where the holder has another phone (FLOWS 4); raises _Refused where that is denied."""
        phone = draft.get("contacts", {}).get("phone", {}).get("address")
        phones = {one.address for grant in others for one in self._accounts.contacts(grant.account) if one.channel == "phone"}
        policy = self._tenant(flow).portal.policy.new_phone_on_claim
        if kind.strength != "identifier" or not others or phone in phones or policy == "allow":
            return 0
        if policy == "deny":
            raise _Refused("another phone is bound to this unit")
        return WAIT

    def _opened(self, flow: FlowRow, draft: State, step: Step, browser: Browser) -> str:
        """Open a session: of the account, or of a guest with what it proved."""
        now, policy = self._now(), self._tenant(flow).portal.policy
        account = draft.get("account") or draft.get("who")
        guest = step.role in VISITORS
        if account is None and not guest:
            raise _Refused("nobody to open a session for")
        if step.single and account:
            self._accounts.end_sessions(account, now)
        if (before := draft.get("session")) is not None:
            self._accounts.end_session(before, now)
        held: State = self._held(flow, draft, step.role, now) if guest else {}
        hours = policy.guest_hours if guest else policy.absolute_hours
        life = min((step.ttl or hours * 3600) * SECOND, hours * HOUR)
        secret, idle = random.token_urlsafe(32), policy.idle_minutes * 60 * SECOND
        role = step.role if guest else "account"
        owner = None if guest else account
        session = Session(new_id("s_"), flow.realm, flow.manager, owner, role, held, now, now, now + life, idle, now, browser.agent[:100], None)
        self._accounts.open_session(session, secret)
        if owner:
            self._accounts.failed(owner, reset=True)
        if owner and browser.secret:
            if not self._accounts.knows_browser(owner, browser.secret) and flow.name == "login" and (known := self._accounts.account(owner)):
                self.tell(known, flow.manager, "suspicious_login", {"browser": browser.agent or "?"})
            self._accounts.remember_browser(owner, browser.secret, now)
        self._registry.record(f"account:{owner}" if owner else f"flow:{flow.id}", "session.open", flow.manager, session.id)
        return secret

    def _held(self, flow: FlowRow, draft: State, role: str, now: int) -> State:
        """What a session without an account holds: claims from when on, for a submitter the one meter of its claim, for a demo whose units it shows."""
        if role == "demo":
            return {"demo": self._tenant(flow).demo}
        held: State = {name: draft[name] for name in ("contacts", "claims", "consents", "locale") if name in draft}
        if role == "submitter":
            claims = [claim for one in draft.get("claims", []) if (claim := self._accounts.claim(one)) and claim.point]
            if not claims:
                raise _Refused("no meter to send a reading of")
            return held | {"since": now, "point": claims[0].point}
        return held | {"since": now + self._guest_wait(flow, draft)}

    def _guest_wait(self, flow: FlowRow, draft: State) -> int:
        found = [claim for one in draft.get("claims", []) if (claim := self._accounts.claim(one))]
        kinds = self._tenant(flow).portal.claims
        waits = [
            self._wait(flow, draft, kinds[one.kind], [g for g in self._accounts.grants_of(one.unit) if g.occupancy == one.occupancy]) for one in found
        ]
        return max(waits, default=0)

    def _finish(self, flow: FlowRow, draft: State) -> str | None:
        """The end of a list: an account without a grant, a new password after recovery, a fresh proof, which gives the session a new secret."""
        now, secret = self._now(), None
        if flow.name == "recover" and "password" in draft and draft.get("who"):
            with self._registry.writing():
                account = self._accounts.account(draft["who"])
                if draft.get("letter") and not self._registry.letters.use(draft["letter"], now):
                    raise _Refused("the letter was used meanwhile")
                self._accounts.set_password(draft["who"], draft["password"])
                self._accounts.end_sessions(draft["who"], now)
                self._registry.personal.end_all(draft["who"], now)
                self._registry.record(f"account:{draft['who']}", "account.recover", flow.manager)
                if account:
                    self.tell(account, flow.manager, "password_changed")
        elif flow.name == "reauth":
            secret = random.token_urlsafe(32)
            self._accounts.freshen(draft["session"], secret, now)
            self._accounts.failed(draft["who"], reset=True)
            self._registry.record(f"account:{draft['account']}", "session.reauth", draft["session"], manager=flow.manager)
        elif "password" in draft and not draft.get("account") and flow.name == "activate":
            with self._registry.writing():
                draft["account"] = self._made(flow, draft, now)
        draft["done"] = True
        self._registry.funnel.count(flow.manager, flow.name, "finished", now)
        for name in ("password", "claims", "contacts", "consents", "profile", "challenge"):
            draft.pop(name, None)
        return secret

    def tell_holders(self, accounts: Collection[str], manager: str, identity: str) -> None:
        """Tell these accounts that somebody has new access to a unit."""
        unit = self._registry.unit(identity)
        for one in sorted(accounts):
            if holder := self._accounts.account(one):
                self.tell(holder, manager, "new_grant", {"unit": unit.label if unit else identity})

    def tell(
        self,
        account: Account,
        manager: str,
        template: str,
        values: Mapping[str, str] = MappingProxyType({}),
        *,
        unique: str | None = None,
        by: Registry | None = None,
    ) -> None:
        """A notice to every proven address of an account, with `unique` only one of its kind; `by` another connection, of a thread of its own."""
        registry, now = by or self._registry, self._now()
        told = {"portal": f"https://{self.host_of(manager)}", "when": civil.iso(now), **values}
        values = {name: told[name] for name in TEMPLATES[template]}
        for one in registry.accounts.contacts(account.id):
            if one.verified is not None:
                channel: Channel = "sms" if one.channel == "phone" else "email"
                registry.outbox.put(
                    manager, channel, one.address, template, account.locale, values, now=now, unique=f"{unique}:{one.id}" if unique else None
                )


def account_is_on(account: Account | None) -> bool:
    """Whether an account may still prove itself by code: after too many failures only recovery helps."""
    return account is None or account.failures < FAILURES


def _page(steps: Sequence[Step], at: int) -> tuple[Step, ...]:
    """The step at an index with those that join it."""
    end = at + 1
    while end < len(steps) and steps[end].join:
        end += 1
    return tuple(steps[at:end])


def _kinds(tenant: Tenant, step: Step) -> list[str]:
    return [kind for kind in step.kind if tenant.portal.claims[kind].enabled]


def _rank(order: Sequence[str], channel: str) -> int:
    return order.index(channel) if channel in order else len(order)
