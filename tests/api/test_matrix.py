"""Who may do what: every route with its rule, and seven principals against own, foreign and nonexistent units (portal FLOWS 10: 37, 39, 40).

`SUBMETER_SAMPLES=200` is for a release: medians are printed (`-s`), never asserted.
"""

import itertools
import json
import os
import re
import statistics
import time

import numpy as np
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from portals import Here, inmes
from tables import copied, names

from submeter import civil
from submeter.api.access import GATES, _anyone
from submeter.api.periods import period
from submeter.reading import LEVELS, Register
from submeter.store import Block, PublishedSeries
from submeter.store.accounts import Account, Claim, Contact, Grant, Session
from submeter.store.announcements import Announcement
from submeter.store.documents import Document
from submeter.store.messages import Letter
from submeter.store.published import POINT
from submeter.store.registry_types import READS, SCOPES, Property, Visible

SAMPLES = int(os.environ.get("SUBMETER_SAMPLES", "1"))
EDGE = 1_735_689_600_000_000
#: Routes that need nobody: those of flows, bound by a cookie of their own.
OPEN = {
    "/v1/portal",
    "/v1/flows/{name}",
    "/v1/flows/{identity}",
    "/v1/flows/{identity}/resend",
    "/v1/flows/{identity}/objection",
    "/v1/confirmations/{link}",
    "/v1/operators/{link}",
}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Five portals; cz-a was somebody else's until 2025 and is its resident's now."""
    made = Here(tmp_path_factory.mktemp("matrix"))
    with made.registry.writing() as db:
        db.execute("UPDATE occupancies SET until = 1735689600000000 WHERE unit = 'cz-a'")
        db.execute("INSERT INTO occupancies VALUES ('cz-a', 1735689600000000, NULL, 'Next')")
        db.execute("INSERT INTO points VALUES ('p', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}')")
    publish(made)
    yield made
    made.close()


@pytest.fixture(scope="module")
def principals(here):
    """Seven who ask: name to client."""
    resident, _ = inmes(here, "cz-a", "own@example.org", None)
    neighbour, _ = inmes(here, "cz-b", "neighbour@example.org", None)
    former, _ = inmes(here, "cz-c", "former@example.org", None)
    account = here.registry.accounts.reached("inmes", "email", "former@example.org").id
    for grant in here.registry.accounts.grants(account):
        here.registry.accounts.end_grant(grant.id, 1)
    begun = here.registry.occupancies_of("cz-a")[0].since
    here.registry.accounts.add_grant(Grant("g_former", account, "cz", "cz-a", begun, "resident", begun, None, "test", None, begun, None))
    tokens = {
        "manager of another property": here.registry.create_token("ug", [*READS, "events:read"]),
        "operator of another tenant": here.registry.create_token("si", list(SCOPES)),
        "token with the wrong scope": here.registry.create_token("cz", ["claims:write"]),
    }
    clients = {name: TestClient(here.app, headers={"Authorization": f"Bearer {token}"}) for name, token in tokens.items()}
    return {"nobody": TestClient(here.app), "resident": resident.client, "resident of another": neighbour.client, "former": former.client, **clients}


def publish(here):
    """Rows of every level around the hand-over, each with its start as its value, and a last index of the next holder's time."""
    blocks = []
    for level, name in enumerate(LEVELS):
        edges = civil.boundaries("UTC", name, EDGE - 20 * civil.DAY, EDGE + 20 * civil.DAY)
        rows = np.zeros(len(edges) - 1, POINT)
        rows["start"], rows["end"], rows["value"], rows["rev"], rows["coverage"] = edges[:-1], edges[1:], edges[:-1] // 1000, 1, 10_000
        labels = [civil.block_labels(name, civil.block_numbers("UTC", name, rows["start"][i : i + 1]))[0] for i in range(len(rows))]
        blocks += [Block(1, level, label, rows[np.array(labels) == label]) for label in sorted(set(labels))]
    head = PublishedSeries(1, "p", Register("volume", "m3"), "total", "UTC", EDGE + 5 * civil.DAY, 7, EDGE + 5 * civil.DAY)
    here.published.replace([head], blocks)


