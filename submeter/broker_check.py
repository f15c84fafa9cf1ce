"""Does a broker do what submeter relies on? Test messages prove it: session, queue, retained messages, access control (ingest/MQTT.md 8).

Strategy: connections of our own beside a running collector, with its settings and other client ids, on topics that no collector reads; a finding each.
Rules: what is made at the broker is taken away again; a message that must not arrive is waited for behind one that must, so that silence proves something.
"""

import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from submeter.errors import SubmeterError
from submeter.ingest.session import Delivery, MqttSettings, RefusedError, Session, tls_context

__all__ = ["Finding", "check"]

#: More than mosquitto queues when nobody tells it otherwise.
QUEUED: Final = 2000
WAIT_S: Final = 15.0
#: How long the broker keeps the session of a check that was interrupted.
EXPIRY_S: Final = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is as it must be, and what that means."""

    what: str
    ok: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok    ' if self.ok else 'FAILED'}  {self.what}: {self.detail}"


def check(settings: MqttSettings, *, gateway: MqttSettings | None = None, queued: int = QUEUED, wait_s: float = WAIT_S) -> Iterator[Finding]:
    """Findings about the broker of these settings; `gateway`: those of a gateway, to prove what it may write. Raises SubmeterError if it does not let us in."""
    run = secrets.token_hex(4)
    settings = replace(settings, client_id=f"{settings.client_id}-check-{run}", session_expiry_s=EXPIRY_S)
    try:
        yield from _session(settings, f"submeter/check/{run}/queue", queued, wait_s)
        yield _retained(settings, f"submeter/check/{run}/retained", wait_s)
        yield from _forged(settings, settings, "the collector", f"submeter/check/{run}/seen", f"submeter/v1/forged-{run}/check", wait_s)
        if gateway is not None:
            name, own = gateway.username, replace(gateway, client_id=settings.client_id)
            yield from _forged(settings, own, f"gateway {name}", f"submeter/v1/{name}/check", f"submeter/v1/not-{name}-{run}/check", wait_s)
        yield _anonymous(settings)
    except OSError as error:
        raise SubmeterError(
            f"{settings.host}:{settings.port}: {error}: see [[mqtt]] {settings.name} in pipeline.toml, and the broker's log"
        ) from error


def _session(settings: MqttSettings, topic: str, queued: int, wait_s: float) -> Iterator[Finding]:
    """Whether a session whose client is away is kept, and all numbered messages to it."""
    mine = replace(settings, topics=(topic,))
    with closing(_Reader(mine, wait_s)):
        pass
    with _Writer(settings, wait_s) as writer:
        for number in range(queued):
            writer.send(topic, b"%d" % number, at_once=False)
    with closing(_Reader(mine, wait_s)) as reader:
        present = reader.present
        got = reader.read(lambda found: len(found) >= queued)
    _forget(mine, wait_s)
    detail = "the broker remembers a collector that is away" if present else "the broker forgot it: allow persistent sessions (clean_start false)"
    yield Finding("session", present, detail)
    whole = [one.payload for one in got] == [b"%d" % number for number in range(queued)]
    lost = "all arrived, in order" if whole else f"{len({one.payload for one in got})} arrived: max_queued_messages 0, with max_queued_bytes"
    yield Finding("queue", whole, f"{queued} messages to a collector that is away: {lost}")


def _retained(settings: MqttSettings, topic: str, wait_s: float) -> Finding:
    """A message that the broker retains is not delivered to a collector that subscribes later, or is marked as what it is."""
    mine = replace(settings, topics=(f"{topic}/#",))
    with _Writer(settings, wait_s) as writer:
        writer.send(topic, b"old", retain=True)
    with closing(_Reader(mine, wait_s)) as reader, _Writer(settings, wait_s) as writer:
        writer.send(f"{topic}/after", b"new")
        got = reader.read(lambda found: any(one.payload == b"new" for one in found))
        writer.send(topic, b"", retain=True)
    _forget(mine, wait_s)
    plain = [one for one in got if one.payload == b"old" and not one.retain]
    words = "comes as if it were new: telegrams of unknown age would count" if plain else "is kept back, or marked as retained"
    return Finding("retained", not plain and bool(got), f"a retained message {words}")


def _forged(reader_of: MqttSettings, writer_of: MqttSettings, who: str, own: str, forged: str, wait_s: float) -> Iterator[Finding]:
    """In both versions of the protocol: `who` writes the topic that is its own, and does not get through with another's."""
    for protocol in ("5", "3.1.1"):
        mine = replace(reader_of, topics=(own, forged))
        with closing(_Reader(mine, wait_s)) as reader:
            with _Writer(replace(writer_of, protocol=protocol), wait_s) as writer:
                refused = writer.send(forged, b"forged")
            with _Writer(replace(writer_of, protocol=protocol), wait_s) as writer:  # a broker may end the connection of a forger
                writer.send(own, b"own")
            got = reader.read(lambda found: any(one.topic == own for one in found))
        _forget(mine, wait_s)
        told = ", and told so" if refused else ""
        through = [one.topic for one in got if one.topic == forged]
        arrived = any(one.topic == own for one in got)
        what = f"access, MQTT {protocol}"
        if not arrived:
            yield Finding(what, ok=False, detail=f"{who} may not write {own}, or the collector not read it: see the acl of `submeter broker-config`")
        elif through:
            yield Finding(
                what, ok=False, detail=f"{who} may write {forged}: anybody can send in another's name; use the acl of `submeter broker-config`"
            )
        else:
            yield Finding(what, ok=True, detail=f"{who} writes {own} and is stopped at {forged}{told}")


