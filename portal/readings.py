"""Readings: what a meter showed and when, and a form to send an index in, with or without an account (screen 13)."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from starlette.responses import Response

from submeter.portal.ask import Refused
from submeter.portal.page import Page, Place, today
from submeter.portal.reading import day_of, unit_of
from submeter.portal.screen import Fields, Screen, paged

__all__ = ["PAGES", "SCREENS"]

DAYS: Final = 31


async def readings(page: Page) -> Mapping[str, Any]:
    """One meter at a time: its history, and where it stands."""
    unit = await unit_of(page)
    meters = (await page.api.get(f"/v1/units/{unit['id']}/meters"))["meters"]
    meter = next((one for one in meters if one["id"] == page.asked("meter")), meters[0] if meters else None)
    until = day_of(page.asked("to")) or today(unit) + timedelta(days=1)
    since = day_of(page.asked("from")) or until - timedelta(days=DAYS)
    told = await _history(page, meter, since, until) if meter else None
    return {"unit": unit, "meters": meters, "meter": meter, "told": told, "since": since, "until": until}


async def _history(page: Page, meter: Mapping[str, Any], since: date, until: date) -> Any:
    told = await page.api.get(f"/v1/meters/{meter['id']}/readings", **{"from": since, "to": until})
    return {**told, "readings": told["readings"][::-1]}


async def send(page: Page, fields: Fields) -> Mapping[str, Any]:
    """Send an index in; the answer is a confirmation number."""
    unit = await unit_of(page)
    body = {"value": _number(fields.get("value", "")), "time": _instant(fields.get("time", ""), unit["zone"])}
    told: Mapping[str, Any] = await page.api.send("POST", f"/v1/meters/{fields.get('meter', '')}/readings", body)
    return told


async def alone(page: Page) -> Response:
    """Without an account: the form and nothing else, then the confirmation number and nothing else."""
    session = await page.api.get("/v1/session")
    if session["role"] != "submitter":
        return page.go("/home")
    if page.request.method == "GET":
        return page.show("alone.html", errors={}, typed={}, confirmation=None)
    fields = await page.form()
    try:
        told = await page.api.send("POST", f"/v1/meters/{session['meter']}/readings", {"value": _number(fields.get("value", ""))})
    except Refused as refused:
        if refused.type not in {"not-accepted", "invalid"}:
            raise
        return page.show("alone.html", status=422, errors={"value": WRONG}, typed=fields, confirmation=None)
    return page.show("alone.html", errors={}, typed={}, confirmation=told["confirmation"])


def _number(text: str) -> str:
    """An index as people write it, with a comma or a point."""
    return "".join(text.split()).replace(",", ".") or "-"


def _instant(text: str, zone: str) -> str | None:
    """A local date and time with its offset; None for now."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).isoformat() if text else None
    except ValueError:
        raise Refused(422, {"type": "invalid"}) from None


WRONG: Final = "This does not fit: look again at the meter, the decimals and the time. Readings may be taken on some days of the month only."
SCREENS: Final[Mapping[str, Screen]] = {"/units/{unit}/readings": Screen("readings.html", readings, {"send": send}, {"send": ("value", WRONG)})}
PAGES: Final[tuple[Place, ...]] = (
    *paged(SCREENS),
    ("/reading", ["GET", "POST"], alone),
)
