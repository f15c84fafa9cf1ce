"""Messages of a shape that the configuration describes: home-made JSON, templated gateways (ingest/FORMATS.md 7).

Strategy: a rule names by dotted paths where meter, time, level and values (or a whole frame) stand; messages whose topic it fits are read by it alone.
Rules: a path is keys and list indexes, nothing else; a record that lacks its meter or has no usable value is refused by name and kept, its neighbours count;
a number may be a text; `unknown`, `unavailable` and null are no value. Units are changed to the register's own exactly.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final, Literal

import msgspec

from submeter.decoders import DICTIONARY
from submeter.ingest.envelopes.core import MAX_TELEGRAMS, Envelope, Heard, Payload, decode_json, framed, instant, level, refused, unhex, value_at
from submeter.ingest.envelopes.parsed import told_bytes
from submeter.ingest.errors import BadPayload
from submeter.reading import Register

__all__ = ["FACTORS", "Rule", "Value", "factor_of", "fits", "mapped", "numbers"]

TimeForm = Literal["rfc3339", "unix_s", "unix_ms", "local"]
#: A unit as people write it → the dictionary's unit, and how many of that it is.
FACTORS: Final[Mapping[str, tuple[str, Fraction]]] = {
    "m3": ("m3", Fraction(1)), "m³": ("m3", Fraction(1)), "L": ("m3", Fraction(1, 1000)), "l": ("m3", Fraction(1, 1000)),
    "kWh": ("kWh", Fraction(1)), "MWh": ("kWh", Fraction(1000)), "Wh": ("kWh", Fraction(1, 1000)), "GJ": ("kWh", Fraction(2500, 9)),
    "MJ": ("kWh", Fraction(5, 18)), "kW": ("kW", Fraction(1)), "W": ("kW", Fraction(1, 1000)), "°C": ("°C", Fraction(1)), "K": ("K", Fraction(1)),
    "m3/h": ("m3/h", Fraction(1)), "m³/h": ("m3/h", Fraction(1)), "L/h": ("m3/h", Fraction(1, 1000)), "l/h": ("m3/h", Fraction(1, 1000)),
    "hca": ("hca", Fraction(1)), "": ("", Fraction(1)),
}  # fmt: skip
#: Digits before and behind the point that a number may have.
DIGITS: Final = 40
NO_VALUE: Final = frozenset(("", "unknown", "unavailable", "null", "none", "nan"))


def factor_of(register: str, unit: str) -> Fraction:
    """How many of a register's own unit one of `unit` is ("": it is in that unit); raises ValueError."""
    entry = DICTIONARY.get(register)
    if entry is None:
        raise ValueError(f"register {register!r} is none of docs/registers.md")
    own, factor = (unit, Fraction(1)) if unit in {entry.unit, ""} else FACTORS.get(unit, ("?", Fraction(1)))
    if own not in {entry.unit, ""}:
        raise ValueError(f"{register} is in {entry.unit}: a value in {unit!r} cannot be changed to that")
    return factor


@dataclass(frozen=True, slots=True)
class Value:
    """Where a value stands, which register of the dictionary it is, and its unit there."""

    path: str
    register: str
    unit: str

    def __post_init__(self) -> None:
        factor_of(self.register, self.unit)


@dataclass(frozen=True, slots=True)
class Rule:
    """A configured mapping; `meter` is a path, or ``topic:N`` for a level of the topic (0 is the first); "" is none of the others."""

    topic: str
    meter: str
    values: Sequence[Value] = ()
    records: str = ""
    time: str = ""
    time_format: TimeForm = "rfc3339"
    raw: str = ""
    rssi: str = ""


def fits(wanted: str, topic: str | None) -> bool:
    """Whether a topic is one of a filter with + and #."""
    if topic is None:
        return False
    levels, pattern = topic.split("/"), wanted.split("/")
    if pattern[-1] == "#":
        pattern.pop()
        levels = levels[: len(pattern)]
    return len(levels) == len(pattern) and all(one in {"+", level} for one, level in zip(pattern, levels, strict=True))


