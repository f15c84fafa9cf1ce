"""Readings that residents sent in: an inbox of the API's own, which the core drains into the readings' file (FEATURES b, DECISIONS 11). Part of registry.sqlite.

Rules: a row is never edited but for `taken`, which the core notes; the confirmation number is random and tells nothing of how many there are. Instants are µs
UTC, values micro units of the register's unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from submeter.store.part import Part, columns

__all__ = ["SelfReading", "SelfReadings"]


@dataclass(frozen=True, slots=True)
class SelfReading:
    """One index of a point's register (`str(Register)`) at an instant; `sender` is `account:…` or `session:…`, "" once the account is erased, `photo` the SHA-256 of a picture."""

    id: int
    point: str
    register: str
    t: int
    value: int
    received: int
    sender: str
    confirmation: str
    photo: str | None
    taken: int | None


_GIVEN: Final = "point, register, t, value, received, sender, confirmation, photo"
_KEEP: Final = f"INSERT INTO self_readings ({_GIVEN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING {columns(SelfReading)}"  # noqa: S608 - ours


class SelfReadings(Part):
    """The readings sent in to a registry, as `registry.self_readings`."""

    def keep(
        self, point: str, register: str, *, t: int, value: int, now: int, sender: str, confirmation: str, photo: str | None = None
    ) -> SelfReading:
        """Keep a reading; durable on return."""
        with self._file.writing() as db:
            row = (point, register, t, value, now, sender, confirmation, photo)
            made = db.execute(_KEEP, row).fetchone()
        return SelfReading(*made)

    def of(self, point: str, start: int, end: int) -> list[SelfReading]:
        """Return those of a point in [start, end) in order of time."""
        return self._find(SelfReading, "self_readings", "point = ? AND t >= ? AND t < ? ORDER BY t, id", point, start, end)

    def sent_by(self, sender: str) -> list[SelfReading]:
        """Return those of a sender in order of time."""
        return self._find(SelfReading, "self_readings", "sender = ? ORDER BY t, id", sender)

    def after(self, last: int, limit: int) -> list[SelfReading]:
        """Return those that came after the one of this number, in order, at most so many."""
        return self._find(SelfReading, "self_readings", "id > ? ORDER BY id LIMIT ?", last, limit)

    def places(self) -> set[tuple[str, str]]:
        """Return the points and registers with any."""
        return set(self._rows("SELECT DISTINCT point, register FROM self_readings"))

    def take(self, ids: Iterable[int], now: int) -> None:
        """Note that the core has these."""
        with self._file.writing() as db:
            db.executemany("UPDATE self_readings SET taken = coalesce(taken, ?) WHERE id = ?", [(now, one) for one in ids])
