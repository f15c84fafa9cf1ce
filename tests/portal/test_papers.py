"""Readings, papers and alerts, as a person without script uses them (portal SCREENS 8, 10, 13, 14)."""

import base64
import re
import time

import pytest
from reader import activated, reader_of

from submeter.reading import MICRO, Register
from submeter.store import PublishedSeries

PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
SPD = {"scheme": "spd", "iban": "CZ58 5500 0000 0012 6509 8001", "variable": "1234"}


@pytest.fixture
def here(here):
    """The flat's cold water meter has a device."""
    with here.registry.writing() as db:
        db.execute("INSERT INTO devices VALUES ('CZ-1-1-7', NULL, NULL, 0)")
        db.execute("INSERT INTO assignments VALUES ('p0', 'CZ-1-1-7', 1, NULL, NULL, NULL)")
    return here


@pytest.fixture
def resident(here):
    """Who came in by the printed letter just now."""
    return activated(here, "cz-a", "jana@example.org")


@pytest.mark.feature("Y1", "Y2")
def test_a_reading_is_sent_in_and_listed_with_its_number(resident):
    """Y1 Y2: the last index is shown, a value with a comma is taken and confirmed, one that falls is refused with what was typed; the history has its source."""
    resident.open("/units/cz-a/readings")
    assert "7,000" in resident.page.text
    resident.fill("send", value="1,5")
    assert resident.status == 422
    assert resident.form("value").fields["value"]["value"] == "1,5"
    resident.fill("send", value="7,25")
    number = re.search(r'class="big">(\w+)<', resident.body).group(1)
    resident.open("/units/cz-a/readings")
    assert number in resident.page.text
    assert "7,250" in resident.page.text


@pytest.mark.feature("K8")
def test_without_an_account_there_is_a_form_and_nothing_else(here):
    """K8: two printed numbers open a form with one field; the answer is a confirmation number; then it is over."""
    with here.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('r0', 'ru1', 'ru-a', 'cold_water', '', 'volume', '{}')")
        db.execute("INSERT INTO devices VALUES ('INK-12345670-01-07', NULL, NULL, 0)")
        db.execute("INSERT INTO assignments VALUES ('r0', 'INK-12345670-01-07', 1, NULL, NULL, NULL)")
    here.published.replace([PublishedSeries(9, "r0", Register("volume", "m3"), "total", "UTC", int(here.now * 1e6) - 1, 500 * MICRO, 0)], [])
    printed = here.claim("meter_number", "ru-a", account_no="77", meter_no="12345670")
    reader = reader_of(here, "inkomus")
    reader.open("/start/self_reading")
    reader.fill(**printed)
    assert reader.url.endswith("/reading")
    assert [list(form.fields) for form in reader.page.forms] == [["value"]]
    assert not {"500", "Flat"} & set(re.findall(r"\w+", reader.page.text))
    reader.fill(value="1")
    assert reader.status == 422
    reader.fill(value="501")
    assert re.search(r'class="big">\w{10}<', reader.body)
    assert reader.open("/reading") is not None
    assert not reader.url.endswith("/reading")


@pytest.mark.feature("S11", "S13", "N16", "K11")
def test_documents_are_opened_and_marked(here, resident):
    """S11 S13 N16 K11: a document with kind, period and amount is new until it is opened; its bytes are those that came; a foreign one is not there."""
    service = here.service("cz", "documents:write")
    for unit in ("cz-a", "cz-b"):
        body = {
            "kind": "settlement",
            "title": "Vyúčtování",
            "locale": "cs",
            "audience": {"unit": unit},
            "pdf": PDF,
            "amount": "480.55",
            "currency": "CZK",
        }
        made = service.post("/v1/documents", json=body | {"period": {"from": "2025-06-01", "to": "2025-07-01"}, "payment": SPD})
        assert made.status_code == 201, made.text
    resident.open("/units/cz-a/papers")
    assert "Vyúčtování" in resident.page.text
    assert resident.page.text.count("nové") == 1
    assert "480,55 CZK" in resident.page.text
    assert "<svg" in resident.body
    assert "style=" not in resident.body
    resident.fill("open")
    assert resident.body.startswith("%PDF")
    resident.open("/units/cz-a/papers")
    assert "nové" not in resident.page.text
    assert resident.open(f"/documents/{made.json()['id']}") is not None
    assert resident.status == 404


