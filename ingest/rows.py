"""Telegrams with the place and instant of their reception, and their readings as rows of the store.

Rules: a live value is of the instant of reception, a stored one of the date or time that the meter says, in the zone of its property; order is that of
the inbox, so it is the same after a rebuild (DECISIONS 1, 2).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa
import structlog

from submeter import civil
from submeter.decoders import Telegram
from submeter.ingest.envelopes import Heard
from submeter.reading import POSITION_BITS, READING_BITS, STATUS, Reading, Register

__all__ = ["AHEAD", "MICROSECONDS", "POSITION_BITS", "READING_BITS", "Reception", "Row", "rows_of", "table"]

log = structlog.get_logger()

MICROSECONDS: Final = 1_000_000
#: How far an instant may lie ahead of its reception (SPEC 14, `clock_drift`).
AHEAD: Final = 600 * MICROSECONDS


class Reception(NamedTuple):
    """One telegram with the place and the instant of its reception."""

    message: int
    position: int
    received_at: int
    gateway: str
    trusted: bool  # the gateway's own time counts
    decrypted: bool
    telegram: Heard

    @property
    def at(self) -> int:
        """The instant of a live value: the gateway's time where it is trusted, else the collector's (DECISIONS 1)."""
        return self.telegram.gw_time if self.trusted and self.telegram.gw_time is not None else self.received_at

    @property
    def local(self) -> datetime:
        """The same as a naive UTC time."""
        return datetime.fromtimestamp(self.at // MICROSECONDS, UTC).replace(tzinfo=None)

    @property
    def place(self) -> int:
        """Message and position in one number: `seq` without the place in the telegram."""
        return self.message << POSITION_BITS | self.position


#: Device and register, then the columns of READING after `register`.
Row = tuple[tuple[str, Register], int, int | None, int, int, bool, bool, int, str, str]


def rows_of(telegram: Telegram, heard: Reception, zone: str, ahead: int = AHEAD) -> Iterator[Row]:
    """Readings as rows with their instants in UTC; one that lies more than `ahead` (µs) of its reception is left out and logged (SPEC 14)."""
    for order, reading in enumerate(telegram.readings):
        at, time_source = _instant(reading, heard, zone)
        if at is None or at > heard.at + ahead:
            log.warning("a reading's time cannot be right", device=str(telegram.device), register=str(reading.register), stamp=str(reading.stamp))
            continue
        seq = heard.place << READING_BITS | min(order, 2**READING_BITS - 1)
        status = sum(1 << STATUS.index(word) for word in reading.status)
        key = (str(telegram.device), reading.register)
        yield key, at, reading.value, int(reading.source), status, reading.due, False, seq, reading.label, time_source


def _instant(reading: Reading, heard: Reception, zone: str) -> tuple[int | None, str]:
    """When the value was valid, None for a stamp outside the years that have a civil grid; and which clock says so."""
    if reading.stamp is None:
        own = "gateway_decode" if heard.telegram.link == "parsed" else "gateway"
        return heard.at, own if heard.at != heard.received_at else "received"
    if reading.stamp.year not in civil.YEARS:
        return None, "meter"
    try:
        stamp = reading.stamp
        return (civil.to_utc(zone, stamp) if isinstance(stamp, datetime) else civil.stored_date(zone, stamp)), "meter"
    except civil.CivilError:
        return None, "meter"


def table(schema: pa.Schema, rows: list[Any]) -> pa.Table:
    """Rows as an Arrow table of this schema."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)
