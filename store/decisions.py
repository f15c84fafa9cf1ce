"""Decisions of operators: who decided what about which point, when and why (SPEC 13). What the meters said is never touched.

Strategy: one row per decision, appended with its line of the audit in one transaction; what is computed asks for those in force. Taking one back is a
decision of its own, so the table only grows. Kinds:

accept    a suspect step at `t` is real: it is booked; of a lossy task: its lower bound stands
reject    readings with `t` ≤ instant < `until` are wrong: they count no more
exchange  a device gave way to another: `before` and `after` are the assignments that the registry had and has
reading   a value that no telegram brought: `t`, `value`, `src`, `due`, `pinned`, `method`
bill      rows of all levels in [`start`, `end`) were billed at `level`: `rows` are the figures by register
withdraw  takes another one back

Rules: each has an author and a reason; instants are µs UTC, values micro units; `audit` is the line of the audit, so it orders decisions and imports.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from submeter.store.errors import StoreError
from submeter.store.part import Part

__all__ = ["DECISIONS", "METHODS", "Decision", "Decisions"]

DECISIONS: Final = ("accept", "reject", "exchange", "reading", "bill", "withdraw")
#: How a substitute was found (SPEC 13).
METHODS: Final = (
    "comparable_period", "comparable_room", "group_average", "earlier_months", "norm", "interpolation", "operator_estimate",
)  # fmt: skip
_COLUMNS: Final = "id, at, author, reason, kind, point, register, details, audit, withdraws"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about a point; `register` as `str(Register)`, empty where it is about the whole point."""

    id: int
    at: int
    by: str
    reason: str
    kind: str
    point: str
    register: str
    details: Mapping[str, Any]
    audit: int
    withdraws: int | None


class Decisions(Part):
    """The decisions of a registry, as `registry.decisions`."""

    def enter(
        self, kind: str, point: str, register: str = "", *, by: str, reason: str, now: int, details: Mapping[str, Any], withdraws: int | None = None
    ) -> Decision:
        """Keep a decision and its line in the audit; StoreError without an author or a reason."""
        if not by.strip() or not reason.strip():
            raise StoreError("a decision needs its author and its reason: write --by and --reason")
        written = json.dumps(details, sort_keys=True)
        with self._file.writing() as db:
            self._file.record(by, f"decision.{kind}", f"point:{point}/{register}" if register else f"point:{point}", f"{reason}: {written}")
            audit = db.execute("SELECT max(id) FROM audit").fetchone()[0]
            row = (now, by, reason, kind, point, register, written, audit, withdraws)
            sql = f"INSERT INTO decisions ({_COLUMNS.removeprefix('id, ')}) VALUES (?{', ?' * (len(row) - 1)}) RETURNING {_COLUMNS}"  # noqa: S608 - ours
            return _decision(db.execute(sql, row).fetchone())

    def withdraw(self, identity: int, *, by: str, reason: str, now: int) -> Decision:
        """Take a decision back; returns the one taken back. StoreError if there is none, or if it is not in force."""
        with self._file.writing():
            taken = self.one(identity)
            if taken.kind == "withdraw" or all(identity != one.id for one in self.in_force(point=taken.point)):
                raise StoreError(f"decision {identity} is not in force: `submeter decisions` shows those that are")
            self.enter("withdraw", taken.point, taken.register, by=by, reason=reason, now=now, details={}, withdraws=identity)
            return taken

    def one(self, identity: int) -> Decision:
        """Return one decision; StoreError if there is none."""
        found = self._select("id = ?", identity)
        if not found:
            raise StoreError(f"there is no decision {identity}: `submeter decisions` shows their ids")
        return found[0]

    def all(self, *, point: str | None = None) -> list[Decision]:
        """Return every decision, or those about a point, in order of entry."""
        return self._select("true") if point is None else self._select("point = ?", point)

    def in_force(self, *kinds: str, point: str | None = None) -> list[Decision]:
        """Return the decisions that hold, of some kinds, in order of entry; those withdrawn and the withdrawals are left out."""
        made = self.all(point=point)
        taken = {one.withdraws for one in made}
        return [one for one in made if one.kind in (kinds or DECISIONS[:-1]) and one.id not in taken]

    def _select(self, where: str, *values: object) -> list[Decision]:
        return [_decision(row) for row in self._rows(f"SELECT {_COLUMNS} FROM decisions WHERE {where} ORDER BY id", *values)]  # noqa: S608 - ours


def _decision(row: Sequence[Any]) -> Decision:
    identity, at, by, reason, kind, point, register, details, audit, withdraws = row
    return Decision(identity, at, by, reason, kind, point, register, json.loads(details), audit, withdraws)
