"""Events: what happened that somebody may have to know or decide (SPEC 14), one row per (kind, subject, at) with its state.

Strategy: whoever finds a condition raises it again each time it is found; the key makes that idempotent. What no longer holds closes by itself
(`settle`), what a person decided (`close`) stays decided. A task is an open event of a kind in TASKS; there is no second table.
Rules: subjects are "point:ID/REGISTER", "device:ID", "gateway:NAME", "unit:ID", "source:NAME", "job:NAME", "outbox:CHANNEL" or
"inbox:WHAT"; instants are µs UTC, amounts micro units of the register;
NOTES are information: closed from the start. An event that closed by itself opens again when it is found again, so that the order in which readings
arrive does not matter. Several calls inside `Registry.writing` are one transaction.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from submeter.store.errors import StoreError
from submeter.store.part import Part

__all__ = ["GONE", "KINDS", "NOTES", "TASKS", "Event", "Events"]

#: Kinds that want an operator's decision.
TASKS: Final = ("suspect_jump", "suspect_exchange", "exchange_unknown", "reset", "reset_unknown", "pending")
#: Kinds that close by themselves when the condition ends, or by an operator.
ALARMS: Final = (
    *("silent", "meter_never_heard", "gateway_silent", "clock_drift", "permanent_error", "temporary_error", "power_low", "low_battery"),
    *("leak", "burst", "backflow", "dry", "tamper", "removed", "sensor_error"),
    *("unit_change", "wrong_medium", "stuck", "out_of_range", "sum_mismatch"),
    *("wrong_key", "mac_fail", "replay", "downgrade", "unknown_mode", "id_clash", "job_failed", "undelivered"),
    *("key_missing", "driver_missing", "sequence_gap", "gateway_identity_conflict", "inbox_low_disk", "inbox_backlog"),
    *("source_lost", "port_stalled", "bus_silent", "meter_overdue", "drop_refused", "bus_full", "dongle_refused"),
    *("inbox_write_failed", "mqtt_session_taken_over", "mqtt_session_lost", "collector_clock_step"),
)
#: Kinds that only tell: they are closed from the start.
NOTES: Final = ("conflict", "glitch", "spike", "rollover", "before_installation", "changed_after_final", "gateway_restarted", "unknown_meter_heard")
KINDS: Final = (*TASKS, *ALARMS, *NOTES)
#: Decision of an event that closed by itself.
GONE: Final = "gone"

_RAISE: Final = """
INSERT INTO events (kind, subject, at, until, raised, seen, count, amount, detail, state, decision)
VALUES (:kind, :subject, :at, CASE WHEN :over = 1 THEN :at END, :now, :now, coalesce(:count, 1), :amount, :detail,
  CASE WHEN :over = 1 THEN 'closed' ELSE 'open' END, CASE WHEN :over = 1 THEN 'note' ELSE '' END)
ON CONFLICT (kind, subject, at) DO UPDATE SET
  seen = max(events.seen, :now), count = coalesce(:count, events.count + 1),
  amount = CASE WHEN events.decided_by IS NULL THEN excluded.amount ELSE events.amount END,
  detail = CASE WHEN events.decided_by IS NULL THEN excluded.detail ELSE events.detail END,
  state = CASE WHEN :again THEN 'open' ELSE events.state END, until = CASE WHEN NOT :again THEN events.until END,
  decided_at = CASE WHEN NOT :again THEN events.decided_at END, decision = CASE WHEN :again THEN '' ELSE events.decision END
