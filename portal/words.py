"""Words, numbers and dates of pages: gettext catalogues in `locale/LOCALE.po`, numbers and months by CLDR (Babel).

A key is an English sentence, or a kind and a word of the API, e.g. `field email`. A catalogue that lacks one fails tests/portal/test_words.py.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import Any, Final

from babel import Locale
from babel.dates import format_date, format_datetime, get_month_names
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from submeter.api.labels import label_of
from submeter.config import words
from submeter.config.languages import LOCALES

__all__ = ["Words", "languages", "words_of"]

#: Decimals on pages by unit (UCUM), of others three (SCREENS 2); papers, mails and workbooks have those of the API, so that what one adds up by hand is right.
DECIMALS: Final = {"{hca}": 2, "m3": 3, "kW.h": 1, "kW": 1, "Cel": 1}
WHOLE_FROM: Final = 100
#: Whose dates a language writes where that is not its own first region.
REGIONS: Final = {"en": "en_GB"}
UNKNOWN: Final = "–"  # noqa: RUF001 - a dash, as the specification has it


class Words:
    """One language."""

    def __init__(self, locale: str) -> None:
        self.locale = locale
        self._cldr = Locale.parse(REGIONS.get(locale, locale))
        self._texts = _catalogue(locale)

    def text(self, sentence: str, **values: Any) -> str:
        """A sentence in this language, with its values."""
        said = self._texts.gettext(sentence)
        return said.format(**values) if values else said

    def plural(self, one: str, many: str, count: int) -> str:
        """A sentence that counts, e.g. "{n} day"."""
        return self._texts.ngettext(one, many, count).format(n=self.number(count, 0))

    def number(self, value: float | Decimal | None, decimals: int) -> str:
        """A number with so many decimals; what is not known is a dash, never 0."""
        return UNKNOWN if value is None else format_decimal(value, "#,##0" + ("." + "0" * decimals if decimals else ""), self._cldr)

    def money(self, amount: str, currency: str) -> str:
        """A sum with its currency; as many decimals as it came with."""
        exact = Decimal(amount)
        return f"{self.number(exact, max(-int(exact.as_tuple().exponent), 0))}\xa0{currency}"

    def amount(self, value: float | None, uom: str) -> str:
        """A measured value, rounded as its unit is (portal SCREENS 2): kWh to whole ones from 100 on."""
        whole = uom == "kW.h" and value is not None and round(abs(value), DECIMALS[uom]) >= WHOLE_FROM
        return self.number(value, 0 if whole else DECIMALS.get(uom, 3))

    def index(self, value: float | None, uom: str, *, exact: bool = False) -> str:
        """What a meter shows: allocators whole units; of others an amount, or `exact` as it is typed."""
        if uom == "{hca}" and value is not None and value == int(value):
            return self.number(value, 0)
        return self.number(value, 3) if exact else self.amount(value, uom)

    def unit(self, uom: str) -> str:
        """A unit (UCUM) as people write it."""
        return label_of(uom, self.locale)

    def months(self) -> Sequence[str]:
        """The twelve short names of the months, as they stand alone."""
        names = get_month_names("abbreviated", "stand-alone", self._cldr)
        return [names[number] for number in range(1, 13)]

    def month(self, at: date) -> str:
        """A month with its year."""
        return str(format_date(at, "LLLL yyyy", self._cldr))

    def span(self, start: str, end: str) -> str:
        """A span of days as people write it: ISO dates, the last of which is not part of it; whole months by their names."""
        since, last = date.fromisoformat(start), date.fromisoformat(end) - timedelta(days=1)
        if since.day != 1 or (last + timedelta(days=1)).day != 1:
            return f"{self.day(since)} {UNKNOWN} {self.day(last)}"
        return self.month(since) if (since.year, since.month) == (last.year, last.month) else f"{self.month(since)} {UNKNOWN} {self.month(last)}"

    def day(self, at: date) -> str:
        """A day."""
        return format_date(at, "long", self._cldr)

    def moment(self, at: datetime) -> str:
        """A day with its time, as its zone has it."""
        return format_datetime(at, "short", locale=self._cldr)


@cache
def languages() -> Mapping[str, str]:
    """What each language calls itself."""
    return {locale: words.words_of(locale).name for locale in LOCALES}


@cache
def words_of(locale: str) -> Words:
    """The words of a language, read once."""
    return Words(locale)


@cache
def _catalogue(locale: str) -> NullTranslations:
    """The catalogue of a language."""
    compiled = io.BytesIO()
    source = files("submeter.portal").joinpath(f"locale/{locale}.po").read_bytes()
    write_mo(compiled, read_po(io.BytesIO(source), locale))
    compiled.seek(0)
    read: Callable[[Any], NullTranslations] = GNUTranslations
    return read(compiled)
