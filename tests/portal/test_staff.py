"""The operator's pages, as a person without script uses them: figures are the API's, strangers see nothing (portal SCREENS 16, FLOWS 10: 46)."""

import re
import time

import numpy as np
import pytest
from portals import Here
from reader import Look, activated, entered, reader_of

from submeter import civil
from submeter.portal import create_portal
from submeter.portal.letters import SCREENS as LETTERS
from submeter.portal.staff import SCREENS
from submeter.reading import LEVELS, Register
from submeter.store import Block, PublishedSeries
from submeter.store.accounts import Grant
from submeter.store.published import POINT

PATHS = [*SCREENS, *LETTERS]
DEVICE = "CZ-1-1-7"


@pytest.fixture
def here(tmp_path):
    """Five portals with their pages; two meters of cz, the first one with a device, and one of si."""
    made = Here(tmp_path)
    made.app.mount("/", create_portal(made.app))
    made.now = time.time()
    with made.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('p0', 'cz1', 'cz-a', 'cold_water', 'room 0', 'volume', '{}')")
        db.execute("INSERT INTO devices VALUES (?, NULL, NULL, 0)", (DEVICE,))
        db.execute("INSERT INTO assignments VALUES ('p0', ?, 1, NULL, NULL, NULL)", (DEVICE,))
        db.execute("INSERT INTO points VALUES ('p1', 'cz1', 'cz-a', 'hot_water', 'room 1', 'volume', '{}')")
        db.execute("INSERT INTO points VALUES ('q', 'si1', 'si-a', 'cold_water', 'Cellar', 'volume', '{}')")
    now = int(made.now * 1e6)
    raised = made.registry.events.raise_
    raised("suspect_jump", "point:p0/volume", now - 10**9, now=now, amount=1_234_500)
    raised("silent", "point:p1/volume", now - 2 * 10**9, now=now, detail="not heard for a day")
    raised("leak", "point:q/volume", now - 10**9, now=now, detail="only for si")
    yield made
    made.close()


def number(text):
    """A figure as it stands on a Czech page."""
    return float("".join(text.split()).replace(",", "."))


def cells(reader, label):
    """The rows of the table of this name, as texts."""
    table = re.search(rf'aria-label="{label}"><table[^>]*>.*?</table>', reader.body, re.DOTALL).group(0)
    return [
        [Look(cell).text for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]
    ]


def test_the_page_of_a_link_uses_it_once(here):
    """Looking at the page uses nothing up; the button does; a second browser is told that it is over, and gets no session."""
    secret = here.registry.operators.invite("cz", "olga", "operator", identity="o_1", now=int(here.now * 1e6))
    first, second = reader_of(here, "inmes"), reader_of(here, "inmes")
    for reader in (first, second):
        reader.open(f"/operator/enter/{secret}")
    first.fill("enter")
    assert first.url.endswith("/operator")
    second.fill("enter")
    assert second.status == 422
    assert not second.page.forms[1:]
    assert second.open("/operator") is not None
    assert "/operator" not in second.url.removeprefix("https://inmes.localhost")


@pytest.mark.parametrize("language", ["cs", "en"])
def test_every_page_is_reached_and_says_all(here, language):
    """I2 I23 K7 S9: from the head each page is reached by a link; none lacks a word, none has a figure of another manager."""
    reader = entered(here)
    reader.client.cookies.set("__Host-language", language, domain="inmes.localhost")
    links = {href for href, _ in reader.open("/operator").links}
    assert set(PATHS) <= links
    for path in PATHS:
        reader.open(path)
        assert reader.status == 200, path
        assert reader.page.lang == language
        assert not re.search(r"\b(staff|open|message|channel|flow|role|field|events) [a-z_:]+_[a-z_]+\b", reader.page.text), path
        assert "only for si" not in reader.page.text
        assert "style=" not in reader.body


