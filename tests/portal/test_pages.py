"""Pages of the portal, as a person without script uses them: ways in, what is read, what is refused (portal SCREENS 1 to 12)."""

import re
from datetime import UTC, datetime

import pytest
from flat import furnished
from portals import HOSTS, PASSWORD
from reader import Reader, activated, reader_of

from submeter.portal.words import Words


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Five portals with their pages, and a flat with three years of rows."""
    made = furnished(tmp_path_factory.mktemp("pages"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def resident(here):
    """Who came in by the printed letter of INMES."""
    return activated(here, "cz-a", "jana@example.org")


@pytest.mark.feature("I2", "I8", "I15")
def test_a_letter_leads_to_the_dashboard(resident):
    """I2 I6 to I11 I13 I15: from the printed credentials, page by page, to the own flat with its six counts."""
    resident.open("/home")
    assert "Flat a" in resident.page.text
    for tile in ("1 vodoměry SV", "1 vodoměry TV", "0 vodoměry RV", "2 měřiče tepla", "0 měřiče chladu", "0 teplo i chlad"):
        assert tile in resident.page.text


@pytest.mark.feature("I1", "I12", "I14")
def test_log_in_asks_for_a_code_and_log_out_ends(here, resident):
    """I1 I3 I12 I14: mail and password, then the code of the message with its number and time; after log out pages lead to the first one."""
    reader = reader_of(here, "inmes")
    reader.open("/")
    reader.fill(name="jana@example.org", password=PASSWORD)
    assert "ID transakce" in reader.page.text
    assert re.search(r"\d+ sekund", reader.page.text)
    reader.fill(code=here.code())
    assert reader.url.endswith("/home")
    reader._seen(reader.client.post("/leave", content=b""))
    assert reader.open("/home").forms[0].fields == reader.open("/").forms[0].fields
    assert not reader.url.endswith("/home")
    assert resident.open("/home").text.startswith("Přejít k obsahu")


@pytest.mark.feature("I17")
def test_every_figure_of_the_table_is_the_apis(resident):
    """I17: three quantities by twelve months; each cell is the API's point, rounded as the language writes it; what is not known is a dash."""
    year = datetime.now(UTC).year
    resident.open(f"/units/cz-a?year={year}")
    (table,) = re.findall(r'<table class="months">.*?</table>', resident.body, re.DOTALL)
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</th>(.*?)</tr>", table, re.DOTALL)
    cells = {re.sub(r"\s+", " ", name): [_plain(cell) for cell in re.findall(r"<td.*?>(.*?)</td>", rest, re.DOTALL)] for name, rest in rows}
    query = {"from": f"{year}-01-01", "to": f"{year + 1}-01-01", "resolution": "P1M", "locale": "cs"}
    told = resident.client.get("/v1/units/cz-a/consumption", params=query).json()["series"]
    names = {"cold_water": "Studená voda", "hot_water": "Teplá voda", "heat_allocation": "Teplo"}
    assert len(told) == 3
    for series in told:
        shown = cells[f"{names[series['class']]} [{series['uom_label']}]"]
        assert len(shown) == 12
        known = [Words("cs").amount(point["value"], series["uom"]) for point in series["points"] if point["value"] is not None]
        months = [cell.strip(" ≈…") for cell in shown if not cell.startswith("–")]  # noqa: RUF001 - the dash of the page
        assert months == known
    assert any("nezměřeno" in cell for cell in shown) or datetime.now(UTC).month == 12


def _plain(cell):
    return re.sub(r"<.*?>", " ", cell).strip()


@pytest.mark.feature("I18", "I19", "I20")
def test_thirty_days_by_device_with_their_figures(resident):
    """I18 to I20: a chart for each quantity, a piece for each device in its legend, the same figures as text; unknown days say so."""
    resident.open("/units/cz-a")
    assert resident.body.count("<figure") == 3
    assert "p1 (room 2)" in resident.page.text
    assert "p2 (room 3)" in resident.page.text
    bars = [label for href, label in resident.page.links if "/history/" in href]
    assert len(bars) == 3 * 30
    assert any("nezměřeno" in label for label in bars)
    assert any("odhad" in label for label in bars)