def routes(here):
    """Every route of the application with its methods, also those of included routers; as many as the document has."""
    parts = [getattr(one, "original_router", here.app).routes if hasattr(one, "original_router") else [one] for one in here.app.routes]
    found = [route for part in parts for route in part if isinstance(route, APIRoute)]
    assert {(route.path, method.lower()) for route in found for method in route.methods} == {
        (path, method) for path, methods in here.app.openapi()["paths"].items() for method in methods
    }
    return found


def test_check_37_every_route_declares_its_rule(here):
    """A route without a scope, or without being named as open here, fails."""
    for route in routes(here):
        calls = {dependency.call for dependency in _all(route.dependant)}
        assert set(GATES.values()) & calls or (_anyone in calls and route.path in OPEN), route.path


def _all(dependant):
    yield dependant
    for inner in dependant.dependencies:
        yield from _all(inner)


@pytest.fixture(scope="module")
def ids(here, principals):
    """By what stands before it in a path: ids of the resident of cz-a, of another tenant, of nobody, and of what has ended.

    A route with a new parameter needs a row here.
    """
    accounts, now = here.registry.accounts, int(here.now * 1e6)
    own = accounts.reached("inmes", "email", "own@example.org").id
    accounts.add(Account("a_foreign", "iiportal", None, "", "en", "", now, 0, None))
    accounts.add_grant(Grant("g_foreign", "a_foreign", "si", "si-a", None, "resident", 0, None, "test", None, now, None))
    for name, account, realm, manager in (("s_foreign", "a_foreign", "iiportal", "si"), ("s_ended", own, "inmes", "cz")):
        accounts.open_session(Session(name, realm, manager, account, "account", {}, now, now, now + 10**12, 10**12, now, "", None), name)
    accounts.end_session("s_ended", now)
    with here.registry.writing() as db:
        db.execute("INSERT INTO occupancies VALUES ('cz-c', 1, 2, 'Long ago')")
    accounts.add_grant(Grant("g_long_ago", own, "cz", "cz-c", 1, "resident", 1, None, "test", None, 1, None))
    accounts.add_grant(Grant("g_ended", own, "cz", "cz-b", None, "resident", 1, None, "test", None, 1, now))
    for name, manager, unit, giver, withdrawn in (
        ("l_own", "cz", "cz-a", None, None),
        ("l_foreign", "si", "si-a", None, None),
        ("l_ended", "cz", "cz-a", None, now),
        ("i_own", "cz", "cz-a", own, None),
        ("i_foreign", "si", "si-a", "a_foreign", None),
        ("i_ended", "cz", "cz-a", "a_ended", now),
    ):
        accounts.add_claim(Claim(name, manager, "bill", unit, None, "household", b"", b"", now, None, None, withdrawn, giver, None))
    more = _mirrored(here, own, now)
    grant, session = accounts.grants(own)[0].id, accounts.sessions(own, now)[0].id
    return {
        "units": ("cz-a", "si-a", "u_nowhere", "cz-c"),
        "information": ("2025-05",) * 4,
        "factors": ("totp",) * 4,
        "sessions": (session, "s_foreign", "s_nowhere", "s_ended"),
        "grants": (grant, "g_foreign", "g_nowhere", "g_ended"),
        "claims": ("l_own", "l_foreign", "l_nowhere", "l_ended"),
        "invitations": ("i_own", "i_foreign", "i_nowhere", "i_ended"),
        "accounts": (own, "a_foreign", "a_nowhere", "a_ended"),
        "flows": ("f_own", "f_foreign", "f_nowhere", "f_ended"),
        "confirmations": ("own", "foreign", "nowhere", "ended"),
        "operators": ("own", "foreign", "nowhere", "ended"),
        **more,
    }


