"""What the seed portals show that no other test names: ways in, mails, places, power, links (portal FEATURES a and b)."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from flat import furnish, substation
from portals import DIRECTORY, PASSWORD, Here
from reader import activated, reader_of

from submeter.config.texts import written
from submeter.portal import create_portal
from submeter.store.directory import import_directory

LINKS = {
    "inmes": {
        "manual": "https://inmes.example/manual.pdf",
        "video": "https://inmes.example/video",
        "home": "https://inmes.example/",
        "phone": "tel:+420222333444",
        "mail": "mailto:help@inmes.example",
    },
    "inkomus": {"pay_open": "https://pay.example/"},
}
DEMO = (
    '[[manager]]\nid = "show"\nname = "Show"\n[[property]]\nid = "s1"\nmanager = "show"\nname = "Show house"\nzone = "UTC"\n'
    '[[unit]]\nid = "show-a"\nproperty = "s1"\nlabel = "Show flat"\n'
)


@pytest.fixture
def here(tmp_path):
    """Five portals with links and pages; cz-c is behind another entrance; inmes has a demo."""
    made = Here(tmp_path)
    (tmp_path / "show.toml").write_text(DIRECTORY + DEMO)
    import_directory(made.registry, tmp_path / "show.toml")
    with made.registry.writing() as db:
        db.execute("UPDATE units SET entrance = CASE id WHEN 'cz-c' THEN 'B' ELSE 'A' END WHERE id LIKE 'cz-%'")
    flows = made.app.state.flows
    flows.tenants = {
        host: replace(one, links={**one.links, **LINKS.get(one.portal.name, {})}, demo="show" if one.portal.name == "inmes" else "")
        for host, one in flows.tenants.items()
    }
    made.app.mount("/", create_portal(made.app))
    yield made
    made.close()


def hrefs(reader):
    """Where the links of a page lead."""
    return [href for href, _ in reader.page.links]


def begun(here, unit="cz-a", mail="jana@example.org"):
    """Who typed the letter's pair, agreed, and gave an address."""
    reader = reader_of(here, "inmes")
    reader.open("/start/activate")
    reader.fill(**here.claim("one_time_credentials", unit))
    reader.fill(agree="on", accept="on")
    reader.fill(email=mail)
    return reader


@pytest.mark.feature("I3", "I4", "I5")
def test_the_first_page_of_inmes(here):
    """One field for the name, the password unseen with its button, forgotten password, demo, manuals and the firm's site."""
    reader = reader_of(here, "inmes")
    reader.open("/")
    form = reader.form("name", "password")
    assert (list(form.fields), form.fields["password"]["type"]) == (["name", "password"], "password")
    assert 'data-show="f-password"' in reader.body
    assert {"/start/recover", "/start/activate", "/start/demo"} <= set(hrefs(reader))
    assert {LINKS["inmes"][name] for name in ("manual", "video", "home")} <= set(hrefs(reader))
    reader.open("/start/demo")
    assert (reader.url.endswith("/home"), "Show flat" in reader.page.text) == (True, True)


@pytest.mark.feature("I6")
def test_who_does_not_agree_writes_and_may_still_go_on(here):
    """The review shows property, entrance and flat; a message to the operator has a number, and uses up nothing."""
    reader = reader_of(here, "inmes")
    reader.open("/start/activate")
    reader.fill(**here.claim("one_time_credentials", "cz-a"))
    assert [one in reader.page.text for one in ("Main street 5", "Flat a", "1 z 6")] == [True, True, True]
    reader.fill("object", text="To není můj byt")
    assert here.mail("message_to_operator").values["ticket"] in reader.page.text
    reader.fill(agree="on", accept="on")
    assert "email" in reader.form("email").fields


