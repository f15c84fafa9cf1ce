"""Messages to the operator: a ticket, a mail, the status back; each person's own."""

import pytest
from mirrored import people
from portals import inmes


def write(client, text, unit="cz-a", status=201):
    """Write to the operator."""
    answer = client.post(f"/v1/units/{unit}/messages", json={"text": text})
    assert answer.status_code == status, answer.text
    return answer.json()


def object_to(one, text):
    """Object to the rooms that a flow shows."""
    return one.client.post(f"/v1/flows/{one.flow['id']}/objection", json={"text": text})


def own(client, unit="cz-a"):
    """Tickets and their status, as one sees them."""
    answer = client.get(f"/v1/units/{unit}/messages")
    return {one["ticket"]: one["status"] for one in answer.json()["messages"]} if answer.status_code == 200 else answer.status_code


@pytest.mark.feature("Y14", "K13")
def test_a_message_goes_to_the_operator_and_its_status_comes_back(here):
    """A ticket, a mail with unit, ticket, sender and text, and the operator's word; nobody else at the unit reads it."""
    who = people(here)
    ticket = write(who.former, "The valve\r\ndrips.")["ticket"]
    mail = here.mail("message_to_operator")
    assert (mail.address, mail.values["ticket"], mail.values["text"]) == ("office@example.org", ticket, "The valve\ndrips.")
    assert "cz-a" in mail.values["unit"]
    assert "former@example.org" in mail.values["sender"]
    operator = here.service("cz", "accounts:write")
    (listed,) = operator.get("/v1/messages").json()["messages"]
    assert (listed["ticket"], listed["unit"], listed["text"]) == (ticket, "cz-a", "The valve\ndrips.")
    assert operator.put(f"/v1/messages/{ticket}", json={"status": "The plumber comes on Monday"}).status_code == 204
    assert [one.subject for one in here.registry.trail.find(action="message.status")] == [ticket]
    assert own(who.former) == {ticket: "The plumber comes on Monday"}
    assert (own(who.present), own(who.neighbour), own(who.household)) == ({}, 404, 403)
    assert write(who.neighbour, "x", status=404) == write(who.neighbour, "x", "u_nowhere", status=404)
    other = here.service("si", "accounts:write")
    assert other.get("/v1/messages").json() == {"messages": []}
    assert other.put(f"/v1/messages/{ticket}", json={"status": "x"}).status_code == 404
    assert own(who.former) == {ticket: "The plumber comes on Monday"}


def test_characters_that_steer_or_turn_text_are_taken_out(here):
    """Neither a terminal nor a reader is misled; a text of nothing else is none."""
    one, _ = inmes(here, phone=None)
    write(one.client, "a\x1b[31m\u202eb\x00\tc")
    assert here.mail("message_to_operator").values["text"] == "a[31mb\tc"
    assert write(one.client, "\x00\u202e \n", status=422)["errors"][0]["parameter"] == "text"
    assert write(one.client, "x" * 4001, status=422)["errors"][0]["parameter"] == "text"
    write(one.client, "x" * 4000)


def test_twenty_a_day(here):
    """Then it is enough until tomorrow, for this account alone."""
    one, _ = inmes(here, phone=None)
    for _ in range(20):
        write(one.client, "again")
    answer = one.client.post("/v1/units/cz-a/messages", json={"text": "again"})
    assert (answer.status_code, answer.json()["type"], "Retry-After" in answer.headers) == (429, "too-many-requests", True)
    other, _ = inmes(here, "cz-b", "other@example.org", None)
    write(other.client, "once", "cz-b")


@pytest.mark.feature("I6")
def test_whoever_does_not_agree_with_the_rooms_writes_to_the_operator(here):
    """At the review only, by the browser of the flow, three times a day; the flow stays where it is."""
    one = here.browser("inmes")
    one.start("activate")
    one.go(**here.claim("one_time_credentials", "cz-a"))
    assert one.go(agree=False, accept=True, _status=422)["errors"][0]["parameter"] == "agree"
    assert object_to(one, "This is not my flat\x00").status_code == 201
    mail = here.mail("message_to_operator")
    assert (mail.values["text"], "cz-a" in mail.values["unit"]) == ("This is not my flat", True)
    stranger = here.browser("inmes")
    stranger.flow = one.flow
    assert object_to(stranger, "x").json()["type"] == "step-expired"
    assert [object_to(one, "again").status_code for _ in range(3)] == [201, 201, 429]
    assert here.sent("message_to_operator") == 3
    assert one.go(agree=True, accept=True)["step"]["do"] == ["contact"]
    assert object_to(one, "too late").json()["type"] == "not-accepted"
