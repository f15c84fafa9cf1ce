"""What a point measures: registers of its devices, stitched over the assignments into one series each.

A series is (point, register name, tariff, subunit, index). Its readings are those of the assigned devices, each inside its own assignment;
where one assignment ends and the next begins stands an exchange (SPEC 1). Registers that are no index and no gauge (extremes, events, dates) make no series.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, cast

from submeter.aggregate.decided import NOTHING, Decided
from submeter.aggregate.errors import ParameterError
from submeter.aggregate.parameters import Exchange, Parameters, SeriesSpec
from submeter.decoders import DICTIONARY
from submeter.errors import SubmeterError
from submeter.reading import INT64_MAX, Register, Source
from submeter.store import Assignment, Kind, Point, Property, Registry, SeriesKey

__all__ = ["KINDS", "Series", "Span", "changed", "faults", "fingerprint", "of_point", "register_named"]

#: Rises when a release computes other rows from the same readings: everything is computed anew once.
RULES: Final = 1

#: Kind of each register of the dictionary that is rolled up; events and dates are not.
KINDS: Final[Mapping[str, Kind]] = {name: cast("Kind", entry.kind) for name, entry in DICTIONARY.items() if entry.kind != "event"}

REGISTER: Final = re.compile(r"(?P<name>\w+?)(\[t(?P<tariff>\d+)\])?(\[s(?P<subunit>\d+)\])?(\[#(?P<index>\d+)\])?")
#: What differs from SPEC 2.1 by the register's nature; a point's own parameters come on top.
DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "hca": {"resolution": "1", "max_gap": "P3D", "confirm_window": "P7D"},
    "hca_total": {"resolution": "1", "max_gap": "P3D", "confirm_window": "P7D"},
}


@dataclass(frozen=True, slots=True)
class Span:
    """Readings of one stored register that belong to a series: `start` ≤ t < `end`, µs UTC."""

    register: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Series:
    """One register of one point with the spans and exchanges that make it, ready for the kernel."""

    point: Point
    register: Register
    spans: tuple[Span, ...]
    spec: SeriesSpec
    decided: Decided = NOTHING

    @property
    def kind(self) -> Kind:
        """Total, period or gauge: by the dictionary, or as the point says."""
        return cast("Kind", self.spec.parameters.kind)

    @property
    def key(self) -> SeriesKey:
        """Under which the readings' file numbers it."""
        return SeriesKey(self.point.id, self.register, self.kind)


def fingerprint(series: Series) -> str:
    """A text that differs if anything but the readings does that the rows of a series follow from: `reason:digest` for each word of SPEC 13."""
    parameters = series.spec.parameters
    parts = {
        "config": (RULES, replace(parameters, factors=()), series.spec.zone),
        "factor": parameters.factors,
        "exchange": (series.spec.exchanges, series.spans),
        "substitute": [one for one in series.decided.entered if one.src == Source.SUBSTITUTE],
        "correction": (series.spec.accepted, series.decided.rejected, [one for one in series.decided.entered if one.src != Source.SUBSTITUTE]),
    }
    return " ".join(f"{reason}:{blake2b(repr(part).encode(), digest_size=8).hexdigest()}" for reason, part in parts.items())


def changed(old: str | None, new: str) -> str | None:
    """The word of SPEC 13 for the first difference of two fingerprints; None if they are equal, `config` where nothing is known of before."""
    if old is None:
        return "config"
    return next((one.partition(":")[0] for one in new.split() if one not in old.split()), None)


def faults(registry: Registry) -> Iterator[str]:
    """One line for each point whose parameters or exchanges cannot be computed with, as an import asks before it is taken."""
    buildings = {building.id: building for building in registry.properties()}
    for point in registry.points():
        name = point.registers[0].partition("[")[0]
        if name not in KINDS:
            yield f"point {point.id}: registers: {name} is no register that is rolled up: docs/registers.md lists them"
            continue
        building = buildings[point.property]
        try:
            parameters = _parameters(Register(name, DICTIONARY[name].unit), building, point.parameters)
            SeriesSpec(parameters, building.zone, tuple(_exchanges(registry.assignments_of(point.id), protocol=True)))
        except SubmeterError as error:
            yield f"point {point.id}: {error}"


def register_named(name: str) -> Register:
    """The register that `str(Register)` writes so; ParameterError for one that is not rolled up."""
    found = REGISTER.fullmatch(name)
    if found is None or found["name"] not in KINDS:
        raise ParameterError(f"{name} is no register that is rolled up: docs/registers.md lists them")
    tariff, subunit, index = (int(found[mark] or 0) for mark in ("tariff", "subunit", "index"))
    return Register(found["name"], DICTIONARY[found["name"]].unit, tariff, subunit, index or 1)


def of_point(
    point: Point,
    building: Property,
    assignments: Sequence[Assignment],
    registers: Mapping[str, Mapping[Register, int]],
    said: Mapping[tuple[str, str], Decided] = MappingProxyType({}),
) -> Iterator[Series]:
    """Every series of a point; `assignments` are the point's own in order of time, `registers` the stored registers of each device with their numbers.

    `said` is what was decided, by point and register.
    """
    heard = {register for assignment in assignments for register in registers.get(assignment.device, {}) if str(register) in point.registers}
    for register in sorted(one for one in heard if one.name in KINDS):
        main = str(register) == point.registers[0]
        parameters = _parameters(register, building, point.parameters if main else {})
        own = said.get((point.id, str(register)), NOTHING)
        spec = SeriesSpec(parameters, building.zone, tuple(_exchanges(assignments, protocol=main)), own.accepted)
        yield Series(point, register, tuple(_spans(assignments, registers, register)), spec, own)


def _parameters(register: Register, building: Property, own: Mapping[str, Any]) -> Parameters:
    """By the register's nature, then the point's own for its main register (SPEC 2.1)."""
    return Parameters.parse(
        {"kind": KINDS[register.name], "unit": register.unit, "year_start": building.year_start, **DEFAULTS.get(register.name, {}), **own}
    )


def _spans(assignments: Iterable[Assignment], registers: Mapping[str, Mapping[Register, int]], register: Register) -> Iterator[Span]:
    for assignment in assignments:
        stored = registers.get(assignment.device, {}).get(register)
        if stored is not None:
            yield Span(stored, assignment.since, INT64_MAX if assignment.until is None else assignment.until)


def _exchanges(assignments: Sequence[Assignment], *, protocol: bool) -> Iterator[Exchange]:
    """Where one device follows another; the values of the protocol are those of the point's main register."""
    for old, new in pairwise(assignments):
        yield Exchange(at=new.since, end=old.end_value if protocol else None, start=new.start_value if protocol else None)
