"""What a resident reads: dashboard, months and days of a flat, history down to hours (screens 8 to 11)."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from submeter.portal.charts import Bar, Chart, Part
from submeter.portal.page import Page, Place, today

__all__ = ["PAGES", "chosen", "day_of", "first_of", "unit_of"]

#: Classes of the dashboard, in the order of their tiles (I15).
CLASSES: Final = ("cold_water", "hot_water", "other_water", "heat", "cooling", "heat_cooling")
#: What classes of points count as which tile.
TILES: Final = {"heat_allocation": "heat", "energy": "heat"}
FILES: Final = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
YEARS: Final = 3
#: The one gauge that residents look at beside its meter's energy (N11).
POWER: Final = "power"
DAYS: Final = 30
#: Why a comparison may have no value, as far as residents are told (portal SCREENS 2).
REASONS: Final = ("other_holder", "group_too_small")


async def home(page: Page) -> Response:
    """Screen 8: counts, where each meter stands, last month beside the one before."""
    units = (await page.api.get("/v1/units"))["units"]
    if not units:
        return await page.within("empty.html")
    unit = await chosen(page, units)
    meters = await page.api.get(f"/v1/units/{unit['id']}/meters")
    counts = dict.fromkeys(CLASSES, 0)
    for name, count in meters["classes"].items():
        counts[TILES.get(name, name)] = counts.get(TILES.get(name, name), 0) + count
    now = today(unit)
    data = await _months(page, unit["id"], first_of(now, -2), first_of(now, 1))
    shown = [first_of(now, -1), first_of(now, -2)]
    months = [{"series": one, "cells": [_twelve(one["points"], day.year)[day.month - 1] for day in shown]} for one in data["series"]]
    told = await page.maybe(f"/v1/units/{unit['id']}/events", state="open", locale=page.words.locale)
    alerts = told["events"] if told else []
    return await page.within(
        "home.html",
        unit=unit,
        units=units,
        counts=counts,
        meters=meters["meters"],
        months=months,
        shown=shown,
        alerts=alerts,
        limits=told is not None,
        data=data,
    )


async def overview(page: Page) -> Response:
    """Screen 9: property, entrance, flat; one flat leads straight to it."""
    units = (await page.api.get("/v1/units"))["units"]
    if len(units) == 1:
        return page.go(f"/units/{units[0]['id']}")
    nested: dict[str, dict[str, list[Any]]] = {}
    for unit in units:
        nested.setdefault(unit["property"], {}).setdefault(unit["entrance"], []).append(unit)
    return await page.within("overview.html", nested=nested)


async def flat(page: Page) -> Response:
    """Screen 10: the months of a year as a table, and thirty days of each quantity by meter."""
    unit = await unit_of(page)
    year = int(page.asked("year")) if re.fullmatch(r"20\d\d", page.asked("year")) else today(unit).year
    months = await _months(page, unit["id"], date(year, 1, 1), date(year + 1, 1, 1))
    until = day_of(page.asked("to")) or today(unit)
    since = day_of(page.asked("from")) or until - timedelta(days=DAYS)
    days = await page.api.get(f"/v1/units/{unit['id']}/consumption", resolution="P1D", by="meter", **{"from": since, "to": until})
    charts = [_stacked(page, unit["id"], group) for group in _by_class(days["series"])]
    rows = [{"series": one, "cells": _twelve(one["points"], year)} for one in months["series"]]
    spans, compared = await _compared(page, unit)
    return await page.within(
        "unit.html", unit=unit, year=year, rows=rows, charts=charts, since=since, until=until, data=months, this_year=today(unit).year,
        spans=spans, compared=compared, reasons=REASONS,
    )  # fmt: skip


async def _compared(page: Page, unit: Any) -> tuple[list[date], list[dict[str, Any]]]:
    """The month before this one, the same a year before, and the mean of the house's flats, by quantity."""
    month = first_of(today(unit), -1)
    span = {"from": month, "to": first_of(month, 1)}
    told = await page.api.get(f"/v1/units/{unit['id']}/consumption", resolution="P1M", compare=["year", "building"], **span)
    beside = [told["compare"][name]["series"] for name in ("year", "building")]
    rows = [{"series": one, "cells": [_only(one), *(_only(other[number]) for other in beside)]} for number, one in enumerate(told["series"])]
    return [month, first_of(month, -12)], rows


def _only(series: Mapping[str, Any]) -> Any:
    return next(iter(series["points"]), None)


