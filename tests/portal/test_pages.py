"""Pages of the portal, as a person without script uses them: ways in, what is read, what is refused (portal SCREENS 1 to 12)."""

import pytest
from portals import Here
from reader import Reader

from submeter.portal import create_portal

PASSWORD = "correct horse battery"


@pytest.fixture
def here(tmp_path):
    """Five portals with their pages."""
    made = Here(tmp_path)
    made.app.mount("/", create_portal(made.app))
    yield made
    made.close()


def activated(here):
    """A resident who came in by the printed letter of INMES."""
    printed = here.claim("one_time_credentials", "cz-a")
    reader = Reader(here.browser("inmes").client)
    reader.open("/")
    reader.open("/start/activate")
    reader.fill(**printed)
    reader.fill(agree="on", accept="on")
    reader.fill(email="jana@example.org")
    reader.fill(code=here.mail().values["secret"])
    reader.fill("skip")
    reader.fill(new_password=PASSWORD, new_password_again=PASSWORD)
    return reader


def test_a_letter_leads_to_the_dashboard(here):
    """I2 I6 I7 I8 I9 I10 I11: from the printed credentials, page by page, to the own flat."""
    reader = activated(here)
    assert reader.url.endswith("/home"), reader.page.text
    assert "Flat a" in reader.page.text