def _anonymous(settings: MqttSettings) -> Finding:
    nobody = replace(
        settings, username=None, password=None, cert_file=None, key_file=None, client_id=f"{settings.client_id}-nobody", session_expiry_s=0
    )
    try:
        with closing(_Reader(replace(nobody, topics=("submeter/check/nobody",)), WAIT_S)):
            pass
    except OSError:
        return Finding("strangers", ok=True, detail="nobody comes in without user or certificate")
    return Finding("strangers", ok=False, detail="anybody comes in: write allow_anonymous false")


class _Reader:
    """A session that has subscribed; `read` collects and acknowledges."""

    def __init__(self, settings: MqttSettings, wait_s: float) -> None:
        self._session = Session(settings)
        self._until = time.monotonic() + wait_s
        self._early: list[Delivery] = []
        self._session.connect()
        try:
            self._subscribed()
        except OSError:
            self.close()
            raise
        self.present = self._session.session_present

    def read(self, enough: Callable[[list[Delivery]], bool]) -> list[Delivery]:
        """What comes until it is enough, or time is over."""
        found = self._early
        while not enough(found) and time.monotonic() < self._until:
            found += self._poll()
        return found

    def close(self) -> None:
        """Leave; the broker keeps the session."""
        with suppress(OSError, ValueError):
            self._session.close()

    def _subscribed(self) -> None:
        while not self._session.connected:
            self._early += self._poll()
            if time.monotonic() > self._until:
                raise RefusedError("the broker does not answer")

    def _poll(self) -> list[Delivery]:
        got = self._session.poll(0.05)
        self._session.ack(got)
        return got


class _Writer:
    """A connection that publishes with QoS 1, on the thread that asks it to; `send` returns whether the broker said no, or ended the connection."""

    def __init__(self, settings: MqttSettings, wait_s: float) -> None:
        self._wait_s = wait_s
        self._waiting: set[int] = set()
        self._refused: set[int] = set()
        self._reason: Any = None
        self._client = _client(settings, f"{settings.client_id}-{secrets.token_hex(3)}", MQTTv311 if settings.protocol == "3.1.1" else MQTTv5)
        self._client.max_inflight_messages_set(100)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.connect(settings.host, settings.port)

    def __enter__(self) -> Self:
        if not self._pump(lambda: self._reason is not None) or self._reason.is_failure:
            raise RefusedError(f"the broker refuses the writer: {self._reason or 'no answer'}")
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until all is acknowledged, and leave."""
        self._pump(lambda: not self._waiting)
        self._client.disconnect()
        self._client.loop(0)

    def send(self, topic: str, payload: bytes, *, retain: bool = False, at_once: bool = True) -> bool:
        """Publish; `at_once`: wait for the answer to this one."""
        message = self._client.publish(topic, payload, qos=1, retain=retain)
        self._waiting.add(message.mid)
        if at_once:
            answered = self._pump(lambda: message.mid not in self._waiting)
            self._waiting.discard(message.mid)
            return not answered or message.mid in self._refused
        return False

    def _pump(self, done: Callable[[], bool]) -> bool:
        """Exchange with the broker until it is done; False if time is over or the connection is gone."""
        until, code = time.monotonic() + self._wait_s, MQTTErrorCode.MQTT_ERR_SUCCESS
        while not done() and code == MQTTErrorCode.MQTT_ERR_SUCCESS and time.monotonic() < until:
            code = self._client.loop(0.05)
        return done()

    def _on_connect(self, _client: object, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        self._reason = reason

    def _on_publish(self, _client: object, _data: object, mid: int, reason: Any, _properties: object) -> None:
        self._waiting.discard(mid)
        if reason.is_failure:
            self._refused.add(mid)


def _forget(settings: MqttSettings, wait_s: float) -> None:
    """End a session at the broker."""
    client = _client(settings, settings.client_id, MQTTv5)
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 0
    with suppress(OSError):
        client.connect(settings.host, settings.port, clean_start=True, properties=properties)
        until = time.monotonic() + wait_s
        while not client.is_connected() and time.monotonic() < until:
            client.loop(0.05)
        client.disconnect()


def _client(settings: MqttSettings, client_id: str, protocol: Any) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol)
    if settings.username is not None:
        client.username_pw_set(settings.username, settings.password)
    if settings.tls:
        try:
            client.tls_set_context(tls_context(settings))
        except ssl.SSLError as error:
            raise SubmeterError(f"the certificates of [[mqtt]] {settings.name} cannot be used: {error}") from error
    return client
