"""One connection to a broker, held against a broker whose every byte is written here: keep-alive, silence, quality 2, batches, refusals."""

import contextlib
import socket
import time

import pytest
from broker import wait_until
from test_packets import length, message

from submeter.ingest.session import BATCH, MqttSettings, RefusedError, Session, TakenOverError

WELCOME = b"\x20\x03\x00\x00\x00\x90\x04\x00\x01\x00\x01"  # CONNACK, SUBACK


class Scripted:
    """A broker that says what it is told to say."""

    def __init__(self, **settings):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.session = Session(MqttSettings(port=self._server.getsockname()[1], **settings))
        self.session.connect()
        self._line, _ = self._server.accept()
        self._line.settimeout(5)
        self.got = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()
        self._line.close()
        self._server.close()

    def says(self, data):
        """Send, and give it the time to arrive."""
        self._line.sendall(data)
        time.sleep(0.05)

    def hears(self, part):
        """Whether these bytes have come, letting the session work meanwhile."""
        self.session.poll(0.01)
        self._line.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.got += self._line.recv(65_536)
        self._line.setblocking(True)
        return part in self.got


def test_subscribes_after_the_welcome_and_says_what_the_broker_remembers():
    """CONNECT first, SUBSCRIBE when the broker has accepted us; then it is connected."""
    with Scripted(client_id="me") as broker:
        wait_until(lambda: broker.hears(b"\x00\x02me"))
        assert not broker.session.connected
        broker.says(b"\x20\x03\x01\x00\x00")
        wait_until(lambda: broker.hears(b"submeter/v1/+/up\x21"))
        assert broker.session.session_present
        broker.says(b"\x90\x04\x00\x01\x00\x01")
        broker.session.poll(0)
        assert broker.session.connected


def test_a_quiet_line_is_asked_and_a_dead_one_is_left():
    """The broker's keep-alive of one second counts, not our minute: a ping; no answer within a second more: the connection is given up."""
    with Scripted() as broker:
        wait_until(lambda: broker.hears(b"MQTT"))
        broker.says(b"\x20\x06\x00\x00\x03\x13\x00\x01" + WELCOME[5:])
        wait_until(lambda: broker.hears(b"\xc0\x00"))
        broker.says(b"\xd0\x00")
        broker.got = b""
        wait_until(lambda: broker.hears(b"\xc0\x00"))
        with pytest.raises(TimeoutError, match="has not answered for 1 s"):
            wait_until(lambda: broker.session.poll(0.05))


def test_a_broker_that_never_says_hello_is_left():
    """A port that accepts and is silent is given up after the keep-alive."""
    with Scripted(keepalive_s=1) as broker, pytest.raises(TimeoutError):
        wait_until(lambda: broker.session.poll(0.05))


def test_nothing_is_acknowledged_before_it_is_said_and_quality_2_ends_in_its_four_steps():
    """PUBACK for quality 1, PUBREC for 2 when we say so; PUBREL is answered at once; quality 0 has no answer."""
    with Scripted() as broker:
        wait_until(lambda: broker.hears(b"MQTT"))
        broker.says(WELCOME + message(b"t", b"zero", flags=0) + message(b"t", b"one", 5) + message(b"t", b"two", 6, flags=4))
        found = wait_until(lambda: broker.session.poll(0.05))
        assert [(one.payload, one.qos) for one in found] == [(b"zero", 0), (b"one", 1), (b"two", 2)]
        for _ in range(5):
            assert not broker.hears(b"\x40\x02")
        broker.session.ack(found)
        wait_until(lambda: broker.hears(b"\x40\x02\x00\x05\x50\x02\x00\x06"))
        broker.says(b"\x62\x02\x00\x06")
        wait_until(lambda: broker.hears(b"\x70\x02\x00\x06"))


def test_batches_are_bounded_and_nothing_is_left_behind_when_the_line_breaks():
    """More than a batch in one piece comes in batches; what came before the end of the connection is delivered before the error."""
    with Scripted() as broker:
        wait_until(lambda: broker.hears(b"MQTT"))
        broker.says(WELCOME + b"".join(message(b"t", b"%d" % number, number + 1) for number in range(2 * BATCH + 10)))
        broker._line.close()
        found = [wait_until(lambda: broker.session.poll(0.05)) for _ in range(3)]
        assert [len(batch) for batch in found] == [BATCH, BATCH, 10]
        assert [one.payload for batch in found for one in batch] == [b"%d" % number for number in range(2 * BATCH + 10)]
        assert len({one.received_at for batch in found for one in batch}) > BATCH  # not one instant for all that came in one piece
        with pytest.raises(ConnectionError):
            wait_until(lambda: broker.session.poll(0.05))


@pytest.mark.parametrize(
    ("protocol", "data", "error", "words"),
    [
        ("5", b"\x20\x03\x00\x87\x00", RefusedError, "Not authorized"),
        ("3.1.1", b"\x20\x02\x00\x05", RefusedError, "Not authorized"),
        ("3.1.1", b"\x20\x02\x00\x04", RefusedError, "Bad user name or password"),
        ("3.1.1", b"\x20\x02\x00\x03", RefusedError, "Server unavailable"),
        ("3.1.1", b"\x20\x02\x00\x02", RefusedError, "Client identifier not valid"),
        ("3.1.1", b"\x20\x02\x00\x01", RefusedError, "Unsupported protocol version"),
        ("3.1.1", b"\x20\x02\x00\x00\x90\x03\x00\x01\x80", RefusedError, "let us read submeter/v1/"),
        ("5", WELCOME + b"\xe0\x00", ConnectionError, "connection lost"),
        ("5", WELCOME + b"\x00\x00", ConnectionError, "not for us: 00"),
        ("5", WELCOME + b"\x30\xff\xff\xff\xff", ConnectionError, "a length that is none: ffffffff"),
        ("5", WELCOME + b"\x36\x06\x00\x01t\x00\x01\x00", ConnectionError, "a message that is none"),
        ("5", WELCOME + b"\x32\x06\x00\x01t\x00\x00\x00", ConnectionError, "a message that is none"),
        ("5", b"\x20\x03\x00\x00\x00\x90\x04\x00\x01\x00\x87", RefusedError, "submeter/v1/"),
        ("5", WELCOME + b"\xe0\x01\x8e", TakenOverError, "Session taken over"),
        ("5", WELCOME + b"\xe0\x01\x8b", ConnectionError, "Server shutting down"),
        ("5", WELCOME + b"\x30" + length(3) + b"\x00\x09t", ConnectionError, "that is none"),
        ("5", WELCOME + b"\x10\x00", ConnectionError, "not for us"),
        ("5", b"\x20\x01\x00", ConnectionError, "CONNACK"),
        ("5", b"\x20\x03\x00\xee\x00", RefusedError, "ee"),
    ],
)
def test_what_ends_a_connection_says_why(protocol, data, error, words):
    """Refusals in the standard's words, in both versions; what is no MQTT by its bytes."""
    with Scripted(protocol=protocol) as broker:
        wait_until(lambda: broker.hears(b"MQTT"))
        broker.says(data)
        with pytest.raises(error, match=words):
            wait_until(lambda: broker.session.poll(0.05))
