"""Ways in: the first page, flows step by step, links of mails, log out (screens 1 to 7).

A flow's page has the fields that the API asks for, in its order; a field's kind (what the keyboard shows, what the browser fills in) follows from its name.
"""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from submeter.portal.ask import Refused
from submeter.portal.faults import said
from submeter.portal.page import LANGUAGE, Page, Place
from submeter.portal.screen import HIDDEN

__all__ = ["BACK", "PAGES"]

#: The page that asked for a fresh proof: its flow leads back there.
BACK: Final = "__Host-back"

#: Of each field: type, autocomplete, inputmode (HTML 4.10.18.7); fields not named are plain text.
FIELDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "name": ("text", "username", "text"),
    "password": ("password", "current-password", "text"),
    "new_password": ("password", "new-password", "text"),
    "new_password_again": ("password", "new-password", "text"),
    "email": ("email", "email", "email"),
    "phone": ("tel", "tel", "tel"),
    "code": ("text", "one-time-code", "text"),
    "first_name": ("text", "given-name", "text"),
    "last_name": ("text", "family-name", "text"),
    "agree": ("checkbox", "off", "text"),
    "accept": ("checkbox", "off", "text"),
}
#: Fields of a claim that are called like others elsewhere, but are printed and typed once.
PRINTED: Final = ("text", "off", "text")
TICKED: Final = frozenset({"agree", "accept"})


async def first(page: Page) -> Response:
    """Screen 1: log in; beside it the guest's form where the portal has one, and ways to register."""
    try:
        session = await page.api.get("/v1/session")
    except Refused:
        return page.show("first.html", forms=_ways_in(page), over=page.asked("over"), errors={}, typed={})
    return page.go("/operator" if session["operator"] else "/reading" if session["role"] == "submitter" else "/home")


def _ways_in(page: Page) -> list[dict[str, Any]]:
    """The forms of the first page."""
    flows = page.front["flows"]
    return [{"flow": name, **_shown(flows[name], flows[name]["do"])} for name in ("login", "guest") if name in flows]


def _shown(step: Mapping[str, Any], do: list[str]) -> dict[str, Any]:
    """A step with its fields as inputs."""
    claim = "claim" in do
    inputs = [
        {"name": name, "kind": PRINTED if claim and name in {"password", "code", "login"} else FIELDS.get(name, PRINTED)} for name in step["fields"]
    ]
    return {"by": [], **step, "inputs": inputs}


async def start(page: Page) -> Response:
    """The first page of a flow by its name; submitting it begins the flow."""
    name = page.named("flow")
    if name not in page.front["flows"]:
        return page.show("missing.html", status=404)
    shown = {"name": name, **_shown(page.front["flows"][name], page.front["flows"][name]["do"])}
    if page.request.method == "GET" and shown["fields"]:
        return page.show("begin.html", step=shown, errors={}, typed={})
    fields = await page.form() if page.request.method == "POST" else {}
    try:
        flow = await page.api.send("POST", f"/v1/flows/{name}", {"locale": page.words.locale})
        if shown["fields"]:
            flow = await page.api.send("POST", f"/v1/flows/{flow['id']}", _given(shown, fields))
    except Refused as refused:
        return _again(page, refused, "begin.html", shown, fields)
    return _onward(page, flow)


async def flow(page: Page) -> Response:
    """A page of a flow under way."""
    path = f"/v1/flows/{page.named('id')}"
    present = await page.api.get(path)
    if present["done"]:
        return _onward(page, present)
    step = {"id": present["id"], "name": present["name"], "index": present["index"], "total": present["total"]}
    step |= _shown(present["step"], present["step"]["do"])
    if page.request.method == "GET":
        return page.show("flow.html", step=step, errors={}, typed={}, ticket=None)
    fields = await page.form()
    try:
        return await _done(page, present, step, fields)
    except Refused as refused:
        return _again(page, refused, "flow.html", step, fields)


async def _done(page: Page, present: Mapping[str, Any], step: Mapping[str, Any], fields: dict[str, str]) -> Response:
    """What a button of a flow's page does; raises Refused."""
    path = f"/v1/flows/{present['id']}"
    match fields.pop("do", "on"):
        case "leave":
            await page.api.send("DELETE", path)
            return page.go("/")
        case "again" | "by totp" | "by phone" | "by email" as wish:
            await page.api.send("POST", f"{path}/resend", {} if wish == "again" else {"channel": wish.removeprefix("by ")})
            return page.go(f"/flow/{present['id']}")
        case "object":
            told = await page.api.send("POST", f"{path}/objection", {"text": fields.get("text", "")})
            return page.show("flow.html", step=step, errors={}, typed={}, ticket=told["ticket"])
        case "skip":
            fields = {}
    return _onward(page, await page.api.send("POST", path, _given(step, fields)))


def _given(step: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """What a form says, as the API reads it: boxes are true or not there."""
    return {name: True if name in TICKED else fields[name] for name in step["fields"] if fields.get(name)}


def _again(page: Page, refused: Refused, template: str, step: Mapping[str, Any], fields: Mapping[str, str]) -> Response:
    """The same page with what was wrong, and what was typed but secrets."""
    if refused.type not in {"not-accepted", "invalid"}:
        raise refused
    errors = {one["parameter"]: said(page.words, one["detail"]) for one in refused.problem.get("errors") or []}
    typed = {name: value for name, value in fields.items() if name not in HIDDEN}
    return page.show(template, status=422, step=step, errors=errors or {"": "That was not accepted"}, typed=typed, ticket=None)


def _onward(page: Page, flow: Mapping[str, Any]) -> Response:
    """Where a flow leads: its next page, or out of it."""
    if not flow["done"]:
        return page.go(f"/flow/{flow['id']}")
    ends = {"recover": "/?changed=1", "reauth": page.request.cookies.get(BACK, "/profile"), "add": "/places", "self_reading": "/reading"}
    answer = page.go(ends.get(flow["name"], "/"))
    if flow["name"] == "reauth":
        answer.delete_cookie(BACK, secure=True, httponly=True)
    return answer


async def confirm(page: Page) -> Response:
    """The link of a mail: nothing happens before the button is pressed (FLOWS 3, mail links)."""
    if page.request.method == "GET":
        return page.show("confirm.html", code=None)
    told = await page.api.send("POST", f"/v1/confirmations/{page.named('link')}")
    if "flow" not in told:
        return page.show("confirm.html", code=told["code"])
    return _onward(page, await page.api.send("POST", f"/v1/flows/{told['flow']}"))


async def leave(page: Page) -> Response:
    """Log out."""
    await page.api.send("DELETE", "/v1/session")
    return page.go("/")


async def speak(page: Page) -> Response:
    """Choose a language."""
    answer, chosen = page.go("/"), (await page.form()).get("to", "")
    if chosen in page.front["locales"]:
        answer.set_cookie(LANGUAGE, chosen, max_age=400 * 86_400, secure=True, httponly=True, samesite="lax")
    return answer


PAGES: Final[tuple[Place, ...]] = (
    ("/", ["GET"], first),
    ("/start/{flow}", ["GET", "POST"], start),
    ("/flow/{id}", ["GET", "POST"], flow),
    ("/confirm/{link}", ["GET", "POST"], confirm),
    ("/leave", ["POST"], leave),
    ("/language", ["POST"], speak),
)
