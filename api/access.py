"""Who asks, and what they may see: the one gate between a request and the stores.

Rules: tokens and sessions are opaque and looked up at each request, so that ending one works at once; every route declares its scope; a handler never takes a
unit's id to the store by itself but asks `Access.unit`, which answers foreign and nonexistent alike; what a browser's session changes must be asked for by the
portal's own pages (portal API 1, FLOWS 10).
"""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, Final, get_args
from urllib.parse import urlsplit

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from submeter.api.problems import CrossSite, ForbiddenScope, NotVisible, Reauth, TooManyRequests, Unauthenticated
from submeter.api.trace import route_of, whose
from submeter.rates import Cost, Rates
from submeter.store.accounts import OWN, ROLES, Account, Session
from submeter.store.operators import STAFF
from submeter.store.registry import Registry
from submeter.store.registry_types import Point, Principal, Property, Unit, Visible

__all__ = ["BROWSER", "FLOW", "GATES", "SESSION", "Access", "SeenUnit", "anyone", "microseconds", "own_pages", "scoped", "session_of"]

_bearer: Final = HTTPBearer(auto_error=False, description="Service token, made by `submeter token create`; browsers have the cookie of a session")
#: Cookies: a flow's, a session's, and what an account's browsers are known by.
FLOW, SESSION, BROWSER = "__Host-flow", "__Host-session", "__Host-browser"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FRESH: Final = 300_000_000


@dataclass(frozen=True, slots=True)
class SeenUnit:
    """A unit that the principal may see, with its property and what of it is visible."""

    unit: Unit
    property: Property
    visible: Visible

    def points(self, registry: Registry) -> list[Point]:
        """The unit's points that are there for the principal."""
        return [point for point in registry.points_of(self.unit.id) if self.visible.shows(point.quantity)]


@dataclass(frozen=True, slots=True)
class Access:
    """One authenticated request; `session` where a browser asks."""

    principal: Principal
    registry: Registry
    session: Session | None = None
    now: int = 0
    scopes: frozenset[str] = frozenset()
    route: str = ""
    read: Callable[[SeenUnit, str, str, int], None] | None = None

    def units(self) -> list[SeenUnit]:
        """Every visible unit where the route's scopes are allowed."""
        found = {visible.unit: visible for visible in reversed(self.registry.visible(self.principal, now=self.now)) if self._allowed(visible)}
        return [seen for visible in reversed(found.values()) if (seen := self._seen(visible))]

    def unit(self, identity: str) -> SeenUnit:
        """The visible unit of this id; raises NotVisible for foreign and nonexistent alike, ForbiddenScope where its grant allows less than the route asks."""
        visible = self.registry.visible(self.principal, identity, now=self.now)
        for one in visible:
            if self._allowed(one) and (seen := self._seen(one)):
                self.note(seen)
                return seen
        if visible:
            raise ForbiddenScope(f"a {visible[0].role.replace(':', ', ')} of this unit may not do this")
        raise NotVisible

    def note(self, seen: SeenUnit) -> None:
        """Count a read of a unit for its resident's access log; `unit` does so by itself, who takes `units` says which it reads."""
        if self.read is not None:
            person = f"account:{self.principal.account}{'' if self.session else f'/{self.principal.token}'}" if self.principal.account else ""
            other = self.principal.actor if self.principal.held is None else "guest:"
            self.read(seen, person or other, self.route, self.now)

    def meter(self, identity: str) -> tuple[SeenUnit, Point]:
        """The point of this id with its visible unit, for a submitter the one of its claim alone; raises as `unit` does."""
        point = self.registry.point_of(identity)
        if point is None or point.unit is None or (self.session is not None and self.session.held.get("point", identity) != identity):
            raise NotVisible
        seen = self.unit(point.unit)
        if point not in seen.points(self.registry):
            raise NotVisible
        return seen, point

    def account(self) -> str:
        """The account that asks; raises ForbiddenScope for tokens and guests."""
        if self.principal.account is None:
            raise ForbiddenScope("only the holder of an account, signed in, may do this")
        return self.principal.account

    def holder(self) -> Account:
        """The account that asks as it is kept; raises as `account` does, Unauthenticated where it was erased meanwhile."""
        found = self.registry.accounts.account(self.account())
        if found is None:
            raise Unauthenticated
        return found

    def own_session(self) -> Session:
        """The session that asks; raises ForbiddenScope for tokens."""
        if self.session is None:
            raise ForbiddenScope("only a browser's session may do this")
        return self.session

    def proven(self) -> Session:
        """The session, if its holder proved within five minutes who it is; raises Reauth."""
        if self.session is None or self.now - self.session.fresh > FRESH:
            raise Reauth
        return self.session

    def _allowed(self, visible: Visible) -> bool:
        return not visible.role or self.scopes <= {*ROLES[visible.role], *OWN}

    def _seen(self, visible: Visible) -> SeenUnit | None:
        unit = self.registry.unit(visible.unit)
        building = self.registry.property(unit.property) if unit else None
        return SeenUnit(unit, building, visible) if unit and building else None


