"""Announcements of managers in the languages that they wrote, and who read them: as `registry.announcements` (portal FEATURES b, S11). Instants are µs UTC."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from submeter.store.accounts import ROLES
from submeter.store.audience import MEANT, Audience
from submeter.store.part import Part

__all__ = ["Announcement", "Announcements"]

#: Proven mail addresses of those who live now where an announcement is for, of all or of those who chose it; each once.
_ADDRESSEES: Final = """
SELECT c.address, min(a.locale) FROM grants g JOIN units u ON u.id = g.unit JOIN properties p ON p.id = u.property AND p.manager = g.manager
JOIN accounts a ON a.id = g.account AND a.ended IS NULL JOIN contacts c ON c.account = a.id AND c.channel = 'email' AND c.verified IS NOT NULL
LEFT JOIN occupancies o ON o.unit = g.unit AND o.since = g.occupancy LEFT JOIN unit_wishes w ON w.account = g.account AND w.unit = g.unit
WHERE g.manager = :manager AND (p.id = :property OR :property IS NULL) AND (u.entrance = :entrance OR :entrance IS NULL)
  AND (u.id = :unit OR :unit IS NULL) AND g.ended IS NULL AND g.since <= :now AND (g.until IS NULL OR g.until > :now)
  AND (g.occupancy IS NULL OR (o.since <= :now AND (o.until IS NULL OR o.until > :now)))
  AND g.role IN (SELECT value FROM json_each(:roles)) AND (:everybody = 1 OR w.announcements_by_mail = 1)
GROUP BY c.address ORDER BY c.address
"""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One announcement, shown from `since` to `until` (None: without end); `texts` by language, each a title and a text."""

    id: str
    manager: str
    property: str | None
    entrance: str | None
    unit: str | None
    since: int
    until: int | None
    created: int
    texts: Mapping[str, Mapping[str, str]]


class Announcements(Part):
    """The announcements of a registry."""

    def add(self, one: Announcement) -> None:
        """Keep an announcement."""
        self._add("announcements", one, texts=json.dumps(dict(one.texts)))

    def of(self, place: Audience, now: int) -> list[Announcement]:
        """Return what is shown now to a flat, the newest first."""
        values = (place.manager, place.property, place.entrance, place.unit, now, now)
        return self._told(f"{MEANT} AND since <= ? AND (until IS NULL OR until > ?) ORDER BY since DESC, id", *values)

    def of_manager(self, manager: str) -> list[Announcement]:
        """Return all announcements of a manager, the newest first."""
        return self._told("manager = ? ORDER BY since DESC, id", manager)

    def read(self, identity: str, account: str, now: int) -> None:
        """Note that an account read an announcement; the first time counts."""
        self._run("INSERT INTO announcement_reads VALUES (?, ?, ?) ON CONFLICT DO NOTHING", identity, account, now)

    def read_by(self, account: str) -> dict[str, int]:
        """Return when an account read which announcements."""
        return dict(self._rows("SELECT announcement, at FROM announcement_reads WHERE account = ?", account))

    def readers(self, identity: str) -> int:
        """Return how many accounts read an announcement."""
        return int(self._rows("SELECT count(*) FROM announcement_reads WHERE announcement = ?", identity)[0][0])

    def addressees(self, one: Announcement, now: int, *, everybody: bool) -> list[tuple[str, str]]:
        """Return the mail addresses and languages of those who live where it is for: of all, or of those who chose mails."""
        roles = json.dumps([role for role, scopes in ROLES.items() if "announcements:read" in scopes])
        named = {"manager": one.manager, "property": one.property, "entrance": one.entrance, "unit": one.unit}
        with self._file.writing() as db:
            return db.execute(_ADDRESSEES, named | {"now": now, "roles": roles, "everybody": everybody}).fetchall()

    def forget(self, before: int) -> int:
        """Delete what ended before an instant, and who read it; returns how many."""
        with self._file.writing() as db:
            db.execute("DELETE FROM announcement_reads WHERE announcement IN (SELECT id FROM announcements WHERE until < ?)", (before,))
            return db.execute("DELETE FROM announcements WHERE until < ?", (before,)).rowcount

    def _told(self, where: str, *values: object) -> list[Announcement]:
        return [replace(one, texts=json.loads(str(one.texts))) for one in self._find(Announcement, "announcements", where, *values)]
