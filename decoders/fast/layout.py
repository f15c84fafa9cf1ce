"""Compiled layouts: what the plain path does with every payload of one shape, as two small tables.

Strategy: a layout is asked from the plain path, not derived beside it. The data of a payload's spots are replaced by probes (each date another day,
each number 1), and the plain path says which record becomes which reading, dated by which date. All bytes that are not data (DIF, VIF, LVAR, filler,
tags, text units) are compared exactly before a layout is used.
Rules
* What is not provably linear in its bytes has no layout (`fields` is None): profiles, offsets, what a block's own function reads.
* Bytes that change more than a value (one void of two candidates, a number beyond a dial, what a gate does not believe) send that telegram to the
  plain path.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from submeter.decoders.blocks import day_of
from submeter.decoders.deviations import history_base, history_stamp, understood
from submeter.decoders.driver import Bits, Codes, Driver, Field, Gate, History
from submeter.decoders.fast.spots import BCD, SIGNED, SINGLY, UNSIGNED, Payload, Spot, spots_of
from submeter.decoders.records import Record, Records
from submeter.decoders.registers import LARGEST, Target, all_ones_void, meter_time, readings_of, target_of
from submeter.reading import Reading, Register

__all__ = ["BCD", "DATE_FIELD", "FIELD", "SIGNED", "SINGLY", "UNSIGNED", "Layout", "Place", "Reader", "Reckoner", "compilable", "compile_layout"]

#: One number: where it stands, how it is read, raw * above / below = micro units; `largest` raw value and `most` micro units that the plain path is not
#: asked about; `under`: the field that it may not exceed. `ones`: FF… is no value; `must`: a void one goes to the plain path; `flag` in `Layout.flags`
#: (-1: none); `odd`: the raw value `void` is none; `date` is the place of its instant in the dates, `place` in `Layout.places` (-1: no reading), behind it that of a `Due` one.
#: An element of a profile is added, times `sign`, to the field `before`; it is the `depth`-th behind the one that is added to nothing (0: it is that one).
FIELD: Final = np.dtype([
    ("at", "u2"), ("size", "u1"), ("kind", "u1"), ("above", "i8"), ("below", "i8"), ("largest", "i8"), ("most", "i8"), ("under", "i2"),
    ("ones", "?"), ("must", "?"), ("flag", "i2"), ("odd", "?"), ("void", "u8"), ("date", "i2"), ("place", "i4"),
    ("before", "i2"), ("sign", "i1"), ("depth", "u1"),
])  # fmt: skip
#: One date: where it stands, its `reader` in `Layout.readers` (-1: the standard's); `must`: a void one goes to the plain path, as one outside `first` and
#: `last` (local microseconds). Or one reckoned from the date at place `of` (-1: none) as `Layout.reckoners` says at `how`.
DATE_FIELD: Final = np.dtype([
    ("at", "u2"), ("size", "u1"), ("must", "?"), ("reader", "i2"), ("first", "i8"), ("last", "i8"), ("of", "i2"), ("how", "i2"),
])  # fmt: skip

_MUST: Final = (DATE_FIELD.names or ()).index("must")
#: The days of probes, one a spot: all of this year.
_FIRST: Final = date(2001, 1, 1)
_EPOCH: Final = date(1970, 1, 1)
_DAY_US: Final = 86_400_000_000
_SAFE: Final = 2**62
_ANY: Final = int(np.iinfo(np.int64).max)
#: Places behind the point to which every scale is exact on the plain path.
_DIGITS: Final = 30
_UNNAMED: Final = ("unnamed",)
#: What drivers without a gate believe: any date that a meter can send.
_ANYTHING: Final = Gate(years=(1, 9998))
#: Attributes of a record that rules may ask for, and those that they may not set.
_FREE: Final = frozenset(("value", "data", "stamp", "flags"))
_STRUCTURAL: Final = frozenset(("dif", "vif", "quantity", "unit", "modifiers", "storage", "tariff", "subunit", "function", "error"))
#: How a number that is read one by one is read, and where it goes; how a date is; how one is reckoned from another.
Reader = Callable[[bytes], object]
Reckoner = Callable[[date], date | None]


@dataclass(frozen=True, slots=True)
class Place:
    """What a number becomes: its register, and how the reading is labelled. `single`: how one that is read one by one becomes micro units."""

    register: Register
    label: str
    due: bool
    source: int
    single: tuple[Reader, Target] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Payloads with `payload & mask == pattern`. `clock` is the place of the meter's time in `dates`; `end` that of the filler at the end.

    `unread`: a telegram without readings is one that no driver knows. `clock_days`: how far the clock may be from the reception.

    `broken`: the notes of payloads that are cut or damaged, and give no readings.

    `fields` None: these go to the plain path. `found` are the walked records of the first one, whose headers teach a compact format.
    """

    mask: npt.NDArray[np.uint8]
    pattern: npt.NDArray[np.uint8]
    end: int
    found: Records
    broken: tuple[str, ...] = ()
    fields: npt.NDArray[Any] | None = None
    dates: npt.NDArray[Any] | None = None
    places: tuple[Place, ...] = ()
    flags: tuple[Bits | Codes, ...] = ()
    readers: tuple[Reader, ...] = ()
    reckoners: tuple[Reckoner, ...] = ()
    clock: int = -1
    clock_days: int | None = None
    unread: bool = False


