"""What nobody says: meters and gateways that fell silent, indexes that stand still, water that never stops, sums that do not agree (SPEC 14).

Strategy: a table of detectors. Each looks at the stores and yields every condition that holds now; `watch` raises those, and settles the open events of
the detector's kind and subjects that it did not yield. Cheap detectors run each time, the others with the nightly run.
Rules: `at` is the begin of the condition, so that one condition is one event however often it is looked at; comparisons are of exact integers;
a detector that cannot know yields what is open already (`View.standing`), so that nothing closes for want of data. No rows are ever made here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import polars as pl

from submeter import civil
from submeter.aggregate.errors import AggregateError
from submeter.aggregate.frames import framed
from submeter.aggregate.parameters import duration
from submeter.config import Events as Limits
from submeter.reading import LEVELS, QUALITIES, DeviceId, Register, from_micro
from submeter.store import Assignment, Event, Inbox, Point, Property, Readings, Registry, SeriesKey

__all__ = ["DETECTORS", "Condition", "Detector", "View", "watch"]

HOUR, DAY, MONTH = (LEVELS.index(level) for level in ("hour", "day", "month"))
MEASURED, INCOMPLETE = QUALITIES.index("measured"), QUALITIES.index("incomplete")
#: How far back is looked first for the last reading of a meter; and at all for the last message of a gateway.
HEARD: Final = 35 * civil.DAY
GATEWAYS: Final = 3 * civil.DAY
GAPS: Final = 3
#: An index may be stuck if it moved on at least so many of the days before, of so many.
MOVED_DAYS: Final = 14
LIVELY: Final = 28 * civil.DAY
NIGHT: Final = (2, 5)
#: Longest `max_gap` of a point whose hours tell what was used in them.
DENSE: Final = 3 * civil.HOUR
MONTHS: Final = 3
#: What a gauge can show at all, in its canonical unit.
RANGES: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(("temperature_flow", "temperature_return", "temperature_medium", "temperature_radiator"), (-50, 250)),
    "temperature_ambient": (-50, 80),
    "temperature_difference": (-200, 200),
    "humidity": (0, 100),
    "pressure": (-1, 100),
    "voltage": (0, 1000),
    "frequency": (15, 70),
    "power_factor": (-1, 1),
}
#: Device types (EN 13757-7) that measure each quantity; a type that no row names says nothing.
TYPES: Final[Mapping[str, frozenset[int]]] = {
    "cold_water": frozenset((0x07, 0x16, 0x17)),
    "hot_water": frozenset((0x06, 0x07, 0x15, 0x16, 0x17)),
    "heat": frozenset((0x04, 0x0C, 0x0D)),
    "cooling": frozenset((0x0A, 0x0B, 0x0D)),
    "heat_allocation": frozenset((0x08,)),
    "energy": frozenset((0x02,)),
}
_TYPES: Final = frozenset().union(*TYPES.values())


class Condition(NamedTuple):
    """Something that holds now: what it is about, since when, and what to say of it; `amount` in micro units."""

    subject: str
    at: int
    detail: str
    amount: int | None = None


@dataclass(frozen=True)
class View:
    """What a detector may look at."""

    readings: Readings
    registry: Registry
    inbox: Inbox | None
    limits: Limits
    now: int
    open: Mapping[tuple[str, str], Event]

    def standing(self, kind: str, subject: str) -> Event | None:
        """The open event of a kind and subject."""
        return self.open.get((kind, subject))

    @cached_property
    def points(self) -> Mapping[str, Point]:
        """All points by id."""
        return {point.id: point for point in self.registry.points()}

    @cached_property
    def buildings(self) -> Mapping[str, Property]:
        """All properties by id."""
        return {building.id: building for building in self.registry.properties()}

    @cached_property
    def registers_of(self) -> Mapping[str, list[Register]]:
        """The registers that each device sent."""
        found = defaultdict[str, list[Register]](list)
        for device, register in self.readings.registers():
            found[device].append(register)
        return found

    @cached_property
    def present(self) -> list[Assignment]:
        """The assignments that run now."""
        return [one for one in self.registry.assignments() if one.holds(self.now)]

    @cached_property
    def main(self) -> Mapping[int, tuple[SeriesKey, Point]]:
        """The main series of each point, by number."""
        found = {number: (key, self.points[key.point]) for key, number in self.readings.series().items() if key.point in self.points}
        return {number: (key, point) for number, (key, point) in found.items() if str(key.register) == point.registers[0]}

    def rows(self, series: list[int], level: int, start: int, end: int) -> pl.DataFrame:
        """Rows of a level that begin in [start, end) and have ended."""
        return framed(self.readings.rollups(series, level, start, end)).filter(pl.col("end") <= self.now)


class Detector(NamedTuple):
    """A kind of event, the begin of the subjects that it is raised of, who looks, and whether only at night.

    `back` says how far back conditions are looked for, µs; 0 for all.
    """

    kind: str
    subjects: str
    look: Callable[[View], Iterator[Condition]]
    nightly: bool = False
    back: int = 0


def watch(readings: Readings, registry: Registry, now: int, *, limits: Limits, inbox: Inbox | None = None, nightly: bool = True) -> Mapping[str, int]:
    """Look for everything that holds as of `now` (µs UTC), raise and settle; returns how many conditions of each kind hold. Raises StoreError."""
    opened = registry.events.find(state="open")
    view = View(readings, registry, inbox, limits, now, {(event.kind, event.subject): event for event in opened})
    holding: dict[str, int] = {}
    for detector in DETECTORS:
        if nightly or not detector.nightly:
            conditions = list(detector.look(view))
            _write(registry, detector, conditions, [event for event in opened if _of(event, detector, now)], now)
            holding[detector.kind] = len(conditions)
    return holding


def _of(event: Event, detector: Detector, now: int) -> bool:
    return event.kind == detector.kind and event.subject.startswith(detector.subjects) and (not detector.back or event.at >= now - detector.back)


def _write(registry: Registry, detector: Detector, conditions: list[Condition], opened: list[Event], now: int) -> None:
    """Raise what is new or was told a day ago, settle what is open and does not hold."""
    before = {(event.subject, event.at): event for event in opened}
    fresh = [
        one
        for one in conditions
        if (event := before.get((one.subject, one.at))) is None or event.seen <= now - civil.DAY or event.amount != one.amount
    ]
    gone = [event for place, event in before.items() if place not in {(one.subject, one.at) for one in conditions}]
    if not fresh and not gone:
        return
    with registry.writing():
        for one in fresh:
            registry.events.raise_(detector.kind, one.subject, one.at, now=now, detail=one.detail, amount=one.amount)
        for event in gone:
            registry.events.settle(event.kind, event.subject, (), now=now, since=event.at, until=event.at + 1)


# Meters and gateways


def silent(view: View) -> Iterator[Condition]:
    """Points whose meter was heard and is not any more: longer than n of its intervals, and a least time (DECISIONS 25).

    One that fell silent together with the only gateway that hears it is not told before that gateway delivers again.
    """
    least, numbers = view.limits.silent_min_minutes * civil.MINUTE, view.readings.registers()
    mains = {numbers[one.device, register]: (one, register) for one in view.present if (register := _main(view, one))}
    heard = view.readings.heard(list(mains), since=view.now - HEARD)
    heard |= view.readings.heard(list(mains.keys() - heard.keys()))
    late = {number: (*mains[number], last) for number, last in heard.items() if last >= mains[number][0].since and view.now - last > least}
    usual = view.readings.intervals(list(late), since=view.now - 2 * HEARD, least=GAPS)
    behind = _behind(view) if late else {}
    for number, (assignment, register, last) in late.items():
        given = view.points[assignment.point].parameters.get("expected_interval")
        expected = (given and duration(given)) or usual.get(number) or view.limits.unknown_interval_hours * civil.HOUR
        waited, subject = view.limits.silent_intervals * expected, f"point:{assignment.point}/{register}"
        held = assignment.device in behind and behind[assignment.device] - last <= waited and not view.standing("silent", subject)
        if view.now - last > waited and not held:
            detail = f"{assignment.device} was last heard at {civil.iso(last)}, expected every {_span(expected)}: check its battery, its place and its gateway"
            yield Condition(subject, last, detail)


def never_heard(view: View) -> Iterator[Condition]:
    """Devices that are assigned for a while and were never received."""
    hours = view.limits.never_heard_hours
    received = set(view.readings.devices_received())
    for assignment in view.present if hours else ():
        if assignment.device not in received and view.now - assignment.since >= hours * civil.HOUR:
            detail = f"{assignment.device} at {assignment.point} was never heard: check its number, that it sends, and that a gateway is near"
            yield Condition(f"device:{assignment.device}", assignment.since, detail)


def gateways(view: View) -> Iterator[Condition]:
    """Gateways that delivered and do not any more: longer than three of their usual gaps, and a least time."""
    minutes = view.limits.gateway_silent_minutes
    if view.inbox is None or not minutes:
        return
    told = view.inbox.gateways(since=view.now - GATEWAYS)
    for gateway, (messages, first, last) in told.items():
        usual = (last - first) // max(messages - 1, 1)
        if view.now - last > max(GAPS * usual, minutes * civil.MINUTE):
            yield Condition(f"gateway:{gateway}", last, f"gateway {gateway} was last heard at {civil.iso(last)}: check its power and its network")
    for (kind, subject), event in view.open.items():
        if kind == "gateway_silent" and subject.removeprefix("gateway:") not in told:
            yield Condition(subject, event.at, event.detail)


def strangers(view: View) -> Iterator[Condition]:
    """How many devices that the directory does not have each gateway heard today (UTC) for the first time: one event a gateway and day."""
    known, day = set(view.registry.device_names()), civil.utc_date(view.now)
    fresh = defaultdict[str, set[str]](set)
    for device, gateway in view.readings.first_heard(day):
        if device not in known:
            fresh[gateway].add(device)
    for gateway, devices in fresh.items():
        detail = (
            f"gateway {gateway} heard {len(devices)} devices for the first time that the directory does not have: see `submeter meters --unknown`"
        )
        yield Condition(f"gateway:{gateway}", civil.utc_midnight(day), detail)


def id_clash(view: View) -> Iterator[Condition]:
    """Devices of the directory whose number another device sends as well; the same maker with another type is `wrong_medium`."""
    for known, other in _namesakes(view):
        if known.manufacturer != other.manufacturer or known.type == other.type:
            detail = f"{other} has the same number as {known} of the directory: two meters, or the directory names the wrong maker or version"
            yield Condition(f"device:{known}", view.registry.installed(known) or 0, detail)


def wrong_medium(view: View) -> Iterator[Condition]:
    """Devices that measure something else than their point, by what the directory says, or by what is heard."""
    for assignment in view.present:
        point, kind = view.points[assignment.point], DeviceId.parse(assignment.device).type
        if kind in _TYPES and kind not in TYPES.get(point.quantity, _TYPES):
            detail = f"{assignment.device} is of type {kind:02X}h, which does not measure {point.quantity}: check the assignment of {point.id}"
            yield Condition(f"device:{assignment.device}", assignment.since, detail)
    for known, other in _namesakes(view):
        if known.manufacturer == other.manufacturer and known.type != other.type:
            yield Condition(
                f"device:{known}",
                view.registry.installed(known) or 0,
                f"{known} of the directory sends as {other}: correct its type and import again",
            )


def unit_change(view: View) -> Iterator[Condition]:
    """Devices that sent one register in two units."""
    units = defaultdict[tuple[str, str, int, int, int], set[str]](set)
    for device, register in view.readings.registers():
        units[device, register.name, register.tariff, register.subunit, register.index].add(register.unit)
    for (device, name, *_), found in units.items():
        if len(found) > 1:
            yield Condition(f"device:{device}", 0, f"{device} sends {name} in {' and in '.join(sorted(found))}: find out which is right")


# Rows


def stuck(view: View) -> Iterator[Condition]:
    """Indexes that stand still for long although they moved on most days before, while others of the same building and quantity move."""
    days = view.limits.stuck_days
    series = {number: place for number, place in view.main.items() if place[0].kind == "total"} if days else {}
    begin = view.now - days * civil.DAY
    rows = view.rows(list(series), DAY, begin - LIVELY, view.now).filter(pl.col("value").is_not_null())
    moved, late = pl.col("value") > 0, pl.col("start") >= begin
    told = rows.group_by("series").agg(
        (moved & ~late).sum().alias("before"), (moved & late).sum().alias("after"), late.sum().alias("days"),
        pl.col("end").filter(moved).max().alias("stopped"), pl.col("end").max().alias("last"),
    )  # fmt: skip
    moving = {(series[number][1].property, series[number][1].quantity) for number, after in told.select("series", "after").rows() if after}
    for number, before, after, heard, stopped, last in told.rows():
        key, point = series[number]
        event = view.standing("stuck", key.subject)
        still = not after and heard >= days - 1 and last > view.now - 3 * civil.DAY
        if still and (event or (before >= MOVED_DAYS and (point.property, point.quantity) in moving)):
            at = event.at if event else stopped
            detail = f"the meter of {point.label or point.id} stands still since {civil.iso(at)}: look at it, it may be blocked or the place empty"
            yield Condition(key.subject, at, detail)


def out_of_range(view: View) -> Iterator[Condition]:
    """Gauges that showed, on their last full day, what cannot be."""
    gauges = {number: key for key, number in view.readings.series().items() if key.register.name in RANGES and key.point in view.points}
    rows = view.rows(list(gauges), DAY, view.now - 3 * civil.DAY, view.now).filter(pl.col("n") > 0)
    for number, start, low, high in rows.sort("start").group_by("series", maintain_order=True).last().select("series", "start", "lo", "hi").rows():
        least, most = (bound * 1_000_000 for bound in RANGES[gauges[number].register.name])
        if low < least or high > most:
            subject, shown = gauges[number].subject, low if low < least else high
            event = view.standing("out_of_range", subject)
            unit = gauges[number].register.unit
            detail = f"{subject.removeprefix('point:')} shows {from_micro(shown)} {unit}: check the sensor"
            yield Condition(subject, event.at if event else start, detail)


def night_flow(view: View) -> Iterator[Condition]:
    """Water that runs in every hour between two and five at night, more than a limit, for some nights in a row."""
    limit, nights = view.limits.leak_litres_per_hour * 1000, view.limits.leak_nights
    series = {number: place for number, place in view.main.items() if limit and place[0].register.name == "volume" and _dense(place[1])}
    zones = defaultdict[str, list[int]](list)
    for number, (_, point) in series.items():
        zones[view.buildings[point.property].zone].append(number)
    for zone, numbers in zones.items():
        for number, known in _nights(view.rows(numbers, HOUR, view.now - (nights + 2) * civil.DAY, view.now), zone).items():
            key, point = series[number]
            if condition := _running(view, key.subject, point, zone, known, limit):
                yield condition


def _nights(rows: pl.DataFrame, zone: str) -> dict[int, list[tuple[int, int, bool]]]:
    """Per series and night in order: begin, least use of an hour, and whether every hour was measured."""
    local = pl.from_epoch("start", time_unit="us").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    night = rows.with_columns(local.dt.hour().alias("hour"), local.dt.date().alias("date")).filter(pl.col("hour").is_between(NIGHT[0], NIGHT[1] - 1))
    each = night.group_by("series", "date").agg(
        pl.col("start").min(), pl.col("value").min(), (pl.col("quality").eq(MEASURED).all() & (pl.len() >= NIGHT[1] - NIGHT[0] - 1)).alias("sure")
    )
    found: dict[int, list[tuple[int, int, bool]]] = defaultdict(list)
    for number, start, least, sure in each.sort("series", "start").select("series", "start", "value", "sure").rows():
        found[number].append((start, least or 0, sure))
    return found


def _running(view: View, subject: str, point: Point, zone: str, nights: list[tuple[int, int, bool]], limit: int) -> Condition | None:
    """The leak of a point, if there is one: the last nights all above the limit, or one that goes on and of which no night says that it is over."""
    event, wanted = view.standing("leak", subject), view.limits.leak_nights
    sure = [night for night in nights if night[2]]
    last = sure[-wanted:]
    in_a_row = len(last) == wanted and last[-1][0] - last[0][0] < wanted * civil.DAY
    over = bool(sure) and sure[-1][1] <= limit
    if over or not (event or (in_a_row and all(least > limit for _, least, _ in last))):
        return None
    at, least = event.at if event else last[0][0], min((least for _, least, _ in last), default=event.amount if event and event.amount else 0)
    since = civil.local_date(zone, at)
    detail = (
        f"water runs at {point.label or point.id} all night since {since}, at least {from_micro(least * 1000)} l/h: tell the resident, look for it"
    )
    return Condition(subject, at, detail, event.amount if event else least)


def sum_mismatch(view: View) -> Iterator[Condition]:
    """Months in which all submeters together differ from the building's own meters of the same quantity by more than the tolerance."""
    tolerance = view.limits.sum_tolerance_percent
    groups = defaultdict[tuple[str, str], tuple[dict[int, str], list[int]]](lambda: ({}, []))
    expected = defaultdict[tuple[str, str], int](int)
    for point in view.points.values():
        expected[point.property, point.quantity] += 1
    for number, (key, point) in view.main.items() if tolerance else ():
        if key.kind == "total":
            mains, subs = groups[point.property, point.quantity]
            subs.append(number) if point.unit else mains.update({number: key.subject})
    for place, (mains, subs) in groups.items():
        if mains and subs and len(mains) + len(subs) == expected[place]:
            yield from _differing(view, mains, subs, tolerance)