@pytest.mark.parametrize("path", PATHS)
def test_the_pages_are_not_there_for_residents(here, path):
    """A resident gets what stands for no page at all, to look and to post; who is not signed in the first page."""
    resident = activated(here, "cz-a", "jana@example.org")
    nowhere = resident.client.get("/operators-are-not-here")
    for method in ("GET", "POST"):
        answer = resident.client.request(method, path, content=b"do=make" if method == "POST" else None)
        assert (answer.status_code, answer.text) == (404, nowhere.text)
    stranger = reader_of(here, "inmes")
    stranger.open(path)
    assert [form.action for form in stranger.page.forms if form.action and form.action.startswith("/start/")]


def test_an_operator_of_another_manager_sees_nothing(here):
    """The pages of si have the leak of its own cellar, and nothing of cz; the flat of cz is not there."""
    reader = entered(here, "iiportal", "si")
    for path in PATHS:
        reader.open(path)
        assert reader.status == 200
        assert not {"suspect_jump", "not heard for a day", "room 0", "room 1"} & set(re.split(r"\s{2,}|, ", reader.page.text)), path
    assert "only for si" in reader.open("/operator/events").text
    reader.open("/units/cz-a")
    assert reader.status == 404
    assert reader.client.get("/v1/units/cz-a/meters").status_code == 404


def test_the_overview_counts_as_the_api_does(here):
    """Tiles, silent meters, flows and outbox are the figures of the API's answers."""
    here.browser("inmes").start("activate")
    here.registry.outbox.put("cz", "email", "a@example.org", "new_grant", "cs", {"portal": "https://x", "unit": "u"}, now=1)
    reader = entered(here)
    told, events = reader.client.get("/v1/operations").json(), reader.client.get("/v1/events?state=open").json()
    reader.open("/operator")
    tiles = [int(one) for one in re.findall(r"<b>(\d+)</b>", reader.body)]
    assert tiles == [len(told["suspicions"]), len(told["silent_meters"]), 0, 0, len(events["events"])] == [1, 1, 0, 0, 2]
    assert "room 1" in cells(reader, "Mlčící měřiče")[0][0]
    assert [row[1:] for row in cells(reader, "Přihlášení a registrace za třicet dní")] == [["1", "0"]]
    assert [row[1:] for row in cells(reader, "Zprávy obyvatelům")] == [["čeká", "1"]]


def test_tasks_stand_with_what_is_held(here):
    """The id for the command line, the place, and the amount that is not booked."""
    reader = entered(here)
    (task,) = reader.client.get("/v1/operations").json()["suspicions"]
    reader.open("/operator/tasks")
    (row,) = cells(reader, "Úkoly")
    assert (row[0], row[2], number(row[4])) == (str(task["id"]), "suspect_jump", round(task["amount"], 3))
    assert "Flat a" in row[1]


def test_events_are_chosen_by_state_and_kind(here):
    """Open ones first; of one kind; closed ones with who decided what."""
    found = here.registry.events.find("silent", state="open")[0]
    here.registry.events.close(found.id, by="petr", decision="new battery", now=int(here.now * 1e6))
    reader = entered(here)
    reader.open("/operator/events")
    assert [row[0] for row in cells(reader, "Události")] == ["suspect_jump"]
    reader.open("/operator/events?state=closed")
    ((kind, *_, detail),) = cells(reader, "Události")
    assert (kind, detail) == ("silent", "not heard for a day (petr: new battery)")
    reader.open("/operator/events?state=all&kind=silent")
    assert [row[0] for row in cells(reader, "Události")] == ["silent"]


def test_who_is_alone_sees_what_is_wrong_with_sources(here):
    """An event of a source stands with its subject in the place of a metering point."""
    here.registry.events.raise_("source_lost", "source:dongle", int(here.now * 1e6), now=int(here.now * 1e6), detail="dongle: /dev/ttyUSB0: gone")
    here.registry._connection.executescript("PRAGMA foreign_keys = OFF; DELETE FROM managers WHERE id <> 'cz'")
    reader = entered(here)
    reader.open("/operator/events?kind=source_lost")
    ((kind, place, *_, detail),) = cells(reader, "Události")
    assert (kind, place, detail) == ("source_lost", "source:dongle", "dongle: /dev/ttyUSB0: gone")


