"""The letters of a demo: a claim for each unit, of the kind that its portal asks for, made by the operator's own route (`POST /v1/claims`).

The application is asked in this process, before anything listens.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final

from starlette.types import ASGIApp, Message

from submeter import __version__
from submeter.api import create_app
from submeter.demo.folder import Demo, Letter
from submeter.errors import SubmeterError
from submeter.service import sign_in
from submeter.simulate.building import Building, Flat
from submeter.simulate.world import COMPANIES, Company
from submeter.store import Published, Registry

__all__ = ["printed"]

MADE: Final = 201


def printed(demo: Demo) -> Iterator[Letter]:
    """Make the claims of all units, and tell what is printed of them."""
    with Registry(demo.config.data.folder / "registry.sqlite") as registry, Published(demo.config.data.folder / "published.sqlite") as published:
        app = create_app(registry, published, __version__, portals=sign_in(demo.config))
        for company in COMPANIES:
            building = demo.world.buildings[company.id]
            labels = {flat.id: flat.label for flat in building.flats}
            wanted = [one for number, flat in enumerate(building.flats, 1) for one in _claims(company, building, flat, number)]
            for told in _posted(app, demo.tokens[company.id], {"claims": wanted})["claims"]:
                yield Letter(company.portal, company.id, company.host, told["unit"], labels[told["unit"]], told["kind"], told["fields"])
        app.state.reads.close()


def _claims(company: Company, building: Building, flat: Flat, number: int) -> Iterator[dict[str, Any]]:
    """What is wanted for a flat: fields that its bill or contract has, secrets are made by the route."""
    account = f"{8_640_000_000 + 1000 * building.places[0].meter.use.seed % 10**6 + number}"
    match company.portal:
        case "inmes":
            yield {"unit": flat.id, "kind": "one_time_credentials"}
        case "iiportal":
            yield {"unit": flat.id, "kind": "bill", "fields": {"payer_id": account[-6:]}}
        case "impreso":
            yield {"unit": flat.id, "kind": "metering_point", "fields": {"facility_no": account[-6:], "metering_point_id": f"70705750{account}"}}
        case "infoyugra":
            yield {"unit": flat.id, "kind": "registration_code", "fields": {"account_no": account, "city": "Ханты-Мансийск"}}
        case "inkomus":
            yield {"unit": flat.id, "kind": "office_password", "fields": {"account_no": account}}
            place = next(place for place in building.places if place.flat == flat.id)
            meter = {"account_no": account, "meter_no": place.meter_at(2**62).device.id}
            yield {"unit": flat.id, "kind": "meter_number", "fields": meter, "meter": place.id}


def _posted(app: ASGIApp, token: str, body: dict[str, Any]) -> Any:
    """The answer of a route to a body; SubmeterError if it refuses."""
    sent = json.dumps(body).encode()
    headers = {"host": "localhost", "authorization": f"Bearer {token}", "content-type": "application/json", "content-length": str(len(sent))}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/v1/claims",
        "raw_path": b"/v1/claims", "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    heard: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Message) -> None:
        heard.append(message)

    async def ask() -> None:
        await app(scope, receive, send)

    asyncio.run(ask())
    answer = json.loads(b"".join(message.get("body", b"") for message in heard))
    if heard[0]["status"] != MADE:
        raise SubmeterError(f"the letters could not be made: {answer}")
    return answer
