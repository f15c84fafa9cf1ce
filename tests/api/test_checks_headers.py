"""Heads, bodies and answers: checks 33 to 36 and 41 to 44 (portal FLOWS 10)."""

import http.client
import json
import re
import socket
from contextlib import ExitStack, contextmanager

import pytest
from broker import free_port
from fastapi.testclient import TestClient
from portals import PASSWORD, inmes

from submeter.api.hardening import HEADERS
from submeter.config.languages import LOCALES
from submeter.config.texts import TEMPLATES, texts
from submeter.logs import configure
from submeter.service import _listen


@contextmanager
def served(app, proxies=()):
    """The application behind a real server on loopback; its port."""
    with ExitStack() as stack:
        port = free_port()
        _listen(app, "127.0.0.1", port, "api", stack, proxies=proxies)
        yield port


def asked(port, method, path, body=None, **headers):
    """A request as it goes over the wire: status, heads in small letters, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body=body, headers={"Host": "inmes.localhost", **headers}, encode_chunked="Transfer-Encoding" in headers)
    answer = connection.getresponse()
    told = answer.status, {name.lower(): ", ".join(answer.headers.get_all(name)) for name in answer.headers}, answer.read()
    connection.close()
    return told


PAGE = {"Origin": "https://inmes.localhost", "Content-Type": "application/json"}


def test_check_33_every_route_answers_with_the_heads(here):
    """Whatever it says, and what there is no route for: policy, HSTS of a year, nosniff, no referrer, an opener of its own; no server's name."""
    routes = [(path, method.upper()) for path, methods in here.app.openapi()["paths"].items() for method in methods]
    with served(here.app) as port:
        for path, method in [*routes, ("/v1/openapi.json", "GET"), ("/nowhere", "GET"), ("/v1/units", "TRACE")]:
            status, heads, _ = asked(port, method, re.sub(r"{\w+}", "x", path), **PAGE)
            assert {name: heads.get(name.lower()) for name in HEADERS} == HEADERS, (path, method, status)
            assert "server" not in heads
    assert "default-src 'self'" in HEADERS["Content-Security-Policy"]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert "max-age=31536000" in HEADERS["Strict-Transport-Security"]


def test_check_34_changes_must_be_asked_for_by_the_own_pages(here):
    """Another site's Origin or Sec-Fetch-Site, both, or none of the two: 403 for flows and for what a session changes."""
    one, _ = inmes(here)
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://inmes.localhost", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://inmes.localhost.evil.example"},
        {"Origin": "https://inmes.localhost:444"},
    ):
        assert one.client.delete("/v1/session", headers=headers).status_code == 403, headers
        assert one.client.post("/v1/flows/login", json={}, headers=headers).status_code == 403, headers
    bare = TestClient(here.app, base_url="https://inmes.localhost", cookies=one.client.cookies)
    assert (bare.delete("/v1/session").status_code, bare.post("/v1/flows/login", json={}).status_code) == (403, 403)
    assert one.client.delete("/v1/session", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 204


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "TEXT/PLAIN;charset=utf-8"]
)
def test_check_34_bodies_that_a_form_could_send_are_refused(here, kind):
    """The interface takes JSON only, named as such."""
    one = here.browser("inmes")
    answer = one.client.post("/v1/flows/login", content=b'{"locale": "cs"}', headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["type"]) == (415, "not-json")


def test_check_35_nothing_secret_stands_in_an_address(here):
    """No query takes a code, token, password or address; mails link to a page with a one-time id, and a GET of it changes nothing."""
    document = here.app.openapi()
    names = {one["name"] for methods in document["paths"].values() for route in methods.values() for one in route.get("parameters", [])}
    assert not [
        name for name in names if any(word in name.lower() for word in ("code", "token", "password", "secret", "mail", "phone", "address", "session"))
    ]
    one = here.browser("infoyugra")
    one.start("activate")
    one.go(email="ivan@example.org", new_password=PASSWORD, new_password_again=PASSWORD)
    one.go(relation="owner")
    one.go(**here.claim("registration_code", "ug-a", account_no="1", city="Surgut"))
    link = here.mail("confirm_link").values["link"]
    assert re.fullmatch(r"https://infoyugra\.localhost/confirm/[\w-]{32}", link)
    assert one.client.get(f"/v1/confirmations/{link.rpartition('/')[2]}").status_code == 405
    assert one.go(code="AAAAAAAA", _status=422)
    with_codes = [name for name, values in TEMPLATES.items() if {"code", "secret"} & values]
    for locale in LOCALES:
        for name in with_codes:
            assert not re.search(r"https?://\S*{(code|secret|login)}", texts(locale)[name]["body"])


def test_check_36_browsers_keep_no_answer(here):
    """no-store on everything that a browser is told, refusals and faults too."""
    one, _ = inmes(here)
    for client in (one.client, here.browser("inmes").client):
        for path in ("/v1/units", "/v1/units/cz-a/meters", "/v1/session", "/v1/nothing", "/v1/me", "/v1/openapi.json", "/v1/units/cz-a/consumption"):
            assert client.get(path).headers["cache-control"] == "no-store", path
        assert client.post("/v1/flows/login", json={}).headers["cache-control"] == "no-store"


