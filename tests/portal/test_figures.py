"""Every figure on a page is the API's point, rounded as its unit is, in the language's form; what is not known is a dash, never 0 (portal SCREENS 2 and 7.1)."""

import html
import re
import time
from decimal import Decimal

import pytest
from flat import furnish
from portals import Here
from reader import activated

from submeter.portal import create_portal

PLACES = {"{hca}": 2, "m3": 3}
#: Decimal and group separators, and the words for a value that is not sure.
FORMS = {"cs": (",", "\xa0", "nezměřeno", "odhad", "neúplné"), "en": (".", ",", "not measured", "estimated", "incomplete")}
DASH = "\u2013"
UNIT = {"cs": {"m3": "m³", "{hca}": "poměrové jednotky"}, "en": {"m3": "m³", "{hca}": "allocator units"}}
NOW = time.time()
YEAR, MONTH = time.gmtime(NOW)[:2]


@pytest.fixture(scope="module")
def resident(tmp_path_factory):
    """Who looks at a flat with some months and days estimated, and some days not known."""
    made = Here(tmp_path_factory.mktemp("figures"))
    made.app.mount("/", create_portal(made.app))
    made.now = NOW
    furnish(made)
    yield activated(made, "cz-a", "jana@example.org")
    made.close()


@pytest.fixture(params=FORMS)
def speaking(request, resident):
    """The same in two languages."""
    resident.open("/profile")
    resident.fill("describe", name="Jana", locale=request.param)
    return resident, request.param


def written(value, uom, locale):
    """A value as people of a language write it."""
    point, group = FORMS[locale][:2]
    text = f"{Decimal(str(value)).quantize(Decimal(1).scaleb(-PLACES[uom])):,}"
    return text.translate({ord(","): group, ord("."): point})


def cell(point, uom, locale):
    """What a cell shows, and its note."""
    if point is None or point["value"] is None:
        return f"{DASH}{FORMS[locale][2]}", None
    mark = {"estimated": " ≈", "incomplete": " …"}.get(point["quality"], "")
    bounds = [written(point[name], uom, locale) for name in ("lo", "hi")] if mark == " ≈" else None
    return written(point["value"], uom, locale) + mark, bounds


def said(point, uom, locale):
    """What is spoken of a bar."""
    if point is None or point["value"] is None:
        return FORMS[locale][2]
    sure = {"estimated": f", {FORMS[locale][3]}", "incomplete": f", {FORMS[locale][4]}"}.get(point["quality"], "")
    return f"{written(point['value'], uom, locale)} {UNIT[locale][uom]}{sure}"


