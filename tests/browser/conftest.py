"""A real browser and what it looks at."""

import base64
import json
import time

import pytest
from flat import furnish
from playwright.sync_api import sync_playwright
from served import Site


@pytest.fixture(scope="package")
def site(tmp_path_factory):
    """Portals on a loopback port; the flat cz-a has three years of rows, a silent meter, a document, lines, an announcement."""
    made = Site(tmp_path_factory.mktemp("site"))
    made.here.now = time.time()
    furnish(made.here)
    _silent(made.here)
    _papers(made.here)
    yield made
    made.close()


def _silent(here):
    """The cold water meter is not heard any more."""
    at = int((here.now - 3 * 86_400) * 1e6)
    with here.registry.writing() as db:
        db.execute("INSERT INTO devices VALUES ('CZ-1-1-7', NULL, NULL, 0)")
        db.execute("INSERT INTO assignments VALUES ('p0', 'CZ-1-1-7', 1, NULL, NULL, NULL)")
    here.registry.events.raise_("silent", "device:CZ-1-1-7", at, now=at)


def _papers(here):
    """What accounting and the house committee sent."""
    service = here.service("cz", "documents:write", "balance:write", "announcements:write")
    pay = {"scheme": "spd", "iban": "CZ58 5500 0000 0012 6509 8001", "variable": "1234"}
    settled = {"kind": "settlement", "title": "Vyúčtování", "locale": "cs", "audience": {"unit": "cz-a"}, "amount": "480.55", "currency": "CZK"}
    settled |= {"pdf": base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode(), "period": {"from": "2025-06-01", "to": "2025-07-01"}, "payment": pay}
    line = {"unit": "cz-a", "account": "4711", "service": "teplo", "currency": "CZK"}
    lines = [
        line | {"id": "1", "period": "2025-06", "kind": "charge", "amount": "480.55"},
        line | {"id": "2", "period": "2025-07", "kind": "payment", "amount": "400.00"},
    ]
    told = {
        "audience": {},
        "texts": {"cs": {"title": "Voda nepoteče", "text": "V pátek ráno."}, "en": {"title": "No water", "text": "On Friday morning."}},
    }
    sent = [
        service.post("/v1/documents", json=settled),
        service.post("/v1/balance", content="\n".join(map(json.dumps, lines)), headers={"Content-Type": "application/x-ndjson"}),
        service.post("/v1/announcements", json=told),
    ]
    assert [one.status_code for one in sent] == [201, 200, 201]


@pytest.fixture(scope="module")
def browser(chromium):
    """A browser for the tests of a file: its event loop ends with them, other files have loops of their own."""
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
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
