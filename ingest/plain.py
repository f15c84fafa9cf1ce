"""Telegrams that say nothing out of the ordinary, judged and stored in columns; all others are judged one by one (`ingest/judge.py`), which is the authority.

Strategy: what most telegrams are is found out for a whole batch at once: a known device, a layout, no word of status, a clock and stamps that may be, no
authenticated counter, no condition that stands. What is left to look at in the order of reception is whether its totals fall (`Guard.rise`).
Rules: a telegram that is not sure to be ordinary is not; rows are what `rows_of` would make; nothing here reads a store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from submeter import civil
from submeter.decoders import fast
from submeter.ingest.guard import RISING, Key
from submeter.ingest.rows import READING_BITS, Reception
from submeter.ingest.sightings import Clocks
from submeter.reading import DeviceId, Register
from submeter.store import READING

__all__ = ["Numbers", "Ordinary", "Owner", "OwnerOf"]

_QUARTER: Final = 15 * civil.MINUTE
_NEVER: Final = 2**62
_LONGEST: Final = 2**READING_BITS
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a telegram is, as far as its rows go: device as text, zone of its local times, and when it was first installed (µs UTC)."""

    name: str
    zone: str
    since: int


#: The owner of a device, None for one that nobody knows or whose conditions must be looked at.
OwnerOf = Callable[[DeviceId, str], Owner | None]


#: Numbers of registers in the store: devices, place in the list of registers of each, and that list.
Numbers = Callable[[Sequence[str], Sequence[int], Sequence[Register]], list[int]]


