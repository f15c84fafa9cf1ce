"""Keeps at an MQTT broker what Home Assistant is shown (docs/home-assistant.md).

Strategy: no queue. The broker itself tells, by retained messages, what stands there of ours; a pass publishes where that differs from what should stand, and takes back
what should not by an empty message. While the broker is away nothing waits: the next connection compares anew.
Rules: an own connection, which paho looks after in a thread and makes again; so many messages under way and no more, what is not acknowledged in time is counted and
tried at the next pass; nothing here can keep the core, collectors or readings waiting.
"""

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from submeter.config import HomeAssistant
from submeter.post.shown import Shown, standing

__all__ = ["Showing"]

#: Messages under way at once, and how long they are waited for.
TOGETHER: Final = 200
PATIENCE_S: Final = 10.0
#: Pauses between tries to connect.
PAUSES_S: Final = (1, 60)
ONLINE, OFFLINE = b"online", b"offline"


class Showing:
    """A connection to the broker of the settings; `told` hears of its changes in words, `count` of messages by outcome: taken or failed."""

    def __init__(self, wanted: HomeAssistant, tls: ssl.SSLContext | None, *, told: Callable[[str], None], count: Callable[[str, int], None]) -> None:
        self.connected = threading.Event()
        self._wanted, self._told, self._count = wanted, told, count
        self._compared, self._lock = threading.Event(), threading.Lock()
        self._standing: dict[str, bytes] = {}
        self._status = f"{wanted.topic}/status"
        self._client = Client(CallbackAPIVersion.VERSION2, wanted.client_id, protocol=MQTTv311)
        if wanted.username:
            self._client.username_pw_set(wanted.username, wanted.password())
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.will_set(self._status, OFFLINE, qos=1, retain=True)
        self._client.reconnect_delay_set(*PAUSES_S)
        self._client.max_inflight_messages_set(TOGETHER)
        self._client.max_queued_messages_set(2 * TOGETHER)
        self._client.on_connect, self._client.on_disconnect = self._came, self._went
        self._client.on_connect_fail, self._client.on_message = self._failed, self._stands

    def start(self) -> None:
        """Begin to connect; returns at once, whether or not there is a broker."""
        self._client.connect_async(self._wanted.host, self._wanted.port)
        self._client.loop_start()

    def close(self) -> None:
        """Say that we are away, and go; without a broker at once."""
        if self.connected.is_set():
            _wait([self._publish(self._status, OFFLINE)])
        self._client.disconnect()
        self._client.loop_stop()

    def bring(self, shown: Shown) -> bool:
        """Publish where the broker has something else than it should, a bounded number of messages; whether it goes on well and there are more."""
        if not self.connected.is_set():
            return False
        self._compared.wait(PATIENCE_S)  # a broker that does not let us read our own messages is told all of them
        changes = self._changes(shown)
        sent = [(topic, payload, self._publish(topic, payload)) for topic, payload in changes[:TOGETHER]]
        _wait([info for _, _, info in sent])
        taken = {topic: payload for topic, payload, info in sent if _is_taken(info)}
        with self._lock:
            for topic, payload in taken.items():
                self._note(topic, payload)
        self._count("taken", len(taken))
        self._count("failed", len(sent) - len(taken))
        return 0 < len(taken) < len(changes)

    def _changes(self, shown: Shown) -> list[tuple[str, bytes]]:
        """Announcements first, so that a value is understood when it comes, and nobody waits for one that is gone."""
        with self._lock:
            there = dict(self._standing)
        gone = [(topic, b"") for topic in there if topic not in shown.messages]
        new = [(topic, payload) for topic, payload in shown.messages.items() if there.get(topic) != payload]
        return sorted(gone + new, key=lambda one: not one[0].endswith("/config"))

    def _publish(self, topic: str, payload: bytes) -> MQTTMessageInfo:
        return self._client.publish(topic, payload, qos=1, retain=True)

    def _note(self, topic: str, payload: bytes) -> None:
        if payload:
            self._standing[topic] = payload
        else:
            self._standing.pop(topic, None)

    def _came(self, client: Client, _data: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        """Ask what stands there; what comes back of our own status comes behind all of that."""
        if reason.is_failure:
            self._told(f"the broker refuses: {reason}")
            return
        self._forget()
        client.subscribe([(one, 1) for one in (*standing(self._wanted), self._status)])
        self._publish(self._status, ONLINE)
        self.connected.set()
        self._told("")

    def _went(self, _client: Client, _data: object, _flags: object, reason: ReasonCode, _properties: object) -> None:
        was_there = self.connected.is_set()
        self.connected.clear()
        self._forget()
        if was_there and reason.is_failure:
            self._told(f"the broker is away: {reason}")

    def _failed(self, _client: Client, _data: object) -> None:
        self._told(f"the broker {self._wanted.host}:{self._wanted.port} cannot be reached")

    def _stands(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic != self._status:
            with self._lock:
                self._note(message.topic, bytes(message.payload))
        elif message.payload == ONLINE and not message.retain:
            self._compared.set()

    def _forget(self) -> None:
        self._compared.clear()
        with self._lock:
            self._standing = {}


def _wait(sent: Sequence[MQTTMessageInfo]) -> None:
    """Wait until all are acknowledged, or for so long as one may take."""
    deadline = time.monotonic() + PATIENCE_S
    for info in sent:
        with suppress(RuntimeError, ValueError):  # paho's words for: not connected any more, too many
            info.wait_for_publish(max(deadline - time.monotonic(), 0.0))


def _is_taken(info: MQTTMessageInfo) -> bool:
    return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and info.is_published()
