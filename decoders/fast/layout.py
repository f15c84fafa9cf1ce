"""Compiled layouts: what the plain path does with every payload of one shape, as two small tables.

Strategy: a layout is asked from the plain path, not derived beside it. The records of a payload are walked, their data replaced by probes (each
date another day, each number 1), and `understood` and `readings_of` say which record becomes which reading, dated by which date. All bytes that
are not data (DIF, VIF, LVAR, filler, text units) are compared exactly before a layout is used.
Rules
* What is not provably linear in its bytes has no layout (`fields` is None): profiles, variable numbers, offsets, manufacturer blocks, histories, gates.
* Bytes that change more than a value (one void of two candidates, a number beyond a dial, a named flag) send that telegram to the plain path.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from submeter.decoders.deviations import rules_of, understood
from submeter.decoders.driver import FILLED, PAYLOAD, TAIL, Driver, Rule
from submeter.decoders.fast.columns import DATE
from submeter.decoders.records import Record, Records, walk
from submeter.decoders.registers import LARGEST, Target, all_ones_void, meter_time, readings_of, target_of
from submeter.decoders.vif import BITS, BLOCK, NUMBER
from submeter.decoders.vif import DATE as DATES
from submeter.decoders.vife import PROFILES, Information, interpret
from submeter.reading import Reading, Register

__all__ = ["BCD", "DATE_FIELD", "FIELD", "REAL", "SIGNED", "UNSIGNED", "Layout", "Place", "compilable", "compile_layout"]

SIGNED, UNSIGNED, BCD, REAL = range(4)

#: One number: where it stands, how it is read, raw * above / below = micro units; `largest` raw value that the plain path is not asked about.
#: `ones`: FF… is no value; `must`: a void one goes to the plain path; `flag`: set bits are a flag without a name, `quiet`: they go to the plain path,
#: which knows their names; `odd`: the raw value `void` is none; `place` in `Layout.places` (-1: no reading).
FIELD: Final = np.dtype([
    ("at", "u2"), ("size", "u1"), ("kind", "u1"), ("above", "i8"), ("below", "i8"), ("largest", "i8"),
    ("ones", "?"), ("must", "?"), ("flag", "?"), ("quiet", "?"), ("odd", "?"), ("void", "u8"),
    ("date", "i2"), ("place", "i4"),
])  # fmt: skip
DATE_FIELD: Final = np.dtype([("at", "u2"), ("size", "u1"), ("must", "?")])

_SIZES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 6, 7: 8, 9: 1, 10: 2, 11: 3, 12: 4, 14: 6}
_KINDS: Final = {**dict.fromkeys((1, 2, 3, 4, 6, 7), SIGNED), 5: REAL, **dict.fromkeys((9, 10, 11, 12, 14), BCD)}
_REAL_CODING, _VARIABLE, _TEXT_LAST, _FILLER = 5, 0x0D, 0xBF, 0x2F
_ONE_REAL: Final = bytes.fromhex("0000803f")
_FIRST: Final = date(2001, 1, 1)
_SAFE: Final = 2**62
#: Places behind the point to which every scale is exact on the plain path.
_DIGITS: Final = 30
_UNNAMED: Final = ("unnamed",)
#: Attributes of a record that rules may ask for, and those that they may not set.
_FREE: Final = frozenset(("value", "data", "stamp", "flags"))
_STRUCTURAL: Final = frozenset(("dif", "vif", "quantity", "unit", "modifiers", "storage", "tariff", "subunit", "function", "error"))


@dataclass(frozen=True, slots=True)
class Place:
    """What a number becomes: its register, and how the reading is labelled. `real` is how a float is read."""

    register: Register
    label: str
    due: bool
    source: int
    real: tuple[Information, Target] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Payloads with `payload & mask == pattern`. `clock` is the place of the meter's time in `dates`; `end` that of the filler at the end.

    `unread`: a telegram without readings is one that no driver knows.

    `fields` None: these go to the plain path. `found` are the walked records of the first one, whose headers teach a compact format.
    """

    mask: npt.NDArray[np.uint8]
    pattern: npt.NDArray[np.uint8]
    end: int
    found: Records
    fields: npt.NDArray[Any] | None = None
    dates: npt.NDArray[Any] | None = None
    places: tuple[Place, ...] = ()
    clock: int = -1
    unread: bool = False


@dataclass(frozen=True, slots=True)
class _Spot:
    """A record and the bytes of its data in the payload."""

    record: Record
    about: Information
    at: int
    size: int
    rule: Rule | None

    @property
    def scaled(self) -> Fraction | None:
        """The scale by which a driver reads the data again."""
        return self.rule.scale if self.rule else None

    @property
    def named(self) -> bool:
        """A driver names its bits."""
        return self.rule is not None and self.rule.flags is not None

    @property
    def void(self) -> bytes:
        """Data that mean no value."""
        return bytes.fromhex(self.rule.void) if self.rule else b""

    @property
    def kind(self) -> str:
        """How the data are read."""
        return self.about.kind if self.scaled is None else BITS if self.named else NUMBER

    @property
    def coding(self) -> int:
        return self.record.dif[0] & 0x0F

    @property
    def dated(self) -> bool:
        """A date whose type its length tells."""
        return self.about.kind == DATES and not self.about.error and self.coding in _KINDS and _KINDS[self.coding] == SIGNED and self.size in DATE


