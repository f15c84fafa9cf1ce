"""The MQTT collector against a real mosquitto: nothing is acknowledged before it is kept, nothing stops the loop."""

import socket
import sqlite3
import ssl
import threading
import time

import pytest
from broker import free_port, wait_until
from certificates import Authority
from collecting import Collecting, numbered
from payloads import GOOD, PARTLY, REFUSED, TOPIC


@pytest.fixture
def collecting(tmp_path, broker):
    """A subscribed collector."""
    with Collecting(tmp_path / "inbox.sqlite", port=broker.port) as running:
        yield running.connected()


def test_messages_are_kept_as_received(collecting, broker):
    """Topic, payload, gateway, source and time of reception are in the inbox, in the order of publication."""
    before = time.time_ns() // 1000
    broker.publish((TOPIC, GOOD), ("submeter/v1/gw-8/up", b"x"))
    first, second = collecting.wait_for(2)
    assert (first.source, first.topic, first.payload, first.gateway, first.flags) == ("mqtt", TOPIC, GOOD, "gw-7", 0)
    assert second.gateway == "gw-8"
    assert before <= first.received_at <= second.received_at <= time.time_ns() // 1000
    wait_until(lambda: collecting.collector.counters.messages == 2)
    assert collecting.collector.counters.bytes == len(GOOD) + 1


def test_broken_payloads_leave_the_collector_running(collecting, broker):
    """Every kind of broken payload is kept like any other, and a good one after them arrives."""
    payloads = [payload for _, payload in [*REFUSED.values(), *PARTLY.values()]]
    broker.publish(*((TOPIC, payload) for payload in payloads), (TOPIC, GOOD))
    kept = collecting.wait_for(len(payloads) + 1)
    assert [message.payload for message in kept] == [*payloads, GOOD]


def test_an_oversize_message_is_kept_short(collecting, broker):
    """Of a message over 256 KiB so much is kept that it is refused as too large; one over the packet limit stops nothing."""
    broker.publish((TOPIC, b"a" * 300_000), (TOPIC, b"b" * 1_100_000), (TOPIC, GOOD))
    first, second = collecting.wait_for(2)
    assert (len(first.payload), second.payload) == (256 * 1024 + 1, GOOD)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_messages_sent_while_away_are_delivered(tmp_path, broker, protocol):
    """What arrives at the broker between two runs of the collector is kept by the second, in both versions of the protocol."""
    path = tmp_path / "inbox.sqlite"
    with Collecting(path, port=broker.port, protocol=protocol) as first:
        first.connected()
    broker.publish(*numbered(2500))
    with Collecting(path, port=broker.port, protocol=protocol) as second:
        kept = second.wait_for(2500)
        assert second.events == ["mqtt_connected"]
    assert [message.payload for message in kept] == [payload for _, payload in numbered(2500)]


def test_retained_messages_are_not_taken_for_new_ones(tmp_path, broker):
    """A message retained before we subscribed, whose age nobody knows, is not delivered."""
    with broker.publisher() as publish:
        publish(TOPIC, b"old", retain=True)
    with Collecting(tmp_path / "inbox.sqlite", port=broker.port) as running:
        running.connected()
        broker.publish((TOPIC, b"new"))
        assert [message.payload for message in running.wait_for(1)] == [b"new"]


