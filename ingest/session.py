"""One connection to an MQTT broker, version 5 or (where it knows no better) 3.1.1: `connect`, `poll`, `ack`.

Strategy: our own receiver instead of paho's, which reads one packet a select and sends each acknowledgement alone: a socket that is read in large
pieces, acknowledgements that leave together (docs/decisions/2026-11-28-own-mqtt-receiver.md; ingest/MQTT.md 2). The caller's thread owns the socket, and
nothing is acknowledged before the caller says so.
Rules: a `Session` is one connection and is thrown away with it, so that no acknowledgement can hit a packet id of the next; a delivery that
was not acknowledged comes again; the broker is asked for no retained messages but of `retained` topics, since a telegram of unknown
age is no reading (version 3.1.1 cannot ask: the drain leaves them out).
Everything raises OSError when the connection is gone.
"""

import select
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from submeter.ingest.common import now_us
from submeter.ingest.packets import (
    DISCONNECT,
    FAILURE,
    PINGREQ,
    Answer,
    Connect,
    Incoming,
    Kind,
    ProtocolError,
    Published,
    acknowledge,
    answer,
    completed,
    subscribe,
)

__all__ = ["Delivery", "MqttSettings", "RefusedError", "Session", "TakenOverError", "tls_context"]

#: Bounds of one batch: messages and bytes.
BATCH: Final = 500
BATCH_BYTES: Final = 1024 * 1024
RECEIVE_MAXIMUM: Final = 1000
#: The broker keeps back what is larger; an envelope has at most 256 KiB.
MAXIMUM_PACKET: Final = 1024 * 1024
#: What is received into; a packet is at most as large as we allow.
CAPACITY: Final = MAXIMUM_PACKET + 65_536
#: Options of a subscription (MQTT 5.0, 3.8.3.1); 3.1.1 knows the quality only.
QUALITY_1: Final = 0x01
NO_RETAINED: Final = 0x20
CONNECT_S: Final = 10.0
SESSION_TAKEN_OVER: Final = 0x8E
#: Return codes of 3.1.1 as the reason codes of 5 that say the same (MQTT 3.1.1, 3.2.2.3).
RETURN_CODES: Final = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """A broker and how to speak to it. `client_id` names the session that the broker keeps `session_expiry_s` seconds while we are away.

    Of the `topics` that are in `retained`, retained messages are wanted too, at each connection: they may have changed while we were away.
    """

    name: str = "mqtt"
    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = "submeter"
    protocol: Literal["5", "3.1.1"] = "5"
    topics: tuple[str, ...] = ("submeter/v1/+/up",)
    retained: frozenset[str] = frozenset()
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    session_expiry_s: int = 1_209_600
    keepalive_s: int = 60


class RefusedError(ConnectionError):
    """The broker does not let us in, or not read a topic; or we have not what it asks for."""


class TakenOverError(ConnectionError):
    """Another client has connected with our client id."""


class Delivery(NamedTuple):
    """One message of the broker; `mid` and `qos` are what its acknowledgement needs."""

    topic: str
    payload: bytes
    retain: bool
    dup: bool
    received_at: int
    mid: int
    qos: int


