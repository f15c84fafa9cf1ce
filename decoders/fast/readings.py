"""What a batch says of each telegram, as the objects of the plain path: for callers that look at one telegram after the other."""

from collections.abc import Iterator
from datetime import date, datetime

from submeter.decoders.fast.batch import Batch, Decoder, Outcome
from submeter.decoders.fast.columns import local_time
from submeter.decoders.telegram import Telegram
from submeter.reading import STATUS, Reading, Source

__all__ = ["outcomes"]


def outcomes(decoder: Decoder, batch: Batch) -> Iterator[Outcome]:
    """The outcome of each telegram of a batch that `decoder` has read, in order; those that had a layout list no records."""
    frames, columns = batch.frames, batch.columns
    which, words = batch.words()
    of_readings = [tuple(word for word in some if word in STATUS) for some in words]
    rows, broken = _readings(batch), batch.broken()
    following = next(rows, None)
    clocks = (local_time(one) if there else None for one, there in zip(columns.clock.tolist(), columns.clocked.tolist(), strict=True))
    about = (frames.address, frames.access, frames.counter, columns.mode, which)
    for number, (clock, address, access, counter, mode, word) in enumerate(zip(clocks, *(column.tolist() for column in about), strict=True)):
        named = decoder.named(address) if number not in batch.others else None
        if named is None:
            yield batch.others[number]
            continue
        readings: list[Reading] = []
        while following and following[0] == number:
            readings.append(following[1]._replace(status=of_readings[word]) if of_readings[word] else following[1])
            following = next(rows, None)
        yield Outcome(
            Telegram(
                named[0], tuple(readings), (), None if access < 0 else access, words[word], mode, None if counter < 0 else counter, clock,
                tail=b"", more=False, suspect=number in broken, notes=broken.get(number, ()),
            )
        )  # fmt: skip


def _readings(batch: Batch) -> Iterator[tuple[int, Reading]]:
    """Telegram and reading, without status, of all that had a layout."""
    columns = batch.columns
    rows = (columns.telegram, columns.place, columns.value, columns.stamp, columns.stamped, columns.day)
    for telegram, number, value, microseconds, stamped, day in zip(*(column.tolist() for column in rows), strict=True):
        place = columns.places[number]
        stamp: datetime | date | None = local_time(microseconds) if stamped else None
        stamp = stamp.date() if day and isinstance(stamp, datetime) else stamp
        yield telegram, Reading(place.register, value, stamp, place.label, due=place.due, source=Source(place.source))
