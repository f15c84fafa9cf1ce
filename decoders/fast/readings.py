"""What a batch says of one telegram, as the core's own types: for callers that want objects, and for comparing both paths."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

from submeter.decoders.fast.batch import Batch
from submeter.reading import Reading, Source

__all__ = ["local_time", "readings_by_telegram"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  local time of the meter


def local_time(microseconds: int) -> datetime:
    """A naive time from microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def readings_by_telegram(batch: Batch) -> Iterator[tuple[int, Reading]]:
    """Telegram and reading, without status, of all that took a layout."""
    columns = batch.columns
    rows = zip(
        *(column.tolist() for column in (columns.telegram, columns.place, columns.value, columns.stamp, columns.stamped, columns.day)), strict=True
    )
    for telegram, number, value, microseconds, stamped, day in rows:
        place = columns.places[number]
        stamp: datetime | date | None = local_time(microseconds) if stamped else None
        if day and isinstance(stamp, datetime):
            stamp = stamp.date()
        yield telegram, Reading(place.register, value, stamp, place.label, due=place.due, source=Source(place.source))