def _differing(view: View, mains: Mapping[int, str], subs: list[int], tolerance: int) -> Iterator[Condition]:
    rows = view.rows([*mains, *subs], MONTH, view.now - MONTHS * 31 * civil.DAY, view.now)
    complete = rows.filter((pl.col("quality") < INCOMPLETE) & pl.col("value").is_not_null())
    own = pl.col("series").is_in(list(mains))
    sums = complete.group_by("start").agg(pl.len(), pl.col("value").filter(own).sum().alias("main"), pl.col("value").filter(~own).sum().alias("sub"))
    for start, count, main, sub in sums.sort("start").rows():
        if count == len(mains) + len(subs) and 100 * abs(main - sub) > tolerance * main:
            detail = f"the building's meter counts {from_micro(main)}, its {len(subs)} submeters together {from_micro(sub)} in the month from {civil.iso(start)}"
            yield Condition(min(mains.values()), start, f"{detail}: look for a leak, a meter that is missing or one that counts wrong", main - sub)


# Helpers


def _main(view: View, assignment: Assignment) -> Register | None:
    """The main register of a point as its present device sends it; None if it never did."""
    main = view.points[assignment.point].registers[0]
    return next((register for register in view.registers_of.get(assignment.device, ()) if str(register) == main), None)


def _behind(view: View) -> Mapping[str, int]:
    """Devices that nobody hears but a gateway which is silent now, and since when it is."""
    quiet = list(gateways(view))
    today = civil.utc_date(view.now)
    asked = [(number, one.subject.removeprefix("gateway:"), civil.utc_date(one.at - civil.DAY), today) for number, one in enumerate(quiet)]
    return {device: quiet[number].at for number, device in view.readings.heard_alone(asked)} if asked else {}