def _mirrored(here, own, now):
    """Ids of what an account and a manager have besides grants: of cz-a's holder, of another tenant, of nobody, and of what has ended."""
    registry, accounts = here.registry, here.registry.accounts
    with registry.writing() as db:
        db.execute("INSERT INTO points VALUES ('q', 'si1', 'si-a', 'cold_water', '', 'volume', '{}')")
        db.execute("INSERT INTO points VALUES ('r', 'cz1', 'cz-c', 'cold_water', '', 'volume', '{}')")
    accounts.add_contact(Contact("c_foreign", "a_foreign", "email", "x@example.org", "auth", now), "iiportal")
    accounts.add_contact(Contact("c_own", own, "email", "second@example.org", "notify", now), "inmes")
    tokens = [
        registry.personal.make(account, manager, ["units:read"], [], "", now=now, expires=now + 10**12)[0].id
        for account, manager in ((own, "cz"), ("a_foreign", "si"), (own, "cz"))
    ]
    registry.personal.end(own, tokens[2], now)
    for name, account in (("n_own", own), ("n_foreign", "a_foreign")):
        accounts.consent(name, account, "privacy", "1", "en", now)
    for name, manager, unit, holder in (("d_own", "cz", "cz-a", EDGE), ("d_foreign", "si", "si-a", None), ("d_ended", "cz", "cz-c", 1)):
        about = (name, manager, None, None, unit, holder, None, "contract", name, "en", *[None] * 5, 0, None, "application/pdf", name, 1, now)
        registry.documents.add(Document(*about), b"%PDF-1.4")
        registry.announcements.add(
            Announcement(f"n{name}", manager, None, None, unit, 0, now if holder == 1 else None, now, {"en": {"title": "t", "text": "t"}})
        )
        registry.messages.add(Letter(f"t{name}", manager, unit, own if manager == "cz" else "a_foreign", "text", now, "received", None))
    for name, manager in (("w_own", "cz"), ("w_foreign", "si")):
        registry.webhooks.add(name, manager, "https://example.org/", "secret", now=now)
    for name, account in (("e_own", own), ("e_foreign", "a_foreign")):
        registry.exports.ask(name, account, now)
    return {
        "meters": ("p", "q", "m_nowhere", "r"),
        "contacts": ("c_own", "c_foreign", "c_nowhere", "c_ended"),
        "tokens": (tokens[0], tokens[1], "nowhere", tokens[2]),
        "consents": ("n_own", "n_foreign", "n_nowhere", "n_gone"),
        "documents": ("d_own", "d_foreign", "d_nowhere", "d_ended"),
        "announcements": ("nd_own", "nd_foreign", "nd_nowhere", "nd_ended"),
        "messages": ("td_own", "td_foreign", "td_nowhere", "td_gone"),
        "webhooks": ("w_own", "w_foreign", "w_nowhere", "w_ended"),
        "export": ("e_own", "e_foreign", "e_nowhere", "e_ended"),
    }


