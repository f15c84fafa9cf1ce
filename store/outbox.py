"""The outbox: what is to be told to people by mail, SMS or letter, one row a message. Part of registry.sqlite.

Strategy: `put` writes inside the caller's transaction, so that a message exists exactly when what it tells is committed. A worker looks at what is
`due`, notes that it tries (`claim`), sends it and notes `sent` or `failed`. A crash, or a full disk, between sending and noting sends it twice, a minute
or more apart: `mark` is the same both times, receivers may drop the second.
Rules: `body` (the values of the template, perhaps with a code) goes in the statement that ends a message, which the table checks; values are in no
`repr`, error, log or audit, and SQLite overwrites where they stood. What has expired is never due. Instants are µs UTC; the manager is "" where the installation itself writes.
"""

import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from submeter.config.languages import LOCALES
from submeter.config.texts import SECRET, TEMPLATES
from submeter.store.errors import StoreError
from submeter.store.part import Part

__all__ = ["CHANNELS", "GIVEN_UP_AFTER", "Channel", "Notice", "Outbox", "State", "masked", "writable"]

Channel = Literal["email", "sms", "letter"]
State = Literal["waiting", "sent", "given_up", "expired", "cancelled"]
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
#: A message is given up so long after its first try, µs.
GIVEN_UP_AFTER: Final = 3 * 86_400_000_000

