"""Announcements: to whom they are shown, in which language, and to whom they go by mail."""

import pytest
from mirrored import people

WORDS = {"cs": {"title": "Odečet", "text": "V pondělí."}, "en": {"title": "Reading", "text": "On Monday."}}


@pytest.fixture
def who(here):
    """cz-a with a former and a present holder."""
    return people(here)


@pytest.fixture
def operator(here):
    """Who announces for the Czech manager."""
    return here.service("cz", "announcements:write", "announcements:read")


def announce(client, audience, status=201, **fields):
    """Announce something."""
    answer = client.post("/v1/announcements", json={"audience": audience, "texts": WORDS} | fields)
    assert answer.status_code == status, answer.text
    return answer.json()


def seen(client):
    """Ids of what is announced to somebody."""
    return {one["id"] for one in client.get("/v1/announcements").json()["announcements"]}


def test_each_sees_what_was_announced_in_the_own_time(who, operator):
    """A flat's belongs to the time in which it came; a house's is for new ones too, not for who had left; a foreign one is not there."""
    flat = announce(operator, {"unit": "cz-a"}, **{"from": "2024-06-01"})["id"]
    house = announce(operator, {"property": "cz1"}, **{"from": "2024-06-01"})["id"]
    now = announce(operator, {"unit": "cz-a"})["id"]
    everybody = announce(operator, {})["id"]
    assert seen(who.former) == {flat, house}
    assert seen(who.present) == seen(who.household) == {house, now, everybody}
    assert seen(who.neighbour) == {house, everybody}
    assert who.neighbour.put(f"/v1/announcements/{now}/read").status_code == who.present.put(f"/v1/announcements/{flat}/read").status_code == 404
    for foreign in ({"unit": "si-a"}, {"property": "si1"}, {"unit": "u_nowhere"}):
        assert announce(operator, foreign, 404)["type"] == "not-found"


def test_what_is_over_or_to_come_is_not_shown(here, who, operator):
    """From and to are half-open."""
    over = announce(operator, {}, **{"from": "2025-06-01", "to": "2025-06-15"})["id"]
    later = announce(operator, {}, **{"from": "2025-06-15T15:30:00Z"})["id"]
    assert not {over, later} & seen(who.present)
    here.now += 1800
    assert later in seen(who.present)
    assert announce(operator, {}, 422, **{"from": "2025-06-02", "to": "2025-06-02"})["errors"][0]["parameter"] == "to"


def test_language_and_read_mark(who, operator):
    """In the reader's language, else English; the operator sees how many read it, not who."""
    identity = announce(operator, {"property": "cz1"})["id"]
    (first,) = who.present.get("/v1/announcements").json()["announcements"]
    assert (first["title"], first["units"], first["read_at"]) == ("Odečet", ["cz-a"], None)
    assert who.present.get("/v1/announcements", params={"locale": "en"}).json()["announcements"][0]["text"] == "On Monday."
    assert who.present.get("/v1/announcements", params={"locale": "de"}).json()["announcements"][0]["text"] == "On Monday."
    for client in (who.present, who.present, who.neighbour):
        assert client.put(f"/v1/announcements/{identity}/read").status_code == 204
    assert who.present.get("/v1/announcements").json()["unread"] == 0
    assert who.household.get("/v1/announcements").json()["unread"] == 1
    (told,) = operator.get("/v1/announcements").json()["announcements"]
    assert (told["readers"], told["texts"], told["audience"]) == (2, WORDS, {"property": "cz1"})
    assert who.present.post("/v1/announcements", json={"audience": {}, "texts": WORDS}).status_code == 403


def test_mails_go_to_those_who_live_there_now(here, who, operator):
    """To all, or to those who chose it; never to who moved out; one mail an address, in its language."""
    assert announce(operator, {"unit": "cz-a"})["mails"] == 0
    assert announce(operator, {"property": "cz1"}, mail="opted_in")["mails"] == 0
    assert who.present.put("/v1/me/units/cz-a", json={"announcements_by_mail": True}).status_code == 200
    assert who.former.put("/v1/me/units/cz-a", json={"announcements_by_mail": True}).status_code == 200
    assert announce(operator, {"property": "cz1"}, mail="opted_in")["mails"] == 1
    mail = here.mail("announcement")
    assert (mail.address, mail.locale, mail.values["title"]) == ("present@example.org", "cs", "Odečet")
    assert announce(operator, {"property": "cz1"}, mail="all")["mails"] == 3
    assert {one.address for one in here.arrived("announcement")} == {
        "present@example.org",
        "neighbour@example.org",
        "household@example.org",
    }
    assert announce(here.service("si", "announcements:write"), {}, mail="all")["mails"] == 0
