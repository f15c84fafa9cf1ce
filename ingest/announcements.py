"""Announcements of bridges as the drain meets them: remembered by the message that brought them, asked for by a topic and a message.

Rules: a message is read by what was announced when it came, one from before the first announcement by that; memory runs ahead of the registry until `write`, and what
a failure kept from being written is written with the next; the same announcement again, as brokers send retained ones at each subscription, changes nothing.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from submeter.ingest.envelopes.discovery import Announced, announced, kept, taken
from submeter.ingest.envelopes.entities import Entity, judged
from submeter.ingest.errors import BadPayload
from submeter.store import Stored
from submeter.store.entities import HISTORY, Entities, Row

__all__ = ["Announcements"]

#: Topics of announcements that are remembered; further ones are refused.
MOST: Final = 20_000

#: Source (a broker's name) and topic.
Key = tuple[str, str]
Change = tuple[int, tuple[Announced, ...]]


class Announcements:
    """The announcements that a registry keeps."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities
        self._told = defaultdict[Key, list[Change]](list)
        self._by_state = defaultdict[Key, set[str]](set)
        self._unwritten: list[Row] = []
        for source, topic, since, text in self._entities.all():
            self._put((source, topic), since, taken(text))

    def take(self, message: Stored) -> None:
        """Take an announcement, or its end; raises BadPayload."""
        key = message.source, message.topic or ""
        entities, changes = announced(*key, message.payload), self._told.get(key, [])
        before = bisect_right(changes, message.id, key=_since)
        if entities == (changes[before - 1][1] if before else ()):
            return
        if not changes and len(self._told) >= MOST:
            raise BadPayload("too_many", f"{MOST} announcements are known: narrow the topics of [[mqtt]] to those of meters")
        self._put(key, message.id, entities)
        self._unwritten.append((*key, message.id, kept(entities)))

    def write(self) -> None:
        """Keep what was taken."""
        if self._unwritten:
            self._entities.keep(self._unwritten)
            self._unwritten = []

    def of(self, message: Stored) -> tuple[Announced, ...]:
        """The entities whose values come under a message's topic, as they were announced when it came."""
        return self._of((message.source, message.topic or ""), message.id)

    def now(self) -> Iterator[tuple[str, Entity]]:
        """All entities as they are announced now, with their source, by the topics of their values."""
        for source, topic in sorted(self._by_state):
            for entity in judged(self._of((source, topic), 2**62)):
                yield source, entity

    def _of(self, state: Key, message: int) -> tuple[Announced, ...]:
        source, topic = state
        found = (one for name in sorted(self._by_state.get(state, ())) for one in _at(self._told[source, name], message))
        return tuple(one for one in found if one.state_topic == topic)

    def _put(self, key: Key, since: int, entities: tuple[Announced, ...]) -> None:
        source, topic = key
        changes = [change for change in self._told[key] if change[0] != since]
        self._told[key] = sorted([*changes, (since, entities)], key=_since)[-HISTORY:]
        for one in entities:
            self._by_state[source, one.state_topic].add(topic)


def _since(change: Change) -> int:
    return change[0]


def _at(changes: list[Change], message: int) -> tuple[Announced, ...]:
    """What held when a message came; before the first change, that one."""
    return changes[max(bisect_right(changes, message, key=_since) - 1, 0)][1]
