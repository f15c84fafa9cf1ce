"""What was refused, in the audit, so that nobody can fill the disk with it: the first few of a kind are rows, further ones are counted.

A kind is who asked (strangers: from which /24), what and why. When its time is over the count is a row of its own, written with the next refusal of any kind.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from submeter.store.audit import ORIGIN
from submeter.store.registry import Registry

__all__ = ["Refusals"]

#: How long refusals of a kind are counted together, µs, and how many of them are rows.
TOGETHER: Final = 600_000_000
ROWS: Final = 5
#: Kinds that are told apart at a time: those of strangers beyond that are one.
MOST: Final = 1000

Kind = tuple[str, str, str, str]


@dataclass(slots=True)
class _Counted:
    until: int
    manager: str
    times: int = 0


class Refusals:
    """The refusals of an application; `clock` gives µs UTC."""

    def __init__(self, registry: Registry, clock: Callable[[], int]) -> None:
        self._registry = registry
        self._now = clock
        self._lock = threading.Lock()
        self._kinds: dict[Kind, _Counted] = {}

    def note(self, actor: str, action: str, subject: str, reason: str, *, manager: str = "", outcome: str = "refused") -> None:
        """Note that `actor` ("" for a stranger) was refused an action on an object."""
        origin = ORIGIN.get()
        with self._lock:
            over = list(self._over())
            who = actor or f"network:{origin.network}"
            kind = (who, action, reason, outcome)
            if kind not in self._kinds and len(self._kinds) >= MOST:
                kind = ("anyone", "anything", "refused", outcome)
            counted = self._kinds.setdefault(kind, _Counted(self._now() + TOGETHER, manager or origin.manager))
            counted.times += 1
            told = counted.times <= ROWS
        for (before, did, why, result), times, tenant in over:
            self._registry.record(before, did, "", f"{why}: {times} more times", manager=tenant, outcome=result)
        if told:
            self._registry.record(who, action, subject, reason, manager=manager, outcome=outcome)

    def _over(self) -> Iterator[tuple[Kind, int, str]]:
        """Take out what is over; of that, what had more refusals than rows."""
        now = self._now()
        for kind in [kind for kind, counted in self._kinds.items() if counted.until <= now]:
            counted = self._kinds.pop(kind)
            if counted.times > ROWS:
                yield kind, counted.times - ROWS, counted.manager
