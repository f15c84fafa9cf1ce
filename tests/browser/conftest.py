"""A real browser and what it looks at."""

import time

import pytest
from flat import furnish
from playwright.sync_api import sync_playwright
from served import Site


@pytest.fixture(scope="package")
def site(tmp_path_factory):
    """Portals on a loopback port; the flat cz-a has three years of rows."""
    made = Site(tmp_path_factory.mktemp("site"))
    made.here.now = time.time()
    furnish(made.here)
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser(chromium):
    """A browser for the tests of a file: its event loop ends with them, other files have loops of their own."""
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def person(browser):
    """Makes somebody with a new browser: `person()` has a page; what it is told goes to the context."""
    contexts = []

    def made(**told):
        contexts.append(browser.new_context(**told))
        return contexts[-1].new_page()

    yield made
    for one in contexts:
        one.close()
