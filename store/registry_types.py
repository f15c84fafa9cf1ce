"""What the directory holds, as values: who manages what, what is measured where, by which device, for whom, and who may see it.

Instants are µs UTC; a period is half-open, `until` None means still running; index values are micro units of the register's canonical unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from submeter.reading import DeviceId

__all__ = [
    "EVER",
    "FINEST",
    "HEATING",
    "LEAST",
    "QUANTITIES",
    "READS",
    "SCOPES",
    "Assignment",
    "AuditEntry",
    "Device",
    "Manager",
    "Occupancy",
    "Point",
    "Principal",
    "Property",
    "Token",
    "Unit",
    "Visible",
]

#: After all instants, µs.
EVER: Final = 2**62
#: Class of a point, as the API calls it, and the register that it shows unless the directory says otherwise.
QUANTITIES: Final = {
    "cold_water": "volume",
    "hot_water": "volume",
    "heat": "energy",
    "cooling": "energy_cooling",
    "heat_allocation": "hca",
    "energy": "energy",
}
#: Classes whose use depends on the weather.
HEATING: Final = frozenset({"heat", "heat_allocation"})
#: Fewer flats than this are no group to compare with (SPEC 16.3).
LEAST: Final = 5
#: The finest level that a property shows (SPEC 16).
FINEST: Final = ("hour", "day", "month")
#: What a service token may be allowed.
SCOPES: Final = (
    "units:read",
    "consumption:read",
    "bulk:read",
    "readings:read",
    "events:read",
    "documents:read",
    "announcements:read",
    "balance:read",
    "claims:write",
    "accounts:write",
    "directory:write",
    "documents:write",
    "announcements:write",
    "balance:write",
    "events:write",
    "webhooks:write",
    "operations:read",
    "audit:read",
)
#: What it is allowed unless told otherwise.
READS: Final = SCOPES[:3]


@dataclass(frozen=True, slots=True)
class Manager:
    """The company that runs meters: the tenant of the installation."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Property:
    """A building with its IANA time zone, the first day of its year (`MM-01`) and the finest level it shows.

    For so many days its hours and days are kept (0: for ever, None: as pipeline.toml says).
    """

    id: str
    manager: str
    name: str
    zone: str
    year_start: str
    finest: str
    hours_kept: int | None = None
    days_kept: int | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A flat or other occupied space."""

    id: str
    property: str
    label: str
    entrance: str


@dataclass(frozen=True, slots=True)
class Point:
    """A measured place, stable over meter exchanges; `unit` None is the building's own.

    `registers` are the registers of its device that it shows, written as `str(Register)`, the main one first; `parameters` (SPEC 2.1) are of the main one.
    """

    id: str
    property: str
    unit: str | None
    quantity: str
    label: str
    registers: tuple[str, ...]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Device:
    """A meter with its key in clear, if it has one, its pinned security mode, if any, and whether it encrypts all that it sends (`whole`)."""

    id: DeviceId
    key: bytes | None
    mode: int | None
    whole: bool = True

    def __repr__(self) -> str:
        """Name the device without its key: this text may reach a log."""
        return f"Device({self.id}, key={'yes' if self.key else 'no'}, mode={self.mode})"


@dataclass(frozen=True, slots=True)
class Assignment:
    """A device at a point; `start_value` is its main register at `since`, `end_value` at `until`, None where nobody read it."""

    point: str
    device: str
    since: int
    until: int | None
    start_value: int | None
    end_value: int | None

    def holds(self, at: int) -> bool:
        """Whether it runs at an instant, µs UTC; its end does not belong to it."""
        return _holds(self.since, self.until, at)


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Who lives in a unit, from when to when."""

    unit: str
    since: int
    until: int | None
    name: str

    def holds(self, at: int) -> bool:
        """Whether it runs at an instant, µs UTC; its end does not belong to it."""
        return _holds(self.since, self.until, at)


@dataclass(frozen=True, slots=True)
class Token:
    """A service token as listed: never its secret."""

    id: str
    manager: str
    scopes: tuple[str, ...]
    created: int
    revoked: int | None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: the token or session, the manager it belongs to, and what it may do.

    `account` where a person asks; `held` are the units of a guest, who has none; `grants` are those of the account that a personal token reads by (None: all);
    `operator` is the name of who works for the manager in a browser.
    """

    token: str
    manager: str
    scopes: frozenset[str]
    account: str | None = None
    held: "tuple[Visible, ...] | None" = None
    grants: frozenset[str] | None = None
    operator: str | None = None

    @property
    def actor(self) -> str:
        """How the audit calls who asks."""
        if self.account is not None:
            return f"account:{self.account}"
        if self.operator is not None:
            return f"operator:{self.operator}"
        return f"session:{self.token}" if self.held is not None else f"token:{self.token}"


@dataclass(frozen=True, slots=True)
class Visible:
    """One unit that a principal may see, in which period (None = without end) and down to which level; `role` and id of a person's grant, "" of a token.

    `quantities` are the classes of points that are there for the principal (None: all).
    """

    unit: str
    since: int | None
    until: int | None
    finest: str
    role: str = ""
    grant: str = ""
    quantities: frozenset[str] | None = None

    @property
    def begins(self) -> int:
        """Where the period begins, µs UTC; before all else."""
        return -EVER if self.since is None else self.since

    @property
    def ends(self) -> int:
        """Where the period ends; after all else."""
        return EVER if self.until is None else self.until

    def holds(self, at: int) -> bool:
        """Whether an instant lies in the period."""
        return self.begins <= at < self.ends

    def shows(self, quantity: str) -> bool:
        """Whether points of a class are there for the principal."""
        return self.quantities is None or quantity in self.quantities


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which object, and when; of which manager, what for, with what outcome, in which request, from which /24 (None: older rows)."""

    id: int
    at: int
    actor: str
    action: str
    subject: str
    detail: str
    manager: str | None = None
    purpose: str | None = None
    outcome: str | None = None
    request: str | None = None
    network: str | None = None


def _holds(since: int, until: int | None, at: int) -> bool:
    return since <= at and (until is None or at < until)