@pytest.mark.feature("S12", "Y10", "Y15", "K10", "K12")
def test_lines_with_sums_and_a_way_to_pay(here, resident):
    """S12 Y10 Y15 K10 K12 K14: each line, sums by currency, what is due, the link out; a chosen year shows its lines alone."""
    lines = [("1", "2025-06", "charge", "480.55"), ("2", "2025-07", "payment", "400.00")]
    text = "\n".join(
        f'{{"id": "{name}", "unit": "cz-a", "account": "4711", "period": "{period}", "service": "teplo", "kind": "{kind}", "amount": "{amount}", "currency": "CZK"}}'
        for name, period, kind, amount in lines
    )
    pushed = here.service("cz", "balance:write").post("/v1/balance", content=text.encode(), headers={"Content-Type": "application/x-ndjson"})
    assert pushed.status_code == 200, pushed.text
    resident.open("/units/cz-a/papers")
    assert "80,55 CZK" in resident.page.text
    assert "https://pay.example/?sum=80.55&for=4711" in {href for href, _ in resident.page.links}
    resident.open("/units/cz-a/papers?year=2024")
    assert "teplo" not in resident.page.text


@pytest.mark.feature("I24", "S11", "Y13")
def test_announcements_count_in_the_head_until_they_are_read(here, resident):
    """I24 S11 Y13: an announcement is counted on every page until it is marked as read."""
    told = here.service("cz", "announcements:write").post(
        "/v1/announcements", json={"audience": {}, "texts": {"cs": {"title": "Voda nepoteče", "text": "V pátek <ráno>."}}}
    )
    assert told.status_code == 201, told.text
    resident.open("/home")
    assert 'class="bell"' in resident.body
    resident.open("/announcements")
    assert "V pátek <ráno>." in resident.page.text
    resident.fill("seen")
    assert 'class="bell"' not in resident.open("/home").text + resident.body


@pytest.mark.feature("Y9", "Y14", "K13")
def test_a_message_to_the_operator_and_its_answer(here, resident):
    """Y9 Y14 K13: a message gets a number; the operator's word stands beside it."""
    resident.open("/units/cz-a/papers")
    resident.fill("write", text="Radiátor nehřeje")
    ticket = re.search(r"t_\w+", resident.page.text).group(0)
    here.service("cz", "accounts:write").put(f"/v1/messages/{ticket}", json={"status": "Technik přijde"})
    assert "Technik přijde" in resident.open("/units/cz-a/papers").text
    resident.fill("write", text=" ")
    assert resident.status == 422


@pytest.mark.feature("S13", "Y11")
def test_what_is_wanted_for_a_place(resident):
    """S13 Y11: bills electronically, statements monthly: as ticked."""
    resident.open("/units/cz-a/papers")
    resident.fill("wish", e_invoices="on")
    assert resident.client.get("/v1/me/units/cz-a").json() == {"e_invoices": True, "statement_monthly": False, "announcements_by_mail": False}


@pytest.mark.feature("Y11")
def test_a_statement_of_the_year_is_a_pdf(resident):
    """Y11: the button of screen 10 makes the statement, and opens it."""
    resident.open("/units/cz-a")
    form = next(form for form in resident.page.forms if form.action and "/statement" in form.action)
    answer = resident.client.post(form.action, content=b"")
    assert answer.content.startswith(b"%PDF")
    assert answer.headers["content-type"] == "application/pdf"


@pytest.mark.feature("I24")
def test_open_events_stand_on_the_dashboard(here, resident):
    """I24: a meter that is silent is an alert with its day; the same text as the API's."""
    at = int((here.now - 3 * 86_400) * 1e6)
    here.registry.events.raise_("silent", "device:CZ-1-1-7", at, now=at)
    resident.open("/home")
    told = resident.client.get("/v1/units/cz-a/events?state=open&locale=cs").json()["events"]
    assert len(told) == 1
    assert told[0]["text"] in resident.page.text
    assert 'class="bell"' in resident.body


def test_last_month_stands_beside_the_one_before(resident):
    """N15: the dashboard compares whole months: the last one, and the one before it, as the API has them."""
    resident.open("/home")
    table = re.search(r"<table>.*?</table>", resident.body, re.DOTALL).group(0)
    year, month = time.gmtime()[:2]
    first = [(year * 12 + month - 1 - back) for back in (1, 2)]
    for number in first:
        start, end = (f"{n // 12}-{n % 12 + 1:02d}-01" for n in (number, number + 1))
        told = resident.client.get("/v1/units/cz-a/consumption", params={"from": start, "to": end, "resolution": "P1M", "locale": "cs"}).json()[
            "series"
        ][0]
        assert f"{told['points'][0]['value']:.{told['decimals']}f}".replace(".", ",") in table


@pytest.mark.parametrize("path", ["readings", "papers", "statement"])
def test_foreign_papers_are_as_if_they_were_not_there(resident, path):
    """A foreign flat's page is that of one that is not there."""
    bodies = set()
    for unit in ("cz-b", "si-a", "u_nowhere"):
        answer = resident.client.request("POST" if path == "statement" else "GET", f"/units/{unit}/{path}", content=b"")
        assert answer.status_code == 404
        bodies.add(answer.text)
    assert len(bodies) == 1
