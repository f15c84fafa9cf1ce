"""Whole batches of telegrams to columns of readings: frames → payloads → layouts → numbers, each step over all telegrams at once.

A telegram that any step is not sure of is not `done`: the caller decodes it on the plain path. What is done is what the plain path would say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from submeter.decoders.driver import Bits, Codes
from submeter.decoders.errors import DecodeError
from submeter.decoders.fast.columns import Bools, Ints, Words, bcd, dates, integers, local_time, low_bytes, microseconds, rounded, spread
from submeter.decoders.fast.envelope import Frames
from submeter.decoders.fast.keys import ALLOWS_PLAIN, ALLOWS_SEALED, HAS_KEY, PINNED_PLAIN, WHOLE, Ways, open_blocks
from submeter.decoders.fast.layout import BCD, DATE_FIELD, FIELD, SIGNED, SINGLY, Layout, Place, Reader, Reckoner
from submeter.decoders.fast.library import Library, Shape
from submeter.decoders.layers import device_of
from submeter.decoders.records import Record
from submeter.decoders.registers import LARGEST, Target, micro_of
from submeter.decoders.security import AES_CBC, AES_CBC_DERIVED, FILLED
from submeter.reading import DeviceId

__all__ = ["Columns", "device_at", "read_batch"]

_FILLED: Final = np.uint64(int.from_bytes(FILLED, "little"))
_TWO_BYTES: Final = np.uint64(0xFFFF)
_MOST_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Columns:
    """One row a reading: `telegram`, `place` in `places`, `value` in micro units, `stamp` in local microseconds (`stamped`; `day`: only the date).

    One row a telegram: `done`, security `mode`, `said` (the words of its set bits in `sayings`), `clock` in local microseconds (`clocked`), `layout` in
    `layouts` (-1: none).
    """

    telegram: Ints
    place: Ints
    value: Ints
    stamp: Ints
    stamped: Bools
    day: Bools
    places: list[Place]
    done: Bools
    mode: Ints
    said: Ints
    sayings: list[tuple[str, ...]]
    clock: Ints
    clocked: Bools
    layout: Ints
    layouts: list[tuple[Shape, Layout]]


@dataclass(frozen=True, slots=True)
class _Fields:
    """Columns of the fields: rows of the layouts' tables."""

    table: npt.NDArray[np.void]
    row: Ints

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.table[name][self.row]


@dataclass(frozen=True, slots=True)
class _Dates:
    """Every date of the telegrams that have a layout; `first` is the place of each telegram's own."""

    first: Ints
    value: Ints
    void: Bools
    day: Bools
    bad: Ints


def device_at(frames: Frames, number: int) -> DeviceId | None:
    """The device that a frame speaks of; None for an address that is void."""
    try:
        return device_of(frames.address[number].tobytes())
    except DecodeError:
        return None


def read_batch(library: Library, frames: Frames, ways: Ways, decrypted: Bools, received: Sequence[datetime | None] | None = None) -> Columns:
    """The readings of all frames for which `ways` has a way in; `received`: when they were heard."""
    bits = ways.bits
    sealed, size, readable = _opened(frames, ways, bits, decrypted)
    layout, layouts = _layouts(library, frames, readable)
    ends = np.array([one.end for _, one in layouts] or [0])
    cut = sealed & (bits & WHOLE != 0) & (size < ends[layout])
    layout[cut] = -1
    return _columns(frames, layout, layouts, received, np.where(frames.opened < 0, np.where(sealed, AES_CBC, 0), frames.opened))


