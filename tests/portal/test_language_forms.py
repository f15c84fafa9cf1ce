"""Numbers, amounts, indexes, money, spans and moments as people of each language write them (CLDR; portal SCREENS 2)."""

from datetime import date, datetime

import pytest
from starlette.requests import Request

from submeter.portal.page import language
from submeter.portal.words import Words

NB, DASH = "\xa0", "\u2013"


@pytest.mark.parametrize(
    ("locale", "value", "decimals", "written"),
    [
        ("cs", 1234567.891, 3, f"1{NB}234{NB}567,891"),
        ("de", 1234567.891, 1, "1.234.567,9"),
        ("en", 1234567.891, 0, "1,234,568"),
        ("nb", 1234.5, 2, f"1{NB}234,50"),
        ("sl", 1234.5, 2, "1.234,50"),
        ("ru", 1234.5, 2, f"1{NB}234,50"),
        ("en", 0, 2, "0.00"),
        ("en", -0.5, 1, "-0.5"),
        ("cs", None, 2, DASH),
    ],
)
def test_numbers(locale, value, decimals, written):
    """Separators of the language, as many decimals as asked for; what is not known is a dash, never 0."""
    assert Words(locale).number(value, decimals) == written


@pytest.mark.parametrize(
    ("value", "uom", "written"),
    [
        (820, "{hca}", "820.00"),
        (6.54, "m3", "6.540"),
        (0, "m3", "0.000"),
        (99.94, "kW.h", "99.9"),
        (99.96, "kW.h", "100"),
        (100, "kW.h", "100"),
        (1234.5678, "kW.h", "1,235"),
        (-100.4, "kW.h", "-100"),
        (3.26, "kW", "3.3"),
        (100.26, "kW", "100.3"),
        (21.37, "Cel", "21.4"),
        (1.5, "bar", "1.500"),
        (None, "kW.h", DASH),
        (None, "{hca}", DASH),
    ],
)
def test_amounts_have_the_decimals_of_their_unit(value, uom, written):
    """Allocator units 2, m³ 3, kWh none from 100 on and 1 below, kW and °C 1, others 3."""
    assert Words("en").amount(value, uom) == written


@pytest.mark.parametrize(
    ("value", "uom", "shown", "typed"),
    [
        (321, "{hca}", "321", "321"),
        (321.0, "{hca}", "321", "321"),
        (0, "{hca}", "0", "0"),
        (321.5, "{hca}", "321.50", "321.500"),
        (12.345, "m3", "12.345", "12.345"),
        (41234.567, "kW.h", "41,235", "41,234.567"),
        (None, "{hca}", DASH, DASH),
        (None, "m3", DASH, DASH),
    ],
)
def test_an_index_is_what_the_meter_shows(value, uom, shown, typed):
    """An allocator counts whole units; where an index is typed beside it others have all their decimals."""
    assert (Words("en").index(value, uom), Words("en").index(value, uom, exact=True)) == (shown, typed)


@pytest.mark.parametrize(
    ("locale", "amount", "currency", "written"),
    [
        ("cs", "1234.50", "CZK", f"1{NB}234,50{NB}CZK"),
        ("en", "-80", "EUR", f"-80{NB}EUR"),
        ("ru", "0.05", "RUB", f"0,05{NB}RUB"),
        ("de", "1E+2", "EUR", f"100{NB}EUR"),
    ],
)
def test_money_has_the_decimals_it_came_with(locale, amount, currency, written):
    """No rounding, an unbroken space before the currency."""
    assert Words(locale).money(amount, currency) == written


@pytest.mark.parametrize(
    ("start", "end", "written"),
    [
        ("2024-01-01", "2024-02-01", "January 2024"),
        ("2024-01-01", "2025-01-01", f"January 2024 {DASH} December 2024"),
        ("2023-12-01", "2024-02-01", f"December 2023 {DASH} January 2024"),
        ("2024-01-01", "2024-01-31", f"1 January 2024 {DASH} 30 January 2024"),
        ("2024-01-02", "2024-02-01", f"2 January 2024 {DASH} 31 January 2024"),
        ("2024-02-28", "2024-02-29", f"28 February 2024 {DASH} 28 February 2024"),
    ],
)
def test_spans_name_whole_months_else_their_first_and_last_day(start, end, written):
    """The end is not part of a span: the day before it is the last one."""
    assert Words("en").span(start, end) == written


@pytest.mark.parametrize(
    ("locale", "day", "month", "moment"),
    [
        ("cs", "5. ledna 2024", "leden 2024", "05.01.24 7:08"),
        ("de", "5. Januar 2024", "Januar 2024", "05.01.24, 07:08"),
        ("en", "5 January 2024", "January 2024", "05/01/2024, 07:08"),
        ("nb", "5. januar 2024", "januar 2024", "05.01.2024, 07:08"),
    ],
)
def test_days_months_and_moments(locale, day, month, moment):
    """As the language writes them; English as in Britain."""
    words = Words(locale)
    assert (words.day(date(2024, 1, 5)), words.month(date(2024, 1, 5)), words.moment(datetime(2024, 1, 5, 7, 8))) == (day, month, moment)


@pytest.mark.parametrize(
    ("cookie", "accepted", "offered", "spoken"),
    [
        ("", "", ["cs", "en"], "cs"),
        ("", "en", ["cs", "en"], "en"),
        ("", "de-AT, en;q=0.5", ["cs", "en"], "en"),
        ("", "no, en", ["cs", "nb", "en"], "nb"),
        ("", "nn-NO", ["cs", "nb"], "nb"),
        ("", "fr", ["cs", "en"], "cs"),
        ("en", "cs", ["cs", "en"], "en"),
        ("ru", "en", ["cs", "en"], "en"),
    ],
)
def test_the_language_of_a_page(cookie, accepted, offered, spoken):
    """The one that was chosen, else the one that the browser names first of those offered, else the portal's first."""
    headers = [(b"accept-language", accepted.encode()), (b"cookie", f"__Host-language={cookie}".encode())]
    assert language(Request({"type": "http", "headers": headers}), offered) == spoken
