"""Requests that no route takes: each refusal has its status and its word, whatever the body was (portal API 6 and 7)."""

import pytest
from portals import Here, inmes

JSON = "application/json"
LONG = 65_536


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """A service token that may write claims, balances and webhooks, a browser of a resident, and nobody."""
    here = Here(tmp_path_factory.mktemp("refused"))
    one, _ = inmes(here, phone=None)
    yield {
        "service": here.service("cz", "claims:write", "balance:write", "webhooks:write", "units:read"),
        "resident": one.client,
        "nobody": here.browser("inmes").client,
    }
    here.close()


@pytest.mark.parametrize(
    ("who", "method", "path", "kind", "body", "status", "word"),
    [
        ("service", "POST", "/v1/webhooks", JSON, b"{", 422, "invalid"),
        ("service", "POST", "/v1/webhooks", JSON, b"\xff", 422, "invalid"),
        ("service", "POST", "/v1/webhooks", JSON, b"[]", 422, "invalid"),
        ("service", "POST", "/v1/webhooks", JSON, b"", 422, "invalid"),
        ("service", "POST", "/v1/webhooks", JSON, b'{"url": "https://example.org/", "more": 1}', 422, "invalid"),
        ("service", "POST", "/v1/webhooks", JSON, b'{"url": "ftp://example.org/"}', 422, "invalid"),
        ("service", "POST", "/v1/webhooks", JSON, b'{"url": "http://example.org/"}', 422, "invalid"),
        ("service", "POST", "/v1/webhooks", JSON, b'{"url": "https://user@example.org/"}', 422, "invalid"),
        ("service", "POST", "/v1/webhooks", JSON, b'{"url": "https://example.org/#part"}', 422, "invalid"),
        ("service", "POST", "/v1/webhooks", JSON, b'{"url": "https://example.org:99999/"}', 422, "invalid"),
        ("service", "POST", "/v1/webhooks", "text/plain", b"{}", 415, "not-json"),
        ("service", "POST", "/v1/webhooks", "application/x-www-form-urlencoded; charset=utf-8", b"url=x", 415, "not-json"),
        ("service", "POST", "/v1/webhooks", "", b"{}", 415, "not-json"),
        ("service", "POST", "/v1/webhooks", JSON, b"x" * (LONG + 1), 413, "too-large"),
        ("service", "POST", "/v1/webhooks", JSON, b" " * LONG, 422, "invalid"),
        ("service", "POST", "/v1/claims", JSON, b" " * (LONG + 1), 422, "invalid"),
        ("service", "POST", "/v1/claims", JSON, b'{"claims": []}', 422, "invalid"),
        ("service", "POST", "/v1/claims", JSON, b'{"claims": {}}', 422, "invalid"),
        ("service", "POST", "/v1/claims", JSON, b'{"claims": [7]}', 422, "invalid"),
        ("service", "POST", "/v1/claims", JSON, b'{"claims": [{"unit": "cz-b", "kind": "nothing"}]}', 422, "invalid"),
        ("service", "POST", "/v1/claims", JSON, b'{"claims": [{"unit": "cz-b", "kind": "invitation"}]}', 422, "invalid"),
        ("service", "POST", "/v1/claims", JSON, b'{"claims": [{"unit": "si-a", "kind": "one_time_credentials"}]}', 404, "not-found"),
        (
            "service",
            "POST",
            "/v1/claims",
            JSON,
            b'{"claims": [{"unit": "cz-b", "kind": "one_time_credentials", "fields": {"city": "x"}}]}',
            422,
            "invalid",
        ),
        ("service", "POST", "/v1/claims", "application/x-ndjson", b'{"unit": 7}\n', 422, "invalid"),
        ("service", "POST", "/v1/claims", "application/x-ndjson", b"\n\n", 422, "invalid"),
        ("service", "POST", "/v1/claims", JSON, b"[" * 60_000, 422, "invalid"),
        ("service", "POST", "/v1/balance", "application/x-ndjson", b"{}\n", 422, "invalid"),
        ("service", "PUT", "/v1/units", JSON, b"{}", 405, "method-not-allowed"),
        ("service", "GET", "/v1/nothing", "", b"", 404, "not-found"),
        ("service", "GET", "/v1/webhooks/w_1", "", b"", 405, "method-not-allowed"),
        ("service", "DELETE", "/v1/webhooks/w_nothing", "", b"", 404, "not-found"),
        ("service", "GET", "/v1/me", "", b"", 403, "forbidden-scope"),
        ("service", "GET", "/v1/session", "", b"", 403, "forbidden-scope"),
        ("service", "GET", "/v1/audit", "", b"", 403, "forbidden-scope"),
        ("resident", "GET", "/v1/webhooks", "", b"", 403, "forbidden-scope"),
        ("resident", "PATCH", "/v1/me", JSON, b'{"name": 7}', 422, "invalid"),
        ("resident", "PATCH", "/v1/me", JSON, b'{"nome": "x"}', 422, "invalid"),
        ("resident", "DELETE", "/v1/sessions/s_nothing", "", b"", 404, "not-found"),
        ("resident", "DELETE", "/v1/me/tokens/k_nothing", "", b"", 404, "not-found"),
        ("resident", "GET", "/v1/me/export/e_nothing", "", b"", 404, "not-found"),
        ("resident", "DELETE", "/v1/me/erasure", "", b"", 404, "not-found"),
        ("resident", "DELETE", "/v1/grants/g_nothing", "", b"", 404, "not-found"),
        ("resident", "POST", "/v1/grants/g_nothing/confirmation", JSON, b'{"code": "x"}', 404, "not-found"),
        ("resident", "PUT", "/v1/documents/b_nothing/read", JSON, b"{}", 404, "not-found"),
        ("resident", "PUT", "/v1/announcements/n_nothing/read", JSON, b"{}", 404, "not-found"),
        ("resident", "GET", "/v1/units/cz-b/meters", "", b"", 404, "not-found"),
        ("resident", "GET", "/v1/units/cz-a/information/2024-13", "", b"", 422, "invalid"),
        ("resident", "GET", "/v1/units/cz-a/information/1024-01", "", b"", 422, "invalid"),
        ("resident", "GET", "/v1/units/cz-a/information/2024-01", "", b"", 404, "not-found"),
        ("resident", "GET", "/v1/units/cz-a/events?from=2024-02-01&to=2024-01-01", "", b"", 422, "invalid"),
        ("resident", "GET", "/v1/units/cz-a/events?state=over", "", b"", 422, "invalid"),
        ("resident", "GET", "/v1/units/cz-a/balance?from=2024-02-01&to=2024-01-01", "", b"", 422, "invalid"),
        ("resident", "GET", "/v1/units/cz-a/consumption?from=2024-01-01&to=2024-02-01&as_of=0", "", b"", 422, "invalid"),
        ("resident", "GET", "/v1/units/cz-a/consumption?from=2024-01-01&to=2024-02-01&as_of=new", "", b"", 422, "invalid"),
        ("resident", "POST", "/v1/units/cz-a/messages", JSON, b'{"text": "\\u200b\\u0007"}', 422, "invalid"),
        ("resident", "POST", "/v1/units/cz-a/messages", JSON, b'{"text": ""}', 422, "invalid"),
        ("nobody", "GET", "/v1/units", "", b"", 401, "unauthenticated"),
        ("nobody", "POST", "/v1/flows/nothing", JSON, b"{}", 422, "invalid"),
        ("nobody", "POST", "/v1/flows/f_nothing", JSON, b"{}", 410, "step-expired"),
        ("nobody", "GET", "/v1/flows/f_nothing", "", b"", 410, "step-expired"),
        ("nobody", "POST", "/v1/confirmations/nothing", JSON, b"{}", 410, "step-expired"),
        ("nobody", "POST", "/v1/operators/nothing", JSON, b"{}", 422, "not-accepted"),
    ],
)
def test_what_is_refused(clients, who, method, path, kind, body, status, word):
    """A problem with its type and status, in JSON of its own kind; the detail of a wrong field names it."""
    answer = clients[who].request(method, path, content=body, headers={"Content-Type": kind} if kind else {})
    told = answer.json()
    assert (answer.status_code, told["type"], told["status"]) == (status, word, status), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert word != "invalid" or told["errors"][0]["parameter"]


@pytest.mark.parametrize(
    "headers", [{"Transfer-Encoding": "chunked"}, {"Content-Length": "-1"}, {"Content-Length": "1e3"}, {"Content-Length": "99999999999"}]
)
def test_a_body_whose_length_is_not_said_is_not_read(clients, headers):
    """Neither one in pieces nor one of a length that is none, or too much."""
    answer = clients["nobody"].post("/v1/flows/login", headers=headers | {"Content-Type": JSON})
    assert (answer.status_code, answer.json()["type"]) == (413, "too-large")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://inmes.localhost"}, 422),
        ({"Origin": "https://inmes.localhost", "Sec-Fetch-Site": "same-origin"}, 422),
        ({"Sec-Fetch-Site": "same-origin"}, 422),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://inmes.localhost", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://inmes.localhost", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_changes_are_asked_for_by_the_portals_own_pages(clients, headers, status):
    """Origin and Sec-Fetch-Site, as far as a browser sends them, say so; without either nothing is changed."""
    client = clients["resident"]
    kept = client.headers.pop("Origin")
    answer = client.patch("/v1/me", json={"locale": "xx"}, headers=headers)
    client.headers["Origin"] = kept
    assert answer.status_code == status
