"""One pass over the outbox: what is due leaves, what failed waits longer, what is over is told.

Strategy: one message at a time, so that what expires or was cancelled meanwhile is seen, and a code is not kept waiting by what stood before it. No
transaction is open while a sink works. Rules: a failure is tried again after 1 minute, then 2, 4, … up to 6 hours; a sink that is out ends the pass of its
channel; a message that was given up, or expired before it left, raises the event `undelivered`; log lines name the row, never what it says.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from submeter.post.errors import SinkError
from submeter.post.outlets import Outlets, Sink
from submeter.store import Registry
from submeter.store.outbox import Channel, Notice

__all__ = ["Report", "delay", "deliver"]

log = structlog.get_logger()

MINUTE: Final = 60_000_000
LONGEST: Final = 6 * 60 * MINUTE
#: Messages of a channel that one pass moves at most.
TOGETHER: Final = 100


@dataclass(frozen=True, slots=True)
class Report:
    """How many messages left, are to be tried again, were given up, and expired; `trouble` by channel is why a sink takes nothing."""

    sent: int = 0
    failed: int = 0
    given_up: int = 0
    expired: int = 0
    trouble: Mapping[str, str] = field(default_factory=dict)


def deliver(registry: Registry, outlets: Outlets, now: Callable[[], int], *, limit: int = TOGETHER) -> Report:
    """Send what is due through these outlets, at most `limit` of each channel; expire what is over, of any channel."""
    expired = _expire(registry, now())
    one = _Pass(registry, outlets, now)
    for channel, sink in outlets.sinks.items():
        one.channel(channel, sink, limit)
    return Report(one.states["sent"], one.states["waiting"], one.states["given_up"], expired, one.trouble)


def delay(tries: int) -> int:
    """How long after a failed try the next one is due, µs."""
    return int(min(MINUTE * 2 ** min(tries - 1, 30), LONGEST))


class _Pass:
    """What one pass came to: messages by their state after it, and which sinks are out."""

    def __init__(self, registry: Registry, outlets: Outlets, now: Callable[[], int]) -> None:
        self.states: Counter[str] = Counter()
        self.trouble: dict[str, str] = {}
        self._registry, self._outlets, self._now = registry, outlets, now
        self._names = {one.id: one.name for one in registry.managers()}

    def channel(self, channel: Channel, sink: Sink, limit: int) -> None:
        """Send up to `limit` messages, as long as the sink takes any."""
        for _ in range(limit):
            notice = self._next(channel)
            if notice is None:
                return
            self._send(notice, sink)
            if channel in self.trouble:
                return

    def _next(self, channel: Channel) -> Notice | None:
        """Begin with the message that is first, if there is one."""
        now = self._now()
        for one in self._registry.outbox.due(now, 1, (channel,)):
            return self._registry.outbox.claim(one.id, now, again=now + delay(one.tries + 1))
        return None

    def _send(self, notice: Notice, sink: Sink) -> None:
        error = self._error(notice, sink)
        if error is None:
            _sent(self._registry, notice, self._now())
            self.states["sent"] += 1
            log.debug("message sent", id=notice.id, channel=notice.channel, template=notice.template)
            return
        after = _failed(self._registry, notice, error, self._now())
        self.states[after.state] += 1
        if error.whole:
            self.trouble[notice.channel] = after.error

    def _error(self, notice: Notice, sink: Sink) -> SinkError | None:
        """Why a message did not leave. Of an exception that nobody foresaw only the kind is told: its words may hold the message."""
        try:
            sink.send(self._outlets.message(notice, self._names))
        except SinkError as error:
            return error
        except Exception as error:  # noqa: BLE001 - one message must not end the others
            return SinkError(f"{type(error).__name__} in {type(sink).__name__}")
        return None


def _sent(registry: Registry, notice: Notice, now: int) -> None:
    """Note that it left, together with the proof that a holder was told of the monthly information."""
    with registry.writing():
        registry.outbox.sent(notice.id, now)
        registry.information.left(notice.unique, notice.channel, now=now)


def _failed(registry: Registry, notice: Notice, error: SinkError, now: int) -> Notice:
    with registry.writing():
        after = registry.outbox.failed(notice.id, now, str(error), retry_at=None if error.lasting else now + delay(notice.tries))
        if after.state == "given_up":
            _tell(registry, after, after.error, now)
    _log("message not delivered", after)
    return after


def _expire(registry: Registry, now: int) -> int:
    if not registry.outbox.overdue(now):
        return 0
    with registry.writing():
        over = registry.outbox.expire(now)
        for notice in over:
            _tell(registry, notice, f"expired after {notice.tries} tries {notice.error}".strip(), now)
    for notice in over:
        _log("message expired before it left", notice)
    return len(over)


def _log(said: str, one: Notice) -> None:
    log.warning(said, id=one.id, channel=one.channel, template=one.template, tries=one.tries, state=one.state, error=one.error)


def _tell(registry: Registry, notice: Notice, why: str, now: int) -> None:
    """Raise the channel's event, or count on the one that is open."""
    subject = f"outbox:{notice.channel}"
    opened = registry.events.find("undelivered", subject, "open")
    at = opened[0].at if opened else now
    registry.events.raise_("undelivered", subject, at, now=now, detail=f"message {notice.id}, {notice.template}: {why}")
