"""Gateways that are down, retention: checks 45 and 47 (portal FLOWS 10)."""

import threading

import pytest
from broker import free_port
from portals import PASSWORD, inmes
from receivers import hanging, smtp
from tables import dumped

from submeter.config import parse
from submeter.forget import forget
from submeter.post import deliver, outlets
from submeter.store.reads import Read


def config(folder, sms, mail=0):
    """A configuration whose gateways listen at these ports."""
    text = f'[data]\nfolder = "{folder}"\n[sms]\nsink = "http"\nurl = "http://127.0.0.1:{sms}/"\ntimeout_s = 1\n'
    text += f'[mail]\nsink = "smtp"\nhost = "127.0.0.1"\nport = {mail}\ntls = "none"\nsender = "a@example.org"\ntimeout_s = 1\n' if mail else ""
    return parse(text, folder / "pipeline.toml")


def waiting(here):
    """The code that waits in the outbox, since no gateway took it."""
    return here.registry.outbox.due(int(here.now * 1e6), 1000)[-1].values["code"]


@pytest.mark.parametrize("fault", ["dead", "hanging", "refusing"])
def test_check_45_with_the_gateway_down_another_factor_works_and_nothing_opens(here, fault, capfd, monkeypatch):
    """The page says that messages are delayed; sent again, the code goes by mail; no page waits for the gateway; once it is over no file and no log holds a code."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    inmes(here)
    here.registry.outbox.forget(address="+420777123456")
    one = here.browser("inmes")
    one.start("login")
    assert one.go(name="jana@example.org", password=PASSWORD)["step"]["channel"] == "phone"
    code = waiting(here)
    with hanging() as hung, smtp() as (port, _inbox):
        route = outlets(config(here.registry.path.parent, {"dead": free_port(), "hanging": hung, "refusing": port}[fault]))
        worker = threading.Thread(target=lambda: deliver(here.registry, route, lambda: int(here.now * 1e6), limit=5))
        worker.start()
        assert one.client.get(f"/v1/flows/{one.flow['id']}").status_code == 200
        one.go(code="not it", _status=422)
        worker.join(20)
        assert not worker.is_alive()
    assert one.client.get(f"/v1/flows/{one.flow['id']}").json()["step"]["delayed"] is True
    assert one.units() == 401
    here.now += 61
    again = one.client.post(f"/v1/flows/{one.flow['id']}/resend").json()["step"]
    assert (again["channel"], again["delayed"]) == ("email", False)
    by_mail = waiting(here)
    one.go(code=by_mail)
    assert one.units() == ["cz-a"]
    here.now += 601
    here.registry.outbox.expire(int(here.now * 1e6))
    for notice in here.registry.outbox.due(int(here.now * 1e6), 1000):
        here.registry.outbox.cancel(notice.id, now=int(here.now * 1e6))
    told = "".join(capfd.readouterr()) + dumped(here.registry) + "".join(f"{entry}" for entry in here.registry.audit())
    assert f'"code": "{code}"' not in told
    assert not {f" {one_code} " for one_code in (code, by_mail)} & set(told.split())
    if here.registry._connection.engine == "sqlite":
        here.registry._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for file in here.registry.path.parent.glob("registry.sqlite*"):
        content = file.read_bytes()
        assert f'"code": "{code}"'.encode() not in content
        assert f'"code": "{by_mail}"'.encode() not in content


def test_check_47_what_is_over_is_deleted(here):
    """By the nightly job: flows and sessions a day after their end, failures after a week, addresses of messages after 90 days, the access log after 400."""
    one, _ = inmes(here)
    one.start("login")
    one.go(name="jana@example.org", password="wrong", _status=422)
    here.now += 9 * 86_400
    now = int(here.now * 1e6)
    here.registry.reads.add([Read("cz-a", now - now % 3_600_000_000, "token:k", "meters", "", 0, "cz", now, now, 1)])
    for notice in here.registry.outbox.due(now, 1000):
        here.registry.outbox.sent(notice.id, now)
    here.registry.outbox.expire(now)
    for days, tables in ((0, ("flows", "sessions", "throttle")), (91, ("outbox",)), (402, ("reads", "browsers", "claims"))):
        assert [name for name in tables if here.registry._rows(f"SELECT count(*) FROM {name}") == [(0,)]] == []
        forget(here.registry, now + days * 86_400_000_000, 90)
        assert [name for name in tables if here.registry._rows(f"SELECT count(*) FROM {name}") != [(0,)]] == []