def test_check_41_methods_are_those_of_the_document(here):
    """Any other is 405 with what is allowed."""
    paths = {}
    for path, methods in here.app.openapi()["paths"].items():
        paths.setdefault(re.sub(r"{\w+}", "x", path), []).extend(methods)
    with served(here.app) as port:
        for path, methods in paths.items():
            for method in {"GET", "PUT", "POST", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD", "PROPFIND"} - {name.upper() for name in methods}:
                status, heads, _ = asked(port, method, path, **PAGE)
                assert status == 405, (method, path)
                assert heads["allow"]


def test_check_41_bodies_lists_and_ranges_have_limits(here):
    """64 KB, also in pieces of unknown length; a thousand claims; five years."""
    with served(here.app) as port:
        assert asked(port, "POST", "/v1/flows/login", b'"' + b"x" * 65_535 + b'"', **PAGE)[0] == 413
        assert asked(port, "POST", "/v1/flows/login", iter([b"{}"]), **PAGE, **{"Transfer-Encoding": "chunked"})[0] == 413
        with socket.create_connection(("127.0.0.1", port), 5) as raw:
            raw.sendall(b"POST /v1/flows/login HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\nContent-Type: application/json\r\n\r\n{}")
            assert raw.recv(100).split()[1] == b"413", "the body is not waited for"
    client = here.service("cz", "claims:write", "consumption:read")
    wanted = {"unit": "cz-a", "kind": "one_time_credentials"}
    assert client.post("/v1/claims", json={"claims": [wanted] * 1001}).status_code == 422
    for end, status in (("2025-01-01", 200), ("2025-01-10", 422)):
        query = {"from": "2020-01-01", "to": end, "resolution": "P1M"}
        assert client.get("/v1/units/cz-a/consumption", params=query).status_code == status


@pytest.mark.parametrize(("proxies", "network"), [((), "127.0.0.0/24"), (("127.0.0.1",), "203.0.113.0/24"), (("10.9.0.0/16",), "127.0.0.0/24")])
def test_check_42_only_configured_proxies_say_who_asks(here, proxies, network, monkeypatch):
    """A forged X-Forwarded-For is nothing unless it comes from a proxy of the configuration; the environment trusts nobody either."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "iiportal.localhost", "Forwarded": "for=198.51.100.1;host=iiportal.localhost"}
    with served(here.app, proxies) as port:
        _, heads, body = asked(port, "POST", "/v1/flows/login", b"{}", **PAGE)
        cookie = "; ".join(part.split(";")[0] for part in re.findall(r"__Host-\w+=[^,]+", heads["set-cookie"]))
        path, fields = f"/v1/flows/{json.loads(body)['id']}", json.dumps({"name": "a@example.org", "password": "wrong"})
        assert asked(port, "POST", path, fields, **PAGE, **forged, Cookie=cookie)[0] == 422
    with here.registry.writing() as db:
        assert db.execute("SELECT key FROM throttle WHERE key LIKE 'logins:%'").fetchall() == [(f"logins:cz:{network}",)]


def test_check_43_sign_in_and_refusals_are_told_without_secrets(here, capsys):
    """Logins, refusals, log outs in the audit, refused reads in the log, in UTC; line ends of a name forge no line; no secret is in either."""
    configure("info", "json")
    inmes(here, phone=None)
    evil = "jana\r\n2026-01-01 admin logged in\n\x1b[31m@example.org"
    two = here.browser("inmes")
    two.client.headers["User-Agent"] = "Mozilla evil"
    two.start("login")
    two.go(name=evil, password="planted-secret", _status=422)
    two.go(name="jana@example.org", password=PASSWORD)
    code = two.code()
    two.go(code=code)
    held = two.client.cookies["__Host-session"]
    two.client.get(f"/v1/units/{'x%0d%0aforged'}/meters")
    two.client.get("/v1/units", headers={"Authorization": "Bearer planted-token"})
    two.client.delete("/v1/session")
    actions = [entry.action for entry in here.registry.audit()]
    assert {"login.refused", "session.open", "session.end", "account.create", "grant.create"} <= set(actions)
    told = "".join(f"{entry.actor} {entry.action} {entry.subject} {entry.detail}\n" for entry in here.registry.audit())
    logged = capsys.readouterr().err
    assert {"meters", "units"} <= set(actions), "refused reads"
    assert told.isprintable() or not [char for char in told.replace("\n", "") if not char.isprintable()]
    for secret in ("planted", PASSWORD, code, held, "admin"):
        assert secret not in told, secret
        assert secret not in logged, secret


def test_check_44_a_fault_is_told_in_general_and_named_in_the_log(here, capsys):
    """500 as problem+json with the heads and a name of the request; what it was stands in the log under that name, without the values of variables."""
    configure("info", "console")
    one, _ = inmes(here, phone=None)
    here.app.state.registry = None
    token = {"Authorization": "Bearer planted-token"}
    answer = one.client.get("/v1/units", headers=token)
    body = answer.json()
    assert (answer.status_code, body["type"], answer.headers["content-type"]) == (500, "internal", "application/problem+json")
    assert "Traceback" not in answer.text
    assert answer.headers["content-security-policy"]
    logged = capsys.readouterr().err
    assert body["detail"].removeprefix("request ") in logged
    assert "AttributeError" in logged
    assert "planted" not in logged