class Session:
    """One connection; `connected` (subscribed) and `session_present` are known after the broker's answers came through `poll`."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._version = 4 if settings.protocol == "3.1.1" else 5
        self._keepalive_s = float(settings.keepalive_s)
        self._incoming = Incoming(CAPACITY)
        self._outgoing = bytearray()
        self._error: OSError | None = None
        self._sent_at = 0.0
        self._asked_at: float | None = None
        self.connected = False
        self.session_present = False

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def connect(self) -> None:
        """Open the connection and say who we are; the answer comes through `poll`."""
        ours = self._settings
        self._socket = socket.create_connection((ours.host, ours.port), CONNECT_S)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if ours.tls:
                self._socket = tls_context(ours).wrap_socket(self._socket, server_hostname=ours.host)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise
        self._waiter = select.poll()
        self._waiter.register(self._socket, select.POLLIN)
        who = (ours.client_id, self._version, ours.keepalive_s, ours.session_expiry_s, RECEIVE_MAXIMUM, MAXIMUM_PACKET)
        self._outgoing += Connect(*who, ours.username, ours.password if ours.username is not None else None).packet()
        self._sent_at = self._asked_at = time.monotonic()  # the answer to CONNECT has as long as that to a ping

    def poll(self, wait_s: float) -> list[Delivery]:
        """Return what has come, at most a batch, after waiting up to `wait_s` seconds for something; what came before the connection broke too."""
        batch = _Batch()
        self._take(batch)  # what the batch before left
        pending = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        if self._error is None:
            self._waiter.modify(self._socket, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
            waited = self._waiter.poll(0 if batch.deliveries or pending else wait_s * 1000)
            events = waited[0][1] if waited else 0
            if pending or events & ~select.POLLOUT:
                self._read(batch)
            if self._outgoing:  # after reading: what is written to a broker that has died closes the connection, and what it sent last would be gone
                self._write()
            self._keep_alive()
        if self._error is not None and not batch.deliveries:
            raise self._error
        return batch.deliveries

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker, with the next `poll` or `close`, that these are safe with us."""
        self._outgoing += acknowledge([(delivery.mid, delivery.qos) for delivery in deliveries])

    def close(self) -> None:
        """Leave; the broker keeps the session."""
        self._outgoing += DISCONNECT
        try:
            if self._error is None:
                self._socket.settimeout(CONNECT_S)
                self._socket.sendall(self._outgoing)
        except OSError:
            pass  # it is gone anyway; what it did not learn of comes again
        finally:
            self._socket.close()

    def _read(self, batch: "_Batch") -> None:
        """Receive until there is no more, or the batch is full."""
        try:
            while not batch.full and self._error is None:
                count = self._socket.recv_into(self._incoming.room())
                if not count:
                    self._error = ConnectionError("the broker closed the connection")
                self._incoming.came(count)
                self._take(batch)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            self._error = error

    def _write(self) -> None:
        try:
            del self._outgoing[: self._socket.send(self._outgoing)]
            self._sent_at = time.monotonic()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            self._error = self._error or error

    def _take(self, batch: "_Batch") -> None:
        """Take packets out of what was received."""
        version = self._version
        try:
            while not batch.full and (found := self._incoming.packet()) is not None:
                first, body = found
                if first >> 4 == Kind.PUBLISH:
                    told = Published.of(first, body, version)
                    # an instant of its own, so that two telegrams of a meter in one piece are not two values of one instant
                    batch.add(Delivery(told.topic, told.payload, told.retain, told.dup, now_us(), told.mid, told.qos))
                else:
                    self._answered(first, body)
                self._asked_at = None
        except OSError as error:
            self._error = self._error or error

    def _answered(self, first: int, body: memoryview) -> None:
        """Act on a packet that is no message; raises OSError where it ends the connection."""
        try:
            kind = Kind(first >> 4)
        except ValueError:
            raise ProtocolError(f"the broker sends what is not for us: {first:02x}") from None
        if kind is Kind.PUBREL:
            self._outgoing += completed(body)
        elif kind is Kind.CONNACK:
            self._welcomed(answer(kind, body, self._version))
        elif kind is Kind.SUBACK:
            codes = answer(kind, body, self._version).codes
            refused = [topic for topic, code in zip(self._settings.topics, codes, strict=False) if code >= FAILURE]
            if refused:
                raise RefusedError(f"the broker does not let us read {', '.join(refused)}")
            self.connected = True
        elif kind is Kind.DISCONNECT:
            code = answer(kind, body, self._version).codes[0]
            raise (TakenOverError if code == SESSION_TAKEN_OVER else ConnectionError)(f"connection lost: {_words(PacketTypes.DISCONNECT, code)}")

    def _welcomed(self, told: Answer) -> None:
        code = RETURN_CODES.get(told.codes[0], told.codes[0])
        if code:
            raise RefusedError(f"the broker refuses us: {_words(PacketTypes.CONNACK, code)}")
        self.session_present = told.session_present
        if told.keepalive_s is not None:
            self._keepalive_s = float(told.keepalive_s)
        self._outgoing += subscribe(1, [(topic, self._options(topic)) for topic in self._settings.topics], self._version)

    def _options(self, topic: str) -> int:
        return QUALITY_1 if self._version == 4 or topic in self._settings.retained else QUALITY_1 | NO_RETAINED

    def _keep_alive(self) -> None:
        """Ask the broker for a sign of life when we have not sent one for as long as we promised; no answer within the same time ends the connection."""
        at = time.monotonic()
        if not self._keepalive_s:
            return
        if self._asked_at is not None and at - self._asked_at > self._keepalive_s:
            self._error = self._error or TimeoutError(f"the broker has not answered for {self._keepalive_s:.0f} s")
        elif self._asked_at is None and at - self._sent_at >= self._keepalive_s:
            self._outgoing += PINGREQ
            self._asked_at = at


class _Batch:
    """What one `poll` returns."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        return len(self.deliveries) >= BATCH or self._bytes >= BATCH_BYTES

    def add(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self._bytes += len(delivery.payload)


def _words(packet: int, code: int) -> str:
    """A reason code in the standard's words (MQTT 5.0, 2.4)."""
    try:
        return str(ReasonCode(packet, identifier=code))
    except (KeyError, AssertionError):
        return f"reason code {code:02x}"


def tls_context(settings: MqttSettings) -> ssl.SSLContext:
    """What the broker is checked against, and what we show it; RefusedError names the file that cannot be used."""
    files = f"ca_file {settings.ca_file}"
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file is not None:
            files = f"cert_file {settings.cert_file} with key_file {settings.key_file}"
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as error:
        raise RefusedError(f"{files} cannot be used: {error.strerror or error}") from error
    return context