async def looked(page: Page) -> Response:
    """Where the link of a statement leads: the year in which it begins."""
    since = day_of(page.asked("from"))
    return page.go(f"/units/{page.named('unit')}" + (f"?year={since.year}" if since else ""))


async def history(page: Page) -> Response:
    """Screen 11: months of up to three years side by side."""
    unit, quantity = await unit_of(page), page.asked("q")
    first = today(unit).year - YEARS + 1
    offered, wanted = await _offered(page, unit["id"]), POWER if quantity == POWER else None
    span = {"from": date(first, 1, 1), "to": date(first + YEARS, 1, 1)}
    data = await page.api.get(f"/v1/units/{unit['id']}/consumption", resolution="P1M", quantity=wanted, **span)
    series = _picked(data["series"], quantity)
    bars = []
    for number, name in enumerate(page.words.months()):
        of_years = [_twelve(series["points"], year)[number] for year in range(first, first + YEARS)] if series else []
        spoken = ", ".join(f"{first + i}: {_said(page, series, point)}" for i, point in enumerate(of_years))
        bars.append(
            Bar(name, f"{name} {spoken}", [_part(point) for point in of_years], _to(unit["id"], f"{first + YEARS - 1}-{number + 1:02d}", quantity))
        )
    years = [str(year) for year in range(first, first + YEARS)]
    return await _drawn(page, unit, data, series, offered, Chart(_title(page, series), bars, stacked=False), legend=years, level="year")


async def finer(page: Page) -> Response:
    """Screen 11, further down: the days of a month, the hours of a day."""
    unit, at, quantity = await unit_of(page), page.named("at"), page.asked("q")
    whole_day = day_of(at)
    start = whole_day or day_of(f"{at}-01")
    if start is None:
        return page.show("missing.html", status=404)
    end = start + timedelta(days=1) if whole_day else first_of(start, 1)
    resolution = "PT1H" if whole_day else "P1D"
    offered, wanted = await _offered(page, unit["id"]), POWER if quantity == POWER else None
    data = await page.api.get(f"/v1/units/{unit['id']}/consumption", resolution=resolution, quantity=wanted, **{"from": start, "to": end})
    series = _picked(data["series"], quantity)
    bars = [_bar(page, unit["id"], series, point, quantity, hours=whole_day is not None) for point in series["points"]] if series else []
    name, form = (page.words.day, "%Y-%m-%d") if whole_day else (page.words.month, "%Y-%m")
    before, after = (
        {"at": one.strftime(form), "name": name(one)} for one in ((start - timedelta(days=1)) if whole_day else first_of(start, -1), end)
    )
    ways = {"up": f"{start:%Y-%m}" if whole_day else "", "month": start, "before": before, "after": after if end <= today(unit) else None}
    heading = name(start)
    return await _drawn(
        page, unit, data, series, offered, Chart(_title(page, series), bars), level="day" if whole_day else "month", heading=heading, ways=ways
    )


async def download(page: Page) -> Response:
    """The months of a year as a file."""
    unit, year = page.named("unit"), page.asked("year")
    kind = FILES.get(page.named("kind"))
    if kind is None or not re.fullmatch(r"20\d\d", year):
        return page.show("missing.html", status=404)
    query = f"resolution=P1M&from={year}-01-01&to={int(year) + 1}-01-01"
    body = await page.api.raw("GET", f"/v1/units/{unit}/consumption", query, accept=kind.encode())
    headers = {"Content-Disposition": f'attachment; filename="{year}.{page.named("kind")}"'}
    return Response(body, media_type=kind, headers=headers)


async def _drawn(page: Page, unit: Any, data: Any, series: Any, offered: Mapping[str, str], chart: Chart, **more: Any) -> Response:
    values = {"legend": [], "heading": "", "ways": None, "chart": chart, "series": series, "offered": offered, "q": page.asked("q")} | more
    values["present"] = series and _name(series)
    return await page.within("history.html", unit=unit, data=data, **values)


async def unit_of(page: Page) -> Any:
    """The unit of the path among those that are visible; others are answered by the API as it answers all that is not there."""
    identity = page.named("unit")
    units = (await page.api.get("/v1/units"))["units"]
    return next((one for one in units if one["id"] == identity), None) or await page.api.get(f"/v1/units/{identity}/meters")


async def chosen(page: Page, units: Sequence[Any]) -> Any:
    """The flat that is asked for, else the one that was switched to, else the first."""
    me = await page.maybe("/v1/me")
    wanted = page.asked("unit") or (me and me["unit"])
    return next((one for one in units if one["id"] == wanted), units[0])


