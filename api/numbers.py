"""Micro units as numbers of an answer."""

from fractions import Fraction

from submeter.reading import MICRO
from submeter.store.published import NULL

__all__ = ["number"]


def number(micro: int | Fraction) -> float | int | None:
    """Micro units, rounded once if they are not whole, as a JSON number with at most six decimals; None for NULL."""
    rounded = round(micro)
    whole, rest = divmod(rounded, MICRO)
    return None if rounded == NULL else whole if rest == 0 else rounded / MICRO
