"""`decode_batch`: Arrow in, Arrow out.

In: `raw` (binary), and where they differ from the defaults `link` (wmbus), `form` (auto), `decrypted` (false): see `decoders.frame`.
Out: `READINGS`, one row a reading in the order of the telegrams, and `TELEGRAMS`, one row a telegram. Values are integers of 1e-6 of the unit;
stamps are the meter's local time (`is_date`: only a date, SPEC 2.3), null for the instant of reception. `reason` is null for what was decoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from submeter.decoders.compact import Formats
from submeter.decoders.errors import BadFrame
from submeter.decoders.fast.batch import Batch, Decoder
from submeter.decoders.fast.columns import Ints, microseconds
from submeter.decoders.fast.envelope import Heard
from submeter.decoders.fast.layout import Place
from submeter.decoders.telegram import ProfileOf
from submeter.reading import STATUS, Reading

__all__ = ["READINGS", "TELEGRAMS", "Decoded", "decode_batch", "tables"]

_TEXT: Final = pa.dictionary(pa.int32(), pa.string())

#: `telegram` is the row of the input; `status` a bit mask of `submeter.reading.STATUS`, `src` a `Source`.
READINGS: Final = pa.schema({
    "telegram": pa.int64(), "device": _TEXT, "name": _TEXT, "unit": _TEXT, "tariff": pa.int32(), "subunit": pa.int32(), "idx": pa.int32(),
    "value": pa.int64(), "stamp": pa.timestamp("us"), "is_date": pa.bool_(), "label": _TEXT, "due": pa.bool_(), "src": pa.uint8(), "status": pa.uint16(),
})  # fmt: skip

TELEGRAMS: Final = pa.schema({
    "device": _TEXT, "reason": pa.string(), "detail": pa.string(), "access_number": pa.int16(), "mode": pa.int16(), "counter": pa.int64(),
    "meter_time": pa.timestamp("us"), "flags": pa.list_(pa.string()),
})  # fmt: skip

_SHARED: Final = Decoder()


@dataclass(frozen=True, slots=True)
class Decoded:
    """The two tables of a batch."""

    readings: pa.Table
    telegrams: pa.Table


def decode_batch(table: pa.Table, profile_of: ProfileOf, formats: Formats | None = None) -> Decoded:
    """Decode a table of telegrams as `decode` would one by one; never raises for bytes.

    `profile_of` is asked once for each device, and once more for each telegram that has no compiled layout. `formats`: see `decode`.
    """
    raw = table["raw"].to_pylist()
    heard = Heard(raw, *(_column(table, *default) for default in (("link", "wmbus"), ("form", "auto"), ("decrypted", False))))
    return tables(_SHARED, _SHARED.of_devices(heard, profile_of, formats))


def _column(table: pa.Table, name: str, default: object) -> list[Any]:
    return table[name].fill_null(default).to_pylist() if name in table.column_names else [default] * len(table)


def tables(decoder: Decoder, batch: Batch) -> Decoded:
    """The tables of a batch that `decoder` has read."""
    which, words = batch.words()
    devices = _devices(decoder, batch)
    rows = _Rows(batch)
    masks = np.array([sum(1 << STATUS.index(word) for word in some if word in STATUS) for some in words], np.int64)
    status = masks[which]
    for number, outcome in batch.others.items():
        status[number] = sum(1 << STATUS.index(word) for word in outcome.telegram.status if word in STATUS) if outcome.telegram else 0
    return Decoded(rows.table(devices, status), _telegrams(batch, devices, which, words))


class _Rows:
    """Readings of both paths as columns, in the order of the telegrams."""

    def __init__(self, batch: Batch) -> None:
        columns = batch.columns
        self.places = list(columns.places)
        known: dict[Place, int] = {}
        found = ((number, reading) for number, one in batch.others.items() if one.telegram for reading in one.telegram.readings)
        others = [(number, self._place(known, reading), reading.value, *_stamp(reading)) for number, reading in found]
        own = (columns.telegram, columns.place, columns.value, columns.stamp, columns.stamped, columns.day)
        if others:
            own = tuple(np.concatenate([one, np.array(two, one.dtype)]) for one, two in zip(own, zip(*others, strict=True), strict=True))  # type: ignore[assignment]
            order = np.argsort(own[0], kind="stable")
            own = tuple(one[order] for one in own)  # type: ignore[assignment]
        self.telegram, self.place, self.value, self.stamp, self.stamped, self.day = own

    def _place(self, known: dict[Place, int], reading: Reading) -> int:
        place = Place(reading.register, reading.label, reading.due, int(reading.source))
        if place not in known:
            known[place] = len(self.places)
            self.places.append(place)
        return known[place]

    def table(self, devices: tuple[Ints, list[str]], status: Ints) -> pa.Table:
        """The table of readings."""
        places, place = self.places, self.place
        registers = [one.register for one in places]
        numbers = ([one.tariff for one in registers], [one.subunit for one in registers], [one.index for one in registers])
        columns = [
            pa.array(self.telegram),
            _texts(devices[0][self.telegram], devices[1]),
            *(_coded(texts, place) for texts in ([one.name for one in registers], [one.unit for one in registers])),
            *(np.array(column, np.int32)[place] if places else np.zeros(0, np.int32) for column in numbers),
            self.value,
            pa.array(self.stamp.view("M8[us]"), mask=~self.stamped),
            self.day & self.stamped,
            _coded([one.label for one in places], place),
            np.array([one.due for one in places], np.bool_)[place],
            np.array([one.source for one in places], np.uint8)[place],
            status[self.telegram].astype(np.uint16),
        ]
        return pa.table(columns, schema=READINGS)


def _stamp(reading: Reading) -> tuple[int, bool, bool]:
    """Local microseconds, whether there are any, whether they are a date only."""
    return (0, False, False) if reading.stamp is None else (microseconds(reading.stamp), True, not isinstance(reading.stamp, datetime))


def _coded(texts: Sequence[str], rows: Ints) -> pa.Array:
    """A column of few different words, `texts` by place."""
    index = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    codes = np.array([index[text] for text in texts], np.int64)
    return _texts(codes[rows], list(index))


def _texts(codes: Ints, words: Sequence[str]) -> pa.Array:
    """Words by code; -1 is null."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), pa.array(words, pa.string()))