RETURNING *
""".replace(":again", "(:over = 0 AND events.decision = 'gone' AND events.decided_by IS NULL)")
_SETTLE: Final = """
UPDATE events SET state = 'closed', until = :ended, decided_at = :now, decision = 'gone'
WHERE kind = :kind AND subject = :subject AND state = 'open' AND at >= :since AND at < :until AND at NOT IN (SELECT CAST(value AS BIGINT) FROM json_each(:still))
"""
#: `0` is the sign after `/`: subjects of a point begin with its id and `/`.
_ABOUT: Final = """
SELECT e.* FROM json_each(?) p JOIN events e ON e.subject >= 'point:' || p.value || '/' AND e.subject < 'point:' || p.value || '0'
UNION ALL SELECT e.* FROM json_each(?) d JOIN events e ON e.subject = 'device:' || d.value ORDER BY 4, 1
"""
#: … and `;` that after `:`.
_OF_INSTALLATION: Final = """
SELECT e.* FROM json_each(?) b JOIN events e ON e.subject >= b.value || ':' AND e.subject < b.value || ';' ORDER BY 4, 1
"""
#: What the subjects begin with that belong to no metering point.
INSTALLATION: Final = ("gateway", "source", "inbox", "job", "outbox")
_ALWAYS: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Event:
    """One event: `at` is the instant it is about, `until` its end if it has one, `seen` when it was last found, `count` how often.

    `decided_by` is None while it is open and where it closed by itself (`decision` "gone") or only tells ("note").
    """

    id: int
    kind: str
    subject: str
    at: int
    until: int | None
    raised: int
    seen: int
    count: int
    amount: int | None
    detail: str
    state: str
    decided_by: str | None
    decided_at: int | None
    decision: str

    @property
    def gone(self) -> bool:
        """It closed by itself, and opens again when it is found again."""
        return self.decision == GONE and self.decided_by is None


class Events(Part):
    """The events of a registry, as `registry.events`."""

    def raise_(
        self, kind: str, subject: str, at: int, *, now: int, detail: str = "", amount: int | None = None, count: int | None = None, over: bool = False
    ) -> Event:
        """Tell of a condition; told again, only what is known of it moves on. `count` replaces the number of times told, `over` says it is past already.

        What a person closed stays closed and keeps its detail and amount.
        """
        if kind not in KINDS:
            raise StoreError(f"{kind} is no kind of event: store/events.py lists them")
        told = {"kind": kind, "subject": subject, "at": at, "now": now, "detail": detail, "amount": amount, "count": count}
        with self._file.writing() as db:
            return Event(*db.execute(_RAISE, told | {"over": over or kind in NOTES}).fetchone())

    def settle(
        self,
        kind: str,
        subject: str,
        still: Collection[int],
        *,
        now: int,
        since: int | None = None,
        until: int | None = None,
        ended: int | None = None,
    ) -> int:
        """Close the open events of a kind and subject, with `at` in [since, until), that are not in `still`; returns how many.

        `ended` is when the condition ended, `now` if nobody knows.
        """
        values = {"kind": kind, "subject": subject, "now": now, "still": json.dumps(list(still)), "ended": now if ended is None else ended}
        within = {"since": -_ALWAYS if since is None else since, "until": _ALWAYS if until is None else until}
        with self._file.writing() as db:
            return db.execute(_SETTLE, values | within).rowcount

    def close(self, identity: int, *, by: str, decision: str, now: int) -> Event:
        """Close an open event by decision of a person, with a line in the audit; StoreError if there is none, or if it is closed."""
        with self._file.writing() as db:
            found = self.one(identity)
            if found.state != "open":
                raise StoreError(f"event {identity} is closed already ({found.decision}{f' by {found.decided_by}' if found.decided_by else ''})")
            self._file.record(by, "event.close", f"event:{identity}", f"{found.kind} {found.subject}: {decision}")
            db.execute("UPDATE events SET state = 'closed', decided_by = ?, decided_at = ?, decision = ? WHERE id = ?", (by, now, decision, identity))
            return self.one(identity)

    def reopen(self, identity: int) -> None:
        """Open an event again whose decision was taken back; if its condition is gone by now, it closes by itself."""
        self._run("UPDATE events SET state = 'open', until = NULL, decided_by = NULL, decided_at = NULL, decision = '' WHERE id = ?", identity)

    def find(self, kind: str | None = None, subject: str | None = None, state: str | None = None, *, kinds: Collection[str] = KINDS) -> list[Event]:
        """Return the events of a kind (or of some `kinds`), subject and state in order of their instants; what is not given may be anything."""
        asked = {name: value for name, value in (("kind", kind), ("subject", subject), ("state", state)) if value is not None}
        where = " AND ".join(f"{name} = ?" for name in asked) or "true"
        return [event for event in self._find(Event, "events", f"{where} ORDER BY at, id", *asked.values()) if event.kind in kinds]

    def about(self, points: Collection[str], devices: Collection[str], *, kinds: Collection[str] = KINDS) -> list[Event]:
        """Return the events of some `kinds` of these points and devices, in order of their instants."""
        rows = self._rows(_ABOUT, json.dumps(list(points)), json.dumps(list(devices)))
        return [event for event in (Event(*row) for row in rows) if event.kind in kinds]

    def of_installation(self) -> list[Event]:
        """Return the events of gateways, sources, inbox, jobs and outbox, in order of their instants."""
        return [Event(*row) for row in self._rows(_OF_INSTALLATION, json.dumps(INSTALLATION))]

    def newer(self, identity: int, kinds: Collection[str]) -> list[Event]:
        """Return the events of some `kinds` that were first raised after another one (its id), in that order."""
        return self._find(Event, "events", "id > ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY id", identity, json.dumps(list(kinds)))

    def last(self) -> int:
        """Return the id of the event that was raised last; 0 before the first."""
        return int(self._rows("SELECT coalesce(max(id), 0) FROM events")[0][0])

    def counts(self) -> dict[str, int]:
        """Return how many events of each kind are open."""
        return dict(self._rows("SELECT kind, count(*) FROM events WHERE state = 'open' GROUP BY kind ORDER BY kind"))

    def one(self, identity: int) -> Event:
        """Return one event; StoreError if there is none."""
        found = self._one(Event, "events", "id = ?", identity)
        if found is None:
            raise StoreError(f"there is no event {identity}: `submeter events` shows their ids")
        return found