_LONGEST: Final = 254
#: Values shorter than this ("60", minutes) give nothing away, and would be found in any error.
_TELLING: Final = 4
_WORD: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"""[^\s@<>()\[\],;:"\\.]+"""
_FORMS: Final[Mapping[Channel, tuple[re.Pattern[str], str]]] = {
    "email": (re.compile(rf"(?!-){_WORD}(\.{_WORD})*@{_LABEL}(\.{_LABEL})*"), "write one address, e.g. jana@example.org"),
    "sms": (re.compile(r"\+?[0-9]{6,15}"), "write the digits of one number, e.g. +420601123456"),
    "letter": (re.compile(r".+"), "write the postal address in one line"),
}
_COLUMNS: Final = "id, mark, manager, channel, address, template, locale, created, due, expires, state, tries, tried, ended, error, coalesce(once, ''), coalesce(body, '{}')"
_PUT: Final = """
INSERT INTO outbox (mark, manager, channel, address, template, locale, body, created, due, expires, once, state, tries, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', 0, '') ON CONFLICT (manager, once) DO NOTHING RETURNING id
"""
_CLAIM: Final = f"""
UPDATE outbox SET tries = tries + 1, tried = coalesce(tried, ?), due = ?
WHERE id = ? AND state = 'waiting' AND due <= ? AND (expires IS NULL OR expires > ?) RETURNING {_COLUMNS}
"""  # noqa: S608 - ours
_END: Final = "UPDATE outbox SET state = ?, ended = ?, body = NULL"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. `mark` is its name to the outside, `tried` the first try, `values` are empty once it has ended."""

    id: int
    mark: str
    manager: str
    channel: Channel
    address: str = field(repr=False)
    template: str
    locale: str
    created: int
    due: int
    expires: int | None
    state: State
    tries: int
    tried: int | None
    ended: int | None
    error: str
    unique: str
    values: Mapping[str, str] = field(repr=False)

    @property
    def masked(self) -> str:
        """The address as others may read it."""
        return masked(self.address)


class Outbox(Part):
    """The messages of a registry, as `registry.outbox`."""

    def put(
        self,
        manager: str,
        channel: Channel,
        address: str,
        template: str,
        locale: str,
        values: Mapping[str, str],
        *,
        now: int,
        expires: int | None = None,
        unique: str | None = None,
    ) -> int:
        """Keep a message for sending, with the transaction that is open; returns its id. One with the same `unique` of this manager is not made again.

        StoreError for an address, template, locale or values that do not fit, and for a secret that does not expire.
        """
        _check(channel, address, template, locale, values)
        if template in SECRET and expires is None:
            raise StoreError(f"{template} holds a secret: say when it expires")
        row = (secrets.token_hex(12), manager, channel, address, template, locale, json.dumps(dict(values)), now, now, expires, unique)
        with self._file.writing() as db:
            made = (
                db.execute(_PUT, row).fetchone() or db.execute("SELECT id FROM outbox WHERE (manager, once) = (?, ?)", (manager, unique)).fetchone()
            )
            return int(made[0])

    def due(self, now: int, limit: int, channels: Collection[str] = CHANNELS) -> list[Notice]:
        """Return what is to be sent now: first what expires, then in the order in which it fell due."""
        return self._select(
            "state = 'waiting' AND due <= ? AND (expires IS NULL OR expires > ?) AND channel IN (SELECT value FROM json_each(?)) "
            "ORDER BY expires IS NULL, due, id LIMIT ?",
            *(now, now, json.dumps(list(channels)), limit),
        )

    def claim(self, identity: int, now: int, *, again: int) -> Notice | None:
        """Begin a try: unless its outcome is noted, the message is due again then. None if it is not to be sent any more, or another began."""
        with self._file.writing() as db:
            row = db.execute(_CLAIM, (now, again, identity, now, now)).fetchone()
            return _notice(row) if row else None

    def sent(self, identity: int, now: int) -> None:
        """Note that a message left; what it said is deleted."""
        self._run(f"{_END}, error = '' WHERE id = ? AND state = 'waiting'", "sent", now, identity)

    def failed(self, identity: int, now: int, error: str, *, retry_at: int | None) -> Notice:
        """Note a try that failed, and when the next one is due; given up if that is None, too late for the message, or three days after its first try.

        What the message says and where it goes is taken out of the error.
        """
        with self._file.writing() as db:
            notice = self.one(identity)
            last = (notice.tried or now) + GIVEN_UP_AFTER
            over = retry_at is None or retry_at >= (last if notice.expires is None else min(last, notice.expires))
            db.execute(
                "UPDATE outbox SET error = ?, due = coalesce(?, due) WHERE id = ? AND state = 'waiting'",
                (_without(error, notice), retry_at, identity),
            )
            if over:
                db.execute(f"{_END} WHERE id = ? AND state = 'waiting'", ("given_up", now, identity))
            return self.one(identity)

    def overdue(self, now: int) -> bool:
        """Whether something waits that has expired."""
        return bool(self._rows("SELECT 1 FROM outbox WHERE state = 'waiting' AND expires <= ? LIMIT 1", now))

    def expire(self, now: int) -> list[Notice]:
        """End what waited until it expired; returns it, without what it said."""
        with self._file.writing() as db:
            ended = db.execute(f"{_END} WHERE state = 'waiting' AND expires <= ? RETURNING {_COLUMNS}", ("expired", now, now)).fetchall()
            return [_notice(row) for row in ended]

    def cancel(self, identity: int, *, now: int) -> bool:
        """End a message that has not left, e.g. because a newer code counts; False if there is nothing to cancel."""
        return bool(self._run(f"{_END} WHERE id = ? AND state = 'waiting'", "cancelled", now, identity))

    def retry(self, identity: int, *, now: int) -> Notice:
        """Make a waiting message due at once, and count its tries anew; StoreError if it has ended."""
        with self._file.writing() as db:
            notice = self.one(identity)
            if notice.state != "waiting":
                raise StoreError(
                    f"message {identity} is {notice.state.replace('_', ' ')} and what it said is deleted: whoever needs it asks for a new one"
                )
            self._file.record("operator", "outbox.retry", f"message:{identity}")
            db.execute("UPDATE outbox SET due = ?, tries = 0, tried = NULL WHERE id = ?", (now, identity))
            return self.one(identity)

    def one(self, identity: int) -> Notice:
        """Return one message; StoreError if there is none."""
        found = self._select("id = ?", identity)
        if not found:
            raise StoreError(f"there is no message {identity}: `submeter outbox` shows their ids")
        return found[0]

    def find(self, states: Collection[State]) -> list[Notice]:
        """Return the messages in these states in order of their making."""
        return self._select("state IN (SELECT value FROM json_each(?)) ORDER BY id", json.dumps(list(states)))

    def trouble(self, channel: str, since: int) -> bool:
        """Whether a channel did not take what was tried since then, and has taken nothing after that; an address that is refused for good is no such trouble."""
        sql = "SELECT 1 FROM outbox WHERE channel = ? AND error <> '' AND state <> 'given_up' AND tried > max(?, coalesce((SELECT max(ended) FROM outbox WHERE channel = ? AND state = 'sent'), 0)) LIMIT 1"
        return bool(self._rows(sql, channel, since, channel))

    def counts(self, manager: str | None = None) -> dict[tuple[str, str], int]:
        """Return how many messages there are of each channel and state, of one manager or of all."""
        sql = "SELECT channel, state, count(*) FROM outbox WHERE manager = coalesce(?, manager) GROUP BY channel, state ORDER BY channel, state"
        rows = self._rows(sql, manager)
        return {(channel, state): count for channel, state, count in rows}

    def forget(self, *, before: int | None = None, address: str | None = None) -> int:
        """Delete messages that ended before an instant, or all to an address, also those that wait; returns how many."""
        return self._run("DELETE FROM outbox WHERE ended < ? OR address = ?", before, address)

    def _select(self, where: str, *values: object) -> list[Notice]:
        return [_notice(row) for row in self._rows(f"SELECT {_COLUMNS} FROM outbox WHERE {where}", *values)]  # noqa: S608 - ours


def masked(address: str) -> str:
    """An address as it is shown: enough to know it, too little to learn it."""
    name, at, host = address.partition("@")
    return f"{name[:1]}…@{host}" if at else f"{address[:4]}…{address[-2:]}"


def writable(channel: Channel, address: str) -> bool:
    """Whether an address is one that messages of a channel can go to."""
    return len(address) <= _LONGEST and address.isprintable() and _FORMS[channel][0].fullmatch(address) is not None


def _check(channel: Channel, address: str, template: str, locale: str, values: Mapping[str, str]) -> None:
    if channel not in CHANNELS:
        raise StoreError(f"{channel} is no channel: write one of {', '.join(CHANNELS)}")
    if not writable(channel, address):
        raise StoreError(f"this address cannot be written to by {channel}: {_FORMS[channel][1]}")
    if locale not in LOCALES:
        raise StoreError(f"{locale} is no language of messages: write one of {', '.join(LOCALES)}")
    if template not in TEMPLATES:
        raise StoreError(f"{template} is no template: config/texts.py lists them")
    if wrong := sorted(TEMPLATES[template] ^ values.keys()):
        raise StoreError(f"{template} takes {', '.join(sorted(TEMPLATES[template]))}: look at {', '.join(wrong)}")


def _without(error: str, notice: Notice) -> str:
    """The error in one line, with neither the values nor the address in it."""
    for value in sorted({notice.address, *notice.values.values()}, key=len, reverse=True):
        error = error.replace(value, "…") if len(value) >= _TELLING else error
    return " ".join("".join(one if one.isprintable() else " " for one in error).split())[:300]


def _notice(row: tuple[Any, ...]) -> Notice:
    *plain, body = row
    return Notice(*[*plain, json.loads(body)])
