"""Monthly information as it was published: versions by flat, holder and month, and when the holder was told (SPEC 16). Part of registry.sqlite.

Rules: a version is never edited; another one is kept only where it says something else; the notice is noted once, by whoever sent it.
"""

from dataclasses import dataclass
from typing import Final

from submeter.store.errors import StoreError
from submeter.store.part import Part

__all__ = ["Information", "Informations"]

_NOTICE: Final = "information"
_KEY: Final = ("unit", "since", "month", "version")
_NEWEST: Final = (
    "version = (SELECT max(version) FROM information o WHERE (o.unit, o.since, o.month) = (information.unit, information.since, information.month))"
)


@dataclass(frozen=True, slots=True)
class Information:
    """One version for the holder of a flat `since` an instant (µs UTC; null: the flat has no holders on record), of a month ``YYYY-MM``."""

    unit: str
    since: int
    month: str
    version: int
    published: int
    body: str
    notified: int | None
    via: str | None

    @property
    def notice(self) -> str:
        """The name (`unique`) of a message that tells of this version; more after another slash is the message's own, e.g. who of a household it is for."""
        return f"{_NOTICE}/{self.unit}/{self.since}/{self.month}/{self.version}"


class Informations(Part):
    """The versions of a registry, as `registry.information`."""

    def keep(self, unit: str, since: int, month: str, body: str, *, now: int) -> int | None:
        """Keep a body (JSON) as the next version; returns its number, None if the newest one says the same."""
        newest = self.newest(unit, since, month)
        if newest is not None and newest.body == body:
            return None
        version = 1 if newest is None else newest.version + 1
        self._add("information", Information(unit, since, month, version, now, body, None, None))
        return version

    def newest(self, unit: str, since: int, month: str) -> Information | None:
        """Return the newest version; None before the first."""
        return self._one(Information, "information", "unit = ? AND since = ? AND month = ? ORDER BY version DESC LIMIT 1", unit, since, month)

    def of(self, unit: str, month: str) -> list[Information]:
        """Return the newest version of each holder, in order of their times."""
        return self._find(Information, "information", f"unit = ? AND month = ? AND {_NEWEST} ORDER BY since", unit, month)

    def newer(self, published: int) -> list[Information]:
        """Return the newest versions that were published after an instant, in that order."""
        return self._find(Information, "information", f"published > ? AND {_NEWEST} ORDER BY published", published)

    def version(self, unit: str, since: int, month: str, version: int) -> Information | None:
        """Return one version; None if there is none."""
        return self._one(Information, "information", "unit = ? AND since = ? AND month = ? AND version = ?", unit, since, month, version)

    def notified(self, one: Information, via: str, *, now: int) -> None:
        """Note that the holder was told of a version; StoreError if that is noted already, or there is no such version."""
        if not self._tell(one.unit, one.since, one.month, one.version, via=via, now=now):
            raise StoreError(
                f"information of {one.month} for unit {one.unit}, version {one.version}: the notice is noted already, or it is not there"
            )

    def left(self, notice: str, via: str, *, now: int) -> None:
        """Note that the message of this name left, if it tells of a version whose holder was not told before."""
        kind, *key = notice.split("/")
        if kind == _NOTICE and len(key) >= len(_KEY):
            self._tell(*key[: len(_KEY)], via=via, now=now)

    def _tell(self, *key: object, via: str, now: int) -> int:
        """Note that the holder was told of the version with this key, unless that is noted already."""
        sql = "UPDATE information SET notified = ?, via = ? WHERE (unit, since, month, version) = (?, ?, ?, ?) AND notified IS NULL"
        return self._run(sql, now, via, *key)
