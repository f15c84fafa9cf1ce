"""`submeter gateway …` and HTTP push over a whole submeter: a secret is made, a telegram pushed, and its reading served."""

import json
import urllib.error
import urllib.request

import pytest
from broker import free_port, wait_until
from installation import Installation

from submeter.commands import execute
from submeter.control import ask
from submeter.core import now
from submeter.simulate import Network


@pytest.fixture
def here(tmp_path):
    """An installation that takes pushes."""
    port = free_port()
    made = Installation(tmp_path / "here", f"[http]\nenabled = true\nport = {port}\n")
    made.push_port = port
    yield made
    made.close()


def test_a_pushed_telegram_becomes_a_reading(here):
    """The command prints a secret that the running listener takes at once; what is pushed is decoded and counted; a revocation holds at once."""
    here.start()
    gateway = here.building.gateways[0]
    secret, told, _ = ask(here.folder / "data", "gateway.create", {"name": gateway})
    assert f"/ingest/v1/{gateway}" in told
    end = now() // 1_000_000 * 1_000_000
    message = next(one for one in Network(here.building, 3_600_000_000, "boot").messages(end - 7_200_000_000, end) if one.gateway == gateway)
    request = urllib.request.Request(
        f"http://127.0.0.1:{here.push_port}/ingest/v1/{gateway}", message.payload, {"Authorization": f"Bearer {secret}"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer) == {"stored": len(message.sent), "rejected": 0}
    wait_until(lambda: "inbox: 0 messages wait" in ask(here.folder / "data", "status", {}))
    with urllib.request.urlopen(f"http://127.0.0.1:{here.metrics}/metrics", timeout=10) as answer:
        assert 'submeter_http_ingest_total{code="200"} 1.0' in answer.read().decode()
    assert list(ask(here.folder / "data", "gateway.revoke", {"name": gateway}))
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=10)
    here.stop()


def test_secrets_are_shown_once(here):
    """A list and the password file show nothing that opens a door; the audit names what was done."""
    with here.core() as core:
        secret, *_ = execute(core, "gateway.create", {"name": "cellar"})
        new, *_ = execute(core, "gateway.rotate", {"name": "cellar"})
        said = "\n".join([*execute(core, "gateway.list", {}), *execute(core, "gateway.passwords", {})])
        assert "cellar  made" in said
        assert "cellar:$7$" in said
        assert not [one for one in (secret, new) if one in said]
        assert [one.action for one in core.registry.audit()][-2:] == ["gateway.create", "gateway.rotate"]
