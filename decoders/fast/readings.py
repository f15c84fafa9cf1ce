"""What a batch says of each telegram, as the objects of the plain path: for callers that look at one telegram after the other."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime

import numpy as np

from submeter.decoders.fast.batch import Batch, Decoder, Outcome
from submeter.decoders.fast.columns import local_time
from submeter.decoders.telegram import Telegram
from submeter.reading import STATUS, Reading, Source

__all__ = ["Outcomes", "outcomes"]


class Outcomes:
    """The outcome of each telegram of a batch that `decoder` has read, by its number, made when it is asked for; those that had a layout list no records."""

    def __init__(self, decoder: Decoder, batch: Batch) -> None:
        self._decoder, self._batch = decoder, batch
        self._broken: dict[int, tuple[str, ...]] | None = None

    def __getitem__(self, number: int) -> Outcome:
        if self._broken is None:
            self._list()
        return self._of(number, self._broken or {})

    def _list(self) -> None:
        """Columns as lists, when the first outcome is asked for."""
        batch, frames, columns = self._batch, self._batch.frames, self._batch.columns
        which, self._words = batch.words()
        self._of_readings = [tuple(word for word in some if word in STATUS) for some in self._words]
        self._broken = batch.broken()
        about = (frames.address, frames.access, frames.counter, columns.mode, which, columns.clock, columns.clocked)
        self._about = list(zip(*(column.tolist() for column in about), strict=True))
        rows = (columns.place, columns.value, columns.stamp, columns.stamped, columns.day)
        self._rows = list(zip(*(column.tolist() for column in rows), strict=True))
        self._first = np.searchsorted(columns.telegram, np.arange(len(self._about) + 1)).tolist()

    def _of(self, number: int, broken: Mapping[int, tuple[str, ...]]) -> Outcome:
        address, access, counter, mode, word, clock, clocked = self._about[number]
        named = self._decoder.named(address) if number not in self._batch.others else None
        if named is None:
            return self._batch.others[number]
        return Outcome(
            Telegram(
                named[0], tuple(self._readings(number, self._of_readings[word])), (), None if access < 0 else access, self._words[word], mode,
                None if counter < 0 else counter, local_time(clock) if clocked else None,
                tail=b"", more=False, suspect=number in broken, notes=broken.get(number, ()),
            )
        )  # fmt: skip

    def _readings(self, number: int, status: tuple[str, ...]) -> Iterator[Reading]:
        for chosen, value, microseconds, stamped, day in self._rows[self._first[number] : self._first[number + 1]]:
            place = self._batch.columns.places[chosen]
            stamp: datetime | date | None = local_time(microseconds) if stamped else None
            stamp = stamp.date() if day and isinstance(stamp, datetime) else stamp
            yield Reading(place.register, value, stamp, place.label, due=place.due, source=Source(place.source), status=status)


def outcomes(decoder: Decoder, batch: Batch) -> Iterator[Outcome]:
    """The outcome of each telegram of a batch that `decoder` has read, in order."""
    return map(Outcomes(decoder, batch).__getitem__, range(len(batch.heard.raw)))