def microseconds(request: Request) -> int:
    """What time it is, µs UTC."""
    clock: Callable[[], float] = request.app.state.clock
    return int(clock() * 1_000_000)


def own_pages(request: Request) -> None:
    """Refuse a change that another site's page asked for; raises CrossSite. One of the two headers must be there, and both must say so."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if request.method not in SAFE and not (own and site in {None, "same-origin"} and (origin or site)):
        raise CrossSite


def session_of(request: Request) -> Session | None:
    """The session of this browser with the portal of this host, None if it has none."""
    registry: Registry = request.app.state.registry
    secret, realm = request.cookies.get(SESSION), request.app.state.realm_of(request.headers.get("host", ""))
    found = registry.accounts.session(secret, microseconds(request)) if secret and realm else None
    if found is None or found.realm != realm:
        return None
    return found if "operator" not in found.held or found.manager == request.app.state.manager_of(request.headers.get("host", "")) else None


def _access(request: Request, scopes: SecurityScopes, credentials: HTTPAuthorizationCredentials | None, cost: Cost) -> Access:
    registry: Registry = request.app.state.registry
    session, now = None, microseconds(request)
    if credentials:
        principal = registry.token(credentials.credentials, now=now)
    else:
        session = session_of(request)
        principal = _in_session(registry, session, now) if session else None
    if principal is None:
        raise Unauthenticated
    whose(principal, principal.manager)
    _paced(request, principal.account or principal.token, cost)
    if session is not None:
        own_pages(request)
    elif principal.account is not None and request.method not in SAFE:
        raise ForbiddenScope("a personal token reads and changes nothing")
    missing = set(scopes.scopes) - principal.scopes
    if missing:
        raise ForbiddenScope(f"missing: {', '.join(sorted(missing))}")
    noted = request.app.state.reads.note if request.method in SAFE else None
    return Access(principal, registry, session, now, frozenset(scopes.scopes), route_of(request), noted)


def _paced(request: Request, who: str, cost: Cost) -> None:
    """Take one of the principal's requests; raises TooManyRequests."""
    rates: Rates | None = request.app.state.rates
    if rates and (wait := rates.wait(who, cost, time.monotonic())):
        raise TooManyRequests(math.ceil(wait))


def _gate(cost: Cost) -> Callable[..., Awaitable[Access]]:
    async def gate(
        request: Request, scopes: SecurityScopes, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Access:
        return _access(request, scopes, credentials, cost)

    return gate


#: The dependency of each class of cost; that of None is for routes that do not say theirs yet, and costs like a read.
GATES: Final[Mapping[Cost | None, Callable[..., Awaitable[Access]]]] = MappingProxyType(
    {**{cost: _gate(cost) for cost in get_args(Cost)}, None: _gate("r")}
)


def _in_session(registry: Registry, session: Session, now: int) -> Principal | None:
    """Who asks by a session; None for an operator who is no more."""
    if "operator" in session.held:
        found = registry.operators.one(session.held["operator"])
        return Principal(session.id, found.manager, frozenset(STAFF[found.role]), operator=found.name) if found else None
    scopes = frozenset(ROLES[session.role])
    if session.account is not None:
        return Principal(session.id, session.manager, scopes, session.account)
    if demo := session.held.get("demo"):
        shown = registry.visible(Principal(session.id, demo, scopes), now=now)
        return Principal(session.id, session.manager, scopes, None, tuple(replace(one, role="demo") for one in shown))
    held = registry.accounts.held(session.held.get("claims", []), session.held.get("since", 0), now)
    return Principal(session.id, session.manager, scopes, None, tuple(held))


def scoped(*scopes: str, cost: Cost | None = None) -> Any:
    """The dependency that every route declares: a valid token or session with these scopes, and what a request costs (rates.py).

    Raises Unauthenticated, TooManyRequests, ForbiddenScope, CrossSite.
    """
    return Security(GATES[cost], scopes=list(scopes))


async def _anyone(request: Request) -> None:
    own_pages(request)


#: The dependency of routes that need nobody: those of flows, which a cookie of their own binds to a browser.
anyone: Final = Security(_anyone, scopes=[])
