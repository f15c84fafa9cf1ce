"""What telegrams say beside readings, as events (SPEC 14): alarms of meters, clocks that are wrong, telegrams that are not to be trusted.

Strategy: the drain shows each telegram; here is remembered which conditions stand, so that a telegram tells something only when one begins or ends:
nearly all telegrams cost a look into a dictionary, and a step that changes nothing writes nothing. What changed is written once a step, in one
transaction, before the readings: after a crash the same is told again, which the events' key makes harmless.
Rules: a condition ends with the first later telegram that lacks it; one that is back within a day is the same event again, so that a meter that sends
its flags in every second telegram does not fill the table. `X_earlier` only tells, once a local month. An attack stays open until somebody closes it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from submeter import civil
from submeter.decoders import Telegram
from submeter.store import Registry
from submeter.store.events import Event, Events

__all__ = ["ALARMS", "DISTRUSTED", "LASTING", "Clocks", "Sightings"]

#: Words of `decoders.flags` and the kind of event that they are; all other words are states, or too vague to act on.
ALARMS: Final[Mapping[str, str]] = {
    **{kind: kind for kind in ("leak", "burst", "backflow", "dry", "tamper", "removed", "sensor_error", "low_battery")},
    **{kind: kind for kind in ("permanent_error", "temporary_error", "power_low")},
    "magnet": "tamper",
    "seal_broken": "tamper",
    "battery_end": "low_battery",
    "blocked": "stuck",
    "overflow": "out_of_range",
}
EARLIER: Final = "_earlier"
#: Quarantine reasons and the kind that each is, which ends when the device is understood again; and those that an operator must have seen.
DISTRUSTED: Final[Mapping[str, str]] = {
    "wrong_key": "wrong_key",
    "unknown_mode": "unknown_mode",
    "no_key": "key_missing",
    "unknown_driver": "driver_missing",
}
#: How many telegrams in a row it takes (default 1): one that is damaged may look as if its key were wrong, and compact frames wait for the full one among them.
IN_A_ROW: Final[Mapping[str, int]] = {"wrong_key": 3, "unknown_driver": 10}
LASTING: Final = ("mac_fail", "replay", "downgrade")
#: Kinds that a decoded telegram may end.
JUDGED: Final = frozenset((*ALARMS.values(), *DISTRUSTED.values()))
CLOCK: Final = "clock_drift"
#: What to do, by kind, where the kind alone does not say it.
ADVICE: Final[Mapping[str, str]] = {
    "permanent_error": "its values are not used: exchange the meter",
    "low_battery": "plan its exchange",
    "power_low": "plan its exchange",
    "leak": "tell the resident, look for running water",
    "burst": "close the valve, go there",
    "backflow": "check the valves and the direction of installation",
    "dry": "check whether the water is shut off",
    "tamper": "look at the meter on the spot",
    "removed": "look at the meter on the spot",
    "wrong_key": "check its key with `submeter decode HEX --key KEY`, import the right one",
    "no_key": "import it with its key, what waits is decoded at its original times",
    "unknown_driver": "its telegrams wait in quarantine, `submeter decode HEX` shows what they say",
    "unknown_mode": "its telegrams wait in quarantine: see `submeter quarantine`",
    "mac_fail": "somebody may send in its name: see `submeter quarantine`",
    "replay": "somebody sends its telegrams again: see `submeter quarantine`",
    "downgrade": "it sends less protected than it should: see `submeter quarantine`",
}
_FORGOTTEN: Final = 100_000


@dataclass(frozen=True, slots=True)
class Clocks:
    """How far clocks may be off, µs: a stamp `ahead` of its reception, and a meter's own time from its zone's (0: not looked at)."""

    ahead: int = 10 * civil.MINUTE
    meter: int = 30 * civil.MINUTE


@dataclass(slots=True)
class _Standing:
    """A condition of a device or gateway: the event's instant, when it was last told, and when it ended, None while it stands."""

    at: int
    told: int
    ended: int | None = None


