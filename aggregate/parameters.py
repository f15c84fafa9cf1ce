"""What a rollup must know about a register (SPEC 2.1, 2.4), checked where it enters.

Numbers are exact and in micro units (1e-6 of the canonical unit): an int, or a Fraction where a decimal has more than six places.
Durations and instants are microseconds. Every mistake is a ParameterError that names the key, the value and what is allowed (SPEC 2.5).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final, Self

from submeter import civil
from submeter.aggregate.errors import ParameterError
from submeter.reading import MICRO

Number = int | Fraction
KINDS: Final = ("total", "period", "gauge")
MODES: Final = ("linear", "hold")
_SECONDS: Final = {"PT%S": 1, "PT%M": 60, "PT%H": 3600, "P%D": 86400}
#: Any year that is not a leap year shows whether a month-day exists in every year.
_COMMON_YEAR: Final = 2023


def exact(value: Fraction | int) -> Number:
    """The same number, as an int if it is whole."""
    return int(value) if value.denominator == 1 else value


def micro(text: str) -> Number:
    """A decimal string in micro units, exactly; raises ParameterError, also for a binary float, which is no decimal number."""
    if isinstance(text, float):
        raise ParameterError(f"{text!r} is a binary float: write it as a string")
    try:
        return exact(Fraction(Decimal(text)) * MICRO)
    except (InvalidOperation, ValueError, TypeError, OverflowError):
        raise ParameterError(f"{text!r} is not a decimal number") from None


def duration(text: str) -> int:
    """``PTnS``, ``PTnM``, ``PTnH`` or ``PnD`` in microseconds; raises ParameterError."""
    digits = re.search(r"\d+", text) if isinstance(text, str) else None
    seconds = _SECONDS.get(text.replace(digits[0], "%", 1)) if digits else None
    if digits is None or seconds is None:
        raise ParameterError(f"{text!r} is not a duration: write PTnS, PTnM, PTnH or PnD")
    return int(digits[0]) * seconds * civil.SECOND


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of one register, with the defaults of SPEC 2.1. Raises ParameterError."""

    kind: str = "total"
    unit: str = "m3"
    resolution: Number = 1000
    modulus: Number | None = None
    max_rate_per_h: Number | None = None
    max_gap: int = 2 * civil.HOUR
    confirm_window: int = 24 * civil.HOUR
    confirm_n: int = 2
    dip_tolerance: Number | None = None
    resettable: bool = False
    set_day: str | None = None
    factors: tuple[tuple[int, Fraction], ...] = ()
    year_start: str = "01-01"
    mode: str = "linear"
    expected_interval: int | None = None

    def __post_init__(self) -> None:
        for holds, sentence in (
            (self.kind in KINDS, f"kind {self.kind!r}: write one of {', '.join(KINDS)}"),
            (self.mode in MODES, f"mode {self.mode!r}: write one of {', '.join(MODES)}"),
            (self.resolution > 0, "resolution must be above 0"),
            (self.modulus is None or self.modulus > self.resolution, "modulus must be above the resolution"),
            (self.max_rate_per_h is None or self.max_rate_per_h > 0, "max_rate_per_h must be above 0"),
            (self.max_rate_per_h is not None or not self.resettable, "a resettable register needs max_rate_per_h"),
            (self.max_gap > 0 and self.confirm_window > 0 and self.confirm_n > 0, "max_gap, confirm_window and confirm_n must be above 0"),
            (self.expected_interval is None or self.expected_interval > 0, "expected_interval must be above 0"),
            (self.dip_tolerance is None or self.dip_tolerance >= 0, "dip_tolerance must not be negative"),
            (self.set_day is None or self.kind == "period", "set_day is for registers of kind period"),
            (self.set_day in (None, "month") or _exists(self.set_day), f"set_day {self.set_day!r}: write month, or MM-DD that every year has"),
            (_exists(self.year_start) and self.year_start.endswith("-01"), f"year_start {self.year_start!r}: write MM-01"),
            (list(self.factors) == sorted(dict(self.factors).items()), "factors must ascend in time"),
        ):
            if not holds:
                raise ParameterError(sentence)

    @property
    def dip(self) -> Number:
        """Backward step that is noise, micro units."""
        return 2 * self.resolution if self.dip_tolerance is None else self.dip_tolerance

    @classmethod
    def parse(cls, register: Mapping[str, Any]) -> Self:
        """Read the keys of SPEC 2.1, values as decimal strings and ISO durations. Raises ParameterError, also for a key that is not there."""
        unknown = set(register) - set(_READ)
        if unknown:
            raise ParameterError(f"unknown register parameter {min(unknown)!r}")
        for key, value in register.items():
            wanted = {"confirm_n": int, "resettable": bool}.get(key, str | list)
            if value is not None and (not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool)):
                raise ParameterError(f"{key}: {value!r} is a {type(value).__name__}: whole numbers and true or false stand bare, all else is text")
        return cls(**{key: _READ[key](value) for key, value in register.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Exchange:
    """A device at a point gives way to another (SPEC 2.4): instant, final index of the old one, first index of the new one, micro units."""

    at: int
    end: Number | None = None
    start: Number | None = None

    @classmethod
    def parse(cls, exchange: Mapping[str, Any]) -> Self:
        """Read ``at``, ``end``, ``start`` of SPEC 2.4; ``from`` and ``to`` inform people only. Raises ParameterError."""
        known = {key: micro(exchange[key]) for key in ("end", "start") if exchange.get(key) is not None}
        return cls(_instant(exchange.get("at")), **known)


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """All that turns the readings of one series into rows. Raises ParameterError, CivilError.

    Parameters, zone of its point, exchanges, and the instants at which an operator took a step that is not plausible for real.
    """

    parameters: Parameters
    zone: str
    exchanges: tuple[Exchange, ...] = ()
    accepted: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        civil.zone_info(self.zone)
        instants = [exchange.at for exchange in self.exchanges]
        if len(set(instants)) < len(instants):
            raise ParameterError("two exchanges at one instant")
        for at in instants:
            if self.set_days(at - 1, at):
                raise ParameterError(f"the exchange at {civil.iso(at)} falls on the set day: move it by a second")

    def set_days(self, start: int, end: int) -> list[int]:
        """Set-day instants in ``(start, end]``, µs UTC."""
        day = self.parameters.set_day
        return [] if day is None else [int(t) for t in civil.set_days(self.zone, day, start, end)]


def _exists(month_day: str) -> bool:
    try:
        date.fromisoformat(f"{_COMMON_YEAR}-{month_day}")
    except (ValueError, TypeError):
        return False
    return True


def _instant(text: Any) -> int:
    if not isinstance(text, str):
        raise ParameterError(f"{text!r} is not an instant")
    return civil.instant(text)


def _factors(pairs: Any) -> tuple[tuple[int, Fraction], ...]:
    return tuple((_instant(start), Fraction(micro(factor), MICRO)) for start, factor in pairs)


_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "kind": str,
    "unit": str,
    "resolution": micro,
    "modulus": micro,
    "max_rate_per_h": micro,
    "max_gap": duration,
    "confirm_window": duration,
    "confirm_n": int,
    "dip_tolerance": micro,
    "resettable": bool,
    "set_day": str,
    "factors": _factors,
    "year_start": str,
    "mode": str,
    "expected_interval": duration,
}