def test_meters_and_gateways_are_what_the_core_saw(here):
    """Awaited meters by their place, strangers with their level, gateways with their counts; what is not known is a dash."""
    awaited = {"point": "p0", "device": DEVICE, "since": "2025-06-01T00:00:00Z"}
    stranger = {"device": "BBB-00000001-01-07", "gateway": "cellar", "receptions": 1500, "rssi": None, "first": "2025-06-01", "last": "2025-06-02"}
    gateway = {"name": "cellar", "last": None, "day": None, "meters": 3, "receptions": 2500}
    told = {"cz": {"awaited": [awaited], "unknown": [stranger], "gateways": [gateway]}}
    here.registry.commissioning.keep(told, int(here.now * 1e6))
    reader = entered(here)
    reader.open("/operator/meters")
    ((place, device, _),) = cells(reader, "Očekávané, nikdy neslyšené")
    assert (device, "room 0" in place, "Flat a" in place) == (DEVICE, True, True)
    ((device, times, _, _, level, name),) = cells(reader, "Slyšené, nejsou v seznamu")
    assert (device, number(times), level, name) == ("BBB-00000001-01-07", 1500, "\u2013", "cellar")
    reader.open("/operator/gateways")
    ((name, last, meters, telegrams, _),) = cells(reader, "Brány")
    assert (name, last, number(meters), number(telegrams)) == ("cellar", "\u2013", 3, 2500)


def test_quality_of_a_month_is_the_apis(here):
    """Each figure of each property, coverage in per cent; a month before is a link away; a property without meters has a dash."""
    month = time.strftime("%Y-%m", time.gmtime(here.now - (time.gmtime(here.now).tm_mday + 1) * 86_400))
    first = civil.instant(f"{month}-01T00:00:00Z")
    rows = np.zeros(20, POINT)
    rows["start"] = first + np.arange(20) * civil.DAY
    rows["end"], rows["rev"], rows["coverage"], rows["quality"] = rows["start"] + civil.DAY, 1, 9_000, [0] * 12 + [1] * 5 + [2] * 3
    here.published.replace([PublishedSeries(1, "p0", Register("volume", "m3"), "total", "UTC")], [Block(1, LEVELS.index("day"), month, rows)])
    reader = entered(here)
    reader.open("/operator/quality")
    before = next(href for href, _ in reader.page.links if href.startswith("?month="))
    reader.open(f"/operator/quality{before}")
    (told,) = reader.client.get(f"/v1/quality{before}").json()["properties"]
    (row,) = cells(reader, "Kvalita")
    assert row[0] == told["name"]
    assert [number(one) for one in row[1:6]] == [told[name] for name in ("meters", "days", "measured", "estimated", "incomplete")]
    assert (told["measured"], told["estimated"]) == (12, 5)
    assert number(row[6].removesuffix("%")) == round(told["coverage"] * 100, 1)
    other = entered(here, "iiportal", "si")
    other.open("/operator/quality")
    assert cells(other, "Kakovost")[0][6] == "\u2013"


def test_letters_of_an_entrance_are_printed_once_and_taken_back(here):
    """I2 S9: an entrance is chosen, its units are ticked, the answer is the letters as PDF or CSV; one is taken back."""
    reader = entered(here)
    reader.open("/operator/claims")
    reader.fill(entrance="Main street 5", kind="one_time_credentials")
    ticked = reader.form("unit/cz-a", "unit/cz-b", "unit/cz-c")
    assert len(ticked.fields) == 5
    form = {"do": "make", "kind": "one_time_credentials", "unit/cz-a": "on", "unit/cz-b": "on", "letters": "csv"}
    made = reader.client.post("/operator/claims", data=form)
    assert made.headers["content-type"].startswith("text/csv")
    assert made.headers["content-disposition"] == 'attachment; filename="letters.csv"'
    assert made.headers["cache-control"] == "no-store"
    lines = made.text.lstrip("\ufeff").splitlines()
    assert len(lines) == 3
    pdf = reader.client.post("/operator/claims", data=form | {"letters": "pdf"})
    assert pdf.content.startswith(b"%PDF")
    claims = reader.client.get("/v1/claims").json()["claims"]
    assert len(claims) == 4
    reader.open("/operator/claims")
    assert len(cells(reader, "Vydané dopisy")) == 4
    reader.fill("withdraw")
    assert sum(one["withdrawn"] is not None for one in reader.client.get("/v1/claims").json()["claims"]) == 1
    nothing = reader.client.post("/operator/claims", data={"do": "make", "kind": "one_time_credentials", "letters": "pdf"})
    assert nothing.status_code == 422


