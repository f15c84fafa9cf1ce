"""The records of a payload: DIF DIFE… VIF VIFE… data, one after the other (EN 13757-3; protocol notes 6.1, 6.2).

Rules
* A record whose bytes run over the end, a reserved DIF, a chain longer than ten: the walk stops there, keeps what came before and says so.
* What no table explains is skipped by its length and kept raw.
* No data, void and reported errors are records without a value.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from submeter.decoders.errors import BadFrame
from submeter.decoders.values import Value, data_length, read_value
from submeter.decoders.vife import interpret

__all__ = ["FUNCTIONS", "Record", "Records", "header_ends", "length_end", "walk"]

#: Function field of the DIF: name by number.
FUNCTIONS: Final = ("inst", "max", "min", "err")

_FILLER, _MANUFACTURER, _MORE = 0x2F, 0x0F, 0x1F
_VARIABLE: Final = 0x0D
_LONGEST_CHAIN: Final = 10


class Record(NamedTuple):
    """One data record. `value` is a Decimal in `unit`, a date, text, raw bytes, or None where the meter sent no value (`error` says why).

    `dif`, `vif` and `data` are its bytes as sent; `function` indexes `FUNCTIONS`; `modifiers` are the words of its VIFEs.
    `stamp` is the instant of a stored value where the telegram dates it (a date, or the meter's local time), `label` its kind; `due` marks the
    last value before a restart. `flags` are the words of the bits it holds.
    """

    dif: bytes
    vif: bytes
    data: bytes
    function: int
    storage: int
    tariff: int
    subunit: int
    quantity: str
    unit: str
    modifiers: tuple[str, ...]
    value: Value
    error: str | None = None
    stamp: date | None = None
    label: str = "now"
    due: bool = False
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Records:
    """What a payload holds.

    `broken` says where the walk had to stop; `more` that further telegrams follow; `tail` is manufacturer data that nothing read; `notes` say
    what a driver could not read.
    """

    records: tuple[Record, ...]
    tail: bytes = b""
    more: bool = False
    broken: str | None = None
    notes: tuple[str, ...] = ()


def walk(payload: bytes, *, high_first: bool = False) -> Records:
    """All records of a plain payload; never raises."""
    records: list[Record] = []
    at = 0
    while at < len(payload):
        dif = payload[at]
        if dif == _FILLER:
            at += 1
            continue
        if dif in {_MANUFACTURER, _MORE}:
            return Records(tuple(records), payload[at + 1 :], more=dif == _MORE)
        try:
            record, at = _record(payload, at, high_first=high_first)
        except BadFrame as error:
            return Records(tuple(records), broken=f"record {len(records) + 1} at byte {at}: {error}")
        records.append(record)
    return Records(tuple(records))


def header_ends(headers: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each DIF/VIF header where headers stand one after the other without data; raises BadFrame."""
    at = 0
    while at < len(headers):
        end = _vif_end(headers, _dif_end(headers, at))
        yield at, end
        at = end


def length_end(payload: bytes, at: int) -> int:
    """Behind the bytes that say how long the record at `at` is: its header, and the length byte of variable data."""
    if payload[at] & 0x0F == 0x0F:
        return at + 1
    try:
        return _vif_end(payload, _dif_end(payload, at)) + 1
    except BadFrame:
        return len(payload)


def _record(payload: bytes, at: int, *, high_first: bool) -> tuple[Record, int]:
    if payload[at] & 0x0F == 0x0F:
        raise BadFrame(f"DIF {payload[at]:02X}h is reserved")
    vif_at = _dif_end(payload, at)
    lvar_at = _vif_end(payload, vif_at)
    dif, vif = payload[at:vif_at], payload[vif_at:lvar_at]
    coding = dif[0] & 0x0F
    data_at = lvar_at + (coding == _VARIABLE)
    lvar = payload[lvar_at] if coding == _VARIABLE and lvar_at < len(payload) else None
    end = data_at + data_length(coding, lvar)
    if end > len(payload):
        raise BadFrame(f"its data run {end - len(payload)} bytes over the end")
    data, about = payload[data_at:end], interpret(vif)
    value = read_value(coding, lvar, data[::-1] if high_first else data, about)
    return Record(dif, vif, payload[lvar_at:end], *_place(dif), about.quantity, about.unit, about.modifiers, value, about.error), end


def _dif_end(payload: bytes, at: int) -> int:
    return _chain_end(payload, at, at + 1, payload[at])


def _vif_end(payload: bytes, at: int) -> int:
    """End of a VIF chain; a text VIF has its length and characters directly behind the VIF byte."""
    if at >= len(payload):
        raise BadFrame("cut before its VIF")
    end = at + 1
    if payload[at] & 0x7F == 0x7C:
        end += 1 + payload[end] if end < len(payload) else len(payload)
    return _chain_end(payload, at, end, payload[at])


def _chain_end(payload: bytes, start: int, end: int, last: int) -> int:
    """Follow the extension bits from `end` on, `last` being the byte that opens the chain at `start`."""
    first = end
    while last & 0x80:
        if end >= len(payload):
            raise BadFrame("cut inside its header")
        if end - first >= _LONGEST_CHAIN:
            raise BadFrame(f"more than {_LONGEST_CHAIN} extension bytes behind {payload[start]:02X}h")
        last = payload[end]
        end += 1
    if end > len(payload):
        raise BadFrame("cut inside its header")
    return end


@lru_cache(maxsize=1024)
def _place(dif: bytes) -> tuple[int, int, int, int]:
    """Function, storage number, tariff, subunit of a DIF chain."""
    storage, tariff, subunit = dif[0] >> 6 & 1, 0, 0
    for k, dife in enumerate(dif[1:]):
        storage |= (dife & 0x0F) << 1 + 4 * k
        tariff |= (dife >> 4 & 3) << 2 * k
        subunit |= (dife >> 6 & 1) << k
    return dif[0] >> 4 & 3, storage, tariff, subunit
