"""Words that residents read: dates, months, numbers, units, classes of meters, kinds of events, and what papers say, from `[words]` of `texts/LOCALE.toml`.

Rules: what stands there is for people; programs read ISO dates, UCUM codes and the kinds themselves. Every language has a word for every name below;
of units and of fields of letters it may have more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

from submeter.config.errors import ConfigError
from submeter.config.languages import LOCALES, read

__all__ = ["CLASSES", "EVENTS", "Words", "amount", "day", "instant", "month", "number", "parse", "verify", "words_of"]

#: Classes of points.
CLASSES: Final = ("cold_water", "hot_water", "heat", "cooling", "heat_allocation", "energy")
#: Kinds of events that residents see; the others are an operator's business.
EVENTS: Final = (
    "leak", "burst", "backflow", "dry", "tamper", "removed", "silent", "low_battery", "power_low", "sensor_error", "permanent_error", "exchange", "set_day",
)  # fmt: skip
#: Words by section, with the names that each language has.
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "classes": CLASSES,
    "events": EVENTS,
    "units": ("{hca}", "d"),
    "letters": ("unit", "signature", "letters", "login", "password", "code"),
    "statement": (
        "title", "unit", "property", "period", "until", "month", "value", "bounds", "quality", "start", "end", "flags", "measured", "estimated", "incomplete",
        "unknown", "none", *CLASSES, "method", "look",
    ),
}  # fmt: skip
#: Sections that may have more: signs of units that are written otherwise in this language; fields of claims as letters call them.
_OPEN: Final = frozenset({"units", "letters"})
_FORMS: Final = ("name", "date", "decimal")
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a language: what it is called, months as they stand alone, how a date is written, the decimal sign, and words by their names."""

    name: str
    months: Sequence[str]
    date: str
    decimal: str
    classes: Mapping[str, str]
    events: Mapping[str, str]
    units: Mapping[str, str]
    letters: Mapping[str, str]
    statement: Mapping[str, str]


@cache
def words_of(locale: str) -> Words:
    """The words of a language, checked; ConfigError has one line per mistake."""
    return parse(read(locale).get("words", {}), f"texts/{locale}.toml")


def parse(found: Mapping[str, Any], file: str) -> Words:
    """Check `[words]` of a language; ConfigError has one line per mistake."""
    if mistakes := [*_forms(found), *_missing(found)]:
        raise ConfigError("\n".join(f"{file}: {mistake}" for mistake in mistakes))
    return Words(**found)


def verify() -> None:
    """Check the words of all languages."""
    for locale in LOCALES:
        words_of(locale)


def day(locale: str, one: date) -> str:
    """A date as it is read: 3. 1. 2026."""
    said = words_of(locale)
    return _dated(said.date, said.months, one)


def month(locale: str, one: date) -> str:
    """A month as it is read: leden 2026."""
    return f"{words_of(locale).months[one.month - 1]} {one.year}"


def instant(locale: str, local: datetime) -> str:
    """A local time as it is read, to the minute."""
    return f"{day(locale, local.date())} {local:%H:%M}"


def number(locale: str, value: Decimal, decimals: int) -> str:
    """A number with so many decimals."""
    return f"{value:.{decimals}f}".replace(".", words_of(locale).decimal)


def amount(locale: str, value: Decimal, unit: str, decimals: int) -> str:
    """A number with so many decimals, and its unit."""
    return f"{number(locale, value, decimals)} {unit}".rstrip()


def _dated(form: str, months: Sequence[str], one: date) -> str:
    return form.format(day=one.day, month=one.month, name=months[one.month - 1], year=one.year)


def _forms(found: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"[words] {name}: it is missing" for name in _FORMS if not _is_text(found.get(name)))
    yield from (f"[words] {name}: there is no such word" for name in found.keys() - {*_FORMS, "months", *_NAMES})
    months = found.get("months", ())
    if not isinstance(months, list) or len(months) != _MONTHS or not all(map(_is_text, months)):
        yield "[words] months: write twelve names"
        return
    try:
        _dated(str(found.get("date")), months, date(2026, 1, 3))
    except (KeyError, IndexError, ValueError):
        yield "[words] date: write it with {day}, {month} or {name}, and {year}; {day:02} has two digits"


def _missing(found: Mapping[str, Any]) -> Iterator[str]:
    for section, names in _NAMES.items():
        said = found.get(section)
        said = said if isinstance(said, dict) else {}
        wrong = {*names, *said} - {name for name, text in said.items() if _is_text(text)}
        yield from (f"[words.{section}] {name}: it is missing" for name in sorted(wrong))
        if section not in _OPEN:
            yield from (f"[words.{section}] {name}: there is no such word" for name in sorted(said.keys() - {*names}))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
