"""Every screen of who is signed in, in a real browser, in two languages (portal SCREENS 5)."""

import pytest
from looking import Traffic, faults
from reader import activated

#: Screens 8 to 15 by their addresses.
SCREENS = ("/home", "/units/cz-a", "/units/cz-a/history")


@pytest.fixture(scope="module")
def cookies(site):
    """Of who came in by the printed letter of INMES."""
    return site.cookies(activated(site.here, "cz-a", "jana@example.org").client, "inmes")


@pytest.fixture
def resident(site, person, cookies):
    """A page of who is signed in, in a language."""

    def made(locale):
        page = person(locale=locale)
        page.context.add_cookies(cookies)
        return page

    return made


@pytest.mark.parametrize("path", SCREENS)
@pytest.mark.parametrize("locale", ["cs", "en"])
def test_a_screen_is_light_accessible_and_fits(site, resident, locale, path):
    """No fault of axe in light and dark, nothing beyond the window, targets of 24 px, little to load."""
    page = resident(locale)
    assert list(Traffic(page).open(site.address("inmes", path))) == []
    assert page.evaluate("document.documentElement.lang") == locale
    assert "\n".join(faults(page)) == ""