class Proxy:
    """Stands between collector and broker and counts the PUBACKs that pass."""

    def __init__(self, port):
        self.pubacks = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._sockets = []
        self._target = port
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Cut all connections."""
        for end in self._sockets:
            end.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def close(self):
        """Stop listening."""
        self._server.close()
        for end in self._sockets:
            end.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            broker = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, broker]
            threading.Thread(target=self._up, args=[client, broker], daemon=True).start()
            threading.Thread(target=self._pump, args=[broker, client], daemon=True).start()

    def _up(self, client, broker):
        stream = client.makefile("rb")
        try:
            while head := stream.read(1):
                packet = head + self._rest(stream)
                self.pubacks += head[0] >> 4 == 4
                broker.sendall(packet)
        except (OSError, ValueError, IndexError):
            return  # cut, closed, or cut within a packet

    @staticmethod
    def _rest(stream):
        length, shift, packet = 0, 0, b""
        while shift == 0 or packet[-1] >= 0x80:
            packet += stream.read(1)
            length, shift = length | (packet[-1] & 0x7F) << shift, shift + 7
        return packet + stream.read(length)

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            return


@pytest.fixture
def proxy(broker):
    """A proxy before the broker."""
    between = Proxy(broker.port)
    yield between
    between.close()


def test_nothing_is_acknowledged_before_it_is_kept(tmp_path, broker, proxy):
    """While the inbox cannot commit, no acknowledgement leaves; when it can, each message is acknowledged."""
    path = tmp_path / "inbox.sqlite"
    with Collecting(path, port=proxy.port) as running:
        running.connected()
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        broker.publish(*numbered(50))
        time.sleep(0.5)
        assert proxy.pubacks == 0
        assert blocker.execute("SELECT count(*) FROM messages").fetchone() == (0,)
        blocker.execute("ROLLBACK")
        blocker.close()
        running.wait_for(50)
        wait_until(lambda: proxy.pubacks == 50)


def test_a_failed_commit_is_not_acknowledged(tmp_path, broker, proxy):
    """Messages that the inbox refuses are not acknowledged, an event tells of it, and they come again once it is well."""
    path = tmp_path / "inbox.sqlite"
    with Collecting(path, port=proxy.port) as running:
        running.connected()
        with sqlite3.connect(path) as other:
            other.execute("ALTER TABLE messages RENAME TO away")
        broker.publish(*numbered(20))
        wait_until(lambda: "inbox_write_failed" in running.events)
        assert proxy.pubacks == 0
        with sqlite3.connect(path) as other:
            other.execute("ALTER TABLE away RENAME TO messages")
        other.close()
        assert {message.payload for message in running.wait_for(20)} == {payload for _, payload in numbered(20)}
        assert running.collector.counters.failed_commits > 0


def test_a_cut_connection_is_made_again(tmp_path, broker, proxy):
    """Connections cut in the middle of traffic lose nothing and need nobody."""
    with Collecting(tmp_path / "inbox.sqlite", port=proxy.port) as running:
        running.connected()
        with broker.publisher() as publish:
            for topic, payload in numbered(600):
                publish(topic, payload)
                if payload in {b"100", b"300", b"500"}:
                    wait_until(lambda: running.collector.counters.connected)
                    proxy.cut()
        wait_until(lambda: {message.payload for message in running.kept()} == {payload for _, payload in numbered(600)})
        assert "mqtt_disconnected" in running.events
        assert "mqtt_session_lost" not in running.events


def test_a_forgotten_session_is_an_alarm(tmp_path, broker):
    """A broker that comes back without our session is reported, in a running collector and in one started later."""
    path = tmp_path / "inbox.sqlite"
    with Collecting(path, port=broker.port) as running:
        running.connected()
        broker.publish((TOPIC, b"1"))
        running.wait_for(1)
        broker.stop()
        broker.forget_sessions()
        broker.start()
        wait_until(lambda: "mqtt_session_lost" in running.events)
    broker.stop()
    broker.forget_sessions()
    broker.start()
    with Collecting(path, port=broker.port) as later:
        wait_until(lambda: "mqtt_session_lost" in later.events)


def test_a_missing_broker_is_waited_for(tmp_path, broker):
    """A collector started before its broker connects once the broker is there; the trouble is told once."""
    broker.stop()
    with Collecting(tmp_path / "inbox.sqlite", port=broker.port) as running:
        wait_until(lambda: running.events)
        time.sleep(0.3)
        broker.start()
        running.connected()
        wait_until(lambda: running.events == ["mqtt_disconnected", "mqtt_connected"])


def test_two_collectors_of_one_client_id_do_not_meet(tmp_path, broker):
    """A second collector of the same data folder and client id waits until the first has ended."""
    path = tmp_path / "inbox.sqlite"
    with Collecting(path, port=broker.port) as first:
        first.connected()
        second = Collecting(path, port=broker.port)
        with second:
            wait_until(lambda: second.events == ["mqtt_refused"])
            first._stop.set()
            second.connected()
        assert first.events == ["mqtt_connected"]


CONNACK = b"\x20\x03\x00\x00\x00"
PUBLISH = b"\x32\x08\x00\x01t\x00\x07\x00ab"  # topic t, packet 7, payload ab


def suback(subscribe):
    """The answer to a subscription to one topic."""
    return b"\x90\x04" + subscribe[2:4] + b"\x00\x01"


def test_a_session_taken_over_is_told(tmp_path):
    """When the broker says that another client has our id, the collector reports it and keeps away for a while."""
    server = socket.create_server(("127.0.0.1", 0))
    with Collecting(tmp_path / "inbox.sqlite", port=server.getsockname()[1]) as running:
        client, _ = server.accept()
        client.recv(4096)
        client.sendall(CONNACK)
        client.sendall(suback(client.recv(4096)))
        running.connected()
        client.sendall(b"\xe0\x02\x8e\x00")  # DISCONNECT, session taken over
        wait_until(lambda: running.events == ["mqtt_connected", "mqtt_session_taken_over"])
        server.settimeout(0.5)
        with pytest.raises(TimeoutError):
            server.accept()
    client.close()
    server.close()


def test_what_came_before_the_connection_broke_is_kept(tmp_path):
    """A message in the same breath as the end of the connection is in the inbox: a broker that died may not have it any more."""
    server = socket.create_server(("127.0.0.1", 0))
    with Collecting(tmp_path / "inbox.sqlite", port=server.getsockname()[1]) as running:
        client, _ = server.accept()
        client.recv(4096)
        client.sendall(CONNACK)
        client.sendall(suback(client.recv(4096)) + PUBLISH)
        client.close()
        assert [message.payload for message in running.wait_for(1)] == [b"ab"]
    server.close()


def test_a_refused_password_is_told(tmp_path, broker):
    """A broker that does not let us in is reported as such."""
    broker.stop()
    broker.configure(broker.configuration.replace("allow_anonymous true", "allow_anonymous false"))
    broker.start()
    with Collecting(tmp_path / "inbox.sqlite", port=broker.port, username="nobody", password="wrong") as running:
        wait_until(lambda: running.events == ["mqtt_refused"])


def test_a_stranger_on_the_port_is_survived(tmp_path):
    """Something that is no broker costs connections, never the collector."""
    server = socket.create_server(("127.0.0.1", free_port()))
    with Collecting(tmp_path / "inbox.sqlite", port=server.getsockname()[1]) as running:
        for nonsense in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x03\x00\x00", b"\x20\xff\xff\xff\xff\xff"):
            client, _ = server.accept()
            client.sendall(nonsense)
            client.close()
        wait_until(lambda: running.events)
        assert running._thread.is_alive()
    server.close()


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for 127.0.0.1 and its key, as files."""
    own = Authority(tmp_path, "127.0.0.1")
    return own.cert_file, own.key_file


