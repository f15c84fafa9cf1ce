"""Addresses and forms as nobody types them: each is answered by a page that says what was wrong, never by a fault (portal SCREENS 6)."""

from datetime import UTC, datetime

import pytest
from flat import furnished
from portals import PASSWORD
from reader import activated, entered, reader_of

from submeter.store.errors import StoreError

TODAY = datetime.now(UTC).date()


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Five portals with their pages; a flat has three years of rows."""
    made = furnished(tmp_path_factory.mktemp("odd"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def resident(here):
    """Who lives in the flat."""
    return activated(here, "cz-a", "jana@example.org")


@pytest.fixture(scope="module")
def operator(here):
    """Who works for the manager."""
    return entered(here)


def got(reader, path):
    """Status of an address, and where it leads, its redirects not followed."""
    answer = reader.client.get(path, follow_redirects=False)
    return answer.status_code, answer.headers.get("location")


def posted(reader, path, body):
    """The same of a form."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = reader.client.post(path, content=body.encode(), headers=headers, follow_redirects=False)
    return answer.status_code, answer.headers.get("location")


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/nothing", 404, None),
        ("/start/nothing", 404, None),
        ("/units/cz-a", 200, None),
        ("/units/cz-b", 404, None),
        ("/units/u_nothing", 404, None),
        ("/units/cz-a?year=1999", 200, None),
        ("/units/cz-a?year=x&from=x&to=2024-02-30", 200, None),
        ("/units/cz-a?from=2024-03-01&to=2024-02-01", 422, None),
        ("/units/cz-a/history?q=nothing", 200, None),
        ("/units/cz-a/history/2024", 404, None),
        ("/units/cz-a/history/2024-13", 404, None),
        ("/units/cz-a/history/2024-02-30", 404, None),
        (f"/units/cz-a/history/{TODAY:%Y-%m}", 200, None),
        (f"/units/cz-a/history/{TODAY}", 200, None),
        ("/units/cz-a/consumption?from=2024-05-01&to=2024-06-01", 303, "/units/cz-a?year=2024"),
        ("/units/cz-a/consumption", 303, "/units/cz-a"),
        ("/units/cz-a/consumption?from=2024-02-30", 303, "/units/cz-a"),
        ("/units/cz-a/file/csv?year=2024", 200, None),
        ("/units/cz-a/file/pdf?year=2024", 404, None),
        ("/units/cz-a/file/csv", 404, None),
        ("/units/cz-a/file/csv?year=1999", 404, None),
        ("/units/cz-b/file/csv?year=2024", 404, None),
        ("/units/cz-a/readings?meter=nothing&from=x", 200, None),
        ("/units", 303, "/units/cz-a"),
        ("/papers", 303, "/units/cz-a/papers"),
        ("/announcements", 303, "/units/cz-a/papers"),
        ("/reading", 303, "/home"),
        ("/", 303, "/home"),
        ("/documents/b_nothing", 404, None),
        ("/export/e_nothing", 404, None),
        ("/flow/f_nothing", 410, None),
        ("/operator", 404, None),
        ("/operator/audit", 404, None),
        ("/static/portal.css", 200, None),
        ("/static/nothing.css", 404, None),
    ],
)
def test_addresses_of_a_resident(resident, path, status, location):
    """What is foreign, unreadable or not there is one page; what only leads on leads to an own page."""
    assert got(resident, path) == (status, location)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/profile", "do=nothing", 404),
        ("/profile", "", 404),
        ("/profile", "do=describe&name=Jana&locale=xx", 422),
        ("/profile/password", f"do=change&password={PASSWORD}&new_password=a+fine+sentence&new_password_again=another+one", 422),
        ("/profile/password", "do=change&password=wrong&new_password=a+fine+sentence&new_password_again=a+fine+sentence", 422),
        ("/profile/contacts", "do=send&address=nobody", 422),
        ("/profile/contacts", "do=add&address=new@example.org&code=", 422),
        ("/profile/contacts", "do=drop&id=c_nothing", 404),
        ("/profile/contacts", "do=drop&id=../../grants/x", 404),
        ("/profile/people", "do=invite&unit=cz-b", 404),
        ("/profile/people", "do=invite&unit=cz-a&until=2024-02-30", 422),
        ("/profile/people", "do=invite&unit=cz-a&until=9999-12-31", 422),
        ("/profile/people", "do=invite&unit=cz-a&until=2020-01-01", 422),
        ("/profile/people", "do=withdraw&id=i_nothing", 404),
        ("/profile/people", "do=revoke&id=g_nothing", 404),
        ("/profile/sessions", "do=end&id=s_nothing", 404),
        ("/profile/tokens", "do=make&label=&days=7&scope/units:read=on", 422),
        ("/profile/tokens", "do=make&label=home&days=0&scope/units:read=on", 422),
        ("/profile/tokens", "do=make&label=home&days=x&scope/units:read=on", 422),
        ("/profile/tokens", "do=make&label=home&days=99999&scope/units:read=on", 422),
        ("/profile/tokens", "do=make&label=home&days=7", 422),
        ("/profile/tokens", "do=make&label=home&days=7&scope/units:read=on&unit/cz-b=on", 404),
        ("/profile/tokens", "do=end&id=k_nothing", 404),
        ("/profile/consents", "do=accept&doc=nothing", 422),
        ("/profile/consents", "do=back&id=n_nothing", 404),
        ("/profile/notices", "do=choose&nothing/email=on", 422),
        ("/profile/data", "do=erase", 422),
        ("/profile/data", "do=stay", 422),
        ("/places", "do=switch&unit=cz-b", 404),
        ("/places", "do=confirm&id=g_nothing&code=x", 404),
        ("/units/cz-a/readings", "do=send&meter=p0&value=x", 422),
        ("/units/cz-a/readings", "do=send&meter=p0&value=1&time=yesterday", 422),
        ("/units/cz-a/readings", "do=send&meter=nothing&value=1", 404),
        ("/units/cz-a/papers", "do=write&text=", 422),
        ("/units/cz-a/papers", "do=open&id=b_nothing", 404),
        ("/units/cz-a/papers", "do=seen&id=n_nothing", 404),
        ("/units/cz-b/papers", "do=write&text=hello", 404),
        ("/units/cz-a/limits", "do=add&amount=much", 422),
        ("/units/cz-b/statement", "", 404),
        ("/profile", "&".join(f"f{number}=1" for number in range(1001)), 422),
        ("/operator/claims", "do=make", 404),
    ],
)
def test_forms_of_a_resident(resident, path, body, status):
    """What cannot be is said on the page, or is not there; nothing of it is a server's fault."""
    assert posted(resident, path, body)[0] == status


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/operator/events?state=nothing&kind=nothing", None, 200),
        ("/operator/quality?month=2024-13", None, 200),
        ("/operator/quality?month=2099-01", None, 422),
        ("/operator/audit?from=yesterday&after=", None, 200),
        ("/operator/audit?from=2024-02-30", None, 422),
        ("/operator/audit?after=x", None, 422),
        ("/operator/claims?kind=nothing&entrance=nothing", None, 200),
        ("/operator/enter/used", None, 200),
        ("/operator/enter/used", "", 422),
        ("/operator/claims", "do=make&letters=pdf", 422),
        ("/operator/claims", "do=make&letters=doc&unit/cz-a=on&kind=one_time_credentials", 422),
        ("/operator/claims", "do=make&letters=csv&unit/cz-a=on&kind=nothing", 422),
        ("/operator/claims", "do=make&letters=csv&unit/si-a=on&kind=one_time_credentials", 404),
        ("/operator/claims", "do=withdraw&id=l_nothing", 404),
        ("/operator/access", "do=allow&id=g_nothing", 404),
        ("/operator/access", "do=deny&id=g_nothing", 404),
        ("/home", None, 200),
        ("/profile", None, 403),
    ],
)
def test_requests_of_an_operator(operator, path, body, status):
    """A filter that means nothing is left out, what is named and is not there is told."""
    assert (got(operator, path) if body is None else posted(operator, path, body))[0] == status


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [("en", "en"), ("nb", "cs"), ("", "cs"), ("../en", "cs")],
)
def test_a_language_is_one_of_the_portals(here, chosen, kept):
    """Another one changes nothing."""
    reader = reader_of(here, "inmes")
    posted(reader, "/language", f"to={chosen}")
    assert reader.open("/").lang == kept