async def _months(page: Page, unit: str, start: date, end: date) -> Any:
    return await page.api.get(f"/v1/units/{unit}/consumption", resolution="P1M", **{"from": start, "to": end})


def first_of(day: date, months: int) -> date:
    """The first of a month so many months on."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)


def day_of(text: str) -> date | None:
    """A day as a query has it, None for anything else."""
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        return None


def _twelve(points: Sequence[Mapping[str, Any]], year: int) -> list[Mapping[str, Any] | None]:
    """The points of the twelve months of a year; none where the API answers none."""
    at = {point["end"][:7] if point["start"][8:10] != "01" else point["start"][:7]: point for point in points}
    return [at.get(f"{year}-{month:02d}") for month in range(1, 13)]


def _by_class(series: Sequence[Any]) -> list[list[Any]]:
    """Series of one quantity together, in the order of the answer."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for one in series:
        groups.setdefault((one["class"], one["quantity"]), []).append(one)
    return list(groups.values())


def _stacked(page: Page, unit: str, group: Sequence[Any]) -> dict[str, Any]:
    """Thirty days of one quantity, a piece of the bar for each meter."""
    first = group[0]
    bars = []
    for number, point in enumerate(first["points"]):
        parts = [one["points"][number] for one in group]
        moment = datetime.fromisoformat(point["start"])
        spoken = "; ".join(f"p{i}: {_said(page, first, part)}" for i, part in enumerate(parts, 1))
        bars.append(
            Bar(
                str(moment.day),
                f"{page.words.day(moment)}, {spoken}",
                [_part(part) for part in parts],
                _to(unit, f"{moment:%Y-%m-%d}", first["quantity"]),
            )
        )
    return {
        "first": first,
        "chart": Chart(_title(page, first), bars),
        "meters": [f"p{i} ({one['label'] or one['meter']})" for i, one in enumerate(group, 1)],
    }


def _bar(page: Page, unit: str, series: Any, point: Mapping[str, Any], quantity: str, *, hours: bool) -> Bar:
    moment = datetime.fromisoformat(point["start"])
    below = f"{moment.hour}" if hours else f"{moment.day}"
    when = f"{moment:%H:%M}" if hours else page.words.day(moment)
    return Bar(below, f"{when}: {_said(page, series, point)}", [_part(point)], None if hours else _to(unit, f"{moment:%Y-%m-%d}", quantity))


def _to(unit: str, at: str, quantity: str) -> str:
    return f"/units/{unit}/history/{at}" + (f"?q={quantity}" if quantity else "")


def _part(point: Mapping[str, Any] | None) -> Part:
    return Part(None) if point is None else Part(point["value"], point["quality"] == "estimated")


def _said(page: Page, series: Any, point: Mapping[str, Any] | None) -> str:
    """A value with its unit and how sure it is, as it is spoken."""
    if point is None or point["value"] is None:
        return page.words.text("not measured")
    said = f"{page.words.amount(point['value'], series['uom'])} {series['uom_label']}"
    return said if point["quality"] == "measured" else f"{said}, {page.words.text(point['quality'])}"


def _title(page: Page, series: Any) -> str:
    return "" if series is None else f"{page.words.text(_name(series))} [{series['uom_label']}]"


def _name(series: Any) -> str:
    """What a series is called: its class, but power is not the energy of the same meter."""
    return POWER if series["quantity"] == POWER else str(series["class"])


async def _offered(page: Page, unit: str) -> dict[str, str]:
    """What a history can be of, with its unit: the classes of the meters, and power where one tells it."""
    told = await page.api.get(f"/v1/units/{unit}/meters")
    registers = [(meter["class"], register) for meter in told["meters"] for register in meter["registers"]]
    power = [register["uom"] for _, register in registers if register["quantity"] == POWER]
    own = [(name, register["uom"]) for name, register in registers if register["quantity"] != POWER]
    units = {name: next((uom for of, uom in own if of == name), "") for name in told["classes"]}
    return units | ({POWER: power[0]} if power else {})


def _picked(series: Sequence[Any], quantity: str) -> Any:
    """The series that is asked for, else the first."""
    return next((one for one in series if one["class"] == quantity or one["quantity"] == quantity), series[0] if series else None)


PAGES: Final[tuple[Place, ...]] = (
    ("/home", ["GET"], home),
    ("/units", ["GET"], overview),
    ("/units/{unit}", ["GET"], flat),
    ("/units/{unit}/consumption", ["GET"], looked),
    ("/units/{unit}/file/{kind}", ["GET"], download),
    ("/units/{unit}/history", ["GET"], history),
    ("/units/{unit}/history/{at}", ["GET"], finer),
)
