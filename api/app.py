"""The read API: routes, each with its scope, over the registry and the published tables.

Handlers run inline on the event loop: a read takes a fraction of a millisecond, a hop through a thread pool would cost more (portal STACK 3). Files and
comparisons take longer and go through the pool.
Answers to tokens carry a strong ETag, the hash of version and parameters, and 304 where the client has it (portal API 8).
"""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from submeter import civil
from submeter.api import (
    access_log,
    accounts,
    alert_rules,
    announcements,
    audit,
    balance,
    bulk,
    claims,
    contacts,
    directory,
    documents,
    invitations,
    letters,
    manager_operations,
    messages,
    notifications,
    operator_accounts,
    operators,
    own,
    personal_tokens,
    privacy,
    problems,
    quality,
    readings,
    sign_in,
    statements,
    trace,
    unit_events,
    webhooks,
)
from submeter.api.access import Access, scoped
from submeter.api.access_log import ReadLog
from submeter.api.compare import Comparison, Question, building_series, compared, holder_of
from submeter.api.consumption import Shown, View, answer, shown_series
from submeter.api.description import describe
from submeter.api.files import CSV, JSON, XLSX
from submeter.api.flows import Flows, Tenant
from submeter.api.hardening import harden
from submeter.api.information import information_of
from submeter.api.labels import Statistic, check_rated, locale_of
from submeter.api.meters import meters_of
from submeter.api.negotiation import preferred, tags
from submeter.api.periods import Period, Resolution, period
from submeter.api.refusals import Refusals
from submeter.api.secrets import Secrets
from submeter.api.shown import Look, response
from submeter.config.languages import Locale
from submeter.rates import Rates
from submeter.store.published import Published
from submeter.store.registry import Registry

__all__ = ["SignIn", "create_app"]

#: What the accounting system pushes, shown to residents.
MIRROR: Final = (documents, announcements, balance, statements, messages)
#: Routes where residents have accounts, and those that need none.
PORTAL: Final = (
    sign_in,
    accounts,
    claims,
    letters,
    contacts,
    invitations,
    operator_accounts,
    operators,
    own,
    personal_tokens,
    access_log,
    privacy,
    *MIRROR,
)
ALWAYS: Final = (readings, unit_events, notifications, alert_rules, directory, manager_operations, quality, webhooks, audit)

Quantities = Annotated[list[str] | None, Query(description="register names, e.g. volume, energy, hca, power; default: each point's main register")]

Comparisons = Annotated[list[Comparison] | None, Query(description="the span before, a year earlier, the average flat, last year in this weather")]


@dataclass(frozen=True, slots=True)
class SignIn:
    """What accounts need: the installation's secrets, and the portals with their hosts."""

    secrets: Secrets
    tenants: Sequence[Tenant]


