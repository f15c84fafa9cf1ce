"""Recovery and notices: checks 21 to 24 (portal FLOWS 10)."""

from base64 import b32decode

from portals import PASSWORD, inmes, logged_in

from submeter.api.factors import totp


def test_check_21_recovery_keeps_the_second_factor(here):
    """After a new password the device is still asked for; its code, not another message, is the second proof of the recovery."""
    one, _ = inmes(here, phone=None)
    secret = b32decode(one.client.post("/v1/me/factors", json={"kind": "totp"}).json()["secret"])
    one.client.post("/v1/me/factors", json={"kind": "totp", "code": totp(secret, int(here.now) // 30)})
    lost = here.browser("inmes")
    lost.start("recover")
    lost.go(name="jana@example.org")
    lost.go(code=totp(secret, int(here.now) // 30 + 1), _status=422)
    lost.go(code=lost.code())
    here.now += 120
    lost.go(code=totp(secret, int(here.now) // 30 - 2), _status=422)
    lost.go(code=totp(secret, int(here.now) // 30 - 1))
    assert lost.go(new_password="another fine sentence", new_password_again="another fine sentence")["done"]
    two = here.browser("inmes")
    two.start("login")
    assert two.go(name="jana@example.org", password="another fine sentence")["step"]["channel"] == "totp"


def told(here, template):
    """Where a template was put to: channel and address."""
    return sorted((one.channel, one.address) for one in here.arrived(template))


BOTH = [("email", "jana@example.org"), ("sms", "+420777123456")]


def test_check_22_operators_see_and_set_neither_passwords_nor_codes(here):
    """No field of a route for tokens takes or tells one, but the secrets of claims, which are printed once and open a claim only."""
    document = here.app.openapi()
    operator = {(path, method) for path, methods in document["paths"].items() for method, one in methods.items() if "operator" in one["tags"]}
    assert operator
    for path, method in operator:
        body = repr(document["paths"][path][method].get("requestBody", {}))
        names = [name for name in document["components"]["schemas"] if name in body]
        fields = {field for name in names for field in document["components"]["schemas"][name].get("properties", {})}
        assert not [field for field in fields if any(word in field for word in ("password", "code", "secret", "factor"))], path
    client = here.service("cz", "claims:write", "accounts:write")
    for path in ("/v1/me", "/v1/me/factors", "/v1/sessions", "/v1/grants"):
        assert client.get(path).status_code == 403
    assert client.put("/v1/me/password", json={"present": "a", "new": "b"}).status_code == 403
    inmes(here)
    listed = client.get("/v1/accounts", params={"unit": "cz-a"}).text + client.get("/v1/claims").text
    assert "argon2" not in listed
    assert "jana@example.org" not in listed


def test_check_23_changes_are_told_to_every_address(here):
    """A factor, a password, and a further grant to the flat or to the account."""
    one, _ = inmes(here)
    one.client.post("/v1/me/factors", json={"kind": "recovery"})
    assert told(here, "factor_changed") == BOTH
    one.client.put("/v1/me/password", json={"present": PASSWORD, "new": "another fine sentence"})
    assert told(here, "password_changed") == BOTH
    inmes(here, unit="cz-a", mail="petr@example.org", phone=None)
    assert told(here, "new_grant") == BOTH
    two = here.browser("inmes")
    two.start("activate")
    two.go(**here.claim("one_time_credentials", "cz-c"))
    two.go(agree=True, accept=True)
    two.go(email="jana@example.org")
    two.go(code=two.code())
    two.go(password="another fine sentence")
    two.go(code=two.code())
    assert told(here, "new_grant") == sorted([*BOTH, *BOTH]), "a flat that comes to an account is told to it"


def test_check_24_a_login_after_five_failures_or_from_a_new_browser_is_told(here):
    """Once an hour of failures, however often the right password is given; a known browser after no failures is nothing to tell."""
    one, _ = inmes(here)
    one.client.delete("/v1/session")
    one.start("login")
    one.go(name="jana@example.org", password=PASSWORD)
    one.go(code=one.code())
    assert told(here, "suspicious_login") == []
    logged_in(here, "inmes", "jana@example.org")
    assert told(here, "suspicious_login") == BOTH
    thief = here.browser("inmes")
    thief.start("login")
    for _ in range(5):
        thief.go(name="jana@example.org", password="wrong", _status=422)
    for _ in range(3):
        here.now += 60
        thief.start("login")
        thief.go(name="jana@example.org", password=PASSWORD)
    assert told(here, "suspicious_login") == sorted([*BOTH, *BOTH])
