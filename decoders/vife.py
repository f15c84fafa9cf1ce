"""Orthogonal VIFEs: how further bytes of the VIF chain change what its first code says (EN 13757-3; protocol notes 6.7).

`interpret` turns a whole chain into one `Information`. A modifier that only qualifies the value adds its word; one that changes the
unit, scales, or makes the value a date or a duration does so here. Whoever maps registers sees every word, so nothing qualified is
filed under the plain quantity by accident.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from submeter.decoders.vif import BLOCK, DATE, EXTENSION_FB, EXTENSION_FD, EXTENSION_FD_FD, NUMBER, PRIMARY, UNKNOWN, Code

__all__ = ["PROFILES", "Information", "interpret"]

#: Record errors that a meter reports in place of a value.
ERRORS: Final = {
    0x01: "too_many_difes", 0x02: "storage_not_implemented", 0x03: "unit_not_implemented", 0x04: "tariff_not_implemented",
    0x05: "function_not_implemented", 0x06: "data_class_not_implemented", 0x07: "data_size_not_implemented", 0x0B: "too_many_vifes",
    0x0C: "illegal_vif_group", 0x0D: "illegal_vif_exponent", 0x0E: "vif_dif_mismatch", 0x0F: "unimplemented_action", 0x15: "no_data",
    0x16: "overflow", 0x17: "underflow", 0x18: "data_error", 0x19: "data_error", 0x1A: "data_error", 0x1B: "data_error", 0x1C: "premature_end",
}  # fmt: skip
#: Compact profiles: the value is a block of history, see `profiles`.
PROFILES: Final = {0x13: "profile_backward", 0x1E: "profile_registers", 0x1F: "profile_forward"}

_WORDS: Final = {
    **PROFILES, 0x12: "average", 0x27: "per_revolution", 0x28: "per_pulse_in_0",
    0x29: "per_pulse_in_1", 0x2A: "per_pulse_out_0", 0x2B: "per_pulse_out_1", 0x14: "relative_deviation", 0x1D: "standard_conform", 0x39: "start_of", 0x3A: "uncorrected", 0x3B: "forward",
    0x3C: "backward", 0x3E: "base_conditions", 0x3F: "obis", 0x40: "lower_limit", 0x41: "lower_limit_count", 0x48: "upper_limit",
    0x49: "upper_limit_count", 0x68: "during_lower_limit", 0x69: "leakage", 0x6C: "during_upper_limit", 0x6D: "overflow_value", 0x7E: "future",
}  # fmt: skip
_PER: Final = {
    0x20: "s", 0x21: "min", 0x22: "h", 0x23: "d", 0x24: "week", 0x25: "month", 0x26: "y", 0x2C: "l", 0x2D: "m3", 0x2E: "kg", 0x2F: "K", 0x30: "kWh", 0x31: "GJ", 0x32: "kW", 0x33: "K·l",
    0x34: "V", 0x35: "A", 0x36: "·s", 0x37: "·s/V", 0x38: "·s/A",
}  # fmt: skip
_DATES: Final = frozenset((0x39, 0x42, 0x43, 0x46, 0x47, 0x4A, 0x4B, 0x4E, 0x4F, 0x6A, 0x6B, 0x6E, 0x6F))
_COUNTS: Final = frozenset((0x41, 0x49))
_TIME_UNITS: Final = ("s", "min", "h", "d")
#: Codes behind VIFE 7C (FC): the second extension.
_SECOND: Final = {
    0x01: "phase_l1", 0x02: "phase_l2", 0x03: "phase_l3", 0x04: "neutral", 0x05: "phase_l1_l2", 0x06: "phase_l2_l3", 0x07: "phase_l3_l1",
    0x08: "quadrant_1", 0x09: "quadrant_2", 0x0A: "quadrant_3", 0x0B: "quadrant_4", 0x0C: "import_minus_export", 0x10: "absolute", 0x11: "unsigned",
    0x12: "type_d",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Information:
    """What a VIF chain says. `offset` is added to the scaled value (same unit); `error` is what the meter reports in place of a value."""

    quantity: str
    unit: str
    exponent: int
    kind: str
    modifiers: tuple[str, ...] = ()
    offset: int | None = None
    error: str | None = None


@lru_cache(maxsize=4096)
def interpret(chain: bytes) -> Information:
    """The meaning of a whole VIF chain, text VIFs included; never raises for a chain that `records` has delimited."""
    code, rest = _first(chain)
    about = Information(code.quantity, code.unit, code.exponent, code.kind)
    if code.quantity == "manufacturer":
        return replace(about, modifiers=("manufacturer",) if rest else ())
    second = False
    for byte in rest:
        vife = byte & 0x7F
        if vife == 0x7F and not second:
            return _with(about, "manufacturer")
        about = _with(about, _SECOND.get(vife, f"vife_7c_{vife:02x}")) if second else _apply(about, vife)
        second = vife == 0x7C and not second
    return about


def _first(chain: bytes) -> tuple[Code, bytes]:
    """The code at the head of a chain and the VIFEs behind it."""
    vif = chain[0] & 0x7F
    if vif == 0x7C:
        end = 2 + chain[1]
        return Code("text", chain[2:end][::-1].decode("latin-1")), chain[end:]
    if chain[0] == 0xFD and chain[1:2] == b"\xfd":
        return EXTENSION_FD_FD.get(chain[2] & 0x7F, UNKNOWN), chain[3:]
    if chain[0] in {0xFB, 0xFD}:
        return (EXTENSION_FB if chain[0] == 0xFB else EXTENSION_FD).get(chain[1] & 0x7F, UNKNOWN), chain[2:]
    return PRIMARY.get(vif, UNKNOWN), chain[1:]


def _with(about: Information, word: str) -> Information:
    return replace(about, modifiers=(*about.modifiers, word))


def _apply(about: Information, vife: int) -> Information:
    if vife in ERRORS:
        return replace(about, error=ERRORS[vife])
    if vife in PROFILES:
        return replace(_with(about, PROFILES[vife]), kind=BLOCK)
    if vife in _DATES:
        return replace(_with(about, f"date_{vife:02x}"), kind=DATE, unit="", exponent=0)
    if 0x50 <= vife <= 0x67:
        return replace(_with(about, f"duration_{vife:02x}"), kind=NUMBER, unit=_TIME_UNITS[vife & 3], exponent=0)
    return _scale(about, vife)


def _scale(about: Information, vife: int) -> Information:
    if vife in _PER:
        return replace(_with(about, f"per_{_PER[vife]}"), unit=f"{about.unit}/{_PER[vife]}")
    if 0x70 <= vife <= 0x77:
        return replace(about, exponent=about.exponent + (vife & 7) - 6)
    if 0x78 <= vife <= 0x7B:
        return replace(_with(about, "offset"), offset=about.exponent + (vife & 3) - 3)
    if vife == 0x7D:
        return replace(about, exponent=about.exponent + 3)
    return about if vife in {0x00, 0x7C} else _word(about, vife)


def _word(about: Information, vife: int) -> Information:
    if vife in _COUNTS:
        return replace(_with(about, _WORDS[vife]), unit="1", exponent=0)
    return _with(about, _WORDS.get(vife, f"vife_{vife:02x}"))