def compilable(driver: Driver | None) -> bool:
    """Whether payloads of this driver may have layouts."""
    if driver is None:
        return True
    if len(driver.histories) > 1 or (driver.gate and driver.histories):
        return False
    return all(_STRUCTURAL.issuperset(rule.where) and _FREE.isdisjoint(rule.to) for rule in driver.rules)


def compile_layout(payload: Payload) -> Layout | None:
    """The layout of payloads like this one; None where nothing reads it, so that there is no shape to compare."""
    found = spots_of(payload)
    if found is None:
        return None
    driver, spots = payload.driver, found.spots
    read = payload.read()
    broken = (read.broken, *read.notes) if read.broken else ()
    layout = Layout(found.mask, np.frombuffer(payload.data, np.uint8) & found.mask, found.end, found.walked, broken)
    if not all(spot.linear for spot in spots) or (broken and driver and driver.gate):
        return layout
    probe = _probe(payload, spots)
    probed = understood(driver, probe.read().records)
    bases = {spot.field.since for spot in spots if spot.field and spot.field.reckon}
    doubtful = {
        number
        for number in _dates_that_count(probed[: len(spots)], bases)
        if _replaced(understood(driver, _probe(payload, spots, without=number).read().records), probed[number], bases)
    }
    return _Tables(probe, spots, probed, doubtful).layout(layout, unread=found.tail)


def _probe(payload: Payload, spots: list[Spot], *, without: int = -1) -> Payload:
    """The payload with a known value at each spot; that of the date `without` is void."""
    probe, fields = bytearray(payload.data), dict[int, list[Field]]()
    for number, spot in enumerate(spots):
        day = _FIRST + timedelta(days=number)
        if spot.field:
            fields.setdefault(spot.block, []).append(spot.probe_field(day, void=number == without))
            continue
        data = bytes(spot.size) if number == without else spot.probe(day)
        probe[spot.at : spot.at + len(data)] = data
    driver = payload.driver
    if driver and fields:
        known = (replace(one, fields=tuple(fields[at]), shaped=None) if at in fields else one for at, one in enumerate(driver.layouts))
        driver = replace(driver, layouts=tuple(known))
    return replace(payload, data=bytes(probe), driver=driver)


def _dates_that_count(probed: tuple[Record, ...], bases: set[int]) -> set[int]:
    """The records whose dates are the instant of others, or lead to them, or are the meter's time."""
    instants = {record.stamp for record in probed} | {meter_time(probed)} | {day_of(probed, storage) for storage in bases}
    return {number for number, record in enumerate(probed) if isinstance(record.value, date) and record.value in instants}


def _replaced(records: tuple[Record, ...], record: Record, bases: set[int]) -> bool:
    """Whether among `records` another date takes the place of this record's, which is void there."""
    if record.storage in bases and day_of(records, record.storage) is not None:
        return True
    return meter_time(records) is not None if not record.storage else any(one.stamp for one in records if one.storage == record.storage)