class Ordinary:
    """The ordinary telegrams of a batch (`totals` has an entry for each), of which those that were `take`n become rows."""

    def __init__(self, decoder: fast.Decoder, batch: fast.Batch, waiting: Sequence[Reception], known: OwnerOf, clocks: Clocks) -> None:
        columns = batch.columns
        self._columns = columns
        self._at = np.array([one.at for one in waiting], np.int64)
        self._live = np.fromiter((one.received_at for one in waiting), np.int64, len(waiting)) == self._at
        self._place = np.fromiter((one.place for one in waiting), np.int64, len(waiting))
        self._owners = _owners(decoder, batch, known)
        self._since = np.array([_NEVER if one is None else one.since for one in self._owners], np.int64)
        calm = self._calm(batch, clocks)
        self._t = self._instants(calm)
        owner = columns.telegram
        calm[owner[(self._t > self._at[owner] + clocks.ahead) | (self._t < self._since[owner])]] = False
        self._texts = [str(place.register) for place in columns.places]
        self.totals = self._totals(calm)
        self._taken = np.zeros(len(waiting), np.bool_)

    def take(self, number: int) -> None:
        """Store the readings of this telegram."""
        self._taken[number] = True

    def rows(self) -> int:
        """How many readings were taken."""
        return int(self._taken[self._columns.telegram].sum())

    def name(self, number: int) -> str:
        """The device of a telegram that has a layout."""
        owner = self._owners[number]
        return owner.name if owner else ""

    def seqs(self, key: tuple[str, Register], value: int, before: int) -> list[int]:
        """`seq` of the taken live rows of a device's register with this value and before this instant."""
        rows = np.flatnonzero(self._taken[self._columns.telegram] & (self._columns.value == value) & (self._t < before) & ~self._columns.stamped)
        return [int(self._seq()[row]) for row in rows.tolist() if self._key(row) == key]

    def table(self, numbers: Numbers) -> pa.Table:
        """The taken rows as a table of the store."""
        columns = self._columns
        rows = np.flatnonzero(self._taken[columns.telegram])
        owner, place, places = columns.telegram[rows], columns.place[rows], columns.places
        clock = np.where(columns.stamped[rows], 2, self._live[owner].astype(np.int64))
        chosen = place.tolist()
        values = {
            "register": numbers([self.name(number) for number in owner.tolist()], chosen, [one.register for one in places]),
            "t": self._t[rows],
            "value": columns.value[rows],
            "src": np.array([one.source for one in places], np.uint8)[place],
            "status": np.zeros(len(rows), np.uint16),
            "due": np.array([one.due for one in places], np.bool_)[place],
            "pinned": np.zeros(len(rows), np.bool_),
            "seq": self._seq()[rows],
            "label": pa.array([one.label for one in places], pa.string()).take(pa.array(place)),
            "time_source": pa.array(("gateway", "received", "meter")).take(pa.array(clock)),
        }  # fmt: skip
        return pa.table({name: pa.array(column, READING.field(name).type) for name, column in values.items()}, schema=READING)

    def _calm(self, batch: fast.Batch, clocks: Clocks) -> Bools:
        columns = self._columns
        which, words = batch.words()
        silent = np.array([not some for some in words])[which]
        calm: Bools = columns.done & silent & (batch.frames.counter < 0) & (self._since < _NEVER)
        calm[list(batch.broken())] = False
        calm &= np.bincount(columns.telegram, minlength=len(calm)) > 0
        if clocks.meter:
            told = np.flatnonzero(columns.clocked & calm)
            zones = [owner.zone if (owner := self._owners[number]) else "UTC" for number in told.tolist()]
            ahead = np.array([_offset(zone, quarter) for zone, quarter in zip(zones, (self._at[told] // _QUARTER).tolist(), strict=True)], np.int64)
            off = np.abs(columns.clock[told] - self._at[told] - ahead)
            calm[told[off > clocks.meter - 2 * civil.SECOND]] = False
        return calm

    def _instants(self, calm: Bools) -> Ints:
        """Of every row; far ahead where a stamp cannot be."""
        columns, owners = self._columns, self._owners
        t: Ints = self._at[columns.telegram]
        dated = np.flatnonzero(columns.stamped & calm[columns.telegram])
        parts = (columns.telegram[dated], columns.stamp[dated], columns.day[dated])
        t[dated] = [
            _utc(owner.zone, stamp, day) if (owner := owners[number]) else _NEVER
            for number, stamp, day in zip(*(part.tolist() for part in parts), strict=True)
        ]
        return t

    def _totals(self, calm: Bools) -> dict[int, list[tuple[Key, int]]]:
        """The live values that can only rise, of each ordinary telegram by its number."""
        columns = self._columns
        totals: dict[int, list[tuple[Key, int]]] = {number: [] for number in np.flatnonzero(calm).tolist()}
        rising = np.array([place.register.name in RISING for place in columns.places], np.bool_)
        rows = np.flatnonzero(rising[columns.place] & ~columns.stamped & calm[columns.telegram]) if len(rising) else columns.place[:0]
        parts = (columns.telegram[rows], columns.place[rows], columns.value[rows])
        for number, place, value in zip(*(part.tolist() for part in parts), strict=True):
            if owner := self._owners[number]:
                totals[number].append(((owner.name, self._texts[place]), value))
        return totals

    def _seq(self) -> Ints:
        telegram = self._columns.telegram
        first = np.searchsorted(telegram, telegram)
        found: Ints = self._place[telegram] << READING_BITS | np.minimum(np.arange(len(telegram)) - first, _LONGEST - 1)
        return found

    def _key(self, row: int) -> tuple[str, Register]:
        return self.name(int(self._columns.telegram[row])), self._columns.places[int(self._columns.place[row])].register


def _owners(decoder: fast.Decoder, batch: fast.Batch, known: OwnerOf) -> list[Owner | None]:
    """The owner of each telegram that has a layout."""
    found: dict[int, Owner | None] = {}
    owners: list[Owner | None] = []
    for done, address in zip(batch.columns.done.tolist(), batch.frames.address.tolist(), strict=True):
        if done and address not in found:
            named = decoder.named(address)
            found[address] = known(*named) if named else None
        owners.append(found[address] if done else None)
    return owners


@lru_cache(maxsize=65_536)
def _offset(zone: str, quarter: int) -> int:
    """Local time minus UTC in a quarter of an hour, µs; zones change on quarters only."""
    return (civil.to_local(zone, quarter * _QUARTER).utcoffset() or timedelta()) // timedelta(microseconds=1)


@lru_cache(maxsize=65_536)
def _utc(zone: str, stamp: int, day: bool) -> int:  # noqa: FBT001  columns
    """The instant of a meter's local stamp (µs), or of its date."""
    local = fast.local_time(stamp)
    if local.year not in civil.YEARS:
        return _NEVER
    try:
        return civil.stored_date(zone, local.date()) if day else civil.to_utc(zone, local)
    except civil.CivilError:
        return _NEVER
