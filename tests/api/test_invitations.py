"""Who is invited sees what the invitation says, as long as it says, and nothing of anybody else's time (portal FLOWS 9)."""

import pytest
from portals import Here
from test_flows import PASSWORD, inmes
from test_matrix import publish

from submeter import civil

DAY = "2025-01-03"


@pytest.fixture
def here(tmp_path):
    """A flat with cold water by the hour and hot water without rows."""
    made = Here(tmp_path)
    with made.registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}')")
        db.execute("INSERT INTO points VALUES ('q', 'cz1', 'cz-a', 'hot_water', '', 'volume', '{}')")
    publish(made)
    yield made
    made.close()


def invited(here, one, mail="petr@example.org", **body):
    """A second person who followed the resident's invitation."""
    answer = one.client.post("/v1/units/cz-a/invitations", json=body)
    assert answer.status_code == 201, answer.text
    code = answer.json().get("code") or here.mail("invitation").values["code"]
    other = here.browser("inmes")
    other.start("accept")
    other.go(code=code)
    other.go(email=mail)
    other.follow()
    other.go()
    other.go(accept=True)
    assert other.go(new_password=PASSWORD, new_password_again=PASSWORD)["done"]
    return other


def asked(browser, **query):
    """What a browser is answered about days around the turn of a year."""
    return browser.client.get("/v1/units/cz-a/consumption", params={"from": "2024-12-25", "to": "2025-01-05", "resolution": "P1D"} | query)


def test_a_third_party_sees_what_was_chosen(here):
    """Class of points, resolution, beginning and end are those of the invitation; other points are as if there were none."""
    one, _ = inmes(here)
    other = invited(
        here, one, role="third_party", quantities=["cold_water"], finest="day", data_from="2025-01-02T00:00:00Z", until="2025-07-01T00:00:00Z"
    )
    points = asked(other).json()["series"][0]["points"]
    assert [point["start"][:10] for point in points] == ["2025-01-02", "2025-01-03", "2025-01-04"]
    assert asked(other, resolution="PT1H").status_code == 403
    assert [meter["id"] for meter in other.client.get("/v1/units/cz-a/meters").json()["meters"]] == ["p"]
    assert {series["meter"] for series in asked(other, by="meter").json()["series"]} == {"p"}
    assert other.client.get("/v1/units/cz-a/information/2025-01").status_code == 404
    here.now = civil.instant("2025-07-01T00:00:00Z") / 1e6
    assert other.client.get("/v1/units/cz-a/meters").status_code in {401, 404}


def test_another_class_is_as_if_it_were_not_there(here):
    """Who may see hot water finds no series of cold water, by whatever name it is asked for."""
    one, _ = inmes(here)
    other = invited(here, one, role="third_party", quantities=["hot_water"])
    for query in ({}, {"quantity": "volume"}, {"by": "meter"}, {"compare": "building"}):
        assert asked(other, **query).json()["series"] == []


def test_a_comparison_tells_nothing_from_before_the_beginning(here):
    """The span before and the year before are null where they began before what the invitation shows."""
    one, _ = inmes(here)
    other = invited(here, one, role="household", data_from="2025-01-02T00:00:00Z")
    told = asked(other, **{"from": "2025-01-03", "to": "2025-01-05", "compare": "previous"}).json()["compare"]["previous"]
    assert [point["value"] is None for point in told["series"][0]["points"]] == [True, False]
    assert asked(one, **{"from": "2025-01-03", "to": "2025-01-05", "compare": "previous"}).json()["compare"]["previous"]["series"][0]["points"][0][
        "value"
    ]


def test_nobody_gives_more_than_the_own_time(here):
    """Beginning and end of an invitation are the inviter's own at most."""
    with here.registry.writing() as db:
        db.execute("UPDATE occupancies SET until = ? WHERE unit = 'cz-a'", (int(here.now * 1e6) + 30 * civil.DAY,))
    one, _ = inmes(here)
    told = one.client.post("/v1/units/cz-a/invitations", json={"data_from": "2000-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}).json()
    holder = here.registry.occupancies_of("cz-a")[0]
    assert (civil.instant(told["data_from"]), civil.instant(told["until"])) == (holder.since, holder.until)


def test_an_invitation_goes_by_mail_and_is_listed(here):
    """With an address the code is in the mail alone; the inviter sees the open ones, and afterwards the grant with its holder's address masked."""
    one, _ = inmes(here)
    answer = one.client.post("/v1/units/cz-a/invitations", json={"email": "petr@example.org"})
    assert "code" not in answer.json()
    notice = here.mail("invitation")
    assert notice.address == "petr@example.org"
    assert notice.values["code"] not in notice.values["link"]
    assert [told["id"] for told in one.client.get("/v1/units/cz-a/invitations").json()["invitations"]] == [answer.json()["id"]]
    assert one.client.delete(f"/v1/invitations/{answer.json()['id']}").status_code == 204
    assert one.client.get("/v1/units/cz-a/invitations").json()["invitations"] == []
    invited(here, one, email="eva@example.org", mail="eva@example.org")
    (given,) = one.client.get("/v1/grants").json()["given"]
    assert (given["role"], given["holder"]["address"][:1], "eva@" in given["holder"]["address"]) == ("household", "e", False)


def test_a_wrong_invitation_says_what_is_wrong(here):
    """Unknown classes, what is no date and unknown roles are refused with the field."""
    one, _ = inmes(here)
    for body, field in (({"quantities": ["gold"]}, "quantities"), ({"until": "soon"}, "until"), ({"role": "resident"}, "role")):
        answer = one.client.post("/v1/units/cz-a/invitations", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, field)


def test_who_was_invited_invites_nobody(here):
    """Household and third parties give no access on, see no documents, and cannot list invitations of others."""
    one, _ = inmes(here)
    other = invited(here, one)
    assert other.client.post("/v1/units/cz-a/invitations", json={}).status_code == 422
    assert other.client.get("/v1/units/cz-a/invitations").json()["invitations"] == []
