"""Messages of a sender that cannot be slowed down, on their way to the inbox.

Rules: what the inbox refuses waits, up to a bound; beyond it the oldest are dropped and counted. A frame that a dongle or a bus delivers as bytes is kept
as a native message, which says what kind of frame it is (docs/gateways.md); all pages of a bus read are one message with one instant.
"""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from submeter.ingest.common import Counters, Reporter
from submeter.ingest.framers import Radio
from submeter.store.errors import StoreError
from submeter.store.inbox import Inbox, Message

__all__ = ["NATIVE", "Keeper", "pages_message", "radio_message"]

#: Bytes that wait while the inbox refuses.
MAX_WAITING: Final = 64 * 1024
RETRY_S: Final = 1.0
#: The format of the messages made here.
NATIVE: Final = "native"


class Keeper:
    """What waits; `keep` commits it. One for each collector."""

    def __init__(self, counters: Counters, reporter: Reporter, retry_s: float = RETRY_S) -> None:
        self._counters = counters
        self._reporter = reporter
        self._retry_s = retry_s
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._retry_at = 0.0

    def take(self, messages: Iterable[Message]) -> None:
        """Have these kept next."""
        for message in messages:
            self._waiting.append(message)
            self._bytes += len(message.payload)
        while self._bytes > MAX_WAITING:
            oldest = len(self._waiting.popleft().payload)
            self._bytes -= oldest
            self._counters.dropped_bytes += oldest

    def keep(self, inbox: Inbox, well: str, where: str) -> None:
        """Commit what waits, and tell that all is `well`; where the inbox refuses, it waits on."""
        if not self._waiting or time.monotonic() < self._retry_at:
            return
        try:
            self._counters.commit(inbox.append, self._waiting)
        except StoreError as error:
            self._counters.failed_commits += 1
            self._retry_at = time.monotonic() + self._retry_s
            self._reporter.tell("inbox_write_failed", str(error))
            return
        self._counters.messages += len(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        self._reporter.tell(well, where)


def radio_message(source: str, gateway: str, radio: Radio, received_at: int) -> Message:
    """A telegram from a dongle, heard at an instant (µs UTC), without link-layer CRCs."""
    known = {"rssi": radio.rssi_dbm, "mode": radio.mode}
    telegram = {"hex": radio.frame.hex(), "form": "nocrc", **{name: value for name, value in known.items() if value is not None}}
    return _native(source, gateway, [telegram], received_at)


def pages_message(source: str, gateway: str, pages: Sequence[bytes], received_at: int) -> Message:
    """All pages of one read of a wired meter, read at an instant (µs UTC)."""
    return _native(source, gateway, [{"hex": page.hex(), "kind": "mbus"} for page in pages], received_at)


def _native(source: str, gateway: str, telegrams: list[dict[str, Any]], received_at: int) -> Message:
    payload = msgspec.json.encode({"v": 1, "gw": source, "t": telegrams})
    return Message(source, payload, received_at, gateway, format=NATIVE)
