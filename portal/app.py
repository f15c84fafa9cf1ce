"""The portal as an application of its own, mounted behind the API's routes.

Strategy: a page is a function that asks the API and fills a template in; what the API refuses becomes a page here: who is not signed in sees the first page, what is
foreign or not there the same "not found", what is over a way to begin again. Every state has an address.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from submeter.portal import account, entry, factors, letters, papers, people, places, privacy, reading, readings, staff, tokens
from submeter.portal.ask import Api, Refused
from submeter.portal.page import Page, Work, language
from submeter.portal.words import words_of

__all__ = ["create_portal"]

PAGES = (
    *(*entry.PAGES, *reading.PAGES, *readings.PAGES, *papers.PAGES, *places.PAGES),
    *(*account.PAGES, *factors.PAGES, *tokens.PAGES, *people.PAGES, *privacy.PAGES),
    *(*staff.PAGES, *letters.PAGES),
)


def create_portal(api: ASGIApp) -> Starlette:
    """The portal in front of the application `api`, which holds the routes of the API."""
    environment = Environment(
        loader=PackageLoader("submeter.portal"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    fronts: dict[str, Mapping[str, Any]] = {}

    def page(work: Work) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            return await _answered(work, api, environment, request, fronts)

        return answered

    routes = [Route(path, page(work), methods=methods) for path, methods, work in PAGES]
    static = Mount("/static", StaticFiles(packages=[("submeter.portal", "static")]))
    return Starlette(routes=[*routes, static, Route("/{rest:path}", page(_nowhere), methods=["GET", "POST"])])


async def _answered(work: Work, api: ASGIApp, environment: Environment, request: Request, fronts: dict[str, Mapping[str, Any]]) -> Response:
    """A page, or what stands for it where the API refuses; what the portal of a host offers is asked once, and kept in `fronts`."""
    host = request.headers.get("host", "").partition(":")[0]
    try:
        front = fronts.get(host) or json.loads(await Api(api, request, "en").raw("GET", "/v1/portal", ""))
    except Refused:
        return HTMLResponse(environment.get_template("nowhere.html").render(), 404)
    fronts[host] = front
    words = words_of(language(request, front["locales"]))
    shown = Page(request, Api(api, request, words.locale), environment, words, front)
    try:
        return await work(shown)
    except Refused as refused:
        return await _refused(shown, refused)


async def _refused(page: Page, refused: Refused) -> Response:
    """What stands for a page that the API refuses."""
    match refused.type:
        case "unauthenticated":
            return page.api.dress(RedirectResponse("/?over=1" if "__Host-session" in page.request.cookies else "/", 303))
        case "reauth":
            answer = page.api.dress(RedirectResponse("/start/reauth", 303))
            answer.set_cookie(entry.BACK, page.here, max_age=900, secure=True, httponly=True, samesite="lax")
            return answer
        case "step-expired":
            return page.show("over.html", status=410)
        case "not-found":
            return page.show("missing.html", status=404)
        case "unavailable":
            return page.show("waiting.html", status=503)
        case _:
            return page.show("refused.html", status=refused.status, problem=refused.problem)


async def _nowhere(page: Page) -> Response:
    return page.show("missing.html", status=404)
