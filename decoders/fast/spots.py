"""Where the values of a payload stand and how they are read: the data of its records, and the fields of the manufacturer's blocks among them.

A spot for each record of the plain path, in its order. All bytes that say what stands where (DIF, VIF, LVAR, filler, tags, guards) are in the mask.
Rules
* A spot that columns cannot read, and that matters, is not `linear`: its payloads have no layout.
* What a block's own function reads is in no spot. Only blocks whose function is known to show and to judge nothing more (`Layout.shows`) are read here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from submeter.decoders.blocks import field_record, read_blocks, read_payload, scaled, tag_places
from submeter.decoders.codings import Coding, date_d, date_g, date_short_year, seconds_2000, unsigned
from submeter.decoders.codings import signed as signed_number
from submeter.decoders.dates import DateValue
from submeter.decoders.deviations import rules_of
from submeter.decoders.driver import FILLED, PAYLOAD, TAIL, Bits, Codes, Driver, Field, Rule, Tags
from submeter.decoders.driver import Layout as BlockLayout
from submeter.decoders.fast.columns import DATE
from submeter.decoders.instants import elements_of, step
from submeter.decoders.layers import MANUFACTURER_CI
from submeter.decoders.records import Record, Records, length_end, walk
from submeter.decoders.registers import DICTIONARY
from submeter.decoders.values import TEXT_LAST, Value, read_value
from submeter.decoders.vif import BITS, BLOCK, NUMBER
from submeter.decoders.vif import DATE as DATES
from submeter.decoders.vife import PROFILES, Information, interpret
from submeter.reading import DeviceId

__all__ = ["BCD", "SIGNED", "SINGLY", "UNSIGNED", "Payload", "Spot", "Spots", "spots_of"]

#: How columns read a number; `SINGLY` ones are read one by one, by the plain path's own function.
SIGNED, UNSIGNED, BCD, SINGLY = range(4)

_KINDS: Final = {**dict.fromkeys((1, 2, 3, 4, 6, 7), SIGNED), 5: SINGLY, **dict.fromkeys((9, 10, 11, 12, 14), BCD)}
_REAL, _VARIABLE, _FILLER = 5, 0x0D, 0x2F
_ONE_REAL: Final = bytes.fromhex("0000803f")
_MOST_BYTES: Final = 8
#: A decimal scale divides it; numbers of others are read one by one.
_TEN: Final = 10**30


def _standard_date(day: date, size: int) -> bytes:
    """Type G, F or I of a day in 2001; midnight."""
    packed = bytes([day.day | 1 << 5, day.month])
    return {2: packed, 4: b"\0\0" + packed, 6: b"\0\0\0" + packed + b"\0"}[size]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001  local time of the meter


#: Codings whose dates are known to be some.
_DATE_CODINGS: Final[frozenset[Coding]] = frozenset((date_g, date_d, date_short_year, seconds_2000))
_NUMBERS: Final[dict[Coding, int]] = {unsigned: UNSIGNED, signed_number: SIGNED}
_DATED: Final = frozenset(("date", "date_time"))
_PLAIN: Final = Information("", "", 0, NUMBER)
_PROFILES: Final = frozenset(PROFILES.values())


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the profile at spot `profile`: how its instant is reckoned from the profile's, and the spot of what it is added to (-1: to nothing)."""

    profile: int
    reckon: Callable[[date], date | None]
    before: int
    sign: int