@pytest.mark.feature("N9", "N10")
def test_from_years_to_hours_and_back(resident):
    """N9 to N11: twelve groups of three years, a click to days, one to hours; the hours of a day sum to its bar."""
    resident.open("/units/cz-a/history")
    years = [href for href, label in resident.page.links if label]
    assert len(years) == 12
    resident.open(years[4])
    days = [(href, label) for href, label in resident.page.links if label]
    href, label = next((href, label) for href, label in days if "nezměřeno" not in label)
    day = float(re.search(r": ([\d,]+) m", label).group(1).replace(",", "."))
    resident.open(href)
    hours = [float(value.replace(",", ".")) for value in re.findall(r'aria-label="\d\d:00: ([\d,]+)', resident.body)]
    assert len(hours) == 24
    assert sum(hours) == pytest.approx(day)
    assert any(href.startswith("/units/cz-a/history/") and "before" not in href for href, _ in resident.page.links)


def test_files_are_the_apis(resident):
    """Downloads are what the API answers as CSV and XLSX."""
    year = datetime.now(UTC).year
    found = resident.client.get(f"/units/cz-a/file/csv?year={year}")
    asked = resident.client.get(
        f"/v1/units/cz-a/consumption?resolution=P1M&from={year}-01-01&to={year + 1}-01-01", headers={"Accept": "text/csv", "Accept-Language": "cs"}
    )
    assert found.content == asked.content
    assert resident.client.get(f"/units/cz-a/file/xlsx?year={year}").content[:2] == b"PK"
    assert resident.client.get(f"/units/cz-a/file/exe?year={year}").status_code == 404


def test_foreign_and_nonexistent_pages_are_one(resident):
    """What is not the own looks as what is not there."""
    pages = []
    for unit in ("cz-b", "si-a", "u_nowhere"):
        for path in (f"/units/{unit}", f"/units/{unit}/history", f"/units/{unit}/history/2026-05", f"/units/{unit}/file/csv?year=2026"):
            resident.open(path)
            assert resident.status == 404
            pages.append(resident.body)
    resident.open("/nowhere/at/all")
    assert {resident.body} == set(pages)


def test_what_was_wrong_is_said_and_what_was_typed_stays(here):
    """A wrong form comes back with a summary that leads to the field, and with what was typed but secrets."""
    here.claim("bill", "si-a", payer_id="P-1")
    reader = reader_of(here, "iiportal")
    reader.open("/start/activate")
    assert len(reader.form("payer_id").fields) == 7
    reader.fill(
        first_name="Ana", last_name="Novak", email="not an address", payer_id="P-1", password="x", new_password=PASSWORD, new_password_again=PASSWORD
    )
    assert reader.status == 422
    assert ("#f-email", "") in reader.page.links
    assert reader.page.text.count("Vpišite e-poštni naslov.") == 2
    assert "write a" not in reader.page.text
    assert reader.form("email").fields["first_name"]["value"] == "Ana"
    assert reader.form("email").fields["new_password"]["value"] == ""
    assert "<script>" not in reader.body


def test_typed_markup_stays_text(here):
    """What somebody types is text on the page, never markup."""
    reader = reader_of(here, "iiportal")
    reader.open("/start/activate")
    reader.fill(first_name="<b>Ana</b>", last_name="x", email="bad", payer_id="1", password="x", new_password="y", new_password_again="z")
    assert "<b>Ana" not in reader.body


@pytest.mark.feature("N2", "N5", "N6", "N15")
def test_a_guest_sees_the_place_and_may_make_an_account(here):
    """N2 N4 N5 N6 N15: three fields and a box beside the log in; the code by SMS; a guest is told that there is more."""
    here.claim("metering_point", "no-a", facility_no="123", metering_point_id="707")
    reader = reader_of(here, "impreso")
    reader.open("/")
    reader.fill(facility_no="123", metering_point_id="707", phone="+4791234567", accept="on")
    reader.fill(code=here.code())
    assert reader.url.endswith("/home")
    assert "gjest" in reader.page.text
    reader.open("/start/upgrade")
    reader.fill(new_password=PASSWORD, new_password_again=PASSWORD)
    assert reader.url.endswith("/home")
    assert "gjest" not in reader.page.text