def _devices(decoder: Decoder, batch: Batch) -> tuple[Ints, list[str]]:
    """The device of each telegram, as far as it is known, as a place in a list."""
    done = np.flatnonzero(batch.columns.done)
    addresses, which = np.unique(batch.frames.address[done], return_inverse=True)
    names = decoder.names(addresses.tolist())
    index: dict[str, int] = {}
    places = np.array([index.setdefault(name, len(index)) for name in names], np.int64)  # two addresses may have one name
    codes = np.full(len(batch.columns.done), -1)
    codes[done] = places[which]
    for number, outcome in batch.others.items():
        device = outcome.device
        if device:
            codes[number] = index.setdefault(str(device), len(index))
    return codes, list(index)


def _telegrams(batch: Batch, devices: tuple[Ints, list[str]], which: Ints, words: list[tuple[str, ...]]) -> pa.Table:
    frames, columns = batch.frames, batch.columns
    access, mode, clock, clocked = frames.access.copy(), columns.mode.copy(), columns.clock.copy(), columns.clocked.copy()
    counter, flags, texts = frames.counter.copy(), which.copy(), list(words)
    for number, telegram in ((number, outcome.telegram) for number, outcome in batch.others.items()):
        access[number] = -1 if telegram is None or telegram.access_number is None else telegram.access_number
        mode[number] = -1 if telegram is None else telegram.mode
        counter[number] = -1 if telegram is None or telegram.counter is None else telegram.counter
        clocked[number] = telegram is not None and telegram.meter_time is not None
        clock[number] = microseconds(telegram.meter_time) if telegram and telegram.meter_time else 0
        flags[number] = len(texts)
        texts.append(telegram.status if telegram else ())
    refused = _refused(batch)
    return pa.table([
        _texts(*devices), *refused, pa.array(access.astype(np.int16), mask=access < 0), pa.array(mode.astype(np.int16), mask=mode < 0),
        pa.array(counter, mask=counter < 0), pa.array(clock.view("M8[us]"), mask=~clocked), _lists(texts, flags),
    ], schema=TELEGRAMS)  # fmt: skip


def _lists(texts: list[tuple[str, ...]], rows: Ints) -> pa.Array:
    return pa.array([list(some) for some in texts], pa.list_(pa.string())).take(pa.array(rows))


def _refused(batch: Batch) -> tuple[pa.Array, pa.Array]:
    """Reason and detail of each telegram, null for what was decoded."""
    reason: list[str | None] = [None] * len(batch.columns.done)
    detail = list(reason)
    for number, notes in batch.broken().items():
        reason[number], detail[number] = BadFrame.reason, "; ".join(notes)
    for number, outcome in batch.others.items():
        reason[number], detail[number] = outcome.reason, outcome.detail
    return pa.array(reason, pa.string()), pa.array(detail, pa.string())
