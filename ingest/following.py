"""Goes after the inbox and tells as events what gateways' numbers say (`numbering`), that disk or drain do not keep up, that the clock stepped; once a minute.

Strategy: messages that the drain has done carry the gateway's numbers, and repetitions have none; what was looked at is noted by the inbox's ids in the transaction that
writes the events, so that nothing is told twice or left out over a crash. Messages of replayed files number nothing that is going on.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from submeter import civil
from submeter.ingest.common import now_us
from submeter.ingest.numbering import Note, Numbers
from submeter.ingest.room import Room
from submeter.store import Inbox, Registry

__all__ = ["Clock", "follow", "watch_inbox"]

#: Messages looked at in one go.
MOST: Final = 50_000
#: The drain does not keep up when so many messages wait, or one for so long (ingest/INBOX.md 6).
BACKLOG: Final = 1_000_000
WAITS: Final = civil.HOUR
#: A clock that moved so far against the one that only runs was set (ingest/INBOX.md 5).
STEP: Final = 5 * civil.SECOND


def follow(inbox: Inbox, registry: Registry, now: int) -> Mapping[str, Numbers]:
    """Look at what came since the last time, and at holes that are open for long, as of `now` (µs UTC); returns what is known of each gateway that numbers.

    Raises StoreError.
    """
    upto, states = registry.gateways.numbers()
    rows, end = inbox.numbered(after=upto, limit=MOST)
    known = {gateway: Numbers.of(gateway, state) for gateway, state in states.items()}
    notes: list[tuple[str, Note]] = []
    changed = set[str]()
    for gateway, boot, number, at in rows:
        notes += [(gateway, note) for note in known.setdefault(gateway, Numbers(gateway)).take(boot, number, at)]
        changed.add(gateway)
    for gateway, numbers in known.items():
        late = [(gateway, note) for note in numbers.overdue(now)]
        changed |= {gateway} if late else set()
        notes += late
    if end == upto and not notes:
        return known
    with registry.writing(synced=bool(notes)):
        for gateway, note in notes:
            _tell(registry, f"gateway:{gateway}", note, now)
        registry.gateways.keep_numbers(end, {gateway: known[gateway].state() for gateway in changed})
    return known


def watch_inbox(inbox: Inbox, registry: Registry, room: Room, now: int) -> None:
    """Raise or end the events of a full disk and of a drain that does not keep up. Raises StoreError."""
    counts = inbox.counts()
    late = counts.waiting > BACKLOG or (counts.oldest_waiting is not None and now - counts.oldest_waiting > WAITS)
    words = f"{counts.waiting} messages wait to be decoded: `submeter rollup --status` says what runs; receiving goes on"
    _holds(registry, "inbox_backlog", "inbox:messages", words if late else None, now)
    free = room.free()
    words = f"{room.folder} has {(free or 0) >> 20} MiB free: messages are refused and wait at their senders; free disk space"
    _holds(registry, "inbox_low_disk", "inbox:disk", words if room.short else None, now)


class Clock:
    """This machine's clock, which dates what is received: `look` tells when it was set since the last look. Both clocks in µs."""

    def __init__(self, wall: Callable[[], int] = now_us, running: Callable[[], int] = lambda: time.monotonic_ns() // 1000) -> None:
        self._wall = wall
        self._running = running
        self._ahead: int | None = None

    def look(self, registry: Registry) -> None:
        """Raise the event of a step; somebody closes it. Raises StoreError."""
        moment = self._wall()
        before, self._ahead = self._ahead, moment - self._running()
        if before is not None and abs(self._ahead - before) > STEP:
            moved = (self._ahead - before) / civil.SECOND
            words = f"this machine's clock was set by {moved:+.0f} s: what was received around then is dated by it; let a time service keep it"
            registry.events.raise_("collector_clock_step", "inbox:clock", moment, now=moment, detail=words)


def _holds(registry: Registry, kind: str, subject: str, words: str | None, now: int) -> None:
    """Raise the event of a condition that begins, end that of one that is over."""
    opened = registry.events.find(kind, subject, "open")
    if words is not None and not opened:
        registry.events.raise_(kind, subject, now, now=now, detail=words)
    elif words is None and opened:
        registry.events.settle(kind, subject, (), now=now)


def _tell(registry: Registry, subject: str, note: Note, now: int) -> None:
    if note.ended is not None:
        registry.events.settle(note.kind, subject, (), now=now, since=note.at, until=note.at + 1, ended=note.ended)
    else:
        registry.events.raise_(note.kind, subject, note.at, now=now, detail=note.detail, amount=note.span)
