"""One page under way: who asks, in which language, and the template that is filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from submeter.portal.ask import Api
from submeter.portal.words import LOCALES, Words

__all__ = ["LANGUAGE", "Page", "language"]

LANGUAGE: Final = "__Host-language"


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
        shared = {"front": self.front, "w": self.words, "_": self.words.text, "languages": LOCALES, "moment": datetime.fromisoformat, "signed": None}
        text = self.environment.get_template(template).render(**shared | values)
        return self.api.dress(HTMLResponse(text, status))

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
        return dict(parse_qsl(body, keep_blank_values=True, max_num_fields=100))


def language(request: Request, offered: Sequence[str]) -> str:
    """The language of a page: chosen before, else the one that the browser likes best of those that the portal offers."""
    chosen = request.cookies.get(LANGUAGE, "")
    if chosen in offered:
        return chosen
    liked = [part.split(";")[0].strip().split("-")[0] for part in request.headers.get("accept-language", "").split(",")]
    liked = ["nb" if one in {"no", "nn"} else one for one in liked]
    return next((one for one in liked if one in offered), offered[0])
