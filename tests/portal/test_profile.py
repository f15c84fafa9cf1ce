"""The profile, as a person without script uses it: addresses, factors, sessions, tokens, people, consents, notices, copy and end (portal SCREENS 15)."""

import re
import time

import pytest
from portals import PASSWORD
from reader import activated, reader_of

from submeter.api.factors import totp

NEW = "another horse battery"


@pytest.fixture
def resident(here):
    """Who came in by the printed letter just now."""
    return activated(here, "cz-a", "jana@example.org")


def proved(here, reader, *passwords):
    """Prove who one is on the page that asks for it, and come back."""
    assert "/start/reauth" in reader.url or "/flow/" in reader.url
    reader.fill(password=(passwords or (PASSWORD,))[0])
    if "/flow/" in reader.url:
        reader.fill(code=here.code())


@pytest.mark.feature("N12", "I14")
def test_every_page_of_the_profile_is_reached_and_says_all(resident):
    """N12 I14 I22 K2: from the profile a link leads to each of its pages, none of them lacks a word; log out is there."""
    resident.open("/profile")
    links = [href for href, _ in resident.page.links if href.startswith("/profile/")]
    assert len(set(links)) == 10
    assert any(form.action == "/leave" for form in resident.page.forms)
    for link in links:
        resident.open(link)
        assert resident.status == 200, link
        assert not re.search(r"\b(use|scope|notice|channel|level|role|reader|field|document) [a-z_:]+\b", resident.page.text), link


def test_name_and_language(resident):
    """The name is kept, and the language is that of the pages too."""
    resident.open("/profile")
    resident.fill("describe", name="Jana <b>", locale="en")
    assert resident.page.lang == "en"
    assert resident.form("locale").fields["name"]["value"] == "Jana <b>"
    assert "<b>" not in resident.body.replace("<b>", "", 0).split("<main")[1].split("</form>")[0]


@pytest.mark.feature("K2")
def test_an_address_is_added_by_its_code_and_removed(here, resident):
    """K2 Y5: a phone for recovery is proven by the code that came to it; a wrong code is said; the last way in stays."""
    resident.open("/profile/contacts")
    resident.fill("send", address="777 123 456", use="recovery")
    resident.fill("add", address="777 123 456", code="000000")
    assert resident.status == 422
    assert ("#f-code", "") in resident.page.links
    resident.fill("add", code=here.code(), address="777123456")
    assert "+420777123456" in resident.page.text
    drops = [form.fields["id"]["value"] for form in resident.page.forms if "id" in form.fields]
    mail, phone = (
        next(one["id"] for one in resident.client.get("/v1/me").json()["contacts"] if one["channel"] == name) for name in ("email", "phone")
    )
    assert {mail, phone} == set(drops)
    resident.fill("drop", id=mail)
    assert resident.status == 422
    resident.fill("drop", id=phone)
    assert "+420777123456" not in resident.page.text