#: What a route is asked with besides its path: a query or a body that is right, "{unit}" where a unit is named. A route with a body needs a row here.
RANGE = {"from": "2025-06-01", "to": "2025-06-10"}
ASKED = {
    ("GET", "/v1/units/{unit}/consumption"): RANGE,
    ("GET", "/v1/bulk/consumption"): RANGE,
    ("GET", "/v1/accounts"): {"unit": "{unit}"},
    ("POST", "/v1/flows/{name}"): {},
    ("POST", "/v1/flows/{identity}/resend"): {"channel": "email"},
    ("PUT", "/v1/me/password"): {"present": "not this one", "new": "another fine sentence"},
    ("POST", "/v1/me/factors"): {"kind": "recovery"},
    ("POST", "/v1/units/{unit}/invitations"): {},
    ("POST", "/v1/claims"): {"claims": [{"unit": "{unit}", "kind": "one_time_credentials", "fields": {"payer_id": "1"}}]},
    ("POST", "/v1/grants/{identity}/decision"): {"allow": True},
    ("POST", "/v1/grants/{identity}/confirmation"): {"code": "ABCDEFGH"},
    ("POST", "/v1/grants"): {"account": "a_foreign", "unit": "{unit}", "evidence": "contract"},
    ("POST", "/v1/accounts/{identity}/recovery"): {},
    ("POST", "/v1/me/contacts"): {"channel": "email", "address": "another@example.org"},
    ("PATCH", "/v1/me"): {"name": "Another name"},
    ("POST", "/v1/me/consents"): {"doc": "privacy"},
    ("POST", "/v1/me/tokens"): {"label": "home", "units": ["{unit}"]},
    ("POST", "/v1/documents"): {"kind": "contract", "title": "t", "locale": "en", "audience": {"unit": "{unit}"}, "pdf": "JVBERi0xLjQKJSVFT0YK"},
    ("PUT", "/v1/me/units/{unit}"): {"e_invoices": True},
    ("POST", "/v1/announcements"): {"audience": {"unit": "{unit}"}, "texts": {"en": {"title": "t", "text": "t"}}},
    ("POST", "/v1/units/{unit}/statements"): {"from": "2025-01-01", "to": "2025-02-01", "format": "csv"},
    ("POST", "/v1/units/{unit}/messages"): {"text": "water drips"},
    ("POST", "/v1/flows/{identity}/objection"): {"text": "not my flat"},
    ("PUT", "/v1/messages/{identity}"): {"status": "seen"},
    ("POST", "/v1/meters/{meter}/readings"): {"value": 1},
    ("PUT", "/v1/me/notifications"): {"notifications": {"leak": ["email"]}},
    ("POST", "/v1/events"): {"id": "1", "kind": "balance.due", "unit": "{unit}", "amount": 1, "currency": "EUR", "date": "2025-06-01"},
    ("PUT", "/v1/units/{unit}/alert-rules"): {"rules": []},
    ("POST", "/v1/webhooks"): {"url": "https://example.org/hook"},
}
#: Whose each kind of id is; for everybody else it must be like one that is not there. What has ended is still the operator's to see.
WHOSE = {
    "own": {"resident", "former", "token with the wrong scope"},
    "foreign": {"operator of another tenant"},
    "nowhere": set(),
    "ended": {"token with the wrong scope"},
}
#: Tables that a refused request may write to, out of sight of who asked.
UNSEEN = {"throttle", "flows", "audit", "flow_counts", "reads", "audit_last"}


def asked_of(here, ids):
    """Each route and method with its requests, one for each kind of id."""
    for route, method in [(one, method) for one in routes(here) for method in sorted(one.methods)]:
        parts = re.findall(r"(\w+)/{\w+}", route.path)
        assert not set(parts) - set(ids), f"{route.path}: add {set(parts) - set(ids)} to `ids` in tests/api/test_matrix.py"
        wanted = ASKED.get((method, route.path))
        assert wanted is not None or not route.body_field, f"{method} {route.path}: add a body to ASKED in tests/api/test_matrix.py"
        yield route, method, {kind: _request(route.path, method, wanted, ids, place) for place, kind in enumerate(WHOSE)}


def _request(path, method, wanted, ids, place):
    filled = re.sub(r"(\w+)/{\w+}", lambda found: f"{found[1]}/{ids[found[1]][place]}", path)
    named = json.loads(json.dumps(wanted).replace("{unit}", ids["units"][place])) if wanted is not None else None
    return {"method": method, "url": filled, **({} if named is None else {"params": named} if method == "GET" else {"json": named})}


def kept(here):
    """All rows but those out of sight."""
    return {name: here.registry._rows(f"SELECT * FROM {name} ORDER BY 1") for name in names(here.registry) if name not in UNSEEN}