def compilable(driver: Driver | None, mode: int) -> bool:
    """Whether payloads of this driver may have layouts, those that security mode `mode` protects (-1: opened already) among them."""
    if driver is None:
        return True
    if driver.histories or driver.gate or (driver.cipher and mode in driver.modes):
        return False
    return all(_STRUCTURAL.issuperset(rule.where) and _FREE.isdisjoint(rule.to) for rule in driver.rules)


def compile_layout(payload: bytes, driver: Driver | None, device_type: int) -> Layout | None:
    """The layout of payloads like this one; None where the walk broke, so that there is no shape to compare."""
    found = walk(payload)
    if found.broken:
        return None
    spots, mask, end = _spots(payload, found, driver)
    own = driver is not None and _has_block(driver, payload, found, mask)
    kind = driver.medium if driver and driver.medium is not None else device_type
    layout = Layout(mask, np.frombuffer(payload, np.uint8) & mask, end, found)
    if own or not all(map(_linear, spots)):
        return layout
    probed = understood(driver, walk(_probe(payload, spots)).records)
    doubtful = {number for number in _dates_that_count(probed) if _replaceable(_probe(payload, spots, without=number), probed[number], driver)}
    return _tables(layout, spots, probed, kind, doubtful)


def _spots(payload: bytes, found: Records, driver: Driver | None) -> tuple[list[_Spot], npt.NDArray[np.uint8], int]:
    """The records with their places, the mask that leaves out data only, and the place where only filler follows."""
    mask, spots, at, end = np.full(len(payload), 0xFF, np.uint8), [], 0, 0
    for record, rule in zip(found.records, rules_of(driver, found.records), strict=True):
        while payload[at] == _FILLER:
            at += 1
        end = at + len(record.dif) + len(record.vif) + len(record.data)
        size = len(record.data) - (record.dif[0] & 0x0F == _VARIABLE)
        spots.append(_Spot(record, interpret(record.vif), end - size, size, rule))
        mask[end - size : end] = 0
        at = end
    if found.tail:
        mask[len(payload) - len(found.tail) :] = 0
    return spots, mask, len(payload) if found.tail or found.more else end


def _has_block(driver: Driver, payload: bytes, found: Records, mask: npt.NDArray[np.uint8]) -> bool:
    """Whether a manufacturer block is read in payloads like this one; a byte that says that one is not is compared from now on."""
    ends = {PAYLOAD: len(payload), FILLED: len(payload.lstrip(bytes([_FILLER]))), TAIL: len(found.tail)}
    for layout in driver.layouts:
        if layout.at not in ends and any(record.vif.hex() == layout.at for record in found.records):
            return True
        start = len(payload) - ends.get(layout.at, 0)
        block = payload[start:]
        if not block or len(block) < layout.size:
            continue
        if layout.fits(block):
            return True
        mask[start + next(at for at, bits, value in layout.guard if at >= len(block) or block[at] & bits != value)] = 0xFF
    return False


def _linear(spot: _Spot) -> bool:
    """Whether the record's value is one that columns can read, or none that becomes a reading."""
    if spot.about.offset is not None or set(spot.about.modifiers) & set(PROFILES.values()):
        return False
    if spot.coding == _VARIABLE:
        ruled = spot.named or spot.void or spot.scaled is not None
        return not ruled and (spot.about.kind == BLOCK or (spot.about.kind != DATES and spot.record.data[0] <= _TEXT_LAST))
    return not (spot.void and (spot.dated or spot.coding == _REAL_CODING))


def _probe(payload: bytes, spots: list[_Spot], *, without: int = -1) -> bytes:
    """The payload with a known value in each record; that of the date `without` is void."""
    probe = bytearray(payload)
    for number, spot in enumerate(spots):
        if number == without:
            probe[spot.at : spot.at + spot.size] = bytes(spot.size)
        elif spot.dated:
            probe[spot.at : spot.at + spot.size] = _date(_FIRST + timedelta(days=number), spot.size)
        elif spot.coding == _REAL_CODING:
            probe[spot.at : spot.at + spot.size] = _ONE_REAL
        elif spot.coding in _KINDS:
            probe[spot.at : spot.at + spot.size] = (1).to_bytes(spot.size, "little")
    return bytes(probe)


def _date(day: date, size: int) -> bytes:
    """Type G, F or I; midnight."""
    year = day.year % 100
    packed = bytes([day.day | (year & 7) << 5, day.month | year >> 3 << 4])
    return {2: packed, 4: b"\0\0" + packed, 6: b"\0\0\0" + packed + b"\0"}[size]


