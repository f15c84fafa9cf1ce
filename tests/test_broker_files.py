"""`submeter broker-config` and `broker-check` against a real mosquitto, with certificates made here."""

import getpass
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from broker import free_port
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from submeter.broker_check import check
from submeter.broker_config import PLUGIN, Places, acl, mosquitto_conf, plugin_folder
from submeter.cli import app
from submeter.errors import SubmeterError
from submeter.ingest.session import MqttSettings
from submeter.store import Registry
from submeter.store.gateways import COLLECTOR

WAIT_S = 15


class Authority:
    """Makes certificates in a folder."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = _named("authority")
        self._write("ca", self._key, self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None)))
        self.issue("server", "127.0.0.1", x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]))

    def issue(self, file, name, extension=None):
        """A certificate and its key, as files: `file`.crt and `file`.key."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(file, key, self._signed(_named(name), key, extension or x509.BasicConstraints(ca=False, path_length=None)))
        return self.folder / f"{file}.crt", self.folder / f"{file}.key"

    def _signed(self, name, key, extension):
        start = datetime.now(UTC) - timedelta(days=1)
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number(), start, start + timedelta(days=2))
        return builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints)).sign(self._key, hashes.SHA256())

    def _write(self, file, key, certificate):
        (self.folder / f"{file}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        (self.folder / f"{file}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Shipped:
    """A broker with our files: certificates, passwords, ACL."""

    def __init__(self, broker, folder):
        self.broker, self.authority = broker, Authority(folder / "certs")
        self.port, self.password_port = free_port(), free_port()
        self.places = Places(folder, folder / "broker", folder / "certs", port=self.port, password_port=self.password_port, address="127.0.0.1")
        with Registry(folder / "registry.sqlite") as registry:
            self.secrets = {name: registry.gateways.create(name, 1) for name in (COLLECTOR, "gw-7")}
            (folder / "submeter.passwd").write_text("".join(f"{line}\n" for line in registry.gateways.passwords()))
        (folder / "submeter.acl").write_text(acl())
        broker.stop()
        broker.configure(f"user {getpass.getuser()}\nlog_dest file {folder}/broker/mosquitto.log\n{mosquitto_conf('2.0', self.places)}")
        broker.port = self.password_port
        broker.start()

    def by_certificate(self, name, **more):
        """Settings of a client with a certificate of this name."""
        certificate, key = self.authority.issue(name, name)
        return self._settings(port=self.port, cert_file=certificate, key_file=key, **more)

    def by_password(self, name, **more):
        """Settings of a client with a password."""
        return self._settings(port=self.password_port, username=name, password=self.secrets[name], **more)

    def _settings(self, **more):
        return MqttSettings(tls=True, ca_file=self.authority.folder / "ca.crt", **more)


@pytest.fixture
def shipped(broker, tmp_path):
    """A running broker with our files."""
    return Shipped(broker, tmp_path)


def outcome(settings, **more):
    """Findings by what was looked at, in order."""
    return [(one.what, one.ok) for one in check(settings, wait_s=WAIT_S, **more)]


GOOD = [("session", True), ("queue", True), ("retained", True), ("access, MQTT 5", True), ("access, MQTT 3.1.1", True)]


def test_the_shipped_files_pass(shipped):
    """A collector by certificate and a gateway by password find all as it must be, in both versions of the protocol; no test message is left."""
    collector = shipped.by_certificate(COLLECTOR)
    expected = [*GOOD, *GOOD[3:], ("strangers", True)]
    assert outcome(collector, gateway=shipped.by_password("gw-7")) == expected
    assert outcome(shipped.by_password(COLLECTOR, protocol="3.1.1"), queued=50) == [*GOOD, ("strangers", True)]


def test_a_gateway_by_certificate_is_its_common_name(shipped):
    """The common name of a certificate is the user that the ACL speaks of."""
    gateway = shipped.by_certificate("gw-9", username="gw-9")
    findings = list(check(shipped.by_certificate(COLLECTOR), gateway=gateway, queued=10, wait_s=WAIT_S))
    assert all(one.ok for one in findings)
    assert "submeter/v1/gw-9/check" in findings[5].detail


def test_an_open_broker_with_a_short_queue_fails(broker):
    """Mosquitto as it is installed drops what is over its queue, believes anybody and lets anybody in: each is a finding with what to do."""
    broker.stop()
    broker.configure(broker.configuration.replace("max_queued_messages 0", "max_queued_messages 100").replace("max_inflight_messages 1000", ""))
    broker.start()
    findings = list(check(MqttSettings(port=broker.port), queued=500, wait_s=4))
    assert [(one.what, one.ok) for one in findings] == [
        ("session", True),
        ("queue", False),
        ("retained", True),
        ("access, MQTT 5", False),
        ("access, MQTT 3.1.1", False),
        ("strangers", False),
    ]
    assert "max_queued_messages 0" in findings[1].detail
    assert "allow_anonymous false" in findings[-1].detail


def test_a_gateway_that_may_write_anything_is_found(shipped, tmp_path):
    """An ACL that opens more than the own name to gateways fails the check of that gateway alone."""
    (tmp_path / "submeter.acl").write_text(acl(senders=[("gw-7", "submeter/v1/#")]))
    shipped.broker.stop()
    shipped.broker.start()
    expected = [*GOOD, ("access, MQTT 5", False), ("access, MQTT 3.1.1", False), ("strangers", True)]
    assert outcome(shipped.by_password(COLLECTOR), gateway=shipped.by_password("gw-7"), queued=10) == expected


def test_who_is_not_let_in_is_told(shipped):
    """A wrong password and a broker that is not there are one sentence."""
    with pytest.raises(SubmeterError, match="refuses us"):
        list(check(replace(shipped.by_password(COLLECTOR), password="wrong")))
    with pytest.raises(SubmeterError, match=r"\[\[mqtt\]\] mqtt"):
        list(check(MqttSettings(port=free_port())))


def test_the_command_says_what_it_finds(shipped, tmp_path):
    """`broker-check` prints a line a finding and ends with 0; with one that failed it ends with 1."""
    (tmp_path / "password").write_text(shipped.secrets[COLLECTOR])
    file = tmp_path / "pipeline.toml"
    file.write_text(
        f'[[mqtt]]\nport = {shipped.password_port}\nusername = "{COLLECTOR}"\npassword_file = "password"\ntls = true\nca_file = "certs/ca.crt"\n'
    )
    words = ["broker-check", "-c", str(file), "--queued", "10", "--gateway", "gw-7"]
    done = CliRunner().invoke(app, words, env={"SUBMETER_GATEWAY_SECRET": shipped.secrets["gw-7"]})
    assert done.exit_code == 0, done.output
    assert done.output.count("ok      ") == 8
    assert done.output.count(", and told so") == 2  # collector and gateway, over MQTT 5: a client of 3.1.1 is not told
    (tmp_path / "submeter.acl").write_text(acl(senders=[("gw-7", "submeter/v1/#")]))
    shipped.broker.stop()
    shipped.broker.start()
    done = CliRunner().invoke(app, words, env={"SUBMETER_GATEWAY_SECRET": shipped.secrets["gw-7"]})
    assert (done.exit_code, done.output.count("FAILED")) == (1, 2)


def test_the_files_are_printed(tmp_path):
    """`broker-config` prints both files or one, opens the collector's foreign topics, and those of senders that are named."""
    file = tmp_path / "pipeline.toml"
    file.write_text('[[mqtt]]\ntopics = ["submeter/v1/+/up", "rtl_433/#"]\n')
    done = CliRunner().invoke(app, ["broker-config", "-c", str(file), "--sender", "attic=rtl_433/attic"])
    assert "max_queued_messages 0" in done.output
    assert "topic read rtl_433/#\n\nuser attic\ntopic write rtl_433/attic" in done.output
    alone = CliRunner().invoke(app, ["broker-config", "-c", str(file), "--part", "acl"])
    assert "listener" not in alone.output
    assert "pattern write submeter/v1/%u/#" in alone.output


def test_the_plugins_of_a_newer_broker_are_looked_for(tmp_path):
    """For 2.1 the folder that has the plugin stands in the file; where none is found it is said."""
    folder = tmp_path / "lib" / "aarch64-linux-gnu"
    folder.mkdir(parents=True)
    assert plugin_folder([str(tmp_path / "lib")]) is None
    (folder / PLUGIN).touch()
    assert plugin_folder([str(tmp_path / "lib")]) == folder
    text = mosquitto_conf("2.1", Places(plugins=folder))
    assert f"global_plugin {folder}/mosquitto_acl_file.so" in text
    assert "per_listener_settings" not in text


def test_mosquitto_reads_the_file_of_its_version_whole(shipped, tmp_path):
    """The installed broker finds nothing to complain about in the file for 2.0."""
    log = (tmp_path / "broker" / "mosquitto.log").read_text().splitlines()
    assert any("mosquitto version" in line for line in log)
    assert [line for line in log if re.search(r"\d: (Error|Warning)\b", line)] == []
