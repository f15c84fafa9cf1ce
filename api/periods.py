"""The asked range as civil buckets: `from`, `to` and `resolution` read, and the grid that the answer fills.

Ranges are half-open. An ISO date means the local civil date of the property, an instant carries its offset (portal API 1.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

import numpy as np

from submeter import civil
from submeter.api.problems import Invalid, TooFine
from submeter.reading import LEVELS
from submeter.store.registry_types import EVER, Property, Visible

__all__ = ["MOST_POINTS", "RESOLUTIONS", "Period", "Resolution", "instant_of", "period"]

Resolution = Literal["PT1H", "P1D", "P1M", "P1Y"]
RESOLUTIONS: Final = ("PT1H", "P1D", "P1M", "P1Y")
LEVEL: Final[dict[str, str]] = dict(zip(RESOLUTIONS, LEVELS, strict=True))
MOST_POINTS: Final = 10_000
LONGEST: Final = 5 * 366 * civil.DAY


@dataclass(frozen=True, slots=True)
class Period:
    """Buckets of one level that touch a range and have begun: `edges[i]` to `edges[i + 1]`, µs UTC; `next` is where a further request goes on.

    `cut` are the buckets that lie over an edge of what may be seen: where each begins as seen, and where by itself.
    """

    level: str
    start: int
    end: int
    edges: civil.Instants
    next: int | None
    cut: Mapping[int, int] = field(default_factory=dict)

    @property
    def starts(self) -> list[int]:
        """Where the buckets begin by themselves."""
        return [self.cut.get(start, start) for start in self.edges[:-1].tolist()]


def period(start: str, end: str, resolution: Resolution, building: Property, *, now: int, visible: Visible | None = None) -> Period:
    """Read a range, of which no more than what is `visible` is answered; raises Invalid (unreadable, reversed, over five years) and TooFine."""
    level = LEVEL[resolution]
    if LEVELS.index(level) < LEVELS.index(building.finest):
        raise TooFine(f"the finest is {building.finest}")
    lower, upper = instant_of("from", start, building.zone), instant_of("to", end, building.zone)
    if lower >= upper:
        raise Invalid("`to` must be later than `from`", "to")
    since, until = (visible.begins, visible.ends) if visible else (-EVER, EVER)
    lower, upper = max(lower, since), min(upper, until)
    if lower >= upper:
        return Period(level, lower, lower, np.array([lower], np.int64), None)
    begun = max(min(upper, now + 1), lower)
    if begun - lower > LONGEST:
        raise Invalid("at most five years in one request", "from")
    try:
        edges = civil.boundaries(building.zone, level, lower, begun, building.year_start)
    except civil.CivilError as error:
        raise Invalid(str(error), "from") from error
    if lower > now:
        edges = edges[:1]
    more = len(edges) > MOST_POINTS + 1
    shown = edges[: MOST_POINTS + 1]
    inside = np.clip(shown, since, until)
    over = (inside[:-1] > shown[:-1]) | (inside[1:] < shown[1:])
    cut = dict(zip(inside[:-1][over].tolist(), shown[:-1][over].tolist(), strict=True))
    return Period(level, lower, upper, inside, int(edges[MOST_POINTS]) if more else None, cut)


def instant_of(name: str, text: str, zone: str) -> int:
    """Read an instant, or a local date that means its first one; raises Invalid with the parameter's name."""
    try:
        return civil.midnight(zone, date.fromisoformat(text)) if len(text) == len("YYYY-MM-DD") else civil.instant(text)
    except (ValueError, civil.CivilError):
        raise Invalid("write a date (2026-01-31) or an instant with its offset (2026-01-31T00:00:00+01:00)", name) from None