def test_messages_come_through_tls(tmp_path, broker, certificate):
    """Over TLS a backlog arrives whole; a broker with a stranger's certificate is not spoken to."""
    port = free_port()
    broker.stop()
    broker.configure(broker.configuration + f"listener {port} 127.0.0.1\ncertfile {certificate[0]}\nkeyfile {certificate[1]}\n")
    broker.start()
    path = tmp_path / "inbox.sqlite"
    with Collecting(path, port=port, tls=True) as distrustful:
        wait_until(lambda: distrustful.events == ["mqtt_disconnected"])
    with Collecting(path, port=port, tls=True, ca_file=certificate[0]) as first:
        first.connected()
    broker.publish(*numbered(1500))
    with Collecting(path, port=port, tls=True, ca_file=certificate[0]) as second:
        assert [message.payload for message in second.wait_for(1500)] == [payload for _, payload in numbered(1500)]


def test_bytes_waiting_inside_tls_are_read(tmp_path, certificate):
    """Messages that came in one TLS record with another packet are read although the socket is silent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = socket.create_server(("127.0.0.1", 0))
    with Collecting(tmp_path / "inbox.sqlite", port=server.getsockname()[1], tls=True, ca_file=certificate[0]) as running:
        client = context.wrap_socket(server.accept()[0], server_side=True)
        client.recv(4096)
        client.sendall(CONNACK)
        client.sendall(suback(client.recv(4096)) + PUBLISH)
        assert [message.payload for message in running.wait_for(1)] == [b"ab"]
        client.close()
        server.close()
