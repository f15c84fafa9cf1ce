"""Goal G12: after a whole life of an installation no key, code, password or token stands in clear in any file that it keeps, writes or backs up."""

import base64
import email
import email.policy
import http.client
import json
import re

import pyarrow.parquet as pq
import pytest
from broker import wait_until
from installation import Installation
from receivers import smtp

from submeter import civil
from submeter.core import now
from submeter.simulate import Network

PASSWORD = "correct horse battery planted"
HOST = "inmes.localhost"


class Person:
    """A browser at the portal of a running service: real HTTP, cookies by hand, since there is no TLS here."""

    def __init__(self, here):
        self.here, self.cookies, self.flow = here, {}, None

    def send(self, method, path, body=None, **headers):
        """One request; status and JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.here.api, timeout=20)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        own = {"Host": HOST, "Origin": f"https://{HOST}", "Content-Type": "application/json", "Cookie": cookies} | headers
        connection.request(method, path, None if body is None else json.dumps(body), own)
        answer = connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                self.cookies.update([value.split(";")[0].split("=", 1)])
        text = answer.read()
        connection.close()
        assert answer.status < 300, (path, answer.status, text)
        return json.loads(text) if text else None

    def go(self, _flow=None, **fields):
        """Submit a page of a flow."""
        self.flow = self.send("POST", f"/v1/flows/{_flow or self.flow['id']}", fields)
        return self.flow


def words_of(inbox, number):
    """The code or word of the mail of this number, once it came."""
    wait_until(lambda: len(inbox.mails) >= number, 60)
    text = email.message_from_bytes(inbox.mails[number - 1].content, policy=email.policy.default).get_body(("plain",)).get_content()
    return next(found for found in re.findall(r"^\s*([A-Z0-9]{6,8})\s*$|\b(\d{6})\b|\b([A-Z2-9]{8})\b", text) if any(found))


def forms(secret):
    """A secret as it might stand somewhere: as it is, as hex of either case, as base64."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    return {raw, raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw).rstrip(b"=")}


def kept(*folders):
    """The bytes of every file, and of Parquet what it says, since it is compressed."""
    for folder in folders:
        for file in sorted([folder] if folder.is_file() else folder.rglob("*")):
            if file.is_file():
                yield file, file.read_bytes()
            if file.suffix == ".parquet":
                columns = pq.read_table(file).to_pydict().values()
                yield file, b"\n".join(value if isinstance(value, bytes) else str(value).encode() for column in columns for value in column)


def found(planted, *folders):
    """Which secrets stand where."""
    return {(name, file.name) for file, raw in kept(*folders) for name, secret in planted.items() for form in forms(secret) if form in raw}


@pytest.mark.slow
def test_goal_12_no_secret_stands_in_any_file(tmp_path):
    """Meter keys, printed and sent codes, passwords, sessions, tokens, links and gateways' secrets: in no database, log, archive or backup, while it runs and after."""
    with smtp() as (port, inbox):
        extra = f'[mail]\nsink = "smtp"\nport = {port}\ntls = "none"\nsender = "portal@example.org"\n[retention]\ninbox_days = 10\n'
        portal = f'[[portal]]\nname = "inmes"\nhost = "{HOST}"\nmanager = "demo"\n'
        here = Installation(tmp_path / "here", extra + portal, keyless=1)
        data, place = here.folder / "data", here.building.places[0]
        start, hours = now() - 30 * civil.DAY, Network(here.building, civil.HOUR, "boot-1")
        (here.folder / "lines.txt").write_bytes(b"\n".join(message.payload for message in hours.messages(start, start + 5 * civil.HOUR)))
        planted = {f"key {number}": one.meter.key for number, one in enumerate(here.building.places) if one.meter.key}
        planted |= {"master key": bytes.fromhex((here.folder / "master.key").read_text().strip())}
        here.start(no_proxy="127.0.0.1")
        try:
            here.command("replay", str(here.folder / "lines.txt"))
            here.command("import", str(here.folder / "directory.toml"))
            here.command("rollup", "--now", "archive")
            token = here.command("token", "create", "demo", "--scope", "claims:write").split()[-1]
            planted |= {"token": here.token, "claims token": token}
            planted["gateway"] = here.command("gateway", "create", "cellar").split()[-1]
            planted["operator"] = re.findall(r"[A-Za-z0-9_-]{20,}", here.command("operator", "add", "Olga", "--manager", "demo"))[-1]
            printed = Person(here).send(
                "POST",
                "/v1/claims",
                {"claims": [{"unit": place.flat, "kind": "one_time_credentials", "fields": {}}]},
                Authorization=f"Bearer {token}",
            )["claims"][0]["fields"]
            planted["printed"] = printed["password"]
            one = Person(here)
            one.go("activate")
            one.go(**printed)
            one.go(agree=True, accept=True)
            one.go(email="jana@example.org")
            planted["mailed"] = "".join(words_of(inbox, 1))
            one.go(code=planted["mailed"])
            one.go()
            assert one.go(new_password=PASSWORD, new_password_again=PASSWORD)["done"]
            two = Person(here)
            two.go("login")
            two.go(name="jana@example.org", password=PASSWORD)
            planted["code"] = "".join(words_of(inbox, 2))
            assert two.go(code=planted["code"])["done"]
            planted |= {"password": PASSWORD, "session": two.cookies["__Host-session"], "session before": one.cookies["__Host-session"]}
            planted["personal"] = two.send("POST", "/v1/me/tokens", {"label": "script"})["secret"]
            here.command("backup", str(tmp_path / "beside"))
            wait_until(lambda: found(planted, data) == set(), 30)  # what has left is overwritten soon
        finally:
            here.stop()
        assert list((data / "archive").rglob("*.parquet"))
        assert found({"seen": place.meter.device.__str__().encode()}, data)  # the search sees what is there
        assert found(planted, data, here.folder / "run.log", tmp_path / "beside") == set()
        assert len(planted) > 10
