"""`GET /v1/units/{unit}/information/{yyyy-mm}`: the monthly information as it was published, of the holder at an instant (portal API 5; SPEC 16)."""

import json
import re
from datetime import date
from typing import Any, Final

from submeter import civil
from submeter.api.access import SeenUnit
from submeter.api.numbers import moment
from submeter.api.periods import instant_of
from submeter.api.problems import Invalid, NotFound
from submeter.store.registry import Registry

__all__ = ["information_of"]

MONTH: Final = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


def information_of(seen: SeenUnit, registry: Registry, month: str, at: str | None, version: int | None) -> dict[str, Any]:
    """The body of the response: of the holder at `at`, at the end of the month if that is None. Raises Invalid; NotFound where nothing was published, or of whose quantities not all are visible."""
    if not MONTH.fullmatch(month):
        raise Invalid("write a month: 2026-01", "month")
    zone = seen.property.zone
    then = civil.midnight(zone, civil.month_after(date.fromisoformat(f"{month}-01"))) - 1 if at is None else instant_of("at", at, zone)
    own = seen.visible.since if at is None else None
    holder = next((one for one in registry.holders_of(seen.unit.id) if (one.holds(then) if own is None else one.since == own)), None)
    if holder is None or seen.visible.since not in {None, holder.since} or seen.visible.quantities is not None:
        raise NotFound
    kept = registry.information
    found = kept.newest(seen.unit.id, holder.since, month) if version is None else kept.version(seen.unit.id, holder.since, month, version)
    if found is None:
        raise NotFound
    said = {
        "version": found.version,
        "published_at": civil.local_iso(zone, found.published),
        "notified_at": moment(found.notified, zone),
        "notified_via": found.via,
    }
    return {**json.loads(found.body), **said}