def test_letters_of_a_printed_kind_need_their_fields(here):
    """S1: a kind with an identifier asks for it for each unit; left out, the page says so and keeps what was typed."""
    reader = entered(here, "iiportal", "si")
    reader.open("/operator/claims?entrance=Main+street+5&kind=bill")
    assert "field/si-a/payer_id" in reader.form("unit/si-a").fields
    sent = {"do": "make", "kind": "bill", "unit/si-a": "on", "letters": "csv"}
    assert reader.client.post("/operator/claims?entrance=Main+street+5&kind=bill", data=sent).status_code == 422
    made = reader.client.post("/operator/claims", data=sent | {"field/si-a/payer_id": "4711"})
    assert made.status_code == 200
    assert "4711" in made.text
    foreign = reader.client.post(
        "/operator/claims", data={"do": "make", "kind": "bill", "unit/cz-a": "on", "field/cz-a/payer_id": "1", "letters": "csv"}
    )
    assert foreign.status_code == 404


def test_a_delayed_grant_is_allowed_or_denied(here):
    """Who waits is listed with a masked address; a button lets the grant begin, another ends it."""
    activated(here, "cz-a", "jana@example.org")
    account, now = here.registry.accounts.reached("inmes", "email", "jana@example.org").id, int(here.now * 1e6)
    for name, unit in (("g_1", "cz-b"), ("g_2", "cz-c")):
        here.registry.accounts.add_grant(Grant(name, account, "cz", unit, None, "resident", now + 10**9, None, "test", None, now, None))
    reader = entered(here)
    reader.open("/operator/access")
    assert reader.page.text.count("j…@example.org") == 2
    reader.fill("allow")
    reader.fill("deny")
    assert reader.client.get("/v1/delayed-grants").json()["grants"] == []
    allowed, denied = here.registry.accounts.grant("g_1"), here.registry.accounts.grant("g_2")
    assert allowed.since <= int(here.now * 1e6) + 60_000_000
    assert allowed.ended is None
    assert denied.ended is not None


def test_the_audit_is_that_of_the_manager(here):
    """The own entry is there, with who and what; a choice of the action shows it alone; more rows are a link away."""
    reader = entered(here)
    reader.open("/operator/audit?action=session.open")
    ((_, who, what, *_),) = cells(reader, "Záznam činností")
    assert (who, what) == ("operator:olga operator", "session.open")
    told = reader.client.get("/v1/audit").json()["audit"]
    reader.open("/operator/audit")
    assert len(cells(reader, "Záznam činností")) == len(told)


def test_who_only_reads_has_no_page_that_changes(here):
    """Role manager: neither letters, access nor audit stand in the head, and their pages refuse."""
    reader = entered(here, role="manager")
    links = {href for href, _ in reader.page.links}
    assert "/operator/quality" in links
    for path in ("/operator/claims", "/operator/access", "/operator/audit"):
        assert path not in links
        reader.open(path)
        assert reader.status == 403


def test_logging_out_ends_it(here):
    """The button in the head; then the pages lead to the first one."""
    reader = entered(here)
    page = reader.page.forms[0]
    assert page.action == "/leave"
    reader.client.post("/leave", content=b"")
    reader.open("/operator")
    assert not reader.url.endswith("/operator")
