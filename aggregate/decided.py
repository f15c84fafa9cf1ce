"""What operators decided about the readings of a series (SPEC 13): steps taken for real, readings declared wrong, values that no telegram brought.

Rule: `Decided` is all that decisions do to the readings of a series, as plain values in one order: equal ones mean equal rows.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from submeter.reading import Source
from submeter.store import Decision

__all__ = ["NOTHING", "SEQ", "Decided", "Entered", "decided"]

#: Readings of operators come after all others in order of reception: their `seq` is this and the number of the decision.
SEQ: Final = 1 << 62


@dataclass(frozen=True, slots=True, order=True)
class Entered:
    """A reading that a person entered: instant, value (micro units), rank of its source, marks, and the decision that brought it."""

    t: int
    value: int
    src: int
    due: bool
    pinned: bool
    decision: int


@dataclass(frozen=True, slots=True)
class Decided:
    """Instants of steps that are real, spans [from, until) of readings that are wrong, and readings entered."""

    accepted: tuple[int, ...] = ()
    rejected: tuple[tuple[int, int], ...] = ()
    entered: tuple[Entered, ...] = ()


NOTHING: Final = Decided()


def decided(decisions: Iterable[Decision]) -> Mapping[tuple[str, str], Decided]:
    """What the decisions in force say, by point and register (`str(Register)`)."""
    groups = defaultdict[tuple[str, str], list[Decision]](list)
    for decision in decisions:
        groups[decision.point, decision.register].append(decision)
    return {key: _together(group) for key, group in groups.items()}


def _together(group: Iterable[Decision]) -> Decided:
    found = {kind: [one for one in group if one.kind == kind] for kind in ("accept", "reject", "reading")}
    return Decided(
        tuple(sorted({one.details["t"] for one in found["accept"]})),
        tuple(sorted({(one.details["t"], one.details["until"]) for one in found["reject"]})),
        tuple(sorted(_entered(one) for one in found["reading"])),
    )


def _entered(one: Decision) -> Entered:
    said = one.details
    return Entered(said["t"], said["value"], Source[said["src"].upper()], said["due"], said["pinned"], one.id)