@pytest.mark.feature("I1")
def test_an_app_is_set_up_by_its_drawn_secret(here, resident):
    """I1: the secret is shown once with its QR code, without inline style; a code of it sets it up; recovery codes are shown once; both are given up."""
    import base64

    resident.open("/profile/factors")
    resident.fill("begin")
    secret = re.search(r"secret=([A-Z2-7]+)", resident.body).group(1)
    assert "<svg" in resident.body
    assert "style=" not in resident.body
    resident.fill("confirm", code="123")
    assert resident.status == 422
    resident.fill("confirm", code=totp(base64.b32decode(secret), int(here.now * 1e6) // 30_000_000))
    assert secret not in resident.body
    assert resident.client.get("/v1/me/factors").json()["totp"]
    resident.fill("recovery")
    codes = re.findall(r"<li>([A-Z2-9]{8})</li>", resident.body)
    assert len(codes) == 10
    assert codes[0] not in resident.open("/profile/factors").text
    entering = reader_of(here, "inmes")
    entering.open("/")
    entering.fill(name="jana@example.org", password=PASSWORD)
    assert "Jiný způsob: kód e-mailem" in entering.page.text
    entering.fill("by email")
    assert "j…@example.org" in entering.page.text
    assert "Jiný způsob: kód z ověřovací aplikace" in entering.page.text
    entering.fill("by totp")
    assert "Opište kód ze svého zařízení" in entering.page.text
    entering.fill("by email")
    assert entering.status == 422
    here.now += 61
    entering.fill("by email")
    entering.fill(code=here.code())
    assert entering.url.endswith("/home")
    resident.fill("drop", kind="totp")
    assert not resident.client.get("/v1/me/factors").json()["totp"]


def test_who_proved_long_ago_proves_again_and_comes_back(here, resident):
    """FLOWS 8: after five minutes a change leads to the proof, and that back to the page."""
    here.now += 600
    resident.open("/profile/factors")
    resident.fill("begin")
    proved(here, resident)
    assert resident.url.endswith("/profile/factors")
    resident.fill("begin")
    assert "<svg" in resident.body


@pytest.mark.feature("I22")
def test_another_password(here, resident):
    """I22: the present one is asked for, the new one twice; the old one opens nothing more."""
    resident.open("/profile/password")
    resident.fill("change", password=PASSWORD, new_password=NEW, new_password_again="not the same")
    assert resident.status == 422
    assert NEW not in resident.body
    resident.fill("change", password=PASSWORD, new_password=NEW, new_password_again=NEW)
    assert (resident.status, 'role="status"' in resident.body) == (200, True)
    other = reader_of(here, "inmes")
    other.open("/")
    other.fill(name="jana@example.org", password=PASSWORD)
    other.fill(code="000000") if other.status == 200 else None
    assert not other.url.endswith("/home")


def test_sessions_are_listed_and_ended(here, resident):
    """I14: another browser is in the list, and out when it is ended."""
    other = reader_of(here, "inmes")
    other.open("/")
    other.fill(name="jana@example.org", password=PASSWORD)
    other.fill(code=here.code())
    assert other.url.endswith("/home")
    resident.open("/profile/sessions")
    ends = [form for form in resident.page.forms if "id" in form.fields]
    assert len(ends) == 1
    resident.fill("others")
    assert not other.open("/home").text.startswith("x")
    assert not other.url.endswith("/home")
    assert resident.open("/profile").text


def test_a_token_is_shown_once_and_reads(here, resident):
    """A token reads what was ticked, is not shown again, and ends."""
    resident.open("/profile/tokens")
    resident.fill("make", label="home")
    secret = re.search(r"sm_\w+", resident.page.text).group(0)
    program = reader_of(here, "inmes").client
    assert program.get("/v1/units", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    assert secret not in resident.open("/profile/tokens").text
    identity = resident.client.get("/v1/me/tokens").json()["tokens"][0]["id"]
    resident.fill("end", id=identity)
    assert program.get("/v1/units", headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    resident.fill("make", label="x", days="0")
    assert resident.status == 422


@pytest.mark.feature("S6")
def test_somebody_is_invited_reads_and_is_sent_away(here, resident):
    """S6: a code is shown once; who took it is in the list with the end of the access, is told of in the log, and sees nothing once it is taken back."""
    resident.open("/profile/people")
    day = time.strftime("%Y-%m-%d", time.gmtime(here.now + 10 * 86_400))
    resident.fill("invite", unit="cz-a", role="third_party", until=day, **{"class/cold_water": "on"})
    code = re.search(r"\b[A-Z2-9]{12}\b", resident.page.text).group(0)
    assert code not in resident.open("/profile/people").text
    other = reader_of(here, "inmes")
    other.open("/start/accept")
    other.fill(code=code)
    other.fill(email="petr@example.org")
    link = here.link()
    other.open(link)
    other._seen(other.client.post(link, content=b""))
    other.fill(accept="on", new_password=NEW, new_password_again=NEW) if "new_password" in other.page.forms[0].fields else other.fill(accept="on")
    if not other.url.endswith("/home"):
        other.fill(new_password=NEW, new_password_again=NEW)
    assert "Flat a" in other.page.text
    assert [name for name in ("Teplá voda",) if name in other.page.text] == []
    resident.open("/profile/readers")
    assert "třetí strana" in resident.page.text
    resident.open("/profile/people")
    assert "třetí strana" in resident.page.text
    grant = resident.client.get("/v1/grants").json()["given"][0]["id"]
    resident.fill("revoke", id=grant)
    assert "Flat a" not in other.open("/home").text


@pytest.mark.feature("I7", "Y12")
def test_consents_and_notices(resident):
    """I7 Y12: a consent is taken back and given again; boxes say what is told by which channel."""
    resident.open("/profile/consents")
    resident.fill("back", id=resident.client.get("/v1/me/consents").json()["consents"][0]["id"])
    resident.fill("accept", doc="privacy")
    held = resident.client.get("/v1/me/consents").json()["consents"]
    assert sorted(one["withdrawn"] is None for one in held) == [False, True]
    resident.open("/profile/notices")
    resident.fill("choose", **{"leak/email": "on"})
    assert resident.client.get("/v1/me/notifications").json()["notifications"]["leak"] == ["email"]
    assert "checked" in resident.form("leak/email").fields["leak/email"]
    assert "disabled" in resident.form("leak/email").fields["leak/sms"]


def test_a_copy_and_the_end_of_the_account(resident):
    """A copy is asked for and fetched as a zip; erasing needs its box, and is taken back."""
    resident.open("/profile/data")
    resident.fill("copy")
    link = next(href for href, _ in resident.page.links if href.startswith("/export/"))
    for _ in range(1200):
        if resident.client.get(link).content[:2] == b"PK":
            break
        time.sleep(0.05)
    assert resident.client.get(link).content[:2] == b"PK"
    resident.open("/profile/data")
    resident.fill("erase")
    assert resident.status == 422
    resident.fill("erase", sure="on")
    assert resident.status == 200
    resident.fill("stay")
    assert resident.status == 200
    resident.fill("stay")
    assert resident.status == 422


def test_a_guest_has_no_profile(here):
    """Who has no account is refused, and sees no link to it."""
    here.claim("metering_point", "no-a", facility_no="123", metering_point_id="707")
    reader = reader_of(here, "impreso")
    reader.open("/")
    reader.fill(facility_no="123", metering_point_id="707", phone="+4791234567", accept="on")
    reader.fill(code=here.code())
    assert "/profile" not in {href for href, _ in reader.page.links}
    assert reader.open("/profile") is not None
    assert reader.status == 403