def test_what_cannot_be_read_just_now_is_a_page_that_says_so(here, resident, monkeypatch):
    """503 with the time to come again, and the next look is as ever."""

    def broken(*_):
        raise StoreError("the disk is away")

    with monkeypatch.context() as patched:
        patched.setattr(here.published, "read_all", broken)
        assert got(resident, "/units/cz-a") == (503, None)
    assert got(resident, "/units/cz-a") == (200, None)


def test_a_file_has_the_months_of_its_year(resident):
    """Twelve of each quantity, no month before or after."""
    year = TODAY.year - 1
    head, *rows = [line.split(",") for line in resident.client.get(f"/units/cz-a/file/csv?year={year}").text.splitlines()]
    months = [row[head.index("start")][:7] for row in rows]
    assert sorted(months) == sorted([f"{year}-{month:02d}" for month in range(1, 13)] * 3)


def test_an_act_that_failed_keeps_what_was_typed_but_secrets(resident):
    """A name stays in its field; a password and a code never come back."""
    resident.open("/profile/tokens")
    resident.client.post("/profile/tokens", content=b"do=make&label=My+home&days=0")
    answer = resident.client.post("/profile/tokens", content=b"do=make&label=My+home&days=0&code=493817")
    assert ("My home" in answer.text, "493817" in answer.text) == (True, False)