def _opened(frames: Frames, ways: Ways, bits: Ints, decrypted: Bools) -> tuple[Bools, Ints, Bools]:
    """Open what may be opened, in place: which payloads were sealed, how many bytes of them, and which are readable now."""
    mode, size = frames.config >> 8 & 0x1F, (frames.config >> 4 & 0x0F) * 16
    pinned = frames.wired & (bits & PINNED_PLAIN != 0)
    unsealed_wire = frames.wired & ((mode != AES_CBC) & (mode != AES_CBC_DERIVED) | pinned)
    sealed = (mode == AES_CBC) & (size > 0) & ~pinned
    plain = unsealed_wire | (mode == 0) | ((mode == AES_CBC) & (size == 0))
    fits = (
        frames.fast & (frames.opened < 0) & np.where(sealed, (bits & ALLOWS_SEALED != 0) & (size <= frames.size), plain & (bits & ALLOWS_PLAIN != 0))
    )
    already = decrypted & (frames.words[frames.payload] & _TWO_BYTES == _FILLED)
    fits &= ~sealed | already | (bits & HAS_KEY != 0)
    chosen = np.flatnonzero(fits & sealed & ~already)
    open_blocks(frames, chosen, size[chosen], ways.decrypt(chosen))
    filled = frames.words[frames.payload] & _TWO_BYTES == _FILLED
    return sealed & fits, size, fits & (~sealed | filled) | (frames.opened >= 0)


def _layouts(library: Library, frames: Frames, readable: Bools) -> tuple[Ints, list[tuple[Shape, Layout]]]:
    """The layout of each telegram as a place in the list, -1 for none."""
    layout, layouts = np.full(len(readable), -1), list[tuple[Shape, Layout]]()
    numbers = np.flatnonzero(readable)
    kind = (frames.address & _TWO_BYTES | frames.address >> np.uint64(48) << np.uint64(16)).astype(np.int64)
    keys = kind | frames.ci.astype(np.int64) << 32 | frames.size << 40
    order = numbers[np.argsort(keys[numbers], kind="stable")]
    for group in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        device = device_at(frames, group[0]) if len(group) else None
        if device is None:
            continue
        shape = library.shape(int(keys[group[0]]), device, int(frames.ci[group[0]]))
        payloads = frames.buffer[frames.payload[group][:, None] + np.arange(frames.size[group[0]])]
        for one, hit in library.match(shape, payloads):
            layout[group[hit]] = len(layouts)
            layouts.append((shape, one))
    return layout, layouts


def _columns(frames: Frames, layout: Ints, layouts: list[tuple[Shape, Layout]], received: Sequence[datetime | None] | None, mode: Ints) -> Columns:
    done = layout >= 0
    known = np.flatnonzero(done)
    chosen = layout[known]
    payload = frames.payload[known]
    compiled = [one for _, one in layouts]
    dated = _dates(frames, compiled, chosen, payload)
    table, first, count = _joined([one.fields for one in compiled], FIELD)
    owner, number = spread(count[chosen])
    row = first[chosen][owner] + number
    field = _Fields(table, row)
    places, place = _shifted([one.places for one in compiled], field["place"], chosen[owner])
    flags, flag = _shifted([one.flags for one in compiled], field["flag"], chosen[owner])
    value, void, bad, column = _numbers(frames, field, payload[owner], place, places)
    if table["depth"].any():
        _add_up(field, number, value, void, bad)
    under = np.flatnonzero(field["under"] >= 0) if (table["under"] >= 0).any() else number[:0]
    above = under - number[under] + field["under"][under]
    bad[under] |= ~void[under] & ((value[under] < 0) | ~void[above] & (value[under] > value[above]))
    date = field["date"].astype(np.int64)
    stamp_at = np.where(date < 0, 0, dated.first[owner] + date)
    stamped = date >= 0
    is_reading = (place >= 0) & ~void & ~(stamped & dated.void[stamp_at])
    spoilt = np.zeros(len(known), np.bool_)
    spoilt[owner[bad]] = True
    spoilt[dated.bad] = True
    clock = np.array([one.clock for one in compiled] or [0])[chosen]
    clock_at = np.where(clock < 0, 0, dated.first + clock)
    spoilt |= _too_far(compiled, chosen, known, dated.value[clock_at], received) if received else False
    unread = np.array([one.unread for one in compiled] or [False])
    spoilt |= unread[chosen] & (np.bincount(owner[is_reading], minlength=len(known)) == 0)
    done[known[spoilt]] = False
    kept = np.flatnonzero(is_reading & ~spoilt[owner])
    all_clocks, clocked = np.zeros(len(layout), np.int64), np.zeros(len(layout), np.bool_)
    all_clocks[known] = dated.value[clock_at]
    clocked[known] = (clock >= 0) & ~dated.void[clock_at]
    set_bits = np.flatnonzero((flag >= 0) & ~void & (column != 0))
    said, sayings = _said(len(layout), known[owner[set_bits]].tolist(), [flags[one] for one in flag[set_bits].tolist()], column[set_bits].tolist())
    at = stamp_at[kept]
    return Columns(
        known[owner[kept]], place[kept], value[kept], dated.value[at], stamped[kept], dated.day[at], places,
        done, mode, said, sayings, all_clocks, clocked, np.where(done, layout, -1), layouts,
    )  # fmt: skip