def _dates_that_count(probed: tuple[Record, ...]) -> set[int]:
    """The records whose dates are the instant of others, or the meter's time."""
    instants = {record.stamp for record in probed} | {meter_time(probed)}
    return {number for number, record in enumerate(probed) if isinstance(record.value, date) and record.value in instants}


def _replaceable(probe: bytes, record: Record, driver: Driver | None) -> bool:
    """Whether another date takes the place of this record's where it is void."""
    records = understood(driver, walk(probe).records)
    return meter_time(records) is not None if not record.storage else any(one.stamp for one in records if one.storage == record.storage)


def _tables(layout: Layout, spots: list[_Spot], probed: tuple[Record, ...], kind: int, doubtful: set[int]) -> Layout:
    dated = [number for number, spot in enumerate(spots) if spot.dated]
    index = {_FIRST + timedelta(days=number): place for place, number in enumerate(dated)}
    readings = [next(iter(readings_of((record,), kind, ())), None) for record in probed]
    keys = [(reading.register, record.storage) if reading else None for reading, record in zip(readings, probed, strict=True)]
    several = Counter(keys)
    rows: list[tuple[Any, ...]] = []
    places: list[Place | None] = []
    for number, (spot, record) in enumerate(zip(spots, probed, strict=True)):
        first = keys[number] not in keys[:number]
        reading = readings[number] if first else None
        flag = record.flags == _UNNAMED and not spot.named
        if (record.flags and not (flag or spot.named)) or (flag and spot.void) or (readings[number] is None and _beyond(record, kind)):
            return layout
        if reading is None and not (flag or spot.named):
            continue
        row = _row(spot, record, reading, kind, index)
        if row is None:
            return layout
        odd = len(spot.void) == spot.size > 0
        must = reading is not None and several[keys[number]] > 1
        void = int.from_bytes(spot.void, "little") if odd else 0
        rows.append((*row[0], must, flag, spot.named, odd, void, row[1], len(places) if reading else -1))
        places.append(row[2])
    clock = meter_time(probed)
    return replace(
        layout,
        fields=_numbered(rows),
        dates=np.array([(spots[number].at, spots[number].size, number in doubtful) for number in dated], DATE_FIELD),
        places=tuple(place for place in places if place),
        clock=-1 if clock is None else index[clock.date()],
        unread=bool(layout.found.tail) or any(record.quantity in {"manufacturer", "unknown"} for record in probed),
    )


def _beyond(record: Record, kind: int) -> bool:
    """Whether the probe alone was too large for the register: nought would be a reading."""
    return isinstance(record.value, Decimal) and target_of(record, kind) is not None and not (record.storage and record.stamp is None)


def _numbered(rows: list[tuple[Any, ...]]) -> npt.NDArray[Any]:
    """The table of fields; `place` counts the readings among them."""
    table = np.array(rows, FIELD)
    is_reading = table["place"] >= 0
    table["place"] = np.where(is_reading, np.cumsum(is_reading) - 1, -1)
    return table


def _row(
    spot: _Spot, record: Record, reading: Reading | None, kind: int, index: dict[date, int]
) -> tuple[tuple[int, int, int, int, int, int, bool], int, Place | None] | None:
    """Columns of a field up to `ones`, its date, its place; None where the columns cannot read it."""
    unsigned = spot.kind == BITS or (spot.scaled is None and "unsigned" in spot.about.modifiers)
    coding = _KINDS.get(spot.coding)
    if coding is None or (unsigned and spot.size > 7) or (coding == REAL and (reading is None or spot.scaled is not None)):
        return None
    coding = UNSIGNED if unsigned and coding == SIGNED else coding
    if reading is None:
        return (spot.at, spot.size, coding, 1, 1, _SAFE, False), -1, None
    target = target_of(record, kind)
    assert target is not None
    stamp = reading.stamp.date() if isinstance(reading.stamp, datetime) else reading.stamp
    scale = spot.scaled or Fraction(10) ** (spot.about.exponent if spot.about.kind == NUMBER else 0)
    ratio = scale * Fraction(target.above, target.below)
    if (stamp is not None and stamp not in index) or not _exact(scale, ratio) or reading.value != round(ratio):
        return None
    real = (spot.about, target) if coding == REAL else None
    place = Place(reading.register, reading.label, reading.due, int(reading.source), real)
    largest = min(int(LARGEST / scale), int(LARGEST / ratio), _SAFE // ratio.numerator)
    row = (spot.at, spot.size, coding, ratio.numerator, ratio.denominator, largest, all_ones_void(record.quantity))
    return row, -1 if stamp is None else index[stamp], place


def _exact(scale: Fraction, ratio: Fraction) -> bool:
    """Whether the plain path scales without rounding, and columns without overflow."""
    return scale > 0 and 10**_DIGITS % scale.denominator == 0 and ratio.numerator < _SAFE and 2 * ratio.denominator < _SAFE
