"""The inbox: every message as received, on disk before anyone is told that we have it (ingest/INBOX.md; DECISIONS 7, 9, 10, 13).

Strategy: one row a message, undecoded; the drain takes the oldest waiting ones and marks them done; a telegram of a message that gave no
reading has a row of its own in the quarantine, keyed by message and position, with its bytes and the reason.
Rules: nothing about a payload is checked here, so that no payload can fail a batch; ids rise and are never used again; one `Inbox` serves
one thread, any number of them (in any number of processes) may have the same file open.
All instants are microseconds since 1970, UTC.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from submeter.store.sql import querying, transaction
from submeter.store.sqlite import open_sqlite

__all__ = ["DUP", "REPLAY", "RETAIN", "Counts", "Done", "Inbox", "Message", "Quarantined", "Stored"]

#: Bits of `Message.flags`: the broker sent a retained message, or one that it may have sent before; the message comes from a replayed file.
RETAIN: Final = 1
DUP: Final = 2
REPLAY: Final = 4
#: Bytes of a page: a message of a hundred telegrams has about this size, and costs a third less than in small pages.
PAGE_SIZE: Final = 16_384

MIGRATIONS: Final = (
    """
CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  payload BLOB NOT NULL,
  received_at INTEGER NOT NULL,
  gateway TEXT,
  topic TEXT,
  flags INTEGER NOT NULL,
  format TEXT,
  boot TEXT,
  seq INTEGER,
  state TEXT NOT NULL DEFAULT 'new',
  reason TEXT
);
CREATE INDEX messages_waiting ON messages (id) WHERE state = 'new';
CREATE INDEX messages_refused ON messages (reason) WHERE reason IS NOT NULL;
CREATE INDEX messages_numbered ON messages (gateway, boot, seq) WHERE seq IS NOT NULL;
CREATE INDEX messages_received ON messages (received_at);
CREATE TABLE quarantine (
  message INTEGER NOT NULL,
  position INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  gw_time INTEGER,
  gateway TEXT,
  device TEXT,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  link TEXT NOT NULL,
  form TEXT NOT NULL,
  raw BLOB NOT NULL,
  PRIMARY KEY (message, position)
);
CREATE INDEX quarantine_reason ON quarantine (reason);
""",
    """
CREATE TABLE identity (name TEXT NOT NULL);
INSERT INTO identity VALUES (lower(hex(randomblob(8))));
CREATE TABLE taken (inbox TEXT PRIMARY KEY, upto INTEGER NOT NULL);
""",
    """
