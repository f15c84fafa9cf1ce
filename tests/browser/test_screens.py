"""Every screen of who is signed in, residents and operators, in a real browser, in two languages (portal SCREENS 5)."""

from datetime import UTC, datetime
from functools import cache, partial

import pytest
from looking import LOOKS, SOME, excess, faults
from reader import activated, entered

from submeter.config.languages import LOCALES
from submeter.portal import letters, staff

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
    "/units/cz-a/limits",
    "/profile",
    *(f"/profile/{name}" for name in ("contacts", "password", "factors", "sessions", "tokens", "people", "readers", "consents", "notices", "data")),
    "/nowhere",
)


@pytest.fixture(scope="module")
def cookies(site):
    """Of who came in by the printed letter of INMES."""
    return activated(site.here, "cz-a", "jana@example.org").client


@pytest.fixture(scope="module")
def signed_in(site, browser):
    """A page of whose cookies these are, at a portal in a language: one for all screens, since browsers take longer to begin than to show."""

    @cache
    def made(client, locale, host="inmes", **told):
        context = browser.new_context(locale=locale, **told)
        context.add_cookies(site.cookies(client, host))
        return context.new_page()

    return made


@pytest.fixture(scope="module")
def resident(signed_in, cookies):
    """A page of who lives there; `host` may be the portal that speaks every language."""
    return partial(signed_in, cookies)


@pytest.mark.parametrize("path", SCREENS)
@pytest.mark.parametrize("locale", ["cs", "en"])
def test_a_screen_is_light_accessible_and_fits(site, resident, locale, path):
    """No fault of axe in light and dark (the second language in light alone), nothing beyond the window, targets of 24 px, little to load."""
    page = resident(locale)
    too_much = list(excess(page, site.address("inmes", path)))
    assert too_much == (["status 404"] if path == "/nowhere" else [])
    assert page.evaluate("document.documentElement.lang") == locale
    assert faults(page, LOOKS if locale == "cs" else SOME) == ""


@pytest.mark.parametrize("path", SCREENS)
def test_a_screen_needs_no_script(site, resident, path):
    """With script off each screen is whole: nothing beyond the window, targets of 24 px, no control that only a script would show."""
    page = resident("cs", java_script_enabled=False)
    assert list(excess(page, site.address("inmes", path))) == (["status 404"] if path == "/nowhere" else [])
    assert faults(page, []) == ""
    assert page.locator("button:visible[type=button]").count() == 0


@pytest.fixture(scope="module")
def operator(site):
    """Of who followed the operator's link."""
    return entered(site.here).client


@pytest.mark.parametrize("path", [*staff.SCREENS, *letters.SCREENS])
@pytest.mark.parametrize(("locale", "script"), [("cs", True), ("en", True), ("cs", False)])
def test_operators_screens_do_too(site, signed_in, operator, locale, script, path):
    """Screen 16: the same for each of its pages, with and without script."""
    page = signed_in(operator, locale, java_script_enabled=script)
    assert list(excess(page, site.address("inmes", path))) == []
    looks = LOOKS if locale == "cs" else SOME
    assert faults(page, looks if script else []) == ""


@pytest.mark.parametrize("locale", [one for one in LOCALES if one not in {"cs", "en"}])
@pytest.mark.parametrize("path", ["/home", "/units/cz-a", "/units/cz-a/papers"])
def test_other_languages_fit_too(site, resident, locale, path):
    """Longer words break no layout and no rule."""
    page = resident(locale, "every")
    assert list(excess(page, site.address("every", path))) == []
    assert page.evaluate("document.documentElement.lang") == locale
    assert faults(page, [LOOKS[1]]) == ""


def test_a_chart_is_walked_by_keyboard_or_skipped_by_one_link(site, resident):
    """Each bar is a link that is hit over its full height and shows its focus; one link before them leads behind them."""
    page = resident("cs")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(site.address("inmes", "/units/cz-a"))
    assert page.locator(".bell").count() == 1
    heights = page.evaluate(
        "() => [...document.querySelectorAll('.chart')].flatMap((chart) => [...chart.querySelectorAll('a .hit')]"
        ".map((one) => one.getBoundingClientRect().height - chart.querySelector('.area').clientHeight))"
    )
    assert len(heights) == 90
    assert max(map(abs, heights)) < 1
    page.locator(".chart .skip").first.focus()
    page.keyboard.press("Tab")
    bar = "document.activeElement.getAttribute('aria-label')"
    assert "m³" in page.evaluate(bar)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.locator(".chart .skip").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName + document.activeElement.parentElement.id") == "SUMMARYfigures-1"


def test_small_screens_open_at_the_latest_month_and_fold_the_menu(site, resident):
    """At 390 px the table shows the last known month and the menu is folded, at 1100 px its links stand in the head."""
    page = resident("cs")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(site.address("inmes", "/units/cz-a"))
    last = page.locator(".months tbody tr").first.locator("td[class]").last
    assert last.evaluate("one => one.getBoundingClientRect().right <= innerWidth")
    links = page.locator("header nav a")
    assert links.first.evaluate("one => one.checkVisibility({contentVisibilityAuto: true})") is False
    page.set_viewport_size({"width": 1100, "height": 844})
    assert links.first.evaluate("one => one.checkVisibility({contentVisibilityAuto: true})") is True
