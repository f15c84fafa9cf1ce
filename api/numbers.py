"""Micro units and instants as an answer has them; None is what is not known or not there."""

from fractions import Fraction

from submeter import civil
from submeter.reading import MICRO
from submeter.store.published import NULL

__all__ = ["moment", "number"]


def number(micro: int | Fraction | None) -> float | int | None:
    """Micro units, rounded once if they are not whole, as a JSON number with at most six decimals; None for NULL."""
    if micro is None:
        return None
    rounded = round(micro)
    whole, rest = divmod(rounded, MICRO)
    return None if rounded == NULL else whole if rest == 0 else rounded / MICRO


def moment(at: int | None, zone: str = "") -> str | None:
    """An instant in UTC, or in a zone with its offset."""
    return None if at is None else civil.local_iso(zone, at) if zone else civil.iso(at)
