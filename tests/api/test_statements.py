"""Statements of consumption: what is in them, of whose time, who sees them, and to whom they go."""

from io import BytesIO

import pytest
from mirrored import account_of, people
from portals import Here
from pypdf import PdfReader
from test_matrix import EDGE, publish

from submeter import civil
from submeter.config.languages import LOCALES
from submeter.config.words import words_of
from submeter.store.accounts import Contact, Grant

FORMER, PRESENT = {"from": "2024-12-01", "to": "2025-01-01"}, {"from": "2025-01-01", "to": "2025-02-01"}


@pytest.fixture
def here(tmp_path):
    """Five portals, and rows of cz-a around the hand-over."""
    made = Here(tmp_path)
    with made.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', 'Kitchen', 'volume', '{}')")
    publish(made)
    yield made
    made.close()


@pytest.fixture
def who(here):
    """cz-a with a former and a present holder."""
    return people(here)


def make(client, status=201, unit="cz-a", **fields):
    """Ask for a statement."""
    answer = client.post(f"/v1/units/{unit}/statements", json=fields)
    assert answer.status_code == status, answer.text
    return answer.json()


def content(client, made):
    """The file of a statement."""
    answer = client.get(f"/v1/documents/{made['document']['id']}")
    assert answer.status_code == 200
    return answer.content


def text(pdf):
    """The words of a PDF."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).split())


def test_a_statement_has_the_months_of_the_own_time_alone(who):
    """Value, quality and words in the reader's language; of another holder's months there is nothing, whatever is asked for."""
    whole = {"from": "2024-01-01", "to": "2025-06-01"}
    old, new = text(content(who.former, make(who.former, **whole))), text(content(who.present, make(who.present, **whole)))
    for words in (old, new):
        assert all(part in words for part in ("Výpis spotřeby", "Flat a", "Main street 5", "Studená voda, Kitchen, m³", "změřeno"))
    assert ("2024-12 " in old, "2025-01 " in old) == (True, False)
    assert ("2024-12 " in new, "2025-01 " in new) == (False, True)
    own = f"{EDGE / 1e9:.3f}".replace(".", ",")
    assert (own in new.replace(" ", ""), own in old.replace(" ", "")) == (True, False)
    rows = content(who.former, make(who.former, format="csv", **whole)).decode("utf-8-sig")
    assert "2025-01-01T00:00:00+00:00,2025-02" not in rows
    assert "2024-12-01T00:00:00+00:00,2025-01-01T00:00:00+00:00" in rows


def test_only_who_asked_sees_it(here, who):
    """Neither the next holder, nor another account of the same one, a neighbour, the household, a token of the manager; the list of who asked has it."""
    made = make(who.former, **FORMER)["document"]["id"]
    service = here.service("cz", "documents:read")
    assert [client.get(f"/v1/documents/{made}").status_code for client in (who.present, who.neighbour, who.household, service)] == [404] * 4
    assert made in [one["id"] for one in who.former.get("/v1/units/cz-a/documents").json()["documents"]]
    assert made not in service.get("/v1/units/cz-a/documents").text
    mine, other = make(who.present, **PRESENT)["document"]["id"], account_of(here, "household@example.org")
    begun = here.registry.occupancies_of("cz-a")[-1].since
    here.registry.accounts.add_grant(Grant("g_too", other, "cz", "cz-a", begun, "resident", begun, None, "test", None, begun, None))
    assert who.household.get("/v1/units/cz-a/documents").json()["documents"] == []
    assert who.household.get(f"/v1/documents/{mine}").status_code == 404
    here.registry.accounts.end_grant("g_too", begun)
    make(who.neighbour, 404, **PRESENT)
    make(who.household, 403, **PRESENT)
    make(who.neighbour, 404, "u_nowhere", **PRESENT)


def test_the_same_rows_are_the_same_document(here, who):
    """Asked for again later, the same is there; other rows are another."""
    first = make(who.present, **PRESENT)
    here.now += 60
    assert make(who.present, **PRESENT)["document"]["id"] == first["document"]["id"]
    assert make(who.present, format="xlsx", **PRESENT)["document"]["media_type"].endswith("sheet")
    assert make(who.present, **{"from": "2025-01-01", "to": "2025-03-01"})["document"]["id"] != first["document"]["id"]
    make(who.present, 422, **{"from": "2025-01-01", "to": "2025-01-01"})
    make(who.present, 422, **{"from": "2015-01-01", "to": "2025-01-01"}, format="doc")


def test_it_is_sent_to_an_own_proven_address_alone(here, who):
    """By the id of the contact; the mail has a link, and no figure."""
    accounts = here.registry.accounts
    own, foreign = account_of(here, "present@example.org"), account_of(here, "former@example.org")
    accounts.add_contact(Contact("c_new", own, "email", "new@example.org", "notify", None), "inmes")
    for wrong in ("c_new", accounts.contacts(foreign)[0].id, "new@example.org"):
        assert make(who.present, 422, send_to=wrong, **PRESENT)["errors"][0]["parameter"] == "send_to"
    assert here.sent("statement") == 0
    made = make(who.present, send_to=accounts.contacts(own)[0].id, **PRESENT)
    mail = here.mail("statement")
    assert (mail.address, mail.locale) == ("present@example.org", "cs")
    assert mail.values["link"] == f"https://inmes.localhost/documents/{made['document']['id']}"


def test_thirty_a_day(here, who):
    """Then it is enough until tomorrow."""
    here.registry.accounts.count(f"statements:{account_of(here, 'present@example.org')}", int(here.now * 1e6), lambda _: 0, daily=True)
    for _ in range(29):
        make(who.present, format="csv", **PRESENT)
    assert make(who.present, 429, **PRESENT)["type"] == "too-many-requests"


def test_the_languages_have_the_same_words():
    """Each word in each language, and sentences that are no other's."""
    said = [words_of(locale).statement for locale in LOCALES]
    assert len({frozenset(one) for one in said}) == 1
    assert len({one["method"] for one in said}) == len(LOCALES)
    assert civil.utc_date(EDGE).isoformat() == "2025-01-01"
