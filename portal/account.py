"""The profile: who one is, addresses, password, and the ways to all else that is one's own (screen 15)."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from submeter.portal.ask import Refused
from submeter.portal.page import LANGUAGE, Page
from submeter.portal.screen import Fields, Screen, ended, paged

__all__ = ["PAGES", "SCREENS"]

USES: Final = ("auth", "recovery", "notify")


async def profile(page: Page) -> Mapping[str, Any]:
    """Name and language, and how much there is behind each link."""
    me, factors = await page.api.get("/v1/me"), await page.api.get("/v1/me/factors")
    counts = {
        "contacts": len(me["contacts"]),
        "factors": int(factors["totp"]) + factors["recovery_codes"],
        "sessions": len((await page.api.get("/v1/sessions"))["sessions"]),
        "tokens": len((await page.api.get("/v1/me/tokens"))["tokens"]),
        "people": len((await page.api.get("/v1/grants"))["given"]),
    }
    return {"me": me, "counts": counts}


async def describe(page: Page, fields: Fields) -> Response:
    """Another name, another language: that of messages and of pages."""
    locale = fields.get("locale", "")
    await page.api.send("PATCH", "/v1/me", {"name": fields.get("name", ""), "locale": locale})
    answer = page.go("/profile")
    answer.set_cookie(LANGUAGE, locale, max_age=400 * 86_400, secure=True, httponly=True, samesite="lax")
    return answer


async def contacts(page: Page) -> Mapping[str, Any]:
    """Own addresses, and the one that waits for its code."""
    return {**await page.api.get("/v1/me/contacts"), "uses": USES}


async def send_code(page: Page, fields: Fields) -> Mapping[str, Any]:
    """Send a code to a new address; the page then asks for it."""
    await page.api.send("POST", "/v1/me/contacts", _address(fields))
    return {"address": fields.get("address", ""), "use": fields.get("use", "")}


async def add_contact(page: Page, fields: Fields) -> None:
    """Add the address by the code that came to it."""
    await page.api.send("POST", "/v1/me/contacts", _address(fields) | {"code": fields.get("code", "").strip() or "-"})


def _address(fields: Fields) -> dict[str, str]:
    address = fields.get("address", "").strip()
    return {"channel": "email" if "@" in address else "phone", "address": address or "-", "use": fields.get("use", "auth")}


async def nothing(page: Page) -> Mapping[str, Any]:
    """A form alone, for who has an account."""
    await page.api.get("/v1/me")
    return {}


async def change_password(page: Page, fields: Fields) -> Mapping[str, Any]:
    """Another password, typed twice."""
    if fields.get("new_password") != fields.get("new_password_again"):
        raise Refused(422, {"type": "invalid"})
    await page.api.send("PUT", "/v1/me/password", {"present": fields.get("password", ""), "new": fields.get("new_password", "")})
    return {"changed": True}


SCREENS: Final[Mapping[str, Screen]] = {
    "/profile": Screen("profile.html", profile, {"describe": describe}, {"describe": ("name", "That was not accepted")}),
    "/profile/contacts": Screen(
        "contacts.html",
        contacts,
        {"send": send_code, "add": add_contact, "drop": ended("/v1/me/contacts")},
        {
            "send": ("address", "Look at the address again, or wait a minute before the next code."),
            "add": ("code", "The code is wrong or over."),
            "drop": ("", "Nobody could log in without this address: add another one first."),
        },
    ),
    "/profile/password": Screen(
        "password.html",
        nothing,
        {"change": change_password},
        {"change": ("new_password", "The present password is wrong, or the new one is too short, too common or not the same twice.")},
    ),
}
PAGES: Final = paged(SCREENS)
