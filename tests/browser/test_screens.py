"""Every screen of who is signed in, in a real browser, in two languages (portal SCREENS 5)."""

from datetime import UTC, datetime

import pytest
from looking import LOOKS, SOME, Traffic, faults
from reader import activated

MONTH = f"{datetime.now(UTC):%Y-%m}"
#: Screens 8 to 15 by their addresses.
SCREENS = (
    "/home",
    "/units/cz-a",
    "/units/cz-a/history",
    f"/units/cz-a/history/{MONTH}",
    f"/units/cz-a/history/{MONTH}-01",
    "/places",
    "/units/cz-a/readings",
    "/units/cz-a/papers",
    "/profile",
    *(f"/profile/{name}" for name in ("contacts", "password", "factors", "sessions", "tokens", "people", "readers", "consents", "notices", "data")),
    "/nowhere",
)


@pytest.fixture(scope="module")
def cookies(site):
    """Of who came in by the printed letter of INMES."""
    return activated(site.here, "cz-a", "jana@example.org").client


@pytest.fixture
def resident(site, person, cookies):
    """A page of who is signed in, in a language; `host` may be the one that speaks six."""

    def made(locale, host="inmes", **told):
        page = person(locale=locale, **told)
        page.context.add_cookies(site.cookies(cookies, host))
        return page

    return made


@pytest.mark.parametrize("path", SCREENS)
@pytest.mark.parametrize("locale", ["cs", "en"])
def test_a_screen_is_light_accessible_and_fits(site, resident, locale, path):
    """No fault of axe in light and dark (the first language in all four looks), nothing beyond the window, targets of 24 px, little to load."""
    page = resident(locale)
    too_much = list(Traffic(page).open(site.address("inmes", path)))
    assert too_much == (["status 404"] if path == "/nowhere" else [])
    assert page.evaluate("document.documentElement.lang") == locale
    assert faults(page, LOOKS if locale == "cs" else SOME) == ""


@pytest.mark.parametrize("locale", ["sl", "nb", "ru", "de"])
@pytest.mark.parametrize("path", ["/home", "/units/cz-a", "/units/cz-a/papers"])
def test_other_languages_fit_too(site, resident, locale, path):
    """Longer words break no layout and no rule."""
    page = resident(locale, "six")
    assert list(Traffic(page).open(site.address("six", path))) == []
    assert page.evaluate("document.documentElement.lang") == locale
    assert faults(page, [LOOKS[1]]) == ""