@pytest.mark.feature("Y7")
def test_a_link_does_nothing_before_its_button(here):
    """Y7: opening the link changes nothing; its button proves the address in the browser that began, and shows a code in any other."""
    printed = here.claim("registration_code", "ug-a", account_no="77", city="Sovetsky")
    reader = reader_of(here, "infoyugra")
    reader.open("/start/activate")
    reader.fill(email="ivan@example.org", new_password=PASSWORD, new_password_again=PASSWORD)
    reader.fill(relation="owner")
    reader.fill(account_no="77", city="Sovetsky", code=printed["code"])
    link = here.link()
    other = reader_of(here, "infoyugra")
    for _ in range(2):
        other.open(link)
    other._seen(other.client.post(link, content=b""))
    assert re.search(r"\b[A-Z2-9]{8}\b", other.page.text)
    reader.open(link)
    reader._seen(reader.client.post(link, content=b""))
    assert reader.url.endswith("/home")


@pytest.mark.parametrize("portal", HOSTS)
def test_every_flow_begins_with_its_form(here, portal):
    """Each portal's first page leads to a form of each of its ways in, in each of its languages, without a missing word."""
    reader = reader_of(here, portal)
    reader.open("/")
    locales = [button["value"] for form in reader.page.forms for button in form.buttons if button.get("name") == "to"] or [None]
    for locale in locales:
        if locale:
            reader._seen(reader.client.post("/language", content=f"to={locale}".encode()))
            assert reader.page.lang == locale
        ways = [href for href, _ in reader.open("/").links if href.startswith("/start/")]
        assert "/start/recover" in ways
        for way in ways:
            reader.open(way)
            assert (reader.status, len(reader.page.forms) >= 1) == (200, True)
            assert not re.search(r"\b(field|flow|show|tile|role|document) [a-z_]+\b", reader.page.text), way


#: What a browser fills in by itself, by field; those that are secret.
FILLED = {
    "name": {"username"}, "password": {"current-password", "off"}, "new_password": {"new-password"}, "new_password_again": {"new-password"},
    "email": {"email"}, "phone": {"tel"}, "code": {"one-time-code", "off"},
}  # fmt: skip
SECRET = {"current-password", "new-password"}


@pytest.mark.parametrize("portal", HOSTS)
def test_check_06_fields_of_secrets_help_a_password_manager(here, portal):
    """Passwords are typed unseen, with a button that shows them; each field tells the browser what it is; nothing stops pasting."""
    reader, seen = reader_of(here, portal), set()
    reader.open("/")
    for way in ["/", *(href for href, _ in reader.page.links if href.startswith("/start/"))]:
        reader.open(way)
        assert not re.search(r"on(paste|copy|keydown|input)|maxlength", reader.body)
        for name, field in [pair for form in reader.page.forms for pair in form.fields.items() if pair[0] in FILLED]:
            assert field["autocomplete"] in FILLED[name], (way, name)
            assert (field["type"] == "password") == (field["autocomplete"] in SECRET), (way, name)
            assert (f'data-show="f-{name}"' in reader.body) == (field["type"] == "password"), (way, name)
            seen.add(field["autocomplete"])
    assert {"username", "current-password"} <= seen
    assert "paste" not in reader.client.get("/static/portal.js").text


def test_check_06_a_code_and_a_new_password_are_named_on_their_pages(here):
    """Inside the flows too: the code of a mail as one-time code, the new password as one."""
    printed = here.claim("one_time_credentials", "cz-b")
    reader = reader_of(here, "inmes")
    reader.open("/start/activate")
    reader.fill(**printed)
    reader.fill(agree="on", accept="on")
    reader.fill(email="petr@example.org")
    assert reader.form("code").fields["code"]["autocomplete"] == "one-time-code"
    reader.fill(code=here.code())
    reader.fill("skip")
    assert {one["autocomplete"] for name, one in reader.form("new_password").fields.items() if name in FILLED} == {"new-password"}


def test_a_host_without_a_portal_says_so(here):
    """Another host name is no portal."""
    reader = Reader(here.browser("unknown").client)
    reader.open("/")
    assert reader.status == 404


def test_style_and_script_are_small_and_own(resident):
    """One style sheet and one script, both own, each no more than 2 KB compressed; the page loads nothing else."""
    import gzip

    resident.open("/units/cz-a")
    assert set(re.findall(r'(?:href|src)="([^"#?]*\.(?:css|js)|https?:[^"]*)"', resident.body)) == {"/static/portal.css", "/static/portal.js"}
    assert len(gzip.compress(resident.client.get("/static/portal.css").content)) <= 2048
    assert len(gzip.compress(resident.client.get("/static/portal.js").content)) <= 2048
    assert len(gzip.compress(resident.body.encode())) <= 12 * 1024
