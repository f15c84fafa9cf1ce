"""Who asks, and what they may see: the one gate between a request and the stores.

Rules: tokens are opaque and looked up at each request, so that revoking works at once; every route declares its scope; a handler never takes a
unit's id to the store by itself but asks `Access.unit`, which answers foreign and nonexistent alike (portal API 1).
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from submeter.api.problems import ForbiddenScope, NotFound, Unauthenticated
from submeter.store.registry import Registry
from submeter.store.registry_types import Principal, Property, Unit, Visible

__all__ = ["Access", "SeenUnit", "scoped"]

_bearer: Final = HTTPBearer(auto_error=False, description="Service token, made by `submeter token create`")


@dataclass(frozen=True, slots=True)
class SeenUnit:
    """A unit that the principal may see, with its property and what of it is visible."""

    unit: Unit
    property: Property
    visible: Visible


@dataclass(frozen=True, slots=True)
class Access:
    """One authenticated request."""

    principal: Principal
    registry: Registry

    def units(self) -> list[SeenUnit]:
        """Every visible unit."""
        return [seen for visible in self.registry.visible(self.principal) if (seen := self._seen(visible))]

    def unit(self, identity: str) -> SeenUnit:
        """The visible unit of this id; raises NotFound for foreign and nonexistent alike."""
        for visible in self.registry.visible(self.principal, identity):
            if seen := self._seen(visible):
                return seen
        raise NotFound

    def _seen(self, visible: Visible) -> SeenUnit | None:
        unit = self.registry.unit(visible.unit)
        building = self.registry.property(unit.property) if unit else None
        return SeenUnit(unit, building, visible) if unit and building else None


async def _access(request: Request, scopes: SecurityScopes, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> Access:
    registry: Registry = request.app.state.registry
    principal = registry.token(credentials.credentials) if credentials else None
    if principal is None:
        raise Unauthenticated
    missing = set(scopes.scopes) - principal.scopes
    if missing:
        raise ForbiddenScope(f"missing: {', '.join(sorted(missing))}")
    return Access(principal, registry)


def scoped(*scopes: str) -> Any:
    """The dependency that every route declares: a valid token with these scopes. Raises Unauthenticated, ForbiddenScope."""
    return Security(_access, scopes=list(scopes))
