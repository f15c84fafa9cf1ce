"""Several brokers in one process, and brokers that know their clients by certificates, as pipeline.toml says."""

import shutil
import ssl
import threading

import pytest
from broker import Broker, free_port, wait_until
from certificates import Authority
from collecting import Collecting
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from payloads import GOOD, TOPIC

from submeter.collectors import collectors
from submeter.config import load
from submeter.store import Inbox

ACL = """
pattern write submeter/v1/%u/#
user submeter-ingest
topic read submeter/v1/#
"""


@pytest.fixture
def authority(tmp_path):
    """Who signs the certificates of broker, collector and gateways."""
    return Authority(tmp_path / "certificates", "authority")


@pytest.fixture
def secured(broker, authority, tmp_path):
    """The port of a second broker, on which only clients with a certificate are let in, and what they may do follows from its name."""
    port, folder = free_port(), tmp_path / "secured"
    cert_file, key_file = authority.issue("broker")
    with Broker(broker.program, folder) as running:
        (folder / "acl").write_text(ACL)
        running.stop()
        running.configure(
            running.configuration + f"acl_file {folder}/acl\nlistener {port} 127.0.0.1\ncafile {authority.cert_file}\n"
            f"certfile {cert_file}\nkeyfile {key_file}\nrequire_certificate true\nuse_identity_as_username true\n"
        )
        running.start()
        yield port


def publish(port, authority, name, topic, payload):
    """A gateway of this name publishes one message; returns the broker's word."""
    context = ssl.create_default_context(cafile=authority.cert_file)
    context.load_cert_chain(*authority.issue(name))
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.tls_set_context(context)
    words = []
    client.on_publish = lambda *told: words.append(str(told[3]))
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(topic, payload, qos=1)
    wait_until(lambda: words)
    client.disconnect()
    client.loop_stop()
    return words[0]


def test_two_brokers_in_one_process_one_with_certificates(tmp_path, broker, secured, authority):
    """Two sections, the same client id: each broker's messages arrive under its name; a gateway's certificate decides where it may publish."""
    cert_file, key_file = authority.issue("submeter-ingest")
    (tmp_path / "pipeline.toml").write_text(
        f'[data]\nfolder = "data"\n[[mqtt]]\nname = "open"\nport = {broker.port}\n[[mqtt]]\nname = "secured"\nport = {secured}\ntls = true\n'
        f'ca_file = "{authority.cert_file}"\ncert_file = "{cert_file}"\nkey_file = "{key_file}"\n'
    )
    (tmp_path / "data").mkdir()
    running, stop = collectors(load(tmp_path / "pipeline.toml"), lambda _: lambda *_: None), threading.Event()
    threads = [threading.Thread(target=one.run, args=[stop]) for one in running]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(one.counters.connected for one in running))
        broker.publish((TOPIC, GOOD))
        assert publish(secured, authority, "gw-7", TOPIC, GOOD) == "Success"
        assert publish(secured, authority, "gw-8", TOPIC, b"forged") == "Not authorized"
        assert publish(secured, authority, "gw-8", "submeter/v1/gw-8/up", b"own") == "Success"
        with Inbox(tmp_path / "data" / "inbox.sqlite") as inbox:
            kept = wait_until(lambda: len(found := inbox.pending(10)) >= 3 and found)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {(message.source, message.gateway, message.payload) for message in kept} == {
        ("open", "gw-7", GOOD), ("secured", "gw-7", GOOD), ("secured", "gw-8", b"own"),
    }  # fmt: skip


def test_without_a_certificate_that_the_broker_knows_nobody_is_let_in(tmp_path, secured, authority):
    """No certificate, or one of a stranger's authority: told, and tried again; a file that is not there is named."""
    stranger = Authority(tmp_path / "stranger", "stranger").issue("submeter-ingest")
    for files in ({}, {"cert_file": stranger[0], "key_file": stranger[1]}):
        with Collecting(tmp_path / "inbox.sqlite", port=secured, tls=True, ca_file=authority.cert_file, **files) as refused:
            wait_until(lambda: refused.events)
            assert refused.events == ["mqtt_disconnected"]
    with Collecting(tmp_path / "inbox.sqlite", port=secured, tls=True, ca_file=authority.cert_file, cert_file=tmp_path / "none.crt",
                    key_file=stranger[1]) as lacking:  # fmt: skip
        wait_until(lambda: lacking.events == ["mqtt_refused"])
    assert any("none.crt" in detail for detail in lacking.details)


def test_a_renewed_certificate_is_taken_at_the_next_connection(tmp_path, secured, authority):
    """Files that are exchanged while the collector runs are read with its next connection."""
    stranger, good = Authority(tmp_path / "stranger", "stranger").issue("submeter-ingest"), authority.issue("submeter-ingest")
    cert_file, key_file = tmp_path / "own.crt", tmp_path / "own.key"
    for source, target in zip(stranger, (cert_file, key_file), strict=True):
        shutil.copy(source, target)
    with Collecting(
        tmp_path / "inbox.sqlite", port=secured, tls=True, ca_file=authority.cert_file, cert_file=cert_file, key_file=key_file
    ) as running:
        wait_until(lambda: running.events == ["mqtt_disconnected"])
        for source, target in zip(good, (cert_file, key_file), strict=True):
            shutil.copy(source, target)
        running.connected()
