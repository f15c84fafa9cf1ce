"""Balance lines that the accounting system pushed, summed and never computed: charges, payments, penalties; and where to pay (portal FEATURES b, S12, Y15).

Rules: a line belongs to one occupancy, the next holder never sees it; sums are of whole minor units, per currency and kind; card data never come here: paying is a
link out, and what was paid comes back as a line, and as the event `payment.received`.
"""

from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field, TypeAdapter, ValidationError

from submeter import civil
from submeter.api.access import Access, SeenUnit, scoped
from submeter.api.documents import documents_of
from submeter.api.forms import Body
from submeter.api.mirror import Currency, Money, holder_of, minor, money
from submeter.api.payments import Payment, drawn, payment_string
from submeter.api.periods import instant_of
from submeter.api.problems import ForbiddenScope, Invalid, NotFound
from submeter.api.sign_in import FlowsHere
from submeter.store.balance import Kind, Line
from submeter.store.registry_types import EVER

__all__ = ["lines_of", "routes"]

_payment: Final = TypeAdapter[Any](Payment)


class Told(Body):
    """One line; `period` is a month or a date, `holder` a day of the occupancy that it concerns, needed only where the period does not say."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    unit: Annotated[str, Field(min_length=1, max_length=64)]
    account: Annotated[str, Field(max_length=64)]
    period: Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])(-[0-9]{2})?$")]
    service: Annotated[str, Field(max_length=100)]
    kind: Kind
    amount: Money
    currency: Currency
    holder: Annotated[str, Field(max_length=40)] | None = None


routes: Final = APIRouter(tags=["balance"])


@routes.post(
    "/v1/balance",
    tags=["operator"],
    openapi_extra={"requestBody": {"required": True, "content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
async def push(request: Request, access: Annotated[Access, scoped("balance:write", cost="w")]) -> dict[str, int]:
    """Lines as NDJSON, all or none; a line with an id that is there takes its place. Answers how many were added, changed, and known."""
    return await run_in_threadpool(_put, access, await request.body())


@routes.get("/v1/units/{unit}/balance")
async def balance(
    unit: str,
    access: Annotated[Access, scoped("balance:read", cost="r")],
    start: Annotated[str | None, Query(alias="from", description="local date or instant with offset, included; default: all")] = None,
    end: Annotated[str | None, Query(alias="to", description="local date or instant with offset, excluded; default: all")] = None,
) -> dict[str, Any]:
    """Lines of a unit whose periods begin in a range, and their sums by currency and kind."""
    seen = access.unit(unit)
    zone = seen.property.zone
    lower, upper = -EVER if start is None else instant_of("from", start, zone), EVER if end is None else instant_of("to", end, zone)
    if lower >= upper:
        raise Invalid("`to` must be later than `from`", "to")
    lines = _lines(access, seen, lower, upper)
    return {"unit": seen.unit.id, "lines": [_line(one) for one in lines], "sums": _sums(lines)}


@routes.get("/v1/units/{unit}/payment")
async def payment(unit: str, access: Annotated[Access, scoped("balance:read", cost="r")], flows: FlowsHere) -> dict[str, Any]:
    """What is due by the balance lines, the payment string of the newest document that has one, and the link to where it is paid."""
    seen = access.unit(unit)
    lines = _lines(access, seen, -EVER, EVER)
    due = {currency: one["due"] for currency, one in _sums(lines).items()}
    tenant = flows.operated(seen.property.manager)
    link = tenant.links.get("pay") if tenant else None
    currency = lines[-1].currency if lines else ""
    values = {"amount": due.get(currency, ""), "currency": currency, "unit": seen.unit.id, "account": lines[-1].account if lines else ""}
    filled = link.format_map({name: quote(value, safe="") for name, value in values.items()}) if link else None
    return {"unit": seen.unit.id, "due": due, "payment": _payment_of(access, seen), "link": filled}


def _put(access: Access, body: bytes) -> dict[str, int]:
    """Read and keep lines; raises Invalid with the number of the first one that is wrong."""
    units: dict[str, SeenUnit] = {}
    lines: dict[str, Line] = {}
    for number, text in enumerate(body.splitlines(), 1):
        if text.strip():
            one = _read(access, units, text, number)
            lines[one.id] = one
    with access.registry.writing():
        said = access.registry.balance.put(list(lines.values()))
        told = ", ".join(f"{count} {name}" for name, count in said.items())
        access.registry.record(access.principal.actor, "balance.put", access.principal.manager, told)
    return said


def _read(access: Access, units: dict[str, SeenUnit], text: bytes, number: int) -> Line:
    where = f"line {number}"
    try:
        one = Told.model_validate_json(text)
        first = date.fromisoformat(one.period if len(one.period) == len("2025-01-01") else f"{one.period}-01")
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise Invalid(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}".removeprefix(": "), where) from None
    except ValueError:
        raise Invalid("period: there is no such day", where) from None
    try:
        seen = units.get(one.unit) or units.setdefault(one.unit, access.unit(one.unit))
    except (NotFound, ForbiddenScope):
        raise Invalid("unit: there is no such unit", where) from None
    zone = seen.property.zone
    at = civil.midnight(zone, first)
    end = at + 1 if len(one.period) == len("2025-01-01") else civil.midnight(zone, civil.month_after(first))
    holder = holder_of(access.registry, seen, (at, end), one.holder, where)
    plain = one.model_dump(exclude={"amount", "holder"})
    return Line(manager=access.principal.manager, holder=holder, at=at, amount=minor(one.amount), **plain)


def lines_of(access: Access, seen: SeenUnit) -> list[dict[str, Any]]:
    """All lines of a visible unit that concern who asks, as they are told."""
    return [_line(one) for one in _lines(access, seen, -EVER, EVER)]


def _lines(access: Access, seen: SeenUnit, start: int, end: int) -> list[Line]:
    """The lines that concern who asks: of a person those of the own occupancy alone."""
    lines = access.registry.balance.of(seen.unit.id, start, end)
    return [one for one in lines if one.manager == seen.property.manager and (not seen.visible.role or one.holder == seen.visible.since)]


def _line(one: Line) -> dict[str, Any]:
    names = ("id", "account", "period", "service", "kind", "currency")
    return {name: getattr(one, name) for name in names} | {"amount": money(one.amount)}


def _sums(lines: list[Line]) -> dict[str, dict[str, str]]:
    """By currency: what was charged, paid and fined, and what is due of it."""
    sums: dict[str, dict[str, int]] = {}
    for one in lines:
        of_currency = sums.setdefault(one.currency, {"charge": 0, "payment": 0, "penalty": 0})
        of_currency[one.kind] += one.amount
    for each in sums.values():
        each["due"] = each["charge"] + each["penalty"] - each["payment"]
    return {currency: {kind: money(amount) for kind, amount in each.items()} for currency, each in sorted(sums.items())}


def _payment_of(access: Access, seen: SeenUnit) -> dict[str, Any] | None:
    """The payment string of the newest document with payment data."""
    one = next((one for one in documents_of(access, seen) if one.payment is not None), None)
    if one is None or one.payment is None or one.amount is None:
        return None
    data = _payment.validate_json(one.payment)
    string = payment_string(data, one.amount, one.currency, one.due)
    said = {"document": one.id, "scheme": data.scheme, "amount": money(one.amount), "currency": one.currency, "due": one.due}
    return said | {"string": string, "svg": drawn(data, string)}
