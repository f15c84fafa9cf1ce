"""Credentials of gateways: one secret each, hashed, void when it is replaced or ended, and known to a real broker."""

import base64
import shutil
import subprocess

import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from submeter.store import Registry, StoreError
from submeter.store.gateways import COLLECTOR, password_line

pytestmark = pytest.mark.both_engines


@pytest.fixture
def registry(tmp_path):
    """An empty registry."""
    with Registry(tmp_path / "registry.sqlite") as opened:
        yield opened


def test_a_secret_is_the_gateways_until_it_is_replaced_or_ended(registry):
    """The token leads to its gateway; a rotation and a revocation make it void; a new start is possible."""
    first = registry.gateways.create("cellar", 1)
    assert registry.gateways.holder(first) == "cellar"
    second = registry.gateways.rotate("cellar", 2)
    assert (registry.gateways.holder(first), registry.gateways.holder(second)) == (None, "cellar")
    registry.gateways.revoke("cellar", 3)
    assert registry.gateways.holder(second) is None
    assert [(one.name, one.created, one.rotated, one.revoked) for one in registry.gateways.all()] == [("cellar", 1, 2, 3)]
    assert registry.gateways.passwords() == []
    third = registry.gateways.create("cellar", 4)
    assert registry.gateways.holder(third) == "cellar"
    actions = [(one.action, one.subject) for one in registry.audit()]
    assert actions == [(f"gateway.{what}", "gateway:cellar") for what in ("create", "rotate", "revoke", "create")]


def test_no_secret_is_in_the_file(registry):
    """Neither the registry's file nor its log holds a secret."""
    secret = registry.gateways.create("cellar", 1)
    everything = b"".join(file.read_bytes() for file in registry.path.parent.glob("registry.sqlite*"))
    assert secret.encode() not in everything
    assert secret.removeprefix("smg_").encode() not in everything


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "a:b", "x" * 65, "ä", "a b", "a\n"])
def test_a_name_is_one_level_of_a_topic(registry, name):
    """What could open another topic, user or path is no name."""
    with pytest.raises(StoreError, match="no name of a gateway"):
        registry.gateways.create(name, 1)


def test_what_cannot_be_is_said(registry):
    """Who is in is not created again; who is not in is neither rotated nor revoked."""
    registry.gateways.create("cellar", 1)
    with pytest.raises(StoreError, match="gateway rotate cellar"):
        registry.gateways.create("cellar", 2)
    for refused in (registry.gateways.rotate, registry.gateways.revoke):
        with pytest.raises(StoreError, match="attic has no credentials"):
            refused("attic", 2)


def test_the_collector_has_a_password_and_no_token(registry):
    """Its secret is good at the broker only."""
    secret = registry.gateways.create(COLLECTOR, 1)
    assert registry.gateways.holder(secret) is None
    assert [line.split(":")[0] for line in registry.gateways.passwords()] == [COLLECTOR]


def test_mosquitto_takes_the_password_file(registry, broker, tmp_path):
    """A real broker lets in who has the secret of our line, and nobody with another."""
    secret = registry.gateways.create("cellar", 1)
    (tmp_path / "passwords").write_text("\n".join(registry.gateways.passwords()) + "\n")
    broker.stop()
    broker.configure(broker.configuration.replace("allow_anonymous true", f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}"))
    broker.start()
    assert _enters(broker.port, "cellar", secret)
    assert not _enters(broker.port, "cellar", secret + "x")
    assert not _enters(broker.port, "attic", secret)


def test_the_line_is_what_mosquitto_passwd_writes(tmp_path):
    """From the salt of a line of mosquitto_passwd the same line is made."""
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed")
    file = tmp_path / "passwords"
    subprocess.run([program, "-c", "-b", file, "cellar", "secret"], check=True, capture_output=True)
    line = file.read_text().strip()
    assert password_line("cellar", "secret", base64.b64decode(line.split("$")[3])) == line


def _enters(port, user, password):
    reasons = []
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.username_pw_set(user, password)
    client.on_connect = lambda *told: reasons.append(told[3])
    client.connect("127.0.0.1", port)
    while not reasons:
        client.loop(1)
    client.disconnect()
    return not reasons[0].is_failure