CREATE TABLE written (mark INTEGER NOT NULL);
INSERT INTO written VALUES (0);
""",
)


@dataclass(frozen=True, slots=True)
class Message:
    """What a transport received: from which source, when, and what it knows of the gateway; `format` is set where the configuration pins it."""

    source: str
    payload: bytes
    received_at: int
    gateway: str | None = None
    topic: str | None = None
    flags: int = 0
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Stored(Message):
    """A message with its place in the order of arrival."""

    id: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a message: what it turned out to be, and the reason if none of it was taken."""

    id: int
    format: str | None = None
    gateway: str | None = None
    boot: str | None = None
    seq: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A telegram that gave no reading: where it stood, when it was heard, whose it is if that could be read, why, and its bytes."""

    message: int
    position: int
    received_at: int
    gw_time: int | None
    gateway: str | None
    device: str | None
    reason: str
    detail: str
    link: str
    form: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Counts:
    """State of the inbox: messages waiting and since when, messages refused and telegrams in quarantine by reason."""

    waiting: int
    oldest_waiting: int | None
    refused: Mapping[str, int]
    quarantined: Mapping[str, int]


#: Columns of what goes in and comes out, in the order of their fields.
MESSAGE, STORED, QUARANTINED = (tuple(one.name for one in fields(kind)) for kind in (Message, Stored, Quarantined))
DONE: Final = ("format", "gateway", "boot", "seq", "reason", "id")
_STORED: Final = f"SELECT {', '.join(STORED)} FROM messages"  # noqa: S608 - columns of ours
_QUARANTINED: Final = f"SELECT {', '.join(QUARANTINED)} FROM quarantine"  # noqa: S608 - columns of ours

APPEND: Final = f"INSERT INTO messages ({', '.join(MESSAGE)}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - columns of ours
FINISH: Final = """
UPDATE messages SET state = 'done', format = coalesce(?, format), gateway = coalesce(?, gateway), boot = ?, seq = ?, reason = ? WHERE id = ?
"""
PENDING: Final = f"{_STORED} WHERE state = 'new' ORDER BY id LIMIT ?"
DONE_INSIDE: Final = f"{_STORED} WHERE id > ? AND state = 'done' AND received_at >= ? AND received_at < ? ORDER BY id LIMIT ?"
RESTORE: Final = f"INSERT OR IGNORE INTO messages ({', '.join(STORED)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - columns of ours
STRANGERS: Final = """
SELECT message, count(*) FROM quarantine WHERE reason = 'unknown_meter' GROUP BY message HAVING max(received_at) < ? ORDER BY message
"""
ONE: Final = f"{_STORED} WHERE id = ?"
AFTER: Final = f"{_STORED} WHERE id > ? ORDER BY id LIMIT ?"
TAIL: Final = f"""
{_STORED}, (SELECT received_at AS last FROM messages WHERE state = 'done' ORDER BY id DESC LIMIT 1)
WHERE state = 'done' AND received_at BETWEEN last - ? AND last + ? ORDER BY id
"""  # noqa: S608 - columns of ours
SEEN: Final = """
SELECT 1 FROM messages b JOIN messages a ON a.gateway = ? AND a.boot = ? AND a.seq = ? AND a.id < b.id AND a.payload = b.payload WHERE b.id = ? LIMIT 1
"""
GATEWAYS: Final = """
SELECT gateway, count(*), min(received_at), max(received_at) FROM messages WHERE received_at >= ? AND gateway IS NOT NULL AND flags & ? = 0 GROUP BY gateway
"""
#: Messages are done in the order of their ids: all before the first that waits.
DONE_UPTO: Final = """
SELECT coalesce((SELECT id - 1 FROM messages WHERE state = 'new' ORDER BY id LIMIT 1), (SELECT max(id) FROM messages), 0)
"""
LAST: Final = f"""
SELECT {", ".join(STORED)}, reason FROM messages WHERE id > ?1 AND (?2 IS NULL OR gateway = ?2) ORDER BY id DESC LIMIT ?3
"""  # noqa: S608 - columns of ours
QUARANTINED_OF: Final = f"{_QUARANTINED} WHERE message = ? ORDER BY position"
NUMBERED: Final = """
SELECT id, gateway, boot, seq, received_at FROM messages
WHERE id > ? AND id <= ? AND seq IS NOT NULL AND gateway IS NOT NULL AND boot IS NOT NULL AND flags & ? = 0 ORDER BY id LIMIT ?
"""
QUARANTINE: Final = f"INSERT OR REPLACE INTO quarantine ({', '.join(QUARANTINED)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - columns of ours
IN_QUARANTINE: Final = f"{_QUARANTINED} WHERE (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR device = ?2) ORDER BY message, position"


class Inbox:
    """The inbox file; raises StoreError only."""

    def __init__(self, path: Path) -> None:
        self._db = open_sqlite(path, MIGRATIONS, synchronous="FULL", page_size=PAGE_SIZE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was appended stays."""
        self._db.close()

    def append(self, messages: Sequence[Message]) -> range:
        """Keep these messages in one transaction; they are on disk when this returns. The range holds their ids."""
        with transaction(self._db) as db:
            db.executemany(APPEND, map(attrgetter(*MESSAGE), messages))
            last: int = db.execute("SELECT last_insert_rowid()").fetchone()[0]
        return range(last - len(messages) + 1, last + 1)

    @property
    def identity(self) -> str:
        """A name that no other inbox file has."""
        return str(self._rows("SELECT name FROM identity")[0][0])

    def take_over(self, other: str, messages: Sequence[Stored]) -> int:
        """Append messages of another inbox, named by its `identity`, in the order of their ids; those that were taken before are passed over.

        Returns how many were new.
        """
        with transaction(self._db) as db:
            upto = db.execute("SELECT coalesce(max(upto), 0) FROM taken WHERE inbox = ?", (other,)).fetchone()[0]
            fresh = [message for message in messages if message.id > upto]
            db.executemany(APPEND, map(attrgetter(*MESSAGE), fresh))
            last = max((message.id for message in fresh), default=upto)
            db.execute("INSERT INTO taken VALUES (?, ?) ON CONFLICT (inbox) DO UPDATE SET upto = excluded.upto", (other, last))
        return len(fresh)

    def pending(self, limit: int) -> list[Stored]:
        """Return the oldest waiting messages, at most `limit`, in the order of their ids."""
        return [Stored(*row) for row in self._rows(PENDING, limit)]

    def messages(self, ids: Iterable[int]) -> list[Stored]:
        """Return the messages of these ids that are still kept, in the order of their ids."""
        return [Stored(*row) for identity in sorted(set(ids)) for row in self._rows(ONE, identity)]

    def tail(self, span: int) -> list[Stored]:
        """Return the done messages received within `span` microseconds of the one done last, in the order of their ids."""
        return [Stored(*row) for row in self._rows(TAIL, span, span)]

    def reopen(self, *, after: int) -> int:
        """Have messages behind this id decoded again: the readings' file was lost, or is an older copy. Returns how many."""
        with transaction(self._db) as db:
            return db.execute("UPDATE messages SET state = 'new', reason = NULL WHERE id > ? AND state = 'done'", (after,)).rowcount

    def after(self, last: int, limit: int) -> list[Stored]:
        """Return the first messages behind an id, whatever became of them, in the order of their ids."""
        return [Stored(*row) for row in self._rows(AFTER, last, limit)]

    def number_from(self, last: int) -> bool:
        """Give the next message a number behind this one, as an inbox that is new or older than its readings must; tells whether that changed anything."""
        with transaction(self._db) as db:
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
            if last <= (row[0] if row else 0):
                return False
            db.execute("DELETE FROM sqlite_sequence WHERE name = 'messages'")
            db.execute("INSERT INTO sqlite_sequence VALUES ('messages', ?)", (last,))
        return True

    def mark(self) -> int:
        """Return the mark that the readings' file had when telegrams of the quarantine were last decoded, see `release`."""
        return int(self._rows("SELECT mark FROM written")[0][0])

    def marked(self, mark: int) -> None:
        """Note the mark of a readings' file that was made again."""
        with transaction(self._db) as db:
            db.execute("UPDATE written SET mark = ?", (mark,))

    def oldest_done(self, *, before: int, after: int) -> int | None:
        """Return when the oldest done message in [after, before) was received."""
        found = self._rows("SELECT min(received_at) FROM messages WHERE received_at >= ? AND received_at < ? AND state = 'done'", after, before)[0][0]
        return None if found is None else int(found)

    def done(self, *, after: int = 0, since: int = 0, until: int = 2**62, limit: int = 10_000) -> list[Stored]:
        """Return the first done messages behind an id that were received in [since, until), in the order of their ids."""
        return [Stored(*row) for row in self._rows(DONE_INSIDE, after, since, until, limit)]

    def remove(self, ids: Iterable[int]) -> None:
        """Delete messages that are kept elsewhere, or need not be kept; what of them is in quarantine stays."""
        with transaction(self._db) as db:
            db.executemany("DELETE FROM messages WHERE id = ?", ((identity,) for identity in ids))

    def restore(self, messages: Iterable[Stored]) -> None:
        """Put messages with their own ids into an inbox, to be decoded."""
        with transaction(self._db) as db:
            db.executemany(RESTORE, map(attrgetter(*STORED), messages))

    def strangers(self, before: int) -> list[tuple[int, int]]:
        """Return message and number of telegrams of unknown meters, of messages that hold such ones, all heard before an instant."""
        return self._rows(STRANGERS, before)

    def forget_strangers(self, before: int) -> int:
        """Delete the telegrams of unknown meters that were heard before an instant; returns how many."""
        with transaction(self._db) as db:
            return db.execute("DELETE FROM quarantine WHERE reason = 'unknown_meter' AND received_at < ?", (before,)).rowcount

    def take_quarantine(self, other: Path) -> None:
        """Take over what another inbox file says of the messages that it holds: what of them is in quarantine and why."""
        with querying(self._db) as db:
            db.execute("ATTACH ? AS again", (str(other),))
            try:
                with transaction(self._db):
                    db.execute("DELETE FROM quarantine WHERE message IN (SELECT id FROM again.messages)")
                    db.execute("INSERT INTO quarantine SELECT * FROM again.quarantine")
                    db.execute(
                        "UPDATE messages SET reason = a.reason FROM again.messages a WHERE a.id = messages.id AND a.reason IS NOT messages.reason"
                    )
            finally:
                db.execute("DETACH again")

    def compact(self) -> None:
        """Give the room of what was deleted back to the file system."""
        with querying(self._db) as db:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def finish(self, outcomes: Iterable[Done]) -> None:
        """Mark messages done in one transaction; doing it again changes nothing."""
        with transaction(self._db) as db:
            db.executemany(FINISH, map(attrgetter(*DONE), outcomes))

    def seen(self, gateway: str, boot: str, seq: int, *, before: int) -> bool:
        """Tell whether message `before` is a redelivery: an earlier one has the gateway's same numbers and the same bytes (INBOX.md 4, level 4).

        The bytes count too, since a gateway that forgets its `boot` uses its numbers again for other telegrams.
        """
        return bool(self._rows(SEEN, gateway, boot, seq, before))

    def gateways(self, *, since: int) -> dict[str, tuple[int, int, int]]:
        """Return what each gateway delivered since an instant, replayed files aside: how many messages, when the first and when the last."""
        return {str(gateway): (count, first, last) for gateway, count, first, last in self._rows(GATEWAYS, since, REPLAY)}

    def numbered(self, *, after: int, limit: int) -> tuple[list[tuple[str, str, int, int]], int]:
        """Return gateway, boot, number and reception of the first done messages behind an id that the gateway numbered, and up to which id all were looked at.

        Repetitions and replayed files are left out.
        """
        end = max(after, int(self._rows(DONE_UPTO)[0][0]))
        rows = self._rows(NUMBERED, after, end, REPLAY, limit)
        return [tuple(row[1:]) for row in rows], rows[-1][0] if len(rows) == limit else end

    def last(
        self, number: int, *, after: int = 0, topics: Callable[[str], bool] | None = None, gateway: str | None = None
    ) -> tuple[list[tuple[Stored, str | None]], int]:
        """Return the last messages behind an id, each with the reason if none of it was taken, in the order of their ids; and the highest id there is.

        `topics` says which topics are wanted, "" is that of a message without one.
        """
        end = self.received()
        found: list[tuple[Stored, str | None]] = []
        for row in self._rows(LAST, after, gateway, number if topics is None else number * 1000):
            if len(found) < number and (topics is None or topics(row[4] or "")):
                found.append((Stored(*row[:-1]), row[-1]))
        return found[::-1], max(end, after)

    def received(self) -> int:
        """Return the id of the message that came last: how many came since the file was made."""
        return int(self._rows("SELECT coalesce(max(id), 0) FROM messages")[0][0])

    def quarantined_of(self, message: int) -> list[Quarantined]:
        """Return the quarantined telegrams of one message in the order of their positions."""
        return [Quarantined(*row) for row in self._rows(QUARANTINED_OF, message)]

    def heard_from(self, source: str) -> bool:
        """Tell whether this source ever delivered a message that is still kept."""
        return bool(self._rows("SELECT 1 FROM messages WHERE source = ? LIMIT 1", source))

    def quarantine(self, items: Iterable[Quarantined]) -> None:
        """Keep telegrams with the reason why they gave no reading; a row of the same message and position is replaced."""
        with transaction(self._db) as db:
            db.executemany(QUARANTINE, map(attrgetter(*QUARANTINED), items))

    def quarantined(self, *, reason: str | None = None, device: str | None = None) -> list[Quarantined]:
        """Return quarantined telegrams in the order of arrival, of one reason or one device (as `str(DeviceId)`) if asked."""
        return [Quarantined(*row) for row in self._rows(IN_QUARANTINE, reason, device)]

    def release(self, keys: Iterable[tuple[int, int]], mark: int = 0) -> None:
        """Take telegrams, named by message and position, out of the quarantine: they were decoded after all, into a file with this mark."""
        with transaction(self._db) as db:
            db.executemany("DELETE FROM quarantine WHERE message = ? AND position = ?", keys)
            db.execute("UPDATE written SET mark = max(mark, ?)", (mark,))

    def counts(self) -> Counts:
        """Count what waits, what was refused and what is in quarantine; cheap at any size of the inbox."""
        waiting = self._rows("SELECT count(*) FROM messages WHERE state = 'new'")[0][0]
        oldest = self._rows("SELECT received_at FROM messages WHERE state = 'new' ORDER BY id LIMIT 1")
        refused = dict(self._rows("SELECT reason, count(*) FROM messages WHERE reason IS NOT NULL GROUP BY reason"))
        quarantined = dict(self._rows("SELECT reason, count(*) FROM quarantine GROUP BY reason"))
        return Counts(waiting, oldest[0][0] if oldest else None, refused, quarantined)

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with querying(self._db) as db:
            return db.execute(sql, values).fetchall()
