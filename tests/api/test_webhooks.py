"""Webhooks over real HTTP: what is told, that it is signed, told again until it is taken, and where no request may go."""

import json

import pytest
from portals import Here
from receivers import http
from tables import script

from submeter import civil
from submeter.post import SinkError, webhooks
from submeter.post.webhooks import notify, signature
from submeter.reading import Register
from submeter.store import PublishedSeries

MINUTE = 60_000_000
POINTS = """
INSERT INTO points VALUES ('p-cz', 'cz1', 'cz-a', 'cold_water', '', 'volume', '{}'), ('p-si', 'si1', 'si-a', 'cold_water', '', 'volume', '{}'),
  ('p-house', 'cz1', NULL, 'cold_water', '', 'volume', '{}');
"""


@pytest.fixture
def here(tmp_path):
    """Five managers; cz and si have a point each, and the house of cz one of its own."""
    made = Here(tmp_path)
    script(made.registry, POINTS)
    yield made
    made.close()


def client(here, manager="cz", scopes=("webhooks:write",)):
    """A manager's client."""
    return here.service(manager, *scopes)


def hook(here, url, manager="cz"):
    """A webhook that has been looked at once."""
    made = client(here, manager).post("/v1/webhooks", json={"url": url}).json()
    assert run(here) == 0
    return made


def run(here, private=True):
    """One pass."""
    return notify(here.registry, here.published, lambda: int(here.now * 1e6), private=private)


def happen(here):
    """A publication of three points, three events, and an information of each manager."""
    now = int(here.now * 1e6)
    names = ("p-cz", "p-si", "p-house")
    here.published.replace([PublishedSeries(n, name, Register("volume", "m3"), "total", "UTC") for n, name in enumerate(names, 1)], [])
    for kind, name in (("leak", "p-cz"), ("leak", "p-si"), ("suspect_jump", "p-cz")):
        here.registry.events.raise_(kind, f"point:{name}/volume", now, now=now, detail="secret words")
    for unit in ("cz-a", "si-a"):
        here.registry.information.keep(unit, 0, "2025-05", f'{{"of": "{unit}"}}', now=now)


def test_what_is_new_of_the_own_units_is_told_once_and_signed(here):
    """Revisions, events for residents and information of the manager's units; nothing of others, of operators or of before; then nothing more."""
    happen(here)
    with http() as (url, gateway):
        made = hook(here, f"{url}/hook?x=1")
        here.now += 60
        happen(here)
        here.registry.information.keep("cz-a", 0, "2025-06", "{}", now=int(here.now * 1e6) + 2)
        assert run(here) == 1
        assert run(here) == 0
        ((method, path, headers, body),) = gateway.requests
    assert (method, path) == ("POST", "/hook?x=1")
    assert headers["X-Submeter-Signature"] == signature(made["secret"], headers["X-Submeter-Timestamp"], body)
    assert int(headers["X-Submeter-Timestamp"]) == int(here.now)
    said = json.loads(body)
    assert said["webhook"] == made["id"]
    assert said["revisions"] == [{"unit": "cz-a", "meter": "p-cz", "quantity": "volume", "version": 2}]
    assert said["events"] == [{"unit": "cz-a", "meter": "p-cz", "kind": "leak", "at": civil.iso(int(here.now * 1e6))}]
    assert said["information"] == [{"unit": "cz-a", "month": "2025-06", "version": 1}]
    assert b"secret words" not in body


def test_what_is_not_taken_is_told_again_later_with_what_came_meanwhile(here):
    """An error, and a redirect, which is not followed, wait longer each time; the marks move when it is taken."""
    with http() as (url, gateway):
        hook(here, url)
        happen(here)
        gateway.status = 500
        assert run(here) == 0
        assert run(here) == 0
        gateway.status, gateway.location = 302, f"{url}/elsewhere"
        here.now += 61
        assert run(here) == 0
        assert [path for _, path, *_ in gateway.requests] == ["/", "/"]
        (shown,) = client(here).get("/v1/webhooks").json()["webhooks"]
        assert (shown["failures"], shown["error"], shown["delivered"]) == (2, "the webhook answered 302", None)
        here.now += 121
        happen(here)
        gateway.status, gateway.location = 204, None
        assert run(here) == 1
        assert len(json.loads(gateway.requests[-1][3])["events"]) == 2
        (shown,) = client(here).get("/v1/webhooks").json()["webhooks"]
        assert (shown["failures"], shown["error"]) == (0, None)


def test_one_that_is_down_keeps_no_other_waiting(here):
    """Two webhooks: one answers, the other one's port is closed."""
    with http() as (url, gateway):
        hook(here, "http://127.0.0.1:9")
        hook(here, url)
        happen(here)
        assert run(here) == 1
        assert len(gateway.requests) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "::1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "::ffff:10.0.0.1", "fd00::1", "0.0.0.0"]
)
def test_private_addresses_are_reached_only_where_that_is_allowed(host):
    """Whatever the name, what it resolves to is looked at before anything is sent."""
    with pytest.raises(SinkError, match="private network"):
        webhooks._connection("https", host, 443, private=False)


def test_no_request_leaves_to_a_private_address_unless_allowed(here):
    """A pass without the permission sends nothing; in clear nothing leaves this machine even with it."""
    with http() as (url, gateway):
        hook(here, url)
        happen(here)
        assert run(here, private=False) == 0
        assert gateway.requests == []
    with pytest.raises(SinkError, match="this machine only"):
        webhooks._connection("http", "10.0.0.1", 80, private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org",
        "https://u:p@example.org/",
        "https://",
        "https://example.org/#x",
        "https://example.org:99999/",
        "https://[::1",
        5,
    ],
)
def test_addresses_that_are_refused_at_once(here, url):
    """HTTPS, or this machine; no user in it."""
    assert client(here).post("/v1/webhooks", json={"url": url}).status_code == 422


def test_webhooks_are_the_own_managers(here):
    """Another manager's is like none; the secret is told once; a removed one is told nothing; the scope is needed."""
    with http() as (url, gateway):
        made = hook(here, url)
        assert client(here, "si").get("/v1/webhooks").json() == {"webhooks": []}
        foreign, nowhere = (client(here, "si").delete(f"/v1/webhooks/{one}") for one in (made["id"], "w_nowhere"))
        assert (foreign.status_code, foreign.content) == (404, nowhere.content)
        assert made["secret"] not in client(here).get("/v1/webhooks").text
        assert client(here, scopes=("units:read",)).get("/v1/webhooks").status_code == 403
        assert client(here).delete(f"/v1/webhooks/{made['id']}").status_code == 204
        happen(here)
        assert run(here) == 0
        assert gateway.requests == []
