"""The ways in, walked by real forms of a real browser, with and without script (portal SCREENS 1 to 7)."""

import pytest
from looking import LOOKS, excess, faults
from portals import HOSTS, PASSWORD


def send(page, press="on", **fields):
    """Fill in the form that has these fields, and press its button."""
    form = page.locator("form").filter(has=page.locator(f"[name={next(iter(fields))}]")) if fields else page.locator(f"form:has([value={press}])")
    for name, value in fields.items():
        field = form.locator(f"[name={name}]")
        field.check() if value is True else field.fill(value)
    with page.expect_navigation():
        (form.locator("button.main") if press == "on" else form.locator(f"button[value={press}]")).click()


def confirmed(site, page, portal):
    """Open the link of the last mail in the same browser, and press its button."""
    link = site.here.mail("confirm_link").values["link"].partition(".localhost")[2]
    page.goto(site.address(portal, link))
    with page.expect_navigation():
        page.locator("main form button").click()


@pytest.mark.parametrize(("locale", "unit", "script"), [("cs", "cz-b", True), ("en", "cz-c", False)])
def test_inmes_from_the_letter_to_the_chart_and_in_again(site, person, locale, unit, script):
    """Six steps, each a page without a fault; log out; mail, password and code; months and a day: with script, and without."""
    page, looks, here = person(locale=locale, java_script_enabled=script), LOOKS if script else [], site.here
    page.goto(site.address("inmes", "/start/activate"))
    send(page, **here.claim("one_time_credentials", unit))
    steps = [
        lambda: {"agree": True, "accept": True},
        lambda: {"email": f"{locale}@example.org"},
        lambda: {"code": here.mail("activation_password").values["secret"]},
        lambda: {"phone": "777123456" if script else "777123457"},
        lambda: {"code": here.mail("code").values["code"]},
        lambda: {"new_password": PASSWORD, "new_password_again": PASSWORD},
    ]
    for typed in steps:
        assert page.locator("[aria-current=step]").count() == 1
        assert faults(page, looks) == ""
        send(page, **typed())
    assert page.url == site.address("inmes", "/home")
    with page.expect_navigation():
        page.locator("header form button").click()
    send(page, name=f"{locale}@example.org", password=PASSWORD)
    here.now += 61
    send(page, "again")
    assert faults(page, looks) == ""
    send(page, code=here.mail("code").values["code"])
    assert page.locator("h1").inner_text() == f"Flat {unit[-1]}"
    with page.expect_navigation():
        page.locator(f"main a[href='/units/{unit}/history']").click()
    assert page.url == site.address("inmes", f"/units/{unit}/history")


def test_a_guest_of_impreso_without_script(site, person):
    """Three fields and a box beside the log in; the code; a guest's dashboard, where an account may be made."""
    page = person(locale="nb", java_script_enabled=False)
    site.here.claim("metering_point", "no-a", facility_no="123", metering_point_id="707")
    page.goto(site.address("impreso"))
    send(page, facility_no="123", metering_point_id="707", phone="41234567", accept=True)
    send(page, code=site.here.mail("code").values["code"])
    assert page.locator(".banner a[href='/start/upgrade']").count() == 1
    assert faults(page, []) == ""


def test_one_form_and_a_link_at_iiportal(site, person):
    """Seven fields on a page, a wrong one told with a link to it; the link of the mail leads in."""
    page = person(locale="sl")
    printed = site.here.claim("bill", "si-a", payer_id="4711")
    page.goto(site.address("iiportal", "/start/activate"))
    form = {"first_name": "Ana", "last_name": "Novak", "email": "ana@example.org", **printed, "new_password": PASSWORD}
    send(page, **form, new_password_again="not the same")
    assert page.locator(".errors a[href='#f-new_password_again'], .errors a[href='#f-new_password']").count() == 1
    assert page.locator("[name=email]").input_value() == "ana@example.org"
    assert faults(page, LOOKS) == ""
    send(page, **form, new_password_again=PASSWORD)
    confirmed(site, page, "iiportal")
    assert page.url == site.address("iiportal", "/home")


@pytest.mark.parametrize("portal", HOSTS)
def test_first_pages_and_forms_of_each_portal(site, person, portal):
    """The first page in all looks and its weight, and the form of each way that it leads to."""
    page = person(locale="en")
    assert list(excess(page, site.address(portal))) == []
    assert faults(page, LOOKS) == ""
    ways = page.locator("main a[href^='/start/']").evaluate_all("all => all.map((one) => one.getAttribute('href'))")
    for way in ways:
        assert list(excess(page, site.address(portal, way))) == []
        assert faults(page, [LOOKS[1]]) == "", way


def test_script_shows_a_password_and_counts_down(site, person):
    """What the script adds: a button that shows what is typed; seconds that run."""
    page = person(locale="cs")
    page.goto(site.address("inmes"))
    assert page.locator("#f-password").get_attribute("type") == "password"
    page.locator("[data-show=f-password]").click()
    assert page.locator("#f-password").get_attribute("type") == "text"
