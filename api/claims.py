"""Routes of the operator's claims: made together, told once as JSON or as letters, listed, taken back (FLOWS 5, API 3).

Rules: secrets are made here, or given where they are printed already (a move from an older portal); a given one of fewer than 40 bits counts as knowledge: fewer
tries, a limited role until a letter confirms it. A whole batch is made, or none of it; the plain secret is in the one answer, and nowhere else.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.files import CSV, JSON
from submeter.api.flows import Flows
from submeter.api.flows.claim import hashes
from submeter.api.forms import Body
from submeter.api.letters import PDF, comma_letters, printed_letters
from submeter.api.negotiation import preferred
from submeter.api.problems import Invalid, NotFound
from submeter.api.secrets import normalised, word
from submeter.api.sign_in import FlowsHere, apart
from submeter.config.portals import Portal
from submeter.store.accounts import Claim, Evidence
from submeter.store.registry import new_id

__all__ = ["routes"]

#: How long a printed secret is: 12 letters, 60 bits; and a login.
PRINTED: Final = 12
LOGIN: Final = 8
#: A given secret of fewer bits counts as knowledge.
BITS: Final = 40
#: Claims of one request: as JSON, and as NDJSON.
MOST, MOST_LINES = 1000, 50_000
NDJSON: Final = "application/x-ndjson"
LIMITED: Final = "resident:limited"


class Wanted(Body):
    """A claim to be made: the fields of its kind (secrets that are left out are made here), the meter where it is for one, and which paper was seen."""

    unit: str
    kind: str
    fields: dict[str, Annotated[str, Field(max_length=256)]] = Field(default_factory=dict, max_length=8)
    meter: str | None = None
    evidence: Evidence | None = None


_ONE: Final = Wanted.model_json_schema()
_BODY: Final = {
    "required": True,
    "content": {
        JSON: {
            "schema": {
                "type": "object",
                "required": ["claims"],
                "additionalProperties": False,
                "properties": {"claims": {"type": "array", "minItems": 1, "maxItems": MOST, "items": _ONE}},
            }
        },
        NDJSON: {"schema": {"type": "string", "description": f"one claim a line, {MOST_LINES} at most"}},
    },
}

routes: Final = APIRouter(tags=["operator"])


@routes.post("/v1/claims", status_code=201, openapi_extra={"requestBody": _BODY})
async def make(
    request: Request,
    access: Annotated[Access, scoped("claims:write", cost="w")],
    flows: FlowsHere,
    letters: Annotated[Literal["pdf", "csv"] | None, Query(description="the batch as letters, else as Accept says")] = None,
) -> Response:
    """Make claims: what is to be printed is told this once, as JSON, CSV or letters in PDF."""
    wanted = list(_wanted(request.headers.get("content-type", ""), await request.body()))
    kind = {"pdf": PDF, "csv": CSV}.get(letters or "") or preferred(request.headers.get("Accept", ""), (JSON, CSV, PDF))
    return await apart(_made, access, flows, wanted, kind)


@routes.get("/v1/claims")
async def claims(access: Annotated[Access, scoped("claims:write", cost="r")], flows: FlowsHere) -> dict[str, Any]:
    """Claims, the newest first, without what proves them; and the kinds that the portal has, with their fields."""
    names = ("id", "kind", "unit", "created", "expires", "used", "withdrawn")
    found = access.registry.accounts.claims_of(access.principal.manager)[:1000]
    kinds = {name: one for name, one in flows.portal(access.principal.manager).claims.items() if name != "invitation"}
    return {
        "claims": [{name: getattr(one, name) for name in names} for one in found],
        "kinds": {name: {"fields": dict(one.fields), "letter": one.letter, "single_use": one.single_use} for name, one in sorted(kinds.items())},
    }


@routes.delete("/v1/claims/{identity}", status_code=204)
async def withdraw(identity: str, access: Annotated[Access, scoped("claims:write", cost="w")]) -> None:
    """Take a claim back."""
    if not access.registry.accounts.withdraw_claim(access.principal.manager, identity, access.now):
        raise NotFound
    access.registry.record(access.principal.actor, "claims.withdraw", identity)


def _wanted(kind: str, body: bytes) -> Iterator[Wanted]:
    """The claims of a body, JSON or NDJSON; raises Invalid with the place."""
    lines = kind.partition(";")[0].strip().lower() == NDJSON
    try:
        said = [json.loads(line) for line in body.splitlines() if line.strip()] if lines else json.loads(body)
    except (ValueError, RecursionError):
        raise Invalid("this is not JSON", "body") from None
    many = said if lines else said.get("claims") if isinstance(said, dict) and said.keys() == {"claims"} else None
    most = MOST_LINES if lines else MOST
    if not isinstance(many, list) or not 1 <= len(many) <= most:
        raise Invalid(f"write 1 to {most} claims", "claims")
    for number, one in enumerate(many):
        try:
            yield Wanted.model_validate(one, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            raise Invalid(first["msg"], "/".join(["claims", str(number), *map(str, first["loc"])])) from None


def _made(access: Access, flows: Flows, wanted: list[Wanted], kind: str) -> Response:
    """Make all claims in one transaction, and tell them."""
    portal, actor = flows.portal(access.principal.manager), access.principal.actor
    made = [_make(access, flows, portal, one, number) for number, one in enumerate(wanted)]
    with access.registry.writing():
        for one, (claim, _) in zip(wanted, made, strict=True):
            access.registry.accounts.add_claim(claim)
            if one.evidence:
                access.registry.record(actor, "claims.evidence", claim.id, one.evidence)
        access.registry.record(actor, "claims.create", access.principal.manager, f"{len(made)} claims")
    told = [body for _, body in made]
    headers = {"Cache-Control": "no-store"}
    if kind == JSON:
        return JSONResponse({"claims": told}, 201, headers)
    headers["Content-Disposition"] = f'attachment; filename="letters.{"csv" if kind == CSV else "pdf"}"'
    if kind == CSV:
        return Response(comma_letters(access, told), 201, headers, "text/csv; charset=utf-8")
    return Response(printed_letters(access, flows, told), 201, headers, PDF)


def _make(access: Access, flows: Flows, portal: Portal, wanted: Wanted, number: int) -> tuple[Claim, dict[str, Any]]:
    """One claim of a batch, for who lives there now, and what is told of it; raises Invalid with its place, NotFound for a unit that is not the manager's."""
    seen, kind, manager = access.unit(wanted.unit), portal.claims.get(wanted.kind), access.principal.manager
    where = f"claims/{number}"
    if kind is None or wanted.kind == "invitation":
        raise Invalid(f"this portal has {', '.join(sorted(set(portal.claims) - {'invitation'}))}", f"{where}/kind")
    if unknown := sorted(set(wanted.fields) - set(kind.fields)):
        raise Invalid(f"there is no such field: this kind has {', '.join(kind.fields)}", f"{where}/fields/{unknown[0]}")
    said = {name: value for name, value in wanted.fields.items() if normalised(value)}
    made = {name: word(PRINTED) for name, one in kind.fields.items() if one == "secret" and name not in said}
    given = {name: said.get(name) or (word(LOGIN) if name == "login" else "") for name in kind.fields if name not in made}
    if empty := sorted(name for name, value in given.items() if not value):
        raise Invalid("is missing", f"{where}/fields/{empty[0]}")
    short = any(one == "secret" and name in said and _bits(said[name]) < BITS for name, one in kind.fields.items())
    point = _point(access, seen, wanted, where) if kind.grant_role == "submitter" else None
    identifier, proof = hashes(flows.secrets, manager, wanted.kind, kind, given | made)
    holder = next((one.since for one in access.registry.occupancies_of(seen.unit.id) if one.holds(access.now)), None)
    expires = access.now + portal.policy.letter_days * civil.DAY if kind.single_use else None
    role, unit = LIMITED if short and kind.grant_role == "resident" else kind.grant_role, seen.unit.id
    claim = Claim(new_id("l_"), manager, wanted.kind, unit, holder, role, identifier, proof, access.now, expires, None, None, None, None, point=point)
    told: Mapping[str, Any] = {"id": claim.id, "unit": unit, "entrance": seen.unit.entrance, "kind": wanted.kind, "fields": given | made}
    return claim, {**told, "strength": "knowledge" if short else kind.strength, "expires": expires}


def _bits(secret: str) -> float:
    """How many bits a secret has at most, by its length and its sort of signs."""
    text = normalised(secret)
    return len(text) * math.log2(10 if text.isdecimal() else 26 if text.isalpha() else 36)


def _point(access: Access, seen: SeenUnit, wanted: Wanted, where: str) -> str:
    """The meter of a claim to send readings in: the one named, else the one whose number was given; raises Invalid."""
    number = normalised(wanted.fields.get("meter_no", ""))
    for point in access.registry.points_of(seen.unit.id):
        devices = {one.device for one in access.registry.assignments_of(point.id) if one.holds(access.now)}
        if point.id == wanted.meter or (wanted.meter is None and number and any(number in device.split("-") for device in devices)):
            return point.id
    raise Invalid("no meter of this unit: give the number of its device, or name its id in `meter`", f"{where}/meter")