@dataclass(frozen=True, slots=True)
class Spot:
    """The data of one record: `size` bytes at `at`.

    A number has a `kind` and a `scale`; `read` reads it where the kind is `SINGLY`. `one` are data that say 1, `void` the raw value that means none.
    A date is `dated`; it is written by `write`, and read by `read` where it is none of the standard's. That of a manufacturer's `field`, of the driver's
    layout number `block`, is not written: its coding is. `flags` are a driver's names of the bits. `strict`: where it
    is void, the plain path must say what that means. `element` is its place in a profile, whose void values are FF….
    """

    at: int
    size: int
    kind: int | None = None
    scale: Fraction = Fraction(1)
    one: bytes = b""
    read: Callable[[bytes], object] | None = None
    void: int | None = None
    write: Callable[[date, int], bytes] | None = None
    flags: Bits | Codes | None = None
    strict: bool = False
    linear: bool = True
    element: Element | None = None
    dated: bool = False
    field: Field | None = None
    block: int = -1

    def probe(self, day: date) -> bytes:
        """Data with a known value: `day`, or 1; empty where they are left as they are."""
        return self.write(day, self.size) if self.write else self.one

    def probe_field(self, day: date, *, void: bool) -> Field:
        """The field with a coding that knows such a value only, or none."""
        assert self.field
        if self.dated:
            value: DateValue | int | None = None if void else _midnight(day) if self.field.quantity == "date_time" else day
        else:
            value = 1
        return replace(self.field, coding=lambda _: value) if self.dated or self.kind is not None else self.field


