"""What the numbers of a gateway's messages tell: messages that are missing, restarts, two devices of one name (ingest/MQTT.md 10).

Strategy: for each start of a gateway (`boot`) its highest number, and for each hole the numbers that are missing still: a number in a hole is late, any other that
is not above the highest came before. Holes are kept as ranges, so that no window bounds how late a message may be.
Rules: pure and in the order of arrival, no clock is read; taking a message again changes nothing; memory is bounded (`BOOTS`, `HOLES`). Instants are µs UTC.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple, Self

from submeter import civil

__all__ = ["Note", "Numbers"]

#: A hole that is open so long is told.
PATIENCE: Final = 15 * civil.MINUTE
#: How long a start of a gateway is remembered.
REMEMBERED: Final = 7 * civil.DAY
#: Starts and holes that are remembered at most; the oldest go.
BOOTS: Final = 16
HOLES: Final = 64


class Note(NamedTuple):
    """Something to tell: a kind of event, when it began, in words; `ended` when it is over; of a gap `span`, how long it is, µs."""

    kind: str
    at: int
    detail: str
    ended: int | None = None
    span: int | None = None


@dataclass(slots=True)
class _Hole:
    """Numbers that are missing, as ranges, between two messages that were received at `since` and `until`."""

    since: int
    until: int
    missing: list[list[int]]
    told: bool = False

    @property
    def count(self) -> int:
        return sum(last - first + 1 for first, last in self.missing)

    def fill(self, number: int) -> bool:
        """Take a number out; False if it was not missing."""
        for place, (first, last) in enumerate(self.missing):
            if first <= number <= last:
                self.missing[place : place + 1] = [part for part in ([first, number - 1], [number + 1, last]) if part[0] <= part[1]]
                return True
        return False


@dataclass(slots=True)
class _Run:
    """One start of the gateway: the highest number, when the last message came, and what is missing."""

    highest: int
    at: int
    holes: list[_Hole] = field(default_factory=list)


@dataclass(slots=True)
class Numbers:
    """What is known of one gateway; `restarts` and `gaps` count since it was first heard."""

    gateway: str
    current: str = ""
    runs: dict[str, _Run] = field(default_factory=dict)
    restarts: int = 0
    gaps: int = 0
    conflict: int | None = None

    @classmethod
    def of(cls, gateway: str, state: Mapping[str, Any]) -> Self:
        """From what `state` returned."""
        runs = {boot: _Run(run["highest"], run["at"], [_Hole(**hole) for hole in run["holes"]]) for boot, run in state["runs"].items()}
        return cls(**{**state, "gateway": gateway, "runs": runs})

    def state(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)

    @property
    def missing(self) -> int:
        """How many messages are missing now."""
        return sum(hole.count for run in self.runs.values() for hole in run.holes)

    def take(self, boot: str, number: int, at: int) -> Iterator[Note]:
        """A message came that is no repetition."""
        run = self.runs.get(boot)
        if run is None:
            yield from self._start(boot, number, at, "it started anew")
        elif number > run.highest:
            yield from self._another(boot, at)
            self._rise(run, number, at)
        elif not (yield from self._late(run, number, at)) and number == 0:
            yield from self._start(boot, number, at, "it uses its numbers again under the same boot: boot must change at each start")

    def overdue(self, now: int) -> Iterator[Note]:
        """Holes that are open for so long that they are told, once each."""
        for boot, run in self.runs.items():
            for hole in run.holes:
                if not hole.told and now - hole.until >= PATIENCE:
                    hole.told = True
                    self.gaps += 1
                    yield Note(
                        "sequence_gap",
                        hole.since,
                        f"{self._lacks(boot, hole)}: see whether it keeps what is not acknowledged",
                        span=hole.until - hole.since,
                    )

    def _start(self, boot: str, number: int, at: int, why: str) -> Iterator[Note]:
        known, last = bool(self.runs), max((run.at for run in self.runs.values()), default=at)
        self.runs[boot] = _Run(number, at)
        self.current = boot
        if known:
            self.restarts += 1
            yield Note("gateway_restarted", at, f"gateway {self.gateway}: {why}")
            if number:
                self.runs[boot].holes.append(_Hole(last, at, [[0, number - 1]]))
        kept = sorted((one for one in self.runs if one == boot or self.runs[one].at > at - REMEMBERED), key=lambda one: self.runs[one].at)
        self.runs = {one: self.runs[one] for one in kept[-BOOTS:]}

    def _another(self, boot: str, at: int) -> Iterator[Note]:
        """A start that another one followed goes on."""
        if boot != self.current and (self.conflict is None or at - self.conflict >= civil.DAY):
            self.conflict = at
            detail = f"{self.current!r} and {boot!r} number messages of gateway {self.gateway} in turn: two devices have its name, or it sends what it kept"
            yield Note("gateway_identity_conflict", at, f"{detail}; give each its own (`submeter gateway create`)")
        self.current = boot

    @staticmethod
    def _rise(run: _Run, number: int, at: int) -> None:
        if number > run.highest + 1:
            run.holes = [*run.holes, _Hole(run.at, at, [[run.highest + 1, number - 1]])][-HOLES:]
        run.highest, run.at = number, at

    def _late(self, run: _Run, number: int, at: int) -> Any:
        for hole in run.holes:
            if hole.fill(number):
                if not hole.missing:
                    run.holes.remove(hole)
                    if hole.told:
                        yield Note("sequence_gap", hole.since, "", ended=at)
                return True
        return False

    def _lacks(self, boot: str, hole: _Hole) -> str:
        ranges = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in hole.missing[:5])
        more = " and more" * (len(hole.missing) > 5)
        times = f"between {civil.iso(hole.since)} and {civil.iso(hole.until)}"
        return f"{hole.count} messages of gateway {self.gateway} are missing, {times}: numbers {ranges}{more} of boot {boot!r}"