def test_check_37_foreign_and_ended_are_like_nonexistent_for_everybody(here, principals, ids):
    """Every route, method, principal and kind of id: what is not the own is answered as what is not there, byte for byte, and changes nothing."""
    put_back, before, cells = copied(here.registry), kept(here), 0
    cookies = {name: dict(client.cookies) for name, client in principals.items()}
    for (route, method, requests), (name, client) in itertools.product(asked_of(here, ids), principals.items()):
        seen = {}
        for kind, request in requests.items():
            client.cookies.clear()
            client.cookies.update(cookies[name])
            answer = client.request(**request)
            seen[kind] = answer.status_code, answer.content
            cell, cells = (method, route.path, name, kind, seen[kind]), cells + 1
            assert answer.status_code < 500, cell
            assert route.path in OPEN or (answer.status_code == 401) == (name == "nobody"), cell
            if kept(here) != before:
                assert answer.is_success, cell
                assert name in WHOSE[kind] or requests[kind] == requests["nowhere"], cell
                put_back()
        for kind, owners in WHOSE.items():
            named = requests[kind] != requests["nowhere"]
            if named and (
                name not in owners or (name == "former" and not route.path.startswith(("/v1/units", "/v1/meters", "/v1/me/units", "/v1/me/tokens")))
            ):
                assert seen[kind] == seen["nowhere"], (method, route.path, name, kind)
                assert not 200 <= seen[kind][0] < 300, (method, route.path, name, kind)
    assert cells == sum(len(route.methods) for route in routes(here)) * len(principals) * len(WHOSE)


class Timed:
    """An application that notes how long it took to answer, without what the client needs."""

    def __init__(self, app):
        self.app, self.took = app, []

    async def __call__(self, scope, receive, send):
        begun = time.perf_counter()
        await self.app(scope, receive, send)
        self.took.append(time.perf_counter() - begun)


def test_check_37_foreign_takes_as_long_as_nonexistent(here, principals, ids):
    """Every route with an id, asked in turns for what is another tenant's and for what is not there: medians printed for a release."""
    timed, found = Timed(here.app), []
    for name, kind in (
        ("resident", "foreign"),
        ("resident of another", "own"),
        ("operator of another tenant", "own"),
        ("token with the wrong scope", "foreign"),
    ):
        client = TestClient(timed, base_url=str(principals[name].base_url), headers=dict(principals[name].headers), cookies=principals[name].cookies)
        for route, method, requests in asked_of(here, ids):
            if requests[kind] == requests["nowhere"]:
                continue
            cookies, took = dict(client.cookies), {kind: [], "nowhere": []}
            for sample, one in itertools.product(range(SAMPLES + 1), took):
                client.cookies.clear()
                client.cookies.update(cookies)
                timed.took.clear()
                answer = client.request(**requests[one])
                assert not answer.is_success, (method, route.path, name, one)
                took[one] += timed.took if sample else []  # the first of each warms up
            theirs, nobodys = (statistics.median(one) for one in took.values())
            found.append((theirs / nobodys, f"{method} {route.path}, {name}: {theirs * 1e3:.2f} ms, nowhere {nobodys * 1e3:.2f} ms"))
    found.sort(key=lambda one: max(one[0], 1 / one[0]))
    within = sum(1 / 1.2 <= ratio <= 1.2 for ratio, _ in found)
    print(f"\n{within} of {len(found)} within 20 %, {SAMPLES} samples each; the farthest apart:")  # noqa: T201
    print("\n".join(f"{ratio:.2f} x  {said}" for ratio, said in found[-12:]))  # noqa: T201
    assert found


def test_check_37_every_route_says_what_it_costs(here):
    """A route of `scoped` without a cost fails: write scoped(..., cost="c", "r", "w" or "e")."""
    for route in routes(here):
        assert GATES[None] not in {dependency.call for dependency in _all(route.dependant)}, route.path


def test_check_39_the_tenant_is_that_of_the_token_host_or_grant(here, principals, ids):
    """No parameter chooses a tenant: a token's lists are its manager's, a host's cookie is its own portal's, and no route takes a manager."""
    parameters = {
        one["name"] for methods in here.app.openapi()["paths"].values() for route in methods.values() for one in route.get("parameters", [])
    }
    assert not parameters & {"manager", "tenant", "realm"}
    operator = principals["operator of another tenant"]
    assert {one["id"][:2] for one in operator.get("/v1/units").json()["units"]} == {"si"}
    assert {one["id"] for one in operator.get("/v1/claims").json()["claims"]} == {"l_foreign", "i_foreign"}
    for host in ("iiportal.localhost", "second.localhost", "elsewhere.example"):
        assert principals["resident"].get("/v1/units", headers={"Host": host}).status_code == 401


