"""The simulated kinds of meter as data: address type, registers with their codings, what they store, how they send.

A new kind is a row of `MODELS`; a new quantity a row of `QUANTITIES` too.  Register names are those of docs/registers.md.
All carry the manufacturer letters SIM, which no real layout claims.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, Protocol

from submeter.reading import MICRO, Register
from submeter.simulate.consumption import Use
from submeter.simulate.records import NOW, Slot, bcd, integer, real

MANUFACTURER: Final = "SIM"


class Coding(Protocol):
    """How a number of steps becomes a record."""

    def __call__(self, vib: bytes, value: int, *, slot: Slot = NOW) -> bytes:
        """DIB, `vib` and `value`."""


def _heating_water(use: Use, t: int) -> int:
    """28.7 litres carry about 1 kWh at a difference of 30 K."""
    return use.index(t) * 287 // 10_000


def _heating_flow(use: Use, t: int) -> int:
    return use.rate(t) * 287 // 10_000


def _warmth(base: int, span: int, use: Use, t: int) -> int:
    """`base` °C and up to `span` K more as the rate rises to an hour's two-thousandth of the year's use."""
    return base * MICRO + span * min(use.rate(t) * 2000 * MICRO // use.annual, MICRO)


@dataclass(frozen=True, slots=True)
class Field:
    """A register as it is sent: VIB, coding, the micro units of one step, and its value in micro units at an instant."""

    register: Register
    vib: bytes
    code: Coding
    step: int
    value: Callable[[Use, int], int] = Use.index


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of meter.

    `quantity` is the class of the point that it serves; `fields` begins with `counters` registers that only rise; `stored` is the instant whose counters it keeps: the last `month` end, or the last
    `set_day` (31 December), after which the counters start again at 0.
    """

    quantity: str
    type: int
    shape: str
    annual: tuple[int, int]
    fields: tuple[Field, ...]
    counters: int = 1
    stored: Literal["month", "set_day"] = "month"
    link: Literal["short", "long", "wired"] = "short"


def _real_tenths(vib: bytes, value: int, *, slot: Slot = NOW) -> bytes:
    """Tenths of the VIF's unit as float32."""
    return real(vib, value / 10, slot)


_BCD4, _BCD6, _BCD8 = partial(bcd, digits=4), partial(bcd, digits=6), partial(bcd, digits=8)
_INT2, _INT4 = partial(integer, size=2), partial(integer, size=4)
_VOLUME, _ENERGY, _POWER = Register("volume", "m3"), Register("energy", "kWh"), Register("power", "kW")


def _heat(energy: Field, power: Field) -> tuple[Field, ...]:
    return (
        energy,
        Field(_VOLUME, b"\x14", _BCD8, 10_000, _heating_water),
        power,
        Field(Register("flow", "m3/h"), b"\x3b", _BCD6, 1_000, _heating_flow),
        Field(Register("temperature_flow", "°C"), b"\x5a", _BCD4, 100_000, partial(_warmth, 35, 40)),
        Field(Register("temperature_return", "°C"), b"\x5e", _INT2, 100_000, partial(_warmth, 30, 15)),
    )


#: Annual use in whole canonical units, from and to.
MODELS: Final[Mapping[str, Model]] = MappingProxyType({
    "cold_water": Model("cold_water", 0x16, "water", (25, 60), (Field(_VOLUME, b"\x13", _BCD8, 1_000),)),
    "hot_water": Model("hot_water", 0x06, "water", (10, 30), (Field(_VOLUME, b"\x13", _INT4, 1_000),), link="long"),
    "allocator": Model("heat_allocation", 0x08, "heating", (600, 2500), (Field(Register("hca", "hca"), b"\x6e", _BCD6, MICRO),), stored="set_day"),
    "heat": Model("heat", 0x04, "heating", (4000, 9000),
                  _heat(Field(_ENERGY, b"\x05", _BCD8, 100_000), Field(_POWER, b"\x2b", _INT4, 1_000, Use.rate)), counters=2, link="long"),
    "building_heat": Model("heat", 0x0C, "heating", (60_000, 90_000),
                           _heat(Field(_ENERGY, b"\x06", _BCD8, MICRO), Field(_POWER, b"\x2d", _BCD6, 100_000, Use.rate)), counters=2, link="wired"),
    "cooling": Model("cooling", 0x0A, "cooling", (500, 1500), (Field(Register("energy_cooling", "kWh"), b"\x05", _BCD8, 100_000),)),
    "electricity": Model("energy", 0x02, "even", (2000, 5000),
                         (Field(_ENERGY, b"\x04", _INT4, 10_000), Field(_POWER, b"\x2b", _real_tenths, 100, Use.rate))),
})  # fmt: skip