class _Tables:
    """The tables of a layout, from the records of the probed payload; those behind the spots are shown only."""

    def __init__(self, probe: Payload, spots: list[Spot], probed: tuple[Record, ...], doubtful: set[int]) -> None:
        driver = probe.driver
        self.data = probe.data
        self.spots, self.probed, self.doubtful = spots, probed, doubtful
        self.kind = driver.medium if driver and driver.medium is not None else probe.device.type
        self.gate = (driver and driver.gate) or _ANYTHING
        self.history: History | None = driver.histories[0] if driver and driver.histories else None
        self.dated = [number for number, spot in enumerate(spots) if spot.dated]
        self.index = {_FIRST + timedelta(days=number): place for place, number in enumerate(self.dated)}
        self.own = {probed[number].storage for number in self.dated}
        self.readers: list[Reader] = []
        self.dates = [self._date(number) for number in self.dated]
        self.reckoned: dict[tuple[int, Any], int] = {}
        self.reckoners: list[Reckoner] = []
        self.rows: dict[int, int] = {}
        self.places: list[Place] = []
        self.flags: list[Bits | Codes] = []

    def layout(self, layout: Layout, *, unread: bool) -> Layout:
        """`layout` with its tables; as it is where a record is none that columns can read."""
        if any(spot.element for spot in self.spots) and len(self.spots) != len(self.probed):
            return layout
        values = [record._replace(data=b"") for record in self.probed[: len(self.spots)]]  # a field's bytes may say FF…, its probe does not
        readings = [None if layout.broken else next(iter(readings_of((record,), self.kind, ())), None) for record in values]
        keys = [(reading.register, record.storage) if reading else None for reading, record in zip(readings, self.probed, strict=False)]
        several = Counter(keys)
        rows: list[dict[str, Any]] = []
        for number, (spot, record, reading) in enumerate(zip(self.spots, self.probed, readings, strict=False)):
            first = reading if keys[number] not in keys[:number] else None
            names = spot.flags or (Bits({}) if record.flags == _UNNAMED else None)
            if (record.flags and (not names or (spot.void is not None and not spot.flags))) or (
                reading is None and not layout.broken and self._hidden(spot, record)
            ):
                return layout
            if first is None and names is None:
                continue
            row = self._row(spot, record, first, rows)
            if row is None:
                return layout
            self.rows[number] = len(rows)
            must = spot.strict or (first is not None and several[keys[number]] > 1)
            rows.append(
                {**row, "must": must, "flag": self._flag(names), "key": (record.quantity, record.storage), "value": reading and reading.value}
            )
        if not (self._judged(rows) and self._needed(rows)):
            return layout
        clock = meter_time(self.probed)
        return replace(
            layout,
            fields=np.array([tuple(row[name] for name in FIELD.names or ()) for row in rows], FIELD),
            dates=np.array(self.dates, DATE_FIELD),
            places=tuple(self.places),
            flags=tuple(self.flags),
            readers=tuple(self.readers),
            reckoners=tuple(self.reckoners),
            clock=-1 if clock is None else self.index[clock.date()],
            clock_days=self.gate.clock_days,
            unread=not layout.broken and (unread or any(record.quantity in {"manufacturer", "unknown"} for record in self.probed)),
        )

    def _date(self, number: int) -> tuple[Any, ...]:
        spot = self.spots[number]
        if spot.read:
            self.readers.append(spot.read)
        reader = len(self.readers) - 1 if spot.read else -1
        years = self.gate.years
        first, last = _midnight(years[0]), _midnight(years[1] + (not spot.strict)) - 1
        return spot.at, spot.size, spot.strict or number in self.doubtful, reader, first, last, -1, -1

    def _hidden(self, spot: Spot, record: Record) -> bool:
        """Whether the probe alone gave no reading: too large for the register, or none of the values of an odd coding."""
        candidate = target_of(record, self.kind) is not None and not (record.storage and record.stamp is None)
        return candidate and (isinstance(record.value, Decimal) or (spot.kind == SINGLY and record.value is None))

    def _flag(self, names: Bits | Codes | None) -> int:
        if names is None:
            return -1
        self.flags.append(names)
        return len(self.flags) - 1

    def _row(self, spot: Spot, record: Record, reading: Reading | None, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Columns of a field behind `rows`; None where the columns cannot read it."""
        if spot.kind is None or (spot.kind == SINGLY and reading is None):
            return None
        row = {"at": spot.at, "size": spot.size, "kind": spot.kind, "odd": spot.void is not None, "void": spot.void or 0, "under": -1}
        row |= {"before": -1, "sign": 1, "depth": 0}
        if reading is None:
            return {**row, "above": 1, "below": 1, "largest": _SAFE, "most": _ANY, "ones": False, "date": -1, "place": -1}
        target = target_of(record, self.kind)
        when = self._instant(spot, record, reading)
        assert target is not None
        ratio = spot.scale * Fraction(target.above, target.below)
        sent = 1 if spot.field else int.from_bytes(self.data[spot.at : spot.at + spot.size], "little")  # 1, unless fields overlap
        wanted = round(sent * ratio)
        if spot.element and spot.element.before >= 0:
            before = self.rows.get(spot.element.before)
            if before is None or ratio.denominator > 1 or rows[before]["below"] > 1 or rows[before]["kind"] == SINGLY:
                return None
            wanted = rows[before]["value"] + spot.element.sign * wanted
            row |= {"before": before, "sign": spot.element.sign, "depth": rows[before]["depth"] + 1}
            rows[before]["must"] |= not rows[before]["depth"] and rows[before]["kind"] != BCD  # FF… is no reading, but a number to add to
        if when is None or (spot.kind != SINGLY and not (_exact(spot.scale, ratio) and reading.value == wanted)):
            return None
        row["exact"] = ratio.denominator == 1
        single = (spot.read, target) if spot.read else None
        place = Place(reading.register, reading.label, reading.due, int(reading.source), single)
        self.places += [place, replace(place, label="set_day", due=True) if record.storage else place]
        bound = self.gate.largest.get(record.quantity)
        numbers = (
            {"above": 1, "below": 1, "largest": _SAFE}
            if single
            else {"above": ratio.numerator, "below": ratio.denominator, "largest": _largest(spot.scale, ratio)}
        )
        most = _ANY if bound is None else bound * target.above // target.below - 1
        return {
            **row,
            **numbers,
            "most": most,
            "ones": spot.element is not None or all_ones_void(record.quantity),
            "date": when,
            "place": len(self.places) - 2,
        }

    def _instant(self, spot: Spot, record: Record, reading: Reading) -> int | None:
        """The place of a reading's instant in the dates, -1 for none; None where no date of these leads to it."""
        if reading.stamp is None:
            return -1
        history, element, field = self.history, spot.element, spot.field
        if field and field.reckon:
            day = day_of(self.probed, field.since)
            return self._reckoned(day, field.reckon, field.reckon) if day and field.reckon(day) == reading.stamp else None
        if element:
            stamp = self.probed[element.profile].stamp
            known = stamp is not None and element.reckon(stamp) == reading.stamp
            return self._reckoned(stamp, element.reckon, element.reckon) if known and stamp else None
        if history is None or record.storage not in history.storages or record.storage in self.own:
            return self.index.get(reading.stamp.date() if isinstance(reading.stamp, datetime) else reading.stamp)
        base, back = history_base(history, self.probed), history.storages.index(record.storage)
        assert base is not None  # nothing else dates this storage
        return self._reckoned(base, (back, history.base is None), partial(history_stamp, back=back, end=history.base is None))

    def _reckoned(self, base: date, key: object, reckon: Reckoner) -> int:
        """The place of a date that is reckoned from `base`, one of the dates."""
        of = self.index[base.date() if isinstance(base, datetime) else base]
        if (of, key) not in self.reckoned:
            self.reckoned[of, key] = len(self.dates)
            self.dates.append((0, 2, False, -1, -_ANY, _ANY, of, len(self.reckoners)))
            self.reckoners.append(reckon)
        return self.reckoned[of, key]

    def _judged(self, rows: list[dict[str, Any]]) -> bool:
        """Set which fields may not exceed which, as the gate says; False where that cannot be told, or where it judges what has no field."""
        for name in {*self.gate.rising, *self.gate.largest}:
            of = {row["key"][1]: number for number, row in enumerate(rows) if row["key"][0] == name}
            if sum(record.quantity == name for record in self.probed) != len(of):
                return False
            for number in of.values():
                rows[number]["must"] = True  # FF… is no reading, but a number to judge
            if name in self.gate.rising:
                alike = {(row["kind"], row["above"], row["below"]) for row in map(rows.__getitem__, of.values())}
                exact = all(row["exact"] for row in map(rows.__getitem__, of.values()))
                if 0 not in of or len(alike) > 1 or not exact or {kind for kind, _, _ in alike} - {UNSIGNED, SINGLY}:
                    return False
                for number in of.values():
                    rows[number]["under"] = of[0]
        return True

    def _needed(self, rows: list[dict[str, Any]]) -> bool:
        """Make what the gate needs go to the plain path where it is void; False where columns cannot tell."""
        for name in self.gate.needs:
            wanted = {number for number, record in enumerate(self.probed) if record.quantity == name}
            if not wanted or not wanted <= {*self.dated, *self.rows}:
                return False
            for number in wanted:
                if number in self.rows:
                    rows[self.rows[number]]["must"] = True
                else:
                    place = self.dated.index(number)
                    self.dates[place] = (*self.dates[place][:_MUST], True, *self.dates[place][_MUST + 1 :])
        return True


def _midnight(year: int) -> int:
    return (date(year, 1, 1) - _EPOCH).days * _DAY_US


def _largest(scale: Fraction, ratio: Fraction) -> int:
    return min(int(LARGEST / scale), int(LARGEST / ratio), _SAFE // ratio.numerator)


def _exact(scale: Fraction, ratio: Fraction) -> bool:
    """Whether the plain path scales without rounding, and columns without overflow."""
    return scale > 0 and 10**_DIGITS % scale.denominator == 0 and ratio.numerator < _SAFE and 2 * ratio.denominator < _SAFE