#: What no column reads.
_ODD: Final = Spot(0, 0, linear=False)


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload, and whose it is."""

    data: bytes
    driver: Driver | None
    device: DeviceId
    ci: int

    def read(self) -> Records:
        """What the plain path reads in it."""
        found = read_payload(self.driver, self.data, self.device, self.ci) if self.driver else None
        found = walk(self.data) if found is None else found
        return read_blocks(self.driver, found, self.device, self.ci) if self.driver else found


@dataclass(slots=True)
class Spots:
    """The spots of a payload, the mask of the bytes that must be the same, where only filler follows, and what a walk without blocks found.

    `tail`: there is one that nothing reads; `odd`: records of a function stand behind the spots.
    """

    spots: list[Spot]
    mask: npt.NDArray[np.uint8]
    end: int
    walked: Records
    tail: bool = False
    odd: bool = False


def spots_of(payload: Payload) -> Spots | None:
    """The spots of a payload; None where nothing reads it."""
    whole = [(number, layout, _start(layout, payload.data)) for number, layout in _layouts(payload) if layout.at in {PAYLOAD, FILLED}]
    own = any(layout.fits(payload.data[start:]) for _, layout, start in whole)
    walked = Records(()) if own else walk(payload.data)
    if payload.ci in MANUFACTURER_CI and not own:
        return None
    found = Spots([], np.zeros(len(payload.data), np.uint8), len(payload.data), walked) if own else _walked(payload, walked)
    for number, _, start in whole:
        if _block(payload, found, number, start, len(payload.data)):
            return found
    places = list(zip(walked.records, found.spots, strict=True))
    for number, layout in _layouts(payload):
        if layout.at == TAIL and found.tail:
            found.tail = not _block(payload, found, number, len(payload.data) - len(walked.tail), len(payload.data))
        for record, spot in places:
            if record.vif.hex() == layout.at:
                _block(payload, found, number, spot.at + spot.size - len(record.data), spot.at + spot.size)
    for number, record in enumerate(walked.records):
        if record.modifiers and not _PROFILES.isdisjoint(record.modifiers):
            _profile(found, number, walked.records)
    return found


def _layouts(payload: Payload) -> list[tuple[int, BlockLayout]]:
    return list(enumerate(payload.driver.layouts)) if payload.driver else []


def _start(layout: BlockLayout, data: bytes) -> int:
    return len(data) - len(data.lstrip(bytes([_FILLER]))) if layout.at == FILLED else 0


def _walked(payload: Payload, walked: Records) -> Spots:
    """The data of the records; the mask leaves out them and the tail."""
    data, at, end = payload.data, 0, 0
    found = Spots([], np.full(len(data), 0xFF, np.uint8), 0, walked, tail=bool(walked.tail))
    for record, rule in zip(walked.records, rules_of(payload.driver, walked.records), strict=True):
        while data[at] == _FILLER:
            at += 1
        end = at + len(record.dif) + len(record.vif) + len(record.data)
        size = len(record.data) - (record.dif[0] & 0x0F == _VARIABLE)
        found.spots.append(_record_spot(record, rule, end - size, size))
        found.mask[end - size : end] = 0
        at = end
    if walked.broken:
        while data[at] == _FILLER:
            at += 1
        end = length_end(data, at)
        found.mask[end:] = 0
    found.mask[len(data) - len(walked.tail) :] = 0
    found.end = len(data) if walked.tail or walked.broken else max(end, len(data.rstrip(bytes([_FILLER]))))
    return found


def _profile(found: Spots, number: int, records: tuple[Record, ...]) -> None:
    """Add the elements of the profile at spot `number`, if it is one; the two bytes at its head, which say so, are compared."""
    profile, place = records[number], found.spots[number].at
    found.mask[place : place + min(2, found.spots[number].size)] = 0xFF
    known = elements_of(profile, records)
    if known is None or not isinstance(profile.value, bytes):
        return
    if known.summed and known.base is None:
        return
    about, first = known.about, len(found.spots)
    unsigned_number = "unsigned" in about.modifiers and _KINDS[known.coding] == SIGNED
    linear = about.kind == NUMBER and about.offset is None and not about.error and (not unsigned_number or known.size < _MOST_BYTES)
    base = records.index(known.base) if known.base and known.summed else -1
    for k in range(known.number):
        reckon = partial(step, head=profile.value[:2], count=known.direction * (k + 1))
        element = Element(number, reckon, first + k - 1 if k and known.summed else base, known.sign)
        kind = UNSIGNED if unsigned_number else _KINDS[known.coding]
        at = place + 2 + k * known.size
        found.spots.append(Spot(at, known.size, kind, Fraction(10) ** about.exponent, _one(known.size), linear=linear, element=element))


def _record_spot(record: Record, rule: Rule | None, at: int, size: int) -> Spot:
    about, coding = interpret(record.vif), record.dif[0] & 0x0F
    ruled = rule is not None and bool(len(rule.void) == 2 * len(record.data) or rule.flags or rule.scale is not None)
    linear = about.offset is None
    if coding == _VARIABLE or not _PROFILES.isdisjoint(about.modifiers):
        return _variable_spot(record.data[0] if coding == _VARIABLE else 0, about, at, size, linear=linear and not ruled)
    scale, flags, void = (rule.scale, rule.flags, bytes.fromhex(rule.void)) if rule else (None, None, b"")
    if about.kind == DATES and not about.error and _KINDS.get(coding) == SIGNED and size in DATE:
        return Spot(at, size, write=_standard_date, dated=True, linear=linear and not ruled)
    if coding not in _KINDS:
        return Spot(at, size, linear=linear and not flags)
    if _KINDS[coding] == SINGLY:
        read = partial(read_value, coding, None, about=about) if scale is None else partial(_real, scale)
        return Spot(at, size, SINGLY, one=_ONE_REAL, read=read, linear=linear and not flags and not void)
    unsigned_number = flags is not None if scale is not None else about.kind == BITS or "unsigned" in about.modifiers
    kind = UNSIGNED if unsigned_number and _KINDS[coding] == SIGNED else _KINDS[coding]
    if kind == UNSIGNED and size == _MOST_BYTES and not rule:
        return Spot(at, size, SINGLY, one=_one(size), read=partial(read_value, coding, None, about=about), linear=linear)
    factor = scale or Fraction(10) ** (about.exponent if about.kind == NUMBER else 0)
    none = int.from_bytes(void, "little") if len(void) == size else None
    return Spot(at, size, kind, factor, _one(size), void=none, flags=flags, linear=linear and (kind != UNSIGNED or size < _MOST_BYTES))


def _variable_spot(lvar: int, about: Information, at: int, size: int, *, linear: bool) -> Spot:
    """Text and blocks are no numbers; those that a length code announces are read one by one."""
    if not _PROFILES.isdisjoint(about.modifiers):  # of such a block at most the bits would matter
        return Spot(at, size, linear=linear and about.quantity != "status_flags")
    if about.kind == BLOCK or (about.kind != DATES and lvar <= TEXT_LAST):
        return Spot(at, size, linear=linear)
    number = about.kind in {NUMBER, BITS} and 0 < size <= _MOST_BYTES
    read = partial(read_value, _VARIABLE, lvar, about=about)
    return Spot(at, size, SINGLY, one=_one(size) if number else b"", read=read, linear=linear and number)


def _real(scale: Fraction, data: bytes) -> Value:
    """A float that a driver's rule scales."""
    number = read_value(_REAL, None, data, _PLAIN)
    return scaled(number, scale) if isinstance(number, Decimal) else None


