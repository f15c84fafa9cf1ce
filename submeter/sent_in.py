"""Readings that residents sent in, from the registry into the readings' file: source `self`, above substitutes, below every other.

Rules: each comes in once, in the transaction that notes its number; its `seq` follows from that number and lies above those of all messages, so that it is the
same after the readings' file was lost, and a rebuild leaves it there. It counts for the device that was at the point at its instant.
"""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import structlog

from submeter.aggregate import register_named
from submeter.reading import Source
from submeter.store import READING, RECEPTION, Readings, Registry
from submeter.store.self_readings import SelfReading

__all__ = ["take"]

log = structlog.get_logger()

#: Above the `seq` of any message, below that of what operators enter.
SEQ: Final = 1 << 61
TOGETHER: Final = 1000


def take(registry: Registry, readings: Readings, now: int) -> int:
    """Store what was sent in since the last time; returns how many."""
    taken = 0
    while found := registry.self_readings.after(readings.sent_in(), TOGETHER):
        readings.store(_batch(registry, readings, found), RECEPTION.empty_table(), 0, sent_in=found[-1].id)
        registry.self_readings.take([one.id for one in found], now)
        taken += len(found)
    return taken


def _batch(registry: Registry, readings: Readings, found: Sequence[SelfReading]) -> pa.Table:
    placed = [(one, device) for one in found if (device := _device(registry, one)) is not None]
    registers = readings.register_ids((device, register_named(one.register)) for one, device in placed)
    rows = [
        {"register": registers[device, register_named(one.register)], "t": one.t, "value": one.value, "src": int(Source.SELF), "status": 0}
        | {"due": False, "pinned": False, "seq": SEQ + one.id, "label": "", "time_source": "self"}
        for one, device in placed
    ]
    return pa.Table.from_pylist(rows, schema=READING)


def _device(registry: Registry, one: SelfReading) -> str | None:
    there = next((assignment.device for assignment in registry.assignments_of(one.point) if assignment.holds(one.t)), None)
    if there is None:
        log.warning("a reading that was sent in is of no device: the directory changed", point=one.point, id=one.id)
    return there