def test_the_resident_reads_and_the_neighbour_does_not(here, principals):
    """The own unit is there, for nobody else but the one who lived there before."""
    assert [name for name, client in principals.items() if client.get("/v1/units/cz-a/meters").status_code == 200] == ["resident", "former"]


def test_check_40_former_and_present_holder_see_their_own_time_only(here, principals):
    """Buckets of the other one's time are not answered, whatever is asked for."""
    edge = "2025-01-01T00:00:00+00:00"
    for name, inside in (("resident", lambda point: point["start"] >= edge), ("former", lambda point: point["end"] <= edge)):
        for resolution in ("PT1H", "P1D", "P1M", "P1Y"):
            query = {"from": "2024-12-20", "to": "2025-01-10", "resolution": resolution}
            answer = principals[name].get("/v1/units/cz-a/consumption", params=query)
            assert answer.status_code == 200
            points = answer.json()["series"][0]["points"]
            assert points
            assert all(inside(point) for point in points)
            values = [point["value"] for point in points if "cut" not in point["flags"]]
            assert None not in values
            own = [value >= EDGE / 1e9 if name == "resident" else value < EDGE / 1e9 for value in values]
            assert all(own)
    (cut,) = principals["former"].get("/v1/units/cz-a/consumption", params=query | {"to": "2024-12-31"}).json()["series"][0]["points"]
    assert (cut["start"], cut["end"], cut["value"]) == ("2024-01-01T00:00:00+00:00", edge, 1704067.2)


def test_the_last_index_of_the_next_holder_is_not_shown_to_the_former(here, principals):
    """What the meter shows today is the business of who lives there today."""
    last = {name: principals[name].get("/v1/units/cz-a/meters").json()["meters"][0] for name in ("resident", "former")}
    assert last["resident"]["registers"][0]["last"] is not None
    assert (last["former"]["registers"][0]["last"], last["former"]["last_heard"]) == (None, None)


def test_a_bucket_over_the_hand_over_is_cut_there():
    """From noon on the eleventh: the month begins there, is marked, and known by where it begins by itself."""
    noon = civil.instant("2025-04-11T12:00:00Z")
    building = Property("b", "m", "B", "UTC", "01-01", "hour")
    for visible, edges, cut in (
        (Visible("u", noon, None, "hour"), [noon, civil.instant("2025-05-01T00:00:00Z")], {noon}),
        (Visible("u", None, noon, "hour"), [civil.instant("2025-04-01T00:00:00Z"), noon], {civil.instant("2025-04-01T00:00:00Z")}),
        (Visible("u", noon, noon, "hour"), [noon], set()),
    ):
        found = period("2025-04-01", "2025-05-01", "P1M", building, now=civil.instant("2026-01-01T00:00:00Z"), visible=visible)
        assert (found.edges.tolist(), set(found.cut)) == (edges, cut)
        assert found.starts == [civil.instant("2025-04-01T00:00:00Z")] * len(cut)


def test_the_information_of_the_other_holder_is_not_there(here, principals):
    """Each holder reads the own version of the month of the hand-over, whatever instant is asked for."""
    for since, body in ((here.registry.occupancies_of("cz-a")[0].since, "former"), (EDGE, "resident")):
        here.registry.information.keep("cz-a", since, "2025-02", f'{{"whose": "{body}"}}', now=EDGE)
    for name, own, other in (("resident", "2025-01-15", "2024-06-01"), ("former", "2024-06-01", "2025-01-15")):
        path = "/v1/units/cz-a/information/2025-02"
        assert principals[name].get(path, params={"at": own}).json()["whose"] == principals[name].get(path).json()["whose"] == name
        assert principals[name].get(path, params={"at": other}).status_code == 404