def _one(size: int) -> bytes:
    return (1).to_bytes(size, "little")


def _block(payload: Payload, found: Spots, number: int, start: int, end: int) -> bool:
    """Add the spots of a block of layout `number`, if it is one; the bytes that say so, or not, are compared from now on."""
    block, layout = payload.data[start:end], _layouts(payload)[number][1]
    fits = layout.fits(block)
    for at, bits, value in layout.guard:
        if at < len(block) and (fits or block[at] & bits != value):
            found.mask[start + at] |= bits
    if layout.at == FILLED:
        found.mask[: start + 1] = 0xFF
    if fits:
        for at, bits in layout.shape:
            found.mask[start + at] |= bits
        twice = any(spot.block == number for spot in found.spots)
        gated = bool(payload.driver and payload.driver.gate)
        fields = (field for field in layout.all_fields(block) if field.at + field.size <= len(block))
        for field in fields:
            strict = layout.read is not None and (layout.vital is None or field.at in layout.vital)
            found.spots.append(replace(_field_spot(field, start + field.at, block, gated=gated), strict=strict, block=number))
        found.spots += _tagged(layout.tags, block, start, found.mask) if layout.tags else ()
        found.spots += [_ODD] if twice or found.odd or (layout.read and not layout.shows) else []
        found.odd = found.odd or layout.read is not None
    return fits


def _tagged(tags: Tags, block: bytes, start: int, mask: npt.NDArray[np.uint8]) -> Iterator[Spot]:
    """The fields behind each tag; the tags, and the byte that ends the walk, are compared."""
    places, end, _ = tag_places(tags, block)
    mask[[start + at - 1 for at, _ in places]] = 0xFF
    mask[start + end : start + end + 1] = 0xFF
    for at, size in places:
        data = block[at : at + size]
        spots = (
            _field_spot(field, start + at + field.at, data, gated=True)
            for field in tags.fields.get(block[at - 1], ())
            if field.at + field.size <= size
        )
        yield from (replace(spot, field=None, linear=spot.linear and not spot.dated and spot.size <= _MOST_BYTES) for spot in spots)


def _field_spot(field: Field, at: int, block: bytes, *, gated: bool) -> Spot:
    """The spot of one field; `gated`: a gate judges all dates, also those that are only shown."""
    spot = Spot(at, field.size, field=field)
    kind = _NUMBERS.get(field.coding) if _TEN % field.scale.denominator == 0 else None
    if field.coding in _DATE_CODINGS or field.quantity in _DATED:
        known = field.coding is not date_g or field.size in DATE
        read = None if field.coding is date_g else field.coding
        return replace(spot, dated=True, read=read, linear=known and not field.flags)
    if kind is not None and field.size < _MOST_BYTES and len(field.void) < 2:
        linear = not field.flags or kind == UNSIGNED
        void = next(iter(field.void), None)
        return replace(spot, kind=kind, scale=field.scale, one=_one(field.size), void=void, flags=field.flags, linear=linear)
    if field.quantity not in DICTIONARY:
        judged = gated and isinstance(field.coding(block[field.at : field.at + field.size]), date)
        return replace(spot, linear=not (field.flags or judged))
    return replace(spot, kind=SINGLY, scale=field.scale, one=_one(field.size), read=partial(_value, field), linear=not field.flags)


def _value(field: Field, data: bytes) -> Value | Record:
    """The value; as a record where its coding says that it is due."""
    record = field_record(field, data)
    return record if record.due and not field.due else record.value