def _too_far(layouts: Sequence[Layout], chosen: Ints, known: Ints, clock: Ints, received: Sequence[datetime | None]) -> Bools:
    """Which telegrams were heard further from their own time than a gate believes."""
    days = np.array([-1 if one.clock_days is None else one.clock_days for one in layouts], np.int64)[chosen]
    far = np.zeros(len(chosen), np.bool_)
    for one in np.flatnonzero(days >= 0).tolist():
        heard = received[known[one]]
        far[one] = heard is not None and abs(local_time(int(clock[one])) - heard) > timedelta(days=int(days[one]))
    return far


def _shifted(parts: Sequence[Sequence[Any]], index: npt.NDArray[Any], owner: Ints) -> tuple[list[Any], Ints]:
    """All parts behind one another, and `index`, which counts within the part of each owner, as a place among them; -1 stays."""
    first = np.cumsum([0, *map(len, parts)])
    return [one for part in parts for one in part], np.where(index < 0, -1, index + first[owner])


def _said(count: int, telegrams: list[int], flags: Sequence[Bits | Codes], values: list[int]) -> tuple[Ints, list[tuple[str, ...]]]:
    """The words of the set bits of each telegram, as a place in a list of different ones; 0 is none."""
    words: dict[int, tuple[str, ...]] = {}
    for telegram, names, value in zip(telegrams, flags, values, strict=True):
        words[telegram] = (*words.get(telegram, ()), *names.words(value))
    said, index = np.zeros(count, np.int64), dict[tuple[str, ...], int]({(): 0})
    for telegram, some in words.items():
        said[telegram] = index.setdefault(some, len(index))
    return said, list(index)


def _joined(tables: Sequence[npt.NDArray[np.void] | None], kind: np.dtype[np.void]) -> tuple[npt.NDArray[np.void], Ints, Ints]:
    """All tables behind one another, where each begins, and how long it is."""
    count = np.array([0 if one is None else len(one) for one in tables], np.int64)
    joined = np.frombuffer(b"".join(one.tobytes() for one in tables if one is not None), kind)
    return joined, np.cumsum(count) - count, count


def _dates(frames: Frames, layouts: Sequence[Layout], chosen: Ints, payload: Ints) -> _Dates:
    table, first, count = _joined([one.dates for one in layouts], DATE_FIELD)
    owner, number = spread(count[chosen])
    row = first[chosen][owner] + number
    size, must, of = table["size"][row], table["must"][row], table["of"][row]
    begin, data = payload[owner] + table["at"][row], frames.buffer.data
    column = low_bytes(frames.words[begin], size)
    value, void = dates(column, size)
    day = size == 2
    readers, reader = _shifted([one.readers for one in layouts], table["reader"][row], chosen[owner])
    odd = np.flatnonzero(reader >= 0)
    if len(odd):
        rows = (reader[odd], begin[odd], begin[odd] + size[odd])
        read = [_read_date(readers[one], bytes(data[start:end])) for one, start, end in zip(*(part.tolist() for part in rows), strict=True)]
        value[odd], void[odd], day[odd] = map(np.array, zip(*read, strict=True))
    begins = np.cumsum(count[chosen]) - count[chosen]
    reckoned = np.flatnonzero(of >= 0)
    base = begins[owner[reckoned]] + of[reckoned]
    reckoners, how = _shifted([one.reckoners for one in layouts], table["how"][row[reckoned]], chosen[owner[reckoned]])
    void[reckoned] = void[base]
    found = [
        (0, True, False) if none else _reckoned(reckoners[one], start, only_day)
        for one, start, only_day, none in zip(how.tolist(), value[base].tolist(), day[base].tolist(), void[base].tolist(), strict=True)
    ]
    value[reckoned], void[reckoned], day[reckoned] = zip(*found, strict=True) if found else ((), (), ())
    bad = (void & must) | ~void & ((value < table["first"][row]) | (value > table["last"][row]))
    none = np.zeros(1, np.int64)  # so that place 0 exists where no telegram has a date
    return _Dates(begins, np.concatenate([value, none]), np.concatenate([void, none > 0]), np.concatenate([day, none > 0]), owner[bad])