def mapped(rule: Rule, payload: Payload) -> Envelope:
    """Read a message by a rule; raises BadPayload."""
    document = decode_json(payload.text)
    records = value_at(document, rule.records) if rule.records else document
    found = records if isinstance(records, list) else [records]
    if len(found) > MAX_TELEGRAMS:
        raise BadPayload("too_many", f"{len(found)} records; a message has at most {MAX_TELEGRAMS}")
    return Envelope("mapping", tuple(_record(rule, payload.topic, record, document) for record in found))


def _record(rule: Rule, topic: str | None, record: object, document: object) -> Heard:
    try:
        return _heard(rule, topic, record, document)
    except BadPayload as error:
        return refused(msgspec.json.encode(record), error)


def _heard(rule: Rule, topic: str | None, record: object, document: object) -> Heard:
    gw_time, wall = _time(rule, record, document)
    rssi = _number(value_at(record, rule.rssi)) if rule.rssi else None
    strength = level(None if rssi is None else float(rssi))
    if rule.raw:
        return Heard(framed(unhex(_text(value_at(record, rule.raw), rule.raw))), gw_time=gw_time, wall=wall, **strength)
    meter = _named(rule.meter, topic, record, document)
    values = dict(numbers(rule.values, record))
    if not values:
        raise BadPayload("no_values", f"none of {', '.join(one.path for one in rule.values)} has a value")
    return Heard(told_bytes(meter, values), "parsed", "mapping", gw_time, wall, **strength)


def numbers(values: Sequence[Value], record: object) -> Iterator[tuple[Register, Decimal]]:
    """Those of the values that a record has, in the unit of their register; raises BadPayload for a text that is no number."""
    for one in values:
        number = _number(value_at(record, one.path))
        if number is not None:
            exact = Fraction(number) * factor_of(one.register, one.unit)
            yield Register(one.register, DICTIONARY[one.register].unit), Decimal(exact.numerator) / Decimal(exact.denominator)


def _time(rule: Rule, record: object, document: object) -> tuple[int | None, datetime | None]:
    """An instant, or a wall clock where the rule says so."""
    if not rule.time:
        return None, None
    told = value_at(record, rule.time)
    told = value_at(document, rule.time) if told is None else told
    if rule.time_format == "local":
        try:
            return None, datetime.fromisoformat(_text(told, rule.time)).replace(tzinfo=None)
        except ValueError as error:
            raise BadPayload("bad_time", str(error)) from error
    if rule.time_format == "rfc3339":
        return instant(_text(told, rule.time)), None
    number = _number(told)
    if number is None:
        raise BadPayload("bad_time", f"{rule.time} is no number")
    return instant(int(number * (1000 if rule.time_format == "unix_s" else 1))), None


def _named(path: str, topic: str | None, record: object, document: object) -> str:
    kind, _, number = path.partition(":")
    if kind == "topic" and number.isdecimal():
        levels = (topic or "").split("/")
        if int(number) >= len(levels):
            raise BadPayload("bad_field", f"the topic has no level {number}")
        return levels[int(number)]
    told = value_at(record, path)
    return _text(value_at(document, path) if told is None else told, path)


def _text(value: object, path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise BadPayload("bad_field", f"{path} is missing, or no text")
    return str(value)


def _number(value: object) -> Decimal | None:
    """A number, or a text that is one; None for what says that there is none. Raises BadPayload for another text."""
    if value is None or isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in NO_VALUE):
        return None
    text = str(value).strip()
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise BadPayload("bad_field", f"{text[:40]!r} is no number") from error
    if number.is_finite() and (abs(number.adjusted()) > DIGITS or len(text) > 2 * DIGITS):  # an exact fraction of 1e999999999 has as many digits
        raise BadPayload("bad_field", f"{text[:40]!r} has too many digits")
    return number if number.is_finite() else None