def told(reader, start, end, resolution="P1M", **query):
    """Series of the API."""
    asked = {"from": start, "to": end, "resolution": resolution, **query}
    answer = reader.client.get("/v1/units/cz-a/consumption", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()["series"]


def first(months):
    """The first of a month so many months on from this one."""
    number = YEAR * 12 + MONTH - 1 + months
    return f"{number // 12}-{number % 12 + 1:02d}-01"


def tables(reader):
    """Of each table the cells of its rows, with the notes that they have."""
    for table in re.findall(r"<tbody>(.*?)</tbody>", reader.body, re.DOTALL):
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        yield [
            [(html.unescape(re.sub(r"<.*?>|\n", "", text)), note) for note, text in re.findall(r"<td([^>]*)>(.*?)</td>", row, re.DOTALL)]
            for row in rows
        ]


def labels(reader):
    """What the bars of a page say, in their order, chart by chart."""
    drawings = re.findall(r'<svg [^>]*role="group".*?</svg>', reader.body, re.DOTALL)
    return [[html.unescape(one) for one in re.findall(r'<(?:a|g) [^>]*aria-label="([^"]*)"', drawing[5:])] for drawing in drawings]


def agree(row, points, uom, locale):
    """A row of cells has these points, and the bounds of those that are estimated in their notes."""
    assert [text for text, _ in row] == [cell(point, uom, locale)[0] for point in points]
    for (_, note), point in zip(row, points, strict=True):
        assert all(bound in note for bound in cell(point, uom, locale)[1] or [])


@pytest.mark.feature("I17")
def test_months_of_a_year(speaking):
    """Screen 10: each cell of three years' tables, estimates with mark and bounds; there are such, and unknown ones."""
    reader, locale = speaking
    shown = []
    for year in (YEAR - 2, YEAR - 1, YEAR):
        reader.open(f"/units/cz-a?year={year}")
        table = next(tables(reader))
        series = told(reader, f"{year}-01-01", f"{year + 1}-01-01")
        assert len(table) == len(series) == 3
        for row, one in zip(table, series, strict=True):
            at = {point["start"][:7]: point for point in one["points"]}
            agree(row, [at.get(f"{year}-{month:02d}") for month in range(1, 13)], one["uom"], locale)
            shown += [text for text, _ in row]
    assert any("≈" in text for text in shown)
    assert any(DASH in text for text in shown)


def test_the_last_month_beside_the_year_before_and_the_house(speaking):
    """Screen 10: the month before this one, the same a year before, and why there is no average flat."""
    reader, locale = speaking
    reader.open("/units/cz-a")
    table = list(tables(reader))[1]
    here, before = (told(reader, first(back), first(back + 1)) for back in (-1, -13))
    assert len(table) == len(here) == len(before) == 3
    for row, now, then in zip(table, here, before, strict=True):
        shown = [written(one["points"][0]["value"], one["uom"], locale) for one in (now, then)]
        assert [text for text, _ in row] == [*shown, {"cs": "příliš málo bytů ke srovnání", "en": "too few flats to compare"}[locale]]


@pytest.mark.feature("I18", "I19", "I20")
def test_thirty_days_by_meter(speaking):
    """Screen 10: each bar of each chart says each meter's point; the list below says the same."""
    reader, locale = speaking
    reader.open(f"/units/cz-a?from={first(-1)}&to={first(0)}")
    series = told(reader, first(-1), first(0), "P1D", by="meter")
    groups = [[one for one in series if one["class"] == name] for name in dict.fromkeys(one["class"] for one in series)]
    charts = labels(reader)
    assert len(charts) == len(groups) == 3
    for chart, group in zip(charts, groups, strict=True):
        for label, *points in zip(chart, *(one["points"] for one in group), strict=True):
            parts = "; ".join(f"p{number}: {said(point, group[0]['uom'], locale)}" for number, point in enumerate(points, 1))
            assert label.endswith(f", {parts}")
            assert f"<li>{html.escape(label)}</li>" in reader.body
    spoken = " ".join(map(str, charts))
    assert [word in spoken for word in FORMS[locale][2:4]] == [True, True]


@pytest.mark.feature("I15", "N7")
def test_the_dashboard(speaking):
    """Screen 8: last month beside the one before; of each meter the last index, of allocators in whole units as they show it."""
    reader, locale = speaking
    reader.open("/home")
    months, devices = tables(reader)
    for row, one in zip(months, told(reader, first(-2), first(0)), strict=True):
        agree(row, one["points"][::-1], one["uom"], locale)
    meters = reader.client.get("/v1/units/cz-a/meters").json()["meters"]
    for row, meter in zip(devices, meters, strict=True):
        (register,) = meter["registers"]
        assert row[1][0].split()[0] == ("7" if register["uom"] == "{hca}" else written(register["last"], register["uom"], locale))


@pytest.mark.feature("N9", "N10")
def test_history_from_years_to_hours(speaking):
    """Screen 11: each group of three years, each day of a month, each hour of a day."""
    reader, locale = speaking
    reader.open("/units/cz-a/history?q=cold_water")
    (groups,) = labels(reader)
    one = next(one for one in told(reader, f"{YEAR - 2}-01-01", f"{YEAR + 1}-01-01") if one["class"] == "cold_water")
    at = {point["start"][:7]: point for point in one["points"]}
    assert len(groups) == 12
    for month, label in enumerate(groups, 1):
        parts = ", ".join(f"{year}: {said(at.get(f'{year}-{month:02d}'), one['uom'], locale)}" for year in (YEAR - 2, YEAR - 1, YEAR))
        assert label.endswith(f" {parts}")
    day = first(-1)
    for path, end, resolution in ((day[:7], first(0), "P1D"), (day, f"{day[:7]}-02", "PT1H")):
        reader.open(f"/units/cz-a/history/{path}?q=cold_water")
        (bars,) = labels(reader)
        one = next(one for one in told(reader, day, end, resolution) if one["class"] == "cold_water")
        assert [label.partition(": ")[2] for label in bars] == [said(point, one["uom"], locale) for point in one["points"]]
