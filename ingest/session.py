"""One connection to an MQTT broker, version 5 or (where it knows no better) 3.1.1: `connect`, `poll`, `ack`. What replaces paho has these three.

Strategy: paho's external loop; the caller's thread owns the socket, and nothing is acknowledged before the caller says so (ingest/MQTT.md 1, 5).
Rules: a `Session` is one connection and is thrown away with it, so that no acknowledgement can hit a packet id of the next; a delivery that
was not acknowledged comes again; the broker is asked for no retained messages but of `retained` topics, since a telegram of unknown
age is no reading (version 3.1.1 cannot ask: the drain leaves them out).
Everything raises OSError when the connection is gone.
"""

import select
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from submeter.ingest.common import now_us

__all__ = ["Delivery", "MqttSettings", "RefusedError", "Session", "TakenOverError", "tls_context"]

#: Bounds of one batch: messages and bytes.
BATCH: Final = 500
BATCH_BYTES: Final = 1024 * 1024
RECEIVE_MAXIMUM: Final = 1000
#: The broker keeps back what is larger; an envelope has at most 256 KiB.
MAXIMUM_PACKET: Final = 1024 * 1024
SESSION_TAKEN_OVER: Final = 0x8E


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


@dataclass(frozen=True, slots=True)
class Delivery:
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
        self._batch: list[Delivery] = []
        self._batch_bytes = 0
        self._error: OSError | None = None
        self.connected = False
        self.session_present = False
        self._client = self._new_client()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def connect(self) -> None:
        """Open the connection and say who we are; the answer comes through `poll`."""
        host, port, keepalive_s = self._settings.host, self._settings.port, self._settings.keepalive_s
        if self._settings.protocol == "3.1.1":
            self._client.connect(host, port, keepalive_s)
            return
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = MAXIMUM_PACKET
        self._client.connect(host, port, keepalive_s, clean_start=False, properties=properties)

    def poll(self, wait_s: float) -> list[Delivery]:
        """Return what has come, at most a batch, after waiting up to `wait_s` seconds for something; what came before the connection broke too."""
        if self._error is not None:
            raise self._error
        self._batch, self._batch_bytes = [], 0
        socket: Any = self._client.socket()
        if socket is None:
            raise ConnectionError("the broker closed the connection")
        waiting_in_tls = self._settings.tls and socket.pending() > 0
        readable, writable, _ = select.select([socket], [socket] if self._client.want_write() else [], [], 0 if waiting_in_tls else wait_s)
        if readable or waiting_in_tls:
            self._read()
        if writable:  # after reading: what is written to a broker that has died closes the connection, and what it sent last would be gone
            self._client.loop_write()
        self._client.loop_misc()
        if self._error is not None and not self._batch:
            raise self._error
        return self._batch

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker, with the next `poll` or `close`, that these are safe with us."""
        for delivery in deliveries:
            self._client.ack(delivery.mid, delivery.qos)

    def close(self) -> None:
        """Leave; the broker keeps the session."""
        self._client.disconnect()
        self._client.loop_write()

    def _read(self) -> None:
        before = -1
        while self._client.socket() is not None and len(self._batch) != before and not self._full():
            before = len(self._batch)
            self._client.loop_read()

    def _full(self) -> bool:
        return len(self._batch) >= BATCH or self._batch_bytes >= BATCH_BYTES

    def _new_client(self) -> Client:
        settings = self._settings
        version: dict[str, Any] = {"protocol": MQTTv311, "clean_session": False} if settings.protocol == "3.1.1" else {"protocol": MQTTv5}
        client = Client(CallbackAPIVersion.VERSION2, client_id=settings.client_id, manual_ack=True, **version)
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if settings.tls:
            client.tls_set_context(tls_context(settings))
        client.on_socket_register_write = client.on_socket_unregister_write = lambda *_: None  # acknowledgements queue up for `ack`
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Client, _: object, flags: ConnectFlags, reason: ReasonCode, __: object) -> None:
        if reason.is_failure:
            self._error = RefusedError(f"the broker refuses us: {reason}")
            return
        self.session_present = flags.session_present
        client.subscribe([(topic, self._options(topic)) for topic in self._settings.topics])

    def _options(self, topic: str) -> Any:
        if self._settings.protocol != "5":
            return 1
        wanted = topic in self._settings.retained
        return SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if wanted else SubscribeOptions.RETAIN_DO_NOT_SEND)

    def _on_subscribe(self, _: object, __: object, ___: int, reasons: list[ReasonCode], ____: object) -> None:
        refused = [topic for topic, reason in zip(self._settings.topics, reasons, strict=False) if reason.is_failure]
        self.connected = not refused
        if refused:
            self._error = RefusedError(f"the broker does not let us read {', '.join(refused)}")

    def _on_disconnect(self, _: object, __: object, ___: DisconnectFlags, reason: ReasonCode, ____: object) -> None:
        kind = TakenOverError if reason.value == SESSION_TAKEN_OVER else ConnectionError
        self._error = self._error or kind(f"connection lost: {reason}")

    def _on_message(self, _: object, __: object, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        self._batch.append(Delivery(_topic(message), payload, message.retain, message.dup, now_us(), message.mid, message.qos))
        self._batch_bytes += len(payload)


def _topic(message: MQTTMessage) -> str:
    """Return the topic; one that is no UTF-8, which no correct broker sends, must not make its message come again for ever."""
    try:
        return message.topic
    except UnicodeDecodeError:
        return "\N{REPLACEMENT CHARACTER}"


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