def _dense(point: Point) -> bool:
    try:
        return duration(point.parameters.get("max_gap", "PT2H")) <= DENSE
    except AggregateError:
        return False


def _namesakes(view: View) -> Iterator[tuple[DeviceId, DeviceId]]:
    """Devices of the directory with each stranger that was heard under the same number."""
    known = defaultdict[str, list[DeviceId]](list)
    for text in view.registry.device_names():
        known[DeviceId.parse(text).id].append(DeviceId.parse(text))
    for text in sorted(view.readings.devices_received()):
        heard = DeviceId.parse(text)
        if heard not in known[heard.id]:
            yield from ((one, heard) for one in known[heard.id])


def _span(micros: int) -> str:
    minutes = micros // civil.MINUTE
    return f"{minutes} min" if minutes < 2 * 60 else f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


#: Every detector; a kind stands once for each begin of subjects.
DETECTORS: Final = (
    Detector("silent", "point:", silent),
    Detector("gateway_silent", "gateway:", gateways),
    Detector("unknown_meter_heard", "gateway:", strangers),
    Detector("meter_never_heard", "device:", never_heard),
    Detector("id_clash", "device:", id_clash, nightly=True),
    Detector("wrong_medium", "device:", wrong_medium, nightly=True),
    Detector("unit_change", "device:", unit_change, nightly=True),
    Detector("stuck", "point:", stuck, nightly=True),
    Detector("out_of_range", "point:", out_of_range, nightly=True),
    Detector("leak", "point:", night_flow, nightly=True),
    Detector("sum_mismatch", "point:", sum_mismatch, nightly=True, back=MONTHS * 31 * civil.DAY),
)