@pytest.mark.feature("I7")
def test_a_consent_is_kept_with_document_version_language_and_time(here):
    """Its box is not ticked by itself, and without it nothing goes on."""
    reader = reader_of(here, "inmes")
    reader.open("/start/activate")
    reader.fill(**here.claim("one_time_credentials", "cz-a"))
    assert "checked" not in reader.form("accept").fields["accept"]
    reader.fill(agree="on")
    assert reader.status == 422
    account = activated(here, "cz-b", "eva@example.org").client.get("/v1/me").json()["id"]
    (kept,) = here.registry.accounts.consents(account)
    assert (kept["doc"], kept["version"], kept["at"]) == ("privacy", "1", int(here.now * 1e6))


@pytest.mark.feature("I10", "I21")
def test_a_password_by_mail_for_two_hours(here):
    """Eight signs, the masked address, two hours, the folder of unwanted mail; after a minute another one comes."""
    reader = begun(here)
    first = here.mail("activation_password").values["secret"]
    assert len(first) == 8
    assert first not in reader.body
    assert ("j…@example.org" in reader.page.text, "120 minut" in reader.page.text) == (True, True)
    assert "Spam" in reader.page.text
    here.now += 61
    reader.fill("again")
    assert here.sent("activation_password") == 2
    assert here.mail("activation_password").values["secret"] != first


@pytest.mark.feature("I13")
def test_the_temporary_password_ends_and_the_own_one_is_typed_twice(here):
    """The mail says how long; a second before it is taken, then not any more; two that differ are refused."""
    late = begun(here, "cz-b", "eva@example.org")
    secret = here.mail("activation_password").values
    assert secret["minutes"] == "120"
    reader = begun(here)
    own = here.mail("activation_password").values["secret"]
    here.now += 7199
    reader.fill(code=own)
    reader.fill("skip")
    assert list(reader.form("new_password").fields) == ["new_password", "new_password_again"]
    reader.fill(new_password=PASSWORD, new_password_again="something else")
    assert reader.status == 422
    here.now += 1
    late.fill(code=secret["secret"])
    assert "new_password" not in late.body
    assert late.status in {410, 422}


@pytest.mark.feature("I16", "N8")
def test_two_places_from_the_overview_and_from_the_list(here):
    """Property, entrance, flat; of the list the present place has no button, the other is switched to by one, and stays."""
    furnish(here)
    reader = activated(here, "cz-a", "jana@example.org")
    reader.open("/units")
    assert reader.url.endswith("/units/cz-a")
    body = {"channel": "email", "address": "jana@example.org", "unit": "cz-c", "role": "resident", "evidence": "lease"}
    given = here.service("cz", "accounts:write").post("/v1/grants", json=body)
    assert given.status_code == 201, given.text
    reader.open("/units")
    assert re.findall(r"<h[23]>(.*?)</h[23]>", reader.body) == ["Main street 5", "Vchod A", "Vchod B"]
    assert {"/units/cz-a", "/units/cz-c"} <= set(hrefs(reader))
    reader.open("/places")
    assert re.findall(r'name="unit" value="([^"]+)"', reader.body) == ["cz-c"]
    reader.fill("switch", unit="cz-c")
    assert re.search(r"<h1>(.*?)</h1>", reader.body).group(1) == "Flat c"
    reader.open("/places")
    assert re.findall(r'name="unit" value="([^"]+)"', reader.body) == ["cz-a"]


@pytest.mark.feature("I23")
def test_the_mail_of_a_new_account(here):
    """Subject, address of the portal, login, password, how long it holds, that nobody reads answers."""
    begun(here)
    mail = here.mail("activation_password")
    text = written("activation_password", "cs", mail.values, "INMES")
    assert text.subject == "[INMES] Zřízení účtu"
    said = ("https://inmes.localhost", "jana@example.org", mail.values["secret"], "120 min", "neodpovídejte")
    assert [one for one in said if one not in text.body] == []


@pytest.mark.feature("S2")
def test_the_printed_pair_is_no_login(here):
    """Typed into the login it gets the answer of any wrong one."""
    printed = here.claim("one_time_credentials", "cz-a")
    bodies = []
    for name, password in ((printed["login"], printed["password"]), ("nobody@example.org", "something wrong")):
        reader = reader_of(here, "inmes")
        reader.open("/")
        reader.fill(name=name, password=password)
        bodies.append((reader.status, re.sub(r'value="[^"]*"', "", reader.body)))
    assert bodies[0] == bodies[1]
    assert bodies[0][0] == 422


