"""Claims on paper: JSON, CSV and letters in PDF, told once; claims that were printed by an older portal (FLOWS 5, FEATURES S9, K7)."""

import csv
import io
import json

import pytest
from portals import Here
from pypdf import PdfReader
from tables import dumped

PDF = {"Accept": "application/pdf"}
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def here(tmp_path):
    """Five portals; the house of inmes has two entrances, and a flat with a hostile name."""
    made = Here(tmp_path)
    with made.registry.writing() as db:
        db.execute("UPDATE units SET entrance = CASE id WHEN 'cz-c' THEN 'B' ELSE 'A' END WHERE id LIKE 'cz-%'")
        db.execute("UPDATE units SET label = '=1+1 \x1bžluť' WHERE id = 'cz-b'")
    yield made
    made.close()


def operator(here, manager="cz"):
    """A client of the operator."""
    return here.service(manager, "claims:write")


def batch(*units, kind="one_time_credentials"):
    """A body of claims."""
    return {"claims": [{"unit": unit, "kind": kind} for unit in units]}


def pages(content):
    """The text of each page."""
    return [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]


@pytest.mark.feature("I2")
def test_letters_come_a_page_a_unit_under_a_cover_list_per_entrance(here):
    """Two entrances: a list of flats for the house committee, then their letters; in the portal's language; a letter names its own flat alone."""
    answer = operator(here).post("/v1/claims", json=batch("cz-c", "cz-a", "cz-b"), headers=PDF)
    assert (answer.status_code, answer.headers["content-type"], answer.headers["cache-control"]) == (201, "application/pdf", "no-store")
    cover_a, hostile, first, cover_b, third = pages(answer.content)
    assert all(one in cover_a for one in ("Předávací seznam", "Main street 5, A", "Flat a", "=1+1 žluť", "Podpis"))
    assert "Flat c" in cover_b
    assert "Heslo" not in cover_a + cover_b
    assert ("Flat a" in first, "Flat c" in third) == (True, True)
    assert "Flat a" not in third + hostile
    assert all("Přihlašovací jméno" in one and "Heslo" in one for one in (first, third, hostile))


@pytest.mark.feature("I2")
def test_the_printed_pair_opens_an_account_and_is_nowhere_else(here):
    """What stands in the letter works; no store, list or second request tells it again."""
    told = operator(here).post("/v1/claims?letters=csv", json=batch("cz-a"))
    (row,) = csv.DictReader(io.StringIO(told.content.decode("utf-8-sig")))
    assert (row["property"], row["entrance"], row["unit"], row["label"]) == ("Main street 5", "A", "cz-a", "Flat a")
    assert len(row["password"]) == 12
    one = here.browser("inmes")
    one.start("activate")
    assert one.go(login=row["login"], password=row["password"])["step"]["show"]["unit"] == "Flat a"
    assert row["password"] not in operator(here).get("/v1/claims").text
    assert row["password"] not in dumped(here.registry)


def test_cells_of_the_list_run_no_formula(here):
    """A flat whose name begins with = is text in a spreadsheet."""
    told = operator(here).post("/v1/claims", json=batch("cz-b"), headers={"Accept": "text/csv"})
    assert "'=1+1" in told.text


def test_a_portal_without_committee_has_no_cover(here):
    """Letters per unit: one page each, in Slovenian."""
    body = {"claims": [{"unit": f"si-{flat}", "kind": "bill", "fields": {"payer_id": flat}} for flat in "ab"]}
    first, second = pages(operator(here, "si").post("/v1/claims?letters=pdf", json=body).content)
    assert "Šifra plačnika" in first
    assert "Flat b" in second


@pytest.mark.feature("S9")
def test_a_move_from_an_older_portal_brings_its_printed_pairs(here):
    """Thousands of lines in one request; the pairs work as they were printed; short ones count as knowledge."""
    lines = [{"unit": "si-a", "kind": "bill", "fields": {"payer_id": f"P{n}", "password": f"Geheim{n:04}XY"}} for n in range(2000)]
    lines.append({"unit": "si-b", "kind": "bill", "fields": {"payer_id": "short", "password": "1234"}})
    answer = operator(here, "si").post("/v1/claims", content="\n".join(map(json.dumps, lines)), headers=LINES)
    assert answer.status_code == 201, answer.text
    told = answer.json()["claims"]
    assert (len(told), told[0]["strength"], told[-1]["strength"]) == (2001, "secret", "knowledge")
    assert here.registry.accounts.claim(told[-1]["id"]).role == "resident:limited"
    form = {"first_name": "A", "last_name": "B", "new_password": "correct horse battery"}
    one = here.browser("iiportal")
    one.start("activate")
    one.go(**form, email="a@example.org", payer_id="p-1999", password="geheim1999xy")
    one.follow()
    assert one.go()["done"]
    assert one.units() == ["si-a"]


def test_a_short_secret_has_three_tries(here):
    """Like knowledge: after three wrong ones the right one is refused until tomorrow."""
    line = {"unit": "si-b", "kind": "bill", "fields": {"payer_id": "short", "password": "1234"}}
    operator(here, "si").post("/v1/claims", json={"claims": [line]})
    form = {"first_name": "A", "last_name": "B", "new_password": "correct horse battery", "email": "b@example.org", "payer_id": "short"}
    one = here.browser("iiportal")
    one.start("activate")
    for password in ("1111", "2222", "3333", "1234"):
        one.go(**form, password=password, _status=422)
    here.now += 86_400
    one.start("activate")
    one.go(**form, password="1234")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"claims": []}, "claims"),
        ([], "claims"),
        ({"claims": [{"unit": "cz-a", "kind": "one_time_credentials"}, {"unit": "cz-a"}]}, "claims/1/kind"),
        ({"claims": [{"unit": "cz-a", "kind": "nothing"}]}, "claims/0/kind"),
        ({"claims": [{"unit": "cz-a", "kind": "one_time_credentials", "fields": {"code": "x"}}]}, "claims/0/fields/code"),
        ({"claims": [{"unit": "cz-a", "kind": "one_time_credentials", "evidence": "a photo"}]}, "claims/0/evidence"),
    ],
)
def test_a_wrong_claim_is_named_and_none_is_made(here, body, where):
    """The whole batch or nothing: the answer names the place."""
    answer = operator(here).post("/v1/claims", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, where)
    assert here.registry.accounts.claims_of("cz") == []


def test_units_of_another_manager_are_not_there(here):
    """A batch with one of them is refused like one with a unit that nobody has."""
    foreign, nowhere = (operator(here).post("/v1/claims", json=batch("cz-a", unit), headers=PDF) for unit in ("si-a", "u_nowhere"))
    assert (foreign.status_code, foreign.content) == (404, nowhere.content)
    assert here.registry.accounts.claims_of("cz") == []
    assert operator(here).post("/v1/claims", content=b"{", headers=LINES).status_code == 422


@pytest.mark.feature("K7")
def test_the_kind_of_paper_that_was_seen_is_kept_and_no_copy(here):
    """The counter hands out a password against a paper: the audit names its kind."""
    line = {"unit": "ru-a", "kind": "office_password", "fields": {"account_no": "7"}, "evidence": "lease"}
    assert operator(here, "ru").post("/v1/claims", json={"claims": [line]}).status_code == 201
    assert [one.detail for one in here.registry.audit() if one.action == "claims.evidence"] == ["lease"]
