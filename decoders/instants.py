"""When a stored value was valid: dates of storage numbers, and the history blocks (compact profiles) that count from them.

Rules (registers 2; protocol notes 6.8)
* The date record of a storage number dates every record of it: storage 1 is the set day, others the end of a period.
* A profile block continues its base record (same VIF, tariff, subunit, function, storage) in steps: backward from it or forward.
  Absolute elements are values, void ones leave a hole. Increments are summed from the base, and end at a void one.
* Increments of allocator units restart at a set day that the block does not tell: they stay deltas, which name no register.
* A month step keeps the day of the base; the last day of a month stays the last one.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from submeter.decoders.records import Record
from submeter.decoders.values import data_length, read_value
from submeter.decoders.vife import PROFILES, Information, interpret

__all__ = ["Elements", "add_months", "elements_of", "step", "with_instants"]

_BACKWARD: Final = "profile_backward"
_PROFILES: Final = frozenset(PROFILES.values())
_ABSOLUTE, _INCREMENTS, _DECREMENTS, _SIGNED = range(4)
_CODINGS: Final = frozenset((1, 2, 3, 4, 6, 7, 9, 10, 11, 12, 14))
_STEP_SECONDS: Final = (1, 60, 3600, 86400)
#: Months of a step: spacing value 254 and spacing unit (3 month, 2 quarter, 1 half year).
_STEP_MONTHS: Final = {(254, 3): 1, (254, 2): 3, (254, 1): 6}


def with_instants(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """The records with `stamp` and `label` set where the telegram dates them, and behind them one record for each element of a profile."""
    dates = _dates(records)
    dated = tuple(_dated(record, dates) for record in records)
    return dated + tuple(
        element for record in dated if record.modifiers and not _PROFILES.isdisjoint(record.modifiers) for element in _elements(record, dated)
    )


def _dates(records: tuple[Record, ...]) -> dict[int, date]:
    """Instant of each storage number with a date record of its own; void dates are left out, the first one counts."""
    return {
        record.storage: record.value
        for record in reversed(records)
        if record.quantity in {"date", "date_time"}
        and record.storage
        and not (record.function or record.modifiers)
        and isinstance(record.value, date)
    }


def _dated(record: Record, dates: dict[int, date]) -> Record:
    stamp = dates.get(record.storage)
    if stamp is None or record.stamp is not None:
        return record
    label = "set_day" if record.storage == 1 else "period_end"
    return record._replace(stamp=stamp, label=record.label if record.label != "now" else label)


class Elements(NamedTuple):
    """What the head of a profile block says of its elements: how they are coded, how often they follow one another, and where they are added up.

    `base` is the record that they continue; `summed` they are added to it one after the other, times `sign`; as `deltas` they stay as they are.
    """

    coding: int
    size: int
    number: int
    about: Information
    base: Record | None
    summed: bool
    deltas: bool
    sign: int
    direction: int


def elements_of(profile: Record, records: tuple[Record, ...]) -> Elements | None:
    """The elements of a profile among `records`; None where its block is none."""
    block = profile.value
    if not isinstance(block, bytes) or len(block) < 2 or block[0] & 0x0F not in _CODINGS:
        return None
    coding, mode, backward = block[0] & 0x0F, block[0] >> 6, _BACKWARD in profile.modifiers
    size, about = data_length(coding, None), _about_elements(_plain_chain(profile.vif), unsigned=mode in {_INCREMENTS, _DECREMENTS})
    deltas = mode != _ABSOLUTE and profile.quantity == "hca"
    return Elements(
        coding, size, (len(block) - 2) // size, about, _base(profile, records), mode != _ABSOLUTE and not deltas, deltas,
        sign=-1 if (mode == _DECREMENTS) != backward else 1, direction=-1 if backward else 1,
    )  # fmt: skip


def _elements(profile: Record, records: tuple[Record, ...]) -> Iterator[Record]:
    known = elements_of(profile, records)
    if known is None or not isinstance(profile.value, bytes):
        return
    head, words = profile.value[:2], ("delta",) if known.deltas else ()
    element = profile._replace(dif=b"", vif=_plain_chain(profile.vif), data=b"", modifiers=words, label="month_end")
    for number, value in enumerate(_values(profile.value, known), 1):
        if value is not None:
            stamp = step(profile.stamp, head=head, count=known.direction * number)
            yield element._replace(storage=profile.storage + number, value=value, stamp=stamp)


def _values(block: bytes, known: Elements) -> Iterator[Decimal | None]:
    """The elements' values in the profile's unit; None is a hole."""
    total = known.base.value if known.base and isinstance(known.base.value, Decimal) else None
    for raw in _raw(block, known):
        if not known.summed and (raw is not None or not known.deltas):
            yield raw
        elif raw is None or total is None:
            return
        else:
            total += known.sign * raw
            yield total


def _raw(block: bytes, known: Elements) -> Iterator[Decimal | None]:
    for at in range(2, 2 + known.number * known.size, known.size):
        data = block[at : at + known.size]
        value = None if data.strip(b"\xff") == b"" else read_value(known.coding, None, data, known.about)
        yield value if isinstance(value, Decimal) else None


@lru_cache(maxsize=4096)
def _about_elements(vif: bytes, *, unsigned: bool) -> Information:
    about = interpret(vif)
    return replace(about, modifiers=(*about.modifiers, "unsigned")) if unsigned else about


def _base(profile: Record, records: tuple[Record, ...]) -> Record | None:
    wanted = (_plain_chain(profile.vif), profile.storage, profile.tariff, profile.subunit, profile.function)
    return next((r for r in records if (r.vif, r.storage, r.tariff, r.subunit, r.function) == wanted), None)


@lru_cache(maxsize=4096)
def _plain_chain(vif: bytes) -> bytes:
    """The VIF chain without its profile VIFE."""
    first = 2 if vif[0] in {0xFB, 0xFD} else 1
    kept = vif[:first] + bytes(byte for byte in vif[first:] if byte & 0x7F not in PROFILES)
    return kept[:-1] + bytes([kept[-1] & 0x7F])


def step(base: date | None, *, head: bytes, count: int) -> date | None:
    """The instant `count` steps from the base; None without a base, or for a spacing that is not in time.

    A block has at most 191 bytes and a step at most 250 days, so that no base date of a telegram leaves the calendar.
    """
    spacing, unit = head[1], head[0] >> 4 & 3
    months = _STEP_MONTHS.get((spacing, unit))
    if base is None or (months is None and not 1 <= spacing <= 250):
        return None
    return add_months(base, count * months) if months else base + timedelta(seconds=count * spacing * _STEP_SECONDS[unit])


@lru_cache(maxsize=65536)
def add_months(base: date, months: int) -> date:
    """The same day `months` later; the last day of a month stays the last one. Raises ValueError outside the years 1 to 9999."""
    year, month = divmod(base.year * 12 + base.month - 1 + months, 12)
    last = monthrange(year, month + 1)[1]
    at_end = base.day == monthrange(base.year, base.month)[1]
    return base.replace(year=year, month=month + 1, day=last if at_end else min(base.day, last))
