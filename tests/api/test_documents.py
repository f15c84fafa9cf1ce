"""Documents: pushed by the accounting system, kept as they came, shown to whom they concern and to nobody else."""

import base64
import hashlib

import pytest
from mirrored import people
from portals import Here, logged_in

PDF = b"%PDF-1.4\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n"
IBAN = "CZ5855000000001265098001"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Five portals."""
    made = Here(tmp_path_factory.mktemp("documents"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def who(here):
    """cz-a with a former and a present holder."""
    return people(here)


@pytest.fixture(scope="module")
def operator(here):
    """The accounting system of the Czech manager."""
    return here.service("cz", "documents:write", "documents:read")


def push(client, status=201, pdf=PDF, **fields):
    """Push a document."""
    body = {"kind": "settlement", "title": "Settlement", "locale": "cs", "audience": {"unit": "cz-a"}, "pdf": base64.b64encode(pdf).decode()}
    answer = client.post("/v1/documents", json=body | fields)
    assert answer.status_code == status, answer.text
    return answer.json()


def listed(client, unit="cz-a"):
    """Ids of the documents of a unit, as one sees them."""
    answer = client.get(f"/v1/units/{unit}/documents")
    return [one["id"] for one in answer.json()["documents"]] if answer.status_code == 200 else answer.status_code


def reach(client, identity):
    """What the file answers."""
    return client.get(f"/v1/documents/{identity}").status_code


def test_a_settlement_is_seen_by_the_holder_of_its_time_alone(here, who, operator):
    """The former holder's by the former one, the present one's by the present one: list, file and read mark."""
    old = push(operator, period={"from": "2024-01-01", "to": "2025-01-01"})["id"]
    new = push(operator, period={"from": "2025-01-01", "to": "2025-04-01"}, title="Newer")["id"]
    assert (old in listed(who.former), new in listed(who.former)) == (True, False)
    assert (old in listed(who.present), new in listed(who.present)) == (False, True)
    assert (reach(who.former, old), reach(who.former, new), reach(who.present, old), reach(who.present, new)) == (200, 404, 404, 200)
    assert who.present.put(f"/v1/documents/{old}/read").status_code == 404
    assert (listed(who.neighbour), reach(who.neighbour, old), reach(who.neighbour, "b_nowhere")) == (404, 404, 404)
    assert (listed(who.household), reach(who.household, new)) == (403, 404)
    assert {old, new} <= set(listed(operator))


def test_a_time_of_two_holders_must_say_whose_it_is(here, who, operator):
    """Over the hand-over the holder is named, else the push is refused; nobody lived there in 1999."""
    span = {"period": {"from": "2024-10-01", "to": "2025-02-01"}, "title": "Over the hand-over"}
    assert push(operator, 422, **span)["errors"][0]["parameter"] == "holder"
    assert push(operator, 422, period={"from": "1999-01-01", "to": "1999-02-01"})["errors"][0]["parameter"] == "holder"
    last = push(operator, holder="2024-12-31", **span)["id"]
    assert (last in listed(who.former), last in listed(who.present)) == (True, False)


@pytest.mark.feature("S13")
def test_a_bill_is_for_those_who_subscribed(here, who, operator):
    """Without e-invoices no bill, with them it is there, and the next holder of the flat decides anew."""
    bill = push(operator, kind="bill", period={"from": "2025-03-01", "to": "2025-04-01"})["id"]
    assert (bill in listed(who.present), reach(who.present, bill)) == (False, 404)
    wished = who.present.put("/v1/me/units/cz-a", json={"e_invoices": True})
    assert (
        wished.json()
        == who.present.get("/v1/me/units/cz-a").json()
        == {
            "e_invoices": True,
            "statement_monthly": False,
            "announcements_by_mail": False,
        }
    )
    assert (bill in listed(who.present), reach(who.present, bill)) == (True, 200)
    assert bill not in listed(who.former)
    assert who.neighbour.put("/v1/me/units/cz-a", json={"e_invoices": True}).status_code == 404


def test_documents_of_the_house_are_of_the_time_of_who_reads_them(here, who, operator):
    """Rules of the house are for new ones too, not for who had left; a settlement of the house is of its period; another entrance or tenant sees none."""
    rules = push(operator, kind="rules", audience={"property": "cz1"}, visible_from="2024-05-01")["id"]
    later = push(operator, kind="rules", audience={"property": "cz1"}, title="Later", visible_from="2025-02-01")["id"]
    year = push(operator, audience={"property": "cz1"}, title="Year", period={"from": "2024-01-01", "to": "2025-01-01"}, visible_from="2025-03-01")[
        "id"
    ]
    assert {rules, later, year} & set(listed(who.former)) == {rules, year}
    assert {rules, later, year} & set(listed(who.present)) == {rules, later}
    assert {rules, later, year} <= set(listed(who.neighbour, "cz-b"))
    everybody = push(operator, kind="rules", audience={}, title="All")["id"]
    assert everybody in listed(who.neighbour, "cz-b")
    assert push(operator, 422, audience={"property": "cz1", "entrance": "Z"})["errors"][0]["parameter"] == "audience"
    for foreign in ({"unit": "si-a"}, {"property": "si1"}, {"unit": "u_nowhere"}, {"property": "nowhere"}):
        assert push(operator, 404, audience=foreign)["type"] == "not-found"
    other = here.service("si", "documents:read")
    assert (reach(other, rules), listed(other)) == (404, 404)


def test_nothing_is_shown_before_its_time(here, who, operator):
    """`visible_from` may be to come."""
    identity = push(operator, period={"from": "2025-05-01", "to": "2025-06-01"}, visible_from="2025-07-01T00:00:00Z", title="May")["id"]
    assert (identity in listed(who.present), reach(who.present, identity)) == (False, 404)
    here.now += 30 * 86_400
    client = again(here)
    assert identity in listed(client)


def again(here):
    """The present holder in a new session: a month ends the old one."""
    return logged_in(here, "inmes", "present@example.org").client


def test_a_file_comes_as_it_was_sent_and_is_read_once(here, operator):
    """Bytes, name, nosniff, ETag by SHA-256, 304; the read mark counts down the unread."""
    client = again(here)
    pdf = PDF.replace(b"<<>>", b"<</A 1>>")
    pushed = push(operator, pdf=pdf, period={"from": "2025-01-01", "to": "2025-02-01"}, amount="1234.50", currency="CZK", due="2025-03-15")
    answer = client.get(f"/v1/documents/{pushed['id']}")
    assert (answer.content, pushed["sha256"]) == (pdf, hashlib.sha256(pdf).hexdigest())
    assert answer.headers["ETag"] == f'"{pushed["sha256"]}"'
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="settlement-{pushed["id"]}.pdf"'
    assert operator.get(f"/v1/documents/{pushed['id']}", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    before = client.get("/v1/units/cz-a/documents").json()
    assert client.put(f"/v1/documents/{pushed['id']}/read").status_code == 204
    after = client.get("/v1/units/cz-a/documents").json()
    shown = next(one for one in after["documents"] if one["id"] == pushed["id"])
    assert before["unread"] - after["unread"] == 1
    assert (shown["amount"], shown["currency"], shown["due"], shown["read_at"] is None) == ("1234.50", "CZK", "2025-03-15", False)
    assert operator.put(f"/v1/documents/{pushed['id']}/read").status_code == 403


def test_the_same_push_twice_is_one_document(operator):
    """Whoever does not know whether a push arrived pushes again."""
    fields = {"period": {"from": "2025-02-01", "to": "2025-03-01"}, "title": "Twice"}
    assert push(operator, **fields)["id"] == push(operator, **fields)["id"]
    assert push(operator, **fields)["id"] != push(operator, **fields | {"title": "Other"})["id"]


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"pdf": b"<html>"}, "pdf"),
        ({"pdf": PDF.replace(b"%%EOF", b"")}, "pdf"),
        ({"amount": "1.005", "currency": "CZK"}, "amount"),
        ({"amount": "NaN", "currency": "CZK"}, "amount"),
        ({"kind": "Bill/.."}, "kind"),
        ({"period": {"from": "2025-02-01", "to": "2025-02-01"}}, "period"),
        ({"payment": {"scheme": "spd", "iban": IBAN}}, "payment"),
        ({"payment": {"scheme": "spd", "iban": IBAN[:-1] + "2"}, "amount": "1", "currency": "CZK"}, "iban"),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_cannot_be_kept_is_refused(operator, fields, parameter):
    """Each refusal names what is wrong, and nothing is kept."""
    before = listed(operator)
    assert push(operator, 422, **fields)["errors"][0]["parameter"] == parameter
    assert listed(operator) == before


def test_too_large(operator):
    """Ten MiB are a document, more is not; other routes take 64 KB as before."""
    big = PDF[:-6] + b" " * (10 * 1024 * 1024 - len(PDF)) + PDF[-6:]
    assert len(big) == 10 * 1024 * 1024
    assert push(operator, pdf=big, title="Big")["id"]
    assert push(operator, 413, pdf=big[:-6] + b" " + big[-6:])["type"] == "too-large"
    assert operator.post("/v1/documents", content=b" " * 15_000_000).status_code == 413


def test_a_document_is_never_changed(here, operator):
    """The table refuses it."""
    with pytest.raises(Exception, match="never edited"), here.registry.writing() as db:
        db.execute("UPDATE documents SET title = 'x'")
