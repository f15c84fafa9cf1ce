"""How a driver's records differ from the standard: rules by header, instants of undated storages, and what must be plausible."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from submeter.decoders.blocks import scaled, unit_of
from submeter.decoders.driver import Bits, Codes, Driver, Gate, History, Rule
from submeter.decoders.instants import add_months, with_instants
from submeter.decoders.records import Record
from submeter.decoders.registers import meter_time
from submeter.decoders.values import read_value
from submeter.decoders.vif import BITS, NUMBER
from submeter.decoders.vife import Information

__all__ = ["history_base", "history_stamp", "implausible", "rules_of", "understood"]

_NUMBERS: Final = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14))
_UNNAMED: Final = Bits({})


def understood(driver: Driver | None, records: tuple[Record, ...]) -> tuple[Record, ...]:
    """The records with what the driver knows of them, their instants, and one record for each element of a history."""
    flagged = tuple(map(_with_flags, records))
    if driver is None:
        return with_instants(flagged)
    return _with_histories(driver.histories, with_instants(_ruled(driver, flagged)))


def rules_of(driver: Driver | None, records: tuple[Record, ...]) -> Iterator[Rule | None]:
    """The first rule that matches each record."""
    seen: Counter[tuple[bytes, bytes]] = Counter()
    for record in records:
        rules = _rules_for(driver, record.vif) if driver else ()
        if rules:
            seen[record.dif, record.vif] += 1
        yield next((rule for rule in rules if _matches(rule, record, seen[record.dif, record.vif])), None)


@lru_cache(maxsize=4096)
def _rules_for(driver: Driver, vif: bytes) -> tuple[Rule, ...]:
    """The rules that a VIF chain leaves."""
    return tuple(rule for rule in driver.rules if not rule.vif or bytes.fromhex(rule.vif) == vif)


def _ruled(driver: Driver, records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Each record as the first rule that matches it says."""
    return tuple(_changed(record, rule) if rule else record for record, rule in zip(records, rules_of(driver, records), strict=True))


def _matches(rule: Rule, record: Record, nth: int) -> bool:
    return rule.nth in {0, nth} and all(getattr(record, name) == value for name, value in rule.where.items())


def _changed(record: Record, rule: Rule) -> Record:
    if rule.void and record.data == bytes.fromhex(rule.void):
        return record._replace(value=None)
    if rule.scale is not None:
        number = _number(record, BITS if rule.flags else NUMBER)
        record = record._replace(value=None if number is None else scaled(number, rule.scale))
    if rule.flags:
        record = record._replace(flags=_words(rule.flags, record))
    quantity = rule.to.get("quantity")
    unit = {"unit": unit_of(quantity)} if quantity and rule.scale is not None else {}
    return record._replace(**{**unit, **rule.to})


def _number(record: Record, kind: str) -> Decimal | None:
    """The data as a plain number, or as unsigned bits."""
    coding = record.dif[0] & 0x0F
    value = read_value(coding, None, record.data, Information("", "", 0, kind)) if coding in _NUMBERS else record.value
    return value if isinstance(value, Decimal) else None


def _words(flags: Bits | Codes, record: Record) -> tuple[str, ...]:
    return flags.words(int.from_bytes(record.data, "little")) if record.value is not None else ()


def _with_flags(record: Record) -> Record:
    """Error flags (VIF FD17) that no driver names are at least shown as set."""
    unread = record.quantity == "status_flags" and not record.flags and not record.function and not record.storage
    return record._replace(flags=_words(_UNNAMED, record)) if unread and record.vif else record


def _with_histories(histories: tuple[History, ...], records: tuple[Record, ...]) -> tuple[Record, ...]:
    """The records with the instants of undated storages."""
    for history in histories:
        base = history_base(history, records)
        if base is not None:
            records = tuple(_dated(record, history, base) for record in records)
    return records


def history_base(history: History, records: tuple[Record, ...]) -> date | None:
    """The date that a history counts from: the meter's time, or the instant of its base."""
    if history.base is None:
        return meter_time(records)
    return next((record.stamp for record in records if record.storage == history.base and record.stamp), None)


@lru_cache(maxsize=65536)
def history_stamp(base: date, back: int, *, end: bool) -> date:
    """The instant `back` months before `base`, or before the last month end that lies behind it."""
    day = base.date() if isinstance(base, datetime) else base
    return add_months(day.replace(day=1) - timedelta(days=1) if end else base, -back)


def _dated(record: Record, history: History, base: date) -> Record:
    if record.storage not in history.storages or (record.stamp and record.storage != history.base):
        return record
    back = history.storages.index(record.storage)
    return record._replace(stamp=history_stamp(base, back, end=history.base is None), label=history.label)


def implausible(gate: Gate, records: tuple[Record, ...], received: datetime | None) -> str | None:
    """Why these records are not believed; None when they are. `received`: when the telegram was heard, as far as it is known."""
    return next(filter(None, (_odd_date(gate, records), _odd_clock(gate, records, received), _odd_value(gate, records))), None)


def _odd_date(gate: Gate, records: tuple[Record, ...]) -> str | None:
    dates = [value for record in records for value in (record.value, record.stamp) if isinstance(value, date)]
    odd = [value for value in dates if not gate.years[0] <= value.year <= gate.years[1]]
    return f"the date {odd[0]} cannot be" if odd else None


def _odd_clock(gate: Gate, records: tuple[Record, ...], received: datetime | None) -> str | None:
    clock = meter_time(records)
    if gate.clock_days is None or received is None or clock is None:
        return None
    return None if abs(clock - received) <= timedelta(days=gate.clock_days) else f"the meter's time {clock} is too far from the reception"


def _odd_value(gate: Gate, records: tuple[Record, ...]) -> str | None:
    values = {(record.quantity, record.storage): record.value for record in reversed(records) if isinstance(record.value, Decimal)}
    missing = [name for name in gate.needs if all(record.quantity != name or record.value is None for record in records)]
    if missing:
        return f"{missing[0]} is missing"
    for (name, storage), value in values.items():
        now = values.get((name, 0))
        if name in gate.largest and abs(value) > gate.largest[name]:
            return f"{name} {value} cannot be"
        if value < 0 and name in gate.rising:
            return f"{name} {value} is below nought"
        if storage and name in gate.rising and now is not None and value > now:
            return f"{name} was {value} and is {now}"
    return None
