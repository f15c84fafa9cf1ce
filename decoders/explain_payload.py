"""A readable payload in rows: records with their DIF, VIF and data, compact frames, and manufacturer blocks as far as a driver's tables name them."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final

from submeter.decoders.blocks import field_records, read_payload
from submeter.decoders.compact import Formats, read_compact
from submeter.decoders.driver import FILLED as BEHIND_FILLER
from submeter.decoders.driver import PAYLOAD, TAIL, Layout
from submeter.decoders.explain_link import Cursor, Row
from submeter.decoders.fixed import read_fixed
from submeter.decoders.records import FUNCTIONS, Record, walk
from submeter.decoders.telegram import Plain

__all__ = ["payload_rows"]

_FILLER: Final = 0x2F
_CODINGS: Final = (
    "no data", "integer, 8 bits", "integer, 16 bits", "integer, 24 bits", "integer, 32 bits", "float, 32 bits", "integer, 48 bits", "integer, 64 bits",
    "selection for readout", "BCD, 2 digits", "BCD, 4 digits", "BCD, 6 digits", "BCD, 8 digits", "variable length", "BCD, 12 digits", "special",
)  # fmt: skip


def payload_rows(plain: Plain, formats: Formats, base: int) -> Iterator[Row]:
    """Rows for the payload behind the transport header; raises what reading it raises."""
    payload, driver, ci = plain.opened.payload, plain.driver, plain.transport.ci
    if driver and read_payload(driver, payload, plain.device, ci) is not None:
        layouts = [layout for layout in driver.layouts if layout.at in {PAYLOAD, BEHIND_FILLER}]
        skipped = len(payload) - len(payload.lstrip(b"\x2f")) if layouts[0].at == BEHIND_FILLER else 0
        yield from _filler(payload[:skipped], base)
        yield from _block(payload[skipped:], base + skipped, layouts, driver.name)
    elif plain.transport.fixed:
        names = ("status", "unit of counter 1", "unit of counter 2")
        yield from (Row(base + at, payload[at : at + 1], "record", name) for at, name in enumerate(names))
        yield from (Row(base + 3 + 4 * at, record.data, "record", _value(record)) for at, record in enumerate(read_fixed(payload).records))
    elif plain.transport.compact:
        yield from _compact(plain, formats, base)
    else:
        tails = [layout for layout in driver.layouts if layout.at == TAIL] if driver else []
        yield from _records(payload, walk(payload, high_first=plain.transport.high_first).records, base, tails, driver.name if driver else "")


def _compact(plain: Plain, formats: Formats, base: int) -> Iterator[Row]:
    cursor = Cursor(plain.opened.payload, base, "compact")
    cursor.take(2, lambda data: f"format signature {int.from_bytes(data, 'little'):04X}h")
    cursor.take(2, "CRC of the full frame")
    cursor.take(len(cursor.data), "data without headers; the full frame follows as it was built again, counted from 0")
    yield from cursor.rows
    found = read_compact(plain.opened.payload, plain.device, formats)
    yield from _records(b"".join(one.dif + one.vif + one.data for one in found.records), found.records, 0, [], "")


def _records(payload: bytes, records: tuple[Record, ...], base: int, tails: list[Layout], driver: str) -> Iterator[Row]:
    at = 0
    for record in records:
        filled = at
        while payload[at] == _FILLER:
            at += 1
        yield from _filler(payload[filled:at], base + filled)
        place = [
            f"storage {record.storage}" * bool(record.storage),
            f"tariff {record.tariff}" * bool(record.tariff),
            f"subunit {record.subunit}" * bool(record.subunit),
        ]
        words = [_CODINGS[record.dif[0] & 15], *(word for word in (*place, FUNCTIONS[record.function] * bool(record.function)) if word)]
        yield Row(base + at, record.dif, "record", f"DIF: {', '.join(words)}")
        at += len(record.dif)
        yield Row(base + at, record.vif, "record", f"VIF: {' '.join((record.quantity, *record.modifiers))}{f' in {record.unit}' * bool(record.unit)}")
        at += len(record.vif)
        yield Row(base + at, record.data, "record", _value(record))
        at += len(record.data)
    yield from _rest(payload[at:], base + at, tails, driver)


def _rest(data: bytes, at: int, tails: list[Layout], driver: str) -> Iterator[Row]:
    """What stands behind the last record: filler, manufacturer data, or what could not be walked."""
    rest = data.lstrip(bytes([_FILLER]))
    yield from _filler(data[: len(data) - len(rest)], at)
    at += len(data) - len(rest)
    if rest[:1] in {b"\x0f", b"\x1f"}:
        yield Row(at, rest[:1], "record", "DIF: manufacturer data to the end" + (", more telegrams follow" if rest[0] == 0x1F else ""))
        yield from _block(rest[1:], at + 1, tails, driver)
    elif rest:
        yield Row(at, rest, "record", "not readable as a record")


def _block(data: bytes, at: int, layouts: list[Layout], driver: str) -> Iterator[Row]:
    """The fields that the first fitting layout names, and what lies between them."""
    layout = next((one for one in layouts if one.fits(data)), None)
    cursor = Cursor(data, at, "manufacturer")
    for field in sorted(layout.fields if layout else (), key=lambda field: field.at):
        cursor.take(field.at - cursor.at, "not known")
        record = next(field_records((field,), data), None)
        if record is not None:
            cursor.rows.append(Row(at + field.at, record.data, "manufacturer", f"{record.quantity}: {_value(record)}"))
            cursor.at = max(cursor.at, field.at + field.size)
    by = f"read by driver {driver}" if layout and (layout.read or layout.tags) else "not known"
    cursor.take(len(data), by)
    yield from cursor.rows


def _filler(data: bytes, at: int) -> Iterator[Row]:
    if data:
        yield Row(at, data, "record", "filler")


def _value(record: Record) -> str:
    if record.error:
        return f"no value: the meter reports {record.error}"
    if isinstance(record.value, Decimal):
        return f"{record.value:f} {record.unit}".strip()
    if isinstance(record.value, date | str):
        return f"{record.value}"
    return "no value" if record.value is None else f"bytes {record.value.hex()}" if isinstance(record.value, bytes) else f"{record.value}"