@pytest.mark.feature("S4")
def test_the_host_says_whose_portal_it_is(here):
    """A claim of one manager is known at its own host alone."""
    printed = here.claim("bill", "si2-a", payer_id="P-9")
    form = {"first_name": "Ana", "last_name": "Novak", "email": "ana@example.org", "new_password": PASSWORD, "new_password_again": PASSWORD}
    for host, status in (("iiportal", 422), ("second", 200)):
        reader = reader_of(here, host)
        reader.open("/start/activate")
        assert "manager" not in reader.form("payer_id").fields
        reader.fill(**form, **printed)
        assert reader.status == status, host


@pytest.mark.feature("S5")
def test_an_own_password_has_eight_signs_and_is_typed_twice(here):
    """Shorter, or not the same twice: the field is named, and nothing goes on."""
    printed = here.claim("bill", "si-a", payer_id="P-1")
    form = {"first_name": "Ana", "last_name": "Novak", "email": "ana@example.org"} | printed
    reader = reader_of(here, "iiportal")
    reader.open("/start/activate")
    assert "8" in re.search(r'class="hint">([^<]*znak[^<]*)<', reader.body).group(1)
    for first, second in (("Kratko1", "Kratko1"), (PASSWORD, PASSWORD + "x")):
        reader.fill(**form, new_password=first, new_password_again=second)
        assert reader.status == 422
        assert any(href.startswith("#f-new_password") for href in hrefs(reader))
    reader.fill(**form, new_password=PASSWORD, new_password_again=PASSWORD)
    assert reader.status == 200


@pytest.mark.feature("S10", "Y9", "N13", "I14")
def test_help_and_log_out_are_on_every_page(here):
    """Telephone and mail of the tenant below, before and after the login; log out in the head once one is in."""
    reader = reader_of(here, "inmes")
    reader.open("/")
    contact = {LINKS["inmes"]["phone"], LINKS["inmes"]["mail"]}
    assert contact <= set(hrefs(reader))
    furnish(here)
    reader = activated(here, "cz-a", "jana@example.org")
    for path in ("/home", "/units/cz-a", "/units/cz-a/history", "/units/cz-a/readings", "/units/cz-a/papers", "/places", "/profile"):
        reader.open(path)
        assert contact <= set(hrefs(reader)), path
        assert 'action="/leave"' in reader.body.partition("</header>")[0], path


def customer(here):
    """A guest at the substation."""
    substation(here)
    here.claim("metering_point", "no-a", facility_no="123", metering_point_id="707")
    reader = reader_of(here, "impreso")
    reader.open("/")
    reader.fill(facility_no="123", metering_point_id="707", phone="41234567", accept="on")
    return reader


@pytest.mark.feature("N4", "I12")
def test_the_page_of_a_code_says_where_it_went(here):
    """Masked number, transaction, seconds; another one after a minute, of which the first is no more; cancel leads out."""
    reader = customer(here)
    number = here.mail("code").values["transaction"]
    assert [one in reader.page.text for one in ("+474…67", number)] == [True, True]
    assert 'data-countdown="300"' in reader.body
    assert re.search(r"\b60 s\b", reader.page.text)
    here.now += 61
    reader.fill("again")
    assert here.sent("code") == 2
    reader.fill("leave")
    assert (reader.client.get("/home").url.path, reader.url.rpartition("/")[2]) == ("/", "")