def test_a_token_for_one_flat_and_a_session_that_is_ended(here, resident):
    """Of the flats that were ticked; the secret is shown once. Another browser is signed out from the list."""
    resident.open("/profile/tokens")
    answer = resident.client.post("/profile/tokens", content=b"do=make&label=home&days=7&scope/units:read=on&unit/cz-a=on")
    assert answer.text.count("sm_") == 1
    (token,) = resident.client.get("/v1/me/tokens").json()["tokens"]
    assert (token["label"], token["units"], token["scopes"]) == ("home", ["cz-a"], ["units:read"])
    assert posted(resident, "/profile/tokens", f"do=end&id={token['id']}") == (303, "/profile/tokens")
    assert resident.client.get("/v1/me/tokens").json()["tokens"] == []
    other = here.browser("inmes")
    other.start("login")
    other.go(name="jana@example.org", password=PASSWORD)
    other.go(code=other.code())
    elsewhere = next(one for one in resident.client.get("/v1/sessions").json()["sessions"] if not one["here"])
    assert posted(resident, "/profile/sessions", f"do=end&id={elsewhere['id']}") == (303, "/profile/sessions")
    assert other.client.get("/v1/session").status_code == 401


def test_an_invitation_is_taken_back_from_the_list(resident):
    """The code is void, the list empty."""
    answer = resident.client.post("/profile/people", content=b"do=invite&unit=cz-a&role=third_party&finest=month&class/cold_water=on")
    assert answer.status_code == 200
    (listed,) = resident.client.get("/v1/units/cz-a/invitations").json()["invitations"]
    assert (listed["role"], listed["finest"], listed["quantities"]) == ("third_party", "month", ["cold_water"])
    assert posted(resident, "/profile/people", f"do=withdraw&id={listed['id']}") == (303, "/profile/people")
    assert resident.client.get("/v1/units/cz-a/invitations").json()["invitations"] == []