class Sightings:
    """The conditions of one drain's devices and gateways; nothing is written before `write`. Raises StoreError."""

    def __init__(self, registry: Registry, clocks: Clocks, now: Callable[[], int]) -> None:
        self._registry = registry
        self._clocks = clocks
        self._now = now
        #: By how much the last stamp of each gateway was ahead of its reception, µs; negative: behind.
        self.skews: dict[str, int] = {}
        self.remember()

    def remember(self) -> None:
        """What stands according to the registry; what was not written is forgotten."""
        self._changes: list[Callable[[Events, int], object]] = []
        self._standing: dict[str, dict[str, _Standing]] = {}
        self._told: set[tuple[str, str, int]] = set()
        self._in_a_row: dict[tuple[str, str], tuple[int, int]] = {}
        for event in self._registry.events.find(state="open"):
            if event.subject.startswith(("device:", "gateway:")) and event.kind in JUDGED | {CLOCK}:
                self._standing.setdefault(event.subject, {})[event.kind] = _Standing(event.at, event.seen)

    def write(self) -> None:
        """Write what changed since the last time, in one transaction."""
        if not self._changes:
            return
        now = self._now()
        with self._registry.writing():
            for change in self._changes:
                change(self._registry.events, now)
        self._changes = []

    def stands(self, device: str) -> bool:
        """Whether a condition of this device stands, ended lately or may begin: then each of its telegrams must be shown."""
        subject = f"device:{device}"
        return subject in self._standing or (bool(self._in_a_row) and any((subject, reason) in self._in_a_row for reason in IN_A_ROW))

    def decoded(self, telegram: Telegram, at: int, zone: str, unplaced: int) -> None:
        """A telegram was understood, heard at `at`; `unplaced` of its readings have a stamp that cannot be right."""
        subject = f"device:{telegram.device}"
        if self._in_a_row:
            for reason in IN_A_ROW:
                self._in_a_row.pop((subject, reason), None)
        clock = self._clock(telegram, at, zone, unplaced)
        if not telegram.status and clock is None and subject not in self._standing:
            return
        present = {kind: f"{telegram.device} says {word}{_advice(kind)}" for word in telegram.status if (kind := ALARMS.get(word))}
        judged: Collection[str] = JUDGED
        if clock is not None:
            present[CLOCK] = clock
        elif telegram.meter_time is not None or any(reading.stamp for reading in telegram.readings):
            judged = JUDGED | {CLOCK}
        self._observe(subject, present, judged, at)
        self._past(subject, telegram, at, zone)

    def before_installation(self, device: str, since: int, readings: int) -> None:
        """A telegram brought readings from before the device's first assignment, which begins at `since`."""
        detail = f"{device} sends values from before its installation on {civil.iso(since)}; they are kept and not used ({readings} in one telegram)"
        self._once("before_installation", f"device:{device}", since, detail)

    def distrusted(self, device: str, reason: str, at: int, zone: str, why: str) -> None:
        """A telegram in the name of a known device went to the quarantine; reasons that say nothing of security are passed over."""
        detail = f"{device}: {why}{_advice(reason)}"
        if reason in DISTRUSTED:
            count, first = self._in_a_row.get((f"device:{device}", reason), (0, at))
            if count + 1 < IN_A_ROW.get(reason, 1):
                self._in_a_row[f"device:{device}", reason] = (count + 1, first)
            else:
                self._observe(f"device:{device}", {DISTRUSTED[reason]: detail}, (), first)
        elif reason in LASTING:
            self._lasting(reason, f"device:{device}", civil.floor(zone, "day", at), detail)

    def gateway_time(self, gateway: str, stamped: int | None, at: int) -> None:
        """A gateway stamped a telegram that was received at `at`; a stamp ahead of that is not accepted."""
        if stamped is not None:
            self.skews[gateway] = stamped - at
        subject = f"gateway:{gateway}"
        ahead = 0 if stamped is None else stamped - at
        if ahead > self._clocks.ahead:
            self._observe(subject, {CLOCK: f"the clock of gateway {gateway} is {_span(ahead)} ahead: set it; its times are not used"}, (), at)
        elif stamped is not None and subject in self._standing:
            self._observe(subject, {}, (CLOCK,), at)

    def _clock(self, telegram: Telegram, at: int, zone: str, unplaced: int) -> str | None:
        """What is wrong about the time of a telegram, None if nothing is."""
        if unplaced:
            return f"{telegram.device} sends {unplaced} values with a time that lies ahead of now or cannot be; they are not used: check its clock"
        off = self._off(telegram.meter_time, at, zone)
        return (
            None
            if off is None
            else f"the clock of {telegram.device} is {_span(off)} {'ahead' if off > 0 else 'behind'}: set it, or exchange the meter"
        )

    def _off(self, shown: datetime | None, at: int, zone: str) -> int | None:
        """By how much a meter's clock is off, µs, if that is more than allowed: against civil time, standard time and UTC (SPEC 15)."""
        if shown is None or not self._clocks.meter:
            return None
        local = civil.to_local(zone, at)
        off = _micros(shown) - _micros(local)
        if abs(off) <= self._clocks.meter:
            return None
        summer, whole = local.dst(), local.utcoffset()
        others = (off + span // timedelta(microseconds=1) for span in (summer, whole) if span)
        return off if all(abs(other) > self._clocks.meter for other in others) else None

    def _observe(self, subject: str, present: Mapping[str, str], judged: Iterable[str], at: int) -> None:
        """Conditions that a telegram shows begin or go on; of those it would show, the others end."""
        standing = self._standing.setdefault(subject, {})
        for kind, detail in present.items():
            self._begins(standing, kind, subject, at, detail)
        for kind in [kind for kind in standing if kind in judged and kind not in present]:
            self._ends(standing[kind], kind, subject, at)
        if not standing:
            del self._standing[subject]

    def _begins(self, standing: dict[str, _Standing], kind: str, subject: str, at: int, detail: str) -> None:
        before = standing.get(kind)
        if before is not None and before.ended is None and at < before.told + civil.DAY:
            return
        if before is not None and before.ended is not None and at <= before.ended:
            return  # heard late: it is over already
        begun = before.at if before is not None and (before.ended is None or at < before.ended + civil.DAY) else at
        standing[kind] = _Standing(begun, at)
        self._changes.append(lambda events, now: events.raise_(kind, subject, begun, now=now, detail=detail))

    def _ends(self, before: _Standing, kind: str, subject: str, at: int) -> None:
        if before.ended is not None or at <= before.told:
            return
        before.ended = at
        self._changes.append(lambda events, now: events.settle(kind, subject, (), now=now, ended=at))

    def _past(self, subject: str, telegram: Telegram, at: int, zone: str) -> None:
        """Conditions that the meter says are over: told once a month, and not where the event itself is known."""
        for word in telegram.status:
            kind = ALARMS.get(word.removesuffix(EARLIER)) if word.endswith(EARLIER) else None
            if kind and kind not in self._standing.get(subject, {}):
                self._once(
                    kind, subject, civil.floor(zone, "month", at), f"{telegram.device} says that there was {word.removesuffix(EARLIER)} earlier"
                )

    def _once(self, kind: str, subject: str, at: int, detail: str) -> None:
        if self._first(kind, subject, at):
            self._changes.append(lambda events, now: events.raise_(kind, subject, at, now=now, detail=detail, over=True))

    def _lasting(self, kind: str, subject: str, day: int, detail: str) -> None:
        """An open event of before goes on; else a new one begins with this local day."""

        def tell(events: Events, now: int) -> Event:
            opened = events.find(kind, subject, "open")
            return events.raise_(kind, subject, opened[-1].at if opened else day, now=now, detail=detail)

        if self._first(kind, subject, day):
            self._changes.append(tell)

    def _first(self, kind: str, subject: str, at: int) -> bool:
        if (kind, subject, at) in self._told:
            return False
        if len(self._told) > _FORGOTTEN:
            self._told.clear()
        self._told.add((kind, subject, at))
        return True


def _advice(kind: str) -> str:
    return f": {ADVICE[kind]}" if kind in ADVICE else ""


def _micros(moment: datetime) -> int:
    """The wall clock of a moment as µs, whatever its zone."""
    return round(moment.replace(tzinfo=UTC).timestamp()) * civil.SECOND


def _span(micros: int) -> str:
    minutes = abs(micros) // civil.MINUTE
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"