def create_app(
    registry: Registry,
    published: Published,
    version: str,
    clock: Callable[[], float] = time.time,
    portals: SignIn | None = None,
    rates: Rates | None = None,
) -> FastAPI:
    """The application over two open stores; `clock` gives Unix seconds, `portals` those where residents have accounts, `rates` how often one may ask (None: always)."""
    app = FastAPI(title="submeter", version=version, openapi_url="/v1/openapi.json", docs_url=None, redoc_url=None)
    app.state.registry, app.state.published, app.state.clock, app.state.rates = registry, published, clock, rates
    app.state.realm_of, app.state.readings_open = lambda _host: None, {}
    app.state.reads, refusals = ReadLog(registry), Refusals(registry, lambda: int(clock() * civil.SECOND))
    hosts = {one.host: one.manager for one in portals.tenants} if portals else {}
    app.state.manager_of = lambda host: hosts.get(host.partition(":")[0], "")
    problems.install(app, trace.refused)
    trace.install(app, refusals, app.state.manager_of)
    harden(app)
    describe(app)
    if portals is not None:
        app.state.flows = Flows(registry, portals.secrets, {one.host: one for one in portals.tenants}, lambda: int(clock() * civil.SECOND), refusals)
        app.state.realm_of = app.state.flows.realm_of
        app.state.readings_open = {one.manager: one.readings_open for one in portals.tenants}

    @app.get("/v1/units", tags=["read"])
    async def units(access: Annotated[Access, scoped("units:read", cost="c")]) -> dict[str, Any]:
        """Units that the token may see."""
        return {
            "units": [
                {
                    "id": seen.unit.id,
                    "label": seen.unit.label,
                    "entrance": seen.unit.entrance,
                    "property": seen.property.name,
                    "zone": seen.property.zone,
                }
                for seen in access.units()
            ]
        }

    @app.get("/v1/units/{unit}/meters", tags=["read"])
    async def meters(unit: str, access: Annotated[Access, scoped("units:read", cost="c")]) -> dict[str, Any]:
        """Metering points of a unit: device, last index, when last heard, exchanges."""
        seen = access.unit(unit)
        return meters_of(seen, registry, published, now=access.now)

    @app.get("/v1/units/{unit}/consumption", tags=["read"])
    async def consumption(
        request: Request,
        unit: str,
        access: Annotated[Access, scoped("consumption:read", cost="r")],
        start: Annotated[str, Query(alias="from", description="local date or instant with offset, included")],
        end: Annotated[str, Query(alias="to", description="local date or instant with offset, excluded")],
        *,
        resolution: Resolution = "P1D",
        quantity: Quantities = None,
        by: Literal["quantity", "meter"] = "quantity",
        include: Literal["index"] | None = None,
        as_of: Annotated[str, Query(description="latest, billed (what was on the bill), or a revision number")] = "latest",
        compare: Comparisons = None,
        statistic: Annotated[Statistic | None, Query(description="of counters sum, of gauges mean (default) or max")] = None,
        rated: Annotated[bool, Query(description="allocators: with their rating factors")] = True,
        locale: Annotated[Locale | None, Query(description="language of `uom_label`; default: Accept-Language, else en")] = None,
    ) -> Response:
        """Consumption, or a figure of a gauge, per bucket, with bounds, coverage, quality and flags; as JSON, CSV or XLSX by Accept."""
        seen = access.unit(unit)
        view = _view(as_of)
        asked = period(start, end, resolution, replace(seen.property, finest=seen.visible.finest), now=access.now, visible=seen.visible)
        shown = shown_series(published, seen.points(registry), quantity)
        check_rated(shown, rated=rated)
        holder = holder_of(registry, seen, asked, now=access.now)
        question = Question(seen, asked, shown, view, by == "meter", holder)
        look = Look(
            resolution,
            preferred(request.headers.get("Accept", ""), (JSON, CSV, XLSX)),
            locale_of(locale, request.headers.get("Accept-Language", "")),
            statistic,
            rated,
        )
        others = building_series(question, registry, published) if "building" in (compare or ()) else []
        tag = _etag(asked, [*shown, *others], f"{registry.version()} {request.url.query} {look} {holder and holder.since}")
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Language"}
        if tag in tags(request.headers.get("If-None-Match", "")):
            return Response(status_code=304, headers=headers)

        def whole() -> Response:
            body = answer(seen, asked, shown, published, view=view, by_meter=by == "meter", index=include == "index")
            told = {str(name): compared(name, question, body["series"], registry, published) for name in compare or ()}
            return response(body, told, look, request.url.query, headers)

        return await run_in_threadpool(whole) if compare or look.kind != JSON else whole()

    @app.get("/v1/units/{unit}/information/{month}", tags=["read"])
    async def information(
        unit: str,
        month: str,
        access: Annotated[Access, scoped("consumption:read", cost="r")],
        at: Annotated[str | None, Query(description="chooses the holder: a local date or instant; default: the end of the month")] = None,
        version: Annotated[int | None, Query(ge=1, description="an earlier version; default: the newest")] = None,
    ) -> dict[str, Any]:
        """Monthly information of a unit's holder: kWh with its method, earlier months of the same holder, an average flat, estimates explained."""
        seen = access.unit(unit)
        if seen.visible.quantities is not None:
            raise problems.NotFound
        return information_of(seen, registry, month, at, version)

    # Routes are tried in their order: what is read most stands first.
    for part in [*(PORTAL if portals else ()), *ALWAYS]:
        app.include_router(part.routes)
    bulk.install(app, published)
    return app


def _view(as_of: str) -> View:
    """Read `as_of`; raises Invalid."""
    if as_of in {"latest", "billed"}:
        return "latest" if as_of == "latest" else "billed"
    if re.fullmatch(r"[1-9][0-9]{0,4}", as_of):
        return int(as_of)
    raise problems.Invalid("write latest, billed, or a revision number from 1", "as_of")


def _etag(asked: Period, shown: list[Shown], query: str) -> str:
    """Changes with the version of any series in the answer and with the buckets that have begun."""
    state = (query, asked.start, asked.end, len(asked.edges), [(one.series.id, one.series.version) for one in shown])
    return f'"{hashlib.sha256(repr(state).encode()).hexdigest()[:32]}"'
