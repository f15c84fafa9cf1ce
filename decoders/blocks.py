"""Manufacturer blocks to records: reads the tables of a driver's layouts (`Field`, `Tags`) and calls its functions."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final

from submeter.decoders.driver import FILLED, PAYLOAD, TAIL, Block, Driver, Due, Field, Found, Layout, Tags
from submeter.decoders.records import Record, Records
from submeter.decoders.registers import DICTIONARY
from submeter.reading import DeviceId

__all__ = ["day_of", "field_record", "field_records", "read_blocks", "read_payload", "scaled", "tag_places", "unit_of"]

_DATED: Final = frozenset(("date", "date_time"))
_FILLER: Final = b"\x2f"
_PRECISE: Final = Context(prec=60)
#: The scale of fields that have none of their own.
_ONE: Final = Field.__dataclass_fields__["scale"].default


def read_payload(driver: Driver, payload: bytes, device: DeviceId, ci: int) -> Records | None:
    """The records of a payload that is the manufacturer's own as a whole; None where no layout of the driver is for it."""
    for layout in driver.layouts:
        data = {PAYLOAD: payload, FILLED: payload.lstrip(_FILLER)}.get(layout.at)
        if data is not None and layout.fits(data):
            found = _read(layout, Block(data, device, ci))
            return Records(found.records, notes=found.notes)
    return None


def read_blocks(driver: Driver, found: Records, device: DeviceId, ci: int) -> Records:
    """Standard records with those of the manufacturer's blocks among them: in records of its own VIF, and in the tail."""
    for layout in driver.layouts:
        if layout.at == TAIL:
            blocks = [found.tail] if found.tail else []
        else:
            blocks = [record.data for record in found.records if record.vif.hex() == layout.at]
        for data in filter(layout.fits, blocks):
            read = _read(layout, Block(data, device, ci, found.records))
            tail = b"" if layout.at == TAIL else found.tail
            found = replace(found, records=found.records + read.records, tail=tail, notes=found.notes + read.notes)
    return found


def _read(layout: Layout, block: Block) -> Found:
    tagged = _walk(layout.tags, block.data) if layout.tags else Found()
    odd = layout.read(block) if layout.read else Found()
    fields = [field for field in layout.all_fields(block.data) if field.at + field.size <= len(block.data)]
    records = tuple(field_records(fields, block.data))
    if any(field.reckon for field in fields):
        records = tuple(_reckoned(field, record, (*block.records, *records)) for field, record in zip(fields, records, strict=True))
    shown = (record for field, record in zip(fields, records, strict=True) if not field.quiet or record.value is not None)
    return Found((*shown, *tagged.records, *odd.records), tagged.notes + odd.notes)


def _reckoned(field: Field, record: Record, records: tuple[Record, ...]) -> Record:
    day = day_of(records, field.since) if field.reckon else None
    return record._replace(stamp=field.reckon(day)) if field.reckon and day else record


def day_of(records: tuple[Record, ...], storage: int) -> date | None:
    """The first date of a storage number."""
    for record in records:
        if record.quantity in _DATED and record.storage == storage and not (record.function or record.modifiers) and isinstance(record.value, date):
            return record.value
    return None


def field_records(fields: Iterable[Field], data: bytes) -> Iterator[Record]:
    """The records of those fields that lie within `data`."""
    return (field_record(field, data[field.at : field.at + field.size]) for field in fields if field.at + field.size <= len(data))


def _walk(tags: Tags, data: bytes) -> Found:
    places, _, notes = tag_places(tags, data)
    return Found(tuple(record for at, size in places for record in field_records(tags.fields.get(data[at - 1], ()), data[at : at + size])), notes)


def tag_places(tags: Tags, data: bytes) -> tuple[list[tuple[int, int]], int, tuple[str, ...]]:
    """Where the bytes behind each tag stand and how many they are, where the walk ended, and why it had to stop there."""
    places: list[tuple[int, int]] = []
    at = tags.start
    while at < len(data) - tags.check and data[at] != tags.filler:
        tag, size = data[at], tags.lengths.get(data[at])
        if size is None or at + 1 + size > len(data) - tags.check:
            what = f"register {tag:02X}h is not known" if size is None else f"register {tag:02X}h runs over the end"
            return places, at, (f"byte {at}: {what}; what follows is not read",)
        places.append((at + 1, size))
        at += 1 + size
    return places, at, ()


def field_record(field: Field, data: bytes) -> Record:
    """The record of one field."""
    raw = field.coding(data)
    known = None if isinstance(raw, int) and raw in field.void else raw
    value = scaled(known, field.scale) if isinstance(known, int) else known
    flags = field.flags.words(known if isinstance(known, int) else 1) if field.flags and known is not None else ()
    due = isinstance(known, Due)
    return Record(
        b"", b"", data, field.function, field.storage, field.tariff, field.subunit, field.quantity, field.unit or unit_of(field.quantity),
        field.modifiers, value, label="set_day" if due else field.label, due=due or field.due, flags=flags,
    )  # fmt: skip


def unit_of(quantity: str) -> str:
    """The dictionary's unit of a quantity, empty for words that name no register."""
    return DICTIONARY[quantity].unit if quantity in DICTIONARY else ""


def scaled(raw: int | Decimal, scale: Fraction) -> Decimal:
    """`raw` times `scale`, exact or to sixty digits."""
    if scale is _ONE:
        return Decimal(raw)
    return _PRECISE.divide(_PRECISE.multiply(Decimal(raw), Decimal(scale.numerator)), Decimal(scale.denominator))
