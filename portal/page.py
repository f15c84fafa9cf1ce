"""One page under way: who asks, in which language, and the template that is filled in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from submeter.api.labels import ALSO
from submeter.portal.ask import Api, Refused
from submeter.portal.words import Words, languages

__all__ = ["LANGUAGE", "Page", "Place", "Work", "language", "today"]

LANGUAGE: Final = "__Host-language"
#: Flats whose open events the head of a page counts.
COUNTED: Final = 5


@dataclass(frozen=True, slots=True)
class Page:
    """A request with what it needs; `front` is what the portal offers (`GET /v1/portal`)."""

    request: Request
    api: Api
    environment: Environment
    words: Words
    front: Mapping[str, Any]

    def show(self, template: str, status: int = 200, **values: Any) -> Response:
        """Fill a template in."""
        shared = {
            "front": self.front,
            "w": self.words,
            "_": self.words.text,
            "languages": languages(),
            "moment": datetime.fromisoformat,
            "signed": None,
            "staff": None,
            "data": None,
        }
        text = self.environment.get_template(template).render(**shared | values)
        return self.api.dress(HTMLResponse(text, status))

    async def within(self, template: str, status: int = 200, **values: Any) -> Response:
        """Fill a template in for who is signed in, with the count of notices in the head; UTC instants are shown in the zone of the first flat."""
        session = await self.api.get("/v1/session")
        if session["operator"]:
            return self._on_duty(template, status, session, values)
        units = (await self.api.get("/v1/units"))["units"]
        zone = ZoneInfo(units[0]["zone"] if units else "UTC")
        unread = notices = await self._count("/v1/announcements", "unread") if session["account"] else 0
        for one in units[:COUNTED] if session["account"] else ():
            notices += await self._count(f"/v1/units/{one['id']}/events", "open", state="open")
        shared = {"unit": None, "notices": notices, "unread": unread, "guest": session["account"] is None, "at": lambda told: _local(told, zone)}
        return self.show(template, status, signed=True, **shared | values)

    def _on_duty(self, template: str, status: int, session: Mapping[str, Any], values: Mapping[str, Any]) -> Response:
        """Fill a template in for an operator; UTC instants are shown in the zone of the manager's first property."""
        zone = ZoneInfo(session["zone"])
        shared: dict[str, Any] = {"unit": None, "notices": 0, "unread": 0, "guest": True, "at": lambda told: _local(told, zone)}
        return self.show(template, status, signed=True, staff=session, **shared | dict(values))

    async def _count(self, path: str, name: str, **query: Any) -> int:
        """A number that the API tells, 0 where who asks may not know it."""
        told = await self.maybe(path, **query)
        return (told and told[name]) or 0

    async def maybe(self, path: str, **query: Any) -> Any:
        """What the API tells, None where who asks may not know it."""
        try:
            return await self.api.get(path, **query)
        except Refused as refused:
            if refused.type != "forbidden-scope":
                raise
            return None

    @property
    def here(self) -> str:
        """The path of this page."""
        return self.request.url.path

    def go(self, path: str) -> Response:
        """Lead on to another page."""
        return self.api.dress(RedirectResponse(path, 303))

    def asked(self, name: str, default: str = "") -> str:
        """A value of the query."""
        return self.request.query_params.get(name, default)

    def named(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    async def form(self) -> dict[str, str]:
        """The fields of a form, the last one of each name."""
        body = (await self.request.body()).decode("utf-8", "replace")
        try:
            return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=1000))
        except ValueError:
            raise Refused(422, {"type": "invalid"}) from None


#: What answers for a page; and where: path, methods, work.
Work = Callable[[Page], Awaitable[Response]]
Place = tuple[str, list[str], Work]


def today(unit: Mapping[str, Any]) -> date:
    """The day that it is where a flat stands."""
    return datetime.now(ZoneInfo(unit["zone"])).date()


def _local(told: str | float, zone: ZoneInfo) -> datetime:
    """An instant of the API: seconds and texts in UTC in a zone, texts with another offset as they are."""
    at = datetime.fromisoformat(told) if isinstance(told, str) else datetime.fromtimestamp(told, UTC)
    return at.astimezone(zone) if at.tzinfo is UTC else at


def language(request: Request, offered: Sequence[str]) -> str:
    """The language of a page: chosen before, else the one that the browser likes best of those that the portal offers."""
    chosen = request.cookies.get(LANGUAGE, "")
    if chosen in offered:
        return chosen
    liked = [part.split(";")[0].strip().split("-")[0] for part in request.headers.get("accept-language", "").split(",")]
    liked = [ALSO.get(one, one) for one in liked]
    return next((one for one in liked if one in offered), offered[0])