@lru_cache(maxsize=65536)
def _read_date(reader: Reader, data: bytes) -> tuple[int, bool, bool]:
    """A date of a manufacturer's coding: local microseconds, whether it is void, whether it is only a day."""
    read = reader(data)
    return (microseconds(read), False, not isinstance(read, datetime)) if isinstance(read, date) else (0, True, False)


@lru_cache(maxsize=65536)
def _reckoned(reckon: Reckoner, base: int, only_day: bool) -> tuple[int, bool, bool]:  # noqa: FBT001  columns
    """An instant that is reckoned from another: local microseconds, whether it is void, whether it is only a day."""
    time = local_time(base)
    stamp = reckon(time.date() if only_day else time)
    return (0, True, False) if stamp is None else (microseconds(stamp), False, not isinstance(stamp, datetime))


def _numbers(frames: Frames, field: _Fields, payload: Ints, place: Ints, places: list[Place]) -> tuple[Ints, Bools, Bools, Words]:
    """Micro units of each field, which are void, which send their telegram to the plain path, and the raw bytes."""
    size, kind = field["size"], field["kind"]
    begin = payload + field["at"]
    column = low_bytes(frames.words[begin], size)
    raw, void = integers(column, size, kind == SIGNED)
    is_bcd = np.flatnonzero(kind == BCD)
    raw[is_bcd], void[is_bcd] = bcd(column[is_bcd], size[is_bcd])
    void |= field["odd"] & (column == field["void"])
    void |= field["ones"] & (size <= _MOST_BYTES) & (column == low_bytes(~np.uint64(0) + np.zeros_like(column), size))
    single = kind == SINGLY
    bad = ~void & ~single & (np.abs(raw) > field["largest"])
    value = rounded(np.where(bad | void | single, 0, raw), field["above"], field["below"])
    numbers = np.flatnonzero(single & ~void)
    if len(numbers):
        data, rows = frames.buffer.data, (place[numbers], begin[numbers], begin[numbers] + size[numbers], field["ones"][numbers])
        found = [
            _single(places[one].single, bytes(data[start:end]), ones) for one, start, end, ones in zip(*(row.tolist() for row in rows), strict=True)
        ]
        value[numbers], void[numbers], due, bad[numbers] = map(np.array, zip(*found, strict=True))
        place[numbers] += due
    bad |= (field["must"] & void) | (~void & (np.abs(value) > field["most"]))
    return value, void, bad, column


def _add_up(field: _Fields, number: Ints, value: Ints, void: Bools, bad: Bools) -> None:
    """Add the elements of profiles up, in place, as far as none is void; a sum beyond any dial goes to the plain path."""
    depths = field["depth"]
    for depth in range(1, int(depths.max(initial=0)) + 1):
        here = np.flatnonzero(depths == depth)
        before = here - number[here] + field["before"][here]
        value[here] = value[before] + field["sign"][here] * value[here]
        void[here] |= void[before]
        bad[here] |= ~void[here] & (np.abs(value[here]) > LARGEST)


@lru_cache(maxsize=65536)
def _single(reader: tuple[Reader, Target] | None, data: bytes, ones_void: bool) -> tuple[int, bool, bool, bool]:  # noqa: FBT001  columns
    """A number that is read one by one in micro units, as the plain path reads it: whether it is void, said to be due by its coding, beyond any dial."""
    assert reader
    read, target = reader
    value = None if ones_void and not data.strip(b"\xff") else read(data)
    due, value = (value.due, value.value) if isinstance(value, Record) else (False, value)
    micro = micro_of(value, target) if isinstance(value, Decimal) else None
    return micro or 0, micro is None, due, micro is None and isinstance(value, Decimal)
