"""What the first page offers to who has no account: links out, readings, payment, and who helps (FEATURES I5 S10 Y9 K8 K14)."""

from dataclasses import replace

import pytest
from portals import Here
from reader import reader_of

from submeter.portal import create_portal

LINKS = {
    "pay": "https://pay.example.org/?account={account}",
    "pay_without_account": "https://pay.example.org/",
    "manual": "https://example.org/manual.pdf",
    "video": "https://example.org/film",
    "home": "https://example.org/",
}
HELP = "+7 495 000-00-00, 8-20"


@pytest.fixture
def here(tmp_path):
    """Five portals, of which Inkomus has links out and somebody who helps."""
    made = Here(tmp_path)
    tenants = made.app.state.flows.tenants
    tenants["inkomus.localhost"] = replace(tenants["inkomus.localhost"], links=LINKS, help=HELP)
    made.app.mount("/", create_portal(made.app))
    yield made
    made.close()


def test_readings_and_payment_need_no_account(here):
    """K8 K14: two buttons on the first page, one leads to a form, the other one out; where a balance is paid stays inside."""
    reader = reader_of(here, "inkomus")
    reader.open("/")
    assert {"/start/self_reading", LINKS["pay_without_account"]} <= {href for href, _ in reader.page.links}
    assert "Оплатить онлайн" in reader.page.text
    assert "{account}" not in reader.body
    reader.open("/start/self_reading")
    assert reader.page.forms


def test_manuals_the_managers_site_and_help_are_told(here):
    """I5 S10 Y9: links that the portal names, and who helps, at the foot of every page."""
    reader = reader_of(here, "inkomus")
    for path in ("/", "/start/recover"):
        assert HELP in reader.open(path).text
    reader.open("/")
    assert {LINKS[name] for name in ("home", "manual", "video")} <= {href for href, _ in reader.page.links}


def test_a_portal_without_links_shows_none(here):
    """What is not configured is not offered."""
    reader = reader_of(here, "inmes")
    reader.open("/")
    assert "Bez účtu" not in reader.page.text
    assert not [href for href, _ in reader.page.links if href.startswith("https://")]