@pytest.mark.feature("N1", "N7", "N11")
def test_a_substation_has_energy_and_power(here):
    """Place, meter, index with its day; monthly energy, and at months, days and hours the power of the same meter, each as the API has it."""
    here.now = datetime.now(UTC).timestamp()
    reader = customer(here)
    reader.fill(code=here.mail("code").values["code"])
    assert [one in reader.page.text for one in ("Flat a", "Main street 5", "KAM-55667788-1C-04", "41 234")] == [True] * 4
    moment = datetime.fromtimestamp(here.now, UTC)
    assert f"{moment:%d.%m.%Y}" in reader.page.text or f"{moment:%d.%m.%y}" in reader.page.text
    last = f"{moment:%Y-%m}"
    for path, title, unit in (("", "Varme", "kWh"), (f"/{last}", "Varme", "kWh"), (f"/{last}-01", "Varme", "kWh")):
        reader.open(f"/units/no-a/history{path}")
        assert f"{title} [{unit}]" in reader.page.text
        reader.open(f"/units/no-a/history{path}?q=power")
        assert "Effekt [kW]" in reader.page.text
        assert reader.page.lang == "nb"
    day = {"from": f"{last}-01", "to": f"{last}-02", "resolution": "PT1H", "quantity": "power"}
    (told,) = reader.client.get("/v1/units/no-a/consumption", params=day).json()["series"]
    spoken = re.findall(r'<g role="img" aria-label="([^"]*)"', reader.body)
    assert [f"{point['value']:.1f}".replace(".", ",") + " kW" in label for point, label in zip(told["points"], spoken, strict=True)] == [True] * 24


@pytest.mark.feature("Y8")
def test_after_the_link_both_the_flat_and_the_settings_are_near(here):
    """The page after the confirmation leads to the account's flat and to the settings."""
    printed = here.claim("registration_code", "ug-a", account_no="77", city="Sovetsky")
    reader = reader_of(here, "infoyugra")
    reader.open("/start/activate")
    reader.fill(email="ivan@example.org", new_password=PASSWORD, new_password_again=PASSWORD)
    reader.fill(relation="owner")
    reader.fill(account_no="77", city="Sovetsky", code=printed["code"])
    link = here.mail("confirm_link").values["link"].partition("infoyugra.localhost")[2]
    reader.open(link)
    reader._seen(reader.client.post(link, content=b""))
    assert {"/units/ug-a", "/profile"} <= set(hrefs(reader))


@pytest.mark.feature("K1", "K3", "K2")
def test_a_username_of_three_signs_and_a_consent_that_names_the_law(here):
    """Two signs are no name, three are; three are no password, eight are; the box names part 16 of article 155."""
    reader = reader_of(here, "inkomus")
    reader.open("/start/activate")
    assert "ч. 16 ст. 155 ЖК РФ" in reader.page.text
    form = {"phone": "8 912 345-67-89", "accept": "on"}
    for name, password, status in (("iv", PASSWORD, 422), ("iva", "abc", 422), ("iva", PASSWORD, 200)):
        reader.fill(**form, name=name, new_password=password, new_password_again=password)
        assert reader.status == status, (name, password)
    assert here.mail("code").address == "+79123456789"


@pytest.mark.feature("K8", "K14")
def test_two_buttons_without_a_login(here):
    """Submit readings and pay online stand on the first page of Inkomus."""
    reader = reader_of(here, "inkomus")
    reader.open("/")
    buttons = re.findall(r'<a class="button" href="([^"]+)"', reader.body)
    assert buttons == ["/start/self_reading", "https://pay.example/"]


@pytest.mark.feature("Y5")
def test_a_phone_for_notices_is_no_way_in(here):
    """Optional beside the account number; kept as E.164, for notices only."""
    printed = here.claim("registration_code", "ug-a", account_no="77", city="Sovetsky")
    one = here.browser("infoyugra")
    one.start("activate")
    one.go(email="ivan@example.org", new_password=PASSWORD, new_password_again=PASSWORD)
    page = one.go(relation="owner")
    assert "phone" in page["step"]["optional_fields"]
    one.go(**printed, phone="9123456789")
    one.follow()
    one.go()
    phones = [(told["address"], told["use"]) for told in one.client.get("/v1/me").json()["contacts"] if told["channel"] == "phone"]
    assert phones == [("+79123456789", "notify")]
