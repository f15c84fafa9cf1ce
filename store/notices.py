"""Who wants to be told what: wishes of accounts, limits that they set, and what the accounting system posted. Part of registry.sqlite, as `registry.notices`.

Rules: nobody is told without a wish, and nothing that happened before it; how far each source was told is a mark, written with the messages, so that a
message is made once however often the job runs and whatever the outbox forgets. Instants are µs UTC, amounts micro units (of money: of the currency).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from submeter.store.part import Part
from submeter.store.sql import upsert

__all__ = ["WAYS", "WISHES", "Notices", "Posted", "Rule", "Wish"]

#: What one may wish to be told, and by which channels.
WISHES: Final = ("monthly_information", "balance_due", "payment_received", "leak", "silence")
WAYS: Final = ("email", "sms")
#: Of all that has not ended.
_LIVING: Final = "account IN (SELECT id FROM accounts WHERE ended IS NULL)"


@dataclass(frozen=True, slots=True)
class Wish:
    """An account wants to be told of an event (one of WISHES) by a channel (one of WAYS), of what happens from `since` on."""

    account: str
    event: str
    channel: str
    since: int


@dataclass(frozen=True, slots=True)
class Posted:
    """What the accounting system told of a unit; `name` is its own id of it, `day` an ISO date, `at` when it came."""

    id: int
    manager: str
    name: str
    kind: str
    unit: str
    amount: int
    currency: str
    day: str
    at: int

    @property
    def said(self) -> tuple[str, str, int, str, str]:
        """What makes two of one name the same."""
        return self.kind, self.unit, self.amount, self.currency, self.day


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit on a class of points of a unit: `amount` in micro units, or millionths of a percent; `told` is the start of the last period that was told."""

    id: str
    account: str
    unit: str
    quantity: str
    kind: str
    amount: int
    channels: str
    since: int
    told: int | None = None


class Notices(Part):
    """The wishes, rules and posts of a registry."""

    # Wishes

    def wishes(self, account: str | None = None) -> list[Wish]:
        """Return the wishes of an account, or of all that have not ended."""
        where, values = ("account = ?", [account]) if account else (_LIVING, [])
        return self._find(Wish, "wishes", f"{where} ORDER BY account, event, channel", *values)

    def wish(self, account: str, wanted: Collection[tuple[str, str]], *, now: int) -> None:
        """Make these (event, channel) all that an account wants; what it wanted before counts from when it did."""
        kept = {(one.event, one.channel): one.since for one in self.wishes(account)}
        with self._file.writing() as db:
            db.execute("DELETE FROM wishes WHERE account = ?", (account,))
            db.executemany("INSERT INTO wishes VALUES (?, ?, ?, ?)", [(account, *one, kept.get(one, now)) for one in sorted(wanted)])

    # What accounting posted

    def post(self, manager: str, name: str, said: tuple[str, str, int, str, str], *, now: int) -> tuple[Posted, bool]:
        """Keep what was posted (kind, unit, amount, currency, day), and whether it is new; posted again under its name it is what it was."""
        with self._file.writing() as db:
            made = db.execute(
                "INSERT INTO posted (manager, name, kind, unit, amount, currency, day, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (manager, name, *said, now),
            ).rowcount
            (one,) = self._find(Posted, "posted", "manager = ? AND name = ?", manager, name)
            return one, bool(made)

    def posted(self, after: int) -> list[Posted]:
        """Return what was posted after a number, in order."""
        return self._find(Posted, "posted", "id > ? ORDER BY id", after)

    def forget(self, before: int) -> int:
        """Delete what was told and came before an instant; returns how many."""
        return self._run("DELETE FROM posted WHERE at < ? AND id <= ?", before, self.mark("posted"))

    # Limits

    def rules(self, account: str | None = None, unit: str | None = None) -> list[Rule]:
        """Return the limits of an account at a unit, or all of accounts that have not ended."""
        where, values = ("account = ? AND unit = ?", [account, unit]) if account else (_LIVING, [])
        return self._find(Rule, "alert_rules", f"{where} ORDER BY rowid", *values)

    def rules_of(self, account: str) -> list[Rule]:
        """Return the limits of an account at all units."""
        return self._find(Rule, "alert_rules", "account = ? ORDER BY unit, rowid", account)

    def set_rules(self, account: str, unit: str, rules: Sequence[Rule]) -> None:
        """Make these all the limits of an account at a unit."""
        with self._file.writing() as db:
            db.execute("DELETE FROM alert_rules WHERE account = ? AND unit = ?", (account, unit))
            for one in rules:
                self._add("alert_rules", one)

    def told(self, rule: str, start: int) -> bool:
        """Note that a rule told of the period that begins then; False if it told of that, or a later one, before."""
        return bool(self._run("UPDATE alert_rules SET told = ? WHERE id = ? AND (told IS NULL OR told < ?)", start, rule, start))

    # How far was told

    def mark(self, source: str) -> int:
        """Return how far a source was told; before everything if it never was."""
        rows = self._rows("SELECT value FROM notice_marks WHERE source = ?", source)
        return int(rows[0][0]) if rows else -(2**62)

    def set_mark(self, source: str, value: int) -> None:
        """Note how far a source was told."""
        self._run(upsert("notice_marks", "source", "value"), source, value)
